//! The queue: deliveries are claimed with a lease, tried outside, and settled.
//!
//! An attempt counts when it is begun: one that ends the process is not begun without end. Who claimed one and comes back after its lease
//! has run out, and somebody else has claimed it, changes nothing any more: `attempts` tells the two apart.

use rusqlite::{Connection, Row, params};
use segue_policy::{Channel, Notify, Zone};
use segue_records::{NoticeFacts, UnixMs};

use super::notify_of;
use crate::{Store, StoreError};

/// Delivered ones are listed for so long.
const SENT_MS: i64 = 7 * DAY_MS;
/// Dead letters are kept for so long,
const DEAD_MS: i64 = 90 * DAY_MS;
/// and at most so many, the newest.
const DEAD_MAX: u32 = 10_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A delivery that was claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which, and which attempt.
    pub attempt: Attempt,
    /// What receivers know it by; the same for each attempt, and for no other delivery.
    pub key: String,
    /// The subscriber who is told.
    pub recipient: String,
    /// How.
    pub channel: Channel,
    /// What is told.
    pub facts: NoticeFacts,
    /// How they want to be told.
    pub notify: Notify,
    /// Their clock.
    pub zone: Zone,
    /// Since when it waits.
    pub since: UnixMs,
}

/// One attempt of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The delivery.
    pub id: i64,
    /// The attempt, counted from 1.
    pub number: u32,
}

impl Store {
    /// Claims deliveries of a channel that are due: at most `max`, one of each recipient, none of those who are `busy`. Each is to be
    /// settled within `lease_ms`, or it is claimed again.
    ///
    /// What nobody wants to be told of any more, a message in the trash or by a channel given up, leaves the queue.
    pub fn claim_notices(
        &self,
        channel: Channel,
        busy: &[String],
        max: u32,
        now_ms: i64,
        lease_ms: i64,
    ) -> Result<Vec<Due>, StoreError> {
        let busy = serde_json::to_string(busy).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        // Nothing is written, and nothing synced, where nothing is due.
        if self.read(|db| due(db, channel, &busy, max, now_ms))?.is_empty() {
            return Ok(Vec::new());
        }
        self.write(move |tx| {
            let mut claimed = Vec::new();
            for mut found in due(tx, channel, &busy, max, now_ms)? {
                match wanted(tx, &found)? {
                    Some((notify, zone)) => {
                        tx.prepare_cached(
                            "UPDATE delivery SET attempts = attempts + 1, leased_until = ? WHERE id = ?",
                        )?
                        .execute(params![now_ms.saturating_add(lease_ms), found.attempt.id])?;
                        found.attempt.number = found.attempt.number.saturating_add(1);
                        (found.notify, found.zone) = (notify, zone);
                        claimed.push(found);
                    }
                    None => {
                        tx.prepare_cached("DELETE FROM delivery WHERE id = ?")?
                            .execute([found.attempt.id])?;
                    }
                }
            }
            Ok(claimed)
        })
    }

    /// It was delivered: `said` is what the receiver answered. `false`: somebody else has it by now, or it is gone.
    pub fn notice_sent(&self, attempt: Attempt, said: &str, now_ms: i64) -> Result<bool, StoreError> {
        self.settle(attempt, "sent", Some(now_ms), now_ms, said)
    }

    /// It failed, and is tried again then. `false`: as for [`Store::notice_sent`].
    pub fn notice_again(&self, attempt: Attempt, why: &str, next_at_ms: i64) -> Result<bool, StoreError> {
        self.settle(attempt, "waiting", None, next_at_ms, why)
    }

    /// It is given up: a dead letter. `false`: as for [`Store::notice_sent`].
    pub fn notice_dead(&self, attempt: Attempt, why: &str, now_ms: i64) -> Result<bool, StoreError> {
        self.settle(attempt, "dead", Some(now_ms), now_ms, why)
    }

    fn settle(
        &self,
        attempt: Attempt,
        state: &'static str,
        settled_at: Option<i64>,
        next_at: i64,
        said: &str,
    ) -> Result<bool, StoreError> {
        let said = said.to_owned();
        self.write(move |tx| {
            let changed = tx
                .prepare_cached(
                    "UPDATE delivery SET state = ?, settled_at = ?, next_at = ?, said = ?, leased_until = NULL
                     WHERE id = ? AND attempts = ? AND state = 'waiting'",
                )?
                .execute(params![state, settled_at, next_at, said, attempt.id, attempt.number])?;
            Ok(changed == 1)
        })
    }

