//! What arrives is the picture that was sent, decoded and compared, under the timestamp that it had.

use std::collections::BTreeMap;
use std::str::FromStr;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSrc};

use super::*;

const WIDTH: usize = 320;
const HEIGHT: usize = 240;
/// Clock units of a picture at 25 a second.
const STEP: u32 = 3_600;
/// Where the source's time begins: it comes round within the test.
const BEGIN: u32 = 0xffff_0000;
const H264_FMTP: &str = "profile-level-id=42e01f;packetization-mode=1";

fn coded(encoding: &str, fmtp: &str) -> Coded {
    Coded {
        encoding: encoding.to_owned(),
        fmtp: Some(fmtp.to_owned()),
    }
}

fn h264() -> Coded {
    coded("H264", H264_FMTP)
}

fn vp8() -> Coded {
    coded("VP8", "max-fs=3600;max-fr=30")
}

/// A red ball that moves over blue, as a phone sends it: each picture's packets.
fn ball(encoding: &str, pictures: u32, seed: u32) -> Vec<Vec<Vec<u8>>> {
    film("ball", encoding, pictures, seed, (WIDTH, HEIGHT))
}

/// The same with another pattern of `videotestsrc`, in another size.
fn film(pattern: &str, encoding: &str, pictures: u32, seed: u32, (width, height): (usize, usize)) -> Vec<Vec<Vec<u8>>> {
    gst::init().unwrap();
    let coder = match encoding {
        "H264" => {
            "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=300 bitrate=800 ! video/x-h264,profile=constrained-baseline ! rtph264pay config-interval=-1"
        }
        _ => "vp8enc deadline=1 cpu-used=8 keyframe-max-dist=300 target-bitrate=800000 ! rtpvp8pay",
    };
    let line = format!(
        "videotestsrc num-buffers={pictures} pattern={pattern} foreground-color=0xffff0000 background-color=0xff0000ff ! \
         video/x-raw,format=I420,width={width},height={height},framerate=25/1 ! {coder} mtu=1200 \
         timestamp-offset={BEGIN} seqnum-offset=65500 ssrc={seed} pt=96 ! appsink name=out sync=false"
    );
    let mut all: Vec<Vec<Vec<u8>>> = vec![Vec::new()];
    for packet in run(&line, None) {
        let ends = packet[1] & 0x80 != 0;
        all.last_mut().unwrap().push(packet);
        if ends {
            all.push(Vec::new());
        }
    }
    all.pop();
    assert_eq!(all.len(), pictures as usize);
    all
}

/// Runs a pipeline to its end; with packets to feed, if any.
fn run(line: &str, feed: Option<(&str, &[Vec<u8>])>) -> Vec<Vec<u8>> {
    let pipeline = gst::parse::launch(line).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink: AppSink = pipeline.by_name("out").unwrap().downcast().unwrap();
    if let Some((caps, packets)) = feed {
        let source: AppSrc = pipeline.by_name("in").unwrap().downcast().unwrap();
        source.set_caps(Some(&gst::Caps::from_str(caps).unwrap()));
        source.set_format(gst::Format::Time);
        source.set_max_bytes(0);
        pipeline.set_state(gst::State::Playing).unwrap();
        for packet in packets {
            let mut buffer = gst::Buffer::from_mut_slice(packet.clone());
            // Time enough to tell one picture by its timestamp.
            let units = timestamp(packet).wrapping_sub(BEGIN);
            let ns = u64::from(units) * 1_000_000_000 / 90_000;
            buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_nseconds(ns));
            source.push_buffer(buffer).unwrap();
        }
        source.end_of_stream().unwrap();
    } else {
        pipeline.set_state(gst::State::Playing).unwrap();
    }
    let mut all = Vec::new();
    while let Ok(sample) = sink.pull_sample() {
        let buffer = sample.buffer().unwrap();
        let mut bytes = buffer.map_readable().unwrap().to_vec();
        if feed.is_some() {
            // Which picture it is goes before it.
            let number = (buffer.pts().unwrap().nseconds() as f64 * 25.0 / 1e9).round() as u32;
            bytes.splice(0..0, number.to_be_bytes());
        }
        all.push(bytes);
    }
    pipeline.set_state(gst::State::Null).unwrap();
    all
}

