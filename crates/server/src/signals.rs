//! What the system tells the server by signals.

use std::io::{self, IsTerminal};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What is wanted of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// SIGHUP: read configuration and profiles again.
    Reload,
    /// SIGTERM: take no new call, end when the last one has ended.
    Drain,
    /// SIGINT, as Ctrl-C sends it: end every call in order, now.
    Stop,
}

/// The signals, from the moment at which they are listened to.
pub struct Signals {
    hang_up: Signal,
    terminate: Signal,
    interrupt: Signal,
    /// Whether a person had started the server at a terminal.
    at_terminal: bool,
}

impl Signals {
    /// Listens; from now on no signal ends the process by itself.
    pub fn listen() -> io::Result<Signals> {
        Ok(Signals {
            hang_up: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            at_terminal: io::stdin().is_terminal(),
        })
    }

    /// The next wish.
    pub async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.hang_up.recv() => {
                // A terminal that is closed says SIGHUP as well: nobody is left who could press Ctrl-C.
                if self.at_terminal && !io::stdin().is_terminal() {
                    Wish::Stop
                } else {
                    Wish::Reload
                }
            }
            _ = self.terminate.recv() => Wish::Drain,
            _ = self.interrupt.recv() => Wish::Stop,
        }
    }
}
