//! Where the servers are that a call goes to by name: asked for once a call, elsewhere, since a name server may be slow.

use std::collections::BTreeMap;

use segue_sip::{Candidate, Place};

/// What is known of the places of one call.
#[derive(Debug, Default)]
pub(crate) struct Places(BTreeMap<Place, Known>);

/// What is known of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// Its servers are being asked for.
    Asked,
    /// Its servers, in order; nobody: it is nowhere.
    At(Vec<Candidate>),
}

impl Places {
    /// What is known of this place; `None`: it is to be asked for, and counts as asked from now on.
    pub(crate) fn look_up(&mut self, place: &Place) -> Option<Known> {
        let known = self.0.get(place).cloned();
        if known.is_none() {
            self.0.insert(place.clone(), Known::Asked);
        }
        known
    }

    pub(crate) fn found(&mut self, place: Place, servers: Vec<Candidate>) {
        self.0.insert(place, Known::At(servers));
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
        assert_eq!(Some(&place), of("sip:eve@pbx.example.com").as_ref());
        // An explicit port wants no SRV records (RFC 3263 §4.2).
        assert_ne!(Some(&place), of("sip:eve@pbx.example.com:5060").as_ref());
        let mut places = Places::default();
        assert_eq!(places.look_up(&place), None);
        assert_eq!(places.look_up(&place), Some(Known::Asked));
        places.found(place.clone(), Vec::new());
        assert_eq!(places.look_up(&place), Some(Known::At(Vec::new())));
    }
}
