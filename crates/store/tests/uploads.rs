//! Clips on their way in.
#![allow(clippy::unwrap_used, reason = "tests")]

use segue_mailbox::RenditionProfile;
use segue_policy::Subscriber;
use segue_store::{
    Deed, NewClip, NewRendition, Role, Store, StoreError, UPLOAD_KEPT_MS, UPLOADED_MAX, UPLOADS_MAX, Upload,
    UploadState,
};

fn store(dir: &std::path::Path) -> Store {
    let store = Store::open_server(dir).unwrap();
    for user in ["bob", "eve"] {
        let subscriber = Subscriber {
            user: user.to_owned(),
            ..Subscriber::default()
        };
        store.add_subscriber(subscriber).unwrap();
    }
    store
}

fn begin(store: &Store, id: &str, by: &str, bytes: u64) -> Upload {
    let deed = Deed {
        name: by.to_owned(),
        role: Role::Subscriber,
        by: "session".to_owned(),
        source: String::new(),
        what: "clip.upload".to_owned(),
        object: format!("clip-{id}"),
        owner: Some(by.to_owned()),
        detail: String::new(),
    };
    store.begin_upload(id, deed, bytes, 1_000).unwrap()
}

fn whole(store: &Store, id: &str, by: &str, at_ms: i64) {
    let upload = begin(store, id, by, 4);
    let mut file = store.go_on_with_upload(&upload, 0).unwrap().unwrap();
    file.append(b"four").unwrap();
    assert_eq!(file.close().unwrap(), (true, true));
    store.touch_upload(id, true, at_ms).unwrap();
}

#[test]
fn what_is_deleted_while_it_comes_takes_no_more_room() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let upload = begin(&store, "a1", "bob", 100);
    let mut file = store.go_on_with_upload(&upload, 0).unwrap().unwrap();
    file.append(&[0; 50]).unwrap();
    store.remove_upload("a1").unwrap();
    assert_eq!(file.bytes().unwrap(), 0);
    assert!(matches!(file.append(&[0; 10]), Err(StoreError::NotFound { .. })));
    assert_eq!(file.bytes().unwrap(), 0);
}

#[test]
fn names_take_turns_whoever_has_more() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    for n in 0..3 {
        whole(&store, &format!("e{n}"), "eve", n);
    }
    whole(&store, "b0", "bob", 10);
    let mut last = String::new();
    let mut order = Vec::new();
    while let Some((next, _)) = store.next_upload(&last, 20).unwrap() {
        last = next.deed.name;
        order.push(next.id);
    }
    assert_eq!(order, ["b0", "e0", "e1", "e2"]);
    // Whose turn it was last is not first again.
    whole(&store, "b1", "bob", 30);
    whole(&store, "e3", "eve", 31);
    assert_eq!(store.next_upload("bob", 40).unwrap().unwrap().0.id, "e3");
}

#[test]
fn what_comes_byte_by_byte_has_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    begin(&store, "a1", "bob", 100);
    // Bytes have come just now, day after day.
    for days in 1..7 {
        store.touch_upload("a1", false, 1_000 + days * UPLOAD_KEPT_MS).unwrap();
        store.sweep_uploads(1_000 + days * UPLOAD_KEPT_MS).unwrap();
    }
    let found = store.upload("a1").unwrap();
    assert_eq!(found.state, UploadState::Open);
    let end = 1_000 + 7 * UPLOAD_KEPT_MS;
    assert_eq!(found.expires_at_ms(), end);
    store.touch_upload("a1", false, end).unwrap();
    store.sweep_uploads(end + 1).unwrap();
    assert!(matches!(store.upload("a1"), Err(StoreError::NotFound { .. })));
}

/// Uploads by names of operators, who are bound by all that are under way alone where each has its own name.
fn try_begin(store: &Store, id: &str, by: &str, owner: Option<&str>, bytes: u64) -> Result<Upload, StoreError> {
    let deed = Deed {
        name: by.to_owned(),
        role: Role::Operator,
        by: "session".to_owned(),
        source: String::new(),
        what: "clip.upload".to_owned(),
        object: format!("clip-{id}"),
        owner: owner.map(str::to_owned),
        detail: String::new(),
    };
    store.begin_upload(id, deed, bytes, 1_000)
}

fn files(store: &Store) -> usize {
    std::fs::read_dir(store.data_dir().join("uploads")).unwrap().count()
}

#[test]
fn of_all_names_together_no_more_are_under_way_than_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    for n in 0..UPLOADS_MAX {
        try_begin(&store, &format!("u{n}"), &format!("op{}", n / 4), None, 1).unwrap();
    }
    let refused = try_begin(&store, "more", "another", None, 1).unwrap_err();
    assert!(refused.to_string().contains("too many"), "{refused}");
    assert_eq!(
        files(&store),
        usize::try_from(UPLOADS_MAX).unwrap(),
        "nothing of it is left"
    );
    store.refuse_upload("u0", "no clip", "", 2_000).unwrap();
    try_begin(&store, "more", "another", None, 1).unwrap();
}

fn clip(name: &str) -> NewClip {
    NewClip {
        name: name.to_owned(),
        duration_ms: 1_000,
        renditions: vec![NewRendition {
            profile: RenditionProfile::Pcmu,
            profile_level_id: None,
            cache: vec![1; 100],
        }],
        poster: None,
    }
}

#[test]
fn a_subscriber_has_so_many_clips_and_replaces_one_of_them_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    for n in 0..UPLOADED_MAX {
        let id = format!("c{n}");
        let upload = try_begin(&store, &id, "root", Some("bob"), 1).unwrap();
        store
            .finish_upload(&upload, clip(&format!("clip-{id}")), 2_000)
            .unwrap();
    }
    let refused = try_begin(&store, "more", "root", Some("bob"), 1).unwrap_err();
    assert!(refused.to_string().contains("there may be 20"), "{refused}");
    try_begin(&store, "hers", "root", Some("eve"), 1).unwrap();
    // One that was begun before is asked again when it is a clip.
    let mut late = try_begin(&store, "late", "root", Some("eve"), 1).unwrap();
    late.deed.owner = Some("bob".to_owned());
    let refused = store.finish_upload(&late, clip("clip-late"), 2_000).unwrap_err();
    assert!(refused.to_string().contains("there may be 20"), "{refused}");
    assert!(store.clip("clip-late").is_err());
    let deed = Deed {
        object: "clip-c0".to_owned(),
        ..late.deed.clone()
    };
    store.begin_upload("again", deed, 1, 3_000).unwrap();
    store.remove_clip("clip-c1").unwrap();
    try_begin(&store, "more", "root", Some("bob"), 1).unwrap();
}

#[test]
fn what_the_disk_has_no_room_for_beside_what_is_left_for_messages_is_not_begun() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let disk = rustix::fs::statvfs(dir.path()).unwrap();
    let free = disk.f_bavail * disk.f_frsize;
    // Half of what must stay free would go.
    let too_long = free.saturating_sub(128 * 1024 * 1024);
    assert!(matches!(
        try_begin(&store, "long", "root", None, too_long),
        Err(StoreError::Full)
    ));
    assert_eq!((store.uploads().unwrap().len(), files(&store)), (0, 0));
    // What was promised to others counts, though none of it has come.
    let half = free / 2;
    try_begin(&store, "a", "root", None, half).unwrap();
    assert!(matches!(
        try_begin(&store, "b", "root", None, free),
        Err(StoreError::Full)
    ));
    store.remove_upload("a").unwrap();
    try_begin(&store, "b", "root", None, half).unwrap();
}
