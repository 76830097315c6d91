use std::{
    path::Path,
    time::{Duration, Instant},
};

use segue_media::{
    Command, Event, RecordingStop,
    spool::{AUDIO_STREAM, End, Record, RecordKind, SpoolReader, VIDEO_STREAM},
};
use segue_sdp::{Direction, Kind};

use crate::peer::*;

const MANIFEST: &[u8] = br#"{"message_id":"m1"}"#;

fn record(path: &Path, longest_ms: u64, silence_ms: Option<u64>) -> Command {
    Command::Record {
        path: path.to_owned(),
        manifest_json: MANIFEST.to_vec(),
        longest_ms,
        longest_bytes: None,
        silence_ms,
        pictures: true,
    }
}

fn read(path: &Path) -> (Vec<Record>, Option<End>) {
    let mut reader = SpoolReader::open(path).unwrap();
    (reader.by_ref().collect(), reader.ended())
}

#[test]
fn a_recording_comes_back_from_its_spool() {
    let spool = tempfile::tempdir().unwrap();
    let path = spool.path().join("m1.spool");
    let house = House::new(spool.path());
    let mut a = Phone::new(&house, A);
    a.configure(&house, Direction::SendRecv);
    house.say(record(&path, 60_000, None));
    assert!(a.video.hears_rtcp(206, Some(1)), "a key frame is asked for at once");

    a.video.send(96, &[0x41, 0]);
    a.video.send(96, &[0x67, 1]);
    a.video.send(96, &[0x65, 2]);
    for n in 0..10 {
        a.audio.send(0, &[n; 160]);
        std::thread::sleep(Duration::from_millis(20));
    }
    let timestamp = a.audio.timestamp;
    a.audio.send_at(101, timestamp, &[11, 0x8a, 0, 240]);
    a.audio.send(0, &[10; 160]);
    house.wait(|event| matches!(event, Event::Dtmf { leg: A, key: '#' }).then_some(()));
    std::thread::sleep(Duration::from_millis(50));
    house.say(Command::StopRecording {
        cause: "key".to_owned(),
    });
    let duration_ms = house.wait(|event| match event {
        Event::Recorded { path: of, duration_ms } => {
            assert_eq!(of, &path);
            Some(*duration_ms)
        }
        _ => None,
    });
    assert!((180..5_000).contains(&duration_ms), "{duration_ms}");

    let (records, end) = read(&path);
    assert_eq!(end, Some(End::OfFile));
    assert_eq!((records[0].kind, &records[0].packet[..]), (RecordKind::Meta, MANIFEST));
    let last = records.last().unwrap();
    assert_eq!(last.kind, RecordKind::Meta);
    let tail: serde_json::Value = serde_json::from_slice(&last.packet).unwrap();
    assert_eq!(tail, serde_json::json!({ "duration_ms": duration_ms, "cause": "key" }));
    let of = |stream| {
        let rtp = records
            .iter()
            .filter(move |record| record.kind == RecordKind::Rtp && record.stream == stream);
        rtp.map(|record| record.packet[12]).collect::<Vec<u8>>()
    };
    assert_eq!(
        of(AUDIO_STREAM),
        (0..=10).collect::<Vec<u8>>(),
        "all audio, and no key press"
    );
    assert_eq!(
        of(VIDEO_STREAM),
        [0x41, 0x67, 0x65],
        "also what comes before the key frame, whose rest might"
    );
    assert!(
        records
            .windows(2)
            .all(|two| two[0].arrival_ns <= two[1].arrival_ns || two[1].kind == RecordKind::Meta)
    );
}

