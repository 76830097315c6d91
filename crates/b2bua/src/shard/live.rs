//! The calls that are up, for who looks at them from outside, and hanging one up.

use segue_call::{Now, Operator};
use segue_records::{CallRecord, LiveCall, UnixMs};

use super::{CallKey, Shard};
use crate::entry::{Entry, ladder};

impl Shard {
    /// The latest calls that are up and older than `before`, the latest first, at most `most`; without ladders.
    pub fn live_calls(&self, now: Now, before: Option<&str>, most: usize) -> Vec<LiveCall> {
        let older = |entry: &&Entry| before.is_none_or(|before| entry.call.id() < before);
        let mut entries: Vec<&Entry> = self.calls.values().filter(older).collect();
        entries.sort_unstable_by(|a, b| b.call.id().cmp(a.call.id()));
        entries.truncate(most);
        entries.into_iter().map(|entry| entry.live(now)).collect()
    }

    /// One call that is up, with the ladders of its legs so far.
    pub fn live_call(&self, now: Now, id: &str) -> Option<(CallKey, LiveCall)> {
        let (key, entry) = self.calls.iter().find(|(_, entry)| entry.call.id() == id)?;
        let mut live = entry.live(now);
        for (leg, kept) in &entry.legs {
            let row = usize::try_from(leg.0).ok().and_then(|at| live.record.legs.get_mut(at));
            if let Some(row) = row {
                row.sip_call_id.clone_from(&kept.sip_call_id);
                row.ladder.clone_from(&kept.ladder);
                row.ladder
                    .extend(ladder(now, self.endpoint.ladder(kept.session).to_vec()));
            }
        }
        Some((*key, live))
    }

    /// Ends one call in order, as the operator's wish; a recording under way is kept. `false`: it is not up.
    pub fn hang_up(&mut self, now: Now, id: &str) -> bool {
        let found = self.calls.iter().find(|(_, entry)| entry.call.id() == id);
        let Some(key) = found.map(|(key, _): (&CallKey, _)| *key) else {
            return false;
        };
        self.handle_operator(now, key, Operator::HangUp);
        true
    }
}

impl Entry {
    fn live(&self, now: Now) -> LiveCall {
        let (phase, since) = self.phase;
        let ago = now.mono.saturating_duration_since(since).as_millis();
        let ago = i64::try_from(ago).unwrap_or(i64::MAX);
        let record = self.call.so_far();
        LiveCall {
            record: CallRecord {
                from: self.from.clone(),
                to: self.to.clone(),
                ..record.clone()
            },
            phase,
            since: UnixMs(now.wall.0.saturating_sub(ago)),
            mailbox: self.mailbox.clone(),
            account: self.account.clone(),
            profile: self.profile.name.clone(),
        }
    }
}
