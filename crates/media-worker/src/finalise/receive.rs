//! Received packets of one stream in the order they were sent (RFC 3550 appendix A.1), once each.
#![deny(clippy::arithmetic_side_effects)]

use rtcp_types::{Compound, Packet as Rtcp};
use rtp_types::RtpPacket;
use segue_mailbox::StreamInfo;

/// A sequence number further off than this is a new beginning, not loss (RFC 3550 `MAX_DROPOUT`).
const DROPOUT_MAX: i64 = 3000;
/// RTP time and arrival may disagree by this much within one run; beyond it the sender has begun a new timeline.
const LEAP_NS_MAX: i64 = 5_000_000_000;
/// Runs kept; a sender that begins anew more often is broken.
const RUNS_MAX: usize = 64;
/// Sender reports kept for one stream.
const REPORTS_MAX: usize = 4096;

/// One packet.
#[derive(Debug, Clone)]
pub(super) struct Packet {
    /// Sequence number without wrapping, from the run's first.
    pub seq: i64,
    /// RTP time from the run's first, clock units.
    pub rtp: i64,
    /// Nanoseconds since the recording began.
    pub arrival_ns: i64,
    /// RTP marker.
    pub marker: bool,
    /// RTP payload.
    pub payload: Vec<u8>,
}

/// Packets that share a sender, a sequence and a timeline.
#[derive(Debug)]
pub(super) struct Run {
    ssrc: u32,
    first_seq: u16,
    first_rtp: u32,
    highest: i64,
    /// In order, after [`Stream::runs`].
    pub packets: Vec<Packet>,
}

/// What a sender said about its clock.
#[derive(Debug, Clone, Copy)]
struct Report {
    ssrc: u32,
    ntp_ns: i64,
    rtp: u32,
}

/// One stream of a spool.
#[derive(Debug)]
pub(super) struct Stream {
    /// RTP clock rate, Hz; never 0.
    pub clock_rate: i64,
    runs: Vec<Run>,
    reports: Vec<Report>,
}

impl Stream {
    pub fn new(info: &StreamInfo) -> Stream {
        let clock_rate = i64::from(info.clock_rate.max(1));
        Stream {
            clock_rate,
            runs: Vec::new(),
            reports: Vec::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Takes an RTP packet; what is no RTP or empty is passed over. Its payload type is not asked for: the recorder lets in the
    /// agreed codec alone, and a re-offer may give that another number than the manifest has (RFC 3264 §8.3.2).
    pub fn rtp(&mut self, arrival_ns: u64, packet: &[u8]) {
        let Ok(rtp) = RtpPacket::parse(packet) else { return };
        if rtp.payload().is_empty() {
            return;
        }
        let arrival_ns = i64::try_from(arrival_ns).unwrap_or(i64::MAX);
        let clock_rate = self.clock_rate;
        let run = self.runs.iter_mut().rfind(|run| run.ssrc == rtp.ssrc());
        if let Some(run) = run
            && run.take(&rtp, arrival_ns, clock_rate)
        {
            return;
        }
        if self.runs.len() < RUNS_MAX {
            let mut run = Run::beginning_with(&rtp);
            run.take(&rtp, arrival_ns, clock_rate);
            self.runs.push(run);
        }
    }

    /// Takes an RTCP compound packet: its sender reports.
    pub fn rtcp(&mut self, packet: &[u8]) {
        let Ok(compound) = Compound::parse(packet) else { return };
        for part in compound {
            let Ok(Rtcp::Sr(report)) = part else { continue };
            // A sender without a wall clock says zero (RFC 3550 §6.4.1).
            if report.ntp_timestamp() != 0 && self.reports.len() < REPORTS_MAX {
                let ntp_ns = ntp_to_ns(report.ntp_timestamp());
                self.reports.push(Report {
                    ssrc: report.ssrc(),
                    ntp_ns,
                    rtp: report.rtp_timestamp(),
                });
            }
        }
    }

    /// The runs in order of their beginning, each in sending order without doubles.
    pub fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        self.runs.iter().map(|run| {
            let mut packets = run.packets.clone();
            packets.sort_by_key(|packet| packet.seq);
            packets.dedup_by_key(|packet| packet.seq);
            Run { packets, ..*run }
        })
    }

    /// The sender's wall clock at the run's RTP time zero, nanoseconds; the median of what it reported, for one report may be off.
    pub fn wall_clock(&self, run: &Run) -> Option<i64> {
        let own = self.reports.iter().filter(|report| report.ssrc == run.ssrc);
        let mut said: Vec<i64> = own
            .map(|report| {
                let rtp = i64::from(report.rtp.wrapping_sub(run.first_rtp).cast_signed());
                report.ntp_ns.saturating_sub(self.ns(rtp))
            })
            .collect();
        said.sort_unstable();
        said.get(said.len() / 2).copied()
    }

    /// Clock units as nanoseconds.
    pub fn ns(&self, rtp: i64) -> i64 {
        to_ns(rtp, self.clock_rate)
    }
}

impl Run {
    fn beginning_with(rtp: &RtpPacket) -> Run {
        Run {
            ssrc: rtp.ssrc(),
            first_seq: rtp.sequence_number(),
            first_rtp: rtp.timestamp(),
            highest: 0,
            packets: Vec::new(),
        }
    }

