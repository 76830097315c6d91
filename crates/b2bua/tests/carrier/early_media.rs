//! P-Early-Media at the edges of our trust domain (RFC 5009).

use segue_call::MediaAction;

use crate::wire::{A, AUDIO, B, VIDEO, Wire, profiles, sdp};

fn both() -> String {
    sdp(&format!("{AUDIO}{VIDEO}"))
}

#[test]
fn a_trusted_caller_that_asks_is_told_with_the_clip_and_others_are_not() {
    for (trusted, asks, told) in [
        (true, true, Some("sendrecv, sendonly")),
        (true, false, None),
        (false, true, None),
    ] {
        let mut wire = Wire::new(profiles(|a| a.trusted = trusted, |_| ()), true);
        wire.invite(if asks { "P-Early-Media: supported\r\n" } else { "" }, &both());
        assert_eq!(
            wire.hear(A, "183 INVITE").header("P-Early-Media"),
            told,
            "{trusted} {asks}"
        );
        // Its header is for us; the callee's side is asked in its own name, if it is trusted.
        assert_eq!(wire.hear(B, "INVITE").header("P-Early-Media"), None);
    }
}

#[test]
fn a_callees_side_is_believed_where_it_is_trusted_and_stripped_where_not() {
    for trusted in [true, false] {
        let mut wire = Wire::new(profiles(|a| a.trusted = true, |b| b.trusted = trusted), false);
        wire.invite("P-Early-Media: supported\r\n", &both());
        let invite = wire.hear(B, "INVITE");
        assert_eq!(invite.header("P-Early-Media"), trusted.then_some("supported"));
        wire.respond(&invite, 183, &[("P-Early-Media", "sendonly")], Some(both()));
        let told = wire.hear(A, "183 INVITE");
        assert_eq!(told.header("P-Early-Media"), trusted.then_some("sendonly, sendonly"));
        assert_eq!(told.sdp().is_some(), trusted);
        let hears = wire
            .media
            .iter()
            .any(|action| matches!(action, MediaAction::Hear { .. }));
        assert_eq!(hears, trusted);
    }
}

#[test]
fn an_update_of_the_callee_changes_what_may_flow() {
    let mut wire = Wire::new(profiles(|a| a.trusted = true, |b| b.trusted = true), false);
    wire.invite("P-Early-Media: supported\r\n", &both());
    let invite = wire.hear(B, "INVITE");
    let rel = [("Require", "100rel"), ("RSeq", "1"), ("P-Early-Media", "sendrecv")];
    wire.respond(&invite, 183, &rel, Some(both()));
    wire.hear(B, "PRACK");
    assert_eq!(
        wire.hear(A, "183 INVITE").header("P-Early-Media"),
        Some("sendrecv, sendrecv")
    );
    let update = format!(
        "UPDATE sip:segue@10.0.0.254 SIP/2.0\r\nVia: SIP/2.0/UDP {B};branch=z9hG4bKu1\r\nMax-Forwards: 70\r\n\
         From: {};tag=b1\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 UPDATE\r\nContact: <sip:bob@{B}>\r\n\
         P-Early-Media: inactive, gated\r\nContent-Length: 0\r\n\r\n",
        invite.header("To").unwrap(),
        invite.header("From").unwrap(),
        invite.call_id().unwrap()
    );
    wire.say(B, &update);
    wire.hear(B, "200 UPDATE");
    assert_eq!(
        wire.hear(A, "183 INVITE").header("P-Early-Media"),
        Some("inactive, inactive")
    );
}

#[test]
fn a_reliable_183_says_it_too_and_the_callee_is_called_after_its_prack() {
    let mut wire = Wire::new(profiles(|a| a.trusted = true, |_| ()), true);
    wire.invite("Supported: 100rel\r\nP-Early-Media: supported\r\n", &both());
    let told = wire.hear(A, "183 INVITE");
    assert_eq!(
        (told.has_token("Require", "100rel"), told.header("P-Early-Media")),
        (true, Some("sendrecv, sendonly"))
    );
    wire.run_ms(400);
    assert!(wire.nothing(B, "INVITE"));
    wire.prack(&told, 2);
    wire.hear(A, "200 PRACK");
    wire.hear(B, "INVITE");
}