    /// Ends the leases of a server that is no more: what it had claimed is due at once.
    pub(crate) fn end_leases_of_notices(tx: &Connection) -> Result<(), StoreError> {
        tx.execute(
            "UPDATE delivery SET leased_until = NULL WHERE state = 'waiting' AND leased_until IS NOT NULL",
            [],
        )?;
        Ok(())
    }

    /// Removes what was delivered a week ago, dead letters of long ago, and notices that nobody is to be told of any more.
    pub fn prune_notices(&self, now_ms: i64) -> Result<u64, StoreError> {
        const OLD: &str = "state = 'sent' AND settled_at < ?1 OR state = 'dead' AND settled_at < ?2
             OR state = 'dead' AND id <= (SELECT id FROM delivery WHERE state = 'dead' ORDER BY id DESC LIMIT 1 OFFSET ?3)";
        let bounds = (now_ms.saturating_sub(SENT_MS), now_ms.saturating_sub(DEAD_MS), DEAD_MAX);
        let old = self.read(|db| {
            Ok(
                db.query_row(&format!("SELECT count(*) FROM delivery WHERE {OLD}"), bounds, |row| {
                    row.get::<_, u64>(0)
                })?,
            )
        })?;
        if old == 0 {
            return Ok(0);
        }
        self.write(move |tx| {
            let gone = tx.execute(&format!("DELETE FROM delivery WHERE {OLD}"), bounds)?;
            tx.execute(
                "DELETE FROM notice WHERE message IS NULL AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.notice = notice.id)",
                [],
            )?;
            Ok(gone as u64)
        })
    }
}

/// How a recipient wants to be told, if it still does.
fn wanted(tx: &Connection, due: &Due) -> Result<Option<(Notify, Zone)>, StoreError> {
    if let Some(message) = &due.facts.message_id {
        let in_mailbox: bool = tx
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM message WHERE id = ? AND deleted_at IS NULL)")?
            .query_row([message], |row| row.get(0))?;
        if !in_mailbox {
            return Ok(None);
        }
    }
    let found = notify_of(tx, &due.recipient)?;
    Ok(found.filter(|(notify, _)| notify.by.contains(&due.channel)))
}

/// The oldest due delivery of each recipient.
fn due(db: &Connection, channel: Channel, busy: &str, max: u32, now_ms: i64) -> Result<Vec<Due>, StoreError> {
    // Looks at a bounded number of them, however many are due; those of others follow when these are settled.
    const LOOKED_AT: u32 = 500;
    let mut statement = db.prepare_cached(
        "SELECT min(d.id), d.key, d.recipient, d.since, d.attempts, n.facts
         FROM (SELECT * FROM delivery
               WHERE state = 'waiting' AND channel = ?1 AND next_at <= ?2
                     AND (leased_until IS NULL OR leased_until <= ?2)
                     AND recipient NOT IN (SELECT value FROM json_each(?3))
               ORDER BY next_at LIMIT ?4) d
         JOIN notice n ON n.id = d.notice
         GROUP BY d.recipient ORDER BY d.next_at LIMIT ?5",
    )?;
    let rows = statement.query_map(params![channel.name(), now_ms, busy, LOOKED_AT, max], |row| {
        claimed(row, channel)
    })?;
    let mut all = Vec::new();
    for row in rows {
        // One that cannot be read stays where it is, for who looks at the queue.
        if let Some(due) = row? {
            all.push(due);
        }
    }
    Ok(all)
}

fn claimed(row: &Row<'_>, channel: Channel) -> rusqlite::Result<Option<Due>> {
    let facts: Option<String> = row.get(5)?;
    let Some(facts) = facts.and_then(|json| serde_json::from_str(&json).ok()) else {
        return Ok(None);
    };
    Ok(Some(Due {
        attempt: Attempt {
            id: row.get(0)?,
            number: row.get(4)?,
        },
        key: row.get(1)?,
        recipient: row.get(2)?,
        channel,
        facts,
        notify: Notify::default(),
        zone: Zone::default(),
        since: UnixMs(row.get(3)?),
    }))
}
