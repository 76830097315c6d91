//! `segue events`: what happens beside a running server, line by line.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use segue_store::Store;
use serde_json::Value;

use super::{
    Context,
    output::{clean, line},
    value::DurationMs,
};
use crate::{
    failure::{Exit, Failure},
    run::BOUND_FILE,
};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The server says something at least every 15 s.
const SILENCE: Duration = Duration::from_secs(45);
/// How long between two attempts to reach the server again.
const AGAIN: Duration = Duration::from_millis(500);
/// Longest line taken, bytes.
const LINE_MAX: u64 = 1024 * 1024;

#[derive(Debug, Args)]
pub struct Follow {
    /// Begin after the event of this id, from where an earlier run of this command ended
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// Go on when the server ends or restarts: wait for it, and say what was missed
    #[arg(long)]
    reconnect: bool,
    /// Only events whose type begins so, e.g. call. or message.committed; may be given again
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// End after so many events
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after this time
    #[arg(long, value_name = "DURATION")]
    timeout: Option<DurationMs>,
}

/// Why the stream is over.
enum Over {
    /// As many as were wanted, or nobody reads any more.
    Enough,
    /// The time is over.
    Late,
    /// The server is gone.
    Gone(String),
}

pub fn perform(follow: &Follow, context: &Context) -> Result<(), Failure> {
    let until = follow
        .timeout
        .and_then(|DurationMs(ms)| Instant::now().checked_add(Duration::from_millis(ms)));
    let mut place = follow.after.clone();
    let mut left = follow.count.unwrap_or(u64::MAX);
    let mut was_there = false;
    loop {
        let over = match connect(context, place.as_deref(), until) {
            Ok(stream) => {
                was_there = true;
                read(stream, follow, context, &mut place, &mut left, until)?
            }
            Err(failure) if failure.exit != Exit::NoServer || !follow.reconnect => return Err(failure),
            Err(failure) => Over::Gone(failure.message),
        };
        let late = until.is_some_and(|until| Instant::now() >= until);
        match over {
            Over::Enough => return Ok(()),
            Over::Gone(why) if !follow.reconnect => return Err(no_server(format!("the server has ended: {why}"))),
            Over::Gone(_) if late && !was_there => {
                return Err(no_server(format!(
                    "no server runs on {}",
                    context.config.data_dir.display()
                )));
            }
            // With a count, that many were waited for.
            Over::Late | Over::Gone(_) if late && follow.count.is_some() => {
                return Err(Failure {
                    code: "timed_out".to_owned(),
                    message: format!("{left} of the awaited events have not come"),
                    fix: "wait longer with --timeout, or for fewer with --count".to_owned(),
                    exit: Exit::TimedOut,
                });
            }
            Over::Late => return Ok(()),
            Over::Gone(_) if late => return Ok(()),
            Over::Gone(_) => {}
        }
        thread::sleep(AGAIN);
    }
}

fn connect(context: &Context, place: Option<&str>, until: Option<Instant>) -> Result<BufReader<TcpStream>, Failure> {
    let address = server(context)?;
    let unreachable = |e: std::io::Error| no_server(format!("{address} cannot be reached: {e}"));
    let mut stream = TcpStream::connect_timeout(&address, CONNECT).map_err(unreachable)?;
    let query = place
        .map(|place| format!("?after={}", escape(place)))
        .unwrap_or_default();
    // HTTP/1.0: what comes is the lines themselves, without chunks around them.
    let request = format!("GET /events{query} HTTP/1.0\r\nHost: {address}\r\nAccept: application/x-ndjson\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(unreachable)?;
    limit(&stream, until).map_err(unreachable)?;
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
fn server(context: &Context) -> Result<SocketAddr, Failure> {
    let data = &context.config.data_dir;
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

/// Reads lines until it is over.
fn read(
    mut stream: BufReader<TcpStream>,
    follow: &Follow,
    context: &Context,
    place: &mut Option<String>,
    left: &mut u64,
    until: Option<Instant>,
) -> Result<Over, Failure> {
    let mut text = String::new();
    loop {
        if *left == 0 {
            return Ok(Over::Enough);
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            return Ok(Over::Late);
        }
        text.clear();
        if let Err(error) = limit(stream.get_ref(), until) {
            return Ok(Over::Gone(error.to_string()));
        }
        match stream.by_ref().take(LINE_MAX).read_line(&mut text) {
            Ok(0) => return Ok(Over::Gone("it closed the stream".to_owned())),
            Ok(_) => {}
            Err(_) if until.is_some_and(|until| Instant::now() >= until) => return Ok(Over::Late),
            Err(error) => return Ok(Over::Gone(error.to_string())),
        }
        let Ok(event) = serde_json::from_str::<Value>(&text) else {
            // An empty line: the server lives.
            continue;
        };
        if let Some(id) = event.get("id").and_then(Value::as_str) {
            *place = Some(id.to_owned());
        }
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
        let lost = kind == "events.lost";
        if !lost && !follow.types.is_empty() && !follow.types.iter().any(|wanted| kind.starts_with(wanted.as_str())) {
            continue;
        }
        let said = match context.out.is_json() {
            true => text.trim_end().to_owned(),
            false => told(&event),
        };
        if !line(&said)? {
            return Ok(Over::Enough);
        }
        if !lost {
            *left = left.saturating_sub(1);
        }
    }
}

/// One event as a person reads it: when, what, of which call, and the rest.
fn told(event: &Value) -> String {
    let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut said = format!("{} {:<17}", text("at"), text("type"));
    let call = text("sip_call_id");
    if !call.is_empty() {
        said.push_str(&format!(" {call}"));
    }
    for (key, value) in event.as_object().into_iter().flatten() {
        if ["id", "at", "type", "call_id", "sip_call_id"].contains(&key.as_str()) || value.is_null() {
            continue;
        }
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match value.contains(' ') {
            true => said.push_str(&format!(" {key}={value:?}")),
            false => said.push_str(&format!(" {key}={value}")),
        }
    }
    clean(&said)
}

/// Reading waits no longer than until the end, or until silence means that nobody is there.
fn limit(stream: &TcpStream, until: Option<Instant>) -> std::io::Result<()> {
    let left = until.map_or(SILENCE, |until| until.saturating_duration_since(Instant::now()));
    stream.set_read_timeout(Some(left.clamp(Duration::from_millis(1), SILENCE)))
}

fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

fn no_server(message: String) -> Failure {
    Failure {
        code: "no_server".to_owned(),
        message,
        fix: "start it with 'segue run' and the same --config or --data, or wait for it with --reconnect and a longer --timeout".to_owned(),
        exit: Exit::NoServer,
    }
}
