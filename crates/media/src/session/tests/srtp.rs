//! SRTP on either leg or both: what is on the wire, and what is not.

use segue_sdp::{Keys, MasterKey, Suite};

use super::*;
use crate::path::srtp::Srtp;

/// Keys of a leg as we have them, by their first byte.
fn keys(suite: Suite, ours: u8, theirs: u8) -> Keys {
    let key = |first: u8| {
        let material: Vec<u8> = (first..).take(suite.key_len() + suite.salt_len()).collect();
        MasterKey::new(suite, &material).unwrap()
    };
    Keys {
        ours: key(ours),
        theirs: key(theirs),
    }
}

/// A peer with SRTP on one m-line.
struct Phone {
    leg: LegKey,
    kind: Kind,
    srtp: Srtp,
    sequence: u16,
}

impl Phone {
    /// On this m-line of a leg, which is configured anew with these keys of ours and the peer's.
    fn new(scene: &mut Scene, leg: LegKey, kind: Kind, suite: Suite, (ours, theirs): (u8, u8)) -> Phone {
        let phone = Phone {
            leg,
            kind,
            srtp: Srtp::new(&keys(suite, theirs, ours)),
            sequence: 500,
        };
        scene.secure(leg, kind, Some(keys(suite, ours, theirs)));
        phone
    }

    fn says(&mut self, scene: &mut Scene, payload_type: u8, payload: &[u8]) {
        self.sequence += 1;
        let header = Header {
            first: PLAIN,
            marker: false,
            payload_type,
            sequence: self.sequence,
            timestamp: u32::from(self.sequence) * 160,
            ssrc: self.leg.0 + 9,
        };
        let mut bytes = [&header.to_bytes()[..], payload, &[0; 20]].concat();
        let len = self.srtp.sealer.seal_rtp(&mut bytes, 12 + payload.len()).unwrap();
        scene.arrives(self.leg, self.kind, &bytes[..len]);
    }

    /// What went to it and it can open: payloads.
    fn hears(&mut self, scene: &Scene) -> Vec<Vec<u8>> {
        let to_it = scene
            .memory
            .rtp
            .iter()
            .filter(|sent| sent.leg == self.leg && sent.kind == self.kind);
        let mut heard = Vec::new();
        for sent in to_it {
            let mut bytes = sent.bytes.clone();
            if let Some(len) = self.srtp.opener.open_rtp(scene.now, &mut bytes) {
                heard.push(bytes[12..len].to_vec());
            }
        }
        heard
    }

    /// Compounds that went to it and it can open.
    fn reports(&mut self, scene: &Scene) -> Vec<Vec<u8>> {
        let to_it = scene
            .memory
            .rtcp
            .iter()
            .filter(|sent| sent.leg == self.leg && sent.kind == self.kind);
        let mut heard = Vec::new();
        for sent in to_it {
            let mut bytes = sent.bytes.clone();
            if let Some(len) = self.srtp.opener.open_rtcp(scene.now, &mut bytes) {
                bytes.truncate(len);
                heard.push(bytes);
            }
        }
        heard
    }
}

impl Scene {
    fn secure(&mut self, leg: LegKey, kind: Kind, keys: Option<Keys>) {
        let of = |wanted: Kind| Stream {
            keys: keys.clone().filter(|_| kind == wanted).map(Box::new),
            pli: true,
            dtmf_payload_type: Some(101).filter(|_| wanted == Kind::Audio),
            our_dtmf_payload_type: Some(101).filter(|_| wanted == Kind::Audio),
            ..stream(wanted)
        };
        self.say(Command::Configure {
            leg,
            audio: Some(of(Kind::Audio)),
            video: Some(of(Kind::Video)),
        });
    }

    fn arrives(&mut self, leg: LegKey, kind: Kind, bytes: &[u8]) {
        self.memory.now = Some(self.now);
        let mut bytes = bytes.to_vec();
        let datagrams = [(peer(), &mut bytes[..])].into_iter();
        self.session
            .handle_rtp(self.now, leg, kind, datagrams, &mut self.memory);
    }
}

const SUITE: Suite = Suite::AesCm128HmacSha1_80;

