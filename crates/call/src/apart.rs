//! A and B without a codec in common. A has one answer, made for the clip, and B is offered that. A B that refuses it is offered what
//! else A can do, and what can be made of A's sound. Once B has answered, A is brought to B's codec: by its answer, as long as that
//! is not given; else by re-INVITE after its ACK. What A refuses then, or never offered, is transcoded by the packet path.

use std::sync::Arc;

use segue_policy::Transcode;
use segue_sdp::{Agreed, Choice, Codec, Description, Kind, SdpError, Side, Stream, WarnCode, Warning};

use crate::{
    cx::Cx,
    io::{LegId, MediaAction, MediaEvent},
    legs::Leg,
    missed::Missed,
    settling::Waits,
};

/// How often a process that transcodes is asked for, of one call.
const ASKED_MAX: u8 = 3;

/// The process that transcodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Transcoder {
    /// None was asked for.
    #[default]
    None,
    /// It was asked for so often; there is none yet.
    Asked(u8),
    /// It is there, after so many times.
    Ready(u8),
    /// There is none, and this is why.
    Refused(String),
}

impl Transcoder {
    /// What the packet path says of it. Whether another is to be asked for.
    fn said(&mut self, event: &MediaEvent) -> bool {
        let asked = match self {
            Transcoder::Asked(asked) | Transcoder::Ready(asked) => *asked,
            Transcoder::None | Transcoder::Refused(_) => return false,
        };
        match event {
            MediaEvent::Transcoding { .. } => *self = Transcoder::Ready(asked),
            MediaEvent::NoTranscoder { why, .. } => *self = Transcoder::Refused(why.clone()),
            MediaEvent::TranscoderLost { .. } if asked < ASKED_MAX => {
                *self = Transcoder::Asked(asked.saturating_add(1));
                return true;
            }
            MediaEvent::TranscoderLost { .. } => {
                *self = Transcoder::Refused(format!("the transcoding process ended {asked} times"));
            }
            _ => {}
        }
        false
    }
}

/// What there is to say of two sides that share no codec.
pub(crate) const NO_CODEC: &str = "The two sides have no codec in common";

/// Whether the packet path makes the one codec of the other by itself: the two laws of G.711.
fn is_easily_made(one: Codec, other: Codec) -> bool {
    let is_g711 = |codec| matches!(codec, Codec::Pcmu | Codec::Pcma);
    is_g711(one) && is_g711(other)
}

/// Whether a process makes the one of the other.
fn is_made(one: Codec, other: Codec) -> bool {
    let is_sound = |codec| {
        matches!(
            codec,
            Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Opus | Codec::Amr(_)
        )
    };
    is_sound(one) && is_sound(other)
}

/// The streams of one kind on two legs, where both have one in codecs of their own.
pub(crate) fn differing<'a>(one: &'a Agreed, other: &'a Agreed, kind: Kind) -> Option<(&'a Stream, &'a Stream)> {
    let of = |agreed: &'a Agreed| agreed.streams().find(|stream| stream.kind == kind);
    let (one, other) = of(one).zip(of(other))?;
    (!one.format.codec.is_same_kind(other.format.codec)).then_some((one, other))
}

impl Cx {
    /// Whether a target that has refused what A was answered can be offered more.
    pub fn may_offer_wider(&self, leg: LegId) -> bool {
        let is_first = self.legs.b.get(leg).is_some_and(|branch| !branch.wider);
        let Some(mut side) = self.a.side.clone().filter(|_| is_first && self.legs.b.has_room()) else {
            return false;
        };
        let mut made = self.made_of(self.a.answer().and_then(|a| a.audio.as_ref()), self.may_transcode());
        if self.legs.b.get(leg).is_some_and(|branch| branch.all) {
            // It has refused what A has: only what is made of that is new to it.
            let offer = self.callers_offer();
            made.retain(|codec| {
                let has = offer.as_ref().and_then(|offer| offer.format(Kind::Audio, *codec));
                has.is_none()
            });
            return !made.is_empty();
        }
        self.wider(&mut side, &made).is_some()
    }

    /// A's offer, where a callee is offered all of that, not only what A is answered as things stand: A has no answer yet, and can be
    /// brought to whatever the callee takes. Of AMR it is offered one kind in both packings instead, of which the packet path makes the other.
    pub fn offered_whole(&self) -> Option<Description> {
        let is_free = self.invite.profile.align
            && !self.answer_is_given()
            && matches!(self.a.waits, Waits::No)
            && self.legs.a == Leg::Inviting;
        let offer = self.callers_offer().filter(|_| is_free)?;
        (!offer.has_amr()).then_some(offer)
    }

    /// What A would be answered by its own order.
    pub fn first_of_callers(&self, offer: &Description) -> Option<Agreed> {
        let mut side = self.a.side.clone()?;
        side.answer(offer, Choice::Prefer(&|_| false)).ok()
    }

