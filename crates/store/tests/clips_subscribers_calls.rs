//! Clips, subscribers and call records.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use fixture::{count, open, pattern, raw, subscriber};
use segue_mailbox::RenditionProfile;
use segue_records::{CallRecord, CallResult, LadderStep, LegRecord, MediaKind, PhaseName, Sent, SwitchRecord, UnixMs};
use segue_store::{NewClip, NewRendition, StoreError};

fn clip(name: &str, fill: u8) -> NewClip {
    NewClip {
        name: name.to_owned(),
        duration_ms: 10_000,
        renditions: vec![
            NewRendition {
                profile: RenditionProfile::H264W640Mode1,
                profile_level_id: Some([0x42, 0xe0, 0x1e]),
                cache: vec![fill; 600_000],
            },
            NewRendition {
                profile: RenditionProfile::Pcmu,
                profile_level_id: None,
                cache: pattern(80_000),
            },
        ],
        poster: Some(vec![fill; 100]),
    }
}

#[test]
fn a_clip_is_kept_with_its_renditions() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let stored = store.put_clip(clip("ring", 1)).unwrap();
    assert_eq!(store.clip("ring").unwrap(), stored);
    assert_eq!(stored.renditions.len(), 2);
    assert_eq!(stored.renditions[0].profile, RenditionProfile::Pcmu);
    assert_eq!(stored.renditions[1].profile_level_id, Some([0x42, 0xe0, 0x1e]));
    assert_eq!(
        store.rendition(stored.id, RenditionProfile::Pcmu).unwrap(),
        Some(pattern(80_000))
    );
    assert_eq!(store.rendition(stored.id, RenditionProfile::Pcma).unwrap(), None);
}

#[test]
fn a_clip_gains_renditions_under_another_id_and_keeps_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let old = store.put_clip(clip("ring", 1)).unwrap();
    let mut user = subscriber("bob");
    user.clip = Some("ring".to_owned());
    store.put_subscriber(user).unwrap();
    let more = || {
        vec![NewRendition {
            profile: RenditionProfile::Pcma,
            profile_level_id: None,
            cache: vec![7; 100],
        }]
    };
    let before = count(dir.path(), "SELECT count(*) FROM blob");
    let now = store.add_renditions(&old, more()).unwrap();
    assert_ne!(now.id, old.id);
    assert_eq!((now.renditions.len(), now.duration_ms), (3, old.duration_ms));
    assert_eq!(count(dir.path(), "SELECT count(*) FROM blob"), before + 1);
    let read = |id, profile| store.rendition(id, profile).unwrap();
    assert_eq!(read(now.id, RenditionProfile::Pcmu), Some(pattern(80_000)));
    assert_eq!(read(now.id, RenditionProfile::Pcma), Some(vec![7; 100]));
    assert_eq!(read(old.id, RenditionProfile::Pcmu), None);
    // Who was slower than another that replaced it changes nothing.
    let late = store.add_renditions(&old, more()).unwrap_err();
    assert!(matches!(late, StoreError::NotFound { .. }), "{late}");
    assert_eq!(store.clip("ring").unwrap(), now);
    assert_eq!(count(dir.path(), "SELECT count(*) FROM blob"), before + 1);
}

#[test]
fn a_replaced_clip_has_another_id_and_leaves_no_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let first = store.put_clip(clip("ring", 1)).unwrap();
    let mut bob = subscriber("bob");
    bob.clip = Some("ring".to_owned());
    store.add_subscriber(bob).unwrap();
    let second = store.put_clip(clip("ring", 2)).unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(store.rendition(first.id, RenditionProfile::Pcmu).unwrap(), None);
    assert_eq!(store.lookup("bob").unwrap().unwrap().clip, Some(second));
    assert_eq!(count(dir.path(), "SELECT count(*) FROM blob"), 3);
}

#[test]
fn a_clip_in_use_is_not_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.put_clip(clip("ring", 1)).unwrap();
    let mut bob = subscriber("bob");
    bob.greeting = Some("ring".to_owned());
    store.add_subscriber(bob).unwrap();
    let refused = store.remove_clip("ring").unwrap_err();
    assert!(refused.to_string().contains("bob"), "{refused}");
    store.change_subscriber("bob", |bob| bob.greeting = None).unwrap();
    store.remove_clip("ring").unwrap();
    assert!(matches!(
        store.remove_clip("ring"),
        Err(StoreError::NotFound { what: "clip", .. })
    ));
    assert_eq!(count(dir.path(), "SELECT count(*) FROM blob_chunk"), 0);
}

#[test]
fn a_subscriber_cannot_name_a_clip_that_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut bob = subscriber("bob");
    bob.clip = Some("ring".to_owned());
    assert_eq!(
        store.add_subscriber(bob),
        Err(StoreError::NotFound {
            what: "clip",
            name: "ring".to_owned()
        })
    );
    store.add_subscriber(subscriber("bob")).unwrap();
    assert!(
        store
            .change_subscriber("bob", |bob| bob.clip = Some("ring".to_owned()))
            .is_err()
    );
    assert_eq!(store.subscriber("bob").unwrap(), subscriber("bob"));
    assert!(matches!(
        store.add_subscriber(subscriber("bob")),
        Err(StoreError::Refused { .. })
    ));
}

