//! Which new calls are turned away, and with what: too many for the server, for their source or for their account.
//!
//! Only what would begin something new is turned away, INVITE and REGISTER outside a dialog, and no emergency call. The
//! status says whose bound it is: 503 with Retry-After is the server's own, and peers may go elsewhere with it (RFC 3261
//! §21.5.4); 500 is one source's, which must not make it think the server full; 403 is an account's.

mod accounts;
mod caps;
mod pace;

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    time::{Duration, Instant},
};

pub(crate) use accounts::{Accounts, Used};
pub use caps::Caps;
pub(crate) use caps::Seat;
use caps::{Full, Ledger};
use pace::Pace;

/// Requests turned away that are remembered: one that comes again must not be let in after all, its sender has given up.
const TOLD_MAX: usize = 32_768;

/// Settings of `overload.*` and `registrar.*`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// How long messages may wait to be handled while new calls are let in without limit; `None`: for ever.
    pub delay: Option<Duration>,
    /// How many calls there may be.
    pub caps: Caps,
    /// How many registrations there may be, and how long they last (`registrar.*`).
    pub registrations: segue_registrar::Limits,
}

/// New calls turned away since the start, by whose bound it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TurnedAway {
    /// Messages waited for too long.
    pub load: u64,
    /// There were as many calls as there may be.
    pub calls: u64,
    /// So many callers waited for an answer.
    pub early: u64,
    /// Their source had too many, or called too often.
    pub source: u64,
    /// Their profile or subscriber had too many.
    pub account: u64,
    /// Requests among these that came again.
    pub again: u64,
    /// New calls among all of these that never became calls.
    pub unbegun: u64,
}

impl TurnedAway {
    /// All that were turned away, each once.
    pub fn sum(&self) -> u64 {
        let all = [self.load, self.calls, self.early, self.source, self.account];
        all.into_iter().fold(0, u64::saturating_add)
    }
}

/// Why a call is turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub status: u16,
    pub why: String,
    /// What would let it in.
    pub admit: String,
    /// What the caller is told, where that is said.
    pub text: &'static str,
}

/// All of it for one shard. Pure: each `now` is the caller's.
#[derive(Debug)]
pub(crate) struct Overload {
    limits: Limits,
    pace: Option<Pace>,
    pub ledger: Ledger,
    pub accounts: Accounts,
    told: Told,
    turned_away: TurnedAway,
}

/// Hashes of requests turned away, oldest first, and with what status.
#[derive(Debug, Default)]
struct Told {
    order: VecDeque<u64>,
    known: HashMap<u64, u16>,
}

impl Overload {
    pub fn new(limits: Limits) -> Overload {
        Overload {
            limits,
            pace: None,
            ledger: Ledger::default(),
            accounts: Accounts::default(),
            told: Told::default(),
            turned_away: TurnedAway::default(),
        }
    }

    /// From now on these. Calls that are there stay, whatever the bounds.
    pub fn set(&mut self, limits: Limits) {
        self.limits = limits;
        if let Some(pace) = &mut self.pace {
            pace.aim(limits.delay);
        }
    }

    pub fn caps(&self) -> &Caps {
        &self.limits.caps
    }

    /// A message that is now handled has waited so long, and so many wait behind it.
    pub fn waited(&mut self, now: Instant, wait: Duration, depth: usize) {
        self.pace(now).waited(now, wait, depth);
    }

    /// Whether a new request is let in; `request` is a hash of what makes it the same when it comes again, `profile` the
    /// name of the profile that admits it and how many calls that may have.
    pub fn lets_in(
        &mut self,
        now: Instant,
        request: u64,
        source: IpAddr,
        profile: (&str, Option<u32>),
    ) -> Result<(), Verdict> {
        if let Some(&status) = self.told.known.get(&request) {
            self.turned_away.again = self.turned_away.again.saturating_add(1);
            return Err(Verdict {
                status,
                why: "it was refused before".to_owned(),
                admit: "a new call".to_owned(),
                text: "Refused before",
            });
        }
        let verdict = match self.ledger.room(now, &self.limits.caps, source, profile) {
            Err(full) => self.full(full, profile.0),
            Ok(()) if self.pace(now).lets_in(now) => return Ok(()),
            Ok(()) => self.load(),
        };
        self.turned_away.unbegun = self.turned_away.unbegun.saturating_add(1);
        self.told.note(request, verdict.status);
        Err(verdict)
    }

    /// What a new call would be refused with now, which is not counted as one.
    pub fn would_refuse(&mut self, now: Instant, source: IpAddr, profile: (&str, Option<u32>)) -> Option<u16> {
        match self.ledger.full(now, &self.limits.caps, source, profile) {
            Some(Full::Calls(_) | Full::Early(_)) => Some(503),
            Some(Full::SourceRate(_) | Full::SourceCalls(_) | Full::SourceEarly(_)) => Some(500),
            Some(Full::ProfileCalls(_)) => Some(403),
            // While calls are let in at a rate, nobody looks up for a question.
            None => self.pace(now).rate().map(|_| 503),
        }
    }

