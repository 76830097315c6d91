use std::time::Duration;

use segue_media::{Command, Event, SwitchTo};
use segue_sdp::{Direction, Kind};

use crate::peer::*;

const IDR: &[u8] = &[0x65, 0xb0];

pub fn bridged(house: &House) -> (Phone, Phone) {
    let (a, b) = (Phone::new(house, A), Phone::new(house, B));
    a.configure(house, Direction::SendRecv);
    b.configure(house, Direction::SendRecv);
    house.say(play(true));
    house.wait(|event| matches!(event, Event::FirstPacket { .. }).then_some(()));
    house.say(Command::Bridge { leg: B });
    (a, b)
}

fn gap(house: &House, want: Kind) -> u64 {
    house.wait(|event| match event {
        Event::Switched {
            to: SwitchTo::Callee,
            kind,
            gap_ms,
        } if *kind == want => *gap_ms,
        _ => None,
    })
}

#[test]
fn the_callees_audio_follows_in_the_clips_stream() {
    let spool = tempfile::tempdir().unwrap();
    let house = House::new(spool.path());
    let (a, mut b) = bridged(&house);
    for _ in 0..5 {
        b.audio.send(0, &[0xb0; 160]);
        std::thread::sleep(Duration::from_millis(20));
    }
    let got = a.audio.receive_until(&[0xb0]);
    assert_seamless(&got);
    assert!(got.last().unwrap().marker, "the source changed");
    assert!(gap(&house, Kind::Audio) < 5_000);
    let next = a.audio.receive();
    assert_eq!(next.timestamp, got.last().unwrap().timestamp.wrapping_add(160));
}

#[test]
fn the_callees_video_waits_for_its_key_frame_and_is_asked_for_it() {
    let spool = tempfile::tempdir().unwrap();
    let house = House::new(spool.path());
    let (a, mut b) = bridged(&house);
    b.video.send(97, &[0x41, 0xb0]);
    assert!(b.video.hears_rtcp(206, Some(1)), "a picture loss indication");
    b.video.send(97, &[0x41, 0xb1]);
    b.video.send(97, &[0x67, 0xb2]);
    let timestamp = b.video.timestamp;
    b.video.send_at(97, timestamp, IDR);
    let got = a.video.receive_until(IDR);
    assert_seamless(&got);
    let [.., sps, idr] = &got[..] else { panic!() };
    assert_eq!(sps.payload, [0x67, 0xb2], "a source starts at its parameter sets");
    assert_eq!((idr.payload_type, idr.timestamp), (96, sps.timestamp));
    assert!(!got.iter().any(|got| got.payload[..] == [0x41, 0xb0]));
    gap(&house, Kind::Video);
}

#[test]
fn the_caller_is_relayed_under_the_callees_numbers() {
    let spool = tempfile::tempdir().unwrap();
    let house = House::new(spool.path());
    let (mut a, b) = bridged(&house);
    house.events_for(Duration::from_millis(50));
    for _ in 0..3 {
        a.audio.send(0, &[0xaa; 160]);
    }
    a.video.send(96, &[0x65, 0xaa]);
    let got: Vec<Got> = (0..3).map(|_| b.audio.receive()).collect();
    assert_seamless(&got);
    assert_ne!(got[0].ssrc, a.audio.ssrc);
    assert_eq!(b.video.receive().payload_type, 97);
}

#[test]
fn what_the_caller_sends_before_the_bridge_reaches_nobody() {
    let spool = tempfile::tempdir().unwrap();
    let house = House::new(spool.path());
    let (mut a, b) = (Phone::new(&house, A), Phone::new(&house, B));
    a.configure(&house, Direction::SendRecv);
    b.configure(&house, Direction::SendRecv);
    a.audio.send(0, &[1; 160]);
    house.events_for(Duration::from_millis(100));
    house.say(Command::Bridge { leg: B });
    house.done();
    a.audio.send(0, &[2; 160]);
    assert_eq!(b.audio.receive().payload, [2; 160]);
}
