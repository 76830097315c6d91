//! AMR and AMR-WB payloads (RFC 4867 §4): taken apart, put together, and carried from one packing into the other. One channel, without
//! frame CRCs, robust sorting and interleaving.
#![deny(clippy::arithmetic_side_effects)]

pub use segue_sdp::{Amr, Band, Modes, Packing};

/// A frame type without data.
pub const NO_DATA: u8 = 15;
/// No mode is asked for.
pub const NO_REQUEST: u8 = 15;
/// Most frames of a packet that are read: more than a second.
pub const FRAMES_MAX: usize = 64;
/// Longest payload that is made, octets: half a second at the highest rate, and more than a network carries whole.
pub const PAYLOAD_MAX: usize = 2_048;
/// One frame, milliseconds.
const FRAME_MS: u32 = 20;

/// Comfort noise of no energy: a SID frame that says "update", in each packing. It belongs to every set of modes.
const SILENCE: [&[u8]; 4] = [
    // CMR 15, one entry of type 8, good; 35 bits of parameters, STI, mode. The same with type 9 and a bit more.
    &[0xf4, 0x40, 0, 0, 0, 0x04, 0],
    &[0xf0, 0x44, 0, 0, 0, 0, 0x10],
    &[0xf4, 0xc0, 0, 0, 0, 0x04, 0],
    &[0xf0, 0x4c, 0, 0, 0, 0, 0x10],
];

/// The frame type of comfort noise.
pub const fn sid(band: Band) -> u8 {
    band.highest_mode().saturating_add(1)
}

/// Bits of a frame of this type (3GPP TS 26.101 and TS 26.201, table 1a); `None` for one that must not be here.
pub const fn frame_bits(band: Band, kind: u8) -> Option<usize> {
    Some(match (band, kind) {
        (Band::Narrow, 0) => 95,
        (Band::Narrow, 1) => 103,
        (Band::Narrow, 2) => 118,
        (Band::Narrow, 3) => 134,
        (Band::Narrow, 4) => 148,
        (Band::Narrow, 5) => 159,
        (Band::Narrow, 6) => 204,
        (Band::Narrow, 7) => 244,
        (Band::Narrow, 8) => 39,
        (Band::Wide, 0) => 132,
        (Band::Wide, 1) => 177,
        (Band::Wide, 2) => 253,
        (Band::Wide, 3) => 285,
        (Band::Wide, 4) => 317,
        (Band::Wide, 5) => 365,
        (Band::Wide, 6) => 397,
        (Band::Wide, 7) => 461,
        (Band::Wide, 8) => 477,
        (Band::Wide, 9) => 40,
        (Band::Wide, 14) | (_, NO_DATA) => 0,
        _ => return None,
    })
}

/// Samples of one frame at the codec's clock rate.
pub const fn frame_samples(band: Band) -> u32 {
    (band.clock_rate() / 1_000).saturating_mul(FRAME_MS)
}

/// A payload whose length is what its table of contents says (§4.5.1).
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    bytes: &'a [u8],
    band: Band,
    packing: Packing,
    count: usize,
}

/// One entry of the table of contents with its data.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Frame type: a speech mode, SID, [`NO_DATA`], or 14 (speech lost, AMR-WB).
    pub kind: u8,
    /// Quality bit: the frame was not damaged on its way so far.
    pub intact: bool,
    bytes: &'a [u8],
    /// Bits from the beginning of `bytes`.
    at: usize,
    bits: usize,
}

