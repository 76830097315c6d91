//! Calls to and from a provider: numbers, who calls, and whose server it is, in virtual time.

use segue_b2bua::{Directory, Unseal};
use segue_policy::{CalleeFrom, CallerIdentity, NumberFormat, Profile, Trunk};
use segue_store::Listed;

use crate::{
    HELP, ONE, TWO,
    lines::{self, grant, registered, setup},
    node::{Node, header, trunk},
};

struct Nothing;

impl Unseal for Nothing {
    fn unseal(&self, _: &str, _: &str, _: &[u8]) -> Option<String> {
        None
    }
}

/// Ann is a subscriber with a number of her own.
fn know_ann(node: &mut Node) {
    let ann = Listed {
        user: "ann".to_owned(),
        numbers: vec!["+4930765100".to_owned()],
        ..Listed::default()
    };
    let kept = segue_store::Directory {
        version: 1,
        subscribers: vec![ann],
    };
    node.shard.handle_directory(Directory::of(kept, &Nothing));
}

fn berlin(profile: &mut Profile) {
    (profile.country_code, profile.area_code) = ("49".into(), "30".into());
}

fn office(change: impl FnOnce(&mut Trunk)) -> Node {
    let trunk = setup(|trunk| {
        trunk.main_number = "+49307650".into();
        change(trunk);
    });
    let mut node = Node::made(vec![trunk], |profile| {
        berlin(profile);
        profile.emergency_numbers = vec!["112".into()];
    });
    know_ann(&mut node);
    node.run_s(2);
    grant(&mut node, 600, "");
    node
}

#[test]
fn a_call_goes_to_the_provider_by_its_domain_its_numbers_and_the_callers_own() {
    let mut node = office(|trunk| trunk.number_format = NumberFormat::E164);
    node.calls_to(1, "sip:030123@segue.example");
    let invite = node.last_invite(ONE);
    assert_eq!(
        invite.request_uri().unwrap().to_string(),
        "sip:+4930123@provider.example"
    );
    assert_eq!(header(&invite, "To"), "<sip:+4930123@provider.example>");
    let from = header(&invite, "From");
    assert!(from.starts_with("<sip:+4930765100@provider.example>;tag="), "{from}");
    assert_eq!(invite.header("P-Preferred-Identity"), None);
}

#[test]
fn the_account_stands_in_from_where_the_provider_wants_that() {
    for (identity, user, preferred) in [
        (
            CallerIdentity::Preferred,
            "office",
            Some("<sip:+4930765100@provider.example>"),
        ),
        (CallerIdentity::Account, "office", None),
        (CallerIdentity::Untouched, "ann", None),
    ] {
        let mut node = office(|trunk| trunk.identity = identity);
        node.calls_to(1, "sip:030123@segue.example");
        let invite = node.last_invite(ONE);
        assert_eq!(invite.from().unwrap().uri.user().unwrap(), user, "{identity:?}");
        assert_eq!(invite.header("P-Preferred-Identity"), preferred, "{identity:?}");
    }
}

#[test]
fn who_is_no_subscriber_shows_the_main_number_and_who_hides_is_known_to_the_provider_alone() {
    let mut node = office(|_| {});
    node.shard.handle_directory(Directory::default());
    node.calls(1);
    assert_eq!(node.last_invite(ONE).from().unwrap().uri.user().unwrap(), "+49307650");
    know_ann(&mut node);
    node.calls_saying(2, "sip:030123@segue.example", "Privacy: id\r\n");
    let invite = node.last_invite(ONE);
    assert_eq!(
        invite.from().unwrap().uri.host().unwrap().to_string(),
        "anonymous.invalid"
    );
    assert_eq!(header(&invite, "Privacy"), "id");
    assert_eq!(
        header(&invite, "P-Preferred-Identity"),
        "<sip:+4930765100@provider.example>"
    );
}

#[test]
fn who_calls_for_help_is_dialled_as_they_were_and_can_be_called_back() {
    let mut node = office(|trunk| {
        (trunk.calls_max, trunk.add) = (1, "99".into());
        trunk.allow = vec!["+49*".parse().unwrap()];
        trunk.number_format = NumberFormat::E164;
    });
    node.calls(1);
    node.calls_saying(2, HELP, "Privacy: id\r\n");
    let invite = node.last_invite(ONE);
    assert_eq!(invite.request_uri().unwrap().to_string(), "sip:112@provider.example");
    assert_eq!(invite.from().unwrap().uri.user().unwrap(), "+4930765100");
}

#[test]
fn numbers_that_a_trunk_does_not_take_go_nowhere_and_say_why() {
    let mut node = office(|trunk| {
        trunk.allow = vec!["+49*".parse().unwrap()];
        trunk.deny = vec!["+49900*".parse().unwrap()];
    });
    for (at, number, denied) in [(1, "0900123", "+49900123"), (2, "0044123", "+44123")] {
        node.calls_to(at, &format!("sip:{number}@segue.example"));
        assert_eq!(node.invited(), Vec::<String>::new());
        assert_eq!(node.refused().status(), Some(403), "{number}");
        let why = &node.record().why;
        assert!(why.contains(&format!("the trunk main does not take {denied}")), "{why}");
    }
    node.calls_to(3, "sip:030123@segue.example");
    assert_eq!(node.invited(), [ONE]);
}

