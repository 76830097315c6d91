//! Records of calls, and refused requests, by when they began: between two moments, some at a time.

use std::{fmt, str::FromStr};

use rusqlite::{Connection, params};
use segue_records::{CallRecord, RefusedRecord};

use crate::{
    Store, StoreError, Unreadable,
    looking::{LOOKED_AT_MAX, Looked, Sought},
};

/// A place among records by when they began; those of one moment are in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Begun {
    /// When, Unix milliseconds.
    pub at_ms: i64,
    /// The id; empty: in front of all that began then.
    pub id: String,
}

impl Begun {
    /// In front of all that began at a moment or later.
    pub fn at(at_ms: i64) -> Begun {
        Begun {
            at_ms,
            id: String::new(),
        }
    }
}

/// `1709251199007:01C`.
impl fmt::Display for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.at_ms, self.id)
    }
}

impl FromStr for Begun {
    type Err = ();

    fn from_str(text: &str) -> Result<Begun, ()> {
        let (at_ms, id) = text.split_once(':').ok_or(())?;
        Ok(Begun {
            at_ms: at_ms.parse().map_err(|_| ())?,
            id: id.to_owned(),
        })
    }
}

/// Which calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallsSought {
    /// Those that began then or later, Unix milliseconds; absent: whenever.
    pub since_ms: Option<i64>,
    /// Those who have this in an address of caller or callee, in whatever case.
    pub text: Option<String>,
    /// Those that were refused alone.
    pub is_rejected: bool,
}

/// A record's place, and the record while it can be read.
pub type Begins = (Begun, Result<CallRecord, Unreadable>);

impl Store {
    /// Calls that began after a place and before a moment, the oldest first, at most `max`.
    pub fn calls_from(&self, after: &Begun, until_ms: i64, max: u32) -> Result<Vec<Begins>, StoreError> {
        self.read(|db| {
            let rows = db
                .prepare_cached(
                    "SELECT started_at, id, record FROM call WHERE (started_at, id) > (?, ?) AND started_at < ?
                     ORDER BY started_at, id LIMIT ?",
                )?
                .query_map(params![after.at_ms, after.id, until_ms, max], |row| {
                    let (at_ms, id): (i64, String) = (row.get(0)?, row.get(1)?);
                    let record = match row.get_ref(2)?.as_bytes() {
                        Ok(json) => serde_json::from_slice(json).map_err(|e| e.to_string()),
                        Err(e) => Err(e.to_string()),
                    };
                    let record = record.map_err(|why| Unreadable { id: id.clone(), why });
                    Ok((Begun { at_ms, id }, record))
                })?
                .collect::<Result<Vec<_>, _>>()?;
            Ok(rows)
        })
    }

