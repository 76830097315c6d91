//! Trunks that commands have added, as they stand in the store: for commands and checks.

use segue_policy::Trunk;
use segue_store::{KeptTrunk, Store};

use crate::{config::Config, failure::Failure};

/// What stands in `digest_secret` of a trunk whose password is in the store.
pub const SEALED: &str = "sealed in the data directory";

/// One of them.
#[derive(Debug, Clone)]
pub struct Added {
    pub trunk: Trunk,
    pub sealed: Option<Vec<u8>>,
}

/// All of a data directory; none where there is none, or one of another version: that is the server's to migrate.
pub fn of(config: &Config) -> Result<Vec<Added>, Failure> {
    if segue_store::version(&config.data_dir).ok().flatten() != Some(segue_store::VERSION) {
        return Ok(Vec::new());
    }
    read(&Store::open(&config.data_dir)?)
}

/// All of a store.
pub fn read(store: &Store) -> Result<Vec<Added>, Failure> {
    store.trunks()?.trunks.into_iter().map(one).collect()
}

fn one(kept: KeptTrunk) -> Result<Added, Failure> {
    let trunk = serde_json::from_str(&kept.settings).map_err(|why| {
        Failure::refused(
            "bad_trunk",
            format!("the trunk {} cannot be read: {why}", kept.name),
            format!("remove it by 'segue trunk remove {}' and add it anew", kept.name),
        )
    })?;
    Ok(Added {
        trunk,
        sealed: kept.sealed,
    })
}