#[test]
fn a_clip_goes_out_sealed_by_our_key_before_anybody_has_answered() {
    for suite in [
        SUITE,
        Suite::AesCm128HmacSha1_32,
        Suite::AesCm256HmacSha1_80,
        Suite::AeadAes256Gcm,
    ] {
        let mut scene = Scene::new();
        let mut a = Phone::new(&mut scene, A, Kind::Video, suite, (1, 2));
        let mut plain = Scene::new();
        for scene in [&mut scene, &mut plain] {
            scene.play(true);
            scene.pass(2_000);
        }
        let video = |scene: &Scene| -> Vec<Vec<u8>> {
            let sent = scene.memory.rtp.iter().filter(|sent| sent.kind == Kind::Video);
            sent.map(|sent| sent.bytes[12..].to_vec()).collect()
        };
        let (sealed, clear) = (video(&scene), video(&plain));
        assert!(clear.len() > 20);
        assert_eq!(a.hears(&scene), clear, "{suite:?}");
        let added = sealed
            .iter()
            .zip(&clear)
            .map(|(sealed, clear)| sealed.len() - clear.len());
        assert!(added.collect::<Vec<_>>().iter().all(|added| *added == suite.tag_len()));
        let reports = a.reports(&scene);
        let of_sender =
            |report: &Vec<u8>| rtcp::parse(report, 0).any(|heard| matches!(heard, Heard::SenderReport { .. }));
        assert!(reports.len() == 1 && of_sender(&reports[0]), "and its report");
    }
}

#[test]
fn srtp_on_one_side_and_rtp_on_the_other_are_bridged_both_ways() {
    for (secured, plain) in [(A, B), (B, A)] {
        let mut scene = Scene::new();
        let mut phone = Phone::new(&mut scene, secured, Kind::Audio, SUITE, (1, 2));
        scene.say(Command::Bridge { leg: B });
        phone.says(&mut scene, 0, b"from the phone");
        scene.rtp(plain, Kind::Audio, b"to the phone");
        let to_plain: Vec<_> = scene.memory.rtp.iter().filter(|sent| sent.leg == plain).collect();
        assert_eq!(to_plain.len(), 1);
        assert_eq!(&to_plain[0].bytes[12..], b"from the phone");
        assert_eq!(phone.hears(&scene), [b"to the phone"]);
        assert_eq!(scene.memory.unauthentic, 0);
    }
}

#[test]
fn each_side_of_a_bridge_has_its_own_keys_and_suite() {
    let mut scene = Scene::new();
    let mut a = Phone::new(&mut scene, A, Kind::Audio, SUITE, (1, 2));
    let mut b = Phone::new(&mut scene, B, Kind::Audio, Suite::AeadAes256Gcm, (3, 4));
    scene.say(Command::Bridge { leg: B });
    a.says(&mut scene, 0, b"hello");
    b.says(&mut scene, 0, b"who is there");
    assert_eq!(
        (b.hears(&scene), a.hears(&scene)),
        (vec![b"hello".to_vec()], vec![b"who is there".to_vec()])
    );
    let both = scene.memory.rtp.iter().map(|sent| sent.bytes.as_slice());
    assert!(
        !both
            .clone()
            .any(|bytes| bytes.windows(5).any(|part| part == b"hello" || part == b"there"))
    );
    // A key press, told by telephone-event, and one of our own making.
    a.says(&mut scene, 101, &[5, 0x0a, 0, 160]);
    assert_eq!(scene.memory.events.last(), Some(&Event::Dtmf { leg: A, key: '5' }));
    assert_eq!(b.hears(&scene), [[5, 0x0a, 0, 160]]);
    scene.say(Command::TellKey {
        leg: B,
        key: '7',
        length: Duration::from_millis(100),
    });
    scene.pass(200);
    assert!(b.hears(&scene).iter().any(|payload| payload[0] == 7));
}

