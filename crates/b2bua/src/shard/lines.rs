//! Our registrations with the providers of trunks: REGISTER as they want it, and who is told of it. And what comes from them.

use std::sync::Arc;

use segue_call::{Incoming, Now};
use segue_policy::Profile;
use segue_records::{Event as Happened, Happening};
use segue_sip::{Peer, RegistrationId, Standing};
use segue_sip_wire::Message;

use super::{Shard, ShardOutput};
use crate::{
    TrunkSetup, outside,
    trunks::{Asking, Stands, Wish},
};

impl Shard {
    /// Sends a REGISTER; what follows where that cannot be.
    pub(super) fn say_register(&mut self, now: Now, asking: Asking) -> Vec<Wish> {
        let registration = match asking.registration {
            Some(registration) => registration,
            None => self.endpoint.open_registration(asking.account),
        };
        let contact = self
            .endpoint
            .register(now.mono, registration, asking.at, &asking.register);
        self.trunks.register_sent(now.mono, asking.line, registration, contact)
    }

    pub(super) fn register_answered(&mut self, now: Now, registration: RegistrationId, response: Option<&Message>) {
        let realm = self.endpoint.realm_of(registration).map(str::to_owned);
        let wishes = self
            .trunks
            .register_answered(now.mono, registration, response, realm.as_deref());
        self.fulfil(now, wishes);
        self.tend_trunks(now);
    }

    pub(super) fn tell_line(&mut self, now: Now, stands: Stands) {
        let trunk = stands.trunk.to_string();
        let (identity, why) = (stands.identity, stands.why);
        let what = match stands.standing {
            Standing::Registered => {
                tracing::info!(trunk, identity, why, "registered with the provider of a trunk");
                let server = stands.server.map(|at| at.remote.to_string()).unwrap_or_default();
                Happening::TrunkRegistered {
                    trunk,
                    server,
                    identity,
                    why,
                }
            }
            state => {
                match state {
                    Standing::Refused => tracing::error!(
                        trunk,
                        identity,
                        why,
                        "the provider of a trunk will not have us register: no calls come from it; see user, digest_user and digest_secret \
                         of the trunk. It is asked again in an hour, or by 'segue trunk test'"
                    ),
                    Standing::Left => tracing::info!(trunk, identity, why, "left the provider of a trunk"),
                    _ => tracing::warn!(
                        trunk,
                        identity,
                        why,
                        "not registered with the provider of a trunk: no calls come from it; it is asked again"
                    ),
                }
                Happening::TrunkUnregistered {
                    trunk,
                    state: state.as_str().to_owned(),
                    was: stands.was.as_str().to_owned(),
                    identity,
                    why,
                }
            }
        };
        let event = Happened::of_the_server(now.wall, what);
        self.outputs.push_back(ShardOutput::Event(Box::new(event)));
    }

    /// Takes back all registrations with providers, as no new calls are taken any more.
    pub fn leave_providers(&mut self, now: Now) {
        self.trunks.leave(now.mono);
        self.tend_trunks(now);
    }

    /// Whether such a registration is still to be taken back.
    pub fn is_leaving(&self) -> bool {
        self.trunks.is_leaving()
    }

    /// The trunks that commands have added, all of them.
    pub fn handle_trunks(&mut self, now: Now, kept: Vec<TrunkSetup>) {
        self.kept_trunks = kept;
        self.set_trunks();
        self.tend_trunks(now);
    }

    /// Those of the configuration, which count where both name one, and those of commands.
    pub(super) fn set_trunks(&mut self) {
        let mut all = self.admission.trunks().to_vec();
        for kept in &self.kept_trunks {
            if all.iter().any(|known| known.trunk.name == kept.trunk.name) {
                tracing::error!(
                    trunk = kept.trunk.name,
                    "a trunk stands in segue.toml and was added by 'segue trunk add': that of segue.toml counts"
                );
                continue;
            }
            all.push(kept.clone());
        }
        self.trunks.set(&all);
        self.endpoint.set_down(self.trunks.down());
    }

    /// Somebody wants to know at once how a trunk is: its servers are pinged, and it registers anew.
    pub fn ask_trunk(&mut self, now: Now, trunk: &str) {
        self.trunks.ping_now(now.mono, trunk);
        self.register_now(now, trunk);
    }

    /// Registers with the provider of a trunk at once. False: there is none of this name that registers.
    pub fn register_now(&mut self, now: Now, trunk: &str) -> bool {
        let registers = self.trunks.register_now(now.mono, trunk);
        self.tend_trunks(now);
        registers
    }

    /// The profile that holds for a request: that of the trunk whose server sends it, or that knows it by our registered Contact;
    /// else by its source, else that of the trunk whose server has the same address.
    ///
    /// # Errors
    /// None does: why, and the line that would admit it.
    pub(super) fn profile_of(&self, peer: &Peer, request: &Message) -> Result<Arc<Profile>, (String, String)> {
        let of_trunk = |name: &str| {
            let profile = &self.trunks.setup(name)?.trunk.profile;
            self.admission.named(profile, peer)
        };
        let user = request.request_uri().and_then(|uri| uri.user());
        let user = user.as_deref();
        let known = self.trunks.known_by(user).or_else(|| self.trunks.at(peer.remote, user));
        if let Some(profile) = known.and_then(|name| of_trunk(name)) {
            return Ok(profile);
        }
        self.admission.profile_for(peer).or_else(|refused| {
            let near = self.trunks.near(peer.remote.ip(), user);
            near.and_then(|name| of_trunk(name)).ok_or(refused)
        })
    }

    /// The trunk that a call came by; whom it is for is read where its provider says it.
    pub(super) fn came_by(&self, peer: &Peer, invite: &Message, incoming: &mut Incoming) -> Option<Arc<str>> {
        let user = incoming.request_uri.user().map(std::borrow::Cow::into_owned);
        let user = user.as_deref();
        let name = self.trunks.known_by(user);
        let name = name.or_else(|| self.trunks.at(peer.remote, user));
        // By the machine alone only who says so: what else sends calls from there may be anybody's.
        let says_so = |name: &&Arc<str>| {
            let has_profile = self
                .trunks
                .setup(name)
                .is_some_and(|setup| !setup.trunk.profile.is_empty());
            has_profile || self.trunks.line(name).is_some()
        };
        let near = || self.trunks.near(peer.remote.ip(), user).filter(says_so);
        let name = Arc::clone(name.or_else(near)?);
        // Phones may be where a trunk's server is: it is a call of the trunk's where its profile holds.
        let trunk = &self.trunks.setup(&name)?.trunk;
        let is_contact =
            user.is_some_and(|user| self.trunks.line(&name).is_some_and(|line| line.is_contact_user(user)));
        if !is_contact && !trunk.profile.is_empty() && incoming.profile.name != trunk.profile {
            return None;
        }
        if let Some(callee) = outside::callee(trunk, invite, is_contact) {
            incoming.request_uri = callee;
        }
        Some(name)
    }

    /// Whether a request names our registered Contact.
    pub(super) fn is_our_contact(&self, request: &Message) -> bool {
        let user = request.request_uri().and_then(|uri| uri.user());
        user.is_some_and(|user| self.trunks.is_contact_user(&user))
    }
}
