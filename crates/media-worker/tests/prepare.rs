//! Files become packet caches: what is in them is decoded again and looked at.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use common::*;
use segue_media::amr::{Amr, Band, Modes, NO_REQUEST, Packing, Payload};
use segue_media::cache::Cache;
use segue_media::worker::{Job, Outcome};
use segue_tests::picture::Colour;
use segue_tests::sound::Sound;

/// Profiles made, with their level; duration; poster or not.
type Clip = (BTreeMap<String, Option<[u8; 3]>>, u64, bool);

fn clip(outcome: Outcome) -> Clip {
    let Outcome::Clip {
        duration_ms,
        renditions,
        poster,
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    (
        renditions
            .into_iter()
            .map(|made| (made.profile, made.profile_level_id))
            .collect(),
        duration_ms,
        poster.is_some(),
    )
}

fn refusal(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed { refused: true, why } => why,
        other => panic!("{other:?}"),
    }
}

/// NAL unit types of each frame, in order; asserts that packets are single NAL units that fit.
fn frames(cache: &Cache) -> Vec<Vec<u8>> {
    let mut frames: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    for entry in cache.entries.iter() {
        let payload = cache.payload_of(entry);
        assert!(payload.len() <= 1300, "{}", payload.len());
        assert_eq!(u64::from(entry.rtp_time), u64::from(entry.time_us) * 9 / 100);
        frames.entry(entry.time_us).or_default().push(payload[0] & 0x1f);
    }
    frames.into_values().collect()
}

/// The first key frame from `from_us` on, as a picture.
fn picture(cache: &Cache, from_us: u32, folder: &Path) -> std::path::PathBuf {
    let after: Vec<_> = cache.entries.iter().filter(|entry| entry.time_us >= from_us).collect();
    let first = after.iter().position(|entry| entry.starts_key_frame()).unwrap();
    let mut stream = Vec::new();
    for entry in &after[first..] {
        stream.extend([0, 0, 0, 1]);
        stream.extend(cache.payload_of(entry));
        if entry.ends_frame() {
            break;
        }
    }
    let (h264, png) = (folder.join("frame.h264"), folder.join("frame.png"));
    std::fs::write(&h264, stream).unwrap();
    ffmpeg(&["-f", "h264", "-i", &text(&h264)], &png);
    png
}

/// What a cache of bytes without frames sounds like, decoded by ffmpeg.
fn sound(cache: &Cache, law: &str, folder: &Path) -> Sound {
    let (raw, wav) = (folder.join("sound.raw"), folder.join("sound.wav"));
    std::fs::write(&raw, &cache.payload).unwrap();
    let input = text(&raw);
    let rate: &[&str] = if law == "g722" {
        &[]
    } else {
        &["-ar", "8000", "-ac", "1"]
    };
    let to_wav = ["-c:a", "pcm_s16le", "-ar", "8000", "-bitexact"];
    ffmpeg(&[&["-f", law], rate, &["-i", &input], &to_wav].concat(), &wav);
    Sound::read_wav(&wav)
}

fn opus_sound(cache: &Cache, folder: &Path) -> Sound {
    let (ogg, wav) = (folder.join("sound.opus"), folder.join("sound.wav"));
    let packets = cache.entries.iter().map(|entry| cache.payload_of(entry).to_vec());
    std::fs::write(&ogg, ogg_opus(packets)).unwrap();
    let to_wav = ["-c:a", "pcm_s16le", "-ar", "8000", "-bitexact"];
    ffmpeg(&[&["-i", &text(&ogg)], &to_wav[..]].concat(), &wav);
    Sound::read_wav(&wav)
}

