//! How many streams one identity follows at a time, where each costs more than the connection that it holds.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Streams of one identity.
const EACH_MAX: u8 = 8;

/// Who follows how many.
#[derive(Debug, Clone, Default)]
pub(crate) struct Followers(Arc<Mutex<BTreeMap<String, u8>>>);

/// A place among them; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    of: Followers,
    name: String,
}

impl Followers {
    /// One more; `None`: they follow as many as they may.
    pub(crate) fn enter(&self, name: &str) -> Option<Place> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(name.to_owned()).or_default();
        if *count >= EACH_MAX {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Place {
            of: self.clone(),
            name: name.to_owned(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&self.name) {
            Some(count) if *count > 1 => *count = count.saturating_sub(1),
            _ => drop(all.remove(&self.name)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn each_has_so_many_and_gets_them_back() {
        let followers = Followers::default();
        let mut bobs: Vec<Place> = (0..EACH_MAX).map(|_| followers.enter("bob").unwrap()).collect();
        assert!(followers.enter("bob").is_none());
        let eves = followers.enter("eve").unwrap();
        bobs.pop();
        bobs.push(followers.enter("bob").unwrap());
        assert!(followers.enter("bob").is_none());
        drop((bobs, eves));
        assert!(followers.0.lock().unwrap().is_empty(), "nobody is remembered");
    }
}
