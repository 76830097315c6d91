//! Prepared clips in memory: loaded once, shared by all calls that play them, bounded.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use segue_mailbox::{ClipInfo, RenditionProfile};
use segue_media::cache::Cache;
use segue_store::Store;

/// All renditions of one clip.
pub(crate) type Renditions = Arc<BTreeMap<RenditionProfile, Cache>>;

/// Least recently used clips go when their bytes pass the bound. A call keeps what it plays.
#[derive(Debug, Clone)]
pub struct ClipCache {
    inner: Arc<Mutex<Inner>>,
    bytes_max: u64,
}

#[derive(Debug, Default)]
struct Inner {
    clips: BTreeMap<i64, (Renditions, u64)>,
    /// Row ids, least recently used first.
    order: VecDeque<i64>,
    bytes: u64,
}

impl ClipCache {
    /// An empty cache that holds at most `bytes_max` bytes of renditions (and always the last one used).
    pub fn new(bytes_max: u64) -> ClipCache {
        ClipCache {
            inner: Arc::default(),
            bytes_max,
        }
    }

    /// The clip's renditions, read from the store when they are not at hand. Blocks on the store; one that cannot be read is
    /// left out and logged, the call goes on without it.
    pub(crate) fn load(&self, store: &Store, clip: &ClipInfo) -> Renditions {
        if let Some(found) = self.lock().touch(clip.id) {
            return found;
        }
        let mut renditions = BTreeMap::new();
        let mut bytes = 0u64;
        for info in &clip.renditions {
            let read = match store.rendition(clip.id, info.profile) {
                Ok(Some(read)) => read,
                Ok(None) => continue,
                Err(error) => {
                    tracing::error!(clip = clip.name, %error, "a clip's rendition cannot be read");
                    continue;
                }
            };
            match Cache::parse(&read) {
                Ok(cache) => {
                    bytes = bytes.saturating_add(read.len() as u64);
                    renditions.insert(info.profile, cache);
                }
                Err(error) => {
                    tracing::error!(clip = clip.name, profile = ?info.profile, %error, "a clip's rendition is damaged")
                }
            }
        }
        let renditions = Arc::new(renditions);
        self.lock()
            .insert(clip.id, Arc::clone(&renditions), bytes, self.bytes_max);
        renditions
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn touch(&mut self, id: i64) -> Option<Renditions> {
        let found = self.clips.get(&id)?.0.clone();
        self.order.retain(|other| *other != id);
        self.order.push_back(id);
        Some(found)
    }

    fn insert(&mut self, id: i64, renditions: Renditions, bytes: u64, bytes_max: u64) {
        if let Some((_, old)) = self.clips.insert(id, (renditions, bytes)) {
            self.bytes = self.bytes.saturating_sub(old);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.order.retain(|other| *other != id);
        self.order.push_back(id);
        while self.bytes > bytes_max && self.order.len() > 1 {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some((_, freed)) = self.clips.remove(&oldest) {
                self.bytes = self.bytes.saturating_sub(freed);
            }
        }
    }
}
