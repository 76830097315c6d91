//! Looks at what crossed Segue's edge, and only at that, and says what was wrong.

/// Fails with a sentence.
macro_rules! hold {
    ($fact:expr, $($why:tt)+) => {
        if !$fact {
            return Err(format!($($why)+));
        }
    };
}

mod callee_leg;
mod caller_leg;
mod carrier;
mod passed_on;
mod several;
mod timers;
mod whole_call;

use std::collections::{BTreeMap, BTreeSet};

use segue_call::{MediaAction, MediaEvent, StoreReply};
use segue_policy::Plan;
use segue_records::CallRecord;

use crate::{
    dice::{MS, Time},
    phone::TRIED,
    store_model::Kept,
    wire::Msg,
    world::{Entry, Party, Seen, World},
};

/// What happened in a run, by name, to be counted over many.
pub type Marks = BTreeSet<String>;

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
        self.msg
            .status()
            .filter(|_| self.out == out && self.msg.cseq().1 == method)
    }
}

/// Checks a run that has come to its end.
pub fn check(world: &World) -> Result<Marks, String> {
    let mut marks = Marks::new();
    nothing_left(world)?;
    stranger_hears_nothing(world)?;
    for call in 0..world.callers.len() {
        let view = View::of(world, call, call);
        view.check(&mut marks).map_err(|why| format!("call {call}: {why}"))?;
    }
    for (message, kept) in &world.ledger.0 {
        hold!(
            !matches!(kept, Kept::Synced | Kept::Depositing),
            "recording {message} was left {kept:?}"
        );
    }
    Ok(marks)
}

fn nothing_left(world: &World) -> Result<(), String> {
    let endpoint = world.shard.endpoint();
    let stats = world.shard.stats();
    hold!(stats.panics == 0, "{} panics in the call core", stats.panics);
    hold!(stats.unparsable == 0, "{} unparsable", stats.unparsable);
    hold!(
        world.shard.call_count() == 0,
        "{} calls are left",
        world.shard.call_count()
    );
    let (sessions, transactions, timers) = (
        endpoint.session_count(),
        endpoint.transaction_count(),
        endpoint.timer_count(),
    );
    hold!(
        sessions == 0 && transactions == 0 && timers == 0,
        "left: {sessions} sessions, {transactions} transactions, {timers} timers"
    );
    hold!(world.shard.poll_timeout().is_none(), "a timer of the shard is left");
    hold!(world.media.all_closed(), "ports are left");
    let lingered = world
        .last_busy_at
        .saturating_sub(world.last_told_at.max(last_vain_invite(world)));
    hold!(
        lingered <= TRIED,
        "something was kept for {} ms after the last end",
        lingered / MS
    );
    Ok(())
}

/// When the last INVITE of ours that nobody answered has had its time: who answers it later still gets ACK and BYE.
fn last_vain_invite(world: &World) -> Time {
    let mut open: BTreeMap<&str, Time> = BTreeMap::new();
    for e in &world.log {
        let Seen::Wire { out, msg, .. } = &e.what else { continue };
        if *out && msg.method() == Some("INVITE") {
            open.entry(msg.branch()).or_insert(e.at);
        } else if !*out && msg.status().is_some_and(|c| c >= 200) && msg.cseq().1 == "INVITE" {
            open.remove(msg.branch());
        }
    }
    open.into_values().map(|since| since + TRIED).max().unwrap_or_default()
}

fn stranger_hears_nothing(world: &World) -> Result<(), String> {
    let heard = world.log.iter().any(|e| {
        matches!(
            &e.what,
            Seen::Wire {
                party: Party::Stranger,
                out: true,
                ..
            }
        )
    });
    hold!(!heard, "a source that no profile knows got an answer");
    let refused = world
        .log
        .iter()
        .filter(|e| matches!(&e.what, Seen::Refused { why, .. } if why.contains("192.0.2.9")))
        .count();
    hold!(
        refused == usize::from(world.setup.stranger),
        "a stranger was refused {refused} times"
    );
    Ok(())
}