/// Integrated loudness by ffmpeg's meter, LUFS.
fn loudness(file: &Path) -> f64 {
    let said = Command::new("ffmpeg")
        .args([
            "-nostats",
            "-i",
            &text(file),
            "-af",
            "ebur128=framelog=verbose",
            "-f",
            "null",
            "-",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let summary = said.rsplit("Summary:").next().unwrap();
    let value = summary.split("I:").nth(1).unwrap().split("LUFS").next().unwrap();
    value.trim().parse().unwrap()
}

#[test]
fn a_quiet_and_a_loud_clip_come_out_alike_and_silence_stays_silence() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = Worker::start();
    // Something like speech: noise in syllables.
    let speech = "anoisesrc=color=pink:d=6:seed=7:r=48000,highpass=f=200,lowpass=f=3000,tremolo=f=4:d=0.9";
    let mut measured = Vec::new();
    for (name, filter) in [
        ("quiet", format!("{speech},volume=-28dB")),
        (
            "loud",
            format!("{speech},volume=12dB,alimiter=limit=0.98:level=disabled"),
        ),
    ] {
        let input = folder.path().join(format!("{name}.wav"));
        ffmpeg(&["-f", "lavfi", "-i", &filter], &input);
        let before = loudness(&input);
        let out = common::folder(folder.path(), name);
        clip(worker.prepare(&input, &out));
        for profile in ["opus", "g722", "pcmu"] {
            let cache = cache(&out, profile);
            match profile {
                "opus" => drop(opus_sound(&cache, &out)),
                "g722" => drop(sound(&cache, "g722", &out)),
                _ => drop(sound(&cache, "mulaw", &out)),
            }
            measured.push((name, profile, before, loudness(&out.join("sound.wav"))));
        }
    }
    assert!(
        measured[3].2 - measured[0].2 > 25.0,
        "they began far apart: {measured:?}"
    );
    for (quiet, loud) in measured[..3].iter().zip(&measured[3..]) {
        assert!((quiet.3 - loud.3).abs() <= 1.0, "{measured:?}");
    }
    // Codecs change noise a little.
    for (_, _, _, after) in &measured {
        assert!((after + 23.0).abs() < 1.5, "{measured:?}");
    }
    let (silent, out) = (
        folder.path().join("silent.wav"),
        common::folder(folder.path(), "silent"),
    );
    ffmpeg(&["-f", "lavfi", "-i", "anullsrc=r=48000:cl=mono:d=1"], &silent);
    clip(worker.prepare(&silent, &out));
    assert!(cache(&out, "pcmu").payload.iter().all(|byte| *byte | 0x80 == 0xff));
    assert!(cache(&out, "opus").entries.iter().all(|entry| entry.len < 10));
}

#[test]
fn the_sample_clip_is_prepared_in_every_rendition() {
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../media/make-samples.sh");
    assert!(Command::new(script).arg(folder.path()).status().unwrap().success());
    let input = text(&folder.path().join("clip.mp4"));
    let job = Job::PrepareClip {
        input,
        out_dir: text(folder.path()),
        longest_ms: 8000,
    };
    let (said, outcome) = Worker::start().run(job);
    assert!(said.len() > 10 && said.is_sorted_by(|a, b| a < b), "{said:?}");
    let (made, duration_ms, poster) = clip(outcome);
    let large = Some([0x42, 0xc0, 30]);
    let small = Some([0x42, 0xc0, 12]);
    let expected = [
        ("pcmu", None),
        ("pcma", None),
        ("h264-360-1", large),
        ("h264-360-0", large),
        ("h264-180-1", small),
        ("h264-180-0", small),
        ("vp8-360", None),
        ("vp8-180", None),
        ("g722", None),
        ("opus", None),
    ];
    let amr = AMR.map(|(name, ..)| (name, None));
    let expected = expected.into_iter().chain(amr);
    assert_eq!(made, expected.map(|(name, level)| (name.to_owned(), level)).collect());
    assert_eq!((duration_ms, poster), (8000, true));
    assert_eq!(colour_of(&folder.path().join("poster.jpg")), Some(Colour::Green));
    for profile in ["h264-360-1", "h264-180-1"] {
        let cache = cache(folder.path(), profile);
        assert_eq!(
            (cache.clock_rate, cache.loop_us, cache.loop_rtp),
            (90_000, 8_000_000, 720_000)
        );
        let frames = frames(&cache);
        assert_eq!(frames.len(), 200);
        for (n, frame) in frames.iter().enumerate() {
            let expected: &[u8] = if n % 25 == 0 { &[7, 8, 5] } else { &[1] };
            assert!(frame.starts_with(expected), "frame {n}: {frame:?}");
        }
        for from_us in [0, 3_500_000] {
            assert_eq!(
                Colour::of_file(&picture(&cache, from_us, folder.path())),
                Some(Colour::Green),
                "{profile}"
            );
        }
        let bit_s = cache.payload.len() as u64;
        assert!(bit_s < 600_000, "{profile} {bit_s} bit/s");
    }
    for (profile, width, height) in [("vp8-360", 640, 360), ("vp8-180", 320, 180)] {
        let cache = cache(folder.path(), profile);
        assert_eq!((cache.clock_rate, cache.loop_rtp), (90_000, 720_000));
        assert!(cache.entries.iter().all(|entry| entry.len <= 1194));
        let frames = vp8_frames(&cache);
        assert_eq!(frames.len(), 200);
        for (n, (key, frame)) in frames.iter().enumerate() {
            assert_eq!((*key, frame[0] & 1 == 0), (n % 25 == 0, n % 25 == 0), "frame {n}");
        }
        // RFC 6386 §9.1: the sizes follow the start code of a key frame.
        assert_eq!(frames[0].1[3..6], [0x9d, 0x01, 0x2a]);
        let side = |at: usize| u16::from_le_bytes([frames[0].1[at], frames[0].1[at + 1]]);
        assert_eq!((side(6), side(8)), (width, height));
        for from in [0, 100] {
            let rest: Vec<_> = frames[from..].iter().map(|(_, frame)| frame.clone()).collect();
            let (file, png) = (folder.path().join("frame.ivf"), folder.path().join("frame.png"));
            std::fs::write(&file, ivf(&rest)).unwrap();
            ffmpeg(&["-i", &text(&file), "-frames:v", "1"], &png);
            assert_eq!(Colour::of_file(&png), Some(Colour::Green), "{profile} from {from}");
        }
        let bit_s = cache.payload.len() as u64;
        assert!(bit_s < 600_000, "{profile} {bit_s} bit/s");
    }
    let opus = cache(folder.path(), "opus");
    assert_eq!(
        (opus.clock_rate, opus.loop_us, opus.loop_rtp, opus.entries.len()),
        (48_000, 8_000_000, 384_000, 400)
    );
    assert!(opus.entries.iter().zip(0..).all(|(entry, n)| entry.rtp_time == n * 960));
    let heard = opus_sound(&opus, folder.path());
    for at_ms in [100, 4000, 7800] {
        assert_eq!(heard.tone_at(at_ms, 100), Some(880), "opus at {at_ms}");
    }
    for (profile, law) in [("pcmu", "mulaw"), ("pcma", "alaw"), ("g722", "g722")] {
        let cache = cache(folder.path(), profile);
        assert_eq!(
            (cache.clock_rate, cache.loop_us, cache.loop_rtp),
            (8000, 8_000_000, 64_000),
            "{profile}"
        );
        assert_eq!(cache.entries.len(), 400);
        assert!(cache.entries.iter().all(|entry| entry.len == 160));
        let sound = sound(&cache, law, folder.path());
        for at_ms in [100, 4000, 7800] {
            assert_eq!(sound.tone_at(at_ms, 100), Some(880), "{profile} at {at_ms}");
        }
    }
    for (profile, amr, mode) in AMR {
        let cache = cache(folder.path(), profile);
        let rate = amr.band.clock_rate();
        assert_eq!(
            (cache.clock_rate, cache.loop_us, cache.loop_rtp, cache.entries.len()),
            (rate, 8_000_000, rate * 8, 400),
            "{profile}"
        );
        let sound = amr_sound(&cache, amr, mode, folder.path());
        for at_ms in [100, 4000, 7800] {
            assert_eq!(sound.tone_at(at_ms, 100), Some(880), "{profile} at {at_ms}");
        }
    }
}

/// Every rendition in AMR: what its payloads are, and the speech mode of each.
const AMR: [(&str, Amr, u8); 10] = {
    const fn amr(band: Band, packing: Packing) -> Amr {
        let modes = Modes::all(band);
        Amr { band, packing, modes }
    }
    let [be, oa] = [Packing::BandwidthEfficient, Packing::OctetAligned];
    let [narrow, wide] = [Band::Narrow, Band::Wide];
    [
        ("amr-12.2-be", amr(narrow, be), 7),
        ("amr-12.2-oa", amr(narrow, oa), 7),
        ("amr-7.4-be", amr(narrow, be), 4),
        ("amr-7.4-oa", amr(narrow, oa), 4),
        ("amr-4.75-be", amr(narrow, be), 0),
        ("amr-4.75-oa", amr(narrow, oa), 0),
        ("amr-wb-12.65-be", amr(wide, be), 2),
        ("amr-wb-12.65-oa", amr(wide, oa), 2),
        ("amr-wb-6.6-be", amr(wide, be), 0),
        ("amr-wb-6.6-oa", amr(wide, oa), 0),
    ]
};

/// What a cache of AMR sounds like, decoded by ffmpeg from a file as RFC 4867 §5 has it.
fn amr_sound(cache: &Cache, amr: Amr, mode: u8, folder: &Path) -> Sound {
    let magic = match amr.band {
        Band::Narrow => "#!AMR\n",
        Band::Wide => "#!AMR-WB\n",
    };
    let mut file = magic.as_bytes().to_vec();
    for entry in cache.entries.iter() {
        let payload = Payload::parse(amr, cache.payload_of(entry)).unwrap();
        assert_eq!((payload.count(), payload.request()), (1, NO_REQUEST));
        for frame in payload.frames() {
            assert_eq!((frame.kind, frame.intact), (mode, true));
            frame.store(&mut file);
        }
    }
    let (amr, wav) = (folder.join("sound.amr"), folder.join("sound.wav"));
    std::fs::write(&amr, file).unwrap();
    ffmpeg(
        &["-i", &text(&amr), "-c:a", "pcm_s16le", "-ar", "8000", "-bitexact"],
        &wav,
    );
    Sound::read_wav(&wav)
}

#[test]
fn the_beep_is_over_when_its_tone_is() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = Worker::start()
        .run(Job::PrepareBeep {
            out_dir: text(folder.path()),
        })
        .1;
    let (made, duration_ms, poster) = clip(outcome);
    assert_eq!((made.len(), duration_ms, poster), (20, 400, true));
    assert_eq!(
        Colour::of_file(&picture(&cache(folder.path(), "h264-360-1"), 0, folder.path())),
        Some(Colour::Grey)
    );
    let sound = sound(&cache(folder.path(), "pcmu"), "mulaw", folder.path());
    assert_eq!(sound.tone_at(100, 200), Some(1400));
    assert_eq!(sound.tone_at(300, 90), Some(1400));
}

