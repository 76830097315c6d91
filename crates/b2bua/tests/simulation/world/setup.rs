//! What a run is made of.

use segue_policy::{AnswerAt, HoldOn, Profile, Reliable, Ring};

use super::carrier::Kind;
use crate::{
    callee::CalleeScript,
    caller::CallerScript,
    dice::{Dice, MS, S, Time},
    media_model::MediaScript,
    store_model::StoreScript,
};

/// One call as it is scripted.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub caller: CallerScript,
    pub callee: CalleeScript,
    /// The callee's further targets.
    pub more: Vec<CalleeScript>,
    /// Where a 3xx of the callee, and of each of these, sends the call on to.
    pub moved: Vec<CalleeScript>,
    pub store: StoreScript,
    pub media: MediaScript,
    /// The operator ends the call, this long after the start.
    pub operator: Option<Time>,
}

impl Scenario {
    pub fn plain() -> Scenario {
        Scenario {
            caller: CallerScript::plain(),
            callee: CalleeScript::plain(),
            more: Vec::new(),
            moved: Vec::new(),
            store: StoreScript::plain(),
            media: MediaScript::plain(),
            operator: None,
        }
    }

    fn by(dice: &mut Dice) -> Scenario {
        let mut scenario = Scenario {
            caller: CallerScript::by(dice),
            callee: CalleeScript::by(dice),
            more: Vec::new(),
            moved: Vec::new(),
            store: StoreScript::by(dice),
            media: MediaScript::by(dice),
            operator: dice.maybe(3, |d| d.between(0, 60 * S)),
        };
        if let Some(subscriber) = scenario.store.subscriber.as_mut().filter(|_| dice.chance(15)) {
            subscriber.hold_on = HoldOn::Greeting;
        }
        scenario.caller.changes = dice.maybe(20, |d| d.between(10 * MS, 20 * S));
        // Two dark phones, one of them holding, would wait for each other: session timers will see to that.
        if scenario.caller.dies.is_some() {
            scenario.callee.dies = None;
        }
        scenario
    }
}

/// What a run is made of.
#[derive(Clone)]
pub struct Setup {
    pub seed: u64,
    /// `None`: an ordinary one.
    pub kind: Option<Kind>,
    pub profile: Profile,
    pub record_max_ms: u64,
    pub scenarios: Vec<Scenario>,
    /// Somebody whom no profile knows calls too.
    pub stranger: bool,
    /// `None`: by the seed.
    pub delay: Option<Time>,
}

impl Setup {
    /// One ordinary call over a network that loses nothing.
    pub fn plain(scenario: Scenario) -> Setup {
        let scenarios = vec![scenario];
        Setup {
            seed: 1,
            kind: None,
            profile: profile(),
            record_max_ms: 60_000,
            scenarios,
            stranger: false,
            delay: Some(5 * MS),
        }
    }

    pub fn by(seed: u64) -> Setup {
        let mut dice = Dice::new(seed, 0);
        let mut profile = profile();
        profile.reliable = dice.weigh(&[(3, Reliable::Supported), (1, Reliable::Required)]);
        profile.answer_at = dice.pick(&[AnswerAt::Greeting, AnswerAt::AfterGreeting]);
        profile.ringing_status = dice.pick(&[180, 183]);
        let calls = dice.between(1, 3);
        Setup {
            seed,
            kind: None,
            profile,
            record_max_ms: dice.pick(&[5_000, 20_000, 60_000]),
            scenarios: (0..calls).map(|_| Scenario::by(&mut dice)).collect(),
            stranger: dice.chance(10),
            delay: None,
        }
    }
}

impl Setup {
    /// One call to somebody with two to four targets, which ring together or take turns.
    pub fn several(seed: u64) -> Setup {
        let mut setup = Setup::by(seed);
        let mut dice = Dice::new(seed, 5);
        let Some(mut scenario) = setup.scenarios.drain(..).next() else {
            return setup;
        };
        let more = dice.between(1, 3);
        scenario.more = (0..more).map(|_| CalleeScript::by(&mut dice)).collect();
        if scenario.caller.dies.is_some() {
            for callee in &mut scenario.more {
                callee.dies = None;
            }
        }
        if let Some(subscriber) = &mut scenario.store.subscriber {
            subscriber.ring = dice.pick(&[Ring::Together, Ring::InOrder]);
            subscriber.ring_ms = dice.maybe(80, |d| d.between(500, 8_000));
        }
        setup.scenarios = vec![scenario];
        setup
    }
}

fn profile() -> Profile {
    Profile {
        // A callee here takes one INVITE: what becomes of a 488 that is asked again, the stories and the model play.
        align: false,
        transcode: segue_policy::Transcode::Off,
        transcode_video: false,
        name: "softphone".into(),
        sources: vec!["10.0.0.0/8".parse().expect("a network")],
        answer_at: AnswerAt::AfterGreeting,
        ringing_status: 180,
        hold_ms: 1_000,
        hold_max_ms: 10_000,
        no_answer_ms: 15_000,
        ..Profile::default()
    }
}
