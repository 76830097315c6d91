//! The ACK of a 2xx never comes: it is repeated for 64·T1, then BYE.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;

#[test]
fn bye_after_64_t1_and_each_repetition_is_acknowledged() {
    let mut net = Net::new(1);
    let (_, b) = net.call();
    net.judge = Box::new(|from, m| {
        if from == A && brief(m) == "ACK" {
            Fate::Lose
        } else {
            Fate::Deliver
        }
    });
    net.answer(b, Some(sdp("answer")));
    net.run(PATIENCE + std::time::Duration::from_millis(100));
    assert_eq!(net.told(B), ["Incoming", "AckTimeout", "Terminated"]);
    assert_eq!(net.told(A), ["Answered", "Bye", "Terminated"]);
    assert_eq!(net.sent_by(B, "200 INVITE"), net.sent_by(A, "ACK"));
    assert_eq!(net.sent_by(B, "BYE"), 1);
    net.assert_nothing_left();
}

#[test]
fn a_bye_of_ours_waits_for_the_ack() {
    let mut net = Net::new(2);
    let (_, b) = net.call();
    net.judge = Box::new(|from, m| {
        if from == A && brief(m) == "ACK" {
            Fate::Delay(300)
        } else {
            Fate::Deliver
        }
    });
    net.answer(b, Some(sdp("answer")));
    net.endpoints[B]
        .bye(net.now, b, Some("Q.850;cause=16".to_owned()))
        .unwrap();
    net.run_ms(250);
    assert_eq!(net.sent_by(B, "BYE"), 0);
    net.run_ms(200);
    assert_eq!(net.told(B), ["Incoming", "Acked", "Terminated"]);
    let bye = net.sent.iter().find(|(_, _, m, _)| brief(m) == "BYE").unwrap();
    assert_eq!(bye.2.header("Reason"), Some("Q.850;cause=16"));
    net.assert_nothing_left();
}
