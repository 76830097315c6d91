//! A negotiated stream: what both sides agreed on for one m-line, as the packet path needs it.

use std::net::SocketAddr;

use crate::{Amr, Band, Keys};

/// Audio or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `m=audio`.
    Audio,
    /// `m=video`.
    Video,
}

/// A codec we can play, relay and record; or one that we can only relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law, 8000 Hz.
    Pcmu,
    /// G.711 A-law, 8000 Hz.
    Pcma,
    /// G.722, 16 kHz sound under an RTP clock of 8000 Hz, by an old mistake (RFC 3551 §4.5.2).
    G722,
    /// Opus, 48000 Hz whatever it carries (RFC 7587 §4.1).
    Opus,
    /// AMR, 8000 Hz, or AMR-WB, 16000 Hz (RFC 4867).
    Amr(Amr),
    /// VP8, 90000 Hz (RFC 7741).
    Vp8,
    /// H.264, 90000 Hz (RFC 6184).
    H264 {
        /// `packetization-mode`: 0 or 1.
        packetization_mode: u8,
        /// `profile-level-id`.
        profile_level_id: [u8; 3],
    },
    /// One that we do not know: its packets are relayed under their own payload types.
    Foreign {
        /// RTP clock rate in Hz.
        clock_rate: u32,
    },
}

impl Codec {
    /// RTP clock rate in Hz.
    pub fn clock_rate(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => 8_000,
            Codec::Opus => 48_000,
            Codec::Amr(amr) => amr.band.clock_rate(),
            Codec::Vp8 | Codec::H264 { .. } => 90_000,
            Codec::Foreign { clock_rate } => clock_rate,
        }
    }

    /// Whether its pictures begin at key frames that we know. Where a picture begins in a foreign codec only its peer can tell.
    pub fn has_key_frames(self) -> bool {
        match self {
            Codec::Vp8 | Codec::H264 { .. } => true,
            Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Opus | Codec::Amr(_) | Codec::Foreign { .. } => false,
        }
    }

    /// Its name in `a=rtpmap`.
    pub fn encoding_name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
            Codec::G722 => "G722",
            Codec::Opus => "opus",
            Codec::Amr(Amr { band: Band::Narrow, .. }) => "AMR",
            Codec::Amr(Amr { band: Band::Wide, .. }) => "AMR-WB",
            Codec::Vp8 => "VP8",
            Codec::H264 { .. } => "H264",
            Codec::Foreign { .. } => "foreign",
        }
    }

    /// Whether it can only be relayed.
    pub fn is_foreign(self) -> bool {
        matches!(self, Codec::Foreign { .. })
    }

    /// Whether both are the same codec; parameters may differ.
    pub fn is_same_kind(self, other: Codec) -> bool {
        match (self, other) {
            (Codec::Amr(one), Codec::Amr(other)) => one.band == other.band,
            (one, other) => std::mem::discriminant(&one) == std::mem::discriminant(&other),
        }
    }
}

/// A codec under its payload type on one leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// The codec.
    pub codec: Codec,
    /// The peer's `a=fmtp` value, if any (its sprop-parameter-sets start a recording).
    pub fmtp: Option<String>,
}

/// A format of a peer that is passed on as it is: the same payload type, `a=rtpmap` and `a=fmtp` copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignFormat {
    /// RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// Value of its `a=rtpmap`; static payload types may have none.
    pub rtpmap: Option<String>,
    /// Value of its `a=fmtp`.
    pub fmtp: Option<String>,
}

impl ForeignFormat {
    /// Whether it is no medium by itself: key presses, comfort noise, redundancy.
    pub(crate) fn only_accompanies(&self) -> bool {
        let name = self.rtpmap.as_deref().and_then(|map| map.split('/').next());
        let names = ["telephone-event", "CN", "red", "ulpfec", "flexfec-03", "rtx"];
        self.payload_type == 13 || name.is_some_and(|name| names.iter().any(|n| n.eq_ignore_ascii_case(name.trim())))
    }

    /// Its codec, for the packet path.
    pub(crate) fn codec(&self, kind: Kind) -> Codec {
        let said = self
            .rtpmap
            .as_deref()
            .and_then(|map| map.split('/').nth(1)?.trim().parse().ok());
        // The static types that may come without rtpmap (RFC 3551 §6): all audio ones that are still met have 8 kHz.
        let usual = match kind {
            Kind::Audio => 8_000,
            Kind::Video => 90_000,
        };
        let clock_rate = said.filter(|rate| *rate != 0).unwrap_or(usual);
        Codec::Foreign { clock_rate }
    }

