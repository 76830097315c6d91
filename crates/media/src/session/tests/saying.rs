//! Prompts, one after the other, under a picture that stays.

use super::*;

/// A sound of packets of 20 ms, each of this byte alone.
fn sound(byte: u8, packets: u32) -> Cache {
    let mut builder = CacheBuilder::new();
    for n in 0..packets {
        builder.push(n * 20_000, n * 160, &[byte], 0).unwrap();
    }
    builder.finish(8_000, packets * 20_000, packets * 160).unwrap()
}

fn say(sounds: &[(u8, u32)], video: bool) -> Command {
    Command::Say {
        source: 20,
        audio: sounds.iter().map(|(byte, packets)| sound(*byte, *packets)).collect(),
        video: video.then(video_clip),
    }
}

const PLAYED: Event = Event::Played { source: 20 };

/// What went to A's audio: first payload byte, marker, sequence number, timestamp.
fn audio(scene: &Scene) -> Vec<(u8, bool, u16, u32)> {
    let sent = scene.memory.rtp.iter().filter(|sent| sent.kind == Kind::Audio);
    let parsed = sent.map(|sent| Packet::parse(&sent.bytes).unwrap());
    parsed
        .map(|packet| (packet.rest[0], packet.marker, packet.sequence, packet.timestamp))
        .collect()
}

#[test]
fn sounds_follow_one_another_in_one_line_of_time_and_the_end_is_told_once() {
    let mut scene = Scene::new();
    scene.pass(5);
    scene.say(say(&[(1, 2), (2, 3), (3, 1)], false));
    scene.pass(118);
    assert!(!scene.memory.events.contains(&PLAYED), "the last packet is being heard");
    scene.pass(2);
    let sent = audio(&scene);
    let said: Vec<u8> = sent.iter().map(|(byte, ..)| *byte).take(6).collect();
    assert_eq!(said, [1, 1, 2, 2, 2, 3]);
    let markers: Vec<bool> = sent.iter().map(|(_, marker, ..)| *marker).take(6).collect();
    assert_eq!(markers, [true, false, false, false, false, false], "one source");
    for (before, after) in sent.iter().zip(sent.iter().skip(1)) {
        assert_eq!(
            (after.2, after.3),
            (before.2.wrapping_add(1), before.3.wrapping_add(160))
        );
    }
    scene.pass(1_000);
    assert_eq!(scene.memory.events.iter().filter(|event| **event == PLAYED).count(), 1);
    let switched = |kind| {
        let to = SwitchTo::Source(20);
        let told = |event: &&Event| matches!(event, Event::Switched { to: t, kind: k, .. } if (*t, *k) == (to, kind));
        scene.memory.events.iter().filter(told).count()
    };
    assert_eq!((switched(Kind::Audio), switched(Kind::Video)), (1, 0));
}

#[test]
fn the_picture_is_one_key_frame_that_stays_through_all_sounds_and_after_them() {
    let mut scene = Scene::new();
    scene.say(say(&[(1, 50), (2, 50)], true));
    assert_eq!(scene.payloads(A, Kind::Video), [0x67, 0x65], "at once");
    scene.pass(6_500);
    assert_eq!(
        scene.payloads(A, Kind::Video),
        [0x67, 0x65].repeat(4),
        "each two seconds"
    );
    scene.memory.rtp.clear();
    scene.say(say(&[(3, 1)], false));
    scene.pass(2_100);
    assert_eq!(
        scene.payloads(A, Kind::Video),
        [0x67, 0x65],
        "and under what is said without one"
    );
    scene.memory.rtp.clear();
    scene.pass(500);
    scene.rtcp(A, Kind::Video, None, Some(Feedback::Pli));
    assert_eq!(scene.payloads(A, Kind::Video), [0x67, 0x65], "who asks gets it again");
}

#[test]
fn nothing_to_say_is_silence_under_the_picture_that_is_there() {
    let mut scene = Scene::new();
    scene.say(say(&[(1, 5), (2, 5)], true));
    scene.pass(50);
    scene.say(say(&[], false));
    scene.memory.rtp.clear();
    scene.pass(2_000);
    assert!(audio(&scene).iter().all(|(byte, ..)| ![1, 2].contains(byte)));
    assert!(audio(&scene).len() > 90, "silence is sent");
    assert_eq!(scene.payloads(A, Kind::Video), [0x67, 0x65], "the picture stays");
    assert_eq!(scene.memory.events.iter().filter(|event| **event == PLAYED).count(), 1);
}

#[test]
fn what_comes_next_takes_the_place_of_all_that_was_to_be_said() {
    let mut scene = Scene::new();
    scene.say(say(&[(1, 2), (2, 100)], false));
    scene.pass(50);
    scene.say(say(&[(4, 2)], false));
    scene.memory.rtp.clear();
    scene.pass(500);
    assert!(audio(&scene).iter().all(|(byte, ..)| ![1, 2].contains(byte)));
    assert_eq!(scene.memory.events.iter().filter(|event| **event == PLAYED).count(), 1);
    scene.say(say(&[], false));
    assert_eq!(
        scene.memory.events.iter().filter(|event| **event == PLAYED).count(),
        2,
        "nothing to say"
    );
    scene.say(say(&[(5, 2), (6, 2)], false));
    scene.say(Command::Bridge { leg: B });
    scene.memory.rtp.clear();
    scene.pass(500);
    assert_eq!(audio(&scene), [], "B is heard now");
}
