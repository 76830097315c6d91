//! Subscribers who are in a call, made or taken, and are busy to the next caller where they say so (`busy_at`).

use std::collections::{BTreeMap, BTreeSet};

use segue_call::Engages;
use segue_policy::Plan;

use super::{CallKey, Shard};
use crate::entry::Entry;

/// Who of the subscribers is in a call.
#[derive(Debug, Default)]
pub(crate) struct Engaged {
    /// Who makes it, as far as that is proven.
    caller: Option<String>,
    /// Who is called: a subscriber, or a group and its members.
    callees: BTreeSet<String>,
    /// Whose a contact is that is called.
    pub whose: BTreeMap<String, String>,
}

/// Why a callee is not to be called.
#[derive(Debug, Default)]
pub(super) struct Busy {
    /// The callee is in so many calls.
    callee: Option<u32>,
    /// Members of a group who are, with their calls.
    pub members: BTreeMap<String, u32>,
}

impl Busy {
    /// In how many calls a callee is of whom nobody is left to be called.
    pub fn for_all(&self, plan: &Plan) -> Option<u32> {
        let members = self.members.values().min().copied();
        self.callee.or(members.filter(|_| plan.unregistered))
    }
}

impl Shard {
    /// Whether a call's callee is busy. Emergency calls are not concerned, nor callers whom a rule puts through whatever is so.
    pub(super) fn busy(&self, key: CallKey, plan: &Plan) -> Busy {
        let Some(entry) = self.calls.get(&key).filter(|entry| entry.emergency.is_none()) else {
            return Busy::default();
        };
        if !plan.rings_callee() || plan.decided.rings_anyhow {
            return Busy::default();
        }
        let is_busy = |user: &str, busy_at: Option<u32>| {
            let calls = busy_at.map_or(0, |_| self.calls_of(user, key));
            busy_at.is_some_and(|busy_at| calls >= busy_at).then_some(calls)
        };
        let holds = |user: &str| self.directory.account(user).0.at(&entry.profile).busy_at;
        let members = self.directory.members(&plan.mailbox);
        // As many may call a group as it has members, unless it says so itself.
        let callee = match members {
            [] => holds(&plan.mailbox),
            _ => self.directory.account(&plan.mailbox).0.busy_at.filter(|at| *at > 0),
        };
        let member = |user: &String| Some((user.clone(), is_busy(user, holds(user))?));
        Busy {
            callee: is_busy(&plan.mailbox, callee),
            members: members.iter().filter_map(member).collect(),
        }
    }

    /// In how many calls a subscriber is beside this one.
    fn calls_of(&self, user: &str, but: CallKey) -> u32 {
        let all = self.engaged.get(user).into_iter().flatten().filter(|key| **key != but);
        let count = all
            .filter(|key| self.calls.get(key).is_some_and(|entry| entry.engages(user)))
            .count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// It is known who makes a call.
    pub(super) fn engage_caller(&mut self, key: CallKey, caller: Option<String>) {
        if let (Some(caller), Some(entry)) = (caller, self.calls.get_mut(&key)) {
            entry.engaged.caller = Some(caller.clone());
            self.engaged.entry(caller).or_default().insert(key);
        }
    }

    /// It is known whom a call rings.
    pub(super) fn engage_callees(&mut self, key: CallKey, plan: &Plan) {
        let Some(entry) = self.calls.get_mut(&key) else { return };
        // Who calls from its mailbox calls one after the other.
        let before = std::mem::take(&mut entry.engaged.callees);
        forget(
            &mut self.engaged,
            key,
            before.iter().filter(|user| entry.engaged.caller.as_ref() != Some(user)),
        );
        let members = self.directory.members(&plan.mailbox).iter().cloned();
        // Of a group those ring who are reached.
        let whose = &entry.engaged.whose;
        let members = members.filter(|member| whose.values().any(|one| one == member));
        entry.engaged.callees = std::iter::once(plan.mailbox.clone()).chain(members).collect();
        for user in &entry.engaged.callees {
            self.engaged.entry(user.clone()).or_default().insert(key);
        }
    }

    /// A call has ended.
    pub(super) fn disengage(&mut self, key: CallKey, engaged: &Engaged) {
        forget(&mut self.engaged, key, engaged.caller.iter().chain(&engaged.callees));
    }
}

/// A call is none of these subscribers' any more.
fn forget<'a>(all: &mut BTreeMap<String, BTreeSet<CallKey>>, key: CallKey, users: impl Iterator<Item = &'a String>) {
    for user in users {
        if let Some(calls) = all.get_mut(user) {
            calls.remove(&key);
            if calls.is_empty() {
                all.remove(user);
            }
        }
    }
}

impl Entry {
    /// Whether a subscriber is in this call now.
    fn engages(&self, user: &str) -> bool {
        let Engaged { caller, callees, whose } = &self.engaged;
        if caller.as_deref() == Some(user) && self.call.has_caller() {
            return true;
        }
        callees.contains(user)
            && match self.call.engages() {
                Engages::Nobody => false,
                Engages::All => true,
                // Of a group only who has taken it; the group is in the call all the same.
                Engages::At(target) => {
                    self.mailbox.as_deref() == Some(user)
                        || whose.get(&target.to_string()).is_none_or(|one| one == user)
                }
            }
    }
}
