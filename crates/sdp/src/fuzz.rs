//! What the fuzzer calls with any bytes (docs/fuzzing.md). Each panics when a promise of this crate is broken.

use std::net::{IpAddr, Ipv4Addr};

use crate::{
    Agreed, Choice, Description, Direction, Side, Srtp,
    description::{MediaLine, Transport},
};

const OURS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A caller's offer of every codec that we know.
const OFFER: &[u8] = b"v=0\r\no=a 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 9 111 112 113 101\r\n\
a=rtpmap:111 opus/48000/2\r\na=rtpmap:112 AMR-WB/16000\r\na=rtpmap:113 AMR/8000\r\na=fmtp:113 octet-align=1;mode-set=0,2,7\r\na=rtpmap:101 telephone-event/8000\r\nm=video 4002 RTP/AVP 96 98\r\na=rtpmap:96 H264/90000\r\n\
a=fmtp:96 profile-level-id=42e01f;packetization-mode=1\r\na=rtpmap:98 VP8/90000\r\n";

/// Any offer: an answer to it keeps RFC 3264 §6, the same offer again gets the same bytes, and what is offered onwards can be
/// answered.
pub fn offer(bytes: &[u8]) {
    let Ok(offer) = Description::parse(bytes) else { return };
    let mut side = Side::new(1, OURS, 30_000, 30_002);
    let Ok(agreed) = side.answer(&offer, Choice::Prefer(&|_| true)) else {
        return;
    };
    let answer = read(&agreed.sdp);
    assert_eq!(answer.lines.len(), offer.lines.len(), "one m-line for each");
    for (theirs, ours) in offer.lines.iter().zip(&answer.lines) {
        answers(theirs, ours);
    }
    assert_eq!(answer.time, offer.time, "t= is the offer's");

    let again = side.answer(&offer, Choice::Prefer(&|_| true));
    assert!(
        again.is_ok_and(|again| again.sdp == agreed.sdp),
        "the same offer, the same answer"
    );
    let codec = |stream: &Option<crate::Stream>| stream.as_ref().map(|stream| stream.format.codec);
    let keep = Choice::Keep {
        audio: codec(&agreed.audio),
        video: codec(&agreed.video),
    };
    let kept = side.answer(&offer, keep);
    assert!(
        kept.is_ok_and(|kept| kept.streams().count() == agreed.streams().count()),
        "what is in use can be kept"
    );

    let mut onwards = Side::new(2, OURS, 30_004, 30_006);
    let offered = read(&onwards.offer(&agreed));
    assert_eq!(offered.lines.len(), agreed.streams().count(), "as many as were agreed");
    let mut callee = Side::new(3, OURS, 30_008, 30_010);
    let answered = callee.answer(&offered, Choice::Prefer(&|_| true));
    assert!(answered.is_ok(), "what we offer can be answered");
    if let Ok(answered) = answered {
        assert!(
            onwards.read_answer(&read(&answered.sdp)).is_ok(),
            "an answer of ours is taken"
        );
    }
}

/// Any offer to a side that takes SRTP: no m-line changes between SRTP and RTP, each of SRTP is answered with one of the tags that
/// were offered and its suite, with a key of ours that is nobody else's (RFC 4568 §5.1.2, §6.1); what was SRTP is not offered as
/// RTP again; what is offered onwards can be answered.
pub fn crypto(bytes: &[u8]) {
    let Ok(offer) = Description::parse(bytes) else { return };
    let mut side = Side::new(1, OURS, 30_000, 30_002).secured(Srtp::Allow, false, [1; 32]);
    let Ok(agreed) = side.answer(&offer, Choice::Prefer(&|_| true)) else {
        return;
    };
    let answer = read(&agreed.sdp);
    let mut keys: Vec<crate::MasterKey> = Vec::new();
    for (theirs, ours) in offer.lines.iter().zip(&answer.lines).filter(|(_, ours)| ours.port != 0) {
        answers(theirs, ours);
        assert_eq!(ours.transport(), theirs.transport(), "SRTP stays SRTP");
        if ours.transport() == Some(Transport::Plain) {
            assert!(ours.crypto.is_empty(), "RTP has no keys");
            continue;
        }
        let said = ours.crypto.first().filter(|_| ours.crypto.len() == 1);
        let of = |said: &crate::crypto::Crypto| theirs.crypto.iter().find(|theirs| theirs.tag == said.tag).cloned();
        let (said, offered) = said.and_then(|said| Some((said, of(said)?))).unzip();
        assert!(said.is_some(), "one tag that was offered");
        assert_eq!(
            said.map(|said| said.key.suite()),
            offered.as_ref().map(|offered| offered.key.suite())
        );
        keys.extend(said.map(|said| said.key.clone()));
        keys.extend(offered.map(|offered| offered.key));
    }
    let ours: Vec<_> = agreed.streams().filter_map(|stream| stream.keys.clone()).collect();
    for key in &ours {
        assert_eq!(
            keys.iter().filter(|known| **known == key.ours).count(),
            1,
            "each key stands once"
        );
    }
    let again = side.answer(&offer, Choice::Prefer(&|_| true));
    assert!(
        again.is_ok_and(|again| again.sdp == agreed.sdp),
        "the same offer, the same keys"
    );
    let within = read(&side.offer_again());
    for (before, now) in answer
        .lines
        .iter()
        .zip(&within.lines)
        .filter(|(before, _)| before.port != 0)
    {
        assert_eq!(before.transport(), now.transport(), "what is SRTP stays so");
    }

    let mut onwards = Side::new(2, OURS, 30_004, 30_006).secured(Srtp::Require, true, [2; 32]);
    let offered = read(&onwards.offer(&agreed));
    let mut callee = Side::new(3, OURS, 30_008, 30_010).secured(Srtp::Require, false, [3; 32]);
    let answered = callee.answer(&offered, Choice::Prefer(&|_| true));
    let taken = answered
        .ok()
        .and_then(|answered| onwards.read_answer(&read(&answered.sdp)).ok());
    assert!(
        taken.is_some_and(|taken| taken.streams().all(|stream| stream.keys.is_some())),
        "what we offer can be answered, in SRTP alone"
    );
}

