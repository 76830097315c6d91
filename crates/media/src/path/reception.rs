//! What arrived on one m-line, for receiver reports and for noticing loss (RFC 3550 §6.4.1, appendices A.1, A.3 and A.8).
#![deny(clippy::arithmetic_side_effects)]

use std::time::Instant;

use rtcp_types::ReportBlock;

use super::{out::units, rtp::Packet};

const MAX_DROPOUT: u16 = 3_000;
const MAX_MISORDER: u16 = 100;

/// What a packet tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The one that was expected, or the first of its source.
    InOrder,
    /// Packets before it are missing.
    AfterGap,
    /// Late or doubled.
    OutOfOrder,
    /// The source began again with other numbers.
    Restarted,
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
    /// The last sender report of the present source.
    pub sender_clock: Option<SenderClock>,
}

#[derive(Debug, Clone)]
struct Source {
    ssrc: u32,
    base: u32,
    cycles: u32,
    newest: u16,
    /// Two packets in a row from elsewhere in the sequence mean a restart.
    restart_at: Option<u16>,
    received: u32,
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

    /// Takes a packet that arrived `at`; `epoch` is any fixed moment before.
    pub fn handle(&mut self, packet: &Packet<'_>, at: Instant, epoch: Instant, clock_rate: u32) -> Arrival {
        let arrived = units(at.saturating_duration_since(epoch), clock_rate);
        let transit = arrived.wrapping_sub(packet.timestamp);
        let source = match &mut self.source {
            Some(source) if source.ssrc == packet.ssrc => source,
            slot => {
                let restarted = slot.is_some();
                *slot = Some(Source::new(packet, transit));
                self.sender_clock = None;
                return if restarted {
                    Arrival::Restarted
                } else {
                    Arrival::InOrder
                };
            }
        };
        let arrival = source.place(packet.sequence);
        if arrival == Arrival::Restarted {
            *source = Source::new(packet, transit);
            return arrival;
        }
        source.received = source.received.wrapping_add(1);
        let change = (transit.wrapping_sub(source.transit) as i32).unsigned_abs();
        source.transit = transit;
        let decay = source.jitter_x16.wrapping_add(8) >> 4;
        source.jitter_x16 = source.jitter_x16.wrapping_sub(decay).wrapping_add(change);
        arrival
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
        let newest = source.cycles.wrapping_add(source.newest.into());
        let expected = newest.wrapping_sub(source.base).wrapping_add(1);
        let lost = (expected.wrapping_sub(source.received) as i32).clamp(0, 0x7f_ffff);
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
                .cumulative_lost(lost as u32)
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
            restart_at: None,
            received: 1,
            expected_prior: 0,
            received_prior: 0,
            transit,
            jitter_x16: 0,
        }
    }

    fn place(&mut self, sequence: u16) -> Arrival {
        let ahead = sequence.wrapping_sub(self.newest);
        if ahead == 0 || ahead >= 0_u16.wrapping_sub(MAX_MISORDER) {
            return Arrival::OutOfOrder;
        }
        if ahead >= MAX_DROPOUT {
            let restarted = self.restart_at == Some(sequence);
            self.restart_at = Some(sequence.wrapping_add(1));
            return if restarted {
                Arrival::Restarted
            } else {
                Arrival::OutOfOrder
            };
        }
        self.restart_at = None;
        if sequence < self.newest {
            self.cycles = self.cycles.wrapping_add(0x1_0000);
        }
        self.newest = sequence;
        if ahead == 1 {
            Arrival::InOrder
        } else {
            Arrival::AfterGap
        }
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
                .handle(&Packet::parse(&bytes).unwrap(), at, self.epoch, 8_000)
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
        assert_eq!(peer.sends(1, 11, 41), Arrival::OutOfOrder);
        assert_eq!(peer.sends(1, 12, 42), Arrival::OutOfOrder);
        assert_eq!(peer.sends(1, 13, 60), Arrival::InOrder);
    }

    #[test]
    fn another_ssrc_or_two_far_numbers_in_a_row_are_a_restart() {
        let mut peer = Peer::new();
        peer.sends(1, 10, 0);
        assert_eq!(peer.sends(2, 500, 20), Arrival::Restarted);
        assert_eq!(peer.sends(2, 30_000, 40), Arrival::OutOfOrder);
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
