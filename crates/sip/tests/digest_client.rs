//! Our credentials for who asks for them (RFC 3261 §22.2, RFC 8760 §2.4), in virtual time.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::sync::Arc;

use common::*;
use md5::Digest;
use segue_sip::{Account, Protocol, SessionId};
use segue_sip_wire::{Credentials, DigestAlgorithm, Message};

fn account() -> Account {
    Account {
        realm: "trunk.example".to_owned(),
        username: "segue".to_owned(),
        secret: "s3cret".to_owned(),
        algorithms: vec![DigestAlgorithm::Sha256, DigestAlgorithm::Md5],
        tls_only: false,
    }
}

/// Ours, calling a peer written by hand.
fn calling(account: Account) -> (Script, SessionId, Message) {
    let mut script = Script::of(endpoint(A, 1));
    let id = script.endpoint.invite(script.now, Net::new(1).outgoing());
    script.endpoint.set_account(id, Arc::new(account));
    script.peer.remote = addr(B);
    let invite = script.hear().remove(0);
    (script, id, invite)
}

/// A response to one of our requests.
fn response(request: &Message, status: u16, tag: &str, more: &str) -> String {
    let line = |name: &str| format!("{name}: {}\r\n", request.header(name).unwrap());
    let to = request.header("To").unwrap();
    let tag = if to.contains("tag=") {
        String::new()
    } else {
        format!(";tag={tag}")
    };
    format!(
        "SIP/2.0 {status} X\r\n{}{}To: {to}{tag}\r\n{}{}Contact: <sip:bob@127.0.0.2>\r\n{more}Content-Length: 0\r\n\r\n",
        line("Via"),
        line("From"),
        line("Call-ID"),
        line("CSeq"),
    )
}

fn challenge(header: &str, realm: &str, nonce: &str, more: &str) -> String {
    format!("{header}: Digest realm=\"{realm}\", nonce=\"{nonce}\"{more}\r\n")
}

fn www(nonce: &str, more: &str) -> String {
    challenge(
        "WWW-Authenticate",
        "trunk.example",
        nonce,
        &format!(", qop=\"auth\"{more}"),
    )
}

/// The request, not an ACK, among what was sent.
fn the(method: &str, sent: Vec<Message>) -> Message {
    let mut of = sent.into_iter().filter(|message| brief(message) == method);
    let found = of.next().unwrap_or_else(|| panic!("no {method}"));
    assert!(of.next().is_none(), "more than one {method}");
    found
}

fn credentials(request: &Message, header: &str) -> Credentials {
    request
        .header(header)
        .unwrap_or_else(|| panic!("no {header}"))
        .parse()
        .unwrap()
}

