//! How a command fails: one clear line with the fix, and an exit code.

use std::{fmt, process::ExitCode};

use segue_manage::Refusal;
use segue_store::StoreError;
use serde::Serialize;

/// Exit codes, the same for every command (0 is success).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Refused; nothing was changed.
    Refused = 1,
    /// The command line is wrong.
    Usage = 2,
    /// What was named is not there.
    NotFound = 3,
    /// It did not happen in time.
    TimedOut = 4,
    /// It needs a running server and there is none.
    NoServer = 5,
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// A word for programs.
    pub code: String,
    /// What is wrong, one line.
    pub message: String,
    /// What to do about it.
    pub fix: String,
    /// The exit code.
    #[serde(skip)]
    pub exit: Exit,
}

impl Failure {
    /// A refusal.
    pub fn refused(code: &str, message: impl Into<String>, fix: impl Into<String>) -> Failure {
        Failure {
            code: code.to_owned(),
            message: message.into(),
            fix: fix.into(),
            exit: Exit::Refused,
        }
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>, fix: impl Into<String>) -> Failure {
        Failure {
            exit: Exit::NotFound,
            ..Failure::refused("not_found", message, fix)
        }
    }

    /// A wrong command line.
    pub fn usage(message: impl Into<String>, fix: impl Into<String>) -> Failure {
        Failure {
            code: "usage".to_owned(),
            message: message.into(),
            fix: fix.into(),
            exit: Exit::Usage,
        }
    }

    /// Says it on stderr and gives the exit code.
    pub fn report(&self, json: bool) -> ExitCode {
        if json {
            match serde_json::to_string(self) {
                Ok(line) => eprintln!("{line}"),
                Err(_) => eprintln!("{self}"),
            }
        } else {
            eprintln!("segue: {self}");
        }
        ExitCode::from(self.exit as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; fix: {}", one_line(&self.message), one_line(&self.fix))
    }
}

/// Control characters, which may come from a file or the wire, do not reach the terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl Failure {
    /// What was refused of a command line: what an option must not be is told with what would do.
    pub fn of_options(refusal: Refusal, fix: &str) -> Failure {
        match refusal {
            Refusal::Invalid { why, .. } => Failure::usage(why, fix),
            other => other.into(),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        match refusal {
            Refusal::Store(error) => error.into(),
            other => Failure::refused(other.code(), other.to_string(), other.fix()),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        let exit = match error {
            StoreError::NotFound { .. } => Exit::NotFound,
            _ => Exit::Refused,
        };
        Failure {
            code: error.code().to_owned(),
            message: error.to_string(),
            fix: error.fix(),
            exit,
        }
    }
}
