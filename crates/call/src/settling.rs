//! A's description where its offer cannot be answered at once: the INVITE had none, so ours goes out and A answers it; or its
//! formats are foreign, so B's answer decides.

use std::sync::Arc;

use segue_mailbox::{ClipInfo, RenditionProfile};
use segue_sdp::{Agreed, Choice, Codec, Description, SdpError, Side, WarnCode, Warning};

use crate::{
    cx::Cx,
    io::{LegId, Lookup, MediaAction, Ports},
    renditions::fitting,
};

/// What A's description waits for.
#[derive(Debug)]
pub(crate) enum Waits {
    /// Nothing: A's offer has its answer, or ours has A's.
    No,
    /// A's offer is in formats that we can only relay: its answer is made from the callee's.
    ForCallee(Box<Description>),
    /// A offered nothing. Our offer goes into the 200: made from the callee's answer, if there is one.
    ForOffer(Option<Arc<[u8]>>),
    /// Our offer is out, reliably or in the 200; the PRACK or ACK brings the answer.
    ForAnswer,
}

/// Constrained baseline 3.1 in non-interleaved mode, which every phone with H.264 takes.
pub(crate) const H264: Codec = Codec::H264 {
    packetization_mode: 1,
    profile_level_id: [0x42, 0xe0, 0x1f],
};

/// What we offer to somebody who made no offer. G.711 alone for sound: the other party, who is not heard of yet, has it, too.
pub(crate) fn choice(clip: Option<&ClipInfo>) -> (Vec<Codec>, Vec<Codec>) {
    let has = |profiles: &[RenditionProfile]| {
        clip.is_none_or(|clip| clip.renditions.iter().any(|r| profiles.contains(&r.profile)))
    };
    let mut audio = vec![Codec::Pcma, Codec::Pcmu];
    if !has(&[RenditionProfile::Pcma]) && has(&[RenditionProfile::Pcmu]) {
        audio.reverse();
    }
    let mut video = vec![H264, Codec::Vp8];
    if !has(&[RenditionProfile::H264W640Mode1, RenditionProfile::H264W320Mode1])
        && has(&[RenditionProfile::Vp8W640, RenditionProfile::Vp8W320])
    {
        video.reverse();
    }
    (audio, video)
}

fn first_clip(lookup: &Lookup) -> Option<&ClipInfo> {
    [&lookup.clip, &lookup.greeting, &lookup.beep]
        .into_iter()
        .flatten()
        .next()
}

impl Cx {
    /// A's formats are foreign: its answer will be the callee's.
    ///
    /// # Errors
    /// Nothing of the offer can be relayed.
    pub fn leave_answer_to_callee(&mut self, offer: Description, ports: Ports) -> Result<(), SdpError> {
        // Its answer is the callee's, who is not told of A's preconditions: there is nobody who could answer them.
        let offer = offer.without_preconditions();
        let side = self.caller_side(ports);
        side.admits(&offer)?;
        side.clone().offer_untouched(&offer)?;
        self.a.side = Some(side);
        self.a.waits = Waits::ForCallee(Box::new(offer));
        self.record.relayed_untouched = true;
        Ok(())
    }

    /// A offered nothing. With 100rel our offer goes out now, and the PRACK will bring the answer (true); without, it has to
    /// wait for the 200, and no clip is possible.
    pub fn offer_to_caller(&mut self, lookup: &Lookup, ports: Ports) -> bool {
        let mut side = self.caller_side(ports);
        let early = self.a.is_reliable();
        if early {
            let (audio, video) = choice(first_clip(lookup));
            let sdp = side.offer_choice(&audio, &video);
            self.a.waits = Waits::ForAnswer;
            self.give_reliably(sdp);
        } else {
            self.a.waits = Waits::ForOffer(None);
        }
        self.a.side = Some(side);
        early
    }