    /// Whether both name the same encoding, as far as they say.
    pub(crate) fn is_same(&self, other: &ForeignFormat) -> bool {
        let same = |(one, other): (&String, &String)| one.trim().eq_ignore_ascii_case(other.trim());
        self.payload_type == other.payload_type && self.rtpmap.as_ref().zip(other.rtpmap.as_ref()).is_none_or(same)
    }
}

/// Who may send, seen from us (RFC 3264 §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Both.
    SendRecv,
    /// We send only.
    SendOnly,
    /// We receive only.
    RecvOnly,
    /// Nobody.
    Inactive,
}

impl Direction {
    /// The same stream seen from the other side.
    pub fn reversed(self) -> Direction {
        match self {
            Direction::SendOnly => Direction::RecvOnly,
            Direction::RecvOnly => Direction::SendOnly,
            both => both,
        }
    }

    /// No wider than either.
    pub fn narrowed(self, other: Direction) -> Direction {
        Direction::of(self.sends() && other.sends(), self.receives() && other.receives())
    }

    /// The direction in which we send, receive, or both.
    pub fn of(sends: bool, receives: bool) -> Direction {
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    /// Whether we may send.
    pub fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// Whether we expect packets.
    pub fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }
}

/// One agreed m-line of one leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Audio or video.
    pub kind: Kind,
    /// Where the peer receives RTP; `None` when its connection address is 0.0.0.0 (RFC 3264 §8.4)
    pub remote: Option<SocketAddr>,
    /// Where the peer receives RTCP: `a=rtcp` or the RTP port plus one.
    pub remote_rtcp: Option<SocketAddr>,
    /// The codec in use.
    pub format: Format,
    /// Payload type of telephone-event (RFC 4733) for what we send, if agreed.
    pub dtmf_payload_type: Option<u8>,
    /// RTP clock rate of telephone-event in Hz: the codec's, or 8000 where a peer knows no other.
    pub dtmf_clock_rate: u32,
    /// What we called the codec in our description. The peer names what it sends so, even when its answer calls the codec
    /// otherwise (RFC 3264 §5.1).
    pub our_payload_type: u8,
    /// What we called telephone-event.
    pub our_dtmf_payload_type: Option<u8>,
    /// Who may send, seen from us.
    pub direction: Direction,
    /// The peer said `a=rtcp-fb:* nack` for video: it asks for lost packets and sends them again (RFC 4585 §4.2).
    pub nack: bool,
    /// The peer said `a=rtcp-fb:* nack pli` (RFC 4585 §4.2).
    pub pli: bool,
    /// The peer said `a=rtcp-fb:* ccm fir` (RFC 5104 §7.1).
    pub fir: bool,
    /// Where the codec is foreign: what was agreed, passed on as it is. Packets keep their payload types.
    pub foreign: Vec<ForeignFormat>,
    /// Its packets are SRTP under these; `None`: plain RTP.
    pub keys: Option<Box<Keys>>,
}

/// What a received payload type stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// The codec of the stream.
    Codec,
    /// telephone-event.
    Dtmf,
}

impl Stream {
    /// Who may really send: nobody sends to a peer whose address is 0.0.0.0.
    pub fn effective(&self) -> Direction {
        Direction::of(
            self.direction.sends() && self.remote.is_some(),
            self.direction.receives(),
        )
    }

    /// What a packet of the peer with this payload type carries; `None`: nothing that was agreed. Our numbers come first; a peer
    /// that sends by its own is understood, too.
    pub fn carried(&self, payload_type: u8) -> Option<Carried> {
        if self.format.codec.is_foreign() {
            let agreed = self.foreign.iter().any(|format| format.payload_type == payload_type);
            return agreed.then_some(Carried::Codec);
        }
        let given = Some(payload_type);
        if given == self.our_dtmf_payload_type {
            Some(Carried::Dtmf)
        } else if payload_type == self.our_payload_type {
            Some(Carried::Codec)
        } else if given == self.dtmf_payload_type {
            Some(Carried::Dtmf)
        } else {
            (payload_type == self.format.payload_type).then_some(Carried::Codec)
        }
    }
}
