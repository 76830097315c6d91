//! One leg: its two m-lines, each with what goes out and what comes in.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use segue_sdp::{Codec, Direction, Kind, Stream};

use crate::{
    LegKey, Tally, Trust,
    path::{
        dtmf::DtmfWatch, keys::KeySender, latch::Latch, losses::Losses, out::OutStream, player::Piece,
        reception::Reception, relay::Relay, rtcp::PeerReport, rtp::Wire, srtp::Sealer, srtp::Srtp, vp8::Descriptor,
    },
};

use super::{BATCH_MAX, Sink};

/// Between two reports of one stream, before they are spread.
const REPORT_EVERY_MS: f64 = 5_000.0;
/// What a peer's first report is about, at most.
const REPORT_SPAN: Duration = Duration::from_secs(5);
/// Timer reconsideration would make intervals shorter by this (RFC 3550 §6.3.1).
const COMPENSATION: f64 = 1.21828;

/// One peer.
#[derive(Debug)]
pub struct Leg {
    pub audio: LegStream,
    pub video: LegStream,
    /// Our NTP time minus the peer's, so that both its m-lines stay on one clock when relayed.
    pub ntp_offset: Option<u64>,
    /// What its SDP says of its H.264 stream.
    pub parameter_sets: Vec<Vec<u8>>,
    /// Where RTP came from last.
    proven: Option<IpAddr>,
    /// RTP was heard, or the watch began.
    heard_at: Instant,
    gone: bool,
}

/// One m-line of a peer.
#[derive(Debug)]
pub struct LegStream {
    pub kind: Kind,
    pub config: Option<Stream>,
    pub rtp: Latch,
    pub rtcp: Latch,
    /// Where SRTP was agreed.
    pub srtp: Option<Box<Srtp>>,
    pub reception: Reception,
    pub out: OutStream,
    pub dtmf: DtmfWatch,
    /// What is relayed into this m-line.
    pub relay: Relay,
    /// Keys to send in its place.
    pub keys: KeySender,
    /// When the next report is due; `None` until something was sent or heard.
    pub report_at: Option<Instant>,
    /// Spreads the reports (RFC 3550 §6.3.1).
    dice: u32,
    /// Our last sender report: the middle of its NTP time, and when it left.
    pub reported: Option<(u32, Instant)>,
    /// Any RTCP of ours has left.
    pub has_reported: bool,
    /// What the peer said last of what it gets, and how long the way there and back took.
    peer_report: Option<PeerReport>,
    /// When that came, and when it told of losses.
    peer_reported_at: Option<Instant>,
    peer_losses: Losses,
    round_trip: Option<Duration>,
    /// Packets of a player that left more than 5 ms late.
    pub sent_late: u64,
    pub fir_sequence: u8,
    /// When the peer was last asked for a key frame.
    pub asked_at: Option<Instant>,
}

impl Leg {
    pub fn new(seed: u64, key: LegKey, now: Instant) -> Leg {
        let mut rng = StdRng::seed_from_u64(seed ^ (u64::from(key.0) << 32));
        Leg {
            audio: LegStream::new(Kind::Audio, 8_000, &mut rng),
            video: LegStream::new(Kind::Video, 90_000, &mut rng),
            ntp_offset: None,
            parameter_sets: Vec::new(),
            proven: None,
            heard_at: now,
            gone: false,
        }
    }

    pub fn stream(&mut self, kind: Kind) -> &mut LegStream {
        match kind {
            Kind::Audio => &mut self.audio,
            Kind::Video => &mut self.video,
        }
    }

    pub fn configure(&mut self, now: Instant, audio: Option<Stream>, video: Option<Stream>) {
        let received = self.receives();
        self.audio.configure(now, audio);
        self.video.configure(now, video);
        if self.receives() && !received {
            self.watch_from(now);
        }
    }

    /// Whose word counts about where this peer's media is.
    pub fn trust(&mut self, trust: Trust) {
        for stream in [&mut self.audio, &mut self.video] {
            stream.rtp.trust(trust);
            stream.rtcp.trust(trust);
        }
    }

    /// RTP came from this address: it is there, on whatever port.
    pub fn proven(&mut self, from: IpAddr) {
        if self.proven != Some(from) {
            self.proven = Some(from);
            for stream in [&mut self.audio, &mut self.video] {
                stream.rtp.proven(from);
                stream.rtcp.proven(from);
            }
        }
    }

    pub fn pause_relays(&mut self) {
        self.audio.relay.pause();
        self.video.relay.pause();
    }

    /// Silence counts from here.
    pub fn watch_from(&mut self, now: Instant) {
        self.heard_at = now;
        self.gone = false;
    }

    /// When its RTP counts as gone; `None` while nothing is expected or it was told.
    pub fn gone_at(&self, limit: Duration) -> Option<Instant> {
        (self.receives() && !self.gone).then(|| self.heard_at + limit)
    }

