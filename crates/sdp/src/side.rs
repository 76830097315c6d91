//! Our side of one leg's offers and answers: makes them, reads the peer's, and keeps session id and version (RFC 3264).
#![deny(clippy::arithmetic_side_effects)]

use std::{net::IpAddr, sync::Arc};

use crate::{
    Codec, Description, Direction, ForeignFormat, Format, Kind, SdpError, Stream, WarnCode, Warning,
    accepted::accepted,
    description::{Address, FeedbackKind, MediaLine, TelephoneEvent, Transport},
    fmtp, h264,
    precondition::Reserved,
    secure::Security,
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
    /// What the other party of the call has answered: its codecs, foreign formats as it says them. Where it has no video, the
    /// first that we know: a still picture is shown.
    Like(&'a Agreed),
    /// Only these: nothing is transcoded, so a re-offer must keep the codecs in use. A kind that is `None` is rejected.
    Keep {
        /// The audio codec in use.
        audio: Option<Codec>,
        /// The video codec in use.
        video: Option<Codec>,
    },
    /// Any audio codec that we know, the first that is offered; this video codec, as with `Keep`.
    KeepVideo(Option<Codec>),
}

/// What of an m-line is taken.
enum Taken {
    Known(Format),
    Foreign {
        formats: Vec<ForeignFormat>,
        narrowed: Direction,
    },
}

/// Our side of one leg.
#[derive(Debug, Clone)]
pub struct Side {
    session_id: u64,
    version: u64,
    pub(crate) address: IpAddr,
    audio_port: u16,
    video_port: u16,
    time: String,
    pub(crate) lines: Vec<Line>,
    said: Option<Arc<[u8]>>,
    content: Option<&'static str>,
    pub(crate) security: Security,
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
            content: None,
            security: Security::NONE,
        }
    }

    /// What its streams are from now on, for `a=content` of each live m-line (RFC 4796 §5); `None`: nothing is said of it.
    pub fn set_content(&mut self, content: Option<&'static str>) {
        self.content = content;
    }

    /// Answer an offer or a re-offer: one m-line for each offered one, in order; the first usable audio and the first usable
    /// video are taken, the rest get port 0; direction as wide as RFC 3264 §6.1 allows. On an error nothing has changed.
    pub fn answer(&mut self, offer: &Description, choice: Choice<'_>) -> Result<Agreed, SdpError> {
        self.answer_narrowed(offer, choice, Direction::SendRecv, Direction::SendRecv)
    }

    /// [`Side::answer`] with directions that are no wider than these, seen from us: what the other party of the call allows.
    pub fn answer_narrowed(
        &mut self,
        offer: &Description,
        choice: Choice<'_>,
        audio_max: Direction,
        video_max: Direction,
    ) -> Result<Agreed, SdpError> {
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
                Some(slot) => match self.take(index, line, choice) {
                    Ok((mut live, mut stream)) => {
                        let max = match stream.kind {
                            Kind::Audio => audio_max,
                            Kind::Video => video_max,
                        };
                        stream.direction = stream.direction.narrowed(max);
                        live.direction = stream.direction;
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

    /// Read the peer's answer to our last offer. An error means that nothing was accepted.
    pub fn read_answer(&mut self, answer: &Description) -> Result<Agreed, SdpError> {
        let (mut audio, mut video) = (None, None);
        let mut worst = Unusable::Disabled;
        for (index, line) in self.lines.iter_mut().enumerate() {
            let Line::Live(ours) = line else { continue };
            let Some(theirs) = answer
                .lines
                .get(index)
                .filter(|theirs| theirs.kind() == Some(ours.kind))
            else {
                continue;
            };
            match accepted(ours, theirs, self.address) {
                Ok(mut stream) => {
                    // An answer may be wider than what was offered; it means no more (RFC 3264 §6.1).
                    stream.direction = stream.direction.narrowed(ours.direction);
                    ours.settle_keys(stream.keys.as_deref(), stream.remote);
                    if ours.is_choice() {
                        // From here on it is this codec's line.
                        let event = stream.our_dtmf_payload_type;
                        *ours = LiveLine {
                            payload_type: stream.our_payload_type,
                            proto: std::mem::take(&mut ours.proto),
                            secured: std::mem::take(&mut ours.secured),
                            ..LiveLine::like(&stream, ours.direction, None)
                        };
                        if let (Some(said), Some(number)) = (&mut ours.telephone_event, event) {
                            said.payload_type = number;
                        }
                    }
                    if ours.other.is_some() {
                        // Its packing is settled, and the set of its modes.
                        ours.payload_type = stream.our_payload_type;
                        ours.fmtp = fmtp::carried_on(stream.format.codec, ours.fmtp.as_deref());
                        ours.codec = stream.format.codec;
                        ours.other = None;
                    }
                    match stream.kind {
                        Kind::Audio => audio = Some(stream),
                        Kind::Video => video = Some(stream),
                    }
                }
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

    /// Codec and direction of a live stream in what was last said.
    pub fn says(&self, kind: Kind) -> Option<(Codec, Direction)> {
        self.lines.iter().find_map(|line| match line {
            Line::Live(live) if live.kind == kind => Some((live.codec, live.direction)),
            Line::Live(_) | Line::Rejected { .. } => None,
        })
    }

    /// What was last said; `None` before the first offer or answer.
    pub fn said(&self) -> Option<Arc<[u8]>> {
        self.said.clone()
    }

    /// Its m-lines in order: what is live in each, `None` where it is rejected.
    pub fn live_lines(&self) -> impl Iterator<Item = Option<Kind>> {
        self.lines.iter().map(|line| match line {
            Line::Live(live) => Some(live.kind),
            Line::Rejected { .. } => None,
        })
    }

    /// How far the preconditions of its live streams are (RFC 3312); those of rejected ones count for nothing (§8.1).
    pub fn reserved(&self) -> Reserved {
        let live = self.lines.iter().filter_map(|line| match line {
            Line::Live(live) => Some(live.preconditions.reserved()),
            Line::Rejected { .. } => None,
        });
        live.max().unwrap_or(Reserved::Met)
    }

    /// For a refusal with 580: each m-line with port 0, and the preconditions that were not met (RFC 3312 §8).
    pub fn failed_preconditions(&self) -> Arc<[u8]> {
        let mut out = render(
            self.session_id,
            self.version,
            self.address,
            &self.time,
            &[],
            None,
            |_| 0,
        );
        for line in &self.lines {
            let mut closed = line.clone();
            closed.switch_off();
            let lines = std::slice::from_ref(&closed);
            let text = render(
                self.session_id,
                self.version,
                self.address,
                &self.time,
                lines,
                None,
                |_| 0,
            );
            out.push_str(text.find("m=").and_then(|at| text.get(at..)).unwrap_or_default());
            if let Line::Live(live) = line {
                live.preconditions.write_failed(&mut out);
            }
        }
        out.into_bytes().into()
    }

    fn port(&self, kind: Kind) -> u16 {
        match kind {
            Kind::Audio => self.audio_port,
            Kind::Video => self.video_port,
        }
    }

    /// What nobody has heard yet is said anew, as the same version.
    pub(crate) fn say_anew(&mut self) -> Arc<[u8]> {
        self.said = None;
        self.say()
    }

    /// The same bytes when nothing has changed, else the version goes up by one (RFC 3264 §8).
    pub(crate) fn say(&mut self) -> Arc<[u8]> {
        let render = |side: &Side| {
            render(
                side.session_id,
                side.version,
                side.address,
                &side.time,
                &side.lines,
                side.content,
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

    fn take(&mut self, index: usize, line: &MediaLine, choice: Choice<'_>) -> Result<(LiveLine, Stream), Unusable> {
        let now = self.lines.get(index).cloned();
        self.takes_transport(now.as_ref(), line)?;
        let kind = usable(line, self.address)?;
        let taken = pick(now.as_ref(), kind, line, choice)?;
        let (secured, keys) = self.answer_secured(now.as_ref(), line)?;
        let format = match taken {
            Taken::Known(format) => format,
            Taken::Foreign { formats, narrowed } => {
                let mut stream = foreign_stream(kind, line, formats).ok_or(Unusable::Format)?;
                stream.direction = stream.direction.narrowed(narrowed);
                stream.keys = keys;
                let mut live = LiveLine::like(&stream, stream.direction, None);
                live.proto.clone_from(&line.proto);
                live.feedback = feedback(line, stream.format.payload_type);
                live.preconditions = line.preconditions.answered();
                live.secured = secured;
                return Ok((live, stream));
            }
        };
        let mut stream = stream(kind, line, format.clone());
        stream.keys = keys;
        let level_asymmetry = format
            .fmtp
            .as_deref()
            .and_then(|f| h264::parameter(f, "level-asymmetry-allowed"))
            .is_some_and(|v| v == "1");
        let live = LiveLine {
            kind,
            proto: line
                .potential
                .as_ref()
                .map_or(&line.proto, |potential| &potential.proto)
                .clone(),
            acfg: line.potential.as_ref().map(|potential| potential.acfg.clone()),
            payload_type: format.payload_type,
            codec: format.codec,
            level_asymmetry,
            fmtp: fmtp::answer(format.codec, format.fmtp.as_deref()),
            other: None,
            telephone_event: stream.dtmf_payload_type.map(|payload_type| TelephoneEvent {
                payload_type,
                clock_rate: stream.dtmf_clock_rate,
            }),
            direction: stream.direction,
            feedback: feedback(line, format.payload_type),
            formats: Vec::new(),
            our_order: false,
            preconditions: line.preconditions.answered(),
            secured,
        };
        Ok((live, stream))
    }
}

/// The feedback that a peer takes for a payload type, to be said again.
fn feedback(line: &MediaLine, payload_type: u8) -> Vec<crate::description::Feedback> {
    let known = [FeedbackKind::Nack, FeedbackKind::Pli, FeedbackKind::Fir].into_iter();
    known.filter_map(|what| line.takes(what, payload_type)).collect()
}

/// What of an m-line a choice takes.
fn pick(now: Option<&Line>, kind: Kind, line: &MediaLine, choice: Choice<'_>) -> Result<Taken, Unusable> {
    let of = |agreed: &Agreed| match kind {
        Kind::Audio => agreed.audio.clone(),
        Kind::Video => agreed.video.clone(),
    };
    let same = |codec: Codec| {
        line.formats
            .iter()
            .find(|f| h264::same_configuration(codec, f.codec))
            .or_else(|| line.formats.iter().find(|f| allows_more(codec, f.codec)))
            .cloned()
    };
    // What stands in the line already, as far as it is still offered.
    let foreign_now = || match now {
        Some(Line::Live(live)) if live.codec.is_foreign() => Some(Taken::Foreign {
            formats: still_offered(&live.formats, line),
            narrowed: Direction::SendRecv,
        }),
        _ => None,
    };
    let known = match choice {
        Choice::Prefer(preferred) => line
            .formats
            .iter()
            .find(|f| preferred(f))
            .or(line.formats.first())
            .cloned(),
        Choice::Keep { audio, video } => {
            let kept = match kind {
                Kind::Audio => audio,
                Kind::Video => video,
            };
            kept.filter(|codec| !codec.is_foreign() || foreign_now().is_none())
                .and_then(same)
        }
        Choice::KeepVideo(_) if kind == Kind::Audio => line.formats.first().cloned(),
        Choice::KeepVideo(video) => video.and_then(same),
        Choice::Like(other) => match of(other) {
            Some(stream) if stream.format.codec.is_foreign() => {
                return Ok(Taken::Foreign {
                    formats: still_offered(&stream.foreign, line),
                    narrowed: stream.direction.reversed(),
                });
            }
            Some(stream) => same(stream.format.codec),
            None if kind == Kind::Video => line.formats.first().cloned(),
            None => None,
        },
    };
    match (known, choice) {
        (Some(format), _) => Ok(Taken::Known(format)),
        (None, Choice::Prefer(_) | Choice::Keep { .. }) => foreign_now().ok_or(Unusable::Format),
        (None, Choice::Like(_) | Choice::KeepVideo(_)) => Err(Unusable::Format),
    }
}

/// AMR: whether what is sent by the one may go on under the other, which restricts less.
fn allows_more(now: Codec, then: Codec) -> bool {
    match (now, then) {
        (Codec::Amr(now), Codec::Amr(then)) => now.is_packed_like(then) && then.modes.includes(now.modes),
        _ => false,
    }
}

/// Those of the formats that an m-line has, too.
fn still_offered(formats: &[ForeignFormat], line: &MediaLine) -> Vec<ForeignFormat> {
    let offered = |format: &&ForeignFormat| line.described.iter().any(|theirs| theirs.is_same(format));
    formats.iter().filter(offered).cloned().collect()
}

/// Why an m-line cannot be used; the greatest of several tells most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unusable {
    Disabled,
    MediaType,
    Multicast,
    Address,
    Transport,
    Unprotected,
    Crypto,
    Format,
}

impl Unusable {
    pub(crate) fn error(self) -> SdpError {
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
            Unusable::Unprotected => (
                WarnCode::Transport,
                "Incompatible transport protocol: RTP/SAVP or RTP/SAVPF is needed, with keys in a=crypto",
            ),
            Unusable::Crypto => (
                WarnCode::Transport,
                "No crypto suite in common: AES_CM_128_HMAC_SHA1_80 or another of RFC 4568, 6188 or 7714 is needed",
            ),
            Unusable::Format => (
                WarnCode::MediaFormat,
                "Incompatible media format: PCMU, PCMA, G722, opus, AMR, AMR-WB, H264 or VP8 is needed",
            ),
        };
        SdpError::Unusable(Warning::new(code, text))
    }
}

pub(crate) fn usable(line: &MediaLine, ours: IpAddr) -> Result<Kind, Unusable> {
    let kind = line.kind().ok_or(Unusable::MediaType)?;
    if line.port == 0 {
        return Err(Unusable::Disabled);
    }
    match line.transport() {
        Some(Transport::Plain) => {}
        Some(Transport::Secure) if line.crypto.is_empty() => return Err(Unusable::Crypto),
        Some(Transport::Secure) => {}
        None => return Err(Unusable::Transport),
    }
    match line.address {
        Address::Ip(ip) if ip.is_ipv4() != ours.is_ipv4() => Err(Unusable::Address),
        Address::Unknown => Err(Unusable::Address),
        Address::Multicast => Err(Unusable::Multicast),
        Address::Ip(_) | Address::Held => Ok(kind),
    }
}

/// The stream of formats that are relayed as they are; `None` when none of them is a medium.
pub(crate) fn foreign_stream(kind: Kind, line: &MediaLine, formats: Vec<ForeignFormat>) -> Option<Stream> {
    let medium = formats.iter().find(|format| !format.only_accompanies())?;
    let format = Format {
        payload_type: medium.payload_type,
        codec: medium.codec(kind),
        fmtp: medium.fmtp.clone(),
    };
    let mut stream = stream(kind, line, format);
    // Key presses are one of the formats.
    stream.dtmf_payload_type = None;
    stream.our_dtmf_payload_type = None;
    stream.foreign = formats;
    Some(stream)
}

pub(crate) fn stream(kind: Kind, line: &MediaLine, format: Format) -> Stream {
    let remotes = line.remotes();
    let event = line.telephone_event(format.codec).filter(|_| kind == Kind::Audio);
    let dtmf_payload_type = event.map(|event| event.payload_type);
    Stream {
        kind,
        our_payload_type: format.payload_type,
        our_dtmf_payload_type: dtmf_payload_type,
        remote: remotes.map(|(rtp, _)| rtp),
        remote_rtcp: remotes.and_then(|(_, rtcp)| rtcp),
        nack: kind == Kind::Video && line.takes(FeedbackKind::Nack, format.payload_type).is_some(),
        pli: line.takes(FeedbackKind::Pli, format.payload_type).is_some(),
        fir: line.takes(FeedbackKind::Fir, format.payload_type).is_some(),
        format,
        dtmf_payload_type,
        dtmf_clock_rate: event.map_or(8_000, |event| event.clock_rate),
        direction: line.direction.reversed(),
        foreign: Vec::new(),
        keys: None,
    }
}
