//! What a call has the packet path do, and what that says.

use std::net::IpAddr;

use segue_mailbox::{RecordingManifest, RenditionProfile, StopCause};
use segue_policy::{Language, MediaFrom};
use segue_sdp::{Family, Kind, Stream};
use segue_sip_wire::Uri;

use super::LegId;
use crate::prompts::{Picture, Prompt};

/// The RTP ports of one leg. RTCP is on the next port up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Address that the SDP shall say.
    pub address: IpAddr,
    /// RTP port for audio.
    pub audio: u16,
    /// RTP port for video.
    pub video: u16,
}

/// What A hears and sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The callee's clip.
    Clip,
    /// The greeting.
    Greeting,
    /// The beep, with its picture that stays while recording.
    Beep,
    /// That the mailbox is full.
    Notice,
    /// What A has just recorded.
    Take,
    /// What is said to A.
    Prompt,
    /// The callee.
    Callee,
    /// A message, to its owner.
    Message,
}

impl Source {
    /// Its word in records and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Clip => "clip",
            Source::Greeting => "greeting",
            Source::Beep => "beep",
            Source::Notice => "notice",
            Source::Take => "take",
            Source::Prompt => "prompt",
            Source::Callee => "callee",
            Source::Message => "message",
        }
    }
}

/// A clip in the renditions chosen for A.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClipUse {
    /// Row id of the clip.
    pub clip: i64,
    /// What to send on A's audio stream.
    pub audio: Option<RenditionProfile>,
    /// What to send on A's video stream.
    pub video: Option<RenditionProfile>,
}

/// Whose address a leg's ports must fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Towards {
    /// Somebody of this address family.
    Family(Family),
    /// Whoever this URI names; where that is, its look-up says.
    Target(Uri),
}

/// What the packet path shall do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaAction {
    /// Lease ports for a leg: `Opened` or `OpenFailed` follows.
    Open {
        /// Which leg.
        leg: LegId,
        /// Whom its packets will go to.
        towards: Towards,
    },
    /// What holds for this call's packets. Once, before anything is configured.
    Rules {
        /// RTP that should come and does not is gone after this long, milliseconds; 0: never.
        rtp_gone_ms: u64,
        /// Whose word counts about where A's media is.
        media_from: MediaFrom,
        /// Where A's SIP came from.
        source: IpAddr,
    },
    /// A callee behind a NAT: its media comes from and goes to the address that its SIP comes from, whatever its SDP says. Said by
    /// who knows how it is reached, before anything of the leg is configured.
    BehindNat {
        /// Which leg.
        leg: LegId,
        /// That address.
        source: IpAddr,
    },
    /// What was negotiated on a leg; again after each re-negotiation.
    Configure {
        /// Which leg.
        leg: LegId,
        /// Its audio stream.
        audio: Option<Stream>,
        /// Its video stream.
        video: Option<Stream>,
    },
    /// Play to A from the clip's start; `FirstPacket`, then at its end `Played` unless looping. After the end the last
    /// picture stays and audio is silence.
    Play {
        /// What it is to A.
        source: Source,
        /// Which clip.
        clip: ClipUse,
        /// Start again at the end.
        looping: bool,
    },
    /// Say to A one prompt after the other, in place of what it got so far: `Said` follows, unless something else is played or said
    /// before. The picture stays meanwhile and afterwards.
    Say {
        /// Numbers what is said in this call.
        turn: u32,
        /// In which language.
        language: Language,
        /// What, in order; nothing: the picture alone.
        prompts: Vec<Prompt>,
        /// What is shown; `None`: what was shown before.
        picture: Option<Picture>,
        /// What to send on A's audio stream.
        audio: Option<RenditionProfile>,
        /// What to send on A's video stream.
        video: Option<RenditionProfile>,
    },
    /// As `Play` without looping, from somewhere within: from the last key frame before that, if there are pictures.
    PlayFrom {
        /// What it is to A.
        source: Source,
        /// Which clip.
        clip: ClipUse,
        /// From its start, milliseconds.
        from_ms: u64,
    },
    /// The picture that A sees while bridged to a callee that shows none, where no clip has left one.
    Poster {
        /// Which clip's first picture.
        clip: ClipUse,
    },
    /// Connect A and B: audio at once, video at B's first key frame (PLI until it comes).
    Bridge {
        /// B's leg.
        leg: LegId,
    },
    /// Let A hear and see what B sends before it answers, as far as B's streams are configured to be received: as `Bridge`, until
    /// `Bridge`, `Play` or the leg's end.
    Hear {
        /// B's leg.
        leg: LegId,
    },
    /// Tell a leg of the bridge of a key by telephone-event, in place of what the other side sends meanwhile.
    TellKey {
        /// Which leg.
        leg: LegId,
        /// `0`-`9`, `*`, `#`, `A`-`D`.
        key: char,
        /// How long it was pressed, milliseconds.
        duration_ms: u64,
    },
    /// Record what A sends.
    Record {
        /// First record of the spool.
        manifest: RecordingManifest,
        /// End after this long (`RecordingStopped`), milliseconds.
        longest_ms: u64,
        /// End after this much of it, bytes of the spool; `None`: the packet path's own limit.
        longest_bytes: Option<u64>,
        /// End after this much silence; `None` with video.
        silence_ms: Option<u64>,
    },
    /// End the recording: `Recorded` follows when the spool is synced.
    StopRecording {
        /// Why.
        cause: StopCause,
    },
    /// Have a process at hand that makes the sound, or the pictures, of A and its callee of each other where they have codecs of their
    /// own: it begins as soon as they are bridged so. `Transcoding` or `NoTranscoder` follows before anything else that is asked for
    /// later.
    Transcode {
        /// Sound, or pictures.
        kind: Kind,
    },
    /// It is not needed any more.
    EndTranscode {
        /// Sound, or pictures.
        kind: Kind,
    },
    /// Give back a leg's ports.
    CloseLeg {
        /// Which leg.
        leg: LegId,
    },
    /// Give back everything of this call.
    Close,
}

