//! What one side of a bridge changes is offered to the other, which decides: hold, resume, another codec, video.

use segue_call::{LegAction, LegId, MediaAction};
use segue_sdp::{Codec, Direction, Stream};

use crate::stage::{A, AUDIO, B, Setup, Stage, VIDEO, sdp};

fn bridged() -> Stage {
    let mut s = Setup::default().call();
    s.run_ms(6_100);
    s.b().answers();
    s.a().acks();
    s
}

fn both(direction: &str) -> String {
    format!("{AUDIO}a={direction}\r\n{VIDEO}a={direction}\r\n")
}

/// What the packet path was told of a leg last.
fn configured(s: &Stage, of: LegId) -> (Option<Stream>, Option<Stream>) {
    let actions = s.media_actions().into_iter().rev();
    let mut found = actions.filter_map(|action| match action {
        MediaAction::Configure { leg, audio, video } if leg == of => Some((audio, video)),
        _ => None,
    });
    found.next().unwrap()
}

fn directions(s: &Stage, leg: LegId) -> [Option<Direction>; 2] {
    let (audio, video) = configured(s, leg);
    [audio.map(|s| s.direction), video.map(|s| s.direction)]
}

fn lines(sdp: &str, begin: &str) -> Vec<String> {
    sdp.lines()
        .filter(|line| line.starts_with(begin))
        .map(str::to_owned)
        .collect()
}

fn agent(s: &mut Stage, leg: LegId) -> crate::stage::Agent<'_> {
    if leg == A { s.a() } else { s.b() }
}

#[test]
fn hold_and_resume_reach_the_other_side_whoever_holds() {
    for (holder, other) in [(A, B), (B, A)] {
        let mut s = bridged();
        let (before_holder, before_other) = (agent(&mut s, holder).got().len(), agent(&mut s, other).got().len());
        agent(&mut s, holder).offers(Some(sdp(&both("sendonly"))));
        assert_eq!(
            agent(&mut s, holder).got().len(),
            before_holder,
            "not before the other has agreed"
        );
        let told = agent(&mut s, other).told_sdp();
        assert_eq!(lines(&told, "a=sendonly").len(), 2, "{told}");
        agent(&mut s, other).answers_our_offer(sdp(&both("recvonly")));
        assert_eq!(lines(&agent(&mut s, holder).told_sdp(), "a=recvonly").len(), 2);
        assert_eq!(directions(&s, holder), [Some(Direction::RecvOnly); 2]);
        assert_eq!(directions(&s, other), [Some(Direction::SendOnly); 2]);
        // Resume.
        agent(&mut s, holder).offers(Some(sdp(&both("sendrecv"))));
        agent(&mut s, other).answers_our_offer(sdp(&both("sendrecv")));
        for leg in [A, B] {
            assert_eq!(directions(&s, leg), [Some(Direction::SendRecv); 2]);
        }
        assert_eq!(agent(&mut s, holder).got()[before_holder..], ["accept", "accept"]);
        assert_eq!(agent(&mut s, other).got()[before_other..], ["offer", "offer"]);
        let versions = |told: String| lines(&told, "o=")[0].split(' ').nth(2).unwrap().to_owned();
        for leg in [A, B] {
            let told = agent(&mut s, leg).told_sdp();
            assert_eq!(versions(told), "3", "one up with each change");
        }
        s.a().hangs_up();
        s.finish();
    }
}

#[test]
fn a_side_that_holds_itself_narrows_the_others_resume() {
    let mut s = bridged();
    s.b().offers(Some(sdp(&both("sendonly"))));
    s.a().answers_our_offer(sdp(&both("recvonly")));
    // A wants to talk; B still holds.
    s.a().offers(Some(sdp(&both("sendrecv"))));
    s.b().answers_our_offer(sdp(&both("sendonly")));
    assert_eq!(lines(&s.a().told_sdp(), "a=sendonly").len(), 2);
    assert_eq!(directions(&s, A), [Some(Direction::SendOnly); 2]);
    s.a().hangs_up();
    s.finish();
}

#[test]
fn a_phone_that_only_moves_disturbs_nobody() {
    let mut s = bridged();
    s.a()
        .offers(Some(sdp(&format!("{}{VIDEO}", AUDIO.replace("4000", "4444")))));
    assert_eq!(s.b().got(), ["INVITE"]);
    assert_eq!(s.a().got().last().unwrap(), "accept");
    assert_eq!(configured(&s, A).0.unwrap().remote.unwrap().port(), 4444);
    s.a().hangs_up();
    s.finish();
}

