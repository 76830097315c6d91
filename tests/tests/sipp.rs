//! Each ending of a call, played by SIPp on both sides of one running Segue, over UDP and over TCP. The scenarios in
//! `tests/sipp/` judge what is said to them; here the call record is judged as well.
//!
//! `cargo test -p segue-tests --test sipp -- NAME` plays only the stories with that in their name.

use std::{
    net::UdpSocket,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use segue_tests::{
    segue::{Segue, sample},
    sipp::{Over, Sipp},
    wait::until,
};
use serde_json::Value;

/// Stories that run at the same time.
const AT_ONCE: usize = 4;

/// T1, so that 64·T1 is 6.4 s and not 32 s.
const SETTINGS: &str = "[sip]\nt1_ms = 100\n";

/// Who is called.
enum Callee {
    /// Nobody: the request is refused, or answered, before it comes to that.
    NoSubscriber,
    /// SIPp plays this scenario with this pause.
    Plays(&'static str, u64),
    /// The target's port is closed.
    Unreachable,
    /// The target takes datagrams and says nothing (over TCP: takes connections).
    Silent,
    /// SIPp must never be called.
    NeverCalled,
}
use Callee::{NeverCalled, NoSubscriber, Plays, Silent, Unreachable};

struct Story {
    name: &'static str,
    /// Scenario and pause of the caller.
    caller: (&'static str, u64),
    callee: Callee,
    /// Flags of `segue subscriber add`.
    flags: &'static [&'static str],
    /// `result` and `cause` of the call record; `None`: there is no call.
    result: Option<(&'static str, Option<u64>)>,
}

const HELD: &[&str] = &["--clip", "clip", "--hold", "1s"];
/// Nothing of the clip can be played: no hold.
const NOT_HELD: &[&str] = &["--clip", "clip", "--hold", "3s"];
const HELD_LONG: &[&str] = &["--clip", "clip", "--hold", "20s"];
const SHORT_RING: &[&str] = &["--clip", "clip", "--hold", "500ms", "--no-answer", "1500ms"];
const SHORT_RING_GREETING: &[&str] = &[
    "--clip",
    "clip",
    "--hold",
    "0s",
    "--no-answer",
    "1s",
    "--greeting",
    "greeting",
];
const ANSWERED: Option<(&str, Option<u64>)> = Some(("answered", None));

const fn story(
    name: &'static str,
    caller: (&'static str, u64),
    callee: Callee,
    flags: &'static [&'static str],
    result: Option<(&'static str, Option<u64>)>,
) -> Story {
    Story {
        name,
        caller,
        callee,
        flags,
        result,
    }
}

const STORIES: &[Story] = &[
    // Answered.
    story(
        "held_then_bridged",
        ("plain", 800),
        Plays("answer", 300),
        HELD,
        ANSWERED,
    ),
    story(
        "held_then_bridged_with_100rel",
        ("reliable", 800),
        Plays("answer", 300),
        HELD,
        ANSWERED,
    ),
    story(
        "held_then_bridged_100rel_required",
        ("reliable_required", 300),
        Plays("answer", 300),
        HELD,
        ANSWERED,
    ),
    story(
        "audio_only",
        ("audio_only", 500),
        Plays("answer_audio", 300),
        HELD,
        ANSWERED,
    ),
    story(
        "callee_declines_video",
        ("plain", 500),
        Plays("answer_audio", 300),
        HELD,
        ANSWERED,
    ),
    story(
        "callee_rings_reliably",
        ("plain", 500),
        Plays("answer_after_reliable_ringing", 300),
        HELD,
        ANSWERED,
    ),
    story(
        "callee_hangs_up",
        ("hung_up_on", 0),
        Plays("answer_then_bye", 500),
        HELD,
        ANSWERED,
    ),
    story(
        "hold_and_resume_by_the_caller",
        ("hold_and_resume", 300),
        Plays("answer_then_held", 100),
        HELD,
        ANSWERED,
    ),
    story(
        "hold_and_resume_by_the_callee",
        ("held_by_the_callee", 300),
        Plays("answer_hold_and_resume", 0),
        HELD,
        ANSWERED,
    ),
    story(
        "callee_drops_its_video_and_comes_back",
        ("plain", 2_000),
        Plays("answer_drop_video", 0),
        HELD,
        ANSWERED,
    ),
    story(
        "delayed_offer",
        ("no_offer", 300),
        Plays("answer", 300),
        NOT_HELD,
        ANSWERED,
    ),
    story(
        "delayed_offer_with_100rel",
        ("no_offer_reliable", 300),
        Plays("answer", 300),
        HELD,
        ANSWERED,
    ),
    story(
        "foreign_codec_is_relayed",
        ("foreign_codec", 300),
        Plays("answer_foreign", 300),
        NOT_HELD,
        ANSWERED,
    ),
    story(
        "foreign_codec_and_busy",
        ("foreign_codec_refused", 0),
        Plays("busy", 0),
        NOT_HELD,
        Some(("failed", Some(486))),
    ),
    // The caller gives up.
    story(
        "cancelled_while_held",
        ("cancel", 200),
        NeverCalled,
        HELD_LONG,
        Some(("abandoned_while_held", None)),
    ),
    story(
        "cancelled_while_held_with_100rel",
        ("cancel_reliable", 500),
        NeverCalled,
        HELD_LONG,
        Some(("abandoned_while_held", None)),
    ),
    story(
        "cancelled_while_ringing",
        ("cancel_while_ringing", 0),
        Plays("ring_until_cancelled", 0),
        HELD,
        Some(("abandoned", None)),
    ),
    story(
        "cancelled_while_the_callee_answers",
        ("cancel_while_ringing", 0),
        Plays("answer_crossing_cancel", 0),
        HELD,
        Some(("abandoned", None)),
    ),
    // Nobody takes the call.
    story(
        "busy",
        ("hang_up_at_greeting", 0),
        Plays("busy", 0),
        HELD,
        Some(("greeted", Some(486))),
    ),
    story(
        "declined",
        ("hang_up_at_greeting", 0),
        Plays("decline", 0),
        HELD,
        Some(("greeted", Some(603))),
    ),
    story(
        "no_codec_in_common",
        ("hang_up_at_greeting", 0),
        Plays("no_codec", 0),
        HELD,
        Some(("greeted", Some(488))),
    ),
    story(
        "unreachable",
        ("hang_up_at_greeting", 0),
        Unreachable,
        HELD,
        Some(("greeted", Some(503))),
    ),
    story(
        "silent",
        ("hang_up_at_greeting", 0),
        Silent,
        SHORT_RING,
        Some(("greeted", None)),
    ),
    story(
        "no_answer_too_short",
        ("hang_up_at_greeting", 0),
        Plays("ring_until_cancelled", 0),
        SHORT_RING,
        Some(("greeted", None)),
    ),
    story(
        "no_answer_leaves_a_message",
        ("leave_message", 4_000),
        Plays("ring_until_cancelled", 0),
        SHORT_RING,
        Some(("message", None)),
    ),
    story(
        "no_answer_greeting_then_message",
        ("leave_message", 7_000),
        Plays("ring_until_cancelled", 0),
        SHORT_RING_GREETING,
        Some(("message", None)),
    ),
    story(
        "busy_leaves_a_message_without_clip",
        ("leave_message_no_clip", 4_000),
        Plays("busy", 0),
        &[],
        Some(("message", Some(486))),
    ),
    story(
        "rtp_stops",
        ("rtp_stops", 3_000),
        Plays("ring_until_cancelled", 0),
        SHORT_RING,
        Some(("message", None)),
    ),
    story(
        "invite_over_1300_bytes",
        ("long_name", 300),
        Plays("answer", 100),
        HELD,
        ANSWERED,
    ),
    story(
        "answer_crosses_our_cancel",
        ("hang_up_at_greeting", 0),
        Plays("answer_crossing_cancel", 0),
        SHORT_RING,
        Some(("greeted", None)),
    ),
    // What gets lost and what comes twice.
    story(
        "lost_prack",
        ("lost_prack", 0),
        NeverCalled,
        HELD,
        Some(("failed", None)),
    ),
    story(
        "prack_of_another",
        ("prack_of_another", 300),
        Plays("answer", 100),
        HELD,
        ANSWERED,
    ),
    story(
        "lost_ack",
        ("lost_ack", 0),
        Plays("answer", 100),
        HELD,
        Some(("failed", Some(408))),
    ),
    story(
        "invite_again",
        ("invite_again", 300),
        Plays("answer", 300),
        HELD,
        ANSWERED,
    ),
    story("merged_invite", ("merged", 300), Plays("answer", 300), HELD, ANSWERED),
    // Refused.
    story(
        "unknown_user",
        ("unknown_user", 0),
        NoSubscriber,
        &[],
        Some(("rejected", Some(404))),
    ),
    story(
        "nothing_relayable",
        ("nothing_relayable", 0),
        NeverCalled,
        HELD,
        Some(("rejected", Some(488))),
    ),
    story("unknown_extension", ("unknown_extension", 0), NeverCalled, HELD, None),
    story("too_many_hops", ("too_many_hops", 0), NeverCalled, HELD, None),
    story("unknown_method", ("unknown_method", 0), NoSubscriber, &[], None),
    story("method_not_allowed", ("known_method", 0), NoSubscriber, &[], None),
    story("options", ("options", 0), NoSubscriber, &[], None),
    story("garbled", ("garbled", 0), NoSubscriber, &[], None),
    story("no_such_dialog", ("no_such_dialog", 0), NoSubscriber, &[], None),
];

/// Played besides with the caller and the callee over different transports.
const MIXED: &[&str] = &[
    "held_then_bridged",
    "held_then_bridged_with_100rel",
    "callee_hangs_up",
    "answer_crosses_our_cancel",
];

/// What the caller and the callee run over.
type Ways = (Over, Over);

/// Each story over UDP, over TCP, and some over both.
fn plays(wanted: &[String]) -> Vec<(&'static Story, Ways)> {
    use Over::{Tcp, Udp};
    let mut plays = Vec::new();
    for ways in [(Udp, Udp), (Tcp, Tcp), (Udp, Tcp), (Tcp, Udp)] {
        let here = |story: &&Story| ways.0 == ways.1 || MIXED.contains(&story.name);
        let chosen = |story: &&Story| wanted.is_empty() || wanted.iter().any(|word| story.name.contains(word.as_str()));
        plays.extend(STORIES.iter().filter(here).filter(chosen).map(|story| (story, ways)));
    }
    plays
}

fn name_of(story: &Story, (caller, callee): Ways) -> String {
    let to = if caller == callee {
        String::new()
    } else {
        format!("_to_{}", callee.word())
    };
    format!("{}_{}{to}", story.name, caller.word())
}

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let plays = plays(&wanted);

    let folder = tempfile::tempdir().expect("a folder");
    let segue = Segue::start_with(&folder.path().join("segue"), SETTINGS);
    for name in ["clip", "greeting"] {
        segue.cli(&[
            "clip",
            "add",
            name,
            sample(&format!("{name}.mp4")).to_str().expect("a path in UTF-8"),
        ]);
    }
    let sockets = segue.open_sockets();
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((story, ways)) = plays.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = name_of(story, *ways);
                    let began = Instant::now();
                    let folder = folder.path().join(&name);
                    let outcome = catch_unwind(AssertUnwindSafe(|| play(&segue, &folder, &name, story, *ways)));
                    let why = match outcome {
                        Ok(Ok(())) => {
                            println!("ok      {name} ({:.1} s)", began.elapsed().as_secs_f32());
                            continue;
                        }
                        Ok(Err(why)) => why,
                        Err(_) => "panicked, see above".to_owned(),
                    };
                    println!("FAILED  {name}: {why}");
                    failed.lock().expect("no thread panics with it").push(name);
                }
            });
        }
    });
    let mut failed = failed.into_inner().expect("no thread panics with it");
    if let Err(why) = catch_unwind(AssertUnwindSafe(|| nothing_is_left(&segue, sockets))) {
        println!(
            "FAILED  nothing_is_left: {}",
            why.downcast_ref::<String>().map_or("see above", String::as_str)
        );
        failed.push("nothing_is_left".to_owned());
    }
    if failed.is_empty() {
        println!("{} stories, all as written", plays.len());
        return ExitCode::SUCCESS;
    }
    println!("the server said:\n{}", segue.log_text());
    println!(
        "{} of {} stories failed: {}",
        failed.len(),
        plays.len(),
        failed.join(", ")
    );
    ExitCode::FAILURE
}

