//! Counters of the packet path: written by its threads, read by anyone.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

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
    /// Of an m-line with SRTP: not authentic, or there before.
    Unauthentic,
    /// Datagrams the system refused to send.
    SendFailed,
    /// Packets a recording lost.
    SpoolDropped,
    /// RTP packets that a process has made.
    Transcoded,
    /// Packets that one did not take.
    TranscodeDropped,
}

/// Upper bounds of the classes of lateness, µs; what is later is in the class after the last.
pub const LATENESS_US: [u32; 15] = [
    125, 250, 500, 750, 1_000, 1_250, 1_500, 2_000, 3_000, 5_000, 7_500, 10_000, 20_000, 50_000, 100_000,
];
const CLASSES: usize = LATENESS_US.len() + 1;

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
    /// Packets of SRTP and SRTCP dropped: not authentic under the peer's key, or there before.
    pub unauthentic: u64,
    /// Datagrams the system refused to send.
    pub send_failed: u64,
    /// Packets a recording lost because the spool thread did not keep up.
    pub spool_dropped: u64,
    /// RTP packets whose sound was transcoded by a process.
    pub transcoded: u64,
    /// Packets of sound that such a process did not take.
    pub transcode_dropped: u64,
    /// Packets of the player by how late they were, in the classes of [`LATENESS_US`].
    pub lateness: [u64; CLASSES],
    /// The latest of them, µs.
    pub latest_us: u64,
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
    unauthentic: AtomicU64,
    send_failed: AtomicU64,
    spool_dropped: AtomicU64,
    transcoded: AtomicU64,
    transcode_dropped: AtomicU64,
    lateness: [AtomicU64; CLASSES],
    latest_us: AtomicU64,
}

impl Counters {
    pub fn count(&self, what: Count, by: u64) {
        let counter = match what {
            Count::Sent => &self.sent,
            Count::Late => &self.late,
            Count::Received => &self.received,
            Count::Relayed => &self.relayed,
            Count::Bad => &self.bad,
            Count::Unauthentic => &self.unauthentic,
            Count::SendFailed => &self.send_failed,
            Count::SpoolDropped => &self.spool_dropped,
            Count::Transcoded => &self.transcoded,
            Count::TranscodeDropped => &self.transcode_dropped,
        };
        counter.fetch_add(by, Relaxed);
    }

    /// A packet of the player left so late.
    pub fn paced(&self, late: Duration) {
        let late_us = late.as_micros() as u64;
        let class = LATENESS_US
            .iter()
            .take_while(|bound| late_us > u64::from(**bound))
            .count();
        if let Some(counter) = self.lateness.get(class) {
            counter.fetch_add(1, Relaxed);
        }
        self.latest_us.fetch_max(late_us, Relaxed);
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
            unauthentic: self.unauthentic.load(Relaxed),
            send_failed: self.send_failed.load(Relaxed),
            spool_dropped: self.spool_dropped.load(Relaxed),
            transcoded: self.transcoded.load(Relaxed),
            transcode_dropped: self.transcode_dropped.load(Relaxed),
            lateness: self.lateness.each_ref().map(|counter| counter.load(Relaxed)),
            latest_us: self.latest_us.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_counted_by_its_class() {
        let counters = Counters::default();
        for us in [0, 125, 126, 5_000, 5_001, 400_000] {
            counters.paced(Duration::from_micros(us));
        }
        let stats = counters.read(0);
        let of = |bound| stats.lateness[LATENESS_US.iter().position(|us| *us == bound).unwrap()];
        assert_eq!((of(125), of(250), of(5_000), of(7_500)), (2, 1, 1, 1));
        assert_eq!((stats.lateness[CLASSES - 1], stats.latest_us), (1, 400_000));
    }
}
