//! The end of a call: said by itself, or brought about by a fault of ours.

use segue_call::{Input, LegId, MediaAction, Now, Operator};
use segue_records::{CallRecord, CallResult};

use super::{CallKey, Shard, ShardOutput};
use crate::{Refusal, entry::ladder, translate};

impl Shard {
    /// No call begins any more: new callers and OPTIONS get 503 with Retry-After. The calls that are there go on.
    pub fn close(&mut self) {
        self.closing = true;
        self.telling.waiting.close();
        self.endpoint.close();
    }

    /// Ends every call in order; recordings are kept. Callers that come later get 503.
    pub fn hang_up_all(&mut self, now: Now) {
        self.close();
        let keys: Vec<CallKey> = self.calls.keys().copied().collect();
        for key in keys {
            self.feed(now, key, Input::Operator(Operator::HangUp));
        }
        self.pump(now);
        self.tend_mwi(now);
    }

    /// A call has said its last.
    pub(super) fn end(&mut self, now: Now, key: CallKey, mut record: Box<CallRecord>) {
        let Some(mut entry) = self.calls.remove(&key) else {
            return;
        };
        self.leave(now, key, &mut entry);
        self.present.remove(entry.present.0, &entry.present.1, key);
        if let Some(due) = entry.due {
            self.due.remove(&(due, key));
        }
        for leg in entry.legs.values() {
            self.sessions.remove(&leg.session);
        }
        let peer = entry.peer;
        let whose = entry.mailbox.take().filter(|_| entry.emergency.is_none());
        let profile = std::sync::Arc::clone(&entry.profile);
        entry.fill_in(&mut record);
        self.tell_of_missed(whose, &record, &profile);
        if record.result == CallResult::Rejected {
            let admit = translate::line_that_admits(&record);
            record.admit = Some(admit.clone());
            let protocol = peer.protocol.as_str().to_ascii_lowercase();
            record.source = Some(format!("{protocol} {}", peer.remote));
            self.refuse(Refusal::of_call(now.wall, &peer, &record, admit));
        }
        self.outputs.push_back(ShardOutput::Ended(key, record));
    }

    /// A panic in the call core: both legs are ended by `sip`, the ports go back, the others live.
    pub(super) fn abandon(&mut self, now: Now, key: CallKey) {
        let Some(mut entry) = self.calls.remove(&key) else {
            return;
        };
        self.leave(now, key, &mut entry);
        self.present.remove(entry.present.0, &entry.present.1, key);
        self.stats.panics = self.stats.panics.saturating_add(1);
        tracing::error!(
            sip_call_id = entry.legs.get(&LegId::A).map(|l| l.sip_call_id.as_str()),
            "a call was ended by a fault of ours"
        );
        if let Some(due) = entry.due {
            self.due.remove(&(due, key));
        }
        for leg in entry.legs.values_mut() {
            self.sessions.remove(&leg.session);
            // Whichever of these fits the leg's state is done, the others are refused by it.
            let _ = self.endpoint.refuse(now.mono, leg.session, 500, &[]);
            let _ = self.endpoint.cancel(now.mono, leg.session, None);
            let _ = self.endpoint.bye(now.mono, leg.session, None);
            leg.ladder.extend(ladder(now, self.endpoint.take_ladder(leg.session)));
        }
        self.outputs.push_back(ShardOutput::Media(key, MediaAction::Close));
        if let Some((mailbox, message_id)) = entry.place.take() {
            self.outputs.push_back(ShardOutput::Release { mailbox, message_id });
        }
        let record = entry.record_of_a_fault(now);
        self.outputs.push_back(ShardOutput::Ended(key, Box::new(record)));
    }
}
