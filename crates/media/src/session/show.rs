//! What A hears and sees: a source from a cache, what stays after it, or the callee.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use segue_sdp::Kind;

use crate::{
    Event, LegKey, SwitchTo,
    cache::Cache,
    path::{
        player::{Piece, Player, Still},
        rtcp::Lost,
        rtp::Wire,
        silence,
    },
    stats::Count,
};

use super::{
    Sink,
    leg::{Batch, Leg, LegStream},
};

/// A picture that stays is repeated this often, so that who missed it sees something.
const STILL_EVERY: Duration = Duration::from_secs(2);
/// A picture that stays is repeated on request at most this often.
const STILL_LEAST: Duration = Duration::from_millis(250);
/// A callee's video without a packet for this long has stopped: a camera that is covered still sends.
const PICTURE_GONE: Duration = Duration::from_secs(5);
/// Packets sent again are at most this share of all, beyond the first [`AGAIN_FREE`]: a peer that asks for more is not helped by it.
const AGAIN_SHARE: u32 = 4;
const AGAIN_FREE: u32 = 64;
/// Packets of one stream sent in one go, however late we are.
const CATCH_UP_MAX: usize = 128;
/// Later than this is counted as late.
const LATE: Duration = Duration::from_millis(5);

/// What A's two m-lines carry.
#[derive(Debug, Default)]
pub struct Show {
    play: Option<Playing>,
    audio: Feed,
    video: Feed,
    /// What A sees while the callee shows nothing: the last picture that was played, else the poster.
    still: Option<Still>,
}

#[derive(Debug)]
struct Playing {
    source: u32,
    /// `None` when it loops or has ended.
    ends_at: Option<Instant>,
    /// Its first packet has left.
    begun: bool,
}

/// What one m-line carries.
#[derive(Debug, Default)]
struct Feed {
    state: State,
    /// What follows what is playing, without a break.
    rest: VecDeque<Cache>,
    /// Told with the next source's first packet.
    switch: Option<SwitchTo>,
    repeated_at: Option<Instant>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Nothing,
    Playing(Player),
    /// Audio after a source's end.
    Silence {
        next: Instant,
    },
    /// Video after a source's end, or before the callee's key frame.
    Still {
        still: Still,
        next: Instant,
    },
    Callee,
}

impl Show {
    /// A new source begins.
    pub fn play(
        &mut self,
        now: Instant,
        a: &mut Leg,
        source: u32,
        audio: Option<Cache>,
        video: Option<Cache>,
        looping: bool,
    ) {
        let length = |cache: &Option<Cache>| cache.as_ref().map(|cache| cache.loop_us);
        let longest = length(&audio).max(length(&video)).unwrap_or(0);
        let ends_at = now + Duration::from_micros(longest.into());
        let ends_at = (!looping || longest == 0).then_some(ends_at);
        self.play = Some(Playing {
            source,
            ends_at,
            begun: false,
        });
        self.audio.play(now, &a.audio, source, audio, looping);
        self.video.play(now, &a.video, source, video, looping);
    }

    /// Several sounds, one after the other, under one picture.
    pub fn say(&mut self, now: Instant, a: &mut Leg, source: u32, audio: Vec<Cache>, video: Option<Cache>) {
        let length_us: u64 = audio.iter().map(|cache| u64::from(cache.loop_us)).sum();
        let mut audio = VecDeque::from(audio);
        let first = audio.pop_front();
        self.play(now, a, source, first, None, false);
        self.audio.rest = audio;
        if let Some(play) = &mut self.play {
            play.ends_at = Some(now + Duration::from_micros(length_us));
        }
        if let Some(picture) = video {
            self.video.switch = Some(SwitchTo::Source(source));
            self.video.state = State::Still {
                still: Still::first_of(&picture),
                next: now,
            };
        }
    }

    /// The callee takes over: its audio at once, its video with its first key frame.
    pub fn bridge(&mut self, now: Instant, callee_has_video: bool) {
        self.play = None;
        self.audio.rest.clear();
        self.audio.state = State::Callee;
        self.audio.switch = Some(SwitchTo::Callee);
        self.video.stay(now);
        self.stand_in(now);
        self.video.switch = callee_has_video.then_some(SwitchTo::Callee);
    }

