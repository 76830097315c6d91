//! Each end of a recording: the message is kept, the call is ended once.

use segue_call::{MediaAction, MediaEvent};
use segue_mailbox::{Kind, StopCause};
use segue_records::CallResult;
use segue_sdp::Codec;

use crate::stage::{A, AUDIO, Setup, Stage, VIDEO, sdp};

/// A caller into the recorder, 3 s of message spoken.
fn recording(setup: Setup) -> Stage {
    let mut s = setup.lookup(|l| l.clip = None).call();
    s.b().refuses(486, "Busy Here");
    s.a().acks();
    s.run_ms(5_000 + 3_000);
    s
}

fn kept(mut s: Stage, cause: &str, by: &str, a_last: &str) {
    let record = s.finish();
    assert_eq!(
        s.media_did()[s.media_did().len() - 3..],
        ["record", &format!("stop {cause}"), "close"]
    );
    assert_eq!(record.result, CallResult::Message);
    assert!(record.message_id.is_some() && record.why.contains(by), "{}", record.why);
    assert_eq!(s.a().got().last().unwrap(), a_last);
}

#[test]
fn the_caller_hangs_up() {
    let mut s = recording(Setup::default());
    s.a().hangs_up();
    kept(s, "bye", "ended by hanging up", "200 sdp");
}

#[test]
fn hash() {
    let mut s = recording(Setup::default());
    s.press('5');
    s.press('#');
    s.press('#');
    kept(s, "key", "ended by #", "BYE");
}

#[test]
fn the_longest_length() {
    let mut s = recording(Setup::default());
    s.media(MediaEvent::RecordingStopped {
        cause: StopCause::Longest,
    });
    kept(s, "longest", "longest", "BYE");
}

#[test]
fn the_longest_length_even_if_the_packet_path_forgets_it() {
    let mut s = recording(Setup {
        record_max_ms: 10_000,
        ..Setup::default()
    });
    s.run_ms(20_000);
    kept(s, "longest", "longest", "BYE");
}

#[test]
fn rtp_gone() {
    let mut s = recording(Setup::default());
    s.media(MediaEvent::RecordingStopped {
        cause: StopCause::RtpGone,
    });
    kept(s, "rtpgone", "no more RTP", "BYE");
    let mut s = recording(Setup::default());
    s.media(MediaEvent::RtpGone { leg: A });
    kept(s, "rtpgone", "no more RTP", "BYE");
}

#[test]
fn silence_of_an_audio_message() {
    let mut s = recording(Setup {
        offer: Some(sdp(AUDIO)),
        ..Setup::default()
    });
    assert_eq!(s.manifest.as_ref().unwrap().kind, Kind::Audio);
    let silence = s.media_actions().into_iter().find_map(|a| {
        if let MediaAction::Record { silence_ms, .. } = a {
            silence_ms
        } else {
            None
        }
    });
    assert_eq!(silence, Some(5_000));
    s.media(MediaEvent::RecordingStopped {
        cause: StopCause::Silence,
    });
    kept(s, "silence", "silence", "BYE");
}

#[test]
fn the_operator() {
    let mut s = recording(Setup::default());
    s.operator_hangs_up();
    kept(s, "stopped", "broke off", "BYE");
}

#[test]
fn a_leg_that_breaks_off() {
    let mut s = recording(Setup::default());
    s.a().breaks_off();
    kept(s, "stopped", "broke off", "200 sdp");
}

#[test]
fn a_lost_ack() {
    let mut s = Setup::default().lookup(|l| l.clip = None).call();
    s.b().refuses(486, "Busy Here");
    s.run_ms(32_000);
    s.a().loses_ack();
    kept(s, "stopped", "broke off", "200 sdp");
}

#[test]
fn under_a_second_nothing_is_kept() {
    let mut s = Setup::default().lookup(|l| l.clip = None).call();
    s.b().refuses(486, "Busy Here");
    s.run_ms(5_000 + 900);
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(
        (record.result, record.cause, record.message_id),
        (CallResult::TooShort, Some(486), None)
    );
    assert_eq!(s.store_did(), ["lookup", "reserve", "discard", "release"]);
}

