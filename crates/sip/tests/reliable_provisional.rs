//! RFC 3262, both sides at once: B's 183 is reliable, A acknowledges it with PRACK.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;
use segue_sip::{CommandError, Event, Progress};

#[test]
fn a_reliable_183_is_acknowledged_and_the_200_needs_no_sdp() {
    let mut net = Net::new(1);
    let (a, b) = net.call();
    net.progress(b, 183, true, Some(sdp("answer")));
    net.run_ms(10);
    net.answer(b, None);
    net.run_ms(10);
    assert_eq!(net.told(A), ["Provisional 183", "Answered"]);
    assert_eq!(net.told(B), ["Incoming", "Prack", "Acked"]);
    let Some(Event::Answered { sdp: Some(answer), .. }) = net.events[A].last() else {
        panic!("the 183's SDP is the answer")
    };
    assert_eq!(**answer, *sdp("answer"));
    net.endpoints[A].bye(net.now, a, None).unwrap();
    net.assert_nothing_left();
    assert_eq!(
        summaries(&net.ladders[B][&b]),
        [
            "< INVITE (SDP)",
            "> 100 Trying",
            "> 183 Session Progress (SDP)",
            "< PRACK",
            "> 200 OK for PRACK",
            "> 200 OK",
            "< ACK",
            "< BYE",
            "> 200 OK for BYE"
        ]
    );
}

#[test]
fn no_200_while_a_183_with_sdp_waits_for_its_prack() {
    let mut net = Net::new(2);
    let (_, b) = net.call();
    net.judge = Box::new(|from, m| {
        if from == A && brief(m) == "PRACK" {
            Fate::Delay(700)
        } else {
            Fate::Deliver
        }
    });
    net.progress(b, 183, true, Some(sdp("answer")));
    net.answer(b, None);
    net.run_ms(650);
    assert_eq!((net.sent_by(B, "200 INVITE"), net.sent_by(B, "183 INVITE")), (0, 2));
    net.run_ms(1000);
    assert_eq!(net.sent_by(B, "200 INVITE"), 1);
    assert_eq!(net.told(A), ["Provisional 183", "Answered"]);
    let told = ["Incoming", "AnswerHeld", "Prack", "AnswerSent", "Acked"];
    assert_eq!(net.told(B), told, "who is charged is told when it went out");
}

#[test]
fn a_200_need_not_wait_for_the_prack_of_a_180_without_sdp_which_still_gets_its_200() {
    let mut net = Net::new(3);
    let (_, b) = net.call();
    net.judge = Box::new(|from, m| {
        if from == A && brief(m) == "PRACK" {
            Fate::Delay(100)
        } else {
            Fate::Deliver
        }
    });
    net.progress(b, 180, true, None);
    net.answer(b, Some(sdp("answer")));
    assert_eq!(net.sent_by(B, "200 INVITE"), 1);
    net.run_ms(2000);
    assert_eq!((net.sent_by(B, "200 PRACK"), net.sent_by(B, "180 INVITE")), (1, 1));
}

#[test]
fn the_next_reliable_response_waits_for_the_prack_of_the_one_before() {
    let mut net = Net::new(4);
    let (_, b) = net.call();
    net.progress(b, 183, true, Some(sdp("answer")));
    net.progress(b, 180, true, None);
    net.progress(b, 181, true, None);
    assert_eq!((net.sent_by(B, "183 INVITE"), net.sent_by(B, "180 INVITE")), (1, 0));
    net.run_ms(20);
    assert_eq!(net.told(A), ["Provisional 183", "Provisional 180", "Provisional 181"]);
    assert_eq!(net.count(B, "Prack"), 3);
    let rseqs: Vec<u32> = net.sent.iter().filter_map(|(_, _, m, _)| m.rseq()).collect();
    assert_eq!(rseqs, [rseqs[0], rseqs[0] + 1, rseqs[0] + 2]);
}

#[test]
fn it_is_repeated_at_doubling_intervals_and_told_once() {
    let mut net = Net::new(5);
    let (_, b) = net.call();
    net.judge = Box::new(|from, m| {
        if from == A && brief(m) == "PRACK" {
            Fate::Lose
        } else {
            Fate::Deliver
        }
    });
    let from = net.now - net.start;
    net.progress(b, 183, true, Some(sdp("answer")));
    net.run_ms(8000);
    let times: Vec<_> = net
        .times(B, "183 INVITE")
        .iter()
        .map(|at| at - from.as_millis())
        .collect();
    assert_eq!(times, [0, 500, 1500, 3500, 7500]);
    assert_eq!(net.told(A), ["Provisional 183"]);
}

