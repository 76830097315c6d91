//! Runs in the manner of carriers: one call each, of one kind by its seed, with the ordinary faults of phones and network.

use segue_policy::{
    CalleeEarlyMedia, PEarlyMedia, Profile, Reliable, ReliableToCallee, SessionRefresher, UnknownCallee,
};

use super::{Scenario, Setup};
use crate::{
    body::Offer,
    callee::{self, CalleeScript, Reach, Ring, Word},
    caller::{
        Rel,
        habits::{self, Resources, Upgrade, Way},
    },
    dice::{Dice, MS, S},
    store_model::Found,
    timers::Timer,
};

/// What a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Session timers on both legs.
    Timers,
    /// The callee sends the call on.
    Redirects,
    /// Faults of PRACK, UPDATE before the answer, P-Early-Media.
    Early,
    /// Several early dialogs, 199.
    Forks,
    /// The caller's resources.
    Preconditions,
    /// Pictures are added before the answer.
    Pictures,
    /// The callee is no subscriber.
    Onward,
    Emergency,
    /// 420, 421, 422, 503 with Retry-After.
    Refusals,
}

impl Kind {
    pub const ALL: [Kind; 9] = [
        Kind::Timers,
        Kind::Redirects,
        Kind::Early,
        Kind::Forks,
        Kind::Preconditions,
        Kind::Pictures,
        Kind::Onward,
        Kind::Emergency,
        Kind::Refusals,
    ];
}

impl Setup {
    pub fn carrier(seed: u64, kind: Kind) -> Setup {
        let mut setup = Setup::by(seed);
        let mut dice = Dice::new(seed, 7);
        setup.kind = Some(kind);
        setup.stranger = false;
        setup.scenarios.truncate(1);
        let Some(scenario) = setup.scenarios.first_mut() else {
            return setup;
        };
        // The ordinary faults of ordinary calls have runs of their own: here most calls come as far as they can.
        if dice.chance(70) {
            scenario.store.found = Found::Yes;
            (scenario.caller.dies, scenario.callee.dies) = (None, None);
            scenario.callee.reach = Reach::Fine;
            (scenario.caller.pracks, scenario.caller.acks) = (true, true);
        }
        if dice.chance(50) {
            scenario.callee.word = Word::Answer;
            scenario.caller.give_up = crate::caller::GiveUp::Never;
        }
        scenario.callee.wants_tcp = false;
        if matches!(scenario.caller.offer, Offer::Broken | Offer::Alien) {
            scenario.caller.offer = Offer::Video;
        }
        let profile = &mut setup.profile;
        profile.cat_content = Dice::new(seed, 9).chance(50);
        profile.trusted = dice.chance(60);
        profile.p_early_media = dice.pick(&[PEarlyMedia::Supported, PEarlyMedia::Always, PEarlyMedia::Never]);
        profile.callee_early_media = dice.pick(&[CalleeEarlyMedia::Authorized, CalleeEarlyMedia::Any]);
        match kind {
            Kind::Timers => timers(&mut dice, profile, scenario),
            Kind::Redirects => {
                profile.redirect_targets = vec!["10.2.0.0/16".parse().expect("a network")];
                scenario.callee.word = Word::Refuse(302);
                let moved = dice.between(1, 3);
                scenario.moved = (0..moved).map(|_| CalleeScript::by(&mut dice)).collect();
                for (n, callee) in scenario.moved.iter_mut().enumerate() {
                    (callee.dies, callee.wants_tcp) = (None, false);
                    if n as u64 + 1 < moved && dice.chance(60) {
                        callee.word = Word::Refuse(302);
                    }
                }
            }
            Kind::Early | Kind::Forks => early(&mut dice, kind, profile, scenario),
            Kind::Preconditions => {
                scenario.caller.habits.resources = Some(Resources {
                    after: dice.maybe(80, |d| d.between(0, 6 * S)),
                    in_prack: dice.chance(30),
                });
                scenario.caller.rel = Rel::Supported;
                scenario.caller.offer = dice.pick(&[Offer::Video, Offer::Audio, Offer::G722, Offer::Foreign]);
                scenario.caller.early_update = None;
            }
            Kind::Pictures => {
                profile.video_upgrade = true;
                scenario.caller.rel = dice.pick(&[Rel::Supported, Rel::Supported, Rel::Silent]);
                scenario.caller.offer = dice.pick(&[Offer::Audio, Offer::G722]);
                scenario.caller.habits = habits::Habits::early(&mut dice);
                if dice.chance(50) {
                    scenario.caller.habits.upgrade = Upgrade::Take;
                }
            }
            Kind::Onward => onward(&mut dice, profile, scenario),
            Kind::Emergency => {
                scenario.caller.habits.way = Way::Emergency;
                profile.emergency_next_hop = Some("10.2.0.1:5060".parse().expect("an address"));
                // What would turn away an ordinary call.
                (profile.calls_max, profile.min_se_s) = (1, dice.pick(&[90, 1_800]));
                scenario.caller.habits.timer = dice.maybe(40, |_| Timer {
                    interval_s: 100,
                    mine: None,
                    how: crate::timers::Refresh::Update,
                });
                scenario.store.found = Found::Broken;
                scenario.callee.word_after += 100 * MS;
            }
            Kind::Refusals => {
                scenario.callee.habits.first_refusal = dice.pick(&[Some(420), Some(421), Some(422), None]);
                if scenario.callee.habits.first_refusal.is_none() {
                    scenario.callee.word = Word::Refuse(503);
                    scenario.callee.habits.retry_after_s = dice.pick(&[0, 1, 5, 100_000]);
                }
                profile.reliable_to_callee = match scenario.callee.habits.first_refusal {
                    Some(420) => ReliableToCallee::Required,
                    Some(421) => ReliableToCallee::Never,
                    _ => ReliableToCallee::Supported,
                };
                profile.session_expires_s = dice.pick(&[90, 100]);
            }
        }
        setup
    }
}

