//! What one side asks within its dialog and means nothing here is asked of the other, once there is another.

use crate::stage::Setup;

#[test]
fn bridged_each_side_is_asked_what_the_other_asks() {
    let mut s = Setup::default().call();
    s.run_ms(6_010);
    s.b().answers();
    let to = |got: Vec<String>| {
        got.into_iter()
            .filter(|said| said.contains("ask") || said == "refresh")
            .collect::<Vec<_>>()
    };
    s.a().asks(7);
    s.a().acks();
    s.b().asks(8);
    s.b().refreshes();
    s.a().refreshes();
    assert_eq!(to(s.b().got()), ["ask 7 of a", "refresh"]);
    assert_eq!(to(s.a().got()), ["ask 8 of b", "refresh"]);
    s.a().hangs_up();
    s.finish();
}

#[test]
fn the_mailbox_takes_nothing_of_it() {
    let mut s = Setup::default().call();
    s.run_ms(6_010);
    s.b().refuses(486, "Busy Here");
    s.run_ms(20_000);
    s.a().acks();
    s.a().asks(7);
    s.a().refreshes();
    assert_eq!(s.a().got().last().map(String::as_str), Some("decline 7"));
    s.a().hangs_up();
    s.run_ms(60_000);
    assert!(!s.a().got().iter().any(|said| said == "refresh"));
}
