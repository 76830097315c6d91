//! AMR and AMR-WB payloads: the examples of RFC 4867, every frame type in both packings, and one packing carried into the other.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use segue_media::amr::{self, FRAMES_MAX, Frame, NO_DATA, NO_REQUEST, PAYLOAD_MAX, Payload};
use segue_sdp::{Amr, Band, Modes, Packing};

const BANDS: [Band; 2] = [Band::Narrow, Band::Wide];
const PACKINGS: [Packing; 2] = [Packing::BandwidthEfficient, Packing::OctetAligned];

fn of(band: Band, packing: Packing) -> Amr {
    let modes = Modes::all(band);
    Amr { band, packing, modes }
}

fn with(amr: Amr, modes: &str) -> Amr {
    let modes = Modes::parse(modes, amr.band).unwrap();
    Amr { modes, ..amr }
}

/// Frames as files store them.
fn stored(payload: &Payload<'_>) -> Vec<Vec<u8>> {
    let each = payload.frames().map(|frame| {
        let mut bytes = Vec::new();
        frame.store(&mut bytes);
        bytes
    });
    each.collect()
}

fn packed(band: Band, packing: Packing, request: u8, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0xa5; PAYLOAD_MAX];
    let frames = frames.iter().map(|bytes| Frame::stored(band, bytes).unwrap());
    let len = amr::pack(packing, request, frames, &mut out).unwrap();
    out.truncate(len);
    out
}

/// A frame of a type, its data from the dice.
fn frame(band: Band, kind: u8, intact: bool, rng: &mut StdRng) -> Vec<u8> {
    let bits = amr::frame_bits(band, kind).unwrap();
    let mut bytes = vec![kind << 3 | u8::from(intact) << 2];
    bytes.extend((0..bits.div_ceil(8)).map(|_| rng.next_u32() as u8));
    if !bits.is_multiple_of(8) {
        *bytes.last_mut().unwrap() &= 0xff << (8 - bits % 8);
    }
    bytes
}

/// Bits as text, spaces left out, as octets.
fn octets(text: &str) -> Vec<u8> {
    let bits: Vec<u8> = text.bytes().filter(|b| *b != b' ').map(|b| b - b'0').collect();
    bits.chunks(8)
        .map(|octet| {
            octet
                .iter()
                .enumerate()
                .fold(0, |byte, (at, bit)| byte | bit << (7 - at))
        })
        .collect()
}

#[test]
fn the_single_frame_of_section_4_3_5_1() {
    // CMR 15, one entry of 7.4 kbit/s, 148 bits that begin and end with a mark, two of padding.
    let data = format!("101{}11", "0".repeat(143));
    let payload = octets(&format!("1111 0 0100 1 {data} 00"));
    let parsed = Payload::parse(of(Band::Narrow, Packing::BandwidthEfficient), &payload).unwrap();
    assert_eq!((payload.len(), parsed.request(), parsed.count()), (20, NO_REQUEST, 1));
    let frame = parsed.frames().next().unwrap();
    assert_eq!((frame.kind, frame.intact), (4, true));
    let aligned = octets(&format!("1111 0000 0 0100 1 00 {data} 0000"));
    let frames = stored(&parsed);
    assert_eq!(
        packed(Band::Narrow, Packing::OctetAligned, NO_REQUEST, &frames),
        aligned
    );
    assert_eq!(
        packed(Band::Narrow, Packing::BandwidthEfficient, NO_REQUEST, &frames),
        payload
    );
}

#[test]
fn the_four_frames_of_section_4_3_5_2() {
    // CMR 1; 6.6 kbit/s, SID, NO_DATA, 8.85 kbit/s; seven bits of padding.
    let (d, g, h) = ("10".repeat(66), "1100".repeat(10), format!("{}1", "0111".repeat(44)));
    let text = format!("0001 1 0000 1 1 1001 1 1 1111 1 0 0001 1 {d}{g}{h} 0000000");
    let payload = octets(&text);
    let parsed = Payload::parse(of(Band::Wide, Packing::BandwidthEfficient), &payload).unwrap();
    assert_eq!((parsed.request(), parsed.count()), (1, 4));
    let kinds: Vec<u8> = parsed.frames().map(|frame| frame.kind).collect();
    assert_eq!(kinds, [0, 9, NO_DATA, 1]);
    let frames = stored(&parsed);
    assert_eq!(frames[0][1..], octets(&format!("{d}0000")));
    assert_eq!(frames[1][1..], octets(&g));
    assert_eq!((frames[2].len(), &frames[3][1..]), (1, &octets(&h)[..]));
    assert_eq!(packed(Band::Wide, Packing::BandwidthEfficient, 1, &frames), payload);
}

