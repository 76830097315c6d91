//! Tests: in which order servers are tried.

use segue_policy::{NextHop, TrunkServer};
use segue_sip::Protocol;

use super::*;

fn setup(servers: &[(&str, u16, u16)]) -> TrunkSetup {
    let server = |(uri, order, weight): &(&str, u16, u16)| TrunkServer {
        uri: uri.parse::<NextHop>().unwrap(),
        order: *order,
        weight: *weight,
    };
    TrunkSetup {
        trunk: Trunk {
            name: "main".to_owned(),
            servers: servers.iter().map(server).collect(),
            ping_down: 1,
            ..Trunk::default()
        },
        account: None,
    }
}

fn trunks(servers: &[(&str, u16, u16)]) -> Trunks {
    Trunks::new(&[setup(servers)], Duration::from_millis(500), 1)
}

fn order(trunks: &mut Trunks) -> Vec<String> {
    let hosts = trunks.servers("main").into_iter();
    hosts.map(|hop| hop.uri.host().unwrap().to_string()).collect()
}

fn named(uri: &Uri) -> Option<Candidate> {
    let remote = format!("{}:5060", uri.host()?).parse().ok()?;
    Some(Candidate {
        protocol: Protocol::Udp,
        remote,
    })
}

#[test]
fn servers_without_weights_are_tried_as_they_stand_in_the_list() {
    let mut trunks = trunks(&[("10.0.0.3", 0, 0), ("10.0.0.1", 1, 0), ("10.0.0.2", 0, 0)]);
    for _ in 0..20 {
        assert_eq!(order(&mut trunks), ["10.0.0.3", "10.0.0.2", "10.0.0.1"]);
    }
    assert!(trunks.servers("other").is_empty());
}

#[test]
fn weights_share_the_calls_among_servers_of_one_order() {
    let mut trunks = trunks(&[
        ("10.0.0.1", 0, 30),
        ("10.0.0.2", 0, 10),
        ("10.0.0.3", 0, 0),
        ("10.0.0.4", 1, 9),
    ]);
    let mut first = 0;
    for _ in 0..4_000 {
        let order = order(&mut trunks);
        assert_eq!(order[2..], ["10.0.0.3", "10.0.0.4"]);
        first += u32::from(order[0] == "10.0.0.1");
    }
    assert!((2_850..3_150).contains(&first), "three of four: {first}");
}

#[test]
fn one_that_is_down_comes_last_whatever_its_order() {
    #[allow(clippy::disallowed_methods)] // An `Instant` has no other beginning; nothing depends on it.
    let mut now = Instant::now();
    let mut trunks = trunks(&[("10.0.0.1", 0, 0), ("10.0.0.2", 1, 0)]);
    let mut told = Vec::new();
    while told.is_empty() {
        for wish in trunks.due(now, named) {
            match wish {
                Wish::Ping(id, _) if id.at.remote.ip().to_string() == "10.0.0.1" => {
                    told.extend(trunks.pinged(now, &id, None));
                }
                Wish::Ping(id, _) => assert_eq!(trunks.pinged(now, &id, Some(PingId(7))), None),
                other => panic!("{other:?}"),
            }
        }
        now = trunks.poll_timeout().unwrap_or(now);
    }
    assert_eq!(told[0].change.to, Condition::Down);
    assert_eq!(order(&mut trunks), ["10.0.0.2", "10.0.0.1"]);
    assert_eq!(trunks.down().len(), 1);
}

/// Two names of one server: each entry of it has pings of its own.
#[test]
fn a_server_that_stands_there_by_two_names_is_pinged_for_each() {
    #[allow(clippy::disallowed_methods)] // An `Instant` has no other beginning; nothing depends on it.
    let mut now = Instant::now();
    let mut trunks = trunks(&[("10.0.0.1:5060", 0, 0), ("10.0.0.1", 1, 0)]);
    let mut pings = 0;
    for _ in 0..20 {
        for wish in trunks.due(now, named) {
            let Wish::Ping(id, _) = wish else { panic!("{wish:?}") };
            pings += 1;
            assert_eq!(trunks.pinged(now, &id, Some(PingId(pings))), None);
            assert!(trunks.ponged(now, PingId(pings), Some(200)).is_some());
        }
        now = trunks.poll_timeout().unwrap_or(now);
    }
    let up = trunks
        .nodes()
        .filter(|(_, node)| node.probe.condition() == Condition::Up);
    assert_eq!((up.count(), trunks.pings.len()), (2, 0));
}

