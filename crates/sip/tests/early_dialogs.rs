//! The early dialogs of an INVITE of ours, fork by fork: UPDATE both ways (RFC 3311), their end by 199 (RFC 6228).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;
use segue_sip::{Event, SessionId};
use segue_sip_wire::{Message, MessageBuilder};

const REL: &str = "Require: 100rel";

/// B's endpoint as a caller towards forks that the test plays.
fn calling() -> (Script, SessionId, Message) {
    let mut outgoing = Net::new(1).outgoing();
    (outgoing.local, outgoing.target) = (addr(B), "sip:bob@127.0.0.1".parse().unwrap());
    let mut script = Script::default();
    let id = script.endpoint.invite(script.now, outgoing);
    let invite = script.hear().remove(0);
    (script, id, invite)
}

/// A response of one fork; `more` are headers as they stand there.
fn response(invite: &Message, status: u16, fork: &str, more: &[&str], body: Option<&str>) -> String {
    let mut builder = MessageBuilder::response_to(invite, status, Some(fork))
        .header("Contact", format!("<sip:{fork}@127.0.0.1:5070>"))
        .header("Allow", "INVITE, UPDATE");
    for line in more {
        let (name, value) = line.split_once(": ").unwrap();
        builder = builder.header(name, value);
    }
    if let Some(body) = body {
        builder = builder.body("application/sdp", body.to_owned());
    }
    String::from_utf8(builder.build().to_bytes().to_vec()).unwrap()
}

/// UPDATE of one fork, with an offer.
fn update(invite: &Message, fork: &str, cseq: u32) -> String {
    format!(
        "UPDATE sip:segue@127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK{fork}{cseq}\r\nMax-Forwards: 70\r\n\
         From: <sip:bob@127.0.0.1>;tag={fork}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} UPDATE\r\n\
         Contact: <sip:{fork}@127.0.0.1:5070>\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=2\r\n",
        invite.header("From").unwrap(),
        invite.call_id().unwrap()
    )
}

