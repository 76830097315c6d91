//! Messages as people look at them, and who may: pages, pieces of media, logins, the audit.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod fixture;

use fixture::{deposit, open, pattern, subscriber};
use segue_store::{ApiToken, Deed, MessageChanges, MessageQuery, NewSession, Role, StoreError};

#[test]
fn media_is_read_from_anywhere_across_its_chunks() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bytes = pattern(600_000);
    store.deposit(deposit("01A", "bob", &bytes)).unwrap();
    let file = store.media_file("01A", false).unwrap().unwrap();
    assert_eq!((file.bytes, file.media_type.as_str()), (600_000, "video/mp4"));
    for (from, max) in [
        (0, 1),
        (262_143, 2),
        (262_144, 262_144),
        (1, 599_999),
        (599_999, 10),
        (524_288, 1_000_000),
    ] {
        let end = (from + max).min(600_000);
        assert!(
            store.read_media_at(&file, from as u64, max).unwrap() == bytes[from..end],
            "{from} {max}"
        );
    }
    assert!(store.read_media_at(&file, 600_000, 10).unwrap().is_empty());
    assert_eq!(store.media_file("01A", true), Ok(None), "no picture");
    store.free_message("01A").unwrap();
    assert!(matches!(store.read_media_at(&file, 0, 1), Err(StoreError::Corrupt(_))));
    assert!(matches!(
        store.media_file("01A", false),
        Err(StoreError::NotFound { .. })
    ));
}

#[test]
fn a_page_of_a_mailbox_is_found_by_what_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for id in ["01A", "01B", "01C"] {
        store.deposit(deposit(id, "bob", b"x")).unwrap();
    }
    let played = MessageChanges {
        played_ms: Some(700),
        ..MessageChanges::default()
    };
    store.change_message("01B", 1, played.clone(), |_| true).unwrap();
    let query = MessageQuery {
        mailbox: Some("bob".to_owned()),
        before: Some("01C".to_owned()),
        text: Some("ä".to_owned()),
        max: 10,
        ..MessageQuery::default()
    };
    let found = store.messages_page(&query).unwrap();
    assert_eq!(found.ended_at, None);
    let shown: Vec<_> = found
        .found
        .iter()
        .map(|row| (row.message.id.as_str(), row.played_ms))
        .collect();
    assert_eq!(shown, [("01B", Some(700)), ("01A", None)]);
    store.free_message("01B").unwrap();
    assert!(matches!(
        store.change_message("01B", 1, played, |_| true),
        Err(StoreError::NotFound { .. })
    ));
}

fn deed(what: &str) -> Deed {
    Deed {
        name: "root".to_owned(),
        role: Role::Operator,
        by: "session".to_owned(),
        source: "127.0.0.1".to_owned(),
        what: what.to_owned(),
        object: "bob".to_owned(),
        owner: Some("bob".to_owned()),
        detail: String::new(),
    }
}

#[test]
fn what_was_done_and_that_it_was_are_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.add_subscriber(subscriber("bob")).unwrap();
    store
        .acting(deed("subscriber.set"))
        .change_subscriber("bob", |bob| bob.dnd = true)
        .unwrap();
    assert!(
        store
            .acting(deed("subscriber.set"))
            .change_subscriber("eve", |_| ())
            .is_err()
    );
    let done = store.audit(Some(("bob", Role::Subscriber)), None, 10).unwrap();
    assert_eq!(done.len(), 1);
    assert_eq!(done[0].deed, deed("subscriber.set"));
    assert_eq!(store.audit(Some(("eve", Role::Subscriber)), None, 10), Ok(Vec::new()));
}

#[test]
fn nobody_pushes_out_what_others_did() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.put_down(deed("operator.create")).unwrap();
    for n in 0..2_200 {
        let own = Deed {
            name: "bob".to_owned(),
            role: Role::Subscriber,
            object: format!("{n} {}", "x".repeat(60_000)),
            ..deed("subscriber.set")
        };
        store.put_down_later(own).unwrap_or_else(|_| store.flush().unwrap());
    }
    store.flush().unwrap();
    let all = store.audit(None, None, 10_000).unwrap();
    assert_eq!(all.last().unwrap().deed, deed("operator.create"));
    assert_eq!(all.len(), 2_001);
    assert!(all[0].deed.object.len() == 512, "cut");
}

#[test]
fn a_command_of_a_like_named_user_is_not_the_subscribers() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let command = Deed {
        name: "bob".to_owned(),
        by: "command".to_owned(),
        object: "carol".to_owned(),
        owner: Some("carol".to_owned()),
        ..deed("subscriber.set")
    };
    store.put_down_once(command.clone(), 60_000).unwrap();
    store.put_down_once(command.clone(), 60_000).unwrap();
    let of = |name, role| store.audit(Some((name, role)), None, 10).unwrap().len();
    assert_eq!(of("bob", Role::Subscriber), 0);
    assert_eq!(of("bob", Role::Operator), 1, "once");
    assert_eq!(of("carol", Role::Subscriber), 1);
    store.put_down_once(command, -1).unwrap();
    assert_eq!(of("bob", Role::Operator), 2, "long after");
}

#[test]
fn who_is_gone_is_logged_in_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.add_subscriber(subscriber("bob")).unwrap();
    store
        .set_password("bob", Role::Subscriber, Some("hash".to_owned()), 1)
        .unwrap();
    store.add_link("bob", Role::Subscriber, [9; 32], 1_000, 1).unwrap();
    let token = ApiToken {
        id: "t".to_owned(),
        name: "bob".to_owned(),
        role: Role::Subscriber,
        label: "x".to_owned(),
        scopes: "messages:read".to_owned(),
        created_at_ms: 1,
        expires_at_ms: None,
        used_at_ms: None,
    };
    store.add_token(token, [8; 32]).unwrap();
    let new = |n: u8| NewSession {
        hash: [n; 32],
        name: "bob".to_owned(),
        source: String::new(),
        user_agent: String::new(),
        expires_at_ms: 1_000,
    };
    store.begin_session(new(1), "hash".to_owned(), 1).unwrap();
    let other = store.begin_session(new(2), "another".to_owned(), 1);
    assert!(
        matches!(other, Err(StoreError::NotFound { .. })),
        "a password that was changed meanwhile"
    );
    assert!(store.session(&[1; 32], 500, 100).unwrap().is_some());
    assert!(store.session(&[1; 32], 500, 501).unwrap().is_none(), "not used");
    store.session_used([1; 32], 400).unwrap();
    store.flush().unwrap();
    assert!(store.session(&[1; 32], 500, 501).unwrap().is_some());
    assert!(store.session(&[1; 32], 5_000, 1_000).unwrap().is_none(), "at its end");
    // One more than an identity may have ends the one that was used longest ago.
    for n in 10..61 {
        store.begin_session(new(n), "hash".to_owned(), 410).unwrap();
    }
    assert!(store.session(&[1; 32], 500, 501).unwrap().is_none());
    assert!(store.session(&[60; 32], 500, 501).unwrap().is_some());
    store.remove_subscriber("bob").unwrap();
    assert!(store.session(&[60; 32], 500, 501).unwrap().is_none());
    assert_eq!(
        (store.link(&[9; 32], 2), store.token(&[8; 32], 2)),
        (Ok(None), Ok(None))
    );
    assert_eq!(store.password_of("bob"), Ok(None));
}
