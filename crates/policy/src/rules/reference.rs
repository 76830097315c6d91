//! The rules against a plain reference, written from docs/rules.md without a look at `decide.rs`: random rules, contacts and calls,
//! each from its seed.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;
use crate::{Plan, Profile, Subscriber};

const SEEDS: u64 = 6_000;

fn pick<'a, T>(rng: &mut StdRng, all: &'a [T]) -> &'a T {
    &all[rng.random_range(0..all.len())]
}

fn some<T: Clone>(rng: &mut StdRng, all: &[T]) -> Vec<T> {
    let how_many = *pick(rng, &[0, 0, 0, 1, 2]);
    (0..how_many).map(|_| pick(rng, all).clone()).collect()
}

fn words<T: TryFrom<String>>(all: &[&str]) -> Vec<T>
where
    T::Error: std::fmt::Debug,
{
    all.iter()
        .map(|text| T::try_from((*text).to_owned()).unwrap())
        .collect()
}

fn rule(rng: &mut StdRng) -> Rule {
    let choices = [
        None,
        Some(ClipChoice::None),
        Some(ClipChoice::Clip("a".into())),
        Some(ClipChoice::Clip("b".into())),
    ];
    let thens = [
        None,
        None,
        Some(Then::Ring),
        Some(Then::Greeting),
        Some(Then::HangUp),
        Some(Then::Forward("sip:deputy@192.0.2.9".into())),
    ];
    Rule {
        from: some(
            rng,
            &words(&[
                "anonymous",
                "unknown",
                "family",
                "work",
                "+4930*",
                "+49301",
                "sip:carol@x",
            ]),
        ),
        why: (0..*pick(rng, &[0, 1, 2, 3])).map(|_| *pick(rng, &Why::ALL)).collect(),
        at: some(
            rng,
            &words(&["mon-fri 09:00-17:00", "daily 22:00-06:00", "sun 02:00-03:00"]),
        ),
        on: some(rng, &words(&["2026-03-29", "2026-10-20..2026-10-30"])),
        outcome: Outcome {
            then: pick(rng, &thens).clone(),
            clip: pick(rng, &choices).clone(),
            hold_ms: *pick(rng, &[None, Some(0), Some(3_000), Some(60_000)]),
            greeting: pick(rng, &choices).clone(),
            message: *pick(rng, &[None, Some(true), Some(false)]),
        },
        own: false,
    }
}

/// What the call does in the end, when it fails for `why` wherever it is put through.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Course {
    rings: Vec<String>,
    held_on: Option<(Option<String>, u64)>,
    ends: &'static str,
    greeting: Option<String>,
    message: bool,
}

/// Word by word as the page says it.
struct Naive<'a> {
    rules: &'a Rules,
    subscriber: &'a Subscriber,
    from: &'a str,
    number: Option<&'a str>,
    local: Local,
}

