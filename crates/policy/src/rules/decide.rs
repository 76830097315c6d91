//! The rules against one call: which acts, why those before it do not, and what that makes of the plan.

use serde::{Deserialize, Serialize};

use super::{Calling, Contact, Local, Outcome, Rule, Then, Who, Why};
use crate::{Plan, Profile, Ring, Subscriber};

/// A subscriber's rules, in their order, and whom these speak of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// The rules.
    pub rules: Vec<Rule>,
    /// The contacts; may be left out where no rule asks for them ([`Rules::need_contacts`]).
    pub contacts: Vec<Contact>,
}

/// What the rules look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// By the subscriber's clock.
    pub local: Local,
    /// As the caller is shown.
    pub from: String,
    /// Its number in E.164, by the profile's numbering.
    pub number: Option<String>,
    /// It does not say who it is.
    pub anonymous: bool,
    /// It is a contact.
    pub known: bool,
    /// The groups that it is in, in their order, each once.
    pub groups: Vec<String>,
}

/// Why a rule does not act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// It is for another reason.
    Why,
    /// It is for other callers.
    From,
    /// It is for other hours.
    At,
    /// It is for other dates.
    On,
}

/// One look through the rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// The rule that acts, counted from 0; `None`: none does.
    pub fired: Option<usize>,
    /// Why those before it do not, in their order.
    pub passed: Vec<Passed>,
}

/// What is done with a caller before anybody rings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum First {
    /// Held, and put through.
    #[default]
    Ring,
    /// Straight to the greeting: the subscriber is not available for this reason, or (`None`) a rule says so.
    Greeting(Option<Why>),
    /// Refused.
    HangUp {
        /// For not saying who it is.
        anonymous: bool,
    },
}

/// What follows when nobody takes the call for this reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnMissed {
    /// The reason.
    pub why: Why,
    /// The rule's place, counted from 1.
    pub place: u32,
    /// What it decides.
    pub outcome: Outcome,
}

/// What the rules have made of a plan. All is decided by the moment at which the call arrives; by default there is no rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Before anybody rings.
    pub first: First,
    /// The place of the rule that says so, counted from 1.
    pub first_place: Option<u32>,
    /// A rule has the caller put through whatever keeps the subscriber from being called.
    pub rings_anyhow: bool,
    /// A greeting is followed by nothing.
    pub no_message: bool,
    /// The targets are those of a rule, for the reason that this SIP status tells (RFC 4458 §2.2); nobody is forwarded twice.
    pub forwarded_for: Option<u16>,
    /// The places of rules that forward where the subscriber may not have callers sent now ([`Plan::bind`]).
    pub barred: Vec<u32>,
    /// When nobody takes the call; a reason that is not here leaves all as it is.
    pub missed: Vec<OnMissed>,
}

impl Rules {
    /// Whether any rule asks who the contacts are.
    pub fn need_contacts(rules: &[Rule]) -> bool {
        let asks = |who: &Who| matches!(who, Who::Unknown | Who::Group(_));
        rules.iter().any(|rule| rule.from.iter().any(asks))
    }

    /// What is known of a call to this subscriber.
    pub fn facts(&self, subscriber: &Subscriber, profile: &Profile, calling: &Calling) -> Facts {
        let anonymous = calling.is_anonymous();
        let number = profile.normalise(&calling.from).number.filter(|_| !anonymous);
        let theirs = |contact: &&Contact| contact.address.is(&calling.from, number.as_deref());
        let found: Vec<&Contact> = self.contacts.iter().filter(theirs).filter(|_| !anonymous).collect();
        let mut groups: Vec<String> = found
            .iter()
            .flat_map(|contact| contact.groups.iter().cloned())
            .collect();
        groups.sort();
        groups.dedup();
        Facts {
            local: subscriber.zone.local(calling.at_ms),
            from: calling.from.clone(),
            anonymous,
            known: !found.is_empty(),
            groups,
            number,
        }
    }

    /// The first decision: before anybody rings, for these reasons not to.
    pub fn before(&self, facts: &Facts, whys: &[Why]) -> Decision {
        self.decide(facts, |rule| {
            rule.why.is_empty() || rule.why.iter().any(|why| why.is_before() && whys.contains(why))
        })
    }

    /// The second decision: nobody takes the call.
    pub fn missed(&self, facts: &Facts, why: Why) -> Decision {
        self.decide(facts, |rule| why.is_after() && rule.why.contains(&why))
    }

    fn decide(&self, facts: &Facts, counts: impl Fn(&Rule) -> bool) -> Decision {
        let mut decision = Decision::default();
        for (place, rule) in self.rules.iter().enumerate() {
            let passed = if counts(rule) {
                facts.passes(rule)
            } else {
                Some(Passed::Why)
            };
            match passed {
                Some(passed) => decision.passed.push(passed),
                None => {
                    decision.fired = Some(place);
                    break;
                }
            }
        }
        decision
    }
}

impl Facts {
    fn is(&self, who: &Who) -> bool {
        match who {
            Who::Anonymous => self.anonymous,
            Who::Unknown => !self.anonymous && !self.known,
            Who::Group(name) => self.groups.contains(name),
            Who::Address(address) => !self.anonymous && address.is(&self.from, self.number.as_deref()),
        }
    }

