//! H.264 as RTP carries it (RFC 6184): Annex B to NAL units, NAL units to payloads and back.
#![deny(clippy::arithmetic_side_effects)]

/// Coded slice of an IDR picture (H.264 table 7-1).
pub(crate) const IDR: u8 = 5;
/// Sequence parameter set.
pub(crate) const SPS: u8 = 7;
/// Picture parameter set.
pub(crate) const PPS: u8 = 8;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// Largest payload we send: fits an Ethernet frame with RTP, UDP, IPv6 and a tunnel or two around it.
pub(crate) const PAYLOAD_MAX: usize = 1200;

/// `nal_unit_type` of a NAL unit; 0 if it is empty.
pub(crate) fn nal_type(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |header| header & 0x1f)
}

/// A slice of a picture, not a parameter set or a remark.
pub(crate) fn is_slice(nal: &[u8]) -> bool {
    matches!(nal_type(nal), 1..=IDR)
}

/// The first slice of a picture: `first_mb_in_slice` is ue(v), and zero is a single 1 bit (H.264 §7.3.3).
pub(crate) fn starts_picture(slice: &[u8]) -> bool {
    slice.get(1).is_some_and(|byte| byte & 0x80 != 0)
}

/// The NAL units of a byte stream (H.264 Annex B), without start codes and trailing zeros.
pub(crate) fn nal_units(stream: &[u8]) -> Vec<&[u8]> {
    let mut units = Vec::new();
    let mut rest = after_start_code(stream).unwrap_or_default();
    while !rest.is_empty() {
        let end = rest
            .windows(3)
            .position(|bytes| bytes == [0, 0, 1])
            .unwrap_or(rest.len());
        let (unit, tail) = rest.split_at(end);
        let zeros = unit.iter().rev().take_while(|byte| **byte == 0).count();
        let unit = unit.get(..unit.len().saturating_sub(zeros)).unwrap_or_default();
        if !unit.is_empty() {
            units.push(unit);
        }
        rest = after_start_code(tail).unwrap_or_default();
    }
    units
}

fn after_start_code(stream: &[u8]) -> Option<&[u8]> {
    let at = stream.windows(3).position(|bytes| bytes == [0, 0, 1])?;
    stream.get(at.saturating_add(3)..)
}

/// NAL units as one byte stream with four-byte start codes.
pub(crate) fn annex_b<'a>(units: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut stream = Vec::new();
    for unit in units {
        stream.extend_from_slice(&[0, 0, 0, 1]);
        stream.extend_from_slice(unit);
    }
    stream
}

/// RTP payloads of one NAL unit in packetization-mode 1: itself, or FU-A fragments (RFC 6184 §5.8).
pub(crate) fn fragments(unit: &[u8]) -> Vec<Vec<u8>> {
    if unit.len() <= PAYLOAD_MAX {
        return vec![unit.to_vec()];
    }
    let Some((header, body)) = unit.split_first() else {
        return Vec::new();
    };
    let pieces: Vec<&[u8]> = body.chunks(PAYLOAD_MAX.saturating_sub(2)).collect();
    let last = pieces.len().saturating_sub(1);
    let fragment = |(index, piece): (usize, &&[u8])| {
        let start = if index == 0 { 0x80 } else { 0 };
        let end = if index == last { 0x40 } else { 0 };
        let mut payload = vec![header & 0xe0 | FU_A, start | end | header & 0x1f];
        payload.extend_from_slice(piece);
        payload
    };
    pieces.iter().enumerate().map(fragment).collect()
}

/// Puts NAL units together from payloads in order.
#[derive(Debug, Default)]
pub(crate) struct Depacketiser {
    fragment: Option<Vec<u8>>,
}

/// A payload that cannot be used; the picture it belongs to is incomplete.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unusable;

impl Depacketiser {
    /// Forgets a NAL unit begun: packets are missing here.
    pub fn lost(&mut self) {
        self.fragment = None;
    }

    /// Takes a payload; whole NAL units go to `units`.
    pub fn push(&mut self, payload: &[u8], units: &mut Vec<Vec<u8>>) -> Result<(), Unusable> {
        let kind = nal_type(payload);
        if kind != FU_A && self.fragment.take().is_some() {
            // The fragments before never ended.
            self.whole(kind, payload, units)?;
            return Err(Unusable);
        }
        self.whole(kind, payload, units)
    }

    fn whole(&mut self, kind: u8, payload: &[u8], units: &mut Vec<Vec<u8>>) -> Result<(), Unusable> {
        match kind {
            1..=23 => units.push(payload.to_vec()),
            STAP_A => aggregate(payload, units)?,
            FU_A => self.fragment(payload, units)?,
            // Interleaved modes are never negotiated, the rest is reserved.
            _ => return Err(Unusable),
        }
        Ok(())
    }

