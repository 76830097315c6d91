//! Registering with a provider, in virtual time.

use std::sync::Arc;

use segue_b2bua::{LineStatus, TrunkSetup};
use segue_policy::Trunk;
use segue_sip::Account;
use segue_sip_wire::{DigestAlgorithm, Message};

use crate::{
    ONE, TWO,
    node::{Node, header, trunk},
};

pub const CHALLENGE: &str =
    "WWW-Authenticate: Digest realm=\"provider\", nonce=\"n1\", qop=\"auth\", algorithm=MD5\r\n";

/// A trunk that registers with two servers as `office`.
pub fn setup(change: impl FnOnce(&mut Trunk)) -> TrunkSetup {
    let mut trunk = trunk("main", &[ONE, TWO]);
    trunk.register = true;
    trunk.registrar = Some("sip:provider.example".parse().unwrap());
    (trunk.digest_user, trunk.digest_secret) = ("office".into(), "file".into());
    change(&mut trunk);
    assert_eq!(trunk.check(), Ok(()));
    let account = Account {
        realm: trunk.digest_realm.clone(),
        username: "office".to_owned(),
        secret: "sesame".to_owned(),
        algorithms: vec![DigestAlgorithm::Md5],
        tls_only: false,
    };
    TrunkSetup {
        trunk,
        account: Some(Arc::new(account)),
    }
}

/// The REGISTER that waits, and who has it.
pub fn asked(node: &mut Node) -> (String, Message) {
    let (to, register) = node.registers.pop().expect("a REGISTER is sent");
    assert!(node.registers.is_empty(), "one at a time");
    (to.to_string(), register)
}

pub fn answer(node: &mut Node, status: u16, more: &str) -> Message {
    let (to, register) = asked(node);
    node.respond(to.parse().unwrap(), &register, status, more);
    register
}

/// Challenge and 200, for so many seconds.
pub fn grant(node: &mut Node, seconds: u32, more: &str) -> Message {
    let (to, register) = asked(node);
    let contact = header(&register, "Contact").to_owned();
    node.respond(
        to.parse().unwrap(),
        &register,
        200,
        &format!("Contact: {contact};expires={seconds}\r\n{more}"),
    );
    register
}

pub fn line(node: &mut Node) -> LineStatus {
    node.status("main").registration.unwrap()
}

fn state(node: &mut Node) -> &'static str {
    line(node).standing.as_str()
}

/// A node that is registered.
pub fn registered(setup: TrunkSetup, more: &str) -> Node {
    let mut node = Node::made(vec![setup], |_| {});
    node.run_s(2);
    answer(&mut node, 401, CHALLENGE);
    grant(&mut node, 600, more);
    node
}

#[test]
fn it_registers_at_start_proves_who_it_is_and_says_it_again_in_time() {
    let mut node = Node::made(vec![setup(|_| {})], |_| {});
    assert_eq!(node.registers.len(), 0, "not all trunks in one moment");
    node.run_s(2);
    assert_eq!(state(&mut node), "registering");
    let first = answer(&mut node, 401, CHALLENGE);
    assert_eq!(first.request_uri().unwrap().to_string(), "sip:provider.example");
    assert_eq!(header(&first, "To"), "<sip:office@provider.example>");
    assert_eq!(header(&first, "Expires"), "3600");
    let proven = grant(
        &mut node,
        600,
        "P-Associated-URI: <tel:+49301>, <sip:office@provider.example>\r\n",
    );
    assert!(header(&proven, "Authorization").contains("realm=\"provider\""));
    let line = line(&mut node);
    assert_eq!((line.standing.as_str(), line.sent, line.failed), ("registered", 1, 0));
    assert_eq!(line.associated, ["tel:+49301", "sip:office@provider.example"]);
    assert_eq!(line.until.unwrap().0 - line.since.0, 600_000);
    node.run_s(269);
    assert!(node.registers.is_empty());
    node.run_s(33);
    let again = grant(&mut node, 600, "");
    assert!(
        header(&again, "Authorization").contains("nc=00000002"),
        "asked for at once"
    );
    assert_eq!(
        node.told
            .iter()
            .filter(|told| told.starts_with("trunk.registered"))
            .count(),
        1,
        "that it still is is no news"
    );
}

#[test]
fn another_server_is_asked_where_one_says_nothing_or_503() {
    let mut node = Node::made(vec![setup(|_| {})], |_| {});
    node.run_s(2);
    let (to, _) = asked(&mut node);
    assert_eq!(to, ONE);
    node.run_s(33);
    let (to, register) = asked(&mut node);
    assert_eq!(to, TWO);
    node.respond(TWO.parse().unwrap(), &register, 503, "Retry-After: 100\r\n");
    assert_eq!(state(&mut node), "failing");
    node.run_s(99);
    assert!(node.registers.is_empty(), "the pause is kept");
    node.run_s(2);
    grant(&mut node, 600, "");
    assert_eq!(line(&mut node).server.as_deref(), Some("10.0.1.1:5060/UDP"));
}

