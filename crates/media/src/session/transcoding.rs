//! A bridge whose two sides speak codecs of their own: their sound goes to a process and comes back in the other's; keys go around it.

use std::time::{Duration, Instant};

use segue_sdp::{Codec, Kind};

use crate::{
    Event, LegKey,
    path::rtp::Wire,
    stats::Count,
    transcode::{Codecs, Coded, Given, Sound, Words},
};

use super::{Session, Sink, find, inbound::Passed};

/// Sound that is given and of which nothing comes back for so long: the process hangs. It takes a moment to start.
const SILENT_MAX: Duration = Duration::from_secs(5);

/// The process, as a session sees it.
#[derive(Debug, Default)]
pub struct Transcoder {
    /// It was told these.
    codecs: Option<Codecs>,
    generation: u8,
    from_a: Way,
    from_b: Way,
    /// Since when nothing has come back.
    waits_since: Option<Instant>,
    /// Messages are put together here.
    message: Vec<u8>,
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    /// Timestamps of what comes back become ours by this.
    offset: Option<u32>,
    key: Option<Key>,
}

/// A key on its way past the process.
#[derive(Debug, Clone, Copy)]
struct Key {
    ssrc: u32,
    timestamp: u32,
    ours: u32,
    began: Instant,
}

impl Transcoder {
    fn way(&mut self, of_caller: bool) -> &mut Way {
        match of_caller {
            true => &mut self.from_a,
            false => &mut self.from_b,
        }
    }
}

/// Whether one codec's sound is made of another's by a process.
pub fn is_made(from: Codec, to: Codec) -> bool {
    let is_sound = |codec| {
        matches!(
            codec,
            Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Opus | Codec::Amr(_)
        )
    };
    is_sound(from) && is_sound(to) && !from.is_same_kind(to)
}

impl Session {
    /// There is a process for this session, or none any more.
    pub(super) fn transcode_by(&mut self, now: Instant, kind: Kind, process: bool) {
        match kind {
            Kind::Audio => self.transcoder = process.then(Transcoder::default),
            Kind::Video => self.make_pictures_by(now, process),
        }
    }

    /// A packet of sound in a codec that the other side does not have: it goes to the process.
    pub(super) fn give_to_transcoder(&mut self, now: Instant, from: LegKey, passed: &Passed<'_>, sink: &mut dyn Sink) {
        let Some(callee) = self.bridged else { return };
        let sound = |legs: &mut _, key| find(legs, key).and_then(|leg| leg.audio.config.as_ref().and_then(Coded::of));
        let codecs = sound(&mut self.legs, LegKey::A)
            .zip(sound(&mut self.legs, callee))
            .map(|(a, b)| Codecs { a, b });
        let (Some(transcoder), Some(codecs)) = (&mut self.transcoder, codecs) else {
            return;
        };
        let mut given = Given::Taken;
        if transcoder.codecs.as_ref() != Some(&codecs) {
            let Ok(json) = serde_json::to_vec(&codecs) else { return };
            transcoder.generation = transcoder.generation.wrapping_add(1);
            (transcoder.from_a, transcoder.from_b) = (Way::default(), Way::default());
            transcoder.message.clear();
            let setup = Words::Setup {
                generation: transcoder.generation,
                json: &json,
            };
            setup.write(&mut transcoder.message);
            given = sink.transcode(Kind::Audio, &transcoder.message);
            // One that has not taken it is told again with the next packet.
            transcoder.codecs = Some(codecs).filter(|_| given == Given::Taken);
        }
        if given == Given::Taken {
            transcoder.message.clear();
            let sound = Sound {
                of_caller: from == LegKey::A,
                marker: passed.packet.marker,
                generation: transcoder.generation,
                timestamp: passed.packet.timestamp,
                payload: passed.packet.payload,
            };
            Words::Sound(sound).write(&mut transcoder.message);
            given = sink.transcode(Kind::Audio, &transcoder.message);
        }
        if given == Given::Full {
            sink.count(Count::TranscodeDropped, 1);
        }
        let hangs = now.saturating_duration_since(*transcoder.waits_since.get_or_insert(now)) > SILENT_MAX;
        if given == Given::Gone || hangs {
            self.sound_transcoder_is_gone(sink);
        }
    }

    /// A process has ended, or hangs.
    pub fn transcoder_is_gone(&mut self, now: Instant, kind: Kind, sink: &mut dyn Sink) {
        match kind {
            Kind::Audio => self.sound_transcoder_is_gone(sink),
            Kind::Video => self.picture_maker_is_gone(now, sink),
        }
    }

