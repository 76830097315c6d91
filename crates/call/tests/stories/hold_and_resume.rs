//! Re-INVITEs that are answered by us: without an offer, before the bridge, or when there is nobody to ask.

use segue_call::{LegId, MediaAction};
use segue_sdp::Stream as RtpStream;

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
    s.a().offers(None);
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
