//! Workers that crash, hang and refuse.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::time::{Duration, Instant};

use common::*;
use segue_jobs::{WorkerCommand, WorkerError, WorkerPool};
use segue_media::worker::{Job, Outcome};

const LIMIT: Duration = Duration::from_secs(60);

/// A stand-in that notes each start in `starts`, reads a job, then does as told.
fn shell(folder: &std::path::Path, then: &str) -> WorkerPool {
    let script = format!("echo x >> {}/starts; read job; {then}", folder.display());
    let args = vec!["-c".to_owned(), script];
    WorkerPool::new(
        WorkerCommand {
            program: "/bin/sh".into(),
            args,
        },
        1,
    )
}

fn starts(folder: &std::path::Path) -> usize {
    std::fs::read_to_string(folder.join("starts")).unwrap().lines().count()
}

fn beep(folder: &std::path::Path) -> Job {
    Job::PrepareBeep {
        out_dir: folder.to_str().unwrap().to_owned(),
    }
}

#[test]
fn a_worker_lives_long_and_says_how_far_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let pool = WorkerPool::new(worker(&text(folder.path())), 1);
    let mut first = Vec::new();
    for _ in 0..2 {
        let mut said = Vec::new();
        let outcome = pool
            .run(&beep(folder.path()), LIMIT, &mut |percent| said.push(percent))
            .unwrap();
        assert!(matches!(outcome, Outcome::Clip { duration_ms: 400, .. }));
        assert!(!said.is_empty());
        let now = processes(&text(folder.path()));
        assert_eq!(now.len(), 1);
        assert!(first.is_empty() || first == now, "the same process does both");
        first = now;
    }
    drop(pool);
    assert_eq!(processes(&text(folder.path())), Vec::<u32>::new());
}

#[test]
fn a_worker_killed_in_the_middle_of_a_job_is_replaced_and_the_job_done() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("a.mkv");
    long_clip(&input);
    let pool = WorkerPool::new(worker(&text(folder.path())), 1);
    let (input, out_dir) = (
        input.to_str().unwrap().to_owned(),
        folder.path().to_str().unwrap().to_owned(),
    );
    let job = Job::PrepareClip {
        input,
        out_dir,
        longest_ms: 60_000,
    };
    let mut killed = None;
    let outcome = pool.run(&job, LIMIT, &mut |percent| {
        if killed.is_none() && percent > 5 {
            killed = processes(&text(folder.path())).first().copied();
            kill_9(killed.unwrap());
        }
    });
    assert!(matches!(outcome, Ok(Outcome::Clip { .. })), "{outcome:?}");
    assert!(killed.is_some());
}

#[test]
fn a_worker_that_crashes_is_tried_once_more_and_no_further() {
    let folder = tempfile::tempdir().unwrap();
    let pool = shell(folder.path(), "kill -ABRT $$");
    let error = pool.run(&beep(folder.path()), LIMIT, &mut |_| {}).unwrap_err();
    assert!(
        matches!(&error, WorkerError::Crashed(how) if how.contains("signal: 6")),
        "{error}"
    );
    assert_eq!(starts(folder.path()), 2);
}

#[test]
fn a_worker_that_hangs_is_killed_at_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let pool = shell(folder.path(), "exec sleep 600.125");
    let began = Instant::now();
    let limit = Duration::from_millis(300);
    let error = pool.run(&beep(folder.path()), limit, &mut |_| {}).unwrap_err();
    assert_eq!(error, WorkerError::TimedOut { limit });
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(starts(folder.path()), 2);
    assert_eq!(processes("600.125"), Vec::<u32>::new());
    // What anybody may bring is not waited for again.
    let error = pool.run_brought(&beep(folder.path()), limit, &mut |_| {}).unwrap_err();
    assert_eq!(error, WorkerError::TimedOut { limit });
    assert_eq!(starts(folder.path()), 3);
}

#[test]
fn a_worker_that_talks_nonsense_counts_as_crashed() {
    let folder = tempfile::tempdir().unwrap();
    let pool = shell(folder.path(), "echo hello; exec sleep 600");
    let error = pool.run(&beep(folder.path()), LIMIT, &mut |_| {}).unwrap_err();
    assert!(matches!(error, WorkerError::Crashed(_)), "{error}");
}

#[test]
fn a_refusal_is_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let reply = r#"echo '{"id":1,"is":"failed","refused":true,"why":"no clip"}'; exec sleep 600"#;
    let pool = shell(folder.path(), reply);
    let error = pool.run(&beep(folder.path()), LIMIT, &mut |_| {}).unwrap_err();
    assert_eq!(error, WorkerError::Refused("no clip".to_owned()));
    assert_eq!(starts(folder.path()), 1);
}

#[test]
fn a_program_that_is_missing_is_named() {
    let pool = WorkerPool::new(
        WorkerCommand {
            program: "/no/such/segue".into(),
            args: Vec::new(),
        },
        1,
    );
    let error = pool.run(&beep("/tmp".as_ref()), LIMIT, &mut |_| {}).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the media worker /no/such/segue cannot be started"),
        "{error}"
    );
}
