//! A and B without a codec in common. A has one answer, made for the clip, and B is offered that. A B that refuses it is offered what
//! else A can do, and what can be made of A's sound. Once B has answered, A is brought to B's codec: by its answer, as long as that
//! is not given; else by re-INVITE after its ACK. What A refuses then, or never offered, is transcoded by the packet path.

use std::sync::Arc;

use segue_policy::Transcode;
use segue_sdp::{Agreed, Choice, Codec, Description, Kind, SdpError, Side, Stream, WarnCode, Warning};

use crate::{
    cx::Cx,
    io::{LegId, MediaAction},
    legs::Leg,
    missed::Missed,
    settling::Waits,
};

/// What there is to say of two sides that share no codec.
pub(crate) const NO_CODEC: &str = "The two sides have no codec in common";

/// Whether the packet path makes the one codec of the other by itself: the two laws of G.711.
fn is_easily_made(one: Codec, other: Codec) -> bool {
    let is_g711 = |codec| matches!(codec, Codec::Pcmu | Codec::Pcma);
    is_g711(one) && is_g711(other)
}

/// The streams of one kind on two legs, where both have one in codecs of their own.
fn differing<'a>(one: &'a Agreed, other: &'a Agreed, kind: Kind) -> Option<(&'a Stream, &'a Stream)> {
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
        self.offer_wider(&mut side).is_some()
    }

    /// What such a target is offered.
    pub fn offer_wider(&self, side: &mut Side) -> Option<Arc<[u8]>> {
        let mut like = self.a.answer()?.clone();
        // Pictures that were added for the clip are none that A would exchange.
        if self.a.shows_only {
            like.video = None;
        }
        like.video = like.video.or_else(|| self.a.foreign_video.clone());
        let offer = self.callers_offer().filter(|_| self.invite.profile.align);
        side.offer_wider(&like, offer.as_ref(), &self.made_of(like.audio.as_ref()))
    }

    /// Why B, who wants another codec, is not called once more.
    pub fn no_codec(&self) -> Missed {
        Missed::nothing_in_common(NO_CODEC)
    }

    /// What A's INVITE offered.
    fn callers_offer(&self) -> Option<Description> {
        Description::parse(self.invite.offer.as_ref()?).ok()
    }

    /// The sound that can be made of A's.
    fn made_of(&self, audio: Option<&Stream>) -> Vec<Codec> {
        let Some(audio) = audio.filter(|_| self.invite.profile.transcode == Transcode::Audio) else {
            return Vec::new();
        };
        let g711 = [Codec::Pcma, Codec::Pcmu];
        let easily = g711
            .into_iter()
            .filter(|codec| is_easily_made(*codec, audio.format.codec));
        easily.collect()
    }

    /// Whether the packet path connects two streams of sound.
    fn connects(&self, one: Codec, other: Codec) -> bool {
        one.is_same_kind(other) || is_easily_made(one, other)
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
