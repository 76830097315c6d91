//! Who is registered where, and what passwords are checked by.
//!
//! The server keeps registrations in memory and writes them here, all of one subscriber at a time. A command that removes some asks
//! the server to: else it would write them again.

use rusqlite::{Connection, Row, params};
use segue_policy::{AccountCaps, Zone};
use segue_records::{RegistrationRecord, UnixMs};

use crate::{Store, StoreError};

/// Subscribers as the registrar needs them, from one snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    /// Another one whenever any of it has changed.
    pub version: i64,
    /// In the order of their names.
    pub subscribers: Vec<Listed>,
}

/// One of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// Their name.
    pub user: String,
    /// Their numbers, in E.164.
    pub numbers: Vec<String>,
    /// Other addresses of theirs, in canonical form.
    pub aliases: Vec<String>,
    /// What their password is checked by, sealed: by realm.
    pub secrets: Vec<(String, Vec<u8>)>,
    /// How much they may call.
    pub caps: AccountCaps,
    /// By which clock.
    pub zone: Zone,
    /// Who is in it, where it is a group.
    pub members: Vec<String>,
}

/// How long an account has called on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// Whose.
    pub account: String,
    /// The day by its own clock, `2026-12-24`.
    pub day: String,
    /// Answered calls, milliseconds.
    pub ms: u64,
}

/// Registrations that a command wants removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Whose.
    pub user: String,
    /// Which; `None`: all.
    pub contact: Option<String>,
}

/// Keeps what a subscriber's password is checked by, in place of what was.
pub(crate) fn put_secrets(tx: &Connection, user: &str, sealed: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
    let known: i64 = tx
        .prepare_cached("SELECT count(*) FROM subscriber WHERE user = ?")?
        .query_row([user], |row| row.get(0))?;
    if known == 0 {
        return Err(StoreError::not_found("subscriber", user));
    }
    tx.prepare_cached("DELETE FROM secret WHERE subscriber = ?")?
        .execute([user])?;
    let mut add = tx.prepare_cached("INSERT INTO secret (subscriber, realm, sealed) VALUES (?, ?, ?)")?;
    for (realm, sealed) in sealed {
        add.execute(params![user, realm, sealed])?;
    }
    Ok(())
}

impl Store {
    /// Keeps what a subscriber's password is checked by, in place of what was; `sealed` by realm. Error:
    /// [`StoreError::NotFound`].
    pub fn set_secrets(&self, user: &str, sealed: Vec<(String, Vec<u8>)>) -> Result<(), StoreError> {
        let user = user.to_owned();
        self.write(move |tx| put_secrets(tx, &user, &sealed))
    }

    /// The realms that a subscriber has a password for.
    pub fn realms_of(&self, user: &str) -> Result<Vec<String>, StoreError> {
        self.read(|db| {
            let mut realms = db.prepare_cached("SELECT realm FROM secret WHERE subscriber = ? ORDER BY realm")?;
            let rows = realms.query_map([user], |row| row.get(0))?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })
    }

    /// The directory's version: cheap to ask.
    pub fn directory_version(&self) -> Result<i64, StoreError> {
        self.read(directory_version)
    }

