//! Clips on their way in.
#![allow(clippy::unwrap_used, reason = "tests")]

use segue_policy::Subscriber;
use segue_store::{Deed, Role, Store, StoreError, UPLOAD_KEPT_MS, Upload, UploadState};

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
