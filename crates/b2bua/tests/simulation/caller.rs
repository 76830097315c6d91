//! A: a phone that calls, with habits by the seed.

mod early;
pub mod habits;
mod script;

pub use script::{CallerScript, GiveUp, Hold, Rel};

use std::{collections::BTreeMap, net::SocketAddr};

use crate::{
    body::{self, Offer},
    dice::{S, Time},
    phone::{Dialog, Expired, Phone, Reply, TRIED},
    timers::{self, Refresh},
    wire::{self, Msg},
};

enum Step {
    Begin,
    Merged,
    Again,
    GiveUp,
    HangUp,
    Hold,
    Resume,
    Change,
    EarlyUpdate,
    EmptyUpdate,
    Resources,
    Prack(u32, Msg),
    Refresh,
}

pub struct Caller {
    pub phone: Phone,
    pub script: CallerScript,
    pub callee: String,
    /// The address of whom it calls, where Segue knows nobody by that name.
    pub beyond: SocketAddr,
    pub call_id: String,
    /// The first 2xx that arrived.
    pub dialog: Option<Dialog>,
    /// The final refusal that arrived.
    pub refused: Option<u16>,
    agenda: BTreeMap<(Time, u64), Step>,
    order: u64,
    invite: String,
    branches: Vec<String>,
    live: Option<String>,
    early: Option<Dialog>,
    rseq: Option<u32>,
    wants_out: bool,
    cancelled: bool,
    cseq: u32,
    /// What it last offered or answered in the dialog.
    described: Option<String>,
}

impl Caller {
    pub fn new(phone: Phone, script: CallerScript, callee: String, beyond: SocketAddr) -> Caller {
        let mut caller = Caller {
            call_id: format!("call-{}@{}", phone.user, phone.address.ip()),
            phone,
            callee,
            beyond,
            dialog: None,
            refused: None,
            agenda: BTreeMap::new(),
            order: 0,
            invite: String::new(),
            branches: Vec::new(),
            live: None,
            early: None,
            rseq: None,
            wants_out: false,
            cancelled: false,
            cseq: 1,
            described: None,
            script,
        };
        caller.plan(caller.script.starts, Step::Begin);
        caller
    }

    fn plan(&mut self, at: Time, step: Step) {
        self.order += 1;
        self.agenda.insert((at, self.order), step);
    }

