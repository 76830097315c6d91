//! The call core against a plain reference of what may be said when: thousands of random calls, each from its seed. A seed that
//! fails becomes a story.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // A model that is broken fails.

mod reference;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use world::World;

const SEEDS: u64 = 4_000;

fn each_seed(run: impl Fn(u64)) {
    for seed in 0..SEEDS {
        if catch_unwind(AssertUnwindSafe(|| run(seed))).is_err() {
            panic!("seed {seed} breaks an invariant, see above");
        }
    }
}

/// Peers, packet path and store keep their contracts, in any order and at any time.
#[test]
fn any_order_of_possible_inputs() {
    let mut reached = std::collections::BTreeMap::<String, u32>::new();
    for seed in 0..SEEDS {
        match catch_unwind(AssertUnwindSafe(|| World::new(seed).play(false))) {
            Ok(record) => *reached.entry(format!("{:?}", record.result)).or_default() += 1,
            Err(_) => panic!("seed {seed} breaks an invariant, see above"),
        }
    }
    // A model that no longer comes to every end has stopped testing.
    assert_eq!(reached.len(), 9, "{reached:?}");
    assert!(reached.values().all(|n| *n >= 5), "{reached:?}");
}

/// Mixed with inputs that cannot be in the present state: they change nothing that is owed.
#[test]
fn impossible_inputs_between() {
    each_seed(|seed| {
        World::new(seed).play(true);
    });
}

#[test]
fn the_same_seed_plays_the_same_call() {
    for seed in 0..50 {
        assert_eq!(World::new(seed).play(true), World::new(seed).play(true));
    }
}
