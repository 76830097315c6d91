//! Files of call records: each record once, over rotation, crashes and failures.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use segue_jobs::{Clocks, Form, Keeper, RecordFile, RecordFileStats, RecordFiles, RecordWriter};
use segue_records::{COLUMNS, CallRecord, CallResult, PhaseName, UnixMs};
use segue_store::{Kept, REJECTED_MAX, Store};

fn call(n: u32, result: CallResult) -> CallRecord {
    CallRecord {
        from: "sip:alice@h".to_owned(),
        to: "sip:bob@h".to_owned(),
        ended_at: Some(UnixMs(i64::from(n) * 1_000 + 500)),
        phase_reached: PhaseName::Ringing,
        result,
        cause: Some(487),
        why: "The caller hung up.".to_owned(),
        ..CallRecord::begun(
            format!("01CALL{n:06}"),
            format!("=c{n}@h"),
            UnixMs(i64::from(n) * 1_000),
        )
    }
}

struct Fixture {
    dir: tempfile::TempDir,
    store: Store,
}

impl Fixture {
    fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("data")).unwrap();
        Fixture { dir, store }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("out/calls")
    }

    fn file(&self, form: Form) -> RecordFile {
        RecordFile {
            form,
            path: self.path(),
            max_bytes: None,
            daily: false,
            keep: None,
        }
    }

    fn writer(&self, file: RecordFile) -> RecordWriter {
        RecordWriter::new(self.store.clone(), file, RecordFileStats::default())
    }

    fn save(&self, numbers: std::ops::Range<u32>) {
        for n in numbers {
            self.store.save_call(&call(n, CallResult::Abandoned)).unwrap();
        }
    }

    /// Files set aside and the present one, oldest first.
    fn all(&self) -> Vec<String> {
        let mut names: Vec<PathBuf> = fs::read_dir(self.path().parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        // `calls` sorts before `calls.000001`.
        names.sort();
        names.rotate_left(1);
        names.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
    }
}

/// Ids of the records in a file, headers left out.
fn ids(text: &str) -> Vec<String> {
    assert!(text.is_empty() || text.ends_with('\n'), "half a line: {text}");
    let id = |line: &str| {
        let at = line.find("01CALL").unwrap_or_else(|| panic!("no id: {line}"));
        line[at..at + 12].to_owned()
    };
    let header = COLUMNS.join(",");
    text.lines().filter(|line| *line != header).map(id).collect()
}

fn expected(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|n| format!("01CALL{n:06}")).collect()
}

fn turns(writer: &mut RecordWriter) {
    while writer.turn(SystemTime::now()).unwrap() > 0 {}
}

#[test]
fn each_committed_record_is_one_line_after_one_header() {
    for form in [Form::Csv, Form::JsonLines] {
        let fixture = Fixture::new();
        let mut writer = fixture.writer(fixture.file(form));
        // More than is written at once.
        fixture.save(0..450);
        turns(&mut writer);
        fixture.save(450..453);
        turns(&mut writer);
        // Saved anew, it stands no second time.
        fixture.store.save_call(&call(2, CallResult::Abandoned)).unwrap();
        turns(&mut writer);
        let text = fs::read_to_string(fixture.path()).unwrap();
        assert_eq!(ids(&text), expected(0..453));
        match form {
            Form::Csv => {
                assert_eq!(text.lines().next(), Some(COLUMNS.join(",").as_str()));
                assert_eq!(text.matches("\r\n").count(), 454);
                assert!(text.contains("\"'=c7@h\""), "no formula");
            }
            Form::JsonLines => {
                for line in text.lines() {
                    let value: serde_json::Value = serde_json::from_str(line).unwrap();
                    assert_eq!(value["result"], "abandoned");
                }
            }
        }
    }
}

