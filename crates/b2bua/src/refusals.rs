//! Refused requests, bounded: a flood is counted; neither the log nor the store is filled by it.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use segue_records::RefusedRecord;

use crate::Refusal;

/// Refusals logged a second; the rest are counted.
const LOGGED_A_SECOND: u32 = 10;
/// Records that one source may make at once, and how long until it may make one more.
const SOURCE_BURST: u32 = 20;
const SOURCE_EVERY: Duration = Duration::from_secs(2);
/// The same for all sources together.
const TOTAL_BURST: u32 = 100;
const TOTAL_EVERY: Duration = Duration::from_millis(100);
/// Sources that are told apart; the rest share one allowance.
const SOURCES_MAX: usize = 1_024;
/// A request that comes again within this time (a retransmission, RFC 3261 §17.1.1.2: 64·T1) belongs to its first record.
const SAME_FOR: Duration = Duration::from_secs(32);
/// Records that may still grow.
const RECENT_MAX: usize = 128;

/// Decides which refusals are logged and which become records.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    log: Log,
    total: Option<Allowance>,
    sources: BTreeMap<IpAddr, Allowance>,
    others: Option<Allowance>,
    recent: VecDeque<(Instant, Key, RefusedRecord)>,
    withheld: u64,
}

/// What makes a request the same as one before.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    source: SocketAddr,
    method: String,
    call_id: Option<String>,
    status: Option<u16>,
}

/// What to write down.
#[derive(Debug, PartialEq)]
pub(crate) enum Kept {
    /// A record, for the first time.
    New(RefusedRecord),
    /// A record that has grown.
    Again(RefusedRecord),
}

impl Refusals {
    /// Takes one refusal: logs it, and gives the record to be stored, if it is to be.
    pub(crate) fn take(&mut self, now: Instant, refusal: &Refusal) -> Option<Kept> {
        self.log.log(now, refusal);
        if refusal.is_call {
            return None;
        }
        if !self.may_keep(now, refusal.source.ip()) {
            self.withheld = self.withheld.saturating_add(1);
            return None;
        }
        while self
            .recent
            .front()
            .is_some_and(|(at, _, _)| now.saturating_duration_since(*at) > SAME_FOR)
        {
            self.recent.pop_front();
        }
        let key = Key {
            source: refusal.source,
            method: refusal.method.clone(),
            call_id: refusal.call_id.clone(),
            status: refusal.status,
        };
        // Without a Call-ID nothing tells two apart: each is one of its own.
        let known = self
            .recent
            .iter_mut()
            .find(|(_, one, _)| key.call_id.is_some() && *one == key);
        if let Some((_, _, record)) = known {
            record.again(refusal.steps());
            return Some(Kept::Again(record.clone()));
        }
        let record = refusal.record(std::mem::take(&mut self.withheld));
        if self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back((now, key, record.clone()));
        Some(Kept::New(record))
    }

    /// One of a flood that nobody is to be told of.
    pub(crate) fn withhold(&mut self) {
        self.withheld = self.withheld.saturating_add(1);
    }

    fn may_keep(&mut self, now: Instant, source: IpAddr) -> bool {
        if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&source) {
            self.sources
                .retain(|_, allowance| !allowance.is_full(now, SOURCE_BURST, SOURCE_EVERY));
        }
        let own = if self.sources.len() < SOURCES_MAX || self.sources.contains_key(&source) {
            self.sources.entry(source).or_insert(Allowance::full(now, SOURCE_BURST))
        } else {
            self.others.get_or_insert(Allowance::full(now, SOURCE_BURST))
        };
        own.take(now, SOURCE_BURST, SOURCE_EVERY)
            && self
                .total
                .get_or_insert(Allowance::full(now, TOTAL_BURST))
                .take(now, TOTAL_BURST, TOTAL_EVERY)
    }
}

/// So many at once, and one more every so often.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    left: u32,
    since: Instant,
}

impl Allowance {
    fn full(now: Instant, burst: u32) -> Allowance {
        Allowance {
            left: burst,
            since: now,
        }
    }

    fn refill(&mut self, now: Instant, burst: u32, every: Duration) {
        let passed = now.saturating_duration_since(self.since).as_millis();
        let more = passed.checked_div(every.as_millis()).unwrap_or(0);
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(more).min(burst);
        self.since = match self.left == burst {
            true => now,
            false => self.since.checked_add(every.saturating_mul(more)).unwrap_or(now),
        };
    }

    fn is_full(&mut self, now: Instant, burst: u32, every: Duration) -> bool {
        self.refill(now, burst, every);
        self.left == burst
    }

