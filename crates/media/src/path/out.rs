//! What one peer gets on one m-line: a single SSRC, sequence and timestamp space, whatever the source behind it.

use std::time::{Duration, Instant};

use super::{
    rtp::{Header, PLAIN},
    vp8::Numbers,
};

/// The sending side of one m-line.
#[derive(Debug, Clone)]
pub struct OutStream {
    /// Our SSRC for the whole call.
    pub ssrc: u32,
    /// RTP packets sent.
    pub packets: u32,
    /// Payload octets sent.
    pub octets: u32,
    /// Of the packets those that were sent again because the peer had not got them.
    pub again: u32,
    /// When the last packet left; `None` before the first.
    pub last_sent: Option<Instant>,
    /// Numbers of VP8 frames: they go on, too, whatever is behind the stream.
    pub vp8: Numbers,
    clock_rate: u32,
    next_sequence: u16,
    /// A timestamp and the moment it stands for.
    anchor: Option<(Instant, u32)>,
    /// The furthest timestamp sent.
    newest: u32,
}

impl OutStream {
    /// Starts at a sequence number and timestamp of the owner's choice (random, RFC 3550 §5.1).
    pub fn new(ssrc: u32, sequence: u16, timestamp: u32, clock_rate: u32) -> OutStream {
        OutStream {
            ssrc,
            packets: 0,
            octets: 0,
            again: 0,
            last_sent: None,
            vp8: Numbers::starting_at(timestamp as u16),
            clock_rate,
            next_sequence: sequence,
            anchor: None,
            newest: timestamp,
        }
    }

    /// RTP clock rate in Hz.
    pub fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    /// Another codec, another clock; timestamps go on from where they are.
    pub fn set_clock_rate(&mut self, clock_rate: u32) {
        self.clock_rate = clock_rate;
    }

    /// The timestamp of a source whose first packet stands for the moment `at`: further than all before it by the time that
    /// passed, and at least by `step`.
    pub fn base(&self, at: Instant, step: u32) -> u32 {
        let Some(stood) = self.rtp_at(at) else {
            return self.newest;
        };
        let least = self.newest.wrapping_add(step);
        if (stood.wrapping_sub(least) as i32) < 0 {
            least
        } else {
            stood
        }
    }

    /// The timestamp that stands for a moment, by the last packet; `None` before the first packet.
    pub fn rtp_at(&self, at: Instant) -> Option<u32> {
        let (then, rtp) = self.anchor?;
        Some(match at.checked_duration_since(then) {
            Some(later) => rtp.wrapping_add(units(later, self.clock_rate)),
            None => rtp.wrapping_sub(units(then.saturating_duration_since(at), self.clock_rate)),
        })
    }

    /// The sequence number after the furthest sent.
    pub fn next_sequence(&self) -> u16 {
        self.next_sequence
    }

    /// The header of a packet of our own making, sent `now`, whose timestamp stands for the moment `at`.
    pub fn stamp(
        &mut self,
        now: Instant,
        at: Instant,
        rtp: u32,
        payload_type: u8,
        marker: bool,
        octets: usize,
    ) -> Header {
        let sequence = self.next_sequence;
        self.sent(now, at, sequence, rtp, octets);
        Header {
            first: PLAIN,
            marker,
            payload_type,
            sequence,
            timestamp: rtp,
            ssrc: self.ssrc,
        }
    }

    /// The header of a packet that leaves again.
    pub fn stamp_again(&mut self, sequence: u16, rtp: u32, payload_type: u8, marker: bool, octets: usize) -> Header {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(octets as u32);
        self.again = self.again.wrapping_add(1);
        Header {
            first: PLAIN,
            marker,
            payload_type,
            sequence,
            timestamp: rtp,
            ssrc: self.ssrc,
        }
    }

    /// A packet with this sequence number and timestamp leaves `now`.
    pub fn sent(&mut self, now: Instant, at: Instant, sequence: u16, rtp: u32, octets: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(octets as u32);
        self.last_sent = Some(now);
        let after = sequence.wrapping_add(1);
        if self.packets == 1 || (after.wrapping_sub(self.next_sequence) as i16) > 0 {
            self.next_sequence = after;
        }
        if self.anchor.is_none() || (rtp.wrapping_sub(self.newest) as i32) >= 0 {
            self.newest = rtp;
            self.anchor = Some((at, rtp));
        }
    }
}

/// A duration in clock-rate units, modulo 2^32.
pub fn units(duration: Duration, clock_rate: u32) -> u32 {
    (duration.as_micros().wrapping_mul(u128::from(clock_rate)) / 1_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_source_goes_on_after_the_time_that_passed() {
        let start = Instant::now();
        let mut out = OutStream::new(1, 65_535, 1_000, 8_000);
        assert_eq!(out.base(start, 160), 1_000);
        let header = out.stamp(start, start, 1_000, 0, true, 160);
        assert_eq!((header.sequence, header.timestamp), (65_535, 1_000));
        assert_eq!(out.next_sequence(), 0, "the sequence wraps");
        assert_eq!(out.base(start + Duration::from_millis(100), 160), 1_800);
    }

    #[test]
    fn a_source_that_comes_early_does_not_overlap() {
        let start = Instant::now();
        let mut out = OutStream::new(1, 0, 1_000, 8_000);
        out.stamp(start, start, 1_000, 0, true, 160);
        assert_eq!(out.base(start + Duration::from_millis(5), 160), 1_160);
    }

    #[test]
    fn a_late_packet_does_not_turn_the_counters_back() {
        let start = Instant::now();
        let mut out = OutStream::new(1, 10, 0, 8_000);
        out.sent(start, start, 12, 320, 160);
        out.sent(start, start, 11, 160, 160);
        assert_eq!(out.next_sequence(), 13);
        assert_eq!(out.rtp_at(start), Some(320));
    }
}
