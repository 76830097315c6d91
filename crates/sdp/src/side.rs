//! Our side of one leg's offers and answers: makes them, reads the peer's, and keeps session id and version (RFC 3264).
#![deny(clippy::arithmetic_side_effects)]

use std::{net::IpAddr, sync::Arc};

use crate::{
    Codec, Description, Direction, Format, Kind, SdpError, Stream, WarnCode, Warning,
    description::{Address, Feedback, FeedbackKind, MediaLine, TelephoneEvent},
    fmtp, h264,
    write::{Line, LiveLine, render},
};

/// What both sides agreed on, and the bytes that we say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// Our description as last said.
    pub sdp: Arc<[u8]>,
    /// The audio stream.
    pub audio: Option<Stream>,
    /// The video stream.
    pub video: Option<Stream>,
}

impl Agreed {
    /// Its streams.
    pub fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.audio.iter().chain(self.video.iter())
    }
}

/// Which of the offered formats an answer takes.
#[derive(Clone, Copy)]
pub enum Choice<'a> {
    /// The first that is preferred (what a clip can be sent in), else the first that we know.
    Prefer(&'a dyn Fn(&Format) -> bool),
    /// Only these: nothing is transcoded, so a re-offer must keep the codecs in use. A kind that is `None` is rejected.
    Keep {
        /// The audio codec in use.
        audio: Option<Codec>,
        /// The video codec in use.
        video: Option<Codec>,
    },
}

/// Our side of one leg.
#[derive(Debug, Clone)]
pub struct Side {
    session_id: u64,
    version: u64,
    address: IpAddr,
    audio_port: u16,
    video_port: u16,
    time: String,
    lines: Vec<Line>,
    said: Option<Arc<[u8]>>,
}

impl Side {
    /// A side with its ports (RTP; RTCP is one up). `session_id` goes into `o=`; only its lower 62 bits are used, so that peers
    /// which read it as a signed number can.
    pub fn new(session_id: u64, address: IpAddr, audio_port: u16, video_port: u16) -> Side {
        Side {
            session_id: session_id & (u64::MAX >> 2),
            version: 1,
            address,
            audio_port,
            video_port,
            time: "0 0".into(),
            lines: Vec::new(),
            said: None,
        }
    }

    /// Answer an offer or a re-offer: one m-line for each offered one, in order; the first usable audio and the first usable
    /// video are taken, the rest get port 0; direction as wide as RFC 3264 §6.1 allows. On an error nothing has changed.
    pub fn answer(&mut self, offer: &Description, choice: Choice<'_>) -> Result<Agreed, SdpError> {
        if offer.lines.len() < self.lines.len() {
            return Err(SdpError::Malformed(
                "a re-offer may not drop m-lines (RFC 3264 section 8)".into(),
            ));
        }
        let (mut audio, mut video) = (None, None);
        let mut lines = Vec::with_capacity(offer.lines.len());
        let mut worst = None;
        for (index, line) in offer.lines.iter().enumerate() {
            let slot = match line.kind() {
                Some(Kind::Audio) => Some(&mut audio),
                Some(Kind::Video) => Some(&mut video),
                None => None,
            };
            let free = slot.filter(|slot| slot.is_none());
            let taken = match free {
                Some(slot) => match self.take(line, choice) {
                    Ok((live, stream)) => {
                        *slot = Some(stream);
                        Some(live)
                    }
                    Err(unusable) => {
                        // A stream in use may be switched off by port 0, but not change its codec.
                        if unusable != Unusable::Disabled && matches!(self.lines.get(index), Some(Line::Live(_))) {
                            return Err(unusable.error());
                        }
                        worst = worst.max(Some(unusable));
                        None
                    }
                },
                None => {
                    if line.kind().is_none() {
                        worst = worst.max(Some(Unusable::MediaType));
                    }
                    None
                }
            };
            lines.push(taken.map_or_else(|| Line::rejected(line), Line::Live));
        }
        let re_offer = self.said.is_some();
        if audio.is_none() && video.is_none() && !(re_offer && worst == Some(Unusable::Disabled)) {
            return Err(worst.unwrap_or(Unusable::MediaType).error());
        }
        self.time.clone_from(&offer.time);
        self.lines = lines;
        Ok(Agreed {
            sdp: self.say(),
            audio,
            video,
        })
    }

