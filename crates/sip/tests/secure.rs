//! TLS as transactions and dialogs see it: who must be at the other end, and what Via and Contact say (RFC 5922, RFC 5923, RFC
//! 5630).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;
use segue_sip::{Candidate, FlowId, Outgoing, Protocol, Transmit};
use segue_sip_wire::Message;

const ALL: [Protocol; 3] = [Protocol::Udp, Protocol::Tcp, Protocol::Tls];

/// Ours, which calls `target` at the callee's address.
fn calling(target: &str) -> (Script, segue_sip::SessionId) {
    let mut script = Script::of(endpoint_with(A, 1, &ALL, 10));
    let outgoing = Outgoing {
        target: target.parse().unwrap(),
        candidates: vec![Candidate {
            protocol: Protocol::Tls,
            remote: "127.0.0.2:5061".parse().unwrap(),
        }],
        ..Net::new(1).outgoing()
    };
    let id = script.endpoint.invite(script.now, outgoing);
    script.peer.protocol = Protocol::Tls;
    script.peer.flow = Some(FlowId(3));
    script.peer.remote = "127.0.0.2:5061".parse().unwrap();
    (script, id)
}

fn sent(script: &mut Script) -> Vec<(Transmit, Message)> {
    while script.endpoint.poll_event().is_some() {}
    std::iter::from_fn(|| script.endpoint.poll_transmit())
        .map(|transmit| {
            let message = Message::parse_datagram(&transmit.bytes).unwrap();
            (transmit, message)
        })
        .collect()
}

fn respond(script: &mut Script, invite: &Message, status: &str, contact: &str) {
    let line = |name: &str| format!("{name}: {}\r\n", invite.header(name).unwrap());
    let text = format!(
        "SIP/2.0 {status} X\r\n{}{}To: {};tag=b\r\n{}{}Contact: {contact}\r\nContent-Length: 0\r\n\r\n",
        line("Via"),
        line("From"),
        invite.header("To").unwrap(),
        line("Call-ID"),
        line("CSeq"),
    );
    let response = Message::parse_datagram(text.as_bytes()).unwrap();
    script.endpoint.handle_message(script.now, script.peer, response);
}

#[test]
fn a_call_by_tls_names_who_must_be_there_in_all_its_requests() {
    let (mut script, id) = calling("sip:bob@PBX.example.com;transport=tls");
    let (transmit, invite) = sent(&mut script).remove(0);
    assert_eq!(transmit.peer.protocol, Protocol::Tls);
    assert_eq!(transmit.domain.as_deref(), Some("pbx.example.com"));
    let via = invite.header("Via").unwrap();
    assert!(
        via.starts_with("SIP/2.0/TLS 127.0.0.1:5060;") && via.ends_with(";alias"),
        "{via}"
    );
    assert_eq!(
        invite.header("Contact"),
        Some("<sip:segue@127.0.0.1:5060;transport=tls>")
    );

    // Its Contact is an address, which has no name of its own: who was called must be there.
    respond(&mut script, &invite, "200", "<sip:bob@127.0.0.9:5099;transport=tls>");
    let (ack, _) = sent(&mut script).remove(0);
    script.endpoint.bye(script.now, id, None).unwrap();
    let (bye, _) = sent(&mut script).remove(0);
    for transmit in [ack, bye] {
        assert_eq!(transmit.peer.remote, "127.0.0.9:5099".parse().unwrap());
        assert_eq!(transmit.domain.as_deref(), Some("pbx.example.com"));
    }
}

