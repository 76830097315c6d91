//! What the owner of the packet path says to it and hears from it.

use std::{net::IpAddr, ops::RangeInclusive, path::PathBuf, sync::Arc, time::Duration};

use segue_sdp::{Kind, Stream};

use crate::{cache::Cache, path::losses::Loss, transcode::TranscodeLink};

/// A session, numbered by its owner: one per call.
pub type SessionKey = u64;

/// A leg of a session, numbered by its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegKey(pub u32);

impl LegKey {
    /// The caller's leg: what is played goes to it, what is recorded comes from it.
    pub const A: LegKey = LegKey(0);
}

/// How the packet path is set up.
#[derive(Debug, Clone)]
pub struct MediaConfig {
    /// Where RTP sockets are bound: one address, or one of IPv4 and one of IPv6. The first serves whoever wants neither.
    pub addresses: Vec<MediaAddress>,
    /// Where RTP and RTCP ports come from.
    pub ports: RangeInclusive<u16>,
    /// Media threads, at least 1.
    pub threads: usize,
    /// Ask for real-time priority; a refusal is a warning.
    pub realtime: bool,
    /// Where recordings are written; created when missing.
    pub spool_dir: PathBuf,
    /// Fixes SSRCs, sequence starts and ports (tests).
    pub seed: Option<u64>,
    /// RTP gone after this long without a packet, milliseconds, where no [`Command::Rules`] says otherwise.
    pub rtp_gone_ms: u64,
}

impl Default for MediaConfig {
    fn default() -> MediaConfig {
        let localhost = IpAddr::from([127, 0, 0, 1]);
        MediaConfig {
            addresses: vec![MediaAddress::plain(localhost)],
            ports: 20_000..=39_999,
            threads: 1,
            realtime: true,
            spool_dir: PathBuf::from("segue-data/spool"),
            seed: None,
            rtp_gone_ms: 30_000,
        }
    }
}

/// One address of ours for media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaAddress {
    /// Where RTP sockets are bound.
    pub bind: IpAddr,
    /// What the SDP shall say instead, e.g. behind a 1:1 NAT; of the same family.
    pub advertise: IpAddr,
}

impl MediaAddress {
    /// The SDP says where the sockets are.
    pub fn plain(ip: IpAddr) -> MediaAddress {
        MediaAddress {
            bind: ip,
            advertise: ip,
        }
    }
}

/// The RTP ports of one leg, as its SDP shall say them. RTCP is on the next port up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The advertised address.
    pub address: IpAddr,
    /// RTP port for audio, even.
    pub audio: u16,
    /// RTP port for video, even.
    pub video: u16,
}

