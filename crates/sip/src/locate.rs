//! Where a SIP server is: from a URI and DNS records to what is to be tried, in order (RFC 3263 §4). Who asks the name servers
//! is elsewhere: [`locate`] says what is still to be asked.

#![deny(clippy::arithmetic_side_effects)]

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use segue_sip_wire::{Host, Uri};

use crate::api::Protocol;

/// Most servers of one place that are tried.
pub const CANDIDATES_MAX: usize = 16;
/// Most records of one answer that are looked at.
const RECORDS_MAX: usize = 32;
/// Longest name, bytes (RFC 1035 §2.3.4).
const NAME_MAX: usize = 253;

/// A server that may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Candidate {
    /// How.
    pub protocol: Protocol,
    /// Where.
    pub remote: SocketAddr,
}

/// What a URI says about where its server is, when its host is a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// In lower case.
    name: Arc<str>,
    port: Option<u16>,
    transport: Option<Protocol>,
    secure: bool,
}

/// What this server can send by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Speaks {
    /// UDP, TCP, TLS with the address families of their sockets (IPv4, IPv6).
    ways: Vec<(Protocol, bool)>,
}

/// One question to a name server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// NAPTR of a domain.
    Naptr(Arc<str>),
    /// SRV of a service.
    Srv(Arc<str>),
    /// A of a host.
    A(Arc<str>),
    /// AAAA of a host.
    Aaaa(Arc<str>),
}

impl Question {
    /// The name that is asked for.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        match self {
            Question::Naptr(name) | Question::Srv(name) | Question::A(name) | Question::Aaaa(name) => name,
        }
    }
}

/// One record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// RFC 3403, with an empty regexp.
    Naptr {
        /// Lower first.
        order: u16,
        /// Lower first within an order.
        preference: u16,
        /// `s` for SIP.
        flags: String,
        /// E.g. `SIP+D2U`.
        service: String,
        /// The SRV name to go on with.
        replacement: Arc<str>,
    },
    /// RFC 2782.
    Srv {
        /// Lower first.
        priority: u16,
        /// Share among those of one priority.
        weight: u16,
        /// Its port.
        port: u16,
        /// Its host; empty: the service is not there.
        target: Arc<str>,
    },
    /// A or AAAA.
    Address(IpAddr),
}

/// What is known: an empty list says that there is no such record.
pub type Known = BTreeMap<Question, Vec<Record>>;

/// How far a search is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// These must be known first.
    Ask(Vec<Question>),
    /// Whom to try, in order; nobody: the place is nowhere.
    Try(Vec<Candidate>),
}

