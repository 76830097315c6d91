//! What arrived on one m-line, for receiver reports, for the call record and for noticing loss (RFC 3550 §6.4.1, appendices A.1,
//! A.3 and A.8).
#![deny(clippy::arithmetic_side_effects)]

use std::time::Instant;

use rtcp_types::ReportBlock;

use super::{losses::Losses, out::units, rtp::Packet};

const MAX_DROPOUT: u16 = 3_000;
const MAX_MISORDER: u16 = 100;
/// A packet that this many later ones have overtaken counts as lost: networks rarely reorder further.
const OVERTAKEN_BY: u32 = 3;

/// What a packet tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The one that was expected, or the first of its source.
    InOrder,
    /// Packets before it are missing.
    AfterGap,
    /// Overtaken by others, and the first of its number.
    Late,
    /// It was here before.
    Doubled,
    /// Far from all others; the next one tells whether the source began again.
    Stray,
    /// The source began again with other numbers.
    Restarted,
}

/// Where a packet stands among those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Its place.
    pub arrival: Arrival,
    /// By now packets before it must be given up.
    pub lost: bool,
}

/// What one m-line has received, over all its sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Received {
    /// RTP packets, doubles left out.
    pub packets: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Of those received: overtaken by others.
    pub late: u64,
    /// Interarrival jitter of the last source, clock-rate units (RFC 3550 §6.4.1).
    pub jitter: u32,
}

/// The peer's last sender report.
#[derive(Debug, Clone, Copy)]
pub struct SenderClock {
    /// The peer's NTP time.
    pub ntp: u64,
    /// Its RTP timestamp for the same moment.
    pub rtp: u32,
    /// When the report arrived.
    pub at: Instant,
}

/// The receiving side of one m-line.
#[derive(Debug, Clone, Default)]
pub struct Reception {
    source: Option<Source>,
    /// Of the sources before.
    before: Received,
    /// The last sender report of the present source.
    pub sender_clock: Option<SenderClock>,
    /// When the newest packet of the present source came.
    newest_at: Option<Instant>,
    /// When packets were lost.
    pub losses: Losses,
}

#[derive(Debug, Clone)]
struct Source {
    ssrc: u32,
    base: u32,
    cycles: u32,
    newest: u16,
    /// Bit n: the packet n before the newest is here.
    here: u64,
    /// Two packets in a row from elsewhere in the sequence mean a restart.
    restart_at: Option<u16>,
    received: u32,
    late: u32,
    expected_prior: u32,
    received_prior: u32,
    transit: u32,
    /// Sixteen times the jitter.
    jitter_x16: u32,
}

impl Reception {
    /// The peer's SSRC, once heard.
    pub fn ssrc(&self) -> Option<u32> {
        self.source.as_ref().map(|source| source.ssrc)
    }

