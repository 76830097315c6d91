//! A clip is a customized alerting tone: its description says so where a profile wants that (3GPP TS 24.182, RFC 4796).

use crate::stage::{AUDIO, PACKET_MS, Setup, VIDEO, sdp};

const CONTENT: &str = "a=content:g.3gpp.cat\r\n";

fn setup(cat_content: bool) -> Setup {
    let mut setup = Setup {
        supports_100rel: true,
        ..Setup::default()
    };
    setup.profile.cat_content = cat_content;
    setup
}

#[test]
fn it_is_said_with_the_clip_and_taken_back_by_what_follows_the_answer() {
    let mut s = setup(true).call();
    let early = s.a().told_sdp();
    assert_eq!(early.matches(CONTENT).count(), early.matches("m=").count(), "{early}");
    s.a().pracks();
    s.run_ms(PACKET_MS + 6_000);
    let to_b = s.b().told_sdp();
    assert!(!to_b.contains("a=content"), "B talks: {to_b}");
    s.b().answers();
    s.a().acks();
    // A holds: the answer to that is one of the conversation.
    s.a()
        .offers(Some(sdp(&format!("{AUDIO}a=sendonly\r\n{VIDEO}a=sendonly\r\n"))));
    let offer = s.b().told_sdp();
    s.b()
        .answers_our_offer(sdp(&format!("{AUDIO}a=recvonly\r\n{VIDEO}a=recvonly\r\n")));
    let later = s.a().told_sdp();
    assert!(later != early && !later.contains("a=content"), "{offer}\n{later}");
    s.a().hangs_up();
    s.finish();
}

#[test]
fn nobody_else_hears_of_it() {
    let mut s = setup(false).call();
    assert!(!s.a().told_sdp().contains("a=content"), "{}", s.a().told_sdp());
    s.a().cancels();
    s.finish();
    // A greeting is no alerting tone.
    let mut s = setup(true).lookup(|found| found.clip = None).call();
    s.b().refuses(486, "Busy Here");
    assert!(!s.a().told_sdp().contains("a=content"), "{}", s.a().told_sdp());
    s.a().cancels();
    s.finish();
}