fn timestamp(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[4..8].try_into().unwrap())
}

fn sequence(packet: &[u8]) -> u16 {
    u16::from_be_bytes(packet[2..4].try_into().unwrap())
}

/// The pictures of a stream by their number, RGB.
fn decoded(encoding: &str, packets: &[Vec<u8>]) -> BTreeMap<u32, Vec<u8>> {
    let decoder = match encoding {
        "H264" => "rtph264depay ! h264parse ! avdec_h264 max-threads=1",
        _ => "rtpvp8depay ! vp8dec",
    };
    let line = format!(
        "appsrc name=in ! {decoder} ! videoconvert ! video/x-raw,format=RGB,width={WIDTH},height={HEIGHT} ! \
         appsink name=out sync=false max-buffers=1000"
    );
    let caps = format!("application/x-rtp,media=video,clock-rate=90000,encoding-name={encoding},payload=96");
    let split = |frame: Vec<u8>| (u32::from_be_bytes(frame[..4].try_into().unwrap()), frame[4..].to_vec());
    run(&line, Some((&caps, packets))).into_iter().map(split).collect()
}

/// How far the two differ, of 255 for each colour of each pixel.
fn difference(one: &[u8], other: &[u8]) -> f64 {
    assert_eq!(one.len(), other.len());
    let all: u64 = one.iter().zip(other).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    all as f64 / one.len() as f64
}

/// Where the red is.
fn ball_at(picture: &[u8]) -> (usize, usize) {
    let (mut x, mut y, mut n) = (0, 0, 0);
    for (at, pixel) in picture.chunks_exact(3).enumerate() {
        if pixel[0] > 150 && pixel[2] < 100 {
            (x, y, n) = (x + at % WIDTH, y + at / WIDTH, n + 1);
        }
    }
    assert!(n > 100, "there is no ball: {n} red pixels");
    (x / n, y / n)
}

/// A source, and a process that makes it what the other side sees.
struct Road {
    process: Process,
    made: Vec<Vec<u8>>,
    /// How long each picture took, from the last of its packets to the first of what was made of it.
    took: Vec<Duration>,
    sent: BTreeMap<u32, Instant>,
    asked: usize,
}

impl Road {
    fn new(from: Coded, to: Coded) -> Road {
        Road {
            process: Process::with(from, to),
            made: Vec::new(),
            took: Vec::new(),
            sent: BTreeMap::new(),
            asked: 0,
        }
    }

    fn send(&mut self, packet: &[u8]) {
        self.sent.insert(timestamp(packet), Instant::now());
        self.process.say(Words::Picture {
            of_caller: true,
            generation: 1,
            packet,
        });
    }

    fn want_key_frame(&self) {
        self.process.say(Words::KeyFrame {
            of_caller: true,
            generation: 1,
        });
    }

    /// Takes what comes back for so long.
    fn wait(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        while let Ok((at, message)) = self
            .process
            .back
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            match Words::parse(&message) {
                Some(Words::Picture {
                    of_caller: true,
                    generation: 1,
                    packet,
                }) => {
                    if let Some(sent) = self.sent.remove(&timestamp(packet)) {
                        self.took.push(at.saturating_duration_since(sent));
                    }
                    self.made.push(packet.to_vec());
                }
                Some(Words::KeyFrame {
                    of_caller: true,
                    generation: 1,
                }) => self.asked += 1,
                other => panic!("{other:?}"),
            }
        }
    }

    /// Sends pictures at their pace, and takes what comes back meanwhile.
    fn pace(&mut self, pictures: &[Vec<Vec<u8>>]) {
        for picture in pictures {
            for packet in picture {
                self.send(packet);
            }
            self.wait(Duration::from_millis(40));
        }
    }

    /// Until the last picture is there, or nothing comes any more.
    fn finish(&mut self, last: u32) {
        let until = Instant::now() + Duration::from_secs(10);
        while !self.made.iter().any(|packet| timestamp(packet) == last) && Instant::now() < until {
            self.wait(Duration::from_millis(50));
        }
        self.wait(Duration::from_millis(100));
    }
}

