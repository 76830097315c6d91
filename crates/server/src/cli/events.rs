//! `segue events`: what happens beside a running server, line by line.

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use serde_json::Value;

use super::{
    Context,
    beside::{self, LINE_MAX, no_server},
    output::{clean, line},
    value::DurationMs,
};
use crate::failure::{Exit, Failure};

/// The server says something at least every 15 s.
const SILENCE: Duration = Duration::from_secs(45);
/// How long between two attempts to reach the server again.
const AGAIN: Duration = Duration::from_millis(500);

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
    let query = place
        .map(|place| format!("?after={}", escape(place)))
        .unwrap_or_default();
    beside::get(
        &context.config,
        &format!("/events{query}"),
        "application/x-ndjson",
        wait(until),
    )
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
    stream.set_read_timeout(Some(wait(until)))
}

fn wait(until: Option<Instant>) -> Duration {
    let left = until.map_or(SILENCE, |until| until.saturating_duration_since(Instant::now()));
    left.clamp(Duration::from_millis(1), SILENCE)
}

fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
