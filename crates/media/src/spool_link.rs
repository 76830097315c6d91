//! How a media thread hands packets to the spool thread: in blocks that go round, so that a packet costs neither an allocation
//! nor a wake-up.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    time::{Duration, Instant},
};

use crate::{
    SessionKey,
    spool::{self, RecordKind},
};

/// Bytes of a block.
const BLOCK_LEN: usize = 64 * 1024;
/// Blocks of one media thread: 4 MiB, some seconds of a hundred recordings.
const BLOCKS_MAX: usize = 64;
/// A packet waits no longer than this for its block to leave, while the spool thread keeps up.
const FLUSH_EVERY: Duration = Duration::from_millis(20);
/// Once this many blocks are out, it does not keep up (a disk may take seconds to sync): a block leaves when it is full, so that
/// the others last for as long as their bytes do, and not for as many flushes.
const BEHIND: usize = 8;
/// Bytes in front of a record in a block: the number of its recording.
pub const ID_LEN: usize = 8;

/// What the spool thread is told.
#[derive(Debug)]
pub enum Job {
    /// Begin a file.
    Open {
        id: u64,
        session: SessionKey,
        path: PathBuf,
        manifest_json: Vec<u8>,
    },
    /// Records without checksums, each behind its recording's number. The block goes back to its thread.
    Block { bytes: Vec<u8>, back: SyncSender<Vec<u8>> },
    /// End a file in order.
    Close {
        id: u64,
        duration_ms: u64,
        end_json: Vec<u8>,
    },
    /// No more will come; open files stay as they are.
    Stop,
}

/// One media thread's end.
#[derive(Debug)]
pub struct SpoolLink {
    jobs: SyncSender<Job>,
    back: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    /// Those that came back.
    free: Vec<Vec<u8>>,
    made: usize,
    block: Vec<u8>,
    /// When the block must leave.
    flush_at: Option<Instant>,
    /// Ends that found the queue full; at most one an open recording.
    closes: VecDeque<Job>,
}

impl SpoolLink {
    pub fn new(jobs: SyncSender<Job>) -> SpoolLink {
        let (back, empty) = sync_channel(BLOCKS_MAX);
        SpoolLink {
            jobs,
            back,
            empty,
            free: Vec::with_capacity(BLOCKS_MAX),
            made: 0,
            block: Vec::new(),
            flush_at: None,
            closes: VecDeque::new(),
        }
    }

