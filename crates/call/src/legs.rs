//! The legs and what each is still owed. Legs see every input first, whatever the phase: so each leg is ended exactly once, and a
//! B that answers while it is being cancelled gets its BYE even when the call has long gone on to the mailbox.

use std::sync::Arc;

use crate::{
    cx::Cx,
    io::{Input, LegAction, LegEvent, LegId, MediaAction, MediaEvent, Operator, RefuseInfo, Source, StoreReply},
    reason,
};

/// The callee's leg.
pub(crate) const B: LegId = LegId(1);

/// Both legs.
#[derive(Debug)]
pub(crate) struct Legs {
    pub a: Leg,
    pub b: Option<Leg>,
}

/// How far a leg is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leg {
    /// Its INVITE has no final response.
    Inviting,
    /// A: we said 200, the ACK is awaited.
    Answered,
    /// Confirmed: to be ended by BYE.
    Up,
    /// B: we said CANCEL; a 2xx may still cross it.
    Cancelled,
    /// Its end is said; only `Terminated` is owed to us.
    Ended,
    /// Nothing is left of it.
    Gone,
}

/// An input as a phase sees it, once the legs have seen it.
#[derive(Debug)]
pub(crate) enum Seen {
    /// A's PRACK for the response with our answer.
    Pracked,
    /// A is gone; nothing more can or need be said to it.
    CallerGone(CallerGone),
    /// B's provisional response.
    CalleeProgress { status: u16 },
    /// B's 2xx.
    CalleeAnswered { sdp: Option<Arc<[u8]>> },
    /// B's refusal, or ours for it.
    CalleeFailed { status: u16, phrase: String, local: bool },
    /// B, who had answered, is gone; or B's leg broke off before it answered.
    CalleeGone { reason: Option<String> },
    /// From the packet path.
    Media(MediaEvent),
    /// From the store.
    Store(StoreReply),
    /// Time has passed.
    Due,
    /// The operator ends the call.
    HangUp,
}

/// How A went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallerGone {
    /// CANCEL, or a BYE in the early dialog.
    Cancelled,
    /// BYE.
    HungUp { reason: Option<String> },
    /// Our reliable response met no PRACK: refused by 504.
    NoPrack,
    /// Our 2xx met no ACK; the BYE is sent.
    NoAck,
    /// The leg broke off.
    Lost,
}

impl Legs {
    pub fn new() -> Legs {
        Legs {
            a: Leg::Inviting,
            b: None,
        }
    }

    /// Whether nothing is left of any leg.
    pub fn all_gone(&self) -> bool {
        self.a == Leg::Gone && self.b.is_none_or(|b| b == Leg::Gone)
    }
}

impl Cx {
    /// Let the legs see an input. What is settled by that (`None`) no phase needs to know.
    pub fn legs_first(&mut self, input: Input) -> Option<Seen> {
        match input {
            Input::Leg(LegId::A, event) => self.caller_leg(event),
            Input::Leg(B, event) => self.callee_leg(event),
            Input::Leg(..) => None,
            Input::Media(event) => self.media_first(event),
            Input::Store(reply) => Some(Seen::Store(reply)),
            Input::Timeout => Some(Seen::Due),
            Input::Operator(Operator::HangUp) => Some(Seen::HangUp),
        }
    }

