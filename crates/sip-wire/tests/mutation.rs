//! Broken input in the thousands, the same each time: no panic, no endless loop, and what is accepted survives a round trip.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods
)]

use segue_sip_wire::{Message, StreamFramer};

/// xorshift64*: enough for choosing bytes, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % below.max(1)
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let dir = format!("{}/tests/rfc4475", env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "dat"));
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

const PIECES: [&[u8]; 16] = [
    b"\r\n",
    b"\r",
    b"\n",
    b"\"",
    b"<",
    b">",
    b";",
    b",",
    b":",
    b"%",
    b"\0",
    b"\xff\xfe",
    b"[::",
    b"4294967296",
    b" ",
    b"\r\n\t",
];

fn mutate(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus[dice.roll(corpus.len())].clone();
    for _ in 0..=dice.roll(3) {
        let at = dice.roll(bytes.len() + 1);
        let piece = PIECES[dice.roll(PIECES.len())];
        match dice.roll(5) {
            0 => bytes.truncate(at),
            1 => drop(bytes.splice(at..at, piece.iter().copied())),
            2 if at < bytes.len() => bytes[at] = dice.roll(256) as u8,
            3 => {
                let end = (at + dice.roll(40)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => {
                let other = &corpus[dice.roll(corpus.len())];
                let from = dice.roll(other.len());
                bytes.splice(at..at, other[from..].iter().copied().take(60));
            }
        }
    }
    bytes
}

fn ask_everything(m: &Message) {
    let _ = (
        m.method(),
        m.request_uri().map(ToString::to_string),
        m.status(),
        m.phrase(),
        m.call_id(),
        m.sdp(),
        m.rseq(),
        m.rack(),
    );
    let _ = (
        m.contact(),
        m.contacts(),
        m.routes("Route"),
        m.list("Supported"),
        m.has_token("Require", "100rel"),
    );
    let (from, to, vias) = (m.from().unwrap(), m.to().unwrap(), m.vias().unwrap());
    let _ = (m.cseq().unwrap().to_string(), m.max_forwards().unwrap());
    for uri in [&from.uri, &to.uri] {
        assert_eq!(uri.to_string().parse().as_ref(), Ok(uri));
        assert!(uri.matches(uri), "{uri}");
        let _ = uri.user();
    }
    for via in vias {
        let _ = (via.branch(), via.received(), via.rport(), via.to_string());
    }
}

#[test]
fn mutated_messages_never_panic_and_accepted_ones_survive_a_round_trip() {
    let corpus = corpus();
    let mut dice = Dice(0x5e60_e5e6_0e5e_60e5);
    let source = "192.0.2.9:5060".parse().unwrap();
    let mut accepted = 0;
    for round in 0..20_000 {
        let bytes = mutate(&mut dice, &corpus);
        match Message::parse_datagram(&bytes) {
            Ok(message) => {
                accepted += 1;
                ask_everything(&message);
                let again = Message::parse_datagram(&message.to_bytes())
                    .unwrap_or_else(|error| panic!("round {round}: {error}"));
                assert!(again.all_headers().eq(message.all_headers()), "round {round}");
                assert_eq!(again.body(), message.body(), "round {round}");
                let stamped = message.with_received(source);
                assert_eq!(
                    stamped.vias().unwrap().len(),
                    message.vias().unwrap().len(),
                    "round {round}"
                );
            }
            Err(error) => {
                if let Some(answer) = error.response(source, "t") {
                    assert!(answer.status().is_some_and(|status| status >= 400), "round {round}");
                    assert!(answer.top_via().is_ok(), "round {round}");
                }
            }
        }
    }
    assert!(
        accepted > 1_000,
        "only {accepted} of the mutated messages were accepted: the mutations are too coarse to tell much"
    );
}

#[test]
fn mutated_streams_never_panic_and_always_come_to_an_end() {
    let corpus = corpus();
    let mut dice = Dice(0xfeed_beef_1234_5678);
    for _ in 0..2_000 {
        let mut framer = StreamFramer::new();
        for _ in 0..3 {
            let bytes = mutate(&mut dice, &corpus);
            for chunk in bytes.chunks(1 + dice.roll(700)) {
                if framer.push(chunk).is_err() {
                    break;
                }
                let mut frames = 0;
                while !matches!(framer.poll_frame(), Ok(None)) {
                    frames += 1;
                    assert!(frames <= chunk.len() + 1, "each frame takes bytes away");
                }
            }
        }
    }
}
