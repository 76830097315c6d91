//! The legs and what each is still owed. Legs see every input first, whatever the phase: so each leg is ended exactly once, and a
//! B that answers while it is being cancelled gets its BYE even when the call has long gone on to the mailbox.

use std::sync::Arc;

use segue_mailbox::Rule;

use crate::{
    branches::Branches,
    cx::Cx,
    io::{Contact, Input, LegAction, LegEvent, LegId, MediaEvent, Operator, RefuseInfo, Said, Source, StoreReply},
    keys::Told,
    reason,
};

/// All legs.
#[derive(Debug)]
pub(crate) struct Legs {
    pub a: Leg,
    pub b: Branches,
}

/// How far a leg is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leg {
    /// B: its ports are awaited, nothing has been said yet.
    Leasing,
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
    /// A's PRACK for the response with our answer or our offer.
    Pracked,
    /// A's offer within the session has its answer, or is being passed on; or ours of pictures has its final response.
    CallerChanged,
    /// A has answered or refused its callee's codecs; in vain where its own offer came first.
    CallerAligned { in_vain: bool },
    /// A's ACK, which should have brought the answer to our offer.
    CallerAnswered,
    /// A is gone; nothing more can or need be said to it.
    CallerGone(CallerGone),
    /// A branch's provisional response.
    CalleeProgress { status: u16, has_more: bool },
    /// What callees ask to be let through before they answer has changed.
    EarlyMediaChanged,
    /// A branch's 2xx.
    CalleeAnswered {
        leg: LegId,
        fork: Option<Arc<str>>,
        sdp: Option<Arc<[u8]>>,
    },
    /// A branch's refusal, or ours for it.
    CalleeFailed {
        leg: LegId,
        status: u16,
        phrase: String,
        local: bool,
        said: Said,
    },
    /// A branch's 3xx.
    CalleeRedirected {
        leg: LegId,
        status: u16,
        phrase: String,
        contacts: Vec<Contact>,
        said: Said,
    },
    /// The branch that had answered is gone; or one broke off before it answered.
    CalleeGone { leg: LegId, reason: Option<String> },
    /// A peer pressed a key, told in whatever way; each press once.
    Key { leg: LegId, key: char, told: Told },
    /// From the packet path.
    Media(MediaEvent),
    /// From the store, but what it says of places.
    Store(StoreReply),
    /// There is a place for A's message, or nobody can say whether there is.
    MayRecord,
    /// There is none.
    MailboxFull { rule: Rule },
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
            b: Branches::default(),
        }
    }

    /// Whether nothing is left of any leg.
    pub fn all_gone(&self) -> bool {
        self.a == Leg::Gone && self.b.all_gone()
    }
}

impl Cx {
    /// Let the legs see an input. What is settled by that (`None`) no phase needs to know.
    pub fn legs_first(&mut self, input: Input) -> Option<Seen> {
        match input {
            Input::Leg(LegId::A, event) => self.heard_from_caller(event),
            Input::Leg(leg, event) => self.heard_from_callee(leg, event),
            Input::Media(event) => self.media_first(event),
            Input::Store(reply) => self.store_first(reply),
            Input::Timeout => Some(Seen::Due),
            Input::Operator(Operator::HangUp) => Some(Seen::HangUp),
        }
    }

