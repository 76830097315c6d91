//! Dialogs of subscriptions: a SUBSCRIBE makes one, NOTIFYs go in it (RFC 6665 §4.2); and requests outside any dialog.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::time::Instant;

use common::endpoint;
use segue_sip::{Endpoint, Event, Outside, Peer, Protocol, WatchId};
use segue_sip_wire::{Message, Method};

struct Notifier {
    endpoint: Endpoint,
    now: Instant,
}

fn peer(remote: &str) -> Peer {
    Peer {
        protocol: Protocol::Udp,
        local: common::addr(common::A),
        remote: remote.parse().unwrap(),
        flow: None,
    }
}

fn subscribe(cseq: u32, to_tag: &str, more: &str) -> Message {
    let text = format!(
        "SUBSCRIBE sip:bob@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9:5070;branch=z9hG4bK{cseq};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:bob@127.0.0.1>;tag=f\r\nTo: <sip:bob@127.0.0.1>{to_tag}\r\nCall-ID: sub\r\nCSeq: {cseq} SUBSCRIBE\r\n\
         Contact: <sip:bob@127.0.0.9:5070>\r\n{more}Content-Length: 0\r\n\r\n"
    );
    Message::parse_datagram(text.as_bytes()).unwrap()
}

impl Notifier {
    fn new() -> Notifier {
        Notifier {
            endpoint: endpoint(common::A, 1),
            now: Instant::now(),
        }
    }

    fn sent(&mut self) -> (Peer, Message) {
        let transmit = self.endpoint.poll_transmit().unwrap();
        (transmit.peer, Message::parse_datagram(&transmit.bytes).unwrap())
    }

    fn is_subscribed_to(&mut self, more: &str, nat: bool) -> (WatchId, Message) {
        let request = subscribe(1, "", more);
        let from = peer("127.0.0.9:4000");
        let watch = self.endpoint.watch(self.now, from, &request, 600, nat).unwrap();
        let (to, ok) = self.sent();
        assert_eq!((to.remote, ok.status()), (from.remote, Some(200)));
        (watch, ok)
    }

    fn notify(&mut self, watch: WatchId) -> (Peer, Message) {
        let headers = vec![("Event", "message-summary".to_owned())];
        let body = Some(("text/plain".into(), "x".into()));
        self.endpoint.notify(self.now, watch, headers, body).unwrap();
        self.sent()
    }

    fn answers(&mut self, request: &Message, status: &str, more: &str) -> Option<(Option<u16>, Option<u64>)> {
        let line = |name: &str| format!("{name}: {}\r\n", request.header(name).unwrap());
        let lines: String = ["Via", "From", "To", "Call-ID", "CSeq"]
            .iter()
            .map(|name| line(name))
            .collect();
        let text = format!("SIP/2.0 {status}\r\n{lines}{more}Content-Length: 0\r\n\r\n");
        let message = Message::parse_datagram(text.as_bytes()).unwrap();
        self.endpoint.handle_message(self.now, peer("127.0.0.9:5070"), message);
        self.replied()
    }