    fn caller_leg(&mut self, event: LegEvent) -> Option<Seen> {
        let gone = |cx: &mut Cx, how| {
            cx.legs.a = Leg::Ended;
            Some(Seen::CallerGone(how))
        };
        match (self.legs.a, event) {
            (Leg::Gone, _) => None,
            (Leg::Ended | Leg::Cancelled, LegEvent::Terminated) => {
                self.legs.a = Leg::Gone;
                None
            }
            (Leg::Ended | Leg::Cancelled, _) => None,
            (Leg::Inviting | Leg::Answered | Leg::Up, LegEvent::Terminated) => {
                self.legs.a = Leg::Gone;
                Some(Seen::CallerGone(CallerGone::Lost))
            }
            (Leg::Inviting, LegEvent::Prack) => self.pracked().then_some(Seen::Pracked),
            (Leg::Inviting | Leg::Answered, LegEvent::PrackTimeout) => {
                // RFC 3262 §3: the request is rejected with a 5xx, also when a 2xx of ours was held back for the PRACK.
                self.refuse_a(504, None, None);
                self.record.answered_at = None;
                gone(self, CallerGone::NoPrack)
            }
            (Leg::Inviting | Leg::Answered, LegEvent::Cancelled) => {
                self.note_leg(LegId::A, Some(487), None);
                // A 200 that was held back for a PRACK never went out.
                self.record.answered_at = None;
                gone(self, CallerGone::Cancelled)
            }
            // A BYE in the early dialog: the pending INVITE has its 487 (RFC 3261 §15.1.2).
            (Leg::Inviting, LegEvent::Bye { .. }) => {
                self.note_leg(LegId::A, Some(487), None);
                gone(self, CallerGone::Cancelled)
            }
            (Leg::Answered | Leg::Up, LegEvent::Bye { reason }) => gone(self, CallerGone::HungUp { reason }),
            (Leg::Answered, LegEvent::Acked) => {
                self.legs.a = Leg::Up;
                None
            }
            (Leg::Answered | Leg::Up, LegEvent::AckTimeout) => gone(self, CallerGone::NoAck),
            (Leg::Inviting | Leg::Answered | Leg::Up, LegEvent::Offer { sdp }) => {
                self.re_offered(LegId::A, sdp);
                None
            }
            (Leg::Inviting | Leg::Answered | Leg::Up, LegEvent::OfferAnswered { sdp }) => {
                self.re_offer_answered(LegId::A, sdp);
                None
            }
            // What a caller's leg cannot say, or no longer matters.
            (
                Leg::Inviting | Leg::Answered | Leg::Up,
                LegEvent::Prack
                | LegEvent::PrackTimeout
                | LegEvent::Cancelled
                | LegEvent::Acked
                | LegEvent::AckTimeout
                | LegEvent::Provisional { .. }
                | LegEvent::Answered { .. }
                | LegEvent::Failed { .. },
            ) => None,
        }
    }

    fn callee_leg(&mut self, event: LegEvent) -> Option<Seen> {
        let leg = self.legs.b?;
        let ended = |cx: &mut Cx| {
            cx.legs.b = Some(Leg::Ended);
            cx.close_b_media();
        };
        match (leg, event) {
            (Leg::Gone, _) => None,
            (Leg::Ended | Leg::Cancelled, LegEvent::Terminated) => {
                self.legs.b = Some(Leg::Gone);
                None
            }
            (Leg::Inviting | Leg::Answered | Leg::Up, LegEvent::Terminated) => {
                self.legs.b = Some(Leg::Gone);
                self.close_b_media();
                Some(Seen::CalleeGone { reason: None })
            }
            (Leg::Cancelled, LegEvent::Answered { .. }) => {
                // The 2xx crossed our CANCEL before `sip` had it: the dialog exists and is to be ended.
                self.note_leg(B, Some(200), None);
                self.legs.b = Some(Leg::Ended);
                self.leg(
                    B,
                    LegAction::Bye {
                        reason: Some(reason::CROSSED.into()),
                    },
                );
                None
            }
            (Leg::Cancelled, LegEvent::Failed { status, phrase, .. }) => {
                self.note_leg(B, Some(status), Some(phrase));
                self.legs.b = Some(Leg::Ended);
                None
            }
            // Nothing of B is agreed before its 200, so there is nothing to change yet; it must hear so (RFC 3311 §5.2).
            (Leg::Inviting, LegEvent::Offer { .. }) => {
                self.leg(B, LegAction::RefuseOffer { status: 488 });
                None
            }
            (Leg::Ended | Leg::Cancelled, _) => None,
            (Leg::Inviting, LegEvent::Provisional { status, .. }) => Some(Seen::CalleeProgress { status }),
            (Leg::Inviting, LegEvent::Answered { sdp }) => {
                self.note_leg(B, Some(200), None);
                self.legs.b = Some(Leg::Up);
                Some(Seen::CalleeAnswered { sdp })
            }
            (Leg::Inviting, LegEvent::Failed { status, phrase, local }) => {
                self.note_leg(B, Some(status), Some(phrase.clone()));
                ended(self);
                Some(Seen::CalleeFailed { status, phrase, local })
            }
            (Leg::Up, LegEvent::Bye { reason }) => {
                self.note_leg(B, None, reason.clone());
                ended(self);
                Some(Seen::CalleeGone { reason })
            }
            (Leg::Up, LegEvent::AckTimeout) => {
                ended(self);
                Some(Seen::CalleeGone {
                    reason: Some(reason::OTHER_LEG_BROKE.into()),
                })
            }
            (Leg::Up, LegEvent::Offer { sdp }) => {
                self.re_offered(B, sdp);
                None
            }
            (Leg::Up, LegEvent::OfferAnswered { sdp }) => {
                self.re_offer_answered(B, sdp);
                None
            }
            // What a callee's leg cannot say, or no longer matters.
            (Leg::Inviting | Leg::Answered | Leg::Up, _) => None,
        }
    }