#[test]
fn the_two_frames_of_section_4_4_5_1() {
    // CMR 6; two of 7.95 kbit/s, octet-aligned, 159 bits each.
    let (one, two) = ("1".repeat(159), format!("1{}1", "0".repeat(157)));
    let payload = octets(&format!("0110 0000 1 0101 1 00 0 0101 1 00 {one}0 {two}0"));
    let parsed = Payload::parse(of(Band::Narrow, Packing::OctetAligned), &payload).unwrap();
    assert_eq!((payload.len(), parsed.request(), parsed.count()), (43, 6, 2));
    let efficient = octets(&format!("0110 1 0101 1 0 0101 1 {one}{two} 00"));
    let frames = stored(&parsed);
    assert_eq!(packed(Band::Narrow, Packing::BandwidthEfficient, 6, &frames), efficient);
    assert_eq!(packed(Band::Narrow, Packing::OctetAligned, 6, &frames), payload);
}

#[test]
fn every_frame_type_survives_each_packing_and_the_way_there_and_back() {
    let mut rng = StdRng::seed_from_u64(4867);
    for band in BANDS {
        let kinds: Vec<u8> = (0..16).filter(|kind| amr::frame_bits(band, *kind).is_some()).collect();
        assert_eq!(kinds.len(), if band == Band::Narrow { 10 } else { 12 });
        for turn in 0..600 {
            let count = if turn < kinds.len() {
                1
            } else {
                rng.random_range(1..=20)
            };
            let frames: Vec<Vec<u8>> = (0..count)
                .map(|_| {
                    let kind = if turn < kinds.len() {
                        turn
                    } else {
                        rng.random_range(0..kinds.len())
                    };
                    frame(band, kinds[kind], rng.random_bool(0.8), &mut rng)
                })
                .collect();
            let request = [NO_REQUEST, rng.random_range(0..=band.highest_mode())][turn % 2];
            for packing in PACKINGS {
                let amr = of(band, packing);
                let payload = packed(band, packing, request, &frames);
                let parsed = Payload::parse(amr, &payload).unwrap();
                assert_eq!((parsed.request(), parsed.count()), (request, count));
                assert_eq!(stored(&parsed), frames, "{band:?} {packing:?}");
                let (mut there, mut back) = (vec![0x5a; PAYLOAD_MAX], vec![0x5a; PAYLOAD_MAX]);
                let len = amr::repack(amr, amr.repacked(), &payload, &mut there).unwrap();
                assert_eq!(there[..len], packed(band, packing.other(), request, &frames));
                let len = amr::repack(amr.repacked(), amr, &there[..len], &mut back).unwrap();
                assert_eq!(back[..len], payload);
                // Any other length than the table of contents says is none (§4.5.1).
                assert!(Payload::parse(amr, &payload[..payload.len() - 1]).is_none());
                assert!(Payload::parse(amr, &[&payload[..], &[0]].concat()).is_none());
            }
        }
    }
}

#[test]
fn what_is_reserved_makes_a_payload_none_and_padding_is_not_looked_at() {
    for (band, kind) in [
        (Band::Narrow, 9),
        (Band::Narrow, 14),
        (Band::Wide, 10),
        (Band::Wide, 13),
    ] {
        assert!(Payload::parse(of(band, Packing::OctetAligned), &[0xf0, kind << 3 | 4]).is_none());
    }
    let amr = of(Band::Narrow, Packing::OctetAligned);
    assert!(Payload::parse(amr, &[]).is_none() && Payload::parse(amr, &[0xf0]).is_none());
    // Reserved and padding bits set: ignored, and not sent on.
    let mut out = [0xff; PAYLOAD_MAX];
    let len = amr::repack(amr, amr, &[0xff, 0x47, 1, 2, 3, 4, 0x11], &mut out).unwrap();
    assert_eq!(out[..len], [0xf0, 0x44, 1, 2, 3, 4, 0x10]);
    // More frames than are read.
    let long = [&[0xf0][..], &[0xfc; FRAMES_MAX], &[0x7c]].concat();
    assert!(Payload::parse(amr, &long).is_none());
    assert_eq!(
        Payload::parse(amr, &[&[0xf0][..], &long[2..]].concat())
            .unwrap()
            .count(),
        FRAMES_MAX
    );
    // No room, no frame.
    let one = Frame::stored(Band::Narrow, &[0x44, 1, 2, 3, 4, 0x10]).unwrap();
    assert_eq!(
        amr::pack(Packing::OctetAligned, 15, [one].into_iter(), &mut [0; 6]),
        None
    );
    assert_eq!(
        amr::pack(Packing::OctetAligned, 15, [one; 0].into_iter(), &mut out),
        None
    );
}

