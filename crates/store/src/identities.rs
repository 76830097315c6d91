//! Who may log in: operators, and subscribers with a web password or a login link; their sessions and one-time links.
//!
//! What a browser or program holds is never here, only its SHA-256. A name is one identity's: a subscriber's, or an operator's.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{Store, StoreError};

/// What an identity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sees and does everything.
    Operator,
    /// Sees and does what is their own.
    Subscriber,
}

impl Role {
    /// `operator` or `subscriber`.
    pub fn name(self) -> &'static str {
        match self {
            Role::Operator => "operator",
            Role::Subscriber => "subscriber",
        }
    }

    pub(crate) fn from_name(name: &str) -> Role {
        match name {
            "operator" => Role::Operator,
            _ => Role::Subscriber,
        }
    }
}

/// Somebody who may log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Their name; a subscriber's is their user.
    pub name: String,
    /// What they are.
    pub role: Role,
    /// They have a password.
    pub has_password: bool,
    /// Since when, Unix milliseconds.
    pub created_at_ms: i64,
}

/// The SHA-256 of something secret that somebody holds.
pub type SecretHash = [u8; 32];

/// A session that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Of its token.
    pub hash: SecretHash,
    /// Whose.
    pub name: String,
    /// From where.
    pub source: String,
    /// The browser, as it calls itself.
    pub user_agent: String,
    /// When it ends at the latest, Unix milliseconds.
    pub expires_at_ms: i64,
}

/// A session that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Whose.
    pub name: String,
    /// What they are.
    pub role: Role,
    /// When it was last written down that it was used, Unix milliseconds.
    pub used_at_ms: i64,
    /// When it ends at the latest, Unix milliseconds.
    pub expires_at_ms: i64,
}

impl Store {
    /// Makes an operator, with what their password is checked by if they have one.
    ///
    /// Error: [`StoreError::Refused`] when the name is an operator's or a subscriber's.
    pub fn add_operator(&self, name: &str, password: Option<String>, now_ms: i64) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.write(move |tx| {
            if let Some(role) = role(tx, &name)? {
                return Err(taken(&name, role));
            }
            if is_subscriber(tx, &name)? {
                return Err(taken(&name, Role::Subscriber));
            }
            insert(tx, &name, Role::Operator, password.as_deref(), now_ms)
        })
    }

    /// Sets or takes away what somebody's password is checked by. Their sessions and links end: whoever is in by an old one is out.
    ///
    /// Errors: [`StoreError::NotFound`]; [`StoreError::Refused`] for a subscriber of an operator's name.
    pub fn set_password(
        &self,
        name: &str,
        role: Role,
        password: Option<String>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.write(move |tx| {
            known(tx, &name, role, now_ms)?;
            tx.prepare_cached("UPDATE identity SET password = ? WHERE name = ?")?
                .execute(params![password, name])?;
            tx.prepare_cached("DELETE FROM session WHERE name = ?")?
                .execute([&name])?;
            tx.prepare_cached("DELETE FROM login_link WHERE name = ?")?
                .execute([&name])?;
            Ok(())
        })
    }

    /// What somebody's password is checked by; `None`: nobody of that name may log in by one.
    pub fn password_of(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.read(|db| {
            let found: Option<Option<String>> = db
                .prepare_cached("SELECT password FROM identity WHERE name = ?")?
                .query_row([name], |row| row.get(0))
                .optional()?;
            Ok(found.flatten())
        })
    }

    /// Those of a role, by name.
    pub fn identities(&self, role: Role) -> Result<Vec<Identity>, StoreError> {
        self.read(|db| {
            Ok(db
                .prepare_cached(
                    "SELECT name, role, password IS NOT NULL, created_at FROM identity WHERE role = ? ORDER BY name",
                )?
                .query_map([role.name()], identity)?
                .collect::<Result<_, _>>()?)
        })
    }

    /// Removes an operator with their sessions, links and tokens. Error: [`StoreError::NotFound`].
    pub fn remove_operator(&self, name: &str) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.write(move |tx| {
            let removed = tx
                .prepare_cached("DELETE FROM identity WHERE name = ? AND role = 'operator'")?
                .execute([&name])?;
            match removed {
                0 => Err(StoreError::not_found("operator", &name)),
                _ => Ok(()),
            }
        })
    }

    /// Keeps a link by which somebody logs in once, until a moment (Unix milliseconds). A subscriber needs no password for it.
    ///
    /// Errors: as [`Store::set_password`].
    pub fn add_link(
        &self,
        name: &str,
        role: Role,
        hash: SecretHash,
        until_ms: i64,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.write(move |tx| {
            known(tx, &name, role, now_ms)?;
            tx.prepare_cached("DELETE FROM login_link WHERE expires_at <= ?")?
                .execute([now_ms])?;
            tx.prepare_cached("INSERT INTO login_link (hash, name, expires_at) VALUES (?, ?, ?)")?
                .execute(params![hash, name, until_ms])?;
            Ok(())
        })
    }

    /// Whose link this is, if it still opens. It stays.
    pub fn link(&self, hash: &SecretHash, now_ms: i64) -> Result<Option<String>, StoreError> {
        self.read(|db| link(db, hash, now_ms))
    }

    /// Begins a session for whoever has given their password; `verified` is what it was checked by.
    ///
    /// Error: [`StoreError::NotFound`] when they are gone meanwhile, or have another password.
    pub fn begin_session(&self, new: NewSession, verified: String, now_ms: i64) -> Result<Session, StoreError> {
        self.write(move |tx| {
            let is_still = tx
                .prepare_cached("SELECT 1 FROM identity WHERE name = ? AND password = ?")?
                .exists([&new.name, &verified])?;
            if !is_still {
                return Err(StoreError::not_found("login", &new.name));
            }
            begin(tx, &new, now_ms)
        })
    }

    /// Begins a session by a link, which then opens no more; `new.name` is ignored. `None`: it opens nothing.
    pub fn begin_by_link(&self, hash: SecretHash, new: NewSession, now_ms: i64) -> Result<Option<Session>, StoreError> {
        self.write(move |tx| {
            let Some(name) = link(tx, &hash, now_ms)? else {
                return Ok(None);
            };
            tx.prepare_cached("DELETE FROM login_link WHERE hash = ?")?
                .execute(params![hash])?;
            begin(tx, &NewSession { name, ..new }, now_ms).map(Some)
        })
    }

    /// A session that has not ended: not past its end, and used within `idle_ms`.
    pub fn session(&self, hash: &SecretHash, idle_ms: i64, now_ms: i64) -> Result<Option<Session>, StoreError> {
        self.read(|db| {
            Ok(db
                .prepare_cached(
                    "SELECT s.name, i.role, s.used_at, s.expires_at FROM session s JOIN identity i ON i.name = s.name
                     WHERE s.hash = ?1 AND s.expires_at > ?2 AND s.used_at > ?3",
                )?
                .query_row(params![hash, now_ms, now_ms.saturating_sub(idle_ms)], session)
                .optional()?)
        })
    }

    /// Writes down that a session is used. Nobody waits for it.
    pub fn session_used(&self, hash: SecretHash, now_ms: i64) -> Result<(), StoreError> {
        self.inner.writer.submit(
            move |tx| {
                tx.prepare_cached("UPDATE session SET used_at = max(used_at, ?) WHERE hash = ?")?
                    .execute(params![now_ms, hash])?;
                Ok(())
            },
            |_| (),
        )
    }

    /// Ends a session; none is well too.
    pub fn end_session(&self, hash: SecretHash) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.prepare_cached("DELETE FROM session WHERE hash = ?")?
                .execute(params![hash])?;
            Ok(())
        })
    }
}