    /// Takes a packet that continues this run; `false` when it does not.
    fn take(&mut self, rtp: &RtpPacket, arrival_ns: i64, clock_rate: i64) -> bool {
        // The low 16 bits of `highest` are where the sender was; the difference to there is small, with its sign.
        let here = self.first_seq.wrapping_add(low16(self.highest));
        let ahead = i64::from(rtp.sequence_number().wrapping_sub(here).cast_signed());
        let time = i64::from(rtp.timestamp().wrapping_sub(self.first_rtp).cast_signed());
        if let Some(last) = self.packets.last() {
            let sent = to_ns(time.saturating_sub(last.rtp), clock_rate);
            let leap = sent.saturating_sub(arrival_ns.saturating_sub(last.arrival_ns));
            if ahead.abs() > DROPOUT_MAX || leap.abs() > LEAP_NS_MAX {
                return false;
            }
        }
        let seq = self.highest.saturating_add(ahead);
        self.highest = self.highest.max(seq);
        let (marker, payload) = (rtp.marker_bit(), rtp.payload().to_vec());
        self.packets.push(Packet {
            seq,
            rtp: time,
            arrival_ns,
            marker,
            payload,
        });
        true
    }
}

fn low16(value: i64) -> u16 {
    u16::try_from(value & 0xffff).unwrap_or(0)
}

fn to_ns(rtp: i64, clock_rate: i64) -> i64 {
    rtp.saturating_mul(1_000_000_000).checked_div(clock_rate).unwrap_or(0)
}

/// An NTP time (32.32) as nanoseconds of its era; only differences are used.
fn ntp_to_ns(ntp: u64) -> i64 {
    let seconds = i64::try_from(ntp >> 32).unwrap_or(0);
    let fraction = i64::try_from((ntp & 0xffff_ffff).wrapping_mul(1_000_000_000) >> 32).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Stream {
        Stream {
            clock_rate: 8000,
            runs: Vec::new(),
            reports: Vec::new(),
        }
    }

    fn packet(seq: u16, time: u32, ssrc: u32) -> Vec<u8> {
        let mut bytes = vec![0x80, 0];
        bytes.extend(seq.to_be_bytes());
        bytes.extend(time.to_be_bytes());
        bytes.extend(ssrc.to_be_bytes());
        bytes.push(seq.to_be_bytes()[1]);
        bytes
    }

    fn order(stream: &Stream) -> Vec<Vec<i64>> {
        stream
            .runs()
            .map(|run| run.packets.iter().map(|packet| packet.seq).collect())
            .collect()
    }

    #[test]
    fn reordered_and_doubled_packets_come_out_once_in_order_across_the_wrap() {
        let mut stream = stream();
        for (n, seq) in [65_534u16, 65_535, 1, 0, 0, 3, 2].into_iter().enumerate() {
            let time = u32::MAX.wrapping_add(u32::from(seq.wrapping_add(2)) * 160);
            stream.rtp(n as u64 * 20_000_000, &packet(seq, time, 7));
        }
        assert_eq!(order(&stream), [[0, 1, 2, 3, 4, 5]]);
    }

    #[test]
    fn a_new_source_and_a_leap_in_time_begin_new_runs() {
        let mut stream = stream();
        stream.rtp(0, &packet(1, 0, 7));
        stream.rtp(20_000_000, &packet(500, 160, 8));
        stream.rtp(40_000_000, &packet(2, 160, 7));
        stream.rtp(60_000_000, &packet(3, 900_000, 7));
        stream.rtp(80_000_000, &packet(20_000, 900_160, 7));
        assert_eq!(order(&stream), [vec![0, 1], vec![0], vec![0], vec![0]]);
    }

    #[test]
    fn a_codec_that_gets_another_number_on_the_way_goes_on() {
        let mut stream = stream();
        stream.rtp(0, &packet(1, 0, 7));
        let mut renumbered = packet(2, 160, 7);
        renumbered[1] = 99;
        stream.rtp(20_000_000, &renumbered);
        assert_eq!(order(&stream), [[0, 1]]);
    }

    #[test]
    fn noise_is_passed_over() {
        let mut stream = stream();
        let empty = &packet(1, 0, 7)[..12];
        stream.rtp(0, empty);
        stream.rtp(0, &[1, 2, 3]);
        stream.rtcp(&[0x80]);
        assert!(stream.is_empty());
    }

    #[test]
    fn one_wrong_sender_report_does_not_move_the_clock() {
        let mut stream = stream();
        stream.rtp(0, &packet(1, 1000, 7));
        for (seconds, rtp) in [(10u64, 1000u32), (11, 9000), (40, 17_000), (12, 17_000), (13, 25_000)] {
            stream.reports.push(Report {
                ssrc: 7,
                ntp_ns: ntp_to_ns(seconds << 32),
                rtp,
            });
        }
        let run = stream.runs().next().unwrap();
        assert_eq!(stream.wall_clock(&run), Some(10_000_000_000));
    }
}