#[test]
fn the_notice_of_a_full_mailbox_says_and_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = Worker::start()
        .run(Job::PrepareNotice {
            out_dir: text(folder.path()),
        })
        .1;
    let (made, duration_ms, poster) = clip(outcome);
    assert_eq!((made.len(), poster), (20, true));
    // Six tones with their pauses last 3,960 ms, the voice longer.
    assert!((3_900..20_000).contains(&duration_ms), "{duration_ms} ms");
    let card = picture(&cache(folder.path(), "h264-360-1"), 0, folder.path());
    assert_eq!(
        Colour::of_file(&card),
        Some(Colour::Other),
        "it is no party's, nor the recording's card"
    );
    let sound = sound(&cache(folder.path(), "pcmu"), "mulaw", folder.path());
    assert_eq!(sound.samples.len() as u64, duration_ms * 8);
    let loud = sound.samples.iter().filter(|s| s.unsigned_abs() > 1_000).count();
    assert!(loud > sound.samples.len() / 10, "{loud} of {}", sound.samples.len());
    assert!(!folder.path().join("notice.wav").exists());
}

#[test]
fn sound_and_picture_of_different_length_loop_together() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("a.mkv");
    let video = [
        "-f",
        "lavfi",
        "-i",
        "color=red:s=640x480:r=10:d=1",
        "-f",
        "lavfi",
        "-i",
        "sine=440:d=2.9",
    ];
    ffmpeg(&[&video[..], &["-c:v", "ffv1"]].concat(), &input);
    let (_, duration_ms, _) = clip(Worker::start().prepare(&input, folder.path()));
    assert_eq!(duration_ms, 2920);
    let video = cache(folder.path(), "h264-360-1");
    let audio = cache(folder.path(), "pcma");
    assert_eq!(video.loop_us, audio.loop_us);
    // The last frame stands, with a key frame each second for who asks.
    let frames = frames(&video);
    assert_eq!(frames.len(), 73);
    assert_eq!(frames.iter().filter(|frame| frame.contains(&5)).count(), 3);
    assert_eq!(audio.entries.len(), 146);
    // 4:3 in 16:9 stands between black bars of 80 pixels.
    let png = picture(&video, 2_000_000, folder.path());
    let part = |x: u32| {
        let part = folder.path().join(format!("part{x}.png"));
        ffmpeg(&["-i", &text(&png), "-vf", &format!("crop=60:360:{x}:0")], &part);
        Colour::of_file(&part)
    };
    assert_eq!(
        [part(10), part(300), part(570)],
        [Some(Colour::Black), Some(Colour::Red), Some(Colour::Black)]
    );
}

