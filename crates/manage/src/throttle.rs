//! How often somebody may try to log in: from one source, and for one name, or by a browser that is known. What is tried counts before it is looked at.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

/// So many tries at once, and then one each so many milliseconds.
#[derive(Debug, Clone, Copy)]
struct Rate {
    burst: i64,
    every_ms: i64,
}

const OF_SOURCE: Rate = Rate {
    burst: 20,
    every_ms: 6_000,
};
const OF_NAME: Rate = Rate {
    burst: 10,
    every_ms: 30_000,
};

/// Names, sources and browsers that are remembered; past it those that have waited longest are forgotten.
const KEPT_MAX: usize = 10_000;

/// Who tries.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tried<'a> {
    /// A stranger, from a source; for whom, where that is said.
    From(IpAddr, Option<&'a str>),
    /// A browser that has logged in as the same before: what strangers try does not count for it.
    By(&'a str),
}

impl Tried<'_> {
    fn counts(self) -> Vec<(String, Rate)> {
        match self {
            Tried::From(source, name) => {
                let mut counts = vec![(of_source(source), OF_SOURCE)];
                counts.extend(name.map(|name| (of_name(name), OF_NAME)));
                counts
            }
            Tried::By(device) => vec![(of_device(device), OF_NAME)],
        }
    }
}

/// Who has tried.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    /// When each will have all of its tries again, Unix milliseconds.
    full_at: Mutex<BTreeMap<String, i64>>,
}

impl Throttle {
    /// Counts a try at `now_ms`; or in how many seconds the next may be made.
    pub(crate) fn try_at(&self, tried: Tried<'_>, now_ms: i64) -> Result<(), u64> {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = tried.counts();
        let wait_ms = wanted
            .iter()
            .map(|(key, rate)| {
                let debt = full_at.get(key).map_or(0, |at| at.saturating_sub(now_ms).max(0));
                let most = rate.every_ms.saturating_mul(rate.burst.saturating_sub(1));
                debt.saturating_sub(most)
            })
            .max()
            .unwrap_or(0);
        if wait_ms > 0 {
            return Err(u64::try_from(wait_ms).unwrap_or(0).div_ceil(1_000));
        }
        if full_at.len() >= KEPT_MAX {
            full_at.retain(|_, at| *at > now_ms);
        }
        if full_at.len() >= KEPT_MAX {
            // The ones that owe least.
            let mut all: Vec<i64> = full_at.values().copied().collect();
            all.sort_unstable();
            let middle = all.get(all.len() / 2).copied().unwrap_or(now_ms);
            full_at.retain(|_, at| *at > middle);
        }
        for (key, rate) in wanted {
            let at = full_at.entry(key).or_insert(now_ms);
            *at = (*at).max(now_ms).saturating_add(rate.every_ms);
        }
        Ok(())
    }

    /// A try was right: it does not count.
    pub(crate) fn was_right(&self, tried: Tried<'_>) {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        match tried {
            Tried::By(device) => {
                full_at.remove(&of_device(device));
            }
            Tried::From(source, name) => {
                if let Some(name) = name {
                    full_at.remove(&of_name(name));
                }
                if let Some(at) = full_at.get_mut(&of_source(source)) {
                    *at = at.saturating_sub(OF_SOURCE.every_ms);
                }
            }
        }
    }
}

/// An IPv6 network of 64 bits is one source: who has one address of it has them all.
fn of_source(source: IpAddr) -> String {
    match source.to_canonical() {
        IpAddr::V4(v4) => format!("source {v4}"),
        IpAddr::V6(v6) => format!("source {:x}", v6.to_bits() >> 64),
    }
}

fn of_name(name: &str) -> String {
    format!("name {}", name.chars().take(64).collect::<String>())
}

fn of_device(device: &str) -> String {
    format!("device {device}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_may_be_tried_ten_times_then_one_each_half_minute_whoever_tries() {
        let throttle = Throttle::default();
        for n in 0..10 {
            assert_eq!(
                throttle.try_at(Tried::From(ip(&format!("192.0.2.{n}")), Some("bob")), 0),
                Ok(()),
                "{n}"
            );
        }
        assert_eq!(throttle.try_at(Tried::From(ip("192.0.2.77"), Some("bob")), 0), Err(30));
        assert_eq!(throttle.try_at(Tried::From(ip("192.0.2.77"), Some("eve")), 0), Ok(()));
        assert_eq!(
            throttle.try_at(Tried::From(ip("192.0.2.77"), Some("bob")), 30_000),
            Ok(())
        );
        assert_eq!(
            throttle.try_at(Tried::From(ip("192.0.2.77"), Some("bob")), 30_001),
            Err(30)
        );
        throttle.was_right(Tried::From(ip("192.0.2.77"), Some("bob")));
        assert_eq!(
            throttle.try_at(Tried::From(ip("192.0.2.77"), Some("bob")), 30_001),
            Ok(())
        );
    }

    #[test]
    fn a_source_is_an_address_or_a_network_of_ipv6() {
        let throttle = Throttle::default();
        for n in 0..20 {
            let source = ip(&format!("2001:db8:0:1::{n:x}"));
            assert_eq!(
                throttle.try_at(Tried::From(source, Some(&format!("n{n}"))), 0),
                Ok(()),
                "{n}"
            );
        }
        assert_eq!(
            throttle.try_at(Tried::From(ip("2001:db8:0:1::ffff"), Some("x")), 0),
            Err(6)
        );
        assert_eq!(
            throttle.try_at(Tried::From(ip("2001:db8:0:2::1"), Some("x")), 0),
            Ok(())
        );
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let throttle = Throttle::default();
        for n in 0..30_000_u32 {
            let _ = throttle.try_at(
                Tried::From(IpAddr::V4(std::net::Ipv4Addr::from(n)), Some(&format!("n{n}"))),
                i64::from(n),
            );
        }
        assert!(throttle.full_at.lock().unwrap().len() <= KEPT_MAX + 2);
    }
}
