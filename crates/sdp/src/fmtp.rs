//! Format parameters of Opus and VP8 (those of AMR stand in `amr.rs`): each side says what it wants to receive (RFC 7587 §6.1, RFC 7741 §6.1), so they are not
//! negotiated, and what one leg says goes to whoever sends to it.
#![deny(clippy::arithmetic_side_effects)]

use crate::{Codec, h264::parameter};

/// What we repeat of Opus: numbers and flags, nothing a peer could write freely.
const OPUS: [&str; 9] = [
    "maxplaybackrate",
    "sprop-maxcapturerate",
    "maxaveragebitrate",
    "minptime",
    "stereo",
    "sprop-stereo",
    "cbr",
    "useinbandfec",
    "usedtx",
];
const VP8: [&str; 2] = ["max-fr", "max-fs"];

/// For an offer to the one whose packets the sender of `theirs` will get.
pub(crate) fn carried_on(codec: Codec, theirs: Option<&str>) -> Option<String> {
    let names: &[&str] = match codec {
        Codec::Amr(amr) => return amr.carried_on(theirs),
        Codec::Opus => &OPUS,
        Codec::Vp8 => &VP8,
        Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::H264 { .. } | Codec::Foreign { .. } => return None,
    };
    let theirs = theirs?;
    let numbers = names.iter().filter_map(|name| {
        let value: u32 = parameter(theirs, name)?.parse().ok()?;
        Some(format!("{name}={value}"))
    });
    let all: Vec<String> = numbers.collect();
    (!all.is_empty()).then(|| all.join(";"))
}

/// For an answer, while it is open who else will be on the line: forward error correction is welcome where it is known.
pub(crate) fn answer(codec: Codec, offered: Option<&str>) -> Option<String> {
    if let Codec::Amr(amr) = codec {
        return amr.answer(offered);
    }
    let fec = codec == Codec::Opus && offered.and_then(|f| parameter(f, "useinbandfec")) == Some("1");
    fec.then(|| "useinbandfec=1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_of_a_receiver_go_to_the_sender_cleaned() {
        let opus = "minptime=10; useinbandfec=1;stereo=1;maxplaybackrate=16000; x-evil=1\ta=foo;usedtx=yes";
        assert_eq!(
            carried_on(Codec::Opus, Some(opus)).as_deref(),
            Some("maxplaybackrate=16000;minptime=10;stereo=1;useinbandfec=1")
        );
        assert_eq!(
            carried_on(Codec::Vp8, Some("max-fs=3600;max-fr=30")).as_deref(),
            Some("max-fr=30;max-fs=3600")
        );
        assert_eq!(carried_on(Codec::Opus, Some("x=1")), None);
        assert_eq!(carried_on(Codec::G722, Some("stereo=1")), None);
        assert_eq!(carried_on(Codec::Vp8, None), None);
    }

    #[test]
    fn an_answer_takes_up_error_correction_alone() {
        assert_eq!(
            answer(Codec::Opus, Some("stereo=1;useinbandfec=1")).as_deref(),
            Some("useinbandfec=1")
        );
        assert_eq!(answer(Codec::Opus, Some("useinbandfec=0")), None);
        assert_eq!(answer(Codec::Vp8, Some("max-fr=30")), None);
    }
}