#[test]
fn sound_alone_and_picture_alone_are_clips() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = Worker::start();
    let (wav, webm) = (folder.path().join("a.wav"), folder.path().join("a.webm"));
    ffmpeg(&["-f", "lavfi", "-i", "sine=440:d=1.01"], &wav);
    ffmpeg(
        &["-f", "lavfi", "-i", "color=blue:s=320x240:r=30:d=1", "-c:v", "libvpx"],
        &webm,
    );
    let (made, duration_ms, poster) = clip(worker.prepare(&wav, &common::folder(folder.path(), "wav")));
    // A caller with video sees a card while it hears, never black; the clip itself has no picture, hence no poster.
    assert!(made.contains_key("pcma") && made.contains_key("pcmu") && made.len() == 20);
    assert_eq!((duration_ms, poster), (1040, false));
    let card = picture(
        &common::cache(&folder.path().join("wav"), "h264-360-1"),
        0,
        folder.path(),
    );
    assert_ne!(Colour::of_file(&card), Some(Colour::Black));
    let (made, duration_ms, poster) = clip(worker.prepare(&webm, &common::folder(folder.path(), "webm")));
    assert!(
        made.keys()
            .all(|profile| profile.starts_with("h264-") || profile.starts_with("vp8-"))
            && made.len() == 6
    );
    assert_eq!((duration_ms, poster), (1000, true));
}

