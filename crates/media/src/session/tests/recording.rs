//! What goes to the spool, and when that ends by itself.

use super::*;

#[test]
fn a_lost_packet_of_a_recording_asks_for_a_key_frame() {
    let mut scene = Scene::new();
    scene.say(Command::Record {
        path: PathBuf::from("m"),
        manifest_json: Vec::new(),
        longest_ms: 60_000,
        longest_bytes: None,
        silence_ms: None,
        pictures: true,
    });
    scene.rtp(A, Kind::Video, &[0x65]);
    scene.pass(1_000);
    assert_eq!(scene.requests(A), [0]);
    scene.sequence += 1;
    for _ in 0..3 {
        assert_eq!(scene.requests(A), [0], "it may still come");
        scene.rtp(A, Kind::Video, &[0x41]);
    }
    scene.pass(10);
    assert_eq!(scene.requests(A), [0, 1_000]);
    assert_eq!(scene.memory.spooled, 4);
    scene.say(Command::StopRecording {
        cause: "bye".to_owned(),
    });
    assert_eq!(scene.memory.closed, Some(1_000));
}

#[test]
fn the_rest_of_a_key_frame_that_overtakes_its_beginning_is_recorded() {
    let mut scene = Scene::new();
    scene.say(Command::Record {
        path: PathBuf::from("m"),
        manifest_json: Vec::new(),
        longest_ms: 60_000,
        longest_bytes: None,
        silence_ms: None,
        pictures: true,
    });
    // FU-A of an IDR picture: its end, then its beginning, then a picture that refers to it.
    scene.sequence += 1;
    scene.rtp(A, Kind::Video, &[0x7c, 0x45]);
    scene.sequence -= 2;
    scene.rtp(A, Kind::Video, &[0x7c, 0x85]);
    scene.sequence += 1;
    scene.rtp(A, Kind::Video, &[0x41]);
    scene.pass(300);
    assert_eq!(scene.memory.spooled, 3);
    assert_eq!(scene.requests(A), [0], "the key frame is whole");
}

#[test]
fn nothing_is_recorded_beyond_the_longest() {
    let mut scene = Scene::new();
    scene.say(Command::Record {
        path: PathBuf::from("m"),
        manifest_json: Vec::new(),
        longest_ms: 500,
        longest_bytes: None,
        silence_ms: None,
        pictures: true,
    });
    scene.rtp(A, Kind::Audio, &[0; 160]);
    scene.pass(600);
    scene.rtp(A, Kind::Audio, &[0; 160]);
    assert_eq!(scene.memory.spooled, 1);
    assert_eq!(
        scene.memory.events,
        [Event::RecordingStopped {
            cause: RecordingStop::Longest
        }]
    );
}

#[test]
fn a_recording_takes_no_more_room_than_there_is() {
    let mut scene = Scene::new();
    scene.say(Command::Record {
        path: PathBuf::from("m"),
        manifest_json: Vec::new(),
        longest_ms: 60_000,
        longest_bytes: Some(10_000),
        silence_ms: None,
        pictures: true,
    });
    let mut picture = vec![0; 1_200];
    picture[0] = 0x65;
    for _ in 0..20 {
        scene.rtp(A, Kind::Video, &picture);
    }
    assert_eq!(
        scene.memory.spooled, 9,
        "with their headers eight are not yet 10,000 bytes, nine are"
    );
    let cause = RecordingStop::Longest;
    assert_eq!(scene.memory.events, [Event::RecordingStopped { cause }]);
}

#[test]
fn a_flood_ends_its_recording_before_it_fills_the_disk() {
    let mut scene = Scene::new();
    scene.say(Command::Record {
        path: PathBuf::from("m"),
        manifest_json: Vec::new(),
        longest_ms: 60_000,
        longest_bytes: None,
        silence_ms: None,
        pictures: true,
    });
    let mut large = vec![0; 60_000];
    large[0] = 0x65;
    for _ in 0..6_000 {
        scene.rtp(A, Kind::Video, &large);
    }
    let most = 256 * 1024 * 1024 / large.len();
    assert!(
        (most - 2..=most).contains(&scene.memory.spooled),
        "{}",
        scene.memory.spooled
    );
    let cause = RecordingStop::Longest;
    assert_eq!(scene.memory.events, [Event::RecordingStopped { cause }]);
}

#[test]
fn a_session_closed_while_recording_ends_the_recording() {
    let mut scene = Scene::new();
    scene.say(Command::Record {
        path: PathBuf::from("m"),
        manifest_json: Vec::new(),
        longest_ms: 60_000,
        longest_bytes: None,
        silence_ms: None,
        pictures: true,
    });
    scene.say(Command::Close);
    assert_eq!(scene.memory.closed, Some(0));
}

#[test]
fn a_recording_begins_with_what_is_known_of_the_callers_clocks() {
    let mut scene = Scene::new();
    scene.rtp(A, Kind::Audio, &[0; 160]);
    let sending = Sending {
        ntp: 7 << 32,
        rtp: 5,
        packets: 1,
        octets: 160,
    };
    scene.rtcp(A, Kind::Audio, Some(sending), None);
    scene.say(Command::Record {
        path: PathBuf::from("m"),
        manifest_json: Vec::new(),
        longest_ms: 60_000,
        longest_bytes: None,
        silence_ms: None,
        pictures: true,
    });
    assert_eq!(scene.memory.spooled, 1);
}

#[test]
fn another_codec_is_told_in_the_spool_and_the_same_is_not() {
    let mut scene = Scene::new();
    scene.say(Command::Record {
        path: PathBuf::from("m"),
        manifest_json: Vec::new(),
        longest_ms: 60_000,
        longest_bytes: None,
        silence_ms: None,
        pictures: true,
    });
    scene.rtp(A, Kind::Audio, &[0; 160]);
    let mut agreed = stream(Kind::Audio);
    let configured = |scene: &mut Scene, agreed: &Stream| {
        let before = scene.memory.spooled;
        scene.say(Command::Configure {
            leg: A,
            audio: Some(agreed.clone()),
            video: Some(stream(Kind::Video)),
        });
        scene.memory.spooled - before
    };
    assert_eq!(configured(&mut scene, &agreed), 0, "the same");
    agreed.direction = Direction::SendOnly;
    assert_eq!(configured(&mut scene, &agreed), 0, "a hold");
    agreed.direction = Direction::SendRecv;
    agreed.format.codec = Codec::Opus;
    assert_eq!(configured(&mut scene, &agreed), 1);
    assert_eq!(configured(&mut scene, &agreed), 0, "told once");
    agreed.format.codec = Codec::Pcmu;
    assert_eq!(configured(&mut scene, &agreed), 1, "and back");
}
