//! A call as its shard keeps it, and what it leaves in the call record.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use segue_call::{Call, LegId, Now, Trail};
use segue_policy::{Emergency, Profile};
use segue_records::{CallBackFacts, CallRecord, Event, Happening, LadderStep, LegRecord, PhaseName, Sent, UnixMs};
use segue_sip::{Ask, LadderEntry, Outgoing, Peer, Place, SessionId};

use segue_sip_wire::{SessionUuid, Uri};

use crate::{
    headers::{Carried, Received},
    heard::Heard,
    identity::Ends,
    overload::Seat,
    places::Places,
    reach::Reach,
    shard::{Engaged, Ways},
};

/// A call and what the shard knows about it.
pub(crate) struct Entry {
    pub call: Call,
    pub profile: Arc<Profile>,
    /// It calls for help, or calls back who has: no limit counts.
    pub emergency: Option<Emergency>,
    /// Where A's INVITE came from and arrived.
    pub peer: Peer,
    /// The trunk that it came by.
    pub by_trunk: Option<Arc<str>>,
    /// What A's INVITE says for others than us.
    pub carried: Carried,
    /// A takes parts of a body beside a description.
    pub takes_parts: bool,
    /// Who of them has asked for privacy after A's INVITE.
    pub withheld: BTreeSet<LegId>,
    /// What legs were asked for others: whose it is, and what to answer there.
    pub asks: BTreeMap<Ask, (LegId, Ask)>,
    /// The message of a leg that is being handled.
    pub heard: Option<Heard>,
    /// How the call came to each target.
    pub trails: BTreeMap<LegId, Trail>,
    /// What trusted targets that said 3xx say of the way.
    pub diverted: BTreeMap<LegId, Received>,
    /// Where B's targets are whose hosts are names.
    pub places: Places,
    /// How targets are reached that are registered contacts, where their URIs do not say it.
    pub reaches: BTreeMap<String, Reach>,
    /// Legs whose ports wait for such a place, with their targets.
    pub leasing: BTreeMap<LegId, (Place, Uri)>,
    /// INVITEs that wait for such a place.
    pub waiting: BTreeMap<LegId, (Place, Outgoing)>,
    /// The ways of legs whose next servers the profile names.
    pub ways: BTreeMap<LegId, Ways>,
    pub legs: BTreeMap<LegId, Leg>,
    /// Who its ends are.
    pub ends: Ends,
    /// The caller as it was known at first, and whom it called.
    pub present: (SessionUuid, String),
    pub due: Option<Instant>,
    /// Everything logged while the call is handled carries its Call-ID.
    pub span: tracing::Span,
    /// Who called whom and when, for the record of a call that cannot write its own.
    pub from: String,
    pub to: String,
    pub started_at: UnixMs,
    /// What it is counted under.
    pub seat: Option<Seat>,
    /// Who has proven to call; nobody else's calls are bounded as an account's.
    pub account: Option<String>,
    /// The place that is held for its message (mailbox, message id), until there is a recording: that outlives a fault of ours.
    pub place: Option<(String, String)>,
    /// The subscriber whose call it is.
    pub mailbox: Option<String>,
    /// Who of the subscribers is in it.
    pub engaged: Engaged,
    /// The phase that was told last, and since when it lasts.
    pub phase: (PhaseName, Instant),
    /// It was told that the hold is prolonged.
    pub prolonged: bool,
    /// So many calls back from a mailbox were told of.
    pub called_back: usize,
}

/// A leg's SIP side.
pub(crate) struct Leg {
    pub session: SessionId,
    pub sip_call_id: String,
    /// Request-URI of its INVITE.
    pub target: String,
    pub ladder: Vec<LadderStep>,
    /// The profile of its peer's side, if there is one.
    pub profile: Option<Arc<Profile>>,
    /// Its peer is in our trust domain.
    pub trusted: bool,
}

impl Entry {
    /// Something that happened in this call.
    pub(crate) fn event(&self, now: Now, what: Happening) -> Box<Event> {
        Box::new(Event {
            at: now.wall,
            call_id: Some(self.call.id().to_owned()),
            sip_call_id: self.legs.get(&LegId::A).map(|leg| leg.sip_call_id.clone()),
            what,
        })
    }

    /// Calls back that nobody was told of yet.
    pub(crate) fn tell_called_back(&mut self) -> Vec<CallBackFacts> {
        let all = self.call.called_back();
        let new = all.get(self.called_back..).unwrap_or_default().to_vec();
        self.called_back = all.len();
        new
    }

    /// Whether a leg's peer is in our trust domain; who helps is, and who calls for help as its side is.
    pub(crate) fn trusts(&self, leg: LegId) -> bool {
        self.legs.get(&leg).is_some_and(|leg| leg.trusted)
    }

    /// Completes the call's own record with what only SIP knows.
    pub(crate) fn fill_in(self, record: &mut CallRecord) {
        for (id, kept) in self.legs {
            let row = usize::try_from(id.0).ok().and_then(|at| record.legs.get_mut(at));
            if let Some(row) = row {
                row.sip_call_id = kept.sip_call_id;
                row.ladder = kept.ladder;
            }
        }
    }

    /// The record of a call that a panic kept from writing its own.
    pub(crate) fn record_of_a_fault(self, now: Now) -> CallRecord {
        let leg = |leg: Leg| LegRecord {
            sip_call_id: leg.sip_call_id,
            target: leg.target,
            status: None,
            reason: None,
            ladder: leg.ladder,
            media: Vec::new(),
        };
        let legs: Vec<LegRecord> = self.legs.into_values().map(leg).collect();
        let sip_call_id = legs.first().map(|leg| leg.sip_call_id.clone()).unwrap_or_default();
        CallRecord {
            from: self.from,
            to: self.to,
            ended_at: Some(now.wall),
            phase_reached: self.call.phase(),
            cause: Some(500),
            legs,
            why: "A fault of ours ended the call; see the log. A recording under way is kept as a message.".to_owned(),
            ..CallRecord::begun(self.call.id().to_owned(), sip_call_id, self.started_at)
        }
    }
}

/// The endpoint's steps as a record has them.
pub(crate) fn ladder(now: Now, steps: Vec<LadderEntry>) -> Vec<LadderStep> {
    steps
        .into_iter()
        .map(|step| {
            let ago = i64::try_from(now.mono.saturating_duration_since(step.at).as_millis()).unwrap_or(0);
            LadderStep {
                at: UnixMs(now.wall.0.saturating_sub(ago)),
                sent: if step.out { Sent::Out } else { Sent::In },
                summary: step.summary,
            }
        })
        .collect()
}