    /// What a target is offered: what A was answered or, as long as it has no answer, all that it offers; with the pictures that only
    /// another peer can show; or what A's description waits for.
    pub fn offer_to_target(&self, side: &mut Side) -> Result<Arc<[u8]>, SdpError> {
        match (&self.a.waits, self.a.answer()) {
            (_, Some(answer)) => {
                let offer = self.offered_whole();
                let first = offer.as_ref().and_then(|offer| self.first_of_callers(offer));
                let mut like = first.unwrap_or_else(|| answer.clone());
                // Pictures that were added for the clip are none that A would exchange.
                if self.a.shows_only {
                    like.video = None;
                }
                like.video = like.video.or_else(|| self.a.foreign_video.clone());
                // A callee without that codec rejects its m-line and takes the rest: it is asked at once.
                match side.offer_wider(&like, offer.as_ref(), &self.made_pictures()) {
                    Some(wider) => Ok(wider),
                    None => Ok(side.offer(&like)),
                }
            }
            (Waits::ForCallee(offer), None) => side.offer_untouched(offer),
            (Waits::No | Waits::ForOffer(_) | Waits::ForAnswer, None) => {
                let (audio, video) = choice(None);
                Ok(side.offer_choice(&audio, &video))
            }
        }
    }

    /// The callee has answered: A's description no longer waits for that.
    ///
    /// # Errors
    /// A cannot be answered with what the callee took.
    pub fn settle_with_callee(&mut self, callee: &Agreed) -> Result<(), SdpError> {
        let Some(side) = self.a.side.as_mut() else {
            return Ok(());
        };
        match &mut self.a.waits {
            Waits::No | Waits::ForAnswer => Ok(()),
            Waits::ForOffer(ours) => {
                *ours = Some(side.offer(callee));
                Ok(())
            }
            Waits::ForCallee(offer) => {
                let agreed = side.answer(offer, Choice::Like(callee))?;
                self.caller_agreed(agreed);
                Ok(())
            }
        }
    }

    /// Nobody took the call: A's description is to be one for the mailbox.
    ///
    /// # Errors
    /// A offers nothing that can be recorded.
    pub fn settle_for_mailbox(&mut self, lookup: &Lookup) -> Result<(), SdpError> {
        let Some(side) = self.a.side.as_mut() else {
            return Ok(());
        };
        let clip = lookup.greeting.as_ref().or(lookup.beep.as_ref());
        match &mut self.a.waits {
            Waits::No | Waits::ForAnswer => Ok(()),
            Waits::ForOffer(ours) => {
                let (audio, video) = choice(clip);
                *ours = Some(side.offer_choice(&audio, &video));
                Ok(())
            }
            Waits::ForCallee(offer) => {
                let preferred = |format: &_| clip.is_some_and(|clip| fitting(clip, format).is_some());
                let agreed = side.answer(offer, Choice::Prefer(&preferred))?;
                self.caller_agreed(agreed);
                Ok(())
            }
        }
    }

    /// A's answer to our offer.
    pub fn caller_answered(&mut self, sdp: Option<Arc<[u8]>>) {
        let nothing = || SdpError::Unusable(Warning::new(WarnCode::Miscellaneous, "no answer to our offer"));
        if !matches!(self.a.waits, Waits::ForAnswer) {
            return;
        }
        let Some(side) = self.a.side.as_mut() else { return };
        let read = sdp.ok_or_else(nothing).and_then(|sdp| Description::parse(&sdp));
        match read.and_then(|answer| side.read_answer(&answer)) {
            Ok(agreed) => self.caller_agreed(agreed),
            Err(error) => self.a.trouble = Some(error.warning()),
        }
    }

    /// Whether a phase must wait for A's answer in the ACK.
    pub fn awaits_caller(&self) -> bool {
        matches!(self.a.waits, Waits::ForAnswer)
    }

    fn caller_agreed(&mut self, agreed: Agreed) {
        self.media(MediaAction::Configure {
            leg: LegId::A,
            audio: agreed.audio.clone(),
            video: agreed.video.clone(),
        });
        self.a.waits = Waits::No;
        self.a.set_answer(agreed);
    }
}