    /// How many calls this subscriber may have, if it has as many.
    pub fn subscriber_is_full(&self, subscriber: &str) -> Option<u32> {
        self.ledger.subscriber_is_full(&self.limits.caps, subscriber)
    }

    /// Whether a REGISTER is let in. It takes no call's place, and is not counted among calls.
    pub fn lets_register(&mut self, now: Instant, request: u64, source: IpAddr) -> Result<(), Verdict> {
        let verdict = match self.ledger.pace_of(now, &self.limits.caps, source) {
            Err(full) => self.full(full, ""),
            Ok(()) if self.pace(now).lets_in(now) => return Ok(()),
            Ok(()) => self.load(),
        };
        self.told.note(request, verdict.status);
        Err(verdict)
    }

    /// Why a call to this subscriber is refused, if it is; else the call is counted as the subscriber's.
    pub fn calls(&mut self, seat: &mut Seat, subscriber: &str) -> Option<u32> {
        let full = self.ledger.subscriber_is_full(&self.limits.caps, subscriber);
        match full {
            Some(_) => self.turned_away.account = self.turned_away.account.saturating_add(1),
            None => self.ledger.calls(seat, subscriber),
        }
        full
    }

    /// New calls a second that are let in; `None`: there is no limit.
    pub fn rate(&self) -> Option<f64> {
        self.pace.as_ref()?.rate()
    }

    pub fn turned_away(&self) -> TurnedAway {
        self.turned_away
    }

    fn pace(&mut self, now: Instant) -> &mut Pace {
        let delay = self.limits.delay;
        self.pace.get_or_insert_with(|| Pace::new(now, delay))
    }

    fn load(&mut self) -> Verdict {
        self.turned_away.load = self.turned_away.load.saturating_add(1);
        Verdict {
            status: 503,
            why: "the server is overloaded: messages wait for longer than overload.delay_ms".to_owned(),
            admit: "fewer calls a second, or more servers".to_owned(),
            text: "The server is overloaded",
        }
    }

    fn full(&mut self, full: Full, profile: &str) -> Verdict {
        let counts = &mut self.turned_away;
        let (count, status, why, key) = match full {
            Full::Calls(cap) => (
                &mut counts.calls,
                503,
                format!("the server has {cap} calls, as many as it may"),
                "overload.calls_max",
            ),
            Full::Early(cap) => (
                &mut counts.early,
                503,
                format!("{cap} callers wait for an answer, as many as may"),
                "overload.early_max",
            ),
            Full::SourceRate(cap) => (
                &mut counts.source,
                500,
                format!("its source calls more often than {cap} times a second"),
                "overload.source_rate",
            ),
            Full::SourceCalls(cap) => (
                &mut counts.source,
                500,
                format!("its source has {cap} calls, as many as one may"),
                "overload.source_calls_max",
            ),
            Full::SourceEarly(cap) => (
                &mut counts.source,
                500,
                format!("{cap} callers of its source wait for an answer, as many as may"),
                "overload.source_early_max",
            ),
            Full::ProfileCalls(cap) => (
                &mut counts.account,
                403,
                format!("the profile {profile} has {cap} calls, as many as it may"),
                "calls_max in the profile",
            ),
        };
        *count = count.saturating_add(1);
        Verdict {
            status,
            why,
            admit: format!("raise {key}"),
            text: match status {
                403 => "Too many calls for this account",
                500 => "Too many calls from this address",
                _ => "Too many calls",
            },
        }
    }

    /// An account may not call now: `request` is turned away, and again when it comes again.
    pub fn account_full(&mut self, request: u64, used: Used, account: &str) -> Verdict {
        self.told.note(request, 403);
        self.turned_away.unbegun = self.turned_away.unbegun.saturating_add(1);
        self.account_used_up(used, account)
    }

    /// What a call of an account that may not call is told.
    pub fn account_used_up(&mut self, used: Used, account: &str) -> Verdict {
        self.turned_away.account = self.turned_away.account.saturating_add(1);
        let (why, option, key, text) = match used {
            Used::Calls(cap) => (
                format!("the account {account} has {cap} calls, as many as it may at once"),
                "--calls-at-once",
                "account_calls_max",
                "Too many calls for this account",
            ),
            Used::Rate(cap) => (
                format!("the account {account} calls more often than {cap} times a minute"),
                "--calls-per-minute",
                "account_calls_per_minute",
                "This account calls too often",
            ),
            Used::Minutes(cap) => (
                format!("the account {account} has called for the {cap} minutes that it may a day"),
                "--minutes-per-day",
                "account_minutes_per_day",
                "The minutes of this account for today are used up",
            ),
        };
        Verdict {
            status: 403,
            why,
            admit: format!("raise it by 'segue subscriber set {account} {option} N', or {key} in the profile"),
            text,
        }
    }
}

impl Told {
    fn note(&mut self, request: u64, status: u16) {
        if self.order.len() >= TOLD_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        if self.known.insert(request, status).is_none() {
            self.order.push_back(request);
        }
    }
}
