//! Rules as a person reads them.

use segue_policy::{ClipChoice, Outcome, Rule, Then};

fn list<T: ToString>(all: &[T], none: &str) -> String {
    match all.is_empty() {
        true => none.to_owned(),
        false => all.iter().map(T::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// For whom a rule is.
pub fn from(rule: &Rule) -> String {
    list(&rule.from, "anybody")
}

/// Why it acts.
pub fn why(rule: &Rule) -> String {
    let whys: Vec<&str> = rule.why.iter().map(|why| why.as_str()).collect();
    list(&whys, "always")
}

/// When it acts.
pub fn when(rule: &Rule) -> String {
    match (rule.at.is_empty(), rule.on.is_empty()) {
        (true, true) => "at all times".to_owned(),
        (false, true) => list(&rule.at, ""),
        (true, false) => list(&rule.on, ""),
        (false, false) => format!("{} on {}", list(&rule.at, ""), list(&rule.on, "")),
    }
}

/// A rule in one line.
pub fn rule(rule: &Rule) -> String {
    format!(
        "{} | {} | {} | {}",
        from(rule),
        why(rule),
        when(rule),
        outcome(&rule.outcome)
    )
}

/// What it decides.
pub fn outcome(outcome: &Outcome) -> String {
    let name = |choice: &ClipChoice| choice.name().unwrap_or("none").to_owned();
    let then = outcome.then.as_ref().map(|then| match then {
        Then::Ring => "ring".to_owned(),
        Then::Greeting => "straight to the greeting".to_owned(),
        Then::HangUp => "hang up".to_owned(),
        Then::Forward(uri) => format!("forward to {uri}"),
    });
    let parts = [
        then,
        outcome.clip.as_ref().map(|clip| format!("clip {}", name(clip))),
        outcome.hold_ms.map(|ms| format!("hold {}", seconds(ms))),
        outcome.greeting.as_ref().map(|clip| format!("greeting {}", name(clip))),
        outcome
            .message
            .map(|message| if message { "a message" } else { "no message" }.to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// `6 s`, `1500 ms`.
pub(crate) fn seconds(ms: u64) -> String {
    match ms.is_multiple_of(1_000) {
        true => format!("{} s", ms / 1_000),
        false => format!("{ms} ms"),
    }
}
