//! Message waiting indication (RFC 3842): who is told how many messages a subscriber has, and when.
//!
//! Pure: [`Waiting`] says what is to be sent, its user sends it in a dialog or to a contact and says what came of that. What is told
//! is always the newest state: while a NOTIFY waits for its answer, or the next one would come too soon, changes are gathered.

mod asked;
mod listener;
mod summary;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

pub use asked::{Asked, PACKAGE};
use listener::{Gone, Listener};
pub use summary::{Count, Summary};

use crate::Refused;

/// Bounds of subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingLimits {
    /// Subscriptions to one mailbox.
    pub each_max: usize,
    /// All that are told, by subscription or without.
    pub total_max: usize,
    /// The shortest subscription, seconds: a shorter one is refused with 423.
    pub expires_min_s: u32,
    /// How long one lasts that names no time, seconds (RFC 3842 §3.4).
    pub expires_default_s: u32,
    /// The longest, seconds: a longer one is shortened.
    pub expires_max_s: u32,
    /// From one NOTIFY to the next of the same (RFC 3842 §3.11).
    pub apart: Duration,
}

impl Default for WaitingLimits {
    /// 20 of each mailbox, 100,000 in all; 60 s to 15 min; a second apart.
    ///
    /// Subscriptions end with the process, and nobody tells the phone: it is without news until it subscribes again. So none lasts long.
    fn default() -> WaitingLimits {
        WaitingLimits {
            each_max: 20,
            total_max: 100_000,
            expires_min_s: 60,
            expires_default_s: 900,
            expires_max_s: 900,
            apart: Duration::from_secs(1),
        }
    }
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// Who has subscribed, by the number of its dialog.
    Dialog(u64),
    /// A registered contact of a subscriber that did not ask.
    Contact(String, String),
}

/// Where a subscription stands (RFC 6665 §4.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It lasts so many seconds more.
    Active(u32),
    /// It is over; this is the last NOTIFY.
    Terminated(&'static str),
}

impl State {
    /// As Subscription-State says it.
    pub fn to_header(self) -> String {
        match self {
            State::Active(left) => format!("active;expires={left}"),
            State::Terminated(reason) => format!("terminated;reason={reason}"),
        }
    }
}

/// A NOTIFY to send. What came of it: [`Waiting::answered`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// To whom.
    pub to: Told,
    /// Event, as it was asked for.
    pub event: String,
    /// Subscription-State.
    pub state: State,
    /// Whose messages, for Message-Account.
    pub account: String,
    /// How many; `None`: nobody knows that yet.
    pub summary: Option<Summary>,
}

/// All who are told.
#[derive(Debug)]
pub struct Waiting {
    limits: WaitingLimits,
    all: BTreeMap<Told, Listener>,
    of_user: BTreeMap<String, BTreeSet<Told>>,
    /// When each is to be looked at.
    due: BTreeSet<(Instant, Told)>,
}

impl Waiting {
    /// Nobody is told.
    pub fn new(limits: WaitingLimits) -> Waiting {
        Waiting {
            limits,
            all: BTreeMap::new(),
            of_user: BTreeMap::new(),
            due: BTreeSet::new(),
        }
    }

    /// For how long a SUBSCRIBE to a subscriber's messages is accepted, seconds; 0: state is told once (RFC 6665 §4.4.3).
    ///
    /// # Errors
    /// 423 for one that is too short; 403 and 503 where there are too many.
    pub fn admit(&self, user: &str, asked: &Asked) -> Result<u32, Refused> {
        let lasts = self.lasts(asked.expires_s)?;
        let others = self.of_user.get(user).into_iter().flatten();
        let lasting = others.filter(|told| match (told, self.all.get(told)) {
            (Told::Dialog(_), Some(other)) => !other.is_same_phone(asked),
            _ => false,
        });
        if lasting.count() >= self.limits.each_max {
            let why = format!(
                "There are {} subscriptions to it, as many as there may be",
                self.limits.each_max
            );
            return Err(Refused::new(403, why).with("Warning", "399 segue \"Too many subscriptions\"".to_owned()));
        }
        if self.all.len() >= self.limits.total_max {
            let why = format!("{} are told, as many as may be", self.limits.total_max);
            return Err(Refused::new(503, why).with("Retry-After", "60".to_owned()));
        }
        Ok(lasts)
    }

