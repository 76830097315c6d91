//! The servers that profiles send calls on to: are they found, do they answer?

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use segue_policy::{NextHop, NextHops};
use segue_sip::{Place, Protocol, Speaks, transport::Resolver};
use segue_sip_wire::{Message, Uri};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, UdpSocket},
    time::{sleep, timeout},
};

use super::Check;
use crate::config::{Config, ProfileFile};

const NAME: &str = "next hops";

/// The longest wait for a name, and then for an answer.
const NAME_MAX: Duration = Duration::from_secs(3);
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// After this long a datagram is sent again, once.
const AGAIN: Duration = Duration::from_millis(500);
/// Most servers that are asked.
const HOPS_MAX: usize = 32;
/// Longest answer read, bytes.
const BYTES_MAX: usize = 65_535;

/// A row for each, all asked at once.
pub(super) fn checks(config: &Config, profiles: &[ProfileFile]) -> Vec<Check> {
    let mut hops: BTreeMap<String, (Uri, Vec<String>)> = BTreeMap::new();
    let mut add = |hop: &NextHop, of: String| {
        let Ok(uri) = hop.uri().parse::<Uri>() else { return };
        let named = hops.entry(uri.to_string()).or_insert_with(|| (uri, Vec::new()));
        named.1.push(of);
    };
    for file in profiles {
        let profile = &file.profile;
        let lists = [
            ("next_hop", &profile.next_hop),
            ("emergency_next_hop", &profile.emergency_next_hop),
        ];
        let lists = lists
            .into_iter()
            .flat_map(|(key, hops)| hops.iter().flat_map(NextHops::iter).map(move |hop| (key, hop)));
        let proxy = profile.outbound_proxy.iter().map(|proxy| ("outbound_proxy", proxy));
        // A trunk's servers are asked as such.
        for (key, hop) in lists.chain(proxy).filter(|(_, hop)| hop.trunk().is_none()) {
            add(hop, format!("{key} of {}", profile.name));
        }
    }
    for table in &config.trunks {
        for server in &table.trunk.servers {
            add(&server.uri, format!("trunk {}", table.trunk.name));
        }
    }
    if hops.is_empty() {
        return vec![Check::ok(NAME, "no profile names any")];
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else {
        return vec![Check::warn(NAME, "they could not be asked", "run 'segue doctor' again")];
    };
    runtime.block_on(async {
        let asked: Vec<_> = hops
            .into_values()
            .take(HOPS_MAX)
            .map(|(uri, of)| {
                let config = config.clone();
                tokio::spawn(async move {
                    let who = format!("{} ({})", uri, of.join(", "));
                    match ask(&config, &uri).await {
                        Ok(found) => Check::ok(NAME, format!("{who}: {found}")),
                        Err((found, fix)) => Check::warn(NAME, format!("{who}: {found}"), fix),
                    }
                })
            })
            .collect();
        let mut checks = Vec::new();
        for one in asked {
            checks.extend(one.await.ok());
        }
        checks
    })
}

/// What was found, or what is wrong and what to do.
async fn ask(config: &Config, uri: &Uri) -> Result<String, (String, &'static str)> {
    const UNSPOKEN: &str = "add a socket for its transport and address family (sip.udp, sip.tcp, sip.tls)";
    let (protocol, remote) = locate(config, uri).await?;
    let sockets = match protocol {
        Protocol::Udp => &config.sip_udp,
        Protocol::Tcp => &config.sip_tcp,
        Protocol::Tls => &config.sip_tls,
    };
    let Some(own) = sockets.iter().find(|own| own.is_ipv4() == remote.is_ipv4()) else {
        let found = format!(
            "{remote} by {} cannot be reached: no socket of ours is for that",
            protocol.as_str()
        );
        return Err((found, UNSPOKEN));
    };
    let began = Instant::now();
    let answer = match protocol {
        Protocol::Udp => timeout(ANSWER_MAX, by_udp(own.ip(), remote, uri)).await,
        Protocol::Tcp => timeout(ANSWER_MAX, by_tcp(own.ip(), remote, uri)).await,
        // Its certificate is asked for with the first call, by the server's own rules.
        Protocol::Tls => timeout(ANSWER_MAX, connects(own.ip(), remote)).await,
    };
    const SILENT: &str = "see that it runs, and lets this machine's address send it OPTIONS and calls";
    match answer {
        Ok(Ok(said)) => Ok(format!("{remote} {said} after {} ms", began.elapsed().as_millis())),
        Ok(Err(error)) => Err((format!("{remote} cannot be reached: {error}"), SILENT)),
        Err(_) => {
            let waited = ANSWER_MAX.as_secs();
            Err((format!("{remote} does not answer an OPTIONS within {waited} s"), SILENT))
        }
    }
}

/// Where it is.
async fn locate(config: &Config, uri: &Uri) -> Result<(Protocol, SocketAddr), (String, &'static str)> {
    const FIX: &str = "correct its name, or set sip.nameservers to servers that know it";
    let secure = uri.is_sips() || uri.param("transport").is_some_and(|by| by.eq_ignore_ascii_case("tls"));
    if let Some(ip) = uri.host().and_then(|host| host.ip()) {
        let by_tcp = uri.param("transport").is_some_and(|by| by.eq_ignore_ascii_case("tcp"));
        let (protocol, port) = match (secure, by_tcp) {
            (true, _) => (Protocol::Tls, 5061),
            (false, true) => (Protocol::Tcp, 5060),
            (false, false) => (Protocol::Udp, 5060),
        };
        return Ok((protocol, SocketAddr::new(ip, uri.port().unwrap_or(port))));
    }
    let place = Place::of(uri).ok_or(("its transport is not known here".to_owned(), "use udp, tcp or tls"))?;
    let of = |protocol, sockets: &[SocketAddr]| sockets.iter().map(move |own| (protocol, *own)).collect::<Vec<_>>();
    let sockets = [
        of(Protocol::Udp, &config.sip_udp),
        of(Protocol::Tcp, &config.sip_tcp),
        of(Protocol::Tls, &config.sip_tls),
    ];
    let resolver = Resolver::new(config.sip_nameservers.clone(), Speaks::by(&sockets.concat()));
    match timeout(NAME_MAX, resolver.locate(&place, 0)).await {
        Ok(Ok(candidates)) => match candidates.first() {
            Some(first) => Ok((first.protocol, first.remote)),
            None => Err((format!("{} is nowhere", place.name()), FIX)),
        },
        Ok(Err(error)) => Err((error.to_string(), FIX)),
        Err(_) => Err((format!("no name server answered for {}", place.name()), FIX)),
    }
}

async fn by_udp(own: IpAddr, remote: SocketAddr, uri: &Uri) -> std::io::Result<String> {
    let socket = UdpSocket::bind(SocketAddr::new(own, 0)).await?;
    socket.connect(remote).await?;
    let request = options(uri, "UDP", socket.local_addr()?);
    let mut answer = vec![0; BYTES_MAX];
    socket.send(request.as_bytes()).await?;
    let len = tokio::select! {
        len = socket.recv(&mut answer) => len?,
        () = sleep(AGAIN) => {
            socket.send(request.as_bytes()).await?;
            socket.recv(&mut answer).await?
        }
    };
    Ok(said(answer.get(..len).unwrap_or_default()))
}

async fn by_tcp(own: IpAddr, remote: SocketAddr, uri: &Uri) -> std::io::Result<String> {
    let mut stream = connected(own, remote).await?;
    let request = options(uri, "TCP", stream.local_addr()?);
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") && answer.len() < BYTES_MAX {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(std::io::Error::other("it closed the connection"));
        }
    }
    Ok(said(&answer))
}