fn timers(dice: &mut Dice, profile: &mut Profile, scenario: &mut Scenario) {
    profile.session_expires_s = dice.pick(&[0, 90, 100, 130, 1_800]);
    profile.min_se_s = if profile.session_expires_s == 0 {
        90
    } else {
        dice.pick(&[90, 90, 90, 100])
    };
    profile.min_se_s = profile.min_se_s.min(profile.session_expires_s.max(90));
    let refreshers = [
        SessionRefresher::Negotiated,
        SessionRefresher::Segue,
        SessionRefresher::Peer,
    ];
    profile.session_refresher = dice.pick(&refreshers);
    let (caller, callee) = (&mut scenario.caller, &mut scenario.callee);
    caller.habits.timer = dice.maybe(70, Timer::by);
    callee.habits.timer = dice.maybe(70, Timer::by);
    callee.habits.allows_update = dice.chance(50);
    if dice.chance(70) {
        (caller.talks, callee.talks) = (None, None);
    }
    (caller.habits.longest, callee.habits.longest) = (400 * S, 400 * S);
    if dice.chance(60) {
        callee.word = Word::Answer;
        callee.word_after = callee.word_after.min(8 * S);
        caller.give_up = crate::caller::GiveUp::Never;
    }
}

fn early(dice: &mut Dice, kind: Kind, profile: &mut Profile, scenario: &mut Scenario) {
    if kind == Kind::Early {
        scenario.caller.rel = dice.pick(&[Rel::Supported, Rel::Required, Rel::Silent]);
        profile.reliable = dice.pick(&[Reliable::Supported, Reliable::Required]);
        scenario.caller.early_update = dice.maybe(50, |d| d.between(0, 6 * S));
        scenario.caller.habits = habits::Habits::early(dice);
    }
    scenario.callee.habits = callee::habits::Habits::early(dice);
    scenario.callee.ring = dice.pick(&[
        Ring::Ringing,
        Ring::ReliableRinging,
        Ring::EarlyMedia,
        Ring::ReliableEarlyMedia,
        Ring::ReliableEarlyMedia,
    ]);
    if kind == Kind::Forks {
        scenario.callee.forks = dice.pick(&[2, 3, 4]) as usize;
        scenario.callee.ring = dice.pick(&[Ring::ReliableRinging, Ring::ReliableEarlyMedia]);
    }
    // Half of them hear B's early media, since nothing is played to them.
    if let Some(subscriber) = scenario.store.subscriber.as_mut().filter(|_| dice.chance(50)) {
        (subscriber.clip, subscriber.hold_ms) = (None, Some(0));
    }
}

fn onward(dice: &mut Dice, profile: &mut Profile, scenario: &mut Scenario) {
    scenario.store.found = Found::No;
    profile.unknown_callee = UnknownCallee::Forward;
    profile.destinations = vec!["10.2.0.0/16".parse().expect("a network")];
    scenario.caller.habits.way = dice.pick(&[Way::Here, Way::ByRoute, Way::ByHost]);
    if scenario.caller.habits.way == Way::Here {
        profile.next_hop = Some("10.2.0.1:5060".parse().expect("an address"));
        profile.destinations = vec!["*".parse().expect("everybody")];
    }
    let (caller, callee) = (habits::Habits::early(dice), callee::habits::Habits::early(dice));
    scenario.caller.habits = habits::Habits {
        way: scenario.caller.habits.way,
        ..caller
    };
    scenario.callee.habits = callee;
}
