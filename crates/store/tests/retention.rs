//! The number of heard messages is never seen above the threshold; unheard ones are never touched by it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use std::collections::BTreeMap;

use fixture::{count, deposit, open, subscriber};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use segue_mailbox::{Limit, OwnRules, Retention, Scope};
use segue_store::{Deleted, Fate, MarkOutcome, Store, StoreError};

const DAY: i64 = 24 * 60 * 60 * 1000;
const RECEIVED: i64 = 1_700_000_000_000;

fn at_most(n: u32) -> impl FnOnce(&mut OwnRules) + Send + 'static {
    move |own| own.heard_max = Limit::At(n)
}

/// A subscriber's rules set, everything else left to the defaults; what went.
fn set(store: &Store, now_ms: i64, change: impl FnOnce(&mut OwnRules) + Send + 'static) -> Vec<String> {
    store.set_retention("bob", now_ms, change).unwrap().evicted
}

fn mailbox_of(n: u32) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.put_subscriber(subscriber("bob")).unwrap();
    for i in 0..n {
        store.deposit(deposit(&format!("m{i}"), "bob", b"media")).unwrap();
    }
    (dir, store)
}

fn ids(store: &Store) -> Vec<String> {
    store.messages("bob").unwrap().into_iter().map(|m| m.id).collect()
}

#[test]
fn marking_one_heard_past_the_threshold_takes_the_oldest_heard() {
    let (_dir, store) = mailbox_of(5);
    set(&store, 0, at_most(2));
    assert!(store.mark_heard("m3", 10).unwrap().evicted.is_empty());
    assert!(store.mark_heard("m1", 20).unwrap().evicted.is_empty());
    assert_eq!(store.mark_heard("m4", 30).unwrap().evicted, ["m3"]);
    assert_eq!(ids(&store), ["m0", "m1", "m2", "m4"]);
}

#[test]
fn a_lower_threshold_acts_at_once() {
    let (_dir, store) = mailbox_of(4);
    for (i, id) in ["m2", "m0", "m3"].iter().enumerate() {
        store.mark_heard(id, i as i64).unwrap();
    }
    assert_eq!(set(&store, 5, at_most(1)), ["m2", "m0"]);
    assert_eq!(ids(&store), ["m1", "m3"]);
    assert_eq!(store.retention("bob").unwrap().effective.heard_max, Some(1));
}

#[test]
fn unheard_ones_stay_however_many() {
    let (_dir, store) = mailbox_of(20);
    assert!(set(&store, 0, at_most(0)).is_empty());
    assert_eq!(ids(&store).len(), 20);
    assert_eq!(store.mark_heard("m7", 1).unwrap().evicted, ["m7"]);
    assert_eq!(ids(&store).len(), 19);
}

#[test]
fn one_marked_unheard_again_no_longer_counts() {
    let (_dir, store) = mailbox_of(3);
    set(&store, 0, at_most(1));
    store.mark_heard("m0", 1).unwrap();
    assert!(store.mark_unheard("m0", 1).unwrap().changed);
    assert!(!store.mark_unheard("m0", 1).unwrap().changed);
    assert!(store.mark_heard("m1", 2).unwrap().evicted.is_empty());
    assert_eq!(ids(&store).len(), 3);
}

#[test]
fn another_mailbox_is_not_touched() {
    let (_dir, store) = mailbox_of(2);
    store.put_subscriber(subscriber("eve")).unwrap();
    store.deposit(deposit("e0", "eve", b"x")).unwrap();
    store.mark_heard("e0", 1).unwrap();
    set(&store, 0, at_most(0));
    store.mark_heard("m0", 2).unwrap();
    assert_eq!(store.messages("eve").unwrap().len(), 1);
}

#[test]
fn two_readers_mark_one_message_and_one_of_them_does_it() {
    let (dir, store) = mailbox_of(1);
    let other = open(dir.path());
    for round in 0..20_i64 {
        let outcomes: Vec<MarkOutcome> = std::thread::scope(|scope| {
            let marks = [&store, &other].map(|reader| scope.spawn(move || reader.mark_heard("m0", round).unwrap()));
            marks.into_iter().map(|m| m.join().unwrap()).collect()
        });
        assert_eq!(outcomes.iter().filter(|o| o.changed).count(), 1, "round {round}");
        assert!(store.mark_unheard("m0", 1).unwrap().changed);
    }
}

