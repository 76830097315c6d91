//! The next server when one fails (RFC 3263 §4.3), and one that asked for rest (RFC 3261 §21.5.4).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::time::Duration;

use common::*;
use segue_sip::{Candidate, Endpoint, EndpointConfig, Event, Local, Outgoing, Protocol, SessionId};
use segue_sip_wire::Message;

const ONE: &str = "127.0.0.5:5060";
const TWO: &str = "127.0.0.6:5062";

fn server(at: &str) -> Candidate {
    Candidate {
        protocol: Protocol::Udp,
        remote: at.parse().unwrap(),
    }
}

fn outgoing(servers: &[&str]) -> Outgoing {
    Outgoing {
        target: "sip:bob@example.com".parse().unwrap(),
        candidates: servers.iter().map(|at| server(at)).collect(),
        ..Net::new(1).outgoing()
    }
}

/// Where it sends, and what.
fn sent(script: &mut Script) -> Vec<(String, Message, u64)> {
    let all = std::iter::from_fn(|| script.endpoint.poll_transmit());
    let all = all.map(|t| {
        (
            t.peer.remote.to_string(),
            Message::parse_datagram(&t.bytes).unwrap(),
            t.id,
        )
    });
    all.collect()
}

fn calling(servers: &[&str]) -> (Script, SessionId, Message, u64) {
    let mut script = Script::of(endpoint(A, 1));
    let session = script.endpoint.invite(script.now, outgoing(servers));
    let (to, invite, id) = sent(&mut script).remove(0);
    assert_eq!(to, servers[0]);
    script.peer.remote = to.parse().unwrap();
    (script, session, invite, id)
}

fn response(invite: &Message, status: u16, more: &str) -> String {
    let header = |name| invite.header(name).unwrap();
    let phrase = segue_sip_wire::phrase(status);
    format!(
        "SIP/2.0 {status} {phrase}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=t1\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:bob@127.0.0.6:5062>\r\n{more}Content-Length: 0\r\n\r\n",
        header("Via"),
        header("From"),
        header("To"),
        header("Call-ID"),
        header("CSeq")
    )
}

/// Identical but for the branch.
fn assert_same_but_branch(first: &Message, second: &Message) {
    for name in ["From", "To", "Call-ID", "CSeq", "Contact", "Max-Forwards"] {
        assert_eq!(first.header(name), second.header(name), "{name}");
    }
    assert_eq!(first.request_uri(), second.request_uri());
    assert_eq!(first.body(), second.body());
    assert_ne!(first.top_via().unwrap().branch(), second.top_via().unwrap().branch());
}

fn say(script: &mut Script, text: &str) {
    let message = Message::parse_datagram(text.as_bytes()).unwrap();
    script.endpoint.handle_message(script.now, script.peer, message);
    while let Some(event) = script.endpoint.poll_event() {
        script.events.push(event);
    }
}

#[test]
fn a_503_leads_to_the_next_server_and_is_told_to_nobody() {
    let (mut script, _, invite, _) = calling(&[ONE, TWO]);
    say(&mut script, &response(&invite, 503, "Retry-After: 120\r\n"));
    let said = sent(&mut script);
    assert_eq!((said[0].0.as_str(), brief(&said[0].1)), (ONE, "ACK".to_owned()));
    assert_eq!((said[1].0.as_str(), brief(&said[1].1)), (TWO, "INVITE".to_owned()));
    assert_same_but_branch(&invite, &said[1].1);
    assert_eq!(script.told(), ["Paused"], "no leg hears of it");
    script.peer.remote = TWO.parse().unwrap();
    let second = said[1].1.clone();
    say(&mut script, &response(&second, 486, ""));
    assert_eq!(script.told()[1], "Failed 486");

    // It rests for as long as it asked, for calls to it alone too.
    script.endpoint.invite(script.now, outgoing(&[ONE, TWO]));
    assert_eq!(sent(&mut script).last().unwrap().0, TWO);
    script.endpoint.invite(script.now, outgoing(&[ONE]));
    assert!(!sent(&mut script).iter().any(|(to, ..)| to == ONE));
    script.hear();
    let Some(Event::Failed {
        status: 503,
        response: None,
        ..
    }) = script
        .events
        .iter()
        .rev()
        .find(|event| matches!(event, Event::Failed { .. }))
    else {
        panic!("{:?}", script.told())
    };
    script.now += Duration::from_secs(121);
    script.endpoint.invite(script.now, outgoing(&[ONE, TWO]));
    assert_eq!(sent(&mut script).last().unwrap().0, ONE);
}

