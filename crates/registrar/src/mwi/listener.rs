//! One who is told: what it knows, what it is still to hear, and when.

use std::time::{Duration, Instant};

use super::{Asked, State, Summary};

/// Why a subscription is over, and since when that is to be said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gone {
    reason: &'static str,
    /// It is said once the state is known that it is said with.
    waits: bool,
}

impl Gone {
    pub(super) fn noresource() -> Gone {
        Gone {
            reason: "noresource",
            waits: false,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Listener {
    pub user: String,
    pub account: String,
    /// Event, as it was asked for.
    pub event: String,
    /// Where it is, as it says.
    pub contact: String,
    /// Until when; `None`: as long as its contact is registered.
    until: Option<Instant>,
    pub gone: Option<Gone>,
    /// It is to be told the state of now, whatever it knows, and that is asked for.
    pub is_fresh: bool,
    /// It has refused what it had not asked for: it is left alone until it registers again.
    pub is_deaf: bool,
    /// The newest state.
    known: Option<Summary>,
    /// The state that it was told last.
    told: Option<Summary>,
    /// When it is to be told; `None`: it knows all.
    wants: Option<Instant>,
    /// A NOTIFY is on its way.
    is_asked: bool,
    /// It was told that all is over.
    pub has_said_all: bool,
    /// Not before this.
    not_before: Instant,
    since: Instant,
}

impl Listener {
    pub(super) fn new(user: &str, account: String, event: String, now: Instant) -> Listener {
        Listener {
            user: user.to_owned(),
            account,
            event,
            contact: String::new(),
            until: None,
            gone: None,
            is_fresh: true,
            is_deaf: false,
            known: None,
            told: None,
            wants: None,
            is_asked: false,
            has_said_all: false,
            not_before: now,
            since: now,
        }
    }

    /// A phone that has been restarted subscribes anew from the same place: nobody hears its old dialog.
    pub(super) fn is_same_phone(&self, asked: &Asked) -> bool {
        self.until.is_some() && self.gone.is_none() && self.contact == asked.contact && self.event == asked.event
    }

    /// It lasts so long, or ends as soon as the state is known.
    pub(super) fn last(&mut self, now: Instant, seconds: u32) {
        let until = now.checked_add(Duration::from_secs(seconds.into())).unwrap_or(now);
        self.until = Some(until);
        if seconds == 0 {
            self.gone = Some(Gone {
                reason: "timeout",
                waits: true,
            });
        }
    }

    /// Nobody tells it anything later: now or never.
    pub(super) fn close(&mut self) {
        self.gone = Some(Gone {
            reason: "probation;retry-after=5",
            waits: false,
        });
        self.not_before = self.since;
    }

    pub(super) fn know(&mut self, now: Instant, summary: Summary) {
        self.known = Some(summary);
        if let Some(gone) = &mut self.gone {
            gone.waits = false;
        }
        if std::mem::take(&mut self.is_fresh) {
            // What it has asked for it gets at once.
            (self.told, self.not_before) = (None, self.not_before.min(now));
        }
        if self.told == Some(summary) {
            self.wants = None;
        } else if self.wants.is_none() {
            self.wants = Some(now);
        }
    }

    /// When there may be something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.is_asked || self.is_deaf || self.has_said_all {
            return None;
        }
        match (self.gone, self.until) {
            (Some(gone), until) if !gone.waits => {
                until.map(|until| until.min(self.not_before)).or(Some(self.not_before))
            }
            // Nobody waits for ever for the state to be known.
            (Some(_), until) => until.and_then(|until| until.checked_add(PATIENCE)),
            (None, until) => {
                let next = self.wants.map(|at| at.max(self.not_before));
                next.into_iter().chain(until).min()
            }
        }
    }

    /// What it is told now.
    pub(super) fn notice(&mut self, now: Instant, apart: Duration) -> Option<(State, Option<Summary>)> {
        if self.due().is_none_or(|due| due > now) {
            return None;
        }
        if self.gone.is_none() && self.until.is_some_and(|until| until <= now) {
            self.gone = Some(Gone {
                reason: "timeout",
                waits: false,
            });
        }
        let state = match (self.gone, self.until) {
            (Some(gone), _) => State::Terminated(gone.reason),
            (None, Some(until)) => {
                let left = until.saturating_duration_since(now).as_millis().div_ceil(1_000);
                State::Active(u32::try_from(left).unwrap_or(u32::MAX))
            }
            // Nobody has subscribed.
            (None, None) => State::Terminated("noresource"),
        };
        self.has_said_all = self.gone.is_some();
        (self.told, self.wants, self.is_asked) = (self.known, None, true);
        self.not_before = now.checked_add(apart).unwrap_or(now);
        Some((state, self.known))
    }

    pub(super) fn answered(&mut self, now: Instant, is_good: bool, status: Option<u16>, retry_after: Option<Duration>) {
        self.is_asked = false;
        if is_good {
            return;
        }
        if self.until.is_none() && retry_after.is_none() {
            // It does not take what it did not ask for, or is away.
            self.is_deaf = status.is_some();
            return;
        }
        let wait = retry_after
            .unwrap_or(PATIENCE)
            .clamp(Duration::from_secs(1), LONGEST_WAIT);
        self.not_before = now.checked_add(wait).unwrap_or(now).max(self.not_before);
        self.told = None;
        self.wants = Some(now);
    }
}

/// How long the end of a subscription waits for the state that it is told with.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest that a phone may put off a NOTIFY.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
