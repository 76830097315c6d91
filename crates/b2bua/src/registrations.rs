//! Registrations between the registrar, which knows moments and URIs, and the store, which keeps words; and what the registrar knows
//! of subscribers.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use segue_call::Now;
use segue_policy::{AccountCaps, Profile, Zone};
use segue_records::{RegistrationRecord, UnixMs};
use segue_registrar::{Binding, Places, Source, Transport};
use segue_sip::{FlowId, Hashes, Peer, Protocol, Secret, User};
use segue_sip_wire::{Host, Uri};

use crate::own::Own;

/// Opens what the store keeps sealed.
pub trait Unseal: Send + Sync {
    /// What a subscriber's password is checked by in a realm; `None`: it was sealed with another key, or changed since.
    fn unseal(&self, user: &str, realm: &str, sealed: &[u8]) -> Option<String>;
}

/// The subscribers, as far as the registrar needs them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    subscribers: BTreeMap<String, Known>,
    /// Who has a number.
    owners: BTreeMap<String, String>,
}

/// One of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Known {
    numbers: Vec<String>,
    aliases: Vec<String>,
    /// By realm.
    hashes: BTreeMap<String, Hashes>,
    caps: AccountCaps,
    zone: Zone,
    members: Vec<String>,
}

impl Directory {
    /// From what the store keeps.
    pub fn of(kept: segue_store::Directory, keys: &dyn Unseal) -> Directory {
        let known = |listed: segue_store::Listed| {
            let user = listed.user;
            let open = |(realm, sealed): (String, Vec<u8>)| {
                let hashes = keys.unseal(&user, &realm, &sealed);
                match hashes.and_then(|text| Hashes::from_text(&text)) {
                    Some(hashes) => Some((realm, hashes)),
                    None => {
                        tracing::error!(
                            user,
                            realm,
                            "a password cannot be opened: set it again by 'segue subscriber set USER --password-file'"
                        );
                        None
                    }
                }
            };
            let hashes = listed.secrets.into_iter().filter_map(open).collect();
            let numbers = listed.numbers;
            let known = Known {
                numbers,
                aliases: listed.aliases,
                hashes,
                caps: listed.caps,
                zone: listed.zone,
                members: listed.members,
            };
            (user.clone(), known)
        };
        let owned = |listed: &segue_store::Listed| {
            let user = listed.user.clone();
            listed
                .numbers
                .clone()
                .into_iter()
                .map(move |number| (number, user.clone()))
        };
        Directory {
            owners: kept.subscribers.iter().flat_map(owned).collect(),
            subscribers: kept.subscribers.into_iter().map(known).collect(),
        }
    }

    /// Who is in a group.
    pub(crate) fn members(&self, group: &str) -> &[String] {
        self.subscribers.get(group).map_or(&[], |known| &known.members)
    }

    /// Whether somebody is a subscriber.
    pub(crate) fn has(&self, user: &str) -> bool {
        self.subscribers.contains_key(user)
    }

    /// Whether this is a number of theirs.
    pub(crate) fn has_number(&self, user: &str, number: &str) -> bool {
        let known = self.subscribers.get(user);
        known.is_some_and(|known| known.numbers.iter().any(|own| own == number))
    }

    /// Whether this address, in canonical form, is one of theirs.
    pub(crate) fn has_alias(&self, user: &str, alias: &str) -> bool {
        let known = self.subscribers.get(user);
        known.is_some_and(|known| known.aliases.iter().any(|own| own == alias))
    }

    /// How much somebody may call, and by which clock; who is no subscriber has what the profile says, and UTC.
    pub(crate) fn account(&self, user: &str) -> (AccountCaps, Zone) {
        let known = self.subscribers.get(user);
        known.map(|known| (known.caps, known.zone.clone())).unwrap_or_default()
    }

    /// The number by which a subscriber is known outside: `user` is their name, or a number of theirs, which it stays.
    pub(crate) fn number_of(&self, user: &str, number: Option<&str>) -> Option<String> {
        let own = self.subscribers.get(user).map(|known| &known.numbers);
        if let Some(own) = own {
            return own.first().cloned();
        }
        number
            .filter(|number| self.owners.contains_key(*number))
            .map(str::to_owned)
    }

    /// Whose number this is, in E.164.
    pub(crate) fn owner_of(&self, number: &str) -> Option<&str> {
        self.owners.get(number).map(String::as_str)
    }

    /// Who has a password in a realm; each may call as itself and by its numbers.
    pub(crate) fn users(&self, realm: &str) -> impl Iterator<Item = (&String, User)> {
        self.subscribers.iter().filter_map(move |(name, known)| {
            let hashes = known.hashes.get(realm)?.clone();
            let from = std::iter::once(name).chain(&known.numbers).cloned().collect();
            let secret = Secret::Hashes(hashes);
            Some((name, User { secret, from }))
        })
    }
}

