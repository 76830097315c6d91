//! Trunks that were added, as they stand in the store: for checks.

use segue_policy::Trunk;
use segue_store::{KeptTrunk, Store};

use crate::{config::Config, failure::Failure};

/// All of a data directory; none where there is none, or one of another version: that is the server's to migrate.
pub fn of(config: &Config) -> Result<Vec<Trunk>, Failure> {
    if segue_store::version(&config.data_dir).ok().flatten() != Some(segue_store::VERSION) {
        return Ok(Vec::new());
    }
    let store = Store::open(&config.data_dir)?;
    store.trunks()?.trunks.into_iter().map(one).collect()
}

fn one(kept: KeptTrunk) -> Result<Trunk, Failure> {
    serde_json::from_str(&kept.settings).map_err(|why| {
        Failure::refused(
            "bad_trunk",
            format!("the trunk {} cannot be read: {why}", kept.name),
            format!("remove it by 'segue trunk remove {}' and add it anew", kept.name),
        )
    })
}