    /// Whether there is a process that transcodes, or may be.
    fn may_transcode(&self) -> bool {
        self.invite.profile.transcode == Transcode::Audio && !matches!(self.transcoder, Transcoder::Refused(_))
    }

    /// Have a process at hand before a target is offered what only that can make.
    pub fn ask_for_transcoder(&mut self) {
        let audio = self.a.answer().and_then(|answer| answer.audio.as_ref());
        let is_made = audio.is_some_and(|audio| is_made(audio.format.codec, Codec::G722));
        if is_made && self.may_transcode() && self.transcoder == Transcoder::None {
            self.transcoder = Transcoder::Asked(1);
            self.media(MediaAction::Transcode { kind: Kind::Audio });
        }
    }

    /// What the packet path says of a process. Whether it is for the phase to hear: nobody makes the sound any more.
    pub fn transcoder_said(&mut self, event: &MediaEvent) -> bool {
        let (MediaEvent::Transcoding { kind }
        | MediaEvent::NoTranscoder { kind, .. }
        | MediaEvent::TranscoderLost { kind }) = *event
        else {
            return false;
        };
        let transcoder = match kind {
            Kind::Audio => &mut self.transcoder,
            Kind::Video => &mut self.picture_maker,
        };
        let again = transcoder.said(event);
        let is_refused = matches!(transcoder, Transcoder::Refused(_));
        if again {
            self.media(MediaAction::Transcode { kind });
        }
        is_refused && kind == Kind::Audio
    }

    /// Nothing is left to transcode.
    pub fn end_transcoder(&mut self) {
        if matches!(self.transcoder, Transcoder::Asked(_) | Transcoder::Ready(_)) {
            self.transcoder = Transcoder::None;
            self.media(MediaAction::EndTranscode { kind: Kind::Audio });
        }
    }

    /// Why sound is not transcoded that could be.
    pub fn why_not_transcoded(&self) -> Option<&str> {
        match &self.transcoder {
            Transcoder::Refused(why) => Some(why),
            Transcoder::None | Transcoder::Asked(_) | Transcoder::Ready(_) => None,
        }
    }

    /// What such a target is offered.
    pub fn offer_wider(&self, side: &mut Side) -> Option<Arc<[u8]>> {
        let has_process = matches!(self.transcoder, Transcoder::Ready(_));
        let mut made = self.made_of(self.a.answer().and_then(|a| a.audio.as_ref()), has_process);
        made.extend(self.made_pictures());
        self.wider(side, &made)
    }

    fn wider(&self, side: &mut Side, made: &[Codec]) -> Option<Arc<[u8]>> {
        let mut like = self.a.answer()?.clone();
        // Pictures that were added for the clip are none that A would exchange.
        if self.a.shows_only {
            like.video = None;
        }
        like.video = like.video.or_else(|| self.a.foreign_video.clone());
        let offer = self.callers_offer().filter(|_| self.invite.profile.align);
        side.offer_wider(&like, offer.as_ref(), made)
    }

    /// Why B, who wants another codec, is not called once more.
    pub fn no_codec(&self) -> Missed {
        Missed::no_codec(self.why_not_transcoded().unwrap_or(NO_CODEC))
    }

    /// What A's INVITE offered.
    pub fn callers_offer(&self) -> Option<Description> {
        Description::parse(self.invite.offer.as_ref()?).ok()
    }

    /// The sound that can be made of A's, with a process or without: that of A's own width first.
    fn made_of(&self, audio: Option<&Stream>, has_process: bool) -> Vec<Codec> {
        let Some(audio) = audio.filter(|_| self.invite.profile.transcode == Transcode::Audio) else {
            return Vec::new();
        };
        let codec = audio.format.codec;
        let (narrow, wide) = ([Codec::Pcma, Codec::Pcmu], [Codec::Opus, Codec::G722]);
        let all = match codec.is_same_kind(Codec::Pcma) || codec.is_same_kind(Codec::Pcmu) {
            true => [narrow, wide].concat(),
            false => [wide, narrow].concat(),
        };
        let made = |other: &Codec| is_easily_made(*other, codec) || has_process && is_made(*other, codec);
        all.into_iter().filter(made).collect()
    }

    /// Whether the packet path connects two streams of sound.
    fn connects(&self, one: Codec, other: Codec) -> bool {
        let has_process = matches!(self.transcoder, Transcoder::Ready(_) | Transcoder::Asked(_));
        one.is_same_kind(other) || is_easily_made(one, other) || has_process && is_made(one, other)
    }

