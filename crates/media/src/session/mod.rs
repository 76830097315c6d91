//! One call's packets, pure: what arrives and what time it is go in, packets and events go out through a [`Sink`].

mod inbound;
mod leg;
mod pictures;
mod recorder;
mod reports;
mod show;
#[cfg(test)]
mod tests;
mod transcoding;

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use segue_sdp::{Codec, Kind, Stream};

use crate::{
    Command, Event, LegKey,
    path::{amr, h264, rtp::Wire, srtp::Sealer},
    spool::RecordKind,
    stats::Count,
    transcode::Given,
};
use leg::Leg;
use pictures::PictureMaker;
use recorder::{Limits, Recorder};
use show::Show;
use transcoding::Transcoder;

/// The most legs of one session; more callee sides than a call rings.
const LEGS_MAX: usize = 16;

/// The most packets that are handed over at once.
pub const BATCH_MAX: usize = 32;

/// Where packets and events go.
pub trait Sink {
    /// RTP out of a leg's port, at most [`BATCH_MAX`] packets; to be sealed first where there is a sealer.
    fn send_rtp(&mut self, leg: LegKey, kind: Kind, to: SocketAddr, packets: &[Wire<'_>], sealer: Option<&mut Sealer>);
    /// RTCP or SRTCP out of a leg's port.
    fn send_rtcp(&mut self, leg: LegKey, kind: Kind, to: SocketAddr, bytes: &[u8]);
    /// Tells the owner.
    fn event(&mut self, event: Event);
    /// Begins a spool file; its number, or why not.
    fn open_spool(&mut self, path: PathBuf, manifest_json: Vec<u8>) -> Result<u64, &'static str>;
    /// Adds to a spool file.
    fn spool(&mut self, id: u64, kind: RecordKind, stream: u8, arrival_ns: u64, packet: &[u8]);
    /// Ends a spool file: the sink tells `Recorded` or `RecordFailed` when it is done.
    fn close_spool(&mut self, id: u64, duration_ms: u64, end_json: Vec<u8>);
    /// A packet of the player leaves this long after its time.
    fn paced(&mut self, late: Duration);
    /// Counts.
    fn count(&mut self, what: Count, by: u64);
    /// A message to the process that transcodes this session's sound, or pictures.
    fn transcode(&mut self, kind: Kind, message: &[u8]) -> Given;
}

/// What a session needs to know from the beginning.
#[derive(Debug, Clone, Copy)]
pub struct SessionConfig {
    /// SSRCs, starts of sequences and timestamps, the CNAME.
    pub seed: u64,
    /// A moment, and its NTP time.
    pub epoch: (Instant, u64),
    /// RTP gone after this long.
    pub rtp_gone: Duration,
}

/// One call's anchor.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    cname: String,
    legs: Vec<(LegKey, Leg)>,
    bridged: Option<LegKey>,
    show: Show,
    recorder: Option<Recorder>,
    /// RTP gone after this long; `None`: never.
    rtp_gone: Option<Duration>,
    /// Makes the sound of one side what the other speaks.
    transcoder: Option<Transcoder>,
    /// Makes the pictures of one side what the other can see.
    pictures: Option<PictureMaker>,
    /// Where payloads of AMR are put together anew; empty until a leg has agreed on it.
    room: Vec<u8>,
}

impl Session {
    /// Without legs.
    pub fn new(config: SessionConfig) -> Session {
        Session {
            config,
            // Stable for the session and the same on all its streams (RFC 7022 §4.2).
            cname: format!("{:016x}", config.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            legs: Vec::new(),
            bridged: None,
            show: Show::default(),
            recorder: None,
            rtp_gone: Some(config.rtp_gone),
            transcoder: None,
            pictures: None,
            room: Vec::new(),
        }
    }

    /// A leg has its ports. Whether there was room for it.
    pub fn add_leg(&mut self, now: Instant, key: LegKey) -> bool {
        if self.legs.len() >= LEGS_MAX || self.legs.iter().any(|(known, _)| *known == key) {
            return false;
        }
        self.legs.push((key, Leg::new(self.config.seed, key, now)));
        true
    }

    /// Performs a command. `Close` ends the recording; the ports are the caller's to give back.
    pub fn handle_command(&mut self, now: Instant, command: Command, sink: &mut dyn Sink) {
        match command {
            Command::Rules { rtp_gone, trust } => {
                self.rtp_gone = rtp_gone;
                if let Some(a) = find(&mut self.legs, LegKey::A) {
                    a.trust(trust);
                }
            }
            Command::Trust { leg, trust } => {
                if let Some(leg) = find(&mut self.legs, leg) {
                    leg.trust(trust);
                }
            }
            Command::Configure { leg, audio, video } => self.configure(now, leg, audio, video, sink),
            Command::Play {
                source,
                audio,
                video,
                looping,
            } => {
                self.bridged = None;
                if let Some(a) = find(&mut self.legs, LegKey::A) {
                    a.pause_relays();
                    self.show.play(now, a, source, audio, video, looping);
                    self.show.handle_timeout(now, a, sink);
                }
            }
            Command::Say { source, audio, video } => {
                self.bridged = None;
                if let Some(a) = find(&mut self.legs, LegKey::A) {
                    a.pause_relays();
                    self.show.say(now, a, source, audio, video);
                    self.show.handle_timeout(now, a, sink);
                }
            }
            Command::Poster { video } => self.show.set_poster(&video),
            Command::Bridge { leg } => self.bridge(now, leg),
            Command::TellKey { leg, key, length } => {
                if self.other_side(leg).is_some()
                    && let Some(leg) = find(&mut self.legs, leg)
                {
                    leg.audio.keys.press(key, length);
                }
            }
            Command::Record {
                path,
                manifest_json,
                longest_ms,
                longest_bytes,
                silence_ms,
                pictures,
            } => {
                let limits = Limits {
                    longest_ms,
                    longest_bytes,
                    silence_ms,
                    pictures,
                };
                self.record(now, path, manifest_json, limits, sink);
            }
            Command::StopRecording { cause } => self.stop_recording(&cause, sink),
            Command::Transcode { kind, by } => self.transcode_by(now, kind, by.is_some()),
            Command::Count => self.count(sink),
            Command::CloseLeg { leg } => self.close_leg(now, leg, sink),
            Command::Close => {
                if self.recorder.is_some() {
                    self.stop_recording("stopped", sink);
                }
                let keys: Vec<LegKey> = self.legs.iter().map(|(key, _)| *key).collect();
                for key in keys {
                    self.end_streams(now, key, sink);
                }
                self.legs.clear();
                return sink.event(Event::Closed);
            }
        }
        self.handle_timeout(now, sink);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, sink: &mut dyn Sink) {
        if let Some(a) = find(&mut self.legs, LegKey::A) {
            self.show.handle_timeout(now, a, sink);
        }
        for (key, leg) in &mut self.legs {
            leg.audio.send_keys(*key, now, sink);
        }
        self.ask_for_key_frames(now, sink);
        self.send_reports(now, sink);
        self.watch_picture(now);
        self.watch(now, sink);
        if let Some(recorder) = &mut self.recorder {
            recorder.handle_timeout(now, sink);
        }
    }

    /// When `handle_timeout` wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let legs = self.legs.iter().filter_map(|(_, leg)| leg.due());
        let gone = self.watched().filter_map(|leg| leg.gone_at(self.rtp_gone?));
        let recorder = self.recorder.as_ref().and_then(Recorder::due);
        let a = self
            .legs
            .iter()
            .find(|(key, _)| *key == LegKey::A)
            .map(|(_, leg)| &leg.video);
        let picture = a
            .filter(|_| self.bridged.is_some())
            .and_then(|video| self.show.picture_gone_at(video));
        legs.chain(gone)
            .chain(self.show.due())
            .chain(picture)
            .chain(recorder)
            .min()
    }

