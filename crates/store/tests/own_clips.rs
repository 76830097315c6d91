//! Clips that subscribers have recorded by phone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use segue_mailbox::RenditionProfile;
use segue_policy::Subscriber;
use segue_store::{NewClip, NewRendition, Store, StoreError};

fn put_clip(store: &Store, name: &str) {
    let rendition = NewRendition {
        profile: RenditionProfile::Pcmu,
        profile_level_id: None,
        cache: b"x".to_vec(),
    };
    let clip = NewClip {
        name: name.to_owned(),
        duration_ms: 1_000,
        poster: None,
        renditions: vec![rendition],
    };
    store.put_clip(clip).unwrap();
}

#[test]
fn a_few_recorded_clips_are_kept_and_those_in_use_are_not_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    put_clip(&store, "ring");
    put_clip(&store, "rec-0");
    let bob = Subscriber {
        user: "bob".into(),
        clip: Some("ring".into()),
        greeting: Some("rec-0".into()),
        ..Subscriber::default()
    };
    store.put_subscriber(bob).unwrap();
    let own = |n: i64| {
        let name = format!("rec-{n}");
        put_clip(&store, &name);
        let gone = store.own_clip(&name, "bob", n).unwrap();
        for clip in &gone {
            store.remove_clip(clip).unwrap();
        }
        gone
    };
    for n in 0..5 {
        assert!(own(n).is_empty(), "{n}");
    }
    assert_eq!(own(5), ["rec-1"], "the greeting stays");
    assert_eq!(own(6), ["rec-2"]);
    let names = |user| -> Vec<String> {
        let clips = store.clips_of(user).unwrap();
        clips.into_iter().map(|clip| clip.name).collect()
    };
    assert_eq!(names("bob"), ["ring", "rec-0", "rec-3", "rec-4", "rec-5", "rec-6"]);
    assert!(names("eve").is_empty());
    assert!(matches!(
        store.own_clip("ring", "eve", 0),
        Err(StoreError::NotFound { .. })
    ));
    // One that a command took away counts no more.
    store.remove_clip("rec-3").unwrap();
    assert!(own(7).is_empty());
}

#[test]
fn what_a_subscriber_recorded_goes_with_them_unless_another_shows_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for clip in ["ring", "rec-1", "rec-2", "rec-3"] {
        put_clip(&store, clip);
    }
    let with = |user: &str, clip: &str| Subscriber {
        user: user.into(),
        clip: Some(clip.into()),
        ..Subscriber::default()
    };
    store.put_subscriber(with("bob", "rec-1")).unwrap();
    store.put_subscriber(with("eve", "rec-2")).unwrap();
    for clip in ["rec-1", "rec-2", "rec-3"] {
        store.own_clip(clip, "bob", 1).unwrap();
    }
    assert!(store.remove_subscriber("nobody").is_err());
    store.remove_subscriber("bob").unwrap();
    let left: Vec<String> = store.clips().unwrap().into_iter().map(|clip| clip.name).collect();
    assert_eq!(left, ["rec-2", "ring"]);
    store.remove_subscriber("eve").unwrap();
    assert!(store.clip("rec-2").is_ok(), "not hers");
}