/// RFC 3264 §6, §6.1 of one m-line.
fn answers(theirs: &MediaLine, ours: &MediaLine) {
    assert_eq!(ours.kind(), theirs.kind(), "the same media, in the same order");
    if ours.port == 0 {
        return;
    }
    assert!(theirs.port != 0, "a stream that is switched off stays so");
    let potential = theirs.potential.as_ref().map(|potential| &potential.proto);
    assert!(
        ours.proto == theirs.proto || potential == Some(&ours.proto),
        "a transport that was offered"
    );
    let within = match theirs.direction {
        Direction::SendRecv => true,
        Direction::SendOnly => !ours.direction.sends(),
        Direction::RecvOnly => !ours.direction.receives(),
        Direction::Inactive => ours.direction == Direction::Inactive,
    };
    assert!(within, "{:?} answered by {:?}", theirs.direction, ours.direction);
    assert!(!ours.formats.is_empty(), "a live stream has a format");
    for format in &ours.formats {
        let same = |offered: &&crate::Format| offered.codec.is_same_kind(format.codec);
        assert!(
            theirs.formats.iter().any(|offered| same(&offered)),
            "only what was offered"
        );
    }
}

/// Any answer to an offer of ours: it is taken or refused, and what is taken was offered.
pub fn answer(bytes: &[u8]) {
    let Ok(answer) = Description::parse(bytes) else { return };
    let agreed = Side::new(1, OURS, 30_000, 30_002).answer(&read(OFFER), Choice::Prefer(&|_| true));
    let Ok(agreed) = agreed else { return };
    let mut side = Side::new(2, OURS, 30_004, 30_006);
    let said = side.offer(&agreed);
    if let Ok(taken) = side.read_answer(&answer) {
        assert!(taken.streams().next().is_some(), "something is left");
        assert_eq!(taken.sdp, said, "what we said stays what we said");
        within(&taken, &agreed);
    }
    assert_eq!(side.said(), Some(said), "an answer changes nothing that we said");
    // Next, as a re-offer of the same peer.
    if let Ok(again) = side.answer(&answer, Choice::Prefer(&|_| true)) {
        assert_eq!(read(&again.sdp).lines.len(), answer.lines.len());
    }
}

fn within(taken: &Agreed, agreed: &Agreed) {
    for stream in taken.streams() {
        let offered = agreed.streams().find(|offered| offered.kind == stream.kind);
        assert!(
            offered.is_some_and(|offered| offered.format.codec.is_same_kind(stream.format.codec)),
            "only what was offered"
        );
    }
}

#[allow(clippy::panic)] // What the fuzzer looks for.
fn read(ours: &[u8]) -> Description {
    Description::parse(ours).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(ours)))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // Tests read their corpora.
mod tests {
    use std::fs;

    fn each(path: &str, entry: fn(&[u8])) -> usize {
        let folder = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        for file in &files {
            println!("{}", file.display());
            entry(&fs::read(file).unwrap());
        }
        files.len()
    }

    #[test]
    fn corpus_of_offers() {
        assert!(each("../../fuzz/seeds/sdp_offer", super::offer) > 0);
        assert!(each("tests/offers", super::offer) >= 6);
    }

    #[test]
    fn corpus_of_keys() {
        assert!(each("../../fuzz/seeds/sdp_crypto", super::crypto) > 0);
        assert!(each("../../fuzz/seeds/sdp_offer", super::crypto) > 0);
        assert!(each("tests/offers", super::crypto) >= 6);
    }

    #[test]
    fn corpus_of_answers() {
        assert!(each("../../fuzz/seeds/sdp_answer", super::answer) > 0);
        assert!(each("tests/offers", super::answer) >= 6);
    }
}
