//! `[registrar]`: how many registrations there may be, and how long they last.

use segue_b2bua::RegistrationLimits;

use super::{Config, keys::Key};

fn bound(c: &mut Config, set: impl FnOnce(&mut RegistrationLimits)) {
    set(&mut c.registrar);
}

/// What stands in the way of these bounds, and of which key.
pub fn contradiction(limits: &RegistrationLimits) -> Option<(&'static str, String)> {
    let RegistrationLimits {
        contacts_max,
        total_max,
        expires_min_s: min,
        expires_default_s: usual,
        expires_max_s: max,
    } = *limits;
    if total_max < contacts_max {
        let why = format!("registrar.total_max = {total_max} is less than registrar.contacts_max = {contacts_max}");
        return Some(("registrar.total_max", why));
    }
    if min > max {
        let why = format!("registrar.expires_min_s = {min} is more than registrar.expires_max_s = {max}");
        return Some(("registrar.expires_min_s", why));
    }
    if !(min..=max).contains(&usual) {
        let why =
            format!("registrar.expires_default_s = {usual} is not from {min} to {max}, the least and the longest");
        return Some(("registrar.expires_default_s", why));
    }
    None
}

pub const CONTACTS_MAX: Key = Key {
    name: "registrar.contacts_max",
    meaning: "how many phones of one subscriber may be registered (403), from 1 to 100",
    live: Some(|c, new| c.registrar.contacts_max = new.registrar.contacts_max),
    set: |c, raw| {
        raw.number(1..=100)
            .map(|v| bound(c, |all| all.contacts_max = usize_of(v)))
    },
    get: |c| serde_json::json!(c.registrar.contacts_max),
};

pub const TOTAL_MAX: Key = Key {
    name: "registrar.total_max",
    meaning: "how many phones of all subscribers may be registered (503), from 1 to 1000000",
    live: Some(|c, new| c.registrar.total_max = new.registrar.total_max),
    set: |c, raw| {
        raw.number(1..=1_000_000)
            .map(|v| bound(c, |all| all.total_max = usize_of(v)))
    },
    get: |c| serde_json::json!(c.registrar.total_max),
};

pub const EXPIRES_MIN_S: Key = Key {
    name: "registrar.expires_min_s",
    meaning: "the shortest registration, in seconds (423), from 10 to 3600",
    live: Some(|c, new| c.registrar.expires_min_s = new.registrar.expires_min_s),
    set: |c, raw| {
        raw.number(10..=3_600)
            .map(|v| bound(c, |all| all.expires_min_s = seconds(v)))
    },
    get: |c| serde_json::json!(c.registrar.expires_min_s),
};

pub const EXPIRES_DEFAULT_S: Key = Key {
    name: "registrar.expires_default_s",
    meaning: "how long a registration lasts that names no time, in seconds",
    live: Some(|c, new| c.registrar.expires_default_s = new.registrar.expires_default_s),
    set: |c, raw| {
        raw.number(10..=86_400)
            .map(|v| bound(c, |all| all.expires_default_s = seconds(v)))
    },
    get: |c| serde_json::json!(c.registrar.expires_default_s),
};

pub const EXPIRES_MAX_S: Key = Key {
    name: "registrar.expires_max_s",
    meaning: "the longest registration, in seconds, up to 86400; a longer one is shortened",
    live: Some(|c, new| c.registrar.expires_max_s = new.registrar.expires_max_s),
    set: |c, raw| {
        raw.number(10..=86_400)
            .map(|v| bound(c, |all| all.expires_max_s = seconds(v)))
    },
    get: |c| serde_json::json!(c.registrar.expires_max_s),
};

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn seconds(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_contradict_each_other_are_told_by_key() {
        let of = |set: fn(&mut RegistrationLimits)| {
            let mut limits = RegistrationLimits::default();
            set(&mut limits);
            contradiction(&limits).map(|(key, _)| key)
        };
        assert_eq!(of(|_| {}), None);
        assert_eq!(of(|all| all.total_max = 5), Some("registrar.total_max"));
        assert_eq!(of(|all| all.expires_max_s = 30), Some("registrar.expires_min_s"));
        assert_eq!(
            of(|all| all.expires_default_s = 30),
            Some("registrar.expires_default_s")
        );
    }
}