    fn fragment(&mut self, payload: &[u8], units: &mut Vec<Vec<u8>>) -> Result<(), Unusable> {
        let [indicator, header, piece @ ..] = payload else {
            return Err(Unusable);
        };
        let unit = if header & 0x80 != 0 {
            self.fragment.insert(vec![indicator & 0xe0 | header & 0x1f])
        } else {
            self.fragment.as_mut().ok_or(Unusable)?
        };
        unit.extend_from_slice(piece);
        if header & 0x40 != 0 {
            units.extend(self.fragment.take());
        }
        Ok(())
    }
}

fn aggregate(payload: &[u8], units: &mut Vec<Vec<u8>>) -> Result<(), Unusable> {
    let mut rest = payload.get(1..).unwrap_or_default();
    while let [high, low, tail @ ..] = rest {
        let size = usize::from(u16::from_be_bytes([*high, *low]));
        let (unit, after) = tail.split_at_checked(size).ok_or(Unusable)?;
        if !unit.is_empty() {
            units.push(unit.to_vec());
        }
        rest = after;
    }
    if rest.is_empty() { Ok(()) } else { Err(Unusable) }
}

/// The parameter sets an `a=fmtp` value carries (`sprop-parameter-sets`, RFC 6184 §8.1); what is not base64 is left out.
pub(crate) fn sprop(fmtp: &str) -> Vec<Vec<u8>> {
    fmtp.split(';')
        .filter_map(|parameter| parameter.trim().split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("sprop-parameter-sets"))
        .flat_map(|(_, value)| value.split(','))
        .filter_map(segue_media::h264::sprop_unit)
        .filter(|unit| matches!(nal_type(unit), SPS | PPS))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_stream_splits_at_both_start_codes_and_drops_padding() {
        let stream = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 0, 1, 0x65, 9, 0, 0];
        assert_eq!(nal_units(&stream), [&[0x67, 1, 2][..], &[0x68, 3], &[0x65, 9]]);
        assert!(nal_units(&[1, 2, 3]).is_empty());
    }

    #[test]
    fn a_large_unit_survives_fragments() {
        let unit: Vec<u8> = std::iter::once(0x65)
            .chain((0..5000u32).map(|n| n.to_be_bytes()[3]))
            .collect();
        let payloads = fragments(&unit);
        assert_eq!(payloads.len(), 5);
        assert!(payloads.iter().all(|payload| payload.len() <= PAYLOAD_MAX));
        let (mut depacketiser, mut units) = (Depacketiser::default(), Vec::new());
        for payload in &payloads {
            depacketiser.push(payload, &mut units).unwrap();
        }
        assert_eq!(units, [unit]);
    }

    #[test]
    fn a_lost_fragment_spoils_its_unit_only() {
        let unit = vec![0x65; 3000];
        let payloads = fragments(&unit);
        let (mut depacketiser, mut units) = (Depacketiser::default(), Vec::new());
        depacketiser.push(&payloads[0], &mut units).unwrap();
        depacketiser.lost();
        assert_eq!(depacketiser.push(&payloads[2], &mut units), Err(Unusable));
        assert!(units.is_empty());
        depacketiser.push(&[0x41, 1, 2], &mut units).unwrap();
        assert_eq!(units, [vec![0x41, 1, 2]]);
    }

    #[test]
    fn fragments_that_never_end_are_reported() {
        let payloads = fragments(&[0x65; 3000]);
        let (mut depacketiser, mut units) = (Depacketiser::default(), Vec::new());
        depacketiser.push(&payloads[0], &mut units).unwrap();
        assert_eq!(depacketiser.push(&[0x41, 1], &mut units), Err(Unusable));
        assert_eq!(units, [vec![0x41, 1]]);
    }

    #[test]
    fn aggregated_units_come_apart_and_lies_about_sizes_are_caught() {
        let (mut depacketiser, mut units) = (Depacketiser::default(), Vec::new());
        depacketiser
            .push(&[24, 0, 2, 0x67, 1, 0, 3, 0x68, 2, 3], &mut units)
            .unwrap();
        assert_eq!(units, [vec![0x67, 1], vec![0x68, 2, 3]]);
        assert_eq!(depacketiser.push(&[24, 0, 9, 0x67], &mut units), Err(Unusable));
        assert_eq!(depacketiser.push(&[24, 0], &mut units), Err(Unusable));
        assert_eq!(depacketiser.push(&[], &mut units), Err(Unusable));
    }

    #[test]
    fn sprop_parameter_sets_are_read() {
        let fmtp = "packetization-mode=1;profile-level-id=42e01f; sprop-parameter-sets=Z0LgH9oCgPaAbQoTUA==,aM4G4g==";
        let units = sprop(fmtp);
        assert_eq!(units.len(), 2);
        assert_eq!(units[0][..4], [0x67, 0x42, 0xe0, 0x1f]);
        assert_eq!(units[1], [0x68, 0xce, 0x06, 0xe2]);
        assert!(sprop("sprop-parameter-sets=!!,").is_empty());
    }
}
