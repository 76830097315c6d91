//! What a bad network does to the two legs, in virtual time and by seeds.

use std::collections::BTreeMap;

use segue_tests::impair::{Impairer, POOR};

use super::*;
use crate::path::rtcp::Lost;

impl Scene {
    /// Both sides keep packets and send them again.
    fn with_nack() -> Scene {
        let mut scene = Scene::new();
        for leg in [A, B] {
            scene.configure(leg, nack_stream());
        }
        scene
    }

    /// A datagram from a leg's peer arrives.
    fn arrive(&mut self, leg: LegKey, kind: Kind, bytes: &[u8]) {
        self.memory.now = Some(self.now);
        let mut bytes = bytes.to_vec();
        let datagrams = [(peer(), &mut bytes[..])].into_iter();
        self.session
            .handle_rtp(self.now, leg, kind, datagrams, &mut self.memory);
    }

    /// RTCP other than what [`Scene::rtcp`] writes.
    pub(super) fn report(&mut self, leg: LegKey, kind: Kind, bytes: &[u8]) {
        self.memory.now = Some(self.now);
        self.session
            .handle_rtcp(self.now, leg, kind, peer(), &mut bytes.to_vec(), &mut self.memory);
    }

    /// What A's or B's video got: our sequence numbers with the number in the payload.
    fn got(&self, leg: LegKey) -> Vec<(u16, u16)> {
        let sent = self.memory.rtp.iter();
        sent.filter(|sent| sent.leg == leg && sent.kind == Kind::Video)
            .map(|sent| {
                let packet = Packet::parse(&sent.bytes).unwrap();
                (packet.sequence, number(packet.payload))
            })
            .collect()
    }

    /// Sequence numbers that a leg was asked for again.
    fn asked_again(&self, leg: LegKey) -> Vec<u16> {
        let to = self.memory.rtcp.iter().filter(|sent| sent.leg == leg);
        let heard = to.flat_map(|sent| rtcp::parse(&sent.bytes, 0));
        heard
            .filter_map(|heard| match heard {
                Heard::Lost(lost) => Some(lost.sequences().collect::<Vec<u16>>()),
                _ => None,
            })
            .flatten()
            .collect()
    }

    pub(super) fn tallies(&self) -> BTreeMap<(u32, Kind), Tally> {
        let events = self.memory.events.iter();
        events
            .filter_map(|event| match event {
                Event::Tallied { leg, kind, tally } => Some(((leg.0, *kind), tally.clone())),
                _ => None,
            })
            .collect()
    }
}

fn nack_stream() -> Stream {
    Stream {
        nack: true,
        ..stream(Kind::Video)
    }
}

fn number(payload: &[u8]) -> u16 {
    u16::from_be_bytes(payload[1..3].try_into().unwrap())
}

/// A packet of B's video: a picture each, the first one a key frame.
fn picture(n: u16) -> Vec<u8> {
    let header = Header {
        first: PLAIN,
        marker: true,
        payload_type: 96,
        sequence: 65_000_u16.wrapping_add(n),
        timestamp: u32::from(n) * 3_600,
        ssrc: 77,
    };
    let [high, low] = n.to_be_bytes();
    let kind = if n == 0 { 0x65 } else { 0x41 };
    [&header.to_bytes()[..], &[kind, high, low]].concat()
}

fn nack(sequences: &[u16]) -> Vec<u8> {
    let compound = Compound {
        ssrc: 9,
        cname: "peer",
        sending: None,
        block: None,
        feedback: Some((1, Feedback::Nack(Lost::new(sequences.iter().copied())))),
    };
    let mut bytes = [0; rtcp::BUFFER_LEN];
    let len = compound.write(&mut bytes).unwrap();
    bytes[..len].to_vec()
}

