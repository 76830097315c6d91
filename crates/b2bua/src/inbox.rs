//! The bounded way from other threads into a shard.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use segue_call::StoreReply;
use segue_sip::{Candidate, Place};
use tokio::sync::mpsc;

use crate::{CallKey, look_up::Answer, mailboxes::Served, perform::Shown};

/// What reaches the shard from other threads.
#[derive(Debug)]
pub(crate) enum Note {
    Media(CallKey, segue_media::Event),
    Found(CallKey, Box<Answer>),
    Resolved(CallKey, Place, Vec<Candidate>),
    Located(Place, Vec<Candidate>),
    Store(CallKey, StoreReply),
    Served(CallKey, Box<Served>),
    Shown(CallKey, Box<Shown>),
}

/// The bounded way into a shard. When it is full, that call is ended; no event is dropped silently.
#[derive(Debug, Clone)]
pub struct Inbox {
    notes: mpsc::Sender<Note>,
    overflow: Arc<Mutex<BTreeSet<CallKey>>>,
}

impl Inbox {
    /// An inbox of `depth` notes, and its end at the shard.
    pub fn new(depth: usize) -> (Inbox, InboxEnd) {
        let (notes, end) = mpsc::channel(depth);
        let overflow = Arc::default();
        (
            Inbox {
                notes,
                overflow: Arc::clone(&overflow),
            },
            InboxEnd { notes: end, overflow },
        )
    }

    /// An event of the packet path; never waits.
    pub fn media(&self, session: u64, event: segue_media::Event) {
        self.put(CallKey(session), Note::Media(CallKey(session), event));
    }

    /// Where a trunk's servers are. Without room for it they are looked up again in a while.
    pub(crate) fn located(&self, place: Place, servers: Vec<Candidate>) {
        let _ = self.notes.try_send(Note::Located(place, servers));
    }

    /// Whether there was room for it.
    pub(crate) fn put(&self, key: CallKey, note: Note) -> bool {
        let fits = self.notes.try_send(note).is_ok();
        if !fits {
            self.overflow.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        }
        fits
    }
}

/// The shard's end of an [`Inbox`].
#[derive(Debug)]
pub struct InboxEnd {
    pub(crate) notes: mpsc::Receiver<Note>,
    pub(crate) overflow: Arc<Mutex<BTreeSet<CallKey>>>,
}