fn last_fork(script: &Script) -> Option<String> {
    match script.events.last() {
        Some(Event::Offer { fork, .. }) => fork.as_ref().map(|tag| tag.to_string()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_fork_has_an_offer_and_an_answer_of_its_own() {
    let (mut script, id, invite) = calling();
    script.say(&response(&invite, 183, "one", &[REL, "RSeq: 1"], Some("v=1\r\n")));
    script.say(&response(&invite, 183, "two", &[], Some("v=1\r\n")));
    // "The UAS has generated an offer (in [the] INVITE) to which it has not yet received an answer": 491, in that dialog alone.
    assert_eq!(statuses(&script.say(&update(&invite, "two", 1))), ["491 UPDATE"]);
    assert_eq!(script.say(&update(&invite, "one", 1)).len(), 0);
    assert_eq!(last_fork(&script).as_deref(), Some("one"));
    script.endpoint.accept_offer(script.now, id, sdp("yes")).unwrap();
    let said = script.hear();
    assert_eq!(
        (statuses(&said), said[0].body()),
        (vec!["200 UPDATE".to_owned()], &*sdp("yes"))
    );
    assert!(
        said[0].contact().unwrap().is_some(),
        "it refreshes the target (RFC 3311 §5.1)"
    );
    // A refused one changes nothing; the next may come.
    script.say(&update(&invite, "one", 2));
    script.endpoint.refuse_offer(script.now, id, 488, &[]).unwrap();
    assert_eq!(statuses(&script.hear()), ["488 UPDATE"]);
    script.say(&response(&invite, 183, "two", &[REL, "RSeq: 9"], Some("v=1\r\n")));
    assert_eq!(script.say(&update(&invite, "two", 2)).len(), 0);
    assert_eq!(last_fork(&script).as_deref(), Some("two"));
}

#[test]
fn an_update_before_the_one_before_is_answered_gets_500_with_retry_after() {
    let (mut script, _, invite) = calling();
    script.say(&response(&invite, 183, "one", &[REL, "RSeq: 1"], Some("v=1\r\n")));
    script.say(&update(&invite, "one", 1));
    let said = script.say(&update(&invite, "one", 2));
    assert_eq!(statuses(&said), ["500 UPDATE"]);
    assert!(said[0].header("Retry-After").is_some());
}

#[test]
fn a_199_ends_its_early_dialog_alone() {
    let (mut script, id, invite) = calling();
    script.say(&response(&invite, 183, "one", &[REL, "RSeq: 1"], Some("v=1\r\n")));
    script.say(&response(&invite, 183, "two", &[REL, "RSeq: 7"], Some("v=1\r\n")));
    script.say(&update(&invite, "one", 1));
    // What waits there for an answer waits in vain.
    let over = response(&invite, 199, "one", &["Reason: SIP;cause=486"], None);
    assert_eq!(statuses(&script.say(&over)), ["481 UPDATE"]);
    let told = script.told();
    assert_eq!(told[told.len() - 2..], ["Provisional 199", "OfferWithdrawn"]);
    assert_eq!(script.say(&over).len(), 0);
    assert_eq!(script.told().len(), told.len(), "it came again");
    assert_eq!(statuses(&script.say(&update(&invite, "one", 2))), ["481 UPDATE"]);
    // The other one lives: an offer of ours goes there, and it may answer.
    script.endpoint.offer(script.now, id, sdp("ours")).unwrap();
    let ours = script.hear();
    assert_eq!(
        (statuses(&ours), to_tag(&ours[0])),
        (vec!["UPDATE".to_owned()], "two".to_owned())
    );
    assert_eq!(
        statuses(&script.say(&response(&invite, 200, "two", &[], None))),
        ["ACK"]
    );
    assert!(
        matches!(script.events.last(), Some(Event::Answered { sdp: Some(_), .. })),
        "{:?}",
        script.told()
    );
}

#[test]
fn a_reliable_199_gets_its_prack_and_one_of_no_known_dialog_nothing_else() {
    let (mut script, _, invite) = calling();
    script.say(&response(&invite, 180, "one", &[REL, "RSeq: 1"], None));
    assert_eq!(
        statuses(&script.say(&response(&invite, 199, "one", &[REL, "RSeq: 2"], None))),
        ["PRACK"]
    );
    assert_eq!(script.told(), ["Provisional 180", "Provisional 199"]);
    // "… it SHALL discard the 199", but "MUST acknowledge" a reliable one (RFC 6228 §4).
    assert_eq!(script.say(&response(&invite, 199, "new", &[], None)).len(), 0);
    assert_eq!(
        statuses(&script.say(&response(&invite, 199, "two", &[REL, "RSeq: 5"], None))),
        ["PRACK"]
    );
    assert_eq!(script.told().len(), 2);
}

#[test]
fn a_199_for_all_waits_for_the_final_response_and_a_late_200_still_counts() {
    let (mut script, _, invite) = calling();
    script.say(&response(&invite, 180, "one", &[REL, "RSeq: 1"], None));
    script.say(&response(&invite, 199, "one", &[], None));
    assert!(
        script
            .wait(std::time::Duration::from_secs(60))
            .iter()
            .all(|m| brief(m) == "PRACK")
    );
    let said = script.say(&response(&invite, 200, "one", &[], Some("v=1\r\n")));
    assert_eq!(statuses(&said), ["ACK"]);
    assert_eq!(script.told(), ["Provisional 180", "Provisional 199", "Answered"]);
}

#[test]
fn our_update_that_nobody_answers_any_more_is_told_as_refused() {
    let (mut script, id, invite) = calling();
    script.say(&response(&invite, 183, "one", &[REL, "RSeq: 1"], Some("v=1\r\n")));
    script.endpoint.offer(script.now, id, sdp("ours")).unwrap();
    assert_eq!(statuses(&script.hear()), ["UPDATE"]);
    script.say(&response(&invite, 199, "one", &[], None));
    assert!(matches!(
        script.events.last(),
        Some(Event::OfferRefused { status: 481, .. })
    ));
}