    fn configure(
        &mut self,
        now: Instant,
        key: LegKey,
        audio: Option<Stream>,
        video: Option<Stream>,
        sink: &mut dyn Sink,
    ) {
        let Some(leg) = find(&mut self.legs, key) else {
            return;
        };
        let sets = video
            .as_ref()
            .and_then(|stream| stream.format.fmtp.as_deref())
            .map(h264::parameter_sets)
            .unwrap_or_default();
        let shown = leg.video.receives();
        let codec = |config: &Option<Stream>| config.as_ref().map(|stream| stream.format.codec);
        let (before, after) = (codec(&leg.video.config), codec(&video));
        if key == LegKey::A && before.zip(after).is_some_and(|(one, other)| !one.is_same_kind(other)) {
            self.show.forget_pictures();
        }
        if matches!(codec(&audio), Some(Codec::Amr(_))) {
            self.room.resize(amr::PAYLOAD_MAX, 0);
        }
        leg.configure(now, audio, video);
        if key == LegKey::A
            && let Some(recorder) = &mut self.recorder
        {
            for kind in [Kind::Audio, Kind::Video] {
                recorder.configured(now, kind, leg.stream(kind).config.as_ref(), sink);
            }
        }
        let shows = leg.video.receives();
        // What this leg signals goes before its pictures, so to the side they are relayed to.
        leg.parameter_sets = sets;
        if let Some(callee) = self.bridged {
            self.hand_over_parameter_sets(callee);
        }
        if self.bridged == Some(key) && shown != shows {
            self.callee_shows(now, shows);
        }
    }

