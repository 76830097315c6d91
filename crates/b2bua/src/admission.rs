//! Which profile admits a request: the first that matches by listening socket, then by source. Nobody else gets an answer.
//! And which one holds for where a request of ours goes.

use std::{net::IpAddr, sync::Arc};

use segue_policy::Profile;
use segue_sip::{Account, Peer, Realm};

use crate::{TrunkSetup, registrations::Directory};

/// The profiles, in order.
#[derive(Debug, Clone)]
pub struct Admission {
    profiles: Vec<Arc<Profile>>,
    /// What each keeps secret, where it has something.
    secrets: Vec<Secrets>,
    /// Where calls may go on by.
    trunks: Vec<TrunkSetup>,
    /// Who may call and register, of each: those of its file, and the subscribers.
    realms: Vec<Option<Arc<Realm>>>,
}

/// What a profile names and others may not read.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// Our credentials for its peers.
    pub account: Option<Arc<Account>>,
    /// Who may call, where callers must prove who they are.
    pub realm: Option<Arc<Realm>>,
}

impl Admission {
    /// `profiles` are tried in this order.
    pub fn new(profiles: Vec<Arc<Profile>>) -> Admission {
        Admission {
            profiles,
            secrets: Vec::new(),
            realms: Vec::new(),
            trunks: Vec::new(),
        }
    }

    /// The same, with the trunks that profiles may name as their next hop.
    #[must_use]
    pub fn with_trunks(self, trunks: Vec<TrunkSetup>) -> Admission {
        Admission { trunks, ..self }
    }

    /// The profiles, in order.
    pub(crate) fn profiles(&self) -> &[Arc<Profile>] {
        &self.profiles
    }

    /// All trunks.
    pub(crate) fn trunks(&self) -> &[TrunkSetup] {
        &self.trunks
    }

    /// The same, with what each profile keeps secret, in the same order.
    #[must_use]
    pub fn with_secrets(self, secrets: Vec<Secrets>) -> Admission {
        let realms = secrets.iter().map(|secrets| secrets.realm.clone()).collect();
        Admission {
            secrets,
            realms,
            ..self
        }
    }

    /// From now on these subscribers have their passwords in each realm. One who stands in a profile's file too has that of the
    /// subscriber, and may call as whom the file says.
    pub(crate) fn know(&mut self, directory: &Directory) {
        let with = |secrets: &Secrets| {
            let mut realm = Realm::clone(secrets.realm.as_ref()?);
            for (name, mut user) in directory.users(&realm.name) {
                if let Some(of_file) = realm.users.get(name).filter(|user| !user.from.is_empty()) {
                    user.from.extend(of_file.from.iter().cloned());
                }
                realm.users.insert(name.clone(), user);
            }
            Some(Arc::new(realm))
        };
        self.realms = self.secrets.iter().map(with).collect();
    }

    /// Our credentials for the peers of this profile.
    pub(crate) fn account(&self, profile: &Arc<Profile>) -> Option<Arc<Account>> {
        self.secrets_of(profile)?.account.clone()
    }

    /// Who of this profile's peers may call; `None`: all of them.
    pub(crate) fn realm(&self, profile: &Arc<Profile>) -> Option<Arc<Realm>> {
        self.realms.get(self.place_of(profile)?)?.clone()
    }

    /// The profile of this name, where it serves the listening socket that a request came to.
    pub(crate) fn named(&self, name: &str, peer: &Peer) -> Option<Arc<Profile>> {
        let local = peer.local.to_string();
        let serves = |profile: &Profile| profile.listen.is_empty() || profile.listen.contains(&local);
        let mut profiles = self.profiles.iter();
        profiles
            .find(|profile| profile.name == name && serves(profile))
            .cloned()
    }

    fn secrets_of(&self, profile: &Arc<Profile>) -> Option<&Secrets> {
        self.secrets.get(self.place_of(profile)?)
    }

    fn place_of(&self, profile: &Arc<Profile>) -> Option<usize> {
        self.profiles.iter().position(|known| Arc::ptr_eq(known, profile))
    }

    /// The profile for a request, or the line that would make one match.
    pub fn profile_for(&self, peer: &Peer) -> Result<Arc<Profile>, (String, String)> {
        let (local, source) = (peer.local.to_string(), peer.remote.ip());
        if let Some(profile) = self.profiles.iter().find(|p| p.matches(&local, source)) {
            return Ok(Arc::clone(profile));
        }
        let served = self
            .profiles
            .iter()
            .find(|p| p.listen.is_empty() || p.listen.contains(&local));
        Err(match served {
            Some(profile) => (
                format!("no profile that serves {local} trusts the source {source}"),
                format!(
                    "add \"{source}\" to `sources` in the profile `{}`: sources = [{}]",
                    profile.name,
                    {
                        let mut nets: Vec<String> = profile.sources.iter().map(|n| format!("\"{n}\"")).collect();
                        nets.push(format!("\"{}\"", host_net(source)));
                        nets.join(", ")
                    }
                ),
            ),
            None => (
                format!("no profile serves the listening socket {local}"),
                format!("add \"{local}\" to `listen` in a profile, or leave `listen` out to serve all"),
            ),
        })
    }

