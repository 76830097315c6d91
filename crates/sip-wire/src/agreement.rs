//! On plain values our reading and that of `rsip`, whose vocabulary we speak, must agree.

use rsip::{
    headers::{ToTypedHeader, UntypedHeader, untyped},
    typed,
};

use crate::{CSeq, Host, Method, NameAddr, Transport, Via};

#[test]
fn vias_are_read_alike() {
    for text in [
        "SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds",
        "SIP/2.0/TCP 192.0.2.1:5062;branch=z9hG4bKnashds8;received=192.0.2.9",
        "SIP/2.0/TLS bigbox3.site3.atlanta.com:5061;branch=z9hG4bK77ef4c2312983.1",
    ] {
        let ours = Via::parse(text).unwrap();
        let theirs: typed::Via = untyped::Via::new(text).typed().unwrap();
        assert_eq!(ours.transport, Transport::from(theirs.transport));
        assert_eq!(ours.branch(), theirs.branch().map(|branch| branch.value()));
        assert_eq!(ours.received(), theirs.received().unwrap());
        assert_eq!(ours.host.to_string(), theirs.uri.host().to_string());
        assert_eq!(ours.port, theirs.uri.port().map(|port| *port.value()));
    }
}

#[test]
fn cseqs_are_read_alike() {
    for method in rsip::Method::all() {
        let text = format!("4711 {method}");
        let ours = CSeq::parse(&text).unwrap();
        let theirs: typed::CSeq = untyped::CSeq::new(text).typed().unwrap();
        assert_eq!((ours.number, ours.method), (theirs.seq, Method::from(theirs.method)));
    }
}

#[test]
fn names_with_addresses_are_read_alike() {
    for text in [
        "Alice <sip:alice@atlanta.com>;tag=1928301774",
        "\"Bob\" <sip:bob@192.0.2.4:5062>;tag=a6c85cf",
        "<sip:carol@chicago.com>;tag=x",
    ] {
        let ours = NameAddr::parse(text).unwrap();
        let theirs: typed::From = untyped::From::new(text).typed().unwrap();
        assert_eq!(ours.tag(), theirs.tag().map(|tag| tag.value()));
        assert_eq!(ours.uri.user_raw(), theirs.uri.user());
        assert_eq!(
            ours.uri.host().map(Host::to_string),
            Some(theirs.uri.host().to_string())
        );
        assert_eq!(ours.uri.port(), theirs.uri.port().map(|port| *port.value()));
        assert_eq!(
            ours.display,
            theirs.display_name.map(|name| name.trim_matches('"').to_owned())
        );
    }
}

#[test]
fn its_header_names_are_the_full_ones() {
    let (supported, subject) = (untyped::Supported::new("x"), untyped::Subject::new("x"));
    for (compact, header) in [
        ("v", rsip::Header::Via(untyped::Via::new("x"))),
        ("f", rsip::Header::From(untyped::From::new("x"))),
        ("t", rsip::Header::To(untyped::To::new("x"))),
        ("i", rsip::Header::CallId(untyped::CallId::new("x"))),
        ("m", rsip::Header::Contact(untyped::Contact::new("x"))),
        ("c", rsip::Header::ContentType(untyped::ContentType::new("x"))),
        ("l", rsip::Header::ContentLength(untyped::ContentLength::new("1"))),
        ("k", rsip::Header::Supported(supported)),
        ("s", rsip::Header::Subject(subject)),
    ] {
        let line = header.to_string();
        let (name, _) = line.split_once(':').unwrap();
        assert!(crate::name::same(compact, name), "{compact}: {name}");
    }
}
