//! One INVITE of ours, several who answer (RFC 3261 §13.2.2.4, RFC 3262 §4).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;
use segue_sip::{Endpoint, Event, SessionId};
use segue_sip_wire::{Message, MessageBuilder, SessionUuid};

/// B's endpoint as a caller towards forks that the test plays.
fn calling() -> (Script, SessionId, Message) {
    let mut endpoint: Endpoint = endpoint(B, 1);
    let mut outgoing = Net::new(1).outgoing();
    outgoing.session_uuid = Some(SessionUuid::random(1));
    (outgoing.local, outgoing.target) = (addr(B), "sip:bob@127.0.0.1".parse().unwrap());
    let mut script = Script::default();
    let id = endpoint.invite(script.now, outgoing);
    script.endpoint = endpoint;
    let invite = script.hear().remove(0);
    (script, id, invite)
}

fn response(invite: &Message, status: u16, fork: &str, more: &[(&str, &str)], body: Option<&str>) -> String {
    let mut builder = MessageBuilder::response_to(invite, status, Some(fork))
        .header("Contact", format!("<sip:{fork}@127.0.0.1:5070>"));
    for (name, value) in more {
        builder = builder.header(name, value);
    }
    if let Some(body) = body {
        builder = builder.body("application/sdp", body.to_owned());
    }
    String::from_utf8(builder.build().to_bytes().to_vec()).unwrap()
}

fn uri(message: &Message) -> String {
    message.request_uri().unwrap().to_string()
}

#[test]
fn each_fork_gets_its_own_prack_in_its_own_dialog() {
    let (mut script, _, invite) = calling();
    let rel = |rseq| [("Require", "100rel"), ("RSeq", rseq)];
    let one = script.say(&response(&invite, 183, "one", &rel("100"), Some("v=1\r\n")));
    let two = script.say(&response(&invite, 183, "two", &rel("7"), Some("v=2\r\n")));
    assert_eq!(
        (uri(&one[0]), uri(&two[0])),
        ("sip:one@127.0.0.1:5070".into(), "sip:two@127.0.0.1:5070".into())
    );
    assert_eq!(to_tag(&one[0]), "one");
    let cseq = invite.cseq().unwrap().number;
    assert_eq!(one[0].header("RAck"), Some(format!("100 {cseq} INVITE").as_str()));
    assert_eq!(two[0].header("RAck"), Some(format!("7 {cseq} INVITE").as_str()));
    assert_eq!(one[0].cseq().unwrap().number, cseq + 1);
    // Repeated: absorbed. Ahead of its time: ignored until the one before has come.
    assert_eq!(
        script
            .say(&response(&invite, 183, "one", &rel("100"), Some("v=1\r\n")))
            .len(),
        0
    );
    assert_eq!(script.say(&response(&invite, 180, "one", &rel("102"), None)).len(), 0);
    assert_eq!(script.told(), ["Provisional 183", "Provisional 183"]);
    assert_eq!(script.say(&response(&invite, 180, "one", &rel("101"), None)).len(), 1);
    // The 200 of the second has no body: its own 183 was the answer.
    let ack = script.say(&response(&invite, 200, "two", &[], None));
    assert_eq!(
        (brief(&ack[0]), uri(&ack[0])),
        ("ACK".to_owned(), "sip:two@127.0.0.1:5070".to_owned())
    );
    let Some(Event::Answered { sdp: Some(sdp), .. }) = script.events.last() else {
        panic!("{:?}", script.told())
    };
    assert_eq!(**sdp, *b"v=2\r\n");
}

#[test]
fn the_losing_200_gets_ack_and_bye_once_and_its_repetition_only_ack() {
    let (mut script, _, invite) = calling();
    script.say(&response(&invite, 180, "one", &[], None));
    assert_eq!(
        statuses(&script.say(&response(&invite, 200, "one", &[], Some("v=1\r\n")))),
        ["ACK"]
    );
    let late = response(&invite, 200, "two", &[], Some("v=2\r\n"));
    let said = script.say(&late);
    assert_eq!(statuses(&said), ["ACK", "BYE"]);
    assert!(said.iter().all(|m| uri(m) == "sip:two@127.0.0.1:5070"));
    // For whom we called stands in all of them (RFC 7989 §6).
    assert!(said.iter().all(|m| m.session_sender() == invite.session_sender()));
    assert_eq!(statuses(&script.say(&late)), ["ACK"]);
    assert_eq!(script.told(), ["Provisional 180", "Answered"]);
}

