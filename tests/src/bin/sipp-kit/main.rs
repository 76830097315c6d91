//! `make sipp`: one scenario of `tests/sipp/` against a running Segue, with pass or fail and why. Without a scenario it
//! lists them. docs/testing.md tells a SIPp user how to go on from there.

mod options;
mod run;
mod server;
mod subscriber;

use std::{path::PathBuf, process::ExitCode};

use options::{Options, USAGE};
use segue_tests::{scenario::Scenario, segue::repository};

fn main() -> ExitCode {
    let outcome = Options::parse(std::env::args().skip(1)).and_then(|options| match options.get("SCENARIO") {
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
    println!("{USAGE}");
    for role in ["caller", "callee"] {
        println!(
            "{role} scenarios ({}=NAME):",
            if role == "caller" { "SCENARIO" } else { "CALLEE" }
        );
        for scenario in Scenario::all(&sipp_folder(), role)? {
            let name = scenario.name.split('/').next_back().unwrap_or_default();
            let with = scenario
                .play
                .get("callee")
                .map_or(String::new(), |callee| format!(" [{callee}]"));
            println!("  {name}{with}\n      {}", scenario.sentence);
        }
        println!();
    }
    Ok(())
}

/// Where the scenarios are.
fn sipp_folder() -> PathBuf {
    repository().join("tests/sipp")
}
