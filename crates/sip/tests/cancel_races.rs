//! CANCEL before, after and across everything it can meet (RFC 3261 §9).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;

#[test]
fn cancel_ends_a_ringing_call_on_both_sides() {
    let mut net = Net::new(1);
    let (a, b) = net.call();
    net.progress(b, 180, false, None);
    net.run_ms(10);
    net.endpoints[A]
        .cancel(net.now, a, Some("SIP;cause=200".to_owned()))
        .unwrap();
    net.run_ms(20);
    assert_eq!(net.told(A), ["Provisional 180", "Failed 487", "Terminated"]);
    assert_eq!(net.told(B), ["Incoming", "Cancelled", "Terminated"]);
    let cancel = net.sent.iter().find(|(_, _, m, _)| brief(m) == "CANCEL").unwrap();
    assert_eq!(cancel.2.header("Reason"), Some("SIP;cause=200"));
    net.assert_nothing_left();
    assert_eq!(
        summaries(&net.ladders[A][&a]),
        [
            "> INVITE (SDP)",
            "< 100 Trying",
            "< 180 Ringing",
            "> CANCEL",
            "< 200 OK for CANCEL",
            "< 487 Request Terminated",
            "> ACK"
        ]
    );
}

#[test]
fn cancel_waits_for_a_provisional_response() {
    let mut net = Net::new(2);
    let mut outgoing = net.outgoing();
    outgoing.supported.clear();
    net.judge = Box::new(|from, _| if from == B { Fate::Delay(700) } else { Fate::Deliver });
    let (a, _) = net.call_with(outgoing);
    net.endpoints[A].cancel(net.now, a, None).unwrap();
    net.run_ms(600);
    assert_eq!(net.sent_by(A, "CANCEL"), 0, "nothing came from B yet");
    net.run_ms(3000);
    assert_eq!(net.told(A), ["Failed 487", "Terminated"]);
    net.assert_nothing_left();
}

#[test]
fn cancel_of_an_invite_that_nobody_ever_hears_is_never_sent() {
    let mut net = Net::new(3);
    net.judge = Box::new(|_, _| Fate::Lose);
    let outgoing = net.outgoing();
    let a = net.endpoints[A].invite(net.now, outgoing);
    net.endpoints[A].cancel(net.now, a, None).unwrap();
    net.run(PATIENCE + std::time::Duration::from_millis(1));
    assert_eq!(
        (net.told(A), net.sent_by(A, "CANCEL")),
        (vec!["Failed 408".to_owned(), "Terminated".to_owned()], 0)
    );
    assert_eq!(net.sent_by(A, "INVITE"), 7);
    net.assert_nothing_left();
}

#[test]
fn a_peer_that_ignores_our_cancel_is_left_after_64_t1() {
    let mut net = Net::new(4);
    let (a, _) = net.call();
    net.judge = Box::new(|from, m| {
        if from == A && brief(m) == "CANCEL" {
            Fate::Lose
        } else {
            Fate::Deliver
        }
    });
    net.endpoints[A].cancel(net.now, a, None).unwrap();
    net.run(PATIENCE + std::time::Duration::from_millis(10));
    assert_eq!(net.told(A), ["Failed 487", "Terminated"]);
}

#[test]
fn who_answers_after_we_gave_our_cancel_up_gets_ack_and_bye_once() {
    for reliable in [false, true] {
        let mut net = Net::new(6);
        let (a, b) = net.call();
        net.progress(b, 180, reliable, None);
        net.run_ms(100);
        net.judge = Box::new(|from, m| match brief(m).as_str() {
            "CANCEL" if from == A => Fate::Lose,
            _ => Fate::Deliver,
        });
        net.endpoints[A].cancel(net.now, a, None).unwrap();
        net.run(PATIENCE + std::time::Duration::from_millis(10));
        assert_eq!(net.told(A), ["Provisional 180", "Failed 487", "Terminated"]);
        // It takes the call half a minute later; its first 200 is lost, and one comes twice.
        net.run_ms(25_000);
        let mut answers = 0;
        net.judge = Box::new(move |_, m| match brief(m).as_str() {
            "200 INVITE" => {
                answers += 1;
                if answers == 1 { Fate::Lose } else { Fate::Double }
            }
            _ => Fate::Deliver,
        });
        net.answer(b, Some(sdp("answer")));
        net.run_ms(3_000);
        assert_eq!((net.sent_by(A, "ACK"), net.sent_by(A, "BYE")), (2, 1));
        assert_eq!(net.told(B).last().unwrap(), "Terminated");
        assert_eq!(net.told(A).len(), 3, "the call has gone on without it");
        net.run(PATIENCE);
        net.assert_nothing_left();
    }
}