    /// Why a rule is not for this call, if it is not.
    fn passes(&self, rule: &Rule) -> Option<Passed> {
        if !rule.from.is_empty() && !rule.from.iter().any(|who| self.is(who)) {
            return Some(Passed::From);
        }
        if !rule.at.is_empty() && !rule.at.iter().any(|hours| hours.holds(self.local)) {
            return Some(Passed::At);
        }
        if !rule.on.is_empty() && !rule.on.iter().any(|dates| dates.holds(self.local)) {
            return Some(Passed::On);
        }
        None
    }
}

impl Subscriber {
    /// Why they are not to be called now.
    pub fn unavailable(&self, local: Local, offline: bool) -> Vec<Why> {
        let out_of_hours = !self.hours.is_empty() && !self.hours.iter().any(|hours| hours.holds(local));
        let whys = [
            (Why::Dnd, self.dnd),
            (Why::OutOfHours, out_of_hours),
            (Why::Offline, offline),
        ];
        whys.into_iter().filter(|(_, so)| *so).map(|(why, _)| why).collect()
    }
}

/// Forwarded whatever the subscriber does (RFC 4458 §2.2).
const UNCONDITIONALLY: u16 = 302;

/// A rule's place as people count.
fn counted(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX).saturating_add(1)
}

impl Plan {
    /// What the rules and the subscriber's availability make of this plan. `offline`: it is known that nobody would be reached.
    pub fn decide(
        &mut self,
        subscriber: &Subscriber,
        rules: &Rules,
        profile: &Profile,
        calling: &Calling,
        offline: bool,
    ) {
        if rules.rules.is_empty() && subscriber.hours.is_empty() && !subscriber.dnd && !offline {
            return;
        }
        let facts = rules.facts(subscriber, profile, calling);
        let whys = subscriber.unavailable(facts.local, offline);
        self.decide_by(rules, &facts, &whys, profile.hold_max_ms);
    }

    /// The same, of what is known already; `whys`: why the subscriber is not to be called.
    pub fn decide_by(&mut self, rules: &Rules, facts: &Facts, whys: &[Why], hold_max_ms: u64) {
        let fired = rules.before(facts, whys).fired;
        let rule = fired.and_then(|place| Some((place, rules.rules.get(place)?)));
        let outcome = rule.map(|(_, rule)| &rule.outcome);
        if let Some(clip) = outcome.and_then(|outcome| outcome.clip.as_ref()) {
            self.clip = clip.name().map(str::to_owned);
        }
        if let Some(hold_ms) = outcome.and_then(|outcome| outcome.hold_ms) {
            self.hold_ms = hold_ms.min(hold_max_ms);
        }
        if let Some(outcome) = outcome {
            self.meet(outcome);
        }
        let decided = &mut self.decided;
        decided.first_place = fired.map(counted);
        decided.first = match outcome.and_then(|outcome| outcome.then.as_ref()) {
            Some(Then::Ring) => First::Ring,
            Some(Then::Greeting) => First::Greeting(whys.first().copied()),
            Some(Then::HangUp) => First::HangUp {
                anonymous: rule.is_some_and(|(_, rule)| facts.anonymous && rule.from.contains(&Who::Anonymous)),
            },
            Some(Then::Forward(_)) => First::Ring,
            None if !whys.is_empty() => First::Greeting(whys.first().copied()),
            None => First::Ring,
        };
        decided.rings_anyhow = matches!(
            outcome,
            Some(Outcome {
                then: Some(Then::Ring),
                ..
            })
        );
        if let Some(Then::Forward(target)) = outcome.and_then(|outcome| outcome.then.as_ref()) {
            self.forward(target.clone());
        }
        let after = Why::ALL.into_iter().filter(|why| why.is_after());
        self.decided.missed = after
            .filter_map(|why| {
                let place = rules.missed(facts, why).fired?;
                Some(OnMissed {
                    why,
                    place: counted(place),
                    outcome: rules.rules.get(place)?.outcome.clone(),
                })
            })
            .collect();
    }

    /// Nobody takes the call for this reason: what is done now, by the rule at this place. `None`: no rule is for that, and all stays as
    /// it is.
    pub fn missed(&mut self, why: Why) -> Option<(u32, Then)> {
        let on = self.decided.missed.iter().find(|on| on.why == why)?.clone();
        self.meet(&on.outcome);
        let then = match on.outcome.then {
            // The call has been forwarded already, or rung.
            Some(Then::Forward(_)) if self.decided.forwarded_for.is_some() => Then::Greeting,
            None | Some(Then::Ring) => Then::Greeting,
            Some(then) => then,
        };
        if let Then::Forward(target) = &then {
            self.forward(target.clone());
        }
        Some((on.place, then))
    }

    /// The clips that may be played, by their names.
    pub fn clips(&self) -> impl Iterator<Item = &str> {
        let later = self
            .decided
            .missed
            .iter()
            .filter_map(|on| on.outcome.greeting.as_ref()?.name());
        [&self.clip, &self.greeting]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .chain(later)
    }

    fn meet(&mut self, outcome: &Outcome) {
        if let Some(greeting) = &outcome.greeting {
            self.greeting = greeting.name().map(str::to_owned);
        }
        if let Some(message) = outcome.message {
            self.decided.no_message = !message;
        }
    }

    /// The call goes there in place of the subscriber's own targets.
    fn forward(&mut self, target: String) {
        self.targets = vec![target];
        self.ring = Ring::Together;
        self.onward = false;
        self.decided.forwarded_for = Some(UNCONDITIONALLY);
    }
}
