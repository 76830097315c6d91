//! OPTIONS that asks whether a server lives (RFC 3261 §11).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::time::Duration;

use common::*;
use segue_sip::{Candidate, Event, PingId, Protocol};
use segue_sip_wire::Message;

const SERVER: &str = "127.0.0.5:5070";

fn pinged() -> (Script, PingId, Message, u64) {
    let mut script = Script::of(endpoint(A, 1));
    let server = Candidate {
        protocol: Protocol::Udp,
        remote: SERVER.parse().unwrap(),
    };
    let uri = format!("sip:{SERVER}").parse().unwrap();
    let ping = script.endpoint.ping(script.now, server, &uri).unwrap();
    let transmit = script.endpoint.poll_transmit().unwrap();
    assert_eq!(transmit.peer.remote, server.remote);
    script.peer.remote = server.remote;
    let request = Message::parse_datagram(&transmit.bytes).unwrap();
    (script, ping, request, transmit.id)
}

fn say(script: &mut Script, request: &Message, status: u16, more: &str) {
    let header = |name| request.header(name).unwrap();
    let text = format!(
        "SIP/2.0 {status} So\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=t1\r\nCall-ID: {}\r\nCSeq: {}\r\n{more}Content-Length: 0\r\n\r\n",
        header("Via"),
        header("From"),
        header("To"),
        header("Call-ID"),
        header("CSeq")
    );
    let response = Message::parse_datagram(text.as_bytes()).unwrap();
    assert!(script.endpoint.belongs(&response), "it needs no admission");
    script.endpoint.handle_message(script.now, script.peer, response);
}

fn pongs(script: &mut Script) -> Vec<(PingId, Option<u16>, Option<Duration>)> {
    let events = std::iter::from_fn(|| script.endpoint.poll_event());
    let pong = |event| match event {
        Event::Pong {
            ping,
            status,
            retry_after,
        } => (ping, status, retry_after),
        other => panic!("{other:?}"),
    };
    events.map(pong).collect()
}

#[test]
fn it_asks_the_server_itself_and_any_final_answer_is_told_once() {
    let (mut script, ping, request, _) = pinged();
    assert_eq!(request.method().unwrap().as_str(), "OPTIONS");
    assert_eq!(request.request_uri().unwrap().to_string(), format!("sip:{SERVER}"));
    assert_eq!(request.header("Max-Forwards"), Some("0"), "nobody behind it is asked");
    assert_eq!(request.header("Accept"), Some("application/sdp"));
    say(&mut script, &request, 100, "");
    assert_eq!(pongs(&mut script), []);
    say(&mut script, &request, 503, "Retry-After: 7 (maintenance)\r\n");
    assert_eq!(pongs(&mut script), [(ping, Some(503), Some(Duration::from_secs(7)))]);
    say(&mut script, &request, 503, "");
    assert_eq!(pongs(&mut script), []);
    while let Some(due) = script.endpoint.poll_timeout() {
        script.now = due;
        script.endpoint.handle_timeout(due);
    }
    assert_eq!((pongs(&mut script).len(), script.endpoint.transaction_count()), (0, 0));
}

#[test]
fn a_challenge_is_an_answer_and_gets_no_credentials() {
    let (mut script, ping, request, _) = pinged();
    let challenge = "WWW-Authenticate: Digest realm=\"a\", nonce=\"b\"\r\n";
    say(&mut script, &request, 401, challenge);
    assert_eq!(pongs(&mut script), [(ping, Some(401), None)]);
    assert!(script.endpoint.poll_transmit().is_none());
}

#[test]
fn silence_and_a_fault_of_the_transport_are_told_as_no_answer() {
    let (mut script, ping, _, _) = pinged();
    let begun = script.now;
    let told = loop {
        script.now = script.endpoint.poll_timeout().unwrap();
        script.endpoint.handle_timeout(script.now);
        let told = pongs(&mut script);
        if !told.is_empty() {
            break told;
        }
    };
    assert_eq!(told, [(ping, None, None)]);
    assert_eq!(script.now - begun, Duration::from_secs(32));

    let (mut script, ping, _, transmit) = pinged();
    script.endpoint.handle_transport_error(script.now, transmit);
    assert_eq!(pongs(&mut script), [(ping, None, None)]);
}

#[test]
fn one_that_nobody_waits_for_leaves_nothing() {
    let (mut script, ping, _, _) = pinged();
    script.endpoint.forget_ping(ping);
    assert_eq!(
        (script.endpoint.transaction_count(), script.endpoint.timer_count()),
        (0, 0)
    );
    assert_eq!(pongs(&mut script), []);
}
