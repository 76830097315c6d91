//! B: a phone (or a proxy with several) that is called, with habits by the seed.

mod early;
pub mod habits;

use std::collections::BTreeMap;

use crate::{
    body,
    dice::{Dice, MS, S, Time},
    phone::{Dialog, Expired, Phone, T2},
    timers::{self, Refresh},
    wire::{self, Msg},
};

use habits::Habits;

/// Whether B can be reached at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Fine,
    /// Nothing comes back, not even an error.
    Silent,
    /// The transport says that it could not be sent.
    Unreachable,
}

/// B's first sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ring {
    Nothing,
    Trying,
    Ringing,
    ReliableRinging,
    EarlyMedia,
    ReliableEarlyMedia,
}

/// B's last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Answer,
    Refuse(u16),
    Never,
}

#[derive(Debug, Clone)]
pub struct CalleeScript {
    pub reach: Reach,
    /// TCP to B is refused.
    pub no_tcp: bool,
    /// Its target says `transport=tcp`.
    pub wants_tcp: bool,
    pub ring: Ring,
    /// From the INVITE to the ring.
    pub ring_after: Time,
    pub word: Word,
    /// From the INVITE to the word.
    pub word_after: Time,
    /// A 200 leaves just when the CANCEL arrives.
    pub crosses_cancel: bool,
    /// How many phones hang behind a forking proxy.
    pub forks: usize,
    /// All of them answer, each this much later than the one before.
    pub all_answer: Option<Time>,
    pub video: bool,
    /// No SDP at all in the 200.
    pub no_answer_sdp: bool,
    /// BYE this long after its 200 was acknowledged.
    pub talks: Option<Time>,
    /// Hold this long after its 200 was acknowledged, for so long.
    pub holds: Option<(Time, Time)>,
    /// Goes dark this long after the INVITE; with true the transport says so.
    pub dies: Option<(Time, bool)>,
    pub habits: Habits,
}

impl CalleeScript {
    /// Rings after 100 ms, answers after 3 s, lets the caller hang up.
    pub fn plain() -> CalleeScript {
        CalleeScript {
            reach: Reach::Fine,
            no_tcp: true,
            wants_tcp: false,
            ring: Ring::Ringing,
            ring_after: 100 * MS,
            word: Word::Answer,
            word_after: 3 * S,
            crosses_cancel: false,
            forks: 1,
            all_answer: None,
            video: true,
            no_answer_sdp: false,
            talks: None,
            holds: None,
            dies: None,
            habits: Habits::none(),
        }
    }

    pub fn by(dice: &mut Dice) -> CalleeScript {
        let ring = dice.pick(&[
            Ring::Nothing,
            Ring::Trying,
            Ring::Ringing,
            Ring::Ringing,
            Ring::ReliableRinging,
            Ring::EarlyMedia,
            Ring::ReliableEarlyMedia,
        ]);
        let ring_after = dice.between(0, 400 * MS);
        let refusals = [486, 486, 603, 480, 404, 488, 500, 503, 600, 302, 408, 487];
        let word = match dice.between(0, 9) {
            0..5 => Word::Answer,
            5..8 => Word::Refuse(dice.pick(&refusals)),
            _ => Word::Never,
        };
        let longest = dice.pick(&[1, 300, 3_000, 10_000, 25_000]) * MS;
        let after = [1, 50, 1_000, 10_000, 40_000].map(|ms| ms * MS);
        CalleeScript {
            reach: dice.weigh(&[(90, Reach::Fine), (5, Reach::Silent), (5, Reach::Unreachable)]),
            no_tcp: dice.chance(50),
            wants_tcp: dice.chance(10),
            ring,
            ring_after,
            word,
            word_after: ring_after + dice.between(0, longest),
            crosses_cancel: dice.chance(30),
            forks: dice.weigh(&[(80, 1), (15, 2), (5, 3)]),
            all_answer: dice.maybe(50, |d| d.between(0, 2 * S)),
            video: !dice.chance(25),
            no_answer_sdp: dice.chance(2),
            talks: dice.maybe(50, |d| {
                let longest = d.pick(&after);
                d.between(0, longest)
            }),
            holds: dice.maybe(20, |d| (d.between(10 * MS, 8 * S), d.between(10 * MS, 8 * S))),
            dies: dice.maybe(5, |d| (d.between(0, 40 * S), d.chance(50))),
            habits: Habits::none(),
        }
    }
}

