//! re-INVITE and UPDATE within a call (RFC 3261 §14, RFC 3311).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;
use segue_sip::{CommandError, Event, Progress, SessionId};
use segue_sip_wire::Message;

fn with_sdp(text: &str, body: &str) -> String {
    text.replace(
        "Content-Length: 0\r\n\r\n",
        &format!(
            "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    )
}

fn offer(method: &str, cseq: u32, branch: &str, tag: &str) -> String {
    with_sdp(&request(method, cseq, branch, Some(tag), ""), "v=0\r\n")
}

/// An answered call of the hand-written peer: our tag.
fn talking() -> (Script, SessionId, String) {
    let mut script = Script::default();
    script.say(&with_sdp(&request("INVITE", 1, "i1", None, ""), "v=0\r\n"));
    let id = script.session();
    script.endpoint.answer(script.now, id, Some(sdp("answer"))).unwrap();
    let tag = to_tag(&script.hear()[0]);
    script.say(&request("ACK", 1, "k1", Some(&tag), ""));
    (script, id, tag)
}

fn body(message: &Message) -> &[u8] {
    message.body()
}

#[test]
fn a_re_invite_is_answered_and_its_200_repeated_until_the_ack() {
    let (mut script, id, tag) = talking();
    assert_eq!(statuses(&script.say(&offer("INVITE", 2, "i2", &tag))), ["100 INVITE"]);
    script.endpoint.accept_offer(script.now, id, sdp("hold")).unwrap();
    let said = script.hear();
    assert_eq!(
        (brief(&said[0]), body(&said[0])),
        ("200 INVITE".to_owned(), &*sdp("hold"))
    );
    assert_eq!(script.wait(std::time::Duration::from_millis(600)).len(), 1);
    script.say(&request("ACK", 2, "k2", Some(&tag), ""));
    assert_eq!(script.wait(std::time::Duration::from_secs(10)).len(), 0);
    assert_eq!(script.told(), ["Incoming", "Acked", "Offer", "Acked"]);
    assert_eq!(
        script.endpoint.accept_offer(script.now, id, sdp("x")),
        Err(CommandError::NoOffer)
    );
}

#[test]
fn an_update_is_answered_or_refused_and_one_without_offer_needs_nobody() {
    let (mut script, id, tag) = talking();
    assert_eq!(script.say(&offer("UPDATE", 2, "u2", &tag)).len(), 0);
    script.endpoint.accept_offer(script.now, id, sdp("hold")).unwrap();
    assert_eq!(statuses(&script.hear()), ["200 UPDATE"]);
    script.say(&offer("UPDATE", 3, "u3", &tag));
    let why = [("Warning", "305 segue \"no\"".to_owned())];
    script.endpoint.refuse_offer(script.now, id, 488, &why).unwrap();
    let said = script.hear();
    assert_eq!(statuses(&said), ["488 UPDATE"]);
    assert_eq!(said[0].header("Warning"), Some("305 segue \"no\""));
    assert_eq!(
        statuses(&script.say(&request("UPDATE", 4, "u4", Some(&tag), ""))),
        ["200 UPDATE"]
    );
    assert_eq!(script.told().iter().filter(|name| *name == "Offer").count(), 2);
}

#[test]
fn a_second_offer_before_the_answer_gets_500_with_retry_after() {
    let (mut script, _, tag) = talking();
    script.say(&offer("INVITE", 2, "i2", &tag));
    let second = script.say(&offer("INVITE", 3, "i3", &tag));
    assert_eq!(statuses(&second), ["500 INVITE"]);
    assert!(second[0].header("Retry-After").unwrap().parse::<u8>().unwrap() <= 10);
    let update = script.say(&offer("UPDATE", 4, "u4", &tag));
    assert_eq!(statuses(&update), ["500 UPDATE"]);
}

#[test]
fn an_update_before_the_answer_gets_500_and_after_a_reliable_one_is_an_offer() {
    let mut script = Script::default();
    script.say(&with_sdp(
        &request("INVITE", 1, "i1", None, "Supported: 100rel\r\n"),
        "v=0\r\n",
    ));
    let id = script.session();
    script
        .endpoint
        .progress(
            script.now,
            id,
            Progress {
                status: 180,
                reliable: false,
                sdp: None,
                headers: Vec::new(),
                along: Default::default(),
            },
        )
        .unwrap();
    let tag = to_tag(&script.hear()[0]);
    assert_eq!(statuses(&script.say(&offer("UPDATE", 2, "u2", &tag))), ["500 UPDATE"]);
    script
        .endpoint
        .progress(
            script.now,
            id,
            Progress {
                status: 183,
                reliable: true,
                sdp: Some(sdp("a")),
                headers: Vec::new(),
                along: Default::default(),
            },
        )
        .unwrap();
    let rseq = script.hear()[0].rseq().unwrap();
    script.say(&request(
        "PRACK",
        3,
        "p3",
        Some(&tag),
        &format!("RAck: {rseq} 1 INVITE\r\n"),
    ));
    assert_eq!(script.say(&offer("UPDATE", 4, "u4", &tag)).len(), 0);
    script.endpoint.accept_offer(script.now, id, sdp("b")).unwrap();
    assert_eq!(statuses(&script.hear()), ["200 UPDATE"]);
    assert_eq!(script.told(), ["Incoming", "Prack", "Offer"]);
}

#[test]
fn a_cancelled_re_invite_gets_487_and_the_call_goes_on() {
    let (mut script, id, tag) = talking();
    script.say(&offer("INVITE", 2, "i2", &tag));
    let said = script.say(&request("CANCEL", 2, "i2", Some(&tag), ""));
    assert_eq!(statuses(&said), ["200 CANCEL", "487 INVITE"]);
    script.say(&request("ACK", 2, "i2", Some(&tag), ""));
    assert_eq!(
        script.endpoint.accept_offer(script.now, id, sdp("x")),
        Err(CommandError::NoOffer)
    );
    assert_eq!(
        statuses(&script.say(&request("BYE", 3, "b3", Some(&tag), ""))),
        ["200 BYE"]
    );
    assert_eq!(
        script.told(),
        ["Incoming", "Acked", "Offer", "OfferWithdrawn", "Bye", "Terminated"]
    );
}

#[test]
fn a_bye_withdraws_the_offer_and_an_old_cseq_gets_500() {
    let (mut script, _, tag) = talking();
    script.say(&offer("INVITE", 5, "i5", &tag));
    assert_eq!(
        statuses(&script.say(&request("INFO", 4, "n4", Some(&tag), ""))),
        ["500 INFO"]
    );
    assert_eq!(
        statuses(&script.say(&request("BYE", 6, "b6", Some(&tag), ""))),
        ["487 INVITE", "200 BYE"]
    );
    assert_eq!(script.told(), ["Incoming", "Acked", "Offer", "Bye", "Terminated"]);
    assert_eq!(
        statuses(&script.say(&request("INFO", 7, "n7", Some(&tag), ""))),
        ["481 INFO"]
    );
}

#[test]
fn a_delayed_offer_is_ours_and_the_prack_brings_the_answer() {
    let mut script = Script::default();
    script.say(&request("INVITE", 1, "i1", None, "Supported: 100rel\r\n"));
    let id = script.session();
    script
        .endpoint
        .progress(
            script.now,
            id,
            Progress {
                status: 183,
                reliable: true,
                sdp: Some(sdp("ours")),
                headers: Vec::new(),
                along: Default::default(),
            },
        )
        .unwrap();
    let ringing = script.hear();
    let (tag, rseq) = (to_tag(&ringing[0]), ringing[0].rseq().unwrap());
    let rack = format!("RAck: {rseq} 1 INVITE\r\n");
    let said = script.say(&with_sdp(&request("PRACK", 2, "p2", Some(&tag), &rack), "v=7\r\n"));
    assert_eq!(statuses(&said), ["200 PRACK"]);
    let Some(Event::Prack { sdp: Some(answer), .. }) = script.events.last() else {
        panic!("{:?}", script.told())
    };
    assert_eq!(**answer, *b"v=7\r\n");
}

#[test]
fn our_info_asks_for_a_key_frame_and_a_lost_dialog_ends_with_bye() {
    let mut net = Net::new(1);
    let (a, _) = net.talk();
    net.endpoints[A].ask_key_frame(net.now, a).unwrap();
    net.run_ms(10);
    let Some(Event::Info { request, .. }) = net.events[B].last() else {
        panic!("{:?}", net.told(B))
    };
    assert!(String::from_utf8_lossy(request.body()).contains("picture_fast_update"));
    assert_eq!(net.sent_by(B, "200 INFO"), 1);
}
