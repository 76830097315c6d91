//! A caller sees again what it has just recorded.

use std::{collections::BTreeMap, sync::Arc};

use segue_call::StoreReply;
use segue_mailbox::ClipInfo;

use super::{Performer, Take, now};
use crate::{CallKey, inbox::Note};

/// What was made of a recording for its caller, or why not.
#[derive(Debug)]
pub(crate) struct Shown {
    message_id: String,
    made: Result<Take, String>,
}

impl Performer {
    /// Has a recording made a clip, elsewhere.
    pub(super) fn preview(&self, key: CallKey, message_id: &str) {
        let (inbox, id) = (self.inbox.clone(), message_id.to_owned());
        let shown = move |made| {
            let shown = Shown { message_id: id, made };
            inbox.put(key, Note::Shown(key, Box::new(shown)));
        };
        self.deposits.preview(message_id, Box::new(shown));
    }

    /// It is made. It is no clip of the store, so that its number is none of theirs: those count from 1.
    pub(super) fn shown(&mut self, key: CallKey, shown: Shown) {
        let Shown { message_id, made } = shown;
        let reply = match made {
            Err(why) => StoreReply::PreviewFailed { message_id, why },
            Ok(Take { duration_ms, rows }) => {
                let playing = self.playing.entry(key).or_default();
                let id = playing
                    .keys()
                    .next()
                    .map_or(-1, |first| first.saturating_sub(1).min(-1));
                let clip = ClipInfo {
                    id,
                    name: message_id.clone(),
                    duration_ms,
                    renditions: rows.iter().map(|row| row.info.clone()).collect(),
                };
                let renditions: BTreeMap<_, _> = rows.into_iter().map(|row| (row.info.profile, row.cache)).collect();
                if self.shard.has(key) {
                    playing.insert(id, Arc::new(renditions));
                } else {
                    self.playing.remove(&key);
                }
                StoreReply::Previewed { message_id, clip }
            }
        };
        self.shard.handle_store(now(), key, reply);
    }
}