#[test]
fn an_unknown_subscriber_has_no_rules() {
    let (_dir, store) = mailbox_of(0);
    assert!(matches!(
        store.retention("eve"),
        Err(StoreError::NotFound { what: "subscriber", .. })
    ));
    assert!(matches!(
        store.set_retention("eve", 0, at_most(1)),
        Err(StoreError::NotFound { .. })
    ));
    assert!(matches!(
        store.mark_heard("m9", 1),
        Err(StoreError::NotFound { what: "message", .. })
    ));
}

fn pinned(store: &Store, id: &str) -> bool {
    store.message(id).unwrap().keeping.pinned
}

#[test]
fn what_the_rules_take_goes_to_the_trash_and_comes_back_from_it() {
    let (dir, store) = mailbox_of(3);
    set(&store, 0, at_most(1));
    store.mark_heard("m0", 10).unwrap();
    assert_eq!(store.mark_heard("m1", 20).unwrap().evicted, ["m0"]);
    let trash = store.trash("bob").unwrap();
    assert_eq!(trash[0].id, "m0");
    assert_eq!(trash[0].keeping.deleted_at_ms, Some(20));
    assert_eq!(trash[0].keeping.deleted_by.as_deref(), Some("heard_max"));
    assert_eq!(store.totals().unwrap().trash, 1);

    // The rule would take it again at once.
    let refused = store.undelete_message("m0", false, 30).unwrap_err();
    assert!(refused.fix().contains("--pin"), "{}", refused.fix());
    assert_eq!(ids(&store), ["m1", "m2"]);
    assert!(store.undelete_message("m0", true, 30).unwrap().changed);
    assert!(!store.undelete_message("m0", true, 30).unwrap().changed);
    assert_eq!((ids(&store).len(), pinned(&store, "m0")), (3, true));
    assert_eq!(store.message("m0").unwrap().heard_at_ms, Some(10), "as it was");
    // Unpinned, it counts again.
    assert_eq!(store.pin_message("m0", false, 40).unwrap().evicted, ["m0"]);
    assert_eq!(count(dir.path(), "SELECT count(*) FROM retention_audit"), 2);
}

#[test]
fn what_somebody_deletes_is_in_the_trash_for_seven_days() {
    let (dir, store) = mailbox_of(2);
    let until_ms = RECEIVED + 7 * DAY;
    assert_eq!(
        store.delete_message("m0", RECEIVED).unwrap(),
        Deleted::ToTrash { until_ms }
    );
    assert_eq!(store.delete_message("m0", RECEIVED + 5).unwrap(), Deleted::Already);
    assert!(matches!(store.mark_heard("m0", 9), Err(StoreError::Refused { .. })));
    assert_eq!(
        fixture::exported(&store, "m0"),
        b"media",
        "one may look before one undeletes"
    );
    assert!(store.run_retention(None, until_ms - 1).unwrap().is_empty());
    assert_eq!(store.run_retention(None, until_ms).unwrap().freed, ["m0"]);
    assert!(matches!(store.message("m0"), Err(StoreError::NotFound { .. })));
    assert_eq!(count(dir.path(), "SELECT count(*) FROM blob"), 1);
    let audit = store.retention_audit("bob").unwrap();
    assert_eq!((audit[0].rule.as_str(), audit[0].found), ("trash", 7 * DAY as u64));

    store.free_message("m1").unwrap();
    assert_eq!(count(dir.path(), "SELECT count(*) FROM blob"), 0);
    assert_eq!(
        store.retention_audit("bob").unwrap().len(),
        1,
        "only automatic deletions are audited"
    );
}

