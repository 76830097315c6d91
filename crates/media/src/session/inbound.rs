//! What a datagram does, from the port it came in by.

use std::{net::SocketAddr, time::Instant};

use segue_sdp::{Carried, Codec, Kind};

use crate::{
    Event, LegKey,
    path::{
        amr, g711,
        reception::{Arrival, Placed, SenderClock},
        relay::{Rule, Verdict},
        rtcp::{self, Feedback, Heard, Lost},
        rtp::{Head, PLAIN, Packet, Wire},
        srtp::Sealer,
    },
    spool::RecordKind,
    stats::Count,
};

use super::{
    Session, Sink, find,
    leg::{Batch, Leg},
    pictures,
    transcoding::is_made,
};

/// A packet that passed: what is left to do with it.
pub(super) struct Passed<'p> {
    pub packet: Packet<'p>,
    pub codec: Codec,
    is_dtmf: bool,
    /// It tells of a key that was meant for us.
    withheld: bool,
    placed: Placed,
}

/// A packet as the other side of the bridge gets it.
struct Relayed<'p> {
    to: LegKey,
    at: SocketAddr,
    head: Head,
    rest: Rest<'p>,
}

/// What follows its header.
enum Rest<'p> {
    /// As it came.
    Own(&'p [u8]),
    /// AMR in the other side's packing, or G.711 by its law: so many octets of [`Session`]'s room.
    Repacked(usize),
}

impl Session {
    /// RTP or SRTP arrived on a leg's port, which is opened where it is; at most [`super::BATCH_MAX`] datagrams.
    pub fn handle_rtp<'p>(
        &mut self,
        now: Instant,
        leg: LegKey,
        kind: Kind,
        datagrams: impl Iterator<Item = (SocketAddr, &'p mut [u8])>,
        sink: &mut dyn Sink,
    ) {
        let mut batch = Batch::new();
        let mut destination = None;
        for (from, bytes) in datagrams {
            let Some(passed) = self.receive(now, leg, kind, from, bytes, sink) else {
                continue;
            };
            if leg == LegKey::A
                && !passed.is_dtmf
                && let Some(recorder) = &mut self.recorder
            {
                recorder.handle_rtp(now, kind, &passed.packet, passed.codec, passed.placed, sink);
            }
            let mut repacked = None;
            if let Some(Relayed { to, at, head, rest }) = self.relay(now, leg, kind, &passed, sink) {
                destination = Some((to, at));
                match rest {
                    Rest::Own(rest) => batch.push(Wire { head, rest }),
                    Rest::Repacked(len) => repacked = Some((head, len)),
                }
            }
            if (batch.is_full() || repacked.is_some() && !batch.is_empty())
                && let Some((to, at)) = destination
            {
                let wires = batch.take();
                sink.count(Count::Relayed, wires.len() as u64);
                sink.send_rtp(to, kind, at, wires, sealer(&mut self.legs, to, kind));
            }
            if let Some(((head, len), (to, at))) = repacked.zip(destination) {
                let rest = self.room.get(..len).unwrap_or_default();
                sink.count(Count::Relayed, 1);
                sink.send_rtp(to, kind, at, &[Wire { head, rest }], sealer(&mut self.legs, to, kind));
            }
        }
        if !batch.is_empty()
            && let Some((to, at)) = destination
        {
            let wires = batch.take();
            sink.count(Count::Relayed, wires.len() as u64);
            sink.send_rtp(to, kind, at, wires, sealer(&mut self.legs, to, kind));
        }
    }

