//! Where targets are whose hosts are names: asked for once a call, elsewhere, since a name server may be slow.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, ToSocketAddrs},
};

use segue_sip_wire::{Host, Uri};

/// A host name and port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    name: String,
    port: u16,
}

/// What is known of the places of one call.
#[derive(Debug, Default)]
pub(crate) struct Places(BTreeMap<Place, Known>);

/// What is known of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Its address is being asked for.
    Asked,
    /// Its address; `None`: it has none.
    At(Option<SocketAddr>),
}

impl Place {
    /// The place of a target; `None` when its host is an address.
    pub fn of(target: &Uri) -> Option<Place> {
        let Some(Host::Name(name)) = target.host() else {
            return None;
        };
        Some(Place {
            name: name.to_ascii_lowercase(),
            port: target.port().unwrap_or(if target.wants_tls() { 5061 } else { 5060 }),
        })
    }

    /// Its address by the system's resolver (blocking).
    pub fn resolve(&self) -> Option<SocketAddr> {
        (self.name.as_str(), self.port).to_socket_addrs().ok()?.next()
    }
}

impl Places {
    /// What is known of this place; `None`: it is to be asked for, and counts as asked from now on.
    pub(crate) fn look_up(&mut self, place: &Place) -> Option<Known> {
        let known = self.0.get(place).copied();
        if known.is_none() {
            self.0.insert(place.clone(), Known::Asked);
        }
        known
    }

    pub(crate) fn found(&mut self, place: Place, at: Option<SocketAddr>) {
        self.0.insert(place, Known::At(at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_asked_for_once_and_addresses_never() {
        let of = |uri: &str| Place::of(&uri.parse().unwrap());
        assert_eq!(of("sip:bob@192.0.2.1"), None);
        assert_eq!(of("sip:bob@[2001:db8::1]:5070"), None);
        let place = of("sip:bob@PBX.example.com").unwrap();
        assert_eq!(Some(&place), of("sip:eve@pbx.example.com:5060").as_ref());
        assert_eq!(of("sips:bob@pbx.example.com"), of("sip:bob@pbx.example.com:5061"));
        let mut places = Places::default();
        assert_eq!(places.look_up(&place), None);
        assert_eq!(places.look_up(&place), Some(Known::Asked));
        places.found(place.clone(), None);
        assert_eq!(places.look_up(&place), Some(Known::At(None)));
    }
}
