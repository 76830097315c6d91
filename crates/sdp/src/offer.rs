//! The offers that we make.
#![deny(clippy::arithmetic_side_effects)]

use std::sync::Arc;

use crate::{
    Band, Codec, Description, Direction, ForeignFormat, Format, Kind, SdpError, Stream,
    description::{Feedback, FeedbackKind, TelephoneEvent},
    fmtp, h264,
    precondition::Preconditions,
    secure::Secured,
    side::{Agreed, Side, Unusable, foreign_stream, stream, usable},
    write::{Line, LiveLine},
};

impl Side {
    /// Our offer to a callee, from what a caller was answered: the same codecs, and telephone-event. Always sendrecv, over `RTP/AVP`
    /// or, where this side offers SRTP, `RTP/SAVP`: who may send is gated by the anchor, not by narrowing SDP.
    pub fn offer(&mut self, like: &Agreed) -> Arc<[u8]> {
        let lines = like
            .streams()
            .map(|stream| LiveLine::like(stream, Direction::SendRecv, None));
        self.offer_lines(lines.collect())
    }

    /// Our offer to a callee, from a caller's offer that has no answer yet: the first audio and the first video that can be
    /// relayed. Formats that we do not know stand there as the caller says them.
    ///
    /// # Errors
    /// Nothing can be relayed.
    pub fn offer_untouched(&mut self, theirs: &Description) -> Result<Arc<[u8]>, SdpError> {
        let mut lines: Vec<LiveLine> = Vec::new();
        let mut worst = Unusable::MediaType;
        for line in &theirs.lines {
            let kind = match usable(line, self.address) {
                Ok(kind) => kind,
                Err(unusable) => {
                    worst = worst.max(unusable);
                    continue;
                }
            };
            if lines.iter().any(|taken| taken.kind == kind) {
                continue;
            }
            let made = match line.formats.first() {
                Some(format) => {
                    let stream = stream(kind, line, format.clone());
                    Some(LiveLine::like(&stream, Direction::SendRecv, None))
                }
                None => foreign_stream(kind, line, line.described.clone()).map(|stream| {
                    let mut made = LiveLine::like(&stream, line.direction, None);
                    // How the caller's packets come to us is its own matter.
                    if line.proto.ends_with("AVPF") {
                        made.proto = "RTP/AVPF".to_owned();
                    }
                    made.feedback.clone_from(&line.feedback);
                    made
                }),
            };
            match made {
                Some(made) => lines.push(made),
                None => worst = worst.max(Unusable::Format),
            }
        }
        if lines.is_empty() {
            return Err(worst.error());
        }
        Ok(self.offer_lines(lines))
    }

    /// A first offer of these lines.
    pub(crate) fn offer_lines(&mut self, lines: Vec<LiveLine>) -> Arc<[u8]> {
        let lines = lines.into_iter().map(|line| Line::Live(self.protect(line, None)));
        self.lines = lines.collect();
        self.say()
    }

    /// Say in the offer just made that our resources are reserved, and ask for the peer's, which it need not wait for (RFC 3312 §5.1).
    pub fn offer_preconditions(&mut self) -> Arc<[u8]> {
        for line in &mut self.lines {
            if let Line::Live(live) = line {
                live.preconditions = Preconditions::offered();
            }
        }
        self.say_anew()
    }

    /// Our offer within a session of sound alone: one more m-line, for pictures that we send in one of these codecs, the best first.
    /// `None`: there is an m-line for pictures already, or no codec.
    pub fn offer_pictures(&mut self, codecs: &[Codec]) -> Option<Arc<[u8]>> {
        if self.lines.iter().any(|line| line.kind() == Some(Kind::Video)) {
            return None;
        }
        let line = LiveLine::choice(Kind::Video, codecs)?;
        let line = LiveLine {
            direction: Direction::SendOnly,
            ..line
        };
        let line = self.protect(line, None);
        self.lines.push(Line::Live(line));
        Some(self.say())
    }

