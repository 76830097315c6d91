//! How many calls there may be at once, and how many a second from one source: in all, by source, profile and subscriber.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Instant,
};

/// Sources that are told apart; the rest are counted as one.
const SOURCES_MAX: usize = 4_096;

/// Bounds of `overload.*`; `None`: none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Caps {
    /// Calls at once.
    pub calls: Option<u32>,
    /// Of these not answered yet: early dialogs of callers.
    pub early: Option<u32>,
    /// New calls a second from one source.
    pub source_rate: Option<u32>,
    /// Calls at once from one source.
    pub source_calls: Option<u32>,
    /// Of these not answered yet.
    pub source_early: Option<u32>,
    /// Calls at once to one subscriber.
    pub subscriber_calls: Option<u32>,
}

/// What is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The server has as many calls as it may.
    Calls(u32),
    /// So many callers wait for an answer.
    Early(u32),
    /// The source calls more often than this, a second.
    SourceRate(u32),
    /// The source has so many calls.
    SourceCalls(u32),
    /// So many callers of the source wait for an answer.
    SourceEarly(u32),
    /// The profile has so many calls.
    ProfileCalls(u32),
}

/// What a call is counted under; given back when it has ended.
#[derive(Debug)]
pub struct Seat {
    source: IpAddr,
    profile: String,
    subscriber: Option<String>,
    is_early: bool,
}

/// Who has how many calls. Pure: each `now` is the caller's.
#[derive(Debug, Default)]
pub struct Ledger {
    calls: u32,
    early: u32,
    sources: BTreeMap<IpAddr, Source>,
    profiles: BTreeMap<String, u32>,
    subscribers: BTreeMap<String, u32>,
}

#[derive(Debug, Default)]
struct Source {
    calls: u32,
    early: u32,
    /// New calls that it may make at once, and when that was so.
    tokens: Option<(f64, Instant)>,
}

impl Ledger {
    /// Whether a new call has room. One that has counts towards its source's rate.
    ///
    /// # Errors
    /// What is full.
    pub fn room(
        &mut self,
        now: Instant,
        caps: &Caps,
        source: IpAddr,
        profile: (&str, Option<u32>),
    ) -> Result<(), Full> {
        if let Some(full) = self.full(now, caps, source, profile) {
            return Err(full);
        }
        self.pace_of(now, caps, source)
    }

    /// What is full for a new call but its source's rate, counting nothing.
    pub fn full(&mut self, now: Instant, caps: &Caps, source: IpAddr, profile: (&str, Option<u32>)) -> Option<Full> {
        let over = |count: u32, cap: Option<u32>| cap.filter(|cap| count >= *cap);
        let place = self.place(now, caps, source);
        let from = self.sources.get(&place);
        let (calls, early) = from.map_or((0, 0), |from| (from.calls, from.early));
        if let Some(cap) = over(calls, caps.source_calls) {
            return Some(Full::SourceCalls(cap));
        }
        if let Some(cap) = over(early, caps.source_early) {
            return Some(Full::SourceEarly(cap));
        }
        if let Some(cap) = over(self.profiles.get(profile.0).copied().unwrap_or(0), profile.1) {
            return Some(Full::ProfileCalls(cap));
        }
        if let Some(cap) = over(self.calls, caps.calls) {
            return Some(Full::Calls(cap));
        }
        if let Some(cap) = over(self.early, caps.early) {
            return Some(Full::Early(cap));
        }
        None
    }

    /// Whether a source may come again already.
    pub fn pace_of(&mut self, now: Instant, caps: &Caps, source: IpAddr) -> Result<(), Full> {
        let place = self.place(now, caps, source);
        match caps.source_rate {
            Some(rate) if !self.sources.entry(place).or_default().takes(now, rate) => Err(Full::SourceRate(rate)),
            _ => Ok(()),
        }
    }

    /// Whether one more call to this subscriber is one too many.
    pub fn subscriber_is_full(&self, caps: &Caps, subscriber: &str) -> Option<u32> {
        let count = self.subscribers.get(subscriber).copied().unwrap_or(0);
        caps.subscriber_calls.filter(|cap| count >= *cap)
    }

    /// Counts a call.
    pub fn take(&mut self, now: Instant, caps: &Caps, source: IpAddr, profile: &str) -> Seat {
        let source = self.place(now, caps, source);
        let from = self.sources.entry(source).or_default();
        for count in [&mut self.calls, &mut self.early, &mut from.calls, &mut from.early] {
            *count = count.saturating_add(1);
        }
        let of_profile = self.profiles.entry(profile.to_owned()).or_default();
        *of_profile = of_profile.saturating_add(1);
        Seat {
            source,
            profile: profile.to_owned(),
            subscriber: None,
            is_early: true,
        }
    }

