//! Trunks through a whole node, in virtual time: servers that die, come back or ask for a pause, and the calls that meet them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "trunks/lines.rs"]
mod lines;
#[path = "trunks/node.rs"]
mod node;
#[path = "trunks/outside.rs"]
mod outside;
mod shard;

use node::{Node, PINGED, header, trunk};
use segue_policy::{Trunk, UnknownCallee};

const ONE: &str = "10.0.1.1:5060";
const TWO: &str = "10.0.2.2:5060";
const HELP: &str = "sip:112@segue.example";

fn two(change: impl FnOnce(&mut Trunk)) -> Trunk {
    let mut trunk = trunk("main", &[ONE, TWO]);
    change(&mut trunk);
    trunk
}

#[test]
fn a_server_that_does_not_answer_pings_is_tried_after_the_others_until_it_answers_again() {
    let mut node = Node::new(&[two(|_| {})], |_| {});
    node.run_s(5);
    assert_eq!(node.states("main"), [(ONE.to_owned(), "up"), (TWO.to_owned(), "up")]);
    node.calls(1);
    assert_eq!(node.invited(), [ONE]);
    node.dead.insert(ONE.parse().unwrap());
    // Three pings in a row, 30 s and a tenth apart, and 4 s for the last.
    node.run_s(3 * 33 + 4);
    assert_eq!(node.states("main")[0].1, "down");
    let last = node.status("main").servers[0].last.clone();
    assert_eq!(last.as_deref(), Some("no answer"));
    node.calls(2);
    assert_eq!(node.invited(), [TWO]);
    node.dead.clear();
    node.run_s(40);
    node.calls(3);
    assert_eq!(node.invited(), [TWO], "one answer is not two");
    node.run_s(33);
    assert_eq!(node.states("main")[0].1, "up");
    node.calls(4);
    assert_eq!(node.invited(), [ONE]);
    let told: Vec<&str> = node.told.iter().map(String::as_str).collect();
    assert_eq!(
        told,
        [
            "trunk.up main 10.0.1.1:5060 unchecked: OPTIONS got 200",
            "trunk.up main 10.0.2.2:5060 unchecked: OPTIONS got 200",
            "trunk.down main 10.0.1.1:5060 down after up: OPTIONS got no answer",
            "trunk.up main 10.0.1.1:5060 down: OPTIONS got 200",
        ]
    );
    let one = &node.status("main").servers[0];
    assert_eq!(
        (one.rtt.map(|rtt| rtt.as_millis()), one.failures),
        (Some(u128::from(PINGED)), 3)
    );
}

#[test]
fn where_all_are_down_they_are_asked_all_the_same_and_the_caller_is_told_when_to_try_again() {
    let mut node = Node::new(&[two(|_| {})], |_| {});
    for server in [ONE, TWO] {
        node.dead.insert(server.parse().unwrap());
    }
    node.run_s(120);
    assert_eq!(
        node.states("main"),
        [(ONE.to_owned(), "down"), (TWO.to_owned(), "down")]
    );
    node.calls(1);
    node.run_s(9);
    assert_eq!(node.invited(), [ONE, TWO], "a ping may be wrong");
    let refused = node.refused();
    assert_eq!(refused.status(), Some(500), "other calls may have other servers");
    let later: u64 = header(&refused, "Retry-After").parse().unwrap();
    assert!((1..=33).contains(&later), "the next ping: {later}");
    assert_eq!(
        header(&refused, "Reason"),
        "SIP;cause=503;text=\"No server takes calls\""
    );
    let why = &node.record().why;
    assert!(
        why.contains("10.0.1.1:5060 said nothing, 10.0.2.2:5060 said nothing"),
        "{why}"
    );
    // One lives again, whatever its last ping said.
    node.dead.remove(&TWO.parse().unwrap());
    node.calls(2);
    node.run_s(5);
    assert_eq!(node.invited(), [ONE, TWO]);
    assert_eq!(node.answer(TWO), 200);
}

