//! From records to servers in order (RFC 3263 §4, RFC 2782).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use segue_sip::{Candidate, Known, Place, Protocol, Question, Record, Speaks, Step, locate};

/// A zone: everything that is not in it does not exist.
#[derive(Default)]
struct Zone(Known);

impl Zone {
    fn naptr(mut self, domain: &str, order: u16, preference: u16, service: &str, to: &str) -> Zone {
        let record = Record::Naptr {
            order,
            preference,
            flags: "S".into(),
            service: service.into(),
            replacement: to.into(),
        };
        self.0.entry(Question::Naptr(domain.into())).or_default().push(record);
        self
    }

    fn srv(mut self, name: &str, (priority, weight, port): (u16, u16, u16), target: &str) -> Zone {
        let target = target.into();
        let record = Record::Srv {
            priority,
            weight,
            port,
            target,
        };
        self.0.entry(Question::Srv(name.into())).or_default().push(record);
        self
    }

    fn host(mut self, name: &str, ip: &str) -> Zone {
        let ip: std::net::IpAddr = ip.parse().unwrap();
        let question = match ip.is_ipv4() {
            true => Question::A(name.into()),
            false => Question::Aaaa(name.into()),
        };
        self.0.entry(question).or_default().push(Record::Address(ip));
        self
    }

    /// The servers of a URI, and what was asked on the way.
    fn search(&self, uri: &str, speaks: &Speaks, seed: u64) -> (Vec<String>, Vec<Question>) {
        let place = Place::of(&uri.parse().unwrap()).unwrap();
        let (mut known, mut asked) = (Known::new(), Vec::new());
        for _ in 0..10 {
            match locate(&place, speaks, &known, seed) {
                Step::Try(found) => return (found.iter().map(shown).collect(), asked),
                Step::Ask(questions) => {
                    for question in questions {
                        assert!(!asked.contains(&question), "{question:?} was asked twice");
                        known.insert(question.clone(), self.0.get(&question).cloned().unwrap_or_default());
                        asked.push(question);
                    }
                }
            }
        }
        panic!("the search never ends");
    }

    fn servers(&self, uri: &str) -> Vec<String> {
        self.search(uri, &all(), 1).0
    }
}

fn shown(candidate: &Candidate) -> String {
    format!("{} {}", candidate.protocol.as_str(), candidate.remote)
}

fn speaks(ways: &[(Protocol, &str)]) -> Speaks {
    let ways: Vec<_> = ways.iter().map(|(p, at)| (*p, at.parse().unwrap())).collect();
    Speaks::by(&ways)
}

fn all() -> Speaks {
    let of = |p| [(p, "10.0.0.1:5060"), (p, "[::1]:5060")];
    speaks(&[of(Protocol::Udp), of(Protocol::Tcp), of(Protocol::Tls)].concat())
}

/// The example of RFC 3263 §4.1, with its other host.
fn example() -> Zone {
    Zone::default()
        .naptr("example.com", 50, 50, "SIPS+D2T", "_sips._tcp.example.com")
        .naptr("example.com", 100, 50, "SIP+D2U", "_sip._udp.example.com")
        .naptr("example.com", 90, 50, "SIP+D2T", "_sip._tcp.example.com")
        .naptr("example.com", 10, 50, "SIP+D2S", "_sip._sctp.example.com")
        .srv("_sips._tcp.example.com", (0, 1, 5061), "s1.example.com")
        .srv("_sip._tcp.example.com", (0, 1, 5060), "s1.example.com")
        .srv("_sip._udp.example.com", (0, 1, 5070), "s2.example.com")
        .host("s1.example.com", "192.0.2.1")
        .host("s2.example.com", "192.0.2.2")
        .host("s2.example.com", "2001:db8::2")
        .host("example.com", "192.0.2.9")
}

#[test]
fn naptr_prefers_the_lowest_order_that_we_speak() {
    let udp2 = ["UDP [2001:db8::2]:5070", "UDP 192.0.2.2:5070"];
    assert_eq!(
        example().servers("sip:bob@example.com"),
        [&["TLS 192.0.2.1:5061", "TCP 192.0.2.1:5060"][..], &udp2].concat()
    );
    let plain = speaks(&[(Protocol::Udp, "10.0.0.1:5060"), (Protocol::Tcp, "10.0.0.1:5060")]);
    let (found, asked) = example().search("sip:bob@example.com", &plain, 1);
    assert_eq!(found, ["TCP 192.0.2.1:5060", "UDP 192.0.2.2:5070"]);
    assert!(
        !asked.iter().any(|q| matches!(q, Question::Aaaa(_))),
        "nothing of ours reaches IPv6"
    );
    assert!(asked.contains(&Question::Naptr("example.com".into())));
}

#[test]
fn a_sips_uri_goes_by_tls_alone() {
    assert_eq!(example().servers("sips:bob@example.com"), ["TLS 192.0.2.1:5061"]);
    let without = Zone::default().host("example.com", "192.0.2.9");
    assert_eq!(without.servers("sips:bob@example.com"), ["TLS 192.0.2.9:5061"]);
}