    /// The same for one that goes on.
    ///
    /// # Errors
    /// 423 for one that is too short.
    pub fn lasts(&self, expires_s: Option<u32>) -> Result<u32, Refused> {
        let wanted = expires_s.unwrap_or(self.limits.expires_default_s);
        if (1..self.limits.expires_min_s).contains(&wanted) {
            let why = format!("a subscription lasts {} s at least", self.limits.expires_min_s);
            return Err(Refused::new(423, why).with("Min-Expires", self.limits.expires_min_s.to_string()));
        }
        Ok(wanted.min(self.limits.expires_max_s))
    }

    /// An accepted subscription. It is told as soon as the state is known ([`Waiting::know`]). Dialogs of the same phone that it has
    /// left behind are over; who they are.
    pub fn subscribe(
        &mut self,
        now: Instant,
        dialog: u64,
        (user, account): (&str, String),
        asked: &Asked,
        lasts_s: u32,
    ) -> Vec<u64> {
        let left: Vec<Told> = self.of_user.get(user).into_iter().flatten().cloned().collect();
        let left = left.into_iter().filter(|told| {
            let is_left = |other: &Listener| lasts_s > 0 && other.is_same_phone(asked);
            matches!(told, Told::Dialog(_)) && self.all.get(told).is_some_and(is_left)
        });
        let left: Vec<Told> = left.collect();
        for told in &left {
            self.remove(told);
        }
        let mut listener = Listener::new(user, account, asked.event.clone(), now);
        listener.contact.clone_from(&asked.contact);
        listener.last(now, lasts_s);
        self.put(Told::Dialog(dialog), listener);
        let number = |told| match told {
            Told::Dialog(number) => Some(number),
            Told::Contact(..) => None,
        };
        left.into_iter().filter_map(number).collect()
    }

    /// A subscription goes on for so long, or ends (0). False: there is none.
    pub fn refresh(&mut self, now: Instant, dialog: u64, lasts_s: u32) -> bool {
        self.with(&Told::Dialog(dialog), |listener| {
            listener.is_fresh = true;
            listener.last(now, lasts_s);
        })
    }

    /// Whose messages a subscription is for.
    pub fn user_of(&self, dialog: u64) -> Option<&str> {
        let listener = self.all.get(&Told::Dialog(dialog));
        listener
            .filter(|listener| listener.gone.is_none())
            .map(|listener| listener.user.as_str())
    }

    /// Whether anybody is told of a subscriber's messages.
    pub fn has(&self, user: &str) -> bool {
        self.of_user.contains_key(user)
    }

    /// A contact is told without having asked, from now on; at once, whatever it knows, with `is_new`. One that has subscribed is not.
    pub fn tell_contact(&mut self, now: Instant, (user, account): (&str, String), contact: &str, is_new: bool) {
        let told = Told::Contact(user.to_owned(), contact.to_owned());
        let others = self.of_user.get(user).into_iter().flatten();
        let mut others = others.filter_map(|other| Some((other, self.all.get(other)?)));
        let has_asked = |other: &Told, listener: &Listener| {
            matches!(other, Told::Dialog(_)) && listener.gone.is_none() && listener.contact == contact
        };
        if others.any(|(other, listener)| has_asked(other, listener)) {
            return self.remove(&told);
        }
        let is_known = self.with(&told, |listener| {
            listener.is_fresh |= is_new;
            listener.is_deaf &= !is_new;
        });
        if !is_known && self.all.len() < self.limits.total_max {
            let mut listener = Listener::new(user, account, PACKAGE.to_owned(), now);
            contact.clone_into(&mut listener.contact);
            self.put(told, listener);
        }
    }

    /// A contact is registered no more.
    pub fn forget_contact(&mut self, user: &str, contact: &str) {
        self.remove(&Told::Contact(user.to_owned(), contact.to_owned()));
    }

