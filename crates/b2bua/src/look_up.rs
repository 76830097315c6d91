//! What a call asks the store about its callee: blocking work, on a thread of its own.

use std::{collections::BTreeMap, time::Instant};

use segue_call::{Lookup, StoreReply};
use segue_policy::{Plan, Profile};
use segue_store::{Found, Reserve, Store};

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
    } = match store.lookup(user) {
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