#[test]
fn where_its_server_dies_it_registers_with_another_at_once() {
    let mut node = registered(setup(|_| {}), "");
    node.dead.insert(ONE.parse().unwrap());
    node.run_s(3 * 33 + 4);
    assert_eq!(node.states("main")[0].1, "down");
    let (to, register) = asked(&mut node);
    assert_eq!(to, TWO);
    let contact = header(&register, "Contact").to_owned();
    node.respond(
        TWO.parse().unwrap(),
        &register,
        200,
        &format!("Contact: {contact};expires=600\r\n"),
    );
    assert_eq!(line(&mut node).server.as_deref(), Some("10.0.2.2:5060/UDP"));
    node.run_s(200);
    assert!(node.registers.is_empty(), "and stays there");
}

#[test]
fn a_provider_that_moves_is_registered_with_where_it_is_now() {
    let mut node = Node::made(
        vec![setup(|trunk| {
            trunk.servers.clear();
            *trunk = trunk.clone().completed();
        })],
        |_| {},
    );
    node.run_s(5);
    assert!(node.registers.is_empty(), "nobody knows where it is");
    node.finds(&[ONE]);
    node.run_s(1);
    grant(&mut node, 600, "");
    node.finds(&[TWO]);
    node.run_s(1);
    let (to, _) = asked(&mut node);
    assert_eq!(to, TWO);
}

#[test]
fn who_is_refused_says_so_and_asks_no_more_until_somebody_wants_it() {
    let mut node = Node::made(vec![setup(|_| {})], |_| {});
    node.run_s(2);
    answer(&mut node, 401, CHALLENGE);
    answer(&mut node, 403, "");
    assert_eq!(state(&mut node), "refused");
    let told = node.told.iter().find(|told| told.starts_with("trunk.unreg")).unwrap();
    assert_eq!(told, "trunk.unregistered main refused: 10.0.1.1:5060: 403 Forbidden");
    node.run_s(3_500);
    assert!(node.registers.is_empty());
    assert!(node.shard.register_now(node.at(), "main"));
    node.outputs();
    grant(&mut node, 600, "");
    assert_eq!(state(&mut node), "registered");
    assert!(!node.shard.register_now(node.at(), "other"));
}

#[test]
fn what_was_registered_is_taken_back_at_the_end_and_where_it_is_configured_no_more() {
    let mut node = registered(setup(|_| {}), "");
    node.shard.leave_providers(node.at());
    node.outputs();
    assert!(node.shard.is_leaving());
    let last = answer(&mut node, 200, "");
    assert_eq!(header(&last, "Expires"), "0");
    node.run_s(1);
    assert!(!node.shard.is_leaving());
    assert!(node.told.last().unwrap().starts_with("trunk.unregistered main left"));
    node.run_s(4_000);
    assert!(node.registers.is_empty());

    let mut node = registered(setup(|_| {}), "");
    node.reload_with(vec![setup(|_| {})]);
    node.run_s(2);
    assert!(node.registers.is_empty(), "nothing has changed");
    // Another account.
    node.reload_with(vec![setup(|trunk| trunk.user = "shop".into())]);
    node.run_s(2);
    let mut said: Vec<(String, String)> = node
        .registers
        .drain(..)
        .map(|(_, register)| {
            (
                header(&register, "To").to_owned(),
                header(&register, "Expires").to_owned(),
            )
        })
        .collect();
    said.sort();
    assert_eq!(
        said,
        [
            ("<sip:office@provider.example>".to_owned(), "0".to_owned()),
            ("<sip:shop@provider.example>".to_owned(), "3600".to_owned())
        ]
    );
}

#[test]
fn credentials_of_a_line_go_to_no_realm_but_its_registrars() {
    let mut node = Node::made(vec![setup(|_| {})], |_| {});
    node.run_s(2);
    node.calls(1);
    node.refuses(ONE, 407, &CHALLENGE.replace("WWW", "Proxy"));
    assert!(
        node.last_invite(ONE).header("Proxy-Authorization").is_none(),
        "the registrar has not named its realm yet"
    );
    answer(&mut node, 401, CHALLENGE);
    grant(&mut node, 600, "");
    node.calls(2);
    let other = CHALLENGE.replace("WWW", "Proxy").replace("provider", "elsewhere");
    node.refuses(ONE, 407, &other);
    assert!(node.last_invite(ONE).header("Proxy-Authorization").is_none());
    node.calls(3);
    node.refuses(ONE, 407, &CHALLENGE.replace("WWW", "Proxy"));
    assert!(header(&node.last_invite(ONE), "Proxy-Authorization").contains("realm=\"provider\""));
}
