//! How one story is played, and what its call record must say.

use std::{net::UdpSocket, path::Path, time::Duration};

use segue_tests::{
    segue::Segue,
    sipp::{Over, Sipp},
    wait::until,
};
use serde_json::Value;

use crate::{
    ANSWERED_AFTER, ANSWERED_BEFORE,
    Callee::{
        self, Forwards, Itself, NeverCalled, NoSubscriber, Plays, PlaysTwice, Redirects, Several, Silent, Unreachable,
    },
    HELD, HELD_LONG, ON_GREETING, PROLONGED, Story, Ways,
};

/// No call, no port, no connection remains of all of them, and no call core panicked.
pub fn nothing_is_left(segue: &Segue, sockets: usize) {
    until("the last call to be gone", Duration::from_secs(20), || {
        (segue.health()["calls"] == 0).then_some(())
    });
    until("the last socket to be closed", Duration::from_secs(20), || {
        (segue.open_sockets() <= sockets).then_some(())
    });
    let panics = &segue.health()["counters"]["call_panics"];
    assert!(*panics == 0, "{panics} calls ended by a panic");
}

/// One story, with its callees and its subscriber. Whatever is not as written is told.
pub fn play(segue: &Segue, folder: &Path, name: &str, story: &Story, (over, to): Ways) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let server = if over == Over::Udp {
        segue.sip_udp()
    } else {
        segue.sip_tcp()
    };
    // Kept until the end, so that nothing else takes the port.
    let silent_udp = UdpSocket::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let silent_tcp = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let at = |port: u16| format!("sip:bob@127.0.0.1:{port};transport={}", to.word());
    let (mut listening, mut targets) = (Vec::new(), Vec::new());
    let mut forward = None;
    match &story.callee {
        NoSubscriber => {}
        Plays(..) | PlaysTwice(_) | NeverCalled => listening.extend(listen(folder, &story.callee, to)),
        Several(all) => {
            let folders = (1..).map(|n: usize| folder.join(n.to_string()));
            listening.extend(
                all.iter()
                    .zip(folders)
                    .flat_map(|(callee, folder)| listen(&folder, callee, to)),
            );
        }
        Redirects(host, next) => {
            let next = listen(&folder.join("next"), next, to);
            if let Some((sipp, _)) = &next {
                let onwards = format!("{host}:{}", sipp.port());
                let first = Sipp::redirecting(folder, to, &onwards);
                targets.push(at(first.port()));
                listening.push((first, true));
            }
            listening.extend(next);
        }
        Forwards(first, next) => {
            let first = listen(folder, first, to);
            let next = listen(&folder.join("next"), next, to);
            targets.extend(first.iter().map(|(sipp, _)| at(sipp.port())));
            forward = next.as_ref().map(|(sipp, _)| at(sipp.port()));
            listening.extend(first.into_iter().chain(next));
        }
        Silent => {
            let addr = match to {
                Over::Udp => silent_udp.local_addr(),
                Over::Tcp => silent_tcp.local_addr(),
            };
            targets.push(at(addr.map_err(|error| error.to_string())?.port()));
        }
        Unreachable => targets.push(at(9)),
        Itself => targets.push(format!("sip:{name}@{server};transport={}", over.word())),
    }
    if targets.is_empty() {
        targets.extend(listening.iter().map(|(sipp, _)| at(sipp.port())));
    }
    if !targets.is_empty() {
        let targets = targets.iter().flat_map(|target| ["--target", target]);
        let args: Vec<&str> = ["subscriber", "add", name].into_iter().chain(targets).collect();
        segue.cli(&[&args, story.flags].concat());
    }
    if let Some(uri) = &forward {
        segue.cli(&["rule", "add", name, "--why", "busy", "--forward", uri]);
    }
    if story.result.is_some_and(|(result, _)| result == "mailbox_full") {
        segue.cli(&["retention", "set", name, "--unheard-max", "0"]);
    }
    let call_id = format!("{name}@sipp");
    let (scenario, pause_ms) = story.caller;
    let caller = Sipp::caller(folder, scenario, (over, pause_ms), (name, server), &call_id);
    caller.finish()?;
    for (sipp, plays) in listening {
        if plays {
            sipp.finish()?;
        } else {
            sipp.was_not_called()?;
        }
    }
    match story.result {
        Some(expected) => judge(segue, name, &call_id, story, expected),
        None => Ok(()),
    }
}