#[test]
fn a_recording_cut_by_a_crash_is_readable_up_to_its_last_whole_record() {
    let spool = tempfile::tempdir().unwrap();
    let path = spool.path().join("m1.spool");
    let house = House::new(spool.path());
    let mut a = Phone::new(&house, A);
    a.configure(&house, Direction::SendRecv);
    house.say(record(&path, 60_000, None));
    let until = Instant::now() + Duration::from_millis(400);
    while Instant::now() < until {
        a.audio.send(0, &[1; 160]);
        std::thread::sleep(Duration::from_millis(20));
    }
    // What a kill would leave: the file as it is now, and a write that was not whole.
    std::thread::sleep(Duration::from_millis(300));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 7);
    let mut reader = SpoolReader::new(&bytes[..]);
    let records: Vec<Record> = reader.by_ref().collect();
    assert!(records.len() > 10, "{} records", records.len());
    assert_eq!(reader.ended(), Some(End::BadRecord));
    assert_eq!(records[0].packet, MANIFEST);
}

#[test]
fn silence_ends_a_recording_and_speech_does_not() {
    let spool = tempfile::tempdir().unwrap();
    let path = spool.path().join("m1.spool");
    let house = House::new(spool.path());
    let mut a = Phone::new(&house, A);
    house.say(Command::Configure {
        leg: A,
        audio: Some(a.stream(Kind::Audio, Direction::SendRecv)),
        video: None,
    });
    house.say(record(&path, 60_000, Some(600)));
    for _ in 0..50 {
        a.audio.send(0, &[0x10; 160]);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(house.events_for(Duration::ZERO), [], "speech");
    let quiet = Instant::now();
    while quiet.elapsed() < Duration::from_millis(900) {
        a.audio.send(0, &[0xff; 160]);
        std::thread::sleep(Duration::from_millis(20));
    }
    let silence = Event::RecordingStopped {
        cause: RecordingStop::Silence,
    };
    assert_eq!(house.events_for(Duration::from_millis(100)), [silence]);
}

#[test]
fn the_longest_length_ends_a_recording() {
    let spool = tempfile::tempdir().unwrap();
    let house = House::new(spool.path());
    let a = Phone::new(&house, A);
    a.configure(&house, Direction::SendRecv);
    house.say(record(&spool.path().join("m1.spool"), 300, None));
    house.wait(|event| match event {
        Event::RecordingStopped { cause } => {
            assert_eq!(*cause, RecordingStop::Longest);
            Some(())
        }
        _ => None,
    });
}

#[test]
fn a_caller_that_stops_sending_ends_a_recording() {
    let spool = tempfile::tempdir().unwrap();
    let house = House::with(spool.path(), 300);
    let a = Phone::new(&house, A);
    a.configure(&house, Direction::SendRecv);
    house.say(record(&spool.path().join("m1.spool"), 60_000, None));
    house.wait(|event| match event {
        Event::RecordingStopped { cause } => {
            assert_eq!(*cause, RecordingStop::RtpGone);
            Some(())
        }
        _ => None,
    });
}

#[test]
fn a_spool_that_cannot_be_made_is_told() {
    let spool = tempfile::tempdir().unwrap();
    let house = House::new(spool.path());
    let a = Phone::new(&house, A);
    a.configure(&house, Direction::SendRecv);
    house.say(record(&spool.path().join("no/such/folder/m1.spool"), 60_000, None));
    let why = house.wait(|event| match event {
        Event::RecordFailed { why } => Some(why.clone()),
        _ => None,
    });
    assert!(why.contains("m1.spool"), "{why}");
}

#[test]
fn shutting_down_ends_a_recording_in_order() {
    let spool = tempfile::tempdir().unwrap();
    let path = spool.path().join("m1.spool");
    let house = House::new(spool.path());
    let mut a = Phone::new(&house, A);
    a.configure(&house, Direction::SendRecv);
    house.say(record(&path, 60_000, None));
    house.events_for(Duration::from_millis(50));
    a.audio.send(0, &[1; 160]);
    house.events_for(Duration::from_millis(50));
    house.media.shutdown();
    let (records, _) = read(&path);
    assert!(
        records.last().unwrap().packet.ends_with(br#""duration_ms":0}"#),
        "{records:?}"
    );
    assert_eq!(records.len(), 3);
}
