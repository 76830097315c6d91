//! The plan for one call, decided before anything is said to the caller.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{AnswerAt, Decided, First, Language, Profile, Subscriber};

/// How several targets ring.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ring {
    /// All at once.
    #[default]
    Together,
    /// One after the other.
    InOrder,
}

/// By what a subscriber's targets are reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetBy {
    /// Their own hosts; a number by the next hop.
    #[default]
    Host,
    /// What is left of the call's Route, else the profile's next hop, with the target as Request-URI; where there is neither, their own
    /// hosts.
    NextHop,
}

/// What callers are held on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldOn {
    /// The clip.
    #[default]
    Clip,
    /// The greeting; the clip where there is none.
    Greeting,
}

/// How long each target rings in order, milliseconds, when the subscriber names nothing else.
pub const DEFAULT_RING_MS: u64 = 15_000;

/// In place of a target's URI: the Request-URI as the caller called it.
pub const AS_CALLED: &str = "as-called";

/// In place of a target's URI: wherever the subscriber is registered.
pub const REGISTERED: &str = "registered";

/// What this call will do, all defaults resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The mailbox that a message would go to.
    pub mailbox: String,
    /// Where the callee is reached, SIP URIs or [`AS_CALLED`].
    pub targets: Vec<String>,
    /// The targets are reached by the call's Route or the profile's next hop, not by their own hosts.
    pub onward: bool,
    /// Nobody's mailbox: the callee is no subscriber. How the call fails goes to the caller as it came.
    pub plain: bool,
    /// How much targets are preferred, thousandths; those that are not here as much as any (RFC 3261 §16.6). Where targets ring
    /// together, those of one value do, the higher ones before the lower.
    pub preference: BTreeMap<String, u16>,
    /// They were to be where the callee is registered, who is registered nowhere.
    pub unregistered: bool,
    /// What the subscriber has set themselves, and where calls of theirs do not go now: not called.
    pub barred: Vec<String>,
    /// The callee is in so many calls already, and takes no more: nobody is called.
    pub engaged: Option<u32>,
    /// How they ring.
    pub ring: Ring,
    /// How long each rings when they take turns, milliseconds.
    pub ring_ms: u64,
    /// The clip to hold the caller on, by name.
    pub clip: Option<String>,
    /// What the caller is held on.
    pub hold_on: HoldOn,
    /// From the first clip packet to the INVITE to B, milliseconds; 0: clip while ringing.
    pub hold_ms: u64,
    /// From the first INVITE to B to the greeting, milliseconds, however many targets ring.
    pub no_answer_ms: u64,
    /// The greeting, by name.
    pub greeting: Option<String>,
    /// When A gets the 200 for the mailbox.
    pub answer_at: AnswerAt,
    /// A chooses what it leaves, and what becomes of it.
    pub menu: bool,
    /// In which language A is spoken to.
    pub language: Language,
    /// What the subscriber's rules say of this call.
    pub decided: Decided,
}

impl Plan {
    /// The plan for a call to `subscriber` under `profile`.
    pub fn new(subscriber: &Subscriber, profile: &Profile) -> Plan {
        Plan {
            mailbox: subscriber.user.clone(),
            targets: match subscriber.targets.is_empty() {
                true => vec![REGISTERED.to_owned()],
                false => subscriber.targets.clone(),
            },
            preference: BTreeMap::new(),
            unregistered: false,
            barred: Vec::new(),
            engaged: None,
            onward: subscriber.target_by == TargetBy::NextHop,
            plain: false,
            ring: subscriber.ring,
            ring_ms: subscriber.ring_ms.unwrap_or(DEFAULT_RING_MS),
            clip: subscriber.clip.clone(),
            hold_on: subscriber.hold_on,
            hold_ms: subscriber.hold_ms.unwrap_or(profile.hold_ms).min(profile.hold_max_ms),
            no_answer_ms: subscriber.no_answer_ms.unwrap_or(profile.no_answer_ms),
            greeting: subscriber.greeting.clone(),
            answer_at: subscriber.answer_at.unwrap_or(profile.answer_at),
            menu: subscriber.menu.unwrap_or(profile.menu),
            language: subscriber.language.unwrap_or(profile.language),
            decided: Decided::default(),
        }
    }
}

impl Plan {
    /// Whether somebody must say where the callee is registered.
    pub fn asks_for_contacts(&self) -> bool {
        self.targets.iter().any(|target| target == REGISTERED)
    }

    /// Puts the callee's contacts, the preferred first, with their preference in thousandths, in the place of [`REGISTERED`]. No target
    /// is there twice.
    pub fn reach(&mut self, contacts: Vec<(String, u16)>) {
        let mut targets: Vec<String> = Vec::new();
        for target in std::mem::take(&mut self.targets) {
            let these: Vec<String> = match target == REGISTERED {
                true => contacts.iter().map(|(contact, _)| contact.clone()).collect(),
                false => vec![target],
            };
            for target in these {
                if !targets.contains(&target) {
                    targets.push(target);
                }
            }
        }
        self.unregistered = targets.is_empty();
        self.targets = targets;
        self.preference = contacts.into_iter().collect();
    }

