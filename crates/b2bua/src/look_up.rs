//! What a call asks the store about its callee: blocking work, on a thread of its own.

use std::{collections::BTreeMap, time::Instant};

use segue_call::{Lookup, StoreReply};
use segue_policy::{Plan, Profile};
use segue_store::{Found, Reserve, Store, StoreError};

use crate::{ClipCache, clips::Renditions};

/// A look-up's answer with all that playing it will need.
#[derive(Debug)]
pub(crate) struct Answer {
    pub reply: StoreReply,
    pub clips: BTreeMap<i64, Renditions>,
}

impl Answer {
    fn without_clips(reply: StoreReply) -> Answer {
        Answer {
            reply,
            clips: BTreeMap::new(),
        }
    }
}

/// `callee`: by user part, and as an address ([`StoreAction::Lookup`](segue_call::StoreAction)).
///
/// One read of the store gives the whole plan; its clips are loaded before anything is said to the caller.
pub(crate) fn look_up(store: &Store, clips: &ClipCache, callee: (&str, Option<&str>), profile: &Profile) -> Answer {
    let Found {
        subscriber,
        clip,
        greeting,
        beep,
        full,
    } = match by_name_number_or_alias(store, callee, profile) {
        Ok(Some(found)) => found,
        Ok(None) => return Answer::without_clips(StoreReply::NotFound),
        Err(error) => return Answer::without_clips(StoreReply::LookupFailed { why: error.to_string() }),
    };
    let plan = Plan::new(&subscriber, profile);
    let loaded = [&clip, &greeting, &beep, &full]
        .into_iter()
        .flatten()
        .map(|info| (info.id, clips.load(store, info)))
        .collect();
    let reply = StoreReply::Found(Box::new(Lookup {
        plan,
        clip,
        greeting,
        beep,
        full,
    }));
    Answer { reply, clips: loaded }
}

/// A subscriber by their name, else by a number of theirs, however the profile's callers write it, else by an alias.
fn by_name_number_or_alias(
    store: &Store,
    (user, alias): (&str, Option<&str>),
    profile: &Profile,
) -> Result<Option<Found>, StoreError> {
    if !user.is_empty()
        && let Some(found) = store.lookup(user)?
    {
        return Ok(Some(found));
    }
    let number = profile.normalise(user).number;
    let mut owner = number.map_or(Ok(None), |number| store.owner_of(&number))?;
    if owner.is_none() {
        owner = alias.map_or(Ok(None), |alias| store.owner_of_alias(alias))?;
    }
    owner.map_or(Ok(None), |owner| store.lookup(&owner))
}

/// Whether there is room for a message; if so, a place is held for it from now on.
pub(crate) fn reserve(store: &Store, wanted: &Reserve, now: Instant) -> StoreReply {
    match store.reserve(wanted, now) {
        Ok(Ok(grant)) => StoreReply::Reserved {
            mailbox: wanted.mailbox.clone(),
            message_id: wanted.message_id.clone(),
            longest_ms: grant.longest_ms,
            longest_bytes: grant.longest_bytes,
        },
        Ok(Err(rule)) => StoreReply::MailboxFull { rule },
        Err(error) => {
            tracing::warn!(mailbox = wanted.mailbox, %error, "nobody can say whether the mailbox is full; the caller may speak");
            StoreReply::ReserveFailed { why: error.to_string() }
        }
    }
}

#[cfg(test)]
mod tests {
    use segue_policy::Subscriber;

    use super::*;

    #[test]
    fn a_callee_is_found_by_name_and_by_number_however_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let bob = Subscriber {
            user: "bob".into(),
            numbers: vec!["+4930123456".into()],
            ..Subscriber::default()
        };
        store.add_subscriber(bob).unwrap();
        let profile = Profile {
            country_code: "49".into(),
            area_code: "30".into(),
            ..Profile::default()
        };
        let found = |user: &str| {
            let found = by_name_number_or_alias(&store, (user, None), &profile).unwrap();
            found.map(|found| found.subscriber.user)
        };
        for user in [
            "bob",
            "+4930123456",
            "030-123.456",
            "123456",
            "0049(30)123456;ext=7",
            "tel:123456;phone-context=+4930",
        ] {
            assert_eq!(found(user).as_deref(), Some("bob"), "{user}");
        }
        for user in ["eve", "+4930123457", "tel:123456;phone-context=+4940"] {
            assert_eq!(found(user), None, "{user}");
        }
    }
    #[test]
    fn an_alias_is_found_by_its_address_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let bob = Subscriber {
            user: "bob".into(),
            aliases: vec!["sip:robert@example.org".into(), "tel:+4930765".into()],
            ..Subscriber::default()
        };
        store.add_subscriber(bob).unwrap();
        let found = |user: &str, alias: Option<&str>| {
            let found = by_name_number_or_alias(&store, (user, alias), &Profile::default()).unwrap();
            found.map(|found| found.subscriber.user)
        };
        let robert = Some("sip:robert@example.org");
        assert_eq!(found("robert", robert).as_deref(), Some("bob"));
        assert_eq!(found("", robert).as_deref(), Some("bob"), "at a foreign host");
        for number in ["tel:+49-30-765", "+4930765", "0049 30765"] {
            assert_eq!(found(number, None).as_deref(), Some("bob"), "{number}");
        }
        for (user, alias) in [
            ("robert", Some("sip:robert@example.com")),
            ("robert", None),
            ("", Some("sip:bob@example.org")),
            ("", None),
        ] {
            assert_eq!(found(user, alias), None, "{user} {alias:?}");
        }
    }
}
