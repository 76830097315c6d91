//! The examples of RFC 3711 and RFC 6188, packets as libsrtp's own tests have them, and what may not pass.

use std::time::{Duration, Instant};

use segue_sdp::{Keys, MasterKey, Suite};

use super::{
    ADDED_MAX, Opener, Sealer, Srtp,
    cipher::tests::{derived, key_stream},
};
use crate::path::rtp::{Header, PLAIN};

const SUITES: [Suite; 6] = [
    Suite::AesCm128HmacSha1_80,
    Suite::AesCm128HmacSha1_32,
    Suite::AesCm256HmacSha1_80,
    Suite::AesCm256HmacSha1_32,
    Suite::AeadAes128Gcm,
    Suite::AeadAes256Gcm,
];

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn key(suite: Suite, text: &str) -> MasterKey {
    MasterKey::new(suite, &hex(text)).unwrap()
}

/// Some key of a suite.
fn some_key(suite: Suite, first: u8) -> MasterKey {
    let material: Vec<u8> = (first..).take(suite.key_len() + suite.salt_len()).collect();
    MasterKey::new(suite, &material).unwrap()
}

fn packet(sequence: u16, ssrc: u32) -> Vec<u8> {
    let header = Header {
        first: PLAIN,
        marker: false,
        payload_type: 8,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc,
    };
    [&header.to_bytes()[..], b"what nobody may hear"].concat()
}

fn sealed(sealer: &mut Sealer, packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + ADDED_MAX, 0);
    let len = sealer.seal_rtp(&mut buffer, packet.len()).unwrap();
    buffer.truncate(len);
    buffer
}

fn sealed_rtcp(sealer: &mut Sealer, packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + ADDED_MAX, 0);
    let len = sealer.seal_rtcp(&mut buffer, packet.len()).unwrap();
    buffer.truncate(len);
    buffer
}

fn opened(opener: &mut Opener, now: Instant, packet: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = packet.to_vec();
    let len = opener.open_rtp(now, &mut bytes)?;
    bytes.truncate(len);
    Some(bytes)
}

fn opened_rtcp(opener: &mut Opener, now: Instant, packet: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = packet.to_vec();
    let len = opener.open_rtcp(now, &mut bytes)?;
    bytes.truncate(len);
    Some(bytes)
}

#[test]
fn the_key_stream_is_that_of_rfc_3711_b_2_and_rfc_6188_7_1() {
    let salt = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD");
    let stream = key_stream(
        Suite::AesCm128HmacSha1_80,
        &hex("2B7E151628AED2A6ABF7158809CF4F3C"),
        &salt,
        0xff02 * 16,
    );
    let block = |n: usize| stream[n * 16..(n + 1) * 16].to_vec();
    assert_eq!(block(0), hex("E03EAD0935C95E80E166B16DD92B4EB4"));
    assert_eq!(block(1), hex("D23513162B02D0F72A43A2FE4A5F97AB"));
    assert_eq!(block(2), hex("41E95B3BB0A2E8DD477901E4FCA894C0"));
    assert_eq!(block(0xfeff), hex("EC8CDF7398607CB0F2D21675EA9EA1E4"));
    assert_eq!(block(0xff00), hex("362B7C3C6773516318A077D7FC5073AE"));
    assert_eq!(block(0xff01), hex("6A2CC3787889374FBEB4C81B17BA6C44"));
    let stream = key_stream(
        Suite::AesCm256HmacSha1_80,
        &hex("57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98"),
        &salt,
        16,
    );
    assert_eq!(stream, hex("92bdd28a93c3f52511c677d08b5515a4"));
}

