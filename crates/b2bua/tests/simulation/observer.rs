//! Looks at what crossed Segue's edge, and only at that, and says what was wrong.

use std::collections::{BTreeMap, BTreeSet};

use segue_call::{LegId, MediaAction, MediaEvent, Source, StoreAction, StoreReply};
use segue_mailbox::StopCause;
use segue_policy::Plan;
use segue_records::{CallRecord, CallResult};

use crate::{
    dice::{MS, Time},
    phone::TRIED,
    store_model::Kept,
    wire::Msg,
    world::{Entry, Party, Seen, World},
};

/// What happened in a run, by name, to be counted over many.
pub type Marks = BTreeSet<String>;

/// Fails with a sentence.
macro_rules! hold {
    ($fact:expr, $($why:tt)+) => {
        if !$fact {
            return Err(format!($($why)+));
        }
    };
}

/// One message on the wire.
#[derive(Clone, Copy)]
struct Said<'a> {
    /// Its place in the log.
    n: usize,
    at: Time,
    out: bool,
    msg: &'a Msg,
}

impl<'a> Said<'a> {
    fn is(&self, out: bool, method: &str) -> bool {
        self.out == out && self.msg.method() == Some(method)
    }

    /// A response to this method, `out` as the response goes.
    fn responds(&self, out: bool, method: &str) -> Option<u16> {
        self.msg.status().filter(|_| self.out == out && self.msg.cseq().1 == method)
    }
}

/// Checks a run that has come to its end.
pub fn check(world: &World) -> Result<Marks, String> {
    let mut marks = Marks::new();
    nothing_left(world)?;
    stranger_hears_nothing(world)?;
    for call in 0..world.callers.len() {
        let view = View::of(world, call);
        view.check(&mut marks).map_err(|why| format!("call {call}: {why}"))?;
    }
    for (message, kept) in &world.ledger.0 {
        hold!(!matches!(kept, Kept::Synced | Kept::Depositing), "recording {message} was left {kept:?}");
    }
    Ok(marks)
}

fn nothing_left(world: &World) -> Result<(), String> {
    let endpoint = world.shard.endpoint();
    let stats = world.shard.stats();
    hold!(stats.panics == 0, "{} panics in the call core", stats.panics);
    hold!(stats.unparsable == 0, "{} unparsable", stats.unparsable);
    hold!(world.shard.call_count() == 0, "{} calls are left", world.shard.call_count());
    let (sessions, transactions, timers) = (endpoint.session_count(), endpoint.transaction_count(), endpoint.timer_count());
    hold!(sessions == 0 && transactions == 0 && timers == 0, "left: {sessions} sessions, {transactions} transactions, {timers} timers");
    hold!(world.shard.poll_timeout().is_none(), "a timer of the shard is left");
    hold!(world.media.all_closed(), "ports are left");
    Ok(())
}

fn stranger_hears_nothing(world: &World) -> Result<(), String> {
    let heard = world.log.iter().any(|e| matches!(&e.what, Seen::Wire { party: Party::Stranger, out: true, .. }));
    hold!(!heard, "a source that no profile knows got an answer");
    let refused = world.log.iter().filter(|e| matches!(&e.what, Seen::Refused { why, .. } if why.contains("192.0.2.9"))).count();
    hold!(refused == usize::from(world.setup.stranger), "a stranger was refused {refused} times");
    Ok(())
}

/// One call as it was seen.
struct View<'a> {
    world: &'a World,
    call: usize,
    a: Vec<Said<'a>>,
    b: Vec<Said<'a>>,
    entries: Vec<&'a Entry>,
}

