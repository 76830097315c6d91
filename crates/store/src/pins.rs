//! PINs of subscribers, and who may try one. A try counts as wrong before it is looked at, so that many at once are no way around
//! the lock; a right one takes all of that back.

use rusqlite::{Connection, OptionalExtension, params};
use segue_policy::pin_lock_ms;

use crate::{Store, StoreError};

/// Whether a PIN may be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinGate {
    /// They have none.
    None,
    /// Not before then, Unix milliseconds.
    Locked {
        /// When it is unlocked.
        until_ms: i64,
    },
    /// It may; the try is counted.
    Open {
        /// What it is checked by, sealed.
        sealed: Vec<u8>,
        /// If it is wrong, none may be tried before then.
        locks_until_ms: Option<i64>,
    },
}

/// How a subscriber's PIN stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinState {
    /// Wrong tries in a row.
    pub wrong: u32,
    /// It may not be tried before then, Unix milliseconds; 0: never locked since the last right one.
    pub locked_until_ms: i64,
}

/// Keeps what a subscriber's PIN is checked by, in place of what was.
pub(crate) fn put(tx: &Connection, user: &str, sealed: Option<&[u8]>) -> Result<(), StoreError> {
    check(tx, user)?;
    tx.prepare_cached("DELETE FROM pin WHERE subscriber = ?")?
        .execute([user])?;
    if let Some(sealed) = sealed {
        tx.prepare_cached("INSERT INTO pin (subscriber, sealed) VALUES (?, ?)")?
            .execute(params![user, sealed])?;
    }
    Ok(())
}

impl Store {
    /// Keeps what a subscriber's PIN is checked by, in place of what was, and unlocks it; `None`: they have none from now on. Error:
    /// [`StoreError::NotFound`].
    pub fn set_pin(&self, user: &str, sealed: Option<Vec<u8>>) -> Result<(), StoreError> {
        let user = user.to_owned();
        self.write(move |tx| put(tx, &user, sealed.as_deref()))
    }

    /// Somebody gives a PIN at `now_ms`.
    pub fn try_pin(&self, user: &str, now_ms: i64) -> Result<PinGate, StoreError> {
        let user = user.to_owned();
        self.write(move |tx| {
            let found: Option<(Vec<u8>, u32, i64)> = tx
                .prepare_cached("SELECT sealed, wrong, locked_until FROM pin WHERE subscriber = ?")?
                .query_row([&user], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            let Some((sealed, wrong, until_ms)) = found else {
                return Ok(PinGate::None);
            };
            if until_ms > now_ms {
                return Ok(PinGate::Locked { until_ms });
            }
            let wrong = wrong.saturating_add(1);
            let lock_ms = i64::try_from(pin_lock_ms(wrong)).unwrap_or(i64::MAX);
            let until_ms = if lock_ms == 0 {
                0
            } else {
                now_ms.saturating_add(lock_ms)
            };
            tx.prepare_cached("UPDATE pin SET wrong = ?, locked_until = ? WHERE subscriber = ?")?
                .execute(params![wrong, until_ms, user])?;
            Ok(PinGate::Open {
                sealed,
                locks_until_ms: (until_ms > 0).then_some(until_ms),
            })
        })
    }

    /// The PIN that was tried, and is checked by `sealed`, is right: nothing counts against it any more.
    pub fn pin_was_right(&self, user: &str, sealed: &[u8]) -> Result<(), StoreError> {
        let (user, sealed) = (user.to_owned(), sealed.to_vec());
        self.write(move |tx| {
            tx.prepare_cached("UPDATE pin SET wrong = 0, locked_until = 0 WHERE subscriber = ? AND sealed = ?")?
                .execute(params![user, sealed])?;
            Ok(())
        })
    }

    /// Unlocks a subscriber's PIN. Whether it was locked at `now_ms`. Errors: [`StoreError::NotFound`] for the subscriber, or their PIN.
    pub fn unlock_pin(&self, user: &str, now_ms: i64) -> Result<bool, StoreError> {
        let user = user.to_owned();
        self.write(move |tx| {
            check(tx, &user)?;
            let PinState { locked_until_ms, .. } =
                state(tx, &user)?.ok_or_else(|| StoreError::not_found("PIN of the subscriber", &user))?;
            tx.prepare_cached("UPDATE pin SET wrong = 0, locked_until = 0 WHERE subscriber = ?")?
                .execute([&user])?;
            Ok(locked_until_ms > now_ms)
        })
    }

    /// How a subscriber's PIN stands; `None`: they have none.
    pub fn pin(&self, user: &str) -> Result<Option<PinState>, StoreError> {
        self.read(|db| state(db, user))
    }
}

fn check(db: &Connection, user: &str) -> Result<(), StoreError> {
    let known: i64 = db
        .prepare_cached("SELECT count(*) FROM subscriber WHERE user = ?")?
        .query_row([user], |row| row.get(0))?;
    match known {
        0 => Err(StoreError::not_found("subscriber", user)),
        _ => Ok(()),
    }
}

fn state(db: &Connection, user: &str) -> Result<Option<PinState>, StoreError> {
    Ok(db
        .prepare_cached("SELECT wrong, locked_until FROM pin WHERE subscriber = ?")?
        .query_row([user], |row| {
            Ok(PinState {
                wrong: row.get(0)?,
                locked_until_ms: row.get(1)?,
            })
        })
        .optional()?)
}
