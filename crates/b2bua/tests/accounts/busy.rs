//! Who is in a call already is busy to the next caller, where it says so.

use crate::{
    credentials::listed,
    office::{GROUP, OFFER, Office},
};
use segue_policy::{AccountCaps, Profile};
use segue_sip_wire::Method;
use segue_store::Listed;

const NONE: &str = "Content-Length: 0\r\n\r\n";

/// What the profile says of everybody: one call at once.
fn one(profile: &mut Profile) {
    profile.busy_at = 1;
    profile.registrar = true;
    profile.service_codes = vec!["*97 -> mailbox".to_owned().try_into().unwrap()];
}

/// Four subscribers; bob may be in so many calls.
fn office(set: fn(&mut Profile), bob: Option<u32>) -> Office {
    let of = |user: &str, busy_at: Option<u32>| Listed {
        caps: AccountCaps {
            busy_at,
            ..AccountCaps::default()
        },
        ..listed(user, "sesame")
    };
    let group = Listed {
        members: vec!["ann".into(), "bob".into()],
        ..of(GROUP, None)
    };
    let all = vec![
        of("ann", None),
        of("bob", bob),
        of("carol", None),
        of("eve", None),
        group,
    ];
    Office::of(set, all)
}

fn uri(user: &str) -> String {
    format!("sip:{user}@10.0.0.254")
}

/// Whose phones ring when one calls another.
fn rings(office: &mut Office, from: &str, to: &str) -> Vec<String> {
    let sent = office.asks("INVITE", from, &uri(to), OFFER);
    let invites = sent.iter().filter(|sent| sent.method() == Some(&Method::Invite));
    let to = invites.map(|invite| invite.to().unwrap().uri.user().unwrap().into_owned());
    let mut to: Vec<String> = to.collect();
    to.sort();
    to
}

#[test]
fn who_is_in_as_many_calls_as_it_takes_is_busy_to_the_next_caller() {
    let mut office = office(one, None);
    assert_eq!(rings(&mut office, "eve", "bob"), ["bob"]);
    assert!(rings(&mut office, "ann", "bob").is_empty(), "its phone rings already");
    assert_eq!(
        rings(&mut office, "ann", "carol"),
        ["carol"],
        "others have phones of their own"
    );
    office.end_all();
    let mut office = self::office(one, None);
    assert_eq!(rings(&mut office, "bob", "carol"), ["carol"]);
    assert!(rings(&mut office, "eve", "bob").is_empty(), "it calls somebody itself");
    office.answers();
    assert!(rings(&mut office, "eve", "bob").is_empty(), "they talk");
    assert!(rings(&mut office, "eve", "carol").is_empty(), "both of them");
    office.end_all();
}

#[test]
fn the_call_that_ends_makes_room() {
    let mut office = office(one, None);
    assert_eq!(rings(&mut office, "bob", "carol"), ["carol"]);
    office.cancels("bob", &uri("carol"));
    assert_eq!(rings(&mut office, "eve", "bob"), ["bob"]);
    office.cancels("eve", &uri("bob"));
    assert_eq!(rings(&mut office, "ann", "bob"), ["bob"]);
}

#[test]
fn each_subscriber_says_how_many_and_by_default_none_is_busy() {
    let mut by_default = office(|_| (), None);
    let mut own = office(one, Some(0));
    for office in [&mut by_default, &mut own] {
        for caller in ["eve", "ann", "carol"] {
            assert_eq!(rings(office, caller, "bob"), ["bob"], "call waiting");
        }
    }
    let mut two = office(one, Some(2));
    assert_eq!(rings(&mut two, "eve", "bob"), ["bob"]);
    assert_eq!(rings(&mut two, "ann", "bob"), ["bob"]);
    assert!(rings(&mut two, "carol", "bob").is_empty());
}

#[test]
fn who_leaves_a_message_keeps_nobody_busy_and_who_hears_its_own_is() {
    let mut office = office(one, None);
    assert_eq!(rings(&mut office, "eve", "bob"), ["bob"]);
    office.replies("486 Busy Here", NONE);
    assert_eq!(rings(&mut office, "ann", "bob"), ["bob"], "eve is with the mailbox");
    office.cancels("ann", &uri("bob"));
    assert!(rings(&mut office, "bob", "*97").is_empty());
    assert!(rings(&mut office, "ann", "bob").is_empty());
}

#[test]
fn a_rule_puts_its_callers_through_nevertheless_and_who_is_forwarded_keeps_nobody_busy() {
    let mut office = office(one, None);
    assert_eq!(rings(&mut office, "eve", "bob"), ["bob"]);
    office.rules = |plan| plan.decided.rings_anyhow = true;
    assert_eq!(rings(&mut office, "ann", "bob"), ["bob"]);
    let mut office = self::office(one, None);
    office.rules = |plan| {
        plan.targets = vec!["sip:deputy@10.8.0.9".into()];
        plan.decided.forwarded_for = Some(302);
    };
    for caller in ["eve", "ann"] {
        assert_eq!(rings(&mut office, caller, "bob"), ["deputy"]);
    }
    office.rules = |_| ();
    assert_eq!(rings(&mut office, "carol", "bob"), ["bob"], "the deputy talks");
}

#[test]
fn help_is_called_from_a_busy_phone_and_helpers_who_call_back_reach_it() {
    let trusted = |profile: &mut Profile| {
        one(profile);
        profile.auth = segue_policy::Auth::None;
        profile.trusted = true;
    };
    let mut office = office(trusted, None);
    assert_eq!(rings(&mut office, "eve", "bob"), ["bob"]);
    assert!(rings(&mut office, "ann", "bob").is_empty());
    let back = format!("Priority: psap-callback\r\n{OFFER}");
    let sent = office.asks("INVITE", "help", &uri("bob"), &back);
    assert!(
        sent.iter().any(|sent| sent.method() == Some(&Method::Invite)),
        "{sent:?}"
    );
}

#[test]
fn of_a_group_those_ring_who_are_in_no_call() {
    let mut office = office(one, None);
    for member in ["ann", "bob"] {
        let sent = office.asks("REGISTER", member, &uri(member), &format!("Expires: 600\r\n{NONE}"));
        assert_eq!(sent[0].status(), Some(200), "{sent:?}");
    }
    assert_eq!(rings(&mut office, "eve", GROUP), ["ann", "bob"]);
    assert!(rings(&mut office, "carol", GROUP).is_empty(), "all ring already");
    assert!(rings(&mut office, "carol", "ann").is_empty());
    // Whoever takes it is in it, and nobody else.
    let taker = office.takes();
    let other = if taker == "ann" { "bob" } else { "ann" };
    assert_eq!(rings(&mut office, "carol", GROUP), [other]);
    office.cancels("carol", &uri(GROUP));
    assert!(rings(&mut office, "carol", &taker).is_empty());
}
