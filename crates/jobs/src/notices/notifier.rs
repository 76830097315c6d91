//! The thread that sees to notices: claims what is due, tries it, settles it.
//!
//! Each channel has places of its own, and no recipient takes two of them: whoever is slow holds up nobody else.

use std::{
    collections::BTreeMap,
    io,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ring::rand::{SecureRandom, SystemRandom};
use segue_policy::Channel;
use segue_records::{Happening, NoticeOutcome, UnixMs};
use segue_store::{Due, Store, StoreError};
use tokio::{
    sync::oneshot,
    task::{Id, JoinSet, spawn_blocking},
    time::{MissedTickBehavior, interval, timeout},
};

use super::{Deliver, NoticeSettings, NoticeStats, Outcome, Settings, message, schedule::pause};

/// How often it is looked what is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often old ones are removed.
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);
/// The longest that an attempt takes.
const ATTEMPT_MAX: Duration = Duration::from_secs(90);
/// Whoever has claimed one and not settled it by then is taken to be gone.
const LEASE_MS: i64 = 180_000;
/// How long attempts under way are waited for at the end; after it they are repeated by the next server.
const END: Duration = Duration::from_secs(3);

/// How many are tried at once.
fn places(channel: Channel) -> usize {
    match channel {
        // Each may hold a message in memory.
        Channel::Mail => 4,
        Channel::Webhook | Channel::Message => 16,
    }
}

/// Is told what becomes of notices.
pub type Told = Box<dyn Fn(Happening) + Send + Sync>;

/// Sees to notices.
pub struct Notifier {
    store: Store,
    settings: NoticeSettings,
    deliver: Option<Arc<dyn Deliver>>,
    stats: NoticeStats,
    told: Told,
}

/// Ends the thread of a [`Notifier`] when dropped.
#[derive(Debug)]
pub struct NotifierThread {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for NotifierThread {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has nothing left to finish.
            let _ = thread.join();
        }
    }
}

