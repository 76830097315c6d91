//! Deliveries as an operator sees them: what waits, what was delivered, and the dead letters.

use rusqlite::{Connection, OptionalExtension, Row, params};
use segue_policy::Channel;
use segue_records::{NoticeFacts, UnixMs};

use crate::{Store, StoreError};

/// Where a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// To be tried, for the first time or again.
    Waiting,
    /// The receiver has it.
    Sent,
    /// Given up.
    Dead,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [DeliveryState; 3] = [DeliveryState::Waiting, DeliveryState::Sent, DeliveryState::Dead];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            DeliveryState::Waiting => "waiting",
            DeliveryState::Sent => "sent",
            DeliveryState::Dead => "dead",
        }
    }

    fn from_name(name: &str) -> DeliveryState {
        match name {
            "sent" => DeliveryState::Sent,
            "dead" => DeliveryState::Dead,
            _ => DeliveryState::Waiting,
        }
    }
}

/// A notice on its way to one recipient by one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What it is called by on the command line.
    pub id: i64,
    /// What receivers know it by.
    pub key: String,
    /// The event's name.
    pub event: String,
    /// The subscriber who is told.
    pub recipient: String,
    /// How: `mail`, `webhook` or `message`.
    pub channel: String,
    /// Where it is.
    pub state: DeliveryState,
    /// When the notice was made.
    pub created_at: UnixMs,
    /// Attempts begun.
    pub attempts: u32,
    /// The next attempt, while it waits.
    pub next_at: Option<UnixMs>,
    /// An attempt is under way.
    pub is_tried: bool,
    /// When it was delivered or given up.
    pub settled_at: Option<UnixMs>,
    /// What the receiver said last, or why it could not be asked.
    pub said: Option<String>,
    /// What is told.
    pub facts: Option<NoticeFacts>,
}

/// Which deliveries are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WhichDeliveries {
    /// Of this recipient alone.
    pub recipient: Option<String>,
    /// In this state alone.
    pub state: Option<DeliveryState>,
}

/// How many deliveries of a channel there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoticeCounts {
    /// The channel.
    pub channel: Channel,
    /// Those that wait.
    pub waiting: u64,
    /// Since when the oldest of these does.
    pub waiting_since: Option<UnixMs>,
    /// Dead letters.
    pub dead: u64,
}

const COLUMNS: &str = "d.id, d.key, n.event, d.recipient, d.channel, d.state, n.created_at, d.attempts, d.next_at, \
                       d.leased_until, d.settled_at, d.said, n.facts";

impl Store {
    /// Deliveries, the oldest first; of more than `max` the newest.
    pub fn deliveries(&self, which: &WhichDeliveries, max: u32, now_ms: i64) -> Result<Vec<Delivery>, StoreError> {
        let mut all = self.deliveries_before(which, None, max, now_ms)?;
        all.reverse();
        Ok(all)
    }

