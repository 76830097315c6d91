//! `segue wait message|call`: until it is there, or the time is over.

use std::{
    thread,
    time::{Duration, Instant},
};

use clap::{Args, Subcommand as ClapSubcommand, ValueEnum};
use segue_manage::{Access, Refusal};
use serde_json::{Value, json};

use super::{Context, value::DurationMs};
use crate::failure::{Exit, Failure};

/// How often the store is asked.
const STEP: Duration = Duration::from_millis(20);

#[derive(Debug, ClapSubcommand)]
pub enum Command {
    /// Wait for the message that a call leaves
    Message(Until),
    /// Wait for a call to end
    Call(Until),
}

#[derive(Debug, Args)]
pub struct Until {
    /// Call-ID of the caller's leg
    #[arg(long, value_name = "X")]
    sip_call_id: String,
    /// committed: its row is stored (for a message with its media); ended: the call has ended and its record is stored
    #[arg(long, value_enum)]
    state: Option<Awaited>,
    /// How long to wait at most
    #[arg(long, value_name = "DURATION")]
    timeout: DurationMs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Awaited {
    Committed,
    Ended,
}

pub fn perform(command: Command, context: &Context) -> Result<(), Failure> {
    let access = context.new_access()?;
    let (what, until) = match &command {
        Command::Message(until) => ("message", until),
        Command::Call(until) => ("call", until),
    };
    let DurationMs(timeout_ms) = until.timeout;
    let began = Instant::now();
    let timeout = Duration::from_millis(timeout_ms);
    loop {
        if let Some(found) = look(&access, &command)? {
            let id = found.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            return context.out.object(&found, || format!("{what} {id} is there"));
        }
        let left = timeout.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Err(Failure {
                code: "timed_out".to_owned(),
                message: format!("no such {what} within {}: Call-ID {}", until.timeout, until.sip_call_id),
                fix: "look at 'segue call list --since 1h', or wait longer with --timeout".to_owned(),
                exit: Exit::TimedOut,
            });
        }
        thread::sleep(STEP.min(left));
    }
}

fn look(access: &Access, command: &Command) -> Result<Option<Value>, Refusal> {
    match command {
        // A call's record is stored once, when it has ended: committed and ended are one.
        Command::Call(until) => Ok(access.call_by_sip_call_id(&until.sip_call_id)?.map(|c| c.to_json())),
        Command::Message(until) => {
            let found = access.message_of_call(&until.sip_call_id)?;
            if until.state == Some(Awaited::Ended) && access.call_by_sip_call_id(&until.sip_call_id)?.is_none() {
                return Ok(None);
            }
            Ok(found.map(|message| json!(message)))
        }
    }
}