#[test]
fn keys_are_derived_as_in_rfc_3711_b_3() {
    let master = key(
        Suite::AesCm128HmacSha1_80,
        "E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6",
    );
    assert_eq!(derived(&master, 0, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(derived(&master, 2, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
    assert_eq!(derived(&master, 1, 20), hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
}

#[test]
fn keys_are_derived_as_in_rfc_6188_7_2() {
    let master = key(
        Suite::AesCm256HmacSha1_80,
        "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6 3b04803de51ee7c96423ab5b78d2",
    );
    let session = "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4";
    assert_eq!(derived(&master, 0, 32), hex(session));
    assert_eq!(derived(&master, 2, 14), hex("fa31791685ca444a9e07c6c64e93"));
    assert_eq!(derived(&master, 1, 20), hex("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05"));
}

#[test]
fn packets_are_those_that_libsrtp_makes() {
    let plain = hex("800f1234decafbadcafebabe abababababababababababababababab");
    let compound = hex("81c8000bcafebabe abababababababababababababababab");
    for (suite, material, srtp, srtcp) in [
        (
            Suite::AesCm128HmacSha1_80,
            "e1f97a0d3e018be0d64fa32c06de4139 0ec675ad498afeebb6960b3aabe6",
            "4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb",
            "7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798",
        ),
        (
            Suite::AeadAes128Gcm,
            "000102030405060708090a0b0c0d0e0f a0a1a2a3a4a5a6a7a8a9aaab",
            "c5002ede04cfdd2eb91159e0880aa06e d2976826f796b201df3131a127e8a392",
            "c98b8b5df0392a55852b6c21ac8e7025 c52c6fbea2b3b446ea31123ba88ce61e 80000001",
        ),
        (
            Suite::AesCm256HmacSha1_80,
            "000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f a0a1a2a3a4a5a6a7a8a9aaabacad",
            "ac3bca88143757833 5c6d457f1c36ba7 3d714863909bbf15acec",
            "970431dc4ae6d2afd654bf90f435449e 80000001 bf18182dd118812878b1",
        ),
    ] {
        let key = key(suite, material);
        let (mut sealer, mut opener) = (Sealer::new(&key), Opener::new(&key));
        let now = Instant::now();
        let protected = [&plain[..12], &hex(srtp)].concat();
        assert_eq!(sealed(&mut sealer, &plain), protected, "{suite:?}");
        assert_eq!(opened(&mut opener, now, &protected).as_ref(), Some(&plain), "{suite:?}");
        let protected = [&compound[..8], &hex(srtcp)].concat();
        // They begin to count with 1, we with 0 (RFC 3711 §3.4).
        assert_ne!(sealed_rtcp(&mut sealer, &compound), protected);
        assert_eq!(sealed_rtcp(&mut sealer, &compound), protected, "{suite:?}");
        assert_eq!(
            opened_rtcp(&mut opener, now, &protected).as_ref(),
            Some(&compound),
            "{suite:?}"
        );
    }
}

#[test]
fn what_one_seals_the_other_opens_once_and_in_any_order() {
    for suite in SUITES {
        let key = some_key(suite, 1);
        let (mut sealer, mut opener) = (Sealer::new(&key), Opener::new(&key));
        let now = Instant::now();
        let packets: Vec<_> = (0..4).map(|n| packet(32_000 + n, 7)).collect();
        let wire: Vec<_> = packets.iter().map(|packet| sealed(&mut sealer, packet)).collect();
        for (plain, wire) in packets.iter().zip(&wire) {
            assert_eq!(wire.len(), plain.len() + suite.tag_len());
            assert!(!wire.windows(6).any(|part| part == b"nobody"), "{suite:?}");
            assert_eq!(wire[..12], plain[..12], "the header stays readable");
        }
        for n in [1, 0, 3, 2] {
            assert_eq!(
                opened(&mut opener, now, &wire[n]).as_ref(),
                Some(&packets[n]),
                "{suite:?} {n}"
            );
            assert_eq!(opened(&mut opener, now, &wire[n]), None, "a replay: {suite:?} {n}");
        }
        // Sent again by us because it was lost: the same packet, the same bytes.
        assert_eq!(sealed(&mut sealer, &packets[1]), wire[1]);
    }
}

#[test]
fn what_was_touched_anywhere_is_not_opened() {
    let now = Instant::now();
    for suite in SUITES {
        let key = some_key(suite, 1);
        let mut sealer = Sealer::new(&key);
        let (rtp, rtcp) = (
            sealed(&mut sealer, &packet(5, 7)),
            sealed_rtcp(&mut sealer, &compound()),
        );
        let mut opener = Opener::new(&key);
        for at in 0..rtp.len() {
            let mut touched = rtp.clone();
            touched[at] ^= 1;
            assert_eq!(opened(&mut opener, now, &touched), None, "{suite:?}, byte {at}");
            assert_eq!(opened(&mut opener, now, &rtp[..at]), None, "{suite:?}, cut at {at}");
        }
        for at in 0..rtcp.len() {
            let mut touched = rtcp.clone();
            touched[at] ^= 1;
            assert_eq!(opened_rtcp(&mut opener, now, &touched), None, "{suite:?}, byte {at}");
            assert_eq!(
                opened_rtcp(&mut opener, now, &rtcp[..at]),
                None,
                "{suite:?}, cut at {at}"
            );
        }
        assert_eq!(
            opened(&mut Opener::new(&some_key(suite, 2)), now, &rtp),
            None,
            "another key"
        );
        assert_eq!(opened(&mut opener, now, &packet(5, 7)), None, "plain RTP");
        assert_eq!(opened_rtcp(&mut opener, now, &compound()), None, "plain RTCP");
        assert!(opened(&mut opener, now, &rtp).is_some() && opened_rtcp(&mut opener, now, &rtcp).is_some());
        assert_eq!(opened_rtcp(&mut opener, now, &rtcp), None, "a replay");
    }
}

/// A receiver report of nobody.
fn compound() -> Vec<u8> {
    vec![0x80, 201, 0, 1, 0, 0, 0, 7]
}

/// Authentic, but not encrypted: a compound whose E bit is clear (RFC 4568 §6.3.2 forbids it).
#[test]
fn a_compound_that_is_not_encrypted_is_not_taken() {
    let key = some_key(Suite::AesCm128HmacSha1_80, 1);
    let auth = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &derived(&key, 4, 20));
    let mut bytes = compound();
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&ring::hmac::sign(&auth, &bytes).as_ref()[..10]);
    assert_eq!(opened_rtcp(&mut Opener::new(&key), Instant::now(), &bytes), None);
}

#[test]
fn the_sequence_may_wrap_and_the_peer_may_change_its_ssrc() {
    let now = Instant::now();
    for suite in [Suite::AesCm128HmacSha1_32, Suite::AeadAes256Gcm] {
        let key = some_key(suite, 1);
        let (mut sealer, mut opener) = (Sealer::new(&key), Opener::new(&key));
        // Three times around.
        for n in (0..200_000_u32).step_by(97) {
            let plain = packet(n as u16, 7);
            let wire = sealed(&mut sealer, &plain);
            assert_eq!(opened(&mut opener, now, &wire), Some(plain), "{n}");
        }
        for ssrc in 8..20 {
            let mut anew = Sealer::new(&key);
            let plain = packet(65_000, ssrc);
            assert_eq!(opened(&mut opener, now, &sealed(&mut anew, &plain)), Some(plain));
        }
    }
}

#[test]
fn a_stream_whose_beginning_was_lost_before_it_wrapped_is_found() {
    let key = some_key(Suite::AesCm128HmacSha1_80, 1);
    let (mut sealer, mut opener) = (Sealer::new(&key), Opener::new(&key));
    sealed(&mut sealer, &packet(65_535, 7));
    let second = packet(0, 7);
    let wire = sealed(&mut sealer, &second);
    assert_eq!(opened(&mut opener, Instant::now(), &wire), Some(second));
}

#[test]
fn a_new_key_counts_on_and_the_old_one_is_good_for_a_while() {
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm] {
        for moved in [false, true] {
            let now = Instant::now();
            let keys = |theirs: u8, ours: u8| Keys {
                ours: some_key(suite, ours),
                theirs: some_key(suite, theirs),
            };
            let (mut ours, mut peer) = (Srtp::new(&keys(1, 2)), Srtp::new(&keys(2, 1)));
            for n in [40_000_u16, 60_000, 14_464, 30_000] {
                let wire = sealed(&mut peer.sealer, &packet(n, 7));
                assert!(opened(&mut ours.opener, now, &wire).is_some(), "{n}");
            }
            let on_its_way = sealed(&mut peer.sealer, &packet(30_001, 7));
            let too_late = sealed(&mut peer.sealer, &packet(30_002, 7));
            ours.agree(now, &keys(11, 2), moved);
            peer.agree(now, &keys(2, 11), moved);
            // Its rollover counter has gone on, or begins anew: either is understood.
            let wire = sealed(&mut peer.sealer, &packet(30_003, 7));
            assert_eq!(
                opened(&mut ours.opener, now, &wire),
                Some(packet(30_003, 7)),
                "{suite:?} {moved}"
            );
            assert_eq!(opened(&mut ours.opener, now, &on_its_way), Some(packet(30_001, 7)));
            assert_eq!(opened(&mut ours.opener, now, &on_its_way), None, "a replay");
            let later = now + Duration::from_secs(6);
            assert_eq!(opened(&mut ours.opener, later, &too_late), None);
            // What stayed has not begun anew.
            let wire = sealed(&mut ours.sealer, &packet(1, 9));
            assert!(opened(&mut peer.opener, later, &wire).is_some());
            ours.agree(later, &keys(11, 2), moved);
            assert_eq!(
                opened(&mut peer.opener, later, &sealed(&mut ours.sealer, &packet(1, 9))),
                None
            );
        }
    }
}

#[test]
fn a_peer_that_names_its_key_is_understood() {
    let offer = |suite: &str, key: &str| {
        let text = format!(
            "v=0\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 8\r\na=crypto:1 {suite} inline:{key}|2^31|258:3\r\n"
        );
        let offer = segue_sdp::Description::parse(text.as_bytes()).unwrap();
        let ours = "127.0.0.1".parse().unwrap();
        let mut side = segue_sdp::Side::new(1, ours, 30_000, 30_002).secured(segue_sdp::Srtp::Allow, false, [1; 32]);
        side.answer(&offer, segue_sdp::Choice::Prefer(&|_| true))
            .unwrap()
            .audio
            .unwrap()
            .keys
            .unwrap()
            .theirs
    };
    let now = Instant::now();
    for (key, tag_len) in [
        (
            offer("AES_CM_128_HMAC_SHA1_80", "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0e"),
            10,
        ),
        (offer("AEAD_AES_128_GCM", "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHA=="), 0),
    ] {
        let (mut sealer, mut opener) = (Sealer::new(&some_key(key.suite(), 1)), Opener::new(&key));
        let named = |mut bytes: Vec<u8>, mki: [u8; 3]| {
            // In front of the tag of HMAC; AES-GCM has its tag with what is encrypted.
            let at = bytes.len() - tag_len;
            bytes.splice(at..at, mki);
            bytes
        };
        let plain = packet(5, 7);
        let wire = sealed(&mut sealer, &plain);
        assert_eq!(opened(&mut opener, now, &wire), None, "it is not named");
        assert_eq!(
            opened(&mut opener, now, &named(wire.clone(), [0, 1, 3])),
            None,
            "another one is"
        );
        assert_eq!(opened(&mut opener, now, &named(wire, [0, 1, 2])), Some(plain));
        let wire = sealed_rtcp(&mut sealer, &compound());
        assert_eq!(opened_rtcp(&mut opener, now, &wire), None);
        assert_eq!(opened_rtcp(&mut opener, now, &named(wire, [0, 1, 2])), Some(compound()));
    }
}

#[test]
fn header_extensions_and_sources_stay_readable_and_are_protected() {
    let now = Instant::now();
    for suite in SUITES {
        let key = some_key(suite, 1);
        let mut plain = packet(5, 7);
        plain[0] = 0x92;
        plain.splice(12..12, [0, 0, 0, 1, 0, 0, 0, 2, 0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
        let wire = sealed(&mut Sealer::new(&key), &plain);
        assert_eq!(wire[..28], plain[..28], "{suite:?}");
        assert_eq!(opened(&mut Opener::new(&key), now, &wire), Some(plain), "{suite:?}");
    }
    // One that says more than there is.
    let mut cut = packet(5, 7);
    cut[0] = 0x9f;
    assert_eq!(
        opened(&mut Opener::new(&some_key(Suite::AeadAes128Gcm, 1)), now, &cut),
        None
    );
}

#[test]
fn no_key_is_shown() {
    let key = some_key(Suite::AesCm128HmacSha1_80, 65);
    let shown = format!(
        "{:?}",
        Srtp::new(&Keys {
            ours: key.clone(),
            theirs: key
        })
    );
    assert!(!shown.contains("65, 66") && !shown.contains("ABC"), "{shown}");
}
