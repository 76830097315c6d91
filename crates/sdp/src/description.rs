//! A session description as received, reduced to what an offer or answer is judged by (RFC 8866).
#![deny(clippy::arithmetic_side_effects)]

use std::net::{IpAddr, SocketAddr};

use sdp_types::Session;

use crate::{
    Amr, Band, Codec, Direction, ForeignFormat, Format, Kind, SdpError, Stream,
    capneg::{Potential, Said},
    crypto::{CRYPTO_LINES_MAX, Crypto},
    h264,
    precondition::Preconditions,
    side::foreign_stream,
};

/// Most m-lines of a description.
const MEDIA_LINES_MAX: usize = 10;
/// Most formats of an m-line that are looked at.
const FORMATS_MAX: usize = 64;
/// Most bytes of a description.
const BYTES_MAX: usize = 65_536;

/// A session description of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Value of the first `t=` line: an answer repeats it (RFC 3264 §6).
    pub(crate) time: String,
    pub(crate) lines: Vec<MediaLine>,
}

/// One m-line of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MediaLine {
    pub media: String,
    pub port: u16,
    pub proto: String,
    /// A potential configuration that an answer takes in place of the actual one.
    pub potential: Option<Potential>,
    /// The format list as written, for the m-line of a rejection.
    pub formats_text: String,
    pub address: Address,
    /// `a=rtcp` (RFC 3605): port and, if it says so, address.
    pub rtcp: Option<(u16, Option<IpAddr>)>,
    /// As the peer says it.
    pub direction: Direction,
    /// Formats of codecs that we know, in the peer's order.
    pub formats: Vec<Format>,
    /// All its formats as they stand there.
    pub described: Vec<ForeignFormat>,
    /// Payload types of telephone-event with their clock rates in Hz, in the peer's order.
    pub telephone_events: Vec<TelephoneEvent>,
    pub feedback: Vec<Feedback>,
    /// As the peer sees them.
    pub preconditions: Preconditions,
    /// What its `a=crypto` lines offer that can be accepted, in its order, no tag twice (RFC 4568).
    pub crypto: Vec<Crypto>,
}

/// How an m-line carries its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// RTP.
    Plain,
    /// SRTP, whose keys stand in the description.
    Secure,
}

/// telephone-event under its payload type (RFC 4733).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TelephoneEvent {
    pub payload_type: u8,
    /// RTP clock rate in Hz.
    pub clock_rate: u32,
}

/// Where a peer wants its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address {
    Ip(IpAddr),
    /// 0.0.0.0: nothing is to be sent (RFC 3264 §8.4).
    Held,
    Multicast,
    /// Absent, a host name, or not of the Internet.
    Unknown,
}

/// An `a=rtcp-fb` line that we honour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Feedback {
    /// `None`: `*`.
    pub payload_type: Option<u8>,
    pub what: FeedbackKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FeedbackKind {
    /// `nack` (RFC 4585 §4.2).
    Nack,
    /// `nack pli` (RFC 4585 §4.2).
    Pli,
    /// `ccm fir` (RFC 5104 §7.1).
    Fir,
}

impl Description {
    /// Read what a peer sent. Lines that decide nothing are ignored, however broken they are.
    pub fn parse(bytes: &[u8]) -> Result<Description, SdpError> {
        if bytes.len() > BYTES_MAX {
            return Err(SdpError::Malformed("more than 64 KiB".into()));
        }
        let cleaned = cleaned(bytes);
        let session = Session::parse(cleaned.as_bytes()).map_err(|e| SdpError::Malformed(e.to_string()))?;
        if session.medias.len() > MEDIA_LINES_MAX {
            return Err(SdpError::Malformed(format!("more than {MEDIA_LINES_MAX} m-lines")));
        }
        let time = session
            .times
            .first()
            .map_or_else(|| "0 0".to_owned(), |t| format!("{} {}", t.start_time, t.stop_time));
        let lines = session
            .medias
            .iter()
            .map(|media| MediaLine::read(&session, media))
            .collect();
        Ok(Description { time, lines })
    }