/// One call as it was seen.
struct View<'a> {
    world: &'a World,
    call: usize,
    /// The target that `b` is about.
    callee: usize,
    a: Vec<Said<'a>>,
    b: Vec<Said<'a>>,
    entries: Vec<&'a Entry>,
}

impl<'a> View<'a> {
    fn of(world: &'a World, call: usize, callee: usize) -> View<'a> {
        let wire = |who: Party| {
            let said = |(n, e): (usize, &'a Entry)| match &e.what {
                Seen::Wire { party, out, msg, .. } if *party == who => Some(Said {
                    n,
                    at: e.at,
                    out: *out,
                    msg,
                }),
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
        View {
            world,
            call,
            a: wire(Party::A(call)),
            callee,
            b: wire(Party::B(callee)),
            entries,
        }
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
        // Who asks for too short a session interval makes no call.
        let too_short = self
            .a
            .iter()
            .any(|s| s.msg.cseq().0 == 1 && s.responds(true, "INVITE") == Some(422));
        if too_short {
            marks.insert("422 to A".into());
            hold!(
                self.b.is_empty(),
                "B heard of a call whose session interval is too short"
            );
        }
        hold!(
            records.len() == usize::from(invited && !too_short),
            "it ended {} times",
            records.len()
        );
        each_request_got_its_answer("A", &self.a)?;
        each_request_got_its_answer("B", &self.b)?;
        each_request_is_one("A", &self.a)?;
        each_request_is_one("B", &self.b)?;
        self.marks(marks);
        timers::sessions("A", &self.a, marks)?;
        timers::sessions("B", &self.b, marks)?;
        let Some(record) = records.first() else { return Ok(()) };
        self.caller_leg(marks)?;
        self.one_answer(marks)?;
        self.reliable_responses(marks)?;
        self.callee_leg(marks)?;
        self.carrier(marks)?;
        if !self.alone() {
            several::targets(self, record, marks)?;
            return self.media(marks);
        }
        self.hold(record, marks)?;
        self.media(marks)?;
        self.record(record, marks)?;
        self.record_is_exact(record)?;
        self.each_end_is_passed_on()?;
        self.what_b_says_is_passed_on(marks)?;
        self.phones_agree()
    }

    /// What else happened that a thousand runs should have seen.
    fn marks(&self, marks: &mut Marks) {
        for (who, said) in [("A", &self.a), ("B", &self.b)] {
            for s in said {
                let (number, method) = s.msg.cseq();
                let again = number > 1 && !s.msg.tag_of_to().is_empty();
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

    /// Whether the callee has one target only.
    fn alone(&self) -> bool {
        let scenario = &self.world.setup.scenarios[self.call];
        scenario.more.is_empty() && scenario.moved.is_empty()
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
            Seen::Reply {
                reply: StoreReply::Found(lookup),
                ..
            } => Some(&lookup.plan),
            _ => None,
        })
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
    // By branch and method: when it first came, and its answer.
    type Asked<'a> = BTreeMap<(&'a str, &'a str), (Time, Option<&'a [u8]>)>;
    let mut asked = Asked::new();
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
        let entry = requests
            .entry((s.msg.branch(), method))
            .or_insert((s.msg.bytes(), 0, s.at));
        hold!(entry.0 == s.msg.bytes(), "a {method} to {who} changed on its way");
        entry.1 += 1;
        let most = if method == "ACK" { 40 } else { 12 };
        hold!(entry.1 <= most, "a {method} to {who} was said {} times", entry.1);
        hold!(
            method == "ACK" || s.at <= entry.2 + TRIED,
            "a {method} to {who} was said for too long"
        );
        if entry.1 == 1 && !matches!(method, "ACK" | "CANCEL") {
            let number = s.msg.cseq().0;
            let before = last.insert((s.msg.call_id(), s.msg.tag_of_to()), number);
            hold!(
                before.is_none_or(|b| b < number),
                "CSeq {number} of a {method} to {who} after {before:?}"
            );
        }
    }
    Ok(())
}