#[test]
fn a_retry_after_is_believed_for_half_a_minute_at_most_and_never_stops_an_emergency_call() {
    let (mut script, _, invite, _) = calling(&[ONE]);
    say(
        &mut script,
        &response(&invite, 503, "Retry-After: 99999999999999999999\r\n"),
    );
    assert_eq!(script.told()[..2], ["Paused", "Failed 503"]);
    sent(&mut script);
    script
        .endpoint
        .invite(script.now + Duration::from_secs(12), outgoing(&[ONE]));
    assert!(sent(&mut script).is_empty(), "others wait");
    script.hear();
    // Once, however often it says so.
    let pauses = script
        .events
        .iter()
        .filter(|event| matches!(event, Event::Paused { .. }));
    assert_eq!(pauses.count(), 1);
    let failed = script.events.iter().rev().find_map(|event| match event {
        Event::Failed { phrase, paused, .. } => Some((phrase.clone(), *paused)),
        _ => None,
    });
    let phrase = format!("{ONE} asked for a pause by 503, 18 s of it are left");
    assert_eq!(failed, Some((phrase, Some(Duration::from_secs(18)))));
    // By its number as by its service.
    for target in ["urn:service:sos", "sip:112@example.com"] {
        let help = Outgoing {
            target: target.parse().unwrap(),
            urgent: true,
            ..outgoing(&[ONE])
        };
        script.endpoint.invite(script.now, help);
        assert_eq!(sent(&mut script).last().unwrap().0, ONE, "{target}");
    }
    script.now += Duration::from_secs(31);
    script.endpoint.invite(script.now, outgoing(&[ONE]));
    assert_eq!(sent(&mut script).last().unwrap().0, ONE);
}

/// Somebody behind it was reached: it is not the server that is full.
#[test]
fn a_503_after_ringing_is_somebody_elses_and_pauses_nothing() {
    let (mut script, _, invite, _) = calling(&[ONE]);
    say(&mut script, &response(&invite, 180, ""));
    say(&mut script, &response(&invite, 503, "Retry-After: 120\r\n"));
    assert!(
        script.told().iter().any(|told| told == "Failed 503"),
        "{:?}",
        script.told()
    );
    assert!(!script.events.iter().any(|event| matches!(event, Event::Paused { .. })));
    sent(&mut script);
    script.endpoint.invite(script.now, outgoing(&[ONE]));
    assert_eq!(sent(&mut script).last().unwrap().0, ONE);
}

#[test]
fn without_pauses_a_503_refuses_its_own_call_alone() {
    let config = EndpointConfig {
        pause_max: Duration::ZERO,
        sockets: vec![Local {
            protocol: Protocol::Udp,
            bind: addr(A),
            advertise: addr(A).to_string(),
        }],
        ..EndpointConfig::default()
    };
    let mut script = Script::of(Endpoint::new(config));
    script.endpoint.invite(script.now, outgoing(&[ONE]));
    let (to, invite, _) = sent(&mut script).remove(0);
    script.peer.remote = to.parse().unwrap();
    say(&mut script, &response(&invite, 503, "Retry-After: 120\r\n"));
    sent(&mut script);
    script.endpoint.invite(script.now, outgoing(&[ONE]));
    assert_eq!(sent(&mut script).last().unwrap().0, ONE);
}

#[test]
fn a_server_that_is_down_is_tried_after_the_others_and_not_waited_for_long() {
    let mut script = Script::of(endpoint(A, 1));
    script.endpoint.set_down([server(ONE)].into());
    script.endpoint.invite(script.now, outgoing(&[ONE, TWO]));
    assert_eq!(sent(&mut script).remove(0).0, TWO);
    // It alone is asked all the same.
    let session = script.endpoint.invite(script.now, outgoing(&[ONE]));
    assert_eq!(sent(&mut script).remove(0).0, ONE);
    script.endpoint.cancel(script.now, session, None).unwrap();
    script.endpoint.set_down(std::collections::BTreeSet::new());
    script.endpoint.invite(script.now, outgoing(&[ONE, TWO]));
    assert_eq!(sent(&mut script).remove(0).0, ONE);
}

