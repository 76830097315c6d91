//! `segue trunk test`: the running server asks a trunk at once, and what came is told.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::shown;
use crate::{
    cli::{Context, beside},
    failure::Failure,
};

/// How long what comes of it is waited for: as long as a server may be silent.
const WAIT: Duration = Duration::from_secs(35);
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub fn perform(name: &str, context: &Context) -> Result<(), Failure> {
    let before = trunk(name, context)?;
    context.access()?.ask_trunk(name)?;
    let until = Instant::now() + WAIT;
    let after = loop {
        thread::sleep(LOOK_EVERY);
        let after = trunk(name, context)?;
        if has_answered(&before, &after) || Instant::now() >= until {
            break after;
        }
    };
    if !context.out.is_json() {
        return shown(&[after], context);
    }
    context.out.object(&after, String::new)
}

fn trunk(name: &str, context: &Context) -> Result<Value, Failure> {
    let all = beside::json(context, "/trunks")?;
    let mut all = all.as_array().cloned().unwrap_or_default().into_iter();
    let found = all.find(|trunk| trunk.get("name").and_then(Value::as_str) == Some(name));
    found.ok_or_else(|| {
        let fix = "see 'segue trunk list'; one that was just added is known within a second";
        Failure::not_found(format!("the running server has no trunk {name}"), fix)
    })
}

/// Whether every server that is asked, and the registrar, has said something since.
fn has_answered(before: &Value, after: &Value) -> bool {
    let of = |trunk: &Value| {
        trunk
            .get("servers")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let last = |value: &Value| value.get("last_at").cloned();
    let pings = after.get("ping_ms").and_then(Value::as_u64) != Some(0);
    let (old, new) = (of(before), of(after));
    let known = |server: &Value| {
        let same = old.iter().find(|old| old.get("address") == server.get("address"));
        same.and_then(last)
    };
    let registration = |trunk: &Value| trunk.get("registration").and_then(last);
    let servers = !pings
        || new
            .iter()
            .all(|server| last(server) != known(server) && last(server) != Some(Value::Null));
    let registers = after.get("registration").is_some_and(|line| !line.is_null());
    servers && (!registers || registration(before) != registration(after))
}