    /// Whether its sound (or, where it has none, its pictures) is in codecs that we can only relay: nothing can be played
    /// to its sender, who is to be connected as soon as may be.
    pub fn is_foreign(&self) -> bool {
        let of = |kind| {
            self.lines
                .iter()
                .filter(move |line| line.kind() == Some(kind) && line.could_be_relayed())
        };
        let foreign = |kind| {
            let mut lines = of(kind).peekable();
            lines.peek()?;
            Some(lines.all(|line| line.formats.is_empty()))
        };
        foreign(Kind::Audio).or_else(|| foreign(Kind::Video)).unwrap_or(false)
    }

    /// Its video, where that is in formats that we can only relay.
    pub fn foreign_video(&self) -> Option<Stream> {
        let mut lines = self
            .lines
            .iter()
            .filter(|line| line.kind() == Some(Kind::Video) && line.could_be_relayed());
        let first = lines.next().filter(|line| line.formats.is_empty())?;
        foreign_stream(Kind::Video, first, first.described.clone())
    }

    /// The same, without preconditions: whoever answers it knows nothing of them (RFC 3312 §11).
    #[must_use]
    pub fn without_preconditions(mut self) -> Description {
        for line in &mut self.lines {
            line.preconditions = Preconditions::default();
        }
        self
    }

    /// Whether its first stream that we could carry is SRTP.
    pub fn is_secure(&self) -> bool {
        let mut lines = self.lines.iter().filter(|line| line.kind().is_some());
        let first = lines.find(|line| line.could_be_relayed());
        first.is_some_and(|line| line.transport() == Some(Transport::Secure))
    }

    /// How many m-lines it has, rejected ones included.
    pub fn media_lines(&self) -> usize {
        self.lines.len()
    }
}

/// Only the lines that decide something, one CRLF form, no control characters: some phones put spaces in the `o=` user name, leave
/// out `s=` or `t=`, or say `c=` twice.
fn cleaned(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut in_media = false;
    let mut session_address = false;
    for line in text.split(['\r', '\n']) {
        let line = line.trim_end();
        let Some((key, value)) = line.trim_start().split_once('=') else {
            continue;
        };
        let keep = match key {
            "v" => !in_media && out.is_empty(),
            "t" => !in_media && two_numbers(value),
            "c" => {
                value.split_whitespace().count() == 3 && (in_media || !std::mem::replace(&mut session_address, true))
            }
            "m" => {
                in_media = true;
                true
            }
            "a" => !value.is_empty(),
            _ => false,
        };
        if keep {
            out.push_str(key);
            out.push('=');
            let value = value.trim();
            if key == "m" {
                // Runs of spaces separate as one.
                out.push_str(&value.split_whitespace().collect::<Vec<_>>().join(" "));
            } else {
                out.extend(value.chars().map(|c| if c.is_control() { ' ' } else { c }));
            }
            out.push_str("\r\n");
        }
    }
    out
}

fn two_numbers(value: &str) -> bool {
    let mut parts = value.split_whitespace();
    let number = |part: Option<&str>| part.is_some_and(|p| p.parse::<u64>().is_ok());
    number(parts.next()) && number(parts.next()) && parts.next().is_none()
}