    /// Deliveries, the newest first, at most `max` of those that are older than one.
    pub fn deliveries_before(
        &self,
        which: &WhichDeliveries,
        before: Option<i64>,
        max: u32,
        now_ms: i64,
    ) -> Result<Vec<Delivery>, StoreError> {
        let state = which.state.map(DeliveryState::name);
        let before = before.unwrap_or(i64::MAX);
        // Said one by one, so that each finds its index.
        let condition = match (&which.recipient, state) {
            (None, None) => "?1 IS NULL AND ?2 IS NULL",
            (Some(_), None) => "d.recipient = ?1 AND ?2 IS NULL",
            (None, Some(_)) => "?1 IS NULL AND d.state = ?2",
            (Some(_), Some(_)) => "d.recipient = ?1 AND d.state = ?2",
        };
        self.read(|db| {
            let all = db
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM delivery d CROSS JOIN notice n ON n.id = d.notice
                     WHERE {condition} AND d.id < ?3 ORDER BY d.id DESC LIMIT ?4"
                ))?
                .query_map(params![which.recipient, state, before, max], |row| {
                    delivery(row, now_ms)
                })?
                .collect::<Result<Vec<_>, _>>()?;
            Ok(all)
        })
    }

    /// One delivery. Error: [`StoreError::NotFound`].
    pub fn delivery(&self, id: i64, now_ms: i64) -> Result<Delivery, StoreError> {
        self.read(|db| one(db, id, now_ms))
    }

    /// Tries a delivery again now, with as much time as a new one; one that was delivered is so once more.
    /// Error: [`StoreError::NotFound`].
    pub fn retry_notice(&self, id: i64, now_ms: i64) -> Result<Delivery, StoreError> {
        self.write(move |tx| {
            again(tx, "id = ?2", params![now_ms, id])?;
            one(tx, id, now_ms)
        })
    }

    /// The same with all dead letters; how many they were.
    pub fn retry_dead_notices(&self, now_ms: i64) -> Result<u64, StoreError> {
        self.write(move |tx| again(tx, "state = 'dead'", params![now_ms]))
    }

    /// Takes a delivery out of the queue for good. Error: [`StoreError::NotFound`].
    pub fn drop_notice(&self, id: i64, now_ms: i64) -> Result<Delivery, StoreError> {
        self.write(move |tx| {
            let dropped = one(tx, id, now_ms)?;
            tx.prepare_cached("DELETE FROM delivery WHERE id = ?")?.execute([id])?;
            Ok(dropped)
        })
    }

    /// How many there are, by channel.
    pub fn notice_counts(&self) -> Result<Vec<NoticeCounts>, StoreError> {
        self.read(|db| {
            let of = |channel: &Channel| -> Result<NoticeCounts, StoreError> {
                let (waiting, since) = db
                    .prepare_cached(
                        "SELECT count(*), min(since) FROM delivery WHERE state = 'waiting' AND channel = ?",
                    )?
                    .query_row([channel.name()], |row| Ok((row.get(0)?, row.get(1)?)))?;
                let dead = db
                    .prepare_cached("SELECT count(*) FROM delivery WHERE state = 'dead' AND channel = ?")?
                    .query_row([channel.name()], |row| row.get(0))?;
                Ok(NoticeCounts {
                    channel: *channel,
                    waiting,
                    waiting_since: Option::map(since, UnixMs),
                    dead,
                })
            };
            Channel::ALL.iter().map(of).collect()
        })
    }
}

fn again(tx: &Connection, condition: &str, values: impl rusqlite::Params) -> Result<u64, StoreError> {
    // One that is being tried is left to who tries it: it is due again when that fails.
    let changed = tx
        .prepare_cached(&format!(
            "UPDATE delivery SET state = 'waiting', since = ?1, next_at = ?1, settled_at = NULL
             WHERE {condition} AND (leased_until IS NULL OR leased_until <= ?1)"
        ))?
        .execute(values)?;
    Ok(changed as u64)
}

fn one(db: &Connection, id: i64, now_ms: i64) -> Result<Delivery, StoreError> {
    db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM delivery d JOIN notice n ON n.id = d.notice WHERE d.id = ?"
    ))?
    .query_row([id], |row| delivery(row, now_ms))
    .optional()?
    .ok_or_else(|| StoreError::not_found("notice", &id.to_string()))
}

fn delivery(row: &Row<'_>, now_ms: i64) -> rusqlite::Result<Delivery> {
    let state = DeliveryState::from_name(row.get_ref(5)?.as_str()?);
    let is_waiting = state == DeliveryState::Waiting;
    let leased_until: Option<i64> = row.get(9)?;
    let facts: Option<String> = row.get(12)?;
    Ok(Delivery {
        id: row.get(0)?,
        key: row.get(1)?,
        event: row.get(2)?,
        recipient: row.get(3)?,
        channel: row.get(4)?,
        state,
        created_at: UnixMs(row.get(6)?),
        attempts: row.get(7)?,
        next_at: is_waiting.then_some(UnixMs(row.get(8)?)),
        is_tried: is_waiting && leased_until.is_some_and(|until| until > now_ms),
        settled_at: row.get::<_, Option<i64>>(10)?.map(UnixMs),
        said: row.get(11)?,
        facts: facts.and_then(|json| serde_json::from_str(&json).ok()),
    })
}