    fn replied(&mut self) -> Option<(Option<u16>, Option<u64>)> {
        match self.endpoint.poll_event()? {
            Event::Replied {
                response, retry_after, ..
            } => Some((
                response.and_then(|response| response.status()),
                retry_after.map(|wait| wait.as_secs()),
            )),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_subscription_makes_a_dialog_with_its_route_set() {
    let mut notifier = Notifier::new();
    let route = "Record-Route: <sip:127.0.0.7:5080;lr>, <sip:127.0.0.8;lr>\r\n";
    let (watch, ok) = notifier.is_subscribed_to(route, false);
    assert_eq!(ok.header("Expires"), Some("600"));
    assert!(ok.header("Contact").unwrap().contains("127.0.0.1:5060"), "{ok:?}");
    assert_eq!(ok.list("Record-Route").len(), 2, "it goes back (RFC 3261 §12.1.1)");
    let (to, notify) = notifier.notify(watch);
    assert_eq!(to.remote, "127.0.0.7:5080".parse().unwrap());
    assert_eq!(notify.request_uri().unwrap().to_string(), "sip:bob@127.0.0.9:5070");
    assert_eq!(notify.list("Route"), ["<sip:127.0.0.7:5080;lr>", "<sip:127.0.0.8;lr>"]);
    assert_eq!(notify.from().unwrap().tag(), ok.to().unwrap().tag());
    assert_eq!(notify.to().unwrap().tag(), Some("f"));
    assert_eq!((notify.call_id(), notify.body()), (Some("sub"), &b"x"[..]));
    assert!(notify.header("Contact").is_some(), "NOTIFY refreshes the target");
    let (_, second) = notifier.notify(watch);
    assert_eq!(second.cseq().unwrap().number, notify.cseq().unwrap().number + 1);
}

#[test]
fn a_refresh_moves_the_target_and_one_out_of_order_does_not() {
    let mut notifier = Notifier::new();
    let (watch, ok) = notifier.is_subscribed_to("", false);
    let tag = format!(";tag={}", ok.to().unwrap().tag().unwrap());
    let refresh = subscribe(2, &tag, "");
    assert_eq!(notifier.endpoint.watch_of(&refresh), Some(watch));
    let from = peer("127.0.0.9:4000");
    assert!(notifier.endpoint.watch_on(notifier.now, from, &refresh, watch, 300));
    let (_, again) = notifier.sent();
    assert_eq!((again.status(), again.header("Expires")), (Some(200), Some("300")));
    assert_eq!(again.to().unwrap().tag(), ok.to().unwrap().tag());
    // The same again is answered by its transaction.
    assert!(notifier.endpoint.belongs(&refresh));
    let late = subscribe(1, &tag, "Subject: another\r\n");
    let text = late.to_bytes();
    let text = String::from_utf8_lossy(&text)
        .replace("z9hG4bK1", "z9hG4bKlate")
        .replace(":5070>", ":6666>");
    let late = Message::parse_datagram(text.as_bytes()).unwrap();
    assert!(!notifier.endpoint.watch_on(notifier.now, from, &late, watch, 300));
    assert_eq!(notifier.sent().1.status(), Some(500));
    let moved = String::from_utf8_lossy(&subscribe(3, &tag, "").to_bytes()).replace(":5070>", ":5099>");
    let moved = Message::parse_datagram(moved.as_bytes()).unwrap();
    assert!(notifier.endpoint.watch_on(notifier.now, from, &moved, watch, 300));
    notifier.sent();
    assert_eq!(notifier.notify(watch).0.remote.port(), 5099);
    notifier.endpoint.unwatch(watch);
    assert_eq!(notifier.endpoint.watch_of(&refresh), None);
    assert_eq!(notifier.endpoint.watch_count(), 0);
}

#[test]
fn nobody_is_taken_for_another_by_a_tag_alone() {
    let mut notifier = Notifier::new();
    let (_, ok) = notifier.is_subscribed_to("", false);
    let tag = format!(";tag={}", ok.to().unwrap().tag().unwrap());
    let text = String::from_utf8_lossy(&subscribe(2, &tag, "").to_bytes()).into_owned();
    for (from, to) in [("Call-ID: sub", "Call-ID: other"), (";tag=f", ";tag=g")] {
        let other = Message::parse_datagram(text.replace(from, to).as_bytes()).unwrap();
        assert_eq!(notifier.endpoint.watch_of(&other), None, "{to}");
    }
}

#[test]
fn behind_a_nat_notifies_go_where_the_subscriber_comes_from() {
    let mut notifier = Notifier::new();
    let (watch, _) = notifier.is_subscribed_to("", true);
    let (to, notify) = notifier.notify(watch);
    assert_eq!(to.remote, "127.0.0.9:4000".parse().unwrap());
    assert_eq!(notify.request_uri().unwrap().to_string(), "sip:bob@127.0.0.9:5070");
}

#[test]
fn what_comes_of_a_notify_is_told_once() {
    let mut notifier = Notifier::new();
    let (watch, _) = notifier.is_subscribed_to("", false);
    let (_, notify) = notifier.notify(watch);
    assert_eq!(notifier.answers(&notify, "100 Trying", ""), None);
    assert_eq!(notifier.answers(&notify, "200 OK", ""), Some((Some(200), None)));
    assert_eq!(notifier.answers(&notify, "200 OK", ""), None);
    let (_, notify) = notifier.notify(watch);
    assert_eq!(
        notifier.answers(&notify, "503 Later", "Retry-After: 7\r\n"),
        Some((Some(503), Some(7)))
    );
    notifier.notify(watch);
    notifier.now += common::PATIENCE;
    notifier.endpoint.handle_timeout(notifier.now);
    assert_eq!(notifier.replied(), Some((None, None)), "nobody answered");
}

#[test]
fn a_request_outside_any_dialog_goes_where_it_is_told() {
    let mut notifier = Notifier::new();
    let outside = Outside {
        method: Method::Notify,
        target: "sip:bob@127.0.0.9:5070".parse().unwrap(),
        from: "sip:bob@127.0.0.1".parse().unwrap(),
        to: "sip:bob@127.0.0.1".parse().unwrap(),
        route: Vec::new(),
        headers: vec![("Event", "message-summary".to_owned())],
        body: None,
        peer: peer("127.0.0.9:4000"),
        is_back: false,
    };
    notifier.endpoint.request(notifier.now, outside.clone());
    let (to, notify) = notifier.sent();
    assert_eq!(to.remote, "127.0.0.9:5070".parse().unwrap());
    assert_eq!(notify.header("Event"), Some("message-summary"));
    assert!(notify.to().unwrap().tag().is_none() && notify.from().unwrap().tag().is_some());
    let back = Outside {
        is_back: true,
        ..outside.clone()
    };
    notifier.endpoint.request(notifier.now, back);
    assert_eq!(notifier.sent().0.remote, "127.0.0.9:4000".parse().unwrap());
    let through = Outside {
        route: vec!["sip:127.0.0.7;lr".parse().unwrap()],
        ..outside
    };
    notifier.endpoint.request(notifier.now, through);
    let (to, notify) = notifier.sent();
    assert_eq!(to.remote, "127.0.0.7:5060".parse().unwrap());
    assert_eq!(notify.header("Route"), Some("<sip:127.0.0.7;lr>"));
}
