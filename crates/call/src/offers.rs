//! Offers within a running session: hold, resume, a phone that moves, another codec. On a bridge the other side is asked
//! (`passing.rs`); before and after that, A is answered by us.

use std::sync::Arc;

use segue_sdp::{Agreed, Choice, Description, Direction, Reserved, Side, Warning};

use crate::{
    caller::kept,
    cx::Cx,
    io::{LegAction, LegId, MediaAction},
};

impl Cx {
    /// A re-INVITE or UPDATE of a peer. Unusable offers leave the session as it was (RFC 3261 §14.2).
    pub fn re_offered(&mut self, leg: LegId, sdp: Option<Arc<[u8]>>) {
        let Some((side, _)) = self.side_of(leg) else {
            self.refuse_offer(leg, 500, None);
            return;
        };
        let Some(sdp) = sdp else {
            let ours = side.offer_again();
            self.leg(leg, LegAction::AcceptOffer { sdp: ours });
            return;
        };
        match Description::parse(&sdp) {
            // Nobody could ever reserve that (RFC 3312 §8).
            Ok(offer) if self.is_never_met(leg, &offer) => self.refuse_offer(leg, 580, None),
            Ok(offer) => {
                if !self.pass_on(leg, &offer) {
                    self.answer_here(leg, &offer);
                }
            }
            Err(error) => self.refuse_offer(leg, 488, Some(error.warning())),
        }
    }

    /// Refuse an offer; the session stays as it was.
    pub fn refuse_offer(&mut self, leg: LegId, status: u16, warning: Option<Warning>) {
        let warning = warning.map(|warning| warning.to_string());
        self.leg(leg, LegAction::RefuseOffer { status, warning });
    }

    /// Whether an offer wants preconditions that cannot be met here.
    fn is_never_met(&self, leg: LegId, offer: &Description) -> bool {
        let Some((side, agreed)) = self.party(leg) else {
            return false;
        };
        let mut side = side.clone();
        let answered = side.answer(offer, kept(agreed));
        answered.is_ok() && side.reserved() == Reserved::Never
    }

    /// Answer an offer in the codecs in use, without asking anybody.
    pub fn answer_here(&mut self, leg: LegId, offer: &Description) {
        // What is recorded may change its audio codec: the worker joins what came in either.
        let any_audio = leg == LegId::A && self.recording;
        let Some((side, first)) = self.side_of(leg) else {
            return self.refuse_offer(leg, 500, None);
        };
        let video = first.video.as_ref().map(|stream| stream.format.codec);
        let answered = match side.answer(offer, kept(first)) {
            Err(_) if any_audio => side.answer(offer, Choice::KeepVideo(video)),
            answered => answered,
        };
        match answered {
            Ok(agreed) => {
                let sdp = agreed.sdp.clone();
                self.configure_again(leg, agreed);
                self.leg(leg, LegAction::AcceptOffer { sdp });
            }
            Err(error) => self.refuse_offer(leg, 488, Some(error.warning())),
        }
    }

    /// The answer to an offer of ours. One that cannot be used leaves the streams as they were.
    pub fn re_offer_answered(&mut self, leg: LegId, sdp: Option<Arc<[u8]>>) {
        if self.passed_on(leg, sdp.as_ref()) {
            return;
        }
        if let Some((side, _)) = self.side_of(leg)
            && let Some(sdp) = sdp
            && let Ok(agreed) = Description::parse(&sdp).and_then(|answer| side.read_answer(&answer))
        {
            self.configure_again(leg, agreed);
            self.align(leg);
        }
    }

    /// Whether a leg is on hold: no stream goes both ways.
    pub fn is_held(&self, leg: LegId) -> bool {
        self.party(leg).is_some_and(|(_, agreed)| {
            !agreed
                .streams()
                .any(|s| s.direction == Direction::SendRecv && s.remote.is_some())
        })
    }

    /// A leg's side and what is agreed on it now.
    pub fn party(&self, leg: LegId) -> Option<(&Side, &Agreed)> {
        match leg {
            LegId::A => Some((self.a.side.as_ref()?, self.a.agreed.as_ref()?)),
            leg => {
                let branch = self.legs.b.get(leg)?;
                Some((branch.side.as_ref()?, branch.agreed.as_ref()?))
            }
        }
    }

    /// A leg's offer and answer have come to this.
    pub fn commit(&mut self, leg: LegId, new: Side, agreed: Agreed) {
        if let Some((side, _)) = self.side_of(leg) {
            *side = new;
            self.configure_again(leg, agreed);
        }
    }

    /// A leg's side, and the codecs that it may go back to.
    fn side_of(&mut self, leg: LegId) -> Option<(&mut Side, &Agreed)> {
        match leg {
            LegId::A => self.a.side_and_answer(),
            leg => {
                let branch = self.legs.b.get_mut(leg)?;
                Some((branch.side.as_mut()?, branch.answer.as_ref()?))
            }
        }
    }

    fn configure_again(&mut self, leg: LegId, agreed: Agreed) {
        self.media(MediaAction::Configure {
            leg,
            audio: agreed.audio.clone(),
            video: agreed.video.clone(),
        });
        match leg {
            LegId::A => self.a.agree(agreed),
            leg => {
                if let Some(branch) = self.legs.b.get_mut(leg) {
                    branch.agree(agreed);
                }
            }
        }
    }
}

/// What a leg may go back to: a stream that was switched off keeps its codec, one in another codec takes its place.
pub(crate) fn remember(first: &mut Agreed, now: &Agreed) {
    for (first, now) in [(&mut first.audio, &now.audio), (&mut first.video, &now.video)] {
        if let Some(now) = now {
            *first = Some(now.clone());
        }
    }
}
