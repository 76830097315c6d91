//! A subscriber's rules against a call that is only thought of, by the code that reads them for a real one.

use segue_policy::{Calling, Decision, Facts, First, Passed, Plan, Profile, Rule, Rules, Subscriber, Then, Why};
use serde_json::{Value, json};

use crate::{
    Access, Refusal, Scope,
    access::bound::may_send,
    told::{self, seconds},
};

/// A call that is only thought of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Thought {
    /// Who calls, as they are shown: a SIP or tel URI, a number, or `anonymous`.
    pub from: String,
    /// When; absent: now.
    pub at: Option<At>,
    /// As if this were so: `dnd` and `out-of-hours` keep the subscriber from being called, the others come of the call. Empty: as it
    /// is, then each that may come.
    pub why: Vec<Why>,
}

/// A moment that is thought of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// Unix milliseconds.
    Ms(i64),
    /// By the subscriber's clock: `2026-12-24 14:30`.
    Local(String),
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// Who calls, in a line.
    pub about: String,
    /// Before anybody rings; then, where it is put through, each way in which nobody takes it.
    pub readings: Vec<Told>,
    /// All of it, for programs.
    pub json: Value,
}

/// One reading of the rules, as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Before anybody rings, or why nobody takes the call.
    pub when: String,
    /// Why each rule before the one that acts does not.
    pub passed: Vec<String>,
    /// The rule that acts.
    pub acts: String,
    /// What follows.
    pub so: String,
}

/// One reading of the rules.
struct Reading {
    /// `None`: before anybody rings.
    why: Option<Why>,
    decision: Decision,
    /// What follows.
    then: String,
    /// The same, for programs.
    outcome: Value,
}

impl Access {
    /// What becomes of a call, by the numbering of this profile; `profiles`: all that are in force.
    pub fn explain(
        &self,
        user: &str,
        thought: &Thought,
        profile: &Profile,
        profiles: &[Profile],
    ) -> Result<Explained, Refusal> {
        self.need(Scope::SettingsRead)?;
        self.owned_user(user)?;
        let store = self.store();
        let subscriber = store.subscriber(user)?;
        // Whether a rule asks for them or not: it is worth saying who the caller is.
        let rules = Rules {
            contacts: store.contacts(user)?,
            ..store.rules_of(user)?
        };
        let calling = Calling {
            from: caller(&thought.from),
            at_ms: self.moment(thought.at.as_ref(), &subscriber)?,
        };
        let facts = rules.facts(&subscriber, profile, &calling);
        let readings = read(&subscriber, &rules, &facts, (profile, profiles), &thought.why);
        let json = json!({
            "user": user,
            "from": calling.from,
            "number": facts.number,
            "anonymous": facts.anonymous,
            "groups": facts.groups,
            "known": facts.known,
            "local": facts.local.to_string(),
            "time_zone": subscriber.zone,
            "profile": profile.name,
            "decisions": readings.iter().map(|reading| reading.to_json(&rules.rules)).collect::<Vec<_>>(),
        });
        let readings = readings.into_iter().map(|reading| reading.told(&rules.rules)).collect();
        Ok(Explained {
            about: about(&facts, &subscriber),
            readings,
            json,
        })
    }

    fn moment(&self, at: Option<&At>, subscriber: &Subscriber) -> Result<i64, Refusal> {
        match at {
            None => Ok(self.now_ms()),
            Some(At::Ms(ms)) => Ok(*ms),
            Some(At::Local(text)) => subscriber.zone.moment(text).ok_or_else(|| {
                let zone = &subscriber.zone;
                Refusal::invalid(
                    "at",
                    format!("{text:?} is no moment: \"2026-12-24 14:30\" is, by the clock of {zone}"),
                )
            }),
        }
    }
}