#[test]
fn what_is_no_clip_is_refused_and_the_worker_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = Worker::start();
    let mut refused = |name: &str, bytes: &[u8]| {
        let input = folder.path().join(name);
        std::fs::write(&input, bytes).unwrap();
        refusal(worker.prepare(&input, folder.path()))
    };
    assert!(refused("text.txt", b"Call me back, please. This is text.\n").contains("no audio or video"));
    assert!(refused("empty.mp4", b"").len() > 5);
    assert!(
        refused(
            "noise.mp4",
            &(0..9999u32).map(|n| ((n * n) >> 3) as u8).collect::<Vec<_>>()
        )
        .len()
            > 5
    );
    assert!(refusal(worker.prepare(Path::new("/nowhere/at/all.mp4"), folder.path())).contains("not a file"));
    let still = folder.path().join("still.png");
    ffmpeg(&["-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", "1"], &still);
    assert!(refusal(worker.prepare(&still, folder.path())).contains("still picture"));
    let wav = folder.path().join("a.wav");
    ffmpeg(&["-f", "lavfi", "-i", "sine=440:d=3"], &wav);
    let job = Job::PrepareClip {
        input: text(&wav),
        out_dir: text(folder.path()),
        longest_ms: 2000,
    };
    assert_eq!(refusal(worker.run(job).1), "longer than 2 s, the longest clip");
    clip(worker.prepare(&wav, folder.path()));
}

#[test]
fn a_clip_that_names_another_place_is_not_followed_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = Worker::start();
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let at = elsewhere.local_addr().unwrap();
    let lists = [
        (
            "a.m3u8",
            format!("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://{at}/a.ts\n"),
        ),
        (
            "a.sdp",
            format!("v=0\r\no=- 0 0 IN IP4 {at}\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"),
        ),
        ("a.uri", format!("http://{at}/a.mp4\r\n")),
        (
            "a.mpd",
            format!(
                "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
                 mediaPresentationDuration=\"PT9S\" profiles=\"urn:mpeg:dash:profile:isoff-on-demand:2011\"><Period>\
                 <AdaptationSet mimeType=\"video/mp4\"><Representation id=\"1\" bandwidth=\"9\"><BaseURL>http://{at}/a.mp4\
                 </BaseURL></Representation></AdaptationSet></Period></MPD>"
            ),
        ),
    ];
    for (name, list) in lists {
        let input = folder.path().join(name);
        std::fs::write(&input, list).unwrap();
        let why = refusal(worker.prepare(&input, folder.path()));
        assert!(!why.is_empty());
        assert!(elsewhere.accept().is_err(), "{name} was followed");
    }
}
