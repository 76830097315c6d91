//! The 49 messages of RFC 4475: what each must come to at this layer, and that what is accepted says what the RFC says.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods
)]

use segue_sip_wire::{Message, Method, Uri, Verdict};

/// What [`Message::parse_datagram`] must say.
#[derive(Debug, PartialEq)]
enum Outcome {
    Parsed,
    Answered(u16),
    Dropped,
}
use Outcome::{Answered, Dropped, Parsed};

/// Message, section, outcome. Where the RFC leaves a choice (400 or be liberal), the strict one is taken, except for
/// what is not ours to judge here (a Date in EST, unknown schemes, extensions, body types).
const EXPECTED: [(&str, &str, Outcome); 49] = [
    ("wsinv", "3.1.1.1 short tortuous INVITE", Parsed),
    ("intmeth", "3.1.1.2 wide range of valid characters", Parsed),
    ("esc01", "3.1.1.3 valid use of % escaping", Parsed),
    ("escnull", "3.1.1.4 escaped nulls in URIs", Parsed),
    ("esc02", "3.1.1.5 % when it is no escape", Parsed),
    ("lwsdisp", "3.1.1.6 no space between display name and <", Parsed),
    ("longreq", "3.1.1.7 long values", Parsed),
    ("dblreq", "3.1.1.8 extra octets in a datagram", Parsed),
    ("semiuri", "3.1.1.9 semicolons in the user part", Parsed),
    ("transports", "3.1.1.10 varied and unknown transports", Parsed),
    ("mpart01", "3.1.1.11 multipart with binary", Parsed),
    ("unreason", "3.1.1.12 unusual reason phrase", Parsed),
    ("noreason", "3.1.1.13 empty reason phrase", Parsed),
    ("badinv01", "3.1.2.1 extraneous separators", Answered(400)),
    ("clerr", "3.1.2.2 Content-Length larger than the message", Answered(400)),
    ("ncl", "3.1.2.3 negative Content-Length", Answered(400)),
    ("scalar02", "3.1.2.4 overlarge scalars in a request", Answered(400)),
    ("scalarlg", "3.1.2.5 overlarge scalars in a response", Dropped),
    ("quotbal", "3.1.2.6 unterminated quoted string", Answered(400)),
    ("ltgtruri", "3.1.2.7 <> around the Request-URI", Answered(400)),
    ("lwsruri", "3.1.2.8 space within the Request-URI", Answered(400)),
    ("lwsstart", "3.1.2.9 several spaces in the request line", Answered(400)),
    ("trws", "3.1.2.10 spaces at the end of the request line", Answered(400)),
    ("escruri", "3.1.2.11 headers in the Request-URI", Answered(400)),
    ("baddate", "3.1.2.12 Date not in GMT, not needed here", Parsed),
    ("regbadct", "3.1.2.13 Contact with headers outside <>", Answered(400)),
    ("badaspec", "3.1.2.14 spaces within an addr-spec", Answered(400)),
    ("baddn", "3.1.2.15 unquoted comma in a display name", Answered(400)),
    ("badvers", "3.1.2.16 unknown protocol version", Answered(505)),
    ("mismatch01", "3.1.2.17 CSeq of another method", Answered(400)),
    ("mismatch02", "3.1.2.18 unknown method, CSeq of another", Answered(501)),
    ("bigcode", "3.1.2.19 overlarge status code", Dropped),
    ("badbranch", "3.2.1 branch without an identifier", Answered(400)),
    ("insuf", "3.3.1 no Call-ID, From or To", Answered(400)),
    ("unkscm", "3.3.2 unknown scheme: 416 above", Parsed),
    ("novelsc", "3.3.3 atypical scheme: 416 above", Parsed),
    ("unksm2", "3.3.4 unknown schemes in header fields", Parsed),
    ("bext01", "3.3.5 unknown extensions: 420 above", Parsed),
    ("invut", "3.3.6 unknown body type: 415 above", Parsed),
    ("regaut01", "3.3.7 unknown authorization scheme", Parsed),
    ("multi01", "3.3.8 single header fields twice", Answered(400)),
    ("mcl01", "3.3.9 two Content-Lengths", Answered(400)),
    (
        "bcast",
        "3.3.10 second Via is broadcast: no proxy here, no transaction matches",
        Parsed,
    ),
    ("zeromf", "3.3.11 Max-Forwards 0", Parsed),
    ("cparam01", "3.3.12 Contact parameter without <>", Parsed),
    ("cparam02", "3.3.13 URI parameter in a Contact", Parsed),
    ("regescrt", "3.3.14 URI header in a Contact", Parsed),
    ("sdp01", "3.3.15 no acceptable answer: 406 above", Parsed),
    ("inv2543", "3.4.1 RFC 2543 syntax", Parsed),
];