    fn take(&mut self, now: Instant, burst: u32, every: Duration) -> bool {
        self.refill(now, burst, every);
        let any = self.left > 0;
        self.left = self.left.saturating_sub(1);
        any
    }
}

/// Logs refusals, so many a second; a flood is counted, not written.
#[derive(Debug, Default)]
struct Log {
    second: Option<Instant>,
    logged: u32,
    withheld: u64,
}

impl Log {
    fn log(&mut self, now: Instant, refusal: &Refusal) {
        if self
            .second
            .is_none_or(|s| now.saturating_duration_since(s) >= Duration::from_secs(1))
        {
            if self.withheld > 0 {
                tracing::warn!(withheld = self.withheld, "more requests were refused than are logged");
            }
            *self = Log {
                second: Some(now),
                logged: 0,
                withheld: 0,
            };
        }
        if self.logged >= LOGGED_A_SECOND {
            self.withheld = self.withheld.saturating_add(1);
            return;
        }
        self.logged = self.logged.saturating_add(1);
        tracing::warn!(
            source = %refusal.source, local = %refusal.local, method = ?refusal.method,
            sip_call_id = refusal.call_id, why = refusal.why, admit = %refusal.line(), "request refused"
        );
    }
}

#[cfg(test)]
mod tests {
    use segue_records::UnixMs;
    use segue_sip::Protocol;

    use super::*;

    fn refusal(source: &str, call_id: &str) -> Refusal {
        Refusal {
            at: UnixMs(1_000),
            protocol: Protocol::Udp,
            source: source.parse().unwrap(),
            local: "127.0.0.1:5060".parse().unwrap(),
            method: "INVITE".into(),
            call_id: Some(call_id.into()),
            from: None,
            to: None,
            summary: "INVITE (SDP)".into(),
            status: None,
            why: "no profile".into(),
            admit: "sources = []".into(),
            is_call: false,
            nonce: 7,
        }
    }

    #[test]
    fn a_retransmission_belongs_to_the_record_of_the_first() {
        let (mut refusals, t0) = (Refusals::default(), Instant::now());
        let Some(Kept::New(first)) = refusals.take(t0, &refusal("192.0.2.7:5060", "a")) else {
            unreachable!()
        };
        let Some(Kept::Again(second)) = refusals.take(t0 + Duration::from_millis(500), &refusal("192.0.2.7:5060", "a"))
        else {
            unreachable!()
        };
        assert_eq!((second.id, second.times, second.ladder.len()), (first.id, 2, 2));
        assert_eq!(second.ladder[1].summary, "INVITE (SDP), again");
        let later = t0 + SAME_FOR + Duration::from_secs(1);
        assert!(matches!(
            refusals.take(later, &refusal("192.0.2.7:5060", "a")),
            Some(Kept::New(_))
        ));
    }

    #[test]
    fn a_flood_of_one_source_leaves_room_for_another_and_is_counted() {
        let (mut refusals, t0) = (Refusals::default(), Instant::now());
        let kept = (0..1_000)
            .filter(|n| refusals.take(t0, &refusal("192.0.2.7:5060", &n.to_string())).is_some())
            .count();
        assert_eq!(kept, SOURCE_BURST as usize);
        let Some(Kept::New(other)) = refusals.take(t0, &refusal("192.0.2.8:5060", "b")) else {
            unreachable!()
        };
        assert_eq!(other.withheld, 1_000 - u64::from(SOURCE_BURST));
        let later = t0 + SOURCE_EVERY;
        assert!(refusals.take(later, &refusal("192.0.2.7:5060", "c")).is_some());
        assert!(refusals.take(later, &refusal("192.0.2.7:5060", "d")).is_none());
    }

    #[test]
    fn a_flood_of_many_sources_is_bounded_in_records_and_memory() {
        let (mut refusals, t0) = (Refusals::default(), Instant::now());
        let mut kept = 0;
        for n in 0..5_000_u32 {
            let source = SocketAddr::new(IpAddr::V4((0x0a00_0000 + n).into()), 5060);
            kept += usize::from(
                refusals
                    .take(t0, &refusal(&source.to_string(), &n.to_string()))
                    .is_some(),
            );
        }
        assert_eq!(kept, TOTAL_BURST as usize);
        assert!(refusals.sources.len() <= SOURCES_MAX && refusals.recent.len() <= RECENT_MAX);
    }

    #[test]
    fn what_became_a_call_has_the_record_of_the_call() {
        let mut call = refusal("192.0.2.7:5060", "a");
        call.is_call = true;
        assert_eq!(Refusals::default().take(Instant::now(), &call), None);
    }
}
