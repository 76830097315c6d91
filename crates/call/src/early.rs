//! The early dialogs of a target: one for each phone behind it that has said something, each with an offer and an answer of its own
//! (RFC 6337 §2.2). A sees none of them: it has one early dialog, and one answer.

use std::sync::Arc;

use segue_policy::CalleeEarlyMedia;
use segue_sdp::{Agreed, Description, Direction, Kind, SdpError, Side, WarnCode, Warning};

use crate::{
    caller::kept,
    cx::Cx,
    io::{Early, LegAction, LegId},
};

/// Most early dialogs of a target that are kept apart.
const FORKS_MAX: usize = 16;

/// One early dialog.
#[derive(Debug)]
pub(crate) struct Fork {
    tag: Arc<str>,
    answered: Option<Answered>,
    /// What it asks to be let through, for each m-line as it sees it (RFC 5009 §8).
    early_media: Option<Vec<Direction>>,
}

/// Its answer to our offer.
#[derive(Debug)]
struct Answered {
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

/// The early media of a target that may reach A.
pub(crate) struct EarlyMedia {
    pub agreed: Agreed,
    /// What may flow on the audio and the video stream, as we see it.
    pub allowed: [Direction; 2],
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
        let known = branch.forks.iter().position(|fork| fork.tag == *tag);
        if known.is_none() {
            let says = early.sdp.is_some() || early.early_media.is_some();
            if !says || branch.forks.len() >= FORKS_MAX {
                return;
            }
            branch.forks.push(Fork {
                tag: tag.clone(),
                answered: None,
                early_media: None,
            });
        }
        let last = branch.forks.len().saturating_sub(1);
        let (Some(fork), Some(side)) = (branch.forks.get_mut(known.unwrap_or(last)), &branch.side) else {
            return;
        };
        // What it does not say again stays (RFC 5009 §8).
        if let Some(asked) = &early.early_media {
            fork.early_media = Some(asked.clone());
        }
        if let (None, Some(sdp)) = (&fork.answered, &early.sdp) {
            let mut side = side.clone();
            let read = Description::parse(sdp).and_then(|answer| side.read_answer(&answer));
            fork.answered = read.ok().map(|answer| Answered {
                side,
                answer,
                updated: None,
            });
        }
    }

    /// Note that an early dialog asks for other early media than before.
    pub fn note_early_media(&mut self, leg: LegId, tag: &Arc<str>, asked: Vec<Direction>) {
        let early = Early {
            fork: Some(tag.clone()),
            early_media: Some(asked),
            ..Early::default()
        };
        self.note_early(leg, &early);
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
            let answered = fork.answered.as_mut().ok_or_else(nothing)?;
            let agreed = answered.side.answer(&offer, kept(&answered.answer))?;
            let sdp = agreed.sdp.clone();
            answered.updated = Some(agreed);
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
        match (early.and_then(|early| early.answered), sdp) {
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

    /// What of a target's early media may reach A: that of its first early dialog which has answered. Its phones share our ports, so
    /// that the one which may do least decides for all (RFC 5009 §7).
    pub fn early_media_of(&self, leg: LegId) -> Option<EarlyMedia> {
        let branch = self.legs.b.get(leg)?;
        // Whoever helps is heard.
        let policy = match self.invite.emergency {
            Some(_) => CalleeEarlyMedia::Any,
            None => self.invite.profile.callee_early_media,
        };
        let answered = || {
            branch
                .forks
                .iter()
                .filter_map(|fork| Some((fork, fork.answered.as_ref()?)))
        };
        let (_, first) = answered().next()?;
        let allowed = [Kind::Audio, Kind::Video].map(|kind| {
            answered()
                .map(|(fork, answered)| fork.allows(kind, &answered.side, policy))
                .fold(Direction::SendRecv, Direction::narrowed)
        });
        let agreed = first.updated.as_ref().unwrap_or(&first.answer).clone();
        Some(EarlyMedia { agreed, allowed })
    }
}

impl Fork {
    /// What may flow on its stream of this kind, as we see it.
    fn allows(&self, kind: Kind, side: &Side, policy: CalleeEarlyMedia) -> Direction {
        let asked = || {
            let asked = self.early_media.as_ref()?;
            let line = side.live_lines().position(|line| line == Some(kind))?;
            // "If there are fewer direction parameters than media lines, the value of the last … SHALL apply to all remaining"
            // (RFC 5009 §8).
            asked.get(line).or(asked.last()).map(|direction| direction.reversed())
        };
        match policy {
            CalleeEarlyMedia::Never => Direction::Inactive,
            CalleeEarlyMedia::Authorized => asked().unwrap_or(Direction::Inactive),
            CalleeEarlyMedia::Any => asked().unwrap_or(Direction::RecvOnly),
        }
    }
}
