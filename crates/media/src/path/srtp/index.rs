//! Packet indices: the 48 bits of which a packet carries 16 (RFC 3711 §3.3.1), and which of them have been there (§3.3.2).

/// The greatest index.
pub const INDEX_MAX: u64 = (1 << 48) - 1;

/// Words of the window.
const WORDS: usize = 16;
/// Packets that a late one may be behind the furthest: as many as a second of pictures has, so that what was asked for again is
/// taken. At least 64 (RFC 3711 §3.3.2).
const WINDOW: u64 = 64 * WORDS as u64;

/// The index that a packet with this sequence number most likely has, after the furthest so far; `None`: none is left.
pub fn candidate(highest: Option<u64>, sequence: u16) -> Option<u64> {
    let Some(highest) = highest else {
        return Some(u64::from(sequence));
    };
    // Within half the space of sequence numbers before it or after it.
    let ahead = sequence.wrapping_sub(highest as u16) as i16;
    let index = highest.checked_add_signed(i64::from(ahead))?;
    (index <= INDEX_MAX).then_some(index)
}

/// Which indices of a stream have been there.
#[derive(Debug)]
pub struct Window {
    highest: u64,
    /// A bit for each of the last [`WINDOW`], by its index modulo that.
    seen: [u64; WORDS],
}

impl Window {
    /// With its first packet.
    pub fn new(index: u64) -> Window {
        let mut window = Window {
            highest: index,
            seen: [0; WORDS],
        };
        window.set(index);
        window
    }

    /// The furthest.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether a packet has not been there, and is not so old that nobody knows.
    pub fn is_new(&self, index: u64) -> bool {
        if index > self.highest {
            return true;
        }
        let (word, bit) = place(index);
        let seen = self.seen.get(word).is_none_or(|word| word & bit != 0);
        self.highest.saturating_sub(index) < WINDOW && !seen
    }

    /// A packet has been there.
    pub fn heard(&mut self, index: u64) {
        if index > self.highest {
            let passed = index.saturating_sub(self.highest);
            if passed >= WINDOW {
                self.seen = [0; WORDS];
            } else {
                // What is between them has not been there.
                for skipped in self.highest.saturating_add(1)..index {
                    self.clear(skipped);
                }
            }
            self.highest = index;
        }
        self.set(index);
    }

    fn set(&mut self, index: u64) {
        let (word, bit) = place(index);
        if let Some(word) = self.seen.get_mut(word) {
            *word |= bit;
        }
    }

    fn clear(&mut self, index: u64) {
        let (word, bit) = place(index);
        if let Some(word) = self.seen.get_mut(word) {
            *word &= !bit;
        }
    }
}

fn place(index: u64) -> (usize, u64) {
    let at = index % WINDOW;
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_guessed_across_the_wrap() {
        for (highest, sequence, index) in [
            (None, 40_000, Some(40_000)),
            (Some(65_535), 0, Some(65_536)),
            (Some(65_536), 65_535, Some(65_535)),
            (Some(65_500), 100, Some(65_636)),
            (Some(0x5_0005), 5, Some(0x5_0005)),
            (Some(0x5_0005), 0xfff0, Some(0x4_fff0)),
            (Some(0x5_fff0), 3, Some(0x6_0003)),
            // Before the first there is none.
            (Some(5), 65_530, None),
            (Some(INDEX_MAX), 0, None),
            (Some(INDEX_MAX), 65_535, Some(INDEX_MAX)),
        ] {
            assert_eq!(candidate(highest, sequence), index, "{highest:?} {sequence}");
        }
    }

    #[test]
    fn each_index_is_new_once() {
        let mut window = Window::new(1_000);
        assert!(!window.is_new(1_000));
        for index in [1_002, 1_001, 999, 1_000 + WINDOW] {
            assert!(window.is_new(index), "{index}");
            window.heard(index);
            assert!(!window.is_new(index), "{index}");
        }
        assert!(window.is_new(1_003), "it was passed over");
        assert!(!window.is_new(1_001) && !window.is_new(1_002), "they are remembered");
        assert!(!window.is_new(1_000), "it is too old to tell");
        window.heard(1_000_000);
        assert!(!window.is_new(1_003) && window.is_new(999_999));
    }
}
