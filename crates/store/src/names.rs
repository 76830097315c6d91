//! What subscribers are called beside their name: numbers and aliases. Each name, of whichever sort, is one subscriber's alone.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension};
use segue_policy::{Subscriber, user_of_alias};

use crate::{Store, StoreError, looking::Sought};

impl Store {
    /// Whose number this is, in E.164.
    pub fn owner_of(&self, number: &str) -> Result<Option<String>, StoreError> {
        self.read(|db| match owner(db, number)? {
            Some(owner) => Ok(Some(owner)),
            None => owner_of_alias(db, &format!("tel:{number}")),
        })
    }

    /// Whose alias this is, in canonical form (`sip:robert@example.org`).
    pub fn owner_of_alias(&self, alias: &str) -> Result<Option<String>, StoreError> {
        self.read(|db| owner_of_alias(db, alias))
    }
}

/// What a subscriber was called before a change: what stays is not asked for again.
pub(crate) struct Before {
    is_new: bool,
    numbers: Vec<String>,
    aliases: Vec<String>,
}

pub(crate) fn of(db: &Connection, user: &str) -> Result<Before, StoreError> {
    Ok(Before {
        is_new: !is_subscriber(db, user)?,
        numbers: numbers(db, user)?,
        aliases: aliases(db, user)?,
    })
}

/// Fills in numbers and aliases.
pub(crate) fn read(db: &Connection, subscriber: &mut Subscriber) -> Result<(), StoreError> {
    subscriber.numbers = numbers(db, &subscriber.user)?;
    subscriber.aliases = aliases(db, &subscriber.user)?;
    Ok(())
}

/// Whose name, number or alias has a text in it: of those after one the first, at most `max`.
pub(crate) fn like(db: &Connection, sought: &Sought, after: &str, max: usize) -> Result<BTreeSet<String>, StoreError> {
    let mut users: BTreeSet<String> = BTreeSet::new();
    for names in [
        "SELECT user, user FROM subscriber WHERE user > ? ORDER BY user",
        "SELECT subscriber, number FROM number WHERE subscriber > ?",
        "SELECT subscriber, alias FROM alias WHERE subscriber > ?",
    ] {
        let mut statement = db.prepare_cached(names)?;
        let mut rows = statement.query([after])?;
        while let Some(row) = rows.next()? {
            if sought.is_in(row.get_ref(1)?.as_str()?) {
                users.insert(row.get(0)?);
                if users.len() > max {
                    users.pop_last();
                }
            }
        }
    }
    Ok(users)
}

pub(crate) fn remove(tx: &Connection, user: &str) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM number WHERE subscriber = ?")?
        .execute([user])?;
    tx.prepare_cached("DELETE FROM alias WHERE subscriber = ?")?
        .execute([user])?;
    Ok(())
}

/// Writes numbers and aliases anew. Error: [`StoreError::Refused`] when one of them, or a new subscriber's name, is somebody else's.
pub(crate) fn put(tx: &Connection, subscriber: &Subscriber, before: &Before) -> Result<(), StoreError> {
    let user = &subscriber.user;
    remove(tx, user)?;
    if before.is_new
        && let Some(other) = owner(tx, user)?.or(owner_of_alias_user(tx, user)?)
    {
        return Err(StoreError::Refused {
            why: format!("{user} is a number or an alias of subscriber '{other}'"),
            fix: format!("take another name, or take that one from them first: 'segue subscriber show {other}'"),
        });
    }
    let mut add = tx.prepare_cached("INSERT OR IGNORE INTO number (number, subscriber) VALUES (?, ?)")?;
    for number in &subscriber.numbers {
        if let Some(other) = owner(tx, number)? {
            return Err(taken("number", number, &other));
        }
        if !before.numbers.contains(number) {
            is_free(tx, "number", number, number, user)?;
        }
        add.execute([number, user])?;
    }
    let mut add = tx.prepare_cached("INSERT OR IGNORE INTO alias (alias, user, subscriber) VALUES (?, ?, ?)")?;
    for alias in &subscriber.aliases {
        let named = user_of_alias(alias);
        if let Some(other) = owner_of_alias(tx, alias)?.filter(|other| other != user) {
            return Err(taken("alias", alias, &other));
        }
        if !before.aliases.contains(alias) {
            if let Some(other) = owner(tx, named)?.filter(|other| other != user) {
                return Err(StoreError::Refused {
                    why: format!("the alias {alias} names a number of subscriber '{other}'"),
                    fix: format!(
                        "take it from them first: 'segue subscriber set {other} --number ...' with those that stay, or none"
                    ),
                });
            }
            is_free(tx, "alias", alias, named, user)?;
        }
        add.execute([alias.as_str(), named, user])?;
    }
    Ok(())
}

/// Whether no other subscriber is called so, by name or, for a number, by alias. Aliases at two hosts may name the same user.
fn is_free(tx: &Connection, what: &str, value: &str, named: &str, user: &str) -> Result<(), StoreError> {
    if named != user && is_subscriber(tx, named)? {
        return Err(StoreError::Refused {
            why: format!("the {what} {value} names subscriber '{named}'"),
            fix: format!("give it to them, or remove them first: 'segue subscriber remove {named}'"),
        });
    }
    match owner_of_alias_user(tx, named)?.filter(|other| what == "number" && other != user) {
        Some(other) => Err(taken("alias", value, &other)),
        None => Ok(()),
    }
}

fn taken(what: &str, value: &str, other: &str) -> StoreError {
    StoreError::Refused {
        why: format!("the {what} {value} is that of subscriber '{other}'"),
        fix: format!(
            "take it from them first: 'segue subscriber set {other} --{what} ...' with those that stay, or none"
        ),
    }
}

fn numbers(db: &Connection, user: &str) -> Result<Vec<String>, StoreError> {
    Ok(db
        .prepare_cached("SELECT number FROM number WHERE subscriber = ? ORDER BY number")?
        .query_map([user], |row| row.get(0))?
        .collect::<Result<Vec<_>, _>>()?)
}

fn aliases(db: &Connection, user: &str) -> Result<Vec<String>, StoreError> {
    Ok(db
        .prepare_cached("SELECT alias FROM alias WHERE subscriber = ? ORDER BY alias")?
        .query_map([user], |row| row.get(0))?
        .collect::<Result<Vec<_>, _>>()?)
}

fn is_subscriber(db: &Connection, user: &str) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM subscriber WHERE user = ?)")?
        .query_row([user], |row| row.get(0))?)
}

fn owner(db: &Connection, number: &str) -> Result<Option<String>, StoreError> {
    one(db, "SELECT subscriber FROM number WHERE number = ?", number)
}

fn owner_of_alias(db: &Connection, alias: &str) -> Result<Option<String>, StoreError> {
    one(db, "SELECT subscriber FROM alias WHERE alias = ?", alias)
}

fn owner_of_alias_user(db: &Connection, user: &str) -> Result<Option<String>, StoreError> {
    one(
        db,
        "SELECT subscriber FROM alias WHERE user = ? ORDER BY alias LIMIT 1",
        user,
    )
}

fn one(db: &Connection, sql: &str, key: &str) -> Result<Option<String>, StoreError> {
    Ok(db.prepare_cached(sql)?.query_row([key], |row| row.get(0)).optional()?)
}
