//! What callees of carriers do beyond the ordinary: by default nothing of it.

use crate::{
    dice::{Dice, S, Time},
    timers::Timer,
};

#[derive(Debug, Clone)]
pub struct Habits {
    /// The first INVITE is refused with 420, 421 or 422 where that makes sense; the next one is taken.
    pub first_refusal: Option<u16>,
    pub timer: Option<Timer>,
    /// Its Allow names UPDATE.
    pub allows_update: bool,
    /// Each phone but the first says 199 this long after it rang.
    pub gone_after: Option<Time>,
    /// A second reliable response follows the PRACK of the first.
    pub rings_again: bool,
    /// UPDATE in the early dialog this long after the PRACK of an answer; with an offer or not.
    pub early_update: Option<(Time, bool)>,
    /// A second description in the 200, unlike the first.
    pub second_sdp: bool,
    /// P-Early-Media of the first sign of life.
    pub early_media: Option<&'static str>,
    /// Where a 3xx sends to.
    pub moved_to: Option<String>,
    /// Retry-After of a 503, seconds.
    pub retry_after_s: u64,
    /// Hangs up this long after the ACK at the latest.
    pub longest: Time,
}

impl Habits {
    pub fn none() -> Habits {
        Habits {
            first_refusal: None,
            timer: None,
            allows_update: false,
            gone_after: None,
            rings_again: false,
            early_update: None,
            second_sdp: false,
            early_media: None,
            moved_to: None,
            retry_after_s: 5,
            longest: 150 * S,
        }
    }

    /// Those of the early dialogs.
    pub fn early(dice: &mut Dice) -> Habits {
        Habits {
            gone_after: dice.maybe(60, |d| d.between(0, 4 * S)),
            rings_again: dice.chance(50),
            early_update: dice.maybe(60, |d| (d.between(0, 3 * S), d.chance(60))),
            second_sdp: dice.chance(40),
            early_media: dice.maybe(50, |d| {
                d.pick(&["sendrecv", "sendonly", "inactive", "sendonly, inactive"])
            }),
            ..Habits::none()
        }
    }
}