    /// Takes a packet that arrived `at`; `epoch` is any fixed moment before. `timed`: its timestamp is that of its sampling, as those
    /// of telephone-events are not.
    pub fn handle(&mut self, packet: &Packet<'_>, at: Instant, epoch: Instant, clock_rate: u32, timed: bool) -> Placed {
        let placed = |arrival| Placed { arrival, lost: false };
        let arrived = units(at.saturating_duration_since(epoch), clock_rate);
        let transit = arrived.wrapping_sub(packet.timestamp);
        let source = match &mut self.source {
            Some(source) if source.ssrc == packet.ssrc => source,
            slot => {
                let old = slot.replace(Source::new(packet, transit));
                self.sender_clock = None;
                self.newest_at = Some(at);
                let Some(old) = old else {
                    return placed(Arrival::InOrder);
                };
                self.before = old.add_to(self.before);
                return placed(Arrival::Restarted);
            }
        };
        let before = source.newest;
        let (arrival, lost) = source.place(packet.sequence);
        match arrival {
            Arrival::Restarted => {
                self.before = source.add_to(self.before);
                *source = Source::new(packet, transit);
                self.newest_at = Some(at);
                return placed(arrival);
            }
            // A double would hide a loss in the reports, and a stray is of no source yet.
            Arrival::Doubled | Arrival::Stray => return placed(arrival),
            Arrival::Late => {
                source.late = source.late.wrapping_add(1);
                self.losses.came_late();
            }
            Arrival::AfterGap => {
                let missing = packet.sequence.wrapping_sub(before).saturating_sub(1);
                let since = self.newest_at.replace(at).unwrap_or(at);
                self.losses.note(since, at, missing.into());
            }
            Arrival::InOrder => self.newest_at = Some(at),
        }
        source.received = source.received.wrapping_add(1);
        if !timed {
            return Placed { arrival, lost };
        }
        let change = (transit.wrapping_sub(source.transit) as i32).unsigned_abs();
        source.transit = transit;
        let decay = source.jitter_x16.wrapping_add(8) >> 4;
        source.jitter_x16 = source.jitter_x16.wrapping_sub(decay).wrapping_add(change);
        Placed { arrival, lost }
    }

    /// Everything so far.
    pub fn received(&self) -> Received {
        self.source
            .as_ref()
            .map_or(self.before, |source| source.add_to(self.before))
    }

    /// Takes the peer's sender report.
    pub fn handle_sender_report(&mut self, ssrc: u32, clock: SenderClock) {
        if self.ssrc().is_none_or(|known| known == ssrc) {
            self.sender_clock = Some(clock);
        }
    }

    /// The report block about this source, starting a new interval.
    pub fn report(&mut self, now: Instant) -> Option<rtcp_types::ReportBlockBuilder> {
        let clock = self.sender_clock;
        let source = self.source.as_mut()?;
        let (newest, expected) = (source.extended(), source.expected());
        let lost = source.lost().min(0x7f_ffff);
        let in_interval = expected.wrapping_sub(source.expected_prior);
        let got = source.received.wrapping_sub(source.received_prior);
        source.expected_prior = expected;
        source.received_prior = source.received;
        let missing = u64::from(in_interval.saturating_sub(got));
        let fraction = missing.saturating_mul(256).checked_div(in_interval.into()).unwrap_or(0);
        let (last, delay) = clock.map_or((0, 0), |clock| {
            let delay = units(now.saturating_duration_since(clock.at), 65_536);
            ((clock.ntp >> 16) as u32, delay)
        });
        Some(
            ReportBlock::builder(source.ssrc)
                .fraction_lost(fraction.min(255) as u8)
                .cumulative_lost(lost)
                .extended_sequence_number(newest)
                .interarrival_jitter(source.jitter_x16 >> 4)
                .last_sender_report_timestamp(last)
                .delay_since_last_sender_report_timestamp(delay),
        )
    }
}

impl Source {
    fn new(packet: &Packet<'_>, transit: u32) -> Source {
        Source {
            ssrc: packet.ssrc,
            base: packet.sequence.into(),
            cycles: 0,
            newest: packet.sequence,
            here: 1,
            restart_at: None,
            received: 1,
            late: 0,
            expected_prior: 0,
            received_prior: 0,
            transit,
            jitter_x16: 0,
        }
    }

    /// The extended highest sequence number.
    fn extended(&self) -> u32 {
        self.cycles.wrapping_add(self.newest.into())
    }

    fn expected(&self) -> u32 {
        self.extended().wrapping_sub(self.base).wrapping_add(1)
    }

    fn lost(&self) -> u32 {
        (self.expected().wrapping_sub(self.received) as i32)
            .max(0)
            .unsigned_abs()
    }

    fn add_to(&self, before: Received) -> Received {
        Received {
            packets: before.packets.saturating_add(self.received.into()),
            lost: before.lost.saturating_add(self.lost().into()),
            late: before.late.saturating_add(self.late.into()),
            jitter: self.jitter_x16 >> 4,
        }
    }