#[test]
fn another_codec_is_changed_on_both_sides() {
    for (asker, other) in [(A, B), (B, A)] {
        let mut s = bridged();
        let pcma = format!("m=audio 4000 RTP/AVP 8\r\n{VIDEO}");
        agent(&mut s, asker).offers(Some(sdp(&pcma)));
        let told = agent(&mut s, other).told_sdp();
        assert!(lines(&told, "m=audio")[0].contains("RTP/AVP 8"), "{told}");
        agent(&mut s, other).answers_our_offer(sdp(&pcma));
        assert_eq!(agent(&mut s, asker).got().last().unwrap(), "accept");
        for leg in [A, B] {
            let audio = configured(&s, leg).0.unwrap();
            assert_eq!((audio.format.codec, audio.format.payload_type), (Codec::Pcma, 8));
        }
        // It is the codec in use now: a re-offer with both keeps it.
        agent(&mut s, asker).offers(Some(sdp(&format!("{AUDIO}{VIDEO}"))));
        assert_eq!(configured(&s, asker).0.unwrap().format.codec, Codec::Pcma);
        s.a().hangs_up();
        s.finish();
    }
}

#[test]
fn what_the_other_refuses_changes_neither() {
    let mut s = bridged();
    let before = s.media_actions().len();
    s.a().offers(Some(sdp(&format!("m=audio 4000 RTP/AVP 8\r\n{VIDEO}"))));
    s.b().refuses_our_offer(488);
    s.a().offers(Some(sdp(&both("sendonly"))));
    s.b().refuses_our_offer(500);
    s.a().offers(Some((*b"nonsense").into()));
    let savp = AUDIO.replace("RTP/AVP", "RTP/SAVP") + &VIDEO.replace("RTP/AVP", "RTP/SAVP");
    s.a().offers(Some(sdp(&savp)));
    assert_eq!(s.a().got()[2..], ["refuse 488"; 4]);
    // Each with its reason (RFC 3261 §20.43): B's refusals, what is no SDP, a transport that we do not have.
    let actions = s.a().actions();
    let mut warnings = actions.iter().filter_map(|action| match action {
        LegAction::RefuseOffer { warning, .. } => Some(warning.clone().unwrap_or_default()),
        _ => None,
    });
    for begins in [
        "399 segue \"The other side refuses it (488)",
        "399 segue \"The other side refuses it (500)",
        "399 segue \"Session description not understood",
        "302 segue",
    ] {
        let warning = warnings.next().unwrap();
        assert!(warning.starts_with(begins), "{warning}");
    }
    assert_eq!(s.media_actions().len(), before);
    s.a().hangs_up();
    s.finish();
}

#[test]
fn glare_is_passed_to_the_one_who_asked() {
    let mut s = bridged();
    s.a().offers(Some(sdp(&both("sendonly"))));
    // B's own re-INVITE came first: sip gave way to it.
    s.b().refuses_our_offer(491);
    assert_eq!(s.a().got().last().unwrap(), "refuse 491");
    s.b().offers(Some(sdp(&both("sendonly"))));
    s.a().answers_our_offer(sdp(&both("recvonly")));
    assert_eq!(s.b().got().last().unwrap(), "accept");
    s.a().hangs_up();
    s.finish();
}

#[test]
fn a_side_that_takes_no_offers_is_held_by_us() {
    let mut s = bridged();
    s.a().offers(Some(sdp(&both("sendonly"))));
    s.b().refuses_our_offer(405);
    assert_eq!(s.a().got().last().unwrap(), "accept");
    assert_eq!(directions(&s, A), [Some(Direction::RecvOnly); 2]);
    // It is not asked again; what needs it is refused.
    s.a().offers(Some(sdp(&both("sendrecv"))));
    s.a().offers(Some(sdp(&format!("m=audio 4000 RTP/AVP 8\r\n{VIDEO}"))));
    assert_eq!(s.a().got()[2..], ["accept", "accept", "refuse 488"]);
    assert_eq!(s.b().got(), ["INVITE", "offer"]);
    s.a().hangs_up();
    s.finish();
}

#[test]
fn a_cancelled_re_invite_is_taken_back_on_the_other_side() {
    let mut s = bridged();
    s.a().offers(Some(sdp(&both("sendonly"))));
    s.a().withdraws_its_offer();
    s.b().answers_our_offer(sdp(&both("recvonly")));
    assert_eq!(s.a().got(), ["183 sdp", "200 sdp"], "A's has its 487");
    assert_eq!(
        lines(&s.b().told_sdp(), "a=sendrecv").len(),
        2,
        "B is brought back to what A has"
    );
    s.b().answers_our_offer(sdp(&both("sendrecv")));
    assert_eq!(s.b().got(), ["INVITE", "offer", "offer"]);
    s.a().hangs_up();
    s.finish();
}

