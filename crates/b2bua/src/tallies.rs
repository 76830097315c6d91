//! Call records wait here for what the packet path has counted: a call's last leg may end before its media is closed.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use segue_records::{CallRecord, StreamRecord};

use crate::CallKey;

/// How long a record waits. The packet path answers within a millisecond; a thread that has died never does.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was counted for calls that are not written down yet, and the records that wait for it.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    /// Each call with media, until its record is written.
    calls: BTreeMap<CallKey, Counted>,
    waiting: BTreeMap<CallKey, (Instant, Box<CallRecord>)>,
}

#[derive(Debug, Default)]
struct Counted {
    /// By the place of their leg in the record.
    streams: Vec<(usize, StreamRecord)>,
    /// No more come.
    closed: bool,
}

impl Tallies {
    /// The call has media: it will be closed.
    pub fn open(&mut self, key: CallKey) {
        self.calls.entry(key).or_default();
    }

    /// Whether the call has media that is not closed.
    pub fn is_open(&self, key: CallKey) -> bool {
        self.calls.get(&key).is_some_and(|call| !call.closed)
    }

    /// What was counted on a stream of a leg.
    pub fn add(&mut self, key: CallKey, leg: u32, stream: StreamRecord) {
        if let Some(call) = self.calls.get_mut(&key) {
            call.streams.push((usize::try_from(leg).unwrap_or(usize::MAX), stream));
        }
    }

    /// Nothing more will be counted for this call: its record, if that waited.
    pub fn close(&mut self, key: CallKey) -> Option<Box<CallRecord>> {
        self.calls.get_mut(&key)?.closed = true;
        let (_, record) = self.waiting.remove(&key)?;
        Some(self.complete(key, record))
    }

    /// The call has ended: its record, if it need not wait.
    pub fn ended(&mut self, now: Instant, key: CallKey, record: Box<CallRecord>) -> Option<Box<CallRecord>> {
        if self.calls.get(&key).is_none_or(|call| call.closed) {
            return Some(self.complete(key, record));
        }
        self.waiting.insert(key, (now + PATIENCE, record));
        None
    }

    /// When a record has waited long enough.
    pub fn due(&self) -> Option<Instant> {
        self.waiting.values().map(|(until, _)| *until).min()
    }

    /// A record that has waited until `now` in vain.
    pub fn overdue(&mut self, now: Instant) -> Option<Box<CallRecord>> {
        let mut waiting = self.waiting.iter();
        let key = waiting.find_map(|(key, (until, _))| (*until <= now).then_some(*key))?;
        let (_, record) = self.waiting.remove(&key)?;
        Some(self.complete(key, record))
    }

    /// A record, whether it has waited or not: the end is near.
    pub fn any(&mut self) -> Option<Box<CallRecord>> {
        let (key, (_, record)) = self.waiting.pop_first()?;
        Some(self.complete(key, record))
    }

    fn complete(&mut self, key: CallKey, mut record: Box<CallRecord>) -> Box<CallRecord> {
        let streams = self.calls.remove(&key).map(|call| call.streams).unwrap_or_default();
        for (leg, stream) in streams {
            if let Some(leg) = record.legs.get_mut(leg) {
                leg.media.push(stream);
            }
        }
        record
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use segue_records::{CallResult, LegRecord, MediaKind, PhaseName, UnixMs};

    use super::*;

    const CALL: CallKey = CallKey(1);

    fn record() -> Box<CallRecord> {
        let leg = LegRecord {
            sip_call_id: "a".to_owned(),
            target: "sip:b@x".to_owned(),
            status: None,
            reason: None,
            ladder: Vec::new(),
            media: Vec::new(),
        };
        Box::new(CallRecord {
            from: "sip:a@x".to_owned(),
            to: "sip:b@x".to_owned(),
            phase_reached: PhaseName::Bridged,
            result: CallResult::Answered,
            legs: vec![leg.clone(), leg],
            ..CallRecord::begun("1".to_owned(), "a".to_owned(), UnixMs(0))
        })
    }

    fn stream(received: u64) -> StreamRecord {
        StreamRecord {
            kind: MediaKind::Audio,
            received,
            lost: 0,
            late: 0,
            jitter_ms: 0,
            sent: 0,
            sent_late: 0,
            peer_lost: None,
            peer_jitter_ms: None,
            rtt_ms: None,
            losses: Vec::new(),
            peer_losses: Vec::new(),
        }
    }

    #[test]
    fn a_record_is_complete_whichever_ends_first() {
        let now = Instant::now();
        for media_first in [true, false] {
            let mut tallies = Tallies::default();
            tallies.open(CALL);
            let mut done = None;
            if !media_first {
                assert!(tallies.ended(now, CALL, record()).is_none(), "it waits");
            }
            tallies.add(CALL, 1, stream(7));
            done = tallies.close(CALL).or(done);
            if media_first {
                assert!(done.is_none());
                done = tallies.ended(now, CALL, record());
            }
            let done = done.unwrap();
            assert_eq!((done.legs[0].media.len(), done.legs[1].media[0].received), (0, 7));
            assert!(tallies.due().is_none() && tallies.any().is_none());
        }
    }

    #[test]
    fn a_call_without_media_does_not_wait() {
        assert!(Tallies::default().ended(Instant::now(), CALL, record()).is_some());
    }

    #[test]
    fn a_record_does_not_wait_for_a_thread_that_has_died() {
        let now = Instant::now();
        let mut tallies = Tallies::default();
        tallies.open(CALL);
        tallies.add(CALL, 0, stream(3));
        assert!(tallies.ended(now, CALL, record()).is_none());
        assert!(tallies.overdue(now).is_none());
        let done = tallies.overdue(tallies.due().unwrap()).unwrap();
        assert_eq!(done.legs[0].media.len(), 1, "what is known is written");
        assert!(tallies.close(CALL).is_none());
    }
}
