//! An INVITE without an offer: ours goes out as soon as it may, and A answers it.

use segue_call::MediaAction;
use segue_records::CallResult;
use segue_sdp::Codec;

use crate::stage::{A, AUDIO, Setup, Stage, VIDEO, sdp};

fn setup(supports_100rel: bool) -> Setup {
    Setup {
        offer: None,
        supports_100rel,
        ..Setup::default()
    }
}

fn codecs(s: &Stage) -> Vec<Codec> {
    let mut of_a = s.media_actions().into_iter().filter_map(|action| match action {
        MediaAction::Configure { leg: A, audio, video } => Some([audio, video]),
        _ => None,
    });
    of_a.next_back()
        .unwrap()
        .into_iter()
        .flatten()
        .map(|s| s.format.codec)
        .collect()
}

#[test]
fn with_100rel_the_183_offers_and_the_prack_answers_then_all_is_as_ever() {
    let mut s = setup(true).call();
    assert_eq!(s.a().got(), ["183 reliable sdp"]);
    let offer = s.a().told_sdp();
    assert!(
        offer.contains("m=audio 30000 RTP/AVP 8 0 101\r\n") && offer.contains("m=video 30002 RTP/AVP 97 98\r\n"),
        "{offer}"
    );
    assert_eq!(s.media_did(), ["open a"], "nothing is played before the answer");
    s.a()
        .answers_our_offer(sdp(&format!("m=audio 4000 RTP/AVP 0\r\n{VIDEO}")));
    assert_eq!(s.media_did(), ["open a", "configure a", "play clip looping"]);
    assert_eq!(codecs(&s)[0], Codec::Pcmu);
    s.run_ms(5_990);
    assert_eq!(s.b().got().len(), 0, "held");
    s.run_ms(20);
    assert!(s.b().told_sdp().contains("RTP/AVP 0 101"), "B is offered what A chose");
    s.b().answers();
    assert_eq!(s.a().got(), ["183 reliable sdp", "200"]);
    s.a().acks();
    assert_eq!(s.media_did().last().unwrap(), "bridge b");
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}

#[test]
fn without_100rel_b_is_called_at_once_and_the_200_offers() {
    let mut s = setup(false).call();
    assert_eq!(s.b().got(), ["INVITE"], "no clip is possible");
    s.b().rings();
    s.b()
        .answers_with(Some(sdp(&format!("m=audio 6000 RTP/AVP 0\r\n{VIDEO}"))));
    assert_eq!(s.a().got(), ["180", "200 sdp"]);
    let offer = s.a().told_sdp();
    assert!(
        offer.contains("m=audio 30000 RTP/AVP 0 101\r\n") && offer.contains("m=video 30002 RTP/AVP 97\r\n"),
        "{offer}"
    );
    assert!(!s.media_did().contains(&"bridge b".into()), "A has not answered yet");
    s.a()
        .answers_our_offer(sdp(&format!("m=audio 4000 RTP/AVP 0\r\n{VIDEO}")));
    assert_eq!(s.media_did().last().unwrap(), "bridge b");
    assert_eq!(s.b().got(), ["INVITE"], "both have the same");
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}

#[test]
fn what_a_declines_or_narrows_in_its_ack_is_brought_to_b() {
    let mut s = setup(false).call();
    s.b()
        .answers_with(Some(sdp(&format!("m=audio 6000 RTP/AVP 8\r\n{VIDEO}"))));
    s.a().answers_our_offer(sdp(&format!(
        "m=audio 4000 RTP/AVP 8\r\na=recvonly\r\n{}",
        VIDEO.replace("4002", "0")
    )));
    let told = s.b().told_sdp();
    assert!(told.contains("m=video 0 ") && told.contains("a=recvonly"), "{told}");
    s.b().answers_our_offer(sdp(&format!(
        "m=audio 6000 RTP/AVP 8\r\na=sendonly\r\n{}",
        VIDEO.replace("4002", "0")
    )));
    s.a().hangs_up();
    s.finish();
}

#[test]
fn without_an_answer_the_call_ends() {
    let mut s = setup(true).call();
    s.a().pracks();
    assert_eq!(s.a().got(), ["183 reliable sdp", "488"]);
    assert_eq!(s.finish().result, CallResult::Rejected);

    let mut s = setup(true).call();
    s.a().answers_our_offer(sdp("m=audio 0 RTP/AVP 8\r\n"));
    assert_eq!(s.a().got().last().unwrap(), "488");
    s.finish();

    let mut s = setup(false).call();
    s.b().answers();
    s.a().acks();
    assert_eq!(
        (
            s.a().got().last().unwrap().as_str(),
            s.b().got().last().unwrap().as_str()
        ),
        ("BYE", "BYE")
    );
    let record = s.finish();
    assert_eq!((record.result, record.cause), (CallResult::Failed, Some(488)));
}

#[test]
fn without_100rel_the_mailbox_offers_in_the_200() {
    let mut s = setup(false).call();
    s.b().refuses(486, "Busy Here");
    assert_eq!(s.a().got(), ["200 sdp"]);
    assert!(!s.media_did().iter().any(|m| m.starts_with("play")));
    s.a().answers_our_offer(sdp(&format!("{AUDIO}{VIDEO}")));
    assert_eq!(s.media_did().last().unwrap(), "play greeting");
    s.run_ms(6_000);
    assert_eq!(s.media_did().last().unwrap(), "record");
    let streams = s.manifest.clone().unwrap().streams;
    assert_eq!(streams.len(), 2);
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Message);

    let mut s = setup(false).call();
    s.b().refuses(486, "Busy Here");
    s.a().acks();
    assert_eq!(s.a().got().last().unwrap(), "BYE");
    assert_eq!(s.finish().cause, Some(486));
}

#[test]
fn a_lost_prack_or_a_caller_who_gives_up_ends_it_as_ever() {
    let mut s = setup(true).call();
    s.a().loses_prack();
    assert_eq!(s.a().got().last().unwrap(), "504");
    s.finish();
    for supports_100rel in [true, false] {
        let mut s = setup(supports_100rel).call();
        s.a().cancels();
        s.finish();
    }
}
