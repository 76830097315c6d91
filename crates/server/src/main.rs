//! The binary `segue`: configuration, wiring, command line.
//!
//! [`cli`] reads the command line and performs every command but `run`; [`config`] is what they all hold to; [`run`] is
//! the server.

mod check;
mod cli;
mod config;
mod deposits;
mod failure;
mod http;
mod in_force;
mod kept_trunks;
mod key;
mod load;
mod logging;
mod mailboxes;
mod metrics;
mod notices;
mod obey;
mod passwords;
mod pins;
mod prompts;
mod reload;
mod run;
mod secrets;
mod signals;
mod trunks;
mod watch;

fn main() -> std::process::ExitCode {
    cli::main()
}
