//! Extensions that one side has and the other has not: 420 and 421, Require and Unsupported (RFC 3261 §8.1.3.5, §8.2.2.3,
//! §21.4.16, RFC 3262 §3).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;
use segue_sip::{Event, SessionId};
use segue_sip_wire::{Message, MessageBuilder};

/// B's endpoint as a caller with these option tags, towards a callee that the test plays.
fn calling(supported: &[&'static str], required: &[&'static str]) -> (Script, SessionId, Message) {
    let mut outgoing = Net::new(1).outgoing();
    (outgoing.local, outgoing.target) = (addr(B), "sip:bob@127.0.0.1".parse().unwrap());
    (outgoing.supported, outgoing.required) = (supported.to_vec(), required.to_vec());
    let mut script = Script::default();
    let id = script.endpoint.invite(script.now, outgoing);
    let invite = script.hear().remove(0);
    (script, id, invite)
}

fn response(invite: &Message, status: u16, more: &[(&str, &str)]) -> String {
    let mut builder =
        MessageBuilder::response_to(invite, status, Some("b1")).header("Contact", "<sip:b@127.0.0.1:5070>");
    for (name, value) in more {
        builder = builder.header(name, value);
    }
    String::from_utf8(builder.build().to_bytes().to_vec()).unwrap()
}

/// The INVITE that follows the ACK of a refusal.
fn again(said: Vec<Message>) -> Message {
    assert_eq!(statuses(&said), ["ACK", "INVITE"]);
    said.into_iter().nth(1).unwrap()
}

#[test]
fn a_420_is_tried_again_without_what_the_callee_does_not_support() {
    let (mut script, _, invite) = calling(&["timer"], &["100rel"]);
    assert_eq!(invite.header("Require"), Some("100rel"));
    let second = again(script.say(&response(&invite, 420, &[("Unsupported", "100REL")])));
    assert_eq!(
        (second.header("Require"), second.header("Supported")),
        (None, Some("timer"))
    );
    // "… the same value of the Call-ID, To, and From", the CSeq one higher (§8.1.3.5).
    for name in ["Call-ID", "From", "To", "Contact"] {
        assert_eq!(second.header(name), invite.header(name), "{name}");
    }
    assert_eq!(second.cseq().unwrap().number, invite.cseq().unwrap().number + 1);
    assert_ne!(second.top_via().unwrap().branch(), invite.top_via().unwrap().branch());
    assert_eq!(second.body(), invite.body());
    assert_eq!(script.told().len(), 0, "nothing of this is the user's concern");
    // The 420 comes again: its ACK, nothing else.
    assert_eq!(
        statuses(&script.say(&response(&invite, 420, &[("Unsupported", "100rel")]))),
        ["ACK"]
    );
    // The same extension cannot be left out twice.
    assert_eq!(
        statuses(&script.say(&response(&second, 420, &[("Unsupported", "100rel")]))),
        ["ACK"]
    );
    assert_eq!(script.told(), ["Failed 420", "Terminated"]);
}

#[test]
fn a_420_that_names_nothing_of_ours_is_final() {
    for unsupported in ["gruu", ""] {
        let (mut script, _, invite) = calling(&["100rel"], &[]);
        let said = script.say(&response(&invite, 420, &[("Unsupported", unsupported)]));
        assert_eq!(statuses(&said), ["ACK"]);
        assert_eq!(script.told(), ["Failed 420", "Terminated"]);
    }
}

#[test]
fn a_421_is_tried_again_with_the_extension_that_the_callee_requires() {
    let (mut script, _, invite) = calling(&[], &[]);
    assert_eq!(
        (invite.header("Supported"), invite.header("Require")),
        (Some("timer"), None)
    );
    let second = again(script.say(&response(&invite, 421, &[("Require", "100rel")])));
    assert_eq!(second.header("Require"), Some("100rel"));
    let rel = [("Require", "100rel"), ("RSeq", "9")];
    assert_eq!(statuses(&script.say(&response(&second, 180, &rel))), ["PRACK"]);
    // One that asks for the same again, and one for what we have not, is final.
    assert_eq!(
        statuses(&script.say(&response(&second, 421, &[("Require", "100rel")]))),
        ["ACK"]
    );
    assert_eq!(script.told(), ["Provisional 180", "Failed 421", "Terminated"]);
    let (mut script, _, invite) = calling(&["100rel"], &[]);
    script.say(&response(&invite, 421, &[("Require", "gruu")]));
    assert_eq!(script.told(), ["Failed 421", "Terminated"]);
}

#[test]
fn a_cancelled_invite_is_not_made_again() {
    let (mut script, id, invite) = calling(&[], &["100rel"]);
    script.say(&response(&invite, 100, &[]));
    script.endpoint.cancel(script.now, id, None).unwrap();
    assert_eq!(statuses(&script.hear()), ["CANCEL"]);
    assert_eq!(
        statuses(&script.say(&response(&invite, 420, &[("Unsupported", "100rel")]))),
        ["ACK"]
    );
    assert_eq!(script.told(), ["Failed 420", "Terminated"]);
}

#[test]
fn a_callee_that_answers_the_second_invite_is_talked_to_and_all_ends() {
    let (mut script, id, invite) = calling(&[], &["100rel"]);
    // It rang by the first one; that dialog is over with the 420.
    script.say(&response(&invite, 180, &[]));
    let second = again(script.say(&response(&invite, 420, &[("Unsupported", "100rel")])));
    let ack = script.say(&response(&second, 200, &[]));
    assert_eq!(statuses(&ack), ["ACK"]);
    assert_eq!(ack[0].cseq().unwrap().number, second.cseq().unwrap().number);
    script.endpoint.bye(script.now, id, None).unwrap();
    let bye = script.hear().remove(0);
    script.say(&response(&bye, 200, &[]));
    script.wait(PATIENCE * 2);
    assert_eq!(script.told(), ["Provisional 180", "Answered", "Terminated"]);
    assert_eq!(script.endpoint.transaction_count(), 0);
}

#[test]
fn a_required_extension_that_we_have_not_gets_420_with_unsupported() {
    let mut script = Script::default();
    let said = script.say(&request(
        "INVITE",
        1,
        "i1",
        None,
        "Require: 100rel, gruu\r\nRequire: outbound\r\n",
    ));
    assert_eq!(
        (statuses(&said), said[0].header("Unsupported")),
        (vec!["420 INVITE".to_owned()], Some("gruu, outbound"))
    );
    // So within a dialog; but neither ACK nor CANCEL is held up by it (§8.2.2.3).
    script.say(&request("INVITE", 2, "i2", None, "Supported: 100rel\r\n"));
    let id = script.session();
    script.endpoint.answer(script.now, id, Some(sdp("a"))).unwrap();
    let tag = to_tag(&script.hear()[0]);
    script.say(&request("ACK", 2, "k2", Some(&tag), "Require: gruu\r\n"));
    assert!(matches!(script.events.last(), Some(Event::Acked { .. })));
    let said = script.say(&request("INFO", 3, "n3", Some(&tag), "Require: gruu\r\n"));
    assert_eq!(
        (statuses(&said), said[0].header("Unsupported")),
        (vec!["420 INFO".to_owned()], Some("gruu"))
    );
}