enum Step {
    Ring(usize),
    Word(usize),
    HangUp(usize),
    Hold(usize),
    Resume(usize),
    Update(usize),
    Goes(usize),
    Refresh(usize),
}

/// One phone behind the address.
struct Fork {
    tag: String,
    dialog: Dialog,
    rseq: u32,
    /// The reliable response that waits for its PRACK, with SDP or not.
    unpracked: Option<(u32, bool)>,
    /// A 200 that waits for that PRACK.
    held: bool,
    sdp_said: bool,
    answered: bool,
    acked: bool,
    /// Says a second reliable response after the PRACK of the first.
    rings_again: bool,
    /// It has said 199.
    gone: bool,
}

pub struct Callee {
    pub phone: Phone,
    pub script: CalleeScript,
    /// When the first 200 left.
    pub answered_at: Option<Time>,
    /// When the first INVITE came.
    pub invited_at: Option<Time>,
    invite: Option<Msg>,
    forks: Vec<Fork>,
    /// The INVITE transaction has a final response that no fork's 200 is: its last bytes.
    refused: bool,
    agenda: BTreeMap<(Time, u64), Step>,
    order: u64,
}

impl Callee {
    pub fn new(mut phone: Phone, script: CalleeScript) -> Callee {
        phone.timers = script.habits.timer.is_some();
        let (agenda, forks) = (BTreeMap::new(), Vec::new());
        Callee {
            phone,
            script,
            answered_at: None,
            invited_at: None,
            invite: None,
            forks,
            refused: false,
            agenda,
            order: 0,
        }
    }

    fn plan(&mut self, at: Time, step: Step) {
        self.order += 1;
        self.agenda.insert((at, self.order), step);
    }

    pub fn dies_at(&self) -> Option<Time> {
        Some(self.invited_at? + self.script.dies?.0)
    }

    /// Dialogs that B still believes in.
    pub fn open_dialogs(&self) -> impl Iterator<Item = &Dialog> {
        self.forks
            .iter()
            .filter(|f| f.answered && f.dialog.is_open())
            .map(|f| &f.dialog)
    }

    pub fn receive(&mut self, now: Time, msg: &Msg) {
        if msg.status().is_some() {
            let reply = self.phone.take(now, msg);
            if let Some(fork) = self.forks.iter_mut().find(|f| f.tag == msg.tag_of_from()) {
                fork.dialog.response(&mut self.phone, msg, &reply);
            }
            return;
        }
        if self.phone.absorbs(msg) {
            return;
        }
        let method = msg.method().unwrap_or_default().to_owned();
        let fork = self.forks.iter().position(|f| f.tag == msg.tag_of_to());
        match (method.as_str(), fork) {
            ("INVITE", None) if msg.tag_of_to().is_empty() => self.invited(now, msg),
            ("CANCEL", _) => self.cancelled(now, msg),
            ("ACK", Some(at)) if self.forks[at].answered && msg.cseq().0 == self.invite_cseq() => self.acked(now, at),
            ("ACK", _) if fork.is_none() || self.refused => {
                self.phone.stop("first refusal");
                self.phone.stop("refusal");
            }
            ("PRACK", Some(at)) => self.pracked(now, at, msg),
            (_, Some(at)) => {
                let sdp = body::offer(body::Offer::Video, self.phone.address, "sendrecv", 5).unwrap_or_default();
                let sdp = msg
                    .sdp()
                    .map_or(sdp, |o| body::answer(o, self.phone.address, true, "sendrecv", 5));
                if method == "BYE" {
                    self.phone.stop(&format!("answer {at}"));
                }
                self.forks[at].dialog.serve(&mut self.phone, now, msg, &sdp);
            }
            (_, None) => self.phone.serve(
                msg,
                wire::response(msg, 481, "Call/Transaction Does Not Exist", "none", "", None),
            ),
        }
    }