    fn heard_from_caller(&mut self, event: LegEvent) -> Option<Seen> {
        let gone = |cx: &mut Cx, how| {
            cx.legs.a = Leg::Ended;
            Some(Seen::CallerGone(how))
        };
        match (self.legs.a, event) {
            (Leg::Gone | Leg::Leasing, _) => None,
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
            (Leg::Inviting | Leg::Answered, LegEvent::Cancelled { reason }) => {
                self.why_given_up = reason;
                self.note_leg(LegId::A, Some(487), None);
                // A 200 that was held back for a PRACK never went out.
                self.record.answered_at = None;
                gone(self, CallerGone::Cancelled)
            }
            // A BYE in the early dialog: the pending INVITE has its 487 (RFC 3261 §15.1.2).
            (Leg::Inviting, LegEvent::Bye { reason }) => {
                self.why_given_up = reason;
                self.note_leg(LegId::A, Some(487), None);
                gone(self, CallerGone::Cancelled)
            }
            (Leg::Answered, LegEvent::Bye { reason }) if self.a.answer_held => {
                self.why_given_up = reason;
                self.note_leg(LegId::A, Some(487), None);
                gone(self, CallerGone::Cancelled)
            }
            (Leg::Answered | Leg::Up, LegEvent::Bye { reason }) => gone(self, CallerGone::HungUp { reason }),
            (Leg::Answered, LegEvent::AnswerHeld) => {
                self.answer_is_held();
                None
            }
            (Leg::Answered, LegEvent::AnswerSent) => {
                self.answer_is_sent();
                None
            }
            // The PRACK brings the answer to our offer.
            (Leg::Inviting, LegEvent::OfferAnswered { sdp }) if self.awaits_caller() => {
                self.caller_answered(sdp);
                self.pracked().then_some(Seen::Pracked)
            }
            // So does the ACK.
            (Leg::Answered, LegEvent::OfferAnswered { sdp }) if self.awaits_caller() => {
                self.legs.a = Leg::Up;
                self.caller_answered(sdp);
                Some(Seen::CallerAnswered)
            }
            (Leg::Answered, LegEvent::Acked) => {
                self.legs.a = Leg::Up;
                Some(Seen::CallerAnswered)
            }
            (Leg::Answered | Leg::Up, LegEvent::AckTimeout) => gone(self, CallerGone::NoAck),
            (Leg::Inviting | Leg::Answered | Leg::Up, LegEvent::Offer { sdp, .. }) => {
                self.re_offered(LegId::A, sdp);
                Some(Seen::CallerChanged)
            }
            (Leg::Inviting, LegEvent::OfferAnswered { sdp }) if self.pictures_answered(sdp.as_deref()) => {
                Some(Seen::CallerChanged)
            }
            (Leg::Inviting, LegEvent::OfferRefused { .. }) if self.pictures_refused() => Some(Seen::CallerChanged),
            (Leg::Inviting | Leg::Up, LegEvent::OfferAnswered { sdp }) => {
                let aligns = self.is_aligning();
                self.re_offer_answered(LegId::A, sdp);
                match aligns {
                    true => Some(Seen::CallerAligned { in_vain: false }),
                    false => self.away.is_some().then_some(Seen::CallerChanged),
                }
            }
            (Leg::Inviting | Leg::Answered | Leg::Up, LegEvent::Key { key, duration_ms }) => {
                self.pressed(LegId::A, key, Told::Info { duration_ms })
            }
            (Leg::Answered | Leg::Up, LegEvent::Asked { ask }) => {
                self.asked(LegId::A, ask);
                None
            }
            (Leg::Answered | Leg::Up, LegEvent::Refreshed) => {
                self.refreshed(LegId::A);
                None
            }
            (Leg::Inviting | Leg::Answered | Leg::Up, LegEvent::OfferRefused { status }) => {
                let aligns = self.is_aligning();
                self.not_passed_on(LegId::A, status);
                match aligns {
                    true => Some(Seen::CallerAligned { in_vain: status == 491 }),
                    false => self.away.is_some().then_some(Seen::CallerChanged),
                }
            }
            (Leg::Inviting | Leg::Answered | Leg::Up, LegEvent::OfferWithdrawn) => {
                self.offer_withdrawn(LegId::A);
                None
            }
            // What a caller's leg cannot say, or no longer matters.
            (
                Leg::Inviting | Leg::Answered | Leg::Up,
                LegEvent::Prack
                | LegEvent::PrackTimeout
                | LegEvent::Cancelled { .. }
                | LegEvent::Acked
                | LegEvent::AckTimeout
                | LegEvent::AnswerHeld
                | LegEvent::AnswerSent
                | LegEvent::Provisional { .. }
                | LegEvent::EarlyMedia { .. }
                | LegEvent::Answered { .. }
                | LegEvent::OfferAnswered { .. }
                | LegEvent::Failed { .. }
                | LegEvent::Redirected { .. }
                | LegEvent::Asked { .. }
                | LegEvent::Refreshed
                | LegEvent::CrossedCancel,
            ) => None,
        }
    }