    /// The picture for a call in which nothing else is shown.
    pub fn set_poster(&mut self, video: &Cache) {
        self.still.get_or_insert_with(|| Still::first_of(video));
    }

    /// The callee's video comes (with its first key frame) or has gone. While it is not there the picture stays that was last
    /// played.
    pub fn callee_shows(&mut self, now: Instant, shows: bool) {
        if matches!(self.video.state, State::Callee) {
            self.video.state = State::Nothing;
        }
        self.stand_in(now);
        self.video.switch = shows.then_some(SwitchTo::Callee);
    }

    /// What A sees of the callee does not come any more, for now: the picture that was kept is shown at once.
    pub fn callee_hidden(&mut self, now: Instant) {
        if self.shows_callee() {
            self.callee_shows(now, true);
        }
    }

    /// A takes another video codec: no picture that was prepared fits any more.
    pub fn forget_pictures(&mut self) {
        self.still = None;
        if !matches!(self.video.state, State::Callee) {
            self.video.state = State::Nothing;
        }
    }

    /// When the callee's video, shown to A now, counts as gone.
    pub fn picture_gone_at(&self, video: &LegStream) -> Option<Instant> {
        let last = video
            .out
            .last_sent
            .filter(|_| self.shows_callee() && self.still.is_some() && video.sends());
        last.map(|at| at + PICTURE_GONE)
    }

    /// Whether it is gone.
    pub fn picture_is_gone(&self, now: Instant, video: &LegStream) -> bool {
        self.picture_gone_at(video).is_some_and(|at| at <= now)
    }

    /// Keeps the picture that A sees, or shows the one that was kept.
    fn stand_in(&mut self, now: Instant) {
        match (&self.video.state, &self.still) {
            (State::Still { still, .. }, _) => self.still = Some(still.clone()),
            (State::Nothing, Some(still)) => {
                let still = still.clone();
                self.video.state = State::Still { still, next: now };
            }
            _ => {}
        }
    }

    /// Nobody is there any more.
    pub fn callee_left(&mut self, now: Instant) {
        for feed in [&mut self.audio, &mut self.video] {
            feed.switch = None;
            if matches!(feed.state, State::Callee) {
                feed.state = State::Nothing;
            }
        }
        self.audio.state = State::Silence { next: now };
    }

    /// The callee's first packet is about to leave for A, `last_sent` being the one before it.
    pub fn callee_sends(&mut self, now: Instant, kind: Kind, last_sent: Option<Instant>, sink: &mut dyn Sink) {
        let feed = self.feed(kind);
        feed.state = State::Callee;
        if let Some(to) = feed.switch.take() {
            sink.event(switched(to, kind, now, last_sent));
        }
    }

    /// Whether A's video is the callee's.
    pub fn shows_callee(&self) -> bool {
        matches!(self.video.state, State::Callee)
    }

    /// A wants a key frame: the last one is sent again, and stays until the next.
    pub fn repeat_key_frame(&mut self, now: Instant, a: &mut Leg, sink: &mut dyn Sink) {
        let feed = &mut self.video;
        if feed.repeated_at.is_some_and(|at| now < at + STILL_LEAST) {
            return;
        }
        feed.repeated_at = Some(now);
        match &mut feed.state {
            State::Playing(player) if a.video.out.last_sent.is_some() => {
                player.skip_to_key_frame();
                let still = player.still();
                a.video.send_frame(LegKey::A, now, now, still.packets(), sink);
            }
            State::Still { still, next } => {
                *next = now + STILL_EVERY;
                a.video.send_frame(LegKey::A, now, now, still.packets(), sink);
            }
            State::Playing(_) | State::Nothing | State::Silence { .. } | State::Callee => {}
        }
    }

