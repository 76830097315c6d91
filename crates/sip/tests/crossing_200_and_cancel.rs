//! B's 200 and our CANCEL cross at every offset: ACK and BYE exactly once, and that it crossed is said.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;

#[test]
fn ack_and_bye_exactly_once_at_every_offset() {
    for offset_ms in 0..12_u64 {
        for lose_ack in [false, true] {
            let mut net = Net::new(offset_ms);
            let (a, b) = net.call();
            net.progress(b, 180, false, None);
            net.run_ms(10);
            let mut lost = !lose_ack;
            net.judge = Box::new(move |from, m| match brief(m).as_str() {
                "ACK" if from == A && !lost => {
                    lost = true;
                    Fate::Lose
                }
                _ => Fate::Delay(4),
            });
            net.answer(b, Some(sdp("answer")));
            net.run_ms(offset_ms);
            let early = net.endpoints[A].cancel(net.now, a, None).is_ok();
            net.run_ms(2000);
            if !early {
                assert_eq!(net.told(A), ["Provisional 180", "Answered"]);
                continue;
            }
            let told = ["Provisional 180", "CrossedCancel", "Terminated"];
            assert_eq!(net.told(A), told, "offset {offset_ms}");
            assert_eq!(net.sent_by(A, "CANCEL"), 1);
            assert_eq!(net.sent_by(A, "BYE"), 1, "offset {offset_ms}");
            assert_eq!(
                net.sent_by(A, "ACK"),
                net.sent_by(B, "200 INVITE"),
                "each 200 gets its ACK"
            );
            assert_eq!((net.count(B, "Terminated"), net.count(B, "Cancelled")), (1, 0));
            net.assert_nothing_left();
        }
    }
}
