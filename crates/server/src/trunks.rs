//! Trunks as `/trunks` and `segue trunk list` tell them.

use segue_b2bua::{LineStatus, ServerStatus, TrunkStatus};
use segue_records::UnixMs;
use serde_json::{Value, json};

/// What `/trunks` says.
pub fn page(trunks: &[TrunkStatus]) -> Value {
    trunks.iter().map(trunk).collect()
}

fn trunk(trunk: &TrunkStatus) -> Value {
    json!({
        "name": trunk.name,
        "calls": trunk.calls,
        "calls_max": trunk.calls_max,
        "calls_since_start": trunk.carried,
        "calls_found_it_full": trunk.full,
        "ping_ms": trunk.ping_ms,
        "registration": trunk.registration.as_ref().map(registration),
        "servers": trunk.servers.iter().map(server).collect::<Value>(),
    })
}

fn registration(line: &LineStatus) -> Value {
    json!({
        "state": line.standing.as_str(),
        "since": line.since.rfc3339(),
        "identity": line.identity,
        "contact": line.contact,
        "server": line.server,
        "until": line.until.map(UnixMs::rfc3339),
        "next_at": line.next_at.map(UnixMs::rfc3339),
        "last_answer": line.last,
        "last_at": line.last_at.map(UnixMs::rfc3339),
        "associated": line.associated,
        "sent": line.sent,
        "failures": line.failed,
    })
}

fn server(server: &ServerStatus) -> Value {
    json!({
        "uri": server.uri,
        "address": server.address,
        "state": server.condition.as_str(),
        "since": server.since.map(UnixMs::rfc3339),
        "last_answer": server.last,
        "last_at": server.last_at.map(UnixMs::rfc3339),
        "rtt_ms": server.rtt.map(|rtt| (rtt.as_secs_f64() * 100_000.0).round() / 100.0),
        "pings": server.pings,
        "failures": server.failures,
    })
}
