//! Who looks at a call that is up sees what the packet path has counted so far: that is asked of it, and the answer waits.

use std::collections::BTreeMap;

use segue_media::Command;
use segue_records::{LiveCall, StreamRecord};
use tokio::sync::oneshot;

use super::{Performer, now};
use crate::CallKey;

type Answer = oneshot::Sender<Option<LiveCall>>;

/// Calls whose packets are being counted, and who waits for that.
#[derive(Debug, Default)]
pub(super) struct Counting(BTreeMap<CallKey, Asked>);

#[derive(Debug, Default)]
struct Asked {
    /// By the place of their leg in the record.
    streams: Vec<(usize, StreamRecord)>,
    /// With what is known of the call.
    waiting: Vec<(LiveCall, Answer)>,
}

impl Counting {
    /// Somebody waits; whether nobody did before.
    fn ask(&mut self, key: CallKey, live: LiveCall, answer: Answer) -> bool {
        let asked = self.0.entry(key).or_default();
        // Of those who wait no more none is kept, whatever becomes of the packet path.
        asked.waiting.retain(|(_, answer)| !answer.is_closed());
        let is_first = asked.waiting.is_empty();
        asked.waiting.push((live, answer));
        is_first
    }

    /// What was counted on a stream of a leg.
    pub(super) fn add(&mut self, key: CallKey, leg: u32, stream: StreamRecord) {
        if let Some(asked) = self.0.get_mut(&key) {
            asked.streams.push((usize::try_from(leg).unwrap_or(usize::MAX), stream));
        }
    }

    /// No more is counted of this call now: who waits is told.
    pub(super) fn done(&mut self, key: CallKey) {
        let Some(Asked { streams, waiting }) = self.0.remove(&key) else {
            return;
        };
        for (mut live, answer) in waiting {
            for (leg, stream) in &streams {
                if let Some(leg) = live.record.legs.get_mut(*leg) {
                    leg.media.push(stream.clone());
                }
            }
            // Who does not wait any more needs no answer.
            let _ = answer.send(Some(live));
        }
    }
}

impl Performer {
    /// Answers with one call that is up, its ladders and what was counted of its packets.
    pub(super) fn show(&mut self, id: &str, answer: Answer) {
        let Some((key, live)) = self.shard.live_call(now(), id) else {
            let _ = answer.send(None);
            return;
        };
        if !self.tallies.is_open(key) {
            let _ = answer.send(Some(live));
        } else if self.counting.ask(key, live, answer) && self.command(key, Command::Count).is_some() {
            self.counting.done(key);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use segue_records::{CallRecord, LegRecord, MediaKind, PhaseName, UnixMs};

    use super::*;

    const CALL: CallKey = CallKey(1);

    fn live() -> LiveCall {
        let leg = LegRecord {
            sip_call_id: "a".to_owned(),
            target: "sip:b@x".to_owned(),
            status: None,
            reason: None,
            ladder: Vec::new(),
            media: Vec::new(),
        };
        LiveCall {
            record: CallRecord {
                legs: vec![leg.clone(), leg],
                ..CallRecord::begun("1".to_owned(), "a".to_owned(), UnixMs(0))
            },
            phase: PhaseName::Bridged,
            since: UnixMs(0),
            mailbox: None,
            account: None,
            profile: "p".to_owned(),
        }
    }

    fn stream(lost: u64) -> StreamRecord {
        StreamRecord {
            kind: MediaKind::Audio,
            received: 100,
            lost,
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
    fn all_who_look_at_once_are_told_by_one_count_and_who_has_gone_is_not_kept() {
        let mut counting = Counting::default();
        let (gone, nobody) = oneshot::channel();
        drop(nobody);
        assert!(counting.ask(CALL, live(), gone));
        let (first, mut told_first) = oneshot::channel();
        assert!(
            counting.ask(CALL, live(), first),
            "the one before has gone: it is asked anew"
        );
        let (second, mut told_second) = oneshot::channel();
        assert!(!counting.ask(CALL, live(), second));
        counting.add(CALL, 1, stream(7));
        // A leg that came after who looks.
        counting.add(CALL, 2, stream(9));
        counting.done(CALL);
        for told in [&mut told_first, &mut told_second] {
            let live = told.try_recv().unwrap().unwrap();
            assert_eq!(live.record.legs[1].media, [stream(7)]);
            assert!(live.record.legs[0].media.is_empty());
        }
        counting.add(CALL, 1, stream(7));
        counting.done(CALL);
        assert!(counting.0.is_empty());
    }
}
