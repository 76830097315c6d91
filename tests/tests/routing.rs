//! Names in the way of a call: a name server of the test, servers that fail and one that takes the call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{net::SocketAddr, time::Duration};

use segue_sip::{
    Candidate, Place, Protocol, Speaks,
    transport::{NotFound, Resolver},
};
use segue_tests::{
    names::{Manner, NameServer, Zone},
    segue::{Segue, sample},
    sipp::{Over, Seat, Sipp, free_port},
    wait::until,
};

fn here() -> std::net::IpAddr {
    std::net::Ipv4Addr::LOCALHOST.into()
}

/// The address of a name that a test gives out.
const ONE: [u8; 4] = [192, 0, 2, 1];

fn zone() -> Zone {
    Zone::default()
        .naptr("carrier.test", 10, "SIP+D2T", "_sip._tcp.carrier.test")
        .naptr("carrier.test", 20, "SIP+D2U", "_sip._udp.carrier.test")
        .srv("_sip._tcp.carrier.test", (1, 0, 5070), "gate.carrier.test")
        .srv("_sip._udp.carrier.test", (1, 0, 5060), "gate.carrier.test")
        .alias("gate.carrier.test", "host.carrier.test")
        .host("host.carrier.test", ONE.into())
}

fn resolver(servers: &[&NameServer]) -> Resolver {
    let any: SocketAddr = "127.0.0.1:5060".parse().unwrap();
    let speaks = Speaks::by(&[(Protocol::Udp, any), (Protocol::Tcp, any)]);
    Resolver::new(servers.iter().map(|server| server.at()).collect(), speaks)
}

fn place(uri: &str) -> Place {
    Place::of(&uri.parse().unwrap()).unwrap()
}

/// What the zone above says of its domain.
fn expected() -> Vec<Candidate> {
    let of = |protocol, port| Candidate {
        protocol,
        remote: SocketAddr::from((ONE, port)),
    };
    vec![of(Protocol::Tcp, 5070), of(Protocol::Udp, 5060)]
}

#[tokio::test]
async fn answers_are_followed_and_remembered_and_so_is_that_there_is_nothing() {
    let server = NameServer::start(zone(), Manner::Answers);
    let resolver = resolver(&[&server]);
    assert_eq!(resolver.locate(&place("sip:bob@carrier.test"), 1).await, Ok(expected()));
    let asked = server.asked();
    assert_eq!(asked[0], "NAPTR carrier.test");
    assert_eq!(
        resolver.locate(&place("sip:eve@Carrier.Test."), 2).await,
        Ok(expected())
    );
    let nobody = place("sip:bob@nowhere.test");
    let nowhere = Err(NotFound::Nowhere("nowhere.test".to_owned()));
    assert_eq!(resolver.locate(&nobody, 1).await, nowhere);
    let before = server.asked().len();
    assert!(before > asked.len());
    assert_eq!(resolver.locate(&nobody, 1).await, nowhere);
    assert_eq!(server.asked().len(), before, "nothing is asked twice");
}

#[tokio::test]
async fn another_server_is_asked_where_one_cannot_say_and_a_cut_answer_comes_whole_by_tcp() {
    let (fails, cuts) = (
        NameServer::start(zone(), Manner::Fails),
        NameServer::start(zone(), Manner::Cut),
    );
    let found = resolver(&[&fails, &cuts])
        .locate(&place("sip:bob@carrier.test"), 1)
        .await;
    assert_eq!(found, Ok(expected()));
    assert_eq!(fails.asked().len(), cuts.asked().len());
}

#[tokio::test]
async fn silence_of_the_name_servers_is_told_apart_and_ends() {
    let silent = NameServer::start(zone(), Manner::Silent);
    let found = resolver(&[&silent])
        .locate(&place("sip:bob@gate.carrier.test:5060"), 1)
        .await;
    assert_eq!(found, Err(NotFound::NoAnswer("gate.carrier.test".to_owned())));
    // Not remembered: the next search asks again.
    let other = NameServer::start(zone(), Manner::Answers);
    let found = resolver(&[&silent, &other])
        .locate(&place("sip:bob@gate.carrier.test:5060"), 1)
        .await;
    assert_eq!(found.map(|found| found.len()), Ok(1));
}

/// The first server of the domain refuses, the second says nothing at all, the third takes the call.
#[test]
fn a_call_goes_to_the_server_that_answers_of_those_that_dns_names() {
    let folder = tempfile::tempdir().unwrap();
    let seat = Seat::here(Over::Udp, 300);
    let callee = Sipp::seated(&folder.path().join("b"), "callee", "answer", seat, &[]);
    until("the callee to listen", Duration::from_secs(5), || {
        callee.listens().then_some(())
    });
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let service = "_sip._udp.pbx.test";
    let zone = Zone::default()
        .naptr("pbx.test", 10, "SIP+D2U", service)
        .srv(service, (1, 0, free_port(Over::Udp)), "one.pbx.test")
        .srv(service, (2, 0, silent.local_addr().unwrap().port()), "one.pbx.test")
        .srv(service, (3, 0, callee.port()), "one.pbx.test")
        .host("one.pbx.test", here());
    let names = NameServer::start(zone, Manner::Answers);
    let settings = format!("[sip]\nt1_ms = 50\nnameservers = [\"{}\"]\n", names.at());
    let segue = Segue::start_with(&folder.path().join("server"), &settings);
    segue.cli(&["clip", "add", "clip", &sample("clip.mp4").to_string_lossy()]);
    for (user, target) in [("bob", "sip:bob@pbx.test"), ("eve", "sip:eve@nowhere.test")] {
        segue.cli(&[
            "subscriber",
            "add",
            user,
            "--target",
            target,
            "--clip",
            "clip",
            "--hold",
            "1s",
        ]);
    }
    let server = segue.sip_udp();
    let call = |scenario: &str, user: &str, folder: &str| {
        let call_id = format!("{user}@routing");
        let folder = &tempfile::tempdir_in(folder).unwrap().keep();
        let caller = Sipp::caller(folder, scenario, (Over::Udp, 500), (user, server), &call_id);
        caller.finish().unwrap_or_else(|why| panic!("{user}: {why}"));
        let wait = [
            "wait",
            "call",
            "--sip-call-id",
            &call_id,
            "--state",
            "ended",
            "--timeout",
            "10s",
        ];
        segue.cli(&wait)
    };
    let at = folder.path().to_str().unwrap();
    let bob = call("plain", "bob", at);
    assert_eq!(bob["result"], "answered", "{bob:#}");
    callee.finish().unwrap();
    let mut heard = [0; 2_000];
    let (len, _) = silent.recv_from(&mut heard).unwrap();
    assert!(
        heard[..len].starts_with(b"INVITE sip:bob@pbx.test SIP/2.0"),
        "the Request-URI stays"
    );
    // Who has no server at all is told from who is silent, in the log; the caller gets the mailbox.
    let eve = call("hang_up_at_greeting", "eve", at);
    assert_eq!(eve["cause"], 503, "{eve:#}");
    let log = segue.log_text();
    assert!(log.contains("no name server knows an address of nowhere.test"), "{log}");
    assert!(log.contains("sip.nameservers"), "{log}");
}
