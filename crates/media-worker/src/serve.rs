//! The loop: a job a line in, its replies out.

use std::io::{BufRead, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;

use gstreamer as gst;
use segue_media::worker::{Job, Outcome, Reply, Request};

use crate::encode::Wanted;
use crate::error::JobError;
use crate::{beep, finalise, limits, notice, pipeline, prepare, prompts};

/// Longest line of a job, bytes.
const LINE_MAX: u64 = 64 * 1024;

/// Runs the worker until its standard input closes; then it ends at once, also in the middle of a job: whoever asked is gone.
pub fn main() -> ExitCode {
    limits::apply();
    if let Err(error) = gst::init() {
        eprintln!("media-worker: GStreamer does not start: {error}");
        return ExitCode::FAILURE;
    }
    pipeline::forget_network();
    let (jobs, queue) = mpsc::sync_channel(16);
    std::thread::spawn(move || read_jobs(&jobs));
    for request in queue {
        let id = request.id;
        let outcome = run(request.job, &mut |percent| reply(id, Outcome::Progress { percent }));
        reply(id, outcome);
    }
    ExitCode::SUCCESS
}

fn read_jobs(jobs: &mpsc::SyncSender<Request>) {
    let mut stdin = std::io::stdin().lock();
    loop {
        let mut line = String::new();
        match std::io::Read::take(&mut stdin, LINE_MAX).read_line(&mut line) {
            Ok(0) => std::process::exit(0),
            Ok(_) => {}
            Err(error) => {
                eprintln!("media-worker: standard input: {error}");
                std::process::exit(1);
            }
        }
        match serde_json::from_str(&line) {
            Ok(request) => {
                if jobs.send(request).is_err() {
                    return;
                }
            }
            Err(error) => {
                eprintln!("media-worker: not a job: {error}");
                std::process::exit(2);
            }
        }
    }
}

fn run(job: Job, progress: &mut dyn FnMut(u8)) -> Outcome {
    let done = match job {
        Job::PrepareClip {
            input,
            out_dir,
            longest_ms,
        } => prepare::clip(
            Path::new(&input),
            Path::new(&out_dir),
            longest_ms,
            &mut Steps::new(progress),
        ),
        Job::PrepareMessage {
            input,
            out_dir,
            longest_ms,
            renditions,
        } => prepare::clip_in(
            Path::new(&input),
            Path::new(&out_dir),
            longest_ms,
            Wanted::these(&renditions),
            &mut Steps::new(progress),
        ),
        Job::PrepareNotice { out_dir } => notice::prepare(Path::new(&out_dir), &mut Steps::new(progress)),
        Job::PrepareBeep { out_dir } => beep::prepare(Path::new(&out_dir), &mut Steps::new(progress)),
        Job::PreparePrompts {
            dir,
            sounds,
            pictures,
            out_dir,
        } => prompts::prepare(
            Path::new(&dir),
            &sounds,
            &pictures,
            Path::new(&out_dir),
            &mut Steps::new(progress),
        ),
        Job::Finalise { spool, out_dir } => {
            finalise::finalise(Path::new(&spool), Path::new(&out_dir), &mut Steps::new(progress))
        }
    };
    done.unwrap_or_else(|JobError { refused, why }| Outcome::Failed { refused, why })
}

/// Says each percentage once.
pub(crate) struct Steps<'a> {
    say: &'a mut dyn FnMut(u8),
    last: Option<u8>,
}

impl<'a> Steps<'a> {
    pub fn new(say: &'a mut dyn FnMut(u8)) -> Steps<'a> {
        Steps { say, last: None }
    }

    /// `done` of `total`; a job is at 100 only when its outcome is sent.
    pub fn at(&mut self, done: u64, total: u64) {
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(0).min(99);
        let percent = u8::try_from(percent).unwrap_or(99);
        if self.last.is_none_or(|last| percent > last) {
            self.last = Some(percent);
            (self.say)(percent);
        }
    }
}

fn reply(id: u64, outcome: Outcome) {
    let Ok(mut line) = serde_json::to_vec(&Reply { id, outcome }) else {
        return;
    };
    line.push(b'\n');
    let mut stdout = std::io::stdout().lock();
    if stdout.write_all(&line).and_then(|()| stdout.flush()).is_err() {
        // Nobody listens any more.
        std::process::exit(1);
    }
}
