//! Subscribers as commands show them.

use segue_manage::SubscriberView;
use segue_policy::{AnswerAt, DEFAULT_RING_MS, Ring, Subscriber, TargetBy};
use serde_json::Value;

use crate::cli::{
    caps, notify,
    output::{Row, or_dash},
    value::DurationMs,
};

/// A line of the list.
pub fn row(subscriber: &Subscriber) -> Row {
    let cells = vec![
        subscriber.user.clone(),
        reached(subscriber),
        or_dash(subscriber.clip.as_ref()),
        or_dash(subscriber.hold_ms.map(DurationMs)),
        or_dash(subscriber.no_answer_ms.map(DurationMs)),
        or_dash(subscriber.greeting.as_ref()),
        listed(&subscriber.numbers),
        listed(&subscriber.aliases),
    ];
    Row {
        value: json_row(subscriber),
        cells,
    }
}

/// For programs.
pub fn json_row(subscriber: &Subscriber) -> Value {
    SubscriberView::from(subscriber).0
}

/// All of one, for people.
pub fn describe_in_lines(subscriber: &Subscriber) -> String {
    let by = match subscriber.target_by {
        TargetBy::Host => "",
        TargetBy::NextHop => " by the next hop",
    };
    format!(
        "{}{by}\nnumbers: {}\naliases: {}\ntold: {}",
        describe(subscriber),
        listed(&subscriber.numbers),
        listed(&subscriber.aliases),
        notify::describe(&subscriber.notify)
    )
}

/// One, in a sentence.
pub fn describe(subscriber: &Subscriber) -> String {
    let profile = || "the profile's".to_owned();
    let mut available = String::new();
    if !subscriber.hours.is_empty() {
        let hours: Vec<String> = subscriber.hours.iter().map(ToString::to_string).collect();
        available = format!(", called {} ({})", hours.join(" and "), subscriber.zone);
    }
    if subscriber.dnd {
        available.push_str(", not to be disturbed");
    }
    available.push_str(&caps::describe(subscriber.caps));
    format!(
        "{}: reached at {}, clip {}, hold {}, no answer after {}, greeting {}, answered {}{available}",
        subscriber.user,
        reached(subscriber),
        subscriber.clip.as_deref().unwrap_or("none"),
        subscriber.hold_ms.map_or_else(profile, |ms| DurationMs(ms).to_string()),
        subscriber
            .no_answer_ms
            .map_or_else(profile, |ms| DurationMs(ms).to_string()),
        subscriber.greeting.as_deref().unwrap_or("none"),
        match subscriber.answer_at {
            None => "when the profile says",
            Some(AnswerAt::Greeting) => "before the greeting",
            Some(AnswerAt::AfterGreeting) => "after the greeting",
        },
    )
}

/// Where they are reached, as a person reads it.
fn reached(subscriber: &Subscriber) -> String {
    match (subscriber.targets.len(), subscriber.ring) {
        (0 | 1, _) => subscriber.targets.concat(),
        (_, Ring::Together) => subscriber.targets.join(" and "),
        (_, Ring::InOrder) => {
            let each = DurationMs(subscriber.ring_ms.unwrap_or(DEFAULT_RING_MS));
            format!("{} ({each} each)", subscriber.targets.join(", then "))
        }
    }
}

/// Numbers or aliases as a person reads them.
fn listed(names: &[String]) -> String {
    match names {
        [] => "-".to_owned(),
        names => names.join(" "),
    }
}