    /// A packet's place, and whether one is given up for lost with it.
    fn place(&mut self, sequence: u16) -> (Arrival, bool) {
        let ahead = sequence.wrapping_sub(self.newest);
        let behind = self.newest.wrapping_sub(sequence);
        if behind <= MAX_MISORDER {
            let bit = 1_u64.checked_shl(behind.into()).unwrap_or(0);
            let doubled = self.here & bit != 0;
            self.here |= bit;
            return (if doubled { Arrival::Doubled } else { Arrival::Late }, false);
        }
        if ahead >= MAX_DROPOUT {
            let restarted = self.restart_at == Some(sequence);
            self.restart_at = Some(sequence.wrapping_add(1));
            let arrival = if restarted { Arrival::Restarted } else { Arrival::Stray };
            return (arrival, false);
        }
        self.restart_at = None;
        if sequence < self.newest {
            self.cycles = self.cycles.wrapping_add(0x1_0000);
        }
        self.newest = sequence;
        self.here = self.here.checked_shl(ahead.into()).unwrap_or(0) | 1;
        // Those that this packet is the third to overtake: bits that just went past the limit.
        let past = u64::MAX.checked_shl(OVERTAKEN_BY).unwrap_or(0);
        let before = u64::MAX
            .checked_shl(OVERTAKEN_BY.saturating_add(ahead.into()))
            .unwrap_or(0);
        let before_first = u64::MAX.checked_shl(self.expected()).unwrap_or(0);
        let lost = !self.here & past & !before & !before_first != 0;
        let arrival = if ahead == 1 {
            Arrival::InOrder
        } else {
            Arrival::AfterGap
        };
        (arrival, lost)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // Tests make their own input.
mod tests {
    use std::time::Duration;

    use rtcp_types::{ReceiverReport, RtcpPacketParser, RtcpPacketWriterExt};

    use super::*;
    use crate::path::rtp::{Header, PLAIN};

    struct Peer {
        reception: Reception,
        epoch: Instant,
    }

    impl Peer {
        fn new() -> Peer {
            Peer {
                reception: Reception::default(),
                epoch: Instant::now(),
            }
        }

        fn sends(&mut self, ssrc: u32, sequence: u16, at_ms: u64) -> Arrival {
            self.places(ssrc, sequence, at_ms).arrival
        }

        fn places(&mut self, ssrc: u32, sequence: u16, at_ms: u64) -> Placed {
            let header = Header {
                first: PLAIN,
                marker: false,
                payload_type: 0,
                sequence,
                timestamp: u32::from(sequence).wrapping_mul(160),
                ssrc,
            };
            let bytes = header.to_bytes();
            let at = self.epoch + Duration::from_millis(at_ms);
            self.reception
                .handle(&Packet::parse(&bytes).unwrap(), at, self.epoch, 8_000, true)
        }

        fn report(&mut self) -> Vec<u8> {
            let block = self.reception.report(self.epoch + Duration::from_secs(1)).unwrap();
            let mut bytes = vec![0; 64];
            let len = ReceiverReport::builder(9)
                .add_report_block(block)
                .write_into(&mut bytes)
                .unwrap();
            bytes.truncate(len);
            bytes
        }
    }

    #[test]
    fn a_gap_is_seen_and_reported() {
        let mut peer = Peer::new();
        assert_eq!(peer.sends(1, 65_534, 0), Arrival::InOrder);
        assert_eq!(peer.sends(1, 65_535, 20), Arrival::InOrder);
        assert_eq!(peer.sends(1, 1, 60), Arrival::AfterGap);
        assert_eq!(peer.sends(1, 2, 80), Arrival::InOrder);
        let bytes = peer.report();
        let report = ReceiverReport::parse(&bytes).unwrap();
        let block = report.report_blocks().next().unwrap();
        assert_eq!(block.cumulative_lost(), 1);
        assert_eq!(block.fraction_lost(), 51);
        assert_eq!(block.extended_sequence_number(), 0x1_0002);
    }

    #[test]
    fn late_and_doubled_packets_are_no_gap() {
        let mut peer = Peer::new();
        peer.sends(1, 10, 0);
        assert_eq!(peer.sends(1, 12, 40), Arrival::AfterGap);
        assert_eq!(peer.sends(1, 11, 41), Arrival::Late);
        assert_eq!(peer.sends(1, 12, 42), Arrival::Doubled);
        assert_eq!(peer.sends(1, 11, 43), Arrival::Doubled);
        assert_eq!(peer.sends(1, 13, 60), Arrival::InOrder);
        let received = peer.reception.received();
        assert_eq!((received.packets, received.lost, received.late), (4, 0, 1));
        assert!(peer.reception.losses.all().is_empty(), "none was lost");
    }

    #[test]
    fn a_packet_is_given_up_once_three_have_overtaken_it() {
        let mut peer = Peer::new();
        let lost: Vec<u16> = [10, 12, 13, 11, 14, 16, 17, 18, 19, 24, 25, 26]
            .into_iter()
            .filter(|&sequence| peer.places(1, sequence, u64::from(sequence)).lost)
            .collect();
        // 11 came in time, 15 did not; of 20 to 23 the first is past the limit with 24, the others with those after it.
        assert_eq!(lost, [18, 24, 25, 26]);
        assert_eq!(peer.reception.received().lost, 5);
        // Each came a millisecond after the one before it.
        let losses: Vec<_> = peer.reception.losses.all().iter().map(|loss| loss.packets).collect();
        assert_eq!(losses, [5], "all of them in one stretch");
    }

    #[test]
    fn a_road_that_was_cut_is_told_from_the_last_packet_before_to_the_first_after() {
        let mut peer = Peer::new();
        for (sequence, at_ms) in [(10, 0), (11, 20), (161, 3_020), (162, 3_040), (400, 9_000)] {
            peer.sends(1, sequence, at_ms);
        }
        // The source begins again: what it did not send is not lost.
        peer.sends(2, 5, 9_020);
        peer.sends(2, 6, 20_000);
        let at = |at: Instant| at.saturating_duration_since(peer.epoch).as_millis();
        let losses = peer.reception.losses.all().iter();
        let told: Vec<_> = losses
            .map(|loss| (at(loss.from), at(loss.until), loss.packets))
            .collect();
        assert_eq!(told, [(20, 3_020, 149), (3_040, 9_000, 237)]);
        assert_eq!(peer.reception.received().lost, 386);
    }

    #[test]
    fn sources_add_up() {
        let mut peer = Peer::new();
        for (ssrc, sequence) in [(1, 10), (1, 12), (2, 5), (2, 6), (2, 9_000), (2, 9_001), (2, 9_003)] {
            peer.sends(ssrc, sequence, 0);
        }
        let received = peer.reception.received();
        assert_eq!((received.packets, received.lost), (6, 2));
    }

    #[test]
    fn another_ssrc_or_two_far_numbers_in_a_row_are_a_restart() {
        let mut peer = Peer::new();
        peer.sends(1, 10, 0);
        assert_eq!(peer.sends(2, 500, 20), Arrival::Restarted);
        assert_eq!(peer.sends(2, 30_000, 40), Arrival::Stray);
        assert_eq!(peer.sends(2, 30_001, 60), Arrival::Restarted);
    }

    #[test]
    fn an_even_stream_has_no_jitter() {
        let mut peer = Peer::new();
        for n in 0..50 {
            peer.sends(1, n, u64::from(n) * 20);
        }
        let bytes = peer.report();
        let report = ReceiverReport::parse(&bytes).unwrap();
        assert!(report.report_blocks().next().unwrap().interarrival_jitter() <= 1);
    }
}
