//! What the rules do to a mailbox's messages now.

use std::collections::{BTreeMap, BTreeSet};

use super::{Retention, Rule, Scope, WARNING_MS};

/// A stored message as the rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The message.
    pub id: String,
    /// Whose it is: [`super::conversation`] of its caller.
    pub conversation: String,
    /// When it was received, Unix milliseconds.
    pub received_at_ms: i64,
    /// When it was heard; `None`: unheard.
    pub heard_at_ms: Option<i64>,
    /// When its owner was warned that it will go.
    pub warned_at_ms: Option<i64>,
    /// When it went to the trash; `None`: it is in the mailbox.
    pub deleted_at_ms: Option<i64>,
    /// No rule touches it.
    pub is_pinned: bool,
    /// Size of its media.
    pub bytes: u64,
    /// Playing time.
    pub duration_ms: u64,
}

impl Kept {
    /// In the mailbox and not pinned: rules count it.
    pub fn counts(&self) -> bool {
        self.deleted_at_ms.is_none() && !self.is_pinned
    }

    /// What it is counted with.
    pub(super) fn group(&self, scope: Scope) -> &str {
        match scope {
            Scope::Mailbox => "",
            Scope::Conversation => &self.conversation,
        }
    }
}

/// Something a rule demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Warn the owner: this unheard message will go.
    Warn {
        /// The message.
        id: String,
    },
    /// Put it into the trash.
    Trash(Deletion),
    /// Free it and its media.
    Free(Deletion),
}

/// An automatic deletion, as its audit tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// The message.
    pub id: String,
    /// Which rule.
    pub rule: Rule,
    /// What the rule allows: messages, bytes, seconds, or milliseconds of age.
    pub allowed: u64,
    /// What was found before this deletion, in the same unit.
    pub found: u64,
}

/// What the rules demand of one mailbox, in the order in which it is to be done.
///
/// `now_ms` is the wall clock; `None` when nobody may act on ages now: then only numbers, bytes and seconds count. An
/// unheard message is named only by [`Rule::UnheardAge`]. Applying the acts and asking again gives none.
pub fn sweep(rules: &Retention, kept: &[Kept], now_ms: Option<i64>) -> Vec<Act> {
    let mut acts = Vec::new();
    let mut gone = BTreeSet::new();
    if let Some(now_ms) = now_ms {
        ages(rules, kept, now_ms, &mut acts, &mut gone);
    }
    let mut groups: BTreeMap<&str, Vec<&Kept>> = BTreeMap::new();
    for message in kept.iter().filter(|m| m.counts() && !gone.contains(&m.id)) {
        groups.entry(message.group(rules.scope)).or_default().push(message);
    }
    for group in groups.into_values() {
        numbers(rules, &group, &mut acts);
    }
    empty_trash(rules, kept, now_ms, &mut acts);
    acts
}

/// Where a message goes when it goes.
fn delete(rules: &Retention, deletion: Deletion) -> Act {
    if rules.trash_ms == 0 {
        Act::Free(deletion)
    } else {
        Act::Trash(deletion)
    }
}

/// `None`: the moment is still to come.
fn age(now_ms: i64, since_ms: i64) -> Option<u64> {
    u64::try_from(now_ms.saturating_sub(since_ms)).ok()
}

fn ages(rules: &Retention, kept: &[Kept], now_ms: i64, acts: &mut Vec<Act>, gone: &mut BTreeSet<String>) {
    for message in kept.iter().filter(|m| m.counts()) {
        let (rule, limit, since) = match message.heard_at_ms {
            Some(heard_at_ms) => (Rule::HeardAge, rules.heard_age_ms, heard_at_ms),
            None => (Rule::UnheardAge, rules.unheard_age_ms, message.received_at_ms),
        };
        let (Some(allowed), Some(found)) = (limit, age(now_ms, since)) else {
            continue;
        };
        let id = message.id.clone();
        let warned = match (rule, message.warned_at_ms) {
            (Rule::UnheardAge, None) => {
                if found >= allowed.saturating_sub(WARNING_MS) {
                    acts.push(Act::Warn { id });
                }
                continue;
            }
            (Rule::UnheardAge, Some(warned_at_ms)) => age(now_ms, warned_at_ms).is_some_and(|ms| ms >= WARNING_MS),
            _ => true,
        };
        if warned && found >= allowed {
            gone.insert(id.clone());
            acts.push(delete(
                rules,
                Deletion {
                    id,
                    rule,
                    allowed,
                    found,
                },
            ));
        }
    }
}