impl MediaLine {
    fn read(session: &Session, media: &sdp_types::Media) -> MediaLine {
        let connection = media.connections.first().or(session.connection.as_ref());
        let address = connection.map_or(Address::Unknown, |c| match c.try_address() {
            Ok(address) if address.ip.is_unspecified() => Address::Held,
            Ok(address) if address.ip.is_multicast() => Address::Multicast,
            Ok(address) => Address::Ip(address.ip),
            Err(_) => Address::Unknown,
        });
        let direction = media
            .attributes
            .iter()
            .find_map(|a| direction_named(&a.attribute))
            .or_else(|| session.attributes.iter().find_map(|a| direction_named(&a.attribute)))
            .unwrap_or(Direction::SendRecv);

        let values = |name: &'static str| {
            media
                .attributes
                .iter()
                .filter(move |a| a.attribute == name)
                .filter_map(|a| a.value.as_deref())
        };
        let mut formats = Vec::new();
        let mut described = Vec::new();
        let mut telephone_events = Vec::new();
        for payload_type in media.fmt.split_whitespace().take(FORMATS_MAX).filter_map(payload_type) {
            let of_this = |value: &'static str| {
                values(value).find_map(|v| {
                    let (pt, rest) = v.trim_start().split_once(char::is_whitespace)?;
                    (pt.parse() == Ok(payload_type)).then(|| rest.trim())
                })
            };
            let (rtpmap, fmtp) = (of_this("rtpmap"), of_this("fmtp"));
            described.push(ForeignFormat {
                payload_type,
                rtpmap: rtpmap.map(str::to_owned),
                fmtp: fmtp.map(str::to_owned),
            });
            match encoding(rtpmap, payload_type, fmtp) {
                Some(Encoding::Codec(codec)) => {
                    formats.push(Format {
                        payload_type,
                        codec,
                        fmtp: fmtp.map(str::to_owned),
                    });
                }
                Some(Encoding::TelephoneEvent { clock_rate }) => telephone_events.push(TelephoneEvent {
                    payload_type,
                    clock_rate,
                }),
                None => {}
            }
        }
        let potential = (media.media == "video" && media.proto == "RTP/AVP")
            .then(|| {
                let of_session = |name: &'static str| {
                    let all = session.attributes.iter().filter(move |a| a.attribute == name);
                    all.filter_map(|a| a.value.as_deref())
                };
                let all = |name| of_session(name).chain(values(name)).collect();
                let said = Said {
                    transports: all("tcap"),
                    attributes: all("acap"),
                    configurations: values("pcfg").collect(),
                    required: all("creq"),
                };
                said.pick()
            })
            .flatten();
        let more = potential.iter().flat_map(|potential| potential.feedback.iter());
        let more = more.filter_map(|value| feedback(value));
        let feedback: Vec<Feedback> = values("rtcp-fb")
            .filter_map(feedback)
            .chain(more)
            .take(FORMATS_MAX)
            .collect();
        MediaLine {
            media: media.media.clone(),
            port: media.port,
            proto: media.proto.clone(),
            potential,
            formats_text: media.fmt.clone(),
            address,
            rtcp: values("rtcp").find_map(rtcp),
            direction,
            formats,
            described,
            telephone_events,
            feedback,
            crypto: crypto(values("crypto")),
            preconditions: Preconditions::read(
                media
                    .attributes
                    .iter()
                    .filter_map(|a| Some((a.attribute.as_str(), a.value.as_deref()?))),
            ),
        }
    }

    pub fn kind(&self) -> Option<Kind> {
        match self.media.as_str() {
            "audio" => Some(Kind::Audio),
            "video" => Some(Kind::Video),
            _ => None,
        }
    }

    /// `None`: nothing that we carry.
    pub fn transport(&self) -> Option<Transport> {
        match self.proto.as_str() {
            "RTP/AVP" | "RTP/AVPF" => Some(Transport::Plain),
            "RTP/SAVP" | "RTP/SAVPF" => Some(Transport::Secure),
            _ => None,
        }
    }

    /// A live stream over RTP or SRTP, with at least one format that is a medium.
    pub fn could_be_relayed(&self) -> bool {
        let formats = &self.described;
        let carried = match self.transport() {
            Some(Transport::Plain) => true,
            Some(Transport::Secure) => !self.crypto.is_empty(),
            None => false,
        };
        self.port != 0 && carried && formats.iter().any(|format| !format.only_accompanies())
    }

    /// Where the peer receives RTP and RTCP; `None` while it is held.
    pub fn remotes(&self) -> Option<(SocketAddr, Option<SocketAddr>)> {
        let Address::Ip(ip) = self.address else { return None };
        let rtcp = match self.rtcp {
            Some((port, address)) => Some(SocketAddr::new(address.unwrap_or(ip), port)),
            None => self.port.checked_add(1).map(|port| SocketAddr::new(ip, port)),
        };
        Some((SocketAddr::new(ip, self.port), rtcp))
    }

    /// The telephone-event that goes with a codec: of its clock rate (RFC 4733 §2.1), else the first. Phones that send Opus with
    /// telephone-event/8000 alone are common.
    pub fn telephone_event(&self, codec: Codec) -> Option<TelephoneEvent> {
        let fits = |event: &&TelephoneEvent| event.clock_rate == codec.clock_rate();
        let events = &self.telephone_events;
        events.iter().find(fits).or(events.first()).copied()
    }

    /// Whether the peer takes this kind of feedback for a payload type.
    pub fn takes(&self, what: FeedbackKind, payload_type: u8) -> Option<Feedback> {
        self.feedback
            .iter()
            .copied()
            .find(|f| f.what == what && f.payload_type.is_none_or(|pt| pt == payload_type))
    }
}