#[test]
fn who_is_no_subscriber_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert_eq!(store.lookup("eve").unwrap(), None);
    assert!(matches!(store.subscriber("eve"), Err(StoreError::NotFound { .. })));
    assert!(matches!(
        store.remove_subscriber("eve"),
        Err(StoreError::NotFound { .. })
    ));
}

fn call(id: &str, at: i64) -> CallRecord {
    CallRecord {
        from: "sip:a@127.0.0.1".to_owned(),
        to: "sip:bob@127.0.0.1".to_owned(),
        first_media_at: Some(UnixMs(at + 30)),
        ended_at: Some(UnixMs(at + 1_000)),
        hold_asked_ms: Some(6_000),
        phase_reached: PhaseName::Holding,
        result: CallResult::AbandonedWhileHeld,
        cause: Some(487),
        legs: vec![LegRecord {
            sip_call_id: format!("sip-{id}"),
            target: "sip:bob@127.0.0.1".to_owned(),
            status: Some(487),
            reason: None,
            ladder: vec![LadderStep {
                at: UnixMs(at),
                sent: Sent::In,
                summary: "INVITE (SDP)".to_owned(),
            }],
            media: Vec::new(),
        }],
        switches: vec![SwitchRecord {
            to: "clip".to_owned(),
            kind: MediaKind::Video,
            gap_ms: None,
            at: UnixMs(at + 30),
        }],
        why: "the caller hung up while held".to_owned(),
        ..CallRecord::begun(id.to_owned(), format!("sip-{id}"), UnixMs(at))
    }
}

#[test]
fn a_call_record_comes_back_as_it_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.save_call(&call("1", 1_000)).unwrap();
    store
        .save_call_later(&call("2", 2_000), |saved| saved.unwrap())
        .unwrap();
    store.flush().unwrap();
    assert_eq!(store.call("1").unwrap(), call("1", 1_000));
    assert_eq!(store.calls(1_500).unwrap(), [call("2", 2_000)]);
    assert_eq!(store.calls(0).unwrap().len(), 2);
    assert_eq!(store.call_by_sip_call_id("sip-2").unwrap(), Some(call("2", 2_000)));
    assert_eq!(store.call_by_sip_call_id("sip-3").unwrap(), None);
    assert!(matches!(
        store.call("3"),
        Err(StoreError::NotFound { what: "call", .. })
    ));
}

#[test]
fn calls_are_counted_by_hour_and_end_once_each_and_stay_counted() {
    const HOUR: i64 = 3_600_000;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let answered = |id: &str, at| CallRecord {
        result: CallResult::Answered,
        ..call(id, at)
    };
    store.save_call(&call("1", HOUR)).unwrap();
    store.save_call(&answered("2", HOUR + 1)).unwrap();
    store.save_call(&answered("3", 2 * HOUR - 1)).unwrap();
    // Kept again, as after a commit whose answer was lost.
    store.save_call(&answered("3", 2 * HOUR - 1)).unwrap();
    store.save_call(&answered("4", 5 * HOUR)).unwrap();
    let counted = |since| -> Vec<(i64, CallResult, u64)> {
        let hours = store.calls_by_hour(since).unwrap();
        hours
            .iter()
            .map(|of| (of.hour_ms / HOUR, of.result, of.calls))
            .collect()
    };
    let all = [
        (1, CallResult::AbandonedWhileHeld, 1),
        (1, CallResult::Answered, 2),
        (5, CallResult::Answered, 1),
    ];
    assert_eq!(counted(0), all);
    assert_eq!(counted(2 * HOUR - 1), all, "the hour that it is in counts whole");
    assert_eq!(counted(2 * HOUR), all[2..]);
    raw(dir.path())
        .execute_batch("DELETE FROM call; DELETE FROM call_order")
        .unwrap();
    assert_eq!(counted(0), all);
}

#[test]
fn what_is_queued_is_written_before_the_store_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 0..50 {
        store
            .save_call_later(&call(&n.to_string(), n), |saved| saved.unwrap())
            .unwrap();
    }
    drop(store);
    assert_eq!(open(dir.path()).totals().unwrap().calls, 50);
}

#[test]
fn the_notice_of_a_full_mailbox_is_somebodys_own_before_the_built_in_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.put_subscriber(subscriber("bob")).unwrap();
    let played = || store.lookup("bob").unwrap().unwrap().full.map(|clip| clip.name);
    assert_eq!(played(), None);
    store.put_clip(clip(segue_mailbox::BUILT_IN_FULL_CLIP, 1)).unwrap();
    assert_eq!(played().as_deref(), Some(".full"));
    store.put_clip(clip(segue_mailbox::FULL_CLIP, 2)).unwrap();
    assert_eq!(played().as_deref(), Some("full"));
    store.remove_clip(segue_mailbox::FULL_CLIP).unwrap();
    assert_eq!(played().as_deref(), Some(".full"));
}