#[test]
fn where_there_is_another_way_the_last_server_is_not_waited_for_as_long_as_the_only_one() {
    for (has_other_way, waited) in [(true, 4_000), (false, 32_000)] {
        let mut script = Script::of(endpoint(A, 1));
        let outgoing = Outgoing {
            has_other_way,
            ..outgoing(&[ONE])
        };
        let begun = script.now;
        script.endpoint.invite(begun, outgoing);
        let failed = loop {
            script.now = script.endpoint.poll_timeout().unwrap();
            script.endpoint.handle_timeout(script.now);
            let events: Vec<Event> = std::iter::from_fn(|| script.endpoint.poll_event()).collect();
            if let Some(Event::Failed { status, phrase, .. }) = events.into_iter().next() {
                break (status, phrase);
            }
        };
        assert_eq!(failed, (408, format!("{ONE} said nothing")));
        assert_eq!((script.now - begun).as_millis(), waited);
    }
}

#[test]
fn a_transport_fault_leads_to_the_next_server() {
    let (mut script, _, invite, id) = calling(&[ONE, TWO]);
    script.endpoint.handle_transport_error(script.now, id);
    let said = sent(&mut script);
    assert_eq!(said[0].0, TWO);
    assert_same_but_branch(&invite, &said[0].1);
    assert!(script.told().is_empty());
    script.endpoint.handle_transport_error(script.now, said[0].2);
    script.hear();
    assert_eq!(script.told()[0], "Failed 503", "nobody is left");
    // Who was silent is tried after the others for a while, and if it is the only one at once.
    script.endpoint.invite(script.now, outgoing(&[ONE, "127.0.0.7:5060"]));
    assert_eq!(sent(&mut script).last().unwrap().0, "127.0.0.7:5060");
    script.endpoint.invite(script.now, outgoing(&[ONE]));
    assert_eq!(sent(&mut script).last().unwrap().0, ONE);
}

#[test]
fn a_silent_server_is_given_up_after_8_t1_and_what_it_says_later_is_ended() {
    let (mut script, session, invite, _) = calling(&[ONE, TWO]);
    let until = script.now + Duration::from_millis(4_100);
    let mut said = Vec::new();
    while let Some(at) = script.endpoint.poll_timeout().filter(|at| *at <= until) {
        script.now = at;
        script.endpoint.handle_timeout(at);
        said.extend(sent(&mut script));
    }
    let second = said
        .iter()
        .find(|(to, ..)| to == TWO)
        .map(|(_, message, _)| message.clone())
        .unwrap();
    assert_same_but_branch(&invite, &second);
    // The first wakes up: it is cancelled, and its 200 gets ACK and BYE.
    say(&mut script, &response(&invite, 180, ""));
    let late: Vec<String> = sent(&mut script)
        .iter()
        .map(|(to, m, _)| format!("{} {to}", brief(m)))
        .collect();
    assert_eq!(late, [format!("CANCEL {ONE}")]);
    say(&mut script, &response(&invite, 200, ""));
    let late: Vec<String> = sent(&mut script).iter().map(|(_, m, _)| brief(m)).collect();
    assert_eq!(late, ["ACK", "BYE"]);
    assert!(script.told().is_empty(), "{:?}", script.told());
    // The second is the call, however long it rings now.
    script.peer.remote = TWO.parse().unwrap();
    say(&mut script, &response(&second, 180, ""));
    script.wait(Duration::from_secs(20));
    assert_eq!(script.told(), ["Provisional 180"]);
    script.endpoint.cancel(script.now, session, None).unwrap();
    assert_eq!(brief(&sent(&mut script)[0].1), "CANCEL");
}

#[test]
fn the_only_server_is_waited_for_as_ever_and_other_refusals_are_the_callees() {
    let (mut script, ..) = calling(&[ONE]);
    script.wait(Duration::from_secs(31));
    assert!(script.told().is_empty());
    script.wait(Duration::from_secs(2));
    assert_eq!(script.told()[0], "Failed 408");
    for status in [486, 500, 603] {
        let (mut script, _, invite, _) = calling(&[ONE, TWO]);
        say(&mut script, &response(&invite, status, ""));
        assert_eq!(script.told()[0], format!("Failed {status}"));
        assert!(!sent(&mut script).iter().any(|(to, ..)| to == TWO));
    }
}

#[test]
fn who_cancels_is_led_nowhere_else() {
    let (mut script, session, invite, _) = calling(&[ONE, TWO]);
    script.endpoint.cancel(script.now, session, None).unwrap();
    say(&mut script, &response(&invite, 503, ""));
    assert!(!sent(&mut script).iter().any(|(to, ..)| to == TWO));
    assert_eq!(script.told()[0], "Failed 503");
}