impl<'a> View<'a> {
    fn of(world: &'a World, call: usize) -> View<'a> {
        let wire = |who: Party| {
            let said = |(n, e): (usize, &'a Entry)| match &e.what {
                Seen::Wire { party, out, msg, .. } if *party == who => Some(Said { n, at: e.at, out: *out, msg }),
                _ => None,
            };
            world.log.iter().enumerate().filter_map(said).collect()
        };
        let mine = |e: &&Entry| match &e.what {
            Seen::Media { call: c, .. }
            | Seen::Event { call: c, .. }
            | Seen::Store { call: c, .. }
            | Seen::Reply { call: c, .. }
            | Seen::Hangup { call: c }
            | Seen::Ended { call: c, .. } => *c == call,
            _ => false,
        };
        let entries = world.log.iter().filter(mine).collect();
        View { world, call, a: wire(Party::A(call)), b: wire(Party::B(call)), entries }
    }

    fn check(&self, marks: &mut Marks) -> Result<(), String> {
        let invited = self.a.iter().any(|s| s.is(false, "INVITE"));
        let records: Vec<&CallRecord> = self
            .entries
            .iter()
            .filter_map(|e| match &e.what {
                Seen::Ended { record, .. } => Some(record.as_ref()),
                _ => None,
            })
            .collect();
        hold!(records.len() == usize::from(invited), "it ended {} times", records.len());
        each_request_got_its_answer("A", &self.a)?;
        each_request_got_its_answer("B", &self.b)?;
        each_request_is_one("A", &self.a)?;
        each_request_is_one("B", &self.b)?;
        self.marks(marks);
        let Some(record) = records.first() else { return Ok(()) };
        self.caller_leg(marks)?;
        self.one_answer(marks)?;
        self.reliable_responses(marks)?;
        self.callee_leg(marks)?;
        self.hold(record, marks)?;
        self.media(marks)?;
        self.record(record, marks)?;
        self.phones_agree()
    }

    /// What else happened that a thousand runs should have seen.
    fn marks(&self, marks: &mut Marks) {
        for (who, said) in [("A", &self.a), ("B", &self.b)] {
            for s in said {
                let (number, method) = s.msg.cseq();
                let again = number > 1 && !s.msg.to_tag().is_empty();
                match (s.msg.status(), method) {
                    (Some(status), "INVITE" | "UPDATE") if s.out && (who == "B" || again) && status >= 200 => {
                        marks.insert(format!("{method} of {who} within the dialog: {status}"));
                    }
                    (Some(181), _) if s.out => drop(marks.insert("181 to A".into())),
                    (None, "INFO") if s.out => drop(marks.insert(format!("INFO to {who}"))),
                    _ => {}
                }
            }
        }
        let tcp = |e: &Entry, who| matches!(&e.what, Seen::Wire { party, tcp: true, .. } if *party == who);
        for (name, who) in [("A by TCP", Party::A(self.call)), ("B by TCP", Party::B(self.call))] {
            if self.world.log.iter().any(|e| tcp(e, who)) {
                marks.insert(name.into());
            }
        }
        if self.unsent_to_b().is_some() && !self.b.is_empty() {
            marks.insert("TCP to B refused, then UDP".into());
        }
        if self.events().any(|(_, e)| matches!(e, MediaEvent::RtpGone { .. })) {
            marks.insert("RTP gone while bridged".into());
        }
    }

    fn events(&self) -> impl Iterator<Item = (Time, &MediaEvent)> {
        self.entries.iter().filter_map(|e| match &e.what {
            Seen::Event { event, .. } => Some((e.at, event)),
            _ => None,
        })
    }

    fn actions(&self) -> impl Iterator<Item = (Time, &MediaAction)> {
        self.entries.iter().filter_map(|e| match &e.what {
            Seen::Media { action, .. } => Some((e.at, action)),
            _ => None,
        })
    }

    fn plan(&self) -> Option<&Plan> {
        self.entries.iter().find_map(|e| match &e.what {
            Seen::Reply { reply: StoreReply::Found(lookup), .. } => Some(&lookup.plan),
            _ => None,
        })
    }

    /// The final responses to A's INVITE, one branch each: status and first moment.
    fn finals(&self) -> Result<BTreeMap<&str, (u16, Time)>, String> {
        let mut finals: BTreeMap<&str, (u16, Time, &[u8])> = BTreeMap::new();
        for said in self.a.iter().filter(|s| s.msg.cseq().0 == 1 && s.responds(true, "INVITE").is_some_and(|c| c >= 200)) {
            let status = said.msg.status().unwrap_or_default();
            let first = finals.entry(said.msg.branch()).or_insert((status, said.at, said.msg.bytes()));
            hold!(first.2 == said.msg.bytes(), "A got two different final responses: {} and {status}", first.0);
        }
        Ok(finals.into_iter().map(|(branch, (status, at, _))| (branch, (status, at))).collect())
    }

    /// The one final response that A's INVITE got, not counting merged copies of it.
    fn outcome(&self) -> Result<(u16, Time), String> {
        let finals = self.finals()?;
        let real: Vec<_> = finals.values().filter(|(status, _)| *status != 482).collect();
        hold!(real.len() == 1, "A's INVITE got {} final responses", real.len());
        Ok(*real[0])
    }

    fn caller_leg(&self, marks: &mut Marks) -> Result<(), String> {
        let branches: BTreeSet<&str> =
            self.a.iter().filter(|s| s.is(false, "INVITE") && s.msg.cseq().0 == 1).map(|s| s.msg.branch()).collect();
        let finals = self.finals()?;
        hold!(branches.iter().all(|b| finals.contains_key(b)), "an INVITE of A got no final response");
        if branches.len() > 1 {
            hold!(finals.values().filter(|(status, _)| *status == 482).count() == branches.len() - 1, "a merged INVITE was served");
            marks.insert("merged INVITE".into());
        }
        if self.a.iter().filter(|s| s.is(false, "INVITE") && s.msg.cseq().0 == 1).count() > branches.len() {
            marks.insert("INVITE retransmitted".into());
        }
        let (status, answered) = self.outcome()?;
        let cancel = self.a.iter().find(|s| s.is(false, "CANCEL"));
        let last_word = self.a.iter().find(|s| s.responds(true, "INVITE") == Some(status)).map_or(0, |s| s.n);
        if let Some(cancel) = cancel.filter(|c| c.n < last_word) {
            hold!(status == 487 && cancel.at == answered, "A's CANCEL was followed by {status}");
        }
        let byes_in = self.a.iter().filter(|s| s.is(false, "BYE"));
        let byes_out: BTreeMap<&str, Time> = first_of(self.a.iter().filter(|s| s.is(true, "BYE")).copied());
        if status >= 300 {
            hold!(byes_out.is_empty(), "a BYE to A, who was refused");
            return Ok(());
        }
        hold!(byes_out.len() <= 1, "{} BYEs to A", byes_out.len());
        let bye_in = byes_in.map(|s| s.at).min();
        let bye_out = byes_out.values().copied().min();
        let Some(end) = bye_in.into_iter().chain(bye_out).min() else { return Err("A's dialog was never ended".into()) };
        let tag = self.a.iter().find(|s| s.responds(true, "INVITE") == Some(status)).map_or("", |s| s.msg.to_tag());
        let is_ack = |s: &&Said| s.is(false, "ACK") && s.msg.cseq().0 == 1 && s.msg.to_tag() == tag;
        let acked = self.a.iter().find(is_ack).map(|s| s.at);
        if let Some(at) = bye_out.filter(|at| bye_in.is_none_or(|b| *at <= b)) {
            let entitled = acked.is_some_and(|ack| ack <= at) || at >= answered + TRIED;
            hold!(entitled, "BYE to A before its ACK, {} ms after the 200", (at - answered) / MS);
            marks.insert("BYE to A".into());
        } else {
            marks.insert("BYE from A".into());
        }
        if acked.is_none_or(|ack| ack > answered + 600 * MS) && end > answered + 600 * MS {
            let again = self.a.iter().filter(|s| s.responds(true, "INVITE") == Some(200) && s.msg.cseq().0 == 1).count();
            hold!(again >= 2, "the 200 to A was not repeated while its ACK was missing");
        }
        if acked.is_none() && bye_out.is_some_and(|at| at >= answered + TRIED) {
            marks.insert("ACK never came".into());
        }
        if acked.is_some_and(|ack| self.a.iter().any(|s| s.responds(true, "INVITE") == Some(200) && s.msg.cseq().0 == 1 && s.at > ack)) {
            return Err("a 200 to A was repeated after its ACK".into());
        }
        Ok(())
    }

    /// All SDP in responses to A's INVITE is the same, and none follows a reliable answer.
    fn one_answer(&self, marks: &mut Marks) -> Result<(), String> {
        let responses = self.a.iter().filter(|s| s.msg.cseq().0 == 1 && s.responds(true, "INVITE").is_some_and(|c| c > 100));
        let mut first: Option<&[u8]> = None;
        let mut reliably: Option<&Msg> = None;
        let mut tag: Option<&str> = None;
        for said in responses.filter(|s| s.msg.status() != Some(482)) {
            hold!(!said.msg.to_tag().is_empty() && *tag.get_or_insert(said.msg.to_tag()) == said.msg.to_tag(), "A has two early dialogs");
            let Some(sdp) = said.msg.sdp() else { continue };
            hold!(*first.get_or_insert(sdp) == sdp, "A got two different answers");
            if let Some(answer) = reliably {
                hold!(answer.rseq() == said.msg.rseq(), "SDP in a {:?} after a reliable answer", said.msg.status());
            } else if said.msg.is_reliable() {
                reliably = Some(said.msg);
            }
            if said.msg.status().is_some_and(|s| s < 200) {
                marks.insert(if said.msg.is_reliable() { "183 reliable".into() } else { "183 unreliable".into() });
            }
        }
        let (status, _) = self.outcome()?;
        hold!(status >= 300 || first.is_some() , "A was answered without an answer");
        Ok(())
    }

    /// RFC 3262: RSeq by one, one at a time, the 2xx after the PRACK of an answer, B after the PRACK.
    fn reliable_responses(&self, marks: &mut Marks) -> Result<(), String> {
        let mut said: BTreeMap<u32, (Time, &Msg)> = BTreeMap::new();
        for s in self.a.iter().filter(|s| s.out && s.msg.is_reliable()) {
            let rseq = s.msg.rseq().ok_or("a reliable response without RSeq")?;
            let known = said.entry(rseq).or_insert((s.at, s.msg));
            hold!(known.1.bytes() == s.msg.bytes(), "RSeq {rseq} was said twice, differently");
        }
        let pracked = |rseq: u32| {
            let wanted = format!("{rseq} 1 INVITE");
            self.a.iter().find(|s| s.is(false, "PRACK") && s.msg.header("rack") == Some(&wanted)).map(|s| s.at)
        };
        let (status, answered) = self.outcome()?;
        let to_b = self.b.iter().find(|s| s.is(true, "INVITE")).map(|s| s.at);
        let mut before: Option<u32> = None;
        for (rseq, (at, msg)) in &said {
            if let Some(last) = before {
                hold!(*rseq == last + 1, "RSeq {rseq} after {last}");
                hold!(pracked(last).is_some_and(|p| p <= *at), "RSeq {rseq} before the PRACK of {last}");
            }
            before = Some(*rseq);
            let prack = pracked(*rseq);
            if msg.sdp().is_some() {
                hold!(status >= 300 || prack.is_some_and(|p| p <= answered), "200 to A while its answer waited for the PRACK");
                hold!(to_b.is_none_or(|b| b < *at || prack.is_some_and(|p| p <= b)), "B was invited before the PRACK");
                let played = self.actions().find(|(_, a)| matches!(a, MediaAction::Play { .. })).map(|(at, _)| at);
                hold!(played.is_none_or(|p| p < *at || prack.is_some_and(|k| k <= p)), "the clip began before the PRACK");
            }
            if prack.is_none() && status == 504 && answered >= at + TRIED {
                marks.insert("PRACK never came".into());
            }
            if prack.is_none_or(|p| p > at + 600 * MS) && answered > at + 600 * MS {
                let again = self.a.iter().filter(|s| s.out && s.msg.bytes() == msg.bytes()).count();
                hold!(again >= 2, "a reliable response was not repeated while its PRACK was missing");
            }
        }
        let supports = self.a.iter().any(|s| s.is(false, "INVITE") && (s.msg.has_token("supported", "100rel") || s.msg.has_token("require", "100rel")));
        hold!(said.is_empty() || supports, "a reliable response to a caller who did not ask for it");
        Ok(())
    }

    fn callee_leg(&self, marks: &mut Marks) -> Result<(), String> {
        let invites: BTreeMap<&str, Time> = first_of(self.b.iter().filter(|s| s.is(true, "INVITE")).copied());
        hold!(invites.len() <= 2, "{} INVITEs to B", invites.len());
        let Some(invited) = invites.values().copied().min() else {
            hold!(self.b.is_empty(), "B heard something without being invited");
            return Ok(());
        };
        self.cancel_of_b(marks)?;
        // Each refusal that came got its ACK, each time; unless nobody waited any more.
        let first = self.b.iter().find(|s| s.responds(false, "INVITE").is_some()).map_or(0, |s| s.at);
        let cancelled = self.b.iter().find(|s| s.is(true, "CANCEL")).map(|s| s.at);
        let waited = |s: &&Said| first < invited + TRIED && cancelled.is_none_or(|c| s.at < c + TRIED);
        for said in self.b.iter().filter(|s| s.responds(false, "INVITE").is_some_and(|c| c >= 300)).filter(waited) {
            let acked = self.b.iter().any(|s| s.is(true, "ACK") && s.msg.branch() == said.msg.branch() && s.at == said.at);
            hold!(acked, "a {:?} of B got no ACK", said.msg.status());
        }
        // Each 2xx got its ACK each time; each dialog its BYE once, from either side.
        let answers: Vec<&Said> =
            self.b.iter().filter(|s| s.responds(false, "INVITE").is_some_and(|c| (200..300).contains(&c))).filter(waited).collect();
        let tags: BTreeSet<&str> = answers
            .iter()
            .filter(|s| invites.contains_key(s.msg.branch()))
            .map(|s| s.msg.to_tag())
            .collect();
        for said in &answers {
            let (number, _) = said.msg.cseq();
            let acked = self.b.iter().any(|s| {
                s.is(true, "ACK") && s.msg.to_tag() == said.msg.to_tag() && s.msg.cseq().0 == number && s.at == said.at
            });
            hold!(acked, "a 200 of B ({}) got no ACK", said.msg.to_tag());
        }
        for tag in &tags {
            let out = first_of(self.b.iter().filter(|s| s.is(true, "BYE") && s.msg.to_tag() == *tag).copied());
            let got = self.b.iter().any(|s| s.is(false, "BYE") && s.msg.from_tag() == *tag);
            hold!(out.len() <= 1, "{} BYEs to B ({tag})", out.len());
            hold!(got || out.len() == 1, "B's dialog {tag} was never ended");
            marks.insert(if got { "BYE from B".into() } else { "BYE to B".to_owned() });
        }
        if tags.len() > 1 {
            marks.insert("a second fork answered".into());
        }
        let byes: BTreeSet<&str> = self.b.iter().filter(|s| s.is(true, "BYE")).map(|s| s.msg.to_tag()).collect();
        hold!(byes.is_subset(&tags), "a BYE to B in a dialog that B never answered");
        self.pracks_to_b(invited, first, marks)
    }

    fn cancel_of_b(&self, marks: &mut Marks) -> Result<(), String> {
        let cancels: BTreeMap<&str, Time> = first_of(self.b.iter().filter(|s| s.is(true, "CANCEL")).copied());
        hold!(cancels.len() <= 1, "{} CANCELs to B", cancels.len());
        let Some((branch, cancelled)) = cancels.iter().next() else { return Ok(()) };
        let mut responses = self.b.iter().filter(|s| s.responds(false, "INVITE").is_some() && s.msg.branch() == *branch);
        let heard = responses.clone().any(|s| s.at <= *cancelled);
        hold!(heard, "CANCEL before B had said anything (RFC 3261 section 9.1)");
        let done = responses.clone().any(|s| s.at < *cancelled && s.msg.status() >= Some(200));
        hold!(!done, "CANCEL after B's final response");
        marks.insert("CANCEL to B".into());
        if let Some(late) = responses.find(|s| s.msg.status().is_some_and(|c| (200..300).contains(&c))) {
            let tag = late.msg.to_tag();
            let bye = self.b.iter().filter(|s| s.is(true, "BYE") && s.msg.to_tag() == tag);
            let theirs = self.b.iter().any(|s| s.is(false, "BYE") && s.msg.from_tag() == tag);
            hold!(theirs || first_of(bye.copied()).len() == 1, "the 200 that crossed our CANCEL got no BYE");
            let bridged = self.actions().any(|(_, a)| matches!(a, MediaAction::Bridge { .. }));
            hold!(!bridged, "bridged after CANCEL");
            marks.insert("B's 200 crossed our CANCEL".into());
        }
        Ok(())
    }

    /// Each reliable response of B, in order, gets one PRACK.
    fn pracks_to_b(&self, invited: Time, first: Time, marks: &mut Marks) -> Result<(), String> {
        let pracks: BTreeMap<&str, Time> = first_of(self.b.iter().filter(|s| s.is(true, "PRACK")).copied());
        let mut asked: BTreeMap<(&str, u32), Time> = BTreeMap::new();
        for s in self.b.iter().filter(|s| !s.out && s.msg.is_reliable()) {
            asked.entry((s.msg.to_tag(), s.msg.rseq().unwrap_or_default())).or_insert(s.at);
        }
        hold!(pracks.len() <= asked.len(), "{} PRACKs for {} reliable responses", pracks.len(), asked.len());
        let done = self.b.iter().find(|s| s.responds(false, "INVITE").is_some_and(|c| c >= 200)).map(|s| s.at);
        for ((tag, rseq), at) in asked {
            let sent = self.b.iter().any(|s| {
                let rack = s.msg.header("rack").unwrap_or_default();
                s.is(true, "PRACK") && s.msg.to_tag() == tag && rack.starts_with(&format!("{rseq} "))
            });
            // After the final response nothing needs to be acknowledged (RFC 3262 §4).
            let waited = first < invited + TRIED;
            hold!(sent || !waited || done.is_some_and(|d| d <= at), "B's reliable response {rseq} got no PRACK");
            marks.insert("PRACK to B".into());
        }
        Ok(())
    }

    /// B is invited when the hold has passed, not before, and never after A has gone.
    fn hold(&self, record: &CallRecord, marks: &mut Marks) -> Result<(), String> {
        let sent = self.b.iter().find(|s| s.is(true, "INVITE")).map(|s| s.at);
        let to_b = sent.into_iter().chain(self.unsent_to_b()).min();
        let gone = self.a.iter().find(|s| s.is(false, "CANCEL") || s.is(false, "BYE")).map(|s| s.at);
        if let (Some(invited), Some(gone)) = (sent, gone) {
            hold!(invited <= gone, "B was invited after A had gone");
        }
        let first = self.events().find(|(_, e)| **e == MediaEvent::FirstPacket { source: Source::Clip }).map(|(at, _)| at);
        let skip = |e: &MediaEvent| {
            matches!(e, MediaEvent::Dtmf { leg: LegId::A, key: '#' } | MediaEvent::PlayFailed { source: Source::Clip, .. })
        };
        let skipped = self.events().find(|(at, e)| skip(e) && to_b.is_none_or(|b| *at <= b)).map(|(at, _)| at);
        let played = self.actions().any(|(_, a)| matches!(a, MediaAction::Play { source: Source::Clip, .. }));
        let asked = self.plan().map_or(0, |p| p.hold_ms);
        let stuck = self.world.setup.scenarios[self.call].media.stuck == Some(Source::Clip);
        if let Some(invited) = to_b
            && played
            && asked > 0
            && skipped.is_none()
            && !stuck
        {
            let first = first.ok_or("B was invited though the clip had not begun")?;
            let kept = (invited - first) / MS;
            hold!(kept >= asked, "held for {kept} ms of {asked}");
            // Leasing ports for B takes the model up to 6 ms.
            hold!(kept <= asked + 8, "held for {kept} ms, asked {asked}");
            hold!(record.hold_ms == Some(kept), "hold_ms {:?}, seen {kept}", record.hold_ms);
            marks.insert("hold kept".into());
        }
        if skipped.is_some() && to_b.is_some() && asked > 0 {
            marks.insert("hold cut short".into());
        }
        Ok(())
    }

    fn unsent_to_b(&self) -> Option<Time> {
        self.world.log.iter().find(|e| matches!(e.what, Seen::Unsent { party } if party == Party::B(self.call))).map(|e| e.at)
    }

    fn media(&self, marks: &mut Marks) -> Result<(), String> {
        let opened = self.actions().any(|(_, a)| matches!(a, MediaAction::Open { .. }));
        let closed = self.actions().filter(|(_, a)| **a == MediaAction::Close).count();
        hold!(closed == usize::from(opened), "the packet path was closed {closed} times");
        let lookups = self.entries.iter().filter(|e| matches!(e.what, Seen::Store { action: StoreAction::Lookup { .. }, .. }));
        hold!(lookups.count() <= 1, "looked up twice");
        for (_, action) in self.actions() {
            if let MediaAction::StopRecording { cause } = action {
                marks.insert(format!("recording ended: {cause:?}"));
                hold!(*cause != StopCause::Bye || self.a.iter().any(|s| s.is(false, "BYE")), "a recording ended by no BYE");
            }
            if let MediaAction::Play { source, .. } = action {
                marks.insert(format!("played {source:?}"));
            }
        }
        Ok(())
    }

    /// What is written down is what was seen.
    fn record(&self, record: &CallRecord, marks: &mut Marks) -> Result<(), String> {
        let (status, _) = self.outcome()?;
        let to_b = self.b.iter().any(|s| s.is(true, "INVITE")) || self.unsent_to_b().is_some();
        let bridged = self.actions().any(|(_, a)| matches!(a, MediaAction::Bridge { .. }));
        let recorded = self.world.recordings.get(&self.call);
        let kept = recorded.and_then(|id| self.world.ledger.0.get(id).copied());
        let result = record.result;
        marks.insert(format!("result {result:?}"));
        marks.insert(format!("phase {:?}", record.phase_reached));
        if result == CallResult::Greeted || result == CallResult::Message {
            marks.insert(format!("mailbox for {:?}", record.cause));
        }
        hold!(record.ended_at.is_some() && !record.why.is_empty(), "a record without end or reason");
        hold!((record.message_id.as_ref() == recorded) == (kept == Some(Kept::Deposited)) || recorded.is_none(), "message {:?} is {kept:?}", record.message_id);
        hold!((result == CallResult::Message) == (kept == Some(Kept::Deposited)), "{result:?}, and the recording is {kept:?}");
        hold!((result == CallResult::TooShort) == (kept == Some(Kept::Discarded)), "{result:?}, and the recording is {kept:?}");
        hold!(record.invited_at.is_some() == to_b, "invited_at {:?}", record.invited_at);
        let ours: Vec<Option<u16>> = record.legs.iter().map(|l| l.status).collect();
        hold!(record.legs.len() == 1 + usize::from(to_b), "{} legs", record.legs.len());
        hold!(ours[0] == Some(status), "A's leg ended with {:?}, seen {status}", ours[0]);
        hold!(record.legs[0].sip_call_id == record.sip_call_id, "A's Call-ID");
        hold!(record.legs.iter().all(|l| !l.ladder.is_empty()), "a leg without a ladder");
        if let Some(invite) = self.b.iter().find(|s| s.is(true, "INVITE")) {
            hold!(record.legs[1].sip_call_id == invite.msg.call_id(), "B's Call-ID is {:?}", record.legs[1].sip_call_id);
        }
        match result {
            CallResult::Answered => {
                hold!(bridged && status == 200, "answered without a bridge");
            }
            CallResult::AbandonedWhileHeld => {
                hold!(!to_b && status == 487, "B was disturbed, or A got {status}");
                marks.insert("abandoned while held".into());
            }
            CallResult::Abandoned => {
                hold!(to_b && status == 487, "abandoned with {status}");
            }
            CallResult::Rejected => {
                hold!((400..700).contains(&status), "rejected with {status}");
                marks.insert(format!("rejected {status}"));
            }
            CallResult::Greeted | CallResult::Message | CallResult::TooShort | CallResult::Failed => {}
        }
        Ok(())
    }

    /// What the phones believe at the end: no dialog is open that Segue did not try to end.
    fn phones_agree(&self) -> Result<(), String> {
        let caller = &self.world.callers[self.call];
        let byes_to = |said: &[Said], call_id: &str| said.iter().any(|s| s.is(true, "BYE") && s.msg.call_id() == call_id);
        if let Some(dialog) = caller.dialog.as_ref().filter(|d| d.is_open() && caller.script.dies.is_none()) {
            hold!(byes_to(&self.a, &dialog.call_id), "A still believes in the call");
        }
        let callee = &self.world.callees[self.call];
        if callee.script.dies.is_none() {
            for dialog in callee.open_dialogs() {
                hold!(byes_to(&self.b, &dialog.call_id), "B still believes in the call");
            }
        }
        Ok(())
    }
}

/// When each transaction's first message was said, by branch.
fn first_of<'a>(said: impl Iterator<Item = Said<'a>>) -> BTreeMap<&'a str, Time> {
    let mut first = BTreeMap::new();
    for s in said {
        first.entry(s.msg.branch()).or_insert(s.at);
    }
    first
}