#[test]
fn a_relayed_stream_keeps_its_gaps_and_what_is_missed_is_asked_for_by_its_senders_numbers() {
    let mut asked_for = 0;
    for seed in 0..20 {
        let mut scene = Scene::with_nack();
        scene.say(Command::Bridge { leg: B });
        let mut impairer = Impairer::new(POOR, seed);
        let mut arrivals: Vec<(u64, u16)> = vec![(0, 0)];
        for n in 1..1_000 {
            arrivals.extend(
                impairer
                    .arrivals()
                    .map(|after| (u64::from(n) * 10 + after.as_millis() as u64, n)),
            );
        }
        arrivals.sort_unstable();
        let arrived: std::collections::BTreeSet<u16> = arrivals.iter().map(|(_, n)| *n).collect();
        let lost: Vec<u16> = (0..1_000).filter(|n| !arrived.contains(n)).collect();
        for (at_ms, n) in &arrivals {
            scene.pass(at_ms.saturating_sub((scene.now - scene.start).as_millis() as u64));
            scene.arrive(B, Kind::Video, &picture(*n));
        }
        let got = scene.got(A);
        let offset = got[0].0;
        assert!(
            got.iter().all(|(ours, n)| *ours == offset.wrapping_add(*n)),
            "seed {seed}: a number moved"
        );
        assert_eq!(got.len(), arrived.len(), "seed {seed}: each packet once");
        assert!((5..45).contains(&lost.len()), "seed {seed}: {} lost", lost.len());
        assert_eq!(scene.requests(B), [0], "seed {seed}: A asks for itself");

        // A asks for what it missed just now, by our numbers; B hears its own.
        let wanted: Vec<u16> = lost.iter().copied().filter(|n| (905..995).contains(n)).collect();
        asked_for += wanted.len();
        if wanted.is_empty() {
            continue;
        }
        scene.report(
            A,
            Kind::Video,
            &nack(&wanted.iter().map(|n| offset.wrapping_add(*n)).collect::<Vec<_>>()),
        );
        let mut asked = scene.asked_again(B);
        asked.sort_unstable_by_key(|sequence| sequence.wrapping_sub(65_000));
        assert_eq!(
            asked,
            wanted.iter().map(|n| 65_000_u16.wrapping_add(*n)).collect::<Vec<_>>()
        );
        scene.arrive(B, Kind::Video, &picture(wanted[0]));
        assert_eq!(scene.got(A).last(), Some(&(offset.wrapping_add(wanted[0]), wanted[0])));

        scene.say(Command::Close);
        let tally = &scene.tallies()[&(B.0, Kind::Video)];
        let counted = (tally.received + tally.lost, tally.lost);
        // What was lost at the very end nobody can know.
        let end = u64::from(999 - arrived.last().unwrap());
        assert_eq!(
            counted,
            (1_000 - end, lost.len() as u64 - 1 - end),
            "seed {seed}: {tally:?}"
        );
        assert!(tally.late > 10, "seed {seed}: {tally:?}");
    }
    assert!(asked_for > 10, "{asked_for}");
}

#[test]
fn a_side_that_keeps_no_packets_is_asked_for_a_key_frame_instead() {
    let mut scene = Scene::new();
    scene.configure(A, nack_stream());
    scene.say(Command::Bridge { leg: B });
    for n in 0..50 {
        scene.arrive(B, Kind::Video, &picture(n));
        scene.pass(40);
    }
    let (ours, _) = scene.got(A)[40];
    scene.report(A, Kind::Video, &nack(&[ours]));
    assert_eq!(scene.requests(B), [0, 2_000]);
    assert!(scene.asked_again(B).is_empty());
    // What the clip had before B came, B knows nothing of.
    scene.pass(1_000);
    scene.report(A, Kind::Video, &nack(&[scene.got(A)[0].0.wrapping_sub(5)]));
    assert_eq!(scene.requests(B).len(), 2);
}

#[test]
fn for_a_caller_without_feedback_we_ask_for_what_the_callees_network_lost() {
    let mut scene = Scene::new();
    let plain = Stream {
        pli: false,
        ..stream(Kind::Video)
    };
    scene.configure(A, plain);
    scene.say(Command::Bridge { leg: B });
    for n in (0..20).filter(|n| *n != 10) {
        scene.arrive(B, Kind::Video, &picture(n));
        scene.pass(40);
    }
    // Lost with the third after it, and asked for until a key frame comes.
    let began = 12 * 40;
    assert_eq!(scene.requests(B), [0, began, began + 250]);
    let mut key = picture(20);
    key[12] = 0x65;
    scene.arrive(B, Kind::Video, &key);
    scene.pass(5_000);
    assert_eq!(scene.requests(B).len(), 3);
}