#[test]
fn pings_that_nobody_answers_are_forgotten() {
    #[allow(clippy::disallowed_methods)] // An `Instant` has no other beginning; nothing depends on it.
    let mut now = Instant::now();
    let mut trunks = trunks(&[("10.0.0.1", 0, 0), ("10.0.0.2", 1, 0)]);
    let (mut pings, mut forgotten) = (0, 0);
    while pings < 200 {
        for wish in trunks.due(now, named) {
            match wish {
                Wish::Ping(id, _) => {
                    pings += 1;
                    assert_eq!(trunks.pinged(now, &id, Some(PingId(pings))), None);
                }
                Wish::Forget(_) => forgotten += 1,
                Wish::Told(_) => {}
                Wish::LookUp(..) | Wish::Register(_) | Wish::Close(_) | Wish::Stands(_) => panic!("{wish:?}"),
            }
        }
        now = trunks.poll_timeout().unwrap_or(now);
    }
    assert!(trunks.pings.len() <= 2, "{} are kept", trunks.pings.len());
    assert_eq!(forgotten + trunks.pings.len(), 200);
}

#[test]
fn whatever_has_happened_it_is_known_when_there_is_something_to_do() {
    #[allow(clippy::disallowed_methods)] // An `Instant` has no other beginning; nothing depends on it.
    let begun = Instant::now();
    let mut now = begun;
    let all = setup(&[("10.0.0.1", 0, 0), ("10.0.0.2", 1, 0), ("sip.example", 2, 0)]);
    let mut trunks = Trunks::new(std::slice::from_ref(&all), Duration::from_millis(500), 1);
    let (mut pings, mut look_ups) = (0, 0);
    let next = |trunks: &Trunks, what: &str| assert!(trunks.poll_timeout().is_some(), "after {what}");
    for _ in 0..1_000 {
        for wish in trunks.due(now, named) {
            match wish {
                Wish::Ping(id, _) => {
                    pings += 1;
                    trunks.pinged(now, &id, (pings % 5 != 0).then_some(PingId(pings)));
                    next(&trunks, "a ping");
                    if pings % 3 == 0 {
                        trunks.ponged(now, PingId(pings), Some(200));
                        next(&trunks, "an answer");
                    }
                    if pings % 7 == 0 {
                        trunks.paused(now, id.at, Duration::from_secs(20));
                        next(&trunks, "a pause");
                    }
                    if pings % 11 == 0 {
                        trunks.set(std::slice::from_ref(&all));
                        next(&trunks, "other trunks");
                    }
                }
                Wish::LookUp(place, _) => {
                    look_ups += 1;
                    let found = named(&"sip:10.0.0.3".parse().unwrap()).unwrap();
                    trunks.located(now, &place, &[found]);
                    next(&trunks, "a look-up");
                }
                Wish::Forget(_) | Wish::Told(_) | Wish::Register(_) | Wish::Close(_) | Wish::Stands(_) => {}
            }
        }
        now = now.max(trunks.poll_timeout().unwrap());
    }
    let minutes = now.saturating_duration_since(begun).as_secs() / 60;
    assert!(minutes > 30, "{minutes}");
    // Three servers, each every half a minute and what a lost ping and a pause take.
    assert!((minutes * 3..minutes * 8).contains(&pings), "{pings} in {minutes} min");
    assert!(look_ups >= minutes, "{look_ups} in {minutes} min");
    trunks.set(&[]);
    assert_eq!(trunks.poll_timeout(), None);
}
