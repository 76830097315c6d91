//! Each ending of a call, played by SIPp on both sides of one running Segue, over UDP and over TCP. The scenarios in
//! `tests/sipp/` judge what is said to them; here the call record is judged as well.
//!
//! `cargo test -p segue-tests --test sipp -- NAME` plays only the stories with that in their name.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use segue_tests::{
    segue::{Segue, sample},
    sipp::Over,
};

#[path = "sipp/play.rs"]
mod play;
#[path = "sipp/story.rs"]
mod story;

use play::{nothing_is_left, play};
use story::*;

/// Stories that run at the same time.
const AT_ONCE: usize = 8;

/// T1, so that 64·T1 is 6.4 s and not 32 s.
const T1: &str = "[sip]\nt1_ms = 100\n";

/// A 3xx is followed to this address, not to a name for it.
const PROFILE: &str = "name = \"sipp\"\nsources = [\"127.0.0.0/8\"]\nredirect_targets = [\"127.0.0.1\"]\n";

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
        "refreshed",
        ("refreshed", 300),
        Plays("answer_longer_interval", 300),
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
    // Keys.
    story(
        "star_by_info_prolongs_the_hold",
        ("star_by_info", 300),
        Plays("answer_told_of_staying", 300),
        PROLONGED,
        ANSWERED,
    ),
    story(
        "hash_by_info_ends_the_hold",
        ("hash_by_info", 300),
        Plays("answer", 300),
        HELD_LONG,
        ANSWERED,
    ),
    story(
        "a_phone_of_a_mobile_network_is_held_then_bridged",
        ("volte", 300),
        Plays("answer_octet_aligned", 300),
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
    story(
        "held_on_the_greeting",
        ("plain", 300),
        Plays("answer", 300),
        ON_GREETING,
        ANSWERED,
    ),
    story(
        "held_on_the_greeting_then_message",
        ("leave_message", 7_000),
        Plays("ring_until_cancelled", 0),
        ON_GREETING,
        Some(("message", None)),
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
        PlaysTwice("no_codec"),
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
        "answered_before_the_greeting",
        ("hang_up_at_greeting", 0),
        Plays("ring_until_cancelled", 0),
        ANSWERED_BEFORE,
        Some(("greeted", None)),
    ),
    story(
        "answered_after_the_greeting",
        ("answered_after_the_greeting", 0),
        Plays("ring_until_cancelled", 0),
        ANSWERED_AFTER,
        Some(("greeted", None)),
    ),
    story(
        "busy_leaves_a_message_without_clip",
        ("leave_message_no_clip", 4_000),
        Plays("busy", 0),
        &[],
        Some(("message", Some(486))),
    ),
    story(
        "sent_to_the_mailbox",
        ("sent_to_the_mailbox", 0),
        NeverCalled,
        HELD,
        Some(("greeted", Some(486))),
    ),
    story(
        "a_private_caller",
        ("private", 800),
        Plays("answer_unknown_caller", 300),
        HELD,
        ANSWERED,
    ),
    // What the callee's rules and availability make of it.
    story(
        "do_not_disturb",
        ("leave_message_no_clip", 4_000),
        NeverCalled,
        NOT_DISTURBED,
        Some(("message", Some(480))),
    ),
    story(
        "busy_is_forwarded_by_a_rule",
        ("plain", 800),
        Forwards(&Plays("busy", 0), &Plays("answer", 300)),
        HELD,
        ANSWERED,
    ),
    story(
        "headers_and_infos_pass_both_ways",
        ("says_more", 300),
        Plays("answer_saying_more", 700),
        HELD,
        ANSWERED,
    ),
    story(
        "mailbox_is_full",
        ("mailbox_full", 0),
        Plays("busy", 0),
        HELD,
        Some(("mailbox_full", Some(486))),
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
    // Several targets.
    story(
        "two_ring_together",
        ("plain", 300),
        Several(&[Plays("completed_elsewhere", 0), Plays("answer", 300)]),
        HELD,
        ANSWERED,
    ),
    story(
        "two_in_order",
        ("plain", 300),
        Several(&[Plays("busy", 0), Plays("answer", 300)]),
        HELD_IN_ORDER,
        ANSWERED,
    ),
    story(
        "declined_for_all_together",
        ("hang_up_at_greeting", 0),
        Several(&[Plays("declined_elsewhere", 0), Plays("decline", 0)]),
        HELD,
        Some(("greeted", Some(603))),
    ),
    story(
        "declined_for_all_in_order",
        ("hang_up_at_greeting", 0),
        Several(&[Plays("decline", 0), NeverCalled]),
        HELD_IN_ORDER,
        Some(("greeted", Some(603))),
    ),
    story(
        "redirected",
        ("plain", 300),
        Redirects("127.0.0.1", &Plays("answer_redirected", 300)),
        HELD,
        ANSWERED,
    ),
    story(
        "redirected_to_where_it_may_not",
        ("hang_up_at_greeting", 0),
        Redirects("localhost", &NeverCalled),
        HELD,
        Some(("greeted", Some(302))),
    ),
    story(
        "one_branch_and_two_together",
        ("one_branch_refused", 0),
        Several(&[NeverCalled, NeverCalled]),
        HELD,
        Some(("rejected", Some(440))),
    ),
    story(
        "one_branch_and_two_in_order",
        ("one_branch_at_a_time", 300),
        Several(&[Plays("busy", 0), Plays("answer", 300)]),
        HELD_IN_ORDER,
        ANSWERED,
    ),
    story(
        "target_is_this_server",
        ("goes_in_a_circle", 0),
        Itself,
        HELD,
        Some(("rejected", Some(482))),
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
    let profiles = folder.path().join("profiles");
    std::fs::create_dir(&profiles).expect("a folder for the profile");
    std::fs::write(profiles.join("sipp.toml"), PROFILE).expect("the profile");
    let settings = format!("profiles_dir = {profiles:?}\n{T1}");
    let segue = Segue::start_with(&folder.path().join("segue"), &settings);
    // `full` stands in for the built-in notice, which is made beside the server's work.
    for (name, file) in [("clip", "clip"), ("greeting", "greeting"), ("full", "greeting")] {
        segue.cli(&[
            "clip",
            "add",
            name,
            sample(&format!("{file}.mp4")).to_str().expect("a path in UTF-8"),
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
