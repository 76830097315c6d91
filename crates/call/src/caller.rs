//! A's side: one SDP answer for the whole call, given once, the same bytes wherever it stands.

use std::{collections::VecDeque, sync::Arc};

use segue_policy::Reliable;
use segue_sdp::{Agreed, Choice, Codec, Description, Format, SdpError, Side, Stream, Warning};

use crate::{
    cx::Cx,
    io::{Incoming, LegAction, LegId, MediaAction, Ports},
    legs::Leg,
    offers::remember,
    settling::Waits,
};

/// "customized alerting tone", of a stream (3GPP TS 24.182 annex B).
const ALERTING: &str = "g.3gpp.cat";

/// Most different provisional responses of B that A is told of.
const TOLD_MAX: usize = 4;
/// Most of those that A is told of for what they say beside their status.
const MORE_MAX: usize = 8;

/// A's offer and our answer.
#[derive(Debug)]
pub(crate) struct Caller {
    /// Provisional responses go with 100rel.
    reliable: bool,
    /// The answer and its streams, once ports are known.
    answer: Option<Agreed>,
    given: Given,
    /// Reliable responses without a PRACK yet, in order: whether each carried the answer.
    unpracked: VecDeque<bool>,
    /// Provisional statuses said after the answer.
    told: Vec<u16>,
    /// How many of B's said more.
    more_told: usize,
    pub side: Option<Side>,
    /// The streams as last agreed.
    pub agreed: Option<Agreed>,
    /// What the description waits for, while there is no answer.
    pub waits: Waits,
    /// Video that A offers in formats which only another peer can show: it is brought in when there is one.
    pub foreign_video: Option<Stream>,
    /// Why A's answer to our offer could not be used.
    pub trouble: Option<Warning>,
    /// It has said that it takes no offers within the session.
    pub refuses_offers: bool,
    /// Our side with the pictures that it is being offered.
    pub upgrade: Option<Side>,
    /// Its pictures were added by us, one way.
    pub shows_only: bool,
    /// Our 200 waits for a PRACK, or for the answer to an offer in the early dialog.
    pub answer_held: bool,
}

/// Whether A has the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    No,
    /// In a reliable response: no SDP may follow (RFC 6337 §3.1.1).
    Reliably,
    /// In an unreliable one: all that follow repeat it.
    Unreliably,
}

/// Whether media to A may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaMay {
    StartNow,
    StartOnPrack,
}

impl Caller {
    pub fn new(invite: &Incoming) -> Caller {
        // Without an offer the first reliable response has ours, and help would wait for the PRACK with the answer.
        let at_once = invite.emergency.is_some() && invite.offer.is_none();
        let reliable = match invite.profile.reliable {
            Reliable::Supported | Reliable::Always => invite.requires_100rel || invite.supports_100rel && !at_once,
            Reliable::Required => invite.requires_100rel,
        };
        Caller {
            reliable,
            answer: None,
            given: Given::No,
            unpracked: VecDeque::new(),
            told: Vec::new(),
            more_told: 0,
            side: None,
            agreed: None,
            waits: Waits::No,
            foreign_video: None,
            trouble: None,
            refuses_offers: false,
            upgrade: None,
            shows_only: false,
            answer_held: false,
        }
    }

    /// What was answered first: what B is offered and clips are chosen for, whatever A held or moved since.
    pub fn answer(&self) -> Option<&Agreed> {
        self.answer.as_ref()
    }

    /// Whether it has our answer in a reliable response.
    pub fn answered_reliably(&self) -> bool {
        self.given == Given::Reliably
    }

    /// Whether provisional responses go with 100rel.
    pub fn is_reliable(&self) -> bool {
        self.reliable
    }

    /// The first agreement.
    pub fn set_answer(&mut self, agreed: Agreed) {
        self.answer = Some(agreed.clone());
        self.agreed = Some(agreed);
    }

    /// A later one.
    pub fn agree(&mut self, agreed: Agreed) {
        if let Some(answer) = &mut self.answer {
            remember(answer, &agreed);
        }
        self.agreed = Some(agreed);
    }

    /// Our side, with what was answered first.
    pub fn side_and_answer(&mut self) -> Option<(&mut Side, &Agreed)> {
        Some((self.side.as_mut()?, self.answer.as_ref()?))
    }

    /// Whether A sends anything that could be recorded.
    pub fn sends(&self) -> bool {
        self.answer
            .as_ref()
            .is_some_and(|a| a.streams().any(|s| s.direction.receives()))
    }
}

/// The codecs of an agreement; re-offers must keep them.
pub(crate) fn kept(agreed: &Agreed) -> Choice<'static> {
    let codec = |stream: &Option<segue_sdp::Stream>| -> Option<Codec> { stream.as_ref().map(|s| s.format.codec) };
    Choice::Keep {
        audio: codec(&agreed.audio),
        video: codec(&agreed.video),
    }
}

impl Cx {
    /// Make A's answer, and tell the packet path.
    pub fn answer_offer(
        &mut self,
        offer: &Description,
        ports: Ports,
        preferred: &dyn Fn(&Format) -> bool,
        with_clip: bool,
    ) -> Result<(), SdpError> {
        let mut side = self.caller_side(ports);
        if with_clip && self.invite.profile.cat_content && self.invite.emergency.is_none() {
            side.set_content(Some(ALERTING));
        }
        let agreed = side.answer(offer, Choice::Prefer(preferred))?;
        self.media(MediaAction::Configure {
            leg: LegId::A,
            audio: agreed.audio.clone(),
            video: agreed.video.clone(),
        });
        self.a.side = Some(side);
        self.a.foreign_video = offer.foreign_video().filter(|_| agreed.video.is_none());
        self.a.set_answer(agreed);
        Ok(())
    }

