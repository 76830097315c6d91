//! Trunks that commands have added: their settings as JSON, their passwords sealed; and those that are to be asked anew at once.

use rusqlite::{Connection, params};

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
            let trunks = all.query_map([], |row| {
                Ok(KeptTrunk {
                    name: row.get(0)?,
                    settings: row.get(1)?,
                    sealed: row.get(2)?,
                })
            })?;
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

    /// Keeps a trunk. Errors: [`StoreError::Refused`] where it is new and there is one of its name, [`StoreError::NotFound`] where it is
    /// not new and there is none.
    pub fn put_trunk(&self, trunk: KeptTrunk, is_new: bool) -> Result<(), StoreError> {
        self.write(move |tx| {
            let known: i64 = tx
                .prepare_cached("SELECT count(*) FROM trunk WHERE name = ?")?
                .query_row([&trunk.name], |row| row.get(0))?;
            match (is_new, known) {
                (true, 1..) => {
                    return Err(StoreError::Refused {
                        why: format!("trunk '{}' exists already", trunk.name),
                        fix: format!("change it by 'segue trunk set {}', or choose another name", trunk.name),
                    });
                }
                (false, 0) => return Err(StoreError::not_found("trunk", &trunk.name)),
                _ => {}
            }
            let put = "INSERT OR REPLACE INTO trunk (name, settings, sealed) VALUES (?, ?, ?)";
            tx.prepare_cached(put)?
                .execute(params![trunk.name, trunk.settings, trunk.sealed])?;
            Ok(())
        })
    }

    /// Forgets a trunk. Error: [`StoreError::NotFound`].
    pub fn remove_trunk(&self, name: &str) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.write(move |tx| {
            let gone = tx
                .prepare_cached("DELETE FROM trunk WHERE name = ?")?
                .execute([&name])?;
            match gone {
                0 => Err(StoreError::not_found("trunk", &name)),
                _ => Ok(()),
            }
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
        store.put_trunk(trunk("{}"), true).unwrap();
        assert!(matches!(
            store.put_trunk(trunk("{}"), true),
            Err(StoreError::Refused { .. })
        ));
        store.put_trunk(trunk("{\"a\":1}"), false).unwrap();
        let kept = store.trunks().unwrap();
        assert_eq!(kept.trunks, [trunk("{\"a\":1}")]);
        assert!(kept.version > first && kept.version == store.trunks_version().unwrap());
        store.remove_trunk("main").unwrap();
        assert!(store.trunks_version().unwrap() > kept.version);
        for gone in [store.remove_trunk("main"), store.put_trunk(trunk("{}"), false)] {
            assert!(matches!(gone, Err(StoreError::NotFound { .. })));
        }
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
