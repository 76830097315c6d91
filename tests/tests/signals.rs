//! What SIGHUP, SIGTERM and SIGINT do to a server that has calls.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::signal::Signal;
use segue_tests::{
    segue::{Segue, sample},
    sipp::{Over, Sipp},
    wait::until,
};
use serde_json::Value;

/// A server with profiles of its own.
struct Office {
    segue: Segue,
    folder: PathBuf,
}

impl Office {
    fn open(folder: &Path) -> Office {
        let profiles = folder.join("profiles");
        fs::create_dir_all(&profiles).unwrap();
        fs::write(profiles.join("office.toml"), profile(1_500)).unwrap();
        let segue = Segue::start_with(folder, &format!("profiles_dir = {profiles:?}\n"));
        segue.cli(&["clip", "add", "clip", &sample("clip.mp4").display().to_string()]);
        Office {
            segue,
            folder: folder.to_owned(),
        }
    }

    fn write(&self, text: &str) {
        fs::write(self.folder.join("profiles/office.toml"), text).unwrap();
    }

    /// SIGHUP, and the log until these words are in it.
    fn reload(&self, words: &str) -> String {
        let before = self.segue.log_text().len();
        self.segue.signal(Signal::SIGHUP);
        until(words, Duration::from_secs(5), || {
            let log = self.segue.log_text();
            let new = log.get(before..).unwrap_or_default();
            new.contains(words).then(|| new.to_owned())
        })
    }

    /// A subscriber who is held as the profile says, its phone, and a caller who plays this scenario with this pause.
    fn call(&self, user: &str, (scenario, pause_ms): (&str, u64)) -> Parties {
        let folder = self.folder.join(user);
        let callee = Sipp::callee(&folder, "answer", Over::Udp, 100);
        self.call_to(user, callee, &[], (scenario, pause_ms))
    }

    /// A subscriber with this phone, and a caller who plays this scenario; held when this returns.
    fn call_to(&self, user: &str, callee: Sipp, more: &[&str], (scenario, pause_ms): (&str, u64)) -> Parties {
        let folder = self.folder.join(user);
        let target = format!("sip:{user}@127.0.0.1:{}", callee.port());
        let add = ["subscriber", "add", user, "--target", &target, "--clip", "clip"];
        self.segue.cli(&[&add[..], more].concat());
        let call_id = format!("{user}@signals");
        let to = (user, self.segue.sip_udp());
        let caller = Sipp::caller(&folder, scenario, (Over::Udp, pause_ms), to, &call_id);
        until("the caller to be held", Duration::from_secs(5), || {
            caller.has_seen("SIP/2.0 183 ").then_some(())
        });
        Parties {
            caller,
            callee,
            call_id,
        }
    }

    /// A subscriber who is busy and leaves the rest to the profile, and a caller who plays this scenario.
    fn call_busy(&self, user: &str, scenario: &str) -> Parties {
        let folder = self.folder.join(user);
        let callee = Sipp::callee(&folder, "busy", Over::Udp, 0);
        self.call_to(user, callee, &["--greeting", "greeting"], (scenario, 0))
    }

    /// SIGTERM, and the log until it is heard.
    fn drain(&self) {
        self.segue.signal(Signal::SIGTERM);
        until("the drain to begin", Duration::from_secs(5), || {
            self.segue.log_text().contains("no new calls").then_some(())
        });
    }

    fn record(&self, call_id: &str) -> Value {
        self.segue
            .cli(&["wait", "call", "--sip-call-id", call_id, "--timeout", "10s"])
    }
}

struct Parties {
    caller: Sipp,
    callee: Sipp,
    call_id: String,
}

impl Parties {
    fn finish(self) -> String {
        self.caller.finish().unwrap();
        self.callee.finish().unwrap();
        self.call_id
    }
}

fn profile(hold_ms: u64) -> String {
    format!("name = \"office\"\nsources = [\"127.0.0.0/8\"]\nhold_ms = {hold_ms}\n")
}

#[track_caller]
fn held(record: &Value, asked_ms: u64) {
    assert_eq!(record["result"], "answered", "{record:#}");
    assert_eq!(record["hold_asked_ms"], asked_ms, "{record:#}");
    let held_ms = record["hold_ms"].as_u64().unwrap();
    assert!((asked_ms..asked_ms + 400).contains(&held_ms), "{record:#}");
}

