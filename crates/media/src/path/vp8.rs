//! VP8 payload descriptors (RFC 7741 §4.2): read, written, and their numbers carried on when the source of a stream changes.
#![deny(clippy::arithmetic_side_effects)]

/// The longest descriptor that we write.
pub const DESCRIPTOR_MAX: usize = 6;

/// PictureID has 15 bits.
const PICTURE_BITS: u16 = 0x7fff;
const KEY_INDEX_BITS: u8 = 0x1f;

/// What stands in front of a piece of a VP8 frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// The frame can be left out without harm to others.
    pub non_reference: bool,
    /// A partition begins with this packet.
    pub starts_partition: bool,
    /// Which partition, 0 to 7.
    pub partition: u8,
    /// Running index of the frame.
    pub picture: Option<PictureId>,
    /// Running index of base-layer frames.
    pub tl0: Option<u8>,
    /// Temporal layer, 0 to 3, and whether the frame depends on the base layer alone.
    pub layer: Option<(u8, bool)>,
    /// Running index of key frames, 0 to 31.
    pub key_index: Option<u8>,
}

/// A PictureID as a source writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureId {
    /// 7 bits.
    Short(u8),
    /// 15 bits.
    Long(u16),
}

impl Descriptor {
    /// Splits a payload into its descriptor and the piece of the frame; `None` when it is cut.
    pub fn parse(payload: &[u8]) -> Option<(Descriptor, &[u8])> {
        let (&first, mut rest) = payload.split_first()?;
        let mut descriptor = Descriptor {
            non_reference: first & 0x20 != 0,
            starts_partition: first & 0x10 != 0,
            partition: first & 0x07,
            ..Descriptor::default()
        };
        let mut byte = || {
            let (&byte, after) = rest.split_first()?;
            rest = after;
            Some(byte)
        };
        if first & 0x80 != 0 {
            let present = byte()?;
            if present & 0x80 != 0 {
                let high = byte()?;
                descriptor.picture = Some(if high & 0x80 != 0 {
                    PictureId::Long(u16::from_be_bytes([high & 0x7f, byte()?]))
                } else {
                    PictureId::Short(high)
                });
            }
            if present & 0x40 != 0 {
                descriptor.tl0 = Some(byte()?);
            }
            if present & 0x30 != 0 {
                let last = byte()?;
                descriptor.layer = (present & 0x20 != 0).then_some((last >> 6, last & 0x20 != 0));
                descriptor.key_index = (present & 0x10 != 0).then_some(last & KEY_INDEX_BITS);
            }
        }
        (!rest.is_empty()).then_some((descriptor, rest))
    }

    /// On the wire: bytes, of which so many count. A PictureID always has 15 bits.
    pub fn to_bytes(self) -> ([u8; DESCRIPTOR_MAX], u8) {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let first = bit(self.non_reference, 0x20) | bit(self.starts_partition, 0x10) | (self.partition & 0x07);
        let last = self
            .layer
            .map_or(0, |(layer, depends)| (layer & 3) << 6 | bit(depends, 0x20))
            | (self.key_index.unwrap_or(0) & KEY_INDEX_BITS);
        let has_last = self.layer.is_some() || self.key_index.is_some();
        let present = bit(self.picture.is_some(), 0x80)
            | bit(self.tl0.is_some(), 0x40)
            | bit(self.layer.is_some(), 0x20)
            | bit(self.key_index.is_some(), 0x10);
        let [high, low] = self.picture.map_or([0, 0], |picture| picture.low_bits().to_be_bytes());
        let fields = [
            (true, first | bit(present != 0, 0x80)),
            (present != 0, present),
            (self.picture.is_some(), high | 0x80),
            (self.picture.is_some(), low),
            (self.tl0.is_some(), self.tl0.unwrap_or(0)),
            (has_last, last),
        ];
        let mut bytes = [0; DESCRIPTOR_MAX];
        let mut len = 0u8;
        let there = fields.into_iter().filter(|(there, _)| *there);
        for (place, (_, byte)) in bytes.iter_mut().zip(there) {
            *place = byte;
            len = len.saturating_add(1);
        }
        (bytes, len)
    }
}

impl PictureId {
    fn low_bits(self) -> u16 {
        match self {
            PictureId::Short(id) => id.into(),
            PictureId::Long(id) => id & PICTURE_BITS,
        }
    }
}

/// Whether a decoder can start at this packet: it begins the first partition of a key frame (RFC 6386 §9.1).
pub fn starts_key_frame(payload: &[u8]) -> bool {
    Descriptor::parse(payload).is_some_and(|(descriptor, frame)| begins_key_frame(descriptor, frame))
}

fn begins_key_frame(descriptor: Descriptor, frame: &[u8]) -> bool {
    let first = descriptor.starts_partition && descriptor.partition == 0;
    first && frame.first().is_some_and(|tag| tag & 1 == 0)
}

/// The running numbers of a stream that we send.
#[derive(Debug, Clone, Copy)]
pub struct Numbers {
    /// Of the next new frame.
    picture: u16,
    tl0: u8,
    key_index: u8,
}

