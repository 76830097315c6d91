//! What only time brings: age rules, the trash's window, and what they will do.

use std::collections::BTreeMap;

use rusqlite::{Row, params};
use segue_mailbox::{Act, Deletion, Due, OwnRules, Retention, Rule, WARNING_MS, sweep};

use super::{
    enforce::{Enforced, enforce_some, kept},
    rules,
};
use crate::{GONE_MS, Store, StoreError, now_ms};

/// Acts in one transaction, so that no other write waits long.
const ACTS_MAX: usize = 200;

/// Rows of the audit are kept this long, milliseconds.
const AUDIT_MS: i64 = 365 * 24 * 60 * 60 * 1000;

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunReport {
    /// Messages that went to the trash, or for good where there is none.
    pub evicted: Vec<String>,
    /// Messages freed from the trash.
    pub freed: Vec<String>,
    /// Messages whose owner has been warned.
    pub warned: Vec<String>,
}

impl RunReport {
    /// Nothing was to be done.
    pub fn is_empty(&self) -> bool {
        self.evicted.is_empty() && self.freed.is_empty() && self.warned.is_empty()
    }

    fn add(&mut self, done: Enforced) {
        self.evicted.extend(done.evicted);
        self.freed.extend(done.freed);
        self.warned.extend(done.warned);
    }
}

/// One automatic deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Rises by one or more with each row.
    pub id: i64,
    /// When, Unix milliseconds.
    pub at_ms: i64,
    /// Whose mailbox.
    pub mailbox: String,
    /// Whose messages were counted together; `None`: all of the mailbox.
    pub conversation: Option<String>,
    /// The message.
    pub message: String,
    /// The rule's name.
    pub rule: String,
    /// What it allows: messages, bytes, seconds, or milliseconds of age.
    pub allowed: u64,
    /// What was found before this deletion, in the same unit.
    pub found: u64,
    /// When the message was received.
    pub received_at_ms: i64,
    /// When it was heard.
    pub heard_at_ms: Option<i64>,
    /// When its owner was warned.
    pub warned_at_ms: Option<i64>,
    /// When it had gone to the trash: then this row tells that it was freed.
    pub deleted_at_ms: Option<i64>,
    /// Size of its media.
    pub bytes: u64,
    /// Its playing time.
    pub duration_ms: u64,
}

/// What the rules hold for one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreseen {
    /// The message.
    pub id: String,
    /// What is to come.
    pub fate: Fate,
}

/// What is to come for a message, as long as nothing changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// A run now deletes it.
    Deleted(Deletion),
    /// A run now frees it from the trash.
    Freed(Deletion),
    /// A run now warns its owner.
    Warned,
    /// It goes then by this rule.
    Later {
        /// When, Unix milliseconds.
        at_ms: i64,
        /// Which rule.
        rule: Rule,
    },
    /// No rule takes it for its age.
    Kept,
    /// No rule takes it at all.
    Pinned,
}

impl Store {
    /// Applies the rules of one mailbox, or of all where an age has come, at the wall clock `now_ms`; in transactions of
    /// at most 200 messages each. Whoever calls this vouches for the clock.
    pub fn run_retention(&self, mailbox: Option<&str>, now_ms: i64) -> Result<RunReport, StoreError> {
        let mut report = RunReport::default();
        for mailbox in match mailbox {
            Some(mailbox) => vec![mailbox.to_owned()],
            None => self.due_mailboxes(now_ms)?,
        } {
            loop {
                let with = self.enforcement();
                let name = mailbox.clone();
                let done = self.write(move |tx| enforce_some(tx, &with, &name, now_ms, Some(now_ms), ACTS_MAX))?;
                let acts = done
                    .evicted
                    .len()
                    .saturating_add(done.freed.len())
                    .saturating_add(done.warned.len());
                report.add(done);
                if acts < ACTS_MAX {
                    break;
                }
            }
        }
        if mailbox.is_none() {
            self.forget_old(now_ms)?;
            self.end_leases()?;
        }
        Ok(report)
    }