#[test]
fn a_trash_of_zero_frees_at_once_also_what_is_in_it() {
    let (dir, store) = mailbox_of(3);
    store.delete_message("m0", 5).unwrap();
    set(&store, 6, |own| own.trash_ms = Some(0));
    assert!(matches!(store.message("m0"), Err(StoreError::NotFound { .. })));
    assert_eq!(store.delete_message("m1", 7).unwrap(), Deleted::Freed);
    set(&store, 8, at_most(0));
    assert_eq!(store.mark_heard("m2", 9).unwrap().evicted, ["m2"]);
    assert_eq!(count(dir.path(), "SELECT count(*) FROM blob"), 0);
    let rules: Vec<_> = store
        .retention_audit("bob")
        .unwrap()
        .into_iter()
        .map(|row| row.rule)
        .collect();
    assert_eq!(rules, ["trash", "heard_max"]);
}

#[test]
fn pinned_messages_are_neither_counted_nor_deleted() {
    let (_dir, store) = mailbox_of(3);
    assert!(store.pin_message("m0", true, 0).unwrap().changed);
    assert!(!store.pin_message("m0", true, 0).unwrap().changed);
    set(&store, 0, |own| {
        own.heard_max = Limit::At(1);
        own.heard_age_ms = Limit::At(DAY as u64);
        own.unheard_age_ms = Limit::At(DAY as u64);
        own.max_bytes = Limit::At(10);
    });
    store.mark_heard("m0", 1).unwrap();
    assert!(
        store.mark_heard("m1", 2).unwrap().evicted.is_empty(),
        "the pinned one is not counted"
    );
    store.run_retention(None, RECEIVED + 400 * DAY).unwrap();
    store.run_retention(None, RECEIVED + 500 * DAY).unwrap();
    assert_eq!(ids(&store), ["m0"]);
}

#[test]
fn an_unheard_message_goes_no_sooner_than_seven_days_after_its_warning() {
    let (dir, store) = mailbox_of(1);
    // Lowered to a day, long after: the warning comes at once, the end a week later.
    let now = RECEIVED + 100 * DAY;
    let changed = store
        .set_retention("bob", now, |own| own.unheard_age_ms = Limit::At(DAY as u64))
        .unwrap();
    assert_eq!((changed.warned, changed.evicted), (vec!["m0".to_owned()], vec![]));
    assert_eq!(
        count(
            dir.path(),
            "SELECT count(*) FROM notice WHERE event = 'message.expires'"
        ),
        1
    );
    assert!(store.run_retention(None, now + 7 * DAY - 1).unwrap().is_empty());
    let fate = Fate::Later {
        at_ms: now + 7 * DAY,
        rule: segue_mailbox::Rule::UnheardAge,
    };
    assert_eq!(store.foresee_retention("bob", now).unwrap()[0].fate, fate);
    // The rule gone and back: warned of anew.
    set(&store, now, |own| own.unheard_age_ms = Limit::Off);
    set(&store, now + DAY, |own| own.unheard_age_ms = Limit::At(DAY as u64));
    assert!(store.run_retention(None, now + 8 * DAY - 1).unwrap().is_empty());
    assert_eq!(store.run_retention(None, now + 8 * DAY).unwrap().evicted, ["m0"]);
    let audit = &store.retention_audit("bob").unwrap()[0];
    assert_eq!((audit.rule.as_str(), audit.allowed), ("unheard_age", DAY as u64));
    assert_eq!((audit.found, audit.warned_at_ms), (108 * DAY as u64, Some(now + DAY)));
}

#[test]
fn a_message_that_was_heard_and_is_unheard_again_is_warned_of_anew() {
    let (_dir, store) = mailbox_of(1);
    let now = RECEIVED + 100 * DAY;
    set(&store, now, |own| own.unheard_age_ms = Limit::At(DAY as u64));
    store.mark_heard("m0", now + 1).unwrap();
    store.mark_unheard("m0", now + 8 * DAY).unwrap();
    assert_eq!(store.run_retention(None, now + 8 * DAY).unwrap().warned, ["m0"]);
    assert_eq!(store.run_retention(None, now + 15 * DAY).unwrap().evicted, ["m0"]);
}

