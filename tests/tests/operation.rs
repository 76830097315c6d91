//! What an operator and a tester see of a running server from outside: events, refused requests, metrics, readiness.

use std::{
    io::{BufRead, BufReader},
    net::UdpSocket,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;
use segue_tests::{
    segue::{Segue, binary},
    sipp::{Over, Sipp},
    wait::until,
};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(10);

/// `segue events --json` beside a server, and what it has said.
struct Events {
    child: Child,
    said: Arc<Mutex<Vec<Value>>>,
}

impl Events {
    fn follow(segue: &Segue, more: &[&str]) -> Events {
        let before = followers(segue);
        let mut child = Command::new(binary())
            .args(["events", "--json", "--config"])
            .arg(segue.config())
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::<Mutex<Vec<Value>>>::default();
        let (lines, keep) = (BufReader::new(child.stdout.take().unwrap()).lines(), Arc::clone(&said));
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
                keep.lock().unwrap().push(value);
            }
        });
        until("the follower to be there", SOON, || {
            (followers(segue) > before).then_some(())
        });
        Events { child, said }
    }

    fn all(&self) -> Vec<Value> {
        self.said.lock().unwrap().clone()
    }

    /// The first event of this type that fits.
    #[track_caller]
    fn wait_for(&self, kind: &str, fits: impl Fn(&Value) -> bool) -> Value {
        until(kind, SOON, || {
            self.all().into_iter().find(|e| e["type"] == kind && fits(e))
        })
    }

    fn types(&self) -> Vec<String> {
        self.all()
            .iter()
            .map(|e| e["type"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The value of a metric by its whole name with labels; absent: `None`.
fn metric(segue: &Segue, name: &str) -> Option<f64> {
    let (status, text) = segue.get("/metrics");
    assert_eq!(status, 200, "{text}");
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

fn followers(segue: &Segue) -> u64 {
    metric(segue, "segue_event_followers").expect("how many follow") as u64
}

/// A subscriber whose phone is busy, and one call that leaves a message. Its Call-ID.
fn leave_a_message(segue: &Segue, folder: &std::path::Path, call_id: &str) {
    let callee = Sipp::callee(folder, "busy", Over::Udp, 0);
    let target = format!("sip:bob@127.0.0.1:{}", callee.port());
    segue.cli(&["subscriber", "add", "bob", "--target", &target]);
    let to = ("bob", segue.sip_udp());
    let caller = Sipp::caller(folder, "leave_message_no_clip", (Over::Udp, 2_500), to, call_id);
    look_at_it_live(segue, call_id);
    caller.finish().unwrap();
    callee.finish().unwrap();
    segue.cli(&[
        "wait",
        "message",
        "--sip-call-id",
        call_id,
        "--state",
        "ended",
        "--timeout",
        "20s",
    ]);
}

/// A call that is recorded now is listed, shown as far as it has come, and not found among the ended ones.
fn look_at_it_live(segue: &Segue, call_id: &str) {
    let listed = until("the call to be recorded", SOON, || {
        let live = segue.rows(&["call", "live"]);
        live.into_iter()
            .find(|call| call["sip_call_id"] == call_id && call["phase"] == "recording")
    });
    let shown = segue.cli(&["call", "show", listed["id"].as_str().unwrap()]);
    assert_eq!(
        (&shown["phase"], &shown["mailbox"]),
        (&"recording".into(), &"bob".into())
    );
    let ladder: Vec<&str> = shown["legs"][0]["ladder"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|step| step["summary"].as_str())
        .collect();
    assert_eq!((ladder.first(), ladder.last()), (Some(&"INVITE (SDP)"), Some(&"ACK")));
    assert_eq!(shown["legs"][1]["status"], 486, "{shown}");
    assert!(
        segue
            .rows(&["call", "list"])
            .iter()
            .all(|call| call["sip_call_id"] != call_id)
    );
}

#[test]
fn what_happens_is_told_as_it_happens_also_what_other_processes_do() {
    let folder = tempfile::tempdir().unwrap();
    let mut segue = Segue::start(&folder.path().join("segue"));
    let events = Events::follow(&segue, &[]);
    leave_a_message(&segue, folder.path(), "told@events");
    let call = segue.cli(&["wait", "call", "--sip-call-id", "told@events", "--timeout", "5s"]);
    let of_the_call = |e: &Value| e["sip_call_id"] == "told@events";

    let ended = events.wait_for("call.ended", of_the_call);
    assert_eq!(
        (&ended["result"], &ended["call_id"]),
        (&Value::from("message"), &call["id"])
    );
    let started = events.wait_for("call.started", of_the_call);
    assert!(started["to"].as_str().unwrap().starts_with("sip:bob@"), "{started}");
    let all = events.all();
    let phases: Vec<&str> = all
        .iter()
        .filter(|e| e["type"] == "call.phase")
        .filter_map(|e| e["phase"].as_str())
        .collect();
    assert_eq!(phases.last(), Some(&"ending"), "{phases:?}");
    for phase in ["ringing", "recording", "saving"] {
        assert!(phases.contains(&phase), "{phases:?}");
    }
    let switches: Vec<&Value> = all.iter().filter(|e| e["type"] == "call.switch").collect();
    assert_eq!(
        switches.len(),
        call["switches"].as_array().unwrap().len(),
        "{switches:?}"
    );
    for (event, record) in switches.iter().zip(call["switches"].as_array().unwrap()) {
        assert_eq!((&event["to"], &event["gap_ms"]), (&record["to"], &record["gap_ms"]));
    }

    // What a command beside the server does is told, too.
    let committed = events.wait_for("message.committed", |e| e["mailbox"] == "bob");
    let id = committed["message_id"].as_str().unwrap();
    assert_eq!(
        (&committed["call_id"], id),
        (&call["id"], call["message_id"].as_str().unwrap())
    );
    segue.cli(&["message", "heard", id]);
    events.wait_for("message.heard", |e| e["message_id"] == id);
    segue.cli(&["message", "unheard", id]);
    events.wait_for("message.unheard", |e| e["message_id"] == id);
    segue.cli(&["message", "delete", id]);
    events.wait_for("message.deleted", |e| e["message_id"] == id && e["by"] == "user");

    // Ids are all different, and each leads to what came after it.
    let all = events.all();
    let place = committed["id"].as_str().unwrap();
    let later = Events::follow(&segue, &["--after", place]);
    let again = later.wait_for("message.deleted", |e| e["message_id"] == id);
    assert_eq!(all.iter().filter(|e| e["id"] == again["id"]).count(), 1);
    let after = all.iter().position(|e| e["id"] == committed["id"]).unwrap() + 1;
    assert_eq!(later.all(), all[after..]);

    // Over a restart the changes of messages are made up for; what else was missed is said to be.
    let returning = Events::follow(&segue, &["--after", place, "--reconnect"]);
    returning.wait_for("message.deleted", |_| true);
    let asked: Vec<Value> = returning.all();
    segue.stop();
    events.wait_for("server.stopping", |_| true);
    segue.run();
    returning.wait_for("server.ready", |_| true);
    assert_eq!(returning.all()[..asked.len()], asked);
    assert!(!returning.types().contains(&"call.started".to_owned()));
    let missed = Events::follow(&segue, &["--after", place]);
    missed.wait_for("server.ready", |_| true);
    let kinds = missed.types();
    assert_eq!(
        kinds,
        [
            "message.heard",
            "message.unheard",
            "message.deleted",
            "events.lost",
            "server.ready"
        ]
    );
}

#[test]
fn each_call_stands_once_in_both_files_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("segue");
    let mut segue = Segue::start_with(
        &own,
        "[records]\ncsv = \"files/calls.csv\"\njsonl = \"files/calls.jsonl\"",
    );
    leave_a_message(&segue, folder.path(), "filed@records");
    let call = segue.cli(&["wait", "call", "--sip-call-id", "filed@records", "--timeout", "5s"]);
    segue.stop();
    segue.run();
    segue.stop();
    let read = |name: &str| std::fs::read_to_string(own.join("files").join(name)).unwrap();
    let lines: Vec<Value> = read("calls.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for name in ["id", "sip_call_id", "from", "to", "result", "message_id"] {
        assert!(lines[0][name].is_string(), "{name}: {}", lines[0]);
        assert_eq!(lines[0][name], call[name], "{name}");
    }
    let csv = read("calls.csv");
    let rows: Vec<&str> = csv.split("\r\n").filter(|row| !row.is_empty()).collect();
    assert_eq!(rows.len(), 2, "{csv}");
    assert!(rows[0].starts_with("id,sip_call_id,"), "{csv}");
    let id = call["id"].as_str().unwrap();
    assert!(rows[1].starts_with(&format!("\"{id}\",\"filed@records\",")), "{csv}");
}

#[test]
fn a_reload_and_what_a_rule_deletes_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let segue = Segue::start(&folder.path().join("segue"));
    let events = Events::follow(&segue, &[]);
    let before = std::fs::read_to_string(segue.config()).unwrap();
    segue.signal(Signal::SIGHUP);
    events.wait_for("server.reloaded", |e| e["taken"] == true);
    std::fs::write(segue.config(), format!("holdms = 1\n{before}")).unwrap();
    segue.signal(Signal::SIGHUP);
    let refused = events.wait_for("server.reloaded", |e| e["taken"] == false);
    assert!(
        refused["detail"]
            .as_str()
            .unwrap()
            .contains("segue.toml:1:1: unknown key holdms"),
        "{refused}"
    );
    std::fs::write(segue.config(), before).unwrap();

    leave_a_message(&segue, folder.path(), "ruled@events");
    let committed = events.wait_for("message.committed", |e| e["mailbox"] == "bob");
    let id = committed["message_id"].as_str().unwrap();
    segue.cli(&["retention", "set", "bob", "--heard-max", "0"]);
    segue.cli(&["message", "heard", id]);
    let deleted = events.wait_for("message.deleted", |e| e["message_id"] == id);
    assert_eq!(deleted["by"], "heard_max", "{deleted}");
}

#[test]
fn a_server_that_can_keep_no_message_is_not_ready_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let segue = Segue::start_with(&folder.path().join("segue"), "media_store = \"dir\"");
    assert_eq!(segue.get("/ready").0, 200, "{}", segue.get("/ready").1);
    let media = segue.data().join("media");
    let aside = folder.path().join("aside");
    std::fs::rename(&media, &aside).unwrap();
    std::fs::write(&media, "no folder").unwrap();
    let said = until("not to be ready", SOON, || {
        let (status, said) = segue.get("/ready");
        (status == 503).then_some(said)
    });
    assert!(said.contains("media"), "{said}");
    std::fs::remove_file(&media).unwrap();
    std::fs::rename(&aside, &media).unwrap();
    until("to be ready again", SOON, || {
        (segue.get("/ready").0 == 200).then_some(())
    });
}

#[test]
fn what_never_became_a_call_is_listed_with_what_would_admit_it() {
    let folder = tempfile::tempdir().unwrap();
    let segue = Segue::start(&folder.path().join("segue"));
    let events = Events::follow(&segue, &["--type", "request.refused"]);
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    phone.set_read_timeout(Some(SOON)).unwrap();
    let own = phone.local_addr().unwrap();
    let to = segue.sip_udp();
    let ask = |method: &str, call_id: &str, more: &str| {
        let hops = if more.contains("Max-Forwards") {
            ""
        } else {
            "Max-Forwards: 70\r\n"
        };
        let request = format!(
            "{method} sip:nobody@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{call_id};rport\r\n{hops}{more}\
             From: <sip:alice@{own}>;tag=a\r\nTo: <sip:nobody@{to}>\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:alice@{own}>\r\nContent-Length: 0\r\n\r\n"
        );
        phone.send_to(request.as_bytes(), to).unwrap();
        loop {
            let mut bytes = [0; 4096];
            let length = phone.recv(&mut bytes).unwrap();
            let answer = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if !answer.starts_with("SIP/2.0 1") {
                if method == "INVITE" {
                    let to_line = answer.lines().find(|line| line.starts_with("To:")).unwrap_or_default();
                    let ack = request
                        .replace("INVITE sip", "ACK sip")
                        .replace("CSeq: 1 INVITE", "CSeq: 1 ACK")
                        .replace(&format!("To: <sip:nobody@{to}>"), to_line.trim_end());
                    phone.send_to(ack.as_bytes(), to).unwrap();
                }
                return answer[8..11].parse::<u16>().unwrap();
            }
        }
    };
    for (method, call_id, more, status, admit) in [
        (
            "INVITE",
            "c420",
            "Require: resource-priority\r\n",
            420,
            "leave out Require: resource-priority",
        ),
        ("INVITE", "c483", "Max-Forwards: 0\r\n", 483, "raise Max-Forwards"),
        ("BYE", "c481", "", 481, "begin with an INVITE"),
        ("INVITE", "c400", "Max-Forwards: many\r\n", 400, "RFC 3261"),
        ("PUBLISH", "c405", "", 405, "send INVITE"),
        ("INVITE", "c404", "", 404, "segue subscriber add nobody"),
    ] {
        assert_eq!(ask(method, call_id, more), status, "{call_id}");
        let row = until(call_id, SOON, || {
            segue
                .rows(&["call", "list", "--refused"])
                .into_iter()
                .find(|row| row["sip_call_id"] == call_id)
        });
        assert_eq!(row["status"], status, "{row}");
        assert!(row["admit"].as_str().unwrap().contains(admit), "{row}");
        assert!(row["why"].as_str().is_some_and(|why| why.ends_with('.')), "{row}");
        let shown = segue.cli(&["call", "show", row["id"].as_str().unwrap()]);
        let steps = match row["kind"].as_str() {
            Some("call") => shown["legs"][0]["ladder"].clone(),
            _ => shown["ladder"].clone(),
        };
        let steps: Vec<(String, String)> = steps
            .as_array()
            .unwrap()
            .iter()
            .map(|step| {
                (
                    step["sent"].as_str().unwrap().into(),
                    step["summary"].as_str().unwrap().into(),
                )
            })
            .collect();
        assert_eq!(steps[0].0, "in", "{steps:?}");
        assert!(
            steps
                .iter()
                .any(|(sent, said)| sent == "out" && said.starts_with(&status.to_string())),
            "{steps:?}"
        );
        if row["kind"] == "request" {
            let told = events.wait_for("request.refused", |e| e["sip_call_id"] == call_id);
            assert_eq!((&told["refused_id"], &told["status"]), (&row["id"], &row["status"]));
        }
    }
    assert_eq!(metric(&segue, "segue_requests_refused_total{cause=\"420\"}"), Some(1.0));
    assert_eq!(metric(&segue, "segue_calls_total{result=\"rejected\"}"), Some(1.0));
}

#[test]
fn every_metric_is_described_every_description_is_served_and_they_move() {
    let page = std::fs::read_to_string(segue_tests::segue::repository().join("docs/metrics.md")).unwrap();
    let mut described: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let mut segue = Segue::start(&folder.path().join("segue"));
    assert_eq!(segue.get("/ready").0, 200, "{}", segue.get("/ready").1);
    leave_a_message(&segue, folder.path(), "counted@metrics");
    until("the message to be counted", SOON, || {
        (metric(&segue, "segue_messages_total{what=\"committed\"}") == Some(1.0)).then_some(())
    });
    for moved in [
        "segue_calls_total{result=\"message\"}",
        "segue_calls_started_total",
        "segue_recordings_total{outcome=\"ready\"}",
        "segue_sip_requests_total{direction=\"in\",method=\"INVITE\"}",
        "segue_sip_responses_total{direction=\"in\",class=\"4xx\"}",
        "segue_sip_transactions_total{role=\"client\"}",
        "segue_store_commit_seconds_count",
        "segue_rtp_sent_packets_total",
        "segue_store_used_bytes",
        "segue_phase_duration_seconds_count{phase=\"recording\"}",
    ] {
        assert!(
            metric(&segue, moved).is_some_and(|value| value > 0.0),
            "{moved}: {}",
            segue.get("/metrics").1
        );
    }
    let (_, text) = segue.get("/metrics");
    let mut served: Vec<String> = text
        .lines()
        .filter_map(|line| {
            let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
            let end = match kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            Some(format!("{name}{end}"))
        })
        .collect();
    described.sort_unstable();
    served.sort_unstable();
    assert_eq!(described, served);
    segue.stop();
}
