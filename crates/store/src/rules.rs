//! Subscribers' contacts and rules.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use segue_policy::{Address, CONTACTS_MAX, Contact, Rule, Rules, SUBSCRIBER_RULES_MAX};

use crate::{Store, StoreError, clips};

impl Store {
    /// A subscriber's contacts, by address. Error: [`StoreError::NotFound`].
    pub fn contacts(&self, user: &str) -> Result<Vec<Contact>, StoreError> {
        self.read(|db| {
            exists(db, user)?;
            contacts(db, user)
        })
    }

    /// Adds a contact, or gives the one of this address its new name and groups. Errors: [`StoreError::NotFound`];
    /// [`StoreError::Refused`] when there are too many.
    pub fn put_contact(&self, user: &str, contact: Contact) -> Result<(), StoreError> {
        let user = user.to_owned();
        self.write(move |tx| {
            exists(tx, &user)?;
            put_contact(tx, &user, &contact)?;
            let count: usize = tx
                .prepare_cached("SELECT count(*) FROM contact WHERE subscriber = ?")?
                .query_row([&user], |row| row.get(0))?;
            few_contacts(&user, count)
        })
    }

    /// Removes a contact. Error: [`StoreError::NotFound`].
    pub fn remove_contact(&self, user: &str, address: &Address) -> Result<(), StoreError> {
        let (user, address) = (user.to_owned(), address.to_string());
        self.write(move |tx| {
            exists(tx, &user)?;
            let removed = tx
                .prepare_cached("DELETE FROM contact WHERE subscriber = ? AND address = ?")?
                .execute([&user, &address])?;
            (removed == 1)
                .then_some(())
                .ok_or_else(|| StoreError::not_found("contact", &address))
        })
    }

    /// A subscriber's rules in their order, with the contacts that these speak of. Error: [`StoreError::NotFound`].
    pub fn rules_of(&self, user: &str) -> Result<Rules, StoreError> {
        self.read(|db| {
            exists(db, user)?;
            rules(db, user)
        })
    }

    /// Changes a subscriber's rules in one transaction and returns what `change` does. Errors: [`StoreError::NotFound`] for the
    /// subscriber, or for a clip that a rule names; [`StoreError::Refused`] when there are too many; what `change` says.
    pub fn change_rules<T: Send + 'static>(
        &self,
        user: &str,
        change: impl FnOnce(&mut Vec<Rule>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let user = user.to_owned();
        self.write(move |tx| {
            exists(tx, &user)?;
            let mut rules = read(tx, &user)?;
            let done = change(&mut rules)?;
            if rules.len() > SUBSCRIBER_RULES_MAX {
                return Err(StoreError::Refused {
                    why: format!("subscriber '{user}' has {SUBSCRIBER_RULES_MAX} rules, as many as there may be"),
                    fix: "let one rule serve several: --from, --why, --at and --on may each be given again".to_owned(),
                });
            }
            put(tx, &user, &rules)?;
            Ok(done)
        })
    }

    /// Changes a subscriber's contacts, and the rules that speak of them, in one transaction and returns what `change` does. Errors:
    /// [`StoreError::NotFound`] for the subscriber; [`StoreError::Refused`] when there are too many; what `change` says.
    pub fn change_contacts<T: Send + 'static>(
        &self,
        user: &str,
        change: impl FnOnce(&mut Rules) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let user = user.to_owned();
        self.write(move |tx| {
            exists(tx, &user)?;
            let before = Rules {
                rules: read(tx, &user)?,
                contacts: contacts(tx, &user)?,
            };
            let mut after = before.clone();
            let done = change(&mut after)?;
            put_contacts(tx, &user, &before.contacts, &after.contacts)?;
            if after.rules != before.rules {
                put(tx, &user, &after.rules)?;
            }
            Ok(done)
        })
    }
}

fn few_contacts(user: &str, count: usize) -> Result<(), StoreError> {
    if count <= CONTACTS_MAX {
        return Ok(());
    }
    Err(StoreError::Refused {
        why: format!("subscriber '{user}' has {CONTACTS_MAX} contacts, as many as there may be"),
        fix: "take several together: +4930* is all numbers that begin so, sip:*@example.com all of a host".to_owned(),
    })
}

