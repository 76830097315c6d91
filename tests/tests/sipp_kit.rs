//! `make sipp` against a running Segue: what a tester types, and what they are told.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use segue_tests::{
    scenario::Scenario,
    segue::{Segue, repository, sample},
    sipp::{Over, free_port},
    wait::until,
};

struct Kit {
    _folder: tempfile::TempDir,
    segue: Segue,
    ready: PathBuf,
    logs: PathBuf,
}

impl Kit {
    fn start() -> Kit {
        let folder = tempfile::tempdir().unwrap();
        let segue = Segue::start(&folder.path().join("segue"));
        let clip = sample("clip.mp4");
        segue.cli(&["clip", "add", "clip", clip.to_str().unwrap()]);
        let ready = folder.path().join("segue/ready-1.json");
        let logs = folder.path().join("logs");
        Kit {
            _folder: folder,
            segue,
            ready,
            logs,
        }
    }

    /// `make sipp` with these words: whether it went well, and what it said. Nothing of it may be left.
    fn make(&self, words: &[&str]) -> (bool, String) {
        let binary = segue_tests::segue::binary();
        let output = Command::new("make")
            .current_dir(repository())
            .args(["--no-print-directory", "sipp"])
            .arg(format!("READY={}", self.ready.display()))
            .arg(format!("LOGS={}", self.logs.display()))
            .arg(format!("SEGUE={}", binary.display()))
            .args(words)
            .env_remove("MAKEFLAGS")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complained = String::from_utf8_lossy(&output.stderr);
        // The media worker of a server that was killed ends when it has done what it was at.
        until("nothing to be left running", Duration::from_secs(15), || {
            processes_in(&self.logs).is_empty().then_some(())
        });
        assert!(!said.is_empty(), "{complained}");
        (output.status.success(), said)
    }
}