#[test]
fn the_only_server_asks_for_a_pause_and_callers_are_told_how_long_it_lasts() {
    let quiet = Trunk {
        ping_ms: 0,
        ..trunk("main", &[ONE])
    };
    let mut node = Node::new(&[quiet], |profile| profile.emergency_numbers = vec!["112".into()]);
    node.run_s(2);
    assert_eq!(node.states("main"), [(ONE.to_owned(), "unchecked")]);
    node.calls(1);
    node.refuses(ONE, 503, "Retry-After: 300\r\n");
    assert_eq!(node.refused().status(), Some(500), "its own 503 goes no further");
    assert_eq!(node.states("main"), [(ONE.to_owned(), "suspended")]);
    node.run_s(10);
    node.calls(2);
    assert!(node.invited().is_empty());
    let refused = node.refused();
    assert_eq!((refused.status(), header(&refused, "Retry-After")), (Some(500), "20"));
    let why = &node.record().why;
    assert!(
        why.contains("10.0.1.1:5060 asked for a pause by 503, 20 s of it are left"),
        "{why}"
    );
    let stats = node.shard.stats();
    assert_eq!((stats.pauses, stats.paused_calls), (1, 1));
    node.calls_to(3, HELP);
    assert_eq!(node.invited(), [ONE], "help is not refused for it");
    node.run_s(21);
    assert_eq!(node.states("main"), [(ONE.to_owned(), "unchecked")]);
    node.calls(4);
    assert_eq!(node.invited(), [ONE], "no longer than 30 s");
    assert_eq!(
        node.told,
        [
            "trunk.down main 10.0.1.1:5060 suspended after unchecked: it asked for a pause by 503: no calls for 30 s",
            "trunk.up main 10.0.1.1:5060 suspended: the pause is over",
        ]
    );
}

#[test]
fn a_ping_that_gets_503_with_retry_after_keeps_calls_away_too() {
    let mut node = Node::new(&[two(|_| {})], |_| {});
    node.pong.insert(ONE.parse().unwrap(), (503, "Retry-After: 20\r\n"));
    node.run_s(3);
    assert_eq!(node.states("main")[0].1, "suspended");
    node.calls(1);
    assert_eq!(node.invited(), [TWO]);
}

#[test]
fn an_emergency_call_has_a_second_way_and_what_was_said_by_the_first_stays_in_its_record() {
    let mut node = Node::new(&[trunk("help", &[ONE])], |profile| {
        profile.emergency_numbers = vec!["112".into()];
        profile.emergency_next_hop = Some(node::hops(&["trunk:help", "10.0.2.2:5060"]));
    });
    node.dead.insert(ONE.parse().unwrap());
    node.calls_to(1, HELP);
    node.run_s(3);
    assert_eq!(node.invited(), [ONE], "no ping has said anything of it yet");
    node.run_s(2);
    assert_eq!(node.invited(), [TWO]);
    assert_eq!(node.answer(TWO), 200);
    node.hangs_up();
    let ladder: Vec<&str> = node.record().legs[1]
        .ladder
        .iter()
        .map(|step| step.summary.as_str())
        .collect();
    assert_eq!(ladder[0], "INVITE (SDP)");
    let again = ladder.iter().filter(|step| **step == "INVITE (SDP)").count();
    assert_eq!(again, 2, "{ladder:?}");
}

#[test]
fn a_trunk_takes_as_many_calls_as_it_may_and_emergency_calls_beside_them() {
    let mut node = Node::new(&[two(|trunk| trunk.calls_max = 1)], |profile| {
        profile.emergency_numbers = vec!["112".into()];
    });
    node.calls(1);
    assert_eq!(node.answer(ONE), 200);
    node.calls(2);
    let refused = node.refused();
    let reason = "Q.850;cause=34;text=\"No circuit/channel available\"";
    assert_eq!((refused.status(), header(&refused, "Reason")), (Some(500), reason));
    let why = &node.record().why;
    assert!(why.contains("the trunk main has as many calls as it may, 1"), "{why}");
    node.calls_to(3, HELP);
    assert!(node.invited().contains(&ONE.to_owned()));
    let status = node.status("main");
    assert_eq!((status.calls, status.full, status.carried), (2, 1, 2));
    node.run_s(6);
    node.refuses(ONE, 486, "");
    node.run_s(40);
    assert_eq!(node.status("main").calls, 1);
}

#[test]
fn the_next_hop_after_a_full_trunk_takes_the_call() {
    let full = Trunk {
        calls_max: 1,
        ..trunk("main", &[ONE])
    };
    let mut node = Node::new(&[full], |profile| {
        profile.next_hop = Some(node::hops(&["trunk:main", TWO]));
    });
    node.calls(1);
    assert_eq!(node.invited(), [ONE]);
    node.calls(2);
    assert_eq!(node.invited(), [TWO]);
}