    /// The callee's video has come back, or has gone: then A sees a picture that stays.
    fn callee_shows(&mut self, now: Instant, shows: bool) {
        let Some(a) = find(&mut self.legs, LegKey::A) else {
            return;
        };
        if shows && a.video.sends() {
            a.video.relay.restart(now, true);
        } else if !shows {
            a.video.relay.pause();
        }
        self.show.callee_shows(now, shows);
    }

    /// A callee that has a camera and sends nothing more: A's picture must be one that can be repeated.
    fn watch_picture(&mut self, now: Instant) {
        let Some(a) = find(&mut self.legs, LegKey::A) else {
            return;
        };
        if self.bridged.is_some() && self.show.picture_is_gone(now, &a.video) {
            if a.video.sends() {
                a.video.relay.restart(now, true);
            }
            self.show.callee_shows(now, true);
        }
    }

    fn bridge(&mut self, now: Instant, callee: LegKey) {
        if callee == LegKey::A || find(&mut self.legs, callee).is_none() {
            return;
        }
        self.bridged = Some(callee);
        let has_video = |legs: &mut _, key| find(legs, key).is_some_and(|leg| leg.video.receives());
        let (a_sends, b_sends) = (has_video(&mut self.legs, LegKey::A), has_video(&mut self.legs, callee));
        for (key, asks) in [(LegKey::A, b_sends), (callee, a_sends)] {
            if let Some(leg) = find(&mut self.legs, key) {
                leg.audio.relay.restart(now, false);
                leg.video.relay.restart(now, true);
                // A key that ended the hold is not for the callee.
                leg.audio.dtmf.withhold_current();
                if !asks || !leg.video.sends() {
                    leg.video.relay.asker.stop();
                }
                leg.watch_from(now);
            }
        }
        self.show.bridge(now, b_sends);
        self.hand_over_parameter_sets(callee);
    }

    fn hand_over_parameter_sets(&mut self, callee: LegKey) {
        for (from, to) in [(LegKey::A, callee), (callee, LegKey::A)] {
            let sets = find(&mut self.legs, from).map(|leg| leg.parameter_sets.clone());
            if let (Some(leg), Some(sets)) = (find(&mut self.legs, to), sets) {
                leg.video.relay.set_parameter_sets(sets);
            }
        }
    }

    fn close_leg(&mut self, now: Instant, key: LegKey, sink: &mut dyn Sink) {
        self.end_streams(now, key, sink);
        self.legs.retain(|(known, _)| *known != key);
        if self.bridged == Some(key) {
            self.bridged = None;
            if let Some(a) = find(&mut self.legs, LegKey::A) {
                a.pause_relays();
            }
            self.show.callee_left(now);
        }
    }

    /// The other side of a bridge.
    fn other_side(&self, leg: LegKey) -> Option<LegKey> {
        let callee = self.bridged?;
        if leg == LegKey::A {
            Some(callee)
        } else {
            (leg == callee).then_some(LegKey::A)
        }
    }

    fn ask_for_key_frames(&mut self, now: Instant, sink: &mut dyn Sink) {
        if let Some(callee) = self.bridged {
            for (asks, source) in [(LegKey::A, callee), (callee, LegKey::A)] {
                let due = find(&mut self.legs, asks).is_some_and(|leg| leg.video.relay.asker.take_due(now));
                if due {
                    self.ask_key_frame(now, source, sink);
                }
            }
        }
        if self
            .recorder
            .as_mut()
            .is_some_and(|recorder| recorder.asker.take_due(now))
        {
            self.ask_key_frame(now, LegKey::A, sink);
        }
    }

    /// The legs whose RTP must not stop: both of a bridge, and A while it is recorded.
    fn watched(&self) -> impl Iterator<Item = &Leg> {
        let callee = self.bridged;
        let recording = self.recorder.as_ref().is_some_and(|recorder| !recorder.has_stopped());
        self.legs
            .iter()
            .filter(move |(key, _)| match *key {
                LegKey::A => callee.is_some() || recording,
                key => callee == Some(key),
            })
            .map(|(_, leg)| leg)
    }

    fn watch(&mut self, now: Instant, sink: &mut dyn Sink) {
        let Some(limit) = self.rtp_gone else { return };
        if let Some(callee) = self.bridged {
            for (key, leg) in &mut self.legs {
                if (*key == callee || *key == LegKey::A) && leg.take_gone(now, limit) {
                    sink.event(Event::RtpGone { leg: *key });
                }
            }
        }
        if let Some(recorder) = &mut self.recorder
            && let Some(a) = find(&mut self.legs, LegKey::A)
            && !recorder.has_stopped()
            && a.take_gone(now, limit)
        {
            recorder.rtp_gone(sink);
        }
    }
}

/// A leg by its key.
fn find(legs: &mut [(LegKey, Leg)], key: LegKey) -> Option<&mut Leg> {
    legs.iter_mut().find(|(known, _)| *known == key).map(|(_, leg)| leg)
}