    fn heard_from_callee(&mut self, id: LegId, event: LegEvent) -> Option<Seen> {
        let leg = self.legs.b.get(id)?.leg;
        match (leg, event) {
            (Leg::Gone | Leg::Leasing, _) => None,
            (Leg::Ended | Leg::Cancelled, LegEvent::Terminated) => {
                self.branch_is(id, Leg::Gone);
                None
            }
            (Leg::Inviting | Leg::Answered | Leg::Up, LegEvent::Terminated) => {
                self.branch_is(id, Leg::Gone);
                self.close_branch_media(id);
                Some(Seen::CalleeGone { leg: id, reason: None })
            }
            (Leg::Cancelled, LegEvent::Answered { .. }) => {
                // The 2xx crossed our CANCEL before `sip` had it: the dialog exists and is to be ended.
                self.note_leg(id, Some(200), None);
                self.branch_is(id, Leg::Ended);
                let reason = Some(reason::CROSSED.into());
                self.leg(id, LegAction::Bye { reason });
                None
            }
            (Leg::Cancelled, LegEvent::Failed { status, phrase, .. }) => {
                self.note_leg(id, Some(status), Some(phrase));
                self.branch_is(id, Leg::Ended);
                None
            }
            (Leg::Cancelled, LegEvent::CrossedCancel) => {
                self.note_leg(id, Some(200), Some(reason::CROSSED.to_owned()));
                self.branch_is(id, Leg::Ended);
                None
            }
            (Leg::Cancelled, LegEvent::Redirected { status, phrase, .. }) => {
                self.note_leg(id, Some(status), Some(phrase));
                self.branch_is(id, Leg::Ended);
                None
            }
            (Leg::Inviting, LegEvent::Offer { sdp, fork }) => {
                self.early_offer(id, fork.as_ref(), sdp);
                Some(Seen::EarlyMediaChanged)
            }
            (Leg::Ended | Leg::Cancelled, _) => None,
            // Nobody answered for too long, and when `sip` gave up, an answer crossed that.
            (Leg::Inviting, LegEvent::CrossedCancel) => {
                self.note_leg(id, Some(200), Some(reason::CROSSED.to_owned()));
                self.branch_ended(id);
                Some(Seen::CalleeFailed {
                    leg: id,
                    status: 408,
                    phrase: "Request Timeout".to_owned(),
                    local: true,
                    said: Said::default(),
                })
            }
            (Leg::Inviting, LegEvent::Provisional(early)) => {
                self.note_early(id, &early);
                // That one of B's phones is out of it is no news to A, who knows of none of them.
                Some(match early.status {
                    199 => Seen::EarlyMediaChanged,
                    status => Seen::CalleeProgress {
                        status,
                        has_more: early.has_more,
                    },
                })
            }
            (Leg::Inviting, LegEvent::EarlyMedia { fork, early_media }) => {
                self.note_early_media(id, &fork, early_media);
                Some(Seen::EarlyMediaChanged)
            }
            (Leg::Inviting, LegEvent::Answered { sdp, fork }) => {
                self.note_leg(id, Some(200), None);
                self.branch_is(id, Leg::Up);
                Some(Seen::CalleeAnswered { leg: id, fork, sdp })
            }
            (
                Leg::Inviting,
                LegEvent::Failed {
                    status,
                    phrase,
                    local,
                    said,
                },
            ) => {
                self.note_leg(id, Some(status), Some(phrase.clone()));
                self.branch_ended(id);
                Some(Seen::CalleeFailed {
                    leg: id,
                    status,
                    phrase,
                    local,
                    said,
                })
            }
            (
                Leg::Inviting,
                LegEvent::Redirected {
                    status,
                    phrase,
                    contacts,
                    said,
                },
            ) => {
                self.note_leg(id, Some(status), Some(phrase.clone()));
                self.branch_ended(id);
                Some(Seen::CalleeRedirected {
                    leg: id,
                    status,
                    phrase,
                    contacts,
                    said,
                })
            }
            (Leg::Up, LegEvent::Bye { reason }) => {
                self.note_leg(id, None, reason.clone());
                self.branch_ended(id);
                Some(Seen::CalleeGone { leg: id, reason })
            }
            (Leg::Up, LegEvent::AckTimeout) => {
                self.branch_ended(id);
                let reason = Some(reason::OTHER_LEG_BROKE.into());
                Some(Seen::CalleeGone { leg: id, reason })
            }
            (Leg::Up, LegEvent::Offer { sdp, .. }) => {
                self.re_offered(id, sdp);
                None
            }
            (Leg::Up, LegEvent::OfferAnswered { sdp }) => {
                self.re_offer_answered(id, sdp);
                None
            }
            (Leg::Up, LegEvent::Key { key, duration_ms }) => self.pressed(id, key, Told::Info { duration_ms }),
            (Leg::Up, LegEvent::Asked { ask }) => {
                self.asked(id, ask);
                None
            }
            (Leg::Up, LegEvent::Refreshed) => {
                self.refreshed(id);
                None
            }
            (Leg::Up, LegEvent::OfferRefused { status }) => {
                self.not_passed_on(id, status);
                None
            }
            (Leg::Up, LegEvent::OfferWithdrawn) => {
                self.offer_withdrawn(id);
                None
            }
            // What a callee's leg cannot say, or no longer matters.
            (Leg::Inviting | Leg::Answered | Leg::Up, _) => None,
        }
    }