#[test]
fn files_are_set_aside_by_size_without_a_loss_and_the_oldest_go() {
    for form in [Form::Csv, Form::JsonLines] {
        let fixture = Fixture::new();
        let max_bytes = Some(2_000);
        let mut writer = fixture.writer(RecordFile {
            max_bytes,
            ..fixture.file(form)
        });
        fixture.save(0..100);
        turns(&mut writer);
        let all = fixture.all();
        assert!(all.len() > 5, "{}", all.len());
        assert!(all.iter().all(|text| text.len() <= 2_000));
        let found: Vec<String> = all.iter().flat_map(|text| ids(text)).collect();
        assert_eq!(found, expected(0..100));
        if form == Form::Csv {
            assert!(all.iter().all(|text| text.starts_with("id,")));
        }

        let keep = Some(2);
        let mut writer = fixture.writer(RecordFile {
            max_bytes,
            keep,
            ..fixture.file(form)
        });
        fixture.save(100..130);
        turns(&mut writer);
        let all = fixture.all();
        assert_eq!(all.len(), 3);
        let found: Vec<String> = all.iter().flat_map(|text| ids(text)).collect();
        assert_eq!(found, expected(130 - u32::try_from(found.len()).unwrap()..130));
    }
}

#[test]
fn a_line_longer_than_a_file_may_be_has_one_of_its_own() {
    let fixture = Fixture::new();
    let max_bytes = Some(10);
    let mut writer = fixture.writer(RecordFile {
        max_bytes,
        ..fixture.file(Form::Csv)
    });
    fixture.save(0..3);
    turns(&mut writer);
    let found: Vec<Vec<String>> = fixture.all().iter().map(|text| ids(text)).collect();
    assert_eq!(found, [expected(0..1), expected(1..2), expected(2..3)]);
}

#[test]
fn a_new_day_begins_a_new_file() {
    let fixture = Fixture::new();
    let file = RecordFile {
        daily: true,
        ..fixture.file(Form::JsonLines)
    };
    let mut writer = fixture.writer(file);
    fixture.save(0..2);
    turns(&mut writer);
    // The same day goes on in the same file.
    fixture.save(2..3);
    turns(&mut writer);
    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    fs::File::options()
        .append(true)
        .open(fixture.path())
        .unwrap()
        .set_modified(yesterday)
        .unwrap();
    fixture.save(3..4);
    turns(&mut writer);
    let found: Vec<Vec<String>> = fixture.all().iter().map(|text| ids(text)).collect();
    assert_eq!(found, [expected(0..3), expected(3..4)]);
    assert!(UNIX_EPOCH < yesterday);
}

#[test]
fn half_a_line_is_cut_off_and_its_record_written_anew() {
    for form in [Form::Csv, Form::JsonLines] {
        let fixture = Fixture::new();
        fixture.save(0..3);
        turns(&mut fixture.writer(fixture.file(form)));
        // A crash amid the fourth line.
        let half = form.line(&call(3, CallResult::Abandoned));
        append(&fixture.path(), &half.as_bytes()[..half.len() - 5]);
        fixture.save(3..5);
        turns(&mut fixture.writer(fixture.file(form)));
        assert_eq!(ids(&fs::read_to_string(fixture.path()).unwrap()), expected(0..5));
        // A crash amid the header.
        fs::write(fixture.path(), &form.head().as_bytes()[..form.head().len() / 2]).unwrap();
        fixture.save(5..6);
        turns(&mut fixture.writer(fixture.file(form)));
        let text = fs::read_to_string(fixture.path()).unwrap();
        assert!(text.starts_with(&form.head()));
        assert_eq!(ids(&text), expected(5..6));
    }
}

#[test]
fn what_was_written_just_before_a_crash_stands_once() {
    for form in [Form::Csv, Form::JsonLines] {
        let fixture = Fixture::new();
        fixture.save(0..5);
        turns(&mut fixture.writer(fixture.file(form)));
        // The lines were synced, the place was not noted.
        fixture.store.record_file_holds(form.name(), 2).unwrap();
        fixture.save(5..6);
        turns(&mut fixture.writer(fixture.file(form)));
        assert_eq!(ids(&fs::read_to_string(fixture.path()).unwrap()), expected(0..6));
        // The same when the file had just been set aside.
        fixture.store.record_file_holds(form.name(), 3).unwrap();
        fs::rename(fixture.path(), fixture.path().with_extension("000001")).unwrap();
        fixture.save(6..7);
        turns(&mut fixture.writer(fixture.file(form)));
        assert_eq!(ids(&fs::read_to_string(fixture.path()).unwrap()), expected(6..7));
    }
}