/// `heard_max`, then bytes and seconds: each takes the oldest heard first and no unheard one.
fn numbers(rules: &Retention, group: &[&Kept], acts: &mut Vec<Act>) {
    let mut heard: Vec<&Kept> = group.iter().copied().filter(|m| m.heard_at_ms.is_some()).collect();
    heard.sort_by(|a, b| (a.heard_at_ms, &a.id).cmp(&(b.heard_at_ms, &b.id)));
    let mut heard = heard.into_iter();
    let mut bytes: u64 = group.iter().map(|m| m.bytes).fold(0, u64::saturating_add);
    let mut played_ms: u64 = group.iter().map(|m| m.duration_ms).fold(0, u64::saturating_add);
    loop {
        let count = heard.len() as u64;
        let seconds = played_ms.div_ceil(1000);
        let passed = [
            (Rule::HeardMax, rules.heard_max.map(u64::from), count),
            (Rule::MaxBytes, rules.max_bytes, bytes),
            (Rule::MaxSeconds, rules.max_seconds, seconds),
        ]
        .into_iter()
        .find_map(|(rule, allowed, found)| Some((rule, allowed.filter(|allowed| found > *allowed)?, found)));
        let (Some((rule, allowed, found)), Some(oldest)) = (passed, heard.next()) else {
            return;
        };
        bytes = bytes.saturating_sub(oldest.bytes);
        played_ms = played_ms.saturating_sub(oldest.duration_ms);
        acts.push(delete(
            rules,
            Deletion {
                id: oldest.id.clone(),
                rule,
                allowed,
                found,
            },
        ));
    }
}

fn empty_trash(rules: &Retention, kept: &[Kept], now_ms: Option<i64>, acts: &mut Vec<Act>) {
    for message in kept {
        let Some(deleted_at_ms) = message.deleted_at_ms else {
            continue;
        };
        let found = now_ms.and_then(|now_ms| age(now_ms, deleted_at_ms)).unwrap_or(0);
        let may = now_ms.is_some() || rules.trash_ms == 0;
        if may && found >= rules.trash_ms {
            acts.push(Act::Free(Deletion {
                id: message.id.clone(),
                rule: Rule::Trash,
                allowed: rules.trash_ms,
                found,
            }));
        }
    }
}

/// The oldest of a mailbox's messages by what ages count from, to see at a glance whether [`sweep`] has work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Due {
    /// Smallest `received_at_ms` of the unheard ones that count and were not warned of.
    pub unwarned_at_ms: Option<i64>,
    /// Smallest `received_at_ms` of those warned of.
    pub warned_received_at_ms: Option<i64>,
    /// Smallest `warned_at_ms` of them.
    pub warned_at_ms: Option<i64>,
    /// Smallest `heard_at_ms` of those that count.
    pub heard_at_ms: Option<i64>,
    /// Smallest `deleted_at_ms`.
    pub deleted_at_ms: Option<i64>,
}

