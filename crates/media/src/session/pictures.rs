//! A bridge whose two sides have no video codec in common: their pictures go to a process and come back as the other side can see them,
//! through the same relay as any others, so a leg's stream goes on and waits for key frames as ever.

use std::time::{Duration, Instant};

use segue_sdp::{Codec, Kind};

use crate::{
    Event, LegKey,
    path::{
        relay::{Rule, Verdict},
        rtp::{Header, PLAIN, Packet, Wire},
    },
    stats::Count,
    transcode::{Codecs, Coded, Given, Words},
};

use super::{Session, Sink, find, inbound::Passed, reports::ASK_LEAST};

/// Pictures that are given and of which nothing comes back for so long: the process hangs. It takes a moment to start.
const SILENT_MAX: Duration = Duration::from_secs(5);

/// The process, as a session sees it.
#[derive(Debug, Default)]
pub struct PictureMaker {
    /// It was told these.
    codecs: Option<Codecs>,
    generation: u8,
    /// Since when nothing has come back.
    waits_since: Option<Instant>,
    /// When it was last asked for a key frame of the caller's pictures, and of the callee's.
    asked_at: [Option<Instant>; 2],
    /// Messages are put together here.
    message: Vec<u8>,
}

/// Whether one codec's pictures are made of another's.
pub fn is_made(from: Codec, to: Codec) -> bool {
    let is_picture = |codec| matches!(codec, Codec::H264 { .. } | Codec::Vp8);
    is_picture(from) && is_picture(to) && !from.is_same_kind(to)
}

impl Session {
    /// There is a process for this session, or none any more.
    pub(super) fn make_pictures_by(&mut self, now: Instant, process: bool) {
        self.pictures = process.then(PictureMaker::default);
        match process {
            true => self.restart_pictures(now),
            false => self.hide_made_pictures(now),
        }
    }

    /// Both sides of the bridge wait for a key frame that is made for them.
    fn restart_pictures(&mut self, now: Instant) {
        let Some(callee) = self.bridged else { return };
        for key in [LegKey::A, callee] {
            if let Some(leg) = find(&mut self.legs, key).filter(|leg| leg.video.sends()) {
                leg.video.relay.restart(now, true);
            }
        }
    }

    /// What was made comes no more. Where both sides have one codec it is relayed.
    fn hide_made_pictures(&mut self, now: Instant) {
        let Some(callee) = self.bridged else { return };
        if !self.are_pictures_apart(callee) {
            return self.restart_pictures(now);
        }
        for key in [LegKey::A, callee] {
            if let Some(leg) = find(&mut self.legs, key) {
                leg.video.relay.pause();
            }
        }
        self.show.callee_hidden(now);
    }

    fn picture_codec(&mut self, key: LegKey) -> Option<Codec> {
        let config = find(&mut self.legs, key)?.video.config.as_ref()?;
        Some(config.format.codec)
    }

    fn are_pictures_apart(&mut self, callee: LegKey) -> bool {
        let codecs = self.picture_codec(LegKey::A).zip(self.picture_codec(callee));
        codecs.is_some_and(|(a, b)| is_made(a, b))
    }

    /// Whether what this side shows reaches the other only as it is made by a process.
    pub(super) fn makes_pictures_of(&mut self, source: LegKey) -> bool {
        match self.bridged {
            Some(callee) if source == LegKey::A || source == callee => self.are_pictures_apart(callee),
            _ => false,
        }
    }

    /// A packet of a picture that the other side cannot see as it is: it goes to the process.
    pub(super) fn give_picture(&mut self, now: Instant, from: LegKey, passed: &Passed<'_>, sink: &mut dyn Sink) {
        let Some(callee) = self.bridged else { return };
        let coded = |legs: &mut _, key| find(legs, key).and_then(|leg| leg.video.config.as_ref().and_then(Coded::of));
        let codecs = coded(&mut self.legs, LegKey::A)
            .zip(coded(&mut self.legs, callee))
            .map(|(a, b)| Codecs { a, b });
        let (Some(maker), Some(codecs)) = (&mut self.pictures, codecs) else {
            return;
        };
        let mut given = Given::Taken;
        if maker.codecs.as_ref() != Some(&codecs) {
            let Ok(json) = serde_json::to_vec(&codecs) else { return };
            maker.generation = maker.generation.wrapping_add(1);
            maker.message.clear();
            let generation = maker.generation;
            Words::Setup {
                generation,
                json: &json,
            }
            .write(&mut maker.message);
            given = sink.transcode(Kind::Video, &maker.message);
            // One that has not taken it is told again with the next packet.
            maker.codecs = Some(codecs).filter(|_| given == Given::Taken);
            self.restart_pictures(now);
        }
        let Some(maker) = &mut self.pictures else { return };
        if given == Given::Taken {
            let Packet {
                marker,
                payload_type,
                sequence,
                timestamp,
                ssrc,
                payload,
                ..
            } = passed.packet;
            let header = Header {
                first: PLAIN,
                marker,
                payload_type,
                sequence,
                timestamp,
                ssrc,
            };
            maker.message.clear();
            Words::Picture {
                of_caller: from == LegKey::A,
                generation: maker.generation,
                packet: &[],
            }
            .write(&mut maker.message);
            maker.message.extend_from_slice(&header.to_bytes());
            maker.message.extend_from_slice(payload);
            given = sink.transcode(Kind::Video, &maker.message);
        }
        if given == Given::Full {
            sink.count(Count::TranscodeDropped, 1);
        }
        let hangs = now.saturating_duration_since(*maker.waits_since.get_or_insert(now)) > SILENT_MAX;
        if given == Given::Gone || hangs {
            self.picture_maker_is_gone(now, sink);
        }
    }