#[test]
fn bytes_make_heard_ones_go_in_the_deposit_and_unheard_ones_stay() {
    let (_dir, store) = mailbox_of(3);
    store.mark_heard("m2", 1).unwrap();
    store.mark_heard("m0", 2).unwrap();
    set(&store, 3, |own| own.max_bytes = Limit::At(16));
    assert_eq!(ids(&store).len(), 3);
    store.deposit(deposit("m3", "bob", b"media")).unwrap();
    assert_eq!(ids(&store), ["m0", "m1", "m3"], "the oldest heard made room");
    for id in ["m4", "m5", "m6"] {
        store.deposit(deposit(id, "bob", b"media")).unwrap();
    }
    assert_eq!(ids(&store), ["m1", "m3", "m4", "m5", "m6"], "no unheard one ever does");
    let audit = store.retention_audit("bob").unwrap();
    assert_eq!(
        (audit[0].message.as_str(), audit[0].allowed, audit[0].found),
        ("m2", 16, 20)
    );
}

#[test]
fn in_conversation_scope_one_caller_does_not_push_out_another() {
    let (_dir, store) = mailbox_of(2);
    let mut other = deposit("n0", "bob", b"media");
    other.message.from = "sip:other@127.0.0.1:5070;transport=tcp".to_owned();
    store.deposit(other).unwrap();
    set(&store, 0, |own| {
        own.heard_max = Limit::At(1);
        own.scope = Some(Scope::Conversation);
    });
    store.mark_heard("n0", 1).unwrap();
    assert!(store.mark_heard("m0", 2).unwrap().evicted.is_empty());
    assert_eq!(store.mark_heard("m1", 3).unwrap().evicted, ["m0"]);
    let audit = store.retention_audit("bob").unwrap();
    assert_eq!(audit[0].conversation.as_deref(), Some("a@127.0.0.1"));
    // Back to one mailbox: acts at once.
    assert_eq!(set(&store, 4, |own| own.scope = None), ["n0"]);
}

#[test]
fn defaults_hold_where_a_mailbox_says_nothing() {
    let (_dir, store) = mailbox_of(2);
    store.set_retention_defaults(Retention {
        heard_max: Some(1),
        heard_age_ms: Some(DAY as u64),
        ..Retention::default()
    });
    store.mark_heard("m0", 1).unwrap();
    assert_eq!(store.mark_heard("m1", 2).unwrap().evicted, ["m0"]);
    assert_eq!(store.run_retention(None, DAY + 2).unwrap().evicted, ["m1"]);
    store.put_subscriber(subscriber("eve")).unwrap();
    for id in ["e0", "e1"] {
        store.deposit(deposit(id, "eve", b"x")).unwrap();
        store.set_retention("eve", 0, |own| own.heard_max = Limit::Off).unwrap();
        assert!(store.mark_heard(id, 5).unwrap().evicted.is_empty());
    }
    assert_eq!(store.retention("eve").unwrap().effective.heard_age_ms, Some(DAY as u64));
}

#[test]
fn one_run_frees_more_than_one_transaction_takes() {
    let (_dir, store) = mailbox_of(450);
    for i in 0..450 {
        store.delete_message(&format!("m{i}"), 0).unwrap();
    }
    assert_eq!(store.run_retention(None, 7 * DAY).unwrap().freed.len(), 450);
    assert_eq!(store.totals().unwrap().trash, 0);
}

/// A message in the plainest form of the rules, beside which the store is run.
#[derive(Debug, Clone, PartialEq)]
struct Plain {
    caller: u32,
    received: i64,
    heard: Option<i64>,
    warned: Option<i64>,
    deleted: Option<i64>,
    pinned: bool,
    bytes: u64,
}

#[derive(Default)]
struct Reference {
    messages: BTreeMap<String, Plain>,
    rules: Retention,
    /// Rule and message of each automatic deletion.
    audit: Vec<(String, String)>,
}

impl Reference {
    fn goes(&mut self, id: &str, rule: &str, now: i64) {
        self.audit.push((rule.to_owned(), id.to_owned()));
        if self.rules.trash_ms == 0 || rule == "trash" {
            self.messages.remove(id);
        } else {
            self.messages.get_mut(id).unwrap().deleted = Some(now);
        }
    }

    fn counted(&self) -> Vec<(String, Plain)> {
        let all = self.messages.iter().filter(|(_, m)| m.deleted.is_none() && !m.pinned);
        all.map(|(id, m)| (id.clone(), m.clone())).collect()
    }