    /// Mailboxes for which an age rule may have something to do: one look at an index, whatever they hold.
    fn due_mailboxes(&self, now_ms: i64) -> Result<Vec<String>, StoreError> {
        let defaults = self.retention_defaults();
        self.read(|db| {
            let own: BTreeMap<String, OwnRules> = rules::all_own(db)?.into_iter().collect();
            let mut statement = db.prepare_cached(
                "SELECT mailbox,
                    min(received_at) FILTER (WHERE deleted_at IS NULL AND pinned = 0 AND heard_at IS NULL
                                             AND warned_at IS NULL),
                    min(received_at) FILTER (WHERE deleted_at IS NULL AND pinned = 0 AND heard_at IS NULL
                                             AND warned_at IS NOT NULL),
                    min(warned_at) FILTER (WHERE deleted_at IS NULL AND pinned = 0 AND heard_at IS NULL),
                    min(heard_at) FILTER (WHERE deleted_at IS NULL AND pinned = 0),
                    min(deleted_at)
                 FROM message GROUP BY mailbox",
            )?;
            let oldest = statement.query_map([], |row| {
                let due = Due {
                    unwarned_at_ms: row.get(1)?,
                    warned_received_at_ms: row.get(2)?,
                    warned_at_ms: row.get(3)?,
                    heard_at_ms: row.get(4)?,
                    deleted_at_ms: row.get(5)?,
                };
                Ok((row.get::<_, String>(0)?, due))
            })?;
            let mut mailboxes = Vec::new();
            for row in oldest {
                let (mailbox, due) = row?;
                let rules = own.get(&mailbox).copied().unwrap_or_default().over(defaults);
                if due.may_be(&rules, now_ms) {
                    mailboxes.push(mailbox);
                }
            }
            Ok(mailboxes)
        })
    }

    /// Frees what was deleted under a lease that its reader never ended.
    fn end_leases(&self) -> Result<(), StoreError> {
        let any = "SELECT EXISTS (SELECT 1 FROM lease) OR EXISTS (SELECT 1 FROM blob WHERE doomed = 1)";
        if self.read(|db| Ok(db.query_row(any, [], |row| row.get::<_, bool>(0))?))? {
            let blobs = self.inner.blobs.clone();
            self.write(move |tx| blobs.drop_doomed(tx, now_ms()))?;
        }
        Ok(())
    }

    /// Old rows that tell of deletions.
    fn forget_old(&self, now_ms: i64) -> Result<(), StoreError> {
        let (audit, gone) = (now_ms.saturating_sub(AUDIT_MS), now_ms.saturating_sub(GONE_MS));
        let any = self.read(|db| {
            Ok(db.query_row(
                "SELECT EXISTS (SELECT 1 FROM retention_audit WHERE at < ?)",
                [audit],
                |row| row.get::<_, bool>(0),
            )?)
        })?;
        if any {
            self.write(move |tx| {
                tx.execute("DELETE FROM retention_audit WHERE at < ?", [audit])?;
                tx.execute("DELETE FROM gone WHERE at < ?", [gone])?;
                Ok(())
            })?;
        }
        Ok(())
    }

    /// What a run at `now_ms` would do to a mailbox, and what is to come for its other messages. Changes nothing.
    pub fn foresee_retention(&self, mailbox: &str, now_ms: i64) -> Result<Vec<Foreseen>, StoreError> {
        self.foresee_retention_with(mailbox, now_ms, |_| ())
    }

    /// The same as if its own rules had been changed so.
    pub fn foresee_retention_with(
        &self,
        mailbox: &str,
        now_ms: i64,
        change: impl FnOnce(&mut OwnRules),
    ) -> Result<Vec<Foreseen>, StoreError> {
        let defaults = self.retention_defaults();
        self.read(|db| {
            let mut own = rules::own(db, mailbox)?;
            change(&mut own);
            let rules = own.over(defaults);
            let kept = kept(db, mailbox)?;
            let mut now: BTreeMap<String, Fate> = BTreeMap::new();
            for act in sweep(&rules, &kept, Some(now_ms)) {
                let (id, fate) = match act {
                    Act::Warn { id } => (id, Fate::Warned),
                    Act::Trash(deletion) => (deletion.id.clone(), Fate::Deleted(deletion)),
                    Act::Free(deletion) if deletion.rule == Rule::Trash => (deletion.id.clone(), Fate::Freed(deletion)),
                    Act::Free(deletion) => (deletion.id.clone(), Fate::Deleted(deletion)),
                };
                // What is warned of now may also have to make room now.
                if fate != Fate::Warned || !now.contains_key(&id) {
                    now.insert(id, fate);
                }
            }
            Ok(kept
                .into_iter()
                .map(|m| {
                    let later = || later(&rules, &m, now_ms);
                    let fate = now.remove(&m.id).unwrap_or_else(later);
                    Foreseen { id: m.id, fate }
                })
                .collect())
        })
    }

