use std::time::Duration;

use crate::{peer::*, takeover::bridged};

/// Far more than are taken from a port before others have their turn, and enough that the thread rests after.
const BURST: usize = 100;

#[test]
fn a_burst_is_relayed_whole_and_in_order_and_what_follows_too() {
    let spool = tempfile::tempdir().unwrap();
    let house = House::new(spool.path());
    let (mut a, b) = bridged(&house);
    house.events_for(Duration::from_millis(50));
    for _ in 0..3 {
        for n in 0..BURST {
            a.audio.send(0, &[n as u8; 160]);
            a.video.send(96, &[0x65, n as u8]);
        }
        for (line, last) in [(&b.audio, 159), (&b.video, 1)] {
            let got: Vec<Got> = (0..BURST).map(|_| line.receive()).collect();
            assert_seamless(&got);
            let order: Vec<usize> = got.iter().map(|got| got.payload[last].into()).collect();
            assert_eq!(order, (0..BURST).collect::<Vec<_>>());
        }
        // Alone, while the thread rests.
        a.audio.send(0, &[0xee; 160]);
        assert_eq!(b.audio.receive().payload, [0xee; 160]);
    }
}
