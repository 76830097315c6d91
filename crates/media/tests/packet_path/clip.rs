use std::time::{Duration, Instant};

use segue_media::{Command, Event, SwitchTo};
use segue_sdp::{Direction, Kind};

use crate::peer::*;

#[test]
fn a_clip_is_paced_and_goes_on_over_its_loop() {
    let spool = tempfile::tempdir().unwrap();
    let house = House::new(spool.path());
    let a = Phone::new(&house, A);
    a.configure(&house, Direction::SendRecv);
    house.say(play(true));

    let start = Instant::now();
    let audio: Vec<Got> = (0..60).map(|_| a.audio.receive()).collect();
    let took = start.elapsed();
    assert!(
        took > Duration::from_millis(1_100),
        "60 packets of 20 ms came in {took:?}"
    );

    assert_seamless(&audio);
    assert!(
        audio[0].marker && !audio[1].marker,
        "the marker tells of the new source"
    );
    for (n, got) in audio.iter().enumerate() {
        assert_eq!(got.payload, [n as u8 % 20; 160]);
        assert_eq!(got.timestamp, audio[0].timestamp.wrapping_add(n as u32 * 160));
    }
    let video: Vec<Got> = (0..30).map(|_| a.video.receive()).collect();
    assert_seamless(&video);
    assert_eq!(video[0].payload, [0x67, 1, 2, 3]);
    assert_eq!((video[0].marker, video[1].marker), (false, true));
    assert_eq!(
        video[11].timestamp,
        video[0].timestamp.wrapping_add(36_000),
        "the second lap"
    );
}

#[test]
fn the_owner_hears_of_the_first_packet_and_of_each_kind() {
    let spool = tempfile::tempdir().unwrap();
    let house = House::new(spool.path());
    let a = Phone::new(&house, A);
    a.configure(&house, Direction::SendRecv);
    house.say(play(false));
    let mut events = Vec::new();
    house.wait(|event| {
        events.push(event.clone());
        matches!(event, Event::Played { source: 1 }).then_some(())
    });
    let to = SwitchTo::Source(1);
    assert_eq!(
        events,
        [
            Event::Switched {
                to,
                kind: Kind::Audio,
                gap_ms: None
            },
            Event::Switched {
                to,
                kind: Kind::Video,
                gap_ms: None
            },
            Event::FirstPacket { source: 1 },
            Event::Played { source: 1 },
        ]
    );
}

#[test]
fn after_its_end_silence_and_the_last_picture_stay() {
    let spool = tempfile::tempdir().unwrap();
    let house = House::new(spool.path());
    let a = Phone::new(&house, A);
    a.configure(&house, Direction::SendRecv);
    house.say(play(false));
    let audio: Vec<Got> = (0..30).map(|_| a.audio.receive()).collect();
    assert_seamless(&audio);
    assert_eq!(audio[19].payload, [19; 160]);
    for (n, got) in audio.iter().enumerate().skip(20) {
        assert_eq!(got.payload, [0xff; 160]);
        assert_eq!(got.timestamp, audio[0].timestamp.wrapping_add(n as u32 * 160));
    }
    let video: Vec<Got> = (0..13).map(|_| a.video.receive()).collect();
    assert_seamless(&video);
    assert_eq!(
        video[11].payload,
        [0x67, 1, 2, 3],
        "who missed the picture gets it again"
    );
}

#[test]
fn a_report_comes_at_the_start() {
    let spool = tempfile::tempdir().unwrap();
    let house = House::new(spool.path());
    let a = Phone::new(&house, A);
    a.configure(&house, Direction::SendRecv);
    house.say(play(true));
    assert!(a.audio.hears_rtcp(200, None));
    assert!(a.video.hears_rtcp(200, None));
}

#[test]
fn closing_gives_every_port_back() {
    let spool = tempfile::tempdir().unwrap();
    let house = House::new(spool.path());
    let ports = house.media.open(CALL, A, None).unwrap();
    assert!(is_even(ports));
    house.media.open(CALL, B, None).unwrap();
    assert_eq!(house.media.stats().ports, 4);
    house.say(Command::CloseLeg { leg: B });
    house.say(Command::Close);
    let until = Instant::now() + PATIENCE;
    while house.media.stats().ports + house.media.stats().sessions > 0 {
        assert!(Instant::now() < until, "{:?}", house.media.stats());
        std::thread::sleep(Duration::from_millis(5));
    }
}
