//! One worker process.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use segue_media::worker::{Job, Outcome, Reply, Request};

use crate::pool::WorkerCommand;

/// Longest reply, bytes.
const LINE_MAX: u64 = 256 * 1024;
/// Replies that wait to be read.
const REPLIES_MAX: usize = 64;

/// A worker that waits for jobs. Dropping it ends the process.
pub(crate) struct Process {
    child: Child,
    jobs: ChildStdin,
    replies: Receiver<Reply>,
    next_id: u64,
}

/// Why a job has no outcome. The process is of no more use.
#[derive(Debug)]
pub(crate) enum Broken {
    /// It ended.
    Ended(String),
    /// It took longer than its limit.
    TimedOut,
}

impl Process {
    /// Starts one. It has a process group of its own: an interrupt from the terminal is for the server, which ends its workers itself.
    pub fn start(command: &WorkerCommand) -> std::io::Result<Process> {
        let mut child = Command::new(&command.program)
            .args(&command.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let (Some(jobs), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::Error::other("a worker without pipes"));
        };
        let (sender, replies) = mpsc::sync_channel(REPLIES_MAX);
        std::thread::Builder::new()
            .name("worker-replies".to_owned())
            .spawn(move || read_replies(stdout, &sender))?;
        Ok(Process {
            child,
            jobs,
            replies,
            next_id: 0,
        })
    }

    /// Is it still there?
    pub fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Does one job.
    pub fn run(&mut self, job: &Job, limit: Duration, progress: &mut dyn FnMut(u8)) -> Result<Outcome, Broken> {
        self.next_id = self.next_id.wrapping_add(1);
        let id = self.next_id;
        let request = serde_json::to_vec(&Request { id, job: job.clone() });
        let mut line = request.map_err(|error| Broken::Ended(error.to_string()))?;
        line.push(b'\n');
        if let Err(error) = self.jobs.write_all(&line).and_then(|()| self.jobs.flush()) {
            return Err(Broken::Ended(format!("took no job: {error}")));
        }
        let until = Instant::now() + limit;
        loop {
            match self
                .replies
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(reply) if reply.id != id => {}
                Ok(Reply {
                    outcome: Outcome::Progress { percent },
                    ..
                }) => progress(percent),
                Ok(Reply { outcome, .. }) => return Ok(outcome),
                Err(RecvTimeoutError::Timeout) => return Err(Broken::TimedOut),
                Err(RecvTimeoutError::Disconnected) => return Err(Broken::Ended(self.how_it_ended())),
            }
        }
    }

    fn how_it_ended(&mut self) -> String {
        let _ = self.child.kill();
        self.child
            .wait()
            .map_or_else(|error| error.to_string(), |status| status.to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends at the process's end, or at anything that is no reply.
fn read_replies(stdout: ChildStdout, replies: &SyncSender<Reply>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = String::new();
        match stdout.by_ref().take(LINE_MAX).read_line(&mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        match serde_json::from_str(&line) {
            Ok(reply) => {
                if replies.send(reply).is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a media worker said what is no reply");
                return;
            }
        }
    }
}