#[test]
fn a_long_hold_refreshes_a_reliable_state_each_150_seconds_and_an_unreliable_one_each_minute() {
    let mut net = Net::new(6);
    let (_, b) = net.call();
    net.progress(b, 183, true, Some(sdp("answer")));
    net.run_ms(160_000);
    assert_eq!(net.times(B, "183 INVITE").len(), 2);
    let with_sdp = net
        .sent
        .iter()
        .filter(|(_, _, m, _)| m.status() == Some(183) && m.sdp().is_some())
        .count();
    assert_eq!(with_sdp, 1, "no SDP follows a reliable answer");

    let mut net = Net::new(6);
    let (_, b) = net.call();
    let from = (net.now - net.start).as_millis();
    net.progress(b, 183, false, Some(sdp("answer")));
    net.run_ms(130_000);
    let times: Vec<_> = net.times(B, "183 INVITE").iter().map(|at| at - from).collect();
    assert_eq!(times, [0, 500, 60_500, 120_500]);
    assert_eq!(net.told(A), ["Provisional 183"]);
}

#[test]
fn a_peer_without_100rel_gets_nothing_reliable_and_one_that_requires_it_everything() {
    let mut script = Script::default();
    script.say(&request("INVITE", 1, "i1", None, ""));
    let reliable = Progress {
        status: 183,
        reliable: true,
        sdp: None,
        headers: Vec::new(),
        along: Default::default(),
    };
    let refused = script.endpoint.progress(script.now, script.session(), reliable);
    assert!(matches!(refused, Err(CommandError::WrongState { .. })));

    let mut script = Script::default();
    script.say(&request("INVITE", 1, "i1", None, "Require: 100rel\r\n"));
    let unreliable = Progress {
        status: 180,
        reliable: false,
        sdp: None,
        headers: Vec::new(),
        along: Default::default(),
    };
    script
        .endpoint
        .progress(script.now, script.session(), unreliable)
        .unwrap();
    assert!(script.hear()[0].rseq().is_some());
}

#[test]
fn a_prack_for_nothing_gets_481_and_for_the_response_at_hand_200() {
    let mut script = Script::default();
    script.say(&request("INVITE", 1, "i1", None, "Supported: 100rel\r\n"));
    let id = script.session();
    script
        .endpoint
        .progress(
            script.now,
            id,
            Progress {
                status: 180,
                reliable: true,
                sdp: None,
                headers: Vec::new(),
                along: Default::default(),
            },
        )
        .unwrap();
    let ringing = script.hear();
    let (tag, rseq) = (to_tag(&ringing[0]), ringing[0].rseq().unwrap());
    let prack = |cseq, branch, rack: String| request("PRACK", cseq, branch, Some(&tag), &format!("RAck: {rack}\r\n"));
    assert_eq!(
        statuses(&script.say(&prack(2, "p1", format!("{} 1 INVITE", rseq + 1)))),
        ["481 PRACK"]
    );
    assert_eq!(
        statuses(&script.say(&prack(3, "p2", format!("{rseq} 2 INVITE")))),
        ["481 PRACK"]
    );
    let good = prack(4, "p3", format!("{rseq} 1 INVITE"));
    assert_eq!(statuses(&script.say(&good)), ["200 PRACK"]);
    assert_eq!(
        statuses(&script.say(&good)),
        ["200 PRACK"],
        "a repeated one gets the same"
    );
    assert_eq!(
        statuses(&script.say(&prack(5, "p4", format!("{rseq} 1 INVITE")))),
        ["481 PRACK"]
    );
    assert_eq!(script.told(), ["Incoming", "Prack"]);
}

/// A call of the hand-written peer whose 183 with our answer waits for its PRACK: our tag and its RSeq.
fn unacknowledged() -> (Script, segue_sip::SessionId, String, u32) {
    let mut script = Script::default();
    script.say(&offering(
        "INVITE",
        1,
        "i1",
        None,
        "Supported: 100rel\r\nAllow: UPDATE\r\n",
    ));
    let id = script.session();
    let progress = Progress {
        status: 183,
        reliable: true,
        sdp: Some(sdp("answer")),
        headers: Vec::new(),
        along: Default::default(),
    };
    script.endpoint.progress(script.now, id, progress).unwrap();
    let ringing = script.hear();
    let (tag, rseq) = (to_tag(&ringing[0]), ringing[0].rseq().unwrap());
    (script, id, tag, rseq)
}