#[test]
fn a_file_with_fewer_columns_is_set_aside() {
    let fixture = Fixture::new();
    fixture.save(0..2);
    turns(&mut fixture.writer(fixture.file(Form::Csv)));
    let text = fs::read_to_string(fixture.path()).unwrap();
    let older = text.replacen(&format!(",{}\r\n", COLUMNS[COLUMNS.len() - 1]), "\r\n", 1);
    assert_ne!(text, older);
    fs::write(fixture.path(), &older).unwrap();
    fixture.save(2..4);
    turns(&mut fixture.writer(fixture.file(Form::Csv)));
    let [before, now] = fixture.all().try_into().unwrap();
    assert_eq!(before, older);
    assert_eq!(now.lines().next(), Some(COLUMNS.join(",").as_str()));
    assert_eq!(ids(&now), expected(2..4));
}

#[test]
fn a_file_of_something_else_is_left_as_it_is() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path().parent().unwrap()).unwrap();
    fs::write(fixture.path(), "root:x:0:0").unwrap();
    fixture.save(0..1);
    let mut writer = fixture.writer(fixture.file(Form::Csv));
    let refused = writer.turn(SystemTime::now()).unwrap_err().to_string();
    assert!(refused.contains("no call records"), "{refused}");
    assert_eq!(fs::read_to_string(fixture.path()).unwrap(), "root:x:0:0");
    // Once it is out of the way, all is made up for.
    fs::remove_file(fixture.path()).unwrap();
    turns(&mut writer);
    assert_eq!(ids(&fs::read_to_string(fixture.path()).unwrap()), expected(0..1));
}

#[test]
fn what_a_full_disk_left_out_is_written_later() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path().parent().unwrap()).unwrap();
    // Every write to it fails as on a full disk.
    std::os::unix::fs::symlink("/dev/full", fixture.path()).unwrap();
    let stats = RecordFileStats::default();
    fixture.save(0..3);
    let files = RecordFiles::start(&fixture.store, vec![fixture.file(Form::JsonLines)], &stats).unwrap();
    let until = |what: &str, done: &dyn Fn() -> bool| {
        for _ in 0..500 {
            if done() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{what}");
    };
    until("a failure", &|| stats.failures() > 0 && stats.waiting() == 3);
    // Calls go on being kept meanwhile.
    fixture.save(3..6);
    fs::remove_file(fixture.path()).unwrap();
    until("the lines", &|| stats.written() == 6 && stats.waiting() == 0);
    // What comes before the end is written before the end.
    fixture.save(6..7);
    drop(files);
    assert_eq!(ids(&fs::read_to_string(fixture.path()).unwrap()), expected(0..7));
}

#[test]
fn records_go_by_number_and_age_but_none_that_a_file_lacks() {
    let fixture = Fixture::new();
    fixture.save(0..20);
    let left = |store: &Store| store.calls(0).unwrap().iter().map(|c| c.id.clone()).collect::<Vec<_>>();
    let kept = |max, age_ms, forms: &[&'static str]| Kept {
        max,
        age_ms,
        forms: forms.to_vec(),
    };
    // The file has come to the fifth.
    fixture.store.record_file_holds("csv", 5).unwrap();
    assert_eq!(
        fixture.store.prune_calls(&kept(Some(3), None, &["csv"]), Some(0)),
        Ok(5)
    );
    assert_eq!(left(&fixture.store), expected(5..20));
    // Nobody knows the time: none goes for its age.
    assert_eq!(fixture.store.prune_calls(&kept(None, Some(1_000), &[]), None), Ok(0));
    assert_eq!(
        fixture.store.prune_calls(&kept(None, Some(9_000), &[]), Some(19_000)),
        Ok(5)
    );
    assert_eq!(left(&fixture.store), expected(10..20));
    assert_eq!(
        fixture.store.prune_calls(&kept(Some(4), None, &[]), Some(19_000)),
        Ok(6)
    );
    assert_eq!(left(&fixture.store), expected(16..20));
    // Without rules all stay, and a place is never given twice.
    assert_eq!(fixture.store.prune_calls(&Kept::default(), Some(i64::MAX)), Ok(0));
    assert_eq!(fixture.store.prune_calls(&kept(Some(0), None, &[]), None), Ok(4));
    fixture.save(20..21);
    assert_eq!(fixture.store.calls_after(20, 10).unwrap().len(), 1);
}