    fn pressed(&mut self, leg: LegId, key: char, told: Told) -> Option<Seen> {
        let new = self.keys.is_new(leg, key, told, self.now.mono);
        new.then_some(Seen::Key { leg, key, told })
    }

    fn branch_is(&mut self, id: LegId, state: Leg) {
        if let Some(branch) = self.legs.b.get_mut(id) {
            branch.leg = state;
        }
    }

    fn branch_ended(&mut self, id: LegId) {
        self.branch_is(id, Leg::Ended);
        self.close_branch_media(id);
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
                    self.legs.b.get(leg).map(|branch| branch.leg)
                };
                if state == Some(Leg::Up) {
                    self.leg(leg, LegAction::AskKeyFrame);
                }
                None
            }
            MediaEvent::Transcoding { .. } | MediaEvent::NoTranscoder { .. } | MediaEvent::TranscoderLost { .. } => {
                self.transcoder_said(&event).then_some(Seen::Media(event))
            }
            MediaEvent::RtpGone { leg } if self.is_held(leg) => None,
            MediaEvent::Dtmf { leg, key } => self.pressed(leg, key, Told::Event),
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
        self.refuse_a_with(RefuseInfo {
            status,
            reason: reason.map(str::to_owned),
            warning,
            ..RefuseInfo::default()
        });
    }

    /// The same, with all that a refusal may say.
    pub fn refuse_a_with(&mut self, info: RefuseInfo) {
        if self.away.is_none() && matches!(self.legs.a, Leg::Inviting | Leg::Answered) {
            self.legs.a = Leg::Ended;
            self.note_leg(LegId::A, Some(info.status), info.reason.clone());
            self.leg(LegId::A, LegAction::Refuse(info));
        }
    }

    /// End A's leg whatever its state: refuse its INVITE with `status`, or say BYE. Not one that goes back to its mailbox.
    pub fn end_a(&mut self, status: u16, reason: &str) {
        match self.legs.a {
            _ if self.away.is_some() => {}
            Leg::Inviting => self.refuse_a(status, Some(reason), None),
            Leg::Answered if self.a.answer_held => self.refuse_a(status, Some(reason), None),
            Leg::Answered | Leg::Up => {
                self.legs.a = Leg::Ended;
                self.leg(
                    LegId::A,
                    LegAction::Bye {
                        reason: Some(reason.into()),
                    },
                );
            }
            Leg::Leasing | Leg::Cancelled | Leg::Ended | Leg::Gone => {}
        }
    }
}
