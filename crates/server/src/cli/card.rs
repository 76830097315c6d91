//! `segue subscriber card USER`: what somebody types into, or scans with, their phone.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use qrcode::{QrCode, render::unicode::Dense1x2};
use serde_json::json;

use super::{Context, value::User};
use crate::{config::load_profiles, failure::Failure};

#[derive(Debug, Args)]
pub struct Card {
    /// The subscriber
    user: User,
    /// The server as phones reach it, e.g. sip.example.com or 192.0.2.1:5060 [default: what the configuration says]
    #[arg(long, value_name = "HOST")]
    server: Option<String>,
    /// How the phone connects [default: tls where the server has it, else udp]
    #[arg(long, value_name = "TRANSPORT")]
    transport: Option<Transport>,
    /// Write the code as an SVG picture into this file, too; '-': that alone, to the standard output
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Transport {
    Udp,
    Tcp,
    Tls,
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
        }
    }
}

pub fn perform(card: Card, context: &Context) -> Result<(), Failure> {
    let User(user) = card.user;
    let has_password = context.access()?.has_phone_password(&user)?;
    let profiles = load_profiles(&context.config)?;
    if !profiles.iter().any(|profile| profile.registrar) {
        return Err(Failure::refused(
            "no_registrar",
            "no profile takes registrations",
            "set 'registrar = true' in the profile of the phones first",
        ));
    }
    let config = &context.config;
    let listens = [
        (Transport::Udp, &config.sip_udp),
        (Transport::Tcp, &config.sip_tcp),
        (Transport::Tls, &config.sip_tls),
    ];
    let mut ways = Vec::new();
    for (transport, bound) in listens {
        for bind in bound {
            ways.push((transport, place(context, *bind, transport, card.server.as_deref())?));
        }
    }
    let wanted = |way: &&(Transport, String)| card.transport.is_none_or(|transport| way.0 == transport);
    let best = ways.iter().filter(wanted).max_by_key(|(transport, _)| match transport {
        Transport::Tls => 2,
        Transport::Udp => 1,
        Transport::Tcp => 0,
    });
    let Some((transport, server)) = best else {
        return Err(Failure::usage(
            "the server does not listen so",
            "name another --transport, or set sip.udp, sip.tcp or sip.tls",
        ));
    };
    let uri = format!("sip:{user}@{server};transport={}", transport.name());
    let code = QrCode::new(&uri).map_err(|e| Failure::usage(e.to_string(), "name a shorter --server"))?;
    if let Some(path) = &card.svg {
        let picture = code
            .render::<qrcode::render::svg::Color>()
            .min_dimensions(240, 240)
            .build();
        if path == Path::new("-") {
            return context.out.plain(&picture);
        }
        fs::write(path, picture).map_err(|e| {
            Failure::refused(
                "write",
                format!("{}: {e}", path.display()),
                "name a file that can be written",
            )
        })?;
    }
    let others: Vec<String> = ways
        .iter()
        .filter(|way| *way != &(*transport, server.clone()))
        .map(|(transport, server)| format!("{server} over {}", transport.name()))
        .collect();
    let row = json!({
        "user": user,
        "server": server,
        "transport": transport.name(),
        "uri": uri,
        "others": others,
        "has_password": has_password,
        "svg": card.svg,
    });
    context.out.object(&row, || {
        let password = match has_password {
            false => format!("none yet: 'segue subscriber set {user} --password-file FILE'"),
            true => "the one that was set".to_owned(),
        };
        let mut lines = vec![
            format!("user       {user}"),
            format!("password   {password}"),
            format!("server     {server} (domain, registrar, proxy)"),
            format!("transport  {}", transport.name()),
        ];
        if !others.is_empty() {
            lines.push(format!("or         {}", others.join(", ")));
        }
        lines.push(format!("the code   {uri}"));
        lines.push(code.render::<Dense1x2>().build());
        lines.join("\n")
    })
}

/// Where phones reach a socket.
fn place(context: &Context, bind: SocketAddr, transport: Transport, said: Option<&str>) -> Result<String, Failure> {
    let host = match said.or_else(|| context.config.advertised_for(bind)) {
        Some(host) => host.to_owned(),
        None if bind.ip().is_unspecified() => {
            return Err(Failure::usage(
                format!("{bind} is no place that phones can reach"),
                "name this machine with --server, or set sip.advertise",
            ));
        }
        None if bind.is_ipv6() => format!("[{}]", bind.ip()),
        None => bind.ip().to_string(),
    };
    // A name or address with a port is taken as it is.
    let has_port = match host.rsplit_once(']') {
        Some((_, rest)) => rest.starts_with(':'),
        None => host.contains(':'),
    };
    match has_port || bind.port() == transport.default_port() {
        true => Ok(host),
        false => Ok(format!("{host}:{}", bind.port())),
    }
}