#[test]
fn a_200_after_the_session_has_ended_gets_ack_and_bye_too() {
    let (mut script, id, invite) = calling();
    script.say(&response(&invite, 180, "one", &[], None));
    script.endpoint.cancel(script.now, id, None).unwrap();
    script.hear();
    let said = script.say(&response(&invite, 487, "one", &[], None));
    assert_eq!(statuses(&said), ["ACK"]);
    assert_eq!(script.told(), ["Provisional 180", "Failed 487", "Terminated"]);
    let late = response(&invite, 200, "two", &[], Some("v=2\r\n"));
    assert_eq!(statuses(&script.say(&late)), ["ACK", "BYE"]);
    assert_eq!(statuses(&script.say(&late)), ["ACK"]);
    assert_eq!(script.told().len(), 3);
}

#[test]
fn both_forks_answer_across_our_cancel() {
    let (mut script, id, invite) = calling();
    script.say(&response(&invite, 180, "one", &[], None));
    script.endpoint.cancel(script.now, id, None).unwrap();
    assert_eq!(statuses(&script.hear()), ["CANCEL"]);
    let one = script.say(&response(&invite, 200, "one", &[], Some("v=1\r\n")));
    let two = script.say(&response(&invite, 200, "two", &[], Some("v=2\r\n")));
    assert_eq!(
        (statuses(&one), statuses(&two)),
        (
            vec!["ACK".to_owned(), "BYE".to_owned()],
            vec!["ACK".to_owned(), "BYE".to_owned()]
        )
    );
    script.wait(PATIENCE * 2);
    assert_eq!(script.told(), ["Provisional 180", "CrossedCancel", "Terminated"]);
    assert_eq!(
        (script.endpoint.session_count(), script.endpoint.transaction_count()),
        (0, 0)
    );
}

#[test]
fn requests_follow_the_route_set_loose_and_strict() {
    let (mut script, _, invite) = calling();
    let routes = [
        ("Record-Route", "<sip:127.0.0.1:5081;lr>"),
        ("Record-Route", "<sip:127.0.0.1:5082;lr>"),
    ];
    let ack = script
        .say(&response(&invite, 200, "one", &routes, Some("v=1\r\n")))
        .remove(0);
    assert_eq!(uri(&ack), "sip:one@127.0.0.1:5070");
    assert_eq!(
        ack.list("Route"),
        ["<sip:127.0.0.1:5082;lr>", "<sip:127.0.0.1:5081;lr>"]
    );

    let (mut script, _, invite) = calling();
    let routes = [
        ("Record-Route", "<sip:127.0.0.1:5081;lr>"),
        ("Record-Route", "<sip:127.0.0.1:5082>"),
    ];
    let ack = script
        .say(&response(&invite, 200, "one", &routes, Some("v=1\r\n")))
        .remove(0);
    assert_eq!(uri(&ack), "sip:127.0.0.1:5082");
    assert_eq!(
        ack.list("Route"),
        ["<sip:127.0.0.1:5081;lr>", "<sip:one@127.0.0.1:5070>"]
    );
}

#[test]
fn a_losing_fork_is_ended_with_the_cseq_after_its_prack() {
    let (mut script, _, invite) = calling();
    let rel = [("Require", "100rel"), ("RSeq", "7")];
    let prack = script.say(&response(&invite, 183, "two", &rel, Some("v=2\r\n")));
    assert_eq!(statuses(&prack), ["PRACK"]);
    script.say(&response(&invite, 200, "one", &[], Some("v=1\r\n")));
    let late = script.say(&response(&invite, 200, "two", &[], None));
    assert_eq!(statuses(&late), ["ACK", "BYE"]);
    // In one dialog each request has the number after the one before (RFC 3261 §12.2.1.1).
    assert_eq!(
        late[1].cseq().unwrap().number,
        prack[0].cseq().unwrap().number + 1,
        "an equal number would be refused as out of order"
    );
}

#[test]
fn an_update_of_a_fork_gets_its_response_even_when_the_invite_fails_first() {
    let (mut script, _, invite) = calling();
    let rel = [("Require", "100rel"), ("RSeq", "1")];
    script.say(&response(&invite, 183, "one", &rel, Some("v=1\r\n")));
    let update = format!(
        "UPDATE sip:segue@127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKu1\r\nMax-Forwards: 70\r\n\
         From: <sip:bob@127.0.0.1>;tag=one\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 UPDATE\r\n\
         Contact: <sip:one@127.0.0.1:5070>\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=2\r\n",
        invite.header("From").unwrap(),
        invite.call_id().unwrap()
    );
    assert_eq!(script.say(&update).len(), 0, "the user has not answered it yet");
    assert_eq!(script.told().last().unwrap(), "Offer");
    let said = statuses(&script.say(&response(&invite, 486, "one", &[], None)));
    assert!(said.contains(&"487 UPDATE".to_owned()), "{said:?}");
    script.wait(PATIENCE + std::time::Duration::from_secs(1));
    assert_eq!(script.endpoint.transaction_count(), 0);
}
