//! Races, tried at every moment: no loss, one thing moved along in small steps, all else the same.

use std::collections::BTreeMap;

use crate::{
    callee::{Ring, Word},
    caller::{GiveUp, Rel},
    dice::{MS, S, Time},
    live,
    observer::Marks,
    world::{Scenario, Setup, World},
};

/// Runs a call for each step and counts how they ended; every run must be without fault.
fn sweep(steps: u64, scenario: impl Fn(u64) -> Scenario) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for step in 0..steps {
        let marks: Marks = live(Setup::plain(scenario(step))).unwrap_or_else(|why| panic!("step {step}:\n{why}"));
        marks.into_iter().for_each(|mark| *counts.entry(mark).or_default() += 1);
    }
    counts
}

fn seen(counts: &BTreeMap<String, u32>, wanted: &[&str]) {
    for mark in wanted {
        assert!(counts.contains_key(*mark), "never seen: {mark}\n{counts:#?}");
    }
}

/// Held 2 s, rings, answered 3 s after the INVITE: 5 s to the answer.
fn answered(rel: Rel) -> Scenario {
    let mut scenario = Scenario::plain();
    scenario.caller.rel = rel;
    scenario
}

/// Held 2 s, rings 3 s, greeted 3 s, then recorded.
fn unanswered(rel: Rel) -> Scenario {
    let mut scenario = answered(rel);
    scenario.callee.word = Word::Never;
    if let Some(subscriber) = &mut scenario.store.subscriber {
        subscriber.no_answer_ms = Some(3_000);
    }
    scenario
}

#[test]
fn the_caller_gives_up_at_each_moment_of_an_answered_call() {
    for rel in [Rel::Silent, Rel::Supported] {
        let counts = sweep(500, |step| {
            let mut scenario = answered(rel);
            scenario.caller.give_up = GiveUp::After(step * 12 * MS);
            scenario
        });
        seen(
            &counts,
            &[
                "result AbandonedWhileHeld",
                "result Abandoned",
                "result Answered",
                "CANCEL to B",
            ],
        );
    }
}

#[test]
fn the_caller_gives_up_at_each_moment_of_a_call_that_nobody_answers() {
    for rel in [Rel::Silent, Rel::Supported] {
        let counts = sweep(500, |step| {
            let mut scenario = unanswered(rel);
            scenario.caller.give_up = GiveUp::After(step * 24 * MS);
            scenario
        });
        seen(
            &counts,
            &[
                "result AbandonedWhileHeld",
                "result Abandoned",
                "result Greeted",
                "result TooShort",
                "result Message",
            ],
        );
    }
}

#[test]
fn the_callee_answers_at_each_moment_around_our_cancel() {
    // Our CANCEL leaves 3,000 ms after the INVITE and arrives 5 ms later; a 200 sent 2,990 to 3,000 ms after the INVITE
    // arrived crosses it.
    for ring in [
        Ring::Ringing,
        Ring::ReliableRinging,
        Ring::ReliableEarlyMedia,
        Ring::Nothing,
    ] {
        let counts = sweep(500, |step| {
            let mut scenario = unanswered(Rel::Supported);
            scenario.callee.ring = ring;
            scenario.callee.word = Word::Answer;
            scenario.callee.word_after = 2_975 * MS + step * 80;
            scenario.caller.give_up = GiveUp::After(20 * S);
            scenario
        });
        let crossed = if ring == Ring::Nothing {
            "result Message"
        } else {
            "B's 200 crossed our CANCEL"
        };
        seen(&counts, &["result Answered", "result Message", crossed]);
    }
}

#[test]
fn the_caller_gives_up_at_each_moment_around_the_callees_answer() {
    for forks in [1, 2] {
        let counts = sweep(500, |step| {
            let mut scenario = answered(Rel::Supported);
            scenario.callee.forks = forks;
            scenario.callee.all_answer = Some(8 * MS);
            // B's 200 leaves some 5,050 ms after A's INVITE, takes 5 ms to us and 5 ms on to A.
            scenario.caller.give_up = GiveUp::After(5_000 * MS + step * 200);
            scenario
        });
        seen(
            &counts,
            &["result Answered", "result Abandoned", "B's 200 crossed our CANCEL"],
        );
        assert_eq!(counts.contains_key("a second fork answered"), forks == 2);
    }
}

#[test]
fn both_hang_up_at_each_moment_around_each_other() {
    let counts = sweep(500, |step| {
        let mut scenario = answered(Rel::Silent);
        scenario.caller.talks = Some(S);
        scenario.callee.talks = Some(980 * MS + step * 80);
        scenario
    });
    seen(&counts, &["BYE from A", "BYE to A", "BYE from B", "BYE to B"]);
}

#[test]
fn the_hold_passes_at_each_moment_around_the_callers_key() {
    let first_packet: Time = 2 * S;
    let counts = sweep(200, |step| {
        let mut scenario = answered(Rel::Silent);
        scenario.caller.keys = vec![(first_packet - 50 * MS + step * MS, '#')];
        scenario
    });
    seen(&counts, &["hold cut short", "hold kept"]);
}

/// The caller gives up half a second into the ringing; nobody is held, and there is no mailbox to go to.
fn given_up() -> Scenario {
    let mut scenario = answered(Rel::Silent);
    scenario.caller.give_up = GiveUp::After(500 * MS);
    scenario.callee.ring_after = 10 * MS;
    if let Some(subscriber) = &mut scenario.store.subscriber {
        (subscriber.clip, subscriber.greeting, subscriber.hold_ms) = (None, None, Some(0));
    }
    scenario
}

#[test]
fn the_callees_200_crosses_our_cancel_at_20_000_offsets() {
    const OFFSETS: u64 = 20_000;
    // A message takes 5 ms. The caller's CANCEL leaves after 500 ms, so ours after 505 ms, and is at the callee after 510 ms: a 200
    // that leaves there between 500 and 510 ms crosses it. Tried for each microsecond from 5 ms before to 5 ms after.
    let mut silent = given_up();
    silent.callee.word = Word::Never;
    let mut probe = World::new(Setup::plain(silent));
    probe.run().expect("a call that is given up");
    let invited = probe.callees[0].invited_at.expect("invited");
    let run = |thread: u64| {
        let mut counts = BTreeMap::<String, u32>::new();
        for offset in (0..OFFSETS).filter(|offset| offset % 2 == thread) {
            let mut scenario = given_up();
            scenario.callee.word_after = 495 * MS + offset - invited;
            let marks = live(Setup::plain(scenario)).unwrap_or_else(|why| panic!("offset {offset}:\n{why}"));
            marks.into_iter().for_each(|mark| *counts.entry(mark).or_default() += 1);
        }
        counts
    };
    let counts = std::thread::scope(|scope| {
        let run = &run;
        let both = [0, 1].map(|thread| scope.spawn(move || run(thread)));
        both.map(|half| half.join().expect("each offset is as it must be"))
    });
    let count = |mark: &str| {
        counts
            .iter()
            .map(|half| half.get(mark).copied().unwrap_or_default())
            .sum::<u32>()
    };
    // The clock's whole microseconds decide who is first at the two ends of the window.
    let crossed = count("B's 200 crossed our CANCEL");
    assert!((9_990..=10_010).contains(&crossed), "{crossed} crossed: {counts:#?}");
    assert_eq!(
        count("result Answered") + count("result Abandoned"),
        20_000,
        "{counts:#?}"
    );
}