    /// All subscribers with what the registrar needs.
    pub fn directory(&self) -> Result<Directory, StoreError> {
        self.read(|db| {
            let version = directory_version(db)?;
            let mut subscribers: Vec<Listed> = db
                .prepare_cached("SELECT user, caps, zone FROM subscriber ORDER BY user")?
                .query_map([], |row| {
                    Ok(Listed {
                        user: row.get(0)?,
                        // Both were checked when they were written.
                        caps: serde_json::from_str(row.get_ref(1)?.as_str()?).unwrap_or_default(),
                        zone: Zone::try_from(row.get::<_, String>(2)?).unwrap_or_default(),
                        ..Listed::default()
                    })
                })?
                .collect::<Result<_, _>>()?;
            let find = |user: &str| {
                subscribers
                    .binary_search_by(|listed| listed.user.as_str().cmp(user))
                    .ok()
            };
            let mut numbers: Vec<(usize, String)> = Vec::new();
            let mut statement = db.prepare_cached("SELECT subscriber, number FROM number ORDER BY number")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                if let Some(at) = find(&row.get::<_, String>(0)?) {
                    numbers.push((at, row.get(1)?));
                }
            }
            let mut members: Vec<(usize, String)> = Vec::new();
            let mut statement = db.prepare_cached("SELECT team, subscriber FROM member ORDER BY subscriber")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                if let Some(at) = find(&row.get::<_, String>(0)?) {
                    members.push((at, row.get(1)?));
                }
            }
            let mut aliases: Vec<(usize, String)> = Vec::new();
            let mut statement = db.prepare_cached("SELECT subscriber, alias FROM alias ORDER BY alias")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                if let Some(at) = find(&row.get::<_, String>(0)?) {
                    aliases.push((at, row.get(1)?));
                }
            }
            let mut secrets: Vec<(usize, (String, Vec<u8>))> = Vec::new();
            let mut statement = db.prepare_cached("SELECT subscriber, realm, sealed FROM secret ORDER BY realm")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                if let Some(at) = find(&row.get::<_, String>(0)?) {
                    secrets.push((at, (row.get(1)?, row.get(2)?)));
                }
            }
            for (at, number) in numbers {
                if let Some(listed) = subscribers.get_mut(at) {
                    listed.numbers.push(number);
                }
            }
            for (at, member) in members {
                if let Some(listed) = subscribers.get_mut(at) {
                    listed.members.push(member);
                }
            }
            for (at, alias) in aliases {
                if let Some(listed) = subscribers.get_mut(at) {
                    listed.aliases.push(alias);
                }
            }
            for (at, secret) in secrets {
                if let Some(listed) = subscribers.get_mut(at) {
                    listed.secrets.push(secret);
                }
            }
            Ok(Directory { version, subscribers })
        })
    }

    /// Writes subscribers' registrations, for each all there are, in one transaction. Waits for the disk.
    pub fn save_registrations(&self, changed: Vec<(String, Vec<RegistrationRecord>)>) -> Result<(), StoreError> {
        self.write(move |tx| {
            for (user, registrations) in &changed {
                tx.prepare_cached("DELETE FROM registration WHERE subscriber = ?")?
                    .execute([user])?;
                for registration in registrations {
                    insert(tx, registration)?;
                }
            }
            Ok(())
        })
    }

    /// Writes how long accounts have called today. Waits for the disk.
    pub fn save_spent(&self, spent: Vec<Spent>) -> Result<(), StoreError> {
        self.write(move |tx| {
            let mut put = tx.prepare_cached("INSERT OR REPLACE INTO spent (account, day, ms) VALUES (?, ?, ?)")?;
            for Spent { account, day, ms } in &spent {
                put.execute(params![account, day, i64::try_from(*ms).unwrap_or(i64::MAX)])?;
            }
            Ok(())
        })
    }

    /// How long accounts have called on the last day on which they did.
    pub fn spent(&self) -> Result<Vec<Spent>, StoreError> {
        self.read(|db| {
            let mut statement = db.prepare_cached("SELECT account, day, ms FROM spent ORDER BY account")?;
            let rows = statement.query_map([], |row| {
                Ok(Spent {
                    account: row.get(0)?,
                    day: row.get(1)?,
                    ms: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
                })
            })?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })
    }

    /// Registrations that last beyond a moment: those of a subscriber, or all. By subscriber, the preferred first.
    pub fn registrations(&self, user: Option<&str>, now: UnixMs) -> Result<Vec<RegistrationRecord>, StoreError> {
        self.read(|db| registrations(db, user, now, -1))
    }

    /// The first of all that last beyond a moment, at most `max`, and how many there are.
    pub fn first_registrations(&self, max: u32, now: UnixMs) -> Result<(Vec<RegistrationRecord>, u64), StoreError> {
        self.read(|db| {
            let all = db
                .prepare_cached("SELECT count(*) FROM registration WHERE expires_at > ?")?
                .query_row([now.0], |row| row.get(0))?;
            Ok((registrations(db, None, now, max.into())?, all))
        })
    }

    /// Those that last beyond a moment, of one or of all, in the order of subscriber and contact: at most `max` after one.
    pub fn registrations_after(
        &self,
        user: Option<&str>,
        after: Option<(&str, &str)>,
        max: usize,
        now: UnixMs,
    ) -> Result<Vec<RegistrationRecord>, StoreError> {
        let (after_user, after_contact) = after.unwrap_or_default();
        self.read(|db| {
            let mut statement = db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM registration
                 WHERE {} AND expires_at > ?3 AND (subscriber, contact) > (?1, ?2)
                 ORDER BY subscriber, contact LIMIT ?5",
                of_one(user, "?4")
            ))?;
            let asked = params![
                after_user,
                after_contact,
                now.0,
                user,
                i64::try_from(max).unwrap_or(i64::MAX)
            ];
            let rows = statement.query_map(asked, registration)?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })
    }

    /// Removes registrations and asks the server to forget them. How many there were.
    pub fn remove_registrations(&self, removal: Removal) -> Result<usize, StoreError> {
        self.write(move |tx| {
            let Removal { user, contact } = &removal;
            let removed = tx
                .prepare_cached("DELETE FROM registration WHERE subscriber = ? AND contact = coalesce(?, contact)")?
                .execute(params![user, contact])?;
            tx.prepare_cached("INSERT INTO removal (subscriber, contact) VALUES (?, ?)")?
                .execute(params![user, contact])?;
            Ok(removed)
        })
    }

    /// What commands want removed; each is told once.
    pub fn take_removals(&self) -> Result<Vec<Removal>, StoreError> {
        let read = |db: &Connection| -> Result<Vec<Removal>, StoreError> {
            let mut statement = db.prepare_cached("SELECT subscriber, contact FROM removal ORDER BY id")?;
            let rows = statement.query_map([], |row| {
                Ok(Removal {
                    user: row.get(0)?,
                    contact: row.get(1)?,
                })
            })?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        };
        // Nothing is written, and nothing synced, where there is none.
        if self.read(read)?.is_empty() {
            return Ok(Vec::new());
        }
        self.write(move |tx| {
            let removals = read(tx)?;
            tx.execute("DELETE FROM removal", [])?;
            Ok(removals)
        })
    }
}

