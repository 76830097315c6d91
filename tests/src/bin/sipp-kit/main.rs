//! `make sipp`: one scenario of `tests/sipp/` against a running Segue, with pass or fail and why. Without a scenario it
//! lists them. docs/testing.md tells a SIPp user how to go on from there.

mod options;
mod own;
mod run;
mod server;
mod subscriber;

use std::{io::Write, path::PathBuf, process::ExitCode};

use options::{Options, USAGE};
use segue_tests::{scenario::Scenario, segue::repository};

fn main() -> ExitCode {
    let outcome = Options::parse(std::env::args().skip(1)).and_then(|options| match options.get("SCENARIO") {
        Some("all") => run::play_all(&options),
        Some(name) => run::play(name, &options).map(|told| println!("pass: {told}")),
        None => list(),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("fail: {why}");
            ExitCode::FAILURE
        }
    }
}

fn list() -> Result<(), String> {
    let mut text = format!("{USAGE}\n");
    for role in ["caller", "callee"] {
        let key = if role == "caller" { "SCENARIO" } else { "CALLEE" };
        text.push_str(&format!("{role} scenarios ({key}=NAME):\n"));
        for scenario in Scenario::all(&sipp_folder(), role)? {
            let name = scenario.name.split('/').next_back().unwrap_or_default();
            let with = scenario
                .play
                .get("callee")
                .map_or(String::new(), |callee| format!(" [{callee}]"));
            text.push_str(&format!("  {name}{with}\n      {}\n", scenario.sentence));
            if scenario.needs_a_server() {
                text.push_str(&format!("      needs {}\n", scenario.needs()));
            }
        }
        text.push('\n');
    }
    // Whoever reads it may have read enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// Where the scenarios are.
fn sipp_folder() -> PathBuf {
    repository().join("tests/sipp")
}
