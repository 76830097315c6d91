//! Whose mailbox a caller may open: its own phone's, or the one whose number and PIN it has typed. The real check of PINs runs over the
//! real store; beside it stands what docs/mailbox.md says, plainly.

use std::{collections::BTreeMap, net::IpAddr, sync::Mutex};

use segue_b2bua::{CallKey, LogIn, Mailboxes, log_in};
use segue_call::{MailboxAction, MailboxReply};
use segue_mailbox::{ClipInfo, RenditionProfile};
use segue_policy::Pin;
use segue_sip::BackingOff;
use segue_store::NewClip;

use super::{
    setup::{PIN, USERS, name},
    world::World,
};
use crate::{
    dice::{S, Time},
    wire::Msg,
};

/// Digits are kept as they are.
struct Plain;

impl Mailboxes for Plain {
    fn keep_pin(&self, _user: &str, pin: &Pin) -> Option<Vec<u8>> {
        Some(pin.digits().as_bytes().to_vec())
    }

    fn is_pin(&self, _user: &str, kept: Option<&[u8]>, pin: &Pin) -> bool {
        kept == Some(pin.digits().as_bytes())
    }

    fn message(&self, _id: &str, _renditions: &[RenditionProfile]) -> Result<NewClip, String> {
        Err("nothing is made here".into())
    }

    fn clip_of(&self, _recording: &str) -> Result<ClipInfo, String> {
        Err("nothing is made here".into())
    }
}

/// A PIN as it must stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Gate {
    right: String,
    wrong: u32,
    locked_until_ms: i64,
}

/// The PINs, and who has guessed.
pub struct Pins {
    gates: BTreeMap<String, Gate>,
    sources: Mutex<BackingOff>,
    /// Wrong tries of a source for one name since a right one, and for all: how many, and when the last was.
    guessed: BTreeMap<(IpAddr, Option<String>), (u32, Time)>,
    /// Who a call's own phone is, where it is registered, by Call-ID.
    proven: BTreeMap<String, String>,
}

impl Pins {
    pub fn new() -> Pins {
        let gate = |user| {
            let right = PIN.to_owned();
            (
                name(user),
                Gate {
                    right,
                    ..Gate::default()
                },
            )
        };
        Pins {
            gates: (0..USERS).map(gate).collect(),
            sources: Mutex::default(),
            guessed: BTreeMap::new(),
            proven: BTreeMap::new(),
        }
    }

    /// Locks outlive the process, waits do not.
    pub fn restart(&mut self) {
        self.sources = Mutex::default();
        self.guessed.clear();
    }

    pub fn set(&mut self, user: &str, pin: &str) {
        let right = pin.to_owned();
        self.gates.insert(
            user.to_owned(),
            Gate {
                right,
                ..Gate::default()
            },
        );
    }

    pub fn unlocked(&mut self, user: &str, now_ms: i64, said_locked: bool) -> Result<&'static str, String> {
        let gate = self.gates.get_mut(user).ok_or("nobody is unlocked")?;
        let was_locked = gate.locked_until_ms > now_ms;
        (gate.wrong, gate.locked_until_ms) = (0, 0);
        match was_locked == said_locked {
            true if was_locked => Ok("a locked PIN was unlocked"),
            true => Ok("a PIN that was not locked was unlocked"),
            false => Err(format!("{user} was told that the PIN was locked: {said_locked}")),
        }
    }

    /// Whether a source has to wait: after three wrong ones for one, ten for all, a second, then twice as long. Of those for all one is
    /// forgotten each minute.
    fn waits(&self, now: Time, source: IpAddr, user: &str) -> bool {
        let of = |whom: Option<String>, free: u32| {
            let (count, last) = *self.guessed.get(&(source, whom.clone()))?;
            let faded = if whom.is_none() { (now - last) / (60 * S) } else { 0 };
            let over = u64::from(count).saturating_sub(faded).checked_sub(u64::from(free))?;
            Some(now < last + (S << over.min(6)))
        };
        of(Some(user.to_owned()), 3) == Some(true) || of(None, 10) == Some(true)
    }

    fn failed(&mut self, now: Time, source: IpAddr, user: &str) {
        for whom in [Some(user.to_owned()), None] {
            let (count, last) = self.guessed.entry((source, whom.clone())).or_insert((0, now));
            if whom.is_none() {
                *count = count.saturating_sub(u32::try_from((now - *last) / (60 * S)).expect("a short run"));
            }
            (*count, *last) = (*count + 1, now);
        }
    }
}

impl World {
    /// An INVITE for a service has come: from a phone that is registered, it is its subscriber.
    pub(super) fn comes_from(&mut self, from: std::net::SocketAddr, msg: &Msg) {
        let user = super::roll::user_of(msg.header("from").unwrap_or_default());
        let now = self.now;
        let is_here = self.roll.all(now).any(|(of, bound)| *of == user && bound.hop == from);
        if is_here {
            self.pins.proven.entry(msg.call_id().to_owned()).or_insert(user);
        }
    }

