//! Contacts and rules of subscribers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use fixture::{count, open, subscriber};
use segue_mailbox::RenditionProfile;
use segue_policy::{
    Address, CONTACTS_MAX, ClipChoice, Contact, Outcome, Rule, SUBSCRIBER_RULES_MAX, Weekly, Who, Zone,
};
use segue_store::{NewClip, NewRendition, Store, StoreError};

fn contact(address: &str, groups: &[&str]) -> Contact {
    Contact {
        address: Address::try_from(address.to_owned()).unwrap(),
        name: Some("Ä".to_owned()),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    }
}

fn greets_with(clip: &str) -> Rule {
    Rule {
        from: vec![Who::Group("work".to_owned())],
        outcome: Outcome {
            greeting: Some(ClipChoice::Clip(clip.to_owned())),
            ..Outcome::default()
        },
        ..Rule::default()
    }
}

fn put_clip(store: &Store, name: &str) {
    let clip = NewClip {
        name: name.to_owned(),
        duration_ms: 1_000,
        renditions: vec![NewRendition {
            profile: RenditionProfile::Pcmu,
            profile_level_id: None,
            cache: vec![1],
        }],
        poster: None,
    };
    store.put_clip(clip).unwrap();
}

fn push(store: &Store, user: &str, rule: Rule) -> Result<(), StoreError> {
    store.change_rules(user, move |rules| {
        rules.push(rule);
        Ok(())
    })
}

#[test]
fn contacts_are_kept_by_their_address_and_go_with_their_subscriber() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for user in ["bob", "eve"] {
        store.add_subscriber(subscriber(user)).unwrap();
    }
    let (mother, office) = (
        contact("+49301", &["family"]),
        contact("sip:*@office.example", &["work", "vip"]),
    );
    for one in [&office, &mother] {
        store.put_contact("bob", one.clone()).unwrap();
    }
    store.put_contact("eve", mother.clone()).unwrap();
    assert_eq!(store.contacts("bob").unwrap(), [mother.clone(), office.clone()]);
    let moved = contact("+49301", &[]);
    store.put_contact("bob", moved.clone()).unwrap();
    assert_eq!(
        store.contacts("bob").unwrap(),
        [moved, office.clone()],
        "the same address, once"
    );
    store.remove_contact("bob", &office.address).unwrap();
    assert!(matches!(
        store.remove_contact("bob", &office.address),
        Err(StoreError::NotFound { .. })
    ));
    assert!(matches!(
        store.put_contact("nobody", office),
        Err(StoreError::NotFound { what: "subscriber", .. })
    ));
    store.remove_subscriber("bob").unwrap();
    assert_eq!(count(dir.path(), "SELECT count(*) FROM contact"), 1, "eve's stays");
}

#[test]
fn rules_keep_their_order_and_their_clips() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.add_subscriber(subscriber("bob")).unwrap();
    for name in ["one", "two"] {
        put_clip(&store, name);
        push(&store, "bob", greets_with(name)).unwrap();
    }
    store
        .change_rules("bob", |rules| {
            rules.swap(0, 1);
            Ok(())
        })
        .unwrap();
    let rules = store.rules_of("bob").unwrap().rules;
    assert_eq!(rules, [greets_with("two"), greets_with("one")]);
    assert!(matches!(
        push(&store, "bob", greets_with("none-such")),
        Err(StoreError::NotFound { what: "clip", .. })
    ));
    assert_eq!(
        store.rules_of("bob").unwrap().rules,
        rules,
        "nothing of a change that is refused"
    );
    let refused = store.remove_clip("one").unwrap_err().to_string();
    assert_eq!(refused, "clip 'one' is used by rule 2 of bob");
    put_clip(&store, "one");
    let found = store.lookup("bob").unwrap().unwrap();
    let named: Vec<_> = found.named.iter().map(|clip| clip.name.as_str()).collect();
    assert_eq!(
        (found.rules.rules, named),
        (rules, vec!["one", "two"]),
        "a clip may be replaced"
    );
    store.remove_subscriber("bob").unwrap();
    store.remove_clip("one").unwrap();
    assert_eq!(count(dir.path(), "SELECT count(*) FROM rule"), 0);
}

#[test]
fn a_lookup_brings_contacts_only_where_a_rule_asks_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.add_subscriber(subscriber("bob")).unwrap();
    put_clip(&store, "one");
    store.put_contact("bob", contact("+49301", &["work"])).unwrap();
    let contacts = || store.lookup("bob").unwrap().unwrap().rules.contacts.len();
    assert_eq!(contacts(), 0);
    let mut rule = greets_with("one");
    rule.from = vec![Who::Anonymous];
    push(&store, "bob", rule).unwrap();
    assert_eq!(contacts(), 0);
    push(&store, "bob", greets_with("one")).unwrap();
    assert_eq!(contacts(), 1);
}

#[test]
fn there_are_as_many_as_there_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.add_subscriber(subscriber("bob")).unwrap();
    let rule = Rule {
        outcome: Outcome {
            message: Some(false),
            ..Outcome::default()
        },
        ..Rule::default()
    };
    let all = vec![rule.clone(); SUBSCRIBER_RULES_MAX];
    store
        .change_rules("bob", move |rules| {
            *rules = all;
            Ok(())
        })
        .unwrap();
    assert!(matches!(push(&store, "bob", rule), Err(StoreError::Refused { .. })));
    assert_eq!(store.rules_of("bob").unwrap().rules.len(), SUBSCRIBER_RULES_MAX);
    for n in 0..CONTACTS_MAX {
        store
            .put_contact("bob", contact(&format!("+49{n:05}", n = n + 1), &[]))
            .unwrap();
    }
    let one_more = contact("sip:x@y", &[]);
    assert!(matches!(
        store.put_contact("bob", one_more),
        Err(StoreError::Refused { .. })
    ));
    store.put_contact("bob", contact("+4900001", &["work"])).unwrap();
    assert_eq!(store.contacts("bob").unwrap().len(), CONTACTS_MAX);
}

#[test]
fn hours_clock_and_dnd_of_a_subscriber_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut bob = subscriber("bob");
    bob.dnd = true;
    bob.zone = Zone::try_from("Europe/Berlin".to_owned()).unwrap();
    bob.hours = vec![Weekly::try_from("mon-fri 09:00-17:00".to_owned()).unwrap()];
    store.add_subscriber(bob.clone()).unwrap();
    assert_eq!(store.subscriber("bob").unwrap(), bob);
    assert_eq!(store.lookup("bob").unwrap().unwrap().subscriber, bob);
}
