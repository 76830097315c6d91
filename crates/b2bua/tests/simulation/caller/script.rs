//! What a caller will do.

use segue_sip::Protocol;

use crate::{
    body::Offer,
    caller::habits::Habits,
    dice::{Dice, MS, S, Time},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rel {
    Silent,
    Supported,
    Required,
}

/// How A holds and resumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    ReInvite,
    Update,
    /// Resumes by a re-INVITE without SDP.
    Empty,
}

/// When A gives up before an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    Never,
    /// This long after the INVITE.
    After(Time),
    /// This long after the first provisional response with SDP.
    AfterEarlyMedia(Time),
    /// This long after B sent its 200.
    WhenCalleeAnswers(Time),
}

/// What A will do.
#[derive(Debug, Clone)]
pub struct CallerScript {
    pub starts: Time,
    pub rel: Rel,
    pub offer: Offer,
    pub protocol: Protocol,
    pub give_up: GiveUp,
    /// BYE this long after the 200; `None`: it waits for the other side.
    pub talks: Option<Time>,
    /// Hold this long after the 200, for so long.
    pub holds: Option<(Time, Time, Hold)>,
    /// Another audio codec this long after the 200.
    pub changes: Option<Time>,
    /// UPDATE in the early dialog, this long after the PRACK of an answer (RFC 3311).
    pub early_update: Option<Time>,
    /// Gives up by BYE in the early dialog (RFC 3261 §15 allows the caller that) instead of CANCEL.
    pub early_bye: bool,
    /// Keys, by the time after the INVITE.
    pub keys: Vec<(Time, char)>,
    pub pracks: bool,
    pub acks: bool,
    /// The same INVITE by another branch, this long after the first (a merged request, RFC 3261 §8.2.2.2).
    pub merged: Option<Time>,
    /// The INVITE once more, this long after the first.
    pub again: Option<Time>,
    /// Goes dark this long after the INVITE; with true the transport says so.
    pub dies: Option<(Time, bool)>,
    /// A display name that pushes B's INVITE past 1300 bytes.
    pub long_name: bool,
    pub habits: Habits,
}

impl CallerScript {
    /// An ordinary caller, from the start of the run.
    pub fn plain() -> CallerScript {
        CallerScript {
            starts: 0,
            rel: Rel::Supported,
            offer: Offer::Video,
            protocol: Protocol::Udp,
            give_up: GiveUp::Never,
            talks: Some(10 * S),
            holds: None,
            changes: None,
            early_update: None,
            early_bye: false,
            keys: Vec::new(),
            pracks: true,
            acks: true,
            merged: None,
            again: None,
            dies: None,
            long_name: false,
            habits: Habits::none(),
        }
    }

    pub fn by(dice: &mut Dice) -> CallerScript {
        let protocol = if dice.chance(20) { Protocol::Tcp } else { Protocol::Udp };
        let after = [1, 50, 300, 1_000, 3_000, 10_000, 30_000, 70_000].map(|ms| ms * MS);
        let give_up = match dice.between(0, 9) {
            0 => GiveUp::After(dice.between(0, 50 * MS)),
            1 => GiveUp::AfterEarlyMedia(dice.between(0, 300 * MS)),
            2 => GiveUp::WhenCalleeAnswers(dice.between(0, 150 * MS)),
            3 | 4 => {
                let longest = dice.pick(&after);
                GiveUp::After(dice.between(0, longest))
            }
            5 => GiveUp::AfterEarlyMedia(dice.between(0, 20 * S)),
            _ => GiveUp::Never,
        };
        let talks = dice.maybe(75, |d| {
            let longest = d.pick(&after);
            d.between(0, longest)
        });
        let keys = if dice.chance(30) {
            let count = dice.between(1, 3);
            (0..count)
                .map(|_| (dice.between(0, 60 * S), dice.pick(&['#', '#', '#', '*', '*', '5'])))
                .collect()
        } else {
            Vec::new()
        };
        CallerScript {
            starts: dice.between(0, 3 * S),
            rel: dice.weigh(&[(45, Rel::Silent), (40, Rel::Supported), (15, Rel::Required)]),
            offer: dice.weigh(&[
                (23, Offer::Video),
                (23, Offer::Audio),
                (12, Offer::AlawVideo),
                (10, Offer::OpusVp8),
                (8, Offer::G722),
                (11, Offer::Everything),
                (3, Offer::Alien),
                (3, Offer::Foreign),
                (5, Offer::Delayed),
                (2, Offer::Broken),
            ]),
            protocol,
            give_up,
            talks,
            holds: dice.maybe(25, |d| {
                let how = d.pick(&[Hold::ReInvite, Hold::ReInvite, Hold::Update, Hold::Empty]);
                (d.between(10 * MS, 8 * S), d.between(10 * MS, 8 * S), how)
            }),
            changes: None,
            early_update: dice.maybe(10, |d| d.between(0, 6 * S)),
            early_bye: dice.chance(7),
            keys,
            pracks: !dice.chance(6),
            acks: !dice.chance(5),
            merged: (protocol == Protocol::Udp && dice.chance(8)).then(|| dice.between(0, 100 * MS)),
            again: (protocol == Protocol::Udp && dice.chance(10)).then(|| dice.between(0, 2 * S)),
            dies: dice.maybe(5, |d| (d.between(0, 60 * S), d.chance(50))),
            long_name: dice.chance(15),
            habits: Habits::none(),
        }
    }
}
