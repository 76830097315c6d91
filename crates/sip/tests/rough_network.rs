//! Loss, doubling, delay and so reordering, seeded: each session ends exactly once, and nothing is left.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::time::Duration;

use common::*;
use rand::{Rng, SeedableRng, rngs::StdRng};
use segue_sip::{Event, Progress, SessionId};

/// What B does with a call, chosen by the seed.
fn play(net: &mut Net, rng: &mut StdRng, b: SessionId, event: &Event) {
    let now = net.now;
    let endpoint = &mut net.endpoints[B];
    // Refused commands are part of the game: the call may have ended meanwhile.
    match event {
        Event::Incoming { .. } => match rng.next_u32() % 6 {
            0 => drop(endpoint.refuse(now, b, 486, &[])),
            1 => drop(endpoint.answer(now, b, Some(sdp("answer")))),
            n => {
                let _ = endpoint.progress(
                    now,
                    b,
                    Progress {
                        status: 183,
                        reliable: n > 2,
                        sdp: Some(sdp("answer")),
                        headers: Vec::new(),
                        along: Default::default(),
                    },
                );
                let _ = endpoint.progress(
                    now,
                    b,
                    Progress {
                        status: 180,
                        reliable: n > 3,
                        sdp: None,
                        headers: Vec::new(),
                        along: Default::default(),
                    },
                );
                if n == 5 {
                    let _ = endpoint.answer(now, b, None);
                }
            }
        },
        Event::PrackTimeout { .. } => drop(endpoint.refuse(now, b, 504, &[])),
        _ => {}
    }
}

/// `None`: a refusal of the endpoint's own, which has no session.
fn session_of(event: &Event) -> Option<SessionId> {
    Some(match event {
        Event::Incoming { session, .. }
        | Event::Prack { session, .. }
        | Event::PrackTimeout { session }
        | Event::Cancelled { session, .. }
        | Event::AnswerHeld { session }
        | Event::AnswerSent { session }
        | Event::Acked { session, .. }
        | Event::AckTimeout { session }
        | Event::Provisional { session, .. }
        | Event::EarlyMedia { session, .. }
        | Event::Answered { session, .. }
        | Event::CrossedCancel { session }
        | Event::Failed { session, .. }
        | Event::Offer { session, .. }
        | Event::OfferWithdrawn { session }
        | Event::OfferAnswered { session, .. }
        | Event::OfferRefused { session, .. }
        | Event::Bye { session, .. }
        | Event::Key { session, .. }
        | Event::Info { session, .. }
        | Event::Asked { session, .. }
        | Event::AskAnswered { session, .. }
        | Event::Refreshed { session, .. }
        | Event::Terminated { session } => *session,
        Event::Options { .. }
        | Event::Refused { .. }
        | Event::Paused { .. }
        | Event::Pong { .. }
        | Event::Replied { .. }
        | Event::RegisterAnswered { .. }
        | Event::Paged { .. } => return None,
    })
}

/// Which events there were.
fn story(seed: u64) -> Vec<String> {
    let mut rng = StdRng::seed_from_u64(seed);
    // Each fifth network is hardly one.
    let loss = if seed.is_multiple_of(5) {
        60 + rng.next_u32() % 25
    } else {
        rng.next_u32() % 35
    };
    let (double, delay) = (rng.next_u32() % 15, rng.next_u64() % 900);
    let mut net = Net::rough(seed, loss, double, delay);
    let mut calls = Vec::new();
    for _ in 0..3 {
        let outgoing = net.outgoing();
        calls.push(net.endpoints[A].invite(net.now, outgoing));
    }
    let hang_up = net.now + Duration::from_millis(rng.next_u64() % 20_000);
    let end = net.now + Duration::from_secs(60);
    let mut seen = 0;
    let mut hung_up = false;
    while net.now < end {
        if !net.step(if hung_up { end } else { hang_up }) {
            if hung_up {
                break;
            }
            net.now = hang_up;
            hung_up = true;
            for a in &calls {
                let _ = match rng.next_u32() % 2 {
                    0 => net.endpoints[A].bye(net.now, *a, None),
                    _ => net.endpoints[A].cancel(net.now, *a, None),
                };
            }
            net.pump();
        }
        while seen < net.events[B].len() {
            let event = net.events[B][seen].clone();
            seen += 1;
            if let Some(session) = session_of(&event) {
                play(&mut net, &mut rng, session, &event);
            }
            net.pump();
        }
    }
    // Whoever still talks or rings hangs up.
    let incoming: Vec<SessionId> = net.events[B]
        .iter()
        .filter(|e| matches!(e, Event::Incoming { .. }))
        .filter_map(session_of)
        .collect();
    for (agent, sessions) in [(A, &calls), (B, &incoming)] {
        for session in sessions {
            let _ = net.endpoints[agent].bye(net.now, *session, None);
        }
    }
    net.pump();
    net.assert_nothing_left();
    for agent in [A, B] {
        let sessions: Vec<SessionId> = if agent == A { calls.clone() } else { incoming.clone() };
        for session in sessions {
            let told: Vec<&Event> = net.events[agent]
                .iter()
                .filter(|e| session_of(e) == Some(session))
                .collect();
            let ends = told.iter().filter(|e| matches!(e, Event::Terminated { .. })).count();
            assert_eq!(ends, 1, "seed {seed}: {told:?}");
            assert!(
                matches!(told.last(), Some(Event::Terminated { .. })),
                "seed {seed}: {told:?}"
            );
            assert!(net.ladders[agent][&session].len() <= 64);
        }
    }
    // Each 2xx was followed by an ACK or, when none came through, by a BYE; A never leaves one unacknowledged.
    let repeats = net.sent_by(B, "200 INVITE");
    assert!(
        repeats == 0 || net.sent_by(A, "ACK") > 0 || net.sent_by(B, "BYE") > 0,
        "seed {seed}"
    );
    [net.told(A), net.told(B)].concat()
}

#[test]
fn each_session_ends_once_and_nothing_is_left() {
    let told: Vec<String> = (0..400).flat_map(story).collect();
    // The stories must have met what they are for.
    for name in [
        "Answered",
        "Acked",
        "AckTimeout",
        "Prack",
        "PrackTimeout",
        "Cancelled",
        "Bye",
        "Failed 408",
        "Failed 487",
    ] {
        assert!(told.iter().filter(|told| *told == name).count() >= 3, "{name}");
    }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let tell = || {
        let mut net = Net::rough(7, 20, 20, 300);
        let outgoing = net.outgoing();
        net.endpoints[A].invite(net.now, outgoing);
        net.run(Duration::from_secs(5));
        let b = session_of(&net.events[B][0]).unwrap();
        net.progress(b, 183, true, Some(sdp("answer")));
        net.run(PATIENCE);
        net.sent
            .iter()
            .map(|(from, at, m, _)| (*from, *at, m.to_bytes()))
            .collect::<Vec<_>>()
    };
    assert_eq!(tell(), tell());
}
