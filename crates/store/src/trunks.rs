//! Trunks that commands have added: their settings as JSON, their passwords sealed; and those that are to be asked anew at once.

use rusqlite::{Connection, OptionalExtension, Row, params};
use segue_policy::TRUNKS_MAX;

use crate::{Store, StoreError};

/// One trunk as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptTrunk {
    /// Its name.
    pub name: String,
    /// A JSON object of its settings.
    pub settings: String,
    /// Its password, sealed.
    pub sealed: Option<Vec<u8>>,
}

/// All of them, from one snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptTrunks {
    /// Another one whenever any of them has changed.
    pub version: i64,
    /// By name.
    pub trunks: Vec<KeptTrunk>,
}

impl Store {
    /// All trunks that commands have added.
    pub fn trunks(&self) -> Result<KeptTrunks, StoreError> {
        self.read(|db| {
            let version = version(db)?;
            let mut all = db.prepare_cached("SELECT name, settings, sealed FROM trunk ORDER BY name")?;
            let trunks = all.query_map([], kept)?;
            Ok(KeptTrunks {
                version,
                trunks: trunks.collect::<Result<_, _>>()?,
            })
        })
    }

    /// Another one whenever any of them has changed.
    pub fn trunks_version(&self) -> Result<i64, StoreError> {
        self.read(version)
    }

    /// One of them. Error: [`StoreError::NotFound`].
    pub fn trunk(&self, name: &str) -> Result<KeptTrunk, StoreError> {
        self.read(|db| one(db, name)?.ok_or_else(|| StoreError::not_found("trunk", name)))
    }

    /// Keeps a trunk. Error: [`StoreError::Refused`] where there is one of its name, or as many as a server may have.
    pub fn add_trunk(&self, trunk: KeptTrunk) -> Result<(), StoreError> {
        self.write(move |tx| {
            if one(tx, &trunk.name)?.is_some() {
                return Err(StoreError::Refused {
                    why: format!("trunk '{}' exists already", trunk.name),
                    fix: format!("change it by 'segue trunk set {}', or choose another name", trunk.name),
                });
            }
            let count: i64 = tx
                .prepare_cached("SELECT count(*) FROM trunk")?
                .query_row([], |row| row.get(0))?;
            if usize::try_from(count).is_ok_and(|count| count >= TRUNKS_MAX) {
                return Err(StoreError::Refused {
                    why: format!("there are {TRUNKS_MAX} trunks, as many as there may be"),
                    fix: "remove one first".to_owned(),
                });
            }
            put(tx, &trunk)
        })
    }

    /// Has a trunk be another one of its name, if it still is what it was. Errors: [`StoreError::NotFound`], [`StoreError::Changed`].
    pub fn replace_trunk(&self, before: KeptTrunk, after: KeptTrunk) -> Result<(), StoreError> {
        self.write(move |tx| match one(tx, &before.name)? {
            None => Err(StoreError::not_found("trunk", &before.name)),
            Some(now) if now != before || after.name != before.name => Err(StoreError::Changed),
            Some(_) => put(tx, &after),
        })
    }

    /// Forgets a trunk, if it is as it is wanted. Errors: [`StoreError::NotFound`], [`StoreError::Changed`].
    pub fn remove_trunk_if(
        &self,
        name: &str,
        is_so: impl FnOnce(&KeptTrunk) -> bool + Send + 'static,
    ) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.write(move |tx| {
            let now = one(tx, &name)?.ok_or_else(|| StoreError::not_found("trunk", &name))?;
            if !is_so(&now) {
                return Err(StoreError::Changed);
            }
            tx.prepare_cached("DELETE FROM trunk WHERE name = ?")?
                .execute([&name])?;
            Ok(())
        })
    }

    /// A trunk is to be asked anew: by the server, which looks for it.
    pub fn ask_trunk(&self, name: &str) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.write(move |tx| {
            tx.prepare_cached("INSERT OR REPLACE INTO trunk_asked (name) VALUES (?)")?
                .execute([&name])?;
            Ok(())
        })
    }

    /// The trunks that are to be asked anew; they are forgotten by that.
    pub fn take_asked_trunks(&self) -> Result<Vec<String>, StoreError> {
        let asked = |db: &Connection| -> Result<Vec<String>, StoreError> {
            let mut all = db.prepare_cached("SELECT name FROM trunk_asked ORDER BY name")?;
            let names = all.query_map([], |row| row.get(0))?;
            Ok(names.collect::<Result<_, _>>()?)
        };
        // Mostly there are none, and nothing is written.
        if self.read(asked)?.is_empty() {
            return Ok(Vec::new());
        }
        self.write(move |tx| {
            let names = asked(tx)?;
            tx.prepare_cached("DELETE FROM trunk_asked")?.execute([])?;
            Ok(names)
        })
    }
}