    /// Whether the callee itself is called as far as it is known, and not somebody to whom a rule forwards the caller.
    pub fn rings_callee(&self) -> bool {
        self.decided.first == First::Ring && self.decided.forwarded_for.is_none() && !self.targets.is_empty()
    }

    /// The callee is in so many calls, and takes no more: nobody rings.
    pub fn engage(&mut self, calls: u32) {
        self.targets.clear();
        self.engaged = Some(calls);
    }

    /// How much a target is preferred, thousandths.
    pub fn preference_of(&self, target: &str) -> u16 {
        self.preference.get(target).copied().unwrap_or(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscriber() -> Subscriber {
        Subscriber {
            user: "bob".to_owned(),
            targets: vec!["sip:bob@127.0.0.1:5070".to_owned()],
            clip: Some("ring".to_owned()),
            ..Subscriber::default()
        }
    }

    fn profile() -> Profile {
        let text =
            "name = \"p\"\nsources = [\"127.0.0.0/8\"]\nhold_ms = 4000\nhold_max_ms = 9000\nno_answer_ms = 15000";
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_the_subscriber_leaves_open_the_profile_decides() {
        let plan = Plan::new(&subscriber(), &profile());
        assert_eq!((plan.hold_ms, plan.no_answer_ms), (4_000, 15_000));
        assert_eq!(
            (plan.mailbox.as_str(), plan.clip.as_deref(), plan.greeting),
            ("bob", Some("ring"), None)
        );
    }

    #[test]
    fn what_the_subscriber_says_counts() {
        let mut bob = subscriber();
        (bob.hold_ms, bob.no_answer_ms) = (Some(0), Some(7_000));
        let plan = Plan::new(&bob, &profile());
        assert_eq!((plan.hold_ms, plan.no_answer_ms), (0, 7_000));
    }

    #[test]
    fn targets_are_reached_as_the_subscriber_says() {
        assert!(!Plan::new(&subscriber(), &profile()).onward);
        let mut bob = subscriber();
        bob.target_by = TargetBy::NextHop;
        assert!(Plan::new(&bob, &profile()).onward);
    }

    #[test]
    fn each_subscriber_may_be_answered_for_at_another_time() {
        let (mut bob, mut profile) = (subscriber(), profile());
        for of_profile in [AnswerAt::Greeting, AnswerAt::AfterGreeting] {
            profile.answer_at = of_profile;
            bob.answer_at = None;
            assert_eq!(Plan::new(&bob, &profile).answer_at, of_profile);
            for own in [AnswerAt::Greeting, AnswerAt::AfterGreeting] {
                bob.answer_at = Some(own);
                assert_eq!(Plan::new(&bob, &profile).answer_at, own);
            }
        }
    }

    #[test]
    fn the_menu_and_its_language_are_the_subscribers_else_the_profiles() {
        let (mut bob, mut profile) = (subscriber(), profile());
        let of = |bob: &Subscriber, profile: &Profile| {
            let plan = Plan::new(bob, profile);
            (plan.menu, plan.language)
        };
        assert_eq!(of(&bob, &profile), (true, Language::En));
        (profile.menu, profile.language) = (false, Language::De);
        assert_eq!(of(&bob, &profile), (false, Language::De));
        (bob.menu, bob.language) = (Some(true), Some(Language::En));
        assert_eq!(of(&bob, &profile), (true, Language::En));
    }

    #[test]
    fn contacts_stand_where_the_subscriber_is_registered() {
        let mut bob = subscriber();
        bob.targets.clear();
        let mut plan = Plan::new(&bob, &profile());
        assert!(plan.asks_for_contacts());
        plan.reach(Vec::new());
        assert!(plan.unregistered && plan.targets.is_empty());
        bob.targets = vec!["sip:desk@192.0.2.7".to_owned(), REGISTERED.to_owned()];
        let mut plan = Plan::new(&bob, &profile());
        let contacts = [("sip:a@h", 700), ("sip:desk@192.0.2.7", 500)];
        plan.reach(contacts.map(|(contact, q)| (contact.to_owned(), q)).to_vec());
        assert_eq!(plan.targets, ["sip:desk@192.0.2.7", "sip:a@h"]);
        assert_eq!(
            (plan.preference_of("sip:a@h"), plan.preference_of("sip:other@h")),
            (700, 1_000)
        );
        plan.targets = vec!["sip:desk@192.0.2.7".to_owned(), REGISTERED.to_owned()];
        plan.reach(Vec::new());
        assert!(!plan.unregistered, "there is a desk phone");
    }

    #[test]
    fn no_hold_is_longer_than_the_profile_allows() {
        let mut bob = subscriber();
        bob.hold_ms = Some(60_000);
        assert_eq!(Plan::new(&bob, &profile()).hold_ms, 9_000);
    }
}