    /// Our offer to a callee, from what a caller was answered: the same codecs, and telephone-event. Always sendrecv over
    /// `RTP/AVP`: who may send is gated by the anchor, not by narrowing SDP.
    pub fn offer(&mut self, like: &Agreed) -> Arc<[u8]> {
        self.lines = like
            .streams()
            .map(|stream| {
                let audio = stream.kind == Kind::Audio;
                let codec = stream.format.codec;
                let dynamic = |ours| Some(stream.format.payload_type).filter(|pt| *pt >= 96).unwrap_or(ours);
                let payload_type = match codec {
                    Codec::Pcmu => 0,
                    Codec::Pcma => 8,
                    Codec::G722 => 9,
                    Codec::Opus => dynamic(111),
                    Codec::Vp8 => dynamic(98),
                    Codec::H264 { .. } => dynamic(97),
                };
                let telephone_event = audio.then(|| {
                    let theirs = stream.dtmf_payload_type.filter(|pt| *pt >= 96);
                    let ours = if payload_type == 101 { 102 } else { 101 };
                    TelephoneEvent {
                        payload_type: theirs.unwrap_or(ours),
                        clock_rate: stream.dtmf_clock_rate,
                    }
                });
                let all = |what| Feedback {
                    payload_type: None,
                    what,
                };
                Line::Live(LiveLine {
                    kind: stream.kind,
                    proto: "RTP/AVP".into(),
                    payload_type,
                    codec,
                    level_asymmetry: true,
                    fmtp: fmtp::carried_on(codec, stream.format.fmtp.as_deref()),
                    telephone_event,
                    direction: Direction::SendRecv,
                    feedback: if audio {
                        Vec::new()
                    } else {
                        vec![all(FeedbackKind::Pli), all(FeedbackKind::Fir)]
                    },
                })
            })
            .collect();
        self.say()
    }

    /// Our offer within a running session, for a re-INVITE that asks for one: what is agreed, as wide as it goes.
    pub fn offer_again(&mut self) -> Arc<[u8]> {
        for line in &mut self.lines {
            if let Line::Live(live) = line {
                live.direction = Direction::SendRecv;
            }
        }
        self.say()
    }

    /// Read the peer's answer to our last offer. An error means that nothing was accepted.
    pub fn read_answer(&mut self, answer: &Description) -> Result<Agreed, SdpError> {
        let (mut audio, mut video) = (None, None);
        let mut worst = Unusable::Disabled;
        for (index, line) in self.lines.iter().enumerate() {
            let Line::Live(ours) = line else { continue };
            let Some(theirs) = answer
                .lines
                .get(index)
                .filter(|theirs| theirs.kind() == Some(ours.kind))
            else {
                continue;
            };
            match accepted(ours, theirs, self.address) {
                Ok(stream) => match ours.kind {
                    Kind::Audio => audio = Some(stream),
                    Kind::Video => video = Some(stream),
                },
                Err(unusable) => worst = worst.max(unusable),
            }
        }
        if audio.is_none() && video.is_none() {
            return Err(worst.error());
        }
        Ok(Agreed {
            sdp: self.said.clone().unwrap_or_default(),
            audio,
            video,
        })
    }

    /// What was last said; `None` before the first offer or answer.
    pub fn said(&self) -> Option<Arc<[u8]>> {
        self.said.clone()
    }

    fn port(&self, kind: Kind) -> u16 {
        match kind {
            Kind::Audio => self.audio_port,
            Kind::Video => self.video_port,
        }
    }

    /// The same bytes when nothing has changed, else the version goes up by one (RFC 3264 §8).
    fn say(&mut self) -> Arc<[u8]> {
        let render = |side: &Side| {
            render(
                side.session_id,
                side.version,
                side.address,
                &side.time,
                &side.lines,
                |kind| side.port(kind),
            )
        };
        let mut text = render(self);
        if let Some(said) = &self.said {
            if said.as_ref() == text.as_bytes() {
                return said.clone();
            }
            self.version = self.version.wrapping_add(1);
            text = render(self);
        }
        let bytes: Arc<[u8]> = text.into_bytes().into();
        self.said = Some(bytes.clone());
        bytes
    }

    fn take(&self, line: &MediaLine, choice: Choice<'_>) -> Result<(LiveLine, Stream), Unusable> {
        let kind = usable(line, self.address)?;
        let format = match choice {
            Choice::Prefer(preferred) => line.formats.iter().find(|f| preferred(f)).or(line.formats.first()),
            Choice::Keep { audio, video } => {
                let kept = match kind {
                    Kind::Audio => audio,
                    Kind::Video => video,
                };
                line.formats
                    .iter()
                    .find(|f| kept.is_some_and(|kept| h264::same_configuration(kept, f.codec)))
            }
        };
        let format = format.ok_or(Unusable::Format)?;
        let stream = stream(kind, line, format.clone());
        let level_asymmetry = format
            .fmtp
            .as_deref()
            .and_then(|f| h264::parameter(f, "level-asymmetry-allowed"))
            .is_some_and(|v| v == "1");
        let feedback = [FeedbackKind::Pli, FeedbackKind::Fir];
        let live = LiveLine {
            kind,
            proto: line.proto.clone(),
            payload_type: format.payload_type,
            codec: format.codec,
            level_asymmetry,
            fmtp: fmtp::answer(format.codec, format.fmtp.as_deref()),
            telephone_event: stream.dtmf_payload_type.map(|payload_type| TelephoneEvent {
                payload_type,
                clock_rate: stream.dtmf_clock_rate,
            }),
            direction: stream.direction,
            feedback: feedback
                .into_iter()
                .filter_map(|what| line.takes(what, format.payload_type))
                .collect(),
        };
        Ok((live, stream))
    }
}

