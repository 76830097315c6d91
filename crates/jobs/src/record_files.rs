//! Call records as files: CSV or JSON lines, rotated (docs/records.md).
//!
//! A thread of its own follows what the store has committed, so no call waits for a file. The store keeps how far each
//! file has come; what a full disk or a crash left out is appended later. A line is synced before its place is noted,
//! and after a crash between the two the last line of the file tells which place was lost: each record stands once.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{self, RecvTimeoutError},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use segue_records::{CallRecord, csv_header};
use segue_store::{Store, StoreError};
use serde_json::Value;

/// How often it is looked for new records.
const EVERY: Duration = Duration::from_millis(250);
/// The same after a failure.
const AGAIN_AFTER: Duration = Duration::from_secs(2);
/// Records written and synced together.
const AT_ONCE: u32 = 200;
/// How much of a file's end is looked at for its last line; records are far shorter.
const TAIL: u64 = 4 * 1024 * 1024;
const DAY_S: u64 = 86_400;

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// RFC 4180 with a header.
    Csv,
    /// One object a line.
    JsonLines,
}

impl Form {
    /// Its key in the configuration and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Form::Csv => "csv",
            Form::JsonLines => "jsonl",
        }
    }

    /// One line with its end. RFC 4180 §2 wants CRLF.
    pub fn line(self, record: &CallRecord) -> String {
        match self {
            Form::Csv => record.to_csv() + "\r\n",
            Form::JsonLines => record.to_full_json().to_string() + "\n",
        }
    }

    /// What a new file begins with.
    pub fn head(self) -> String {
        match self {
            Form::Csv => csv_header() + "\r\n",
            Form::JsonLines => String::new(),
        }
    }

    /// The id of a record by its line.
    fn id(self, line: &str) -> Option<String> {
        match self {
            // Our ids have nothing in them that is quoted.
            Form::Csv => Some(line.strip_prefix('"')?.split_once('"')?.0.to_owned()),
            Form::JsonLines => {
                let value: Value = serde_json::from_str(line).ok()?;
                Some(value.get("id")?.as_str()?.to_owned())
            }
        }
    }
}

/// One file and when it is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFile {
    /// How.
    pub form: Form,
    /// Where.
    pub path: PathBuf,
    /// A file is set aside before it would be longer than this.
    pub max_bytes: Option<u64>,
    /// The first record of a new day (UTC) begins a new file.
    pub daily: bool,
    /// How many files set aside stay; `None`: all.
    pub keep: Option<u32>,
}

/// What the writer of files has done. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct RecordFileStats {
    written: Arc<AtomicU64>,
    waiting: Arc<AtomicU64>,
    failures: Arc<AtomicU64>,
    unreadable: Arc<AtomicU64>,
}

impl RecordFileStats {
    /// Records written, once for each file.
    pub fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// Records that a file lacks still, as it was when it was looked last.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    /// Attempts to write that failed; what they left out is written later.
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// Records that are in no file since they could not be read, once for each file.
    pub fn unreadable(&self) -> u64 {
        self.unreadable.load(Relaxed)
    }
}

/// Writes one file.
#[derive(Debug)]
pub struct RecordWriter {
    store: Store,
    file: RecordFile,
    stats: RecordFileStats,
    /// The end of the file and its place in the store have been brought to agree.
    is_sound: bool,
}

/// Why records are not in their file.
#[derive(Debug, thiserror::Error)]
pub enum RecordFileError {
    /// The file.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RecordWriter {
    /// Nothing is read or written yet.
    pub fn new(store: Store, file: RecordFile, stats: RecordFileStats) -> RecordWriter {
        RecordWriter {
            store,
            file,
            stats,
            is_sound: false,
        }
    }

    /// Appends records that the file lacks, some at most. Returns how many were looked at; 0: it has all.
    ///
    /// # Errors
    /// When the file or the store cannot; the file holds whole lines after that or is mended by the next turn.
    pub fn turn(&mut self, now: SystemTime) -> Result<u64, RecordFileError> {
        let form = self.file.form;
        let mut place = self.store.record_file(form.name())?;
        if !self.is_sound {
            place = self.mend(place)?;
        }
        let records = self.store.calls_after(place, AT_ONCE)?;
        let Some((last, _)) = records.last() else {
            return Ok(0);
        };
        self.is_sound = false;
        // One that cannot be read must not keep back all that come after it.
        let readable = records.iter().filter_map(|(_, record)| record.as_ref().ok());
        let written = readable.clone().count() as u64;
        let mut lines = readable.map(|record| form.line(record)).peekable();
        while lines.peek().is_some() {
            self.append(&mut lines, now).map_err(|error| self.failed(error))?;
        }
        self.store.record_file_holds(form.name(), *last)?;
        self.is_sound = true;
        self.stats.written.fetch_add(written, Relaxed);
        for unreadable in records.iter().filter_map(|(_, record)| record.as_ref().err()) {
            tracing::error!(file = %self.file.path.display(), "{unreadable}; the file is written without it");
            self.stats.unreadable.fetch_add(1, Relaxed);
        }
        Ok(records.len() as u64)
    }