#[test]
fn an_answer_that_cannot_be_used_is_a_refusal_to_the_one_who_asked() {
    let mut s = bridged();
    s.a().offers(Some(sdp(&both("sendonly"))));
    s.b().answers_with_nothing();
    assert_eq!(s.a().got().last().unwrap(), "refuse 488");
    s.a().hangs_up();
    s.finish();
}

#[test]
fn b_drops_its_video_and_comes_back_and_a_hears_nothing_of_it() {
    let mut s = bridged();
    s.b()
        .offers(Some(sdp(&format!("{AUDIO}{}", VIDEO.replace("4002", "0")))));
    assert_eq!(lines(&s.b().told_sdp(), "m=video"), ["m=video 0 RTP/AVP 97"]);
    assert!(configured(&s, B).1.is_none());
    assert_eq!(
        configured(&s, A).1.unwrap().direction,
        Direction::SendRecv,
        "A's stays, for the still"
    );
    s.b().offers(Some(sdp(&format!("{AUDIO}{VIDEO}"))));
    assert!(configured(&s, B).1.is_some());
    assert_eq!(s.b().got(), ["INVITE", "accept", "accept"]);
    assert_eq!(s.a().got(), ["183 sdp", "200 sdp"]);
    s.a().hangs_up();
    s.finish();
}

#[test]
fn a_call_whose_b_declined_video_is_held_without_offering_it_again() {
    let mut s = Setup::default().call();
    s.run_ms(6_100);
    s.b()
        .answers_with(Some(sdp(&format!("{AUDIO}{}", VIDEO.replace("4002", "0")))));
    s.a().acks();
    s.a().offers(Some(sdp(&both("sendonly"))));
    assert_eq!(lines(&s.b().told_sdp(), "m=video"), ["m=video 0 RTP/AVP 97"]);
    s.b()
        .answers_our_offer(sdp(&format!("{AUDIO}a=recvonly\r\n{}", VIDEO.replace("4002", "0"))));
    assert_eq!(directions(&s, A), [Some(Direction::RecvOnly); 2]);
    s.a().hangs_up();
    s.finish();
}

#[test]
fn video_that_a_adds_or_drops_is_asked_of_b() {
    let mut s = Setup {
        offer: Some(sdp(AUDIO)),
        ..Setup::default()
    }
    .call();
    s.run_ms(6_100);
    s.b().answers_with(Some(sdp(AUDIO)));
    s.a().acks();
    s.a().offers(Some(sdp(&format!("{AUDIO}{VIDEO}"))));
    assert!(s.b().told_sdp().contains("m=video 30006"), "{}", s.b().told_sdp());
    s.b().answers_our_offer(sdp(&format!("{AUDIO}{VIDEO}")));
    assert!(configured(&s, A).1.is_some() && configured(&s, B).1.is_some());
    s.a()
        .offers(Some(sdp(&format!("{AUDIO}{}", VIDEO.replace("4002", "0")))));
    s.b()
        .answers_our_offer(sdp(&format!("{AUDIO}{}", VIDEO.replace("4002", "0"))));
    assert!(configured(&s, A).1.is_none() && configured(&s, B).1.is_none());
    s.a().hangs_up();
    s.finish();
}

#[test]
fn a_call_with_video_has_a_picture_to_stand_in() {
    let s = bridged();
    let posters = s.media_actions().into_iter().filter_map(|action| match action {
        MediaAction::Poster { clip } => Some((clip.clip, clip.audio, clip.video.is_some())),
        _ => None,
    });
    assert_eq!(posters.collect::<Vec<_>>(), [(1, None, true)], "the clip's own");
    let mut s = Setup::default().lookup(|l| l.clip = None).call();
    s.b().answers();
    let posters = s
        .media_actions()
        .into_iter()
        .filter(|a| matches!(a, MediaAction::Poster { clip } if clip.clip == 2));
    assert_eq!(posters.count(), 1, "the greeting's, where there is no clip");
}

#[test]
fn the_call_may_end_while_one_side_is_being_asked() {
    for who in [A, B] {
        let mut s = bridged();
        s.a().offers(Some(sdp(&both("sendonly"))));
        agent(&mut s, who).hangs_up();
        s.finish();
        let a = s.a().actions();
        assert!(!a.iter().any(|action| matches!(action, LegAction::AcceptOffer { .. })));
    }
}