    /// Whether its RTP is gone and that has not been told yet.
    pub fn take_gone(&mut self, now: Instant, limit: Duration) -> bool {
        let gone = self.gone_at(limit).is_some_and(|at| at <= now);
        self.gone |= gone;
        gone
    }

    /// When an asker or a report of this leg is due.
    pub fn due(&self) -> Option<Instant> {
        [
            self.video.relay.asker.due(),
            self.audio.keys.due(),
            self.audio.report_at,
            self.video.report_at,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn receives(&self) -> bool {
        self.audio.receives() || self.video.receives()
    }
}

impl LegStream {
    fn new(kind: Kind, clock_rate: u32, rng: &mut StdRng) -> LegStream {
        let (ssrc, timestamp, sequence) = (rng.next_u32(), rng.next_u32(), rng.next_u32());
        LegStream {
            kind,
            config: None,
            rtp: Latch::default(),
            rtcp: Latch::default(),
            srtp: None,
            reception: Reception::default(),
            // In the lower half, so that a receiver of SRTP sees no wrap before it has seen a packet (RFC 4568 §6.4).
            out: OutStream::new(ssrc, sequence as u16 & 0x7fff, timestamp, clock_rate),
            dtmf: DtmfWatch::default(),
            relay: Relay::default(),
            keys: KeySender::default(),
            report_at: None,
            dice: rng.next_u32(),
            reported: None,
            has_reported: false,
            peer_report: None,
            peer_reported_at: None,
            peer_losses: Losses::default(),
            round_trip: None,
            sent_late: 0,
            fir_sequence: 0,
            asked_at: None,
        }
    }

    fn configure(&mut self, now: Instant, config: Option<Stream>) {
        self.rtp.signal(config.as_ref().and_then(|stream| stream.remote));
        self.rtcp.signal(config.as_ref().and_then(|stream| stream.remote_rtcp));
        self.agree_keys(now, config.as_ref());
        let sent = self.sends();
        if let Some(config) = &config {
            self.out.set_clock_rate(config.format.codec.clock_rate());
        }
        self.config = config;
        // After a hold the source's numbers have gone on without us, and its pictures with them.
        if self.sends() && !sent && self.out.last_sent.is_some() {
            self.relay.restart(now, self.kind == Kind::Video);
        }
    }

    /// Takes the keys of what was agreed. A stream that is gone, or plain, has none.
    fn agree_keys(&mut self, now: Instant, config: Option<&Stream>) {
        let remote = |config: Option<&Stream>| config.and_then(|config| config.remote);
        let moved = remote(self.config.as_ref()) != remote(config);
        let keys = config.and_then(|config| config.keys.as_deref());
        match (&mut self.srtp, keys) {
            (Some(srtp), Some(keys)) => srtp.agree(now, keys, moved),
            (srtp, keys) => *srtp = keys.map(|keys| Box::new(Srtp::new(keys))),
        }
    }

    /// What seals RTP to the peer, where SRTP was agreed.
    pub fn sealer(&mut self) -> Option<&mut Sealer> {
        self.srtp.as_mut().map(|srtp| &mut srtp.sealer)
    }

    /// Whether packets are expected from the peer.
    pub fn receives(&self) -> bool {
        self.direction().is_some_and(Direction::receives)
    }

    /// Whether the peer may be sent to.
    pub fn sends(&self) -> bool {
        self.destination().is_some()
    }

    /// Where to send, under which payload type.
    pub fn destination(&self) -> Option<(SocketAddr, u8)> {
        let config = self.config.as_ref().filter(|config| config.direction.sends())?;
        Some((self.rtp.remote()?, config.format.payload_type))
    }

    fn direction(&self) -> Option<Direction> {
        self.config.as_ref().map(|config| config.direction)
    }

    /// Smallest step of the timestamp between two sources.
    pub fn step(&self) -> u32 {
        match self.kind {
            // One packet of 20 ms.
            Kind::Audio => self.out.clock_rate() / 50,
            Kind::Video => 1,
        }
    }

    /// A report soon, when none is planned.
    pub fn plan_report(&mut self, at: Instant) {
        self.report_at.get_or_insert(at);
    }

    /// Whether VP8 was agreed.
    pub fn is_vp8(&self) -> bool {
        let config = self.config.as_ref();
        config.is_some_and(|config| config.format.codec == Codec::Vp8)
    }

    /// The payload descriptor of a piece of a frame of our own; VP8 alone has one.
    pub fn descriptor(&mut self, starts_frame: bool) -> Option<Descriptor> {
        self.is_vp8().then(|| self.out.vp8.own(starts_frame))
    }

    /// How long until the report after this one: 5 s, spread so that reports of many do not come together (RFC 3550 §6.2, §6.3.1).
    pub fn report_interval(&mut self) -> Duration {
        // A linear congruential generator is random enough to spread.
        self.dice = self.dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let half_to_one_and_a_half = 0.5 + f64::from(self.dice) / f64::from(u32::MAX);
        Duration::from_millis((REPORT_EVERY_MS * half_to_one_and_a_half / COMPENSATION) as u64)
    }

    /// The peer has told what it gets of our stream.
    pub fn heard_of_ours(&mut self, now: Instant, report: Option<PeerReport>) {
        let Some(report) = report else {
            return;
        };
        let before = self.peer_report.replace(report).map_or(0, |before| before.lost);
        // The first tells of all that has been sent to it; reports are 5 s apart.
        let since = self.peer_reported_at.replace(now);
        let since = since.or_else(|| now.checked_sub(REPORT_SPAN)).unwrap_or(now);
        self.peer_losses.note(since, now, report.lost.saturating_sub(before));
        // Only of our last one the moment is known: its NTP time may be a relayed source's.
        if let Some((_, at)) = self.reported.filter(|(middle, _)| *middle == report.last_report) {
            let held = Duration::from_micros(u64::from(report.since_last_report).saturating_mul(1_000_000) >> 16);
            self.round_trip = Some(now.saturating_duration_since(at).saturating_sub(held));
        }
    }

    /// What was counted; `None` when nothing came and nothing left.
    pub fn tally(&self) -> Option<Tally> {
        let received = self.reception.received();
        if received.packets == 0 && self.out.packets == 0 {
            return None;
        }
        let rate = self
            .config
            .as_ref()
            .map_or(8_000, |config| config.format.codec.clock_rate());
        let ms = |units: u32| {
            u64::from(units)
                .saturating_mul(1_000)
                .checked_div(rate.into())
                .unwrap_or(0)
        };
        Some(Tally {
            received: received.packets,
            lost: received.lost,
            late: received.late,
            jitter_ms: ms(received.jitter),
            sent: self.out.packets.into(),
            sent_late: self.sent_late,
            peer_lost: self.peer_report.map(|report| report.lost.into()),
            peer_jitter_ms: self.peer_report.map(|report| ms(report.jitter)),
            round_trip_ms: self.round_trip.map(|time| time.as_millis() as u64),
            losses: self.reception.losses.all().to_vec(),
            peer_losses: self.peer_losses.all().to_vec(),
        })
    }

    /// Sends what is due of its keys; after the last one the source begins anew.
    pub fn send_keys(&mut self, leg: LegKey, now: Instant, sink: &mut dyn Sink) {
        if self.keys.is_idle() {
            return;
        }
        let agreed = self.config.as_ref().and_then(|config| {
            let payload_type = config.dtmf_payload_type?;
            Some((payload_type, config.dtmf_clock_rate))
        });
        let (Some((to, _)), Some((payload_type, clock_rate))) = (self.destination(), agreed) else {
            // On hold, or telephone-event has been negotiated away: a key that comes later is none.
            return self.keys.clear();
        };
        let step = self.step();
        while let Some(sent) = self.keys.take_due(now, payload_type, clock_rate, step, &mut self.out) {
            let wire = Wire {
                head: sent.header.to_bytes().into(),
                rest: &sent.payload,
            };
            sink.send_rtp(leg, self.kind, to, &[wire], self.sealer());
            if !self.keys.is_sending() {
                self.relay.restart(now, false);
            }
        }
    }

    /// Sends a whole frame (or packet) of our own that stands for the moment `at`.
    pub fn send_frame<'p>(
        &mut self,
        leg: LegKey,
        now: Instant,
        at: Instant,
        packets: impl Iterator<Item = Piece<'p>>,
        sink: &mut dyn Sink,
    ) {
        let Some((to, payload_type)) = self.destination() else {
            return;
        };
        let rtp = self.out.base(at, self.step());
        let mut batch = Batch::new();
        for piece in packets {
            let descriptor = self.descriptor(piece.starts_frame);
            let payload = piece.payload;
            let header = self
                .out
                .stamp(now, at, rtp, payload_type, piece.ends_frame, payload.len());
            batch.push(Wire {
                head: header.head(descriptor),
                rest: payload,
            });
            if batch.is_full() {
                sink.send_rtp(leg, self.kind, to, batch.take(), self.sealer());
            }
        }
        if !batch.is_empty() {
            sink.send_rtp(leg, self.kind, to, batch.take(), self.sealer());
        }
        self.plan_report(now);
    }
}

/// Packets that leave together, without allocating.
#[derive(Debug)]
pub struct Batch<'p> {
    wires: [Wire<'p>; BATCH_MAX],
    len: usize,
}

impl<'p> Batch<'p> {
    pub fn new() -> Batch<'p> {
        Batch {
            wires: [Wire::EMPTY; BATCH_MAX],
            len: 0,
        }
    }

    /// Adds one; a full batch must be taken first.
    pub fn push(&mut self, wire: Wire<'p>) {
        if let Some(slot) = self.wires.get_mut(self.len) {
            *slot = wire;
            self.len = self.len.saturating_add(1);
        }
    }

    pub fn is_full(&self) -> bool {
        self.len >= BATCH_MAX
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What was collected; it is empty after.
    pub fn take(&mut self) -> &[Wire<'p>] {
        let len = std::mem::take(&mut self.len);
        self.wires.get(..len).unwrap_or_default()
    }
}
