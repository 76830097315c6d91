//! B before its answer: a first refusal that is no last word, reliable responses in a row, UPDATE, 199.

use super::{Callee, Step};
use crate::{
    body,
    dice::Time,
    phone::T2,
    wire::{self, Msg},
};

impl Callee {
    /// Whether this INVITE is refused for something that the next one may mend (RFC 3261 §21.4.15 and 16, RFC 4028 §6).
    pub(super) fn refuses_first(&mut self, now: Time, msg: &Msg) -> bool {
        let required = msg.has_token("require", "100rel");
        let (phrase, header) = match self.script.habits.first_refusal {
            Some(420) if required => ("Bad Extension", "Unsupported: 100rel\r\n"),
            Some(421) if !required => ("Extension Required", "Require: 100rel\r\n"),
            Some(422) if crate::timers::expires(msg).is_some() => ("Session Interval Too Small", "Min-SE: 200\r\n"),
            _ => return false,
        };
        let status = self.script.habits.first_refusal.take().unwrap_or_default();
        let tag = self.phone.fresh("first");
        let bytes = wire::response(msg, status, phrase, &tag, header, None);
        self.phone.remember(msg, bytes.clone());
        if self.phone.protocol == segue_sip::Protocol::Udp {
            self.phone.repeat(now, "first refusal", bytes, T2);
        } else {
            self.phone.out.push(bytes);
        }
        true
    }

    /// Says it reliably, until its PRACK comes.
    pub(super) fn say_reliably(&mut self, now: Time, at: usize, (status, phrase): (u16, &str), sdp: Option<&str>) {
        let (tag, rseq) = (self.forks[at].tag.clone(), self.forks[at].rseq);
        let headers = format!("Require: 100rel\r\nRSeq: {rseq}\r\n{}", self.may_send_early());
        let bytes = self.say(status, phrase, &tag, &headers, sdp);
        self.forks[at].unpracked = Some((rseq, sdp.is_some()));
        self.forks[at].sdp_said |= sdp.is_some();
        self.phone.repeat(now, &format!("reliable {at}"), bytes, Time::MAX);
    }

    /// P-Early-Media, if it says anything.
    pub(super) fn may_send_early(&self) -> String {
        let said = self.script.habits.early_media;
        said.map(|directions| format!("P-Early-Media: {directions}\r\n"))
            .unwrap_or_default()
    }

    /// A reliable response has its PRACK.
    pub(super) fn was_pracked(&mut self, now: Time, at: usize, with_sdp: bool) {
        if let Some((after, _)) = self.script.habits.early_update.filter(|_| with_sdp) {
            self.plan(now + after, Step::Update(at));
        }
        if std::mem::take(&mut self.forks[at].rings_again) && !self.forks[at].gone && !self.refused {
            self.forks[at].rseq += 1;
            self.say_reliably(now, at, (180, "Ringing"), None);
        }
    }

    pub(super) fn early_update(&mut self, now: Time, at: usize) {
        if self.refused || self.forks[at].answered || self.forks[at].gone {
            return;
        }
        let with_offer = self.script.habits.early_update.is_some_and(|(_, offer)| offer);
        let invite = self.invite.as_ref().and_then(Msg::sdp).unwrap_or_default();
        let sdp = body::answer(invite, self.phone.address, self.script.video, "sendrecv", 2);
        let sdp = with_offer.then_some(sdp);
        let headers = self.may_send_early();
        self.forks[at]
            .dialog
            .offer_with(&mut self.phone, now, "UPDATE", &headers, sdp.as_deref());
    }

    /// One of several phones will not answer (RFC 6228).
    pub(super) fn goes(&mut self, at: usize) {
        if self.refused || self.forks[at].answered || self.forks[at].gone {
            return;
        }
        self.forks[at].gone = true;
        self.phone.stop(&format!("reliable {at}"));
        let tag = self.forks[at].tag.clone();
        let bytes = self.say(199, "Early Dialog Terminated", &tag, "Reason: SIP;cause=486\r\n", None);
        self.phone.out.push(bytes);
    }
}
