//! What the streams of a subscriber come to who has called a sender back, when that one is gone: holds, offers that wait, other codecs.

use segue_records::PhaseName;

use crate::{
    stage::{AUDIO, Stage, VIDEO, sdp},
    the_sender_is_called_back::{BACK, SENDER, ended, is_back, last_said, mailbox, talks},
};

#[test]
fn a_hold_of_the_sender_is_undone_when_it_hangs_up() {
    let mut s = talks(mailbox(SENDER));
    let hold = format!("{}a=inactive\r\n{}a=inactive\r\n", AUDIO, VIDEO);
    s.b().offers(Some(sdp(&hold)));
    assert_eq!(s.a().got().last().map(String::as_str), Some("offer"));
    s.a().answers_our_offer(sdp(&hold));
    assert_eq!(s.b().got().last().map(String::as_str), Some("accept"));
    s.b().hangs_up();
    s.run_ms(1);
    let offered = s.a().told_sdp();
    assert!(
        !offered.contains("inactive") && !offered.contains("sendonly"),
        "{offered}"
    );
    assert_ne!(last_said(&s), BACK, "who hears nothing yet is told nothing yet");
    s.a().answers_our_offer(sdp(&format!("{AUDIO}{VIDEO}")));
    s.run_ms(1);
    assert_eq!(last_said(&s), BACK);
    is_back(&mut s);
    // One that refuses is in its mailbox all the same.
    let mut s = talks(mailbox(SENDER));
    s.b().offers(Some(sdp(&hold)));
    s.a().answers_our_offer(sdp(&hold));
    s.b().hangs_up();
    s.run_ms(1);
    s.a().refuses_our_offer(491);
    s.run_ms(1);
    is_back(&mut s);
}

#[test]
fn a_sender_that_goes_while_the_subscriber_is_asked_for_it_leaves_it_as_it_was() {
    let mut s = talks(mailbox(SENDER));
    let hold = format!("{}a=inactive\r\n{}a=inactive\r\n", AUDIO, VIDEO);
    s.b().offers(Some(sdp(&hold)));
    s.b().hangs_up();
    s.run_ms(1);
    assert_eq!(s.a().got(), ["200 sdp", "offer"], "one offer at a time");
    s.a().answers_our_offer(sdp(&hold));
    assert_eq!(s.a().got(), ["200 sdp", "offer", "offer"]);
    assert!(!s.a().told_sdp().contains("inactive"));
    s.a().answers_our_offer(sdp(&format!("{AUDIO}{VIDEO}")));
    s.run_ms(1);
    assert_eq!(last_said(&s), BACK);
    assert_eq!(s.b().got(), ["INVITE"], "nobody answers who is gone");
    is_back(&mut s);
    // It may go while it is asked for that, too.
    let mut s = talks(mailbox(SENDER));
    s.b().offers(Some(sdp(&hold)));
    s.b().hangs_up();
    s.run_ms(1);
    s.a().hangs_up();
    assert!(ended(&mut s).why.ends_with("hung up."));
}

#[test]
fn an_offer_that_waits_for_the_sender_is_answered_here_when_that_is_gone() {
    let mut s = talks(mailbox(SENDER));
    let hold = format!("{}a=sendonly\r\n{}a=sendonly\r\n", AUDIO, VIDEO);
    s.a().offers(Some(sdp(&hold)));
    assert_eq!(s.b().got(), ["INVITE", "offer"]);
    s.b().hangs_up();
    s.run_ms(1);
    assert_eq!(s.a().got(), ["200 sdp", "accept"], "and a hold of its own stays");
    assert_eq!(s.phase(), PhaseName::Serving);
    s.a().offers(Some(sdp(&format!("{AUDIO}{VIDEO}"))));
    assert_eq!(s.a().got(), ["200 sdp", "accept", "accept"]);
    is_back(&mut s);
}

#[test]
fn a_subscriber_that_was_brought_to_its_senders_codec_has_its_messages_in_that() {
    let mut setup = mailbox(SENDER);
    setup.offer = Some(sdp("m=audio 4000 RTP/AVP 0 8 9\r\n"));
    let mut s = talks(setup);
    let prepared = |s: &Stage| s.asked_of_desk().iter().filter(|asked| *asked == "prepare one").count();
    assert_eq!(prepared(&s), 1);
    s.b().offers(Some(sdp("m=audio 4000 RTP/AVP 8\r\n")));
    s.a().answers_our_offer(sdp("m=audio 4000 RTP/AVP 8\r\n"));
    s.b().hangs_up();
    s.run_ms(1);
    is_back(&mut s);
    s.keys("1");
    s.run_ms(3_000);
    assert_eq!(prepared(&s), 2, "made ready anew");
    assert!(s.media_did().contains(&"play message -1 from 0".to_owned()));
    s.a().hangs_up();
    ended(&mut s);
}
