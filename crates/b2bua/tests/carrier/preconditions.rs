//! Preconditions on the wire (RFC 3312): Require and Supported, 183, PRACK, UPDATE, 580.

use segue_call::MediaAction;
use segue_policy::PreconditionsToCallee;

use crate::wire::{A, AUDIO, B, Wire, profiles, sdp, tag_of};

fn offer(local: &str) -> String {
    sdp(&format!(
        "{AUDIO}a=curr:qos local {local}\r\na=curr:qos remote none\r\na=des:qos mandatory local sendrecv\r\n\
         a=des:qos mandatory remote sendrecv\r\n"
    ))
}

#[test]
fn the_callee_is_called_when_the_callers_update_says_that_its_resources_are_there() {
    let mut wire = Wire::new(profiles(|_| (), |_| ()), true);
    wire.invite(
        "Supported: 100rel\r\nRequire: precondition\r\nAllow: UPDATE\r\n",
        &offer("none"),
    );
    let told = wire.hear(A, "183 INVITE");
    assert!(String::from_utf8_lossy(told.body()).contains("a=conf:qos remote sendrecv"));
    wire.prack(&told, 2);
    wire.hear(A, "200 PRACK");
    wire.run_ms(3_000);
    assert!(wire.nothing(B, "INVITE") && !wire.media.iter().any(|did| matches!(did, MediaAction::Play { .. })));
    let update = wire.request(A, "UPDATE", 3, &tag_of(&told), "", &offer("sendrecv"));
    wire.say(A, &update);
    let said = wire.hear(A, "200 UPDATE");
    assert!(String::from_utf8_lossy(said.body()).contains("a=curr:qos remote sendrecv"));
    let invite = wire.hear(B, "INVITE");
    assert!(!invite.has_token("Supported", "precondition") && !invite.has_token("Require", "precondition"));
}

#[test]
fn what_cannot_be_met_gets_580_with_what_it_was() {
    let mut wire = Wire::new(profiles(|_| (), |_| ()), true);
    wire.invite(
        "Supported: 100rel\r\nRequire: precondition\r\n",
        &sdp(&format!(
            "{AUDIO}a=curr:qos e2e none\r\na=des:qos mandatory e2e sendrecv\r\n"
        )),
    );
    let said = wire.hear(A, "580 INVITE");
    assert!(String::from_utf8_lossy(said.body()).contains("a=des:qos failure e2e sendrecv"));
}

#[test]
fn a_callee_may_be_offered_them_and_its_update_is_answered() {
    let of_a = |profile: &mut segue_policy::Profile| profile.preconditions_to_callee = PreconditionsToCallee::Offer;
    let mut wire = Wire::new(profiles(of_a, |_| ()), true);
    wire.invite("", &sdp(AUDIO));
    let invite = wire.hear(B, "INVITE");
    assert!(invite.has_token("Supported", "precondition"));
    assert!(String::from_utf8_lossy(invite.body()).contains("a=des:qos optional remote sendrecv"));
    let rel = [("Require", "100rel"), ("RSeq", "1")];
    let lines = |local: &str| {
        sdp(&format!(
            "{AUDIO}a=curr:qos local {local}\r\na=curr:qos remote sendrecv\r\na=des:qos mandatory local sendrecv\r\n\
             a=des:qos optional remote sendrecv\r\n"
        ))
    };
    wire.respond(&invite, 183, &rel, Some(lines("none")));
    wire.hear(B, "PRACK");
    let body = lines("sendrecv");
    let update = format!(
        "UPDATE sip:segue@10.0.0.254 SIP/2.0\r\nVia: SIP/2.0/UDP {B};branch=z9hG4bKu1\r\nMax-Forwards: 70\r\n\
         From: {};tag=b1\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 UPDATE\r\nContact: <sip:bob@{B}>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        invite.header("To").unwrap(),
        invite.header("From").unwrap(),
        invite.call_id().unwrap(),
        body.len()
    );
    wire.say(B, &update);
    let said = wire.hear(B, "200 UPDATE");
    let answer = String::from_utf8_lossy(said.body()).into_owned();
    assert!(
        answer.contains("a=curr:qos local sendrecv") && answer.contains("a=curr:qos remote sendrecv"),
        "{answer}"
    );
}