    fn sound_transcoder_is_gone(&mut self, sink: &mut dyn Sink) {
        if self.transcoder.take().is_some() {
            sink.event(Event::TranscoderLost { kind: Kind::Audio });
        }
    }

    /// A process gives back a packet for the other side, or asks for something.
    pub fn handle_transcoded(&mut self, now: Instant, kind: Kind, message: &[u8], sink: &mut dyn Sink) {
        match (kind, Words::parse(message)) {
            (Kind::Audio, Some(Words::Sound(sound))) => self.handle_made_sound(now, sound, sink),
            (Kind::Video, Some(words)) => self.handle_made_picture(now, words, sink),
            (Kind::Audio, _) | (Kind::Video, None) => {}
        }
    }

    fn handle_made_sound(&mut self, now: Instant, sound: Sound<'_>, sink: &mut dyn Sink) {
        let (Some(transcoder), Some(callee)) = (&mut self.transcoder, self.bridged) else {
            return;
        };
        transcoder.waits_since = None;
        if sound.generation != transcoder.generation {
            return;
        }
        let to = if sound.of_caller { callee } else { LegKey::A };
        let Some(leg) = find(&mut self.legs, to) else { return };
        let stream = &mut leg.audio;
        let Some((at, payload_type)) = stream.destination().filter(|_| !stream.keys.is_sending()) else {
            return;
        };
        let way = transcoder.way(sound.of_caller);
        let (first, step, last_sent) = (way.offset.is_none(), stream.step(), stream.out.last_sent);
        let mut rtp = way.offset.map_or_else(
            || stream.out.base(now, step),
            |offset| sound.timestamp.wrapping_add(offset),
        );
        // After a pause sound begins anew: its time is that which has passed.
        if sound.marker {
            rtp = stream.out.base(now, step);
        }
        way.offset = Some(rtp.wrapping_sub(sound.timestamp));
        let header = stream
            .out
            .stamp(now, now, rtp, payload_type, sound.marker || first, sound.payload.len());
        let wire = Wire {
            head: header.to_bytes().into(),
            rest: sound.payload,
        };
        sink.count(Count::Transcoded, 1);
        sink.send_rtp(to, Kind::Audio, at, &[wire], stream.sealer());
        stream.plan_report(now);
        if first {
            stream.report_at = Some(now);
            if to == LegKey::A {
                self.show.callee_sends(now, Kind::Audio, last_sent, sink);
            }
        }
    }

    /// A key passes by the process: in the clock, and under the time, of the stream that it goes into (RFC 4733 §2.1, §2.3.5).
    pub(super) fn pass_key(&mut self, now: Instant, from: LegKey, passed: &Passed<'_>, sink: &mut dyn Sink) {
        let clock = find(&mut self.legs, from)
            .and_then(|leg| leg.audio.config.as_ref())
            .map(|config| config.dtmf_clock_rate);
        let (Some(to), Some(transcoder), Some(clock)) = (self.other_side(from), &mut self.transcoder, clock) else {
            return;
        };
        let Some(leg) = find(&mut self.legs, to) else { return };
        let stream = &mut leg.audio;
        let agreed = stream
            .config
            .as_ref()
            .and_then(|config| Some((config.dtmf_payload_type?, config.dtmf_clock_rate)));
        let (Some((at, _)), Some((payload_type, our_clock))) = (stream.destination(), agreed) else {
            return;
        };
        let packet = &passed.packet;
        let Some(&[event, flags, high, low]) = packet.payload.first_chunk::<4>() else {
            return;
        };
        let way = transcoder.way(from == LegKey::A);
        let same = |key: &Key| key.ssrc == packet.ssrc && key.timestamp == packet.timestamp;
        let begins = way.key.is_none_or(|key| !same(&key));
        let key = way.key.filter(same).unwrap_or_else(|| Key {
            ssrc: packet.ssrc,
            timestamp: packet.timestamp,
            ours: stream.out.base(now, stream.step()),
            began: now,
        });
        way.key = Some(key);
        let lasts = u64::from(u16::from_be_bytes([high, low])).saturating_mul(our_clock.into());
        let lasts = lasts.checked_div(clock.into()).unwrap_or(0).min(u16::MAX.into());
        let [high, low] = u16::try_from(lasts).unwrap_or(u16::MAX).to_be_bytes();
        let payload = [event, flags, high, low];
        let header = stream
            .out
            .stamp(now, key.began, key.ours, payload_type, begins, payload.len());
        let wire = Wire {
            head: header.to_bytes().into(),
            rest: &payload,
        };
        sink.count(Count::Relayed, 1);
        sink.send_rtp(to, Kind::Audio, at, &[wire], stream.sealer());
    }
}