#[test]
fn ends_its_ports_before_the_worker_is_done() {
    let mut s = recording(Setup::default());
    s.a().hangs_up();
    s.run_ms(50);
    assert_eq!(s.media_did().last().unwrap(), "close");
    assert!(!s.has_ended(), "the deposit is awaited");
    s.finish();
}

#[test]
fn what_could_not_be_kept_fails_loudly() {
    let mut s = recording(Setup {
        record_fails: true,
        ..Setup::default()
    });
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!((record.result, record.message_id), (CallResult::Failed, None));
    assert!(record.why.contains("fsync failed"), "{}", record.why);

    let mut s = recording(Setup {
        deposit_fails: true,
        ..Setup::default()
    });
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!((record.result, record.message_id), (CallResult::Failed, None));
    assert!(
        record.why.contains("disk full") && record.why.contains("spool is kept"),
        "{}",
        record.why
    );

    let mut s = recording(Setup::default());
    s.media(MediaEvent::RecordFailed { why: "no space".into() });
    assert_eq!(s.a().got().last().unwrap(), "BYE");
    assert_eq!(s.finish().result, CallResult::Failed);
}

#[test]
fn a_spool_that_is_never_synced_does_not_keep_the_call() {
    let mut s = recording(Setup {
        never_syncs: true,
        ..Setup::default()
    });
    s.press('#');
    s.run_ms(29_000);
    assert!(!s.has_ended());
    s.run_ms(2_000);
    let record = s.finish();
    assert_eq!((record.result, record.message_id), (CallResult::Failed, None));
    assert_eq!(
        s.store_did(),
        ["lookup", "reserve"],
        "its spool is left to the next start, or comes late: its place stays"
    );
}

#[test]
fn another_audio_codec_does_not_end_it_and_another_video_codec_is_refused() {
    let mut s = recording(Setup::default());
    let opus = "m=audio 4000 RTP/AVP 111\r\na=rtpmap:111 opus/48000/2\r\n";
    s.a().offers(Some(sdp(&format!("{opus}{VIDEO}"))));
    let configured = |s: &Stage| {
        let actions = s.media_actions().into_iter().rev();
        let mut audio = actions.filter_map(|action| match action {
            MediaAction::Configure { audio, .. } => audio,
            _ => None,
        });
        audio.next().unwrap().format.codec
    };
    assert_eq!(s.a().got().last().unwrap(), "accept");
    assert_eq!(configured(&s), Codec::Opus);
    // A hold and its end, and back again.
    s.a()
        .offers(Some(sdp(&format!("{opus}a=inactive\r\n{VIDEO}a=inactive\r\n"))));
    s.a().offers(Some(sdp(&format!("{AUDIO}{VIDEO}"))));
    assert_eq!(configured(&s), Codec::Pcmu);
    s.a().offers(Some(sdp(&format!(
        "{AUDIO}m=video 4002 RTP/AVP 98\r\na=rtpmap:98 VP8/90000\r\n"
    ))));
    assert_eq!(s.a().got().last().unwrap(), "refuse 488");
    s.a().hangs_up();
    let record = s.finish();
    let recorded = |did: &&String| did.starts_with("record") || did.starts_with("stop");
    assert_eq!(
        s.media_did().iter().filter(recorded).collect::<Vec<_>>(),
        ["record", "stop bye"]
    );
    assert_eq!(record.result, CallResult::Message);
}

#[test]
fn before_the_recording_the_codec_of_the_clip_stays() {
    let mut s = Setup::default().call();
    s.run_ms(2_000);
    s.a().offers(Some(sdp(&format!(
        "m=audio 4000 RTP/AVP 111\r\na=rtpmap:111 opus/48000/2\r\n{VIDEO}"
    ))));
    assert_eq!(s.a().got().last().unwrap(), "refuse 488");
    s.a().cancels();
    s.finish();
}
