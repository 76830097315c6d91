//! A day in an office: subscribers' phones register, want to know of their messages, are called; callers leave messages; phones and
//! server are unplugged; commands work beside the server; messages are
//! left for groups, too, and heard and deleted by phone; strangers guess PINs; an outside line is registered, called and calls. The registrar,
//! who is told of messages, PINs, who is busy and the line are held against plain references.
//!
//! `SEGUE_SEED` and `SEGUE_SEEDS` as elsewhere.

mod busy;
mod desk;
mod device;
mod edge;
mod lamps;
mod pins;
mod provider;
mod roll;
mod setup;
mod shelf;
mod visits;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{dice::MS, number, observer::Marks};
use setup::Setup;
use world::World;

impl World {
    /// What holds all the time, looked at now and then.
    fn look(&mut self) {
        if !self.is_up {
            return;
        }
        let (now, up_since) = (self.now, self.up_since);
        let registered: BTreeSet<String> = self.roll.all(now).map(|(_, bound)| bound.uri.clone()).collect();
        self.lamps.keep(|contact| registered.contains(contact));
        let outcome = self.lamps.settled(now, &self.desk.shelf);
        if self.must(outcome).is_some_and(|right| right > 0) {
            self.mark("somebody knows how many messages there are");
        }
        if self.setup.profile.mwi.is_unsolicited() {
            let knows = self
                .roll
                .all(now)
                .try_for_each(|(user, bound)| self.lamps.knows(now, user, bound, up_since, &self.desk.shelf));
            self.must(knows);
        }
        let outcome = self.line_stands();
        self.must(outcome);
        let (counted, must) = (self.shard.stats().registrations, self.roll.total(now));
        // The store keeps milliseconds.
        let soon = self.roll.total(now + 3 * MS);
        if !(soon as u64..=must as u64).contains(&counted) {
            self.must::<()>(Err(format!("{counted} contacts are registered, and must be {must}")));
        }
    }

    /// What holds when the day is over.
    fn check(&self) -> Result<(), String> {
        let (endpoint, stats) = (self.shard.endpoint(), self.shard.stats());
        let left = [
            ("panics", stats.panics),
            ("calls", self.shard.call_count() as u64),
            ("sessions", endpoint.session_count() as u64),
            ("transactions", endpoint.transaction_count() as u64),
            ("timers", endpoint.timer_count() as u64),
            ("dialogs of subscriptions", endpoint.watch_count() as u64),
            ("subscriptions", stats.subscriptions),
            ("registrations", stats.registrations),
            ("places", self.desk.places.held.len() as u64),
            ("reservations", self.desk.reservations()),
            ("recordings", self.desk.left().len() as u64),
        ];
        if let Some((what, count)) = left.into_iter().find(|(_, count)| *count > 0) {
            return Err(format!("left: {count} {what}"));
        }
        if self.shard.poll_timeout().is_some() || !self.media.all_closed() {
            return Err("a timer or ports of the shard are left".into());
        }
        self.desk.is_as_it_must_be()?;
        self.line_is_gone()?;
        let has = |id: &String| self.desk.shelf.all.values().any(|all| all.contains_key(id));
        let lost = self
            .desk
            .synced
            .iter()
            .find(|id| !has(id) && !self.desk.dropped.contains(id));
        if let Some(id) = lost {
            return Err(format!("the message {id} is lost"));
        }
        for ((branch, method), (at, life, answered)) in &self.asked {
            // Who asked a server that ended then asks again.
            if !answered && *life == self.life {
                return Err(format!("a {method} ({branch}) of {} ms got no answer", at / MS));
            }
        }
        for caller in &self.callers {
            let ended = self
                .records
                .iter()
                .filter(|(_, record)| record.sip_call_id == caller.call_id);
            let mut lives = BTreeSet::new();
            // Its INVITE by another branch may come when the first one's transaction is over: then it is a call (RFC 3261 §8.2.2.2).
            let may_be_two = caller.script.merged.is_some();
            if ended.into_iter().any(|(life, _)| !lives.insert(life)) && !may_be_two {
                return Err(format!("{} ended twice", caller.call_id));
            }
        }
        Ok(())
    }
}

fn live(setup: Setup) -> Result<Marks, String> {
    let mut world = World::new(setup);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run().and_then(|()| world.check())));
    let outcome = outcome.unwrap_or_else(|_| Err("a panic, see above".into()));
    match outcome {
        Ok(()) => {
            if number("SEGUE_SEED").is_some() {
                println!("{}", world.ladder());
            }
            Ok(world.marks)
        }
        Err(why) => Err(format!("{}\n{why}", world.ladder())),
    }
}

/// What the runs must have seen.
const SEEN: &[&str] = &[
    "REGISTER: new",
    "REGISTER: said again",
    "REGISTER: taken back",
    "REGISTER: all taken back",
    "REGISTER: asked",
    "REGISTER: asked who it is",
    "REGISTER: too short",
    "unregistered by a command",
    "SUBSCRIBE: new",
    "SUBSCRIBE: goes on",
    "SUBSCRIBE: ended",
    "SUBSCRIBE: it was over",
    "SUBSCRIBE: too short",
    "NOTIFY: asked for",
    "NOTIFY: unasked",
    "NOTIFY: the last",
    "INVITE to Some(Plain)",
    "INVITE to Some(Nat)",
    "INVITE to Some(Path)",
    "INVITE to Some(Tcp)",
    "NOTIFY to Some(Nat)",
    "NOTIFY to Some(Path)",
    "a message was left",
    "a recording of before the crash became a message",
    "somebody knows how many messages there are",
    "by command: Heard",
    "by command: Unheard",
    "by command: Delete",
    "by command: Restore",
    "the server stopped: Crash",
    "the server stopped: Orderly",
    "result Answered",
    "result Message",
    "result Mailbox",
    "somebody called their mailbox",
    "heard by phone",
    "kept by phone",
    "deleted by phone",
    "the line was asked who it is",
    "the line was registered",
    "the line was registered again",
    "the line was given back",
    "a call went out by the line",
    "a call came in by the line",
    "PIN: right",
    "PIN: wrong",
    "PIN: wrong, and locks",
    "PIN: locked",
    "PIN: right, and locked",
    "PIN: its source has to wait",
    "a locked PIN was unlocked",
    "busy in a call of theirs",
    "a second call came to who takes several",
    "a greeting was recorded",
    "a message was left for several",
    "an urgent message was left",
    "several phones rang together",
];

#[test]
fn who_is_registered_is_called_and_knows_of_their_messages() {
    let one = number("SEGUE_SEED");
    let seeds = one.map_or(0..number("SEGUE_SEEDS").unwrap_or(100), |seed| seed..seed + 1);
    let (mut counts, mut failed) = (BTreeMap::<String, u32>::new(), Vec::new());
    for seed in seeds {
        match live(Setup::by(seed)) {
            Ok(marks) => marks.into_iter().for_each(|mark| *counts.entry(mark).or_default() += 1),
            Err(why) => failed.push((seed, why)),
        }
    }
    println!("{counts:#?}");
    for (seed, why) in failed.iter().skip(1) {
        println!("seed {seed}: {}", why.lines().last().unwrap_or_default());
    }
    if let Some((seed, why)) = failed.first() {
        panic!("{} seeds failed; seed {seed}:\n{why}", failed.len());
    }
    let unseen: Vec<_> = SEEN.iter().filter(|mark| !counts.contains_key(**mark)).collect();
    assert!(one.is_some() || unseen.is_empty(), "never seen: {unseen:?}");
}