    /// Our first offer to somebody who made none: these codecs, the best first; the answer settles on one of each kind. A kind
    /// without codecs is not offered.
    pub fn offer_choice(&mut self, audio: &[Codec], video: &[Codec]) -> Arc<[u8]> {
        let kinds = [(Kind::Audio, audio), (Kind::Video, video)];
        let lines = kinds
            .into_iter()
            .filter_map(|(kind, codecs)| LiveLine::choice(kind, codecs));
        self.offer_lines(lines.collect())
    }

    /// Our offer within a running session, for a re-INVITE that asks for one: what is agreed, as wide as it goes.
    pub fn offer_again(&mut self) -> Arc<[u8]> {
        for line in &mut self.lines {
            if let Line::Live(live) = line {
                live.direction = Direction::SendRecv;
                live.acfg = None;
            }
        }
        self.say()
    }

    /// Our offer within a running session: these streams of the other leg with our directions. m-lines keep their places
    /// (RFC 3264 §8), one that is wanted no more gets port 0, a codec that stays keeps its payload type.
    pub fn offer_within(
        &mut self,
        audio: Option<(&Stream, Direction)>,
        video: Option<(&Stream, Direction)>,
    ) -> Arc<[u8]> {
        for (kind, wanted) in [(Kind::Audio, audio), (Kind::Video, video)] {
            let live = self
                .lines
                .iter()
                .position(|line| matches!(line, Line::Live(live) if live.kind == kind));
            let place = live.or_else(|| self.lines.iter().position(|line| line.kind() == Some(kind)));
            let Some((stream, direction)) = wanted else {
                if let Some(line) = place.and_then(|at| self.lines.get_mut(at)) {
                    line.switch_off();
                }
                continue;
            };
            let now = match place.and_then(|at| self.lines.get(at)) {
                Some(Line::Live(live)) => Some(live.clone()),
                Some(Line::Rejected { .. }) | None => None,
            };
            let line = LiveLine::like(stream, direction, now.as_ref());
            let line = Line::Live(self.protect(line, now.as_ref()));
            match place.and_then(|at| self.lines.get_mut(at)) {
                Some(place) => *place = line,
                None => self.lines.push(line),
            }
        }
        self.say()
    }
}

impl LiveLine {
    /// A line for the codec of another leg's stream, in our own payload types. `now` is what stands there: a codec that stays
    /// keeps its line, another one gets a payload type of its own (RFC 3264 §8.3.2).
    pub(crate) fn like(stream: &Stream, direction: Direction, now: Option<&LiveLine>) -> LiveLine {
        let (kind, codec) = (stream.kind, stream.format.codec);
        // What one leg calls AMR may be packed otherwise than the other's: the packet path repacks.
        let stays = |now: &&LiveLine| match (now.codec, codec) {
            (Codec::Amr(now), Codec::Amr(then)) => now.band == then.band && now.modes.common(then.modes).is_some(),
            _ => !codec.is_foreign() && h264::same_configuration(now.codec, codec),
        };
        if let Some(now) = now.filter(stays) {
            return LiveLine {
                direction,
                acfg: None,
                ..now.clone()
            };
        }
        let audio = kind == Kind::Audio;
        let dynamic = |ours: u8| {
            let theirs = Some(stream.format.payload_type).filter(|pt| *pt >= 96);
            let used = |pt: &u8| {
                now.is_some_and(|now| {
                    now.payload_type == *pt || now.telephone_event.is_some_and(|e| e.payload_type == *pt)
                })
            };
            let free = theirs.into_iter().chain([ours]).chain(103..127).find(|pt| !used(pt));
            free.unwrap_or(ours)
        };
        let payload_type = match codec {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
            Codec::G722 => 9,
            Codec::Opus => dynamic(111),
            Codec::Amr(_) => dynamic(96),
            Codec::Vp8 => dynamic(98),
            Codec::H264 { .. } => dynamic(97),
            Codec::Foreign { .. } => stream.format.payload_type,
        };
        let telephone_event = (audio && !codec.is_foreign()).then(|| {
            let theirs = stream.dtmf_payload_type.filter(|pt| *pt >= 96);
            let ours = if payload_type == 101 { 102 } else { 101 };
            TelephoneEvent {
                payload_type: theirs.unwrap_or(ours),
                clock_rate: stream.dtmf_clock_rate,
            }
        });
        let theirs = stream.format.fmtp.as_deref();
        let other = match codec {
            Codec::Amr(amr) => {
                let codec = Codec::Amr(amr.repacked());
                let event = telephone_event.map(|event| event.payload_type);
                let used = |pt: &u8| [Some(payload_type), event].contains(&Some(*pt));
                let mut free = (104..128u8).filter(|pt| !used(pt));
                free.next().map(|payload_type| Format {
                    payload_type,
                    codec,
                    fmtp: fmtp::carried_on(codec, theirs),
                })
            }
            _ => None,
        };
        LiveLine {
            kind,
            proto: "RTP/AVP".into(),
            acfg: None,
            payload_type,
            codec,
            level_asymmetry: true,
            fmtp: fmtp::carried_on(codec, theirs),
            other,
            telephone_event,
            direction,
            feedback: if audio { Vec::new() } else { asked_feedback() },
            formats: stream.foreign.clone(),
            our_order: false,
            preconditions: Preconditions::default(),
            secured: Secured::default(),
        }
    }

