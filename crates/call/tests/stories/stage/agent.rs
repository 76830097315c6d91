//! What a party does, and what it was told.

use std::sync::Arc;

use segue_call::{Contact, Early, Input, LegAction, LegEvent, LegId, Output, Said};
use segue_sdp::Direction;

use super::{AUDIO, Stage, VIDEO, name, sdp};

/// One party.
pub struct Agent<'a> {
    stage: &'a mut Stage,
    leg: LegId,
}

impl<'a> Agent<'a> {
    pub(super) fn new(stage: &'a mut Stage, leg: LegId) -> Agent<'a> {
        Agent { stage, leg }
    }

    fn event(self, event: LegEvent) {
        let leg = self.leg;
        self.stage.input(Input::Leg(leg, event));
    }

    fn last_event(self, event: LegEvent) {
        let leg = self.leg;
        self.stage.input(Input::Leg(leg, event));
        self.stage.terminate_after(5, leg);
    }

    pub fn pracks(self) {
        self.event(LegEvent::Prack);
    }

    /// `sip` holds our 200 back.
    pub fn answer_is_held(self) {
        self.event(LegEvent::AnswerHeld);
    }

    pub fn answer_is_sent(self) {
        self.event(LegEvent::AnswerSent);
    }

    pub fn acks(self) {
        self.event(LegEvent::Acked);
    }

    pub fn cancels(self) {
        self.last_event(LegEvent::Cancelled { reason: None });
    }

    pub fn hangs_up(self) {
        self.last_event(LegEvent::Bye { reason: None });
    }

    pub fn hangs_up_because(self, reason: &str) {
        self.last_event(LegEvent::Bye {
            reason: Some(reason.into()),
        });
    }

    /// The PRACK is lost; our refusal ends the leg.
    pub fn loses_prack(self) {
        self.event(LegEvent::PrackTimeout);
    }

    pub fn loses_ack(self) {
        self.last_event(LegEvent::AckTimeout);
    }

    pub fn breaks_off(self) {
        self.event(LegEvent::Terminated);
    }

    pub fn rings(self) {
        self.progresses(180);
    }

    pub fn progresses(self, status: u16) {
        self.early(Early {
            status,
            ..Early::default()
        });
    }

    pub fn answers(self) {
        self.answers_with(Some(sdp(&format!("{AUDIO}{VIDEO}"))));
    }

    pub fn answers_with(self, sdp: Option<Arc<[u8]>>) {
        self.event(LegEvent::Answered { sdp, fork: None });
    }

    /// A 1xx with all that it says.
    pub fn early(self, early: Early) {
        self.event(LegEvent::Provisional(early));
    }

    /// One of the phones behind it answers.
    pub fn answers_as(self, fork: &str, sdp: Option<Arc<[u8]>>) {
        let fork = Some(fork.into());
        self.event(LegEvent::Answered { sdp, fork });
    }

    /// It asks for other early media, in an UPDATE or a 2xx.
    pub fn asks_for(self, fork: &str, early_media: &[Direction]) {
        let (fork, early_media) = (fork.into(), early_media.to_vec());
        self.event(LegEvent::EarlyMedia { fork, early_media });
    }

    /// P-Early-Media of each 1xx that it got.
    pub fn told_early_media(self) -> Vec<Vec<Direction>> {
        let told = |action| match action {
            LegAction::Progress { early_media, .. } => Some(early_media),
            _ => None,
        };
        self.actions().into_iter().filter_map(told).collect()
    }

    /// One of the phones behind it sends UPDATE before it answers.
    pub fn offers_early(self, fork: &str, sdp: Arc<[u8]>) {
        let fork = Some(fork.into());
        self.event(LegEvent::Offer { sdp: Some(sdp), fork });
    }

    pub fn refuses(self, status: u16, phrase: &str) {
        self.last_event(LegEvent::Failed {
            status,
            phrase: phrase.into(),
            local: false,
            said: Said::default(),
        });
    }

    pub fn refuses_saying(self, status: u16, said: Vec<(String, String)>) {
        let phrase = String::new();
        let said = Said {
            headers: said,
            ..Said::default()
        };
        self.last_event(match status {
            300..400 => LegEvent::Redirected {
                status,
                phrase,
                contacts: Vec::new(),
                said,
            },
            _ => LegEvent::Failed {
                status,
                phrase,
                local: false,
                said,
            },
        });
    }

    pub fn redirects(self, status: u16, to: &[(&str, u16)]) {
        let contact = |(uri, q): &(&str, u16)| Contact {
            uri: uri.parse().unwrap(),
            q: *q,
        };
        self.last_event(LegEvent::Redirected {
            status,
            phrase: "Moved Temporarily".into(),
            contacts: to.iter().map(contact).collect(),
            said: Said::default(),
        });
    }

    /// Its 200 crossed our CANCEL.
    pub fn crosses(self) {
        self.last_event(LegEvent::CrossedCancel);
    }

    /// Nothing came back: the status is our own.
    pub fn cannot_be_reached(self, status: u16) {
        self.cannot_be_reached_saying(status, Said::default());
    }

    /// Nor will others be for a while.
    pub fn cannot_be_reached_saying(self, status: u16, said: Said) {
        self.last_event(LegEvent::Failed {
            status,
            phrase: "192.0.2.9:5060 said nothing".into(),
            local: true,
            said,
        });
    }

    /// It asks something that means nothing here.
    pub fn asks(self, ask: u64) {
        self.event(LegEvent::Asked { ask });
    }

    /// It says something new of itself.
    pub fn refreshes(self) {
        self.event(LegEvent::Refreshed);
    }

    pub fn offers(self, sdp: Option<Arc<[u8]>>) {
        self.event(LegEvent::Offer { sdp, fork: None });
    }

    /// A key by INFO.
    pub fn presses(self, key: char) {
        self.event(LegEvent::Key { key, duration_ms: 120 });
    }

    pub fn answers_our_offer(self, sdp: Arc<[u8]>) {
        self.event(LegEvent::OfferAnswered { sdp: Some(sdp) });
    }

    /// Its answer to an offer of ours: in a 2xx, or in the PRACK or ACK of our first one.
    pub fn answers_with_nothing(self) {
        self.event(LegEvent::OfferAnswered { sdp: None });
    }

    pub fn refuses_our_offer(self, status: u16) {
        self.event(LegEvent::OfferRefused { status });
    }

    pub fn withdraws_its_offer(self) {
        self.event(LegEvent::OfferWithdrawn);
    }

    /// The last session description that this leg was told.
    pub fn told_sdp(self) -> String {
        let sdp = |action| match action {
            LegAction::Progress { sdp, .. } | LegAction::Answer { sdp } => sdp,
            LegAction::Invite { sdp, .. } | LegAction::AcceptOffer { sdp } | LegAction::Offer { sdp } => Some(sdp),
            _ => None,
        };
        let said = self
            .actions()
            .into_iter()
            .rev()
            .find_map(sdp)
            .expect("a description was said");
        String::from_utf8(said.to_vec()).unwrap()
    }

    /// What this leg was told, in short: `183 reliable sdp`, `200`, `BYE`.
    pub fn got(self) -> Vec<String> {
        let leg = self.leg;
        let with = |sdp: &Option<Arc<[u8]>>| if sdp.is_some() { " sdp" } else { "" };
        self.actions()
            .iter()
            .map(|action| match action {
                LegAction::Progress {
                    status, reliable, sdp, ..
                } => {
                    format!("{status}{}{}", if *reliable { " reliable" } else { "" }, with(sdp))
                }
                LegAction::Answer { sdp } => format!("200{}", with(sdp)),
                LegAction::Refuse(info) => info.status.to_string(),
                LegAction::Invite { .. } => "INVITE".into(),
                LegAction::Cancel { .. } => "CANCEL".into(),
                LegAction::Bye { .. } => "BYE".into(),
                LegAction::AcceptOffer { .. } => "accept".into(),
                LegAction::RefuseOffer { status, .. } => format!("refuse {status}"),
                LegAction::TellKey { key, duration_ms } => format!("key {key} {duration_ms}"),
                LegAction::Offer { .. } => "offer".into(),
                LegAction::Ask { of, ask } => format!("ask {ask} of {}", name(*of)),
                LegAction::DeclineAsk { ask } => format!("decline {ask}"),
                LegAction::Refresh => "refresh".into(),
                LegAction::AskKeyFrame => format!("key frame {}", name(leg)),
            })
            .collect()
    }

    /// All actions on this leg.
    pub fn actions(self) -> Vec<LegAction> {
        let leg = self.leg;
        let of_leg = |(_, o): &(u64, Output)| match o {
            Output::Leg(l, action) if *l == leg => Some(action.clone()),
            _ => None,
        };
        self.stage.said.iter().filter_map(of_leg).collect()
    }

    /// The Reason of the CANCEL, BYE or refusal that this leg got.
    pub fn got_reason(self) -> Option<String> {
        self.actions().into_iter().rev().find_map(|action| match action {
            LegAction::Cancel { reason } | LegAction::Bye { reason } => reason,
            LegAction::Refuse(info) => info.reason,
            _ => None,
        })
    }
}