async fn connects(own: IpAddr, remote: SocketAddr) -> std::io::Result<String> {
    connected(own, remote).await.map(|_| "takes connections".to_owned())
}

async fn connected(own: IpAddr, remote: SocketAddr) -> std::io::Result<tokio::net::TcpStream> {
    let socket = match own.is_ipv4() {
        true => TcpSocket::new_v4()?,
        false => TcpSocket::new_v6()?,
    };
    socket.bind(SocketAddr::new(own, 0))?;
    socket.connect(remote).await
}

/// Whatever it answers, it is there (RFC 3261 §11).
fn said(answer: &[u8]) -> String {
    let head = String::from_utf8_lossy(answer);
    let status = Message::parse_datagram(answer)
        .ok()
        .and_then(|message| message.status());
    match status {
        Some(status) => format!("answers an OPTIONS with {status}"),
        None if head.starts_with("SIP/2.0 ") => {
            let status = head.split_whitespace().nth(1).unwrap_or_default();
            format!("answers an OPTIONS with {}", status.chars().take(3).collect::<String>())
        }
        None => "answers, but no SIP".to_owned(),
    }
}

fn options(uri: &Uri, transport: &str, own: SocketAddr) -> String {
    // No two questions are one transaction or dialog.
    let id = format!("{:x}-{}", std::process::id(), own.port());
    format!(
        "OPTIONS {uri} SIP/2.0\r\nVia: SIP/2.0/{transport} {own};branch=z9hG4bK-doctor-{id};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:segue-doctor@{own}>;tag={id}\r\nTo: <{uri}>\r\nCall-ID: doctor-{id}@{own}\r\nCSeq: 1 OPTIONS\r\n\
         Contact: <sip:segue-doctor@{own}>\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n"
    )
}
