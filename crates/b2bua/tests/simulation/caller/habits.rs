//! What callers from carriers do beyond the ordinary: by default nothing of it.

use crate::{
    dice::{Dice, MS, S, Time},
    timers::Timer,
};

/// How A acknowledges reliable responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prack {
    Right,
    /// With a wrong RAck first, so long before the right one.
    WrongBefore(Time),
    /// With a new offer, where an answer came.
    WithOffer,
}

/// A's resources (RFC 3312).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    /// From the first answer on; `None`: they never come.
    pub after: Option<Time>,
    /// They are there at once, and the PRACK says so.
    pub in_prack: bool,
}

/// What A does with an UPDATE that adds pictures before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    Take,
    Refuse(u16),
    Silent,
}

/// Whom A calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Somebody whom the store knows, or not.
    Here,
    /// Somebody beyond, by a Route of its own.
    ByRoute,
    /// Somebody beyond, whose Request-URI names their host.
    ByHost,
    /// Help.
    Emergency,
}

#[derive(Debug, Clone)]
pub struct Habits {
    pub timer: Option<Timer>,
    pub prack: Prack,
    /// UPDATE without an offer in the early dialog, this long after the answer there.
    pub empty_update: Option<Time>,
    pub resources: Option<Resources>,
    /// `P-Early-Media: supported` (RFC 5009).
    pub hears_early_media: bool,
    pub upgrade: Upgrade,
    pub way: Way,
    /// Hangs up this long after the answer at the latest.
    pub longest: Time,
}

impl Habits {
    pub fn none() -> Habits {
        Habits {
            timer: None,
            prack: Prack::Right,
            empty_update: None,
            resources: None,
            hears_early_media: false,
            upgrade: Upgrade::Take,
            way: Way::Here,
            longest: 150 * S,
        }
    }

    /// Those of the early dialog.
    pub fn early(dice: &mut Dice) -> Habits {
        Habits {
            prack: dice.pick(&[Prack::Right, Prack::WrongBefore(200 * MS), Prack::WithOffer]),
            empty_update: dice.maybe(40, |d| d.between(0, 3 * S)),
            hears_early_media: dice.chance(50),
            upgrade: dice.pick(&[
                Upgrade::Take,
                Upgrade::Refuse(488),
                Upgrade::Refuse(481),
                Upgrade::Silent,
            ]),
            ..Habits::none()
        }
    }
}