    /// Whether a process makes the sound of A and its callee of each other.
    pub fn needs_transcoder(&self) -> bool {
        let callee = self.bridged.and_then(|leg| self.party(leg));
        let agreed = self.party(LegId::A).zip(callee);
        agreed.is_some_and(|((_, a), (_, b))| {
            differing(a, b, Kind::Audio).is_some_and(|(a, b)| !is_easily_made(a.format.codec, b.format.codec))
        })
    }

    /// B has answered in another codec than A: A's answer names that one, as long as A has none.
    ///
    /// # Errors
    /// There is no way to connect the two.
    pub fn bring_caller_to(&mut self, callee: &Agreed) -> Result<(), SdpError> {
        let Some(answer) = self.a.answer() else { return Ok(()) };
        let apart = |answer: &Agreed| {
            let kinds = [Kind::Audio, Kind::Video].into_iter();
            kinds.filter(|kind| differing(answer, callee, *kind).is_some()).count()
        };
        let before = apart(answer);
        if before == 0 {
            return Ok(());
        }
        let offer = self.callers_offer();
        if let (false, Leg::Inviting, Waits::No, Some(offer), Some(side)) =
            (self.answer_is_given(), self.legs.a, &self.a.waits, &offer, &self.a.side)
        {
            let mut side = side.clone();
            let follows = |format: &segue_sdp::Format| {
                let mut streams = callee.streams();
                streams.any(|stream| stream.format.codec.is_same_kind(format.codec))
            };
            if let Ok(agreed) = side.answer(offer, Choice::Prefer(&follows))
                && apart(&agreed) < before
            {
                self.media(MediaAction::Configure {
                    leg: LegId::A,
                    audio: agreed.audio.clone(),
                    video: agreed.video.clone(),
                });
                self.a.side = Some(side);
                self.a.set_answer(agreed);
                return Ok(());
            }
        }
        let Some((ours, theirs)) = self.a.answer().and_then(|a| differing(a, callee, Kind::Audio)) else {
            return Ok(());
        };
        let (ours, theirs) = (ours.format.codec, theirs.format.codec);
        let aligns = self.invite.profile.align
            && !self.a.refuses_offers
            && offer.is_some_and(|offer| offer.format(Kind::Audio, theirs).is_some());
        match aligns || self.connects(ours, theirs) {
            true => Ok(()),
            false => Err(SdpError::Unusable(Warning::new(WarnCode::MediaFormat, NO_CODEC))),
        }
    }

    /// Whether A and the callee it talks to have codecs of their own.
    pub fn is_apart(&self) -> bool {
        let callee = self.bridged.and_then(|leg| self.party(leg));
        let agreed = self.party(LegId::A).zip(callee);
        agreed.is_some_and(|((_, a), (_, b))| {
            [Kind::Audio, Kind::Video]
                .into_iter()
                .any(|kind| differing(a, b, kind).is_some())
        })
    }

    /// Whether the streams of two legs stay in codecs of their own.
    pub fn stays_apart(&self, one: &Stream, other: &Stream) -> bool {
        let is_video = one.kind == Kind::Video;
        let (one, other) = (one.format.codec, other.format.codec);
        self.stays_apart && !one.is_same_kind(other) && (is_video || self.connects(one, other))
    }

    /// Whether nobody hears anybody: their sound is in codecs that cannot be made of each other.
    pub fn is_deaf(&self) -> bool {
        let callee = self.bridged.and_then(|leg| self.party(leg));
        let agreed = self.party(LegId::A).zip(callee);
        agreed.is_some_and(|((_, a), (_, b))| {
            differing(a, b, Kind::Audio).is_some_and(|(a, b)| !self.connects(a.format.codec, b.format.codec))
        })
    }

    /// Offer A the codecs of its callee, as far as it has them. Whether it is asked.
    pub fn align_caller(&mut self) -> bool {
        let Some(callee) = self
            .bridged
            .filter(|_| self.passing.is_none() && self.invite.profile.align)
        else {
            return false;
        };
        let Some((a, b)) = self
            .party(LegId::A)
            .zip(self.party(callee))
            .map(|((_, a), (_, b))| (a, b))
        else {
            return false;
        };
        let Some(offer) = self.callers_offer() else {
            return false;
        };
        let mut wanted = b.clone();
        let mut has_any = false;
        for (kind, stream) in [(Kind::Audio, &mut wanted.audio), (Kind::Video, &mut wanted.video)] {
            if differing(a, b, kind).is_none() {
                continue;
            }
            let as_a_calls_it = stream
                .as_ref()
                .and_then(|stream| offer.format(kind, stream.format.codec));
            match (stream, as_a_calls_it) {
                (Some(stream), Some(format)) => {
                    stream.format.payload_type = format.payload_type;
                    has_any = true;
                }
                // It keeps its own.
                (stream, _) => *stream = a.streams().find(|stream| stream.kind == kind).cloned(),
            }
        }
        has_any && self.offer_aligned(callee, &wanted)
    }
}
