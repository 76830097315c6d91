//! REGISTER as its client (RFC 3261 §10.2, §22.2).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::sync::Arc;

use common::*;
use segue_sip::{Account, Candidate, Event, Protocol, Register, RegistrationId};
use segue_sip_wire::{DigestAlgorithm, Message};

const SERVER: &str = "127.0.0.5:5070";
const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"provider\", nonce=\"n1\", qop=\"auth\"\r\n";

struct Line {
    script: Script,
    id: RegistrationId,
}

impl Line {
    fn new(realm: &str) -> Line {
        let mut script = Script::of(endpoint(A, 1));
        let account = Account {
            realm: realm.to_owned(),
            username: "office".to_owned(),
            secret: "sesame".to_owned(),
            algorithms: vec![DigestAlgorithm::Md5],
            tls_only: false,
        };
        let id = script.endpoint.open_registration(Some(Arc::new(account)));
        Line { script, id }
    }

    /// Says it; what was sent.
    fn register(&mut self, expires_s: u32) -> Message {
        let server = Candidate {
            protocol: Protocol::Udp,
            remote: SERVER.parse().unwrap(),
        };
        let register = Register {
            registrar: "sip:provider.example".parse().unwrap(),
            identity: "sip:office@provider.example".parse().unwrap(),
            contact_user: "line7".to_owned(),
            expires_s,
            server: format!("sip:{SERVER}").parse().unwrap(),
            is_route: false,
        };
        let contact = self
            .script
            .endpoint
            .register(self.script.now, self.id, server, &register);
        assert_eq!(contact.unwrap().user().as_deref(), Some("line7"));
        self.sent().unwrap()
    }

    fn sent(&mut self) -> Option<Message> {
        let transmit = self.script.endpoint.poll_transmit()?;
        assert_eq!(transmit.peer.remote, SERVER.parse().unwrap());
        self.script.peer.remote = transmit.peer.remote;
        Some(Message::parse_datagram(&transmit.bytes).unwrap())
    }

    fn says(&mut self, request: &Message, status: u16, more: &str) {
        let header = |name| request.header(name).unwrap();
        let text = format!(
            "SIP/2.0 {status} So\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=t1\r\nCall-ID: {}\r\nCSeq: {}\r\n{more}Content-Length: 0\r\n\r\n",
            header("Via"),
            header("From"),
            header("To"),
            header("Call-ID"),
            header("CSeq")
        );
        let response = Message::parse_datagram(text.as_bytes()).unwrap();
        self.script
            .endpoint
            .handle_message(self.script.now, self.script.peer, response);
    }

    fn answered(&mut self) -> Vec<Option<u16>> {
        let events = std::iter::from_fn(|| self.script.endpoint.poll_event());
        let status = |event| match event {
            Event::RegisterAnswered { registration, response } => {
                assert_eq!(registration, self.id);
                response.and_then(|response| response.status())
            }
            other => panic!("{other:?}"),
        };
        events.map(status).collect()
    }
}

fn cseq(request: &Message) -> u32 {
    request.cseq().unwrap().number
}

#[test]
fn it_says_who_and_where_we_are_and_proves_it_when_asked() {
    let mut line = Line::new("");
    let first = line.register(3_600);
    assert_eq!(first.request_uri().unwrap().to_string(), "sip:provider.example");
    assert_eq!(first.header("To"), Some("<sip:office@provider.example>"));
    assert!(
        first
            .header("From")
            .unwrap()
            .starts_with("<sip:office@provider.example>;tag=")
    );
    assert_eq!(first.header("Contact"), Some("<sip:line7@127.0.0.1:5060>"));
    assert_eq!(first.header("Expires"), Some("3600"));
    assert_eq!(first.header("Supported"), Some("path"));
    assert_eq!(first.header("Authorization"), None);
    assert_eq!(line.script.endpoint.realm_of(line.id), None);

    line.says(&first, 401, CHALLENGE);
    assert_eq!(line.answered(), []);
    let second = line.sent().unwrap();
    assert_eq!(
        (cseq(&second), second.header("Call-ID")),
        (cseq(&first) + 1, first.header("Call-ID"))
    );
    let proof = second.header("Authorization").unwrap();
    assert!(
        proof.contains("username=\"office\"") && proof.contains("nc=00000001"),
        "{proof}"
    );
    line.says(&second, 200, "Contact: <sip:line7@127.0.0.1>;expires=60\r\n");
    assert_eq!(line.answered(), [Some(200)]);
    assert_eq!(line.script.endpoint.realm_of(line.id), Some("provider"));

    // Said again: the same Call-ID, the next CSeq, and the credentials at once.
    let third = line.register(0);
    assert_eq!(
        (cseq(&third), third.header("Call-ID"), third.header("From")),
        (cseq(&second) + 1, first.header("Call-ID"), first.header("From"))
    );
    assert!(third.header("Authorization").unwrap().contains("nc=00000002"));
    assert_eq!(third.header("Expires"), Some("0"));
}

#[test]
fn credentials_that_were_refused_are_not_sent_without_end() {
    let mut line = Line::new("provider");
    let mut request = line.register(60);
    let mut tries = 0;
    loop {
        line.says(&request, 401, CHALLENGE);
        let Some(next) = line.sent() else { break };
        (request, tries) = (next, tries + 1);
    }
    assert_eq!((tries, line.answered()), (1, vec![Some(401)]));
    // With `stale` once more, and that is all.
    let mut request = line.register(60);
    let mut tries = 0;
    let stale = CHALLENGE.replace("qop", "stale=true, qop");
    loop {
        line.says(&request, 401, &stale);
        let Some(next) = line.sent() else { break };
        (request, tries) = (next, tries + 1);
    }
    assert_eq!((tries, line.answered()), (2, vec![Some(401)]));
}

#[test]
fn another_realm_than_the_first_gets_no_credentials() {
    for realm in ["", "provider"] {
        let mut line = Line::new(realm);
        let request = line.register(60);
        line.says(&request, 401, CHALLENGE);
        let proven = line.sent().unwrap();
        line.says(&proven, 200, "");
        let other = line.register(60);
        line.says(
            &other,
            407,
            "Proxy-Authenticate: Digest realm=\"elsewhere\", nonce=\"n\"\r\n",
        );
        assert!(line.sent().is_none());
        assert_eq!(line.answered(), [Some(200), Some(407)]);
    }
}

#[test]
fn silence_is_told_and_what_is_closed_is_not_waited_for() {
    let mut line = Line::new("");
    line.register(60);
    while let Some(due) = line.script.endpoint.poll_timeout() {
        line.script.now = due;
        line.script.endpoint.handle_timeout(due);
    }
    assert_eq!(line.answered(), [None]);
    while line.sent().is_some() {}
    line.register(60);
    line.script.endpoint.close_registration(line.id);
    assert_eq!(line.script.endpoint.transaction_count(), 0);
    assert_eq!(line.answered(), []);
}