#[test]
fn a_repeated_cancel_and_one_that_is_late_get_200_and_change_nothing() {
    let mut script = Script::default();
    script.say(&request("INVITE", 1, "i1", None, ""));
    let cancel = request("CANCEL", 1, "i1", None, "");
    let said = script.say(&cancel);
    assert_eq!(statuses(&said), ["200 CANCEL", "487 INVITE"]);
    assert_eq!(to_tag(&said[0]), to_tag(&said[1]));
    assert_eq!(statuses(&script.say(&cancel)), ["200 CANCEL"]);
    let tag = to_tag(&said[0]);
    script.say(&request("ACK", 1, "i1", Some(&tag), ""));
    assert_eq!(statuses(&script.say(&cancel)), ["200 CANCEL"]);
    assert_eq!(script.told(), ["Incoming", "Cancelled", "Terminated"]);

    let mut script = Script::default();
    script.say(&request("INVITE", 1, "i1", None, ""));
    script
        .endpoint
        .answer(script.now, script.session(), Some(sdp("offer")))
        .unwrap();
    script.hear();
    assert_eq!(statuses(&script.say(&cancel)), ["200 CANCEL"]);
    assert_eq!(script.told(), ["Incoming"], "it is answered already");
}

#[test]
fn cancel_while_a_reliable_183_waits_for_its_prack_still_lets_the_prack_in() {
    let mut net = Net::new(5);
    let (a, b) = net.call();
    net.judge = Box::new(|from, m| {
        if from == A && brief(m) == "PRACK" {
            Fate::Delay(20)
        } else {
            Fate::Deliver
        }
    });
    net.progress(b, 183, true, Some(sdp("answer")));
    net.run_ms(5);
    net.endpoints[A].cancel(net.now, a, None).unwrap();
    net.run_ms(10);
    assert_eq!(net.told(B), ["Incoming", "Cancelled", "Terminated"]);
    net.assert_nothing_left();
    assert_eq!(net.sent_by(B, "183 INVITE"), 1);
}

#[test]
fn bye_instead_of_cancel_ends_a_ringing_call_too() {
    let mut script = Script::default();
    script.say(&request("INVITE", 1, "i1", None, ""));
    let id = script.session();
    let ringing = segue_sip::Progress {
        status: 180,
        reliable: false,
        sdp: None,
        headers: Vec::new(),
        along: Default::default(),
    };
    script.endpoint.progress(script.now, id, ringing).unwrap();
    let tag = to_tag(&script.hear()[0]);
    assert_eq!(
        statuses(&script.say(&request("BYE", 2, "b1", Some(&tag), ""))),
        ["200 BYE", "487 INVITE"]
    );
    script.say(&request("ACK", 1, "i1", Some(&tag), ""));
    assert_eq!(script.told(), ["Incoming", "Bye", "Terminated"]);
}

#[test]
fn a_cancel_that_comes_again_gets_the_same_answer_even_when_its_invite_is_forgotten() {
    let mut script = Script::default();
    script.say(&request("INVITE", 1, "one", None, ""));
    let answers = script.say(&request("CANCEL", 1, "one", None, ""));
    assert_eq!(statuses(&answers), ["200 CANCEL", "487 INVITE"]);
    script.say(&request("ACK", 1, "one", Some(&to_tag(&answers[1])), ""));
    // T4 after the ACK the INVITE's transaction is gone.
    script.wait(std::time::Duration::from_secs(10));
    let again = script.say(&request("CANCEL", 1, "one", None, ""));
    assert_eq!(again[0].to_bytes(), answers[0].to_bytes());
    assert_eq!(script.told(), ["Incoming", "Cancelled", "Terminated"]);
}