    /// Media events that mean the same in every phase are settled here.
    fn media_first(&mut self, event: MediaEvent) -> Option<Seen> {
        if !self.media_is_open() {
            return None;
        }
        match event {
            MediaEvent::Switched { to, kind, gap_ms } => {
                self.note_switch(to, kind, gap_ms);
                None
            }
            MediaEvent::KeyFrameWanted { leg } => {
                let state = if leg == LegId::A {
                    Some(self.legs.a)
                } else {
                    self.legs.b.filter(|_| leg == B)
                };
                if state == Some(Leg::Up) {
                    self.leg(leg, LegAction::AskKeyFrame);
                }
                None
            }
            MediaEvent::RtpGone { leg } if self.is_held(leg) => None,
            event => {
                if event == (MediaEvent::FirstPacket { source: Source::Clip }) {
                    self.note_first_clip_packet();
                }
                Some(Seen::Media(event))
            }
        }
    }

    /// Refuse A's INVITE, if it is still to be answered.
    pub fn refuse_a(&mut self, status: u16, reason: Option<&str>, warning: Option<String>) {
        if matches!(self.legs.a, Leg::Inviting | Leg::Answered) {
            self.legs.a = Leg::Ended;
            self.note_leg(LegId::A, Some(status), reason.map(str::to_owned));
            self.leg(
                LegId::A,
                LegAction::Refuse(RefuseInfo {
                    status,
                    reason: reason.map(str::to_owned),
                    warning,
                }),
            );
        }
    }

    /// End A's leg whatever its state: refuse its INVITE with `status`, or say BYE.
    pub fn end_a(&mut self, status: u16, reason: &str) {
        match self.legs.a {
            Leg::Inviting => self.refuse_a(status, Some(reason), None),
            Leg::Answered | Leg::Up => {
                self.legs.a = Leg::Ended;
                self.leg(
                    LegId::A,
                    LegAction::Bye {
                        reason: Some(reason.into()),
                    },
                );
            }
            Leg::Cancelled | Leg::Ended | Leg::Gone => {}
        }
    }

    /// End B's leg, if there is one, whatever its state: CANCEL or BYE; and give back its ports.
    pub fn end_b(&mut self, reason: &str) {
        let reason = Some(reason.to_owned());
        match self.legs.b {
            Some(Leg::Inviting) => {
                self.legs.b = Some(Leg::Cancelled);
                self.leg(B, LegAction::Cancel { reason });
            }
            Some(Leg::Answered | Leg::Up) => {
                self.legs.b = Some(Leg::Ended);
                self.leg(B, LegAction::Bye { reason });
            }
            Some(Leg::Cancelled | Leg::Ended | Leg::Gone) | None => {}
        }
        self.close_b_media();
    }

    fn close_b_media(&mut self) {
        if self.media_is_open() && self.b.take_ports() {
            self.media(MediaAction::CloseLeg { leg: B });
        }
    }
}