/// CPU time of a process, seconds.
fn cpu_s(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let fields: Vec<f64> = rest
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0.0))
        .collect();
    (fields[11] + fields[12]) / 100.0
}

fn is_key_frame(encoding: &str, packet: &[u8]) -> bool {
    match encoding {
        "H264" => segue_media::h264::starts_key_frame(&packet[12..]),
        _ => segue_media::vp8::starts_key_frame(&packet[12..]),
    }
}

/// Sent in the one codec, seen in the other.
fn is_seen_as_it_was(from: Coded, to: Coded) -> Road {
    let (before, after) = (from.encoding.clone(), to.encoding.clone());
    let sent = ball(&before, 75, 7);
    let mut road = Road::new(from, to);
    road.pace(&sent);
    road.finish(BEGIN.wrapping_add(74 * STEP));
    let original = decoded(&before, &sent.concat());
    let seen = decoded(&after, &road.made);
    assert_eq!(original.len(), 75);
    // While it starts some wait for it and give way to those after them.
    assert!(seen.len() > 40, "{} of 75 pictures came", seen.len());
    for (number, picture) in &seen {
        let far = difference(picture, &original[number]);
        assert!(far < 12.0, "picture {number} is another: {far}");
    }
    let places: Vec<_> = seen.values().map(|picture| ball_at(picture)).collect();
    let (first, last) = (places[0], *places.last().unwrap());
    assert!(
        first.0.abs_diff(last.0) + first.1.abs_diff(last.1) > 20,
        "it moves: {places:?}"
    );
    let numbers = road
        .made
        .windows(2)
        .map(|two| sequence(&two[1]).wrapping_sub(sequence(&two[0])));
    assert!(numbers.into_iter().all(|step| step == 1), "one after the other");
    assert!(road.made.iter().all(|packet| packet.len() <= 1_212));
    let keys = road.made.iter().filter(|packet| is_key_frame(&after, packet)).count();
    assert!(keys >= 1 && is_key_frame(&after, &road.made[0]));
    road.took.sort();
    println!(
        "{before} to {after}: {} of 75 pictures, {} ms from its last packet to the first of what is made (median), {} key frames",
        seen.len(),
        road.took[road.took.len() / 2].as_millis(),
        keys
    );
    road
}

#[test]
fn a_moving_picture_goes_from_h264_into_vp8() {
    is_seen_as_it_was(h264(), vp8());
}

#[test]
fn a_moving_picture_goes_from_vp8_into_h264_and_single_units_stay_whole() {
    is_seen_as_it_was(vp8(), h264());
    let mode_0 = coded("H264", "profile-level-id=42e01f;packetization-mode=0");
    let road = is_seen_as_it_was(vp8(), mode_0);
    // RFC 6184 §6.2: "only single NAL unit packets".
    assert!(road.made.iter().all(|packet| packet[12] & 0x1f < 24));
}

#[test]
fn what_its_receiver_cannot_take_is_made_smaller() {
    let sent = ball("VP8", 10, 7);
    let mut road = Road::new(vp8(), coded("H264", "profile-level-id=42e00a;packetization-mode=1"));
    road.pace(&sent);
    road.finish(BEGIN.wrapping_add(9 * STEP));
    let caps = "application/x-rtp,media=video,clock-rate=90000,encoding-name=H264,payload=96";
    let line = "appsrc name=in ! rtph264depay ! h264parse ! avdec_h264 max-threads=1 ! videoconvert ! \
                video/x-raw,format=GRAY8 ! appsink name=out sync=false max-buffers=100";
    let seen = run(line, Some((caps, &road.made)));
    // 99 macroblocks at most; 4:3 stays 4:3.
    assert!(!seen.is_empty() && seen.iter().all(|picture| picture.len() - 4 <= 176 * 144));
}