    /// Calls that began before a place, the newest first, at most `max`: those that are sought and whose callee (a Request-URI) is wanted.
    /// Where the look ended for its bound, its `ended_at` is a [`Begun`].
    pub fn calls_back(
        &self,
        before: &Begun,
        max: usize,
        sought: &CallsSought,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Looked<CallRecord>, StoreError> {
        self.read(|db| {
            let Looked { found, ended_at } = ids(db, before, max, sought, wanted)?;
            let mut record = db.prepare_cached("SELECT record FROM call WHERE id = ?")?;
            let read = found.iter().map(|id| {
                let json: String = record.query_row([id], |row| row.get(0))?;
                serde_json::from_str(&json).map_err(|e| StoreError::Corrupt(e.to_string()))
            });
            Ok(Looked {
                found: read.collect::<Result<_, StoreError>>()?,
                ended_at,
            })
        })
    }

    /// Requests that were refused before a place and not before a moment, the newest first, at most `max`.
    pub fn refused_back(&self, before: &Begun, since_ms: i64, max: usize) -> Result<Vec<RefusedRecord>, StoreError> {
        self.read(|db| {
            let rows = db
                .prepare_cached(
                    "SELECT record FROM refused WHERE at <= ?1 AND (at, id) < (?1, ?2) AND at >= ?3
                     ORDER BY at DESC, id DESC LIMIT ?4",
                )?
                .query_map(
                    params![
                        before.at_ms,
                        before.id,
                        since_ms,
                        i64::try_from(max).unwrap_or(i64::MAX)
                    ],
                    |row| row.get::<_, String>(0),
                )?
                .collect::<Result<Vec<_>, _>>()?;
            let read = |json: &String| serde_json::from_str(json).map_err(|e| StoreError::Corrupt(e.to_string()));
            rows.iter().map(read).collect()
        })
    }
}

fn ids(
    db: &Connection,
    before: &Begun,
    max: usize,
    sought: &CallsSought,
    wanted: impl Fn(&str) -> bool,
) -> Result<Looked<String>, StoreError> {
    // In the order of the index, from call to call: those that do not fit count as looked at, too.
    let mut statement = db.prepare_cached(
        "SELECT c.started_at, c.id, p.caller, p.callee, o.rejected IS 1
         FROM call c INDEXED BY call_started_at CROSS JOIN call_party p ON p.id = c.id
             LEFT JOIN call_order o ON o.id = c.id
         WHERE (c.started_at, c.id) < (?, ?) AND c.started_at >= ? ORDER BY c.started_at DESC, c.id DESC",
    )?;
    let since_ms = sought.since_ms.unwrap_or(i64::MIN);
    let mut rows = statement.query(params![before.at_ms, before.id, since_ms])?;
    let text = sought.text.as_deref().map(Sought::new);
    let mut found = Vec::new();
    let mut looked_at = 0;
    while found.len() < max
        && let Some(row) = rows.next()?
    {
        let (caller, callee) = (row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_str()?);
        let has = text
            .as_ref()
            .is_none_or(|text| text.is_in(caller) || text.is_in(callee));
        let fits = !sought.is_rejected || row.get(4)?;
        if fits && has && wanted(callee) {
            found.push(row.get(1)?);
        }
        looked_at += 1;
        if looked_at >= LOOKED_AT_MAX && found.len() < max {
            let place = Begun {
                at_ms: row.get(0)?,
                id: row.get(1)?,
            };
            let ended_at = Some(place.to_string());
            return Ok(Looked { found, ended_at });
        }
    }
    Ok(Looked { found, ended_at: None })
}

#[cfg(test)]
mod tests {
    use segue_records::{CallResult, UnixMs};

    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        // Two began in the same millisecond; 01D ended before 01C began.
        for (id, at, to) in [
            ("01A", 10, "bob"),
            ("01B", 20, "eve"),
            ("01C", 40, "bob"),
            ("01D", 20, "bob"),
        ] {
            let call = CallRecord {
                from: "sip:ann@h".to_owned(),
                to: format!("sip:{to}@h"),
                result: if id == "01D" {
                    CallResult::Rejected
                } else {
                    CallResult::Answered
                },
                ..CallRecord::begun(id.to_owned(), format!("{id}@h"), UnixMs(at))
            };
            store.save_call(&call).unwrap();
        }
        (dir, store)
    }

    fn names(calls: &[CallRecord]) -> Vec<&str> {
        calls.iter().map(|call| call.id.as_str()).collect()
    }

    #[test]
    fn calls_come_some_at_a_time_in_the_order_in_which_they_began() {
        let (_dir, store) = store();
        let mut place = Begun::at(10);
        let mut seen = Vec::new();
        loop {
            let some = store.calls_from(&place, 40, 2).unwrap();
            let Some((last, _)) = some.last() else { break };
            place = last.clone();
            seen.extend(some.into_iter().map(|(_, call)| call.unwrap().id));
        }
        assert_eq!(seen, ["01A", "01B", "01D"]);
        assert!(store.calls_from(&Begun::at(41), i64::MAX, 2).unwrap().is_empty());
    }

    #[test]
    fn back_from_a_place_only_what_is_sought_is_found() {
        let (_dir, store) = store();
        let all = CallsSought::default();
        let back = |before: &Begun, sought: &CallsSought| {
            let found = store
                .calls_back(before, 10, sought, |callee| callee != "sip:eve@h")
                .unwrap();
            (names(&found.found).join(" "), found.ended_at)
        };
        assert_eq!(back(&Begun::at(i64::MAX), &all).0, "01C 01D 01A");
        let place: Begun = "20:01D".parse().unwrap();
        assert_eq!(place.to_string(), "20:01D");
        assert_eq!(back(&place, &all).0, "01A");
        let sought = CallsSought {
            since_ms: Some(20),
            text: Some("ANN".to_owned()),
            is_rejected: true,
        };
        assert_eq!(back(&Begun::at(40), &sought), ("01D".to_owned(), None));
        assert!("20".parse::<Begun>().is_err() && "x:1".parse::<Begun>().is_err());
    }
}