/// A request with an offer in it.
fn offering(method: &str, cseq: u32, branch: &str, tag: Option<&str>, more: &str) -> String {
    let body = "v=0\r\n";
    request(method, cseq, branch, tag, more).replace(
        "Content-Length: 0\r\n\r\n",
        &format!(
            "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    )
}

#[test]
fn an_offer_in_the_prack_is_answered_in_its_200_and_no_200_to_the_invite_overtakes_that() {
    let (mut script, id, tag, rseq) = unacknowledged();
    script.endpoint.answer(script.now, id, None).unwrap();
    let prack = offering("PRACK", 2, "p2", Some(&tag), &format!("RAck: {rseq} 1 INVITE\r\n"));
    assert_eq!(
        statuses(&script.say(&prack)),
        Vec::<String>::new(),
        "the user has not answered it"
    );
    assert_eq!(script.told(), ["Incoming", "AnswerHeld", "Prack", "Offer"]);
    // While it has no answer there is no other offer, in either direction.
    assert!(script.endpoint.offer(script.now, id, sdp("ours")).is_err());
    let update = offering("UPDATE", 3, "u3", Some(&tag), "");
    assert_eq!(statuses(&script.say(&update)), ["500 UPDATE"]);
    script.endpoint.accept_offer(script.now, id, sdp("again")).unwrap();
    let said = script.hear();
    assert_eq!(statuses(&said), ["200 PRACK", "200 INVITE"]);
    assert_eq!((said[0].sdp(), said[1].sdp()), (Some(&*sdp("again")), None));
    assert_eq!(
        statuses(&script.say(&prack)),
        ["200 PRACK"],
        "a repeated one gets the same"
    );
}

#[test]
fn a_prack_refused_for_its_offer_has_acknowledged_and_may_come_again_without_it() {
    let (mut script, id, tag, rseq) = unacknowledged();
    let rack = format!("RAck: {rseq} 1 INVITE\r\n");
    script.say(&offering("PRACK", 2, "p2", Some(&tag), &rack));
    script.endpoint.refuse_offer(script.now, id, 488, &[]).unwrap();
    assert_eq!(statuses(&script.hear()), ["488 PRACK"]);
    assert_eq!(
        statuses(&script.say(&request("PRACK", 3, "p3", Some(&tag), &rack))),
        ["200 PRACK"]
    );
    assert_eq!(
        statuses(&script.say(&request("PRACK", 4, "p4", Some(&tag), &rack))),
        ["481 PRACK"]
    );
    // It is not repeated any more.
    assert_eq!(script.wait(std::time::Duration::from_secs(20)).len(), 0);
    assert_eq!(script.told(), ["Incoming", "Prack", "Offer"]);
}

#[test]
fn an_offer_in_the_prack_of_a_response_without_an_answer_is_refused() {
    let mut script = Script::default();
    script.say(&offering("INVITE", 1, "i1", None, "Supported: 100rel\r\n"));
    let id = script.session();
    let ringing = Progress {
        status: 180,
        reliable: true,
        sdp: None,
        headers: Vec::new(),
        along: Default::default(),
    };
    script.endpoint.progress(script.now, id, ringing).unwrap();
    let said = script.hear();
    let (tag, rack) = (
        to_tag(&said[0]),
        format!("RAck: {} 1 INVITE\r\n", said[0].rseq().unwrap()),
    );
    assert_eq!(
        statuses(&script.say(&offering("PRACK", 2, "p2", Some(&tag), &rack))),
        ["488 PRACK"]
    );
    assert_eq!(
        statuses(&script.say(&request("PRACK", 3, "p3", Some(&tag), &rack))),
        ["200 PRACK"]
    );
    assert_eq!(script.told(), ["Incoming", "Prack"]);
}

#[test]
fn a_refusal_while_the_offer_of_the_prack_waits_answers_that_too_and_sends_no_held_200() {
    let (mut script, id, tag, rseq) = unacknowledged();
    script.endpoint.answer(script.now, id, None).unwrap();
    script.say(&offering(
        "PRACK",
        2,
        "p2",
        Some(&tag),
        &format!("RAck: {rseq} 1 INVITE\r\n"),
    ));
    let said = statuses(&script.say(&request("CANCEL", 1, "i1", None, "")));
    assert_eq!(said, ["200 CANCEL", "487 PRACK", "487 INVITE"]);
}

#[test]
fn the_prack_of_a_rack_from_another_dialog_or_method_gets_481() {
    let (mut script, _, tag, rseq) = unacknowledged();
    for (cseq, rack) in [
        (2, format!("RAck: {rseq} 1 UPDATE\r\n")),
        (3, String::new()),
        (4, "RAck: many\r\n".to_owned()),
        (5, format!("RAck: {} 1 INVITE\r\n", rseq.wrapping_sub(1))),
    ] {
        let said = script.say(&request("PRACK", cseq, &format!("p{cseq}"), Some(&tag), &rack));
        assert_eq!(statuses(&said), ["481 PRACK"], "{rack}");
    }
    let other = request("PRACK", 6, "p6", Some("ffff"), &format!("RAck: {rseq} 1 INVITE\r\n"));
    assert_eq!(statuses(&script.say(&other)), ["481 PRACK"]);
    assert_eq!(script.told(), ["Incoming", "Refused"]);
}