/// A caller as a call shows it; who has no scheme is a number.
fn caller(text: &str) -> String {
    match text {
        "anonymous" => "sip:anonymous@anonymous.invalid".to_owned(),
        text if text.contains(':') => text.to_owned(),
        text => format!("tel:{text}"),
    }
}

fn read(
    subscriber: &Subscriber,
    rules: &Rules,
    facts: &Facts,
    (profile, profiles): (&Profile, &[Profile]),
    given: &[Why],
) -> Vec<Reading> {
    // That somebody is offline is known once they are called.
    let is_before = |why: &Why| why.is_before() && *why != Why::Offline;
    let (mut whys, mut after): (Vec<Why>, Vec<Why>) = given.iter().copied().partition(is_before);
    if given.is_empty() {
        after = Why::ALL.into_iter().filter(|why| why.is_after()).collect();
    }
    for why in subscriber.unavailable(facts.local, false) {
        if !whys.contains(&why) {
            whys.push(why);
        }
    }
    let mut plan = Plan::new(subscriber, profile);
    plan.decide_by(rules, facts, &whys, profile.hold_max_ms);
    plan.bind(subscriber, rules, |uri| may_send(subscriber, uri, profiles).is_ok());
    let busy_at = subscriber
        .caps
        .at(profile)
        .busy_at
        .filter(|_| plan.rings_callee() && !plan.decided.rings_anyhow);
    let (then, outcome) = first(&plan, &whys, busy_at);
    let rings = plan.decided.first == First::Ring;
    let mut readings = vec![Reading {
        why: None,
        decision: rules.before(facts, &whys),
        then,
        outcome,
    }];
    // Who is not put through is missed by nobody.
    readings.extend(after.into_iter().filter(|_| rings).map(|why| {
        let mut plan = plan.clone();
        let done = plan.missed(why);
        let barred = done
            .as_ref()
            .is_some_and(|(place, _)| plan.decided.barred.contains(place));
        let (then, outcome) = missed(&plan, done.map(|(_, then)| then), barred);
        Reading {
            why: Some(why),
            decision: rules.missed(facts, why),
            then,
            outcome,
        }
    }));
    readings
}

fn first(plan: &Plan, whys: &[Why], busy_at: Option<u32>) -> (String, Value) {
    let words: Vec<&str> = whys.iter().map(|why| why.as_str()).collect();
    let not_available = match words.is_empty() {
        true => String::new(),
        false => format!(" (not available: {})", words.join(", ")),
    };
    let (did, text) = match plan.decided.first {
        First::Ring if plan.targets.is_empty() && !plan.barred.is_empty() => {
            let text = format!("nobody rings, {}: {}", not_there(&plan.barred), mailbox(plan));
            ("greeting", text)
        }
        First::Ring => {
            let held = match &plan.clip {
                Some(clip) => format!("held on {clip} for {}", seconds(plan.hold_ms)),
                None => "no clip to be held on".to_owned(),
            };
            let did = if plan.decided.forwarded_for.is_some() {
                "forward"
            } else {
                "ring"
            };
            let busy = match busy_at {
                None => String::new(),
                Some(1) => "; if the subscriber is in a call already: busy, at once".to_owned(),
                Some(calls) => format!("; if the subscriber is in {calls} calls already: busy, at once"),
            };
            let barred = match plan.barred.as_slice() {
                [] => String::new(),
                barred => format!(" ({})", not_there(barred)),
            };
            let targets = plan.targets.join(", ");
            (did, format!("{held}, then {targets} rings{barred}{busy}"))
        }
        First::Greeting(_) => ("greeting", format!("nobody rings: {}", mailbox(plan))),
        First::HangUp { anonymous: true } => ("hang-up", "refused with 433".to_owned()),
        First::HangUp { anonymous: false } => ("hang-up", "refused with 603".to_owned()),
    };
    let outcome = json!({
        "did": did,
        "not_available": words,
        "busy_at": busy_at,
        "targets": plan.targets,
        "barred": plan.barred,
        "clip": plan.clip,
        "hold_ms": plan.hold_ms,
        "greeting": plan.greeting,
        "message": !plan.decided.no_message,
    });
    (format!("{text}{not_available}"), outcome)
}