impl<'a> Payload<'a> {
    /// Reads a payload; `None` for one that is broken, or longer than [`FRAMES_MAX`] frames.
    pub fn parse(amr: Amr, bytes: &'a [u8]) -> Option<Payload<'a>> {
        let Amr { band, packing, .. } = amr;
        let (mut count, mut data, mut unit) = (0usize, 0usize, entry(packing));
        loop {
            let head = bits(bytes, header(packing).saturating_add(count.saturating_mul(unit)), 6)?;
            count = count.saturating_add(1);
            let length = frame_bits(band, head >> 1 & 0x0f)?;
            data = data.saturating_add(stored(packing, length));
            if head >> 5 == 0 {
                break;
            }
            if count >= FRAMES_MAX {
                return None;
            }
        }
        unit = unit.saturating_mul(count);
        let all = header(packing).saturating_add(unit).saturating_add(data);
        (bytes.len() == all.div_ceil(8)).then_some(Payload {
            bytes,
            band,
            packing,
            count,
        })
    }

    /// The codec mode request; [`NO_REQUEST`] for one that is to be ignored (§4.3.1).
    pub fn request(&self) -> u8 {
        let said = self.bytes.first().map_or(NO_REQUEST, |byte| byte >> 4);
        if said <= self.band.highest_mode() {
            said
        } else {
            NO_REQUEST
        }
    }

    /// How many frames it has, those without data counted.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Its frames in order of time.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'a>> + Clone + use<'a> {
        let Payload {
            bytes,
            band,
            packing,
            count,
        } = *self;
        let first = header(packing);
        let mut at = first.saturating_add(count.saturating_mul(entry(packing)));
        (0..count).filter_map(move |index| {
            let head = bits(bytes, first.saturating_add(index.saturating_mul(entry(packing))), 6)?;
            let kind = head >> 1 & 0x0f;
            let length = frame_bits(band, kind)?;
            let frame = Frame {
                kind,
                intact: head & 1 == 1,
                bytes,
                at,
                bits: length,
            };
            at = at.saturating_add(stored(packing, length));
            Some(frame)
        })
    }
}

impl<'a> Frame<'a> {
    /// A frame as files store it (§5.3): a header octet, then the data.
    pub fn stored(band: Band, bytes: &'a [u8]) -> Option<Frame<'a>> {
        let (&head, data) = bytes.split_first()?;
        let kind = head >> 3 & 0x0f;
        let length = frame_bits(band, kind)?;
        (data.len() == length.div_ceil(8)).then_some(Frame {
            kind,
            intact: head >> 2 & 1 == 1,
            bytes: data,
            at: 0,
            bits: length,
        })
    }

    /// One that tells of nothing.
    pub const fn nothing() -> Frame<'static> {
        Frame {
            kind: NO_DATA,
            intact: true,
            bytes: &[],
            at: 0,
            bits: 0,
        }
    }

    /// Whether it carries speech, not comfort noise or nothing.
    pub fn is_speech(&self, band: Band) -> bool {
        self.kind <= band.highest_mode()
    }

    /// Adds it as files store it, the inverse of [`Frame::stored`].
    pub fn store(&self, out: &mut Vec<u8>) {
        out.push(self.kind << 3 | u8::from(self.intact) << 2);
        let octets = (0..self.bits).step_by(8).map(|from| self.octet(from));
        out.extend(octets);
    }

    /// Up to eight bits of its data, in the upper ones of an octet.
    fn octet(&self, from: usize) -> u8 {
        let count = self.bits.saturating_sub(from).min(8);
        let value = bits(self.bytes, self.at.saturating_add(from), count).unwrap_or(0);
        value.checked_shl(8u32.saturating_sub(count as u32)).unwrap_or(0)
    }
}

/// Packs frames; how many octets of `out` they take. `None` without a frame, with more than [`FRAMES_MAX`], or where there is no room.
pub fn pack<'f>(
    packing: Packing,
    request: u8,
    frames: impl Iterator<Item = Frame<'f>> + Clone,
    out: &mut [u8],
) -> Option<usize> {
    let count = frames.clone().count();
    if count == 0 || count > FRAMES_MAX {
        return None;
    }
    let aligned = packing == Packing::OctetAligned;
    let mut writer = Writer { out, at: 0 };
    writer.put(request, 4)?;
    if aligned {
        writer.fill()?;
    }
    for (index, frame) in frames.clone().enumerate() {
        let more = u8::from(index.saturating_add(1) < count);
        writer.put(more << 5 | (frame.kind & 0x0f) << 1 | u8::from(frame.intact), 6)?;
        if aligned {
            writer.fill()?;
        }
    }
    for frame in frames {
        for from in (0..frame.bits).step_by(8) {
            let count = frame.bits.saturating_sub(from).min(8);
            let shift = 8u32.saturating_sub(count as u32);
            writer.put(frame.octet(from).checked_shr(shift).unwrap_or(0), count)?;
        }
        if aligned {
            writer.fill()?;
        }
    }
    writer.fill()?;
    Some(writer.at / 8)
}

/// Whether packets of one leg go on to the other as they are.
pub fn passes_as_is(from: Amr, to: Amr) -> bool {
    from.is_packed_like(to) && to.modes == from.modes
}