/// Sessions of one identity; one more ends the oldest.
const SESSIONS_MAX: i64 = 50;

fn begin(tx: &Connection, new: &NewSession, now_ms: i64) -> Result<Session, StoreError> {
    let role = role(tx, &new.name)?.ok_or_else(|| StoreError::not_found("login", &new.name))?;
    tx.prepare_cached("DELETE FROM session WHERE expires_at <= ?")?
        .execute([now_ms])?;
    tx.prepare_cached(
        "DELETE FROM session WHERE hash IN
             (SELECT hash FROM session WHERE name = ? ORDER BY used_at DESC LIMIT -1 OFFSET ?)",
    )?
    .execute(params![new.name, SESSIONS_MAX.saturating_sub(1)])?;
    tx.prepare_cached(
        "INSERT INTO session (hash, name, source, user_agent, created_at, used_at, expires_at)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        new.hash,
        new.name,
        new.source,
        new.user_agent,
        now_ms,
        now_ms,
        new.expires_at_ms
    ])?;
    Ok(Session {
        name: new.name.clone(),
        role,
        used_at_ms: now_ms,
        expires_at_ms: new.expires_at_ms,
    })
}

fn insert(tx: &Connection, name: &str, role: Role, password: Option<&str>, now_ms: i64) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT INTO identity (name, role, password, created_at) VALUES (?, ?, ?, ?)")?
        .execute(params![name, role.name(), password, now_ms])?;
    Ok(())
}

/// Makes sure that there is an identity of this role. A subscriber's is made when it is first needed.
pub(crate) fn known(tx: &Connection, name: &str, wanted: Role, now_ms: i64) -> Result<(), StoreError> {
    match (role(tx, name)?, wanted) {
        (Some(found), wanted) if found == wanted => Ok(()),
        (None, Role::Subscriber) if is_subscriber(tx, name)? => insert(tx, name, Role::Subscriber, None, now_ms),
        (Some(Role::Operator), Role::Subscriber) if is_subscriber(tx, name)? => Err(taken(name, Role::Operator)),
        (_, Role::Operator) => Err(StoreError::not_found("operator", name)),
        (_, Role::Subscriber) => Err(StoreError::not_found("subscriber", name)),
    }
}

fn role(db: &Connection, name: &str) -> Result<Option<Role>, StoreError> {
    Ok(db
        .prepare_cached("SELECT role FROM identity WHERE name = ?")?
        .query_row([name], |row| Ok(Role::from_name(row.get_ref(0)?.as_str()?)))
        .optional()?)
}

fn is_subscriber(db: &Connection, name: &str) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached("SELECT 1 FROM subscriber WHERE user = ?")?
        .exists([name])?)
}

fn taken(name: &str, role: Role) -> StoreError {
    StoreError::Refused {
        why: format!("'{name}' is the name of an {} already", role.name()).replace("an subscriber", "a subscriber"),
        fix: "take another name for the operator: one name logs in as one".to_owned(),
    }
}

fn link(db: &Connection, hash: &SecretHash, now_ms: i64) -> Result<Option<String>, StoreError> {
    Ok(db
        .prepare_cached("SELECT name FROM login_link WHERE hash = ? AND expires_at > ?")?
        .query_row(params![hash, now_ms], |row| row.get(0))
        .optional()?)
}

fn identity(row: &Row<'_>) -> rusqlite::Result<Identity> {
    Ok(Identity {
        name: row.get(0)?,
        role: Role::from_name(row.get_ref(1)?.as_str()?),
        has_password: row.get(2)?,
        created_at_ms: row.get(3)?,
    })
}

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        name: row.get(0)?,
        role: Role::from_name(row.get_ref(1)?.as_str()?),
        used_at_ms: row.get(2)?,
        expires_at_ms: row.get(3)?,
    })
}
