//! Where a subscriber is reached ("Several targets" in docs/cli.md).

use segue_policy::{Profile, Ring, Subscriber, TargetBy, check_targets};
use segue_store::StoreError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Access, Refusal, Scope, access::bound::may_send, written};

/// A place where a subscriber is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TargetView {
    /// Its place, 1 for the first: in order the first is called first.
    pub place: usize,
    /// A SIP URI, `tel:` and a number, `registered` or `as-called`.
    pub uri: String,
}

/// Where a subscriber is reached, and how several places ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TargetsView {
    /// In their order.
    pub targets: Vec<TargetView>,
    /// `together` or `in-order`.
    #[schema(value_type = String)]
    pub ring: Ring,
    /// How long each rings in order, milliseconds; `null`: 15 s.
    pub ring_ms: Option<u64>,
    /// By what they are reached: `host` or `next-hop`.
    #[schema(value_type = String)]
    pub target_by: TargetBy,
}

impl From<&Subscriber> for TargetsView {
    fn from(subscriber: &Subscriber) -> TargetsView {
        let targets = (1..).zip(&subscriber.targets);
        TargetsView {
            targets: targets
                .map(|(place, uri)| TargetView {
                    place,
                    uri: uri.clone(),
                })
                .collect(),
            ring: subscriber.ring,
            ring_ms: subscriber.ring_ms,
            target_by: subscriber.target_by,
        }
    }
}

/// A target that is to be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetGiven {
    /// A SIP URI, `tel:` and a number, or `registered`.
    pub uri: String,
    /// Its place, 1 for the first; absent: the last.
    pub place: Option<usize>,
}

/// Whether a subscriber can be reached so.
pub(crate) fn check(targets: &[String]) -> Result<(), Refusal> {
    let wrong = |why| Refusal::invalid("targets", why);
    for target in targets {
        written::target(target).map_err(wrong)?;
    }
    check_targets(targets).map_err(|why| wrong(why.to_string()))
}

/// Whether a subscriber may set these themselves: what is new among them is bound (`bound.rs`).
pub(crate) fn may_have(before: &Subscriber, targets: &[String], profiles: &[Profile]) -> Result<(), Refusal> {
    let new = targets.iter().filter(|target| !before.targets.contains(target));
    let mut refused = new.filter_map(|target| may_send(before, target, profiles).err());
    match refused.next() {
        Some(why) => Err(Refusal::invalid("targets", why)),
        None => Ok(()),
    }
}

/// They are reached there from now on. `own`: they say so themselves; what was there before stays whose it is.
pub(crate) fn set(subscriber: &mut Subscriber, targets: Vec<String>, own: bool) {
    let before = std::mem::replace(&mut subscriber.targets, targets);
    let is_own = |target: &&String| match before.contains(target) {
        true => subscriber.own_targets.contains(target),
        false => own,
    };
    subscriber.own_targets = subscriber.targets.iter().filter(is_own).cloned().collect();
}

fn no_target(place: usize) -> StoreError {
    StoreError::NotFound {
        what: "target",
        name: place.to_string(),
    }
}

fn take(targets: &mut Vec<String>, place: usize) -> Result<String, Refusal> {
    match place.checked_sub(1) {
        Some(at) if at < targets.len() => Ok(targets.remove(at)),
        _ => Err(no_target(place).into()),
    }
}

fn put(targets: &mut Vec<String>, place: usize, uri: String) -> Result<(), Refusal> {
    let last = targets.len().saturating_add(1);
    if place == 0 || place > last {
        return Err(Refusal::invalid("place", format!("it is 1 to {last}")));
    }
    targets.insert(place.saturating_sub(1), uri);
    Ok(())
}

impl Access {
    /// Where a subscriber is reached.
    pub fn targets(&self, user: &str) -> Result<TargetsView, Refusal> {
        self.need(Scope::SettingsRead)?;
        self.owned_user(user)?;
        Ok((&self.store().subscriber(user)?).into())
    }

    /// The target in this place, counted from 1.
    pub fn target(&self, user: &str, place: usize) -> Result<TargetView, Refusal> {
        let all = self.targets(user)?.targets.into_iter();
        let mut found = all.filter(|target| target.place == place);
        found.next().ok_or_else(|| no_target(place).into())
    }

    /// Adds a target.
    ///
    /// # Errors
    /// It is none; a subscriber may not be reached there of their own accord; there are too many; [`Refusal::Changed`].
    pub fn add_target(
        &self,
        user: &str,
        given: TargetGiven,
        profiles: &[Profile],
        is_as_seen: impl FnOnce(&TargetsView) -> bool + Send + 'static,
    ) -> Result<TargetsView, Refusal> {
        written::target(&given.uri).map_err(|why| Refusal::invalid("uri", why))?;
        let detail = given.uri.clone();
        self.change_targets(user, ("target.add", detail), profiles, is_as_seen, |targets| {
            let place = given.place.unwrap_or_else(|| targets.len().saturating_add(1));
            put(targets, place, given.uri)
        })
    }

    /// Gives a target another place: in order the first is called first.
    pub fn move_target(
        &self,
        user: &str,
        place: usize,
        to: usize,
        is_as_seen: impl FnOnce(&TargetsView) -> bool + Send + 'static,
    ) -> Result<TargetsView, Refusal> {
        let deed = ("target.move", format!("{place} to {to}"));
        self.change_targets(user, deed, &[], is_as_seen, |targets| {
            let uri = take(targets, place)?;
            put(targets, to, uri)
        })
    }

    /// Removes a target; the last one stays.
    pub fn remove_target(
        &self,
        user: &str,
        place: usize,
        is_as_seen: impl FnOnce(&TargetsView) -> bool + Send + 'static,
    ) -> Result<TargetsView, Refusal> {
        let deed = ("target.remove", place.to_string());
        self.change_targets(user, deed, &[], is_as_seen, |targets| take(targets, place).map(drop))
    }

    /// What is checked is what is changed: the targets are compared once more in the transaction.
    fn change_targets(
        &self,
        user: &str,
        (what, detail): (&str, String),
        profiles: &[Profile],
        is_as_seen: impl FnOnce(&TargetsView) -> bool + Send + 'static,
        change: impl FnOnce(&mut Vec<String>) -> Result<(), Refusal>,
    ) -> Result<TargetsView, Refusal> {
        self.may_change_settings(user)?;
        let before = self.store().subscriber(user)?;
        let mut targets = before.targets.clone();
        change(&mut targets)?;
        check(&targets)?;
        if self.own_name().is_some() {
            may_have(&before, &targets, profiles)?;
        }
        let own = self.own_name().is_some();
        let acting = self.acting_so(what, user, user, detail);
        let changed = acting.try_change_subscriber(user, move |now| {
            if now.targets != before.targets || !is_as_seen(&TargetsView::from(&*now)) {
                return Err(StoreError::Changed);
            }
            set(now, targets, own);
            Ok(())
        });
        Ok((&changed?.0).into())
    }
}
