//! Keys told by INFO (RFC 6086, legacy usages), both ways.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use common::{A, B, Net, Script, request, statuses, to_tag};
use segue_sip::{Event, Progress};
use segue_sip_wire::KeyPress;

/// An INFO in the early dialog of a call, and what is answered.
fn info(script: &mut Script, cseq: u32, tag: &str, headers: &str, body: &str) -> Vec<segue_sip_wire::Message> {
    let text = request("INFO", cseq, &format!("n{cseq}"), Some(tag), headers);
    let text = text.replace("Content-Length: 0", &format!("Content-Length: {}", body.len()));
    script.say(&format!("{text}{body}"))
}

#[test]
fn a_held_caller_tells_its_keys_and_each_body_gets_what_it_deserves() {
    let mut script = Script::default();
    script.say(&request("INVITE", 1, "i1", None, ""));
    let (id, now) = (script.session(), script.now);
    let (status, reliable, sdp) = (183, false, None);
    script
        .endpoint
        .progress(
            now,
            id,
            Progress {
                status,
                reliable,
                sdp,
                ..Progress::default()
            },
        )
        .unwrap();
    let tag = to_tag(&script.hear()[0]);
    let relay = "Content-Type: application/dtmf-relay\r\n";
    for (cseq, headers, body, status) in [
        (2, relay, "Signal=#\r\nDuration=120\r\n", "200 INFO"),
        (3, "Content-Type: application/dtmf\r\n", "*", "200 INFO"),
        (4, relay, "Signal=loud\r\n", "400 INFO"),
        (5, "Content-Type: text/plain\r\n", "5", "415 INFO"),
        (
            6,
            "Info-Package: dtmf\r\nContent-Type: application/dtmf\r\n",
            "5",
            "469 INFO",
        ),
        (7, "", "", "200 INFO"),
    ] {
        let answers = info(&mut script, cseq, &tag, headers, body);
        assert_eq!(statuses(&answers), [status], "{headers}{body}");
        match status {
            "400 INFO" => assert!(answers[0].header("Warning").unwrap().contains("no key")),
            "415 INFO" => assert!(answers[0].header("Accept").unwrap().contains("application/dtmf-relay")),
            "469 INFO" => assert_eq!(answers[0].header("Recv-Info"), Some("")),
            _ => {}
        }
    }
    let keys: Vec<(char, u16)> = script
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Key { press, .. } => Some((press.key, press.duration_ms)),
            _ => None,
        })
        .collect();
    assert_eq!(keys, [('#', 120), ('*', 160)]);
    // The same INFO once more is a retransmission: one key.
    info(&mut script, 2, &tag, relay, "Signal=#\r\nDuration=120\r\n");
    assert_eq!(script.told().iter().filter(|name| *name == "Key").count(), 2);
}

#[test]
fn a_key_is_told_in_a_confirmed_dialog_only() {
    let mut net = Net::new(1);
    let (a, b) = net.call();
    let press = KeyPress::of('7');
    assert!(net.endpoints[A].tell_key(net.now, a, press).is_err());
    net.answer(b, Some(common::sdp("answer")));
    net.run_ms(10);
    for (from, to, session) in [(A, B, a), (B, A, b)] {
        net.endpoints[from].tell_key(net.now, session, press).unwrap();
        net.run_ms(10);
        let Some(Event::Key { press: told, .. }) = net.events[to].last() else {
            panic!("{:?}", net.told(to))
        };
        assert_eq!(*told, press);
    }
}
