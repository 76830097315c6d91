//! How often each nonce was used (RFC 7616 §3.4, `nc`): each count once.

use std::{collections::BTreeMap, fmt, str::FromStr};

/// Nonces that are remembered. Only who knows a password fills a place.
const NONCES_MAX: usize = 4_096;
/// How far counts may overtake each other.
const WINDOW: u32 = 64;

/// When a nonce was made, and as which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    pub at_ms: u64,
    pub number: u64,
}

impl Stamp {
    pub(super) const LENGTH: usize = 32;
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.at_ms, self.number)
    }
}

impl FromStr for Stamp {
    type Err = ();

    fn from_str(text: &str) -> Result<Stamp, ()> {
        let (at, number) = text.split_at_checked(16).ok_or(())?;
        let read = |digits: &str| {
            let proper = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            u64::from_str_radix(digits, 16).ok().filter(|_| proper).ok_or(())
        };
        Ok(Stamp {
            at_ms: read(at)?,
            number: read(number)?,
        })
    }
}

/// Counts of the nonces in use.
#[derive(Debug, Default)]
pub(super) struct Counts {
    of: BTreeMap<Stamp, Used>,
    /// Nonces up to this one were forgotten while they could still be used: they count as too old.
    forgotten: Option<Stamp>,
}

/// The highest count, and which of those before it were used.
#[derive(Debug, Clone, Copy)]
struct Used {
    highest: u32,
    /// Bit n: `highest - n`.
    seen: u64,
}

impl Counts {
    /// Uses a count. False: it was used before, or nobody knows any more. Nonces made before `oldest_ms` are forgotten.
    pub(super) fn take(&mut self, stamp: Stamp, count: u32, oldest_ms: u64) -> bool {
        while let Some((first, _)) = self.of.first_key_value().filter(|(first, _)| first.at_ms < oldest_ms) {
            let first = *first;
            self.of.remove(&first);
        }
        if self.forgotten.is_some_and(|forgotten| stamp <= forgotten) || count == 0 {
            return false;
        }
        if let Some(used) = self.of.get_mut(&stamp) {
            return used.take(count);
        }
        if self.of.len() >= NONCES_MAX
            && let Some((first, _)) = self.of.pop_first()
        {
            self.forgotten = Some(first);
            if stamp <= first {
                return false;
            }
        }
        let used = Used {
            highest: count,
            seen: 1,
        };
        self.of.insert(stamp, used);
        true
    }
}

impl Used {
    fn take(&mut self, count: u32) -> bool {
        if let Some(ahead) = count.checked_sub(self.highest).filter(|ahead| *ahead > 0) {
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let behind = self.highest.saturating_sub(count);
        if behind >= WINDOW {
            return false;
        }
        let bit = 1_u64.checked_shl(behind).unwrap_or(0);
        let new = self.seen & bit == 0;
        self.seen |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(at_ms: u64) -> Stamp {
        Stamp { at_ms, number: 1 }
    }

    #[test]
    fn each_count_is_taken_once_also_out_of_order() {
        let mut counts = Counts::default();
        let taken: Vec<bool> = [1, 3, 2, 2, 3, 70, 5, 7, 71, 0]
            .into_iter()
            .map(|count| counts.take(stamp(5), count, 0))
            .collect();
        assert_eq!(taken, [true, true, true, false, false, true, false, true, true, false]);
    }

    #[test]
    fn what_is_forgotten_early_cannot_be_used_again() {
        let mut counts = Counts::default();
        for at in 0..=NONCES_MAX as u64 {
            assert!(counts.take(stamp(at), 1, 0));
        }
        assert!(!counts.take(stamp(0), 1, 0), "it would be a replay");
        assert!(counts.take(stamp(1), 2, 0));
        assert_eq!(counts.of.len(), NONCES_MAX);
    }

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let written = stamp(77).to_string();
        assert_eq!((written.len(), written.parse()), (Stamp::LENGTH, Ok(stamp(77))));
        assert_eq!("+000000000000004d0000000000000001".parse::<Stamp>(), Err(()));
    }
}