/// Carries a payload from one leg to another of the same codec; how many octets of `out` it takes. Speech in modes that must not be sent
/// there becomes NO_DATA, and its sender is asked for one that may: a request of the receiver's goes on within what both allow.
///
/// `None` for a payload that is broken, which "SHOULD be discarded".
pub fn repack(from: Amr, to: Amr, payload: &[u8], out: &mut [u8]) -> Option<usize> {
    let payload = Payload::parse(from, payload)?;
    let request = asked(payload.request(), from.modes, to);
    let frames = payload.frames().map(|frame| {
        let allowed = !frame.is_speech(to.band) || to.modes.contains(frame.kind);
        if allowed { frame } else { Frame::nothing() }
    });
    pack(to.packing, request, frames, out)
}

/// What the receiver `to` is asked to send: what the other asks for, within the modes of both. Where it does not know how few the other
/// takes, it is told so.
fn asked(request: u8, others: Modes, to: Amr) -> u8 {
    let common = others.common(to.modes).unwrap_or(to.modes);
    if request != NO_REQUEST {
        common.at_most(request)
    } else if others.includes(to.modes) {
        NO_REQUEST
    } else {
        common.at_most(to.band.highest_mode())
    }
}

/// 20 ms and more of silence.
pub const fn silence(amr: Amr) -> &'static [u8] {
    let [narrow, narrow_aligned, wide, wide_aligned] = SILENCE;
    match (amr.band, amr.packing) {
        (Band::Narrow, Packing::BandwidthEfficient) => narrow,
        (Band::Narrow, Packing::OctetAligned) => narrow_aligned,
        (Band::Wide, Packing::BandwidthEfficient) => wide,
        (Band::Wide, Packing::OctetAligned) => wide_aligned,
    }
}

/// Whether a payload holds speech rather than what an encoder sends in silence (discontinuous transmission: SID and NO_DATA). Without
/// that a quiet room counts as sound, and so does what cannot be read.
pub fn is_speech(amr: Amr, payload: &[u8]) -> bool {
    let Some(payload) = Payload::parse(amr, payload) else {
        return true;
    };
    payload.frames().any(|frame| frame.is_speech(amr.band))
}

/// Bits of the payload header.
const fn header(packing: Packing) -> usize {
    match packing {
        Packing::BandwidthEfficient => 4,
        Packing::OctetAligned => 8,
    }
}

/// Bits of a ToC entry.
const fn entry(packing: Packing) -> usize {
    match packing {
        Packing::BandwidthEfficient => 6,
        Packing::OctetAligned => 8,
    }
}

/// Bits that so many bits of data take.
const fn stored(packing: Packing, bits: usize) -> usize {
    match packing {
        Packing::BandwidthEfficient => bits,
        Packing::OctetAligned => bits.div_ceil(8).saturating_mul(8),
    }
}

/// Up to eight bits from a place, in the lower ones of an octet; `None` beyond the end.
fn bits(bytes: &[u8], at: usize, count: usize) -> Option<u8> {
    let (index, skip) = (at / 8, (at % 8) as u32);
    if count == 0 || count > 8 {
        return (count == 0).then_some(0);
    }
    let (first, second) = (*bytes.get(index)?, bytes.get(index.checked_add(1)?).copied());
    let both = u16::from_be_bytes([first, second.unwrap_or(0)]);
    if (skip as usize).saturating_add(count) > 8 {
        second?;
    }
    let from_top = both.checked_shl(skip)?;
    Some(from_top.checked_shr(16u32.checked_sub(count as u32)?)? as u8)
}

/// Puts bits one behind the other, the first ones into the upper bits of an octet.
struct Writer<'o> {
    out: &'o mut [u8],
    at: usize,
}

impl Writer<'_> {
    /// The lower `count` bits of a value, at most eight.
    fn put(&mut self, value: u8, count: usize) -> Option<()> {
        let (index, skip) = (self.at / 8, (self.at % 8) as u32);
        let room = 16u32.checked_sub(count as u32)?.checked_sub(skip)?;
        let mask = u16::MAX.checked_shr(16u32.checked_sub(count as u32)?).unwrap_or(0);
        let [first, second] = (u16::from(value) & mask).checked_shl(room)?.to_be_bytes();
        let place = self.out.get_mut(index)?;
        *place = if skip == 0 { first } else { *place | first };
        if (skip as usize).saturating_add(count) > 8 {
            *self.out.get_mut(index.checked_add(1)?)? = second;
        }
        self.at = self.at.saturating_add(count);
        Some(())
    }

    /// Zeros up to the next octet.
    fn fill(&mut self) -> Option<()> {
        match self.at % 8 {
            0 => Some(()),
            used => self.put(0, 8usize.saturating_sub(used)),
        }
    }
}
