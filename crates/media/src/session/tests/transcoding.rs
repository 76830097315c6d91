//! A caller and a callee whose sound is in codecs of their own.

use super::*;

fn sound(codec: Codec, payload_type: u8) -> Stream {
    let mut stream = stream(Kind::Audio);
    stream.format.codec = codec;
    (stream.format.payload_type, stream.our_payload_type) = (payload_type, payload_type);
    (stream.dtmf_payload_type, stream.our_dtmf_payload_type) = (Some(101), Some(101));
    stream
}

/// A talks PCMU; B talks this.
fn bridged(b: Stream) -> Scene {
    let mut scene = Scene::new();
    for (leg, audio) in [(A, sound(Codec::Pcmu, 0)), (B, b)] {
        scene.say(Command::Configure {
            leg,
            audio: Some(audio),
            video: None,
        });
    }
    scene.say(Command::Bridge { leg: B });
    scene
}

impl Scene {
    fn sound(&mut self, leg: LegKey, payload_type: u8, payload: &[u8]) {
        let header = Header {
            first: PLAIN,
            marker: false,
            payload_type,
            sequence: self.sequence,
            timestamp: u32::from(self.sequence) * 160,
            ssrc: leg.0 + 9,
        };
        self.sequence += 1;
        let mut bytes = [&header.to_bytes()[..], payload].concat();
        self.memory.now = Some(self.now);
        let datagrams = [(peer(), &mut bytes[..])].into_iter();
        self.session
            .handle_rtp(self.now, leg, Kind::Audio, datagrams, &mut self.memory);
    }

    /// Payload types and payloads of the sound that a leg got.
    fn heard(&self, leg: LegKey) -> Vec<(u8, Vec<u8>)> {
        let of_leg = |sent: &&Sent| sent.leg == leg && sent.kind == Kind::Audio;
        let read = |sent: &Sent| {
            let packet = Packet::parse(&sent.bytes).unwrap();
            (packet.payload_type, packet.payload.to_vec())
        };
        self.memory.rtp.iter().filter(of_leg).map(read).collect()
    }
}

#[test]
fn the_laws_of_g711_become_each_other_on_the_way_and_keys_pass() {
    let mut scene = bridged(sound(Codec::Pcma, 8));
    scene.sound(A, 0, &[0xff; 160]);
    scene.sound(A, 0, &[0x80, 0x00]);
    scene.sound(A, 101, &[5, 10, 0, 160]);
    scene.sound(B, 8, &[0xd5; 80]);
    let expected = [(8, vec![0xd5; 160]), (8, vec![0xaa, 0x2a]), (101, vec![5, 10, 0, 160])];
    assert_eq!(scene.heard(B), expected);
    // The least A-law value is 8, as is that of µ-law beside its zero (G.711 table 4).
    assert_eq!(scene.heard(A), [(0, vec![0xfe; 80])]);
    let numbers: Vec<u16> = scene
        .memory
        .rtp
        .iter()
        .filter(|sent| sent.leg == B)
        .map(|sent| Packet::parse(&sent.bytes).unwrap().sequence)
        .collect();
    assert!(numbers.is_sorted_by(|a, b| b.wrapping_sub(*a) == 1), "{numbers:?}");
}

#[test]
fn what_cannot_be_made_of_the_other_is_not_sent_to_it() {
    let mut scene = bridged(sound(Codec::G722, 9));
    scene.sound(A, 0, &[0xff; 160]);
    scene.sound(B, 9, &[0xfa; 160]);
    assert!(scene.heard(A).is_empty() && scene.heard(B).is_empty());
}
