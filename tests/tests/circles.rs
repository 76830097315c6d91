//! Two servers whose subscribers point at each other: the call ends with 482, and nobody is held twice.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use segue_tests::{
    segue::{Segue, sample},
    sipp::{Over, Sipp},
    wait::until,
};
use serde_json::Value;

const HOLD_MS: u64 = 500;

fn server(folder: &Path) -> Segue {
    let segue = Segue::start(folder);
    segue.cli(&["clip", "add", "clip", &sample("clip.mp4").display().to_string()]);
    segue
}

/// A subscriber, called like the transport, who is at the other server under the same name.
fn forward(here: &Segue, there: &Segue, over: Over) {
    let user = over.word();
    let at = match over {
        Over::Udp => there.sip_udp(),
        Over::Tcp => there.sip_tcp(),
    };
    let target = format!("sip:{user}@{at};transport={user}");
    let hold = format!("{HOLD_MS}ms");
    here.cli(&[
        "subscriber",
        "add",
        user,
        "--target",
        &target,
        "--clip",
        "clip",
        "--hold",
        &hold,
    ]);
}

/// The records of calls to a user, once there are this many and none goes on, in the order of their beginnings.
fn calls(segue: &Segue, user: &str, number: usize) -> Vec<Value> {
    let to = format!("sip:{user}@");
    let rows = until("the records", Duration::from_secs(10), || {
        let mut rows = segue.rows(&["call", "list"]);
        rows.retain(|row| row["to"].as_str().is_some_and(|uri| uri.starts_with(&to)));
        (segue.health()["calls"] == 0 && rows.len() >= number).then_some(rows)
    });
    let show = |row: &Value| segue.cli(&["call", "show", row["id"].as_str().unwrap()]);
    let mut calls: Vec<Value> = rows.iter().map(show).collect();
    calls.sort_by_key(|call| call["started_at"].as_str().unwrap_or_default().to_owned());
    calls
}

#[test]
fn servers_that_point_at_each_other_hold_once_each_and_end_with_482() {
    let folder = tempfile::tempdir().unwrap();
    let (x, y) = (server(&folder.path().join("x")), server(&folder.path().join("y")));
    for over in [Over::Udp, Over::Tcp] {
        forward(&x, &y, over);
        forward(&y, &x, over);
        let (user, at) = match over {
            Over::Udp => ("udp", x.sip_udp()),
            Over::Tcp => ("tcp", x.sip_tcp()),
        };
        let began = Instant::now();
        let scenario = "held_then_in_a_circle";
        let call_id = format!("{user}@circle");
        let caller = Sipp::caller(folder.path(), scenario, (over, 0), (user, at), &call_id);
        caller.finish().unwrap();
        let took = began.elapsed();
        assert!(
            took < Duration::from_secs(10),
            "long before the 20 s of no answer: {took:?}"
        );

        // Of each call: result, cause, whether its caller was held, and its legs.
        let told = |call: &Value| {
            let held = call["hold_ms"].as_u64().is_some_and(|ms| ms >= HOLD_MS);
            let legs = call["legs"].as_array().map_or(0, Vec::len);
            let result = call["result"].as_str().unwrap_or_default().to_owned();
            (result, call["cause"].as_u64(), held, legs)
        };
        let of = |calls: &[Value]| calls.iter().map(told).collect::<Vec<_>>();
        let held = ("failed".to_owned(), Some(482), true, 2);
        let back = ("rejected".to_owned(), Some(482), false, 1);
        let (at_x, at_y) = (calls(&x, user, 2), calls(&y, user, 1));
        assert_eq!(of(&at_x), [held.clone(), back], "{at_x:#?}");
        assert_eq!(of(&at_y), [held], "{at_y:#?}");
    }
}
