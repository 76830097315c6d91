//! Rules as a person reads them.

use segue_policy::{ClipChoice, Outcome, Rule, Then, Who, Why};

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

/// For whom, when and why it acts, as a sentence that its outcome follows.
pub fn condition(rule: &Rule) -> String {
    let any_of = |all: Vec<String>| all.join(" or ");
    let who = match rule.from.is_empty() {
        true => "anybody".to_owned(),
        false => any_of(rule.from.iter().map(whom).collect()),
    };
    let mut said = format!("When {who} calls");
    if !rule.at.is_empty() {
        said.push_str(&format!(
            " {}",
            any_of(rule.at.iter().map(ToString::to_string).collect())
        ));
    }
    if !rule.on.is_empty() {
        said.push_str(&format!(
            " on {}",
            any_of(rule.on.iter().map(ToString::to_string).collect())
        ));
    }
    if !rule.why.is_empty() {
        let whys = rule.why.iter().map(|why| because(*why).to_owned());
        said.push_str(&format!(" and {}", any_of(whys.collect())));
    }
    said
}

fn whom(who: &Who) -> String {
    match who {
        Who::Anonymous => "somebody who does not say who they are".to_owned(),
        Who::Unknown => "somebody who is no contact".to_owned(),
        Who::Group(name) => format!("a caller of group {name}"),
        Who::Address(address) => address.to_string(),
    }
}

/// Why nobody takes the call, or is not called, as part of a sentence.
pub fn because(why: Why) -> &'static str {
    match why {
        Why::Dnd => "do not disturb is on",
        Why::OutOfHours => "it is outside the hours",
        Why::Offline => "no phone is reached",
        Why::NoAnswer => "nobody answers",
        Why::Busy => "the line is busy",
        Why::Declined => "the call is declined",
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_reads_as_a_sentence() {
        let rule = Rule {
            from: vec![Who::Group("business".to_owned()), Who::Unknown],
            at: vec!["mon-fri 09:00-17:00".to_owned().try_into().unwrap()],
            why: vec![Why::NoAnswer, Why::Busy],
            ..Rule::default()
        };
        assert_eq!(
            condition(&rule),
            "When a caller of group business or somebody who is no contact calls mon-fri 09:00-17:00 and nobody answers or the line is \
             busy"
        );
        assert_eq!(condition(&Rule::default()), "When anybody calls");
    }
}