    /// Whether who calls may do that to whose mailbox it is done.
    pub(super) fn may(&self, key: CallKey, action: &MailboxAction) -> Result<(), String> {
        let user = match action {
            MailboxAction::SetDnd { user, .. }
            | MailboxAction::Open { user }
            | MailboxAction::MakeClip { user, .. }
            | MailboxAction::UseGreeting { user, .. }
            | MailboxAction::UseClip { user, .. }
            | MailboxAction::SetPin { user, .. } => user.clone(),
            MailboxAction::Heard { message_id }
            | MailboxAction::Played { message_id, .. }
            | MailboxAction::Keep { message_id }
            | MailboxAction::Delete { message_id }
            | MailboxAction::Prepare { message_id, .. } => match self.desk.shelf.owner(message_id) {
                Some(owner) => owner,
                None => return Err(format!("{action:?} of a message that never was")),
            },
            MailboxAction::Voice { .. } | MailboxAction::LogIn { .. } => return Ok(()),
        };
        let proven = self.keys.get(&key).and_then(|call_id| self.pins.proven.get(call_id));
        let logged_in = self.visits.get(&key).and_then(|visit| visit.logged_in.as_ref());
        match proven == Some(&user) || logged_in == Some(&user) {
            true => Ok(()),
            false => Err(format!("{action:?} by a caller who has not proven to be {user}")),
        }
    }

    /// Somebody has typed a number and a PIN.
    pub(super) fn log_in(
        &mut self,
        key: CallKey,
        said: &str,
        pin: &Pin,
        source: IpAddr,
    ) -> Result<MailboxReply, String> {
        let (now, at) = (self.now, self.instant());
        let visit = self.visits.entry(key).or_default();
        let typed: String = visit.pressed.chars().filter(char::is_ascii_digit).collect();
        if !typed.contains(&format!("{said}{}", pin.digits())) {
            return Err(format!(
                "{said} and {} were never typed: {}",
                pin.digits(),
                visit.pressed
            ));
        }
        if visit.logged_in.is_some() || visit.wrong >= 3 {
            return Err(format!("another PIN in a call after {} wrong ones", visit.wrong));
        }
        let waits = self.pins.waits(now, source, said);
        let gate = self.pins.gates.get_mut(said);
        let is_locked = gate.as_ref().is_some_and(|gate| gate.locked_until_ms > at.wall.0);
        let is_right = gate.as_ref().is_some_and(|gate| gate.right == pin.digits());
        let counts = gate.is_some() && !waits && !is_locked;
        let mut locks = false;
        if let Some(gate) = gate.filter(|_| counts) {
            match is_right {
                true => (gate.wrong, gate.locked_until_ms) = (0, 0),
                false => gate.wrong += 1,
            }
            if gate.wrong >= 5 {
                locks = true;
                gate.locked_until_ms = at.wall.0 + (60_000 << (gate.wrong - 5));
            }
        }
        let gets_in = counts && is_right;
        match gets_in {
            true => drop(self.pins.guessed.remove(&(source, Some(said.to_owned())))),
            false if !waits => self.pins.failed(now, source, said),
            false => {}
        }

        let asked = LogIn {
            said,
            pin,
            source,
            profile: &self.setup.profile,
            now_ms: at.wall.0,
            now: at.mono,
        };
        let done = log_in(&self.desk.store, &Plain, &self.pins.sources, &asked);
        let (user, locked) = done.map_err(|error| error.to_string())?;
        let visit = self.visits.entry(key).or_default();
        visit.logged_in.clone_from(&user);
        visit.wrong += u32::from(user.is_none());
        if user.is_some() != gets_in || user.as_ref().is_some_and(|user| user != said) {
            return Err(format!(
                "{said} with {}: {user:?} got in, and must: {gets_in} (locked {is_locked}, waits {waits})",
                pin.digits()
            ));
        }
        if locked.is_some() != locks {
            return Err(format!("{said} was told of as locked: {locked:?}, and must: {locks}"));
        }
        if let Some(gate) = self.pins.gates.get(said) {
            let kept = self.desk.store.pin(said).expect("a PIN").ok_or("a PIN is lost")?;
            if (kept.wrong, kept.locked_until_ms) != (gate.wrong, gate.locked_until_ms) {
                return Err(format!("the PIN of {said} stands at {kept:?}, and must at {gate:?}"));
            }
        }
        self.mark(match (gets_in, is_locked, waits, locks) {
            (true, ..) => "PIN: right",
            (_, true, _, _) if is_right => "PIN: right, and locked",
            (_, true, ..) => "PIN: locked",
            (_, _, true, _) => "PIN: its source has to wait",
            (.., true) => "PIN: wrong, and locks",
            _ => "PIN: wrong",
        });
        Ok(match user {
            Some(user) => MailboxReply::LoggedIn { user },
            None => MailboxReply::NotLoggedIn,
        })
    }
}
