//! Numbers and aliases of subscribers: each is one subscriber's alone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use fixture::subscriber;
use segue_policy::{Subscriber, TargetBy};
use segue_store::{Store, StoreError};

const ROBERT: &str = "sip:robert@example.org";

fn named(user: &str, numbers: &[&str], aliases: &[&str]) -> Subscriber {
    Subscriber {
        numbers: numbers.iter().map(|number| (*number).to_owned()).collect(),
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        ..subscriber(user)
    }
}

fn why(refused: Result<(), StoreError>) -> String {
    match refused {
        Err(StoreError::Refused { why, fix }) => format!("{why}; {fix}"),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn aliases_are_kept_found_and_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let bob = Subscriber {
        target_by: TargetBy::NextHop,
        ..named("bob", &["+4930111"], &[ROBERT, "tel:+4930222"])
    };
    store.add_subscriber(bob.clone()).unwrap();
    assert_eq!(store.subscriber("bob").unwrap(), bob);
    assert_eq!(store.subscribers().unwrap(), std::slice::from_ref(&bob));
    let owner = |alias: &str| store.owner_of_alias(alias).unwrap();
    assert_eq!(owner(ROBERT).as_deref(), Some("bob"));
    assert_eq!(owner("sip:robert@example.com"), None);
    for number in ["+4930111", "+4930222"] {
        assert_eq!(store.owner_of(number).unwrap().as_deref(), Some("bob"), "{number}");
    }
    store
        .change_subscriber("bob", |bob| bob.aliases = vec![ROBERT.into()])
        .unwrap();
    assert_eq!(store.owner_of("+4930222").unwrap(), None);
    store.remove_subscriber("bob").unwrap();
    assert_eq!((owner(ROBERT), store.owner_of("+4930111").unwrap()), (None, None));
    store.add_subscriber(named("carol", &[], &[ROBERT])).unwrap();
}

#[test]
fn what_one_is_called_nobody_else_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store
        .add_subscriber(named("bob", &["+4930111"], &[ROBERT, "tel:+4930222"]))
        .unwrap();
    for (other, said) in [
        (
            named("carol", &[], &[ROBERT]),
            "the alias sip:robert@example.org is that of subscriber 'bob'; take it",
        ),
        (
            named("carol", &[], &["sip:bob@example.org"]),
            "the alias sip:bob@example.org names subscriber 'bob'; give it",
        ),
        (
            named("carol", &[], &["tel:+4930111"]),
            "the alias tel:+4930111 names a number of subscriber 'bob'; take it",
        ),
        (
            named("carol", &[], &["sip:+4930111@example.org"]),
            "names a number of subscriber 'bob'",
        ),
        (
            named("carol", &["+4930222"], &[]),
            "the alias +4930222 is that of subscriber 'bob'; take it",
        ),
        (
            named("carol", &["+4930111"], &[]),
            "the number +4930111 is that of subscriber 'bob'; take it",
        ),
        (
            named("robert", &[], &[]),
            "robert is a number or an alias of subscriber 'bob'; take another name",
        ),
        (
            named("+4930222", &[], &[]),
            "is a number or an alias of subscriber 'bob'",
        ),
        (
            named("+4930111", &[], &[]),
            "is a number or an alias of subscriber 'bob'",
        ),
    ] {
        let why = why(store.add_subscriber(other));
        assert!(why.contains(said), "{why}");
        assert_eq!(store.subscribers().unwrap().len(), 1, "nothing is kept of it");
    }
    // At another host a user of that name is somebody else, and one's own names are no others'.
    store
        .add_subscriber(named("carol", &[], &["sip:robert@example.com"]))
        .unwrap();
    store
        .change_subscriber("bob", |bob| bob.aliases.push("sip:bob@example.org".into()))
        .unwrap();
    store
        .change_subscriber("carol", |carol| carol.hold_ms = Some(1))
        .unwrap();
    assert_eq!(
        store.owner_of_alias("sip:robert@example.com").unwrap().as_deref(),
        Some("carol")
    );
}