/// Calls of theirs go to none of these.
fn not_there(barred: &[String]) -> String {
    format!("calls of theirs do not go to {}", barred.join(", "))
}

fn missed(plan: &Plan, then: Option<Then>, barred: bool) -> (String, Value) {
    let (did, text) = match then {
        Some(Then::Forward(uri)) if barred => ("greeting", format!("{}: {}", not_there(&[uri]), mailbox(plan))),
        Some(Then::HangUp) => ("hang-up", "the call ends with the callee's status".to_owned()),
        Some(Then::Forward(uri)) => ("forward", format!("{uri} rings; if that fails, {}", mailbox(plan))),
        Some(Then::Ring | Then::Greeting) | None => ("greeting", mailbox(plan)),
    };
    let outcome = json!({
        "did": did,
        "targets": plan.targets,
        "greeting": plan.greeting,
        "message": !plan.decided.no_message,
    });
    (text, outcome)
}

fn mailbox(plan: &Plan) -> String {
    let greeting = match &plan.greeting {
        Some(name) => format!("the greeting {name}"),
        None => "no greeting".to_owned(),
    };
    let message = if plan.decided.no_message {
        "no message"
    } else {
        "a message"
    };
    format!("{greeting}, {message}")
}

fn about(facts: &Facts, subscriber: &Subscriber) -> String {
    let who = match (facts.anonymous, facts.known) {
        (true, _) => "anonymous".to_owned(),
        (false, false) => "no contact of theirs".to_owned(),
        (false, true) if facts.groups.is_empty() => "a contact in no group".to_owned(),
        (false, true) => format!("a contact in {}", facts.groups.join(", ")),
    };
    let number = facts.number.as_ref().map(|number| format!(" ({number})"));
    format!(
        "{}{} calls {}: {who}; {} {}",
        facts.from,
        number.unwrap_or_default(),
        subscriber.user,
        facts.local,
        subscriber.zone
    )
}

fn passed(passed: Passed) -> &'static str {
    match passed {
        Passed::Why => "why",
        Passed::From => "from",
        Passed::At => "at",
        Passed::On => "on",
    }
}

impl Reading {
    fn to_json(&self, rules: &[Rule]) -> Value {
        let rows = self.decision.passed.iter().zip(rules).enumerate();
        let not: Vec<Value> = rows
            .map(|(at, (why, _))| json!({"place": at.saturating_add(1), "because_of": passed(*why)}))
            .collect();
        json!({
            "why": self.why,
            "rule": self.decision.fired.map(|at| at.saturating_add(1)),
            "passed": not,
            "outcome": self.outcome,
        })
    }

    fn told(self, rules: &[Rule]) -> Told {
        let not = |(at, (why, rule)): (usize, (&Passed, &Rule))| {
            let because = match why {
                Passed::Why => format!("it is for another reason: {}", told::why(rule)),
                Passed::From => format!("it is for other callers: {}", told::from(rule)),
                Passed::At | Passed::On => format!("it is for another time: {}", told::when(rule)),
            };
            format!("rule {} does not act: {because}", at.saturating_add(1))
        };
        let fired = self.decision.fired.and_then(|at| Some((at, rules.get(at)?)));
        Told {
            when: match self.why {
                None => "before anybody rings".to_owned(),
                Some(why) => format!("nobody takes the call ({})", why.as_str()),
            },
            passed: self.decision.passed.iter().zip(rules).enumerate().map(not).collect(),
            acts: match fired {
                Some((at, rule)) => format!("rule {} acts: {}", at.saturating_add(1), told::outcome(&rule.outcome)),
                None => "no rule acts".to_owned(),
            },
            so: self.then,
        }
    }
}
