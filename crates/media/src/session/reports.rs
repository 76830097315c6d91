//! Our RTCP: a report at the start of a stream and every 5 s, requests for key frames and lost packets, a goodbye.

use std::time::{Duration, Instant};

use segue_sdp::Kind;

use crate::{
    Event, LegKey,
    path::{
        out::units,
        rtcp::{BUFFER_LEN, Compound, Feedback, Sending},
        srtp::ADDED_MAX,
    },
};

use super::{Session, Sink, find, leg::Leg};

/// After the first packet of a peer to which we send nothing.
pub const FIRST_RECEIVER_REPORT: Duration = Duration::from_secs(1);
/// Requests to one peer are at least this far apart.
pub(super) const ASK_LEAST: Duration = Duration::from_millis(200);
/// The same through signalling, which costs a transaction each.
const ASK_BY_SIGNALLING_LEAST: Duration = Duration::from_millis(1_000);
/// A peer whose clock moved further than this is followed anew (32.32 seconds).
const CLOCK_JUMP: i64 = 5 << 32;

impl Session {
    /// NTP time of a moment, on a clock of ours that never steps.
    pub(super) fn ntp(&self, now: Instant) -> u64 {
        let (then, ntp) = self.config.epoch;
        ntp.wrapping_add(ntp_units(now.saturating_duration_since(then)))
    }

    pub(super) fn send_reports(&mut self, now: Instant, sink: &mut dyn Sink) {
        for index in 0..self.legs.len() {
            for kind in [Kind::Audio, Kind::Video] {
                let Some((key, leg)) = self.legs.get_mut(index) else {
                    continue;
                };
                let (key, stream) = (*key, leg.stream(kind));
                if stream.report_at.is_some_and(|at| at <= now) {
                    stream.report_at = Some(now + stream.report_interval());
                    self.send_compound(now, key, kind, None, sink);
                }
            }
        }
    }

    /// Asks for a key frame of what a peer shows: itself, or the process that makes its pictures what the other side can see.
    pub(super) fn ask_key_frame(&mut self, now: Instant, key: LegKey, sink: &mut dyn Sink) {
        if !self.ask_made_key_frame(now, key, sink) {
            self.ask_peer_key_frame(now, key, sink);
        }
    }

    /// Asks a peer for a key frame, by what it negotiated.
    pub(super) fn ask_peer_key_frame(&mut self, now: Instant, key: LegKey, sink: &mut dyn Sink) {
        let Some(leg) = find(&mut self.legs, key) else {
            return;
        };
        let stream = &mut leg.video;
        let Some(config) = stream.config.as_ref().filter(|config| config.direction.receives()) else {
            return;
        };
        let by_rtcp = config.pli || config.fir;
        let least = if by_rtcp { ASK_LEAST } else { ASK_BY_SIGNALLING_LEAST };
        if stream.asked_at.is_some_and(|at| now < at + least) {
            return;
        }
        stream.asked_at = Some(now);
        if !by_rtcp {
            sink.event(Event::KeyFrameWanted { leg: key });
            return;
        }
        let request = if config.pli {
            Feedback::Pli
        } else {
            stream.fir_sequence = stream.fir_sequence.wrapping_add(1);
            Feedback::Fir(stream.fir_sequence)
        };
        self.send_compound(now, key, Kind::Video, Some(request), sink);
    }

    /// Says goodbye on the streams of a leg that have said anything, and tells what was counted (RFC 3550 §6.3.7).
    pub(super) fn end_streams(&mut self, now: Instant, key: LegKey, sink: &mut dyn Sink) {
        for kind in [Kind::Audio, Kind::Video] {
            let Some(stream) = find(&mut self.legs, key).map(|leg| leg.stream(kind)) else {
                return;
            };
            let (spoke, tally) = (stream.out.packets > 0 || stream.has_reported, stream.tally());
            if spoke {
                self.send_compound(now, key, kind, Some(Feedback::Bye), sink);
            }
            if let Some(tally) = tally {
                sink.event(Event::Tallied { leg: key, kind, tally });
            }
        }
    }

