//! Counters of the packet path: written by its threads, read by anyone.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// RTP packets sent.
    Sent,
    /// RTP packets sent more than 5 ms after their time.
    Late,
    /// RTP packets received that were meant for us.
    Received,
    /// RTP packets relayed.
    Relayed,
    /// Datagrams that were not let in.
    Bad,
    /// Datagrams the system refused to send.
    SendFailed,
    /// Packets a recording lost.
    SpoolDropped,
}

/// What the packet path has done since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Sessions open now.
    pub sessions: u64,
    /// RTP ports leased now (each with its RTCP port).
    pub ports: u64,
    /// RTP packets sent.
    pub sent: u64,
    /// Of them by the player more than 5 ms after their time.
    pub late: u64,
    /// RTP packets received that were meant for us.
    pub received: u64,
    /// Of them relayed to the other side.
    pub relayed: u64,
    /// Datagrams dropped: no RTP or RTCP, unknown payload type, not from the signalled address.
    pub bad: u64,
    /// Datagrams the system refused to send.
    pub send_failed: u64,
    /// Packets a recording lost because the spool thread did not keep up.
    pub spool_dropped: u64,
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub struct Counters {
    pub sessions: AtomicU64,
    sent: AtomicU64,
    late: AtomicU64,
    received: AtomicU64,
    relayed: AtomicU64,
    bad: AtomicU64,
    send_failed: AtomicU64,
    spool_dropped: AtomicU64,
}

impl Counters {
    pub fn count(&self, what: Count, by: u64) {
        let counter = match what {
            Count::Sent => &self.sent,
            Count::Late => &self.late,
            Count::Received => &self.received,
            Count::Relayed => &self.relayed,
            Count::Bad => &self.bad,
            Count::SendFailed => &self.send_failed,
            Count::SpoolDropped => &self.spool_dropped,
        };
        counter.fetch_add(by, Relaxed);
    }

    pub fn read(&self, ports: u64) -> Stats {
        Stats {
            sessions: self.sessions.load(Relaxed),
            ports,
            sent: self.sent.load(Relaxed),
            late: self.late.load(Relaxed),
            received: self.received.load(Relaxed),
            relayed: self.relayed.load(Relaxed),
            bad: self.bad.load(Relaxed),
            send_failed: self.send_failed.load(Relaxed),
            spool_dropped: self.spool_dropped.load(Relaxed),
        }
    }
}
