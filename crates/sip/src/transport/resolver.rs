//! Asks name servers, and remembers what they said for as long as they said it may be remembered.

mod cache;
mod query;
mod system;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

use crate::{Candidate, Place, Question, Record, Speaks, Step, locate, locate::Known};
use cache::Cache;

/// Questions on their way at once, of all searches.
const QUESTIONS_MAX: usize = 64;
/// The longest search: nobody listens to the tone of a name server.
const SEARCH_MAX: Duration = Duration::from_secs(10);
/// Rounds of questions of one search: NAPTR, SRV, addresses, and one to spare.
const ROUNDS_MAX: usize = 4;

/// Why a place was not found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// The name servers know no server of that name.
    #[error("no name server knows an address of {0}")]
    Nowhere(String),
    /// They did not say.
    #[error("no name server answered for {0}")]
    NoAnswer(String),
}

/// Finds SIP servers by their names (RFC 3263). Cheap to clone.
#[derive(Debug, Clone)]
pub struct Resolver(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    servers: Vec<SocketAddr>,
    /// `/etc/hosts` comes before name servers.
    hosts: bool,
    speaks: Speaks,
    cache: Mutex<Cache>,
    room: Semaphore,
}

impl Resolver {
    /// Asks these servers; none: those of `/etc/resolv.conf`, after `/etc/hosts`.
    #[must_use]
    pub fn new(servers: Vec<SocketAddr>, speaks: Speaks) -> Resolver {
        let hosts = servers.is_empty();
        let servers = if hosts { system::servers() } else { servers };
        Resolver(Arc::new(Shared {
            servers,
            hosts,
            speaks,
            cache: Mutex::default(),
            room: Semaphore::new(QUESTIONS_MAX),
        }))
    }

    /// The servers of a place in the order in which they are to be tried; weights are drawn by `seed`.
    ///
    /// # Errors
    /// There is none, or nobody said so in time.
    pub async fn locate(&self, place: &Place, seed: u64) -> Result<Vec<Candidate>, NotFound> {
        let search = timeout(SEARCH_MAX, self.search(place, seed));
        let no_answer = || NotFound::NoAnswer(place.name().to_owned());
        search.await.map_err(|_| no_answer())?
    }

    async fn search(&self, place: &Place, seed: u64) -> Result<Vec<Candidate>, NotFound> {
        let mut known = Known::new();
        let mut unanswered = BTreeSet::new();
        for _ in 0..ROUNDS_MAX {
            let questions = match locate(place, &self.0.speaks, &known, seed) {
                Step::Try(candidates) if !candidates.is_empty() => return Ok(candidates),
                Step::Try(_) if unanswered.is_empty() => return Err(NotFound::Nowhere(place.name().to_owned())),
                Step::Try(_) => break,
                Step::Ask(questions) => questions,
            };
            let mut asking = JoinSet::new();
            for question in questions {
                let shared = Arc::clone(&self.0);
                asking.spawn(async move {
                    let answer = shared.ask(&question).await;
                    (question, answer)
                });
            }
            while let Some(Ok((question, answer))) = asking.join_next().await {
                // What nobody answers counts as not there; the next search asks again.
                if answer.is_none() {
                    unanswered.insert(question.clone());
                }
                known.insert(question, answer.unwrap_or_default());
            }
        }
        Err(NotFound::NoAnswer(place.name().to_owned()))
    }
}

impl Shared {
    /// The records that answer it; `None`: nobody did.
    async fn ask(&self, question: &Question) -> Option<Vec<Record>> {
        if let Some(records) = self.cache().get(question) {
            return Some(records);
        }
        if self.hosts
            && let Some(records) = system::hosts(question).await
        {
            return Some(records);
        }
        let _place = self.room.acquire().await.ok()?;
        // Somebody else may have asked meanwhile.
        if let Some(records) = self.cache().get(question) {
            return Some(records);
        }
        let answer = query::ask(&self.servers, question).await?;
        self.cache().put(question.clone(), answer.records.clone(), answer.keep);
        Some(answer.records)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
