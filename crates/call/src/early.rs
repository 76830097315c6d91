//! The early dialogs of a target: one for each phone behind it that has said something, each with an offer and an answer of its own
//! (RFC 6337 §2.2). A sees none of them: it has one early dialog, and one answer.

use std::sync::Arc;

use segue_sdp::{Agreed, Description, SdpError, Side, WarnCode, Warning};

use crate::{
    caller::kept,
    cx::Cx,
    io::{Early, LegAction, LegId},
};

/// Most early dialogs of a target that are kept apart.
const FORKS_MAX: usize = 16;

/// One early dialog that has answered our offer.
#[derive(Debug)]
pub(crate) struct Fork {
    tag: Arc<str>,
    side: Side,
    /// What it first answered.
    answer: Agreed,
    /// What is agreed since its last UPDATE; `None`: it has sent none.
    updated: Option<Agreed>,
}

/// What a target has come to with us when it answers.
pub(crate) struct Settled {
    pub side: Side,
    pub answer: Agreed,
    pub agreed: Agreed,
}

impl Cx {
    /// Note what a 1xx says of its early dialog. The first description is the answer; any other is to be taken for the same
    /// (RFC 6337 §3.1.1).
    pub fn note_early(&mut self, leg: LegId, early: &Early) {
        let (Some(tag), Some(branch)) = (&early.fork, self.legs.b.get_mut(leg)) else {
            return;
        };
        if early.status == 199 {
            branch.forks.retain(|fork| fork.tag != *tag);
            return;
        }
        let known = branch.forks.iter().any(|fork| fork.tag == *tag);
        let (Some(sdp), Some(mut side)) = (&early.sdp, branch.side.clone()) else {
            return;
        };
        if known || branch.forks.len() >= FORKS_MAX {
            return;
        }
        if let Ok(answer) = Description::parse(sdp).and_then(|answer| side.read_answer(&answer)) {
            branch.forks.push(Fork {
                tag: tag.clone(),
                side,
                answer,
                updated: None,
            });
        }
    }

    /// An UPDATE in an early dialog: it is answered at once, in the codecs that are agreed there (RFC 3311 §5.2). What it comes to
    /// counts when this dialog is the one that answers.
    pub fn early_offer(&mut self, leg: LegId, fork: Option<&Arc<str>>, sdp: Option<Arc<[u8]>>) {
        let nothing = || SdpError::Unusable(Warning::new(WarnCode::Miscellaneous, "Nothing is agreed yet"));
        let answer = sdp.ok_or_else(nothing).and_then(|sdp| {
            let offer = Description::parse(&sdp)?;
            let branch = self.legs.b.get_mut(leg).ok_or_else(nothing)?;
            let mut forks = branch.forks.iter_mut();
            let fork = forks.find(|known| Some(&known.tag) == fork).ok_or_else(nothing)?;
            let agreed = fork.side.answer(&offer, kept(&fork.answer))?;
            let sdp = agreed.sdp.clone();
            fork.updated = Some(agreed);
            Ok(sdp)
        });
        match answer {
            Ok(sdp) => self.leg(leg, LegAction::AcceptOffer { sdp }),
            Err(error) => self.refuse_offer(leg, 488, Some(error.warning())),
        }
    }

    /// What offer and answer have come to in the dialog that answers. Its 2xx may bring another description than its 1xx did, which
    /// is no more than bad manners: the last one counts, unless it is older than an UPDATE.
    pub fn settled(
        &mut self,
        leg: LegId,
        fork: Option<&Arc<str>>,
        sdp: Option<Arc<[u8]>>,
    ) -> Result<Settled, SdpError> {
        let nothing = || SdpError::Unusable(Warning::new(WarnCode::Miscellaneous, "a 200 without an answer"));
        let branch = self.legs.b.get_mut(leg).ok_or_else(nothing)?;
        let forks = std::mem::take(&mut branch.forks);
        let early = forks.into_iter().find(|known| Some(&known.tag) == fork);
        match (early, sdp) {
            (Some(early), sdp) if early.updated.is_some() || sdp.is_none() => Ok(Settled {
                agreed: early.updated.unwrap_or_else(|| early.answer.clone()),
                answer: early.answer,
                side: early.side,
            }),
            (_, sdp) => {
                let mut side = branch.side.clone().ok_or_else(nothing)?;
                let answer = Description::parse(&sdp.ok_or_else(nothing)?)?;
                let agreed = side.read_answer(&answer)?;
                Ok(Settled {
                    side,
                    answer: agreed.clone(),
                    agreed,
                })
            }
        }
    }
}
