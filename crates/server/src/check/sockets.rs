//! Sockets that would take each other's port.

use std::net::SocketAddr;

use super::Warning;
use crate::{config::Config, failure::Failure};

/// One socket, and the key that names it.
type Named = (&'static str, SocketAddr);

pub(super) fn check(config: &Config) -> Result<Vec<Warning>, Failure> {
    let of = |key: &'static str, sockets: &[SocketAddr]| sockets.iter().map(move |s| (key, *s)).collect::<Vec<_>>();
    let udp = of("sip.udp", &config.sip_udp);
    let mut streams = of("sip.tcp", &config.sip_tcp);
    streams.extend(of("sip.tls", &config.sip_tls));
    streams.push(("http.listen", config.http_listen));
    for all in [&udp, &streams] {
        if let Some(((first, one), (second, other))) = colliding(all) {
            let both = match one == other {
                true => format!("{other} is in {first} too"),
                false => format!("{other} and {one} of {first} are one port"),
            };
            return Err(Failure::refused(
                "bad_configuration",
                format!("{}{second}: {both}", config.place(&[second, first])),
                format!("choose another port in {second} or {first}"),
            ));
        }
    }
    let media = |socket: &SocketAddr| {
        let overlaps = |ip: &std::net::IpAddr| overlap(SocketAddr::new(*ip, socket.port()), *socket);
        config.media_ports.contains(&socket.port()) && config.media_address.iter().any(overlaps)
    };
    let within = config.sip_udp.iter().find(|socket| media(socket));
    Ok(within
        .map(|socket| {
            let (from, to) = (config.media_ports.start(), config.media_ports.end());
            Warning::new(
                format!(
                    "{}sip.udp has {socket}, which lies within media.ports = {from}-{to}",
                    config.place(&["sip.udp", "media.ports"])
                ),
                "choose media.ports beside the ports of SIP",
            )
        })
        .into_iter()
        .collect())
}

fn colliding(sockets: &[Named]) -> Option<(Named, Named)> {
    sockets.iter().enumerate().find_map(|(at, later)| {
        let earlier = sockets.iter().take(at).find(|earlier| overlap(earlier.1, later.1))?;
        Some((*earlier, *later))
    })
}

/// Whether both cannot be bound. Port 0 takes a free one.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    let same_family = one.is_ipv4() == other.is_ipv4();
    one.port() != 0 && one.port() == other.port() && (one.ip() == other.ip() || (any && same_family))
}