/// What a session shall do.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)] // Its way to the media thread is in a box.
pub enum Command {
    /// What holds for the session; before anything is configured.
    Rules {
        /// RTP gone after this long without a packet, instead of [`MediaConfig::rtp_gone_ms`]; `None`: never.
        rtp_gone: Option<Duration>,
        /// Whose word counts about where A's media is.
        trust: Trust,
    },
    /// Whose word counts about where this leg's media is; before it is configured.
    Trust {
        /// Which leg.
        leg: LegKey,
        /// Whose.
        trust: Trust,
    },
    /// What was negotiated on a leg; again after each re-negotiation. A changed remote address moves the latch, an unchanged one
    /// leaves it.
    Configure {
        /// Which leg.
        leg: LegKey,
        /// Its audio stream; `None`: there is none.
        audio: Option<Stream>,
        /// Its video stream; `None`: there is none.
        video: Option<Stream>,
    },
    /// Play to A from the start, instead of what it got so far. A kind without a cache stays: silence, the last picture.
    Play {
        /// The owner's number for it, comes back in events.
        source: u32,
        /// What to send on A's audio stream.
        audio: Option<Cache>,
        /// What to send on A's video stream.
        video: Option<Cache>,
        /// Start again at the end, without `Played`.
        looping: bool,
    },
    /// Say to A one sound after the other from the start, instead of what it got so far; `Played` follows the last. The picture stays
    /// meanwhile, and after it.
    Say {
        /// The owner's number for it, comes back in events.
        source: u32,
        /// What to send on A's audio stream, in order; none: silence, `Played` at once.
        audio: Vec<Cache>,
        /// The picture: its first key frame. `None`: the last one stays.
        video: Option<Cache>,
    },
    /// The picture that A sees while bridged to a callee that shows none, where no clip has left one.
    Poster {
        /// Its first key frame stays.
        video: Cache,
    },
    /// Connect A and this leg: audio at once, video at each side's first key frame. A callee without video, or whose video goes
    /// away, leaves A with the last picture of what was played, or the poster.
    Bridge {
        /// The callee's leg.
        leg: LegKey,
    },
    /// Tell a leg of the bridge of a key by telephone-event (RFC 4733), in place of its audio meanwhile. Without effect on a
    /// leg that agreed on none.
    TellKey {
        /// Which leg.
        leg: LegKey,
        /// `0`-`9`, `*`, `#`, `A`-`D`.
        key: char,
        /// How long it was pressed.
        length: Duration,
    },
    /// Record what A sends into a new file. One recording at a time.
    Record {
        /// The spool file; must not exist.
        path: PathBuf,
        /// Its first record, at most 65,535 bytes. Streams are numbered [`crate::spool::AUDIO_STREAM`] and
        /// [`crate::spool::VIDEO_STREAM`].
        manifest_json: Vec<u8>,
        /// `RecordingStopped` after this long, milliseconds.
        longest_ms: u64,
        /// `RecordingStopped` after this much of the spool, bytes; `None`: only at what no recording may pass.
        longest_bytes: Option<u64>,
        /// `RecordingStopped` after this much silence, milliseconds; `None`: never (video).
        silence_ms: Option<u64>,
        /// A's pictures are recorded, too.
        pictures: bool,
    },
    /// Tell what has been counted so far: `Counted` for each m-line, then `AllCounted`.
    Count,
    /// End the recording; `Recorded` or `RecordFailed` follows.
    StopRecording {
        /// Why, as it shall stand in the spool's last record: `{"duration_ms":..,"cause":".."}`.
        cause: String,
    },
    /// What the two sides of the bridge say, or show, in codecs of their own this process makes of each other; `None`: nobody does any
    /// more.
    Transcode {
        /// Sound, or pictures.
        kind: Kind,
        /// The way to it.
        by: Option<Arc<TranscodeLink>>,
    },
    /// Give back a leg's ports.
    CloseLeg {
        /// Which leg.
        leg: LegKey,
    },
    /// Give back everything. A recording that still runs is ended with cause `stopped`.
    Close,
}

/// Whose word counts about where a peer's media is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Trust {
    /// Its SDP's.
    #[default]
    Signalled,
    /// Its SDP's for this address; to any other nothing is sent before RTP has come from there.
    Proven(IpAddr),
    /// Its media comes from and goes to this address, whatever its SDP says; unless that says the same, only once RTP has come.
    Nat(IpAddr),
}

/// To what A was switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwitchTo {
    /// A source of a `Play`.
    Source(u32),
    /// The bridged leg.
    Callee,
}

/// Why a recorder ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingStop {
    /// The longest length was reached, or more bytes than it may have.
    Longest,
    /// A sent no RTP for `rtp_gone_ms`.
    RtpGone,
    /// Nothing but silence.
    Silence,
}

