//! Offers that were hurt on the way: nothing panics, and whatever is answered is a description with as many m-lines as the offer.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // The helpers of tests, too, may fail loudly.

use std::net::{IpAddr, Ipv4Addr};

use segue_sdp::{Choice, Description, Side};

const OFFERS: [&str; 7] = [
    include_str!("offers/baresip.sdp"),
    include_str!("offers/linphone.sdp"),
    include_str!("offers/sipp.sdp"),
    include_str!("offers/volte.sdp"),
    include_str!("offers/chromium.sdp"),
    include_str!("offers/video_first_and_extras.sdp"),
    include_str!("offers/broken_but_common.sdp"),
];

/// xorshift64: enough to hurt a text.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).unwrap()
    }
}

fn hurt(offer: &str, random: &mut Random) -> Vec<u8> {
    let mut bytes = offer.replace('\n', "\r\n").into_bytes();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] = b"\0\r\n =:/;a0\xff9"[random.below(12)],
            1 => bytes.truncate(at.max(1)),
            2 => drop(bytes.remove(at)),
            3 => bytes.insert(at, b"0123456789/; =\r\n"[random.below(16)]),
            4 => {
                let from = random.below(bytes.len());
                let piece = bytes[from..(from + random.below(40)).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => {
                let to = (at + random.below(30)).min(bytes.len());
                drop(bytes.drain(at..to));
            }
        }
        if bytes.is_empty() {
            bytes.push(b'v');
        }
    }
    bytes
}

#[test]
fn an_answer_is_always_well_formed() {
    let mut random = Random(0x5eed);
    let ours = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (mut answered, mut refused) = (0, 0);
    for round in 0..12_000 {
        let bytes = hurt(OFFERS[round % OFFERS.len()], &mut random);
        let mut side = Side::new(1, ours, 30_000, 30_002);
        let offer = Description::parse(&bytes);
        let Ok(agreed) = offer
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|o| side.answer(o, Choice::Prefer(&|_| true)))
        else {
            refused += 1;
            continue;
        };
        answered += 1;
        let text = std::str::from_utf8(&agreed.sdp).unwrap();
        assert!(text.ends_with("\r\n") && !text.contains("\r\n\r\n"), "{text:?}");
        for line in text.trim_end().split("\r\n") {
            assert!(
                line.as_bytes()[1] == b'=' && !line.contains(char::is_control),
                "{line:?}"
            );
        }
        let again = Description::parse(&agreed.sdp).unwrap();
        assert_eq!(again.media_lines(), offer.unwrap().media_lines());
        // The peer's description read as an answer to ours must not panic either.
        let mut towards_b = Side::new(2, ours, 30_004, 30_006);
        towards_b.offer(&agreed);
        let _ = towards_b.read_answer(&again);
    }
    assert!(
        answered > 1_000 && refused > 1_000,
        "{answered} answered, {refused} refused"
    );
}
