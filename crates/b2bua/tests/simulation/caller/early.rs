//! A in its early dialog: PRACK with its faults, UPDATE, resources, pictures that are added.

use super::{Caller, Step};
use crate::{
    body::{self, Offer},
    caller::habits::{Prack, Upgrade, Way},
    dice::Time,
    phone::X,
    wire::{self, Msg},
};

impl Caller {
    /// The Request-URI that A calls, and the Route before it.
    pub(super) fn called(&self) -> (String, String) {
        let callee = &self.callee;
        let beyond = self.beyond;
        match self.script.habits.way {
            Way::Here => (format!("sip:{callee}@{X}"), String::new()),
            Way::ByRoute => (
                format!("sip:{callee}@{X}"),
                format!("Route: <sip:{X};lr>, <sip:{beyond};lr>\r\n"),
            ),
            Way::ByHost => (format!("sip:{callee}@{beyond}"), String::new()),
            Way::Emergency => ("urn:service:sos.fire".to_owned(), String::new()),
        }
    }

    /// A's first offer, as the INVITE has it.
    pub(super) fn first_offer(&self) -> Option<String> {
        let sdp = body::offer(self.script.offer, self.phone.address, "sendrecv", 1)?;
        Some(match self.script.habits.resources {
            Some(_) => body::with_resources(&sdp, false),
            None => sdp,
        })
    }

    /// What INVITE says of extensions.
    pub(super) fn extensions(&self) -> String {
        let habits = &self.script.habits;
        let mut out = habits.timer.map(|timer| timer.asks()).unwrap_or_default();
        if habits.resources.is_some() {
            out += "Require: precondition\r\n";
        }
        if habits.hears_early_media {
            out += "P-Early-Media: supported\r\n";
        }
        out
    }

    /// Acknowledges a reliable response, well or not.
    pub(super) fn acknowledge(&mut self, now: Time, rseq: u32, msg: &Msg) {
        let answered = msg.sdp().is_some();
        if let Prack::WrongBefore(by) = self.script.habits.prack {
            self.prack(now, rseq + 7, None);
            self.plan(now + by, Step::Prack(rseq, msg.clone()));
        } else {
            self.prack_of(now, rseq, msg);
        }
        if !answered {
            return;
        }
        let habits = &self.script.habits;
        let resources = habits.resources.filter(|r| !r.in_prack).and_then(|r| r.after);
        let empty = habits.empty_update;
        if let Some(after) = self.script.early_update {
            self.plan(now + after, Step::EarlyUpdate);
        }
        if let Some(after) = empty {
            self.plan(now + after, Step::EmptyUpdate);
        }
        if let Some(after) = resources {
            self.plan(now + after, Step::Resources);
        }
    }

    pub(super) fn prack_of(&mut self, now: Time, rseq: u32, msg: &Msg) {
        let address = self.phone.address;
        let habits = &self.script.habits;
        let sdp = match msg.sdp() {
            Some(offer) if self.script.offer == Offer::Delayed => {
                Some(body::answer(offer, address, true, "sendrecv", 1))
            }
            Some(_) if habits.resources.is_some_and(|r| r.in_prack) => {
                Some(body::with_resources(&self.offer_again("sendrecv", 2), true))
            }
            Some(_) if habits.prack == Prack::WithOffer => Some(self.offer_again("sendrecv", 2)),
            _ => None,
        };
        self.prack(now, rseq, sdp.as_deref());
    }

    fn prack(&mut self, now: Time, rseq: u32, sdp: Option<&str>) {
        // One that comes late is said in the dialog that there is by now.
        let Some(early) = self.dialog.as_mut().or(self.early.as_mut()) else {
            return;
        };
        let rack = format!("RAck: {rseq} 1 INVITE\r\n");
        let prack = early.request(&mut self.phone, "PRACK", &rack, sdp);
        self.cseq = early.cseq;
        self.phone.send(now, prack);
    }

    pub(super) fn early_update(&mut self, now: Time) {
        self.update(now, Some(self.offer_again("sendrecv", 2)));
    }

    pub(super) fn empty_update(&mut self, now: Time) {
        self.update(now, None);
    }

    /// Its resources are there.
    pub(super) fn resources(&mut self, now: Time) {
        let sdp = body::with_resources(&self.offer_again("sendrecv", 3), true);
        self.update(now, Some(sdp));
    }

    fn update(&mut self, now: Time, sdp: Option<String>) {
        if self.dialog.is_none()
            && self.refused.is_none()
            && let Some(early) = &mut self.early
        {
            let update = early.request(&mut self.phone, "UPDATE", "", sdp.as_deref());
            self.cseq = early.cseq;
            self.phone.send(now, update);
        }
    }

    /// Segue wants something in the early dialog: pictures.
    pub(super) fn asked_early(&mut self, msg: &Msg) {
        let tag = self.tag().to_owned();
        let (status, phrase) = match self.script.habits.upgrade {
            Upgrade::Silent => return,
            Upgrade::Take => (200, "OK"),
            Upgrade::Refuse(status) => (status, "No"),
        };
        let sdp = msg.sdp().filter(|_| status == 200);
        let sdp = sdp.map(|offer| body::answer(offer, self.phone.address, true, "recvonly", 8));
        let contact = self.phone.contact();
        let bytes = wire::response(msg, status, phrase, &tag, &contact, sdp.as_deref());
        self.phone.serve(msg, bytes);
    }
}
