//! RFC 3261 §13.3.1.4.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;
use segue_sip::Protocol;

#[test]
fn at_intervals_up_to_t2_by_udp_and_tcp() {
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        let mut net = Net::of([endpoint_with(A, 1, &[protocol], 9), endpoint_with(B, 1, &[protocol], 9)]);
        let (_, b) = net.call();
        let mut acks = 0;
        net.judge = Box::new(move |from, m| {
            let ack = from == A && brief(m) == "ACK";
            acks += u32::from(ack);
            if ack && acks < 6 { Fate::Lose } else { Fate::Deliver }
        });
        let from = (net.now - net.start).as_millis();
        net.answer(b, Some(sdp("answer")));
        net.run_ms(30_000);
        let times: Vec<_> = net.times(B, "200 INVITE").iter().map(|at| at - from).collect();
        assert_eq!(times, [0, 500, 1500, 3500, 7500, 11500], "{protocol:?}");
        assert_eq!(net.told(B), ["Incoming", "Acked"]);
        assert_eq!(net.told(A), ["Answered"]);
        assert!(net.sent.iter().all(|(.., sent_by)| *sent_by == protocol));
    }
}

#[test]
fn the_repeated_invite_is_absorbed_and_gets_no_second_session() {
    let mut script = Script::default();
    let invite = request("INVITE", 1, "i1", None, "");
    assert_eq!(statuses(&script.say(&invite)), ["100 INVITE"]);
    assert_eq!(statuses(&script.say(&invite)), ["100 INVITE"]);
    script
        .endpoint
        .answer(script.now, script.session(), Some(sdp("offer")))
        .unwrap();
    let answer = script.hear();
    assert_eq!(script.say(&invite).len(), 0);
    // The answer to our offer comes in the ACK.
    let tag = to_tag(&answer[0]);
    let body = "v=0\r\n";
    let ack = request("ACK", 1, "k1", Some(&tag), "Content-Type: application/sdp\r\n").replace(
        "Content-Length: 0\r\n\r\n",
        &format!("Content-Length: {}\r\n\r\n{body}", body.len()),
    );
    assert_eq!(script.say(&ack).len(), 0);
    let Some(segue_sip::Event::Acked { sdp: Some(answer), .. }) = script.events.last() else {
        panic!("{:?}", script.told())
    };
    assert_eq!(**answer, *body.as_bytes());
    assert_eq!(script.wait(PATIENCE).len(), 0);
}
