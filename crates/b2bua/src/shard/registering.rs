//! REGISTER: who proves to be a subscriber says where it is (RFC 3261 §10.3).

use std::collections::BTreeSet;

use segue_call::{Now, StoreReply};
use segue_policy::Profile;
use segue_records::{Event, Happening, RegistrationFacts, RegistrationRecord};
use segue_registrar::{Change, Registered, What};
use segue_sip::{Peer, Proof};
use segue_sip_wire::{Message, Method, Uri};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use super::{CallKey, Shard, ShardOutput};
use crate::{
    Refusal,
    reach::Reach,
    registrations::{Allowed, Directory, binding, peer as way_back, record, source},
};

/// "Sat, 13 Nov 2010 23:29:00 GMT" (RFC 3261 §20.17).
const DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

impl Shard {
    /// Whether a REGISTER was answered here, as its profile takes registrations. Who sends it always proves who it is.
    pub(super) fn registers(
        &mut self,
        now: Now,
        peer: &Peer,
        request: &Message,
        profile: &std::sync::Arc<Profile>,
    ) -> bool {
        let Some(realm) = self.admission.realm(profile).filter(|_| profile.registrar) else {
            return false;
        };
        if request.method() != Some(&Method::Register) {
            return false;
        }
        let proof = self.guard.check(now.mono, peer.remote.ip(), request, &realm);
        let name = match proof {
            Proof::Given(name) => name,
            other => {
                self.refuse_unproven(now, peer, request, profile, other);
                return true;
            }
        };
        if self.turns_away_registration(now, *peer, request) {
            return true;
        }
        let user = match self.registered_as(&name, request, profile) {
            Ok(user) => user,
            Err((status, why, admit)) => {
                self.endpoint.reply(now.mono, *peer, request, status, &[]);
                self.refuse(Refusal::of(now.wall, peer, request, Some(status)).because(why, admit));
                return true;
            }
        };
        let allowed = Allowed {
            own: &self.own,
            profile,
        };
        let done = self
            .registrar
            .handle_register(now.mono, &user, request, source(peer), profile.nat, &allowed);
        match done {
            Ok(done) => self.registered(now, peer, request, done),
            Err(refused) => {
                self.endpoint
                    .reply(now.mono, *peer, request, refused.status, &refused.headers);
                let admit = match refused.status {
                    403 if refused.why.contains("REGISTER comes from") => format!(
                        "set nat = true in the profile `{0}` for phones behind NATs, or name the place in `destinations` there",
                        profile.name
                    ),
                    _ => "a REGISTER as RFC 3261 §10.2 has it".to_owned(),
                };
                self.refuse(Refusal::of(now.wall, peer, request, Some(refused.status)).because(refused.why, admit));
            }
        }
        true
    }

    /// The subscriber whose registrations these are: the one who proved who it is, named in To by its name or a number of its own at a
    /// domain of the profile's, or by an alias. Else status, why, and what would admit it: "if the address-of-record is not valid for
    /// the domain in the Request-URI, the registrar MUST send a 404" (§10.3 step 5).
    fn registered_as(&self, name: &str, request: &Message, profile: &Profile) -> Result<String, (u16, String, String)> {
        let to = request.to().ok().map(|to| to.uri);
        let record = to.as_ref().and_then(Uri::address_of_record);
        if record.is_some_and(|record| self.directory.has_alias(name, &record.to_string())) && self.directory.has(name)
        {
            return Ok(name.to_owned());
        }
        if let Some(to) = to.as_ref().filter(|to| !self.own.serves(to, &profile.domains)) {
            let host = to.host().map(ToString::to_string).unwrap_or_default();
            let why = format!("{host} of its To is no domain of the profile {}", profile.name);
            let admit = format!(
                "add \"{host}\" to `domains` in the profile `{}`, or set this server's domain on the phone",
                profile.name
            );
            return Err((404, why, admit));
        }
        let said = to.as_ref().and_then(Uri::user);
        let is_own = said.as_deref().is_some_and(|said| {
            let number = || profile.normalise(said).number;
            said == name || number().is_some_and(|number| self.directory.has_number(name, &number))
        });
        if is_own && self.directory.has(name) {
            return Ok(name.to_owned());
        }
        let why = format!("the user {name} may not register who its To names, or is no subscriber");
        let admit =
            "the address-of-record is the subscriber's own, whose password it is ('segue subscriber list')".to_owned();
        Err((403, why, admit))
    }

    fn registered(&mut self, now: Now, peer: &Peer, request: &Message, done: Registered) {
        let mut headers: Vec<(&str, String)> = done.contacts.into_iter().map(|contact| ("Contact", contact)).collect();
        headers.extend(done.path.into_iter().map(|hop| ("Path", hop)));
        headers.extend(date(now).map(|date| ("Date", date)));
        self.endpoint.reply(now.mono, *peer, request, 200, &headers);
        self.note_registrations(now, done.changes);
    }