    /// One thing at a time, until no rule wants anything.
    fn enforce(&mut self, now: i64, with_ages: bool) {
        let rules = self.rules;
        if with_ages {
            for (id, m) in self.counted() {
                let passed = |since: i64, limit: u64| now - since >= limit as i64;
                match (m.heard, m.warned) {
                    (Some(heard), _) if rules.heard_age_ms.is_some_and(|age| passed(heard, age)) => {
                        self.goes(&id, "heard_age", now);
                    }
                    (None, None)
                        if rules
                            .unheard_age_ms
                            .is_some_and(|age| now - m.received >= (age as i64 - 7 * DAY).max(0)) =>
                    {
                        self.messages.get_mut(&id).unwrap().warned = Some(now);
                    }
                    (None, Some(warned))
                        if now - warned >= 7 * DAY
                            && rules.unheard_age_ms.is_some_and(|age| passed(m.received, age)) =>
                    {
                        self.goes(&id, "unheard_age", now);
                    }
                    _ => {}
                }
            }
        }
        for group in 0..3_u32 {
            loop {
                let mut all = self.counted();
                if rules.scope == Scope::Conversation {
                    all.retain(|(_, m)| m.caller == group);
                } else if group > 0 {
                    break;
                }
                let heard = all.iter().filter_map(|(id, m)| m.heard.map(|at| (at, id.clone())));
                let Some((_, oldest)) = heard.clone().min() else { break };
                let bytes: u64 = all.iter().map(|(_, m)| m.bytes).sum();
                if rules.heard_max.is_some_and(|max| heard.count() > max as usize) {
                    self.goes(&oldest, "heard_max", now);
                } else if rules.max_bytes.is_some_and(|max| bytes > max) {
                    self.goes(&oldest, "max_bytes", now);
                } else {
                    break;
                }
            }
        }
        for (id, m) in self.messages.clone() {
            let old = |at: i64| with_ages && now > at && now - at >= rules.trash_ms as i64;
            if m.deleted.is_some_and(|at| rules.trash_ms == 0 || old(at)) {
                self.goes(&id, "trash", now);
            }
        }
    }
}

fn stored(store: &Store) -> BTreeMap<String, Plain> {
    let all = store
        .messages("bob")
        .unwrap()
        .into_iter()
        .chain(store.trash("bob").unwrap());
    all.map(|m| {
        let plain = Plain {
            caller: m.from.chars().find_map(|c| c.to_digit(10)).unwrap(),
            received: m.received_at_ms,
            heard: m.heard_at_ms,
            warned: m.keeping.warned_at_ms,
            deleted: m.keeping.deleted_at_ms,
            pinned: m.keeping.pinned,
            bytes: m.bytes,
        };
        (m.id, plain)
    })
    .collect()
}

