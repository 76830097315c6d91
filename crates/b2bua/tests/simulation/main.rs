//! The seeded simulator: callers, callees, network, packet path and store under one seed and a virtual clock, around one real
//! shard. An observer checks each run by the bytes that crossed Segue's edge.
//!
//! `SEGUE_SEED=n cargo test -p segue-b2bua --test simulation` runs seed n alone and prints its ladder; `SEGUE_SEEDS=n` runs
//! that many.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod body;
mod callee;
mod caller;
#[path = "../credentials/mod.rs"]
mod credentials;
mod dice;
mod media_model;
mod network;
mod observer;
mod office;
mod phone;
mod store_model;
mod sweeps;
mod timers;
mod wire;
mod world;

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use observer::Marks;
use world::{Setup, World, carrier::Kind};

/// Runs a world to its end and checks it; the ladder comes with what was wrong.
fn live(setup: Setup) -> Result<Marks, String> {
    let mut world = World::new(setup);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run().and_then(|()| observer::check(&world))));
    outcome
        .unwrap_or_else(|_| Err("a panic, see above".into()))
        .map_err(|why| format!("{}\n{why}", world.ladder()))
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|value| value.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// What a thousand runs must have seen, or they show less than they claim.
const SEEN: &[&str] = &[
    // Results and how far the calls came.
    "result Answered",
    "result Message",
    "result Greeted",
    "result TooShort",
    "result MailboxFull",
    "mailbox full 200",
    "mailbox full 480",
    "played Notice",
    "result AbandonedWhileHeld",
    "result Abandoned",
    "result Rejected",
    "result Failed",
    "phase LookingUp",
    "phase Holding",
    "phase Ringing",
    "phase Bridged",
    "phase Greeting",
    "phase Recording",
    "phase Saving",
    "rejected 404",
    "rejected 488",
    // B busy, declined, silent or late, unreachable; its answer refused.
    "mailbox for Some(486)",
    "mailbox for Some(603)",
    "mailbox for Some(408)",
    "mailbox for Some(503)",
    "mailbox for Some(488)",
    // What A and B did.
    "183 reliable",
    "183 unreliable",
    "A answered in H264/90000",
    "A answered in VP8/90000",
    "A answered in opus/48000/2",
    "A answered in G722/8000",
    "A was made an offer",
    "181 to A",
    "what B says in its 1xx reaches A",
    "what B says in its 200 reaches A",
    "PRACK never came",
    "ACK never came",
    "PRACK to B",
    "INVITE retransmitted",
    "merged INVITE",
    "abandoned while held",
    "hold kept",
    "hold prolonged",
    "held on Greeting",
    "hold cut short",
    "CANCEL to B",
    "B's 200 crossed our CANCEL",
    "a second fork answered",
    "BYE from A",
    "BYE to A",
    "BYE from B",
    "BYE to B",
    "INVITE of A within the dialog: 200",
    "INVITE of B within the dialog: 200",
    "UPDATE of A within the dialog: 200",
    "A by TCP",
    "B by TCP",
    "TCP to B refused, then UDP",
    "played Clip",
    "played Greeting",
    "played Beep",
    "recording ended: Bye",
    "recording ended: Key",
    "recording ended: Longest",
    "recording ended: RtpGone",
    "recording ended: Silence",
    "A changed its codec while its message was recorded",
    "RTP gone while bridged",
];

#[test]
fn whatever_happens_each_leg_ends_once_and_nothing_is_left() {
    if let Some(seed) = number("SEGUE_SEED") {
        let mut world = World::new(Setup::by(seed));
        let outcome = catch_unwind(AssertUnwindSafe(|| world.run().and_then(|()| observer::check(&world))));
        println!("{}\n{outcome:?}", world.ladder());
        assert!(matches!(outcome, Ok(Ok(_))), "seed {seed}");
        return;
    }
    let seeds = number("SEGUE_SEEDS").unwrap_or(1_000);
    let threads = 2;
    let run = |thread: u64| {
        let (mut counts, mut failed) = (BTreeMap::<String, u32>::new(), Vec::new());
        for seed in (0..seeds).filter(|seed| seed % threads == thread) {
            match live(Setup::by(seed)) {
                Ok(marks) => marks.into_iter().for_each(|mark| *counts.entry(mark).or_default() += 1),
                Err(why) => failed.push((seed, why)),
            }
        }
        (counts, failed)
    };
    let (mut counts, mut failed) = (BTreeMap::<String, u32>::new(), Vec::new());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        for worker in workers {
            let (more, wrong) = worker.join().expect("a worker");
            more.into_iter()
                .for_each(|(mark, count)| *counts.entry(mark).or_default() += count);
            failed.extend(wrong);
        }
    });
    failed.sort();
    for (mark, count) in &counts {
        println!("{count:>6}  {mark}");
    }
    for (seed, why) in failed.iter().skip(1) {
        println!("seed {seed}: {}", why.lines().last().unwrap_or_default());
    }
    if let Some((seed, why)) = failed.first() {
        panic!("{} of {seeds} seeds failed; seed {seed}:\n{why}", failed.len());
    }
    let unseen: Vec<_> = SEEN.iter().filter(|mark| !counts.contains_key(**mark)).collect();
    assert!(
        seeds < 1_000 || unseen.is_empty(),
        "in {seeds} runs this was never seen: {unseen:?}"
    );
}