#[test]
fn a_key_frame_that_was_overtaken_by_its_own_rest_is_asked_for_again() {
    let mut scene = Scene::new();
    scene.say(Command::Bridge { leg: B });
    let (sets, mut slice) = (picture(0), picture(1));
    slice[4..8].copy_from_slice(&sets[4..8]);
    slice[12] = 0x65;
    scene.arrive(B, Kind::Video, &slice);
    scene.pass(300);
    assert_eq!(scene.requests(B), [0]);
    scene.arrive(B, Kind::Video, &sets);
    scene.pass(10);
    assert_eq!(scene.requests(B), [0, 300]);
    assert_eq!(scene.got(A).len(), 1);
}

#[test]
fn a_source_that_begins_again_goes_on_without_a_jump() {
    let mut scene = Scene::new();
    scene.say(Command::Bridge { leg: B });
    scene.arrive(B, Kind::Video, &picture(0));
    scene.arrive(B, Kind::Video, &picture(1));
    for n in [20_000, 20_001] {
        scene.arrive(B, Kind::Video, &picture(n));
    }
    assert_eq!(
        scene.got(A).len(),
        2,
        "pictures of the new numbers wait for a key frame"
    );
    scene.pass(10);
    assert_eq!(scene.requests(B).len(), 1, "it is asked for, though not within 200 ms");
    let mut key = picture(20_002);
    key[12] = 0x65;
    scene.arrive(B, Kind::Video, &key);
    let got = scene.got(A);
    assert_eq!(got[2].0, got[1].0.wrapping_add(1));
}

#[test]
fn a_caller_gets_packets_of_the_clip_again_as_they_were() {
    let mut scene = Scene::with_nack();
    scene.play(true);
    scene.pass(1_950);
    let video = scene.memory.rtp.drain(..).filter(|sent| sent.kind == Kind::Video);
    let sent: Vec<Vec<u8>> = video.map(|sent| sent.bytes).collect();
    assert_eq!(sent.len(), 22, "two laps");
    let sequence = |bytes: &[u8]| Packet::parse(bytes).unwrap().sequence;
    // From the end of the first lap and from the second; then one that was never sent.
    let wanted = [9, 10, 11, 20].map(|n: usize| sequence(&sent[n]));
    let strange = sequence(&sent[21]).wrapping_add(1);
    scene.report(A, Kind::Video, &nack(&[&wanted[..], &[strange]].concat()));
    // Sequence numbers that wrap come out of a request in another order.
    let again: BTreeMap<u16, Vec<u8>> = scene
        .memory
        .rtp
        .drain(..)
        .map(|sent| (sequence(&sent.bytes), sent.bytes))
        .collect();
    // Only a lap is kept, in which each packet stands once.
    let kept = wanted.iter().zip([9, 10, 11, 20]).filter(|(_, n)| *n >= 22 - 11);
    let expected: BTreeMap<u16, Vec<u8>> = kept.map(|(sequence, n)| (*sequence, sent[n].clone())).collect();
    assert_eq!(again, expected);
}

#[test]
fn who_asks_for_packets_without_end_gets_no_flood() {
    let mut scene = Scene::with_nack();
    scene.play(true);
    scene.pass(990);
    let last = Packet::parse(&scene.memory.rtp.last().unwrap().bytes).unwrap().sequence;
    scene.memory.rtp.clear();
    for _ in 0..1_000 {
        scene.report(
            A,
            Kind::Video,
            &nack(&[last, last.wrapping_sub(1), last.wrapping_sub(2)]),
        );
    }
    assert!(scene.memory.rtp.len() < 100, "{}", scene.memory.rtp.len());
}