    /// The profile of B's side: the first whose `sources` has the address that B's request goes to. None: that side is not trusted,
    /// and has the call's other settings.
    pub fn profile_towards(&self, address: IpAddr) -> Option<&Arc<Profile>> {
        self.profiles.iter().find(|profile| profile.has(address))
    }

    /// Whether who is at this address is in our trust domain (RFC 3325 §2.3).
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.profile_towards(address).is_some_and(|profile| profile.trusted)
    }
}

/// The network that holds just this address.
fn host_net(ip: IpAddr) -> String {
    format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 })
}

#[cfg(test)]
mod tests {
    use segue_sip::Protocol;

    use super::*;

    fn profile(name: &str, listen: &[&str], sources: &[&str]) -> Arc<Profile> {
        Arc::new(Profile {
            name: name.to_owned(),
            listen: listen.iter().map(|l| (*l).to_owned()).collect(),
            sources: sources.iter().map(|s| s.parse().unwrap()).collect(),
            ..Profile::default()
        })
    }

    fn peer(local: &str, remote: &str) -> Peer {
        Peer {
            protocol: Protocol::Udp,
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
            flow: None,
        }
    }

    #[test]
    fn the_listening_socket_chooses_before_the_source() {
        let admission = Admission::new(vec![
            profile("trunk", &["127.0.0.1:5070"], &["127.0.0.0/8"]),
            profile("phones", &[], &["127.0.0.0/8"]),
        ]);
        let name = |local| {
            admission
                .profile_for(&peer(local, "127.0.0.9:5060"))
                .unwrap()
                .name
                .clone()
        };
        assert_eq!(name("127.0.0.1:5070"), "trunk");
        assert_eq!(name("127.0.0.1:5060"), "phones");
    }

    #[test]
    fn the_callees_side_has_the_profile_of_its_address() {
        let trunk = Profile {
            trusted: true,
            ..Profile::clone(&profile("trunk", &["127.0.0.1:5070"], &["192.0.2.0/24"]))
        };
        let admission = Admission::new(vec![
            Arc::new(trunk),
            profile("phones", &[], &["192.0.2.0/28", "198.51.100.0/24"]),
        ]);
        let towards = |address: &str| {
            let address = address.parse().unwrap();
            let profile = admission.profile_towards(address);
            (profile.map(|p| p.name.as_str()), admission.trusts(address))
        };
        // The first counts, whatever socket it listens on.
        assert_eq!(towards("192.0.2.7"), (Some("trunk"), true));
        assert_eq!(towards("198.51.100.7"), (Some("phones"), false));
        assert_eq!(towards("203.0.113.7"), (None, false));
    }

    #[test]
    fn an_unknown_source_is_told_by_the_line_that_would_admit_it() {
        let admission = Admission::new(vec![profile("phones", &[], &["127.0.0.0/8"])]);
        let (why, admit) = admission
            .profile_for(&peer("127.0.0.1:5060", "192.0.2.7:5060"))
            .unwrap_err();
        assert!(why.contains("192.0.2.7"), "{why}");
        assert!(
            admit.contains("sources = [\"127.0.0.0/8\", \"192.0.2.7/32\"]"),
            "{admit}"
        );
    }

    #[test]
    fn networks_of_ipv6_admit_and_are_told() {
        let admission = Admission::new(vec![profile("carrier", &["[2001:db8::1]:5060"], &["2001:db8:1::/48"])]);
        let of = |source: &str| admission.profile_for(&peer("[2001:db8::1]:5060", source));
        assert_eq!(of("[2001:db8:1:2::9]:5060").unwrap().name, "carrier");
        let (why, admit) = of("[2001:db8:2::9]:5060").unwrap_err();
        assert!(why.contains("2001:db8:2::9"), "{why}");
        assert!(
            admit.contains("sources = [\"2001:db8:1::/48\", \"2001:db8:2::9/128\"]"),
            "{admit}"
        );
    }

    #[test]
    fn a_socket_that_no_profile_serves_is_told_so() {
        let admission = Admission::new(vec![profile("trunk", &["127.0.0.1:5070"], &["127.0.0.0/8"])]);
        let (why, admit) = admission
            .profile_for(&peer("127.0.0.1:5060", "127.0.0.1:9"))
            .unwrap_err();
        assert!(why.contains("127.0.0.1:5060"), "{why}");
        assert!(admit.contains("`listen`"), "{admit}");
    }
}