    /// The committed state of a subscriber's mailbox.
    pub fn know(&mut self, now: Instant, user: &str, summary: Summary) {
        let all: Vec<Told> = self.of_user.get(user).into_iter().flatten().cloned().collect();
        for told in all {
            self.with(&told, |listener| listener.know(now, summary));
        }
    }

    /// There is no such subscriber any more.
    pub fn end(&mut self, user: &str) {
        let all: Vec<Told> = self.of_user.get(user).into_iter().flatten().cloned().collect();
        for told in all {
            match told {
                Told::Dialog(_) => drop(self.with(&told, |listener| listener.gone = Some(Gone::noresource()))),
                Told::Contact(..) => self.remove(&told),
            }
        }
    }

    /// The process ends: who has subscribed is told so, and that it may try again soon (RFC 6665 §4.1.3).
    pub fn close(&mut self) {
        let all: Vec<Told> = self.all.keys().cloned().collect();
        for told in all {
            match told {
                Told::Dialog(_) => drop(self.with(&told, |listener| listener.close())),
                Told::Contact(..) => self.remove(&told),
            }
        }
    }

    /// All subscribers whose messages somebody is told of.
    pub fn users(&self) -> impl Iterator<Item = &String> {
        self.of_user.keys()
    }

    /// The next NOTIFY. It counts as sent.
    pub fn poll(&mut self, now: Instant) -> Option<Notice> {
        while let Some((_, told)) = self.due.first().filter(|(at, _)| *at <= now).cloned() {
            let apart = self.limits.apart;
            let mut notice = None;
            self.with(&told, |listener| notice = listener.notice(now, apart));
            if let Some((state, summary)) = notice {
                let listener = self.all.get(&told)?;
                return Some(Notice {
                    event: listener.event.clone(),
                    account: listener.account.clone(),
                    state,
                    summary,
                    to: told,
                });
            }
        }
        None
    }

    /// The final response to a NOTIFY with its Retry-After, or that there was none. False: its subscription is over.
    ///
    /// "If the NOTIFY request fails … the notifier MUST remove the corresponding subscription", unless it is told when to try again
    /// (RFC 6665 §4.2.2).
    pub fn answered(&mut self, now: Instant, to: &Told, status: Option<u16>, retry_after: Option<Duration>) -> bool {
        let Some(listener) = self.all.get(to) else { return false };
        let is_good = status.is_some_and(|status| (200..300).contains(&status));
        let is_over = listener.has_said_all || !is_good && retry_after.is_none();
        match to {
            Told::Dialog(_) if is_over => {
                self.remove(to);
                false
            }
            _ => self.with(to, |listener| listener.answered(now, is_good, status, retry_after)),
        }
    }

    /// When [`Waiting::poll`] may have something.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// How many are told.
    pub fn total(&self) -> usize {
        self.all.len()
    }

    /// How many of them by subscription.
    pub fn subscriptions(&self) -> usize {
        self.all.keys().filter(|told| matches!(told, Told::Dialog(_))).count()
    }

    /// Changes one, and keeps the index true. False: there is no such.
    fn with(&mut self, told: &Told, change: impl FnOnce(&mut Listener)) -> bool {
        let Some(mut listener) = self.all.remove(told) else {
            return false;
        };
        if let Some(at) = listener.due() {
            self.due.remove(&(at, told.clone()));
        }
        change(&mut listener);
        if let Some(at) = listener.due() {
            self.due.insert((at, told.clone()));
        }
        self.all.insert(told.clone(), listener);
        true
    }

    fn put(&mut self, told: Told, listener: Listener) {
        self.remove(&told);
        if let Some(at) = listener.due() {
            self.due.insert((at, told.clone()));
        }
        let of_user = self.of_user.entry(listener.user.clone()).or_default();
        of_user.insert(told.clone());
        self.all.insert(told, listener);
    }

    fn remove(&mut self, told: &Told) {
        let Some(listener) = self.all.remove(told) else { return };
        if let Some(at) = listener.due() {
            self.due.remove(&(at, told.clone()));
        }
        if let Some(of_user) = self.of_user.get_mut(&listener.user) {
            of_user.remove(told);
            if of_user.is_empty() {
                self.of_user.remove(&listener.user);
            }
        }
    }
}