/// No call, no port, no connection remains of all of them, and no call core panicked.
fn nothing_is_left(segue: &Segue, sockets: usize) {
    until("the last call to be gone", Duration::from_secs(20), || {
        (segue.health()["calls"] == 0).then_some(())
    });
    until("the last socket to be closed", Duration::from_secs(20), || {
        (segue.open_sockets() <= sockets).then_some(())
    });
    let panics = &segue.health()["counters"]["call_panics"];
    assert!(*panics == 0, "{panics} calls ended by a panic");
}

fn play(segue: &Segue, folder: &Path, name: &str, story: &Story, (over, to): Ways) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let callee = match story.callee {
        Plays(scenario, pause_ms) => Some(Sipp::callee(folder, scenario, to, pause_ms)),
        NeverCalled => Some(Sipp::callee(folder, "answer", to, 0)),
        _ => None,
    };
    // Kept until the end, so that nothing else takes the port.
    let silent_udp = UdpSocket::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let silent_tcp = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let port = match (&callee, &story.callee, to) {
        (Some(callee), _, _) => Some(callee.port()),
        (None, Silent, Over::Udp) => silent_udp.local_addr().ok().map(|addr| addr.port()),
        (None, Silent, Over::Tcp) => silent_tcp.local_addr().ok().map(|addr| addr.port()),
        (None, Unreachable, _) => Some(9),
        _ => None,
    };
    if let Some(port) = port {
        let target = format!("sip:bob@127.0.0.1:{port};transport={}", to.word());
        segue.cli(&[&["subscriber", "add", name, "--target", &target], story.flags].concat());
    }
    let server = if over == Over::Udp {
        segue.sip_udp()
    } else {
        segue.sip_tcp()
    };
    let call_id = format!("{name}@sipp");
    let (scenario, pause_ms) = story.caller;
    let caller = Sipp::caller(folder, scenario, (over, pause_ms), (name, server), &call_id);
    caller.finish()?;
    match (callee, &story.callee) {
        (Some(callee), Plays(..)) => callee.finish()?,
        (Some(callee), _) => callee.was_not_called()?,
        (None, _) => {}
    }
    match story.result {
        Some(expected) => judge(segue, name, &call_id, story, expected),
        None => Ok(()),
    }
}

