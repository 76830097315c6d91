//! Silence in every audio codec: made, and heard, without decoding.

use std::time::Duration;

use segue_sdp::Codec;

use super::{amr, g711, g722, opus};

/// 20 ms of silence; nothing for video and for what we do not know.
pub fn packet(codec: Codec) -> &'static [u8] {
    match codec {
        Codec::Pcmu | Codec::Pcma => g711::silence(codec),
        Codec::G722 => &g722::SILENCE,
        Codec::Opus => &opus::SILENCE,
        Codec::Amr(amr) => amr::silence(amr),
        Codec::Vp8 | Codec::H264 { .. } | Codec::Foreign { .. } => &[],
    }
}

/// How long until the next packet of silence: AMR's receivers make comfort noise for eight frames of each SID (3GPP TS 26.093 §5.1.2).
pub fn every(codec: Codec) -> Duration {
    let ms = match codec {
        Codec::Amr(_) => 160,
        _ => 20,
    };
    Duration::from_millis(ms)
}

/// Listens to one stream.
#[derive(Debug, Clone, Default)]
pub struct Ear {
    g722: g722::Level,
}

impl Ear {
    /// Whether a packet holds speech rather than silence. What we do not know does.
    pub fn hears(&mut self, codec: Codec, payload: &[u8]) -> bool {
        match codec {
            Codec::Pcmu | Codec::Pcma => g711::is_loud(codec, payload),
            Codec::G722 => self.g722.is_loud(payload),
            Codec::Opus => opus::is_loud(payload),
            Codec::Amr(amr) => amr::is_speech(amr, payload),
            Codec::Vp8 | Codec::H264 { .. } | Codec::Foreign { .. } => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use segue_sdp::{Amr, Band, Modes, Packing};

    use super::*;

    #[test]
    fn what_we_call_silence_is_heard_as_such() {
        let mut ear = Ear::default();
        let amr = |band, packing| {
            let modes = Modes::all(band);
            Codec::Amr(Amr { band, packing, modes })
        };
        let amrs = [Band::Narrow, Band::Wide]
            .into_iter()
            .flat_map(|band| [Packing::BandwidthEfficient, Packing::OctetAligned].map(|packing| amr(band, packing)));
        for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus]
            .into_iter()
            .chain(amrs)
        {
            assert!(
                !packet(codec).is_empty() && !ear.hears(codec, packet(codec)),
                "{codec:?}"
            );
        }
        assert!(packet(Codec::Vp8).is_empty());
    }
}