/// The SIPp of a callee that has one, and whether it plays to its end or must not be called.
fn listen(folder: &Path, callee: &Callee, over: Over) -> Option<(Sipp, bool)> {
    match callee {
        Plays(scenario, pause_ms) => Some((Sipp::callee(folder, scenario, over, *pause_ms), true)),
        PlaysTwice(scenario) => Some((Sipp::callee_of(folder, scenario, over, 2), true)),
        NeverCalled => Some((Sipp::callee(folder, "answer", over, 0), false)),
        _ => None,
    }
}

/// A time of a record, in milliseconds of its minute and hour.
fn moment(at: &Value) -> Option<i64> {
    let (_, clock) = at.as_str()?.trim_end_matches('Z').split_once('T')?;
    let mut parts = clock.split([':', '.']).map(|part| part.parse::<i64>().ok());
    let mut next = || parts.next().flatten();
    Some(((next()? * 60 + next()?) * 60 + next()?) * 1_000 + next()?)
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
    let called = story.callee.legs();
    must(
        "a leg for each target that was called, and no other",
        call["legs"].as_array().map_or(0, Vec::len) == 1 + called,
    )?;
    if called > 0 && story.flags.starts_with(HELD) {
        let hold_ms = call["hold_ms"].as_u64().unwrap_or_default();
        must("the hold of 1 s was kept", (1_000..1_400).contains(&hold_ms))?;
    }
    if called > 0 && story.flags == HELD_LONG {
        must(
            "`#` ends the hold",
            call["hold_ms"].as_u64().is_some_and(|ms| ms < 5_000),
        )?;
    }
    let answered_ms = moment(&shown["answered_at"]);
    let greeted_ms = shown["switches"]
        .as_array()
        .and_then(|switches| switches.iter().find(|switch| switch["to"] == "greeting"))
        .and_then(|switch| moment(&switch["at"]));
    let before_ms = greeted_ms
        .zip(answered_ms)
        .map(|(greeted, answered)| answered - greeted);
    if story.flags == ANSWERED_BEFORE {
        must("A is answered before the greeting", before_ms.is_some_and(|ms| ms <= 0))?;
    }
    if story.flags == ANSWERED_AFTER {
        must(
            "A is answered after the greeting",
            before_ms.is_some_and(|ms| ms > 2_000),
        )?;
    }
    if story.flags == ON_GREETING {
        must("A is held on the greeting", call["switches"][0]["to"] == "greeting")?;
        must(
            "the hold of 1 s was kept",
            call["hold_ms"].as_u64().is_some_and(|ms| (1_000..1_400).contains(&ms)),
        )?;
    }
    let prolonged = story.flags == PROLONGED;
    must(
        "who stays, and nobody else, does so in the record",
        prolonged != call["prolonged_at"].is_null(),
    )?;
    if prolonged {
        let clips = segue.rows(&["clip", "list"]);
        let clip = clips.iter().find(|clip| clip["name"] == "clip");
        let clip_ms = clip.and_then(|clip| clip["duration_ms"].as_u64()).unwrap_or_default();
        let kept = call["hold_ms"].as_u64().unwrap_or_default();
        must(
            "the clip came to its end",
            clip_ms > 1_500 && (clip_ms..clip_ms + 400).contains(&kept),
        )?;
    }
    let rules = match story.callee {
        Forwards(..) => serde_json::json!([{"place": 1, "why": "busy", "did": "forward"}]),
        _ => serde_json::json!([]),
    };
    must("the rule that acted, and no other", call["rules"] == rules)?;
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