/// Where subscribers of a profile may be called that register from elsewhere.
pub(crate) struct Allowed<'a> {
    pub own: &'a Own,
    pub profile: &'a Profile,
}

impl Places for Allowed<'_> {
    fn is_here(&self, uri: &Uri) -> bool {
        self.own.is_here(uri)
    }

    fn admits(&self, uri: &Uri) -> bool {
        let host = match uri.host() {
            Some(Host::V6(ip)) => ip.to_string(),
            Some(host) => host.to_string(),
            None => return false,
        };
        self.profile.destinations.iter().any(|to| to.admits_place(&host))
    }
}

/// Where a request came from, as the registrar keeps it.
pub(crate) fn source(peer: &Peer) -> Source {
    Source {
        transport: match peer.protocol {
            Protocol::Udp => Transport::Udp,
            Protocol::Tcp => Transport::Tcp,
            Protocol::Tls => Transport::Tls,
        },
        local: peer.local,
        remote: peer.remote,
        flow: peer.flow.map(|flow| flow.0),
    }
}

/// The way back there.
pub(crate) fn peer(source: &Source) -> Peer {
    Peer {
        protocol: match source.transport {
            Transport::Udp => Protocol::Udp,
            Transport::Tcp => Protocol::Tcp,
            Transport::Tls => Protocol::Tls,
        },
        local: source.local,
        remote: source.remote,
        flow: source.flow.map(FlowId),
    }
}

/// As it is kept.
pub(crate) fn record(now: Now, user: &str, binding: &Binding) -> RegistrationRecord {
    let left = binding.until.saturating_duration_since(now.mono).as_millis();
    let left = i64::try_from(left).unwrap_or(i64::MAX);
    RegistrationRecord {
        user: user.to_owned(),
        contact: binding.contact.to_string(),
        q: binding.q,
        expires_at: UnixMs(now.wall.0.saturating_add(left)),
        sip_call_id: binding.call_id.clone(),
        cseq: binding.cseq,
        instance: binding.instance.clone(),
        reg_id: binding.reg_id,
        path: binding.path.clone(),
        user_agent: binding.user_agent.clone(),
        transport: binding.source.transport.as_str().to_owned(),
        local: binding.source.local.to_string(),
        source: binding.source.remote.to_string(),
        by_source: binding.by_source,
    }
}

/// From what was kept; `None`: it has expired, or no longer reads.
pub(crate) fn binding(now: Now, record: RegistrationRecord) -> Option<Binding> {
    let left = u64::try_from(record.expires_at.0.saturating_sub(now.wall.0)).ok()?;
    Some(Binding {
        contact: record.contact.parse().ok()?,
        q: record.q,
        until: after(now.mono, left).filter(|_| left > 0)?,
        call_id: record.sip_call_id,
        cseq: record.cseq,
        instance: record.instance,
        reg_id: record.reg_id,
        path: record.path,
        user_agent: record.user_agent,
        source: Source {
            transport: record.transport.parse().ok()?,
            local: record.local.parse().ok()?,
            remote: record.source.parse().ok()?,
            // Connections end with the process.
            flow: None,
        },
        by_source: record.by_source,
    })
}

fn after(now: Instant, ms: u64) -> Option<Instant> {
    now.checked_add(Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_reads_as_it_was_and_lasts_as_long() {
        let now = Now {
            mono: Instant::now(),
            wall: UnixMs(1_000_000),
        };
        let bound = Binding {
            contact: "sip:bob@10.0.0.7:5070;transport=tcp".parse().unwrap(),
            q: 500,
            until: now.mono + Duration::from_secs(60),
            call_id: "c".to_owned(),
            cseq: 7,
            instance: Some("\"<urn:uuid:1>\"".to_owned()),
            reg_id: Some(2),
            path: vec!["<sip:a;lr>".to_owned(), "<sip:b;lr>".to_owned()],
            user_agent: Some("phone".to_owned()),
            source: Source {
                transport: Transport::Tcp,
                local: "192.0.2.1:5060".parse().unwrap(),
                remote: "[2001:db8::7]:40000".parse().unwrap(),
                flow: None,
            },
            by_source: true,
        };
        let kept = record(now, "bob", &bound);
        assert_eq!(kept.expires_at, UnixMs(1_060_000));
        assert_eq!(binding(now, kept.clone()), Some(bound.clone()));
        // The clock on the wall goes on while we are away.
        let later = Now {
            mono: now.mono + Duration::from_secs(5),
            wall: UnixMs(1_050_000),
        };
        let back = binding(later, kept.clone()).unwrap();
        assert_eq!(back.until, later.mono + Duration::from_secs(10));
        let too_late = Now {
            wall: UnixMs(1_060_000),
            ..later
        };
        assert_eq!(binding(too_late, kept), None);
    }
}
