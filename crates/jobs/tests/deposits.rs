//! Recordings on their way to becoming messages, with everything that may go wrong.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use common::*;
use segue_jobs::{DepositError, DepositOutcome, Depositor, WorkerCommand, WorkerPool};
use segue_mailbox::{Kind, MediaState, Message, RecordingEnd, StopCause};
use segue_media::worker::Outcome;
use segue_store::Store;
use segue_tests::movie::Movie;
use segue_tests::picture::Colour;

const ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const PATIENCE: Duration = Duration::from_secs(60);

/// A data directory with its store and spools.
struct House {
    folder: tempfile::TempDir,
    store: Store,
}

impl House {
    fn new() -> House {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        std::fs::create_dir(folder.path().join("spool")).unwrap();
        House { folder, store }
    }

    fn spool(&self, id: &str) -> PathBuf {
        self.folder.path().join("spool").join(format!("{id}.spool"))
    }

    fn depositor(&self, command: WorkerCommand) -> Depositor {
        let pool = WorkerPool::new(command, 2);
        Depositor::start(self.store.clone(), pool, self.folder.path().join("spool")).unwrap()
    }

    fn exported(&self, id: &str) -> PathBuf {
        let path = self.folder.path().join("exported");
        self.store
            .export_media(id, &mut std::fs::File::create(&path).unwrap())
            .unwrap();
        path
    }
}

fn good() -> WorkerCommand {
    worker("deposits")
}

fn crashing() -> WorkerCommand {
    WorkerCommand {
        program: "/bin/sh".into(),
        args: vec!["-c".to_owned(), "read job; kill -SEGV $$".to_owned()],
    }
}

/// Three seconds of sound and picture as packets.
fn sent() -> Vec<Sent> {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let input = marks(folder.path(), 3);
        let job = segue_media::worker::Job::PrepareClip {
            input: text(&input),
            out_dir: text(folder.path()),
            longest_ms: 9000,
        };
        let outcome = WorkerPool::new(good(), 1).run(&job, PATIENCE, &mut |_| {});
        assert!(matches!(outcome, Ok(Outcome::Clip { .. })), "{outcome:?}");
        folder
    });
    let of = |profile, sender| packets(&cache(folder.path(), profile), sender);
    [of("pcmu", AUDIO), of("h264-360-1", VIDEO)].concat()
}

fn end() -> RecordingEnd {
    RecordingEnd {
        duration_ms: 2980,
        cause: StopCause::Bye,
    }
}

fn write(path: &Path, id: &str, sent: Vec<Sent>, end: Option<&RecordingEnd>) -> Vec<u8> {
    let mut manifest = manifest(Kind::Video, None);
    manifest.message_id = id.to_owned();
    let bytes = spool_of(&manifest, sent, end);
    std::fs::write(path, &bytes).unwrap();
    bytes
}

fn deposit(depositor: &Depositor, id: &str) -> Result<DepositOutcome, DepositError> {
    let (done, outcome) = mpsc::channel();
    depositor.deposit(id, false, Box::new(move |deposited| done.send(deposited).unwrap()));
    outcome.recv_timeout(PATIENCE).unwrap()
}

