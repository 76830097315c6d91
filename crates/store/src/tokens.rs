//! Tokens by which programs act for somebody. Only their SHA-256 is here.

use rusqlite::{OptionalExtension, Row, params};

use crate::{Role, SecretHash, Store, StoreError, identities};

/// A token, without what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// By which it is listed and revoked.
    pub id: String,
    /// Whose.
    pub name: String,
    /// What they are.
    pub role: Role,
    /// What it is for, in its maker's words.
    pub label: String,
    /// What it may, words with a space between.
    pub scopes: String,
    /// Since when, Unix milliseconds.
    pub created_at_ms: i64,
    /// Until when; `None`: until it is revoked.
    pub expires_at_ms: Option<i64>,
    /// When it was last written down that it was used.
    pub used_at_ms: Option<i64>,
}

/// Tokens of one identity.
pub const TOKENS_MAX: i64 = 100;

impl Store {
    /// Keeps a token. A subscriber needs no password for it.
    ///
    /// Errors: [`StoreError::NotFound`] for whose it is; [`StoreError::Refused`] past [`TOKENS_MAX`].
    pub fn add_token(&self, token: ApiToken, hash: SecretHash) -> Result<(), StoreError> {
        self.write(move |tx| {
            identities::known(tx, &token.name, token.role, token.created_at_ms)?;
            let count: i64 = tx
                .prepare_cached("SELECT count(*) FROM token WHERE name = ?")?
                .query_row([&token.name], |row| row.get(0))?;
            if count >= TOKENS_MAX {
                return Err(StoreError::Refused {
                    why: format!("'{}' has {TOKENS_MAX} tokens, as many as anybody may", token.name),
                    fix: "revoke some with 'segue token revoke ID'".to_owned(),
                });
            }
            tx.prepare_cached(
                "INSERT INTO token (id, hash, name, label, scopes, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                token.id,
                hash,
                token.name,
                token.label,
                token.scopes,
                token.created_at_ms,
                token.expires_at_ms
            ])?;
            Ok(())
        })
    }

    /// Tokens of one, or of all, the oldest first.
    pub fn tokens(&self, of: Option<&str>) -> Result<Vec<ApiToken>, StoreError> {
        self.read(|db| {
            Ok(db
                .prepare_cached(&format!(
                    "{SELECT} WHERE t.name = coalesce(?, t.name) ORDER BY t.created_at, t.id"
                ))?
                .query_map([of], token)?
                .collect::<Result<_, _>>()?)
        })
    }

    /// A token that still counts.
    pub fn token(&self, hash: &SecretHash, now_ms: i64) -> Result<Option<ApiToken>, StoreError> {
        self.read(|db| {
            Ok(db
                .prepare_cached(&format!(
                    "{SELECT} WHERE t.hash = ? AND (t.expires_at IS NULL OR t.expires_at > ?)"
                ))?
                .query_row(params![hash, now_ms], token)
                .optional()?)
        })
    }

    /// Writes down that a token is used. Nobody waits for it.
    pub fn token_used(&self, id: &str, now_ms: i64) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.inner.writer.submit(
            move |tx| {
                tx.prepare_cached("UPDATE token SET used_at = ? WHERE id = ?")?
                    .execute(params![now_ms, id])?;
                Ok(())
            },
            |_| (),
        )
    }

    /// Revokes a token, anybody's or that of one. Error: [`StoreError::NotFound`].
    pub fn revoke_token(&self, id: &str, of: Option<&str>) -> Result<(), StoreError> {
        let (id, of) = (id.to_owned(), of.map(str::to_owned));
        self.write(move |tx| {
            let revoked = tx
                .prepare_cached("DELETE FROM token WHERE id = ? AND name = coalesce(?, name)")?
                .execute(params![id, of])?;
            match revoked {
                0 => Err(StoreError::not_found("token", &id)),
                _ => Ok(()),
            }
        })
    }
}

const SELECT: &str = "SELECT t.id, t.name, i.role, t.label, t.scopes, t.created_at, t.expires_at, t.used_at
                      FROM token t JOIN identity i ON i.name = t.name";

fn token(row: &Row<'_>) -> rusqlite::Result<ApiToken> {
    Ok(ApiToken {
        id: row.get(0)?,
        name: row.get(1)?,
        role: Role::from_name(row.get_ref(2)?.as_str()?),
        label: row.get(3)?,
        scopes: row.get(4)?,
        created_at_ms: row.get(5)?,
        expires_at_ms: row.get(6)?,
        used_at_ms: row.get(7)?,
    })
}
