//! Notices: written with what they tell of, claimed, tried, settled; each at least once, none lost, none in the way of others.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use std::path::Path;

use fixture::{count, deposit, open, open_server, subscriber};
use segue_mailbox::{Limit, OwnRules};
use segue_policy::{About, Channel, Notify};
use segue_records::{CallResult, NoticeEvent, NoticeFacts, UnixMs};
use segue_store::{DeliveryState, Due, Store, StoreError, WhichDeliveries};

const NOW: i64 = 1_800_000_000_000;
const LEASE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A mailbox whose owner wants these ways.
fn with(dir: &Path, user: &str, by: &[Channel]) -> Store {
    let store = open(dir);
    add(&store, user, by);
    store
}

fn add(store: &Store, user: &str, by: &[Channel]) {
    let mut new = subscriber(user);
    new.notify = Notify {
        by: by.to_vec(),
        ..Notify::default()
    };
    store.add_subscriber(new).unwrap();
}

fn claim(store: &Store, channel: Channel, now_ms: i64) -> Vec<Due> {
    store.claim_notices(channel, &[], 10, now_ms, LEASE_MS).unwrap()
}

fn all(store: &Store) -> Vec<(String, DeliveryState)> {
    let all = store.deliveries(&WhichDeliveries::default(), 100, NOW).unwrap();
    all.into_iter().map(|one| (one.channel, one.state)).collect()
}

#[test]
fn a_message_and_its_notices_are_committed_together_once_for_each_channel() {
    let dir = tempfile::tempdir().unwrap();
    let store = with(dir.path(), "bob", &[Channel::Mail, Channel::Webhook]);
    add(&store, "eve", &[]);
    store.deposit_at(deposit("01A", "bob", b"media"), NOW).unwrap();
    store.deposit_at(deposit("01A", "bob", b"again"), NOW).unwrap();
    store.deposit_at(deposit("01B", "eve", b"media"), NOW).unwrap();
    let found = store.deliveries(&WhichDeliveries::default(), 100, NOW).unwrap();
    let keys: Vec<&str> = found.iter().map(|one| one.key.as_str()).collect();
    assert_eq!(
        keys,
        ["message-committed_mail_01A_bob", "message-committed_webhook_01A_bob"]
    );
    let facts = found[0].facts.as_ref().unwrap();
    assert_eq!(facts.event, NoticeEvent::MessageCommitted);
    assert_eq!((facts.mailbox.as_str(), facts.bytes), ("bob", Some(5)));
    assert_eq!(
        (facts.from.as_deref(), facts.from_name.as_deref()),
        (Some("sip:a@127.0.0.1"), Some("Ä"))
    );
    assert_eq!(facts.duration_ms, Some(4_200));
    // A deposit that fails leaves neither.
    assert!(store.deposit_at(deposit("01C", "bob", b""), NOW).is_err());
    assert_eq!(all(&store).len(), 2);
}

#[test]
fn who_withholds_an_identity_is_named_nowhere_in_the_queue() {
    let dir = tempfile::tempdir().unwrap();
    let store = with(dir.path(), "bob", &[Channel::Mail]);
    let mut withheld = deposit("01A", "bob", b"media");
    withheld.message.from = "sip:anonymous@anonymous.invalid".to_owned();
    withheld.message.from_name = Some("Secret Ann".to_owned());
    store.deposit_at(withheld, NOW).unwrap();
    let due = claim(&store, Channel::Mail, NOW);
    assert_eq!((&due[0].facts.from, &due[0].facts.from_name), (&None, &None));
    assert_eq!(
        count(dir.path(), "SELECT count(*) FROM notice WHERE facts LIKE '%Secret%'"),
        0
    );
}

#[test]
fn a_claim_is_a_lease_and_the_next_attempt_waits_for_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = with(dir.path(), "bob", &[Channel::Webhook]);
    store.deposit_at(deposit("01A", "bob", b"media"), NOW).unwrap();
    assert!(claim(&store, Channel::Mail, NOW).is_empty());
    assert!(claim(&store, Channel::Webhook, NOW - 1).is_empty(), "not yet due");
    let first = claim(&store, Channel::Webhook, NOW);
    assert_eq!((first.len(), first[0].attempt.number), (1, 1));
    assert!(claim(&store, Channel::Webhook, NOW + LEASE_MS - 1).is_empty(), "leased");
    // Whoever had it has crashed or hangs: another attempt.
    let second = claim(&store, Channel::Webhook, NOW + LEASE_MS);
    assert_eq!((second[0].attempt.number, &second[0].key), (2, &first[0].key));
    // What comes back too late changes nothing.
    assert_eq!(store.notice_dead(first[0].attempt, "late", NOW), Ok(false));
    let later = NOW + LEASE_MS + 30_000;
    assert_eq!(store.notice_again(second[0].attempt, "503", later), Ok(true));
    assert!(claim(&store, Channel::Webhook, later - 1).is_empty());
    let third = claim(&store, Channel::Webhook, later);
    assert_eq!(third[0].attempt.number, 3);
    assert_eq!(store.notice_sent(third[0].attempt, "200", later), Ok(true));
    assert!(claim(&store, Channel::Webhook, later + DAY_MS).is_empty());
    assert_eq!(all(&store), [("webhook".to_owned(), DeliveryState::Sent)]);
}