#[test]
fn a_port_wants_addresses_and_a_transport_its_own_srv() {
    let (found, asked) = example().search("sip:bob@example.com:5080", &all(), 1);
    assert_eq!(found, ["UDP 192.0.2.9:5080"]);
    assert!(
        asked.iter().all(|q| matches!(q, Question::A(_) | Question::Aaaa(_))),
        "{asked:?}"
    );
    assert_eq!(
        example().servers("sip:bob@example.com:5080;transport=tcp"),
        ["TCP 192.0.2.9:5080"]
    );
    let (found, asked) = example().search("sip:bob@example.com;transport=tcp", &all(), 1);
    assert_eq!(found, ["TCP 192.0.2.1:5060"]);
    assert_eq!(asked[0], Question::Srv("_sip._tcp.example.com".into()));
}

#[test]
fn without_naptr_each_transport_has_its_srv_and_without_those_the_name_has_addresses() {
    let zone = Zone::default()
        .srv("_sip._tcp.example.com", (0, 1, 5060), "s1.example.com")
        .host("s1.example.com", "192.0.2.1");
    assert_eq!(zone.servers("sip:bob@example.com"), ["TCP 192.0.2.1:5060"]);
    let zone = Zone::default()
        .host("example.com", "192.0.2.9")
        .host("example.com", "2001:db8::9");
    assert_eq!(
        zone.servers("sip:bob@example.com"),
        ["UDP [2001:db8::9]:5060", "UDP 192.0.2.9:5060"]
    );
    assert_eq!(Zone::default().servers("sip:bob@example.com"), [""; 0]);
}

#[test]
fn a_service_that_is_decidedly_not_there_is_not_looked_for_at_the_name() {
    let zone = Zone::default()
        .srv("_sip._udp.example.com", (0, 0, 0), "")
        .host("example.com", "192.0.2.9");
    assert_eq!(zone.servers("sip:bob@example.com;transport=udp"), [""; 0]);
}

#[test]
fn priorities_come_in_order_and_weights_share_the_first_place() {
    let zone = Zone::default()
        .srv("_sip._udp.example.com", (10, 60, 5060), "big.example.com")
        .srv("_sip._udp.example.com", (10, 20, 5060), "small.example.com")
        .srv("_sip._udp.example.com", (10, 20, 5060), "other.example.com")
        .srv("_sip._udp.example.com", (10, 0, 5060), "last.example.com")
        .srv("_sip._udp.example.com", (20, 0, 5060), "backup.example.com")
        .host("big.example.com", "192.0.2.1")
        .host("small.example.com", "192.0.2.2")
        .host("other.example.com", "192.0.2.3")
        .host("last.example.com", "192.0.2.4")
        .host("backup.example.com", "192.0.2.5");
    let mut first = BTreeMap::<String, u32>::new();
    for seed in 0..2_000 {
        let (found, _) = zone.search("sip:bob@example.com;transport=udp", &all(), seed);
        assert_eq!(found.len(), 5);
        assert_eq!(found[4], "UDP 192.0.2.5:5060", "the lower priority comes last");
        *first.entry(found[0].clone()).or_default() += 1;
        assert_eq!(zone.search("sip:bob@example.com;transport=udp", &all(), seed).0, found);
    }
    let share = |ip: &str| first.get(&format!("UDP {ip}:5060")).copied().unwrap_or_default();
    for (ip, of_2000) in [
        ("192.0.2.1", 1_200),
        ("192.0.2.2", 400),
        ("192.0.2.3", 400),
        ("192.0.2.4", 20),
    ] {
        let (got, wanted) = (f64::from(share(ip)), f64::from(of_2000));
        // Four standard deviations of a fixed set of seeds.
        assert!(
            (got - wanted).abs() < 4.0 * wanted.sqrt().max(5.0),
            "{ip}: {got} of {wanted}"
        );
    }
}

#[test]
fn what_a_zone_says_is_bounded() {
    let mut zone = Zone::default();
    for n in 0..200 {
        let host = format!("h{n}.example.com");
        zone = zone.srv("_sip._udp.example.com", (1, 1, 5060), &host);
        for m in 0..50 {
            zone = zone.host(&host, &format!("10.1.{n}.{m}"));
        }
    }
    let (found, asked) = zone.search("sip:bob@example.com;transport=udp", &all(), 1);
    assert_eq!(found.len(), segue_sip::CANDIDATES_MAX);
    assert!(asked.len() <= 1 + 2 * segue_sip::CANDIDATES_MAX, "{}", asked.len());
    let long = format!("sip:bob@{}.example.com", vec!["a".repeat(50); 6].join("."));
    assert_eq!(Zone::default().servers(&long), [""; 0]);
}

#[test]
fn localhost_is_here_and_nobody_is_asked() {
    let (found, asked) = Zone::default().search("sip:bob@localhost", &all(), 1);
    assert_eq!(found, ["UDP [::1]:5060", "UDP 127.0.0.1:5060"]);
    assert!(!asked.iter().any(|q| &**q.name() == "localhost"), "{asked:?}");
}