#[test]
fn the_trunk_that_names_most_of_a_number_takes_it() {
    const THREE: &str = "10.0.3.3:5060";
    let of = |name: &str, server: &str, allow: &[&str]| {
        let mut trunk = trunk(name, &[server]);
        trunk.allow = allow.iter().map(|entry| entry.parse().unwrap()).collect();
        trunk
    };
    let mut helps = of("c", THREE, &[]);
    helps.emergency = true;
    let trunks = [of("a", ONE, &["*"]), of("b", TWO, &["+49*"]), helps];
    let mut node = Node::new(&trunks, |profile| {
        berlin(profile);
        profile.emergency_numbers = vec!["112".into()];
        profile.next_hop = Some("trunk:*".parse().unwrap());
    });
    node.calls_to(1, "sip:030123@segue.example");
    assert_eq!(node.invited(), [TWO]);
    node.refuses(TWO, 503, "");
    assert_eq!(node.invited(), [ONE], "the next best is another way");
    node.calls_to(2, "sip:0044123@segue.example");
    assert_eq!(node.invited(), [ONE]);
    node.calls_to(3, HELP);
    assert_eq!(
        node.invited(),
        [THREE],
        "whoever takes such calls, whatever numbers it takes else"
    );
}

#[test]
fn calls_from_a_provider_are_known_by_its_servers_and_are_for_whom_it_says() {
    for (callee, to, more, sought) in [
        (CalleeFrom::Auto, "+4930765100", "", "+4930765100 by provider"),
        (
            CalleeFrom::Auto,
            "office",
            "P-Called-Party-ID: <sip:+4930765100@x>\r\n",
            "+4930765100 by provider",
        ),
        (CalleeFrom::To, "+4930765101", "", "+4930765101 by provider"),
    ] {
        let mut node = registered(
            setup(|trunk| (trunk.callee, trunk.profile) = (callee, "provider".into())),
            "",
        );
        let contact = lines::line(&mut node).contact.unwrap();
        node.hears(TWO, &from_provider(TWO, &contact, to, more));
        assert_eq!(node.sought, [sought]);
    }
}

#[test]
fn a_call_to_our_registered_contact_is_known_wherever_it_comes_from_and_any_other_is_not() {
    const ELSEWHERE: &str = "192.0.2.77:5060";
    let mut node = registered(setup(|trunk| trunk.profile = "provider".into()), "");
    let contact = lines::line(&mut node).contact.unwrap();
    node.hears(
        ELSEWHERE,
        &from_provider(ELSEWHERE, "sip:line-0@10.0.0.254:5060", "+49301", ""),
    );
    assert_eq!(node.sought, Vec::<String>::new(), "a stranger is not heard");
    node.hears(ELSEWHERE, &from_provider(ELSEWHERE, &contact, "+49301", "X: 1\r\n"));
    assert_eq!(node.sought, ["+49301 by provider"]);
    // By the address of its server, whatever port.
    node.hears(
        "10.0.1.1:40000",
        &from_provider("10.0.1.1:40000", "sip:+49302@x", "a", "X: 2\r\n"),
    );
    assert_eq!(node.sought[1..], ["+49302 by provider"]);
    // What is asked of the Contact is whether we live.
    let options = from_provider(ELSEWHERE, &contact, "a", "X: 3\r\n").replace("INVITE", "OPTIONS");
    node.hears(ELSEWHERE, &options);
    assert_eq!(node.sought.len(), 2);
}

#[test]
fn a_call_goes_not_back_by_the_trunk_that_it_came_by() {
    let trunk = setup(|_| {});
    let mut node = Node::made(vec![trunk], |profile| {
        profile.sources.push("10.0.0.0/16".parse().unwrap());
    });
    node.run_s(2);
    grant(&mut node, 600, "");
    node.hears(ONE, &from_provider(ONE, "sip:+49301@x", "+49301", ""));
    // Nobody takes the refusal.
    node.run_s(40);
    assert_eq!(node.invited(), Vec::<String>::new());
    let why = &node.record().why;
    assert!(why.contains("the call has come by the trunk main"), "{why}");
}

#[test]
fn a_call_has_the_providers_service_route_and_still_goes_to_its_server() {
    let mut node = registered(
        setup(|_| {}),
        "Service-Route: <sip:edge.provider.example;lr>, <sip:core;lr>\r\n",
    );
    node.calls(1);
    assert_eq!(node.invited(), [ONE]);
    let invite = node.last_invite(ONE);
    let route: Vec<&str> = invite.headers("Route").collect();
    assert_eq!(route, ["<sip:edge.provider.example;lr>", "<sip:core;lr>"]);
}

fn from_provider(server: &str, uri: &str, to: &str, more: &str) -> String {
    let sdp = "v=0\r\no=- 1 1 IN IP4 10.0.1.1\r\ns=-\r\nc=IN IP4 10.0.1.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    format!(
        "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {server};branch=z9hG4bKp{to}{}\r\nMax-Forwards: 70\r\n\
         From: <sip:+4940999@provider.example>;tag=p\r\nTo: <sip:{to}@provider.example>\r\nCall-ID: p{to}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:p@{server}>\r\n{more}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        more.len(),
        sdp.len()
    )
}
