//! Asking the server that runs beside a command, by HTTP.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use segue_store::Store;
use serde_json::Value;

use super::Context;
use crate::{
    config::Config,
    failure::{Exit, Failure},
    key,
    run::BOUND_FILE,
};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer of one object may take.
const ANSWER: Duration = Duration::from_secs(5);
/// Longest line taken, bytes.
pub const LINE_MAX: u64 = 1024 * 1024;
/// Longest object taken, bytes.
const OBJECT_MAX: u64 = 16 * 1024 * 1024;

/// A page of one JSON value.
pub fn json(context: &Context, page: &str) -> Result<Value, Failure> {
    json_of(&context.config, page)
}

/// The same of a configuration.
pub fn json_of(config: &Config, page: &str) -> Result<Value, Failure> {
    let stream = get(config, page, "application/json", ANSWER)?;
    let mut body = String::new();
    let read = stream.take(OBJECT_MAX).read_to_string(&mut body);
    let parsed = read
        .map_err(|e| e.to_string())
        .and_then(|_| serde_json::from_str(&body).map_err(|e| e.to_string()));
    parsed.map_err(|why| no_server(format!("{page} of the server cannot be read: {why}")))
}

/// Asks the running server for a page; what comes after the header may be read. `wait`: how long each read may take.
///
/// # Errors
/// No server runs on this data directory, it cannot be reached, or it refuses.
pub fn get(config: &Config, page: &str, accept: &str, wait: Duration) -> Result<BufReader<TcpStream>, Failure> {
    let address = server(config)?;
    let unreachable = |e: std::io::Error| no_server(format!("{address} cannot be reached: {e}"));
    let mut stream = TcpStream::connect_timeout(&address, CONNECT).map_err(unreachable)?;
    // HTTP/1.0: what comes is the lines themselves, without chunks around them.
    let key = key::read(&config.data_dir).unwrap_or_default();
    let request =
        format!("GET {page} HTTP/1.0\r\nHost: {address}\r\nAccept: {accept}\r\nAuthorization: Bearer {key}\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(unreachable)?;
    stream.set_read_timeout(Some(wait)).map_err(unreachable)?;
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && !head.ends_with("\n\n") {
        let read = stream
            .by_ref()
            .take(LINE_MAX)
            .read_line(&mut head)
            .map_err(unreachable)?;
        if read == 0 || head.len() > 65_536 {
            return Err(no_server(format!("{address} says no HTTP")));
        }
    }
    if head.split(' ').nth(1) == Some("200") {
        return Ok(stream);
    }
    let mut body = String::new();
    let _ = stream.take(LINE_MAX).read_to_string(&mut body);
    let problem: Value = serde_json::from_str(&body).unwrap_or_default();
    let detail = problem.get("detail").and_then(Value::as_str);
    Err(Failure::refused(
        "refused",
        format!(
            "{address} refuses: {}",
            detail.unwrap_or_else(|| head.lines().next().unwrap_or_default())
        ),
        "see docs/events.md",
    ))
}

/// The HTTP socket of the server on this data directory.
pub fn server(config: &Config) -> Result<SocketAddr, Failure> {
    let data = &config.data_dir;
    if !Store::server_runs(data) {
        return Err(no_server(format!("no server runs on {}", data.display())));
    }
    let bound = std::fs::read(data.join(BOUND_FILE)).ok();
    let bound: Option<Value> = bound.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let mut address = bound
        .as_ref()
        .and_then(|value| value.pointer("/http/listen")?.as_str()?.parse::<SocketAddr>().ok())
        .ok_or_else(|| no_server(format!("the server on {} is just starting", data.display())))?;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(address)
}

/// Nobody is there to be asked.
pub fn no_server(message: String) -> Failure {
    Failure {
        code: "no_server".to_owned(),
        message,
        fix: "start it with 'segue run' and the same --config or --data, or wait for it with --reconnect and a longer --timeout".to_owned(),
        exit: Exit::NoServer,
    }
}
