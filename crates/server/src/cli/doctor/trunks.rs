//! Trunks: as they are configured, and as the running server sees them.

use segue_policy::Trunk;
use serde_json::Value;

use super::Check;
use crate::{cli::beside, config::Config, kept_trunks};

const NAME: &str = "trunks";

pub(super) fn checks(config: &Config) -> Vec<Check> {
    // One that cannot be read has a row elsewhere.
    let added = kept_trunks::of(config).unwrap_or_default();
    let configured = config.trunks.iter().map(|table| &table.trunk);
    let all: Vec<&Trunk> = configured.chain(&added).collect();
    if all.is_empty() {
        return vec![Check::ok(NAME, "none")];
    }
    let seen = beside::json_of(config, "/trunks").unwrap_or_default();
    let seen = seen.as_array().map_or(&[][..], Vec::as_slice);
    all.into_iter().map(|trunk| check(trunk, seen)).collect()
}

fn check(trunk: &Trunk, seen: &[Value]) -> Check {
    let name = &trunk.name;
    let servers: Vec<&str> = trunk.servers.iter().map(|server| server.uri.uri()).collect();
    let servers = servers.join(", ");
    let running = seen
        .iter()
        .find(|seen| seen.get("name").and_then(Value::as_str) == Some(name));
    let Some(running) = running else {
        let asked = match trunk.ping_ms {
            0 => "never pinged".to_owned(),
            ms => format!("pinged every {} s", ms / 1_000),
        };
        return Check::ok(
            NAME,
            format!("{name}: {servers}; {asked}; no server runs that says how they are"),
        );
    };
    let states = running.get("servers").and_then(Value::as_array).into_iter().flatten();
    let state = |server: &Value| {
        let text = |key: &str| server.get(key).and_then(Value::as_str);
        let place = text("address").or(text("uri")).unwrap_or_default().to_owned();
        (place, text("state").unwrap_or_default().to_owned())
    };
    let states: Vec<(String, String)> = states.map(state).collect();
    let told: Vec<String> = states.iter().map(|(place, state)| format!("{place} {state}")).collect();
    let found = format!("{name}: {}", told.join(", "));
    if let Some(line) = running.get("registration").filter(|line| !line.is_null()) {
        let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or("-");
        let found = format!(
            "{found}; {} as {}: {}",
            text("state"),
            text("identity"),
            text("last_answer")
        );
        match text("state") {
            "registered" => {}
            "registering" => return Check::warn(NAME, found, "ask again in a moment"),
            _ => {
                let fix = "no calls come from it: see user, digest_user and digest_secret of the trunk and whether its provider takes them";
                return Check::wrong(NAME, found, fix);
            }
        }
    }
    let bad = states
        .iter()
        .filter(|(_, state)| state == "down" || state == "suspended")
        .count();
    let fix = "'segue trunk list' says since when and what it answered last; see whether it takes SIP from here";
    match bad {
        0 => Check::ok(NAME, found),
        bad if bad == states.len() => Check::wrong(NAME, found, fix),
        _ => Check::warn(NAME, found, fix),
    }
}
