//! Forged, mutilated and unsolicited messages: no panic, no state, no session harmed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;
use rand::{Rng, SeedableRng, rngs::StdRng};
use segue_sip_wire::Message;

#[test]
fn what_belongs_is_known_and_nothing_else() {
    let mut script = Script::default();
    let parse = |text: &str| Message::parse_datagram(text.as_bytes()).unwrap();
    let invite = parse(&request("INVITE", 1, "i1", None, ""));
    assert!(!script.endpoint.belongs(&invite), "a new INVITE is for admission");
    let said = script.say(&request("INVITE", 1, "i1", None, ""));
    assert!(script.endpoint.belongs(&invite), "its repetition is not");
    assert!(script.endpoint.belongs(&parse(&request("CANCEL", 1, "i1", None, ""))));
    assert!(!script.endpoint.belongs(&parse(&request("CANCEL", 1, "i2", None, ""))));
    script.endpoint.answer(script.now, script.session(), None).unwrap();
    let tag = to_tag(&script.hear()[0]);
    assert!(
        script
            .endpoint
            .belongs(&parse(&request("ACK", 1, "k1", Some(&tag), "")))
    );
    assert!(
        script
            .endpoint
            .belongs(&parse(&request("BYE", 2, "b1", Some(&tag), "")))
    );
    assert!(!script.endpoint.belongs(&parse(
        &request("BYE", 2, "b1", Some(&tag), "").replace("call1", "call2")
    )));
    assert!(!script.endpoint.belongs(&parse(&request("BYE", 2, "b1", Some("x"), ""))));
    assert!(!script.endpoint.belongs(&said[0]), "a response to what we never asked");
}

#[test]
fn a_third_party_cannot_end_a_call() {
    let mut script = Script::default();
    script.say(&request("INVITE", 1, "i1", None, ""));
    let id = script.session();
    script.endpoint.answer(script.now, id, Some(sdp("a"))).unwrap();
    let tag = to_tag(&script.hear()[0]);
    script.say(&request("ACK", 1, "k1", Some(&tag), ""));
    let bye = request("BYE", 2, "b1", Some(&tag), "");
    assert_eq!(statuses(&script.say(&bye.replace("tag=a1", "tag=a2"))), ["481 BYE"]);
    assert_eq!(statuses(&script.say(&bye.replace("call1", "call2"))), ["481 BYE"]);
    assert_eq!(script.endpoint.session_count(), 1);
}

#[test]
fn what_is_no_message_gets_400_where_an_answer_is_possible() {
    let mut script = Script::default();
    let broken = request("INVITE", 1, "i1", None, "").replace("CSeq: 1 INVITE", "CSeq: x INVITE");
    let error = Message::parse_datagram(broken.as_bytes()).unwrap_err();
    script.endpoint.handle_unparsable(script.now, script.peer, &error);
    let answer = script.endpoint.poll_transmit().unwrap();
    assert!(answer.bytes.starts_with(b"SIP/2.0 400 "));
    assert_eq!(answer.peer.remote, script.peer.remote);
    let error = Message::parse_datagram(b"hello\r\n\r\n").unwrap_err();
    script.endpoint.handle_unparsable(script.now, script.peer, &error);
    assert_eq!(script.hear().len(), 0);
}

#[test]
fn a_flood_within_a_dialog_is_told_to_wait_and_costs_bounded_memory() {
    let mut script = Script::default();
    script.say(&request("INVITE", 1, "i1", None, ""));
    let id = script.session();
    script.endpoint.answer(script.now, id, Some(sdp("a"))).unwrap();
    let tag = to_tag(&script.hear()[0]);
    script.say(&request("ACK", 1, "k1", Some(&tag), ""));
    let answers: Vec<String> = (2..500)
        .flat_map(|n| statuses(&script.say(&request("UPDATE", n, &format!("u{n}"), Some(&tag), ""))))
        .collect();
    assert_eq!(
        (answers[0].as_str(), answers[497].as_str()),
        ("200 UPDATE", "500 UPDATE")
    );
    assert!(script.endpoint.transaction_count() <= 64);
    assert_eq!(statuses(&script.wait(PATIENCE)).len(), 0);
    assert_eq!(
        statuses(&script.say(&request("BYE", 600, "b1", Some(&tag), ""))),
        ["200 BYE"]
    );
}