#[test]
fn a_cancel_and_the_ack_of_a_refusal_go_the_way_of_their_invite() {
    let (mut script, id) = calling("sip:bob@pbx.example.com;transport=tls");
    let (_, invite) = sent(&mut script).remove(0);
    respond(&mut script, &invite, "180", "<sip:bob@127.0.0.2>");
    script.endpoint.cancel(script.now, id, None).unwrap();
    respond(&mut script, &invite, "487", "<sip:bob@127.0.0.2>");
    let ways: Vec<_> = sent(&mut script)
        .into_iter()
        .map(|(transmit, message)| {
            (
                brief(&message),
                transmit.domain.unwrap().to_string(),
                transmit.peer.flow,
            )
        })
        .collect();
    let way = |method: &str| (method.to_owned(), "pbx.example.com".to_owned(), Some(FlowId(3)));
    assert_eq!(
        ways,
        [way("CANCEL"), way("ACK")],
        "by the connection that the response came by"
    );
}

#[test]
fn a_sips_target_goes_by_tls_alone_and_our_contact_is_sips_too() {
    let (mut script, _) = calling("sips:bob@example.com");
    let (transmit, invite) = sent(&mut script).remove(0);
    assert_eq!(transmit.peer.protocol, Protocol::Tls);
    assert_eq!(invite.header("Contact"), Some("<sips:segue@127.0.0.1:5060>"));
    script.endpoint.handle_transport_error(script.now, transmit.id);
    assert!(sent(&mut script).is_empty(), "it was tried another way");
    let (mut script, _) = calling("sips:bob@example.com;transport=udp");
    assert!(sent(&mut script).is_empty(), "there is no TLS over UDP");
}

#[test]
fn a_large_request_by_tls_stays_there() {
    let mut script = Script::of(endpoint_with(A, 1, &ALL, 10));
    let outgoing = Outgoing {
        target: "sip:bob@127.0.0.2;transport=tls".parse().unwrap(),
        sdp: sdp(&"x".repeat(1400)),
        ..Net::new(1).outgoing()
    };
    script.endpoint.invite(script.now, outgoing);
    let (transmit, _) = sent(&mut script).remove(0);
    assert_eq!(transmit.peer.protocol, Protocol::Tls);
    assert_eq!(transmit.peer.remote.port(), 5061, "the default port (§19.1.2)");
    assert_eq!(transmit.domain, None, "an address proves itself");
    assert!(script.wait(PATIENCE / 2).is_empty(), "nothing is sent again");
}

#[test]
fn a_new_call_to_a_sips_uri_gets_416_and_requests_to_our_sips_contact_are_taken() {
    let mut script = Script::of(endpoint_with(B, 1, &ALL, 10));
    let invite = request("INVITE", 1, "i1", None, "").replace("INVITE sip:", "INVITE sips:");
    let refused = script.say(&invite);
    assert_eq!(statuses(&refused), ["416 INVITE"]);
    assert!(refused[0].header("Warning").unwrap().contains("transport=tls"));
    script.say(&request("INVITE", 1, "i2", None, "").replace("call1", "call2"));
    let id = script.session();
    script.endpoint.answer(script.now, id, Some(sdp("answer"))).unwrap();
    let tag = to_tag(&script.hear()[0]);
    let again = request("OPTIONS", 2, "o1", Some(&tag), "").replace("call1", "call2");
    let answered = script.say(&again.replace("OPTIONS sip:", "OPTIONS sips:"));
    assert_eq!(statuses(&answered), ["200 OPTIONS"]);
}

#[test]
fn an_answer_goes_by_the_connection_of_its_request_and_else_to_who_its_via_names() {
    let mut script = Script::of(endpoint_with(B, 1, &ALL, 10));
    script.peer.protocol = Protocol::Tls;
    script.peer.flow = Some(FlowId(4));
    let options = request("OPTIONS", 1, "o1", None, "").replace("SIP/2.0/UDP 127.0.0.1:5060", "SIP/2.0/TLS a.example");
    script.endpoint.handle_message(
        script.now,
        script.peer,
        Message::parse_datagram(options.as_bytes()).unwrap(),
    );
    let (transmit, _) = sent(&mut script).remove(0);
    assert_eq!(transmit.peer.flow, Some(FlowId(4)));
    assert_eq!(transmit.peer.remote, "127.0.0.1:5061".parse().unwrap());
    assert_eq!(transmit.domain.as_deref(), Some("a.example"));
}