impl Notifier {
    /// Of what this store has queued. Without `deliver` nothing goes by SIP, and waits.
    pub fn new(
        store: Store,
        settings: NoticeSettings,
        deliver: Option<Arc<dyn Deliver>>,
        stats: &NoticeStats,
        told: Told,
    ) -> Notifier {
        Notifier {
            store,
            settings,
            deliver,
            stats: stats.clone(),
            told,
        }
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn start(self) -> io::Result<NotifierThread> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name("notices-io")
            .max_blocking_threads(64)
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("notices".to_owned()).spawn(move || {
            runtime.block_on(Arc::new(self).run(stopped));
            // A look-up of a name that hangs is not waited for.
            runtime.shutdown_background();
        })?;
        Ok(NotifierThread {
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    async fn run(self: Arc<Self>, mut stopped: oneshot::Receiver<()>) {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut prune = interval(PRUNE_EVERY);
        let mut trying: JoinSet<()> = JoinSet::new();
        let mut busy: BTreeMap<Id, (Channel, String)> = BTreeMap::new();
        let mut failing = false;
        loop {
            let channels: Vec<Channel> = tokio::select! {
                _ = &mut stopped => break,
                _ = look.tick() => Channel::ALL.to_vec(),
                _ = prune.tick() => {
                    let store = self.store.clone();
                    kept(move || store.prune_notices(now_ms())).await;
                    continue;
                }
                Some(ended) = trying.join_next_with_id() => {
                    let id = match &ended {
                        Ok((id, ())) => *id,
                        Err(error) => error.id(),
                    };
                    if ended.is_err() {
                        tracing::error!("a fault of ours in a notice; it is tried again");
                    }
                    // The next one of the same channel need not wait for the clock.
                    busy.remove(&id).map(|(channel, _)| channel).into_iter().collect()
                }
            };
            for channel in channels {
                match self.claim(channel, &busy).await {
                    Ok(due) => {
                        failing = false;
                        for due in due {
                            let whose = (channel, due.recipient.clone());
                            let task = trying.spawn(Arc::clone(&self).attempt(due));
                            busy.insert(task.id(), whose);
                        }
                    }
                    Err(error) => {
                        if !std::mem::replace(&mut failing, true) {
                            tracing::error!(%error, "notices cannot be read; it is tried again");
                        }
                    }
                }
            }
        }
        let _ = timeout(END, async { while trying.join_next().await.is_some() {} }).await;
    }

    async fn claim(&self, channel: Channel, busy: &BTreeMap<Id, (Channel, String)>) -> Result<Vec<Due>, StoreError> {
        let busy: Vec<String> = busy
            .values()
            .filter(|(of, _)| *of == channel)
            .map(|(_, recipient)| recipient.clone())
            .collect();
        let room = u32::try_from(places(channel).saturating_sub(busy.len())).unwrap_or(0);
        if room == 0 || channel == Channel::Message && self.deliver.is_none() {
            return Ok(Vec::new());
        }
        let store = self.store.clone();
        spawn_blocking(move || store.claim_notices(channel, &busy, room, now_ms(), LEASE_MS))
            .await
            .unwrap_or(Err(StoreError::Stopped))
    }

    async fn attempt(self: Arc<Self>, due: Due) {
        let settings = self.settings.now();
        let since = due.since.0;
        let give_up_ms = i64::try_from(settings.give_up.as_millis()).unwrap_or(i64::MAX);
        let until = since.saturating_add(give_up_ms);
        let outcome = match timeout(ATTEMPT_MAX, self.send(&due, &settings, until)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Again(format!("it took longer than {} s", ATTEMPT_MAX.as_secs()), None),
        };
        let wait = pause(
            settings.first_pause,
            due.attempt.number,
            match &outcome {
                Outcome::Again(_, asked) => *asked,
                _ => None,
            },
            random(),
        );
        let next = now_ms().saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        let outcome = match outcome {
            Outcome::Again(why, _) if next > until => {
                let hours = settings.give_up.as_secs_f64() / 3_600.0;
                Outcome::Dead(format!("{why}; given up after {hours:.1} h"))
            }
            other => other,
        };
        self.settle(&due, outcome, next).await;
    }

    async fn send(&self, due: &Due, settings: &Settings, until: i64) -> Outcome {
        let now = now_ms();
        match due.channel {
            Channel::Webhook => match &settings.webhook {
                Some(hook) => hook.send(due, settings, UnixMs(now)).await,
                None => Outcome::Again("no webhooks are configured: set webhook.secret_file".to_owned(), None),
            },
            Channel::Mail => match &settings.mail {
                Some(mailer) => mailer.send(due, settings, &self.store).await,
                None => Outcome::Again("no mail server is configured: set mail.server".to_owned(), None),
            },
            Channel::Message => match &self.deliver {
                Some(deliver) => {
                    let left = u64::try_from(until.saturating_sub(now)).unwrap_or(0);
                    message::send(deliver, due, settings, Duration::from_millis(left)).await
                }
                None => Outcome::Again("no SIP is sent here".to_owned(), None),
            },
        }
    }

    async fn settle(&self, due: &Due, outcome: Outcome, next: i64) {
        let (store, attempt, settled) = (self.store.clone(), due.attempt, outcome.clone());
        let settling = kept(move || match &settled {
            Outcome::Sent(said) => store.notice_sent(attempt, said, now_ms()),
            Outcome::Again(why, _) => store.notice_again(attempt, why, next),
            Outcome::Dead(why) => store.notice_dead(attempt, why, now_ms()),
        });
        // Failing that, its lease runs out and it is tried again.
        if settling.await != Some(true) {
            return;
        }
        self.stats.count(due.channel, &outcome);
        let (id, user, channel) = (attempt.id, due.recipient.as_str(), due.channel.name());
        let event = due.facts.event.name();
        let told = NoticeOutcome {
            notice_id: id.to_string(),
            event: event.to_owned(),
            user: user.to_owned(),
            channel: channel.to_owned(),
            attempts: attempt.number,
            message_id: due.facts.message_id.clone(),
            said: match &outcome {
                Outcome::Sent(said) | Outcome::Again(said, _) | Outcome::Dead(said) => said.clone(),
            },
        };
        match outcome {
            Outcome::Sent(_) => {
                tracing::info!(notice = id, user, channel, event, "notice delivered");
                (self.told)(Happening::NoticeSent(told));
            }
            Outcome::Again(why, _) => {
                tracing::info!(
                    notice = id,
                    user,
                    channel,
                    event,
                    why,
                    "notice not delivered; it is tried again"
                );
            }
            Outcome::Dead(why) => {
                tracing::warn!(
                    notice = id,
                    user,
                    channel,
                    event,
                    why,
                    "notice given up: 'segue notice list --dead'"
                );
                (self.told)(Happening::NoticeDead(told));
            }
        }
    }
}

/// Has the store do something on another thread.
async fn kept<T: Send + 'static>(work: impl FnOnce() -> Result<T, StoreError> + Send + 'static) -> Option<T> {
    match spawn_blocking(work).await {
        Ok(Ok(value)) => Some(value),
        Ok(Err(error)) => {
            tracing::error!(%error, "the store cannot keep what became of notices");
            None
        }
        Err(_) => None,
    }
}

/// Any number; without randomness pauses are in step, and that is all.
fn random() -> u64 {
    let mut bytes = [0; 8];
    let _ = SystemRandom::new().fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}