impl Numbers {
    /// Begins anywhere (§4.2 lets the sender choose).
    pub fn starting_at(picture: u16) -> Numbers {
        Numbers {
            picture: picture & PICTURE_BITS,
            tl0: 0,
            key_index: 0,
        }
    }

    /// The descriptor of a piece of a frame of our own; `starts` with the first piece of each.
    pub fn own(&mut self, starts: bool) -> Descriptor {
        if starts {
            self.picture = self.picture.wrapping_add(1) & PICTURE_BITS;
        }
        Descriptor {
            starts_partition: starts,
            picture: Some(PictureId::Long(self.picture.wrapping_sub(1) & PICTURE_BITS)),
            ..Descriptor::default()
        }
    }

    /// A frame with these numbers has been sent.
    fn sent(&mut self, descriptor: &Descriptor) {
        if let Some(PictureId::Long(id)) = descriptor.picture {
            let after = id.wrapping_add(1) & PICTURE_BITS;
            if ahead(after, self.picture) > 0 {
                self.picture = after;
            }
        }
        if let Some(tl0) = descriptor.tl0
            && (tl0.wrapping_add(1).wrapping_sub(self.tl0) as i8) > 0
        {
            self.tl0 = tl0.wrapping_add(1);
        }
        if let Some(index) = descriptor.key_index {
            let after = index.wrapping_add(1) & KEY_INDEX_BITS;
            let steps = after.wrapping_sub(self.key_index) & KEY_INDEX_BITS;
            if (1..16).contains(&steps) {
                self.key_index = after;
            }
        }
    }
}

/// How far one PictureID is ahead of another, with its sign.
fn ahead(one: u16, other: u16) -> i16 {
    (one.wrapping_sub(other) << 1) as i16 >> 1
}

/// Frames whose number is remembered where the source gives none; reordering is shorter.
const FRAMES_KEPT: usize = 8;

/// How one source's numbers become ours.
#[derive(Debug, Clone, Copy)]
pub struct Renumbering {
    picture_offset: u16,
    tl0_offset: u8,
    key_offset: u8,
    /// The furthest number of the source, in 15 bits.
    furthest: u16,
    /// Timestamp and number of the last frames of a source without PictureID, the newest last.
    frames: [Option<(u32, u16)>; FRAMES_KEPT],
}

impl Renumbering {
    /// Begins with this packet of a source: its numbers become the next of ours.
    pub fn begin(descriptor: &Descriptor, timestamp: u32, ours: &Numbers) -> Renumbering {
        let first = descriptor.picture.map_or(0, PictureId::low_bits);
        let mut frames = [None; FRAMES_KEPT];
        if let Some(newest) = frames.last_mut() {
            *newest = Some((timestamp, 0));
        }
        Renumbering {
            picture_offset: ours.picture.wrapping_sub(first),
            tl0_offset: ours.tl0.wrapping_sub(descriptor.tl0.unwrap_or(0)),
            key_offset: ours.key_index.wrapping_sub(descriptor.key_index.unwrap_or(0)),
            furthest: first,
            frames,
        }
    }

    /// A packet's descriptor with our numbers; counts it as sent.
    pub fn apply(&mut self, descriptor: Descriptor, timestamp: u32, ours: &mut Numbers) -> Descriptor {
        let id = match descriptor.picture {
            Some(PictureId::Long(id)) => id,
            // The upper bits are those of the nearest number before or after.
            Some(PictureId::Short(id)) => {
                let near = (u16::from(id).wrapping_sub(self.furthest) << 9) as i16 >> 9;
                self.furthest.wrapping_add_signed(near)
            }
            None => self.counted(timestamp),
        };
        if ahead(id, self.furthest) > 0 {
            self.furthest = id & PICTURE_BITS;
        }
        let done = Descriptor {
            picture: Some(PictureId::Long(id.wrapping_add(self.picture_offset) & PICTURE_BITS)),
            tl0: descriptor.tl0.map(|tl0| tl0.wrapping_add(self.tl0_offset)),
            key_index: descriptor
                .key_index
                .map(|index| index.wrapping_add(self.key_offset) & KEY_INDEX_BITS),
            ..descriptor
        };
        ours.sent(&done);
        done
    }