#[test]
fn what_a_killed_server_had_claimed_is_due_when_the_next_one_starts() {
    let dir = tempfile::tempdir().unwrap();
    let store = with(dir.path(), "bob", &[Channel::Mail]);
    store.deposit_at(deposit("01A", "bob", b"media"), NOW).unwrap();
    assert_eq!(claim(&store, Channel::Mail, NOW).len(), 1);
    drop(store);
    let store = open_server(dir.path());
    let again = claim(&store, Channel::Mail, NOW + 1);
    assert_eq!((again.len(), again[0].attempt.number), (1, 2));
}

#[test]
fn one_recipient_with_many_holds_up_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = with(dir.path(), "busy", &[Channel::Webhook]);
    for n in 0..30 {
        store
            .deposit_at(deposit(&format!("01A{n:02}"), "busy", b"media"), NOW + n)
            .unwrap();
    }
    add(&store, "bob", &[Channel::Webhook]);
    store.deposit_at(deposit("01Z", "bob", b"media"), NOW + 50).unwrap();
    let due = store
        .claim_notices(Channel::Webhook, &[], 10, NOW + 100, LEASE_MS)
        .unwrap();
    let names: Vec<&str> = due.iter().map(|one| one.recipient.as_str()).collect();
    assert_eq!(names, ["busy", "bob"], "the oldest of each");
    assert_eq!(due[0].facts.message_id.as_deref(), Some("01A00"));
    let more = store
        .claim_notices(Channel::Webhook, &["busy".to_owned()], 10, NOW + 100, LEASE_MS)
        .unwrap();
    assert!(more.is_empty(), "{more:?}");
    assert_eq!(
        store
            .claim_notices(Channel::Webhook, &[], 1, NOW + 100, LEASE_MS)
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn nobody_is_told_of_a_message_in_the_trash_or_by_a_way_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = with(dir.path(), "bob", &[Channel::Mail, Channel::Webhook]);
    store.deposit_at(deposit("01A", "bob", b"media"), NOW).unwrap();
    store.delete_message("01A", NOW).unwrap();
    assert!(claim(&store, Channel::Mail, NOW).is_empty());
    store.deposit_at(deposit("01B", "bob", b"media"), NOW).unwrap();
    store
        .change_subscriber("bob", |bob| bob.notify.by = vec![Channel::Mail])
        .unwrap();
    assert_eq!(claim(&store, Channel::Mail, NOW).len(), 1);
    for _ in ["01A", "01B"] {
        assert!(claim(&store, Channel::Webhook, NOW).is_empty());
    }
    assert_eq!(all(&store).len(), 1, "the others have left the queue");
    // A message that is gone takes its notices along.
    store.free_message("01B").unwrap();
    assert_eq!(count(dir.path(), "SELECT count(*) FROM delivery"), 0);
}

#[test]
fn dead_letters_are_kept_listed_retried_and_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let store = with(dir.path(), "bob", &[Channel::Mail, Channel::Webhook]);
    store.deposit_at(deposit("01A", "bob", b"media"), NOW).unwrap();
    for channel in [Channel::Mail, Channel::Webhook] {
        let due = claim(&store, channel, NOW);
        store.notice_dead(due[0].attempt, "550 no such user", NOW).unwrap();
    }
    let dead = WhichDeliveries {
        recipient: Some("bob".to_owned()),
        state: Some(DeliveryState::Dead),
    };
    let listed = store.deliveries(&dead, 100, NOW).unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].said.as_deref(), Some("550 no such user"));
    let counts = store.notice_counts().unwrap();
    assert_eq!(counts.iter().map(|of| of.dead).collect::<Vec<_>>(), [1, 1, 0]);
    let tried = store.retry_notice(listed[0].id, NOW + DAY_MS).unwrap();
    assert_eq!(tried.state, DeliveryState::Waiting);
    let due = claim(&store, Channel::Mail, NOW + DAY_MS);
    assert_eq!(due[0].since.0, NOW + DAY_MS, "with as much time as a new one");
    assert_eq!(store.retry_dead_notices(NOW + DAY_MS), Ok(1));
    store.drop_notice(listed[1].id, NOW).unwrap();
    let gone = store.drop_notice(listed[1].id, NOW);
    assert!(matches!(gone, Err(StoreError::NotFound { what: "notice", .. })));
    // Long after, what was delivered and what was given up goes.
    store.notice_dead(due[0].attempt, "again", NOW + DAY_MS).unwrap();
    assert_eq!(store.prune_notices(NOW + 30 * DAY_MS), Ok(0));
    assert_eq!(store.prune_notices(NOW + 100 * DAY_MS), Ok(1));
}