    /// Give A the answer in a 183, so that early media can flow.
    pub fn give_answer_early(&mut self) -> MediaMay {
        if self.a.given == Given::No && self.legs.a == Leg::Inviting {
            self.a.given = if self.a.reliable {
                Given::Reliably
            } else {
                Given::Unreliably
            };
            let sdp = self.a.answer.as_ref().map(|a| a.sdp.clone());
            self.progress(183, sdp);
        }
        match self.answer_awaits_prack() {
            true => MediaMay::StartOnPrack,
            false => MediaMay::StartNow,
        }
    }

    /// Give A our offer in a reliable 183.
    pub fn give_reliably(&mut self, sdp: Arc<[u8]>) {
        self.a.given = Given::Reliably;
        self.progress(183, Some(sdp));
    }

    /// Whether A has the answer already.
    pub fn answer_is_given(&self) -> bool {
        self.a.given != Given::No
    }

    /// Whether A has the answer in a reliable response that has no PRACK yet.
    pub fn answer_awaits_prack(&self) -> bool {
        self.legs.a == Leg::Inviting && self.a.unpracked.contains(&true)
    }

    /// B rings or the like. A caller who watches the clip is told of ringing only, in the way its profile wants it, unless B says
    /// more that it is to hear; one who waits without media gets B's own status.
    pub fn tell_progress(&mut self, of_b: u16, has_more: bool) {
        let status = match (self.a.given, of_b) {
            (Given::No, status) => status,
            // A second 183 says nothing of ringing, and this one would come without SDP: phones with libre (baresip 2 to 4)
            // take that for the end of early media, and start none again at a 200 that has no SDP either.
            (Given::Reliably, 180) if !has_more && self.invite.profile.ringing_status == 183 => return,
            (_, 180) => self.invite.profile.ringing_status,
            (_, status) if has_more => status,
            _ => return,
        };
        let may_more = self.a.more_told < MORE_MAX && self.a.unpracked.len() < MORE_MAX;
        if has_more && may_more && (101..=199).contains(&status) && self.legs.a == Leg::Inviting {
            self.a.more_told = self.a.more_told.saturating_add(1);
            if !self.a.told.contains(&status) {
                self.a.told.push(status);
            }
            let sdp = self.repeated_answer();
            return self.progress(status, sdp);
        }
        self.tell(status);
    }

    /// A provisional response without news in its SDP; each status once.
    pub fn tell(&mut self, status: u16) {
        if !(101..=199).contains(&status)
            || self.a.told.contains(&status)
            || self.a.told.len() >= TOLD_MAX
            || self.legs.a != Leg::Inviting
        {
            return;
        }
        self.a.told.push(status);
        let sdp = self.repeated_answer();
        self.progress(status, sdp);
    }

    /// 200 to A: for B, or for the mailbox.
    pub fn answer_a(&mut self) {
        if self.legs.a == Leg::Inviting {
            let ours = match &mut self.a.waits {
                Waits::ForOffer(ours) => ours.take(),
                _ => None,
            };
            if ours.is_some() {
                self.a.waits = Waits::ForAnswer;
            }
            let sdp = match self.a.given {
                _ if ours.is_some() => {
                    self.a.given = Given::Reliably;
                    ours
                }
                Given::Reliably => None,
                Given::No | Given::Unreliably => self.a.answer.as_ref().map(|a| a.sdp.clone()),
            };
            self.legs.a = Leg::Answered;
            // The 200 has the answer that was given; what is said of the streams after it is of a conversation.
            if let Some(side) = &mut self.a.side {
                side.set_content(None);
            }
            self.answer_is_sent();
            self.leg(LegId::A, LegAction::Answer { sdp });
        }
    }

    /// Our 200 goes out.
    pub fn answer_is_sent(&mut self) {
        self.a.answer_held = false;
        self.record.answered_at = Some(self.now.wall);
        self.note_leg(LegId::A, Some(200), None);
    }

    /// It does not go out yet (RFC 3262 §3), and maybe never will: A is not charged for that.
    pub fn answer_is_held(&mut self) {
        self.a.answer_held = true;
        self.record.answered_at = None;
        if let Some(leg) = self.record.legs.first_mut() {
            leg.status = None;
        }
    }

    /// A PRACK, for the oldest of our reliable responses; whether that carried the answer.
    pub fn pracked(&mut self) -> bool {
        self.a.unpracked.pop_front().unwrap_or(false)
    }

    fn progress(&mut self, status: u16, sdp: Option<Arc<[u8]>>) {
        let reliable = self.a.reliable;
        if reliable {
            self.a.unpracked.push_back(sdp.is_some());
        }
        let early_media = self.early_media();
        self.leg(
            LegId::A,
            LegAction::Progress {
                status,
                reliable,
                sdp,
                early_media,
            },
        );
    }

    /// A provisional response with news beside its SDP.
    pub fn tell_again(&mut self, status: u16) {
        if self.legs.a == Leg::Inviting {
            let sdp = self.repeated_answer();
            self.progress(status, sdp);
        }
    }

    fn repeated_answer(&self) -> Option<Arc<[u8]>> {
        match self.a.given {
            Given::Unreliably => self.a.answer.as_ref().map(|a| a.sdp.clone()),
            Given::No | Given::Reliably => None,
        }
    }
}
