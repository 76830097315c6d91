//! The one thread that writes recordings: appends, syncs once a second, and says only then that a recording is kept.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use crate::{
    Event, SessionKey,
    media::Events,
    spool::{self, RecordKind},
    spool_link::{ID_LEN, Job},
};

const WRITE_EVERY: Duration = Duration::from_millis(100);
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// The thread's state.
pub struct Spooler {
    jobs: Receiver<Job>,
    events: Arc<Events>,
    open: HashMap<u64, Recording>,
    written_at: Instant,
    synced_at: Instant,
}

struct Recording {
    session: SessionKey,
    path: PathBuf,
    /// `None` after a failure, which was told; nothing more is written.
    file: Option<File>,
    pending: Vec<u8>,
    unsynced: bool,
    /// The file's directory entry is not synced yet.
    fresh: bool,
}

impl Spooler {
    pub fn new(jobs: Receiver<Job>, events: Arc<Events>) -> Spooler {
        let now = Instant::now();
        Spooler {
            jobs,
            events,
            open: HashMap::new(),
            written_at: now,
            synced_at: now,
        }
    }

    /// Works until it is told to stop or all senders are gone.
    pub fn run(mut self) {
        loop {
            let wait = if self.open.is_empty() {
                Duration::from_secs(3_600)
            } else {
                WRITE_EVERY
            };
            match self.jobs.recv_timeout(wait) {
                Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(job) => self.handle(job),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.keep_up(Instant::now());
        }
        self.write_all();
        self.sync_all();
    }

    fn handle(&mut self, job: Job) {
        match job {
            Job::Open {
                id,
                session,
                path,
                manifest_json,
            } => self.begin(id, session, path, &manifest_json),
            Job::Block { bytes, back } => {
                self.take_block(&bytes);
                let mut bytes = bytes;
                bytes.clear();
                let _ = back.try_send(bytes);
            }
            Job::Close {
                id,
                duration_ms,
                end_json,
            } => self.end(id, duration_ms, &end_json),
            Job::Stop => {}
        }
    }

    fn begin(&mut self, id: u64, session: SessionKey, path: PathBuf, manifest: &[u8]) {
        let mut recording = Recording {
            session,
            path,
            file: None,
            pending: Vec::with_capacity(64 * 1024),
            unsynced: true,
            fresh: true,
        };
        let opened = OpenOptions::new().append(true).create_new(true).open(&recording.path);
        let begun = opened.and_then(|file| {
            // As long as it is open here nobody salvages it. Where files cannot be locked nobody does before the next start.
            let _ = file.try_lock();
            recording.file = Some(file);
            recording.add(RecordKind::Meta, 0, 0, manifest)?;
            recording.write()
        });
        if let Err(error) = begun {
            recording.fail(&self.events, "beginning", &error);
        }
        self.open.insert(id, recording);
    }

    fn take_block(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((id, record)) = rest.split_first_chunk::<ID_LEN>() {
            let Some((head, after)) = record.split_first_chunk::<{ spool::HEAD_LEN }>() else {
                return;
            };
            let [l0, l1, ..] = *head;
            let len = usize::from(u16::from_le_bytes([l0, l1]));
            let (Some(whole), Some(after)) = (record.get(..spool::HEAD_LEN + len), after.get(len..)) else {
                return;
            };
            rest = after;
            if let Some(recording) = self.open.get_mut(&u64::from_le_bytes(*id))
                && recording.file.is_some()
            {
                recording.pending.extend_from_slice(whole);
                recording
                    .pending
                    .extend_from_slice(&crc32c::crc32c(whole).to_le_bytes());
            }
        }
    }

    fn end(&mut self, id: u64, duration_ms: u64, end_json: &[u8]) {
        let Some(mut recording) = self.open.remove(&id) else {
            return;
        };
        // A failure was told when it happened.
        if recording.file.is_none() {
            return;
        }
        let kept = recording
            .add(RecordKind::Meta, 0, 0, end_json)
            .and_then(|()| recording.write())
            .and_then(|()| recording.sync());
        match kept {
            Ok(()) => {
                let path = std::mem::take(&mut recording.path);
                (self.events)(recording.session, Event::Recorded { path, duration_ms });
            }
            Err(error) => recording.fail(&self.events, "ending", &error),
        }
    }

    fn keep_up(&mut self, now: Instant) {
        if now >= self.written_at + WRITE_EVERY {
            self.written_at = now;
            self.write_all();
        }
        if now >= self.synced_at + SYNC_EVERY {
            self.synced_at = now;
            self.sync_all();
        }
    }

    fn write_all(&mut self) {
        for recording in self.open.values_mut() {
            if let Err(error) = recording.write() {
                recording.fail(&self.events, "writing", &error);
            }
        }
    }

    fn sync_all(&mut self) {
        for recording in self.open.values_mut() {
            if let Err(error) = recording.sync() {
                recording.fail(&self.events, "syncing", &error);
            }
        }
    }
}

impl Recording {
    fn add(&mut self, kind: RecordKind, stream: u8, arrival_ns: u64, packet: &[u8]) -> io::Result<()> {
        spool::append(&mut self.pending, kind, stream, arrival_ns, packet)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }

