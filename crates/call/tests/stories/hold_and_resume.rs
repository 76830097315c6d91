//! Re-INVITEs of either side are answered by us; the media follows, the clip is not started again.

use segue_call::{Input, LegAction, LegEvent, LegId, MediaAction};
use segue_sdp::{Direction, Stream as RtpStream};

use crate::stage::{AUDIO, Setup, Stage, VIDEO, sdp};

fn bridged() -> Stage {
    let mut s = Setup::default().call();
    s.run_ms(6_100);
    s.b().answers();
    s.a().acks();
    s
}

fn last_configured(s: &Stage) -> (LegId, Option<RtpStream>, Option<RtpStream>) {
    let configure = |a| {
        if let MediaAction::Configure { leg, audio, video } = a {
            Some((leg, audio, video))
        } else {
            None
        }
    };
    s.media_actions().into_iter().rev().find_map(configure).unwrap()
}

fn origins(actions: Vec<LegAction>) -> Vec<String> {
    let said = actions.into_iter().filter_map(|a| match a {
        LegAction::Answer { sdp } => sdp,
        LegAction::AcceptOffer { sdp } => Some(sdp),
        _ => None,
    });
    said.map(|sdp| {
        String::from_utf8(sdp.to_vec())
            .unwrap()
            .lines()
            .nth(1)
            .unwrap()
            .to_owned()
    })
    .collect()
}

#[test]
fn a_holds_and_resumes() {
    let mut s = bridged();
    s.a()
        .offers(Some(sdp(&format!("{AUDIO}a=sendonly\r\n{VIDEO}a=sendonly\r\n"))));
    let (leg, audio, video) = last_configured(&s);
    assert_eq!(leg, LegId::A);
    assert!(!audio.unwrap().direction.sends() && !video.unwrap().direction.sends());
    s.a().offers(Some(sdp(&format!("{AUDIO}{VIDEO}"))));
    assert_eq!(last_configured(&s).1.unwrap().direction, Direction::SendRecv);
    assert_eq!(s.a().got(), ["183 sdp", "200 sdp", "accept", "accept"]);
    let origins = origins(s.a().actions());
    let parts: Vec<Vec<&str>> = origins.iter().map(|o| o.split(' ').collect()).collect();
    assert!(parts.iter().all(|p| p[1] == parts[0][1]), "one session id: {origins:?}");
    assert_eq!(parts.iter().map(|p| p[2]).collect::<Vec<_>>(), ["1", "2", "3"]);
    assert_eq!(s.b().got(), ["INVITE"], "B hears nothing of it yet");
    s.a().hangs_up();
    s.finish();
}

#[test]
fn b_holds_by_the_zero_address() {
    let mut s = bridged();
    let held = String::from_utf8(sdp(&format!("{AUDIO}{VIDEO}")).to_vec())
        .unwrap()
        .replace("10.0.0.1", "0.0.0.0");
    s.b().offers(Some(held.into_bytes().into()));
    let (leg, audio, _) = last_configured(&s);
    assert_eq!((leg, audio.unwrap().remote), (LegId(1), None));
    assert_eq!(s.b().got(), ["INVITE", "accept"]);
    s.b().hangs_up();
    s.finish();
}

#[test]
fn an_offer_that_would_need_transcoding_changes_nothing() {
    let mut s = bridged();
    let configured = s.media_did().len();
    s.a().offers(Some(sdp(&format!("m=audio 4000 RTP/AVP 8\r\n{VIDEO}"))));
    s.a().offers(Some((*b"nonsense").into()));
    assert_eq!(s.a().got()[2..], ["refuse 488", "refuse 488"]);
    assert_eq!(s.media_did().len(), configured);
    s.a().hangs_up();
    s.finish();
}

#[test]
fn an_empty_re_invite_gets_our_offer_and_its_answer_counts() {
    let mut s = bridged();
    s.b().offers(None);
    assert_eq!(s.b().got(), ["INVITE", "accept"]);
    s.b()
        .answers_our_offer(sdp(&format!("{}{VIDEO}", AUDIO.replace("4000", "4444"))));
    let (leg, audio, _) = last_configured(&s);
    assert_eq!((leg, audio.unwrap().remote.unwrap().port()), (LegId(1), 4444));
    s.b().hangs_up();
    s.finish();
}

#[test]
fn an_update_while_held_does_not_start_the_clip_again() {
    let mut s = Setup {
        supports_100rel: true,
        ..Setup::default()
    }
    .call();
    s.a().pracks();
    s.run_ms(3_000);
    s.a()
        .offers(Some(sdp(&format!("{AUDIO}a=inactive\r\n{VIDEO}a=inactive\r\n"))));
    s.a().offers(Some(sdp(&format!("{AUDIO}{VIDEO}"))));
    s.run_ms(3_100);
    assert_eq!(s.media_did().iter().filter(|m| m.starts_with("play")).count(), 1);
    assert_eq!(s.b().got(), ["INVITE"], "the hold goes on meanwhile");
    s.a().cancels();
    s.finish();
}

#[test]
fn an_offer_on_a_leg_that_is_ending_is_not_answered() {
    let mut s = bridged();
    s.b().hangs_up();
    s.input(Input::Leg(LegId::A, LegEvent::Offer { sdp: None }));
    assert_eq!(s.a().got().last().unwrap(), "BYE");
    s.finish();
}

#[test]
fn an_update_of_a_ringing_b_is_refused_and_b_can_still_answer() {
    let mut s = Setup::default().call();
    s.run_ms(6_100);
    s.b().rings();
    s.b().offers(Some(sdp(&format!("{AUDIO}{VIDEO}"))));
    assert_eq!(s.b().got(), ["INVITE", "refuse 488"]);
    s.b().answers();
    s.a().acks();
    s.a().hangs_up();
    s.finish();
}
