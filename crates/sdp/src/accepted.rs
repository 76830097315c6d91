//! What a peer's answer takes up of an offer of ours.
#![deny(clippy::arithmetic_side_effects)]

use std::net::IpAddr;

use crate::{
    Amr, Codec, ForeignFormat, Format, Kind, Packing, Stream,
    description::{MediaLine, TelephoneEvent},
    h264,
    secure::accepted_keys,
    side::{Unusable, foreign_stream, stream, usable},
    write::LiveLine,
};

/// The stream of one m-line.
pub(crate) fn accepted(ours: &LiveLine, theirs: &MediaLine, address: IpAddr) -> Result<Stream, Unusable> {
    let kind = usable(theirs, address)?;
    let keys = accepted_keys(ours, theirs)?;
    let stream = accepted_format(kind, ours, theirs)?;
    Ok(Stream { keys, ..stream })
}

fn accepted_format(kind: Kind, ours: &LiveLine, theirs: &MediaLine) -> Result<Stream, Unusable> {
    if ours.codec.is_foreign() {
        // "… for the same payload type numbers" (RFC 3264 §6.1): only then can they be relayed as they are.
        let offered = |theirs: &&ForeignFormat| ours.formats.iter().any(|ours| ours.is_same(theirs));
        let formats = theirs.described.iter().filter(offered).cloned().collect();
        return foreign_stream(kind, theirs, formats).ok_or(Unusable::Format);
    }
    if ours.is_choice() {
        return chosen(kind, ours, theirs);
    }
    let (our_number, format) = match ours.codec {
        Codec::Amr(amr) => amr_format(ours, amr, theirs),
        _ => plain_format(ours, theirs).map(|format| (ours.payload_type, format)),
    }
    .ok_or(Unusable::Format)?;
    let mut stream = stream(kind, theirs, format);
    stream.our_payload_type = our_number;
    // An answer takes up what was offered: a telephone-event of another clock rate was not.
    let event = ours.telephone_event.and_then(|ours| {
        let same_clock = |event: &&TelephoneEvent| event.clock_rate == ours.clock_rate;
        Some((ours, theirs.telephone_events.iter().find(same_clock)?))
    });
    stream.our_dtmf_payload_type = event.map(|(ours, _)| ours.payload_type);
    stream.dtmf_payload_type = event.map(|(_, theirs)| theirs.payload_type);
    stream.dtmf_clock_rate = event.map_or(8_000, |(ours, _)| ours.clock_rate);
    Ok(stream)
}

/// The payload type that we offered may only stand in the answer for the very same configuration (RFC 6184 §8.2.2), so a phone that
/// answers it with an incomplete fmtp is believed.
fn plain_format(ours: &LiveLine, theirs: &MediaLine) -> Option<Format> {
    let mut formats = theirs.formats.iter();
    let same_number = formats.find(|f| f.payload_type == ours.payload_type && f.codec.is_same_kind(ours.codec));
    match same_number {
        Some(format) => Some(Format {
            codec: ours.codec,
            ..format.clone()
        }),
        None => {
            let mut formats = theirs.formats.iter();
            formats.find(|f| h264::same_configuration(f.codec, ours.codec)).cloned()
        }
    }
}

/// The first of the answer's formats that is AMR in a packing that we offered, and what we called that.
fn amr_format(ours: &LiveLine, amr: Amr, theirs: &MediaLine) -> Option<(u8, Format)> {
    let other = ours.other.as_ref().map(|other| (other.payload_type, amr.repacked()));
    let offered = || std::iter::once((ours.payload_type, amr)).chain(other);
    theirs.formats.iter().find_map(|format| {
        let Codec::Amr(said) = format.codec else { return None };
        let fmtp = format.fmtp.as_deref();
        let taken = |same: bool| {
            let candidates = offered().filter(move |(number, _)| (*number == format.payload_type) == same);
            candidates
                .filter_map(|(number, ours)| Some((number, Amr::accepted(ours, said, fmtp, same)?)))
                .next()
        };
        let (our_number, amr) = taken(true).or_else(|| taken(false))?;
        // What holds is written down for those who read the parameters alone: a recording.
        let missing = amr.packing == Packing::OctetAligned && said.packing != amr.packing;
        let fmtp = match (missing, fmtp) {
            (true, Some(fmtp)) => Some(format!("octet-align=1;{fmtp}")),
            (true, None) => Some("octet-align=1".to_owned()),
            (false, fmtp) => fmtp.map(str::to_owned),
        };
        let format = Format {
            payload_type: format.payload_type,
            codec: Codec::Amr(amr),
            fmtp,
        };
        Some((our_number, format))
    })
}

/// What the peer has chosen of several formats of ours: the first, which it likes best, unless our order counts ("SHOULD send using the
/// most preferred media format in the offer that is also listed in the answer", RFC 3264 §6.1). It may number it otherwise.
fn chosen(kind: Kind, ours: &LiveLine, theirs: &MediaLine) -> Result<Stream, Unusable> {
    let is_named = |format: &ForeignFormat, name: &str| {
        let map = format.rtpmap.as_deref().and_then(|map| map.split('/').next());
        map.is_some_and(|ours| ours.eq_ignore_ascii_case(name))
    };
    let number = |name: &str| {
        let mut named = ours.formats.iter().filter(|format| is_named(format, name));
        named.next().map(|format| format.payload_type)
    };
    let taken = if ours.our_order {
        ours.formats.iter().find_map(|ours| {
            let mut known = theirs.formats.iter();
            let format = known.find(|theirs| is_named(ours, theirs.codec.encoding_name()))?;
            Some((format.clone(), ours.payload_type))
        })
    } else {
        let mut known = theirs.formats.iter();
        known.find_map(|format| Some((format.clone(), number(format.codec.encoding_name())?)))
    };
    let (format, our_number) = taken.ok_or(Unusable::Format)?;
    let mut stream = stream(kind, theirs, format);
    stream.our_payload_type = our_number;
    let clock = format!("/{}", stream.dtmf_clock_rate);
    let events = ours.formats.iter().filter(|format| is_named(format, "telephone-event"));
    let mut of_clock = events.filter(|format| format.rtpmap.as_deref().is_some_and(|map| map.ends_with(&clock)));
    let our_event = of_clock.next().map(|format| format.payload_type);
    stream.dtmf_payload_type = stream.dtmf_payload_type.filter(|_| our_event.is_some());
    stream.our_dtmf_payload_type = our_event.filter(|_| stream.dtmf_payload_type.is_some());
    Ok(stream)
}