#[test]
fn a_key_frame_comes_when_it_is_wanted() {
    for (from, to) in [(h264(), vp8()), (vp8(), h264())] {
        let after = to.encoding.clone();
        let sent = ball(&from.encoding, 50, 7);
        let mut road = Road::new(from, to);
        road.pace(&sent[..25]);
        road.finish(BEGIN.wrapping_add(24 * STEP));
        let had = road.made.len();
        assert!(had > 0);
        road.want_key_frame();
        road.pace(&sent[25..]);
        road.finish(BEGIN.wrapping_add(49 * STEP));
        let key = road.made[had..].iter().find(|packet| is_key_frame(&after, packet));
        let key = key.unwrap_or_else(|| panic!("no key frame of {after}"));
        let at = timestamp(key).wrapping_sub(BEGIN) / STEP;
        assert!(at < 35, "{after}: it came with picture {at}");
        assert_eq!(road.asked, 0, "there was one to make it of");
    }
}

#[test]
fn after_a_loss_the_source_is_asked_and_nothing_broken_is_shown() {
    for (from, to) in [(h264(), vp8()), (vp8(), h264())] {
        let (before, after) = (from.encoding.clone(), to.encoding.clone());
        let sent = ball(&before, 60, 7);
        let mut road = Road::new(from, to);
        road.pace(&sent[..20]);
        // Two packets change places, which is no loss.
        let mut swapped = sent[20..22].concat();
        swapped.swap(0, 1);
        for packet in &swapped {
            road.send(packet);
        }
        road.wait(Duration::from_millis(80));
        road.pace(&sent[22..30]);
        road.finish(BEGIN.wrapping_add(29 * STEP));
        assert_eq!(road.asked, 0, "{before}");
        let had = road.made.len();
        road.pace(&sent[31..]);
        road.wait(Duration::from_millis(300));
        assert!((1..=3).contains(&road.asked), "{before}: asked {} times", road.asked);
        assert!(road.made[had..].is_empty(), "{before}: shown without what is lost");
        // The source begins anew: the stream of what is made goes on, and is whole.
        let again = ball(&before, 20, 8);
        road.pace(&again);
        road.finish(BEGIN.wrapping_add(19 * STEP));
        let made = &road.made[had..];
        assert!(!made.is_empty() && is_key_frame(&after, &made[0]));
        assert_eq!(sequence(&made[0]), sequence(&road.made[had - 1]).wrapping_add(1));
        assert_ne!(made[0][8..12], road.made[0][8..12], "another source by its SSRC");
        let original = decoded(&before, &again.concat());
        for (number, picture) in decoded(&after, made) {
            assert!(difference(&picture, &original[&number]) < 12.0, "picture {number}");
        }
    }
}

/// What it costs, for docs/codecs.md: `cargo test -p segue-media-worker --test live -- --ignored --nocapture what_pictures_cost`.
#[test]
#[ignore = "a measurement"]
fn what_pictures_cost() {
    let (h264, vp8) = (h264(), vp8());
    // A still picture but for a moving band, and one in which all moves.
    for pattern in ["smpte", "zone-plate kx2=20 ky2=20 kt=1"] {
        for (from, to) in [(&h264, &vp8), (&vp8, &h264)] {
            cost(pattern, from, to);
        }
    }
}

fn cost(pattern: &str, from: &Coded, to: &Coded) {
    let name = format!("{} to {}", from.encoding, to.encoding);
    let (width, height) = (640, 360);
    let sent = film(pattern, &from.encoding, 300, 7, (width, height));
    let mut road = Road::new(from.clone(), to.clone());
    road.pace(&sent[..50]);
    let (began, had) = (Instant::now(), cpu_s(road.process.child.id()));
    road.pace(&sent[50..]);
    let (took, cpu) = (began.elapsed().as_secs_f64(), cpu_s(road.process.child.id()) - had);
    road.took.sort();
    let status = std::fs::read_to_string(format!("/proc/{}/status", road.process.child.id())).unwrap();
    let memory = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    println!(
        "{name}, {pattern}, {width}x{height}: {:.1} % of a core, one way; {} ms; {memory}",
        cpu * 100.0 / took,
        road.took[road.took.len() / 2].as_millis()
    );
}