    /// Lets a packet in: from the signalled host, of an agreed payload type, in a direction that receives.
    fn receive<'p>(
        &mut self,
        now: Instant,
        key: LegKey,
        kind: Kind,
        from: SocketAddr,
        bytes: &'p mut [u8],
        sink: &mut dyn Sink,
    ) -> Option<Passed<'p>> {
        let epoch = self.config.epoch.0;
        let leg = find(&mut self.legs, key)?;
        let stream = leg.stream(kind);
        if stream.config.is_none() || !stream.rtp.admits(from) {
            sink.count(Count::Bad, 1);
            return None;
        }
        let bytes: &'p [u8] = match &mut stream.srtp {
            None => bytes,
            Some(srtp) => {
                let Some(len) = srtp.opener.open_rtp(now, bytes) else {
                    sink.count(Count::Unauthentic, 1);
                    return None;
                };
                bytes.get(..len)?
            }
        };
        let admitted = stream
            .config
            .as_ref()
            .zip(Packet::parse(bytes))
            .and_then(|(config, packet)| Some((config, config.carried(packet.payload_type)?, packet)));
        let Some((config, carried, packet)) = admitted else {
            sink.count(Count::Bad, 1);
            return None;
        };
        let is_dtmf = carried == Carried::Dtmf;
        sink.count(Count::Received, 1);
        if !config.direction.receives() {
            return None;
        }
        let codec = config.format.codec;
        stream.rtp.heard(from);
        let placed = stream
            .reception
            .handle(&packet, now, epoch, codec.clock_rate(), !is_dtmf);
        stream.plan_report(now + super::reports::FIRST_RECEIVER_REPORT);
        let (pressed, withheld) = if is_dtmf {
            let pressed = stream.dtmf.handle(packet.ssrc, packet.timestamp, packet.payload);
            (pressed, stream.dtmf.withholds(packet.ssrc, packet.timestamp))
        } else {
            (None, false)
        };
        leg.proven(from.ip());
        leg.watch_from(now);
        if let Some(pressed) = pressed {
            sink.event(Event::Dtmf { leg: key, key: pressed });
        }
        // A double has been carried already; a stray may be anybody's.
        if matches!(placed.arrival, Arrival::Doubled | Arrival::Stray) {
            return None;
        }
        Some(Passed {
            packet,
            codec,
            is_dtmf,
            withheld,
            placed,
        })
    }

    /// The packet as the other side of the bridge gets it.
    fn relay<'p>(
        &mut self,
        now: Instant,
        from: LegKey,
        kind: Kind,
        passed: &Passed<'p>,
        sink: &mut dyn Sink,
    ) -> Option<Relayed<'p>> {
        let to = self.other_side(from)?;
        let stream = find(&mut self.legs, to)?.stream(kind);
        let Some((at, payload_type)) = stream.destination() else {
            stream.relay.pause();
            return None;
        };
        // A key of ours stands in place of the audio, and of the same key when it is told once more.
        if passed.withheld
            || stream.keys.is_sending()
            || passed.is_dtmf && stream.keys.has_told(passed.packet.payload, now)
        {
            return None;
        }
        let config = stream.config.as_ref()?;
        let foreign = config.format.codec.is_foreign();
        let payload_type = if passed.is_dtmf {
            config.dtmf_payload_type?
        } else if foreign {
            // Agreed under the same number on both legs.
            config.carried(passed.packet.payload_type)?;
            passed.packet.payload_type
        } else {
            payload_type
        };
        let (theirs, ours) = (passed.codec, config.format.codec);
        if kind == Kind::Audio && self.transcoder.is_some() && is_made(theirs, ours) && !g711::is_law_of(theirs, ours) {
            match passed.is_dtmf {
                true => self.pass_key(now, from, passed, sink),
                false => self.give_to_transcoder(now, from, passed, sink),
            }
            return None;
        }
        if kind == Kind::Video && pictures::is_made(theirs, ours) {
            self.give_picture(now, from, passed, sink);
            return None;
        }
        // The packetization mode may differ: what a mode-1 sender makes is relayed untouched.
        let made = match config.format.codec.is_same_kind(passed.codec) || passed.is_dtmf {
            true => None,
            false => {
                let payload = passed.packet.payload;
                Some(g711::transcode(
                    passed.codec,
                    config.format.codec,
                    payload,
                    &mut self.room,
                )?)
            }
        };
        // A key counts by its clock, which the stream's is.
        if passed.is_dtmf && config.format.codec.clock_rate() != passed.codec.clock_rate() {
            return None;
        }
        let rule = Rule {
            payload_type,
            codec: passed.codec,
            step: stream.step(),
        };
        let repacked = match (passed.codec, config.format.codec) {
            (Codec::Amr(from), Codec::Amr(to)) if !passed.is_dtmf && !amr::passes_as_is(from, to) => {
                // One that is broken is discarded: a receiver would lose its place in it.
                Some(amr::repack(from, to, passed.packet.payload, &mut self.room)?)
            }
            _ => made,
        };
        let packet = &passed.packet;
        let last_sent = stream.out.last_sent;
        if passed.placed.arrival == Arrival::Restarted {
            stream.relay.renumber();
        }
        // Who can ask for what it misses does so; for others we see what is lost on the way to us.
        if kind == Kind::Video && passed.placed.lost && !(config.pli || config.fir || config.nack) {
            stream.relay.asker.start(now);
        }
        let sets = stream.relay.missing_parameter_sets(packet, rule);
        if !sets.is_empty() {
            let rtp = stream.out.base(now, rule.step);
            let mut batch = Batch::new();
            for set in sets {
                let header = stream.out.stamp(now, now, rtp, payload_type, false, set.len());
                batch.push(Wire {
                    head: header.to_bytes().into(),
                    rest: set,
                });
            }
            let sealer = stream.srtp.as_mut().map(|srtp| &mut srtp.sealer);
            sink.send_rtp(to, kind, at, batch.take(), sealer);
        }
        let (head, rest, first) = match repacked {
            None => match stream.relay.handle(now, packet, rule, &mut stream.out) {
                Verdict::Carry {
                    header,
                    descriptor,
                    rest,
                    first,
                } => (header.head(descriptor), Rest::Own(rest), first),
                Verdict::Drop => return None,
            },
            Some(len) => {
                let payload = self.room.get(..len).unwrap_or_default();
                // What stood beside the payload (header extensions, CSRCs, padding) goes.
                let packet = Packet {
                    first: PLAIN,
                    payload,
                    rest: payload,
                    ..*packet
                };
                match stream.relay.handle(now, &packet, rule, &mut stream.out) {
                    Verdict::Carry { header, first, .. } => (header.head(None), Rest::Repacked(len), first),
                    Verdict::Drop => return None,
                }
            }
        };
        stream.plan_report(now);
        if first {
            // A new source wants its clock known at once.
            stream.report_at = Some(now);
            if to == LegKey::A {
                self.show.callee_sends(now, kind, last_sent, sink);
            }
        }
        Some(Relayed { to, at, head, rest })
    }

    /// RTCP or SRTCP arrived on a leg's port, which is opened where it is.
    pub fn handle_rtcp(
        &mut self,
        now: Instant,
        key: LegKey,
        kind: Kind,
        from: SocketAddr,
        bytes: &mut [u8],
        sink: &mut dyn Sink,
    ) {
        let (our_ntp, bridged) = (self.ntp(now), self.bridged.is_some());
        let Some(leg) = find(&mut self.legs, key) else {
            return;
        };
        let stream = leg.stream(kind);
        if stream.config.is_none() || !stream.rtcp.admits(from) {
            sink.count(Count::Bad, 1);
            return;
        }
        let bytes: &[u8] = match &mut stream.srtp {
            None => bytes,
            Some(srtp) => {
                let opened = srtp.opener.open_rtcp(now, bytes);
                let Some(opened) = opened.and_then(|len| bytes.get(..len)) else {
                    sink.count(Count::Unauthentic, 1);
                    return;
                };
                opened
            }
        };
        if !rtcp::is_rtcp(bytes) {
            sink.count(Count::Bad, 1);
            return;
        }
        stream.rtcp.heard(from);
        let (mut reported, mut wanted, mut lost) = (None, false, None);
        for heard in rtcp::parse(bytes, stream.out.ssrc) {
            match heard {
                Heard::SenderReport {
                    ssrc,
                    ntp,
                    rtp,
                    of_ours,
                } => {
                    stream
                        .reception
                        .handle_sender_report(ssrc, SenderClock { ntp, rtp, at: now });
                    reported = Some(ntp);
                    stream.heard_of_ours(now, of_ours);
                }
                Heard::ReceiverReport { of_ours } => stream.heard_of_ours(now, of_ours),
                Heard::KeyFrameRequest => wanted = true,
                Heard::Lost(packets) => lost = Some(packets),
                Heard::Other => {}
            }
        }
        // Who is muted or suppresses silence sends no RTP and is still there (RFC 3550 §6.2.1). A recording does end.
        if bridged {
            leg.watch_from(now);
        }
        if let Some(ntp) = reported {
            leg.keep_clock(our_ntp, ntp);
            if key == LegKey::A
                && let Some(recorder) = &mut self.recorder
            {
                recorder.spool(now, RecordKind::Rtcp, kind, bytes, sink);
            }
        }
        if kind == Kind::Video {
            if let Some(lost) = lost.filter(|_| !wanted) {
                self.packets_wanted(now, key, lost, sink);
            }
            if wanted {
                self.key_frame_wanted(now, key, sink);
            }
        }
    }

    /// A leg misses packets: of a clip they are sent again, of the other side they are asked for there, by its numbers. A side that
    /// keeps none is asked for a key frame instead.
    fn packets_wanted(&mut self, now: Instant, by: LegKey, lost: Lost, sink: &mut dyn Sink) {
        let made = self.other_side(by).is_some_and(|source| self.makes_pictures_of(source));
        let Some(leg) = find(&mut self.legs, by) else {
            return;
        };
        if by == LegKey::A && !self.show.shows_callee() {
            self.show.send_again(now, leg, lost, sink);
            return;
        }
        if made {
            // The process keeps none of its packets.
            return self.key_frame_wanted(now, by, sink);
        }
        let theirs = leg.video.relay.as_of_source(lost);
        let Some(source) = self.other_side(by).filter(|_| theirs.sequences().next().is_some()) else {
            return;
        };
        let Some(asked) = find(&mut self.legs, source) else {
            return;
        };
        match asked.video.config.as_ref().filter(|_| asked.video.receives()) {
            Some(config) if config.nack => {
                self.send_compound(now, source, Kind::Video, Some(Feedback::Nack(theirs)), sink);
            }
            _ => self.ask_key_frame(now, source, sink),
        }
    }

    /// A leg asks for a key frame of what it sees.
    fn key_frame_wanted(&mut self, now: Instant, by: LegKey, sink: &mut dyn Sink) {
        if by == LegKey::A && !self.show.shows_callee() {
            if let Some(a) = find(&mut self.legs, LegKey::A) {
                self.show.repeat_key_frame(now, a, sink);
            }
        } else if let Some(source) = self.other_side(by) {
            self.ask_key_frame(now, source, sink);
        }
    }
}

/// What seals RTP to a leg, where it has agreed on SRTP.
fn sealer(legs: &mut [(LegKey, Leg)], leg: LegKey, kind: Kind) -> Option<&mut Sealer> {
    find(legs, leg)?.stream(kind).sealer()
}