impl Place {
    /// The place of a URI; `None` when its host is an address or it is no SIP URI, or wants a transport that we do not know.
    #[must_use]
    pub fn of(uri: &Uri) -> Option<Place> {
        let Some(Host::Name(name)) = uri.host() else {
            return None;
        };
        let secure = uri.is_sips();
        let transport = match uri.param("transport") {
            Some(name) if name.eq_ignore_ascii_case("tls") => Some(Protocol::Tls),
            // "tcp" in a SIPS URI is TLS over TCP (RFC 3261 §26.2.2).
            Some(name) if name.eq_ignore_ascii_case("tcp") && secure => Some(Protocol::Tls),
            Some(name) if name.eq_ignore_ascii_case("tcp") => Some(Protocol::Tcp),
            Some(name) if name.eq_ignore_ascii_case("udp") && !secure => Some(Protocol::Udp),
            Some(_) => return None,
            None => None,
        };
        Some(Place {
            name: Arc::from(name.trim_end_matches('.').to_ascii_lowercase()),
            port: uri.port(),
            transport,
            secure,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Speaks {
    /// With these sockets.
    #[must_use]
    pub fn by(sockets: &[(Protocol, SocketAddr)]) -> Speaks {
        let mut ways: Vec<_> = sockets.iter().map(|(p, bind)| (*p, bind.is_ipv4())).collect();
        ways.sort_unstable();
        ways.dedup();
        Speaks { ways }
    }

    fn speaks(&self, protocol: Protocol) -> bool {
        self.ways.iter().any(|(spoken, _)| *spoken == protocol)
    }

    fn reaches(&self, protocol: Protocol, ip: IpAddr) -> bool {
        self.ways.contains(&(protocol, ip.is_ipv4()))
    }

    fn families(&self, protocol: Protocol, name: &Arc<str>) -> impl Iterator<Item = Question> {
        // IPv6 first (RFC 6724 §2.1), where there is a socket for it.
        let v6 = self
            .ways
            .contains(&(protocol, false))
            .then(|| Question::Aaaa(Arc::clone(name)));
        let v4 = self
            .ways
            .contains(&(protocol, true))
            .then(|| Question::A(Arc::clone(name)));
        [v6, v4].into_iter().flatten()
    }
}

/// The next step towards a place (RFC 3263 §4.1, §4.2), with the weights of RFC 2782 drawn by `seed`.
#[must_use]
pub fn locate(place: &Place, speaks: &Speaks, known: &Known, seed: u64) -> Step {
    let mut search = Search {
        speaks,
        known,
        missing: Vec::new(),
        found: Vec::new(),
        rng: StdRng::seed_from_u64(seed),
    };
    if place.name.is_empty() || place.name.len() > NAME_MAX {
        return Step::Try(Vec::new());
    }
    search.place(place);
    match search.missing.is_empty() {
        true => Step::Try(search.found),
        false => Step::Ask(search.missing),
    }
}

struct Search<'a> {
    speaks: &'a Speaks,
    known: &'a Known,
    missing: Vec<Question>,
    found: Vec<Candidate>,
    rng: StdRng,
}

impl<'a> Search<'a> {
    fn place(&mut self, place: &Place) {
        let plain = match (place.secure, self.speaks.speaks(Protocol::Udp)) {
            (true, _) => Protocol::Tls,
            (false, true) => Protocol::Udp,
            (false, false) => Protocol::Tcp,
        };
        // "If … an explicit port is provided, the client SHOULD use UDP for a SIP URI, and TCP for a SIPS URI" (§4.1).
        if let Some(port) = place.port {
            return self.host(&place.name, place.transport.unwrap_or(plain), port);
        }
        let fallback = |search: &mut Self| {
            let protocol = place.transport.unwrap_or(plain);
            search.host(&place.name, protocol, protocol.default_port());
        };
        if let Some(transport) = place.transport {
            match self.services([(transport, service(transport, &place.name))]) {
                Service::NoRecords => fallback(self),
                Service::Known => {}
            }
            return;
        }
        let Some(naptr) = self.ask(Question::Naptr(Arc::clone(&place.name))) else {
            return;
        };
        let mut services = self.selected(naptr, place.secure);
        if services.is_empty() {
            // "If no NAPTR records are found, the client constructs SRV queries for those transport protocols it supports" (§4.1).
            let all = [Protocol::Udp, Protocol::Tcp, Protocol::Tls];
            let spoken = all
                .into_iter()
                .filter(|p| self.speaks.speaks(*p) && (*p == Protocol::Tls || !place.secure));
            services = spoken.map(|p| (p, service(p, &place.name))).collect();
        }
        match self.services(services) {
            Service::NoRecords => fallback(self),
            Service::Known => {}
        }
    }

    /// Of NAPTR records those for transports that we speak, the most preferred first (RFC 3263 §4.1, RFC 3403 §4.1).
    fn selected(&self, records: &[Record], secure: bool) -> Vec<(Protocol, Arc<str>)> {
        let mut kept: Vec<(u16, u16, Protocol, Arc<str>)> = Vec::new();
        for record in records.iter().take(RECORDS_MAX) {
            let Record::Naptr {
                order,
                preference,
                flags,
                service,
                replacement,
            } = record
            else {
                continue;
            };
            let protocol = match &*service.to_ascii_uppercase() {
                "SIP+D2U" if !secure => Protocol::Udp,
                "SIP+D2T" if !secure => Protocol::Tcp,
                "SIPS+D2T" => Protocol::Tls,
                _ => continue,
            };
            if flags.eq_ignore_ascii_case("s") && !replacement.is_empty() && self.speaks.speaks(protocol) {
                kept.push((*order, *preference, protocol, Arc::clone(replacement)));
            }
        }
        kept.sort_by_key(|(order, preference, ..)| (*order, *preference));
        kept.into_iter()
            .map(|(_, _, protocol, name)| (protocol, name))
            .collect()
    }

    /// The servers of these services, one service after the other.
    fn services(&mut self, services: impl IntoIterator<Item = (Protocol, Arc<str>)>) -> Service {
        let mut all_known = true;
        let mut any = false;
        let mut servers = Vec::new();
        for (protocol, name) in services {
            match self.ask(Question::Srv(name)) {
                None => all_known = false,
                Some(records) => {
                    any |= !records.is_empty();
                    servers.extend(self.drawn(records).map(|(target, port)| (protocol, target, port)));
                }
            }
        }
        for (protocol, target, port) in servers.into_iter().take(CANDIDATES_MAX) {
            self.host(&target, protocol, port);
        }
        match any || !all_known {
            true => Service::Known,
            false => Service::NoRecords,
        }
    }

    /// SRV records in the order in which they are to be tried: by priority, among equals drawn by weight (RFC 2782).
    fn drawn(&mut self, records: &'a [Record]) -> impl Iterator<Item = (Arc<str>, u16)> + use<'a> {
        let mut left: Vec<(u16, u16, Arc<str>, u16)> = Vec::new();
        for record in records.iter().take(RECORDS_MAX) {
            if let Record::Srv {
                priority,
                weight,
                port,
                target,
            } = record
                && !target.is_empty()
            {
                left.push((*priority, *weight, Arc::clone(target), *port));
            }
        }
        // "arranged in any order, except that all those with weight 0 are placed at the beginning of the list."
        left.sort_by_key(|(priority, weight, ..)| (*priority, *weight));
        let mut drawn = Vec::with_capacity(left.len());
        while let Some(first) = left.first().map(|(priority, ..)| *priority) {
            let equal = left.iter().take_while(|(priority, ..)| *priority == first);
            let sum: u32 = equal.clone().map(|(_, weight, ..)| u32::from(*weight)).sum();
            // "a uniform random number between 0 and the sum … (inclusive), … the first whose running sum is … ≥ it."
            let limit = u64::from(sum).saturating_add(1);
            let number = self.rng.next_u64().checked_rem(limit).unwrap_or_default();
            let mut running: u64 = 0;
            let at = equal.take_while(|(_, weight, ..)| {
                running = running.saturating_add(u64::from(*weight));
                running < number
            });
            let at = at.count().min(left.len().saturating_sub(1));
            let (_, _, target, port) = left.remove(at);
            drawn.push((target, port));
        }
        drawn.into_iter()
    }

    fn host(&mut self, name: &Arc<str>, protocol: Protocol, port: u16) {
        for question in self.speaks.families(protocol, name) {
            for record in self.ask(question).unwrap_or_default().iter().take(RECORDS_MAX) {
                let Record::Address(ip) = record else { continue };
                let candidate = Candidate {
                    protocol,
                    remote: SocketAddr::new(*ip, port),
                };
                let is_new = !self.found.contains(&candidate) && self.speaks.reaches(protocol, *ip);
                if is_new && self.found.len() < CANDIDATES_MAX {
                    self.found.push(candidate);
                }
            }
        }
    }

    /// What is known; else it is to be asked.
    fn ask(&mut self, question: Question) -> Option<&'a [Record]> {
        // This machine by its own name needs no server (RFC 6761 §6.3).
        if &**question.name() == "localhost" {
            return Some(match question {
                Question::A(_) => &[Record::Address(IpAddr::V4(Ipv4Addr::LOCALHOST))],
                Question::Aaaa(_) => &[Record::Address(IpAddr::V6(Ipv6Addr::LOCALHOST))],
                Question::Naptr(_) | Question::Srv(_) => &[],
            });
        }
        let known = self.known.get(&question);
        if known.is_none() && !self.missing.contains(&question) {
            self.missing.push(question);
        }
        known.map(Vec::as_slice)
    }
}

/// What SRV records say of a place.
enum Service {
    NoRecords,
    /// They name its servers, or that it has none.
    Known,
}

/// The SRV name of a transport at a domain (§4.1).
fn service(protocol: Protocol, name: &str) -> Arc<str> {
    let prefix = match protocol {
        Protocol::Udp => "_sip._udp",
        Protocol::Tcp => "_sip._tcp",
        Protocol::Tls => "_sips._tcp",
    };
    Arc::from(format!("{prefix}.{name}"))
}
