//! Several phones behind one target of the callee: each early dialog has an offer and an answer of its own, changed by UPDATE; A sees one
//! early dialog and one answer (RFC 3311, RFC 6228, RFC 6337 §2.2).

use std::sync::Arc;

use segue_call::{Early, LegId, MediaAction};
use segue_records::CallResult;
use segue_sdp::Direction;

use crate::stage::{AUDIO, B, PACKET_MS, Setup, Stage, VIDEO, sdp};

const HELD_AUDIO: &str = "m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n";

/// B's phones ring; A is told so.
fn ringing() -> Stage {
    let mut s = Setup::default().call();
    s.run_ms(PACKET_MS + 6_000);
    assert_eq!(s.b().got(), ["INVITE"]);
    s
}

fn early(status: u16, fork: &str, description: Option<Arc<[u8]>>) -> Early {
    Early {
        status,
        fork: Some(fork.into()),
        sdp: description,
        ..Early::default()
    }
}

/// A description with its audio on another port.
fn at(port: u16, media: &str) -> Arc<[u8]> {
    sdp(&media.replace("m=audio 4000", &format!("m=audio {port}")))
}

/// Port and our direction of B's audio as the packet path was last told.
fn audio_of_b(s: &Stage) -> (u16, Direction) {
    let last = s.media_actions().into_iter().rev().find_map(|action| match action {
        MediaAction::Configure {
            leg: B,
            audio: Some(audio),
            ..
        } => Some((audio.remote.unwrap().port(), audio.direction)),
        _ => None,
    });
    last.unwrap()
}

fn both() -> String {
    format!("{AUDIO}{VIDEO}")
}

#[test]
fn an_update_before_the_answer_is_answered_and_counts_when_its_dialog_wins() {
    let mut s = ringing();
    s.b().early(early(183, "one", Some(at(4000, &both()))));
    s.b().early(early(183, "two", Some(at(5000, &both()))));
    // It moves, and holds.
    s.b().offers_early("one", at(4444, &format!("{HELD_AUDIO}{VIDEO}")));
    assert_eq!(s.b().got(), ["INVITE", "accept"]);
    let ours = s.b().told_sdp();
    assert!(ours.contains("a=recvonly") && ours.contains("m=video"), "{ours}");
    // Its 2xx needs no description: the early one was older than the UPDATE, and is what `sip` gives.
    s.b().answers_as("one", Some(at(4000, &both())));
    assert_eq!(audio_of_b(&s), (4444, Direction::RecvOnly));
    assert_eq!(s.a().got(), ["183 sdp", "200 sdp"]);
    s.a().acks();
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}

#[test]
fn each_early_dialog_keeps_its_own_state() {
    let mut s = ringing();
    s.b().early(early(183, "one", Some(at(4000, &both()))));
    s.b().early(early(183, "two", Some(at(5000, &both()))));
    s.b().offers_early("one", at(4444, &format!("{HELD_AUDIO}{VIDEO}")));
    s.b().answers_as("two", Some(at(5000, &both())));
    assert_eq!(audio_of_b(&s), (5000, Direction::SendRecv));
    s.a().hangs_up();
    s.finish();
}

#[test]
fn an_update_of_a_dialog_that_has_not_answered_or_that_cannot_be_used_gets_488() {
    let mut s = ringing();
    s.b().offers_early("one", at(4000, &both()));
    s.b().early(early(183, "one", Some(at(4000, &both()))));
    s.b().offers_early("one", sdp("m=audio 4000 RTP/AVP 18\r\n"));
    assert_eq!(s.b().got(), ["INVITE", "refuse 488", "refuse 488"]);
    // The session is as it was.
    s.b().answers_as("one", Some(at(4000, &both())));
    assert_eq!(audio_of_b(&s), (4000, Direction::SendRecv));
    s.a().hangs_up();
    s.finish();
}

#[test]
fn a_199_drops_its_dialog_and_is_not_told_to_a() {
    for clip in [true, false] {
        let setup = Setup::default().lookup(|found| {
            if !clip {
                found.clip = None;
            }
        });
        let mut s = setup.call();
        s.run_ms(PACKET_MS + 6_000);
        s.b().early(early(183, "one", Some(at(4000, &both()))));
        let told = s.a().got();
        s.b().early(early(199, "one", None));
        assert_eq!(
            s.a().got(),
            told,
            "one of B's phones is out of it, which is no news to A"
        );
        // Nothing of it is left to be updated.
        s.b().offers_early("one", at(4444, &both()));
        assert_eq!(s.b().got(), ["INVITE", "refuse 488"]);
        s.b().early(early(180, "two", None));
        s.b().answers_as("two", Some(at(5000, &both())));
        assert_eq!(audio_of_b(&s), (5000, Direction::SendRecv));
        s.a().hangs_up();
        s.finish();
    }
}

#[test]
fn a_second_description_in_the_200_is_taken() {
    let mut s = ringing();
    s.b().early(early(183, "one", Some(at(4000, &both()))));
    s.b().answers_as("one", Some(at(4800, &both())));
    assert_eq!(audio_of_b(&s), (4800, Direction::SendRecv));
    s.a().hangs_up();
    s.finish();
}

#[test]
fn a_200_without_the_description_that_an_unreliable_183_had_is_taken_too() {
    let mut s = ringing();
    s.b().early(early(183, "one", Some(at(4000, &both()))));
    s.b().answers_as("one", None);
    assert_eq!(audio_of_b(&s), (4000, Direction::SendRecv));
    s.a().hangs_up();
    s.finish();
}

#[test]
fn many_phones_behind_a_target_cost_no_more_than_a_few() {
    let mut s = ringing();
    for number in 0..100 {
        s.b()
            .early(early(183, &format!("tag{number}"), Some(at(4000, &both()))));
    }
    s.b().offers_early("tag99", at(4444, &both()));
    assert_eq!(s.b().got(), ["INVITE", "refuse 488"]);
    s.b().answers_as("tag99", Some(at(4099, &both())));
    assert_eq!(audio_of_b(&s), (4099, Direction::SendRecv));
    s.a().hangs_up();
    s.finish();
}

#[test]
fn a_re_invite_after_the_answer_goes_on_from_the_update_before_it() {
    let mut s = ringing();
    s.b().early(early(183, "one", Some(at(4000, &both()))));
    s.b().offers_early("one", at(4444, &both()));
    s.b().answers_as("one", None);
    s.a().acks();
    let before = s.b().told_sdp();
    s.b().offers(Some(at(4555, &both())));
    let after = s.b().told_sdp();
    let version = |text: &str| text.lines().find(|line| line.starts_with("o=")).unwrap().to_owned();
    assert_eq!(
        version(&before),
        version(&after),
        "nothing of ours has changed (RFC 3264 §8)"
    );
    assert_eq!(s.target(1).got().last().unwrap(), "accept");
    assert_eq!(audio_of_b(&s).0, 4555);
    assert_eq!(LegId(1), B);
    s.a().hangs_up();
    s.finish();
}