#[test]
fn a_call_that_fails_over_within_its_trunk_needs_no_second_place() {
    let mut node = Node::new(&[two(|trunk| trunk.calls_max = 1)], |_| {});
    node.calls(1);
    node.refuses(ONE, 503, "");
    assert_eq!(node.invited(), [ONE, TWO]);
    assert_eq!(node.answer(TWO), 200);
    let status = node.status("main");
    assert_eq!((status.calls, status.full), (1, 0));
    node.calls(2);
    assert!(node.invited().is_empty(), "the one place is taken");
    assert_eq!(node.refused().status(), Some(500));
}

#[test]
fn a_caller_who_gives_up_while_one_server_is_silent_is_called_by_no_other() {
    let mut node = Node::new(&[two(|_| {})], |_| {});
    node.dead.insert(ONE.parse().unwrap());
    node.calls(1);
    node.cancels(1);
    node.run_s(60);
    assert_eq!(node.invited(), [ONE]);
}

#[test]
fn a_busy_callee_is_busy_by_every_way() {
    let mut node = Node::new(&[two(|_| {})], |_| {});
    node.calls(1);
    node.refuses(ONE, 486, "");
    assert_eq!((node.refused().status(), node.invited().len()), (Some(486), 1));
}

#[test]
fn a_trunk_has_credentials_of_its_own_and_a_challenge_of_another_realm_gets_none() {
    for (realm, answered) in [("main.example", true), ("else.example", false)] {
        let mut node = Node::with_account(&[two(|_| {})], "main.example");
        node.calls(1);
        let challenge =
            format!("Proxy-Authenticate: Digest realm=\"{realm}\", nonce=\"n\", algorithm=MD5, qop=\"auth\"\r\n");
        node.refuses(ONE, 407, &challenge);
        let again = node.last_invite(ONE);
        assert_eq!(again.header("Proxy-Authorization").is_some(), answered, "{realm}");
    }
}

#[test]
fn trunks_that_are_read_again_keep_what_is_known_and_forget_what_is_gone() {
    let mut node = Node::new(&[two(|_| {})], |_| {});
    node.dead.insert(ONE.parse().unwrap());
    node.run_s(120);
    node.calls(1);
    node.reload(&[trunk("main", &[ONE, "10.0.3.3:5060"])]);
    node.run_s(2);
    assert_eq!(
        node.states("main"),
        [(ONE.to_owned(), "down"), ("10.0.3.3:5060".to_owned(), "up")]
    );
    assert_eq!(node.status("main").calls, 1, "the call goes on");
    node.reload(&[]);
    node.calls(2);
    let why = &node.record().why;
    assert!(why.contains("there is no trunk main"), "{why}");
}

#[test]
fn the_servers_of_a_domain_are_looked_up_and_pinged_each() {
    let mut node = Node::new(&[trunk("main", &["carrier.example"])], |_| {});
    node.run_s(1);
    assert_eq!(node.status("main").servers[0].address, None, "nothing is known yet");
    assert_eq!(node.located, ["carrier.example"]);
    node.finds(&[ONE, TWO]);
    node.run_s(2);
    assert_eq!(node.states("main"), [(ONE.to_owned(), "up"), (TWO.to_owned(), "up")]);
    node.run_s(35);
    assert!(node.located.len() > 1, "they may change");
    node.finds(&[TWO]);
    assert_eq!(node.states("main"), [(TWO.to_owned(), "up")]);
    // No name server answers for a while.
    node.finds(&[]);
    assert_eq!(node.states("main"), [(TWO.to_owned(), "up")]);
}

#[test]
fn callers_of_others_than_the_trunk_are_not_touched() {
    let mut node = Node::new(&[], |profile| {
        profile.unknown_callee = UnknownCallee::Forward;
        profile.next_hop = Some(ONE.parse().unwrap());
    });
    node.calls(1);
    node.refuses(ONE, 503, "Retry-After: 5\r\n");
    assert_eq!(node.refused().status(), Some(500));
    node.calls(2);
    let refused = node.refused();
    assert_eq!((refused.status(), header(&refused, "Retry-After")), (Some(500), "5"));
}
