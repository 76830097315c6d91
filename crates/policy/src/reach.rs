//! Where subscribers may have their own callers sent.
//!
//! An operator sends them anywhere. A subscriber who could would have calls made at the operator's cost, to anywhere (toll fraud): what
//! they have set themselves is bound as a call of their own phone is, by `destinations` of the profile by which phones register. It is
//! asked when they set it, and again at each call: `destinations` may be narrower by then.

use std::borrow::Borrow;

use crate::{AS_CALLED, Callee, Destination, Plan, Profile, REGISTERED, Rules, Subscriber, TargetBy, Then};

/// An address, as far as it counts for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentTo<'a> {
    /// All of it.
    pub uri: &'a str,
    /// It is a number alone, `tel:`.
    pub is_tel: bool,
    /// Its host, an address without brackets; empty: it has none.
    pub host: &'a str,
}

impl Subscriber {
    /// Whether they may have their own callers sent there; `to`: the same, read, where it can be.
    pub fn may_send<P: Borrow<Profile>>(&self, uri: &str, to: Option<SentTo<'_>>, profiles: &[P]) -> bool {
        // Where their phones registered was admitted then.
        if uri == REGISTERED {
            return true;
        }
        let Some(to) = to.filter(|_| uri != AS_CALLED) else {
            return false;
        };
        let all = || profiles.iter().map(Borrow::borrow);
        let registering = || all().filter(|profile: &&Profile| profile.registrar);
        match registering().next() {
            Some(_) => registering().any(|profile| profile.admits(self, to)),
            None => all().next().is_some_and(|profile| profile.admits(self, to)),
        }
    }
}

impl Profile {
    /// Whether `destinations` admit it, by the way on which it goes: a target has its own host, unless it is a number or the subscriber is
    /// reached by the next hop.
    fn admits(&self, subscriber: &Subscriber, to: SentTo<'_>) -> bool {
        let admits: &dyn Fn(&Destination) -> bool = if to.is_tel || subscriber.target_by == TargetBy::NextHop {
            let number = self.normalise(to.uri);
            let said = (!number.said.is_empty()).then_some(number.said);
            &move |entry: &Destination| {
                entry.admits_callee(Callee {
                    number: said.as_deref(),
                    e164: number.number.as_deref(),
                    host: to.host,
                })
            }
        } else {
            &move |entry: &Destination| entry.admits_place(to.host)
        };
        self.destinations.iter().any(admits)
    }
}

impl Plan {
    /// Takes away where the subscriber may not have callers sent now, of what they have set themselves: targets, and what rules forward to.
    /// `may`: whether calls of theirs go there.
    pub fn bind(&mut self, subscriber: &Subscriber, rules: &Rules, may: impl Fn(&str) -> bool) {
        let is_barred = |place: &u32| {
            let at = usize::try_from(*place).ok().and_then(|place| place.checked_sub(1));
            let rule = at.and_then(|at| rules.rules.get(at)).filter(|rule| rule.own);
            matches!(rule.and_then(|rule| rule.outcome.then.as_ref()), Some(Then::Forward(uri)) if !may(uri))
        };
        let first = self
            .decided
            .first_place
            .filter(|_| self.decided.forwarded_for.is_some());
        match first {
            Some(place) if is_barred(&place) => {
                self.decided.barred.push(place);
                self.barred = std::mem::take(&mut self.targets);
            }
            Some(_) => {}
            None => {
                let is_own = |target: &String| subscriber.own_targets.contains(target);
                let targets = std::mem::take(&mut self.targets).into_iter();
                (self.barred, self.targets) = targets.partition(|target| is_own(target) && !may(target));
            }
        }
        let missed = self.decided.missed.iter().map(|on| on.place).filter(is_barred);
        self.decided.barred.extend(missed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Calling, First, Outcome, Rule, Why};

    /// As it would be read.
    fn to(uri: &str) -> Option<SentTo<'_>> {
        let (scheme, rest) = uri.split_once(':')?;
        let host = rest.split_once('@').map_or("", |(_, host)| host);
        Some(SentTo {
            uri,
            is_tel: scheme == "tel",
            host,
        })
    }

    fn office(destinations: &[&str]) -> Profile {
        Profile {
            destinations: destinations.iter().map(|to| to.parse().unwrap()).collect(),
            ..Profile::default()
        }
    }

    fn bob(targets: &[&str], own: &[&str]) -> Subscriber {
        let all = |all: &[&str]| all.iter().map(|uri| (*uri).to_owned()).collect();
        Subscriber {
            user: "bob".to_owned(),
            targets: all(targets),
            own_targets: all(own),
            ..Subscriber::default()
        }
    }

    fn forward(uri: &str, why: &[Why], own: bool) -> Rule {
        Rule {
            why: why.to_vec(),
            own,
            outcome: Outcome {
                then: Some(Then::Forward(uri.to_owned())),
                ..Outcome::default()
            },
            ..Rule::default()
        }
    }

    /// The plan of a call to bob where numbers of this country alone are admitted now.
    fn plan(bob: &Subscriber, rules: Vec<Rule>) -> Plan {
        let profile = office(&["+49*"]);
        let rules = Rules {
            rules,
            contacts: Vec::new(),
        };
        let calling = Calling {
            from: "sip:ann@example.org".to_owned(),
            at_ms: 0,
        };
        let mut plan = Plan::new(bob, &profile);
        plan.decide(bob, &rules, &profile, &calling, false);
        plan.bind(bob, &rules, |uri| bob.may_send(uri, to(uri), &[&profile]));
        plan
    }

    const NEAR: &str = "tel:+4930123456";
    const FAR: &str = "tel:+1900555";

    #[test]
    fn of_a_subscribers_own_targets_those_that_are_not_admitted_now_do_not_ring() {
        let all = ["registered", NEAR, FAR, "sip:bob@192.0.2.7"];
        let plan_of = |own: &[&str]| plan(&bob(&all, own), Vec::new());
        assert_eq!(plan_of(&[]).targets, all, "an operator's stay");
        let plan = plan_of(&all);
        assert_eq!(plan.targets, ["registered", NEAR]);
        assert_eq!(plan.barred, [FAR, "sip:bob@192.0.2.7"]);
    }

    #[test]
    fn a_subscribers_own_rule_forwards_nowhere_that_is_not_admitted_now() {
        let bob = bob(&["registered"], &[]);
        let first = plan(&bob, vec![forward(FAR, &[], true)]);
        assert_eq!(
            (first.targets.len(), first.barred.as_slice()),
            (0, [FAR.to_owned()].as_slice())
        );
        assert_eq!(
            (first.decided.first, first.decided.barred.as_slice()),
            (First::Ring, [1].as_slice())
        );
        for (uri, own) in [(NEAR, true), (FAR, false)] {
            let plan = plan(&bob, vec![forward(uri, &[], own), forward(uri, &[Why::Busy], own)]);
            assert_eq!((plan.targets, plan.barred.len()), (vec![uri.to_owned()], 0));
            assert!(plan.decided.barred.is_empty());
        }
        let missed = plan(
            &bob,
            vec![forward(NEAR, &[Why::Busy], true), forward(FAR, &[Why::NoAnswer], true)],
        );
        assert_eq!(
            (missed.targets, missed.decided.barred),
            (vec![REGISTERED.to_owned()], vec![2])
        );
    }
}
