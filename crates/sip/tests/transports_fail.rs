//! What cannot be sent, and large requests (RFC 3261 §18.1.1, §8.1.3.1).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;
use segue_sip::{Outgoing, Protocol};

fn large(net: &Net) -> Outgoing {
    Outgoing {
        sdp: sdp(&"x".repeat(1400)),
        ..net.outgoing()
    }
}

fn protocols(net: &Net, line: &str) -> Vec<Protocol> {
    net.sent
        .iter()
        .filter(|(_, _, m, _)| brief(m) == line)
        .map(|(.., protocol)| *protocol)
        .collect()
}

#[test]
fn a_request_over_1300_bytes_goes_by_tcp() {
    let mut net = Net::new(1);
    let outgoing = large(&net);
    let (_, b) = net.call_with(outgoing);
    net.answer(b, Some(sdp("answer")));
    net.run_ms(100);
    assert_eq!(protocols(&net, "INVITE"), [Protocol::Tcp]);
    assert_eq!(protocols(&net, "200 INVITE"), [Protocol::Tcp]);
    assert_eq!(net.told(B), ["Incoming", "Acked"]);
}

#[test]
fn when_tcp_is_refused_it_goes_by_udp_and_the_next_one_at_once() {
    let mut net = Net::new(2);
    net.judge = Box::new(|_, m| {
        let tcp = m.is_request() && m.header("Via").unwrap().contains("/TCP");
        if tcp { Fate::Refuse } else { Fate::Deliver }
    });
    let outgoing = large(&net);
    let (a, b) = net.call_with(outgoing);
    assert_eq!(protocols(&net, "INVITE"), [Protocol::Tcp, Protocol::Udp]);
    net.answer(b, Some(sdp("answer")));
    net.run_ms(100);
    assert_eq!(net.told(A), ["Answered"]);
    net.endpoints[A].bye(net.now, a, None).unwrap();
    let outgoing = large(&net);
    net.call_with(outgoing);
    assert_eq!(protocols(&net, "INVITE"), [Protocol::Tcp, Protocol::Udp, Protocol::Udp]);
}

#[test]
fn an_unreachable_target_fails_at_once_with_503() {
    let mut net = Net::new(3);
    net.judge = Box::new(|_, _| Fate::Refuse);
    let outgoing = net.outgoing();
    net.endpoints[A].invite(net.now, outgoing);
    net.pump();
    assert_eq!(net.told(A), ["Failed 503", "Terminated"]);
    net.assert_nothing_left();
}

/// The first copy of the INVITE has arrived when the second cannot be sent any more: the call failed, but B does not know.
fn failed_after_it_arrived(seed: u64) -> (Net, segue_sip::SessionId) {
    let mut net = Net::new(seed);
    let mut copies = 0;
    net.judge = Box::new(move |from, m| match brief(m).as_str() {
        "100 INVITE" => Fate::Lose,
        "INVITE" if from == A => {
            copies += 1;
            if copies == 1 { Fate::Deliver } else { Fate::Refuse }
        }
        _ => Fate::Deliver,
    });
    let (_, b) = net.call();
    net.run_ms(600);
    assert_eq!(net.told(A), ["Failed 503", "Terminated"]);
    (net, b)
}

#[test]
fn who_answers_an_invite_that_failed_on_our_side_gets_ack_and_bye_once() {
    let (mut net, b) = failed_after_it_arrived(11);
    // Its 200 is lost twice, and its third is there twice: the ACK goes each time, the BYE once.
    let mut answers = 0;
    net.judge = Box::new(move |_, m| match brief(m).as_str() {
        "200 INVITE" => {
            answers += 1;
            if answers < 3 { Fate::Lose } else { Fate::Double }
        }
        _ => Fate::Deliver,
    });
    net.answer(b, Some(sdp("answer")));
    net.run_ms(5_000);
    assert_eq!((net.sent_by(A, "ACK"), net.sent_by(A, "BYE")), (2, 1));
    assert_eq!(
        net.told(A),
        ["Failed 503", "Terminated"],
        "the call has gone on without it"
    );
    assert_eq!(net.told(B), ["Incoming", "Acked", "Bye", "Terminated"]);
    net.assert_nothing_left();
}

#[test]
fn who_answers_after_our_patience_is_over_gets_ack_and_bye() {
    let mut net = Net::new(12);
    net.judge = Box::new(|from, _| if from == B { Fate::Lose } else { Fate::Deliver });
    let (_, b) = net.call();
    net.run_ms(20_000);
    net.answer(b, Some(sdp("answer")));
    net.run_ms(13_000);
    assert_eq!(net.told(A), ["Failed 408", "Terminated"]);
    net.judge = Box::new(|_, _| Fate::Deliver);
    net.run_ms(5_000);
    assert_eq!((net.sent_by(A, "ACK"), net.sent_by(A, "BYE")), (1, 1));
    assert_eq!(net.told(B), ["Incoming", "Acked", "Bye", "Terminated"]);
    net.assert_nothing_left();
}

#[test]
fn who_rings_for_an_invite_that_failed_on_our_side_is_cancelled() {
    let (mut net, b) = failed_after_it_arrived(13);
    net.progress(b, 180, false, None);
    net.run_ms(2_000);
    assert_eq!(net.sent_by(A, "CANCEL"), 1);
    assert_eq!(net.told(B), ["Incoming", "Cancelled", "Terminated"]);
    assert_eq!(net.sent_by(A, "ACK"), 1);
    net.assert_nothing_left();
}