#[test]
fn several_targets_each_end_once_and_one_is_bridged() {
    let one = number("SEGUE_SEED");
    let seeds = one.map_or(0..number("SEGUE_SEEDS").unwrap_or(400), |seed| seed..seed + 1);
    let (mut counts, mut failed) = (BTreeMap::<String, u32>::new(), Vec::new());
    for seed in seeds.clone() {
        match live(Setup::several(seed)) {
            Ok(marks) => marks.into_iter().for_each(|mark| *counts.entry(mark).or_default() += 1),
            Err(why) => failed.push((seed, why)),
        }
    }
    for (seed, why) in failed.iter().skip(1) {
        println!("seed {seed}: {}", why.lines().last().unwrap_or_default());
    }
    if let Some((seed, why)) = failed.first() {
        panic!("{} seeds failed; seed {seed}:\n{why}", failed.len());
    }
    println!("{counts:#?}");
    let wanted = [
        "targets took turns",
        "targets rang together",
        "two targets answered",
        "a second fork answered",
        "B's 200 crossed our CANCEL",
    ];
    let unseen: Vec<_> = wanted.iter().filter(|mark| !counts.contains_key(**mark)).collect();
    assert!(one.is_some() || unseen.is_empty(), "never seen: {unseen:?}");
}

/// What the runs in the manner of carriers must have seen.
const CARRIER: &[&str] = &[
    // RFC 4028: both refreshers, both ways to refresh, on both legs; who is not refreshed; too short an interval.
    "UPDATE of A refreshed A",
    "UPDATE of B refreshed B",
    "UPDATE of Segue refreshed A",
    "UPDATE of Segue refreshed B",
    "re-INVITE of A refreshed A",
    "re-INVITE of B refreshed B",
    "re-INVITE of Segue refreshed A",
    "re-INVITE of Segue refreshed B",
    "a session of A expired",
    "a session of B expired",
    "422 to A",
    "B's 422 was tried again",
    // RFC 3262 and RFC 3261: PRACK with its faults, extensions that one side lacks.
    "wrong RAck: 481",
    "PRACK with an offer: 200",
    "PRACK never came",
    "B's 420 was tried again",
    "B's 421 was tried again",
    "B's 503 was kept from A",
    // RFC 3311, RFC 6228, RFC 5009.
    "early UPDATE of A with an offer: 200",
    "early UPDATE of A without: 200",
    "early UPDATE of B with an offer: 200",
    "early UPDATE of B without: 200",
    "199 from B",
    "P-Early-Media to A",
    "a tone named to A",
    "a second fork answered",
    // RFC 3312, pictures that are added.
    "B was invited when the resources were there",
    "580 to A",
    "pictures offered: 200",
    "pictures offered: 488",
    "pictures offered: 481",
    "pictures offered: silence",
    // Calls that go on.
    "went on, Here",
    "went on, ByRoute",
    "went on, ByHost",
    "B's refusal went to A",
    "help was called",
    "Redirects: answered",
    "B's 200 crossed our CANCEL",
];

#[test]
fn calls_in_the_manner_of_carriers_end_as_they_must() {
    let one = number("SEGUE_SEED");
    let each = number("SEGUE_SEEDS").unwrap_or(100);
    let seeds = one.map_or(0..each, |seed| seed..seed + 1);
    let only = std::env::var("SEGUE_KIND").ok();
    let (mut counts, mut failed) = (BTreeMap::<String, u32>::new(), Vec::new());
    for kind in Kind::ALL {
        if only.as_ref().is_some_and(|only| *only != format!("{kind:?}")) {
            continue;
        }
        for seed in seeds.clone() {
            match live(Setup::carrier(seed, kind)) {
                Ok(marks) => marks.into_iter().for_each(|mark| *counts.entry(mark).or_default() += 1),
                Err(why) => failed.push((kind, seed, why)),
            }
        }
    }
    println!("{counts:#?}");
    for (kind, seed, why) in failed.iter().skip(1) {
        println!("{kind:?} {seed}: {}", why.lines().last().unwrap_or_default());
    }
    if let Some((kind, seed, why)) = failed.first() {
        panic!("{} seeds failed; {kind:?} {seed}:\n{why}", failed.len());
    }
    let unseen: Vec<_> = CARRIER.iter().filter(|mark| !counts.contains_key(**mark)).collect();
    assert!(
        one.is_some() || only.is_some() || unseen.is_empty(),
        "never seen: {unseen:?}"
    );
}
