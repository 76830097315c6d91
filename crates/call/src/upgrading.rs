//! Pictures for a caller who offered sound alone: an UPDATE adds an m-line in which the clip's are sent (RFC 3311), where the profile says
//! so. Until it has its final response there is no other offer and no 2xx (`sip` holds it back).

use segue_mailbox::ClipInfo;
use segue_sdp::Description;

use crate::{
    cx::Cx,
    io::{LegAction, LegId},
    settling::choice,
};

impl Cx {
    /// Offer A the clip's pictures, if it is to see them and can be asked: it has its answer reliably, and its PRACK is there. Whether
    /// it was asked.
    pub fn offer_pictures(&mut self, clip: &ClipInfo) -> bool {
        let pictures = clip.renditions.iter().any(|rendition| rendition.profile.is_video());
        let may = self.invite.profile.video_upgrade && self.a.answered_reliably() && !self.answer_awaits_prack();
        let sound_alone = self
            .a
            .answer()
            .is_some_and(|answer| answer.audio.is_some() && answer.video.is_none());
        if !may || !pictures || !sound_alone {
            return false;
        }
        let Some(mut side) = self.a.side.clone() else {
            return false;
        };
        let (_, video) = choice(Some(clip));
        let Some(sdp) = side.offer_pictures(&video) else {
            return false;
        };
        self.a.upgrade = Some(side);
        self.leg(LegId::A, LegAction::Offer { sdp });
        true
    }

    /// A's answer to that. True: it was that which A has answered.
    pub fn pictures_answered(&mut self, sdp: Option<&[u8]>) -> bool {
        let Some(mut side) = self.a.upgrade.take() else {
            return false;
        };
        let answer = sdp.and_then(|sdp| Description::parse(sdp).ok());
        if let Some(agreed) = answer.and_then(|answer| side.read_answer(&answer).ok()) {
            self.a.shows_only = agreed.video.is_some();
            self.commit(LegId::A, side, agreed);
        }
        true
    }

    /// A does not want it: "the session parameters MUST remain unchanged" (RFC 3311 §5.3).
    pub fn pictures_refused(&mut self) -> bool {
        self.a.upgrade.take().is_some()
    }
}
