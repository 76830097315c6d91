//! `segue clip` beside a running store.

use std::fs;

use crate::fixture::{Segue, clip, keys, sorted};
use segue_mailbox::RenditionProfile;
use segue_store::{NewClip, NewRendition};
use serde_json::{Value, json};

#[test]
fn clips_are_listed_with_who_uses_them_and_the_beep_is_ours() {
    let segue = Segue::new();
    let server = segue.store();
    server.put_clip(clip("ring")).unwrap();
    server.put_clip(clip("beep")).unwrap();
    segue.ok(&[
        "subscriber",
        "add",
        "bob",
        "--target",
        "sip:bob@127.0.0.1",
        "--greeting",
        "ring",
    ]);
    let list = segue.json(&["clip", "list"]);
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(
        keys(&list[0]),
        sorted([
            "id",
            "name",
            "owner",
            "duration_ms",
            "bytes",
            "has_video",
            "has_poster",
            "renditions",
            "missing",
            "used_by",
            "uses",
            "uses_more"
        ])
    );
    assert!(list[0]["id"].is_string());
    assert_eq!(
        list[0]["missing"],
        json!([
            "pcma",
            "g722",
            "opus",
            "amr-12.2-be",
            "amr-12.2-oa",
            "amr-7.4-be",
            "amr-7.4-oa",
            "amr-4.75-be",
            "amr-4.75-oa",
            "amr-wb-12.65-be",
            "amr-wb-12.65-oa",
            "amr-wb-6.6-be",
            "amr-wb-6.6-oa",
            "h264-180-1",
            "vp8-360",
            "vp8-180"
        ]),
        "an older version prepared it"
    );
    let doctor: Value = serde_json::from_str(&segue.run(&["doctor", "--json"]).out).unwrap();
    let checks = doctor.as_array().unwrap();
    let found = checks.iter().find(|check| check["check"] == "clips").unwrap();
    assert!(found.to_string().contains("segue clip refresh"), "{found}");
    assert_eq!(list[0]["renditions"][0], json!({"profile": "pcmu", "bytes": 100}));
    assert_eq!(
        (&list[0]["duration_ms"], &list[0]["used_by"]),
        (&json!(3000), &json!(["bob"]))
    );
    assert!(
        segue
            .ok(&["clip", "list"])
            .contains("ring  3.0 s   pcmu, h264-360-1  200    bob")
    );
}

#[test]
fn a_clip_in_use_is_not_removed() {
    let segue = Segue::new();
    segue.store().put_clip(clip("ring")).unwrap();
    segue.ok(&[
        "subscriber",
        "add",
        "bob",
        "--target",
        "sip:bob@127.0.0.1",
        "--clip",
        "ring",
    ]);
    let (said, line) = segue.fails(1, &["clip", "remove", "ring"]);
    assert_eq!(said["code"], "refused");
    assert!(line.contains("used by bob; fix: "), "{line}");
    segue.ok(&["subscriber", "set", "bob", "--clip", "none"]);
    assert_eq!(
        segue.json(&["clip", "remove", "ring"]),
        json!({"name": "ring", "removed": true})
    );
    segue.fails(3, &["clip", "remove", "ring"]);
}

#[test]
fn what_is_no_clip_is_refused_and_nothing_is_changed() {
    let segue = Segue::new();
    fs::write(segue.dir().join("empty.mp4"), b"").unwrap();
    fs::write(segue.dir().join("some.mp4"), b"x").unwrap();
    for (file, words) in [
        ("absent.mp4", "cannot be read"),
        (".", "it is no file"),
        ("empty.mp4", "it is empty"),
    ] {
        let (said, line) = segue.fails(1, &["clip", "add", "ring", file]);
        assert_eq!(said["code"], "unreadable");
        assert!(line.contains(words), "{line}");
    }
    for name in ["none", "beep", "a b", "", "../x"] {
        segue.fails(2, &["clip", "add", name, "some.mp4"]);
    }
    assert_eq!(segue.json(&["clip", "list"]), json!([]));
}

/// One second of 880 Hz, 8 kHz mono, as a WAV file (RIFF, PCM 16 bit).
fn tone() -> Vec<u8> {
    let samples: Vec<u8> = (0..8_000)
        .map(|n| (f64::from(n) * 880.0 / 8_000.0 * std::f64::consts::TAU).sin() * 12_000.0)
        .flat_map(|sample| (sample as i16).to_le_bytes())
        .collect();
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + samples.len() as u32).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data");
    wav.extend((samples.len() as u32).to_le_bytes());
    wav.extend(samples);
    wav
}