/// The call record, and the message when there must be one.
fn judge(
    segue: &Segue,
    name: &str,
    call_id: &str,
    story: &Story,
    (result, cause): (&str, Option<u64>),
) -> Result<(), String> {
    let call = segue.cli(&[
        "wait",
        "call",
        "--sip-call-id",
        call_id,
        "--state",
        "ended",
        "--timeout",
        "20s",
    ]);
    let shown = segue.cli(&["call", "show", call["id"].as_str().unwrap_or_default()]);
    let must = |what: &str, so: bool| if so { Ok(()) } else { Err(format!("{what}: {shown:#}")) };
    must("another result", call["result"] == result)?;
    must("another cause", cause.is_none_or(|cause| call["cause"] == cause))?;
    must(
        "A's Call-ID stands in its leg",
        call["legs"][0]["sip_call_id"] == call_id,
    )?;
    let called = matches!(story.callee, Plays(..) | Unreachable | Silent);
    must(
        "B's leg is there when B was called, and only then",
        called == (call["legs"].as_array().map_or(0, Vec::len) == 2),
    )?;
    if called && story.flags == HELD {
        let hold_ms = call["hold_ms"].as_u64().unwrap_or_default();
        must("the hold of 1 s was kept", (1_000..1_400).contains(&hold_ms))?;
    }
    let again = segue
        .rows(&["call", "list"])
        .into_iter()
        .filter(|row: &Value| row["sip_call_id"] == call_id)
        .count();
    must("one record for the call", again == 1)?;
    if result != "message" {
        return must("no message", call["message_id"].is_null());
    }
    let messages = segue.rows(&["message", "list", name]);
    must("one message", messages.len() == 1)?;
    let message = messages.first().cloned().unwrap_or_default();
    must(
        "the message is the call's",
        message["id"] == call["message_id"] && message["state"] == "unheard",
    )?;
    must(
        "it is ready",
        message["media_state"] == "ready" && message["interrupted"] == false,
    )?;
    must(
        "it is sound, more than a second of it",
        message["kind"] == "audio" && message["duration_ms"].as_u64() > Some(1_000),
    )
}
