//! SUBSCRIBE and NOTIFY of the package message-summary (RFC 6665, RFC 3842): who proves to be a subscriber is told how many messages
//! wait, and registered contacts are told without asking where their profile has it.

use std::collections::BTreeMap;

use segue_call::Now;
use segue_policy::{Profile, Service};
use segue_registrar::{
    Change, What,
    mwi::{Asked, Notice, Summary, Told, Waiting, WaitingLimits},
};
use segue_sip::{Event, Outside, Peer, Proof, RequestId, WatchId};
use segue_sip_wire::{Message, Method, Uri};

use super::{Shard, ShardOutput};
use crate::{Refusal, reach::Reach, registrations::peer as way_back};

/// Who is told, and what waits for an answer.
pub(super) struct Telling {
    pub waiting: Waiting,
    asked: BTreeMap<RequestId, Told>,
}

impl Default for Telling {
    fn default() -> Telling {
        Telling {
            waiting: Waiting::new(WaitingLimits::default()),
            asked: BTreeMap::new(),
        }
    }
}

impl Shard {
    /// Whether a SUBSCRIBE was answered here, as its profile takes subscriptions. Who sends it always proves who it is, within its dialog
    /// too: nobody else may turn the NOTIFYs elsewhere.
    pub(super) fn subscribes(
        &mut self,
        now: Now,
        peer: &Peer,
        request: &Message,
        profile: &std::sync::Arc<Profile>,
    ) -> bool {
        if request.method() != Some(&Method::Subscribe) || !profile.mwi.takes_subscriptions() {
            return false;
        }
        let Some(realm) = self.admission.realm(profile).filter(|_| profile.registrar) else {
            return false;
        };
        let name = match self.guard.check(now.mono, peer.remote.ip(), request, &realm) {
            Proof::Given(name) => name,
            other => {
                self.refuse_unproven(now, peer, request, profile, other);
                return true;
            }
        };
        if self.turns_away_registration(now, *peer, request) {
            return true;
        }
        let done = match request.to().is_ok_and(|to| to.tag().is_some()) {
            true => self.resubscribe(now, peer, request, &name),
            false => self.subscribe(now, peer, request, &name, profile),
        };
        match done {
            Ok(user) => self.outputs.push_back(ShardOutput::CountMessages(user)),
            Err((status, headers, why)) => {
                self.endpoint.reply(now.mono, *peer, request, status, &headers);
                let admit = "a SUBSCRIBE to the subscriber's own messages, as RFC 3842 has it (docs/mwi.md)".to_owned();
                self.refuse(Refusal::of(now.wall, peer, request, Some(status)).because(why, admit));
            }
        }
        self.tend_mwi(now);
        true
    }

    /// A new subscription; whose messages are to be counted.
    fn subscribe(
        &mut self,
        now: Now,
        peer: &Peer,
        request: &Message,
        name: &str,
        profile: &Profile,
    ) -> Result<String, Refused> {
        if self.closing {
            let why = "the server is stopping".to_owned();
            return Err((503, vec![("Retry-After", "5".to_owned())], why));
        }
        let asked = Asked::of(request).map_err(refused)?;
        if !self.is_own_mailbox(name, request, profile) {
            let why = format!("the user {name} may not be told of whose messages it asks for, or is no subscriber");
            return Err((403, Vec::new(), why));
        }
        let lasts_s = self.telling.waiting.admit(name, &asked).map_err(refused)?;
        let back = profile.nat || peer.protocol.is_stream();
        let Some(id) = self.endpoint.watch(now.mono, *peer, request, lasts_s, back) else {
            let why = "it lacks what a dialog needs, or there is no room".to_owned();
            return Err((503, vec![("Retry-After", "5".to_owned())], why));
        };
        let to = request.to().map(|to| to.uri.without_headers().without_params());
        let account = to.map(|uri| uri.to_string()).unwrap_or_default();
        let whose = (name, account);
        let left = self.telling.waiting.subscribe(now.mono, id.0, whose, &asked, lasts_s);
        for dialog in left {
            self.endpoint.unwatch(WatchId(dialog));
        }
        Ok(name.to_owned())
    }

    /// One that goes on, or ends; whose messages are to be counted.
    fn resubscribe(&mut self, now: Now, peer: &Peer, request: &Message, name: &str) -> Result<String, Refused> {
        let asked = Asked::of(request).map_err(refused)?;
        let id = self.endpoint.watch_of(request);
        let Some((id, user)) = id.and_then(|id| Some((id, self.telling.waiting.user_of(id.0)?))) else {
            return Err((481, Vec::new(), "its subscription is over".to_owned()));
        };
        if user != name {
            return Err((403, Vec::new(), format!("the subscription is not {name}'s")));
        }
        let lasts_s = self.telling.waiting.lasts(asked.expires_s).map_err(refused)?;
        if self.endpoint.watch_on(now.mono, *peer, request, id, lasts_s) {
            self.telling.waiting.refresh(now.mono, id.0, lasts_s);
        }
        Ok(name.to_owned())
    }

