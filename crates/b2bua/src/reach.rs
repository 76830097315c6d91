//! How registered contacts are reached: by their Path, where their REGISTER came from, or by their own URI.

use std::net::{IpAddr, SocketAddr};

use segue_registrar::Binding;
use segue_sip::{Candidate, Outgoing, Peer};
use segue_sip_wire::{Host, Uri};

use crate::registrations::peer;

/// The way to one contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Through these, first hop first (RFC 3327 §5.3).
    Path(Vec<Uri>),
    /// Where its REGISTER came from.
    Source {
        /// There.
        peer: Peer,
        /// Its contact says another address: there is a NAT between, and its SDP will be as wrong.
        behind_nat: bool,
    },
}

impl Reach {
    /// Of a binding; `None`: its own URI says it.
    pub(crate) fn of(binding: &Binding) -> Option<Reach> {
        match (binding.by_source, binding.route()) {
            (true, _) => {
                let peer = peer(&binding.source);
                let said = binding.contact.host().and_then(Host::ip);
                let behind_nat = said.is_some_and(|said| said.to_canonical() != peer.remote.ip().to_canonical());
                Some(Reach::Source { peer, behind_nat })
            }
            (false, path) if !path.is_empty() => Some(Reach::Path(path)),
            (false, _) => None,
        }
    }

    /// Sends an INVITE that way, and no other.
    pub(crate) fn apply(&self, outgoing: &mut Outgoing) {
        outgoing.hop = None;
        match self {
            Reach::Path(route) => outgoing.route.clone_from(route),
            Reach::Source { peer, .. } => {
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
            Reach::Source { peer, .. } => Some(peer.remote),
        }
    }

    /// Where its media comes from and goes to, whatever its SDP says.
    pub(crate) fn media_source(&self) -> Option<IpAddr> {
        match self {
            Reach::Source { peer, behind_nat: true } => Some(peer.remote.ip()),
            Reach::Source { .. } | Reach::Path(_) => None,
        }
    }
}
