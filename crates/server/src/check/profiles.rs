//! What profiles say together, and what leads back here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use segue_policy::{NextHops, Trunk};
use segue_sip_wire::{Host, Uri};

use super::Warning;
use crate::{
    config::{Config, ProfileFile},
    failure::Failure,
};

pub(super) fn check(config: &Config, profiles: &[ProfileFile]) -> Result<Vec<Warning>, Failure> {
    let mut warnings = Vec::new();
    for (at, file) in profiles.iter().enumerate() {
        let earlier = profiles.get(..at).unwrap_or_default();
        named_once(file, earlier)?;
        warnings.extend(reached(file, earlier)?);
        leads_elsewhere(config, file)?;
        warnings.extend(listens(config, file));
        warnings.extend(helps(file));
    }
    Ok(warnings)
}

/// Whether each profile is somebody's: it has `sources`, or holds for calls from a trunk.
pub(super) fn admit(profiles: &[ProfileFile], trunks: &[&Trunk]) -> Result<Vec<Warning>, Failure> {
    let of_a_trunk = |file: &ProfileFile| trunks.iter().any(|trunk| trunk.profile == file.profile.name);
    let is_somebodys = |file: &ProfileFile| !file.profile.sources.is_empty() || of_a_trunk(file);
    let message = "sources is missing or empty, so nobody is admitted";
    let fix = "sources is a list of networks, e.g. [\"127.0.0.0/8\", \"192.168.1.0/24\"]";
    match profiles.iter().find(|file| !is_somebodys(file)) {
        Some(file) if !profiles.iter().any(is_somebodys) => Err(wrong(file.at("sources"), message, fix)),
        // A trunk may have gone whose profile it was: no reason for a server not to start.
        _ => Ok(profiles
            .iter()
            .filter(|file| !is_somebodys(file))
            .map(|file| {
                Warning::new(
                    format!("{}: {message}, and no trunk names this profile", file.at("sources")),
                    fix,
                )
            })
            .collect()),
    }
}

fn wrong(at: String, message: impl std::fmt::Display, fix: impl Into<String>) -> Failure {
    Failure::refused("bad_profile", format!("{at}: {message}"), fix)
}

fn named_once(file: &ProfileFile, earlier: &[ProfileFile]) -> Result<(), Failure> {
    let name = &file.profile.name;
    match earlier.iter().find(|other| other.profile.name == *name) {
        None => Ok(()),
        Some(other) => Err(wrong(
            file.at("name"),
            format!("name: {name:?} is the name of another profile, at {}", other.at("name")),
            "give each profile a name of its own",
        )),
    }
}

/// Whether whoever its sources name comes to this profile: the first that matches serves.
fn reached(file: &ProfileFile, earlier: &[ProfileFile]) -> Result<Vec<Warning>, Failure> {
    let mut warnings = Vec::new();
    let sources = file.profile.sources.iter();
    for net in sources.clone().filter(|net| **net != net.trunc()) {
        warnings.push(Warning::new(
            format!("{}: sources: \"{net}\" means \"{}\"", file.at("sources"), net.trunc()),
            "write the network that is meant",
        ));
    }
    for other in earlier
        .iter()
        .filter(|other| covers(&other.profile.listen, &file.profile.listen))
    {
        let name = &other.profile.name;
        for net in sources.clone() {
            if let Some(same) = other.profile.sources.iter().find(|wide| wide.trunc() == net.trunc()) {
                return Err(wrong(
                    file.at("sources"),
                    format!(
                        "sources: \"{net}\" is served by the profile {name:?} ({}: \"{same}\"), which is asked first",
                        other.at("sources")
                    ),
                    "take it out of one of the two, or let them listen on different sockets (listen)",
                ));
            }
            if let Some(wide) = other.profile.sources.iter().find(|wide| wide.contains(net)) {
                warnings.push(Warning::new(
                    format!(
                        "{}: sources: \"{net}\" lies within \"{wide}\" of the profile {name:?}, which is asked first: \
                         nobody from there comes to {:?}",
                        file.at("sources"),
                        file.profile.name
                    ),
                    "rename the files so that the narrower one is read first: profiles are asked in the order of their files' names",
                ));
            }
        }
    }
    Ok(warnings)
}

/// Whether every socket of `inner` is one of `outer`; none means all.
fn covers(outer: &[String], inner: &[String]) -> bool {
    outer.is_empty() || (!inner.is_empty() && inner.iter().all(|listen| outer.contains(listen)))
}

