//! A caller of a mailbox chooses by keys, on real sockets: a voice message, seen again, marked urgent, sent. What it hears is one stream.

use std::time::Duration;

use segue_tests::{
    movie::Movie,
    segue::{Segue, prompts},
    sipp::{Over, Sipp},
    voice::{Do, Voice},
    wait::until,
};

const CALLER: u32 = 440;
const BEEP: u32 = 1400;

#[test]
fn a_voice_message_is_heard_again_marked_urgent_and_sent() {
    let folder = tempfile::tempdir().unwrap();
    let segue = Segue::start_with(&folder.path().join("segue"), &prompts());
    // Prepared once for all servers: the first one takes its time.
    until("prompts to be ready", Duration::from_secs(120), || {
        segue.log_text().contains("prompts are ready language=en").then_some(())
    });
    let says = [
        Do::BeSilent(1_500),
        Do::Press('2'),
        Do::WaitForEndOf(BEEP),
        Do::Speak(2_500),
        Do::Press('#'),
        Do::BeSilent(2_000),
        Do::Press('9'),
        Do::BeSilent(1_500),
        Do::Press('2'),
        Do::BeSilent(7_500),
        Do::Press('1'),
        Do::BeSilent(6_000),
    ];
    let voice = Voice::start(CALLER, &says);
    let callee = Sipp::callee_with(folder.path(), "busy", Over::Udp, 0, &[]);
    let target = format!("sip:bob@127.0.0.1:{}", callee.port());
    segue.cli(&["subscriber", "add", "bob", "--target", &target]);
    let port = voice.port().to_string();
    let caller = Sipp::caller_with(
        folder.path(),
        "speak_until_hung_up_on",
        (Over::Udp, 0),
        ("bob", segue.sip_udp()),
        "menu@test",
        &[("audio_port", port.as_str())],
    );
    caller
        .finish()
        .unwrap_or_else(|why| panic!("{why}: {}", segue.log_text()));
    callee.finish().unwrap_or_else(|why| panic!("{why}"));
    let wait = [
        "wait",
        "call",
        "--sip-call-id",
        "menu@test",
        "--state",
        "ended",
        "--timeout",
        "20s",
    ];
    let row = segue.cli(&wait);
    let record = segue.cli(&["call", "show", row["id"].as_str().unwrap()]);
    let heard = voice.finish();
    assert_eq!(record["result"], "message", "{record:#}");
    heard.is_one_stream().unwrap_or_else(|why| panic!("{why}"));

    // What A was given to hear, in order.
    let switches = record["switches"].as_array().unwrap();
    let to: Vec<&str> = switches.iter().filter_map(|switch| switch["to"].as_str()).collect();
    assert_eq!(to.first(), Some(&"prompt"), "{record:#}");
    for source in ["beep", "take"] {
        assert!(to.contains(&source), "{to:?}");
    }
    assert_eq!(to.last(), Some(&"prompt"), "{to:?}");
    // The question is there before the key: speech is no tone, and no silence.
    assert!(
        heard.sound.level_at(300, 1_000) > -45.0,
        "{}",
        heard.sound.level_at(300, 1_000)
    );
    let tones: Vec<u32> = heard.sound.tones().into_iter().map(|(_, hz)| hz).collect();
    assert_eq!(tones, [BEEP, CALLER], "the beep, then its own voice");

    let messages = segue.rows(&["message", "list", "bob"]);
    assert_eq!(messages.len(), 1, "{messages:?}");
    let message = &messages[0];
    assert_eq!((&message["urgent"], &message["kind"]), (&true.into(), &"audio".into()));
    let (file, _) = segue.export(message["id"].as_str().unwrap(), folder.path());
    let sound = Movie::decode(&file).sound;
    assert!(sound.tones().iter().any(|(_, hz)| *hz == CALLER), "{:?}", sound.tones());
}
