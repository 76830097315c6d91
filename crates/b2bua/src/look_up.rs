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

/// One read of the store gives the whole plan; its clips are loaded before anything is said to the caller.
pub(crate) fn look_up(store: &Store, clips: &ClipCache, user: &str, profile: &Profile) -> Answer {
    let Found {
        subscriber,
        clip,
        greeting,
        beep,
        full,
    } = match by_name_or_number(store, user, profile) {
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

/// A subscriber by their name, else by a number of theirs, however the profile's callers write it.
fn by_name_or_number(store: &Store, user: &str, profile: &Profile) -> Result<Option<Found>, StoreError> {
    if let Some(found) = store.lookup(user)? {
        return Ok(Some(found));
    }
    let owner = match profile.normalise(user).number {
        Some(number) => store.owner_of(&number)?,
        None => None,
    };
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
            let found = by_name_or_number(&store, user, &profile).unwrap();
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
}
