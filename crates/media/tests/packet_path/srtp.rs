use std::time::Instant;

use segue_media::{Command, LegKey, srtp::Srtp};
use segue_sdp::{Direction, Keys, Kind, MasterKey, Stream, Suite};

use crate::peer::*;

/// Keys as the packet path has them, and those of the phone.
fn keys(suite: Suite) -> (Keys, Keys) {
    let key = |first: u8| {
        let material: Vec<u8> = (first..).take(suite.key_len() + suite.salt_len()).collect();
        MasterKey::new(suite, &material).unwrap()
    };
    let (ours, theirs) = (key(1), key(101));
    let of_phone = Keys {
        ours: theirs.clone(),
        theirs: ours.clone(),
    };
    (Keys { ours, theirs }, of_phone)
}

fn configure(house: &House, phone: &Phone, keys: Option<Keys>) {
    let of = |kind| Stream {
        keys: keys.clone().map(Box::new),
        ..phone.stream(kind, Direction::SendRecv)
    };
    house.say(Command::Configure {
        leg: phone.leg,
        audio: Some(of(Kind::Audio)),
        video: None,
    });
}

/// What came on the socket, as it was on the wire, and what it says under the key.
fn received(line: &Line, srtp: &mut Srtp) -> (Vec<u8>, Vec<u8>) {
    let mut bytes = [0; 2_048];
    let len = line.rtp.recv(&mut bytes).expect("nothing came");
    let wire = bytes[..len].to_vec();
    let opened = srtp.opener.open_rtp(Instant::now(), &mut bytes[..len]);
    let opened = opened.expect("it is not authentic");
    (wire, bytes[..opened].to_vec())
}

#[test]
fn nobody_on_the_wire_can_hear_the_clip_but_who_has_the_key() {
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AeadAes256Gcm] {
        let spool = tempfile::tempdir().unwrap();
        let house = House::new(spool.path());
        let a = Phone::new(&house, A);
        let (ours, of_phone) = keys(suite);
        let mut srtp = Srtp::new(&of_phone);
        configure(&house, &a, Some(ours));
        house.say(play(true));
        let mut bytes_seen = [0_u32; 256];
        for n in 0..20_u8 {
            let (wire, plain) = received(&a.audio, &mut srtp);
            assert_eq!(plain[12..], [n; 160], "what the clip has");
            assert_eq!(wire.len(), plain.len() + suite.tag_len());
            assert_eq!(wire[..12], plain[..12]);
            let repeats = wire[12..].windows(2).filter(|pair| pair[0] == pair[1]).count();
            assert!(repeats < 12, "{n}: one byte through the whole packet on the wire");
            wire[12..172]
                .iter()
                .for_each(|byte| bytes_seen[usize::from(*byte)] += 1);
        }
        // 3200 bytes, each value 12 or 13 times in the mean.
        assert!(bytes_seen.iter().all(|count| *count < 45), "{bytes_seen:?}");
        assert!(bytes_seen.iter().filter(|count| **count == 0).count() < 3);
    }
}

#[test]
fn a_bridge_carries_between_srtp_and_rtp_both_ways() {
    let spool = tempfile::tempdir().unwrap();
    let house = House::new(spool.path());
    let (mut a, mut b) = (Phone::new(&house, A), Phone::new(&house, B));
    let (ours, of_phone) = keys(Suite::AesCm128HmacSha1_80);
    let mut srtp = Srtp::new(&of_phone);
    configure(&house, &a, Some(ours));
    configure(&house, &b, None);
    house.say(Command::Bridge { leg: LegKey(1) });
    house.done();
    let to = house.media.stats();
    assert_eq!(to.unauthentic, 0);
    for n in 0..40_u8 {
        let timestamp = u32::from(n) * 160;
        let mut packet = a.audio.packet(0, timestamp, &[n; 160]);
        let len = packet.len();
        packet.resize(len + segue_media::srtp::ADDED_MAX, 0);
        let sealed = srtp.sealer.seal_rtp(&mut packet, len).unwrap();
        a.audio.send_bytes(&packet[..sealed]);
        assert_eq!(b.audio.receive().payload, [n; 160]);
        b.audio.send(0, &[n ^ 0xff; 160]);
        let (wire, plain) = received(&a.audio, &mut srtp);
        assert_eq!(plain[12..], [n ^ 0xff; 160]);
        assert_ne!(wire[12..172], plain[12..]);
    }
    // Who has no key is not heard.
    a.audio.send(0, &[7; 160]);
    let until = Instant::now() + PATIENCE;
    while house.media.stats().unauthentic == 0 {
        assert!(Instant::now() < until, "it was not counted");
        std::thread::yield_now();
    }
    assert_eq!(house.media.stats().relayed, 80);
}