    /// The number of the frame with this timestamp, counting frames as they come.
    fn counted(&mut self, timestamp: u32) -> u16 {
        let known = self.frames.iter().flatten().find(|(of, _)| *of == timestamp);
        if let Some((_, id)) = known {
            return *id;
        }
        let newest = self.frames.last().copied().flatten();
        let is_new = newest.is_none_or(|(of, _)| (timestamp.wrapping_sub(of) as i32) > 0);
        if !is_new {
            // Older than all we know: it cannot be told apart from the oldest.
            return self.frames.iter().flatten().next().map_or(0, |(_, id)| *id);
        }
        let id = newest.map_or(0, |(_, id)| id.wrapping_add(1));
        self.frames.rotate_left(1);
        if let Some(place) = self.frames.last_mut() {
            *place = Some((timestamp, id));
        }
        id
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // Tests make their own input.
mod tests {
    use super::*;

    fn written(descriptor: Descriptor) -> Vec<u8> {
        let (bytes, len) = descriptor.to_bytes();
        bytes[..len.into()].to_vec()
    }

    fn picture(descriptor: Descriptor) -> u16 {
        match descriptor.picture {
            Some(PictureId::Long(id)) => id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_form_reads_back() {
        let full = Descriptor {
            non_reference: true,
            starts_partition: true,
            partition: 3,
            picture: Some(PictureId::Long(0x1234)),
            tl0: Some(200),
            layer: Some((2, true)),
            key_index: Some(17),
        };
        assert_eq!(written(full), [0xb3, 0xf0, 0x92, 0x34, 200, 0xb1]);
        let plain = Descriptor {
            starts_partition: true,
            ..Descriptor::default()
        };
        let key_alone = Descriptor {
            key_index: Some(4),
            ..plain
        };
        for descriptor in [full, plain, key_alone] {
            let bytes = [written(descriptor), vec![9, 9]].concat();
            assert_eq!(Descriptor::parse(&bytes), Some((descriptor, &[9, 9][..])));
        }
        let short = [0x90, 0x80, 0x55, 9];
        assert_eq!(
            Descriptor::parse(&short).unwrap().0.picture,
            Some(PictureId::Short(0x55))
        );
    }

    #[test]
    fn a_descriptor_cut_anywhere_is_none() {
        let bytes = [0xb3, 0xf0, 0x92, 0x34, 200, 0xb1, 1];
        for len in 0..bytes.len() {
            assert_eq!(Descriptor::parse(&bytes[..len]), None, "{len}");
        }
        assert!(Descriptor::parse(&bytes).is_some());
    }

    #[test]
    fn key_frames_begin_with_the_first_partition_alone() {
        assert!(starts_key_frame(&[0x10, 0x50, 1]));
        assert!(starts_key_frame(&[0x90, 0x80, 0x80, 1, 0x50]));
        assert!(!starts_key_frame(&[0x10, 0x51, 1]), "an interframe");
        assert!(!starts_key_frame(&[0x00, 0x50, 1]), "a later piece");
        assert!(!starts_key_frame(&[0x11, 0x50, 1]), "another partition");
        assert!(!starts_key_frame(&[]));
    }

    #[test]
    fn our_own_frames_count_up_over_the_wrap() {
        let mut numbers = Numbers::starting_at(0x7fff);
        let ids: Vec<u16> = [true, false, true, true]
            .map(|starts| picture(numbers.own(starts)))
            .to_vec();
        assert_eq!(ids, [0x7fff, 0x7fff, 0, 1]);
    }

    #[test]
    fn a_source_goes_on_in_our_numbers_and_we_after_it() {
        let mut ours = Numbers::starting_at(100);
        ours.own(true);
        let of = |id, tl0| Descriptor {
            picture: Some(PictureId::Long(id)),
            tl0: Some(tl0),
            layer: Some((0, false)),
            key_index: Some(30),
            ..Descriptor::default()
        };
        let mut map = Renumbering::begin(&of(0x7ffe, 250), 0, &ours);
        let first = map.apply(of(0x7ffe, 250), 0, &mut ours);
        assert_eq!((picture(first), first.tl0, first.key_index), (101, Some(0), Some(0)));
        assert_eq!(
            picture(map.apply(of(0, 252), 6_000, &mut ours)),
            103,
            "a lost frame stays lost"
        );
        assert_eq!(picture(map.apply(of(0x7fff, 251), 3_000, &mut ours)), 102, "a late one");
        assert_eq!(picture(ours.own(true)), 104);
        let mut next = Renumbering::begin(&of(7, 7), 0, &ours);
        let first = next.apply(of(7, 7), 0, &mut ours);
        assert_eq!((picture(first), first.tl0, first.key_index), (105, Some(3), Some(1)));
    }

    #[test]
    fn seven_bits_become_fifteen() {
        let mut ours = Numbers::starting_at(1_000);
        let of = |id| Descriptor {
            picture: Some(PictureId::Short(id)),
            ..Descriptor::default()
        };
        let mut map = Renumbering::begin(&of(126), 0, &ours);
        let ids: Vec<u16> = [126, 127, 0, 127, 1, 60, 100, 20]
            .map(|id| picture(map.apply(of(id), 0, &mut ours)))
            .to_vec();
        assert_eq!(ids, [1000, 1001, 1002, 1001, 1003, 1062, 1102, 1150]);
    }

    #[test]
    fn a_source_without_numbers_is_counted_by_its_timestamps() {
        let mut ours = Numbers::starting_at(5);
        let plain = Descriptor::default();
        let mut map = Renumbering::begin(&plain, 3_000, &ours);
        let ids: Vec<u16> = [3_000, 3_000, 9_000, 6_000, 12_000, 9_000]
            .map(|timestamp| picture(map.apply(plain, timestamp, &mut ours)))
            .to_vec();
        assert_eq!(ids, [5, 5, 6, 5, 7, 6]);
    }
}
