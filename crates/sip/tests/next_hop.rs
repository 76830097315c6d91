//! Where an INVITE goes whose next server is not its target's host (RFC 3261 §8.1.2, §16.6 steps 6 and 7, §9.1, §17.1.1.3).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;
use segue_sip::Outgoing;
use segue_sip_wire::Message;

const TARGET: &str = "sip:+4930@ims.example;user=phone";

fn outgoing(net: &Net, route: &[&str], hop: Option<&str>) -> Outgoing {
    Outgoing {
        target: TARGET.parse().unwrap(),
        to: Some(("sip:+4930@home.example".parse().unwrap(), Some("Bob".to_owned()))),
        route: route.iter().map(|hop| hop.parse().unwrap()).collect(),
        hop: hop.map(|hop| hop.parse().unwrap()),
        ..net.outgoing()
    }
}

/// Request-URI and Route of each request of this method that B got.
fn requests(net: &Net, method: &str) -> Vec<(String, Vec<String>)> {
    let of = |message: &Message| {
        let uri = message.request_uri().unwrap().to_string();
        (uri, message.headers("Route").map(str::to_owned).collect())
    };
    let sent = net.sent.iter().filter(|(_, _, message, _)| brief(message) == method);
    sent.map(|(_, _, message, _)| of(message)).collect()
}

#[test]
fn it_goes_by_its_route_with_its_request_uri_unchanged() {
    let mut net = Net::new(1);
    let outgoing = outgoing(&net, &["sip:127.0.0.2;lr", "sip:next.example;lr"], None);
    let (a, b) = net.call_with(outgoing);
    let route = vec!["<sip:127.0.0.2;lr>".to_owned(), "<sip:next.example;lr>".to_owned()];
    assert_eq!(requests(&net, "INVITE"), [(TARGET.to_owned(), route.clone())]);
    let invite = &net.sent.iter().find(|(_, _, m, _)| brief(m) == "INVITE").unwrap().2;
    assert_eq!(invite.header("To"), Some("\"Bob\" <sip:+4930@home.example>"));
    // "… that Route header field's values" in CANCEL, and in the ACK of a refusal.
    net.progress(b, 180, false, None);
    net.run_ms(10);
    net.endpoints[A].cancel(net.now, a, None).unwrap();
    net.run_ms(100);
    assert_eq!(requests(&net, "CANCEL"), [(TARGET.to_owned(), route.clone())]);
    assert_eq!(requests(&net, "ACK"), [(TARGET.to_owned(), route)]);
}

#[test]
fn a_strict_router_gets_its_own_uri_and_the_target_last_in_the_route() {
    let mut net = Net::new(2);
    let outgoing = outgoing(&net, &["sip:127.0.0.2", "sip:next.example;lr"], None);
    net.call_with(outgoing);
    let route = vec!["<sip:next.example;lr>".to_owned(), format!("<{TARGET}>")];
    assert_eq!(requests(&net, "INVITE"), [("sip:127.0.0.2".to_owned(), route)]);
}

#[test]
fn a_next_server_that_is_no_route_just_gets_it() {
    for target in [TARGET, "tel:+4930", "urn:service:sos"] {
        let mut net = Net::new(3);
        let outgoing = Outgoing {
            target: target.parse().unwrap(),
            ..outgoing(&net, &[], Some("sip:127.0.0.2"))
        };
        net.call_with(outgoing);
        assert_eq!(requests(&net, "INVITE"), [(target.to_owned(), Vec::new())]);
    }
}