#[test]
fn any_order_of_doings_ends_as_the_plain_rules_say() {
    for seed in 0..12 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (_dir, store) = mailbox_of(0);
        let mut reference = Reference::default();
        let mut now = RECEIVED;
        for step in 0..200_u32 {
            // Marks of the same millisecond are wanted: the id decides then. Sometimes the clock goes back.
            now += [0, 0, 1, DAY / 2, 3 * DAY, -DAY][rng.random_range(0..6)];
            let known: Vec<String> = reference.messages.keys().cloned().collect();
            let id = (!known.is_empty()).then(|| known[rng.random_range(0..known.len())].clone());
            let trashed = id.as_ref().is_some_and(|id| reference.messages[id].deleted.is_some());
            match (rng.random_range(0..12), id) {
                (0..=2, _) | (_, None) => {
                    let id = format!("{step:04}");
                    let caller = rng.random_range(0..3);
                    let mut new = deposit(&id, "bob", &vec![7; rng.random_range(1..9)]);
                    new.message.from = format!("sip:caller{caller}@example.com");
                    new.message.received_at_ms = now;
                    let segue_store::MediaSource::Bytes(media) = &new.media else {
                        panic!()
                    };
                    let plain = Plain {
                        caller,
                        received: now,
                        heard: None,
                        warned: None,
                        deleted: None,
                        pinned: false,
                        bytes: media.len() as u64,
                    };
                    store.deposit_at(new, now).unwrap();
                    reference.messages.insert(id, plain);
                    reference.enforce(now, false);
                }
                (3..=7 | 9, Some(id)) if trashed => {
                    let pin = rng.random_bool(0.5);
                    let before = (reference.messages.clone(), reference.audit.clone());
                    let m = reference.messages.get_mut(&id).unwrap();
                    (m.deleted, m.warned, m.pinned) = (None, None, m.pinned || pin);
                    reference.enforce(now, true);
                    let stays = reference.messages.get(&id).is_some_and(|m| m.deleted.is_none());
                    assert_eq!(
                        store.undelete_message(&id, pin, now).is_ok(),
                        stays,
                        "seed {seed}, step {step}"
                    );
                    if !stays {
                        (reference.messages, reference.audit) = before;
                    }
                }
                (3..=5, Some(id)) => {
                    let m = reference.messages.get_mut(&id).unwrap();
                    let changed = m.heard.is_none();
                    assert_eq!(store.mark_heard(&id, now).unwrap().changed, changed);
                    if changed {
                        (m.heard, m.warned) = (Some(now), None);
                        reference.enforce(now, false);
                    }
                }
                (6, Some(id)) => {
                    store.mark_unheard(&id, now).unwrap();
                    let m = reference.messages.get_mut(&id).unwrap();
                    if m.heard.take().is_some() {
                        m.warned = None;
                        reference.enforce(now, false);
                    }
                }
                (7, Some(id)) => {
                    let pin = rng.random_bool(0.5);
                    store.pin_message(&id, pin, now).unwrap();
                    let m = reference.messages.get_mut(&id).unwrap();
                    if m.pinned != pin {
                        (m.pinned, m.warned) = (pin, None);
                        reference.enforce(now, false);
                    }
                }
                (8, Some(id)) => {
                    store.delete_message(&id, now).unwrap();
                    if reference.rules.trash_ms == 0 {
                        reference.messages.remove(&id);
                    } else {
                        reference.messages.get_mut(&id).unwrap().deleted.get_or_insert(now);
                    }
                }
                (9 | 10, Some(_)) => {
                    store.run_retention(None, now).unwrap();
                    reference.enforce(now, true);
                }
                (_, Some(_)) => {
                    let mut some = |list: &[u64]| list.get(rng.random_range(0..=list.len())).copied();
                    let rules = Retention {
                        heard_max: some(&[0, 1, 3]).map(|n| n as u32),
                        heard_age_ms: some(&[DAY as u64, 9 * DAY as u64]),
                        unheard_max: some(&[0, 2]).map(|n| n as u32),
                        unheard_age_ms: some(&[DAY as u64, 20 * DAY as u64]),
                        max_bytes: some(&[5, 20, 40]),
                        max_seconds: None,
                        scope: some(&[0]).map_or(Scope::Mailbox, |_| Scope::Conversation),
                        trash_ms: some(&[0, 2 * DAY as u64, 7 * DAY as u64]).unwrap_or(DAY as u64),
                    };
                    fn limit<T>(value: Option<T>) -> Limit<T> {
                        value.map_or(Limit::Off, Limit::At)
                    }
                    set(&store, now, move |own| {
                        own.heard_max = limit(rules.heard_max);
                        own.heard_age_ms = limit(rules.heard_age_ms);
                        own.unheard_max = limit(rules.unheard_max);
                        own.unheard_age_ms = limit(rules.unheard_age_ms);
                        own.max_bytes = limit(rules.max_bytes);
                        own.scope = Some(rules.scope);
                        own.trash_ms = Some(rules.trash_ms);
                    });
                    reference.rules = rules;
                    if rules.unheard_age_ms.is_none() {
                        reference.messages.values_mut().for_each(|m| m.warned = None);
                    }
                    reference.enforce(now, true);
                }
            }
            assert_eq!(stored(&store), reference.messages, "seed {seed}, step {step}");
            let mut audit: Vec<_> = store.retention_audit("bob").unwrap();
            let mut told: Vec<_> = audit.drain(..).map(|row| (row.rule, row.message)).collect();
            told.sort();
            reference.audit.sort();
            assert_eq!(told, reference.audit, "seed {seed}, step {step}");
        }
        assert!(reference.audit.len() > 10, "seed {seed} deletes something");
    }
}
