use std::time::Duration;

use segue_media::{Command, Event};
use segue_sdp::Direction;

use crate::peer::*;

#[test]
fn a_peer_on_hold_is_not_missed_and_one_that_stops_is() {
    let spool = tempfile::tempdir().unwrap();
    let house = House::with(spool.path(), 500);
    let (a, mut b) = (Phone::new(&house, A), Phone::new(&house, B));
    a.configure(&house, Direction::SendOnly);
    b.configure(&house, Direction::SendRecv);
    house.say(Command::Bridge { leg: B });
    for _ in 0..30 {
        b.audio.send(0, &[1; 160]);
        std::thread::sleep(Duration::from_millis(20));
    }
    let events = house.events_for(Duration::from_millis(1_500));
    let gone: Vec<&Event> = events
        .iter()
        .filter(|event| matches!(event, Event::RtpGone { .. }))
        .collect();
    assert_eq!(gone, [&Event::RtpGone { leg: B }], "B once, A never");
}

#[test]
fn a_caller_that_resumes_has_its_time_anew() {
    let spool = tempfile::tempdir().unwrap();
    let house = House::with(spool.path(), 1_000);
    let (a, b) = (Phone::new(&house, A), Phone::new(&house, B));
    a.configure(&house, Direction::Inactive);
    b.configure(&house, Direction::Inactive);
    house.say(Command::Bridge { leg: B });
    assert_eq!(house.events_for(Duration::from_millis(1_300)), []);
    a.configure(&house, Direction::SendRecv);
    assert_eq!(house.events_for(Duration::from_millis(500)), []);
    house.wait(|event| matches!(event, Event::RtpGone { leg: A }).then_some(()));
}

#[test]
fn a_muted_peer_whose_rtcp_goes_on_is_still_there() {
    let spool = tempfile::tempdir().unwrap();
    let house = House::with(spool.path(), 500);
    let (a, mut b) = (Phone::new(&house, A), Phone::new(&house, B));
    a.configure(&house, Direction::SendOnly);
    b.configure(&house, Direction::SendRecv);
    house.say(Command::Bridge { leg: B });
    b.audio.send(0, &[1; 160]);
    // An empty receiver report.
    let report = [0x80, 201, 0, 1, 0, 0, 0, 7];
    let mut events = Vec::new();
    for _ in 0..5 {
        b.audio.send_rtcp(&report);
        events.extend(house.events_for(Duration::from_millis(250)));
    }
    let gone = |events: &[Event]| events.iter().any(|event| matches!(event, Event::RtpGone { .. }));
    assert!(!gone(&events), "{events:?}");
    assert!(gone(&house.events_for(Duration::from_millis(1_000))), "then it is not");
}