#[track_caller]
fn stored(outcome: Result<DepositOutcome, DepositError>) -> Message {
    match outcome {
        Ok(DepositOutcome::Stored(message)) => *message,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn eventually(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_recording_becomes_a_message_that_plays() {
    let house = House::new();
    write(&house.spool(ID), ID, sent(), Some(&end()));
    let depositor = house.depositor(good());
    let message = stored(deposit(&depositor, ID));
    assert_eq!(message, house.store.message(ID).unwrap());
    assert_eq!(
        (message.mailbox.as_str(), message.sip_call_id.as_str()),
        ("bob", "x@example.com")
    );
    assert_eq!(
        (message.kind, message.media_state, message.interrupted),
        (Kind::Video, MediaState::Ready, false)
    );
    assert_eq!((message.duration_ms, message.received_at_ms), (3000, 1_700_000_000_000));
    assert!(!house.spool(ID).exists());
    assert!(house.store.poster(ID).unwrap().is_some());
    let movie = Movie::decode(&house.exported(ID));
    assert!(movie.share_of(Colour::Blue) > 0.7);
    assert_eq!(movie.sound.tone_at(100, 100), Some(440));
    depositor.shutdown();
}

#[test]
fn a_deposit_done_before_a_crash_is_not_done_twice() {
    let house = House::new();
    write(&house.spool(ID), ID, sent(), Some(&end()));
    let depositor = house.depositor(good());
    let first = stored(deposit(&depositor, ID));
    // Without its spool the acknowledgement is repeated from the store.
    assert_eq!(stored(deposit(&depositor, ID)), first);
    // With it, as if killed between commit and removal.
    write(&house.spool(ID), ID, sent(), Some(&end()));
    assert_eq!(stored(deposit(&depositor, ID)), first);
    assert!(!house.spool(ID).exists());
    assert_eq!(house.store.messages("bob").unwrap().len(), 1);
}

#[test]
fn a_recording_that_cannot_be_finalised_is_stored_raw_and_finished_at_the_next_start() {
    let house = House::new();
    let spool = write(&house.spool(ID), ID, sent(), Some(&end()));
    let depositor = house.depositor(crashing());
    let message = stored(deposit(&depositor, ID));
    assert_eq!((message.media_state, message.duration_ms), (MediaState::Raw, 2980));
    assert_eq!(std::fs::read(house.exported(ID)).unwrap(), spool);
    assert!(!house.spool(ID).exists());
    depositor.shutdown();

    let depositor = house.depositor(good());
    depositor.salvage().unwrap();
    eventually("the raw message is finished", || {
        house.store.message(ID).unwrap().media_state == MediaState::Ready
    });
    assert_eq!(Movie::decode(&house.exported(ID)).frames.len(), 75);
    assert!(house.store.raw_messages(9).unwrap().is_empty());
}

#[test]
fn a_restart_salvages_what_is_long_enough_and_drops_the_rest() {
    let house = House::new();
    let ids = ["01A", "01B", "01C", "01D", "01E"];
    let until = |ms: u64| {
        sent()
            .into_iter()
            .filter(|sent| sent.arrival_ms <= ms)
            .collect::<Vec<_>>()
    };
    let cut = write(&house.spool(ids[0]), ids[0], until(2500), None);
    // The last record is torn.
    std::fs::write(house.spool(ids[0]), &cut[..cut.len() - 7]).unwrap();
    write(&house.spool(ids[1]), ids[1], until(900), None);
    write(&house.spool(ids[2]), ids[2], sent(), Some(&end()));
    write(
        &house.spool(ids[3]),
        ids[3],
        sent(),
        Some(&RecordingEnd {
            duration_ms: 700,
            cause: StopCause::Bye,
        }),
    );
    std::fs::write(house.spool(ids[4]), b"\x07\x00\x02\x00 torn").unwrap();
    let other = house.folder.path().join("spool/notes.txt");
    std::fs::write(&other, "mine").unwrap();

    let depositor = house.depositor(good());
    depositor.salvage().unwrap();
    eventually("all spools are gone", || !ids.iter().any(|id| house.spool(id).exists()));
    let messages = house.store.messages("bob").unwrap();
    let kept: Vec<_> = messages
        .iter()
        .map(|message| (message.id.as_str(), message.interrupted))
        .collect();
    assert_eq!(kept, [(ids[0], true), (ids[2], false)]);
    assert!(
        (2300..=2600).contains(&messages[0].duration_ms),
        "{}",
        messages[0].duration_ms
    );
    let movie = Movie::decode(&house.exported(ids[0]));
    assert!(movie.frames.len() >= 60, "{}", movie.frames.len());
    assert!(other.exists());
}

#[test]
fn a_recording_without_media_leaves_nothing() {
    let house = House::new();
    write(&house.spool(ID), ID, Vec::new(), Some(&end()));
    let depositor = house.depositor(good());
    assert!(matches!(deposit(&depositor, ID), Ok(DepositOutcome::Dropped)));
    assert!(!house.spool(ID).exists());
    write(&house.spool(ID), ID, sent(), Some(&end()));
    depositor.discard(ID);
    depositor.shutdown();
    assert!(!house.spool(ID).exists());
    assert_eq!(house.store.messages("bob").unwrap(), []);
}

#[test]
fn a_spool_that_is_not_there_or_another_ones_is_an_error_and_stays() {
    let house = House::new();
    let depositor = house.depositor(good());
    assert!(matches!(deposit(&depositor, ID), Err(DepositError::Io { .. })));
    write(&house.spool(ID), "01OTHER", sent(), None);
    assert!(matches!(deposit(&depositor, ID), Err(DepositError::NotItsSpool { .. })));
    assert!(house.spool(ID).exists());
}

#[test]
fn what_could_not_be_stored_is_a_message_once_the_trouble_has_passed() {
    let house = House::new();
    let depositor = house.depositor(good());
    let work = house.folder.path().join("work");
    let _ = std::fs::remove_dir_all(&work);
    std::fs::write(&work, b"in the way").unwrap();
    for id in ["01F", "01G"] {
        write(&house.spool(id), id, sent(), Some(&end()));
        assert!(matches!(deposit(&depositor, id), Err(DepositError::Io { .. })));
    }
    depositor.try_again(PATIENCE);
    assert_eq!(house.store.messages("bob").unwrap(), []);
    std::fs::remove_file(&work).unwrap();
    depositor.try_again(PATIENCE);
    let messages = house.store.messages("bob").unwrap();
    assert_eq!(messages.len(), 2);
    assert!(
        messages
            .iter()
            .all(|m| m.media_state == MediaState::Ready && !m.interrupted)
    );
    assert!(!house.spool("01F").exists() && !house.spool("01G").exists());
}

#[test]
fn a_recording_that_the_disk_cut_is_salvaged_while_the_server_runs() {
    let house = House::new();
    let depositor = house.depositor(good());
    write(&house.spool(ID), ID, sent(), None);
    let written = std::fs::File::open(house.spool(ID)).unwrap();
    written.lock().unwrap();
    depositor.try_again(Duration::ZERO);
    assert_eq!(house.store.messages("bob").unwrap(), [], "it is still being recorded");
    drop(written);
    depositor.try_again(PATIENCE);
    assert_eq!(
        house.store.messages("bob").unwrap(),
        [],
        "its call may still ask for it"
    );
    depositor.try_again(Duration::ZERO);
    let messages = house.store.messages("bob").unwrap();
    assert!(messages.len() == 1 && messages[0].interrupted, "{messages:?}");
}

#[test]
fn what_waits_at_shutdown_is_finished_and_leftovers_are_swept() {
    let house = House::new();
    let left = house.folder.path().join("work/finalise-left");
    std::fs::create_dir_all(&left).unwrap();
    let depositor = house.depositor(good());
    assert!(!left.exists());
    let ids = ["01F", "01G", "01H"];
    for id in ids {
        write(&house.spool(id), id, sent(), Some(&end()));
        depositor.deposit(id, false, Box::new(|_| {}));
    }
    depositor.shutdown();
    assert_eq!(house.store.messages("bob").unwrap().len(), 3);
    assert_eq!(std::fs::read_dir(house.folder.path().join("work")).unwrap().count(), 0);
}

#[test]
fn what_its_caller_looks_at_is_left_alone_and_shown_as_a_clip() {
    let house = House::new();
    write(&house.spool(ID), ID, sent(), Some(&end()));
    let depositor = house.depositor(good());
    depositor.hold(ID);
    depositor.try_again(Duration::ZERO);
    assert!(house.store.messages("bob").unwrap().is_empty(), "nobody has sent it");
    let (shown, clip) = mpsc::channel();
    depositor.preview(ID, Box::new(move |made| shown.send(made).unwrap()));
    let clip = clip.recv_timeout(PATIENCE).unwrap().unwrap();
    assert!(
        clip.duration_ms > 0 && clip.renditions.iter().any(|(info, _)| info.profile.is_video()),
        "{clip:?}"
    );
    assert!(house.spool(ID).exists(), "it can still be sent");
    let (done, outcome) = mpsc::channel();
    depositor.deposit(ID, true, Box::new(move |deposited| done.send(deposited).unwrap()));
    assert!(stored(outcome.recv_timeout(PATIENCE).unwrap()).urgent);
    assert!(house.store.messages("bob").unwrap()[0].urgent);
}
