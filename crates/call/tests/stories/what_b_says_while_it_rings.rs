//! B's provisional responses say more than how far it is: A hears that too, and still has one answer.

use segue_call::Early;

use crate::stage::{Setup, Stage};

/// A 1xx that says something for A, or nothing.
fn says(s: &mut Stage, status: u16, has_more: bool) {
    s.b().early(Early {
        status,
        has_more,
        ..Early::default()
    });
}

#[test]
fn while_the_clip_plays_what_says_more_is_told_with_the_same_answer() {
    let mut setup = Setup::default();
    setup.profile.ringing_status = 180;
    let mut s = setup.call();
    s.run_ms(6_010);
    says(&mut s, 183, false);
    assert_eq!(
        s.a().got(),
        ["183 sdp"],
        "that B has got on is no news to who watches the clip"
    );
    says(&mut s, 181, true);
    says(&mut s, 180, true);
    says(&mut s, 180, false);
    says(&mut s, 180, true);
    assert_eq!(s.a().got(), ["183 sdp", "181 sdp", "180 sdp", "180 sdp"]);
    s.b().answers();
    says(&mut s, 180, true);
    assert_eq!(s.a().got()[4..], ["200 sdp"]);
    s.a().hangs_up();
    s.finish();
}

#[test]
fn however_much_b_has_to_say_a_is_told_eight_times() {
    let mut s = Setup::default().lookup(|found| found.clip = None).call();
    for _ in 0..50 {
        says(&mut s, 180, true);
    }
    assert_eq!(s.a().got(), ["180"; 8]);
    s.a().cancels();
    s.finish();
}

#[test]
fn who_acknowledges_nothing_is_told_no_more_than_can_wait() {
    let setup = Setup {
        supports_100rel: true,
        ..Setup::default()
    };
    let mut s = setup.lookup(|found| found.clip = None).call();
    for _ in 0..50 {
        says(&mut s, 180, true);
    }
    assert!(s.a().got().len() <= 9);
    s.a().cancels();
    s.finish();
}