/// Process ids whose working directory is below a folder.
fn processes_in(folder: &Path) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let here = |path: PathBuf| fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
    processes
        .filter(|process| here(process.path()))
        .map(|process| process.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_tester_is_told_pass_or_fail_and_why() {
    let kit = Kit::start();
    let port = format!("PORT={}", free_port(Over::Udp));

    // Nobody made the subscriber: the command that does is told.
    let (well, said) = kit.make(&["SCENARIO=plain", &port]);
    assert!(!well && said.starts_with("fail: bob is no subscriber"), "{said}");
    assert!(
        said.contains("segue subscriber add bob --target 'sip:bob@127.0.0.1:"),
        "{said}"
    );
    assert!(said.contains("--clip clip --hold 1s"), "{said}");

    // The example of docs/testing.md, and the record that it names.
    let (well, said) = kit.make(&["SCENARIO=prack_of_another", "SETUP=yes", &port]);
    assert!(
        well && said.starts_with("pass: caller/prack_of_another with callee/answer over udp, answered"),
        "{said}"
    );
    let id = said.split("call show ").nth(1).unwrap().split(',').next().unwrap();
    assert_eq!(kit.segue.cli(&["call", "show", id])["result"], "answered");

    // Over TCP, for another user, by its whole name.
    let (well, said) = kit.make(&[
        "SCENARIO=caller/plain",
        "TRANSPORT=tcp",
        "USER=carol",
        "PAUSE=100",
        "SETUP=yes",
        &port,
    ]);
    assert!(
        well && said.starts_with("pass: caller/plain with callee/answer over tcp"),
        "{said}"
    );
    let users = kit.segue.rows(&["subscriber", "list"]);
    assert!(users.iter().any(|row| row["user"] == "carol"), "{users:?}");

    // Another message than expected is named and quoted.
    let (well, said) = kit.make(&["SCENARIO=unknown_user", "CALLEE=answer", "USER=bob"]);
    assert!(!well, "{said}");
    assert!(
        said.starts_with("fail: caller/unknown_user expected 404, got 18"),
        "{said}"
    );
    assert!(said.contains("\n    CSeq: 1 INVITE\n"), "{said}");

    // What did not come in time is named.
    let (well, said) = kit.make(&["SCENARIO=hung_up_on", "CALLEE=answer", "LIMIT=2"]);
    assert!(
        !well && said.starts_with("fail: caller/hung_up_on expected BYE, nothing came in time"),
        "{said}"
    );

    // A callee that must not be called, and is.
    let (well, said) = kit.make(&["SCENARIO=plain", "CALLEE=uncalled", "PAUSE=0"]);
    assert!(!well && said.contains("was called"), "{said}");

    let (well, said) = kit.make(&["SCENARIO=plian"]);
    assert!(!well && said.contains("make sipp` lists"), "{said}");
}

#[test]
fn what_needs_another_server_is_played_against_one_of_the_kits_own() {
    let kit = Kit::start();
    // Without READY, as it is typed; the server that the kit makes is gone afterwards.
    let (well, said) = kit.make(&["READY=", "SCENARIO=onward"]);
    assert!(
        well && said.starts_with("pass: caller/onward with callee/answer over udp, a Segue of the kit's own, answered"),
        "{said}"
    );
    let (well, said) = kit.make(&["READY=", "SCENARIO=onward_in_a_circle"]);
    assert!(well, "{said}");
    let (well, said) = kit.make(&["READY=", "SCENARIO=turned_away", "TRANSPORT=tcp"]);
    assert!(well, "{said}");
    // The one that is named lacks it: told what it needs.
    let (well, said) = kit.make(&["SCENARIO=onward_refused", "CALLEE=none"]);
    assert!(
        !well && said.contains("this scenario needs `busy_with_reason`; profile `unknown_callee='forward'"),
        "{said}"
    );
    assert!(said.contains("OWN=yes plays it"), "{said}");
    let (well, said) = kit.make(&["SCENARIO=onward", "OWN=yes"]);
    assert!(
        !well && said.contains("OWN=yes and READY= exclude each other"),
        "{said}"
    );

    // A data directory says where its server listens.
    let data = kit.segue.data();
    let data = format!("DATA={}", data.display());
    let port = format!("PORT={}", free_port(Over::Udp));
    let (well, said) = kit.make(&["READY=", &data, "SCENARIO=plain", "SETUP=yes", &port]);
    assert!(
        well && said.starts_with("pass: caller/plain with callee/answer over udp, answered"),
        "{said}"
    );
    let (well, said) = kit.make(&["READY=", "DATA=/nowhere", "SCENARIO=plain"]);
    assert!(
        !well && said.contains("/nowhere/server.json is not the ready file of a Segue that runs"),
        "{said}"
    );
}

#[test]
fn without_a_scenario_all_are_listed() {
    let kit = Kit::start();
    let (well, said) = kit.make(&[]);
    assert!(well, "{said}");
    let sipp = repository().join("tests/sipp");
    for role in ["caller", "callee"] {
        for scenario in Scenario::all(&sipp, role).unwrap() {
            assert!(said.contains(&scenario.sentence), "{} is not listed", scenario.name);
        }
    }
}

#[test]
fn every_scenario_has_its_row_in_the_table() {
    let sipp = repository().join("tests/sipp");
    let table = fs::read_to_string(sipp.join("README.md")).unwrap();
    let mut wrong = Vec::new();
    for role in ["caller", "callee"] {
        for scenario in Scenario::all(&sipp, role).unwrap() {
            let name = scenario.name.split('/').next_back().unwrap();
            let row = format!("| `{name}` | {} | {} |", scenario.sentence, scenario.needs());
            if !table.lines().any(|line| line == row) {
                wrong.push(row);
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "tests/sipp/README.md lacks these rows:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_example_of_the_testing_page_is_the_scenario_that_is_played() {
    let page = fs::read_to_string(repository().join("docs/testing.md")).unwrap();
    let played = fs::read_to_string(repository().join("tests/sipp/caller/prack_of_another.xml")).unwrap();
    let shown = page
        .split("```xml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    assert_eq!(shown, played, "docs/testing.md and the scenario differ");
}