enum Encoding {
    Codec(Codec),
    TelephoneEvent { clock_rate: u32 },
}

/// What a payload type is: by its rtpmap, or one of the static types (RFC 3551 §6).
fn encoding(rtpmap: Option<&str>, payload_type: u8, fmtp: Option<&str>) -> Option<Encoding> {
    let codec = match rtpmap {
        None => match payload_type {
            0 => Codec::Pcmu,
            8 => Codec::Pcma,
            9 => Codec::G722,
            _ => return None,
        },
        Some(map) => {
            let mut parts = map.split('/').map(str::trim);
            let name = parts.next()?.to_ascii_uppercase();
            let clock_rate = parts.next()?;
            let channels = parts.next().unwrap_or("1");
            match (name.as_str(), clock_rate, channels) {
                ("PCMU", "8000", "1") => Codec::Pcmu,
                ("PCMA", "8000", "1") => Codec::Pcma,
                ("G722", "8000", "1") => Codec::G722,
                ("OPUS", "48000", "2") => Codec::Opus,
                ("AMR", "8000", "1") => Codec::Amr(Amr::read(Band::Narrow, fmtp)?),
                ("AMR-WB", "16000", "1") => Codec::Amr(Amr::read(Band::Wide, fmtp)?),
                ("VP8", "90000", _) => Codec::Vp8,
                ("H264", "90000", _) => h264::codec(fmtp)?,
                ("TELEPHONE-EVENT", "8000", _) => return Some(Encoding::TelephoneEvent { clock_rate: 8_000 }),
                ("TELEPHONE-EVENT", "16000", _) => return Some(Encoding::TelephoneEvent { clock_rate: 16_000 }),
                ("TELEPHONE-EVENT", "48000", _) => return Some(Encoding::TelephoneEvent { clock_rate: 48_000 }),
                _ => return None,
            }
        }
    };
    Some(Encoding::Codec(codec))
}

/// Those that can be accepted; of two under one tag the first, as an answer could not say which it means (RFC 4568 §5.1.1).
fn crypto<'a>(values: impl Iterator<Item = &'a str>) -> Vec<Crypto> {
    let mut all: Vec<Crypto> = Vec::new();
    for crypto in values.take(CRYPTO_LINES_MAX).filter_map(Crypto::read) {
        if !all.iter().any(|known| known.tag == crypto.tag) {
            all.push(crypto);
        }
    }
    all
}

fn payload_type(text: &str) -> Option<u8> {
    text.parse::<u8>().ok().filter(|pt| *pt < 128)
}

fn direction_named(name: &str) -> Option<Direction> {
    match name.trim() {
        "sendrecv" => Some(Direction::SendRecv),
        "sendonly" => Some(Direction::SendOnly),
        "recvonly" => Some(Direction::RecvOnly),
        "inactive" => Some(Direction::Inactive),
        _ => None,
    }
}

fn rtcp(value: &str) -> Option<(u16, Option<IpAddr>)> {
    let mut parts = value.split_whitespace();
    let port = parts.next()?.parse::<u16>().ok().filter(|p| *p != 0)?;
    Some((port, parts.nth(2).and_then(|a| a.parse().ok())))
}

fn feedback(value: &str) -> Option<Feedback> {
    let mut parts = value.split_whitespace();
    let payload_type = match parts.next()? {
        "*" => None,
        pt => Some(payload_type(pt)?),
    };
    let what = match (parts.next()?, parts.next()) {
        ("nack", None) => FeedbackKind::Nack,
        ("nack", Some("pli")) => FeedbackKind::Pli,
        ("ccm", Some("fir")) => FeedbackKind::Fir,
        _ => return None,
    };
    Some(Feedback { payload_type, what })
}