    /// A line with several codecs to choose from.
    fn choice(kind: Kind, codecs: &[Codec]) -> Option<LiveLine> {
        let first = *codecs.first()?;
        let mut formats: Vec<ForeignFormat> = codecs.iter().map(|codec| described(*codec)).collect();
        if kind == Kind::Audio {
            formats.push(ForeignFormat {
                payload_type: 101,
                rtpmap: Some("telephone-event/8000".into()),
                fmtp: Some("0-15".into()),
            });
        }
        Some(LiveLine {
            kind,
            proto: "RTP/AVP".into(),
            acfg: None,
            payload_type: formats.first().map_or(0, |format| format.payload_type),
            codec: first,
            level_asymmetry: true,
            fmtp: None,
            other: None,
            telephone_event: None,
            direction: Direction::SendRecv,
            feedback: if kind == Kind::Audio {
                Vec::new()
            } else {
                asked_feedback()
            },
            formats,
            our_order: false,
            preconditions: Preconditions::default(),
            secured: Secured::default(),
        })
    }

    /// Whether the peer's answer is still to choose its codec.
    pub(crate) fn is_choice(&self) -> bool {
        !self.formats.is_empty() && !self.codec.is_foreign()
    }
}

pub(crate) fn asked_feedback() -> Vec<Feedback> {
    let all = |what| Feedback {
        payload_type: None,
        what,
    };
    vec![all(FeedbackKind::Nack), all(FeedbackKind::Pli), all(FeedbackKind::Fir)]
}

/// A codec under the payload type that we give it when nobody has named one.
pub(crate) fn described(codec: Codec) -> ForeignFormat {
    let (payload_type, rtpmap, fmtp) = match codec {
        Codec::Pcmu => (0, "PCMU/8000", None),
        Codec::Pcma => (8, "PCMA/8000", None),
        Codec::G722 => (9, "G722/8000", None),
        Codec::Opus => (111, "opus/48000/2", Some("useinbandfec=1".to_owned())),
        Codec::Amr(amr) => match amr.band {
            Band::Narrow => (96, "AMR/8000", amr.carried_on(None)),
            Band::Wide => (104, "AMR-WB/16000", amr.carried_on(None)),
        },
        Codec::Vp8 => (98, "VP8/90000", None),
        Codec::H264 {
            packetization_mode,
            profile_level_id: [profile, constraints, level],
        } => {
            let fmtp = format!(
                "profile-level-id={profile:02x}{constraints:02x}{level:02x};packetization-mode={packetization_mode};\
                 level-asymmetry-allowed=1"
            );
            (if packetization_mode == 1 { 97 } else { 99 }, "H264/90000", Some(fmtp))
        }
        Codec::Foreign { .. } => (127, "foreign", None),
    };
    ForeignFormat {
        payload_type,
        rtpmap: Some(rtpmap.to_owned()),
        fmtp,
    }
}