    /// Begins a file.
    pub fn open(
        &mut self,
        id: u64,
        session: SessionKey,
        path: PathBuf,
        manifest_json: Vec<u8>,
    ) -> Result<(), &'static str> {
        let job = Job::Open {
            id,
            session,
            path,
            manifest_json,
        };
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => "the disk does not keep up with the recordings that run",
            TrySendError::Disconnected(_) => "the spool thread is gone",
        })
    }

    /// Adds a packet; whether there was room for it.
    pub fn push(
        &mut self,
        now: Instant,
        id: u64,
        kind: RecordKind,
        stream: u8,
        arrival_ns: u64,
        packet: &[u8],
    ) -> bool {
        let Ok(len) = u16::try_from(packet.len()) else {
            return false;
        };
        let needed = ID_LEN + spool::HEAD_LEN + packet.len();
        if self.block.len() + needed > BLOCK_LEN {
            self.send_block();
        }
        if self.block.capacity() == 0 && !self.take_block() {
            return false;
        }
        if self.block.len() + needed > BLOCK_LEN {
            return false;
        }
        self.block.extend_from_slice(&id.to_le_bytes());
        self.block
            .extend_from_slice(&spool::head(kind, stream, arrival_ns, len));
        self.block.extend_from_slice(packet);
        self.flush_at.get_or_insert(now + FLUSH_EVERY);
        true
    }

    /// Ends a file after all its packets.
    pub fn close(&mut self, now: Instant, id: u64, duration_ms: u64, end_json: Vec<u8>) {
        self.closes.push_back(Job::Close {
            id,
            duration_ms,
            end_json,
        });
        self.flush(now);
    }

    /// When `flush` wants to be called.
    pub fn flush_at(&self) -> Option<Instant> {
        self.flush_at
    }

    /// Sends what is waiting; what finds no room waits on.
    pub fn flush(&mut self, now: Instant) {
        self.flush_at = None;
        if !self.closes.is_empty() || !self.is_behind() {
            self.send_block();
        }
        while self.block.is_empty()
            && let Some(close) = self.closes.pop_front()
        {
            if let Err(TrySendError::Full(close)) = self.jobs.try_send(close) {
                self.closes.push_front(close);
                break;
            }
        }
        if !self.block.is_empty() || !self.closes.is_empty() {
            self.flush_at = Some(now + FLUSH_EVERY);
        }
    }

    /// Sends everything, however long it takes: the thread is ending.
    pub fn finish(&mut self) {
        if !self.block.is_empty() {
            let block = std::mem::take(&mut self.block);
            let _ = self.jobs.send(Job::Block {
                bytes: block,
                back: self.back.clone(),
            });
        }
        for close in self.closes.drain(..) {
            let _ = self.jobs.send(close);
        }
    }

    fn take_block(&mut self) -> bool {
        self.free.extend(self.empty.try_iter());
        if let Some(block) = self.free.pop() {
            self.block = block;
        } else if self.made < BLOCKS_MAX {
            self.made += 1;
            self.block = Vec::with_capacity(BLOCK_LEN);
        }
        self.block.capacity() > 0
    }

    fn is_behind(&mut self) -> bool {
        self.free.extend(self.empty.try_iter());
        // The one in hand is not out.
        self.made.saturating_sub(self.free.len()) > BEHIND
    }

    fn send_block(&mut self) {
        if self.block.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.block);
        match self.jobs.try_send(Job::Block {
            bytes,
            back: self.back.clone(),
        }) {
            Ok(()) => {}
            Err(TrySendError::Full(Job::Block { bytes, .. })) => self.block = bytes,
            Err(_) => self.made = self.made.saturating_sub(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(link: &mut SpoolLink, packet: &[u8]) -> bool {
        link.push(Instant::now(), 1, RecordKind::Rtp, 0, 0, packet)
    }

    #[test]
    fn a_spool_thread_that_does_not_keep_up_costs_packets_and_not_memory() {
        let (jobs, waiting) = sync_channel(2);
        let mut link = SpoolLink::new(jobs);
        let packet = [7; 1_200];
        let taken = (0..10_000).filter(|_| push(&mut link, &packet)).count();
        assert!(taken < 3 * BLOCK_LEN / packet.len() + 3, "{taken} packets were taken");

        // It catches up: blocks come back and there is room again.
        for job in waiting.try_iter() {
            let Job::Block { mut bytes, back } = job else {
                panic!("only packets were sent")
            };
            bytes.clear();
            back.try_send(bytes).unwrap();
        }
        assert!(push(&mut link, &packet));
    }

    /// A disk that syncs for ten seconds: blocks are counted in bytes, not in flushes.
    #[test]
    fn ten_seconds_without_the_spool_thread_cost_no_packet() {
        let (jobs, waiting) = sync_channel(BLOCKS_MAX);
        let mut link = SpoolLink::new(jobs);
        let began = Instant::now();
        let packets = 500_u16;
        for n in 0..packets {
            let now = began + FLUSH_EVERY * u32::from(n);
            assert!(link.push(now, 1, RecordKind::Rtp, 0, 0, &n.to_be_bytes()), "{n}");
            if link.flush_at().is_some_and(|at| at <= now) {
                link.flush(now);
            }
        }
        link.close(began, 1, 0, Vec::new());
        let mut kept = 0;
        loop {
            match waiting.try_recv() {
                Ok(Job::Block { bytes, .. }) => kept += bytes.len() / (ID_LEN + spool::HEAD_LEN + 2),
                Ok(Job::Close { .. }) => break,
                other => panic!("{other:?} before the end"),
            }
        }
        assert_eq!(kept, usize::from(packets));
    }

    #[test]
    fn an_end_comes_after_its_packets_however_long_it_waits() {
        let (jobs, waiting) = sync_channel(1);
        let mut link = SpoolLink::new(jobs);
        let now = Instant::now();
        push(&mut link, &[1]);
        link.close(now, 1, 0, Vec::new());
        assert!(link.flush_at().is_some(), "the end waits for room");
        assert!(matches!(waiting.try_recv(), Ok(Job::Block { .. })));
        link.flush(now);
        assert!(matches!(waiting.try_recv(), Ok(Job::Close { id: 1, .. })));
        assert_eq!(link.flush_at(), None);
    }
}
