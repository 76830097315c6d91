//! Callees who are no subscribers: their calls go on, by Route and by the profile's next hop; two servers that are each other's next
//! hop stop them.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use segue_tests::{
    segue::Segue,
    sipp::{Over, Sipp},
    wait::until,
};
use serde_json::Value;

/// A server whose unknown callees go on to this port.
fn server(folder: &Path, next_hop: Option<u16>) -> Segue {
    server_of(folder, next_hop, "")
}

/// The same with more in its profile.
fn server_of(folder: &Path, next_hop: Option<u16>, more: &str) -> Segue {
    let profiles = folder.join("profiles");
    fs::create_dir_all(&profiles).unwrap();
    let hop = next_hop.map_or(String::new(), |port| format!("127.0.0.1:{port}"));
    let profile = format!(
        "name = \"onward\"\nsources = [\"127.0.0.0/8\"]\nunknown_callee = \"forward\"\nringing_status = 180\n\
         next_hop = {hop:?}\ndestinations = [\"+49*\", \"127.0.0.1\"]\n{more}"
    );
    fs::write(profiles.join("onward.toml"), profile).unwrap();
    Segue::start_with(folder, &format!("profiles_dir = {profiles:?}\n"))
}

fn only_call(segue: &Segue) -> Value {
    let row = until("the record", Duration::from_secs(10), || {
        let rows = segue.rows(&["call", "list"]);
        (segue.health()["calls"] == 0 && !rows.is_empty()).then(|| rows[0].clone())
    });
    segue.cli(&["call", "show", row["id"].as_str().unwrap()])
}

#[test]
fn a_call_to_no_subscriber_goes_on_by_route_and_by_next_hop() {
    for (over, routed) in [(Over::Udp, false), (Over::Udp, true), (Over::Tcp, true)] {
        let folder = tempfile::tempdir().unwrap();
        let callee = Sipp::callee(folder.path(), "answer", over, 200);
        let segue = server(&folder.path().join("x"), (!routed).then_some(callee.port()));
        let at = if over == Over::Udp {
            segue.sip_udp()
        } else {
            segue.sip_tcp()
        };
        let word = over.word();
        let route = match routed {
            true => format!("<sip:{at};lr>, <sip:127.0.0.1:{};transport={word};lr>", callee.port()),
            false => format!("<sip:{at};lr>"),
        };
        let keys = [("route", route.as_str())];
        let who = ("+4930123456", at);
        let caller = Sipp::caller_with(folder.path(), "onward", (over, 300), who, "onward@segue", &keys);
        caller.finish().unwrap();
        // Request-URI and To are those of the caller, and of the Route only what is the callee's is left.
        assert!(callee.has_seen(&format!("INVITE sip:+4930123456@{at};user=phone SIP/2.0")));
        assert!(callee.has_seen(&format!("To: <sip:+4930123456@{at};user=phone>")));
        let own = format!("Route: <sip:127.0.0.1:{};transport={word};lr>", callee.port());
        assert_eq!(callee.has_seen(&own), routed);
        assert!(!callee.has_seen(&format!("Route: <sip:{at};lr>")));
        callee.finish().unwrap();
        let call = only_call(&segue);
        assert_eq!(
            (&call["result"], &call["hold_ms"]),
            (&"answered".into(), &Value::Null),
            "{call:#?}"
        );
    }
}

#[test]
fn users_of_other_domains_go_on_and_aliases_are_found_wherever_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let segue = server_of(&folder.path().join("x"), None, "domains = [\"home.example\"]\n");
    let at = segue.sip_udp();
    let nobody = "sip:bob@127.0.0.1:9";
    let alias = "sip:robert@elsewhere.example";
    segue.cli(&["subscriber", "add", "bob", "--target", nobody, "--alias", alias]);
    for (user, is_bob) in [
        // Our subscriber's name, but another's domain: by the rest of the Route, as it was called.
        ("bob", false),
        // His alias, written otherwise.
        ("%72obert", true),
    ] {
        let callee = Sipp::callee(folder.path(), "answer", Over::Udp, 200);
        let target = format!("sip:bob@127.0.0.1:{}", callee.port());
        segue.cli(&["subscriber", "set", "bob", "--target", &target]);
        let route = format!("<sip:{at};lr>, <sip:127.0.0.1:{};lr>", callee.port());
        let (name, who) = ("onward_elsewhere", (user, at));
        let keys = [("route", route.as_str())];
        let caller = Sipp::caller_with(folder.path(), name, (Over::Udp, 200), who, "elsewhere@segue", &keys);
        caller.finish().unwrap();
        let called = match is_bob {
            true => target,
            false => format!("sip:{user}@elsewhere.example"),
        };
        assert!(callee.has_seen(&format!("INVITE {called} SIP/2.0")), "{user}");
        callee.finish().unwrap();
    }
}

#[test]
fn who_does_not_take_the_call_is_told_to_the_caller_as_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let callee = Sipp::callee(folder.path(), "busy_with_reason", Over::Udp, 0);
    let segue = server(&folder.path().join("x"), Some(callee.port()));
    let who = ("+4930123456", segue.sip_udp());
    let caller = Sipp::caller(folder.path(), "onward_refused", (Over::Udp, 0), who, "busy@segue");
    caller.finish().unwrap();
    callee.finish().unwrap();
}

#[test]
fn servers_that_are_each_others_next_hop_stop_before_anybody_is_called_twice() {
    let folder = tempfile::tempdir().unwrap();
    let x = server(&folder.path().join("x"), None);
    let y = server(&folder.path().join("y"), Some(x.sip_udp().port()));
    // X learns where Y is, on the ports that it has.
    let mut x = x;
    x.stop();
    let profile = folder.path().join("x/profiles/onward.toml");
    let text = fs::read_to_string(&profile).unwrap();
    let text = text.replace("next_hop = \"\"", &format!("next_hop = \"{}\"", y.sip_udp()));
    fs::write(&profile, text).unwrap();
    x.run();
    let began = Instant::now();
    let who = ("+4930123456", x.sip_udp());
    let caller = Sipp::caller(folder.path(), "onward_in_a_circle", (Over::Udp, 0), who, "circle@segue");
    caller.finish().unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let calls = until("the records", Duration::from_secs(10), || {
        let (at_x, at_y) = (x.rows(&["call", "list"]), y.rows(&["call", "list"]));
        (x.health()["calls"] == 0 && at_x.len() == 2 && at_y.len() == 1).then_some((at_x, at_y))
    });
    let causes = |rows: &[Value]| rows.iter().map(|row| row["cause"].as_u64()).collect::<Vec<_>>();
    assert_eq!(
        (causes(&calls.0), causes(&calls.1)),
        (vec![Some(482); 2], vec![Some(482)]),
        "{calls:#?}"
    );
}
