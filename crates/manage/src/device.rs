//! Browsers that have logged somebody in before. Each has tries of its own, so that nobody keeps another out by guessing (OWASP, device
//! cookies): what it holds is signed, for one name, for a time, and until the password is another.

use ring::hmac;

use crate::{Refusal, Secret};

/// How long a browser is known after its last login, milliseconds.
pub const DEVICE_MS: i64 = 90 * 86_400_000;

/// Longest text that is looked at.
const TEXT_MAX: usize = 160;

/// A browser by which somebody has logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// Which: no secret.
    pub id: String,
    until_ms: i64,
}

impl Device {
    /// A new one.
    pub(crate) fn new(now_ms: i64) -> Result<Device, Refusal> {
        Ok(Device {
            id: Secret::id()?,
            until_ms: now_ms.saturating_add(DEVICE_MS),
        })
    }

    /// The same for its whole time again.
    pub(crate) fn again(self, now_ms: i64) -> Device {
        Device {
            until_ms: now_ms.saturating_add(DEVICE_MS),
            ..self
        }
    }

    /// What a browser holds of it. `kept`: the hash of the password, which nobody else has.
    pub(crate) fn text(&self, name: &str, kept: &str) -> String {
        let mac = hmac::sign(&key(kept), self.signed(name).as_bytes());
        let mac: String = mac.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}.{}.{mac}", self.id, self.until_ms)
    }

    /// That which a browser holds, if it is of this name and password and its time is not over.
    pub(crate) fn said(text: &str, name: &str, kept: &str, now_ms: i64) -> Option<Device> {
        if text.len() > TEXT_MAX {
            return None;
        }
        let (id, rest) = text.split_once('.')?;
        let (until_ms, mac) = rest.split_once('.')?;
        let device = Device {
            id: id.to_owned(),
            until_ms: until_ms.parse().ok()?,
        };
        let mac = bytes(mac)?;
        hmac::verify(&key(kept), device.signed(name).as_bytes(), &mac).ok()?;
        (device.until_ms > now_ms).then_some(device)
    }

    fn signed(&self, name: &str) -> String {
        // Neither id nor time has a line break in what we sign, so that no two say the same.
        format!("segue device\n{}\n{}\n{name}", self.id, self.until_ms)
    }
}

fn key(kept: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, kept.as_bytes())
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = hex
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let (pairs, rest) = digits.as_deref()?.as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().map(|[high, low]| (high << 4) | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_known_for_one_name_and_password_and_for_a_time() {
        let text = Device::new(0).unwrap().text("bob", "hash");
        let at = |text: &str, name, kept, now_ms| Device::said(text, name, kept, now_ms).is_some();
        assert!(at(&text, "bob", "hash", DEVICE_MS - 1));
        assert!(!at(&text, "bob", "hash", DEVICE_MS), "its time is over");
        assert!(!at(&text, "eve", "hash", 0) && !at(&text, "bob", "other", 0));
        let longer = text.replacen(&DEVICE_MS.to_string(), &(DEVICE_MS + 1).to_string(), 1);
        for forged in [
            &longer,
            "",
            ".",
            "..",
            "a.1.",
            "a.1.0",
            "a.1.zz",
            &text[1..],
            &"a".repeat(1_000),
        ] {
            assert!(!at(forged, "bob", "hash", 0), "{forged}");
        }
    }
}