    /// A misses packets of the clip's video: they leave again as they were. Those of VP8 had numbers that are not kept: A gets the key
    /// frame again.
    pub fn send_again(&mut self, now: Instant, a: &mut Leg, lost: Lost, sink: &mut dyn Sink) {
        if a.video.is_vp8() {
            return self.repeat_key_frame(now, a, sink);
        }
        let stream = &mut a.video;
        let (State::Playing(player), Some((to, payload_type))) = (&mut self.video.state, stream.destination()) else {
            return;
        };
        let (cache, cursor) = player.parts();
        let mut batch = Batch::new();
        for sequence in lost.sequences() {
            if stream.out.again > AGAIN_FREE.saturating_add(stream.out.packets / AGAIN_SHARE) {
                break;
            }
            let Some((entry, rtp)) = cursor.sent_under(cache, sequence) else {
                continue;
            };
            let payload = cache.payload_of(&entry);
            let marker = entry.ends_frame();
            let header = stream
                .out
                .stamp_again(sequence, rtp, payload_type, marker, payload.len());
            batch.push(Wire {
                head: header.to_bytes().into(),
                rest: payload,
            });
            if batch.is_full() {
                sink.send_rtp(LegKey::A, Kind::Video, to, batch.take(), stream.sealer());
            }
        }
        if !batch.is_empty() {
            sink.send_rtp(LegKey::A, Kind::Video, to, batch.take(), stream.sealer());
        }
        stream.plan_report(now);
    }

    /// Sends what is due.
    pub fn handle_timeout(&mut self, now: Instant, a: &mut Leg, sink: &mut dyn Sink) {
        let begun = self.audio.pump(now, &mut a.audio, sink);
        let begun = self.video.pump(now, &mut a.video, sink) || begun;
        let Some(play) = &mut self.play else {
            return;
        };
        if begun && !play.begun {
            play.begun = true;
            sink.event(Event::FirstPacket { source: play.source });
        }
        if play.ends_at.is_some_and(|at| at <= now) {
            play.ends_at = None;
            sink.event(Event::Played { source: play.source });
        }
    }

    /// When it wants to send or tell something.
    pub fn due(&self) -> Option<Instant> {
        let ends_at = self.play.as_ref().and_then(|play| play.ends_at);
        [self.audio.due(), self.video.due(), ends_at]
            .into_iter()
            .flatten()
            .min()
    }

    fn feed(&mut self, kind: Kind) -> &mut Feed {
        match kind {
            Kind::Audio => &mut self.audio,
            Kind::Video => &mut self.video,
        }
    }
}

impl Feed {
    fn play(&mut self, now: Instant, stream: &LegStream, source: u32, cache: Option<Cache>, looping: bool) {
        self.switch = None;
        self.repeated_at = None;
        self.rest.clear();
        match (cache, stream.kind) {
            (Some(cache), _) => {
                let rtp = stream.out.base(now, stream.step());
                self.state = State::Playing(Player::new(cache, now, rtp, looping));
                self.switch = Some(SwitchTo::Source(source));
            }
            (None, Kind::Audio) => self.state = State::Silence { next: now },
            (None, Kind::Video) => self.stay(now),
        }
    }

    /// Video: the last picture of a clip stays.
    fn stay(&mut self, now: Instant) {
        self.state = match std::mem::take(&mut self.state) {
            State::Playing(player) => State::Still {
                still: player.still(),
                next: now + STILL_EVERY,
            },
            State::Still { still, next } => State::Still { still, next },
            State::Nothing | State::Silence { .. } | State::Callee => State::Nothing,
        };
    }

    fn due(&self) -> Option<Instant> {
        match &self.state {
            State::Playing(player) => Some(player.due().unwrap_or_else(|| player.lap_end())),
            State::Silence { next } | State::Still { next, .. } => Some(*next),
            State::Nothing | State::Callee => None,
        }
    }

