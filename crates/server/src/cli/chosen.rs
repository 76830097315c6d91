//! A password that somebody chooses for themselves: out of a file, or typed without being seen.

use std::{
    io::{BufRead, IsTerminal, Write},
    path::PathBuf,
};

use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::{failure::Failure, passwords};

/// Where it comes from.
#[derive(Debug, Clone, Args)]
pub struct ChosenPassword {
    /// A file (mode 600) with the password alone; '-': the standard input
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Ask for the password
    #[arg(long, conflicts_with = "password_file")]
    prompt: bool,
}

impl ChosenPassword {
    /// The password, where there is to be one.
    pub fn read(&self) -> Result<Option<String>, Failure> {
        match (&self.password_file, self.prompt) {
            (Some(path), _) => passwords::secret_line("--password-file", path).map(Some),
            (None, true) => asked().map(Some),
            (None, false) => Ok(None),
        }
    }

    /// The password.
    pub fn needed(&self) -> Result<String, Failure> {
        self.read()?.ok_or_else(|| {
            Failure::usage(
                "there is no password",
                "give it by --password-file FILE, or by --prompt",
            )
        })
    }
}

/// Puts the terminal back as it was, whatever happens.
struct Unseen(Termios);

impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

fn asked() -> Result<String, Failure> {
    let failed = |why: String| Failure::refused("bad_secret", why, "use --password-file");
    if !std::io::stdin().is_terminal() {
        return Err(failed("--prompt needs a terminal".to_owned()));
    }
    let seen = tcgetattr(std::io::stdin()).map_err(|e| failed(e.to_string()))?;
    let mut unseen = seen.clone();
    unseen.local_modes.remove(LocalModes::ECHO);
    let _back = Unseen(seen);
    tcsetattr(std::io::stdin(), OptionalActions::Now, &unseen).map_err(|e| failed(e.to_string()))?;
    let line = |prompt: &str| -> Result<String, Failure> {
        let mut err = std::io::stderr();
        let _ = write!(err, "{prompt}: ").and_then(|()| err.flush());
        let mut text = String::new();
        let read = std::io::stdin().lock().read_line(&mut text);
        let _ = writeln!(err);
        read.map_err(|e| failed(e.to_string()))?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    };
    let password = line("Password")?;
    if line("Again")? != password {
        return Err(failed("the two are not the same".to_owned()));
    }
    Ok(password)
}
