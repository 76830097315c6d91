//! How registered contacts are reached: by their Path, where their REGISTER came from, or by their own URI.

use std::net::SocketAddr;

use segue_registrar::Binding;
use segue_sip::{Candidate, Outgoing, Peer};
use segue_sip_wire::Uri;

use crate::registrations::peer;

/// The way to one contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Through these, first hop first (RFC 3327 §5.3).
    Path(Vec<Uri>),
    /// Where its REGISTER came from.
    Source(Peer),
}

impl Reach {
    /// Of a binding; `None`: its own URI says it.
    pub(crate) fn of(binding: &Binding) -> Option<Reach> {
        match (binding.by_source, binding.route()) {
            (true, _) => Some(Reach::Source(peer(&binding.source))),
            (false, path) if !path.is_empty() => Some(Reach::Path(path)),
            (false, _) => None,
        }
    }

    /// Sends an INVITE that way, and no other.
    pub(crate) fn apply(&self, outgoing: &mut Outgoing) {
        outgoing.hop = None;
        match self {
            Reach::Path(route) => outgoing.route.clone_from(route),
            Reach::Source(peer) => {
                outgoing.route.clear();
                outgoing.candidates = vec![Candidate {
                    protocol: peer.protocol,
                    remote: peer.remote,
                }];
                outgoing.back_to = Some(*peer);
            }
        }
    }

    /// The address that it begins with, where that is known.
    pub(crate) fn remote(&self) -> Option<SocketAddr> {
        match self {
            Reach::Path(_) => None,
            Reach::Source(peer) => Some(peer.remote),
        }
    }
}
