//! A mailbox's rules: its own over the defaults.

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params, types::ToSqlOutput};
use segue_mailbox::{Limit, OwnRules, Retention, Scope};

use super::enforce::enforce;
use crate::{Store, StoreError};

/// A mailbox's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// What it says itself.
    pub own: OwnRules,
    /// What holds.
    pub effective: Retention,
}

/// What a change of rules did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedRules {
    /// The rules now.
    pub rules: Rules,
    /// Messages that went at once, in order.
    pub evicted: Vec<String>,
    /// Messages whose owner has been warned.
    pub warned: Vec<String>,
}

impl Store {
    /// A subscriber's rules. Error: [`StoreError::NotFound`].
    pub fn retention(&self, user: &str) -> Result<Rules, StoreError> {
        let defaults = self.retention_defaults();
        self.read(|db| {
            subscriber_exists(db, user)?;
            let own = own(db, user)?;
            Ok(Rules {
                own,
                effective: own.over(defaults),
            })
        })
    }

    /// Changes a subscriber's rules; they act at once, in the same transaction, ages by the wall clock `now_ms`.
    /// Error: [`StoreError::NotFound`].
    pub fn set_retention(
        &self,
        user: &str,
        now_ms: i64,
        change: impl FnOnce(&mut OwnRules) + Send + 'static,
    ) -> Result<ChangedRules, StoreError> {
        self.set_retention_if(user, now_ms, |_| true, change, |_| true)
    }

    /// The same for rules that are as `is_so` wants them, if what goes at once is what `may_go` lets go: else all stays as it was.
    /// Errors: [`StoreError::NotFound`]; [`StoreError::Changed`].
    pub fn set_retention_if(
        &self,
        user: &str,
        now_ms: i64,
        is_so: impl FnOnce(&Rules) -> bool + Send + 'static,
        change: impl FnOnce(&mut OwnRules) + Send + 'static,
        may_go: impl FnOnce(&[String]) -> bool + Send + 'static,
    ) -> Result<ChangedRules, StoreError> {
        let user = user.to_owned();
        let with = self.enforcement();
        self.write(move |tx| {
            subscriber_exists(tx, &user)?;
            let mut own = own(tx, &user)?;
            let effective = own.over(with.defaults);
            if !is_so(&Rules { own, effective }) {
                return Err(StoreError::Changed);
            }
            change(&mut own);
            put(tx, &user, &own)?;
            let effective = own.over(with.defaults);
            if effective.unheard_age_ms.is_none() {
                // What was warned of does not come; should it later, it is warned of anew.
                tx.prepare_cached("UPDATE message SET warned_at = NULL WHERE mailbox = ? AND warned_at IS NOT NULL")?
                    .execute([&user])?;
            }
            let done = enforce(tx, &with, &user, now_ms, Some(now_ms))?;
            if !may_go(&done.evicted) {
                return Err(StoreError::Changed);
            }
            Ok(ChangedRules {
                rules: Rules { own, effective },
                evicted: done.evicted,
                warned: done.warned,
            })
        })
    }

    /// The rules of mailboxes that say nothing themselves.
    pub fn retention_defaults(&self) -> Retention {
        *self
            .inner
            .defaults
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Changes them; they act with the next [`Store::run_retention`].
    pub fn set_retention_defaults(&self, defaults: Retention) {
        *self
            .inner
            .defaults
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = defaults;
    }
}

const COLUMNS: &str = "heard_max, heard_age_ms, unheard_max, unheard_age_ms, max_bytes, max_seconds, scope, trash_ms";

/// What a mailbox says itself.
pub(super) fn own(db: &Connection, mailbox: &str) -> Result<OwnRules, StoreError> {
    Ok(db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM retention WHERE mailbox = ?"))?
        .query_row([mailbox], |row| from_row(row, 0))
        .optional()?
        .unwrap_or_default())
}

/// Every mailbox that says something.
pub(super) fn all_own(db: &Connection) -> Result<Vec<(String, OwnRules)>, StoreError> {
    Ok(db
        .prepare_cached(&format!("SELECT mailbox, {COLUMNS} FROM retention"))?
        .query_map([], |row| Ok((row.get(0)?, from_row(row, 1)?)))?
        .collect::<Result<Vec<_>, _>>()?)
}

fn from_row(row: &Row<'_>, first: usize) -> rusqlite::Result<OwnRules> {
    let number = |column: usize| row.get::<_, Option<i64>>(first.saturating_add(column));
    let limit = |column| {
        number(column).map(|value| match value {
            None => Limit::Default,
            Some(value) => u64::try_from(value).map_or(Limit::Off, Limit::At),
        })
    };
    let count = |column| {
        limit(column).map(|limit| match limit {
            Limit::Default => Limit::Default,
            Limit::Off => Limit::Off,
            Limit::At(value) => Limit::At(u32::try_from(value).unwrap_or(u32::MAX)),
        })
    };
    Ok(OwnRules {
        heard_max: count(0)?,
        heard_age_ms: limit(1)?,
        unheard_max: count(2)?,
        unheard_age_ms: limit(3)?,
        max_bytes: limit(4)?,
        max_seconds: limit(5)?,
        scope: row
            .get::<_, Option<String>>(first.saturating_add(6))?
            .and_then(|name| Scope::from_name(&name)),
        trash_ms: number(7)?.map(|ms| u64::try_from(ms).unwrap_or(0)),
    })
}

fn put(tx: &Connection, mailbox: &str, own: &OwnRules) -> Result<(), StoreError> {
    if *own == OwnRules::default() {
        tx.prepare_cached("DELETE FROM retention WHERE mailbox = ?")?
            .execute([mailbox])?;
        return Ok(());
    }
    tx.prepare_cached(&format!(
        "INSERT OR REPLACE INTO retention (mailbox, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    ))?
    .execute(params![
        mailbox,
        Column(own.heard_max),
        Column(own.heard_age_ms),
        Column(own.unheard_max),
        Column(own.unheard_age_ms),
        Column(own.max_bytes),
        Column(own.max_seconds),
        own.scope.map(Scope::name),
        own.trash_ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX)),
    ])?;
    Ok(())
}

/// NULL: the default; -1: no limit.
struct Column<T>(Limit<T>);

impl<T: Copy + Into<u64>> ToSql for Column<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Limit::Default => ToSqlOutput::from(rusqlite::types::Null),
            Limit::Off => ToSqlOutput::from(-1_i64),
            Limit::At(value) => ToSqlOutput::from(i64::try_from(value.into()).unwrap_or(i64::MAX)),
        })
    }
}

fn subscriber_exists(db: &Connection, user: &str) -> Result<(), StoreError> {
    db.prepare_cached("SELECT 1 FROM subscriber WHERE user = ?")?
        .exists([user])?
        .then_some(())
        .ok_or_else(|| StoreError::not_found("subscriber", user))
}