#[test]
fn the_owner_is_told_once_when_the_mailbox_is_nearly_full() {
    let dir = tempfile::tempdir().unwrap();
    let store = with(dir.path(), "bob", &[Channel::Message]);
    let rules = OwnRules {
        unheard_max: Limit::At(10),
        ..OwnRules::default()
    };
    store.set_retention("bob", NOW, move |own| *own = rules).unwrap();
    let warnings = || {
        let found = store.deliveries(&WhichDeliveries::default(), 100, NOW).unwrap();
        let found = found.into_iter().filter(|one| one.event == "mailbox.nearly_full");
        found.map(|one| one.facts.unwrap().limit.unwrap()).collect::<Vec<_>>()
    };
    let leave = |n: i64| store.deposit_at(deposit(&format!("01{n:02}"), "bob", b"media"), NOW + n);
    for n in 0..8 {
        leave(n).unwrap();
    }
    assert!(warnings().is_empty());
    leave(8).unwrap();
    let told = warnings();
    assert_eq!(
        (told[0].rule.as_str(), told[0].used, told[0].allowed),
        ("unheard_max", 9, 10)
    );
    // Not again on the same day, though one was heard in between.
    store.mark_heard("0100", NOW + 9).unwrap();
    leave(10).unwrap();
    assert_eq!(warnings().len(), 1);
    store.mark_heard("0101", NOW + 11).unwrap();
    leave(DAY_MS + 20).unwrap();
    assert_eq!(warnings().len(), 2);
}

#[test]
fn the_warning_before_a_message_goes_is_a_notice_and_each_has_its_choice() {
    let dir = tempfile::tempdir().unwrap();
    let store = with(dir.path(), "bob", &[Channel::Mail]);
    let rules = OwnRules {
        unheard_age_ms: Limit::At(8 * 24 * 60 * 60 * 1000),
        ..OwnRules::default()
    };
    store.set_retention("bob", NOW, move |own| *own = rules).unwrap();
    let mut old = deposit("01A", "bob", b"media");
    old.message.received_at_ms = NOW;
    store.deposit_at(old, NOW).unwrap();
    store.run_retention(None, NOW + 2 * DAY_MS).unwrap();
    let found = store.deliveries(&WhichDeliveries::default(), 100, NOW).unwrap();
    let warning = &found[1];
    assert_eq!(warning.event, "message.expires");
    let facts = warning.facts.as_ref().unwrap();
    assert_eq!(facts.expires_at.unwrap().0, NOW + 9 * DAY_MS);
    assert_eq!(facts.message_id.as_deref(), Some("01A"));
    // Heard and unheard again it is warned of again; who wants no warnings gets none.
    store.mark_heard("01A", NOW + 3 * DAY_MS).unwrap();
    store.mark_unheard("01A", NOW + 3 * DAY_MS).unwrap();
    store.run_retention(None, NOW + 3 * DAY_MS + 60_000).unwrap();
    assert_eq!(all(&store).len(), 3);
    store
        .change_subscriber("bob", |bob| bob.notify.on = Some(vec![About::Message]))
        .unwrap();
    store.mark_heard("01A", NOW + 4 * DAY_MS).unwrap();
    store.mark_unheard("01A", NOW + 4 * DAY_MS).unwrap();
    store.run_retention(None, NOW + 4 * DAY_MS + 60_000).unwrap();
    assert_eq!(all(&store).len(), 3);
}

#[test]
fn a_missed_call_is_told_to_who_wants_it_and_a_flood_of_them_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let store = with(dir.path(), "bob", &[Channel::Mail]);
    let missed = |call: &str, by_default: bool| {
        let mut facts = NoticeFacts::new(NoticeEvent::CallMissed, "bob", UnixMs(NOW));
        facts.call_id = Some(call.to_owned());
        facts.from = Some("sip:anonymous@anonymous.invalid".to_owned());
        facts.result = Some(CallResult::Abandoned);
        store
            .tell_of_missed_later(facts, by_default, |kept| kept.unwrap())
            .unwrap();
        store.flush().unwrap();
    };
    missed("01A", false);
    assert!(all(&store).is_empty(), "the profile says no, and bob nothing");
    assert_eq!(count(dir.path(), "SELECT count(*) FROM notice"), 0);
    missed("01A", true);
    let found = store.deliveries(&WhichDeliveries::default(), 100, NOW).unwrap();
    assert_eq!(found[0].key, "call-missed_mail_01A_bob");
    let facts = found[0].facts.as_ref().unwrap();
    assert_eq!((&facts.from, facts.result), (&None, Some(CallResult::Abandoned)));
    store
        .change_subscriber("bob", |bob| bob.notify.on = Some(vec![About::Missed]))
        .unwrap();
    for n in 0..300 {
        let mut facts = NoticeFacts::new(NoticeEvent::CallMissed, "bob", UnixMs(NOW));
        facts.call_id = Some(format!("02{n}"));
        store.tell_of_missed_later(facts, false, |kept| kept.unwrap()).unwrap();
    }
    store.flush().unwrap();
    assert_eq!(count(dir.path(), "SELECT count(*) FROM delivery"), 200);
}
