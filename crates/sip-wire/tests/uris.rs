//! URIs: reading, escaping, and the equality of RFC 3261 §19.1.4.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use segue_sip_wire::{Host, Scheme, Uri};

fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn the_equal_pairs_of_the_rfc_match() {
    for (a, b) in [
        (
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtLanTa.CoM;Transport=tcp",
        ),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
    ] {
        assert!(uri(a).matches(&uri(b)) && uri(b).matches(&uri(a)), "{a} = {b}");
    }
}

#[test]
fn the_different_pairs_of_the_rfc_do_not_match() {
    for (a, b) in [
        (
            "SIP:ALICE@AtLanTa.CoM;Transport=udp",
            "sip:alice@AtLanTa.CoM;Transport=UDP",
        ),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;security=off",
        ),
        ("sip:alice@atlanta.com", "sips:alice@atlanta.com"),
    ] {
        assert!(!uri(a).matches(&uri(b)) && !uri(b).matches(&uri(a)), "{a} != {b}");
    }
}

#[test]
fn other_schemes_are_kept_whole() {
    let tel = uri("tel:+1-201-555-0123;phone-context=example.com");
    assert_eq!((tel.scheme(), tel.is_sip(), tel.host()), (&Scheme::Tel, false, None));
    assert_eq!(tel.to_string(), "tel:+1-201-555-0123;phone-context=example.com");
    assert_eq!(uri("urn:service:sos").scheme(), &Scheme::Other("urn".into()));
}

#[test]
fn what_is_no_uri_is_refused() {
    for text in [
        "",
        "sip",
        "sip:",
        "sip:@host",
        "sip:a@",
        "sip:a@b@c",
        "sip:a b@c",
        "sip:a@b:",
        "sip:a@b:99999",
        "sip:a@b:5a",
        "sip:a@b;",
        "sip:a@b;;lr",
        "sip:a@b;=x",
        "<sip:a@b>",
        "1sip:a@b",
        "sip:a@b\r\nX: y",
        "tel:",
        "sip:a@b:-1",
    ] {
        assert!(text.parse::<Uri>().is_err(), "{text:?}");
    }
}

#[test]
fn a_made_uri_escapes_its_user_and_reads_back() {
    let made = Uri::sip(Some("a b@c:\r\n\"ü"), Host::Name("example.com".into()), Some(5062));
    assert_eq!(made.to_string(), "sip:a%20b%40c%3A%0D%0A%22%C3%BC@example.com:5062");
    assert_eq!(uri(&made.to_string()).user().as_deref(), Some("a b@c:\r\n\"ü"));
    let with = made.with_param("transport", Some("tcp;evil\r\n"));
    assert_eq!(with.param("transport"), Some("tcpevil"));
    assert_eq!(with.without_params(), made);
}

#[test]
fn a_parameter_that_comes_twice_counts_as_it_came_first() {
    let twice = uri("sip:bob@example.com;branch=a;branch=b");
    assert!(twice.matches(&twice));
    assert!(twice.matches(&uri("sip:bob@example.com;branch=a")) && uri("sip:bob@example.com;branch=a").matches(&twice));
    assert!(!twice.matches(&uri("sip:bob@example.com;branch=b")));
}