    /// A mailbox's automatic deletions, oldest first.
    pub fn retention_audit(&self, mailbox: &str) -> Result<Vec<AuditRow>, StoreError> {
        self.read(|db| {
            Ok(db
                .prepare_cached(&format!(
                    "SELECT {AUDIT} FROM retention_audit WHERE mailbox = ? ORDER BY id"
                ))?
                .query_map([mailbox], audit_row)?
                .collect::<Result<Vec<_>, _>>()?)
        })
    }

    /// A mailbox's newest automatic deletions, the newest first, at most `max`.
    pub fn newest_retention_audit(&self, mailbox: &str, max: u32) -> Result<Vec<AuditRow>, StoreError> {
        self.read(|db| {
            Ok(db
                .prepare_cached(&format!(
                    "SELECT {AUDIT} FROM retention_audit WHERE mailbox = ? ORDER BY id DESC LIMIT ?"
                ))?
                .query_map(params![mailbox, max], audit_row)?
                .collect::<Result<Vec<_>, _>>()?)
        })
    }

    /// Automatic deletions of all mailboxes after the row `after`, oldest first, at most `max`.
    pub fn retention_audit_after(&self, after: i64, max: u32) -> Result<Vec<AuditRow>, StoreError> {
        self.read(|db| {
            Ok(db
                .prepare_cached(&format!(
                    "SELECT {AUDIT} FROM retention_audit WHERE id > ? ORDER BY id LIMIT ?"
                ))?
                .query_map(params![after, max], audit_row)?
                .collect::<Result<Vec<_>, _>>()?)
        })
    }
}

const AUDIT: &str = "id, at, mailbox, conversation, message, rule, allowed, found, received_at, heard_at, warned_at, \
                     deleted_at, bytes, duration_ms";

fn audit_row(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    Ok(AuditRow {
        id: row.get(0)?,
        at_ms: row.get(1)?,
        mailbox: row.get(2)?,
        conversation: row.get(3)?,
        message: row.get(4)?,
        rule: row.get(5)?,
        allowed: row.get(6)?,
        found: row.get(7)?,
        received_at_ms: row.get(8)?,
        heard_at_ms: row.get(9)?,
        warned_at_ms: row.get(10)?,
        deleted_at_ms: row.get(11)?,
        bytes: row.get(12)?,
        duration_ms: row.get(13)?,
    })
}

/// When a message that stays now goes for its age.
fn later(rules: &Retention, message: &segue_mailbox::Kept, now_ms: i64) -> Fate {
    let after = |since: i64, ms: u64| since.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX));
    if let Some(deleted_at_ms) = message.deleted_at_ms {
        return Fate::Later {
            at_ms: after(deleted_at_ms, rules.trash_ms),
            rule: Rule::Trash,
        };
    }
    if message.is_pinned {
        return Fate::Pinned;
    }
    match message.heard_at_ms {
        Some(heard_at_ms) => rules.heard_age_ms.map_or(Fate::Kept, |ms| Fate::Later {
            at_ms: after(heard_at_ms, ms),
            rule: Rule::HeardAge,
        }),
        None => rules.unheard_age_ms.map_or(Fate::Kept, |ms| {
            let warned_at_ms = message
                .warned_at_ms
                .unwrap_or_else(|| after(message.received_at_ms, ms.saturating_sub(WARNING_MS)).max(now_ms));
            Fate::Later {
                at_ms: after(message.received_at_ms, ms).max(after(warned_at_ms, WARNING_MS)),
                rule: Rule::UnheardAge,
            }
        }),
    }
}