    /// Tells what has been counted so far on the streams of all legs.
    pub(super) fn count(&mut self, sink: &mut dyn Sink) {
        for (leg, streams) in &mut self.legs {
            for kind in [Kind::Audio, Kind::Video] {
                if let Some(tally) = streams.stream(kind).tally() {
                    sink.event(Event::Counted { leg: *leg, kind, tally });
                }
            }
        }
        sink.event(Event::AllCounted);
    }

    pub(super) fn send_compound(
        &mut self,
        now: Instant,
        key: LegKey,
        kind: Kind,
        feedback: Option<Feedback>,
        sink: &mut dyn Sink,
    ) {
        let sending = self.sending(now, key, kind);
        let Some(leg) = find(&mut self.legs, key) else {
            return;
        };
        let stream = leg.stream(kind);
        let Some(to) = stream.rtcp.remote().filter(|_| stream.config.is_some()) else {
            return;
        };
        let media = stream.reception.ssrc().unwrap_or(0);
        let compound = Compound {
            ssrc: stream.out.ssrc,
            cname: &self.cname,
            sending,
            block: stream.reception.report(now),
            feedback: feedback.map(|feedback| (media, feedback)),
        };
        if let Some(sending) = sending {
            stream.reported = Some(((sending.ntp >> 16) as u32, now));
        }
        stream.has_reported = true;
        let mut bytes = [0; BUFFER_LEN + ADDED_MAX];
        let written = bytes
            .first_chunk_mut::<BUFFER_LEN>()
            .and_then(|bytes| compound.write(bytes).ok());
        let len = match stream.sealer() {
            None => written,
            Some(sealer) => written.and_then(|len| sealer.seal_rtcp(&mut bytes, len)),
        };
        if let Some(bytes) = len.and_then(|len| bytes.get(..len)) {
            sink.send_rtcp(key, kind, to, bytes);
        }
    }

    /// What our sender report says now. A relayed stream keeps its source's clock, moved to ours by one offset a leg, so that a
    /// peer's sound and picture stay together.
    fn sending(&mut self, now: Instant, key: LegKey, kind: Kind) -> Option<Sending> {
        let our_ntp = self.ntp(now);
        let source = self.other_side(key);
        let clock = source.and_then(|source| {
            let leg = find(&mut self.legs, source)?;
            let offset = leg.ntp_offset?;
            let clock = leg.stream(kind).reception.sender_clock?;
            Some((clock, offset))
        });
        let stream = find(&mut self.legs, key)?.stream(kind);
        let rate = stream.config.as_ref()?.format.codec.clock_rate();
        let rtp = stream.out.rtp_at(now)?;
        let relayed = clock.and_then(|(clock, offset)| {
            let passed = now.saturating_duration_since(clock.at);
            let ntp = clock.ntp.wrapping_add(offset).wrapping_add(ntp_units(passed));
            Some((
                ntp,
                stream.relay.map_timestamp(clock.rtp)?.wrapping_add(units(passed, rate)),
            ))
        });
        let (ntp, rtp) = relayed.unwrap_or((our_ntp, rtp));
        Some(Sending {
            ntp,
            rtp,
            packets: stream.out.packets,
            octets: stream.out.octets,
        })
    }
}

impl Leg {
    /// Takes the peer's NTP time of a report that arrived at `ours`.
    pub(super) fn keep_clock(&mut self, ours: u64, theirs: u64) {
        let offset = ours.wrapping_sub(theirs);
        match self.ntp_offset {
            Some(kept) if (offset.wrapping_sub(kept) as i64).abs() < CLOCK_JUMP => {}
            _ => self.ntp_offset = Some(offset),
        }
    }
}

/// A duration as 32.32 seconds.
fn ntp_units(duration: Duration) -> u64 {
    let fraction = (u64::from(duration.subsec_nanos()) << 32) / 1_000_000_000;
    (duration.as_secs() << 32).wrapping_add(fraction)
}
