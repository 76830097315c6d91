//! Writing descriptions.

use std::{fmt::Write as _, net::IpAddr};

use crate::{
    Codec, Direction, Family, ForeignFormat, Format, Kind,
    description::{Feedback, FeedbackKind, MediaLine, TelephoneEvent},
    precondition::Preconditions,
    secure::Secured,
};

/// One m-line of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    Live(LiveLine),
    /// Rejected: port 0, the rest as offered.
    Rejected {
        media: String,
        proto: String,
        formats: String,
    },
}

impl Line {
    pub fn rejected(line: &MediaLine) -> Line {
        Line::Rejected {
            media: line.media.clone(),
            proto: line.proto.clone(),
            formats: line
                .formats_text
                .chars()
                .take(256)
                .collect::<String>()
                .trim_end()
                .to_owned(),
        }
    }
}

impl Line {
    /// Its medium, if that is one of ours.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Line::Live(live) => Some(live.kind),
            Line::Rejected { media, .. } if media == "audio" => Some(Kind::Audio),
            Line::Rejected { media, .. } if media == "video" => Some(Kind::Video),
            Line::Rejected { .. } => None,
        }
    }

    /// Its stream is wanted no more: port 0.
    pub fn switch_off(&mut self) {
        if let Line::Live(live) = self {
            let media = match live.kind {
                Kind::Audio => "audio",
                Kind::Video => "video",
            };
            *self = Line::Rejected {
                media: media.to_owned(),
                proto: live.proto.clone(),
                formats: live.payload_type.to_string(),
            };
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LiveLine {
    pub kind: Kind,
    pub proto: String,
    /// In an answer: the potential configuration of the offer that this is (RFC 5939 §3.5.2).
    pub acfg: Option<String>,

    pub payload_type: u8,
    pub codec: Codec,
    pub level_asymmetry: bool,
    /// `a=fmtp` of the codec, where it is not made of its parameters.
    pub fmtp: Option<String>,
    /// AMR: the same in its other packing under a number of its own, for a peer that knows that one alone.
    pub other: Option<Format>,
    pub telephone_event: Option<TelephoneEvent>,
    pub direction: Direction,
    pub feedback: Vec<Feedback>,
    /// Instead of codec and telephone-event: these, as they are. Of a foreign codec, or the choice of a first offer.
    pub formats: Vec<ForeignFormat>,
    /// Of a choice: ours is the order that counts, not the answer's.
    pub our_order: bool,
    /// As we see them.
    pub preconditions: Preconditions,
    /// What it says of SRTP.
    pub secured: Secured,
}

/// The description as text.
pub(crate) fn render(
    session_id: u64,
    version: u64,
    address: IpAddr,
    time: &str,
    lines: &[Line],
    content: Option<&str>,
    port: impl Fn(Kind) -> u16,
) -> String {
    let family = Family::of(address).as_str();
    let mut out = format!(
        "v=0\r\no=- {session_id} {version} IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt={time}\r\n"
    );
    for line in lines {
        match line {
            Line::Rejected { media, proto, formats } => put(&mut out, format_args!("m={media} 0 {proto} {formats}")),
            Line::Live(live) => {
                live.write(port(live.kind), &mut out);
                if let Some(content) = content {
                    put(&mut out, format_args!("a=content:{content}"));
                }
            }
        }
    }
    out
}

fn put(out: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{line}\r\n");
}

impl LiveLine {
    fn write(&self, port: u16, out: &mut String) {
        let media = match self.kind {
            Kind::Audio => "audio",
            Kind::Video => "video",
        };
        if !self.formats.is_empty() {
            return self.write_formats(media, port, out);
        }
        let (proto, pt) = (&self.proto, self.payload_type);
        let other = self.other.as_ref().map(|other| other.payload_type);
        let event = self.telephone_event.map(|event| event.payload_type);
        let more: String = [other, event].iter().flatten().map(|pt| format!(" {pt}")).collect();
        put(out, format_args!("m={media} {port} {proto} {pt}{more}"));
        match self.codec {
            codec @ (Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Opus | Codec::Amr(_) | Codec::Vp8) => {
                // Opus always says two channels (RFC 7587 §7).
                let channels = if codec == Codec::Opus { "/2" } else { "" };
                let (name, clock_rate) = (codec.encoding_name(), codec.clock_rate());
                let other = self.other.as_ref().map(|other| (other.payload_type, &other.fmtp));
                for (pt, fmtp) in [(pt, &self.fmtp)].into_iter().chain(other) {
                    put(out, format_args!("a=rtpmap:{pt} {name}/{clock_rate}{channels}"));
                    if let Some(fmtp) = fmtp {
                        put(out, format_args!("a=fmtp:{pt} {fmtp}"));
                    }
                }
            }
            // It has formats.
            Codec::Foreign { .. } => {}
            Codec::H264 {
                packetization_mode,
                profile_level_id: [profile, constraints, level],
            } => {
                put(out, format_args!("a=rtpmap:{pt} H264/90000"));
                let asymmetry = if self.level_asymmetry {
                    ";level-asymmetry-allowed=1"
                } else {
                    ""
                };
                put(
                    out,
                    format_args!(
                        "a=fmtp:{pt} profile-level-id={profile:02x}{constraints:02x}{level:02x};\
                         packetization-mode={packetization_mode}{asymmetry}"
                    ),
                );
            }
        }
        if let Some(TelephoneEvent {
            payload_type,
            clock_rate,
        }) = self.telephone_event
        {
            put(
                out,
                format_args!("a=rtpmap:{payload_type} telephone-event/{clock_rate}"),
            );
            put(out, format_args!("a=fmtp:{payload_type} 0-15"));
        }
        self.write_rest(out);
    }

    fn write_formats(&self, media: &str, port: u16, out: &mut String) {
        let numbers: Vec<String> = self.formats.iter().map(|f| f.payload_type.to_string()).collect();
        put(
            out,
            format_args!("m={media} {port} {} {}", self.proto, numbers.join(" ")),
        );
        for format in &self.formats {
            for (name, value) in [("rtpmap", &format.rtpmap), ("fmtp", &format.fmtp)] {
                if let Some(value) = value {
                    put(out, format_args!("a={name}:{} {value}", format.payload_type));
                }
            }
        }
        self.write_rest(out);
    }

    fn write_rest(&self, out: &mut String) {
        if let Some(acfg) = &self.acfg {
            put(out, format_args!("a=acfg:{acfg}"));
        }
        for crypto in &self.secured.said {
            put(out, format_args!("a=crypto:{}", crypto.value()));
        }
        for feedback in &self.feedback {
            let what = match feedback.what {
                FeedbackKind::Nack => "nack",
                FeedbackKind::Pli => "nack pli",
                FeedbackKind::Fir => "ccm fir",
            };
            match feedback.payload_type {
                None => put(out, format_args!("a=rtcp-fb:* {what}")),
                Some(pt) => put(out, format_args!("a=rtcp-fb:{pt} {what}")),
            }
        }
        self.preconditions.write(out);
        let direction = match self.direction {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        };
        put(out, format_args!("a={direction}"));
    }
}