    /// It is known now whom it calls.
    pub fn calls(&mut self, seat: &mut Seat, subscriber: &str) {
        if seat.subscriber.is_none() {
            let count = self.subscribers.entry(subscriber.to_owned()).or_default();
            *count = count.saturating_add(1);
            seat.subscriber = Some(subscriber.to_owned());
        }
    }

    /// Its caller has a final response.
    pub fn answered(&mut self, seat: &mut Seat) {
        if std::mem::take(&mut seat.is_early) {
            self.early = self.early.saturating_sub(1);
            if let Some(from) = self.sources.get_mut(&seat.source) {
                from.early = from.early.saturating_sub(1);
            }
        }
    }

    /// It has ended.
    pub fn free(&mut self, mut seat: Seat) {
        self.answered(&mut seat);
        self.calls = self.calls.saturating_sub(1);
        if let Some(from) = self.sources.get_mut(&seat.source) {
            from.calls = from.calls.saturating_sub(1);
            if from.calls == 0 && from.tokens.is_none() {
                self.sources.remove(&seat.source);
            }
        }
        less(&mut self.profiles, &seat.profile);
        if let Some(subscriber) = seat.subscriber {
            less(&mut self.subscribers, &subscriber);
        }
    }

    /// Calls whose caller has no final response.
    pub fn early(&self) -> u32 {
        self.early
    }

    /// What a source is counted under.
    fn place(&mut self, now: Instant, caps: &Caps, source: IpAddr) -> IpAddr {
        let place = match source {
            IpAddr::V4(_) => source,
            // Whoever has one address of IPv6 has at least 64 bits of them (RFC 6177 §2).
            IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip) >> 64 << 64).into(),
        };
        if self.sources.contains_key(&place) || self.sources.len() < SOURCES_MAX {
            return place;
        }
        let rate = caps.source_rate;
        self.sources
            .retain(|_, source| source.calls > 0 || rate.is_some_and(|rate| !source.is_rested(now, rate)));
        match self.sources.len() < SOURCES_MAX {
            true => place,
            false => Ipv4Addr::UNSPECIFIED.into(),
        }
    }
}

impl Source {
    /// A second's calls at once, then one after the other.
    fn takes(&mut self, now: Instant, rate: u32) -> bool {
        let tokens = self.tokens_at(now, rate);
        self.tokens = Some((if tokens < 1.0 { tokens } else { tokens - 1.0 }, now));
        tokens >= 1.0
    }

    fn is_rested(&self, now: Instant, rate: u32) -> bool {
        self.tokens_at(now, rate) >= f64::from(rate)
    }

    fn tokens_at(&self, now: Instant, rate: u32) -> f64 {
        let rate = f64::from(rate);
        let Some((tokens, at)) = self.tokens else { return rate };
        (tokens + now.saturating_duration_since(at).as_secs_f64() * rate).min(rate)
    }
}

