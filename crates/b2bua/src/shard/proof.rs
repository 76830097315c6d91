//! Who must prove who it is before it calls (RFC 3261 §22.1).

use segue_call::Now;
use segue_policy::{Auth, Emergency, Profile};
use segue_sip::{Peer, Proof, names_callee};
use segue_sip_wire::{Message, Method};

use super::Shard;
use crate::{Refusal, emergency};

impl Shard {
    /// Whether a new INVITE was answered here, as its profile demands credentials and it has none that hold. ACK and CANCEL "MUST NOT"
    /// be challenged (§22.1), and requests within a dialog are known by its tags.
    pub(super) fn is_unproven(
        &mut self,
        now: Now,
        peer: &Peer,
        request: &Message,
        profile: &std::sync::Arc<Profile>,
    ) -> bool {
        let Some(realm) = self.admission.realm(profile) else {
            return false;
        };
        if profile.auth != Auth::Digest {
            return false;
        }
        // Who calls for help is refused for nothing; who calls back has to prove it as others do.
        // Who asks what an INVITE would get is answered as that.
        let is_new = request.to().is_ok_and(|to| to.tag().is_none());
        let asks = request.method() == Some(&Method::Options) && names_callee(request) && is_new;
        let begins = request.method() == Some(&Method::Invite) || asks && !self.closing;
        if !begins || emergency::called(request, profile) == Some(Emergency::Call) {
            return false;
        }
        match self.guard.check(now.mono, peer.remote.ip(), request, &realm) {
            Proof::Given(name) => {
                self.proven = Some(name);
                false
            }
            other => {
                self.refuse_unproven(now, peer, request, profile, other);
                true
            }
        }
    }

    /// Asks for credentials, or says why those that came do not hold.
    pub(super) fn refuse_unproven(
        &mut self,
        now: Now,
        peer: &Peer,
        request: &Message,
        profile: &Profile,
        proof: Proof,
    ) {
        let (status, headers, why) = match proof {
            Proof::Given(_) => return,
            Proof::Wanted { challenges, failed } => {
                let headers = challenges
                    .into_iter()
                    .map(|value| ("WWW-Authenticate", value))
                    .collect();
                let why = failed.then(|| "its credentials are wrong".to_owned());
                (401, headers, why)
            }
            Proof::OfAnother(user) => {
                let why = format!("the user {user} may not call as who its From says");
                (403, Vec::new(), Some(why))
            }
            Proof::TooMany(wait) => {
                // Rounded up: who comes at that moment is not too early.
                let seconds = wait.as_secs().saturating_add(1).to_string();
                let why = "too many of its credentials were wrong: it has to wait".to_owned();
                (500, vec![("Retry-After", seconds)], Some(why))
            }
        };
        self.endpoint.turn_away(*peer, request, status, &headers);
        // To be asked is no refusal.
        if let Some(why) = why {
            let admit = format!(
                "see 'segue subscriber set USER --password-file', and `auth_users` of the profile `{}`",
                profile.name
            );
            self.refuse(Refusal::of(now.wall, peer, request, Some(status)).because(why, admit));
        }
    }
}