    fn write(&mut self) -> io::Result<()> {
        let Some(file) = self.file.as_mut().filter(|_| !self.pending.is_empty()) else {
            return Ok(());
        };
        file.write_all(&self.pending)?;
        self.pending.clear();
        self.unsynced = true;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let Some(file) = self.file.as_ref().filter(|_| self.unsynced) else {
            return Ok(());
        };
        file.sync_data()?;
        if self.fresh {
            sync_directory(&self.path)?;
        }
        (self.unsynced, self.fresh) = (false, false);
        Ok(())
    }

    /// Tells once that this recording is lost. An error of a write or sync is final: trying again could report success for
    /// pages that the system has already dropped.
    fn fail(&mut self, events: &Events, doing: &str, error: &io::Error) {
        self.file = None;
        self.pending = Vec::new();
        let why = format!("{doing} {}: {error}", self.path.display());
        tracing::error!(session = self.session, why, "a recording failed");
        events(self.session, Event::RecordFailed { why });
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel, sync_channel};

    use super::*;

    fn spooler() -> (Spooler, Receiver<Event>) {
        let (tell, events) = channel();
        let tell: Events = Box::new(move |_, event| {
            let _ = tell.send(event);
        });
        let (_, jobs) = sync_channel(1);
        (Spooler::new(jobs, Arc::new(tell)), events)
    }

    fn block(id: u64, packet: &[u8]) -> Vec<u8> {
        let head = spool::head(RecordKind::Rtp, 0, 0, packet.len() as u16);
        [&id.to_le_bytes()[..], &head, packet].concat()
    }

    #[test]
    fn a_full_disk_is_told_once_and_never_becomes_a_success() {
        let (mut spooler, events) = spooler();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let recording = Recording {
            session: 7,
            path: PathBuf::from("m1.spool"),
            file: Some(full),
            pending: Vec::new(),
            unsynced: false,
            fresh: false,
        };
        spooler.open.insert(1, recording);
        spooler.take_block(&block(1, b"packet"));
        spooler.write_all();
        spooler.take_block(&block(1, b"packet"));
        spooler.write_all();
        spooler.end(1, 500, b"{}");
        let told: Vec<Event> = events.try_iter().collect();
        let [Event::RecordFailed { why }] = &told[..] else {
            panic!("{told:?}")
        };
        assert!(why.starts_with("writing m1.spool: No space left"), "{why}");
    }

    #[test]
    fn a_file_that_is_there_already_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m1.spool");
        std::fs::write(&path, b"another message").unwrap();
        let (mut spooler, events) = spooler();
        spooler.begin(1, 7, path.clone(), b"{}");
        assert!(matches!(events.try_recv(), Ok(Event::RecordFailed { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"another message");
    }

    #[test]
    fn packets_of_two_recordings_in_one_block_find_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = |n: u64| folder.path().join(format!("{n}.spool"));
        let (mut spooler, events) = spooler();
        for id in [1, 2] {
            spooler.begin(id, id, path(id), b"{}");
        }
        spooler.take_block(&[block(1, b"one"), block(2, b"two"), block(1, b"more")].concat());
        for id in [1, 2] {
            spooler.end(id, 10, b"{\"cause\":\"bye\"}");
            assert_eq!(
                events.try_recv(),
                Ok(Event::Recorded {
                    path: path(id),
                    duration_ms: 10
                })
            );
        }
        let packets = |n| {
            let reader = spool::SpoolReader::open(&path(n)).unwrap();
            reader
                .map(|record| String::from_utf8(record.packet).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(packets(1), ["{}", "one", "more", "{\"cause\":\"bye\"}"]);
        assert_eq!(packets(2), ["{}", "two", "{\"cause\":\"bye\"}"]);
    }
}