/// Whether the response is that of the secret, computed here (RFC 7616 §3.4.1).
fn is_right(request: &Message, credentials: &Credentials, body: Option<&[u8]>) -> bool {
    let hash = |text: &[u8]| -> String {
        let bytes = match credentials.algorithm {
            DigestAlgorithm::Md5 => md5::Md5::digest(text).to_vec(),
            DigestAlgorithm::Sha256 => ring::digest::digest(&ring::digest::SHA256, text).as_ref().to_vec(),
            DigestAlgorithm::Sha512_256 => ring::digest::digest(&ring::digest::SHA512_256, text).as_ref().to_vec(),
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    assert_eq!(credentials.uri, request.request_uri().unwrap().to_string());
    let a1 = hash(b"segue:trunk.example:s3cret");
    let mut a2 = format!("{}:{}", request.method().unwrap(), credentials.uri);
    if let Some(body) = body {
        a2 = format!("{a2}:{}", hash(body));
    }
    let used = credentials.protection.as_ref().unwrap();
    let (nonce, qop) = (&credentials.nonce, &used.qop);
    let whole = format!(
        "{a1}:{nonce}:{:08x}:{}:{qop}:{}",
        used.count,
        used.cnonce,
        hash(a2.as_bytes())
    );
    credentials.response == hash(whole.as_bytes())
}

#[test]
fn an_invite_is_made_again_with_the_first_challenge_that_we_know() {
    let (mut script, id, invite) = calling(account());
    let unknown = www("n0", ", algorithm=SHA-1024");
    let sha = www("n1", ", algorithm=SHA-256, opaque=\"o\"");
    let md5 = www("n2", ", algorithm=MD5");
    let sent = script.say(&response(&invite, 401, "x", &format!("{unknown}{sha}{md5}")));
    assert_eq!(statuses(&sent), ["ACK", "INVITE"]);
    let again = the("INVITE", sent);
    let given = credentials(&again, "Authorization");
    assert_eq!((given.nonce.as_str(), given.opaque.as_deref()), ("n1", Some("o")));
    assert_eq!(given.protection.as_ref().unwrap().count, 1);
    assert!(is_right(&again, &given, None));
    // "… the same Call-ID, To, and From …, the CSeq one higher" (§8.1.3.5), and a transaction of its own.
    for name in ["Call-ID", "From", "To", "Contact", "Content-Type"] {
        assert_eq!(again.header(name), invite.header(name), "{name}");
    }
    assert_eq!(again.body(), invite.body());
    assert_eq!(again.cseq().unwrap().number, invite.cseq().unwrap().number + 1);
    assert_ne!(again.top_via().unwrap().branch(), invite.top_via().unwrap().branch());

    let ack = the("ACK", script.say(&response(&again, 200, "b", "")));
    assert_eq!(
        ack.header("Authorization"),
        again.header("Authorization"),
        "as its INVITE (§22.1)"
    );
    script.endpoint.bye(script.now, id, None).unwrap();
    let bye = the("BYE", script.hear());
    let given = credentials(&bye, "Authorization");
    assert_eq!(
        (given.nonce.as_str(), given.protection.as_ref().unwrap().count),
        ("n1", 2)
    );
    assert!(is_right(&bye, &given, None));
    script.say(&response(&bye, 200, "b", ""));
    assert_eq!(script.told(), ["Answered", "Terminated"]);
}

#[test]
fn credentials_that_are_refused_are_not_sent_again_unless_their_nonce_was_too_old() {
    let (mut script, _, invite) = calling(account());
    let again = the("INVITE", script.say(&response(&invite, 401, "x", &www("n1", ""))));
    let sent = script.say(&response(&again, 401, "x", &www("n2", "")));
    assert_eq!(statuses(&sent), ["ACK"]);
    assert_eq!(script.told(), ["Failed 401", "Terminated"]);

    let (mut script, _, mut invite) = calling(account());
    for nonce in ["n1", "n2"] {
        invite = the(
            "INVITE",
            script.say(&response(&invite, 401, "x", &www(nonce, ", stale=true"))),
        );
        assert_eq!(credentials(&invite, "Authorization").nonce, nonce);
    }
    // At most two retries.
    let sent = script.say(&response(&invite, 401, "x", &www("n3", ", stale=true")));
    assert_eq!(statuses(&sent), ["ACK"]);
    assert_eq!(script.told(), ["Failed 401", "Terminated"]);
}

#[test]
fn no_other_realm_and_no_way_in_clear_gets_them() {
    let other = challenge("WWW-Authenticate", "evil.example", "n", ", qop=\"auth\"");
    let basic = "WWW-Authenticate: Basic realm=\"trunk.example\"\r\n".to_owned();
    let weak = Account {
        algorithms: vec![DigestAlgorithm::Sha256],
        ..account()
    };
    let secure = Account {
        tls_only: true,
        ..account()
    };
    for (account, challenge) in [
        (account(), other),
        (account(), basic),
        (weak, www("n", ", algorithm=MD5")),
        (secure, www("n", "")),
    ] {
        let (mut script, _, invite) = calling(account);
        let sent = script.say(&response(&invite, 401, "x", &challenge));
        assert_eq!(statuses(&sent), ["ACK"], "{challenge}");
        assert_eq!(script.told(), ["Failed 401", "Terminated"], "{challenge}");
    }
}

#[test]
fn the_profiles_algorithms_decide_where_they_are_fewer() {
    let only = Account {
        algorithms: vec![DigestAlgorithm::Sha512_256],
        ..account()
    };
    let (mut script, _, invite) = calling(only);
    let all = ["MD5", "SHA-256", "SHA-512-256"].map(|name| www(name, &format!(", algorithm={name}")));
    let again = the("INVITE", script.say(&response(&invite, 401, "x", &all.concat())));
    let given = credentials(&again, "Authorization");
    assert_eq!(given.algorithm, DigestAlgorithm::Sha512_256);
    assert!(is_right(&again, &given, None));
}

#[test]
fn a_proxy_and_the_callee_may_both_ask() {
    let (mut script, _, invite) = calling(account());
    let proxy = challenge("Proxy-Authenticate", "trunk.example", "p", ", qop=\"auth\"");
    let second = the("INVITE", script.say(&response(&invite, 407, "x", &proxy)));
    assert!(second.header("Authorization").is_none());
    let third = the("INVITE", script.say(&response(&second, 401, "x", &www("u", ""))));
    let (ours, theirs) = (
        credentials(&third, "Authorization"),
        credentials(&third, "Proxy-Authorization"),
    );
    assert_eq!((ours.nonce.as_str(), theirs.nonce.as_str()), ("u", "p"));
    assert_eq!(theirs.protection.as_ref().unwrap().count, 2);
    assert!(is_right(&third, &ours, None) && is_right(&third, &theirs, None));
}

#[test]
fn the_body_is_protected_where_only_that_is_offered() {
    let (mut script, _, invite) = calling(account());
    let asked = challenge("WWW-Authenticate", "trunk.example", "n", ", qop=\"auth-int\"");
    let again = the("INVITE", script.say(&response(&invite, 401, "x", &asked)));
    let given = credentials(&again, "Authorization");
    assert_eq!(given.protection.as_ref().unwrap().qop, "auth-int");
    assert!(is_right(&again, &given, Some(again.body())));
}

#[test]
fn prack_update_and_reinvite_are_made_again_too_each_with_the_next_cseq() {
    let (mut script, id, invite) = calling(account());
    let reliable = "Require: 100rel\r\nRSeq: 7\r\nAllow: INVITE, UPDATE\r\nContent-Type: application/sdp\r\n";
    let ringing =
        response(&invite, 183, "b", reliable).replace("Content-Length: 0\r\n\r\n", "Content-Length: 5\r\n\r\nv=0\r\n");
    let prack = the("PRACK", script.say(&ringing));
    let again = the("PRACK", script.say(&response(&prack, 401, "b", &www("n1", ""))));
    assert_eq!(again.header("RAck"), prack.header("RAck"));
    assert_eq!(again.cseq().unwrap().number, prack.cseq().unwrap().number + 1);
    assert!(is_right(&again, &credentials(&again, "Authorization"), None));
    script.say(&response(&again, 200, "b", ""));

    script.endpoint.offer(script.now, id, sdp("new")).unwrap();
    let update = the("UPDATE", script.hear());
    assert_eq!(credentials(&update, "Authorization").protection.unwrap().count, 2);
    let again = the(
        "UPDATE",
        script.say(&response(&update, 401, "b", &www("n2", ", stale=true"))),
    );
    assert_eq!(again.cseq().unwrap().number, update.cseq().unwrap().number + 1);
    assert!(is_right(&again, &credentials(&again, "Authorization"), None));
    script.say(&response(&again, 200, "b", ""));
    script.say(&response(&invite, 200, "b", ""));

    script.endpoint.offer(script.now, id, sdp("newer")).unwrap();
    let reinvite = the("INVITE", script.hear());
    let again = the(
        "INVITE",
        script.say(&response(&reinvite, 401, "b", &www("n3", ", stale=true"))),
    );
    assert_eq!(again.cseq().unwrap().number, reinvite.cseq().unwrap().number + 1);
    script.say(&response(&again, 200, "b", ""));
    script.endpoint.bye(script.now, id, None).unwrap();
    let bye = the("BYE", script.hear());
    assert_eq!(bye.cseq().unwrap().number, again.cseq().unwrap().number + 1);
    let last = the("BYE", script.say(&response(&bye, 401, "b", &www("n4", ", stale=true"))));
    script.say(&response(&last, 200, "b", ""));
    let told: Vec<_> = script
        .told()
        .into_iter()
        .filter(|event| event != "Provisional 183")
        .collect();
    assert_eq!(told, ["OfferAnswered", "Answered", "OfferAnswered", "Terminated"]);
}

#[test]
fn a_fork_that_lost_is_told_bye_with_credentials() {
    let (mut script, _, invite) = calling(account());
    let invite = the("INVITE", script.say(&response(&invite, 401, "x", &www("n1", ""))));
    script.say(&response(&invite, 200, "first", ""));
    let bye = the("BYE", script.say(&response(&invite, 200, "second", "")));
    assert!(is_right(&bye, &credentials(&bye, "Authorization"), None));
    let again = the(
        "BYE",
        script.say(&response(&bye, 401, "second", &www("n2", ", stale=true"))),
    );
    assert_eq!(credentials(&again, "Authorization").nonce, "n2");
}

#[test]
fn a_callers_side_is_answered_as_well() {
    let mut script = Script::default();
    script.say(&request("INVITE", 1, "i1", None, ""));
    let id = script.session();
    script.endpoint.set_account(id, Arc::new(account()));
    script.endpoint.answer(script.now, id, Some(sdp("answer"))).unwrap();
    let tag = to_tag(&script.hear()[0]);
    script.say(&request("ACK", 1, "k1", Some(&tag), ""));
    script.endpoint.bye(script.now, id, None).unwrap();
    let bye = the("BYE", script.hear());
    let proxy = challenge("Proxy-Authenticate", "trunk.example", "p", ", qop=\"auth\"");
    let again = the("BYE", script.say(&response(&bye, 407, "", &proxy)));
    assert!(is_right(&again, &credentials(&again, "Proxy-Authorization"), None));
}

#[test]
fn who_is_cancelled_meanwhile_is_not_called_again() {
    let (mut script, id, invite) = calling(account());
    script.endpoint.cancel(script.now, id, None).unwrap();
    let sent = script.say(&response(&invite, 401, "x", &www("n1", "")));
    assert_eq!(statuses(&sent), ["ACK"]);
    assert_eq!(script.told(), ["Failed 401", "Terminated"]);
}

#[test]
fn by_tcp_where_transactions_end_at_once() {
    let mut script = Script::of(endpoint_with(A, 1, &[Protocol::Tcp], 10));
    let id = script.endpoint.invite(script.now, Net::new(1).outgoing());
    script.endpoint.set_account(id, Arc::new(account()));
    let invite = script.hear().remove(0);
    script.peer.protocol = Protocol::Tcp;
    let again = the("INVITE", script.say(&response(&invite, 401, "x", &www("n1", ""))));
    assert!(is_right(&again, &credentials(&again, "Authorization"), None));
}