    /// Appends lines to the file as it is now, or to a new one, until it is full.
    fn append(&self, lines: &mut std::iter::Peekable<impl Iterator<Item = String>>, now: SystemTime) -> io::Result<()> {
        let file = &self.file;
        if let Some(folder) = file.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let first = lines.peek().map_or(0, |line| line.len() as u64);
        if let Ok(there) = fs::metadata(&file.path)
            && there.len() > 0
            && (too_long(file, there.len().saturating_add(first)) || (file.daily && day(there.modified()?) != day(now)))
        {
            set_aside(file)?;
        }
        // Records tell who calls whom.
        let mut open = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o640)
            .open(&file.path)?;
        let before = open.metadata()?.len();
        let mut bytes = if before == 0 { file.form.head() } else { String::new() };
        while let Some(line) = lines.next_if(|line| {
            let length = before
                .saturating_add(bytes.len() as u64)
                .saturating_add(line.len() as u64);
            bytes.len() <= file.form.head().len() && before == 0 || !too_long(file, length)
        }) {
            bytes.push_str(&line);
        }
        let done = open.write_all(bytes.as_bytes()).and_then(|()| open.sync_data());
        if done.is_err() {
            // No half line for those who read: shortening works on a full disk, too.
            let _ = open.set_len(before);
        }
        done?;
        if before == 0 {
            sync_folder(&file.path)?;
        }
        Ok(())
    }

    /// Cuts half a line off the file's end, and finds out whether the last line is further than the store knows.
    fn mend(&mut self, place: i64) -> Result<i64, RecordFileError> {
        let mut newest = last_line(&self.file.path, self.file.form, true).map_err(|error| self.failed(error))?;
        if newest.as_deref().is_none_or(|line| self.file.form.id(line).is_none()) {
            // Just begun: the one before tells.
            if let Some((_, before)) = aside(&self.file.path).map_err(|error| self.failed(error))?.last() {
                newest = last_line(before, self.file.form, false).map_err(|error| self.failed(error))?;
            }
        }
        let id = newest.and_then(|line| self.file.form.id(&line));
        let found = match id {
            Some(id) => self.store.place_of_call(&id)?.unwrap_or(0),
            None => 0,
        };
        // Lines with more columns begin a file of their own.
        let is_old = is_of_an_older_version(&self.file).map_err(|error| self.failed(error))?;
        if is_old {
            set_aside(&self.file).map_err(|error| self.failed(error))?;
        }
        if found > place {
            self.store.record_file_holds(self.file.form.name(), found)?;
        }
        self.is_sound = true;
        Ok(found.max(place))
    }

    fn failed(&self, error: io::Error) -> RecordFileError {
        RecordFileError::File {
            path: self.file.path.clone(),
            error,
        }
    }
}

/// Which files are written; a change holds from the thread's next turn on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RecordPlan(Arc<Mutex<Vec<RecordFile>>>);

impl RecordPlan {
    /// From now on these. One that was there before goes on where it was.
    pub fn set(&self, files: Vec<RecordFile>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = files;
    }

    fn files(&self) -> Vec<RecordFile> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Ends the thread when dropped, after it has written what is there.
#[derive(Debug)]
pub struct RecordFiles {
    plan: RecordPlan,
    ended: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for RecordFiles {
    fn drop(&mut self) {
        self.ended = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has nothing left to finish.
            let _ = thread.join();
        }
    }
}

impl RecordFiles {
    /// A thread that keeps these files up to date.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn start(store: &Store, files: Vec<RecordFile>, stats: &RecordFileStats) -> io::Result<RecordFiles> {
        let (sender, ended) = mpsc::channel::<()>();
        let plan = RecordPlan(Arc::new(Mutex::new(files)));
        let (store, stats, planned) = (store.clone(), stats.clone(), plan.clone());
        let thread = std::thread::Builder::new()
            .name("records".to_owned())
            .spawn(move || keep(&store, &planned, &stats, &ended))?;
        Ok(RecordFiles {
            plan,
            ended: Some(sender),
            thread: Some(thread),
        })
    }

    /// To change which files these are.
    pub fn plan(&self) -> RecordPlan {
        self.plan.clone()
    }
}

