//! Every packet's place on the recording's timeline.
//!
//! Sound and picture have clocks that begin anywhere. Sender reports relate both to the sender's wall clock (RFC 3550 §6.4.1), which keeps
//! lips and words together however long the network held either up. Without reports the packets that arrived fastest tell.
#![deny(clippy::arithmetic_side_effects)]

use super::receive::{Packet, Stream};

/// The reports of two streams may differ from their arrival by this much; beyond it they are from different clocks and not believed.
const DISAGREEMENT_NS_MAX: i64 = 2_000_000_000;

/// A stream on the timeline.
#[derive(Debug)]
pub(super) struct Track {
    /// In order of their beginning.
    pub runs: Vec<TimedRun>,
}

impl Track {
    /// When its first packet is to be heard or seen, nanoseconds.
    pub fn begins_ns(&self) -> i64 {
        let times = self
            .runs
            .iter()
            .flat_map(|run| run.packets.iter().map(|packet| run.time_ns(packet)));
        times.min().unwrap_or(0)
    }
}

/// A run and when it begins.
#[derive(Debug)]
pub(super) struct TimedRun {
    /// The timeline's nanosecond of RTP time zero of this run.
    pub zero_ns: i64,
    /// RTP clock rate, Hz.
    pub clock_rate: i64,
    /// In order, once each.
    pub packets: Vec<Packet>,
}

impl TimedRun {
    /// When a packet is to be heard or seen, nanoseconds.
    pub fn time_ns(&self, packet: &Packet) -> i64 {
        let since = packet
            .rtp
            .saturating_mul(1_000_000_000)
            .checked_div(self.clock_rate)
            .unwrap_or(0);
        self.zero_ns.saturating_add(since)
    }
}

/// A run with what is known about its beginning.
struct Candidate {
    run: TimedRun,
    /// By arrival, with the least delay seen.
    by_arrival: i64,
    /// By the sender's wall clock.
    by_report: Option<i64>,
}

/// Puts all streams on one timeline whose zero is the earliest packet.
pub(super) fn place(streams: &[Stream]) -> Vec<Track> {
    let mut tracks: Vec<Vec<Candidate>> = streams.iter().map(candidates).collect();
    let wall_to_arrival = |candidate: &Candidate| Some(candidate.by_arrival.saturating_sub(candidate.by_report?));
    // One relation of wall clock to arrival for all: relating each stream by its own would undo what the reports are for.
    let shared = tracks.iter().flatten().find_map(wall_to_arrival);
    for candidate in tracks.iter_mut().flatten() {
        candidate.run.zero_ns = match (candidate.by_report, shared, wall_to_arrival(candidate)) {
            (Some(wall), Some(shared), Some(own)) if own.abs_diff(shared) <= DISAGREEMENT_NS_MAX.unsigned_abs() => {
                wall.saturating_add(shared)
            }
            _ => candidate.by_arrival,
        };
    }
    let begin = |candidate: &Candidate| {
        candidate
            .run
            .packets
            .iter()
            .map(|packet| candidate.run.time_ns(packet))
            .min()
    };
    let zero = tracks.iter().flatten().filter_map(begin).min().unwrap_or(0);
    let shifted = |Candidate { run, .. }| TimedRun {
        zero_ns: run.zero_ns.saturating_sub(zero),
        ..run
    };
    tracks
        .into_iter()
        .map(|runs| Track {
            runs: runs.into_iter().map(shifted).collect(),
        })
        .collect()
}

fn candidates(stream: &Stream) -> Vec<Candidate> {
    let candidate = |run: super::receive::Run| {
        let late = |packet: &Packet| packet.arrival_ns.saturating_sub(stream.ns(packet.rtp));
        Candidate {
            by_arrival: run.packets.iter().map(late).min().unwrap_or(0),
            by_report: stream.wall_clock(&run),
            run: TimedRun {
                zero_ns: 0,
                clock_rate: stream.clock_rate,
                packets: run.packets,
            },
        }
    };
    stream.runs().map(candidate).collect()
}
