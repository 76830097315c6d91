//! Servers that are named, asked for beside what goes on.

use segue_sip::Place;

use super::Performer;
use crate::{CallKey, inbox::Note};

impl Performer {
    /// Where a call goes.
    pub(super) fn resolve(&mut self, key: CallKey, place: Place, seed: u64) {
        let (inbox, resolver) = (self.inbox.clone(), self.resolver.clone());
        self.tasks.spawn(async move {
            let servers = resolver.locate(&place, seed).await.unwrap_or_else(|why| {
                tracing::warn!(%why, "a callee is not reached: see the name in its target, or sip.nameservers");
                Vec::new()
            });
            inbox.put(key, Note::Resolved(key, place, servers));
        });
    }

    /// Where the servers of a trunk are.
    pub(super) fn locate(&mut self, place: Place, seed: u64) {
        let (inbox, resolver) = (self.inbox.clone(), self.resolver.clone());
        self.tasks.spawn(async move {
            let servers = resolver.locate(&place, seed).await.unwrap_or_else(|why| {
                tracing::warn!(%why, "servers of a trunk, or of a text, are not found: see `servers` of the trunk, or sip.nameservers");
                Vec::new()
            });
            inbox.located(place, servers);
        });
    }
}