    /// Sends what is due. Whether packets of a player left.
    fn pump(&mut self, now: Instant, stream: &mut LegStream, sink: &mut dyn Sink) -> bool {
        match &mut self.state {
            State::Playing(_) => {
                let mut sent = self.pump_player(now, stream, sink);
                // Each turn leaves a sound behind.
                while self.go_on(now) {
                    sent |= self.pump_player(now, stream, sink);
                }
                self.end_player(now, stream.kind);
                sent
            }
            State::Silence { next } => {
                let codec = stream.config.as_ref().map(|config| config.format.codec);
                let every = codec.map_or(Duration::from_millis(20), silence::every);
                if now.saturating_duration_since(*next) > every.saturating_mul(10) {
                    *next = now;
                }
                while *next <= now {
                    let packet = codec.map(silence::packet).filter(|packet| !packet.is_empty());
                    let packet = packet.map(|payload| Piece {
                        payload,
                        starts_frame: false,
                        ends_frame: false,
                    });
                    stream.send_frame(LegKey::A, now, *next, packet.into_iter(), sink);
                    *next += every;
                }
                false
            }
            State::Still { still, next } => {
                if *next <= now {
                    *next = now + STILL_EVERY;
                    // Only a picture that is said has none before it.
                    let heard = stream.destination().is_some();
                    let told = self.switch.take_if(|to| heard && matches!(to, SwitchTo::Source(_)));
                    let told = told.map(|to| switched(to, stream.kind, now, stream.out.last_sent));
                    stream.send_frame(LegKey::A, now, now, still.packets(), sink);
                    if let Some(event) = told {
                        sink.event(event);
                    }
                }
                false
            }
            State::Nothing | State::Callee => false,
        }
    }

    fn pump_player(&mut self, now: Instant, stream: &mut LegStream, sink: &mut dyn Sink) -> bool {
        let State::Playing(player) = &mut self.state else {
            return false;
        };
        let destination = stream.destination();
        let mut told = None;
        let (mut sent, mut late) = (false, 0);
        let (cache, cursor) = player.parts();
        let mut batch = Batch::new();
        for _ in 0..CATCH_UP_MAX {
            let Some(due) = cursor.take_due(cache, now) else {
                break;
            };
            // Towards a peer on hold time goes on without packets.
            let Some((to, payload_type)) = destination else {
                continue;
            };
            let first = self.switch.is_some();
            if let Some(to) = self.switch.take() {
                told = Some(switched(to, stream.kind, now, stream.out.last_sent));
                // A new source wants its clock known at once.
                stream.report_at = Some(now);
            }
            let marker = match stream.kind {
                Kind::Audio => first,
                Kind::Video => due.entry.ends_frame(),
            };
            let payload = cache.payload_of(&due.entry);
            let descriptor = stream.descriptor(due.entry.starts_frame());
            let header = stream
                .out
                .stamp(now, due.at, due.rtp, payload_type, marker, payload.len());
            cursor.sent(header.sequence);
            batch.push(Wire {
                head: header.head(descriptor),
                rest: payload,
            });
            sent = true;
            let late_by = now.saturating_duration_since(due.at);
            sink.paced(late_by);
            late += u64::from(late_by > LATE);
            if batch.is_full() {
                sink.send_rtp(LegKey::A, stream.kind, to, batch.take(), stream.sealer());
            }
        }
        if let Some((to, _)) = destination.filter(|_| !batch.is_empty()) {
            sink.send_rtp(LegKey::A, stream.kind, to, batch.take(), stream.sealer());
        }
        if late > 0 {
            stream.sent_late = stream.sent_late.saturating_add(late);
            sink.count(Count::Late, late);
        }
        if let Some(event) = told {
            sink.event(event);
        }
        sent
    }

    /// What follows begins when what plays has come to its end, in the same line of time.
    fn go_on(&mut self, now: Instant) -> bool {
        let State::Playing(player) = &self.state else {
            return false;
        };
        let end = player.lap_end();
        if player.due().is_some() || end > now {
            return false;
        }
        let Some(next) = self.rest.pop_front() else {
            return false;
        };
        self.state = State::Playing(Player::new(next, end, player.lap_end_rtp(), false));
        true
    }

    /// A player that has come to its end stays.
    fn end_player(&mut self, now: Instant, kind: Kind) {
        let State::Playing(player) = &self.state else {
            return;
        };
        let end = player.lap_end();
        if player.due().is_none() && end <= now {
            match kind {
                Kind::Audio => self.state = State::Silence { next: end },
                Kind::Video => self.stay(now),
            }
        }
    }
}

fn switched(to: SwitchTo, kind: Kind, now: Instant, last_sent: Option<Instant>) -> Event {
    let gap = last_sent.map(|at| now.saturating_duration_since(at));
    Event::Switched {
        to,
        kind,
        gap_ms: gap.map(|gap| gap.as_millis() as u64),
    }
}