fn less(counts: &mut BTreeMap<String, u32>, name: &str) {
    if let Some(count) = counts.get_mut(name) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const P: (&str, Option<u32>) = ("phones", None);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Takes a seat if there is room.
    fn call(ledger: &mut Ledger, now: Instant, caps: &Caps, source: &str) -> Result<Seat, Full> {
        ledger.room(now, caps, ip(source), P)?;
        Ok(ledger.take(now, caps, ip(source), P.0))
    }

    #[test]
    fn each_bound_holds_by_itself_and_what_has_ended_makes_room() {
        let now = Instant::now();
        let with = |set: fn(&mut Caps)| {
            let mut caps = Caps::default();
            set(&mut caps);
            caps
        };
        for (caps, full) in [
            (with(|caps| caps.calls = Some(2)), Full::Calls(2)),
            (with(|caps| caps.early = Some(2)), Full::Early(2)),
            (with(|caps| caps.source_calls = Some(2)), Full::SourceCalls(2)),
            (with(|caps| caps.source_early = Some(2)), Full::SourceEarly(2)),
        ] {
            let mut ledger = Ledger::default();
            let mut first = call(&mut ledger, now, &caps, "192.0.2.1").unwrap();
            let second = call(&mut ledger, now, &caps, "192.0.2.1").unwrap();
            assert_eq!(call(&mut ledger, now, &caps, "192.0.2.1").unwrap_err(), full);
            let other = call(&mut ledger, now, &caps, "192.0.2.2");
            assert_eq!(other.is_ok(), caps.calls.is_none() && caps.early.is_none());
            if let Ok(seat) = other {
                ledger.free(seat);
            }
            // An answer makes room where only the unanswered count.
            ledger.answered(&mut first);
            ledger.answered(&mut first);
            let is_early = matches!(full, Full::Early(_) | Full::SourceEarly(_));
            let third = call(&mut ledger, now, &caps, "192.0.2.1");
            assert_eq!(third.is_ok(), is_early, "{full:?}");
            ledger.free(first);
            let third = third.unwrap_or_else(|_| call(&mut ledger, now, &caps, "192.0.2.1").unwrap());
            ledger.free(third);
            ledger.free(second);
            assert_eq!((ledger.calls, ledger.early), (0, 0));
            assert!(ledger.sources.is_empty() && ledger.profiles.is_empty());
        }
    }

    #[test]
    fn a_profile_has_its_own_bound_whatever_the_source() {
        let (now, caps, mut ledger) = (Instant::now(), Caps::default(), Ledger::default());
        let trunk = ("trunk", Some(1));
        let seat = ledger.take(now, &caps, ip("192.0.2.1"), "trunk");
        assert_eq!(
            ledger.room(now, &caps, ip("192.0.2.9"), trunk),
            Err(Full::ProfileCalls(1))
        );
        assert_eq!(ledger.room(now, &caps, ip("192.0.2.9"), ("phones", Some(1))), Ok(()));
        ledger.free(seat);
        assert_eq!(ledger.room(now, &caps, ip("192.0.2.9"), trunk), Ok(()));
    }

    #[test]
    fn a_subscriber_is_counted_once_a_call() {
        let (now, mut ledger) = (Instant::now(), Ledger::default());
        let caps = Caps {
            subscriber_calls: Some(1),
            ..Caps::default()
        };
        let mut seat = ledger.take(now, &caps, ip("192.0.2.1"), "phones");
        assert_eq!(ledger.subscriber_is_full(&caps, "bob"), None);
        ledger.calls(&mut seat, "bob");
        ledger.calls(&mut seat, "bob");
        assert_eq!(ledger.subscriber_is_full(&caps, "bob"), Some(1));
        assert_eq!(ledger.subscriber_is_full(&caps, "carol"), None);
        ledger.free(seat);
        assert_eq!(ledger.subscriber_is_full(&caps, "bob"), None);
        assert!(ledger.subscribers.is_empty());
    }

    #[test]
    fn a_source_may_call_so_often_a_second_and_others_are_not_held_up() {
        let (start, mut ledger) = (Instant::now(), Ledger::default());
        let caps = Caps {
            source_rate: Some(10),
            ..Caps::default()
        };
        let mut let_in = 0;
        for ms in (0..10_000).step_by(5) {
            let now = start + Duration::from_millis(ms);
            match ledger.room(now, &caps, ip("192.0.2.1"), P) {
                Ok(()) => let_in += 1,
                Err(full) => assert_eq!(full, Full::SourceRate(10)),
            }
            if ms % 1_000 == 0 {
                assert_eq!(ledger.room(now, &caps, ip("192.0.2.2"), P), Ok(()));
            }
        }
        assert!(
            (108..=111).contains(&let_in),
            "a second's worth at once, then ten a second: {let_in}"
        );
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let (now, mut ledger) = (Instant::now(), Ledger::default());
        let caps = Caps {
            source_calls: Some(1),
            ..Caps::default()
        };
        let seat = call(&mut ledger, now, &caps, "2001:db8::1").unwrap();
        assert!(call(&mut ledger, now, &caps, "2001:db8::2").is_err());
        assert!(call(&mut ledger, now, &caps, "2001:db8:0:1::1").is_ok());
        ledger.free(seat);
    }

    #[test]
    fn many_sources_are_bounded_and_forgotten_when_they_rest() {
        let (start, mut ledger) = (Instant::now(), Ledger::default());
        let caps = Caps {
            source_rate: Some(1),
            ..Caps::default()
        };
        let of = |n: u32| IpAddr::V4((0x0a00_0000 + n).into());
        let mut refused = 0;
        for n in 0..10_000 {
            refused += u32::from(ledger.room(start, &caps, of(n), P).is_err());
        }
        assert!(ledger.sources.len() <= SOURCES_MAX + 1, "{}", ledger.sources.len());
        assert!(refused > 5_000, "those beyond share one allowance: {refused}");
        let later = start + Duration::from_secs(2);
        assert_eq!(ledger.room(later, &caps, of(20_000), P), Ok(()));
        assert_eq!(ledger.sources.len(), 1);
    }
}