#[test]
fn modes_outside_the_set_are_not_sent_and_their_sender_is_asked_for_one_within() {
    let mut rng = StdRng::seed_from_u64(1);
    let free = of(Band::Narrow, Packing::BandwidthEfficient);
    let gsm = with(free.repacked(), "0,2,4");
    let frames = [7, 4, 8].map(|kind| frame(Band::Narrow, kind, true, &mut rng));
    let carried = |from: Amr, to: Amr, request: u8| {
        let payload = packed(Band::Narrow, from.packing, request, &frames);
        let mut out = vec![0; PAYLOAD_MAX];
        let len = amr::repack(from, to, &payload, &mut out).unwrap();
        out.truncate(len);
        let parsed = Payload::parse(to, &out).unwrap();
        let kinds: Vec<u8> = parsed.frames().map(|frame| frame.kind).collect();
        (parsed.request(), kinds)
    };
    // To the one that is restricted: 12.2 kbit/s must not be sent, SID may.
    assert_eq!(carried(free, gsm, NO_REQUEST), (NO_REQUEST, vec![NO_DATA, 4, 8]));
    // "The requested mode MUST be among the signalled subset" (§4.3.1).
    assert_eq!([7, 3, 1, 0].map(|request| carried(free, gsm, request).0), [4, 2, 0, 0]);
    // To the one that knows of no restriction: it is asked to stay within.
    assert_eq!(
        [NO_REQUEST, 7, 2].map(|request| carried(gsm, free, request).0),
        [4, 4, 2]
    );
    assert!(amr::passes_as_is(free, free) && amr::passes_as_is(gsm, gsm));
    assert!(!amr::passes_as_is(free, free.repacked()) && !amr::passes_as_is(gsm.repacked(), free));
}

#[test]
fn silence_is_a_sid_frame_and_speech_is_told_from_it() {
    let mut rng = StdRng::seed_from_u64(2);
    for band in BANDS {
        // No energy, STI 1: an update.
        let sid = vec![amr::sid(band) << 3 | 4, 0, 0, 0, 0, 0x10];
        for packing in PACKINGS {
            let amr = of(band, packing);
            assert_eq!(
                amr::silence(amr),
                packed(band, packing, NO_REQUEST, std::slice::from_ref(&sid))
            );
            let nothing = vec![NO_DATA << 3 | 4];
            let quiet = packed(band, packing, NO_REQUEST, &[nothing.clone(), sid.clone()]);
            let speech = packed(band, packing, NO_REQUEST, &[nothing, frame(band, 2, true, &mut rng)]);
            assert!(!amr::is_speech(amr, &quiet) && amr::is_speech(amr, &speech));
            assert!(amr::is_speech(amr, &[0xf0]), "what cannot be read counts as sound");
        }
    }
}

#[test]
fn any_bytes_are_read_or_refused() {
    let mut rng = StdRng::seed_from_u64(3);
    let mut read = 0;
    for _ in 0..200_000 {
        let amr = of(BANDS[rng.random_range(0..2)], PACKINGS[rng.random_range(0..2)]);
        let len = rng.random_range(0..24);
        let bytes: Vec<u8> = (0..len).map(|_| rng.next_u32() as u8).collect();
        let mut out = [0; PAYLOAD_MAX];
        if let Some(len) = amr::repack(amr, amr.repacked(), &bytes, &mut out) {
            read += 1;
            assert!(Payload::parse(amr.repacked(), &out[..len]).is_some());
        }
    }
    assert!(read > 1_000, "{read}");
}