    /// Has registrations kept, and tells who follows.
    pub(super) fn note_registrations(&mut self, now: Now, changes: Vec<Change>) {
        self.note_contacts(now, &changes);
        self.keep_open(now, &changes);
        let mut users: Vec<String> = changes.iter().map(|change| change.user.clone()).collect();
        users.sort();
        users.dedup();
        for user in users {
            let all = self
                .registrar
                .bindings(&user)
                .map(|bound| record(now, &user, bound))
                .collect();
            self.outputs.push_back(ShardOutput::Registrations(user, all));
        }
        for Change { user, what, binding } in changes {
            let facts = RegistrationFacts {
                user,
                contact: binding.contact.to_string(),
                source: binding.source.remote.to_string(),
                transport: binding.source.transport.as_str().to_owned(),
                user_agent: binding.user_agent,
            };
            let happening = match what {
                What::Added => Happening::RegistrationAdded(facts),
                What::Removed => Happening::RegistrationRemoved {
                    registration: facts,
                    why: "removed".to_owned(),
                },
                What::Expired => Happening::RegistrationRemoved {
                    registration: facts,
                    why: "expired".to_owned(),
                },
                What::Lost => Happening::RegistrationRemoved {
                    registration: facts,
                    why: "unreachable".to_owned(),
                },
                What::Refreshed => continue,
            };
            let event = Event::of_the_server(now.wall, happening);
            self.outputs.push_back(ShardOutput::Event(Box::new(event)));
        }
    }

    /// A look-up's answer with the callee's contacts in it, where it is called wherever it is registered.
    pub(super) fn reached(&mut self, now: Now, key: CallKey, reply: StoreReply) -> StoreReply {
        let StoreReply::Found(mut lookup) = reply else {
            return reply;
        };
        let busy = self.busy(key, &lookup.plan);
        if lookup.plan.asks_for_contacts() {
            // A group is where its members are.
            let group = &lookup.plan.mailbox;
            let all = std::iter::once(group).chain(self.directory.members(group));
            let all = all.filter(|user| !busy.members.contains_key(*user));
            let contacts: Vec<_> = all
                .flat_map(|user| {
                    self.registrar
                        .contacts(user, now.mono)
                        .into_iter()
                        .map(move |found| (user, found))
                })
                .collect();
            let whose = contacts
                .iter()
                .map(|(user, binding)| (binding.contact.to_string(), (*user).clone()));
            let whose = whose.collect();
            let contacts: Vec<_> = contacts.into_iter().map(|(_, binding)| binding).collect();
            let reaches = contacts
                .iter()
                .filter_map(|binding| Some((binding.contact.to_string(), Reach::of(binding)?)));
            if let Some(entry) = self.calls.get_mut(&key) {
                entry.reaches = reaches.collect();
                entry.engaged.whose = whose;
            }
            let contacts = contacts.iter().map(|binding| (binding.contact.to_string(), binding.q));
            lookup.plan.reach(contacts.collect());
        }
        if let Some(calls) = busy.for_all(&lookup.plan) {
            lookup.plan.engage(calls);
        }
        self.engage_callees(key, &lookup.plan);
        StoreReply::Found(lookup)
    }

    /// Whether a target of a call was a registered contact when the call came, and is one no more: its caller was held, or others rang
    /// before it.
    pub(super) fn is_unregistered(&self, now: Now, key: CallKey, target: &str) -> bool {
        let owner = self.calls.get(&key).and_then(|entry| entry.engaged.whose.get(target));
        owner.is_some_and(|user| {
            let mut bound = self.registrar.contacts(user, now.mono).into_iter();
            !bound.any(|binding| binding.contact.to_string() == target)
        })
    }

    /// Subscribers, numbers or passwords have changed.
    pub fn handle_directory(&mut self, directory: Directory) {
        self.admission.know(&directory);
        self.directory = directory;
        self.end_subscriptions();
    }

    /// An operator wants a subscriber's registrations gone: one, or all.
    pub fn handle_removal(&mut self, now: Now, user: &str, contact: Option<&str>) {
        let contact: Option<Option<Uri>> = contact.map(|contact| contact.parse().ok());
        let changes = match contact {
            None => self.registrar.remove(user, None),
            Some(Some(contact)) => self.registrar.remove(user, Some(&contact)),
            Some(None) => Vec::new(),
        };
        self.note_registrations(now, changes);
    }

    /// Registrations of before the start.
    pub fn restore_registrations(&mut self, now: Now, kept: Vec<RegistrationRecord>) {
        let (mut changes, mut users) = (Vec::new(), BTreeSet::new());
        for record in kept {
            let user = record.user.clone();
            if let Some(binding) = binding(now, record) {
                self.registrar.restore(&user, binding.clone());
                users.insert(user.clone());
                let what = What::Refreshed;
                changes.push(Change { user, what, binding });
            }
        }
        self.keep_open(now, &changes);
        self.review_registrations(now);
        // What was committed when nobody could tell them any more, they are told now.
        for user in users {
            if self.unasked(now, &user).next().is_some() {
                self.outputs.push_back(ShardOutput::CountMessages(user));
            }
        }
    }

    /// Takes back what would not be admitted now: whatever was written to the store, and whatever the profiles were.
    pub(super) fn review_registrations(&mut self, now: Now) {
        let (admission, own) = (&self.admission, &self.own);
        let changes = self.registrar.retain(|binding| {
            let profile = admission.profile_for(&way_back(&binding.source));
            let Ok(profile) = profile.as_deref() else { return false };
            profile.registrar && binding.may_be_called(&Allowed { own, profile })
        });
        self.note_registrations(now, changes);
    }
}

fn date(now: Now) -> Option<String> {
    let at = OffsetDateTime::from_unix_timestamp(now.wall.0.div_euclid(1_000)).ok()?;
    at.format(DATE).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use segue_records::UnixMs;

    use super::*;

    #[test]
    fn dates_are_written_as_rfc_1123_has_them() {
        let wall = UnixMs(1_289_690_940_999);
        let mono = Instant::now();
        assert_eq!(
            date(Now { mono, wall }).as_deref(),
            Some("Sat, 13 Nov 2010 23:29:00 GMT")
        );
    }
}