#[test]
fn sighup_changes_when_callers_of_the_mailbox_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::open(folder.path());
    office
        .segue
        .cli(&["clip", "add", "greeting", &sample("greeting.mp4").display().to_string()]);
    // Held while the profile says something else: this call keeps what it began with.
    let first = office.call_busy("first", "hang_up_at_greeting");
    office.write(&format!("{}answer_at = \"after_greeting\"\n", profile(300)));
    office.reload("read again");
    let second = office.call_busy("second", "answered_after_the_greeting");
    let first = first.finish();
    office.write(&format!("{}answer_at = \"greeting\"\n", profile(300)));
    office.reload("read again");
    let third = office.call_busy("third", "hang_up_at_greeting");
    let (second, third) = (second.finish(), third.finish());
    for (call_id, asked_ms) in [(first, 1_500), (second, 300), (third, 300)] {
        let record = office.record(&call_id);
        assert_eq!(
            (&record["result"], &record["cause"]),
            (&"greeted".into(), &486.into()),
            "{record:#}"
        );
        assert_eq!(record["hold_asked_ms"], asked_ms, "{record:#}");
    }
}

#[test]
fn sighup_changes_the_next_call_and_not_the_one_that_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::open(folder.path());
    let first = office.call("first", ("plain", 200));
    office.write(&profile(300));
    let said = office.reload("read again");
    assert!(said.contains("profiles=\"office\""), "{said}");
    let second = office.call("second", ("plain", 200));
    let (second, first) = (second.finish(), first.finish());
    held(&office.record(&first), 1_500);
    held(&office.record(&second), 300);

    // A broken file is named with its place, and nothing changes.
    office.write("name = \"office\"\nsources = [\"127.0.0.0/8\"]\nhold_ms = \"long\"\n");
    let said = office.reload("what was read before goes on");
    assert!(
        said.contains("profiles/office.toml:3:11: hold_ms: invalid type"),
        "{said}"
    );
    let third = office.call("third", ("plain", 200)).finish();
    held(&office.record(&third), 300);

    // What needs a restart is told by its name.
    office.write(&profile(300));
    let config = fs::read_to_string(office.segue.config()).unwrap();
    fs::write(
        office.segue.config(),
        config.replace("[http]\n", "[media]\nports = \"40000-40999\"\n[http]\n"),
    )
    .unwrap();
    let said = office.reload("read again");
    assert!(
        said.contains("media.ports has changed: that holds after a restart"),
        "{said}"
    );
    assert!(!said.contains("drain_ms has changed"), "{said}");
}

#[test]
fn sigterm_lets_calls_go_on_and_turns_new_ones_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::open(folder.path());
    let bridged = office.call("bridged", ("plain", 3_000));
    office.drain();
    // While the last call goes on a new caller is told to come again.
    let to = ("bridged", office.segue.sip_udp());
    let refused = Sipp::caller(
        &folder.path().join("refused"),
        "turned_away",
        (Over::Udp, 0),
        to,
        "refused@signals",
    );
    refused.finish().unwrap();
    let row = until("the refusal to be listed", Duration::from_secs(5), || {
        let mut rows = office.segue.rows(&["call", "list", "--refused"]).into_iter();
        rows.find(|row| row["sip_call_id"] == "refused@signals")
    });
    assert_eq!(
        (&row["status"], &row["admit"]),
        (&503.into(), &"call again when it runs".into()),
        "{row}"
    );
    let (status, said) = office.segue.get("/ready");
    assert_eq!(status, 503, "{said}");
    assert!(office.segue.runs(), "{}", office.segue.log_text());
    let call_id = bridged.finish();
    assert_eq!(office.segue.ended().and_then(|status| status.code()), Some(0));
    let record = office.record(&call_id);
    assert_eq!(record["result"], "answered", "{record:#}");
    assert_eq!(record["why"], "The callee answered; the caller hung up.");
}

#[test]
fn a_drain_has_an_end_and_a_second_sigterm_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::open(folder.path());
    for (user, drain_ms) in [("drained", 2_500), ("asked_twice", 60_000)] {
        let config = fs::read_to_string(office.segue.config()).unwrap();
        fs::write(office.segue.config(), format!("drain_ms = {drain_ms}\n{config}")).unwrap();
        office.reload("read again");
        let parties = office.call(user, ("hung_up_on", 0));
        until("the callee to answer", Duration::from_secs(8), || {
            parties.callee.has_seen("\nACK ").then_some(())
        });
        office.drain();
        assert!(office.segue.runs());
        if user == "asked_twice" {
            office.segue.signal(Signal::SIGTERM);
        }
        assert_eq!(office.segue.ended().and_then(|status| status.code()), Some(0));
        let record = office.record(&parties.finish());
        let why = "The callee answered; the operator ended the call.";
        assert_eq!(record["why"], why, "{record:#}");
        office.segue.run();
    }
}