fn one(db: &Connection, name: &str) -> Result<Option<KeptTrunk>, StoreError> {
    let mut found = db.prepare_cached("SELECT name, settings, sealed FROM trunk WHERE name = ?")?;
    Ok(found.query_row([name], kept).optional()?)
}

fn kept(row: &Row<'_>) -> rusqlite::Result<KeptTrunk> {
    Ok(KeptTrunk {
        name: row.get(0)?,
        settings: row.get(1)?,
        sealed: row.get(2)?,
    })
}

fn put(tx: &Connection, trunk: &KeptTrunk) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT OR REPLACE INTO trunk (name, settings, sealed) VALUES (?, ?, ?)")?
        .execute(params![trunk.name, trunk.settings, trunk.sealed])?;
    Ok(())
}

fn version(db: &Connection) -> Result<i64, StoreError> {
    let mut version = db.prepare_cached("SELECT version FROM trunks WHERE id = 0")?;
    Ok(version.query_row([], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trunks_are_kept_and_each_change_is_another_version() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let trunk = |settings: &str| KeptTrunk {
            name: "main".into(),
            settings: settings.into(),
            sealed: Some(vec![1, 2]),
        };
        let first = store.trunks_version().unwrap();
        store.add_trunk(trunk("{}")).unwrap();
        assert!(matches!(store.add_trunk(trunk("{}")), Err(StoreError::Refused { .. })));
        store.replace_trunk(trunk("{}"), trunk("{\"a\":1}")).unwrap();
        let late = store.replace_trunk(trunk("{}"), trunk("{\"b\":1}"));
        assert_eq!(late, Err(StoreError::Changed), "somebody was faster");
        assert_eq!(store.trunk("main").unwrap(), trunk("{\"a\":1}"));
        let kept = store.trunks().unwrap();
        assert_eq!(kept.trunks, [trunk("{\"a\":1}")]);
        assert!(kept.version > first && kept.version == store.trunks_version().unwrap());
        let before = trunk("{}");
        let stale = store.remove_trunk_if("main", move |now| *now == before);
        assert_eq!(stale, Err(StoreError::Changed));
        store.remove_trunk_if("main", |_| true).unwrap();
        assert!(store.trunks_version().unwrap() > kept.version);
        let gone = [
            store.remove_trunk_if("main", |_| true),
            store.replace_trunk(trunk("{}"), trunk("{}")),
            store.trunk("main").map(drop),
        ];
        for gone in gone {
            assert!(matches!(gone, Err(StoreError::NotFound { .. })));
        }
    }

    #[test]
    fn there_are_no_more_trunks_than_a_server_may_have() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let trunk = |number: usize| KeptTrunk {
            name: format!("t{number}"),
            settings: "{}".into(),
            sealed: None,
        };
        for number in 0..TRUNKS_MAX {
            store.add_trunk(trunk(number)).unwrap();
        }
        let more = store.add_trunk(trunk(TRUNKS_MAX)).unwrap_err();
        assert!(more.to_string().contains("as many as there may be"), "{more}");
        store.remove_trunk_if("t0", |_| true).unwrap();
        store.add_trunk(trunk(TRUNKS_MAX)).unwrap();
    }

    #[test]
    fn who_is_to_be_asked_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert!(store.take_asked_trunks().unwrap().is_empty());
        for name in ["b", "a", "b"] {
            store.ask_trunk(name).unwrap();
        }
        assert_eq!(store.take_asked_trunks().unwrap(), ["a", "b"]);
        assert!(store.take_asked_trunks().unwrap().is_empty());
    }
}
