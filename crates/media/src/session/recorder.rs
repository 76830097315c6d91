//! The recorder: chooses what of A goes to the spool and when a recording ends by itself.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use segue_sdp::{Codec, Kind, Stream};

use crate::{
    Event, LegKey, RecordingStop,
    path::{
        keyframe::{Asker, starts_key_frame},
        reception::{Arrival, Placed},
        rtcp,
        rtp::Packet,
        silence::Ear,
    },
    spool::{AUDIO_STREAM, HEAD_LEN, RecordKind, VIDEO_STREAM},
};

use super::{Session, Sink, find};

/// A recording that is longer than this ends like one that lasts too long: what a peer sends is neither to fill the disk nor to be
/// more than a worker can finalise. The longest message at 10 Mbit/s fits.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What ends a recording by itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub longest_ms: u64,
    pub longest_bytes: Option<u64>,
    pub silence_ms: Option<u64>,
    /// Its pictures go to the spool, too.
    pub pictures: bool,
}

/// One recording.
#[derive(Debug)]
pub struct Recorder {
    id: u64,
    started: Instant,
    longest_at: Instant,
    /// How much silence ends it, and when something was heard last.
    silence: Option<(Duration, Instant)>,
    ear: Ear,
    stopped: bool,
    /// What went to the spool.
    bytes: u64,
    /// And what may go there.
    bytes_max: u64,
    /// What A shows is recorded, too.
    pictures: bool,
    /// A key frame has begun. What comes before is recorded too: the rest of a key frame may overtake its beginning.
    video_began: bool,
    /// Asks A for key frames.
    pub asker: Asker,
    /// What the spool says of A's codecs: of its audio, of its video.
    codecs: [Option<Codec>; 2],
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Recorder {
    /// RTP of A, telephone-events left out.
    pub fn handle_rtp(
        &mut self,
        now: Instant,
        kind: Kind,
        packet: &Packet<'_>,
        codec: Codec,
        placed: Placed,
        sink: &mut dyn Sink,
    ) {
        if self.stopped || self.leaves_out(kind) {
            return;
        }
        match kind {
            Kind::Audio => {
                if let Some((_, heard)) = &mut self.silence
                    && self.ear.hears(codec, packet.payload)
                {
                    *heard = now;
                }
            }
            Kind::Video => {
                let starts = starts_key_frame(codec, packet.payload);
                self.video_began |= starts;
                if starts {
                    self.asker.stop();
                } else if !self.video_began || placed.lost || placed.arrival == Arrival::Restarted {
                    // One lost packet spoils the picture until the next key frame.
                    self.asker.start(now);
                }
            }
        }
        self.first.get_or_insert(now);
        self.last = Some(now);
        self.spool(now, RecordKind::Rtp, kind, packet.bytes, sink);
    }

    fn leaves_out(&self, kind: Kind) -> bool {
        kind == Kind::Video && !self.pictures
    }

    /// Adds a datagram as it came.
    pub fn spool(&mut self, now: Instant, kind: RecordKind, of: Kind, bytes: &[u8], sink: &mut dyn Sink) {
        if self.stopped || self.leaves_out(of) {
            return;
        }
        let stream = match of {
            Kind::Audio => AUDIO_STREAM,
            Kind::Video => VIDEO_STREAM,
        };
        let arrival_ns = now.saturating_duration_since(self.started).as_nanos() as u64;
        sink.spool(self.id, kind, stream, arrival_ns, bytes);
        self.bytes = self.bytes.saturating_add(bytes.len().saturating_add(HEAD_LEN) as u64);
        if self.bytes >= self.bytes_max {
            self.stop(RecordingStop::Longest, sink);
        }
    }

    /// A's streams are these from now on. Another codec than before is told in the spool, as the manifest does it.
    pub fn configured(&mut self, now: Instant, kind: Kind, agreed: Option<&Stream>, sink: &mut dyn Sink) {
        let Some(Stream { format, .. }) = agreed else { return };
        let [audio, video] = &mut self.codecs;
        let (known, stream) = match kind {
            Kind::Audio => (audio, AUDIO_STREAM),
            Kind::Video => (video, VIDEO_STREAM),
        };
        let before = known.replace(format.codec);
        let reads_the_same = |before: Codec| match (before, format.codec) {
            (Codec::Amr(before), Codec::Amr(now)) => before.is_packed_like(now),
            (before, now) => before.is_same_kind(now),
        };
        if before.is_none_or(reads_the_same) {
            return;
        }
        let told = serde_json::json!({
            "stream": stream,
            "payload_type": format.payload_type,
            "encoding": format.codec.encoding_name(),
            "clock_rate": format.codec.clock_rate(),
            "fmtp": format.fmtp,
        });
        self.spool(now, RecordKind::Meta, kind, told.to_string().as_bytes(), sink);
    }

    /// Ends by itself when it is time.
    pub fn handle_timeout(&mut self, now: Instant, sink: &mut dyn Sink) {
        if self.longest_at <= now {
            self.stop(RecordingStop::Longest, sink);
        } else if self.silent_at().is_some_and(|at| at <= now) {
            self.stop(RecordingStop::Silence, sink);
        }
    }

    /// A sends no more.
    pub fn rtp_gone(&mut self, sink: &mut dyn Sink) {
        self.stop(RecordingStop::RtpGone, sink);
    }

    /// Whether it has met its own end.
    pub fn has_stopped(&self) -> bool {
        self.stopped
    }

    /// When it may end by itself or ask.
    pub fn due(&self) -> Option<Instant> {
        let ends = (!self.stopped).then_some(self.longest_at);
        let silent = self.silent_at().filter(|_| !self.stopped);
        [ends, silent, self.asker.due()].into_iter().flatten().min()
    }

    fn silent_at(&self) -> Option<Instant> {
        self.silence.map(|(limit, heard)| heard + limit)
    }

    fn stop(&mut self, cause: RecordingStop, sink: &mut dyn Sink) {
        if !self.stopped {
            self.stopped = true;
            self.asker.stop();
            sink.event(Event::RecordingStopped { cause });
        }
    }

    fn duration_ms(&self) -> u64 {
        let (Some(first), Some(last)) = (self.first, self.last) else {
            return 0;
        };
        last.saturating_duration_since(first).as_millis() as u64
    }
}

impl Session {
    pub(super) fn record(
        &mut self,
        now: Instant,
        path: PathBuf,
        manifest_json: Vec<u8>,
        limits: Limits,
        sink: &mut dyn Sink,
    ) {
        let opened = match self.recorder {
            Some(_) => Err("a recording is running already"),
            None => sink.open_spool(path, manifest_json),
        };
        let id = match opened {
            Ok(id) => id,
            Err(why) => return sink.event(Event::RecordFailed { why: why.to_owned() }),
        };
        let mut asker = Asker::default();
        let mut codecs = [None, None];
        if let Some(a) = find(&mut self.legs, LegKey::A) {
            a.watch_from(now);
            codecs = [&a.audio, &a.video].map(|stream| stream.config.as_ref().map(|config| config.format.codec));
            if limits.pictures && a.video.receives() {
                asker.start(now);
            }
        }
        self.recorder = Some(Recorder {
            id,
            started: now,
            longest_at: now + Duration::from_millis(limits.longest_ms),
            silence: limits.silence_ms.map(|ms| (Duration::from_millis(ms), now)),
            ear: Ear::default(),
            stopped: false,
            bytes: 0,
            bytes_max: limits.longest_bytes.map_or(BYTES_MAX, |bytes| bytes.min(BYTES_MAX)),
            pictures: limits.pictures,
            video_began: false,
            asker,
            codecs,
            first: None,
            last: None,
        });
        self.spool_clocks(now, sink);
    }

    /// A short message may end before A's next sender reports: what the last ones said of its clocks goes to the beginning.
    fn spool_clocks(&mut self, now: Instant, sink: &mut dyn Sink) {
        let (Some(a), Some(recorder)) = (find(&mut self.legs, LegKey::A), &mut self.recorder) else {
            return;
        };
        for kind in [Kind::Audio, Kind::Video] {
            let reception = &a.stream(kind).reception;
            if let (Some(ssrc), Some(clock)) = (reception.ssrc(), reception.sender_clock) {
                let report = rtcp::bare_sender_report(ssrc, clock.ntp, clock.rtp);
                recorder.spool(now, RecordKind::Rtcp, kind, &report, sink);
            }
        }
    }

    pub(super) fn stop_recording(&mut self, cause: &str, sink: &mut dyn Sink) {
        let Some(recorder) = self.recorder.take() else {
            let why = "nothing was being recorded".to_owned();
            return sink.event(Event::RecordFailed { why });
        };
        let duration_ms = recorder.duration_ms();
        let end = serde_json::json!({ "duration_ms": duration_ms, "cause": cause });
        sink.close_spool(recorder.id, duration_ms, end.to_string().into_bytes());
    }
}