fn leads_elsewhere(config: &Config, file: &ProfileFile) -> Result<(), Failure> {
    let profile = &file.profile;
    let hops = [
        ("next_hop", &profile.next_hop),
        ("emergency_next_hop", &profile.emergency_next_hop),
    ];
    let hops = hops
        .into_iter()
        .flat_map(|(key, hops)| hops.iter().flat_map(NextHops::iter).map(move |hop| (key, hop)));
    let proxy = profile.outbound_proxy.iter().map(|proxy| ("outbound_proxy", proxy));
    for (key, hop) in hops.chain(proxy) {
        if let Some(uri) = hop.uri().parse::<Uri>().ok().filter(|uri| is_here(config, uri)) {
            return Err(wrong(
                file.at(key),
                format!("{key} = {uri} is this server itself: calls would go in a circle"),
                format!("name another server in {key}, or leave it out"),
            ));
        }
    }
    Ok(())
}

fn listens(config: &Config, file: &ProfileFile) -> Option<Warning> {
    let sockets = || config.sip_udp.iter().chain(&config.sip_tcp).chain(&config.sip_tls);
    if file.profile.listen.is_empty() || sockets().any(|socket| socket.port() == 0) {
        return None;
    }
    let is_bound = |listen: &String| {
        let listen = listen.parse::<SocketAddr>();
        listen.is_ok_and(|listen| sockets().any(|socket| *socket == listen))
    };
    let unbound = file.profile.listen.iter().find(|listen| !is_bound(listen))?;
    Some(Warning::new(
        format!(
            "{}: listen: {unbound:?} is none of the sockets in sip.udp, sip.tcp and sip.tls: nobody comes by it",
            file.at("listen")
        ),
        "name a socket as it stands there",
    ))
}

fn helps(file: &ProfileFile) -> Option<Warning> {
    let profile = &file.profile;
    let hops = [&profile.emergency_next_hop, &profile.next_hop];
    let nowhere = hops.iter().all(|hop| hop.is_none()) && profile.outbound_proxy.is_none();
    (nowhere && !profile.emergency_numbers.is_empty()).then(|| {
        Warning::new(
            format!(
                "{}: emergency_numbers: none of emergency_next_hop, next_hop and outbound_proxy says where help is; \
                 such calls get on by their caller's Route or Request-URI alone, or get 480",
                file.at("emergency_numbers")
            ),
            "set emergency_next_hop",
        )
    })
}

/// Whether a URI names one of our own sockets. A port 0 names none: it is not known yet.
pub fn is_here(config: &Config, uri: &Uri) -> bool {
    let port = uri.port_or_default();
    let (name, ip) = match uri.host() {
        None => return false,
        Some(Host::Name(name)) => (Some(name.to_ascii_lowercase()), None),
        Some(host) => (None, host.ip()),
    };
    let sockets = config.sip_udp.iter().chain(&config.sip_tcp).chain(&config.sip_tls);
    sockets.into_iter().any(|socket| {
        let said = config.advertised_for(*socket).map(|said| as_said(said, *socket));
        let is_said = |(host, at): &(String, u16)| {
            *at == port
                && name
                    .as_ref()
                    .map_or_else(|| host.parse().ok() == ip, |name| host == name)
        };
        let is_bound = || {
            let mine = |ip: IpAddr| match socket.ip().is_unspecified() {
                true => socket.is_ipv4() == ip.is_ipv4() && is_of_this_machine(ip),
                false => socket.ip() == ip,
            };
            socket.port() == port && ip.is_some_and(mine)
        };
        port != 0 && (said.as_ref().is_some_and(is_said) || is_bound())
    })
}

/// The system sends from an address of its own what goes to it. That an address can be bound tells nothing where
/// `ip_nonlocal_bind` is set, as it is where servers stand in for each other.
fn is_of_this_machine(ip: IpAddr) -> bool {
    let any: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let sent_from = || {
        let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
        // Nothing is sent by that.
        socket.connect(SocketAddr::new(ip, 5060))?;
        socket.local_addr()
    };
    ip.is_loopback() || sent_from().is_ok_and(|from| from.ip() == ip)
}

/// Host and port that this socket is known by.
fn as_said(said: &str, socket: SocketAddr) -> (String, u16) {
    let uri = format!("sip:{said}").parse::<Uri>().ok();
    let port = uri.as_ref().and_then(Uri::port).unwrap_or(socket.port());
    let host = match uri.as_ref().and_then(Uri::host) {
        Some(Host::Name(name)) => name.to_ascii_lowercase(),
        Some(host) => host.ip().map(|ip| ip.to_string()).unwrap_or_default(),
        None => String::new(),
    };
    (host, port)
}
