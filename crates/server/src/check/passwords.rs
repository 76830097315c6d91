//! Passwords that are of no use, or that nobody has.

use segue_policy::Auth;
use segue_store::Store;

use super::Warning;
use crate::config::{Config, ProfileFile};

/// Most subscribers that are named.
const NAMED_MAX: usize = 5;

/// Only looks at a database of this version: an older one is the server's to migrate.
pub(super) fn check(config: &Config, profiles: &[ProfileFile]) -> Vec<Warning> {
    let mut asking = profiles
        .iter()
        .filter(|file| file.profile.registrar || file.profile.auth == Auth::Digest)
        .peekable();
    if asking.peek().is_none() {
        return Vec::new();
    }
    let is_current = segue_store::version(&config.data_dir).ok().flatten() == Some(segue_store::VERSION);
    let known = is_current.then(|| Store::open(&config.data_dir).and_then(|store| store.directory()));
    // What cannot be read is told of where it is opened.
    let subscribers = known.and_then(Result::ok).unwrap_or_default().subscribers;
    asking.filter_map(|file| of_profile(file, &subscribers)).collect()
}

fn of_profile(file: &ProfileFile, subscribers: &[segue_store::Listed]) -> Option<Warning> {
    let (profile, realm) = (&file.profile, &file.profile.auth_realm);
    let has = |listed: &&segue_store::Listed| listed.secrets.iter().any(|(of, _)| of == realm);
    let useless: Vec<&str> = subscribers
        .iter()
        .filter(|listed| !listed.secrets.is_empty() && !has(listed))
        .map(|listed| listed.user.as_str())
        .collect();
    if !useless.is_empty() {
        let mut named = useless.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
        if useless.len() > NAMED_MAX {
            named.push_str(&format!(" and {} more", useless.len().saturating_sub(NAMED_MAX)));
        }
        return Some(Warning::new(
            format!(
                "{}: auth_realm = {realm:?}: passwords that were set for another realm are of no use in this one, those of {named}",
                file.at("auth_realm")
            ),
            "set them again by 'segue subscriber set USER --password-file FILE', or set auth_realm back",
        ));
    }
    let nobody = !subscribers.iter().any(|listed| has(&listed)) && profile.auth_users.is_empty();
    (nobody && profile.auth == Auth::Digest).then(|| {
        Warning::new(
            format!(
                "{}: auth = \"digest\" lets only those call who have a password, and nobody has one",
                file.at("auth")
            ),
            "give subscribers one by 'segue subscriber set USER --password-file FILE', or name a file in auth_users",
        )
    })
}