#[test]
fn what_is_not_authentic_is_counted_and_changes_nothing() {
    let mut scene = Scene::new();
    let mut a = Phone::new(&mut scene, A, Kind::Audio, SUITE, (1, 2));
    scene.say(Command::Bridge { leg: B });
    scene.rtp(A, Kind::Audio, b"plain");
    let mut stranger = Srtp::new(&keys(SUITE, 9, 9));
    let mut bytes = [&[0x80, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9][..], b"forged", &[0; 20]].concat();
    let len = stranger.sealer.seal_rtp(&mut bytes, 18).unwrap();
    let elsewhere = "192.0.2.1:7777".parse().unwrap();
    let mut forged = bytes[..len].to_vec();
    let datagrams = [(elsewhere, &mut forged[..])].into_iter();
    scene
        .session
        .handle_rtp(scene.now, A, Kind::Audio, datagrams, &mut scene.memory);
    assert_eq!((scene.memory.unauthentic, scene.memory.rtp.len()), (2, 0));
    // Nor has it latched: the peer is heard from where it is.
    a.says(&mut scene, 0, b"real");
    assert_eq!(scene.memory.rtp.len(), 1);
    let again = scene.memory.rtp[0].bytes.clone();
    scene.rtcp(A, Kind::Audio, None, Some(Feedback::Pli));
    assert_eq!(scene.memory.unauthentic, 3, "plain RTCP, too");
    assert_eq!(again.len(), 16);
}

#[test]
fn feedback_under_srtcp_reaches_the_clip() {
    let mut scene = Scene::new();
    let mut a = Phone::new(&mut scene, A, Kind::Video, SUITE, (1, 2));
    scene.play(true);
    scene.pass(400);
    a.hears(&scene);
    let compound = Compound {
        ssrc: 9,
        cname: "peer",
        sending: None,
        block: None,
        feedback: Some((1, Feedback::Pli)),
    };
    let mut bytes = [0; rtcp::BUFFER_LEN + 20];
    let len = compound.write(&mut bytes[..rtcp::BUFFER_LEN]).unwrap();
    let len = a.srtp.sealer.seal_rtcp(&mut bytes, len).unwrap();
    let again = bytes;
    scene
        .session
        .handle_rtcp(scene.now, A, Kind::Video, peer(), &mut bytes[..len], &mut scene.memory);
    assert_eq!(a.hears(&scene), [[0x67], [0x65]], "a key frame was asked for");
    assert_eq!(scene.memory.unauthentic, 0);
    let mut bytes = again;
    scene
        .session
        .handle_rtcp(scene.now, A, Kind::Video, peer(), &mut bytes[..len], &mut scene.memory);
    assert_eq!(scene.memory.unauthentic, 1, "a replay");
}

#[test]
fn a_recording_is_of_what_was_said_not_of_what_was_sent() {
    let mut scene = Scene::new();
    let mut a = Phone::new(&mut scene, A, Kind::Audio, SUITE, (1, 2));
    scene.say(Command::Record {
        path: PathBuf::from("m"),
        manifest_json: Vec::new(),
        longest_ms: 60_000,
        longest_bytes: None,
        silence_ms: None,
        pictures: true,
    });
    a.says(&mut scene, 0, b"a message");
    assert_eq!(scene.memory.spooled, 1);
    let packet = Packet::parse(&scene.memory.last_spooled).unwrap();
    assert_eq!(packet.payload, b"a message");
}

#[test]
fn a_peer_that_renews_its_key_is_understood_while_it_changes() {
    let mut scene = Scene::new();
    let mut a = Phone::new(&mut scene, A, Kind::Audio, SUITE, (1, 2));
    scene.say(Command::Bridge { leg: B });
    a.says(&mut scene, 0, b"before");
    scene.secure(A, Kind::Audio, Some(keys(SUITE, 1, 20)));
    // What was on its way still comes.
    a.says(&mut scene, 0, b"late");
    let renewed = keys(SUITE, 20, 1);
    a.srtp.agree(scene.now, &renewed, false);
    a.says(&mut scene, 0, b"after");
    let heard: Vec<_> = scene.memory.rtp.iter().map(|sent| sent.bytes[12..].to_vec()).collect();
    assert_eq!(heard, [&b"before"[..], b"late", b"after"]);
    // What we send is under our key as ever, and has not begun anew.
    scene.rtp(B, Kind::Audio, b"hello");
    assert_eq!(a.hears(&scene), [b"hello"]);
    scene.pass(6_000);
    let mut old = Srtp::new(&keys(SUITE, 2, 1));
    std::mem::swap(&mut old, &mut a.srtp);
    a.says(&mut scene, 0, b"too late");
    assert_eq!(scene.memory.unauthentic, 1);
}