/// Writes what is different.
fn put_contacts(tx: &Connection, user: &str, before: &[Contact], after: &[Contact]) -> Result<(), StoreError> {
    fn by_address(all: &[Contact]) -> BTreeMap<&Address, &Contact> {
        all.iter().map(|contact| (&contact.address, contact)).collect()
    }
    let (before, after) = (by_address(before), by_address(after));
    few_contacts(user, after.len())?;
    let mut remove = tx.prepare_cached("DELETE FROM contact WHERE subscriber = ? AND address = ?")?;
    for address in before.keys().filter(|address| !after.contains_key(*address)) {
        remove.execute([user, &address.to_string()])?;
    }
    for contact in after.values() {
        if before.get(&contact.address) != Some(contact) {
            put_contact(tx, user, contact)?;
        }
    }
    Ok(())
}

fn put_contact(tx: &Connection, user: &str, contact: &Contact) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO contact (subscriber, address, name, groups) VALUES (?, ?, ?, ?)
         ON CONFLICT (subscriber, address) DO UPDATE SET name = excluded.name, groups = excluded.groups",
    )?
    .execute(params![
        user,
        contact.address.to_string(),
        contact.name,
        contact.groups.join(" ")
    ])?;
    Ok(())
}

fn exists(db: &Connection, user: &str) -> Result<(), StoreError> {
    db.prepare_cached("SELECT 1 FROM subscriber WHERE user = ?")?
        .query_row([user], |_| Ok(()))
        .optional()?
        .ok_or_else(|| StoreError::not_found("subscriber", user))
}

fn corrupt(error: impl ToString) -> StoreError {
    StoreError::Corrupt(error.to_string())
}

fn contacts(db: &Connection, user: &str) -> Result<Vec<Contact>, StoreError> {
    let mut query =
        db.prepare_cached("SELECT address, name, groups FROM contact WHERE subscriber = ? ORDER BY address")?;
    let rows = query.query_map([user], |row| {
        Ok((row.get::<_, String>(0)?, row.get(1)?, row.get::<_, String>(2)?))
    })?;
    rows.map(|row| {
        let (address, name, groups) = row?;
        Ok(Contact {
            address: Address::try_from(address).map_err(corrupt)?,
            name,
            groups: groups.split_whitespace().map(str::to_owned).collect(),
        })
    })
    .collect()
}

fn read(db: &Connection, user: &str) -> Result<Vec<Rule>, StoreError> {
    let mut query = db.prepare_cached("SELECT rule FROM rule WHERE subscriber = ? ORDER BY place")?;
    let rows = query.query_map([user], |row| row.get::<_, String>(0))?;
    rows.map(|row| serde_json::from_str(&row?).map_err(corrupt)).collect()
}

/// A subscriber's rules; contacts only where one asks for them.
pub(crate) fn rules(db: &Connection, user: &str) -> Result<Rules, StoreError> {
    let rules = read(db, user)?;
    let contacts = match Rules::need_contacts(&rules) {
        true => contacts(db, user)?,
        false => Vec::new(),
    };
    Ok(Rules { rules, contacts })
}

fn put(tx: &Connection, user: &str, rules: &[Rule]) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM rule WHERE subscriber = ?")?
        .execute([user])?;
    let mut add =
        tx.prepare_cached("INSERT INTO rule (subscriber, place, clip, greeting, rule) VALUES (?, ?, ?, ?, ?)")?;
    for (place, rule) in rules.iter().enumerate() {
        for clip in rule.clips() {
            if clips::by_name(tx, clip)?.is_none() {
                return Err(StoreError::not_found("clip", clip));
            }
        }
        let name = |choice: &Option<segue_policy::ClipChoice>| {
            let choice = choice.as_ref()?;
            choice.name().map(str::to_owned)
        };
        add.execute(params![
            user,
            i64::try_from(place).unwrap_or(i64::MAX),
            name(&rule.outcome.clip),
            name(&rule.outcome.greeting),
            serde_json::to_string(rule).map_err(corrupt)?
        ])?;
    }
    Ok(())
}
