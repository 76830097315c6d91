//! Callers who have proven who they are: how much each may call, and whom another call keeps busy.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "accounts/busy.rs"]
mod busy;
#[path = "accounts/calling_back.rs"]
mod calling_back;
mod credentials;
mod office;
mod shard;

use office::{CALLEE, OFFER, Office};
use segue_policy::{AccountCaps, Profile};

#[test]
fn who_calls_more_than_the_profile_or_its_own_caps_allow_gets_403() {
    let own = AccountCaps {
        calls_at_once: Some(3),
        ..AccountCaps::default()
    };
    let profile = |profile: &mut Profile| {
        profile.account_calls_max = 1;
        profile.account_calls_per_minute = 2;
    };
    let mut office = Office::new(profile, own);
    assert_eq!(office.calls("eve"), Some(100));
    let refused = office.asks("INVITE", "eve", CALLEE, OFFER);
    assert_eq!(refused[0].status(), Some(403));
    let reason = refused[0].header("Reason").unwrap();
    assert_eq!(reason, "Q.850;cause=21;text=\"Too many calls for this account\"");
    let told = office.told.last().unwrap();
    assert!(told.why.contains("the account eve has 1 calls"), "{}", told.why);
    assert!(
        told.admit.contains("segue subscriber set eve --calls-at-once N"),
        "{}",
        told.admit
    );
    // Bob may have three at once, and begin two a minute.
    assert_eq!((office.calls("bob"), office.calls("bob")), (Some(100), Some(100)));
    let refused = office.asks("INVITE", "bob", CALLEE, OFFER);
    assert_eq!(refused[0].status(), Some(403));
    assert!(
        refused[0]
            .header("Warning")
            .unwrap()
            .contains("This account calls too often")
    );
    office.later(30);
    assert_eq!(office.calls("bob"), Some(100));
    assert_eq!(office.shard.stats().turned_away.account, 2);
    assert_eq!(office.shard.call_count(), 4);
}

#[test]
fn who_asks_what_a_call_would_get_hears_of_its_caps_and_emergency_calls_know_none() {
    let mut office = Office::new(|profile| profile.account_calls_max = 1, AccountCaps::default());
    assert_eq!(office.calls("bob"), Some(100));
    let none = "Content-Length: 0\r\n\r\n";
    let asked = office.asks("OPTIONS", "bob", CALLEE, none);
    assert_eq!(asked[0].status(), Some(403));
    let asked = office.asks("OPTIONS", "eve", CALLEE, none);
    assert_eq!(asked[0].status(), Some(200));
    for uri in ["sip:112@10.0.0.254", "urn:service:sos"] {
        let helped = office.asks("INVITE", "bob", uri, OFFER);
        assert_ne!(helped[0].status(), Some(403), "{uri}");
        assert_ne!(helped[0].status(), Some(401), "{uri}");
    }
}

#[test]
fn minutes_of_today_count_on_after_a_restart_and_a_call_that_is_there_goes_on() {
    let profile = |profile: &mut Profile| {
        profile.account_minutes_per_day = 2;
        profile.rtp_gone_ms = 0;
        profile.session_expires_s = 0;
    };
    let mut office = Office::new(profile, AccountCaps::default());
    assert_eq!(office.calls("bob"), Some(100));
    office.later(10);
    office.answers();
    office.later(60);
    assert_eq!(office.calls("bob"), Some(100), "one of two minutes is left");
    office.later(60);
    assert_eq!(office.calls("bob"), Some(403));
    assert!(
        office.told.last().unwrap().why.contains("the 2 minutes"),
        "{:?}",
        office.told
    );
    assert_eq!(office.shard.call_count(), 2, "the one that goes on goes on");
    assert_eq!(office.calls("eve"), Some(100));
    office.end_all();
    let [spent] = &office.spent[..] else {
        panic!("{:?}", office.spent)
    };
    assert_eq!((spent.account.as_str(), spent.day.as_str()), ("bob", "2026-11-28"));
    assert!(spent.ms >= 120_000, "{spent:?}");
    let mut after = Office::new(profile, AccountCaps::default());
    after.shard.restore_spent(office.spent.clone());
    assert_eq!(after.calls("bob"), Some(403));
    assert_eq!(after.calls("eve"), Some(100));
    after.later(12 * 3_600);
    assert_eq!(after.calls("bob"), Some(100), "another day");
}