    fn invite_cseq(&self) -> u32 {
        self.invite.as_ref().map_or(0, |i| i.cseq().0)
    }

    fn invited(&mut self, now: Time, msg: &Msg) {
        if self.invite.is_some() {
            return self
                .phone
                .serve(msg, wire::response(msg, 482, "Loop Detected", "merged", "", None));
        }
        assert!(msg.sdp().is_some(), "B is always offered something");
        if self.refuses_first(now, msg) {
            return;
        }
        self.phone.remember(msg, Vec::new());
        self.invite = Some(msg.clone());
        self.invited_at = Some(now);
        for at in 0..self.script.forks {
            let tag = self.phone.fresh("to");
            let dialog = Dialog::of_callee(msg, &tag);
            let rseq = u32::try_from(self.phone.dice.between(1, 9_999)).unwrap_or(1);
            let (unpracked, held, sdp_said, answered, acked) = (None, false, false, false, false);
            self.forks.push(Fork {
                tag,
                dialog,
                rseq,
                unpracked,
                held,
                sdp_said,
                answered,
                acked,
                rings_again: self.script.habits.rings_again,
                gone: false,
            });
            self.plan(now + self.script.ring_after + 20 * MS * at as u64, Step::Ring(at));
        }
        if self.script.word != Word::Never {
            self.plan(now + self.script.word_after, Step::Word(0));
        }
        if let (Word::Answer, Some(later)) = (self.script.word, self.script.all_answer) {
            for at in 1..self.script.forks {
                self.plan(now + self.script.word_after + later * at as u64, Step::Word(at));
            }
        }
    }

    fn say(&mut self, status: u16, phrase: &str, tag: &str, headers: &str, sdp: Option<&str>) -> Vec<u8> {
        let invite = self.invite.as_ref().expect("B was invited");
        let allow = match self.script.habits.allows_update {
            true => "Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO\r\n",
            false => "",
        };
        // What it says for others: the other side is to hear of it once.
        let marker = format!("X-Marker: {status}-{}\r\n", self.phone.fresh("said"));
        let headers = format!("{}{allow}{marker}{headers}", self.phone.contact());
        wire::response(invite, status, phrase, tag, &headers, sdp)
    }

    fn answer_sdp(&self) -> String {
        let offer = self
            .invite
            .as_ref()
            .and_then(Msg::sdp)
            .expect("B was offered something");
        body::answer(offer, self.phone.address, self.script.video, "sendrecv", 1)
    }

    fn ring(&mut self, now: Time, at: usize) {
        if self.refused || self.forks[at].answered {
            return;
        }
        let tag = self.forks[at].tag.clone();
        let wants = self.invite.as_ref().is_some_and(|i| i.has_token("supported", "100rel"));
        let sdp = self.answer_sdp();
        let (status, phrase, sdp, reliable) = match self.script.ring {
            Ring::Nothing => return,
            Ring::Trying => (100, "Trying", None, false),
            Ring::Ringing => (180, "Ringing", None, false),
            Ring::ReliableRinging => (180, "Ringing", None, wants),
            Ring::EarlyMedia => (183, "Session Progress", Some(sdp), false),
            Ring::ReliableEarlyMedia => (183, "Session Progress", Some(sdp), wants),
        };
        if let Some(after) = self.script.habits.gone_after.filter(|_| at > 0) {
            self.plan(now + after, Step::Goes(at));
        }
        if reliable {
            self.say_reliably(now, at, (status, phrase), sdp.as_deref());
        } else {
            let headers = self.may_send_early();
            let bytes = self.say(status, phrase, &tag, &headers, sdp.as_deref());
            let invite = self.invite.clone().expect("B was invited");
            self.phone.serve(&invite, bytes);
        }
    }

