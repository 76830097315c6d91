//! Offers within a running session: hold, resume, a phone that moves. Each leg is answered by us; the other leg hears nothing of it
//! yet, the anchor merely stops sending to a side that holds.

use std::sync::Arc;

use segue_sdp::{Agreed, Description, Direction, Side};

use crate::{
    caller::kept,
    cx::Cx,
    io::{LegAction, LegId, MediaAction},
};

impl Cx {
    /// A re-INVITE or UPDATE of a peer. Unusable offers leave the session as it was (RFC 3261 §14.2).
    pub fn re_offered(&mut self, leg: LegId, sdp: Option<Arc<[u8]>>) {
        let Some((side, first)) = self.side_of(leg) else {
            self.leg(leg, LegAction::RefuseOffer { status: 500 });
            return;
        };
        let Some(sdp) = sdp else {
            let ours = side.offer_again();
            self.leg(leg, LegAction::AcceptOffer { sdp: ours });
            return;
        };
        let choice = kept(first);
        match Description::parse(&sdp).and_then(|offer| side.answer(&offer, choice)) {
            Ok(agreed) => {
                let sdp = agreed.sdp.clone();
                self.configure_again(leg, agreed);
                self.leg(leg, LegAction::AcceptOffer { sdp });
            }
            Err(_) => self.leg(leg, LegAction::RefuseOffer { status: 488 }),
        }
    }

    /// The answer to an offer of ours. One that cannot be used leaves the streams as they were.
    pub fn re_offer_answered(&mut self, leg: LegId, sdp: Option<Arc<[u8]>>) {
        if let Some((side, _)) = self.side_of(leg)
            && let Some(sdp) = sdp
            && let Ok(agreed) = Description::parse(&sdp).and_then(|answer| side.read_answer(&answer))
        {
            self.configure_again(leg, agreed);
        }
    }

    /// Whether a leg is on hold: no stream goes both ways.
    pub fn is_held(&self, leg: LegId) -> bool {
        let agreed = match leg {
            LegId::A => self.a.agreed.as_ref(),
            leg => self.legs.b.get(leg).and_then(|branch| branch.agreed.as_ref()),
        };
        agreed.is_some_and(|a| {
            !a.streams()
                .any(|s| s.direction == Direction::SendRecv && s.remote.is_some())
        })
    }

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
            LegId::A => self.a.agreed = Some(agreed),
            leg => {
                if let Some(branch) = self.legs.b.get_mut(leg) {
                    branch.agreed = Some(agreed);
                }
            }
        }
    }
}