/// Each request that came in got a final response, always the same one for as long as it can come again.
fn each_request_got_its_answer(who: &str, said: &[Said]) -> Result<(), String> {
    let mut asked: BTreeMap<(&str, &str), (Time, Option<&[u8]>)> = BTreeMap::new();
    for s in said {
        let method = s.msg.cseq().1;
        if !s.out && s.msg.method().is_some_and(|m| m != "ACK") {
            asked.entry((s.msg.branch(), method)).or_insert((s.at, None));
        }
        if s.out && s.msg.status().is_some_and(|c| c >= 200) {
            let Some((since, answer)) = asked.get_mut(&(s.msg.branch(), method)) else {
                return Err(format!("{who} got {} for nothing", s.msg.summary()));
            };
            let same = *answer.get_or_insert(s.msg.bytes()) == s.msg.bytes();
            // A CANCEL whose INVITE was never known is answered statelessly, by what is known each time.
            let late = s.at >= *since + TRIED || method == "CANCEL" && s.msg.status() == Some(481);
            hold!(same || late, "{who} got two answers to its {method}");
        }
    }
    match asked.iter().find(|(_, (_, answer))| answer.is_none()) {
        Some(((branch, method), _)) => Err(format!("{who}'s {method} ({branch}) got no answer")),
        None => Ok(()),
    }
}

/// A request of ours is the same each time it is said, not said for ever, and CSeq numbers rise.
fn each_request_is_one(who: &str, said: &[Said]) -> Result<(), String> {
    let mut requests: BTreeMap<(&str, &str), (&[u8], usize, Time)> = BTreeMap::new();
    let mut last: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for s in said.iter().filter(|s| s.out) {
        let Some(method) = s.msg.method() else { continue };
        let entry = requests.entry((s.msg.branch(), method)).or_insert((s.msg.bytes(), 0, s.at));
        hold!(entry.0 == s.msg.bytes(), "a {method} to {who} changed on its way");
        entry.1 += 1;
        let most = if method == "ACK" { 40 } else { 12 };
        hold!(entry.1 <= most, "a {method} to {who} was said {} times", entry.1);
        hold!(method == "ACK" || s.at <= entry.2 + TRIED, "a {method} to {who} was said for too long");
        if entry.1 == 1 && !matches!(method, "ACK" | "CANCEL") {
            let number = s.msg.cseq().0;
            let before = last.insert((s.msg.call_id(), s.msg.to_tag()), number);
            hold!(before.is_none_or(|b| b < number), "CSeq {number} of a {method} to {who} after {before:?}");
        }
    }
    Ok(())
}