fn keep(store: &Store, plan: &RecordPlan, stats: &RecordFileStats, ended: &mpsc::Receiver<()>) {
    let mut writers = Vec::<RecordWriter>::new();
    let (mut is_last, mut has_failed) = (false, false);
    loop {
        let files = plan.files();
        if !writers.iter().map(|writer| &writer.file).eq(&files) {
            let writer = |file| RecordWriter::new(store.clone(), file, stats.clone());
            writers = files.into_iter().map(writer).collect();
        }
        let (mut wrote, mut failed) = (0_u64, false);
        for writer in &mut writers {
            match writer.turn(SystemTime::now()) {
                Ok(records) => wrote = wrote.saturating_add(records),
                Err(error) => {
                    failed = true;
                    stats.failures.fetch_add(1, Relaxed);
                    if !has_failed {
                        tracing::error!(%error, "call records wait for their file; they are written once it can be");
                    }
                }
            }
        }
        let waiting = |writer: &RecordWriter| {
            let place = store.record_file(writer.file.form.name())?;
            store.calls_waiting(place)
        };
        let most = writers.iter().filter_map(|writer| waiting(writer).ok()).max();
        stats.waiting.store(most.unwrap_or(0), Relaxed);
        if has_failed && !failed {
            tracing::info!("call records are written again");
        }
        has_failed = failed;
        if is_last && (wrote == 0 || failed) {
            return;
        }
        if wrote > 0 && !failed {
            continue;
        }
        let wait = if failed { AGAIN_AFTER } else { EVERY };
        // The last calls' records are there before this ends: once more.
        is_last = ended.recv_timeout(wait) != Err(RecvTimeoutError::Timeout);
    }
}

fn too_long(file: &RecordFile, bytes: u64) -> bool {
    file.max_bytes.is_some_and(|max| bytes > max)
}

/// Days since 1970, UTC.
fn day(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / DAY_S)
}

/// Renames the file to the next number, and deletes the oldest of those set aside beyond `keep`.
fn set_aside(file: &RecordFile) -> io::Result<()> {
    let older = aside(&file.path)?;
    let next = older.last().map_or(1, |(number, _)| number.saturating_add(1));
    fs::rename(&file.path, numbered(&file.path, next))?;
    sync_folder(&file.path)?;
    let there = older.len().saturating_add(1);
    let many = file
        .keep
        .map_or(there, |keep| usize::try_from(keep).unwrap_or(usize::MAX));
    for (_, path) in older.iter().take(there.saturating_sub(many)) {
        fs::remove_file(path)?;
    }
    if many == 0 {
        fs::remove_file(numbered(&file.path, next))?;
    }
    Ok(())
}

/// Files set aside, oldest first.
fn aside(path: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Ok(Vec::new());
    };
    let entries = match fs::read_dir(folder(path)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let entry_name = entry.file_name();
        let number = entry_name
            .to_str()
            .and_then(|entry| entry.strip_prefix(name)?.strip_prefix('.'))
            .filter(|number| number.len() >= DIGITS && number.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|number| number.parse().ok());
        if let Some(number) = number {
            found.push((number, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Digits of a number at least, so that names sort as numbers do.
const DIGITS: usize = 6;

fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number:0DIGITS$}"));
    PathBuf::from(name)
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A name is on the disk when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}

/// The last whole line of a file; what follows it is cut off where `heal` says so. `None`: there is none.
fn last_line(path: &Path, form: Form, heal: bool) -> io::Result<Option<String>> {
    let mut file = match OpenOptions::new().read(true).write(heal).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    if heal && !begins_as(&mut file, form)? {
        return Err(io::Error::other(format!(
            "what stands in it are no call records as {} has them: move it away or name another file",
            form.name()
        )));
    }
    let from = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    (&mut file).take(TAIL).read_to_end(&mut tail)?;
    let whole = tail
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at.saturating_add(1));
    // Something else than records, longer than any: nothing of it is touched.
    if heal && whole < tail.len() && (whole > 0 || from == 0) {
        file.set_len(from.saturating_add(whole as u64))?;
        file.sync_data()?;
        tracing::warn!(path = %path.display(), "half a line that a crash left is cut off; its record is written anew");
    }
    let lines = tail.get(..whole).unwrap_or_default();
    let last = lines.trim_ascii_end().rsplit(|b| *b == b'\n').next();
    Ok(last
        .filter(|line| !line.is_empty())
        .map(|line| String::from_utf8_lossy(line).trim_end().to_owned()))
}

/// Whether a file begins as we begin one; an empty one, or half a beginning, does.
fn begins_as(file: &mut File, form: Form) -> io::Result<bool> {
    let head = match form {
        Form::Csv => form.head(),
        Form::JsonLines => "{\"".to_owned(),
    };
    let mut begin = Vec::new();
    file.take(head.len() as u64).read_to_end(&mut begin)?;
    Ok(head.as_bytes().starts_with(&begin) || lacks_columns(&begin, form))
}

/// Whether a file begins as it did before there were more columns.
fn lacks_columns(begin: &[u8], form: Form) -> bool {
    let first = begin.split(|b| *b == b'\n').next().unwrap_or_default();
    let columns = [first.trim_ascii_end(), b","].concat();
    form == Form::Csv && first.len() < begin.len() && form.head().as_bytes().starts_with(&columns)
}

fn is_of_an_older_version(file: &RecordFile) -> io::Result<bool> {
    let mut begin = Vec::new();
    match File::open(&file.path) {
        Ok(open) => open.take(file.form.head().len() as u64).read_to_end(&mut begin)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    Ok(lacks_columns(&begin, file.form))
}