    fn pracked(&mut self, now: Time, at: usize, msg: &Msg) {
        let invite = self.invite_cseq();
        let fork = &mut self.forks[at];
        let fits = fork
            .unpracked
            .is_some_and(|(rseq, _)| msg.header("rack") == Some(&format!("{rseq} {invite} INVITE")));
        let (status, phrase) = if fits {
            (200, "OK")
        } else {
            (481, "Call/Transaction Does Not Exist")
        };
        let tag = fork.tag.clone();
        self.phone
            .serve(msg, wire::response(msg, status, phrase, &tag, "", None));
        if fits {
            let with_sdp = fork.unpracked.take().is_some_and(|(_, sdp)| sdp);
            let held = std::mem::take(&mut fork.held);
            self.phone.stop(&format!("reliable {at}"));
            if !held {
                self.was_pracked(now, at, with_sdp);
            }
            if held {
                self.answer(now, at);
            }
        }
    }

    /// 200, once no reliable answer waits for its PRACK (RFC 3262 §3).
    fn answer(&mut self, now: Time, at: usize) {
        if self.refused || self.forks[at].answered || self.forks[at].gone {
            return;
        }
        if let Some((_, sdp)) = self.forks[at].unpracked {
            if sdp {
                self.forks[at].held = true;
                return;
            }
            self.phone.stop(&format!("reliable {at}"));
        }
        let again = self.script.habits.second_sdp;
        let says = !self.script.no_answer_sdp && (again || !self.forks[at].sdp_said);
        let sdp = says.then(|| self.answer_sdp());
        let sdp = sdp.map(|sdp| if again { sdp.replace("50000", "50010") } else { sdp });
        let tag = self.forks[at].tag.clone();
        let invite = self.invite.clone().expect("B was invited");
        let timer = self.script.habits.timer.as_mut().map(|timer| timer.answers(&invite));
        let bytes = self.say(200, "OK", &tag, &timer.unwrap_or_default(), sdp.as_deref());
        // The INVITE again gets nothing: the 200 is repeated by its own clock.
        self.phone.remember(&invite, Vec::new());
        self.phone.repeat(now, &format!("answer {at}"), bytes, T2);
        self.forks[at].answered = true;
        self.answered_at.get_or_insert(now);
    }

    fn refuse(&mut self, now: Time, status: u16) {
        if self.refused || self.forks.iter().any(|f| f.answered) {
            return;
        }
        self.refused = true;
        for at in 0..self.forks.len() {
            self.phone.stop(&format!("reliable {at}"));
            self.forks[at].held = false;
        }
        let tag = self.forks[0].tag.clone();
        let invite = self.invite.clone().expect("B was invited");
        let habits = &self.script.habits;
        let bytes = match (status, &habits.moved_to) {
            (503, _) => {
                let later = format!("Retry-After: {}\r\n", habits.retry_after_s);
                self.say(status, "Refused", &tag, &later, None)
            }
            (302, Some(uri)) => {
                let contact = format!("Contact: <{uri}>\r\n");
                wire::response(&invite, status, "Moved", &tag, &contact, None)
            }
            _ => self.say(status, "Refused", &tag, "", None),
        };
        self.phone.remember(&invite, bytes.clone());
        if self.phone.protocol == segue_sip::Protocol::Udp {
            self.phone.repeat(now, "refusal", bytes, T2);
        } else {
            self.phone.out.push(bytes);
        }
    }

    fn cancelled(&mut self, now: Time, msg: &Msg) {
        let matches = self.invite.as_ref().is_some_and(|i| i.branch() == msg.branch());
        assert!(matches, "{} got a CANCEL for nothing", self.phone.user);
        if self.script.crosses_cancel {
            self.answer(now, 0);
        }
        let tag = self.forks[0].tag.clone();
        self.phone.serve(msg, wire::response(msg, 200, "OK", &tag, "", None));
        self.refuse(now, 487);
    }