    /// The process has ended, or hangs: what A saw last that was no callee's stays until there is another.
    pub(super) fn picture_maker_is_gone(&mut self, now: Instant, sink: &mut dyn Sink) {
        if self.pictures.take().is_some() {
            self.hide_made_pictures(now);
            sink.event(Event::TranscoderLost { kind: Kind::Video });
        }
    }

    /// What the process says.
    pub(super) fn handle_made_picture(&mut self, now: Instant, words: Words<'_>, sink: &mut dyn Sink) {
        let (Some(maker), Some(callee)) = (&mut self.pictures, self.bridged) else {
            return;
        };
        maker.waits_since = None;
        let ours = maker.generation;
        match words {
            Words::Picture {
                of_caller,
                generation,
                packet,
            } if generation == ours => {
                let to = if of_caller { callee } else { LegKey::A };
                self.send_made_picture(now, to, packet, sink);
            }
            Words::KeyFrame { of_caller, generation } if generation == ours => {
                let source = if of_caller { LegKey::A } else { callee };
                self.ask_peer_key_frame(now, source, sink);
            }
            Words::Picture { .. } | Words::KeyFrame { .. } | Words::Setup { .. } | Words::Sound(_) => {}
        }
    }

    fn send_made_picture(&mut self, now: Instant, to: LegKey, packet: &[u8], sink: &mut dyn Sink) {
        let (Some(packet), Some(leg)) = (Packet::parse(packet), find(&mut self.legs, to)) else {
            return;
        };
        let stream = &mut leg.video;
        let (Some((at, payload_type)), Some(config)) = (stream.destination(), &stream.config) else {
            return stream.relay.pause();
        };
        let rule = Rule {
            payload_type,
            codec: config.format.codec,
            step: stream.step(),
        };
        let last_sent = stream.out.last_sent;
        let Verdict::Carry {
            header,
            descriptor,
            rest,
            first,
        } = stream.relay.handle(now, &packet, rule, &mut stream.out)
        else {
            return;
        };
        let wire = Wire {
            head: header.head(descriptor),
            rest,
        };
        sink.count(Count::Transcoded, 1);
        sink.send_rtp(to, Kind::Video, at, &[wire], stream.sealer());
        stream.plan_report(now);
        if first {
            stream.report_at = Some(now);
            if to == LegKey::A {
                self.show.callee_sends(now, Kind::Video, last_sent, sink);
            }
        }
    }

    /// A key frame is wanted of what is made of this side's pictures. Whether that is nobody else's to send.
    pub(super) fn ask_made_key_frame(&mut self, now: Instant, source: LegKey, sink: &mut dyn Sink) -> bool {
        if !self.makes_pictures_of(source) {
            return false;
        }
        let of_caller = source == LegKey::A;
        // Without a process, or one that is at work, nobody has any use for it.
        let Some(maker) = &mut self.pictures else { return true };
        if maker.codecs.is_none() {
            return false;
        }
        let [callees, callers] = &mut maker.asked_at;
        let asked_at = if of_caller { callers } else { callees };
        if asked_at.is_some_and(|at| now < at + ASK_LEAST) {
            return true;
        }
        *asked_at = Some(now);
        maker.message.clear();
        let generation = maker.generation;
        Words::KeyFrame { of_caller, generation }.write(&mut maker.message);
        if sink.transcode(Kind::Video, &maker.message) == Given::Gone {
            self.picture_maker_is_gone(now, sink);
        }
        true
    }
}