/// What was counted on one m-line of a leg.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// RTP packets of the peer, doubles left out.
    pub received: u64,
    /// Packets of the peer that never came.
    pub lost: u64,
    /// Of those received: overtaken by others.
    pub late: u64,
    /// Interarrival jitter (RFC 3550 §6.4.1).
    pub jitter_ms: u64,
    /// RTP packets to the peer.
    pub sent: u64,
    /// Of those from a clip: more than 5 ms after their time.
    pub sent_late: u64,
    /// Packets that the peer last said it misses.
    pub peer_lost: Option<u64>,
    /// Jitter as the peer last said it.
    pub peer_jitter_ms: Option<u64>,
    /// The way there and back, by the last report that told (RFC 3550 §6.4.1).
    pub round_trip_ms: Option<u64>,
    /// When packets of the peer were lost, in the order of time.
    pub losses: Vec<Loss>,
    /// When packets to the peer were lost, as its reports say: from one to the next.
    pub peer_losses: Vec<Loss>,
}

/// What happened in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first packet of a `Play` or `Say` has left for A, of whichever kind; once each.
    FirstPacket {
        /// Which source.
        source: u32,
    },
    /// A `Play` that does not loop, or a `Say`, has come to its end; its last picture stays, with silence.
    Played {
        /// Which source.
        source: u32,
    },
    /// A's stream carries a new source: its first packet has just left.
    Switched {
        /// The new source.
        to: SwitchTo,
        /// Which stream.
        kind: Kind,
        /// Since the packet before it, milliseconds; `None` for the first of the call.
        gap_ms: Option<u64>,
    },
    /// A telephone-event began (RFC 4733), once per key press.
    Dtmf {
        /// On which leg.
        leg: LegKey,
        /// `0`-`9`, `*`, `#`, `A`-`D`.
        key: char,
    },
    /// While bridged: no RTP from a leg that should send. Once, until it sends again.
    RtpGone {
        /// Which leg.
        leg: LegKey,
    },
    /// The recorder met its own end; it records no more and wants `StopRecording`.
    RecordingStopped {
        /// Which end.
        cause: RecordingStop,
    },
    /// The spool and its directory entry are synced to disk.
    Recorded {
        /// The file.
        path: PathBuf,
        /// From the first recorded packet to the last, milliseconds.
        duration_ms: u64,
    },
    /// The recording could not be kept. What reached the disk before stays there.
    RecordFailed {
        /// Why, one sentence.
        why: String,
    },
    /// What has been counted on one m-line of a leg so far, as `Count` asked; not for one that carried nothing.
    Counted {
        /// Which leg.
        leg: LegKey,
        /// Which m-line.
        kind: Kind,
        /// What was counted.
        tally: Tally,
    },
    /// Every `Counted` of a `Count` has been told.
    AllCounted,
    /// What was counted on one m-line of a leg, when the leg was closed; not for one that carried nothing.
    Tallied {
        /// Which leg.
        leg: LegKey,
        /// Which m-line.
        kind: Kind,
        /// What was counted.
        tally: Tally,
    },
    /// A `Close` was performed; every `Tallied` has been told.
    Closed,
    /// The process of a `Transcode` has ended, or hangs: nothing of that kind crosses where the sides have codecs of their own.
    TranscoderLost {
        /// Sound, or pictures.
        kind: Kind,
    },
    /// A fault of ours closed the session: no packet is carried any more. What was recorded may still come as `Recorded`.
    Lost,
    /// A picture is needed from a leg that negotiated neither PLI nor FIR.
    KeyFrameWanted {
        /// From which leg.
        leg: LegKey,
    },
}

/// Why the packet path cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// Every port of the range is taken.
    #[error("no free RTP port pair in {first}-{last}; widen media.ports")]
    NoPorts {
        /// First port of the range.
        first: u16,
        /// Last port of the range.
        last: u16,
    },
    /// The media thread has not kept up.
    #[error("the media thread's command queue is full")]
    Busy,
    /// The packet path has been shut down, or its thread has died.
    #[error("the media thread is gone")]
    Gone,
    /// The configuration cannot work.
    #[error("{0}")]
    Config(String),
    /// The system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's word.
        source: std::io::Error,
    },
}