    fn acked(&mut self, now: Time, at: usize) {
        self.phone.stop(&format!("answer {at}"));
        if std::mem::replace(&mut self.forks[at].acked, true) {
            return;
        }
        if let Some(after) = self.script.talks {
            self.plan(now + after, Step::HangUp(at));
        }
        if let Some((after, long)) = self.script.holds {
            self.plan(now + after, Step::Hold(at));
            self.plan(now + after + long, Step::Resume(at));
        }
        if let Some(timer) = self.script.habits.timer
            && timer.mine == Some(true)
            && timer.how != Refresh::Never
        {
            self.plan(now + timers::half(timer.interval_s), Step::Refresh(at));
        }
        self.plan(now + self.script.habits.longest, Step::HangUp(at));
    }

    fn refresh(&mut self, now: Time, at: usize) {
        let Some(timer) = self.script.habits.timer else { return };
        if !self.forks[at].dialog.is_open() {
            return;
        }
        let (method, sdp) = match timer.how {
            Refresh::ReInvite if self.script.holds.is_none() => ("INVITE", Some(self.answer_sdp())),
            _ => ("UPDATE", None),
        };
        let headers = timers::refreshes(timer.interval_s);
        let dialog = &mut self.forks[at].dialog;
        let said = dialog.offer_with(&mut self.phone, now, method, &headers, sdp.as_deref());
        let again = if said { timers::half(timer.interval_s) } else { S };
        self.plan(now + again, Step::Refresh(at));
    }

    pub fn tick(&mut self, now: Time) {
        for expired in self.phone.tick(now) {
            let Expired::Repeat(id) = expired else { continue };
            let mut words = id.split(' ');
            let (what, at) = (
                words.next().unwrap_or_default(),
                words.next().and_then(|w| w.parse::<usize>().ok()),
            );
            match (what, at) {
                // No ACK: BYE (RFC 3261 §13.3.1.4). No PRACK: 5xx (RFC 3262 §3).
                ("answer", Some(at)) => self.forks[at].dialog.hang_up(&mut self.phone, now),
                ("reliable", Some(_)) => self.refuse(now, 504),
                _ => {}
            }
        }
        while let Some((&key, _)) = self.agenda.first_key_value().filter(|((at, _), _)| *at <= now) {
            match self.agenda.remove(&key) {
                Some(Step::Ring(at)) => self.ring(now, at),
                Some(Step::Word(at)) => match self.script.word {
                    Word::Answer => self.answer(now, at),
                    Word::Refuse(status) => self.refuse(now, status),
                    Word::Never => {}
                },
                Some(Step::HangUp(at)) => self.forks[at].dialog.hang_up(&mut self.phone, now),
                Some(Step::Hold(at)) => self.re_offer(now, at, "sendonly", 2),
                Some(Step::Resume(at)) => self.re_offer(now, at, "sendrecv", 3),
                Some(Step::Update(at)) => self.early_update(now, at),
                Some(Step::Goes(at)) => self.goes(at),
                Some(Step::Refresh(at)) => self.refresh(now, at),
                None => break,
            }
        }
    }

    fn re_offer(&mut self, now: Time, at: usize, direction: &str, version: u32) {
        let offer = self
            .invite
            .as_ref()
            .and_then(Msg::sdp)
            .expect("B was offered something");
        let sdp = body::answer(offer, self.phone.address, self.script.video, direction, version);
        self.forks[at].dialog.offer(&mut self.phone, now, "INVITE", Some(&sdp));
    }

    pub fn next_due(&self) -> Option<Time> {
        let agenda = self.agenda.keys().next().map(|(at, _)| *at);
        [agenda, self.phone.next_due()].into_iter().flatten().min()
    }
}
