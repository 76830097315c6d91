//! Sender and receiver reports, and what they tell.

use super::*;
use crate::path::rtcp::PeerReport;

#[test]
fn a_relayed_stream_keeps_its_sources_clock() {
    let mut scene = Scene::new();
    scene.say(Command::Bridge { leg: B });
    scene.pass(1_000);
    scene.rtp(B, Kind::Audio, &[0; 160]);
    let carried = scene
        .memory
        .rtp
        .last()
        .map(|sent| Packet::parse(&sent.bytes).unwrap().timestamp);
    let theirs = u32::from(scene.sequence - 1) * 160;
    // B's clock says: this packet was spoken 300 ms before it arrived.
    scene.pass(300);
    let sending = Sending {
        ntp: 7 << 32,
        rtp: theirs.wrapping_add(4_800),
        packets: 1,
        octets: 160,
    };
    scene.rtcp(B, Kind::Audio, Some(sending), None);
    scene.memory.rtcp.clear();
    scene.pass(7_000);
    let report = scene
        .memory
        .rtcp
        .iter()
        .filter(|sent| sent.leg == A && sent.kind == Kind::Audio);
    let (at, ntp, rtp) = report
        .filter_map(|sent| match rtcp::parse(&sent.bytes, 0).next() {
            Some(Heard::SenderReport { ntp, rtp, .. }) => Some((sent.at, ntp, rtp)),
            _ => None,
        })
        .next_back()
        .unwrap();
    let since = (at - scene.start).as_millis() as u32 - 1_300;
    let ntp_ms = (u128::from(ntp) * 1_000) >> 32;
    let our_ms = 100_000 + (at - scene.start).as_millis();
    assert!(ntp_ms.abs_diff(our_ms) <= 1, "{ntp_ms} is not on our clock, {our_ms}");
    assert_eq!(
        rtp,
        carried.unwrap().wrapping_add(4_800 + since * 8),
        "by the source's count"
    );
}

#[test]
fn the_way_there_and_back_is_measured_by_our_last_report_and_told_with_a_goodbye() {
    let mut scene = Scene::new();
    scene.say(Command::Bridge { leg: B });
    // B's clock is another one than ours: its reports must not matter.
    scene.rtp(B, Kind::Audio, &[0; 160]);
    let sending = Sending {
        ntp: 7 << 32,
        rtp: 0,
        packets: 1,
        octets: 160,
    };
    scene.rtcp(B, Kind::Audio, Some(sending), None);
    scene.pass(8_000);
    let to_a = |sent: &&Sent| sent.leg == A && sent.kind == Kind::Audio;
    let last = scene.memory.rtcp.iter().rfind(to_a).unwrap();
    let Some(Heard::SenderReport { ssrc, ntp, .. }) = rtcp::parse(&last.bytes, 0).next() else {
        panic!("no sender report")
    };
    let passed = scene.now - last.at;
    // A had it 20 ms after it left, and reports 20 ms ago.
    let held = passed - Duration::from_millis(40);
    let report = PeerReport {
        lost: 3,
        jitter: 80,
        last_report: (ntp >> 16) as u32,
        since_last_report: (held.as_micros() * 65_536 / 1_000_000) as u32,
    };
    scene.report(A, Kind::Audio, &receiver_report(ssrc, report));
    // A report about an older one of ours tells no time.
    let older = PeerReport {
        last_report: 1,
        lost: 4,
        ..report
    };
    scene.report(A, Kind::Audio, &receiver_report(ssrc, older));
    scene.memory.rtcp.clear();
    scene.say(Command::Count);
    let so_far: Vec<_> = scene
        .memory
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Counted { leg, kind, tally } => Some(((leg.0, *kind), tally.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(scene.memory.events.last(), Some(&Event::AllCounted));
    assert!(scene.tallies().is_empty(), "nothing has ended");
    scene.say(Command::Close);
    assert_eq!(so_far, scene.tallies().into_iter().collect::<Vec<_>>(), "as at the end");
    let tally = &scene.tallies()[&(A.0, Kind::Audio)];
    assert_eq!((tally.peer_lost, tally.peer_jitter_ms), (Some(4), Some(10)));
    let missed: u32 = tally.peer_losses.iter().map(|loss| loss.packets).sum();
    assert_eq!(missed, 4, "{tally:?}");
    assert!((39..=41).contains(&tally.round_trip_ms.unwrap()), "{tally:?}");
    assert_eq!(scene.memory.events.last(), Some(&Event::Closed));
    // On the streams that ever said anything: for video, requests for key frames.
    let byes: Vec<_> = scene.memory.rtcp.iter().map(|sent| (sent.leg, sent.kind)).collect();
    assert_eq!(
        byes,
        [(A, Kind::Audio), (A, Kind::Video), (B, Kind::Audio), (B, Kind::Video)]
    );
    assert!(
        scene
            .memory
            .rtcp
            .iter()
            .all(|sent| sent.bytes[sent.bytes.len() - 7] == 203)
    );
}

#[test]
fn reports_are_spread_around_five_seconds() {
    let mut scene = Scene::new();
    scene.play(true);
    scene.pass(200_000);
    let to_a = scene.memory.rtcp.iter().filter(|sent| sent.kind == Kind::Video);
    let times: Vec<Instant> = to_a.map(|sent| sent.at).collect();
    let gaps: Vec<f64> = times.windows(2).map(|two| (two[1] - two[0]).as_secs_f64()).collect();
    // RFC 3550 §6.3.1: half to one and a half times 5 s, over 1.21828.
    assert!(gaps.iter().all(|gap| (2.05..=6.16).contains(gap)), "{gaps:?}");
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    assert!((3.7..4.5).contains(&mean), "{mean}");
    let least = gaps.iter().copied().fold(f64::MAX, f64::min);
    assert!(gaps.iter().any(|gap| gap - least > 2.0), "not spread: {gaps:?}");
}

fn receiver_report(ssrc: u32, report: PeerReport) -> Vec<u8> {
    let words = [
        ssrc,
        report.lost,
        0,
        report.jitter,
        report.last_report,
        report.since_last_report,
    ];
    let head = [0x81, 201, 0, 7, 0, 0, 0, 9];
    let body = words.iter().flat_map(|word| word.to_be_bytes());
    head.into_iter().chain(body).collect()
}