#[test]
fn a_name_without_address_fails_at_once_and_localhost_has_one() {
    let mut net = Net::new(4);
    for (target, told) in [
        ("sip:bob@example.com", 2),
        ("sips:bob@127.0.0.2", 4),
        ("sip:bob@localhost;transport=ws", 6),
    ] {
        let outgoing = Outgoing {
            target: target.parse().unwrap(),
            ..net.outgoing()
        };
        net.endpoints[A].invite(net.now, outgoing);
        net.pump();
        assert_eq!(net.told(A).len(), told, "{target}");
    }
    let outgoing = Outgoing {
        target: "sip:bob@localhost:5060;transport=tcp".parse().unwrap(),
        ..net.outgoing()
    };
    net.endpoints[A].invite(net.now, outgoing);
    assert_eq!(net.endpoints[A].poll_transmit().unwrap().peer.protocol, Protocol::Tcp);
}

#[test]
fn a_bye_that_cannot_be_sent_ends_the_session_all_the_same() {
    let mut net = Net::new(5);
    let (a, _) = net.talk();
    net.judge = Box::new(|from, _| if from == A { Fate::Refuse } else { Fate::Deliver });
    net.endpoints[A].bye(net.now, a, None).unwrap();
    net.pump();
    assert_eq!(net.told(A), ["Answered", "Terminated"]);
}

#[test]
fn a_plain_call_by_tcp_leaves_nothing() {
    let mut net = Net::of([
        endpoint_with(A, 1, &[Protocol::Tcp], 9),
        endpoint_with(B, 1, &[Protocol::Tcp], 9),
    ]);
    let (_, b) = net.talk();
    net.endpoints[B].bye(net.now, b, None).unwrap();
    net.run_ms(10);
    assert_eq!(net.told(A), ["Answered", "Bye", "Terminated"]);
    assert_eq!(net.told(B), ["Incoming", "Acked", "Terminated"]);
    net.assert_nothing_left();
}

#[test]
fn an_invite_that_was_cancelled_meanwhile_is_not_tried_by_udp() {
    let mut net = Net::new(6);
    let outgoing = large(&net);
    let now = net.now;
    let a = &mut net.endpoints[A];
    let id = a.invite(now, outgoing);
    let by_tcp = a.poll_transmit().unwrap();
    assert_eq!(by_tcp.peer.protocol, Protocol::Tcp);
    a.cancel(now, id, None).unwrap();
    a.handle_transport_error(now, by_tcp.id);
    assert!(a.poll_transmit().is_none(), "the callee would ring for nobody");
    net.pump();
    assert_eq!(net.told(A), ["Failed 503", "Terminated"]);
    net.assert_nothing_left();
}

/// A Segue whose TCP port is another than its UDP port, called by TCP.
fn called_by_tcp(contact: &str) -> (Script, segue_sip::SessionId) {
    let mut script = Script::of(endpoint_with(B, 1, &[Protocol::Udp, Protocol::Tcp], 10));
    script.peer.protocol = Protocol::Tcp;
    script.peer.flow = Some(segue_sip::FlowId(1));
    let invite = request("INVITE", 1, "i1", None, "")
        .replace("SIP/2.0/UDP", "SIP/2.0/TCP")
        .replace("<sip:alice@127.0.0.1:5060>", contact);
    script.say(&invite);
    let id = script.session();
    (script, id)
}

fn sent(script: &mut Script) -> Vec<segue_sip::Transmit> {
    while script.endpoint.poll_event().is_some() {}
    std::iter::from_fn(|| script.endpoint.poll_transmit()).collect()
}

/// A phone that sent its INVITE by TCP for its size alone, and has closed the connection since.
#[test]
fn a_bye_finds_a_caller_whose_connection_is_gone_and_whose_contact_names_no_transport() {
    for (contact, reached) in [
        ("<sip:alice@127.0.0.1:5062>", Some(Protocol::Udp)),
        ("<sip:alice@127.0.0.1:5062;transport=tcp>", None),
    ] {
        let (mut script, id) = called_by_tcp(contact);
        script.endpoint.answer(script.now, id, Some(sdp("answer"))).unwrap();
        let tag = to_tag(&script.hear()[0]);
        script.say(&request("ACK", 1, "k1", Some(&tag), ""));
        script.endpoint.bye(script.now, id, None).unwrap();
        let bye = sent(&mut script).remove(0);
        assert_eq!(bye.peer.protocol, Protocol::Tcp);
        script.endpoint.handle_transport_error(script.now, bye.id);
        let again = sent(&mut script);
        let ways: Vec<_> = again.iter().map(|t| (t.peer.protocol, t.peer.remote.port())).collect();
        assert_eq!(ways, reached.map(|udp| (udp, 5062)).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_callee_whose_uri_names_no_transport_is_called_by_udp_though_the_caller_came_by_tcp() {
    let mut config = segue_sip::EndpointConfig::default();
    let local = |protocol, port: u16| segue_sip::Local {
        protocol,
        bind: std::net::SocketAddr::new(addr(B).ip(), port),
        advertise: format!("{}:{port}", addr(B).ip()),
    };
    config.sockets = vec![local(Protocol::Udp, 5060), local(Protocol::Tcp, 5070)];
    let outgoing = Outgoing {
        local: config.sockets[1].bind,
        target: "sip:bob@127.0.0.1".parse().unwrap(),
        ..Net::new(1).outgoing()
    };
    let mut script = Script::of(segue_sip::Endpoint::new(config));
    script.endpoint.invite(script.now, outgoing);
    let invite = sent(&mut script).remove(0);
    assert_eq!((invite.peer.protocol, invite.peer.local), (Protocol::Udp, addr(B)));
}
