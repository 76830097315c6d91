//! The PRACK never comes: the user is told after 64·T1 and refuses the INVITE.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;

#[test]
fn the_user_is_told_once_and_its_refusal_ends_everything() {
    let mut net = Net::new(1);
    let (_, b) = net.call();
    net.judge = Box::new(|from, m| {
        if from == A && brief(m) == "PRACK" {
            Fate::Lose
        } else {
            Fate::Deliver
        }
    });
    net.progress(b, 183, true, Some(sdp("answer")));
    net.answer(b, None);
    net.run(PATIENCE + std::time::Duration::from_millis(10));
    assert_eq!(net.told(B), ["Incoming", "AnswerHeld", "PrackTimeout"]);
    assert_eq!(net.sent_by(B, "200 INVITE"), 0);
    assert!(net.endpoints[B].answer(net.now, b, None).is_err(), "no 2xx can follow");
    net.endpoints[B].refuse(net.now, b, 504, &[]).unwrap();
    net.run_ms(100);
    assert_eq!(net.told(A), ["Provisional 183", "Failed 504", "Terminated"]);
    assert_eq!(net.told(B), ["Incoming", "AnswerHeld", "PrackTimeout", "Terminated"]);
    net.assert_nothing_left();
}
