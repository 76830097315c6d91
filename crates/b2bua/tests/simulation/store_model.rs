//! The store as calls see it, with a ledger of what it was asked.

use std::collections::{BTreeMap, BTreeSet};

use segue_call::{Lookup, StoreReply};
use segue_mailbox::{ClipInfo, RenditionInfo, RenditionProfile, Rule};
use segue_policy::{AnswerAt, Plan, Profile, Subscriber};

use crate::dice::{Dice, MS, S, Time};

/// What the store knows about a callee, and how it behaves.
#[derive(Debug, Clone)]
pub struct StoreScript {
    pub found: Found,
    pub lookup_takes: Time,
    pub subscriber: Option<Subscriber>,
    pub clip_exists: bool,
    pub greeting_exists: bool,
    pub beep_exists: bool,
    /// What it says when asked for a place, and how long it takes for that.
    pub place: Room,
    pub place_takes: Time,
    pub deposit_takes: Time,
    pub deposit_fails: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    Some { longest_ms: u64 },
    None,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Yes,
    No,
    Broken,
}

impl StoreScript {
    /// A clip, a hold of 2 s, a greeting, 10 s to answer.
    pub fn plain() -> StoreScript {
        StoreScript {
            found: Found::Yes,
            lookup_takes: 5 * MS,
            subscriber: Some(Subscriber {
                clip: Some("clip".into()),
                hold_ms: Some(2_000),
                no_answer_ms: Some(10_000),
                greeting: Some("greeting".into()),
                ..Subscriber::default()
            }),
            clip_exists: true,
            greeting_exists: true,
            beep_exists: true,
            place: Room::Some { longest_ms: 180_000 },
            place_takes: 5 * MS,
            deposit_takes: 200 * MS,
            deposit_fails: false,
        }
    }

    pub fn by(dice: &mut Dice) -> StoreScript {
        let subscriber = Subscriber {
            clip: dice.maybe(85, |_| "clip".into()),
            hold_ms: dice.maybe(85, |d| {
                let hold = d.pick(&[0, 100, 2_000, 6_000, 12_000]);
                d.between(hold / 2, hold)
            }),
            no_answer_ms: dice.maybe(80, |d| d.between(500, 20_000)),
            greeting: dice.maybe(75, |_| "greeting".into()),
            answer_at: dice.maybe(30, |d| d.pick(&[AnswerAt::Greeting, AnswerAt::AfterGreeting])),
            ..Subscriber::default()
        };
        StoreScript {
            found: dice.weigh(&[(94, Found::Yes), (4, Found::No), (2, Found::Broken)]),
            lookup_takes: dice.between(0, 100 * MS),
            subscriber: Some(subscriber),
            clip_exists: !dice.chance(4),
            greeting_exists: !dice.chance(4),
            beep_exists: !dice.chance(4),
            place: dice.weigh(&[
                (70, Room::Some { longest_ms: 180_000 }),
                (12, Room::Some { longest_ms: 1_500 }),
                (12, Room::None),
                (6, Room::Unknown),
            ]),
            place_takes: if dice.chance(10) {
                dice.between(0, 8 * S)
            } else {
                dice.between(0, 50 * MS)
            },
            deposit_takes: dice.between(5 * MS, 4 * S),
            deposit_fails: dice.chance(8),
        }
    }

    /// The reply to whoever asks for a place.
    pub fn place(&self, mailbox: String, message_id: String) -> StoreReply {
        match self.place {
            Room::Some { longest_ms } => StoreReply::Reserved {
                mailbox,
                message_id,
                longest_ms,
                longest_bytes: None,
            },
            Room::None => StoreReply::MailboxFull { rule: Rule::UnheardMax },
            Room::Unknown => StoreReply::ReserveFailed {
                why: "the disk is gone".into(),
            },
        }
    }

    /// The plan for this callee, and the reply to its look-up.
    pub fn reply(&self, user: &str, targets: Vec<String>, profile: &Profile) -> StoreReply {
        match (self.found, &self.subscriber) {
            (Found::Yes, Some(subscriber)) => {
                let subscriber = Subscriber {
                    user: user.into(),
                    targets,
                    ..subscriber.clone()
                };
                let plan = Plan::new(&subscriber, profile);
                let info =
                    |id, name: &Option<String>, exists: bool| name.as_ref().filter(|_| exists).map(|n| clip(id, n));
                StoreReply::Found(Box::new(Lookup {
                    clip: info(1, &plan.clip, self.clip_exists),
                    greeting: info(2, &plan.greeting, self.greeting_exists),
                    beep: info(3, &Some("beep".into()), self.beep_exists),
                    full: info(4, &Some("full".into()), self.beep_exists),
                    prompts: None,
                    named: Vec::new(),
                    plan,
                }))
            }
            (Found::Broken, _) => StoreReply::LookupFailed {
                why: "the disk is gone".into(),
            },
            _ => StoreReply::NotFound,
        }
    }
}

/// How long each clip plays.
pub const CLIP_MS: u64 = 5_000;

pub fn clip(id: i64, name: &str) -> ClipInfo {
    let rendition = |profile: RenditionProfile| RenditionInfo {
        profile,
        bytes: 100_000,
        profile_level_id: profile.is_video().then_some([0x42, 0xc0, 0x1e]),
    };
    let renditions = RenditionProfile::ALL.into_iter().map(rendition).collect();
    ClipInfo {
        id,
        name: name.into(),
        duration_ms: CLIP_MS,
        renditions,
    }
}

/// What became of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    Synced,
    Depositing,
    Deposited,
    Refused,
    Discarded,
}

/// The places that are held, by message; and those that were given back or became messages.
#[derive(Default)]
pub struct Places {
    pub held: BTreeSet<String>,
    gone: BTreeSet<String>,
}

impl Places {
    pub fn reserved(&mut self, message_id: &str) {
        assert!(
            !self.gone.contains(message_id),
            "a place was given back before it was given"
        );
        assert!(self.held.insert(message_id.to_owned()), "a place was asked for twice");
    }

    pub fn released(&mut self, message_id: &str) {
        assert!(self.held.remove(message_id), "a place was given back that nobody holds");
        self.gone.insert(message_id.to_owned());
    }

    /// A message takes its place, if it has one.
    pub fn deposited(&mut self, message_id: &str) {
        self.held.remove(message_id);
    }
}

/// Every recording that was synced, and what became of it.
#[derive(Default)]
pub struct Ledger(pub BTreeMap<String, Kept>);

impl Ledger {
    /// Each recording goes one way, once.
    pub fn goes(&mut self, message_id: &str, from: Kept, to: Kept) {
        let before = self.0.insert(message_id.to_owned(), to);
        assert_eq!(before, Some(from), "message {message_id} became {to:?}");
    }

    pub fn synced(&mut self, message_id: &str) {
        let before = self.0.insert(message_id.to_owned(), Kept::Synced);
        assert_eq!(before, None, "message {message_id} was recorded twice");
    }
}
