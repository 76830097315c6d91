//! IPv6 in SIP, after the messages of RFC 5118 §4.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::net::{IpAddr, Ipv6Addr};

use segue_sip_wire::{Host, Message, Transport, Uri, Verdict, Via};

fn register(uri: &str, via: &str) -> Vec<u8> {
    format!(
        "REGISTER {uri} SIP/2.0\r\nTo: sip:user@example.com\r\nFrom: sip:user@example.com;tag=81x2\r\nVia: {via}\r\n\
         Call-ID: SSG9559905523997077@hlau_4100\r\nMax-Forwards: 70\r\nContact: \"Caller\" <sip:caller@[2001:db8::1]>\r\n\
         CSeq: 98176 REGISTER\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

const VIA: &str = "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111";

fn v6(text: &str) -> Host {
    Host::V6(text.parse::<Ipv6Addr>().unwrap())
}

#[test]
fn a_bracketed_address_is_a_host_and_what_follows_is_the_port() {
    let m = Message::parse_datagram(&register("sip:[2001:db8::10]", VIA)).unwrap();
    assert_eq!(m.request_uri().unwrap().host(), Some(&v6("2001:db8::10")));
    assert_eq!(m.request_uri().unwrap().port(), None);
    assert_eq!(m.contact().unwrap().unwrap().uri.host(), Some(&v6("2001:db8::1")));
    let via = m.top_via().unwrap();
    assert_eq!(
        (via.host.clone(), via.port, via.transport.clone()),
        (v6("2001:db8::9:1"), None, Transport::Udp)
    );

    // §4.3: 5070 within the brackets is part of the address, outside it is the port.
    let within = Message::parse_datagram(&register("sip:[2001:db8::10:5070]", VIA)).unwrap();
    assert_eq!(within.request_uri().unwrap().host(), Some(&v6("2001:db8::10:5070")));
    let outside = Message::parse_datagram(&register("sip:[2001:db8::10]:5070", VIA)).unwrap();
    assert_eq!(outside.request_uri().unwrap().port(), Some(5070));
}

#[test]
fn an_address_without_brackets_is_refused() {
    let error = Message::parse_datagram(&register("sip:2001:db8::10", VIA)).unwrap_err();
    assert_eq!(error.verdict, Verdict::Answer(400));
}

#[test]
fn received_may_stand_with_brackets_or_without() {
    for received in ["[2001:db8::9:255]", "2001:db8::9:255"] {
        let via = format!("{VIA};received={received}");
        let m = Message::parse_datagram(&register("sip:[2001:db8::10]", &via)).unwrap();
        let expected: IpAddr = "2001:db8::9:255".parse().unwrap();
        assert_eq!(m.top_via().unwrap().received(), Some(expected), "{received}");
    }
}

#[test]
fn addresses_in_vias_of_both_families_and_mapped_ones_are_read() {
    let via = "SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111, SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144,\
               SIP/2.0/TCP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19, SIP/2.0/TCP [::ffff:192.0.2.2];branch=z9hG4bKas3-111";
    let vias = Message::parse_datagram(&register("sip:user@example.com", via))
        .unwrap()
        .vias()
        .unwrap();
    assert_eq!(vias[0].port, Some(6050));
    assert_eq!(vias[1].host.ip(), Some("192.0.2.1".parse().unwrap()));
    assert_eq!(vias[2].host, v6("::ffff:192.0.2.10"));
    assert_eq!((vias[2].port, vias[3].port), (Some(19823), None));
}

#[test]
fn three_colons_are_no_address() {
    assert!("sip:user@[2001:db8:::192.0.2.1]".parse::<Uri>().is_err());
    assert!("sip:user@[2001:db8::1".parse::<Uri>().is_err());
    assert!("sip:user@[example.com]".parse::<Uri>().is_err());
}

#[test]
fn written_and_read_again_it_is_the_same() {
    for text in [
        "sip:[2001:db8::10]:5070",
        "sips:a@[::1];transport=tcp",
        "sip:a:b@192.0.2.1:5062;lr?Subject=x",
    ] {
        assert_eq!(text.parse::<Uri>().unwrap().to_string(), text);
    }
    let via = Via::new(Transport::Tcp, "::1".parse::<IpAddr>().unwrap(), Some(5062), "z9hG4bKx");
    assert_eq!(via.to_string(), "SIP/2.0/TCP [::1]:5062;branch=z9hG4bKx;rport");
}
