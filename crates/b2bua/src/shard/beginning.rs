//! An INVITE that was admitted becomes a call.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use rand::Rng;
use segue_call::{Call, LegId, Now};
use segue_records::Happening;
use segue_sip::{Peer, SessionId};
use segue_sip_wire::Message;

use super::{CallKey, Engaged, Shard, ShardOutput, serving};
use crate::{
    Refusal, emergency,
    entry::{Entry, Leg},
    headers::{self, Carried},
    identity::Ends,
    places::Places,
    translate,
};

impl Shard {
    /// A new call.
    pub(super) fn begin(&mut self, now: Now, session: SessionId, invite: &Message, peer: Peer) {
        let Ok(profile) = self.profile_of(&peer, invite) else {
            return;
        };
        let emergency = emergency::of(invite, &profile);
        let urgent = emergency.is_some();
        if self.closing && !urgent {
            let later = [("Retry-After", "5".to_owned())];
            let _ = self.endpoint.refuse(now.mono, session, 503, &later);
            self.refuse(Refusal::of(now.wall, &peer, invite, Some(503)).because(
                "the server is stopping".to_owned(),
                "call again when it runs".to_owned(),
            ));
            return;
        }
        if !urgent && !self.takes_interval(now, session, invite, &peer, &profile) {
            return;
        }
        let Some(mut incoming) = translate::incoming(now, invite, &peer, Arc::clone(&profile)) else {
            let _ = self.endpoint.refuse(now.mono, session, 400, &[]);
            self.refuse(Refusal::of(now.wall, &peer, invite, Some(400)));
            return;
        };
        let by_trunk = self.came_by(&peer, invite, &mut incoming);
        let named = self.endpoint.peer_uuid(session);
        let caller = named.unwrap_or_else(|| self.uuid());
        self.endpoint.name_peer(session, caller);
        let ends = Ends::new(caller, self.uuid());
        let user = translate::called(&incoming.request_uri);
        let here = self.present.find(caller, &user).and_then(|key| self.calls.get(&key));
        incoming.is_loop = here.is_some_and(|entry| entry.call.has_caller());
        self.own.tell(&mut incoming);
        let caller_is = self.caller_is(self.proven.clone(), &peer, &incoming);
        incoming.further.proven = serving::dials_service(&incoming).then(|| caller_is.clone()).flatten();
        if let Some(account) = self.admission.account(&profile) {
            self.endpoint.set_account(session, account);
        }
        let key = CallKey(self.next_call);
        if !incoming.is_loop {
            self.present.add(caller, user.clone(), key);
        }
        self.next_call = self.next_call.wrapping_add(1);
        self.stats.calls = self.stats.calls.saturating_add(1);
        self.sessions.insert(session, (key, LegId::A));
        let span = tracing::info_span!("call", sip_call_id = incoming.sip_call_id);
        let leg = Leg {
            session,
            sip_call_id: incoming.sip_call_id.clone(),
            target: incoming.request_uri.to_string(),
            ladder: Vec::new(),
            profile: Some(Arc::clone(&profile)),
            trusted: profile.trusted,
        };
        let (from, to) = (incoming.caller().0, incoming.request_uri.to_string());
        let seed = self.rng.next_u64();
        incoming.further.secret = self.key_secret();
        let config = Arc::clone(&self.call_config);
        let made = catch_unwind(AssertUnwindSafe(|| Call::incoming(incoming, config, now, seed)));
        let Ok(call) = made else {
            self.stats.panics = self.stats.panics.saturating_add(1);
            let _ = self.endpoint.refuse(now.mono, session, 500, &[]);
            self.refuse(Refusal::of(now.wall, &peer, invite, Some(500)));
            return;
        };
        let caps = *self.overload.caps();
        let ledger = &mut self.overload.ledger;
        let seat = Some(ledger.take(now.mono, &caps, peer.remote.ip(), &profile.name));
        let account = self.proven.take().filter(|_| !urgent);
        if let Some(account) = &account {
            self.overload.accounts.take(account, key);
        }
        let phase = (call.phase(), now.mono);
        let legs = BTreeMap::from([(LegId::A, leg)]);
        let entry = Entry {
            call,
            carried: Carried::of_call(invite, profile.trusted, emergency),
            takes_parts: headers::takes_parts(invite),
            withheld: Default::default(),
            asks: BTreeMap::new(),
            heard: None,
            trails: BTreeMap::new(),
            diverted: BTreeMap::new(),
            profile,
            emergency,
            peer,
            by_trunk,
            places: Places::default(),
            reaches: BTreeMap::new(),
            leasing: BTreeMap::new(),
            waiting: BTreeMap::new(),
            ways: BTreeMap::new(),
            legs,
            ends,
            present: (caller, user),
            due: None,
            span,
            from,
            to,
            started_at: now.wall,
            seat,
            account,
            place: None,
            mailbox: None,
            engaged: Engaged::default(),
            phase,
            prolonged: false,
            called_back: 0,
        };
        let started = Happening::CallStarted {
            from: entry.from.clone(),
            to: entry.to.clone(),
        };
        self.outputs.push_back(ShardOutput::Event(entry.event(now, started)));
        self.calls.insert(key, entry);
        self.engage_caller(key, caller_is);
        self.drain(now, key);
    }
}
