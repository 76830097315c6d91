use std::time::Duration;

use segue_media::{Command, Event};
use segue_sdp::Direction;

use crate::peer::*;

/// A press of `#`: the start, some updates, the end three times (RFC 4733 §2.5.1.4).
fn press(line: &mut Line, payload_type: u8) {
    line.timestamp = line.timestamp.wrapping_add(8_000);
    let timestamp = line.timestamp;
    for n in 1..=5_u8 {
        line.send_at(payload_type, timestamp, &[11, 0x0a, 0, n * 40]);
    }
    for _ in 0..3 {
        line.send_at(payload_type, timestamp, &[11, 0x8a, 0, 240]);
    }
}

#[test]
fn a_press_is_told_once_before_anyone_is_bridged() {
    let spool = tempfile::tempdir().unwrap();
    let house = House::new(spool.path());
    let mut a = Phone::new(&house, A);
    a.configure(&house, Direction::SendRecv);
    house.events_for(Duration::from_millis(50));
    press(&mut a.audio, 101);
    press(&mut a.audio, 101);
    let keys = house.events_for(Duration::from_millis(500));
    assert_eq!(
        keys,
        [Event::Dtmf { leg: A, key: '#' }, Event::Dtmf { leg: A, key: '#' }]
    );
}

#[test]
fn a_press_reaches_the_other_side_under_its_payload_type() {
    let spool = tempfile::tempdir().unwrap();
    let house = House::new(spool.path());
    let (mut a, b) = (Phone::new(&house, A), Phone::new(&house, B));
    a.configure(&house, Direction::SendRecv);
    b.configure(&house, Direction::SendRecv);
    house.say(Command::Bridge { leg: B });
    house.done();
    press(&mut a.audio, 101);
    let got: Vec<Got> = (0..8).map(|_| b.audio.receive()).collect();
    assert_seamless(&got);
    assert!(got.iter().all(|got| got.payload_type == 102 && got.payload[0] == 11));
    assert!(got.iter().all(|one| one.timestamp == got[0].timestamp));
    house.wait(|event| matches!(event, Event::Dtmf { leg: A, key: '#' }).then_some(()));
}