    /// Whether the Request-URI is the mailbox of who has proven its name: by that, a number of theirs, or what all dial for their own.
    fn is_own_mailbox(&self, name: &str, request: &Message, profile: &Profile) -> bool {
        let said = request.request_uri().and_then(Uri::user);
        let Some(said) = said.filter(|_| self.directory.has(name)) else {
            return false;
        };
        let number = profile.normalise(&said).number;
        said == name
            || number.is_some_and(|number| self.directory.has_number(name, &number))
            || profile.service(&said) == Some(Service::Mailbox)
            || profile.mailbox_users.iter().any(|user| *user == said)
    }

    /// The committed state of a mailbox.
    pub fn handle_waiting(&mut self, now: Now, user: &str, summary: Summary) {
        let unasked: Vec<String> = self.unasked(now, user).collect();
        for contact in unasked {
            self.tell_unasked(now, user, &contact, false);
        }
        self.telling.waiting.know(now.mono, user, summary);
        self.tend_mwi(now);
    }

    /// Registered contacts that are told without asking.
    pub(super) fn unasked(&self, now: Now, user: &str) -> impl Iterator<Item = String> {
        let contacts = self.registrar.contacts(user, now.mono).into_iter();
        let unasked = contacts.filter(|binding| {
            let profile = self.admission.profile_for(&way_back(&binding.source));
            profile.is_ok_and(|profile| profile.registrar && profile.mwi.is_unsolicited())
        });
        unasked.map(|binding| binding.contact.to_string())
    }

    fn tell_unasked(&mut self, now: Now, user: &str, contact: &str, is_new: bool) {
        let account = format!("sip:{user}@{}", self.own.host());
        self.telling
            .waiting
            .tell_contact(now.mono, (user, account), contact, is_new);
    }

    /// Registrations have changed: who has come or said it again is told, who is gone is told no more.
    pub(super) fn note_contacts(&mut self, now: Now, changes: &[Change]) {
        for Change { user, what, binding } in changes {
            let contact = binding.contact.to_string();
            match what {
                What::Removed | What::Expired | What::Lost => self.telling.waiting.forget_contact(user, &contact),
                What::Added | What::Refreshed if self.unasked(now, user).any(|known| known == contact) => {
                    self.tell_unasked(now, user, &contact, true);
                    self.outputs.push_back(ShardOutput::CountMessages(user.clone()));
                }
                What::Added | What::Refreshed => {}
            }
        }
    }

    /// Subscribers may be gone.
    pub(super) fn end_subscriptions(&mut self) {
        let gone: Vec<String> = self
            .telling
            .waiting
            .users()
            .filter(|user| !self.directory.has(user))
            .cloned()
            .collect();
        for user in gone {
            self.telling.waiting.end(&user);
        }
    }

    /// Sends what is to be told.
    pub(super) fn tend_mwi(&mut self, now: Now) {
        while let Some(notice) = self.telling.waiting.poll(now.mono) {
            let to = notice.to.clone();
            match self.tell(now, notice) {
                Some(request) => drop(self.telling.asked.insert(request, to)),
                // Its dialog or registration is gone.
                None => self.heard_of(now, &to, Some(481), None),
            }
        }
    }

    fn tell(&mut self, now: Now, notice: Notice) -> Option<RequestId> {
        let headers = vec![
            ("Event", notice.event),
            ("Subscription-State", notice.state.to_header()),
        ];
        let body = notice.summary.map(|summary| {
            let body = summary.body(&notice.account).into_bytes();
            (Summary::CONTENT_TYPE.into(), body)
        });
        let (user, contact) = match notice.to {
            Told::Dialog(dialog) => return self.endpoint.notify(now.mono, WatchId(dialog), headers, body),
            Told::Contact(user, contact) => (user, contact),
        };
        let mut bindings = self.registrar.bindings(&user);
        let binding = bindings.find(|binding| binding.contact.to_string() == contact)?;
        let own: Uri = notice.account.parse().ok()?;
        let (route, is_back) = match Reach::of(binding) {
            Some(Reach::Path(route)) => (route, false),
            Some(Reach::Source { .. }) => (Vec::new(), true),
            None => (Vec::new(), false),
        };
        let outside = Outside {
            method: Method::Notify,
            target: binding.contact.clone(),
            from: own.clone(),
            to: own,
            route,
            headers,
            body,
            peer: way_back(&binding.source),
            is_back,
        };
        Some(self.endpoint.request(now.mono, outside))
    }

    /// Whether an event is what came of a NOTIFY.
    pub(super) fn is_of_mwi(&mut self, now: Now, event: &Event) -> bool {
        let Event::Replied {
            request,
            response,
            retry_after,
        } = event
        else {
            return false;
        };
        let Some(to) = self.telling.asked.remove(request) else {
            return false;
        };
        let status = response.as_ref().and_then(|response| response.status());
        self.heard_of(now, &to, status, *retry_after);
        self.tend_mwi(now);
        true
    }

    fn heard_of(&mut self, now: Now, to: &Told, status: Option<u16>, retry_after: Option<std::time::Duration>) {
        let goes_on = self.telling.waiting.answered(now.mono, to, status, retry_after);
        if let (Told::Dialog(dialog), false) = (to, goes_on) {
            self.endpoint.unwatch(WatchId(*dialog));
        }
    }
}

/// Status, headers and, for the log, why.
type Refused = (u16, Vec<(&'static str, String)>, String);

fn refused(refused: segue_registrar::Refused) -> Refused {
    (refused.status, refused.headers, refused.why)
}