#[test]
fn a_file_is_prepared_beside_a_server_and_says_what_was_made() {
    let segue = Segue::new();
    let server = segue.store();
    fs::write(segue.dir().join("-tone.wav"), tone()).unwrap();
    let made = segue.json(&["clip", "add", "tone", "./-tone.wav"]);
    assert_eq!(made["name"], "tone");
    let duration = made["duration_ms"].as_u64().unwrap();
    assert!((900..=1_100).contains(&duration), "{made}");
    let profiles: Vec<&str> = made["renditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["profile"].as_str().unwrap())
        .collect();
    // With a card for callers who have video.
    assert_eq!(
        profiles,
        [
            "pcmu",
            "pcma",
            "g722",
            "opus",
            "amr-12.2-be",
            "amr-12.2-oa",
            "amr-7.4-be",
            "amr-7.4-oa",
            "amr-4.75-be",
            "amr-4.75-oa",
            "amr-wb-12.65-be",
            "amr-wb-12.65-oa",
            "amr-wb-6.6-be",
            "amr-wb-6.6-oa",
            "h264-360-1",
            "h264-360-0",
            "h264-180-1",
            "h264-180-0",
            "vp8-360",
            "vp8-180"
        ]
    );

    segue.ok(&[
        "subscriber",
        "add",
        "bob",
        "--target",
        "sip:bob@127.0.0.1",
        "--clip",
        "tone",
    ]);
    let found = server.lookup("bob").unwrap().unwrap().clip.unwrap();
    assert!(
        server
            .rendition(found.id, found.renditions[0].profile)
            .unwrap()
            .unwrap()
            .len()
            > 8_000
    );
    let again = segue.ok(&["clip", "add", "tone", "./-tone.wav"]);
    assert!(
        again.starts_with("clip tone: 1.0 s, video and audio, as pcmu, pcma, g722, opus, amr-12.2-be,"),
        "{again}"
    );
    assert_ne!(
        server.lookup("bob").unwrap().unwrap().clip.unwrap().id,
        found.id,
        "the next call gets the new one"
    );
}

#[test]
fn a_clip_for_all_is_not_put_over_a_subscriber_s_own() {
    let segue = Segue::new();
    let server = segue.store();
    segue.ok(&["subscriber", "add", "bob"]);
    let own = server.put_clip(clip("hello")).unwrap();
    server.own_clip("hello", "bob", 1).unwrap();
    fs::write(segue.dir().join("tone.wav"), tone()).unwrap();
    let (said, line) = segue.fails(1, &["clip", "add", "hello", "tone.wav"]);
    assert_eq!(said["code"], "refused");
    assert!(
        line.contains("the name 'hello' is taken; fix: choose another name"),
        "{line}"
    );
    assert_eq!(server.clip("hello").unwrap().id, own.id);
    // Once it is gone the name is free again.
    segue.ok(&["clip", "remove", "hello"]);
    segue.ok(&["clip", "add", "hello", "tone.wav"]);
    assert_eq!(server.clip_owner("hello").unwrap(), None);
}

#[test]
fn a_file_that_is_no_audio_or_video_is_refused_and_nothing_is_changed() {
    let segue = Segue::new();
    fs::write(segue.dir().join("story.txt"), "Once upon a time.\n".repeat(100)).unwrap();
    let (said, line) = segue.fails(1, &["clip", "add", "story", "story.txt"]);
    assert_eq!(said["code"], "refused");
    assert!(line.contains("; fix: give a file with audio or video"), "{line}");
    assert_eq!(segue.json(&["clip", "list"]), json!([]));
    assert_eq!(segue.store().totals().unwrap(), segue_store::Totals::default());
}

#[test]
fn what_an_older_version_did_not_make_is_made_beside_a_server_and_the_rest_stays() {
    let segue = Segue::new();
    let server = segue.store();
    fs::write(segue.dir().join("tone.wav"), tone()).unwrap();
    segue.json(&["clip", "add", "tone", "tone.wav"]);
    segue.ok(&[
        "subscriber",
        "add",
        "bob",
        "--target",
        "sip:bob@127.0.0.1",
        "--clip",
        "tone",
    ]);
    assert_eq!(segue.json(&["clip", "refresh"]), json!([]));
    assert_eq!(segue.json(&["clip", "refresh", "tone"])[0]["added"], json!([]));

    // As an older version had it.
    let whole = server.clip("tone").unwrap();
    let kept = [
        RenditionProfile::Pcmu,
        RenditionProfile::Opus,
        RenditionProfile::H264W640Mode1,
    ];
    let read = |clip: i64, profile| server.rendition(clip, profile).unwrap().unwrap();
    let renditions: Vec<NewRendition> = kept
        .iter()
        .map(|profile| NewRendition {
            profile: *profile,
            profile_level_id: whole
                .renditions
                .iter()
                .find(|r| r.profile == *profile)
                .unwrap()
                .profile_level_id,
            cache: read(whole.id, *profile),
        })
        .collect();
    let older = NewClip {
        name: "tone".to_owned(),
        duration_ms: whole.duration_ms,
        renditions: renditions.clone(),
        poster: None,
    };
    let older = server.put_clip(older).unwrap();
    let missing = older.missing();
    let said = segue.json(&["clip", "refresh"]);
    let added: Vec<&str> = missing.iter().map(|profile| profile.name()).collect();
    assert_eq!(said, json!([{"name": "tone", "added": added, "missing": []}]));
    let now = server.clip("tone").unwrap();
    assert_ne!(now.id, older.id, "who keeps it in memory reads it again");
    assert_eq!(now.duration_ms, older.duration_ms);
    for rendition in renditions {
        assert!(
            read(now.id, rendition.profile) == rendition.cache,
            "{:?} stays as it was",
            rendition.profile
        );
    }
    assert_eq!(segue.json(&["clip", "list"])[0]["used_by"], json!(["bob"]));
    segue.fails(3, &["clip", "refresh", "nothing"]);

    // One that cannot be is told of, and stays.
    server.put_clip(clip("rubbish")).unwrap();
    let failed = segue.run(&["clip", "refresh"]);
    assert_eq!(failed.code, 1);
    assert!(
        failed
            .err
            .contains("what is stored of rubbish as pcmu: not a packet cache"),
        "{}",
        failed.err
    );
    assert_eq!(server.clip("rubbish").unwrap().renditions.len(), 2);
}
