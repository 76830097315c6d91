//! A small pool of reading connections. Each read sees one snapshot, whatever is written meanwhile.

use std::{
    path::PathBuf,
    sync::{Condvar, Mutex, PoisonError},
};

use rusqlite::Connection;

use crate::{StoreError, schema};

/// Connections at most; a read beyond that waits. The HTTP side reads by four threads at most: the others are for calls.
const READERS_MAX: usize = 8;

pub(crate) struct Readers {
    path: PathBuf,
    state: Mutex<State>,
    free: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    open: usize,
}

/// A connection on loan; it goes back when dropped, also in a panic.
struct Lent<'a> {
    readers: &'a Readers,
    conn: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut state = self.readers.state.lock().unwrap_or_else(PoisonError::into_inner);
        match self.conn.take() {
            Some(conn) if conn.is_autocommit() => state.idle.push(conn),
            _ => state.open = state.open.saturating_sub(1),
        }
        drop(state);
        self.readers.free.notify_one();
    }
}

impl Readers {
    pub(crate) fn new(path: PathBuf) -> Readers {
        Readers {
            path,
            state: Mutex::default(),
            free: Condvar::new(),
        }
    }

    /// Runs `f` on one snapshot of the database.
    pub(crate) fn read<T>(&self, f: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let lent = self.lend()?;
        let conn = lent.conn.as_ref().ok_or(StoreError::Stopped)?;
        let snapshot = conn.unchecked_transaction()?;
        let value = f(&snapshot)?;
        snapshot.commit()?;
        Ok(value)
    }

    /// The connections that nobody reads by now.
    #[cfg(test)]
    pub(crate) fn each_idle(&self, f: impl FnMut(&mut Connection)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.idle.iter_mut().for_each(f);
    }

    fn lend(&self) -> Result<Lent<'_>, StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(conn) = state.idle.pop() {
                return Ok(Lent {
                    readers: self,
                    conn: Some(conn),
                });
            }
            if state.open < READERS_MAX {
                state.open = state.open.saturating_add(1);
                drop(state);
                // From here the loan's drop gives the place back, also when connecting fails.
                let mut lent = Lent {
                    readers: self,
                    conn: None,
                };
                let conn = schema::connect(&self.path)?;
                conn.execute_batch("PRAGMA query_only = ON")?;
                lent.conn = Some(conn);
                return Ok(lent);
            }
            state = self.free.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