impl Due {
    /// Whether an age rule may have something to do; `false` is certain.
    pub fn may_be(&self, rules: &Retention, now_ms: i64) -> bool {
        let past = |since: Option<i64>, allowed: Option<u64>| match (since, allowed) {
            (Some(since), Some(allowed)) => age(now_ms, since).is_some_and(|age| age >= allowed),
            _ => false,
        };
        let warning = rules.unheard_age_ms.map(|age| age.saturating_sub(WARNING_MS));
        past(self.unwarned_at_ms, warning)
            || past(self.warned_received_at_ms, rules.unheard_age_ms) && past(self.warned_at_ms, Some(WARNING_MS))
            || past(self.heard_at_ms, rules.heard_age_ms)
            || past(self.deleted_at_ms, Some(rules.trash_ms))
            || rules.trash_ms == 0 && self.deleted_at_ms.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60 * 1000;

    fn message(id: &str) -> Kept {
        Kept {
            id: id.to_owned(),
            conversation: "a@example.com".to_owned(),
            received_at_ms: 0,
            heard_at_ms: None,
            warned_at_ms: None,
            deleted_at_ms: None,
            is_pinned: false,
            bytes: 100,
            duration_ms: 2_000,
        }
    }

    fn heard(list: &[(i64, &str)]) -> Vec<Kept> {
        list.iter()
            .map(|(at, id)| Kept {
                heard_at_ms: Some(*at),
                ..message(id)
            })
            .collect()
    }

    /// `id rule allowed found`, with a word before where it is no move to the trash.
    fn told(acts: &[Act]) -> Vec<String> {
        let line = |d: &Deletion| format!("{} {} {} {}", d.id, d.rule.name(), d.allowed, d.found);
        acts.iter()
            .map(|act| match act {
                Act::Warn { id } => format!("warn {id}"),
                Act::Trash(d) => line(d),
                Act::Free(d) => format!("free {}", line(d)),
            })
            .collect()
    }

    fn heard_max(n: u32) -> Retention {
        Retention {
            heard_max: Some(n),
            ..Retention::default()
        }
    }

    #[test]
    fn without_a_limit_nothing_goes() {
        let mut all = heard(&[(1, "a"), (2, "b"), (3, "c")]);
        all.push(message("d"));
        assert!(sweep(&Retention::default(), &all, Some(i64::MAX)).is_empty());
    }

    #[test]
    fn at_the_limit_nothing_goes() {
        assert!(sweep(&heard_max(3), &heard(&[(1, "a"), (2, "b"), (3, "c")]), None).is_empty());
    }

    #[test]
    fn past_the_limit_the_oldest_heard_goes_whatever_the_order_given() {
        let acts = sweep(&heard_max(2), &heard(&[(30, "a"), (10, "c"), (20, "b")]), None);
        assert_eq!(told(&acts), ["c heard_max 2 3"]);
    }

    #[test]
    fn heard_in_the_same_millisecond_the_smaller_id_goes() {
        let acts = sweep(&heard_max(1), &heard(&[(5, "b"), (5, "a"), (5, "c")]), None);
        assert_eq!(told(&acts), ["a heard_max 1 3", "b heard_max 1 2"]);
    }

    #[test]
    fn a_limit_of_zero_keeps_no_heard_message() {
        let acts = sweep(&heard_max(0), &heard(&[(2, "b"), (1, "a")]), None);
        assert_eq!(told(&acts), ["a heard_max 0 2", "b heard_max 0 1"]);
    }

    #[test]
    fn unheard_ones_neither_count_for_heard_max_nor_go_by_it() {
        let mut all = heard(&[(1, "a"), (2, "b")]);
        all.extend(["u", "v", "w"].map(message));
        assert!(sweep(&heard_max(2), &all, None).is_empty());
    }

    #[test]
    fn unheard_max_deletes_nothing() {
        let rules = Retention {
            unheard_max: Some(0),
            ..Retention::default()
        };
        assert!(sweep(&rules, &["u", "v"].map(message), Some(i64::MAX)).is_empty());
    }

    #[test]
    fn pinned_and_deleted_ones_neither_count_nor_go() {
        let mut all = heard(&[(1, "pinned"), (2, "trash"), (3, "a"), (4, "b")]);
        for m in &mut all {
            m.is_pinned = m.id == "pinned";
            m.deleted_at_ms = (m.id == "trash").then_some(0);
        }
        let rules = Retention {
            max_bytes: Some(200),
            ..heard_max(2)
        };
        assert!(sweep(&rules, &all, None).is_empty());
        assert_eq!(told(&sweep(&heard_max(1), &all, None)), ["a heard_max 1 2"]);
    }

    #[test]
    fn heard_age_counts_from_the_hearing() {
        let rules = Retention {
            heard_age_ms: Some(1_000),
            ..Retention::default()
        };
        let all = heard(&[(500, "a"), (600, "b")]);
        assert!(sweep(&rules, &all, Some(1_499)).is_empty());
        assert_eq!(told(&sweep(&rules, &all, Some(1_500))), ["a heard_age 1000 1000"]);
        assert!(sweep(&rules, &all, None).is_empty(), "no clock, no ages");
        assert!(
            sweep(&rules, &all, Some(0)).is_empty(),
            "a moment still to come has no age"
        );
    }

    #[test]
    fn unheard_age_warns_seven_days_ahead_and_deletes_no_sooner_than_seven_days_after() {
        let rules = Retention {
            unheard_age_ms: Some(30 * DAY as u64),
            ..Retention::default()
        };
        let mut u = message("u");
        assert!(sweep(&rules, std::slice::from_ref(&u), Some(23 * DAY - 1)).is_empty());
        assert_eq!(
            told(&sweep(&rules, std::slice::from_ref(&u), Some(23 * DAY))),
            ["warn u"]
        );
        // The server was off for a year: the warning comes first, however old.
        assert_eq!(
            told(&sweep(&rules, std::slice::from_ref(&u), Some(400 * DAY))),
            ["warn u"]
        );
        u.warned_at_ms = Some(400 * DAY);
        assert!(sweep(&rules, std::slice::from_ref(&u), Some(407 * DAY - 1)).is_empty());
        let late = sweep(&rules, std::slice::from_ref(&u), Some(407 * DAY));
        let (allowed, found) = (30 * DAY, 407 * DAY);
        assert_eq!(told(&late), [format!("u unheard_age {allowed} {found}")]);
        // Warned long before the age: the age counts.
        u.warned_at_ms = Some(0);
        assert!(sweep(&rules, std::slice::from_ref(&u), Some(30 * DAY - 1)).is_empty());
        assert_eq!(sweep(&rules, std::slice::from_ref(&u), Some(30 * DAY)).len(), 1);
    }

    #[test]
    fn bytes_and_seconds_take_the_oldest_heard_and_never_an_unheard_one() {
        let mut all = heard(&[(2, "b"), (1, "a")]);
        all.extend(["u", "v"].map(message));
        let bytes = |max| Retention {
            max_bytes: Some(max),
            ..Retention::default()
        };
        assert!(sweep(&bytes(400), &all, None).is_empty());
        assert_eq!(told(&sweep(&bytes(399), &all, None)), ["a max_bytes 399 400"]);
        assert_eq!(
            told(&sweep(&bytes(50), &all, None)),
            ["a max_bytes 50 400", "b max_bytes 50 300"],
            "the unheard ones stay although they alone pass the limit"
        );
        let seconds = Retention {
            max_seconds: Some(6),
            ..Retention::default()
        };
        assert_eq!(told(&sweep(&seconds, &all, None)), ["a max_seconds 6 8"]);
    }

    #[test]
    fn in_conversation_scope_each_caller_has_limits_of_their_own() {
        let mut all = heard(&[(1, "a"), (2, "b"), (3, "c")]);
        if let Some(c) = all.last_mut() {
            c.conversation = "other@example.com".to_owned();
        }
        let rules = Retention {
            scope: Scope::Conversation,
            ..heard_max(1)
        };
        assert_eq!(told(&sweep(&rules, &all, None)), ["a heard_max 1 2"]);
    }

    #[test]
    fn the_trash_is_emptied_when_its_window_has_passed_and_at_zero_at_once() {
        let mut all = [message("t"), message("u")];
        if let Some(t) = all.first_mut() {
            t.deleted_at_ms = Some(1_000);
        }
        let rules = Retention {
            trash_ms: 500,
            ..Retention::default()
        };
        assert!(sweep(&rules, &all, Some(1_499)).is_empty());
        assert!(sweep(&rules, &all, None).is_empty());
        assert_eq!(told(&sweep(&rules, &all, Some(1_500))), ["free t trash 500 500"]);
        let none = Retention {
            trash_ms: 0,
            ..heard_max(0)
        };
        assert_eq!(told(&sweep(&none, &all, None)), ["free t trash 0 0"]);
        assert_eq!(
            told(&sweep(&none, &heard(&[(1, "a")]), None)),
            ["free a heard_max 0 1"],
            "without a trash what goes is freed"
        );
    }
}