/// Why an m-line cannot be used; the greatest of several tells most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unusable {
    Disabled,
    MediaType,
    Multicast,
    Address,
    Transport,
    Format,
}

impl Unusable {
    fn error(self) -> SdpError {
        let (code, text) = match self {
            Unusable::Disabled => (
                WarnCode::MediaType,
                "Media type not available: every stream is switched off",
            ),
            Unusable::MediaType => (WarnCode::MediaType, "Media type not available: neither audio nor video"),
            Unusable::Multicast => (WarnCode::Multicast, "Multicast not available"),
            Unusable::Address => (WarnCode::AddressFormat, "Incompatible network address format"),
            Unusable::Transport => (
                WarnCode::Transport,
                "Incompatible transport protocol: RTP/AVP or RTP/AVPF is needed",
            ),
            Unusable::Format => (
                WarnCode::MediaFormat,
                "Incompatible media format: PCMU, PCMA, G722, opus, H264 or VP8 is needed",
            ),
        };
        SdpError::Unusable(Warning::new(code, text))
    }
}

fn usable(line: &MediaLine, ours: IpAddr) -> Result<Kind, Unusable> {
    let kind = line.kind().ok_or(Unusable::MediaType)?;
    if line.port == 0 {
        return Err(Unusable::Disabled);
    }
    if !line.is_plain_rtp() {
        return Err(Unusable::Transport);
    }
    match line.address {
        Address::Ip(ip) if ip.is_ipv4() != ours.is_ipv4() => Err(Unusable::Address),
        Address::Unknown => Err(Unusable::Address),
        Address::Multicast => Err(Unusable::Multicast),
        Address::Ip(_) | Address::Held => Ok(kind),
    }
}

fn stream(kind: Kind, line: &MediaLine, format: Format) -> Stream {
    let remotes = line.remotes();
    let event = line.telephone_event(format.codec).filter(|_| kind == Kind::Audio);
    let dtmf_payload_type = event.map(|event| event.payload_type);
    Stream {
        kind,
        our_payload_type: format.payload_type,
        our_dtmf_payload_type: dtmf_payload_type,
        remote: remotes.map(|(rtp, _)| rtp),
        remote_rtcp: remotes.and_then(|(_, rtcp)| rtcp),
        pli: line.takes(FeedbackKind::Pli, format.payload_type).is_some(),
        fir: line.takes(FeedbackKind::Fir, format.payload_type).is_some(),
        format,
        dtmf_payload_type,
        dtmf_clock_rate: event.map_or(8_000, |event| event.clock_rate),
        direction: line.direction.reversed(),
    }
}

fn accepted(ours: &LiveLine, theirs: &MediaLine, address: IpAddr) -> Result<Stream, Unusable> {
    let kind = usable(theirs, address)?;
    // The payload type that we offered may only stand in the answer for the very same configuration (RFC 6184 §8.2.2), so a
    // phone that answers it with an incomplete fmtp is believed.
    let same_number = theirs
        .formats
        .iter()
        .find(|f| f.payload_type == ours.payload_type && f.codec.is_same_kind(ours.codec));
    let format = match same_number {
        Some(format) => Format {
            codec: ours.codec,
            ..format.clone()
        },
        None => theirs
            .formats
            .iter()
            .find(|f| h264::same_configuration(f.codec, ours.codec))
            .cloned()
            .ok_or(Unusable::Format)?,
    };
    let mut stream = stream(kind, theirs, format);
    stream.our_payload_type = ours.payload_type;
    // An answer takes up what was offered: a telephone-event of another clock rate was not.
    let event = ours.telephone_event.and_then(|ours| {
        let same_clock = |event: &&TelephoneEvent| event.clock_rate == ours.clock_rate;
        Some((ours, theirs.telephone_events.iter().find(same_clock)?))
    });
    stream.our_dtmf_payload_type = event.map(|(ours, _)| ours.payload_type);
    stream.dtmf_payload_type = event.map(|(_, theirs)| theirs.payload_type);
    stream.dtmf_clock_rate = event.map_or(8_000, |(ours, _)| ours.clock_rate);
    Ok(stream)
}