#[test]
fn rejected_calls_are_bounded_and_others_stay() {
    let fixture = Fixture::new();
    fixture.save(0..2);
    for n in 2..REJECTED_MAX + 12 {
        let record = call(n, CallResult::Rejected);
        // Without waiting for the disk each time.
        while fixture.store.save_call_later(&record, |saved| saved.unwrap()).is_err() {
            fixture.store.flush().unwrap();
        }
    }
    fixture.store.flush().unwrap();
    assert_eq!(fixture.store.prune_calls(&Kept::default(), None), Ok(10));
    let left = fixture.store.calls(0).unwrap();
    assert_eq!(left.len(), REJECTED_MAX as usize + 2);
    assert_eq!(left[1].id, "01CALL000001");
    assert_eq!(left[2].id, "01CALL000012");
}

#[test]
fn the_minute_deletes_records_by_number_at_once_and_by_age_while_the_clocks_agree() {
    let fixture = Fixture::new();
    fixture.save(0..10);
    let kept = Kept {
        max: Some(8),
        age_ms: Some(100_000),
        forms: Vec::new(),
    };
    let mut keeper = Keeper::new(fixture.store.clone()).with_calls(kept);
    let mut turn = |minute: u64| {
        let ms = minute * 60_000;
        let wall_ms = 104_000 + i64::try_from(ms).unwrap();
        keeper.turn(Clocks { mono_ms: ms, wall_ms }).unwrap();
        fixture.store.calls(0).unwrap().len()
    };
    assert_eq!(turn(0), 8);
    assert_eq!(turn(1), 8, "the clocks have not agreed for long enough");
    assert_eq!(turn(2), 0);
}

#[test]
fn a_row_that_cannot_be_read_is_left_out_and_counted_and_those_after_it_are_written() {
    let Fixture { dir, store } = Fixture::new();
    for n in 0..5 {
        store.save_call(&call(n, CallResult::Abandoned)).unwrap();
    }
    drop(store);
    // A disk that has turned one byte over, in the middle and at the end.
    let database = dir.path().join("data/segue.db");
    let mut bytes = fs::read(&database).unwrap();
    for n in [2, 4] {
        let row = format!("{{\"id\":\"01CALL{n:06}\"");
        let at = bytes.windows(row.len()).position(|window| window == row.as_bytes());
        bytes[at.expect("the row in the file")] = b'[';
    }
    fs::write(&database, bytes).unwrap();
    let store = Store::open(&dir.path().join("data")).unwrap();
    let fixture = Fixture { dir, store };
    let stats = RecordFileStats::default();
    let mut writer = RecordWriter::new(fixture.store.clone(), fixture.file(Form::Csv), stats.clone());
    turns(&mut writer);
    assert_eq!(ids(&fixture.all()[0]), ["01CALL000000", "01CALL000001", "01CALL000003"]);
    assert_eq!((stats.written(), stats.unreadable()), (3, 2));
    // They are not come back to, neither by this writer nor after a restart.
    assert_eq!(
        fixture.store.calls_waiting(fixture.store.record_file("csv").unwrap()),
        Ok(0)
    );
    fixture.save(5..6);
    let mut writer = RecordWriter::new(fixture.store.clone(), fixture.file(Form::Csv), stats.clone());
    turns(&mut writer);
    assert_eq!(ids(&fixture.all()[0]).last().unwrap(), "01CALL000005");
    assert_eq!((stats.written(), stats.unreadable()), (4, 2));
}

#[test]
fn files_that_are_named_later_are_written_without_a_restart() {
    let fixture = Fixture::new();
    fixture.save(0..3);
    let stats = RecordFileStats::default();
    let files = RecordFiles::start(&fixture.store, Vec::new(), &stats).unwrap();
    let csv = fixture.file(Form::Csv);
    files.plan().set(vec![csv.clone()]);
    wait(|| stats.written() == 3);
    let elsewhere = RecordFile {
        path: fixture.dir.path().join("out/other"),
        ..csv
    };
    files.plan().set(vec![elsewhere.clone()]);
    // What comes before the change is seen may still go to the first.
    let mut saved = 3;
    wait(|| {
        fixture.save(saved..saved + 1);
        saved += 1;
        elsewhere.path.exists()
    });
    drop(files);
    let text = |path: &Path| ids(&fs::read_to_string(path).unwrap());
    assert_eq!(
        [text(&fixture.path()), text(&elsewhere.path)].concat(),
        expected(0..saved)
    );
}

fn wait(mut done: impl FnMut() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("it does not come to that");
}

fn append(path: &Path, bytes: &[u8]) {
    fs::File::options()
        .append(true)
        .open(path)
        .unwrap()
        .write_all(bytes)
        .unwrap();
}
