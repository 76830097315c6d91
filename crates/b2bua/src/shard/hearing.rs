//! Whose message is being handled: what it has for others goes along with what the call says because of it. And what one side asks of
//! the other within the dialog, with its answer.

use segue_call::{LegId, Now, Said};
use segue_sip::{Ask, Event, SessionId};
use segue_sip_wire::Message;

use super::{CallKey, Shard};
use crate::{
    Refusal,
    challenge::{self, Keys},
    headers,
    heard::{What, message_of},
    translate,
};

impl Shard {
    /// Whether an event is nothing that a call hears; it is done then.
    pub(super) fn is_of_no_call(&mut self, now: Now, event: &Event) -> bool {
        if self.is_of_mwi(now, event) {
            return true;
        }
        match event {
            Event::Refused { peer, request, status } => {
                self.refuse(Refusal::of(now.wall, peer, request, Some(*status)));
                true
            }
            Event::Options { peer, request } => {
                self.try_call(now, *peer, request);
                true
            }
            // More than is passed on; a part of it would be another body.
            Event::Asked { session, ask, request } if headers::is_too_much(request) => {
                let nothing = translate::along(Said::default());
                let _ = self.endpoint.answer_ask(now.mono, *session, *ask, (413, &[]), &nothing);
                true
            }
            Event::AskAnswered { session, ask, response } => {
                self.answer_asker(now, *session, *ask, response.as_deref());
                true
            }
            _ => false,
        }
    }

    /// Before an event is handled. What its message has for the other side.
    pub(super) fn hear(&mut self, now: Now, event: &Event) -> Said {
        let Some((session, what, message)) = message_of(event) else {
            return Said::default();
        };
        let known = self.sessions.get(&session).copied();
        let Some((entry, leg)) = known.and_then(|(key, leg)| Some((self.calls.get_mut(&key)?, leg))) else {
            return Said::default();
        };
        let mut said = entry.hear(leg, what, message);
        // Whom a challenge asks is us: its caller hears of whose realm, the log what would answer it.
        if what == What::Refusal && message.status().is_some_and(challenge::is_one) {
            said.headers.push(("Warning".to_owned(), challenge::warning(message)));
            if let Some(leg) = entry.legs.get(&leg) {
                let keys = match (self.trunks.of(session), &leg.profile) {
                    (Some(trunk), _) => Keys::Trunk(trunk),
                    (None, Some(profile)) => Keys::Profile(&profile.name),
                    (None, None) => Keys::Nowhere,
                };
                self.asked.note(now.mono, message, &leg.target, keys);
            }
        }
        said
    }

    /// After it has been handled.
    pub(super) fn unhear(&mut self, key: CallKey) {
        if let Some(entry) = self.calls.get_mut(&key) {
            entry.heard = None;
        }
    }

    /// Asks one side what the other asks.
    pub(super) fn ask_on(&mut self, now: Now, key: CallKey, session: SessionId, asker: (LegId, Ask), said: Said) {
        let Some(entry) = self.calls.get_mut(&key) else { return };
        match self.endpoint.ask(now.mono, session, &translate::along(said)) {
            Ok(asked) => drop(entry.asks.insert(asked, asker)),
            Err(error) => {
                tracing::debug!(%error, "an INFO cannot be passed on now");
                let Some(of) = entry.legs.get(&asker.0).map(|leg| leg.session) else {
                    return;
                };
                let later = [("Retry-After", "5".to_owned())];
                let nothing = translate::along(Said::default());
                let _ = self.endpoint.answer_ask(now.mono, of, asker.1, (500, &later), &nothing);
            }
        }
    }

    /// The answer to what was asked for the other side: told there, as far as it is not of one leg alone.
    pub(super) fn answer_asker(&mut self, now: Now, session: SessionId, ask: Ask, response: Option<&Message>) {
        let Some((key, leg)) = self.sessions.get(&session).copied() else {
            return;
        };
        let Some(entry) = self.calls.get_mut(&key) else { return };
        let Some((of, theirs)) = entry.asks.remove(&ask) else {
            return;
        };
        let Some(asker) = entry.legs.get(&of).map(|leg| leg.session) else {
            return;
        };
        let (status, warning) = translate::answer_for_asker(response.and_then(Message::status));
        let said = response.map(|response| entry.heard_answer(leg, of, response, status));
        let along = translate::along(said.unwrap_or_default());
        let headers: Vec<_> = warning.map(|warning| ("Warning", warning)).into_iter().collect();
        // It may have gone meanwhile, and has its 487 then.
        let _ = self
            .endpoint
            .answer_ask(now.mono, asker, theirs, (status, &headers), &along);
    }

    /// Says to one side what the other says of itself, if it says anything.
    pub(super) fn refresh_on(&mut self, now: Now, session: SessionId, said: Said) {
        let along = translate::along(said);
        if along.is_empty() {
            return;
        }
        if let Err(error) = self.endpoint.update(now.mono, session, &along) {
            tracing::info!(%error, "what an UPDATE without an offer says is not passed on");
        }
    }
}
