//! What a new call needs to know about its callee: blocking work, on a thread of its own.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, ToSocketAddrs},
};

use segue_call::{Lookup, StoreReply};
use segue_policy::{Plan, Profile};
use segue_sip_wire::{Host, Uri};
use segue_store::{Found, Store};

use crate::{ClipCache, clips::Renditions};

/// A look-up's answer with all that playing it will need.
#[derive(Debug)]
pub(crate) struct Answer {
    pub reply: StoreReply,
    /// Where the target is, when that had to be known before the call goes on.
    pub destination: Option<SocketAddr>,
    pub clips: BTreeMap<i64, Renditions>,
}

impl Answer {
    fn without_clips(reply: StoreReply) -> Answer {
        Answer {
            reply,
            destination: None,
            clips: BTreeMap::new(),
        }
    }
}

/// A target whose host is a name, to be resolved while the caller is held.
pub(crate) struct Unresolved(Uri);

/// One read of the store gives the whole plan; its clips are loaded before anything is said to the caller. A slow name server
/// must not delay the clip: a name is resolved here only when B is to be called at once.
pub(crate) fn look_up(store: &Store, clips: &ClipCache, user: &str, profile: &Profile) -> (Answer, Option<Unresolved>) {
    let Found {
        subscriber,
        clip,
        greeting,
        beep,
    } = match store.lookup(user) {
        Ok(Some(found)) => found,
        Ok(None) => return (Answer::without_clips(StoreReply::NotFound), None),
        Err(error) => {
            return (
                Answer::without_clips(StoreReply::LookupFailed { why: error.to_string() }),
                None,
            );
        }
    };
    let plan = Plan::new(&subscriber, profile);
    let loaded = [&clip, &greeting, &beep]
        .into_iter()
        .flatten()
        .map(|info| (info.id, clips.load(store, info)))
        .collect();
    let unresolved = plan
        .target
        .parse()
        .ok()
        .filter(|uri: &Uri| matches!(uri.host(), Some(Host::Name(_))))
        .map(Unresolved);
    let held = clip.is_some() && plan.hold_ms > 0;
    let (destination, unresolved) = match unresolved {
        Some(name) if !held => (name.resolve(), None),
        later => (None, later),
    };
    let reply = StoreReply::Found(Box::new(Lookup {
        plan,
        clip,
        greeting,
        beep,
    }));
    (
        Answer {
            reply,
            destination,
            clips: loaded,
        },
        unresolved,
    )
}

impl Unresolved {
    /// Its address by the system's resolver (blocking).
    pub(crate) fn resolve(&self) -> Option<SocketAddr> {
        let Some(Host::Name(name)) = self.0.host() else {
            return None;
        };
        (name.as_ref(), self.0.port().unwrap_or(5060))
            .to_socket_addrs()
            .ok()?
            .next()
    }
}