impl Naive<'_> {
    fn contact_groups(&self) -> Option<Vec<String>> {
        let known = self
            .rules
            .contacts
            .iter()
            .filter(|contact| match contact.address.to_string().as_str() {
                prefix if prefix.ends_with('*') && prefix.starts_with('+') => {
                    self.number.is_some_and(|n| n.starts_with(prefix.trim_end_matches('*')))
                }
                number if number.starts_with('+') => self.number == Some(number),
                uri => uri == self.from,
            });
        let known: Vec<_> = known.collect();
        (!known.is_empty()).then(|| known.iter().flat_map(|c| c.groups.clone()).collect())
    }

    fn for_caller(&self, rule: &Rule) -> bool {
        let anonymous = self.from == "sip:anonymous@anonymous.invalid";
        let groups = self.contact_groups();
        rule.from.is_empty()
            || rule.from.iter().any(|who| match String::from(who.clone()).as_str() {
                "anonymous" => anonymous,
                _ if anonymous => false,
                "unknown" => groups.is_none(),
                "+4930*" => self.number.is_some_and(|n| n.starts_with("+4930")),
                "+49301" => self.number == Some("+49301"),
                "sip:carol@x" => self.from == "sip:carol@x",
                group => groups.as_ref().is_some_and(|all| all.iter().any(|g| g == group)),
            })
    }

    fn applies(&self, rule: &Rule) -> bool {
        let hours = rule.at.is_empty() || rule.at.iter().any(|at| at.holds(self.local));
        let dates = rule.on.is_empty() || rule.on.iter().any(|on| on.holds(self.local));
        self.for_caller(rule) && hours && dates
    }

    fn course(&self, fails: Why, offline: bool) -> Course {
        let open = self.subscriber.hours.is_empty() || self.subscriber.hours.iter().any(|h| h.holds(self.local));
        let holds = |why: &Why| match why {
            Why::Dnd => self.subscriber.dnd,
            Why::OutOfHours => !open,
            Why::Offline => offline,
            _ => false,
        };
        let available = !Why::ALL.iter().any(holds);
        let mut course = Course {
            rings: Vec::new(),
            held_on: None,
            ends: "greeting",
            greeting: Some("own".into()),
            message: true,
        };
        let (mut clip, mut hold) = (Some("own-clip".to_owned()), 6_000);
        let mut targets = self.subscriber.targets.clone();
        let mut rings = available;
        let first = self
            .rules
            .rules
            .iter()
            .find(|rule| (rule.why.is_empty() || rule.why.iter().any(holds)) && self.applies(rule));
        let mut forwarded = false;
        if let Some(Rule { outcome, .. }) = first {
            if let Some(choice) = &outcome.clip {
                clip = choice.name().map(str::to_owned);
            }
            hold = outcome.hold_ms.map_or(hold, |ms| ms.min(20_000));
            if let Some(choice) = &outcome.greeting {
                course.greeting = choice.name().map(str::to_owned);
            }
            course.message = outcome.message.unwrap_or(course.message);
            match &outcome.then {
                Some(Then::HangUp) => {
                    course.ends = "hang-up";
                    return course;
                }
                Some(Then::Greeting) => rings = false,
                Some(Then::Ring) => rings = true,
                Some(Then::Forward(to)) => (rings, forwarded, targets) = (true, true, vec![to.clone()]),
                None => {}
            }
        }
        if !rings {
            return course;
        }
        course.held_on = Some((clip, hold));
        course.rings.append(&mut targets);
        loop {
            let second = self
                .rules
                .rules
                .iter()
                .find(|rule| rule.why.contains(&fails) && self.applies(rule));
            let Some(Rule { outcome, .. }) = second else {
                return course;
            };
            if let Some(choice) = &outcome.greeting {
                course.greeting = choice.name().map(str::to_owned);
            }
            course.message = outcome.message.unwrap_or(course.message);
            match &outcome.then {
                Some(Then::HangUp) => course.ends = "hang-up",
                Some(Then::Forward(to)) if !forwarded => {
                    forwarded = true;
                    course.rings.push(to.clone());
                    continue;
                }
                _ => {}
            }
            return course;
        }
    }
}

/// The same by what calls do.
fn course(mut plan: Plan, fails: Why) -> Course {
    let mut course = Course {
        rings: Vec::new(),
        held_on: None,
        ends: "greeting",
        greeting: None,
        message: true,
    };
    match plan.decided.first {
        First::HangUp { .. } => course.ends = "hang-up",
        First::Greeting(_) => {}
        First::Ring => {
            course.held_on = Some((plan.clip.clone(), plan.hold_ms));
            loop {
                course.rings.append(&mut plan.targets.clone());
                match plan.missed(fails) {
                    Some((_, Then::Forward(_))) => {}
                    Some((_, Then::HangUp)) => {
                        course.ends = "hang-up";
                        break;
                    }
                    _ => break,
                }
            }
        }
    }
    course.greeting = plan.greeting;
    course.message = !plan.decided.no_message;
    course
}

fn profile() -> Profile {
    let text = "name = \"p\"\nsources = [\"127.0.0.0/8\"]\ncountry_code = \"49\"\nhold_ms = 6000\nhold_max_ms = 20000";
    toml::from_str(text).unwrap()
}

