//! Who a caller has proven to be.

use segue_call::Incoming;
use segue_sip::Peer;

use super::Shard;
use crate::registrations::source;

/// Whether a call is to one of our services.
pub(super) fn dials_service(incoming: &Incoming) -> bool {
    let user = incoming.request_uri.user();
    let dialled = user.map_or_else(|| incoming.request_uri.to_string(), |user| user.into_owned());
    incoming.profile.service(&dialled).is_some()
}

impl Shard {
    /// The subscriber whom the INVITE's credentials prove; or the one whom its From names and who has registered from there: by the same
    /// connection, or the same address and port.
    pub(super) fn caller_is(&self, given: Option<String>, peer: &Peer, incoming: &Incoming) -> Option<String> {
        if let Some(name) = given {
            return self.directory.has(&name).then_some(name);
        }
        if !incoming.profile.registrar {
            return None;
        }
        let said = incoming.from.user()?.into_owned();
        let name = match self.directory.has(&said) {
            true => said,
            false => {
                let number = incoming.profile.normalise(&incoming.from.to_string()).number?;
                self.directory.owner_of(&number)?.to_owned()
            }
        };
        let here = source(peer);
        let is_here = |from: &segue_registrar::Source| {
            from.transport == here.transport && from.remote == here.remote && from.flow == here.flow
        };
        let registered = self.registrar.bindings(&name).any(|bound| is_here(&bound.source));
        registered.then_some(name)
    }
}
