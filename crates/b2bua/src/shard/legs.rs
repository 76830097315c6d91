//! What a call decided, said on its legs.

use rand::Rng;
use segue_call::{KeySecret, LegAction, LegEvent, LegId, MediaAction, Now, Said};
use segue_policy::Emergency;
use segue_sip::{Ask, Outgoing, SessionId};
use segue_sip_wire::SessionUuid;

use super::{CallKey, Shard, ShardOutput};
use crate::{
    early_media,
    entry::{Leg, ladder},
    translate,
};

impl Shard {
    /// Says on a leg what its call decided.
    pub(super) fn perform(&mut self, now: Now, key: CallKey, leg: LegId, action: LegAction) {
        if let LegAction::Invite { target, .. } = &action
            && self.is_unregistered(now, key, &target.to_string())
        {
            return self.is_not_there(key, leg);
        }
        let Some(entry) = self.calls.get_mut(&key) else { return };
        if let LegAction::Invite { trail, way, .. } = &action {
            entry.trails.insert(leg, trail.clone());
            let others = way.others.clone();
            let Some(mut outgoing) = translate::outgoing(action, &entry.peer, entry.ends.caller) else {
                return;
            };
            if let Some(reach) = entry.reaches.get(&outgoing.target.to_string()) {
                reach.apply(&mut outgoing);
                if let Some(source) = reach.media_source() {
                    let action = MediaAction::BehindNat { leg, source };
                    self.outputs.push_back(ShardOutput::Media(key, action));
                }
                return match outgoing.back_to {
                    Some(_) => self.invite(now, key, leg, outgoing),
                    None => self.set_out(now, key, leg, outgoing, &[]),
                };
            }
            return self.set_out(now, key, leg, outgoing, &others);
        }
        if matches!(action, LegAction::Cancel { .. }) {
            // It is wanted by no other way either.
            entry.ways.remove(&leg);
        }
        // Nothing of it has been sent yet, and nothing will be.
        if matches!(action, LegAction::Cancel { .. }) && entry.waiting.remove(&leg).is_some() {
            let phrase = "No address was known yet".to_owned();
            let failed = LegEvent::Failed {
                status: 487,
                phrase,
                local: true,
                said: Said::default(),
            };
            self.said_here.push_back((key, leg, failed));
            return self.said_here.push_back((key, leg, LegEvent::Terminated));
        }
        let Some(session) = entry.legs.get(&leg).map(|l| l.session) else {
            return;
        };
        let offers = matches!(action, LegAction::Offer { .. });
        let said = entry.said_with(leg, &action);
        match action {
            LegAction::Ask { of, ask } => return self.ask_on(now, key, session, (of, Ask(ask)), said),
            LegAction::Refresh => return self.refresh_on(now, session, said),
            _ => {}
        }
        entry.ends.says(&mut self.endpoint, &entry.legs, leg, &action);
        if let Err(error) = translate::perform(&mut self.endpoint, now.mono, session, action, said) {
            if offers {
                // Somebody waits for what becomes of it.
                self.said_here
                    .push_back((key, leg, LegEvent::OfferRefused { status: 491 }));
            }
            // The leg has moved on (a CANCEL or BYE crossed this): its event is already on the way to the call.
            tracing::debug!(%error, ?leg, "a leg no longer takes this action");
        }
    }

    /// A leg whose target is registered no more when its turn has come: nobody is asked there.
    fn is_not_there(&mut self, key: CallKey, leg: LegId) {
        let failed = LegEvent::Failed {
            status: 480,
            phrase: "it is registered no more".to_owned(),
            local: true,
            said: Said::default(),
        };
        self.said_here.push_back((key, leg, failed));
        self.said_here.push_back((key, leg, LegEvent::Terminated));
    }

    /// What the keys of a call's SRTP are made of; nothing else comes of it.
    pub(super) fn key_secret(&mut self) -> Option<KeySecret> {
        let rng = self.key_rng.as_mut()?;
        let mut secret = [0; 32];
        rng.fill_bytes(&mut secret);
        Some(KeySecret(secret))
    }

    pub(super) fn uuid(&mut self) -> SessionUuid {
        SessionUuid::random(u128::from(self.rng.next_u64()) << 64 | u128::from(self.rng.next_u64()))
    }

    /// Makes a leg of a call: the INVITE to one of its targets.
    pub(super) fn invite(&mut self, now: Now, key: CallKey, leg: LegId, mut outgoing: Outgoing) {
        let Some(entry) = self.calls.get_mut(&key) else { return };
        let towards = outgoing.remote().and_then(|to| self.admission.profile_towards(to.ip()));
        // Who helps hears all; who is called back is as far trusted as its side is.
        let trusted = entry.emergency == Some(Emergency::Call) || towards.is_some_and(|profile| profile.trusted);
        let trunk = entry.ways.get(&leg).and_then(|ways| ways.now.as_ref()?.trunk.clone());
        let account = trunk.as_ref().and_then(|name| self.trunks.account(name));
        let account = account.or_else(|| towards.and_then(|profile| self.admission.account(profile)));
        let profile = towards.cloned();
        let towards = towards.unwrap_or(&entry.profile);
        translate::reliable(&mut outgoing, towards, &entry.profile);
        outgoing.urgent = entry.emergency.is_some();
        if entry.emergency.is_none() {
            outgoing.interval = translate::interval(towards);
        }
        if trusted {
            let supported = (early_media::HEADER.to_owned(), "supported".to_owned());
            outgoing.headers.push(supported);
        }
        let outgoing = translate::carrying(
            outgoing,
            &entry.carried,
            (entry.trails.get(&leg), &entry.diverted),
            towards,
            trusted,
        );
        let target = outgoing.target.to_string();
        let session = self.endpoint.invite(now.mono, outgoing);
        if let Some(account) = account {
            self.endpoint.set_account(session, account);
        }
        if let Some(name) = trunk {
            self.trunks.began(session, &name);
        }
        let sip_call_id = self.endpoint.call_id(session).unwrap_or_default().to_owned();
        // What was said by another way stays in its record.
        let ladder = entry.legs.remove(&leg).map(|leg| leg.ladder).unwrap_or_default();
        let made = Leg {
            session,
            sip_call_id,
            target,
            ladder,
            profile,
            trusted,
        };
        entry.legs.insert(leg, made);
        self.sessions.insert(session, (key, leg));
    }

    /// Takes a leg's ladder before the endpoint forgets it.
    pub(super) fn keep_ladder(&mut self, now: Now, key: CallKey, leg: LegId, session: SessionId) {
        let steps = self.endpoint.take_ladder(session);
        if let Some(leg) = self.calls.get_mut(&key).and_then(|e| e.legs.get_mut(&leg)) {
            leg.ladder.extend(ladder(now, steps));
        }
    }
}