    /// The tag of its dialog.
    pub fn tag(&self) -> &str {
        self.invite
            .split(";tag=")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next())
            .unwrap_or_default()
    }

    /// When A goes dark.
    pub fn dies_at(&self) -> Option<Time> {
        self.script.dies.map(|(after, _)| self.script.starts + after)
    }

    fn begin(&mut self, now: Time) {
        let rel = match self.script.rel {
            Rel::Silent => "",
            Rel::Supported => "Supported: 100rel\r\n",
            Rel::Required => "Require: 100rel\r\n",
        };
        let name = if self.script.long_name {
            "Anna ".repeat(150)
        } else {
            "Anna".to_owned()
        };
        let tag = self.phone.fresh("from");
        let user = &self.phone.user;
        let ((uri, route), extensions) = (self.called(), self.extensions());
        self.invite = format!(
            "Max-Forwards: 70\r\nFrom: \"{name}\" <sip:{user}@{}>;tag={tag}\r\nTo: <{uri}>\r\nCall-ID: {}\r\nCSeq: 1 INVITE\r\n{}\
             Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO\r\n{rel}{route}{extensions}",
            self.phone.address.ip(),
            self.call_id,
            self.phone.contact()
        );
        self.say_invite(now);
        let script = &self.script;
        let (merged, again, give_up) = (script.merged, script.again, script.give_up);
        if let Some(after) = merged {
            self.plan(now + after, Step::Merged);
        }
        if let Some(after) = again {
            self.plan(now + after, Step::Again);
        }
        if let GiveUp::After(after) = give_up {
            self.plan(now + after, Step::GiveUp);
        }
    }

    fn invite_by(&self, branch: &str) -> Vec<u8> {
        let (uri, _) = self.called();
        let text = format!("INVITE {uri} SIP/2.0\r\n{}{}", self.phone.via(branch), self.invite);
        wire::finish(text, self.first_offer().as_deref())
    }

    /// The INVITE under a new branch.
    fn say_invite(&mut self, now: Time) {
        let branch = self.phone.branch();
        let bytes = self.invite_by(&branch);
        self.branches.push(branch);
        self.phone.send(now, bytes);
    }

    /// B has sent its 200.
    pub fn callee_answers(&mut self, now: Time) {
        if let GiveUp::WhenCalleeAnswers(after) = self.script.give_up {
            self.plan(now + after, Step::GiveUp);
        }
    }

    pub fn receive(&mut self, now: Time, msg: &Msg) {
        if msg.status().is_some() {
            self.response(now, msg)
        } else {
            self.request(now, msg)
        }
    }

    fn response(&mut self, now: Time, msg: &Msg) {
        let reply = self.phone.take(now, msg);
        let (number, method) = msg.cseq();
        if method == "INVITE" && number == 1 {
            return self.invite_response(now, msg, &reply);
        }
        if let Some(dialog) = &mut self.dialog {
            dialog.response(&mut self.phone, msg, &reply);
        }
    }

    fn invite_response(&mut self, now: Time, msg: &Msg, reply: &Reply) {
        let status = msg.status().unwrap_or_default();
        if status == 482 && self.branches.len() > 1 {
            return;
        }
        self.live = Some(msg.branch().to_owned());
        if status >= 200 {
            // Who sent it two ways gives up the other.
            for other in self.branches.iter().filter(|b| *b != msg.branch()) {
                self.phone.abandon(other);
            }
        }
        match status {
            100..200 if *reply == Reply::Provisional => {
                if status > 100 {
                    self.progress(now, msg);
                }
                if self.wants_out {
                    self.give_up(now);
                }
            }
            200..300 => self.answered(now, msg),
            300.. if *reply == Reply::Final => self.refused = Some(status),
            _ => {}
        }
    }

    fn progress(&mut self, now: Time, msg: &Msg) {
        if msg.sdp().is_some()
            && self.early.is_none()
            && let GiveUp::AfterEarlyMedia(after) = self.script.give_up
        {
            self.plan(now + after, Step::GiveUp);
        }
        if msg.contact().is_some() && self.early.is_none() {
            self.early = Some(Dialog::of_caller(msg, self.cseq));
        }
        let Some(rseq) = msg.rseq().filter(|_| msg.is_reliable()) else {
            return;
        };
        if self.rseq.is_some_and(|last| rseq != last + 1) {
            return;
        }
        self.rseq = Some(rseq);
        if self.script.pracks {
            self.acknowledge(now, rseq, msg);
        }
    }

    fn answered(&mut self, now: Time, msg: &Msg) {
        // An offer in the 200 is answered in the ACK.
        let offer = msg.sdp().filter(|_| self.script.offer == Offer::Delayed);
        let answer = offer.map(|offer| body::answer(offer, self.phone.address, true, "sendrecv", 1));
        if let Some(dialog) = &mut self.dialog {
            if self.script.acks {
                dialog.ack(&mut self.phone, 1, answer.as_deref());
            }
            return;
        }
        let mut dialog = Dialog::of_caller(msg, self.cseq);
        if self.script.acks {
            dialog.ack(&mut self.phone, 1, answer.as_deref());
        }
        if self.wants_out {
            dialog.hang_up(&mut self.phone, now);
        }
        self.dialog = Some(dialog);
        if let Some(after) = self.script.talks {
            self.plan(now + after, Step::HangUp);
        }
        if let Some((after, long, _)) = self.script.holds {
            self.plan(now + after, Step::Hold);
            self.plan(now + after + long, Step::Resume);
        }
        if let Some(after) = self.script.changes {
            self.plan(now + after, Step::Change);
        }
        let mine = timers::expires(msg).filter(|(_, who)| *who == Some("uac"));
        if let (Some((interval_s, _)), Some(timer)) = (mine, self.script.habits.timer)
            && timer.how != Refresh::Never
        {
            self.plan(now + timers::half(interval_s), Step::Refresh);
        }
        // Nobody talks for ever: the run ends.
        self.plan(now + self.script.habits.longest, Step::HangUp);
    }

    fn refresh(&mut self, now: Time) {
        let Some(timer) = self.script.habits.timer else { return };
        let again = timers::half(timer.interval_s);
        let described = self.described.clone().or_else(|| self.first_offer());
        let (method, sdp) = match timer.how {
            Refresh::ReInvite => ("INVITE", described),
            _ => ("UPDATE", None),
        };
        let Some(dialog) = self.dialog.as_mut().filter(|d| d.is_open()) else {
            return;
        };
        let headers = timers::refreshes(timer.interval_s);
        let said = dialog.offer_with(&mut self.phone, now, method, &headers, sdp.as_deref());
        self.plan(now + if said { again } else { S }, Step::Refresh);
    }

    fn request(&mut self, now: Time, msg: &Msg) {
        if self.phone.absorbs(msg) {
            return;
        }
        let sdp = match msg.sdp() {
            Some(offer) => body::answer(offer, self.phone.address, true, "sendrecv", 9),
            None => body::offer(Offer::Video, self.phone.address, "sendrecv", 9).unwrap_or_default(),
        };
        match &mut self.dialog {
            Some(dialog) if dialog.call_id == msg.call_id() => dialog.serve(&mut self.phone, now, msg, &sdp),
            None if msg.method() == Some("UPDATE") && self.early.is_some() => self.asked_early(msg),
            _ if msg.method() == Some("ACK") => {}
            _ => self.phone.serve(
                msg,
                wire::response(msg, 481, "Call/Transaction Does Not Exist", "none", "", None),
            ),
        }
    }

    /// CANCEL while unanswered, once there was a provisional response; BYE after.
    fn give_up(&mut self, now: Time) {
        self.wants_out = true;
        if let Some(dialog) = &mut self.dialog {
            return dialog.hang_up(&mut self.phone, now);
        }
        let Some(branch) = self.live.clone().filter(|_| self.refused.is_none() && !self.cancelled) else {
            return;
        };
        self.cancelled = true;
        if let Some(early) = self.early.as_mut().filter(|_| self.script.early_bye) {
            let bye = early.request(&mut self.phone, "BYE", "", None);
            self.cseq = early.cseq;
            return self.phone.send(now, bye);
        }
        let kept = |line: &&str| {
            ["From", "To", "Call-ID", "Max-Forwards", "Route"]
                .iter()
                .any(|n| line.starts_with(n))
        };
        let headers: Vec<&str> = self.invite.split("\r\n").filter(kept).collect();
        let text = format!(
            "CANCEL {} SIP/2.0\r\n{}{}\r\nCSeq: 1 CANCEL\r\n",
            self.called().0,
            self.phone.via(&branch),
            headers.join("\r\n")
        );
        self.phone.send(now, wire::finish(text, None));
        self.phone.wait_until(&branch, now + TRIED);
    }

    pub fn tick(&mut self, now: Time) {
        for expired in self.phone.tick(now) {
            // An INVITE that nobody answers is over for A.
            if let Expired::Client(method) = expired
                && method == "INVITE"
                && self.dialog.is_none()
            {
                self.wants_out = true;
            }
        }
        while let Some((&key, _)) = self.agenda.first_key_value().filter(|((at, _), _)| *at <= now) {
            let Some(step) = self.agenda.remove(&key) else { break };
            match step {
                Step::Begin => self.begin(now),
                Step::Merged => self.say_invite(now),
                Step::Again if self.live.is_none() => {
                    let bytes = self.invite_by(&self.branches[0]);
                    self.phone.out.push(bytes);
                }
                Step::Again => {}
                Step::GiveUp => self.give_up(now),
                Step::HangUp => {
                    if let Some(dialog) = &mut self.dialog {
                        dialog.hang_up(&mut self.phone, now);
                    }
                }
                Step::Hold => self.re_offer(now, "sendonly", 2),
                Step::Resume => self.re_offer(now, "sendrecv", 3),
                Step::Change => self.change(now),
                Step::EarlyUpdate => self.early_update(now),
                Step::EmptyUpdate => self.empty_update(now),
                Step::Resources => self.resources(now),
                Step::Prack(rseq, msg) => self.prack_of(now, rseq, &msg),
                Step::Refresh => self.refresh(now),
            }
        }
    }

    fn re_offer(&mut self, now: Time, direction: &str, version: u32) {
        let how = self.script.holds.map_or(Hold::ReInvite, |(_, _, how)| how);
        let sdp = self.offer_again(direction, version);
        let sdp = (how != Hold::Empty || version == 2).then_some(sdp);
        let method = if how == Hold::Update { "UPDATE" } else { "INVITE" };
        self.described = sdp.clone().or_else(|| self.described.take());
        if let Some(dialog) = &mut self.dialog {
            dialog.offer(&mut self.phone, now, method, sdp.as_deref());
        }
    }

    /// Another audio codec, all else as it was.
    fn change(&mut self, now: Time) {
        self.script.offer = match self.script.offer {
            Offer::Audio => Offer::G722,
            Offer::G722 => Offer::Audio,
            Offer::Video => Offer::AlawVideo,
            other => other,
        };
        let sdp = self.offer_again("sendrecv", 4);
        self.described = Some(sdp.clone());
        if let Some(dialog) = &mut self.dialog {
            dialog.offer(&mut self.phone, now, "INVITE", Some(&sdp));
        }
    }

    fn offer_again(&self, direction: &str, version: u32) -> String {
        let offer = if self.script.offer == Offer::Delayed {
            Offer::Video
        } else {
            self.script.offer
        };
        body::offer(offer, self.phone.address, direction, version).unwrap_or_default()
    }

    pub fn next_due(&self) -> Option<Time> {
        let agenda = self.agenda.keys().next().map(|(at, _)| *at);
        [agenda, self.phone.next_due()].into_iter().flatten().min()
    }
}
