//! kill -9 at random moments of a recording and of the deposit after it (quality.md): nothing acknowledged is lost, each message has
//! its notice, and a cut recording is kept.
//!
//! `SEGUE_TEST_SEED` repeats a run's moments; `SEGUE_TEST_ROUNDS` makes it longer.

use std::{
    collections::BTreeMap,
    env, fs,
    path::Path,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use segue_tests::{
    movie::Movie,
    phone::{A, Answers, Phone},
    picture::Colour,
    segue::Segue,
    wait::until,
};
use serde_json::Value;

/// Cut after this long a recording must survive: the shortest message is 1 s, and what was on its way to the spool may be missing.
const SURELY_KEPT: Duration = Duration::from_millis(1200);

/// When the server dies.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// While A is being recorded, so long after the recording began.
    Recording(Duration),
    /// After A has hung up from a recording of the first length, so long after the BYE.
    Deposit(Duration, Duration),
}

fn moment(round: u64, random: &mut StdRng) -> Moment {
    if round.is_multiple_of(2) {
        Moment::Recording(Duration::from_millis(random.random_range(200..5000)))
    } else {
        let recorded = Duration::from_millis(random.random_range(2000..4000));
        Moment::Deposit(recorded, Duration::from_millis(random.random_range(0..300)))
    }
}

#[test]
fn no_acknowledged_message_is_lost_and_cut_recordings_are_kept() {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("SEGUE_TEST_SEED")
        .unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64);
    let rounds = number("SEGUE_TEST_ROUNDS").unwrap_or(10);
    println!("SEGUE_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);

    let folder = tempfile::tempdir().unwrap();
    let mut segue = Segue::start(&folder.path().join("segue"));
    let mut phone = Phone::start(folder.path(), A, Answers::OnCommand);
    // Nobody is there: the recorder comes after a second.
    segue.cli(&[
        "subscriber",
        "add",
        "b",
        "--target",
        "sip:b@127.0.0.1:9",
        "--no-answer",
        "1s",
        "--notify",
        "webhook",
    ]);

    // What the store has shown as committed, by id: the checker's own book.
    let mut acknowledged: BTreeMap<String, Value> = BTreeMap::new();
    for round in 0..rounds {
        let moment = moment(round, &mut random);
        println!("round {round}: {moment:?}");
        let dialled = phone.dial(&segue.uri("b"));
        let call_id = phone.call_id(dialled);
        let spool = segue.data().join("spool");
        let began = until("a recording", Duration::from_secs(15), || {
            has_spool(&spool).then(Instant::now)
        });
        match moment {
            Moment::Recording(after) => {
                sleep_until(began + after);
                segue.kill_9();
            }
            Moment::Deposit(recorded, after) => {
                sleep_until(began + recorded);
                let hung_up = Instant::now();
                phone.hang_up();
                sleep_until(hung_up + after);
                segue.kill_9();
            }
        }
        // The command line reads the store without a server: what it shows has been committed.
        note(&mut acknowledged, &segue.rows(&["message", "list", "b"]));
        if matches!(moment, Moment::Recording(_)) {
            phone.hang_up();
        }
        // Messages go into the database in two rounds, into files in the next two.
        segue.set(if round % 4 < 2 { "" } else { "media_store = \"dir\"" });
        segue.run();
        let kept = match moment {
            Moment::Recording(after) => after >= SURELY_KEPT,
            Moment::Deposit(..) => true,
        };
        let row = if kept {
            Some(until("the message of a cut call", Duration::from_secs(30), || {
                message_of(&segue, &call_id)
            }))
        } else {
            message_of(&segue, &call_id)
        };
        if let Some(row) = row {
            if matches!(moment, Moment::Recording(_)) {
                assert_eq!(row["interrupted"], true, "{row}");
            }
            println!("  kept: {} ms, interrupted: {}", row["duration_ms"], row["interrupted"]);
            note(&mut acknowledged, std::slice::from_ref(&row));
            check_plays(&segue, &row, folder.path());
        }
        until("all spools to be settled", Duration::from_secs(30), || {
            (!has_spool(&spool)).then_some(())
        });
    }

    let rows: BTreeMap<String, Value> = segue
        .rows(&["message", "list", "b"])
        .into_iter()
        .map(|row| (row["id"].as_str().unwrap().to_owned(), row))
        .collect();
    let notices = segue.rows(&["notice", "list", "b"]);
    for (id, before) in &acknowledged {
        let told = notices.iter().filter(|row| row["message_id"] == **id).count();
        assert_eq!(told, 1, "message {id} was acknowledged and has {told} notices");
        let now = rows
            .get(id)
            .unwrap_or_else(|| panic!("message {id} was acknowledged and is gone: {before}"));
        check_plays(&segue, now, folder.path());
    }
    assert!(
        acknowledged.len() as u64 >= rounds / 2,
        "only {} messages in {rounds} rounds",
        acknowledged.len()
    );
    println!(
        "{rounds} rounds: {} messages, all there and playable",
        acknowledged.len()
    );
}

fn note(book: &mut BTreeMap<String, Value>, rows: &[Value]) {
    for row in rows {
        book.insert(row["id"].as_str().unwrap().to_owned(), row.clone());
    }
}

fn message_of(segue: &Segue, call_id: &str) -> Option<Value> {
    segue
        .rows(&["message", "list", "b"])
        .into_iter()
        .find(|row| row["sip_call_id"] == call_id)
}

fn has_spool(folder: &Path) -> bool {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.path().extension().is_some_and(|extension| extension == "spool"))
}

/// Exports and decodes a message; what is in it is A.
fn check_plays(segue: &Segue, row: &Value, folder: &Path) {
    let id = row["id"].as_str().unwrap();
    // A raw one is tried again at start; it is not final before.
    until("the media to be final", Duration::from_secs(30), || {
        let rows = segue.rows(&["message", "list", "b"]);
        rows.iter()
            .any(|row| row["id"] == id && row["media_state"] == "ready")
            .then_some(())
    });
    let (file, _) = segue.export(id, folder);
    let movie = Movie::decode(&file);
    assert!(movie.share_of(Colour::Red) > 0.9, "{row}: {:?}", movie.frames);
    assert!(
        movie.sound.share_of(A.tone_hz, 0) > 0.8,
        "{row}: {:?}",
        movie.sound.tones()
    );
}

fn sleep_until(moment: Instant) {
    thread::sleep(moment.saturating_duration_since(Instant::now()));
}