#[test]
fn random_rules_do_what_the_page_says() {
    let profile = profile();
    let callers = [
        ("sip:anonymous@anonymous.invalid", None),
        ("sip:carol@x", None),
        ("sip:+49301@x", Some("+49301")),
        ("sip:030999@x", Some("+4930999")),
        ("tel:+441", Some("+441")),
    ];
    let contacts: Vec<Contact> = [("+49301", "family"), ("+4930*", "work"), ("sip:carol@x", "work")]
        .map(|(address, group)| Contact {
            address: Address::try_from(address.to_owned()).unwrap(),
            name: None,
            groups: vec![group.to_owned()],
        })
        .into();
    let mut seen = std::collections::BTreeMap::new();
    for seed in 0..SEEDS {
        let rng = &mut StdRng::seed_from_u64(seed);
        let rules = Rules {
            rules: (0..rng.random_range(0..6)).map(|_| rule(rng)).collect(),
            contacts: contacts.iter().filter(|_| rng.random()).cloned().collect(),
        };
        let subscriber = Subscriber {
            user: "bob".into(),
            targets: vec!["sip:bob@192.0.2.7".into()],
            clip: Some("own-clip".into()),
            greeting: Some("own".into()),
            zone: Zone::try_from((*pick(rng, &["UTC", "Europe/Berlin", "America/New_York"])).to_owned()).unwrap(),
            hours: some(rng, &words(&["mon-fri 08:00-18:00", "sat 10:00-12:00"])),
            dnd: rng.random_range(0..4) == 0,
            ..Subscriber::default()
        };
        let (from, number) = *pick(rng, &callers);
        // Somewhere in 2026, and often around the changes of the clock.
        let around = *pick(rng, &[1_774_742_400_000i64, 1_792_886_400_000, 1_767_225_600_000]);
        let width = if around == 1_767_225_600_000 { 365 } else { 2 };
        let calling = Calling {
            from: from.to_owned(),
            at_ms: around + rng.random_range(0..width * 86_400_000),
        };
        let fails = *pick(rng, &[Why::Busy, Why::NoAnswer, Why::Declined, Why::Offline]);
        let offline = rng.random_range(0..4) == 0;
        let naive = Naive {
            rules: &rules,
            subscriber: &subscriber,
            from,
            number,
            local: subscriber.zone.local(calling.at_ms),
        };
        let mut plan = Plan::new(&subscriber, &profile);
        plan.decide(&subscriber, &rules, &profile, &calling, offline);
        let (is, should) = (course(plan, fails), naive.course(fails, offline));
        *seen.entry((should.ends, should.rings.len())).or_insert(0) += 1;
        // Where the call ends for good nobody sees the rest.
        let seen_of = |course: Course| match course.ends {
            "hang-up" => Course {
                greeting: None,
                message: true,
                ..course
            },
            _ => course,
        };
        assert_eq!(
            seen_of(is),
            seen_of(should),
            "seed {seed}: {rules:#?} {calling:?} {fails:?}"
        );
    }
    for course in [
        ("greeting", 0),
        ("greeting", 1),
        ("greeting", 2),
        ("hang-up", 0),
        ("hang-up", 1),
        ("hang-up", 2),
    ] {
        let count = seen.get(&course).copied().unwrap_or(0);
        // Nobody is hung up on after two targets: the rule that forwards is that which is asked again.
        assert_eq!(count > 20, course != ("hang-up", 2), "{course:?}: {count}");
    }
}

#[test]
fn without_rules_nothing_changes() {
    let profile = profile();
    let bob = Subscriber {
        user: "bob".into(),
        targets: vec!["sip:bob@192.0.2.7".into()],
        ..Subscriber::default()
    };
    let plain = Plan::new(&bob, &profile);
    let mut plan = plain.clone();
    let calling = Calling {
        from: "sip:alice@x".into(),
        at_ms: 0,
    };
    plan.decide(&bob, &Rules::default(), &profile, &calling, false);
    assert_eq!(plan, plain);
    assert_eq!(plan.missed(Why::Busy), None);
    assert_eq!(plan, plain);
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    let outcome = |text: &str| serde_json::from_str::<Outcome>(text).unwrap();
    for (why, text, refused) in [
        (vec![], "{}", Some(RuleError::Nothing)),
        (vec![Why::Busy], r#"{"then":"ring"}"#, Some(RuleError::TooLate)),
        (vec![Why::Busy], r#"{"clip":"a"}"#, Some(RuleError::TooLate)),
        (vec![Why::Busy, Why::Dnd], r#"{"then":"ring"}"#, None),
        (
            vec![],
            r#"{"then":"hang-up","greeting":"a"}"#,
            Some(RuleError::NotReached),
        ),
        (
            vec![],
            r#"{"then":"greeting","hold_ms":1000}"#,
            Some(RuleError::NotHeld),
        ),
        (
            vec![Why::Busy],
            r#"{"then":{"forward":"sip:a@b"},"greeting":"none"}"#,
            None,
        ),
        (vec![], r#"{"clip":"none","message":false}"#, None),
    ] {
        let rule = Rule {
            why,
            outcome: outcome(text),
            ..Rule::default()
        };
        assert_eq!(rule.check().err(), refused, "{text}");
        let json = serde_json::to_string(&rule).unwrap();
        assert_eq!(serde_json::from_str::<Rule>(&json).unwrap(), rule, "{json}");
    }
}
