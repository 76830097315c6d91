//! What arrives is the tone that was sent, in the other codec, and soon.

use super::*;

/// µ-law of a tone, from this sample on.
fn tone(hz: f64, from: u32) -> Vec<u8> {
    let sample = |n: u32| (f64::from(n) * hz * std::f64::consts::TAU / 8_000.0).sin() * 12_000.0;
    (from..from + 160).map(|n| mu_law(sample(n) as i32)).collect()
}

fn mu_law(sample: i32) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let size = sample.abs().min(32_635) + 132;
    let segment = (24 - (size as u32).leading_zeros()) as i32;
    !(sign | (segment << 4) | (size >> (segment + 3) & 0x0f)) as u8
}

fn linear(byte: u8) -> f64 {
    let code = !byte;
    let size = (((i32::from(code & 0x0f) << 3) + 132) << (code >> 4 & 7)) - 132;
    f64::from(if code & 0x80 == 0 { size } else { -size })
}

/// How much of a sound is this tone, 0 to 1 (Goertzel).
fn share(samples: &[f64], hz: f64, rate: f64) -> f64 {
    let w = hz * std::f64::consts::TAU / rate;
    let (mut re, mut im, mut all) = (0.0, 0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        re += sample * (w * n as f64).cos();
        im += sample * (w * n as f64).sin();
        all += sample * sample;
    }
    2.0 * (re * re + im * im) / (all * samples.len() as f64)
}

/// There in one codec, and by another process back: the tone, how long the first way takes, and that its numbers go on.
fn there_and_back(codec: &str, step: u32) {
    let there = Process::start("PCMU", codec);
    let back = Process::start(codec, "PCMU");
    let mut samples = Vec::new();
    let (mut delays, mut numbers) = (Vec::new(), Vec::new());
    let mut sent = Vec::new();
    let began = Instant::now();
    // The pipelines start with the first packet.
    for n in 0..100u32 {
        let due = began + Duration::from_millis(u64::from(n) * 20);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        sent.push(Instant::now());
        there.sound(true, n * 160, &tone(1_000.0, n * 160));
        while let Ok((at, message)) = there.back.try_recv() {
            let Some(Words::Sound(sound)) = Words::parse(&message) else {
                panic!("no sound")
            };
            assert!(sound.of_caller && sound.generation == 1);
            let packet = sound.timestamp / step;
            delays.push(at.saturating_duration_since(sent[packet as usize]));
            numbers.push(sound.timestamp);
            back.sound(true, sound.timestamp, sound.payload);
        }
        while let Ok((_, message)) = back.back.try_recv() {
            let Some(Words::Sound(sound)) = Words::parse(&message) else {
                panic!("no sound")
            };
            samples.extend(sound.payload.iter().map(|byte| linear(*byte)));
        }
    }
    assert!(numbers.len() > 80, "{codec}: {} of 100 packets came", numbers.len());
    assert!(
        numbers.is_sorted_by(|a, b| b.wrapping_sub(*a) == step),
        "{codec}: {numbers:?}"
    );
    assert!(samples.len() > 8_000, "{codec}: {} samples came back", samples.len());
    let heard = share(&samples[4_000..8_000], 1_000.0, 8_000.0);
    assert!(heard > 0.8, "{codec}: {heard} of it is the tone");
    delays.sort();
    let median = delays[delays.len() / 2];
    println!(
        "{codec}: a packet comes {} ms after what it begins with",
        median.as_millis()
    );
    // A frame of 20 ms, what filters look ahead, and a busy machine.
    assert!(median < Duration::from_millis(150), "{codec}: {median:?}");
}

#[test]
fn a_tone_goes_into_opus_and_back() {
    there_and_back("opus", 960);
}

#[test]
fn a_tone_goes_into_g722_and_back() {
    there_and_back("G722", 160);
}

#[test]
fn a_tone_goes_into_amr_and_back() {
    there_and_back("AMR", 160);
    there_and_back("AMR-WB", 320);
}

#[test]
fn a_hole_is_filled_a_pause_is_a_pause_and_late_or_broken_packets_are_left_out() {
    let process = Process::start("PCMU", "G722");
    let mut sent = 0;
    let mut send = |at: u32| {
        process.sound(true, at, &[0xff; 160]);
        sent += 1;
    };
    for at in (0..10).chain([12, 11, 11, 12]).chain(13..20).chain(100..110) {
        send(at * 160);
    }
    process.sound(true, 110 * 160, &[]);
    let mut got = Vec::new();
    while let Ok((_, message)) = process.back.recv_timeout(Duration::from_secs(2)) {
        let Some(Words::Sound(sound)) = Words::parse(&message) else {
            panic!("no sound")
        };
        got.push((sound.timestamp / 160, sound.marker));
    }
    let marked: Vec<u32> = got.iter().filter(|(_, marker)| *marker).map(|(at, _)| *at).collect();
    assert_eq!(marked.len(), 2, "the beginning, and after the pause: {got:?}");
    assert!((99..=100).contains(&marked[1]), "{got:?}");
    let before = got.iter().filter(|(at, _)| *at < 50).count();
    assert!((19..=20).contains(&before), "{got:?}");
    assert!((28..=30).contains(&got.len()), "{got:?}");
}
