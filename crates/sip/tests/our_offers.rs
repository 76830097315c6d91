//! Our own re-INVITE and UPDATE within a call: answers, refusals, glare and peers that say nothing (RFC 3261 §14.1, RFC 3311).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::time::Duration;

use common::*;
use segue_sip::{CommandError, Event, Progress, SessionId};
use segue_sip_wire::Message;

const OFFER: &str = "v=0\r\n";

fn with_sdp(text: &str, body: &str) -> String {
    text.replace(
        "Content-Length: 0\r\n\r\n",
        &format!(
            "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    )
}

/// An answered call of the hand-written peer: our tag.
fn talking() -> (Script, SessionId, String) {
    let mut script = Script::default();
    script.say(&with_sdp(&request("INVITE", 1, "i1", None, ""), OFFER));
    let id = script.session();
    script.endpoint.answer(script.now, id, Some(sdp("answer"))).unwrap();
    let tag = to_tag(&script.hear()[0]);
    script.say(&request("ACK", 1, "k1", Some(&tag), ""));
    (script, id, tag)
}

/// We offer; the request that goes out.
fn offering(script: &mut Script, id: SessionId) -> Message {
    script.endpoint.offer(script.now, id, sdp("hold")).unwrap();
    let said = script.hear();
    assert_eq!(said.len(), 1, "{:?}", statuses(&said));
    said.into_iter().next().unwrap()
}

/// The peer's response to a request of ours.
fn response(request: &Message, status: u16, body: &str) -> String {
    let line = |name: &str| format!("{name}: {}\r\n", request.header(name).unwrap());
    let text = format!(
        "SIP/2.0 {status} X\r\n{}{}{}{}{}Contact: <sip:alice@127.0.0.1:5060>\r\nContent-Length: 0\r\n\r\n",
        line("Via"),
        line("From"),
        line("To"),
        line("Call-ID"),
        line("CSeq"),
    );
    if body.is_empty() { text } else { with_sdp(&text, body) }
}

fn told_of_offers(script: &Script) -> Vec<String> {
    let names = script.events.iter().filter_map(|event| match event {
        Event::OfferAnswered { sdp, .. } => Some(format!("answered {}", sdp.as_ref().map_or(0, |sdp| sdp.len()))),
        Event::OfferRefused { status, .. } => Some(format!("refused {status}")),
        _ => None,
    });
    names.collect()
}

#[test]
fn a_re_invite_of_either_side_is_answered_and_acknowledged() {
    let mut net = Net::new(1);
    let (a, b) = net.talk();
    for (from, to, ours, theirs) in [(A, B, a, b), (B, A, b, a)] {
        net.endpoints[from].offer(net.now, ours, sdp("hold")).unwrap();
        net.run_ms(10);
        assert!(matches!(net.events[to].last(), Some(Event::Offer { sdp: Some(offer), .. }) if *offer == sdp("hold")));
        net.endpoints[to].accept_offer(net.now, theirs, sdp("held")).unwrap();
        net.run_ms(10);
        let told = net.events[from].iter().any(
            |event| matches!(event, Event::OfferAnswered { session, sdp: Some(answer), .. } if *session == ours && *answer == sdp("held")),
        );
        assert!(told, "{:?}", net.told(from));
        assert_eq!(net.told(to).last().unwrap(), "Acked");
    }
    net.endpoints[A].bye(net.now, a, None).unwrap();
    net.assert_nothing_left();
}

#[test]
fn a_refused_offer_leaves_the_session_and_the_next_one_may_go() {
    let (mut script, id, _) = talking();
    let invite = offering(&mut script, id);
    assert_eq!(
        script.endpoint.offer(script.now, id, sdp("x")),
        Err(CommandError::WrongState {
            command: "an offer",
            state: "an offer waits for its answer"
        })
    );
    assert_eq!(statuses(&script.say(&response(&invite, 488, ""))), ["ACK"]);
    let next = offering(&mut script, id);
    assert!(next.cseq().unwrap().number > invite.cseq().unwrap().number);
    assert_eq!(statuses(&script.say(&response(&next, 200, OFFER))), ["ACK"]);
    // The 200 comes again, its ACK too.
    assert_eq!(statuses(&script.say(&response(&next, 200, OFFER))), ["ACK"]);
    assert_eq!(told_of_offers(&script), ["refused 488", "answered 5"]);
}

#[test]
fn a_481_or_408_ends_the_dialog() {
    for status in [481, 408] {
        let (mut script, id, _) = talking();
        let invite = offering(&mut script, id);
        assert_eq!(statuses(&script.say(&response(&invite, status, ""))), ["ACK", "BYE"]);
        assert_eq!(script.told().last().unwrap(), "Bye");
    }
}

#[test]
fn a_peer_that_says_nothing_or_only_180_is_gone_in_the_end() {
    let (mut script, id, _) = talking();
    offering(&mut script, id);
    let said = statuses(&script.wait(PATIENCE));
    assert_eq!(said.last().unwrap(), "BYE", "{said:?}");

    let (mut script, id, _) = talking();
    let invite = offering(&mut script, id);
    script.say(&response(&invite, 180, ""));
    let said = statuses(&script.wait(PATIENCE + Duration::from_millis(100)));
    assert_eq!(said, ["CANCEL"]);
    let said = statuses(&script.wait(PATIENCE));
    assert_eq!(said.last().unwrap(), "BYE", "{said:?}");
}

#[test]
fn a_491_is_tried_again_after_the_time_that_the_owner_of_the_call_id_must_wait() {
    // The peer has made the Call-ID: 0 to 2 s.
    let (mut script, id, _) = talking();
    let mut invite = offering(&mut script, id);
    for _ in 0..3 {
        script.say(&response(&invite, 491, ""));
        let again: Vec<_> = script
            .wait(Duration::from_millis(2_000))
            .into_iter()
            .filter(|message| message.method().is_some())
            .collect();
        assert!(again.iter().any(|message| brief(message) == "INVITE"));
        invite = again.into_iter().find(|message| brief(message) == "INVITE").unwrap();
    }
    // Not for ever.
    script.say(&response(&invite, 491, ""));
    assert_eq!(script.wait(Duration::from_secs(10)).len(), 0);
    assert_eq!(told_of_offers(&script), ["refused 491"]);

    // Our own Call-ID: 2.1 to 4 s.
    for seed in 1..20 {
        let mut net = Net::new(seed);
        let (a, b) = net.talk();
        net.endpoints[A].offer(net.now, a, sdp("one")).unwrap();
        net.endpoints[B].offer(net.now, b, sdp("two")).unwrap();
        net.run_ms(2_050);
        // Both met 491; B, which did not make the Call-ID, came first, and A's offer gave way to it.
        assert_eq!((net.sent_by(A, "491 INVITE"), net.sent_by(B, "491 INVITE")), (1, 1));
        assert!(
            net.told(A).ends_with(&["OfferRefused".to_owned(), "Offer".to_owned()]),
            "{:?}",
            net.told(A)
        );
        net.endpoints[A].accept_offer(net.now, a, sdp("ok")).unwrap();
        net.run_ms(100);
        assert_eq!(net.count(B, "OfferAnswered"), 1);
        net.endpoints[A].bye(net.now, a, None).unwrap();
        net.assert_nothing_left();
    }
    let mut net = Net::new(3);
    let (a, b) = net.talk();
    net.endpoints[A].offer(net.now, a, sdp("one")).unwrap();
    net.run_ms(10);
    let first = *net.times(A, "INVITE").last().unwrap();
    net.endpoints[B].refuse_offer(net.now, b, 491, &[]).unwrap();
    net.run_ms(4_100);
    let again = *net.times(A, "INVITE").last().unwrap();
    assert!((first + 2_100..=first + 4_020).contains(&again), "{first} {again}");
}

#[test]
fn while_our_offer_is_on_its_way_theirs_gets_491_and_is_not_told() {
    let (mut script, id, tag) = talking();
    offering(&mut script, id);
    for (method, cseq) in [("INVITE", 2), ("UPDATE", 3)] {
        let text = with_sdp(&request(method, cseq, &format!("g{cseq}"), Some(&tag), ""), OFFER);
        assert_eq!(statuses(&script.say(&text)), [format!("491 {method}")]);
    }
    assert_eq!(script.told(), ["Incoming", "Acked"]);
}

#[test]
fn an_offer_waits_for_the_ack_of_our_200() {
    let mut script = Script::default();
    script.say(&with_sdp(&request("INVITE", 1, "i1", None, ""), OFFER));
    let id = script.session();
    script.endpoint.answer(script.now, id, Some(sdp("answer"))).unwrap();
    let tag = to_tag(&script.hear()[0]);
    script.endpoint.offer(script.now, id, sdp("more")).unwrap();
    assert_eq!(script.hear().len(), 0);
    assert_eq!(
        statuses(&script.say(&request("ACK", 1, "k1", Some(&tag), ""))),
        ["INVITE"]
    );
}

#[test]
fn our_bye_crosses_the_200_to_our_re_invite_which_is_acknowledged_all_the_same() {
    let (mut script, id, _) = talking();
    let invite = offering(&mut script, id);
    script.endpoint.bye(script.now, id, None).unwrap();
    let bye = script.hear().remove(0);
    assert_eq!(statuses(&script.say(&response(&invite, 200, OFFER))), ["ACK"]);
    script.say(&response(&bye, 200, ""));
    assert_eq!(script.told(), ["Incoming", "Acked", "Terminated"]);
    // It was lost: the 200 comes again after all is over.
    assert_eq!(statuses(&script.say(&response(&invite, 200, OFFER))), ["ACK"]);
}

/// An early dialog with a reliable answer that is acknowledged.
fn early(allow: &str) -> (Script, SessionId, String) {
    let mut script = Script::default();
    script.say(&with_sdp(
        &request("INVITE", 1, "i1", None, &format!("Supported: 100rel\r\n{allow}")),
        OFFER,
    ));
    let id = script.session();
    let progress = Progress {
        status: 183,
        reliable: true,
        sdp: Some(sdp("a")),
        headers: Vec::new(),
        along: Default::default(),
    };
    script.endpoint.progress(script.now, id, progress).unwrap();
    let ringing = script.hear();
    let (tag, rseq) = (to_tag(&ringing[0]), ringing[0].rseq().unwrap());
    assert!(
        script.endpoint.offer(script.now, id, sdp("early")).is_err(),
        "before the PRACK"
    );
    script.say(&request(
        "PRACK",
        2,
        "p2",
        Some(&tag),
        &format!("RAck: {rseq} 1 INVITE\r\n"),
    ));
    (script, id, tag)
}

#[test]
fn an_early_dialog_takes_an_update_and_the_200_waits_for_its_answer() {
    let (mut script, id, tag) = early("Allow: INVITE, UPDATE\r\n");
    let update = offering(&mut script, id);
    assert_eq!(brief(&update), "UPDATE");
    script.endpoint.answer(script.now, id, None).unwrap();
    assert_eq!(script.hear().len(), 0, "no 2xx while the UPDATE has no answer");
    assert_eq!(statuses(&script.say(&response(&update, 200, OFFER))), ["200 INVITE"]);
    script.say(&request("ACK", 1, "k1", Some(&tag), ""));
    let told = [
        "Incoming",
        "Prack",
        "AnswerHeld",
        "OfferAnswered",
        "AnswerSent",
        "Acked",
    ];
    assert_eq!(script.told(), told);
}

#[test]
fn an_early_dialog_without_update_takes_no_offer_and_a_lost_one_ends_with_487() {
    let (mut script, id, _) = early("Allow: INVITE, ACK\r\n");
    assert!(script.endpoint.offer(script.now, id, sdp("early")).is_err());

    let (mut script, id, _) = early("Allow: UPDATE\r\n");
    let update = offering(&mut script, id);
    assert_eq!(statuses(&script.say(&response(&update, 481, ""))), ["487 INVITE"]);
    assert_eq!(script.told(), ["Incoming", "Prack", "Bye"]);
}

#[test]
fn the_caller_side_offers_by_update_once_a_reliable_answer_is_there() {
    let mut net = Net::new(5);
    let (a, b) = net.call();
    assert!(net.endpoints[A].offer(net.now, a, sdp("early")).is_err());
    net.progress(b, 183, true, Some(sdp("answer")));
    net.run_ms(10);
    net.endpoints[A].offer(net.now, a, sdp("early")).unwrap();
    net.run_ms(10);
    assert_eq!(net.told(B).last().unwrap(), "Offer");
    net.endpoints[B].accept_offer(net.now, b, sdp("ok")).unwrap();
    net.run_ms(10);
    assert_eq!(net.told(A).last().unwrap(), "OfferAnswered");
    net.answer(b, None);
    net.run_ms(10);
    net.endpoints[A].bye(net.now, a, None).unwrap();
    net.assert_nothing_left();
}

#[test]
fn a_cancelled_re_invite_of_the_peer_is_told_as_withdrawn() {
    let (mut script, _, tag) = talking();
    script.say(&with_sdp(&request("INVITE", 2, "i2", Some(&tag), ""), OFFER));
    script.say(&request("CANCEL", 2, "i2", Some(&tag), ""));
    assert_eq!(script.told(), ["Incoming", "Acked", "Offer", "OfferWithdrawn"]);
}

#[test]
fn offers_over_a_rough_network_all_come_to_an_end() {
    for seed in 0..150 {
        let mut net = Net::new(seed);
        let (a, b) = net.talk();
        let rough = Net::rough(seed, 20, 10, 400);
        net.judge = rough.judge;
        let mut made = [0, 0];
        for round in 0..6_u64 {
            for (agent, session) in [(A, a), (B, b)] {
                if (seed + round + agent as u64).is_multiple_of(2)
                    && net.endpoints[agent].offer(net.now, session, sdp("x")).is_ok()
                {
                    made[agent] += 1;
                }
                let pending = net
                    .told(agent)
                    .iter()
                    .rev()
                    .find(|name| ["Offer", "Acked", "OfferWithdrawn"].contains(&name.as_str()))
                    .is_some_and(|name| name == "Offer");
                if pending {
                    let _ = net.endpoints[agent].accept_offer(net.now, session, sdp("y"));
                }
            }
            net.run_ms(1_500);
        }
        // What is still owed is answered; then every offer has met its end.
        for _ in 0..30 {
            for (agent, session) in [(A, a), (B, b)] {
                let _ = net.endpoints[agent].accept_offer(net.now, session, sdp("y"));
            }
            net.run_ms(4_000);
        }
        for agent in [A, B] {
            let ends = net.count(agent, "OfferAnswered") + net.count(agent, "OfferRefused");
            let over = net.count(agent, "Bye") + net.count(agent, "Terminated") + net.count(agent, "AckTimeout") > 0;
            assert!(
                ends == made[agent] || over && ends + 1 >= made[agent],
                "seed {seed}: {:?}",
                net.told(agent)
            );
        }
        let _ = net.endpoints[A].bye(net.now, a, None);
        net.assert_nothing_left();
    }
}
