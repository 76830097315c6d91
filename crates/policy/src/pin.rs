//! A subscriber's PIN, with which they reach their mailbox from phones of others.

use std::fmt;

use thiserror::Error;

/// Digits of a PIN.
const DIGITS: std::ops::RangeInclusive<usize> = 4..=10;

/// A PIN; what prints it for debugging does not.
#[derive(Clone, PartialEq, Eq)]
pub struct Pin(String);

/// Why a PIN is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a PIN is 4 to 10 digits, not all the same and not counting up or down")]
pub struct PinError;

impl Pin {
    /// A PIN that somebody chooses: those that are tried first are refused.
    ///
    /// # Errors
    /// [`PinError`].
    pub fn chosen(digits: &str) -> Result<Pin, PinError> {
        let pin = Pin::given(digits).ok_or(PinError)?;
        let steps = |step: i16| {
            let all = digits.as_bytes();
            all.iter()
                .zip(all.iter().skip(1))
                .all(|(one, next)| i16::from(*next) - i16::from(*one) == step)
        };
        if [0, 1, -1].into_iter().any(steps) {
            return Err(PinError);
        }
        Ok(pin)
    }

    /// A PIN that somebody gives; `None`: it can be nobody's.
    pub fn given(digits: &str) -> Option<Pin> {
        let fits = DIGITS.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| Pin(digits.to_owned()))
    }

    /// Its digits, for being hashed.
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(...)")
    }
}

/// Wrong tries in a row that cost nothing.
const FREE_TRIES: u32 = 4;
/// How long the next one locks, milliseconds; each further one twice as long.
const LOCK_MS: u64 = 60_000;
/// The longest lock: a day.
const LOCK_MS_MAX: u64 = 86_400_000;

/// How long a PIN is locked after so many wrong tries in a row, milliseconds; 0: not at all.
pub fn pin_lock_ms(wrong: u32) -> u64 {
    match wrong.checked_sub(FREE_TRIES) {
        None | Some(0) => 0,
        Some(over) => LOCK_MS
            .saturating_mul(1_u64.checked_shl(over.saturating_sub(1)).unwrap_or(u64::MAX))
            .min(LOCK_MS_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_some_digits_that_nobody_tries_first() {
        for good in ["2580", "1357924680", "1123", "0042"] {
            assert_eq!(Pin::chosen(good).unwrap().digits(), good);
        }
        for bad in [
            "",
            "258",
            "12345678901",
            "25 80",
            "25a0",
            "1111",
            "1234",
            "9876543210",
            "٢٥٨٠",
        ] {
            assert_eq!(Pin::chosen(bad), Err(PinError), "{bad}");
        }
        assert!(Pin::given("1111").is_some() && Pin::given("111").is_none());
        assert_eq!(format!("{:?}", Pin::given("2580")), "Some(Pin(...))");
    }

    #[test]
    fn the_lock_grows_up_to_a_day() {
        let all: Vec<u64> = (0..8).map(pin_lock_ms).collect();
        assert_eq!(all, [0, 0, 0, 0, 0, 60_000, 120_000, 240_000]);
        assert_eq!(pin_lock_ms(40), 86_400_000);
        assert_eq!(pin_lock_ms(u32::MAX), 86_400_000);
    }
}