/// What happened on the packet path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaEvent {
    /// Ports of a leg.
    Opened {
        /// Which leg.
        leg: LegId,
        /// The ports.
        ports: Ports,
    },
    /// No ports.
    OpenFailed {
        /// Which leg.
        leg: LegId,
        /// Why, for the record.
        why: String,
    },
    /// The first packet of a source has left for A (once per `Play`).
    FirstPacket {
        /// Which source.
        source: Source,
    },
    /// A source that does not loop has come to its end.
    Played {
        /// Which source.
        source: Source,
    },
    /// A could not be played to (clip gone, its cache broken).
    PlayFailed {
        /// Which source.
        source: Source,
        /// Why, for the record.
        why: String,
    },
    /// What was to be said has been said.
    Said {
        /// Its number.
        turn: u32,
    },
    /// It could not be said.
    SayFailed {
        /// Its number.
        turn: u32,
        /// Why, for the record.
        why: String,
    },
    /// What A hears or sees has changed.
    Switched {
        /// The new source.
        to: Source,
        /// Which stream.
        kind: Kind,
        /// From the last packet of the old source to the first of the new; `None` for the first source.
        gap_ms: Option<u64>,
    },
    /// A telephone-event began on a leg (RFC 4733), once per key press.
    Dtmf {
        /// Which leg.
        leg: LegId,
        /// `0`-`9`, `*`, `#`, `A`-`D`.
        key: char,
    },
    /// No RTP from a leg that should send (holds excluded).
    RtpGone {
        /// Which leg.
        leg: LegId,
    },
    /// The recorder met its own end: longest, silence or RTP gone. Wants `StopRecording`.
    RecordingStopped {
        /// Which.
        cause: StopCause,
    },
    /// The spool is synced to disk: the recording is recoverable.
    Recorded {
        /// From the first recorded packet to the last, milliseconds.
        duration_ms: u64,
    },
    /// The recording could not be kept.
    RecordFailed {
        /// Why.
        why: String,
    },
    /// There is a process that transcodes.
    Transcoding {
        /// Sound, or pictures.
        kind: Kind,
    },
    /// There is none.
    NoTranscoder {
        /// Sound, or pictures.
        kind: Kind,
        /// Why, for the record.
        why: String,
    },
    /// It has ended, or hangs.
    TranscoderLost {
        /// Sound, or pictures.
        kind: Kind,
    },
    /// A video picture is needed from A and RTCP feedback was not negotiated.
    KeyFrameWanted {
        /// From which leg.
        leg: LegId,
    },
}