/// One random change: a byte, a line doubled, dropped or swapped with one of another message, a cut.
fn mutate(rng: &mut StdRng, message: &[u8], other: &[u8]) -> Vec<u8> {
    let mut pick = |below: usize| usize::try_from(rng.next_u64()).unwrap() % below.max(1);
    let lines = |bytes: &[u8]| {
        bytes
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect::<Vec<_>>()
    };
    let (mut mine, theirs) = (lines(message), lines(other));
    let at = pick(mine.len());
    match pick(6) {
        0 => {
            let mut bytes = message.to_vec();
            let at = pick(bytes.len());
            bytes[at] = u8::try_from(pick(256)).unwrap();
            return bytes;
        }
        1 => return message[..pick(message.len())].to_vec(),
        2 => mine.insert(at, theirs[pick(theirs.len())].clone()),
        3 => drop(mine.remove(at)),
        4 => mine.swap(at, pick(theirs.len()).min(at)),
        _ => mine[at] = theirs[pick(theirs.len())].clone(),
    }
    mine.join(&b'\n')
}

#[test]
fn mutated_messages_in_every_state_do_no_harm() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut pool: Vec<Vec<u8>> = Vec::new();
    for seed in 0..60 {
        let mut net = Net::rough(seed, 10, 10, 200);
        let outgoing = net.outgoing();
        let a = net.endpoints[A].invite(net.now, outgoing);
        for round in 0..40 {
            net.run_ms(50);
            let sessions: Vec<_> = net.events[B]
                .iter()
                .filter_map(|e| {
                    if let segue_sip::Event::Incoming { session, .. } = e {
                        Some(*session)
                    } else {
                        None
                    }
                })
                .collect();
            for b in sessions {
                let progress = segue_sip::Progress {
                    status: 183,
                    reliable: true,
                    sdp: Some(sdp("answer")),
                    headers: Vec::new(),
                    along: Default::default(),
                };
                match round {
                    5 => drop(net.endpoints[B].progress(net.now, b, progress)),
                    15 => drop(net.endpoints[B].answer(net.now, b, Some(sdp("answer")))),
                    _ => {}
                }
                let _ = net.endpoints[B].accept_offer(net.now, b, sdp("again"));
            }
            match round {
                25 => drop(net.endpoints[A].ask_key_frame(net.now, a)),
                35 => drop(net.endpoints[A].bye(net.now, a, None)),
                _ => {}
            }
            net.pump();
            pool.extend(net.sent.drain(..).map(|(_, _, m, _)| m.to_bytes().to_vec()));
            for _ in 0..10 {
                let index = |rng: &mut StdRng| usize::try_from(rng.next_u64()).unwrap() % pool.len();
                let (one, two) = (index(&mut rng), index(&mut rng));
                let bytes = mutate(&mut rng, &pool[one], &pool[two]);
                let to = usize::try_from(rng.next_u32() % 2).unwrap();
                let peer = segue_sip::Peer {
                    protocol: segue_sip::Protocol::Udp,
                    local: addr(to),
                    remote: "127.0.0.9:5060".parse().unwrap(),
                    flow: None,
                };
                match Message::parse_datagram(&bytes) {
                    Ok(message) => net.endpoints[to].handle_message(net.now, peer, message),
                    Err(error) => net.endpoints[to].handle_unparsable(net.now, peer, &error),
                }
                net.pump();
            }
        }
        for agent in [A, B] {
            for event in net.events[agent].clone() {
                if let segue_sip::Event::Incoming { session, .. } = event {
                    let _ = net.endpoints[agent].bye(net.now, session, None);
                }
            }
        }
        let _ = net.endpoints[A].bye(net.now, a, None);
        net.assert_nothing_left();
    }
}