fn read(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/rfc4475/{name}.dat", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn parsed(name: &str) -> Message {
    Message::parse_datagram(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn each_torture_message_comes_to_its_outcome() {
    for (name, section, expected) in EXPECTED {
        let outcome = match Message::parse_datagram(&read(name)) {
            Ok(_) => Parsed,
            Err(error) => match error.verdict {
                Verdict::Answer(status) => Answered(status),
                Verdict::Drop => Dropped,
            },
        };
        assert_eq!(outcome, expected, "{name} (§{section})");
    }
}

#[test]
fn every_answer_to_a_broken_one_is_itself_a_proper_message_that_goes_back_to_its_source() {
    let source = "203.0.113.9:5062".parse().unwrap();
    for (name, _, expected) in EXPECTED {
        let Answered(status) = expected else { continue };
        let error = Message::parse_datagram(&read(name)).unwrap_err();
        let answer = error.response(source, "ourtag").unwrap();
        assert_eq!(answer.status(), Some(status), "{name}");
        let top = answer.top_via().unwrap();
        assert_eq!(top.received(), Some(source.ip()), "{name}");
        // insuf had no From, To and Call-ID to copy; scalar02 and mismatches give their CSeq back as it was.
        if !["insuf", "scalar02", "quotbal", "badaspec", "baddn", "badvers"].contains(&name) {
            let again = Message::parse_datagram(&answer.to_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(again.to().unwrap().tag().is_some(), "{name}");
        }
    }
}

#[test]
fn what_is_accepted_goes_out_byte_for_byte() {
    for (name, _, expected) in EXPECTED {
        if expected != Parsed {
            continue;
        }
        let bytes = read(name);
        let message = parsed(name);
        let out = message.to_bytes();
        assert!(bytes.starts_with(&out), "{name}");
        if name != "dblreq" {
            assert_eq!(out.len(), bytes.len(), "{name}: nothing is cut off");
        }
        let again = Message::parse_datagram(&out).unwrap();
        assert!(again.all_headers().eq(message.all_headers()), "{name}");
    }
}

#[test]
fn a_line_without_a_colon_or_without_a_version_is_refused() {
    assert!(Message::parse_datagram(&read("test")).is_err());
}

#[test]
fn the_short_tortuous_invite_says_what_the_rfc_says() {
    let m = parsed("wsinv");
    assert_eq!(m.method(), Some(&Method::Invite));
    assert_eq!(m.request_uri().unwrap().param("unknownparam"), Some(""));
    assert_eq!(m.to().unwrap().tag(), Some("1918181833n"));
    let from = m.from().unwrap();
    assert_eq!(from.display.as_deref(), Some(r#"J Rosenberg \""#));
    assert_eq!(from.tag(), Some("98asjd8"));
    assert_eq!(m.max_forwards().unwrap(), Some(68));
    assert_eq!(m.cseq().unwrap().number, 9);
    assert_eq!(m.header("subject"), Some(""));
    assert_eq!(
        m.header("NewFangledHeader"),
        Some("newfangled value continued newfangled value")
    );
    assert_eq!(m.header("UnknownHeaderWithUnusualValue"), Some(";;,,;;,;"));
    let vias = m.vias().unwrap();
    let branches: Vec<_> = vias.iter().map(|via| via.branch().unwrap()).collect();
    assert_eq!(branches, ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]);
    let contact = m.contact().unwrap().unwrap();
    assert_eq!(contact.display.as_deref(), Some(r#"Quoted string """#));
    assert_eq!(contact.params.get("secondparam"), Some(""));
    assert_eq!(contact.params.get("q"), Some("0.33"));
    assert_eq!(m.routes("Route").unwrap().len(), 1);
    assert_eq!(m.sdp().unwrap().len(), 150);
}

#[test]
fn a_percent_escapes_only_where_the_grammar_has_escapes() {
    let m = parsed("esc01");
    assert_eq!(
        m.request_uri().unwrap().user().as_deref(),
        Some("sips:user@example.com")
    );
    assert_eq!(m.to().unwrap().uri.user().as_deref(), Some("user"));
    assert_eq!(m.from().unwrap().uri.user().as_deref(), Some("I have spaces"));
    let contact = m.contact().unwrap().unwrap();
    let same: Uri = "sip:caller@host5.example.net;lr;name=value%2541".parse().unwrap();
    assert!(contact.uri.matches(&same), "escapes are resolved once");

    let m = parsed("esc02");
    assert_eq!(m.method(), Some(&Method::Other("RE%47IST%45R".into())));
    assert_eq!(m.from().unwrap().display.as_deref(), Some("%Z%45"));
    assert_eq!(m.contacts().unwrap().len(), 2);

    let contacts = parsed("escnull").contacts().unwrap();
    assert_eq!(contacts[0].uri.user().as_deref(), Some("\0"));
    assert!(!contacts[0].uri.matches(&contacts[1].uri));
}

#[test]
fn odd_but_legal_characters_are_kept() {
    let m = parsed("intmeth");
    assert_eq!(
        m.method().unwrap().to_string(),
        "!interesting-Method0123456789_*+`.%indeed'~"
    );
    assert_eq!(m.call_id(), Some(r#"intmeth.word%ZK-!.*_+'@word`~)(><:\/"][?}{"#));
    assert_eq!(m.to().unwrap().display.as_deref(), Some("BEL:\u{7} NUL:\0 DEL:\u{7f}"));
    assert_eq!(m.from().unwrap().tag(), Some("_token~1'+`*%!-."));
    assert_eq!(
        parsed("semiuri").request_uri().unwrap().user().as_deref(),
        Some("user;par=u@example.net")
    );
}

#[test]
fn what_follows_the_body_of_a_datagram_is_not_part_of_the_message() {
    let m = parsed("dblreq");
    assert_eq!(m.method(), Some(&Method::Register));
    assert!(m.body().is_empty());
    assert!(m.to_bytes().ends_with(b"Content-Length: 0\r\n\r\n"));
}

#[test]
fn a_contact_parameter_is_the_headers_without_brackets_and_the_uris_within() {
    let header = parsed("cparam01").contact().unwrap().unwrap();
    assert_eq!(
        (header.params.get("unknownparam"), header.uri.param("unknownparam")),
        (Some(""), None)
    );
    let uri = parsed("cparam02").contact().unwrap().unwrap();
    assert_eq!(
        (uri.params.get("unknownparam"), uri.uri.param("unknownparam")),
        (None, Some(""))
    );
    let with_headers = parsed("regescrt").contact().unwrap().unwrap();
    assert_eq!(with_headers.uri.headers(), Some("Route=%3Csip:sip.example.com%3E"));
}

#[test]
fn binary_bodies_keep_their_nulls() {
    let m = parsed("mpart01");
    assert_eq!(m.body().len(), 553);
    assert!(m.body().contains(&0));
    assert_eq!(m.sdp(), None);
}

#[test]
fn an_old_invite_without_tag_branch_length_and_max_forwards_is_understood() {
    let m = parsed("inv2543");
    assert_eq!(m.from().unwrap().tag(), None);
    assert_eq!(m.top_via().unwrap().branch(), None);
    assert_eq!(m.max_forwards().unwrap(), None);
    assert!(m.sdp().unwrap().starts_with(b"v=0\r\n"));
    assert_eq!(m.to().unwrap().params.get("user"), Some("phone"));
}

#[test]
fn a_reason_phrase_may_be_unusual_or_empty() {
    assert!(parsed("unreason").phrase().unwrap().starts_with("= 2**3 * 5**2 "));
    assert_eq!(parsed("noreason").phrase(), Some(""));
}
