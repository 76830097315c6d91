//! Subscribers whose targets lead back here.

use segue_sip_wire::Uri;
use segue_store::Store;

use super::Check;
use crate::{check::is_here, config::Config};

/// Most that are named.
const NAMED_MAX: usize = 5;

/// A row where there is such a one. Only looks at a database of this version: an older one is the server's to migrate.
pub(super) fn check(config: &Config) -> Option<Check> {
    if segue_store::version(&config.data_dir).ok().flatten() != Some(segue_store::VERSION) {
        return None;
    }
    let subscribers = Store::open(&config.data_dir)
        .and_then(|store| store.subscribers())
        .ok()?;
    let leads_back = |user: &str, target: &str| {
        let uri = target.parse::<Uri>().ok()?;
        let itself = uri.user().is_some_and(|named| named == user) && is_here(config, &uri);
        itself.then(|| format!("{user} ({target})"))
    };
    let back = subscribers.iter().filter_map(|subscriber| {
        let mut targets = subscriber.targets.iter();
        targets.find_map(|target| leads_back(&subscriber.user, target))
    });
    let back: Vec<String> = back.take(NAMED_MAX).collect();
    (!back.is_empty()).then(|| {
        Check::warn(
            "targets",
            format!(
                "lead to this server and the same subscriber, so that calls there get 482: {}",
                back.join(", ")
            ),
            "segue subscriber set USER --target with where the phone is",
        )
    })
}