fn registrations(
    db: &Connection,
    user: Option<&str>,
    now: UnixMs,
    max: i64,
) -> Result<Vec<RegistrationRecord>, StoreError> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM registration WHERE expires_at > ?1 AND {} ORDER BY subscriber, q DESC, contact LIMIT ?3",
        of_one(user, "?2")
    ))?;
    let rows = statement.query_map(params![now.0, user, max], registration)?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?)
}

/// What is asked of a registration, in the order of [`registration`].
const COLUMNS: &str = "subscriber, contact, q, expires_at, sip_call_id, cseq, instance, reg_id, path, user_agent, \
                       transport, local, source, by_source";

/// Of this subscriber, where one is named: so that the index is used.
fn of_one(user: Option<&str>, parameter: &str) -> String {
    match user {
        Some(_) => format!("subscriber = {parameter}"),
        None => format!("{parameter} IS NULL"),
    }
}

fn directory_version(db: &Connection) -> Result<i64, StoreError> {
    Ok(db
        .prepare_cached("SELECT version FROM directory")?
        .query_row([], |row| row.get(0))?)
}

fn insert(tx: &Connection, kept: &RegistrationRecord) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT OR REPLACE INTO registration (subscriber, contact, q, expires_at, sip_call_id, cseq, instance, reg_id, path,
                                   user_agent, transport, local, source, by_source)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        kept.user,
        kept.contact,
        kept.q,
        kept.expires_at.0,
        kept.sip_call_id,
        kept.cseq,
        kept.instance,
        kept.reg_id,
        // No hop has an end of line.
        kept.path.join("\n"),
        kept.user_agent,
        kept.transport,
        kept.local,
        kept.source,
        kept.by_source,
    ])?;
    Ok(())
}

fn registration(row: &Row<'_>) -> rusqlite::Result<RegistrationRecord> {
    let path: String = row.get(8)?;
    Ok(RegistrationRecord {
        user: row.get(0)?,
        contact: row.get(1)?,
        q: row.get(2)?,
        expires_at: UnixMs(row.get(3)?),
        sip_call_id: row.get(4)?,
        cseq: row.get(5)?,
        instance: row.get(6)?,
        reg_id: row.get(7)?,
        path: path.lines().map(str::to_owned).collect(),
        user_agent: row.get(9)?,
        transport: row.get(10)?,
        local: row.get(11)?,
        source: row.get(12)?,
        by_source: row.get(13)?,
    })
}
