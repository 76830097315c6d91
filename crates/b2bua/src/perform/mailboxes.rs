//! Carries what subscribers who serve themselves ask for to threads that may block, and back.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    thread,
    time::Instant,
};

use segue_call::{MailboxAction, MailboxReply, StoreReply};
use segue_policy::{Pin, Profile};
use segue_records::{Event, Happening};
use segue_sip::BackingOff;
use segue_store::StoreError;
use tokio::{
    sync::{Semaphore, oneshot},
    task::AbortHandle,
};

use super::{Performer, now};
use crate::{
    CallKey,
    inbox::Note,
    mailboxes::{self, LogIn, Mailboxes, ReadyMessages, Served},
};

/// Messages of a call that can be played at a time.
const READY_MAX: usize = 3;

/// What all calls of subscribers to themselves share.
pub(super) struct Desk {
    mailboxes: Arc<dyn Mailboxes>,
    /// Who guesses PINs.
    sources: Arc<Mutex<BackingOff>>,
    ready: Arc<Mutex<ReadyMessages>>,
    /// One PIN is hashed at a time.
    hashing: Arc<Semaphore>,
    /// One worker is theirs at a time: the others are for callers' messages.
    workers: Arc<Semaphore>,
    /// What is under way, by call: when that has ended, who waits for a worker waits no longer.
    tasks: Vec<(CallKey, AbortHandle)>,
}

impl Desk {
    pub fn new(mailboxes: Arc<dyn Mailboxes>) -> Desk {
        Desk {
            mailboxes,
            sources: Arc::default(),
            ready: Arc::default(),
            hashing: Arc::new(Semaphore::new(1)),
            workers: Arc::new(Semaphore::new(1)),
            tasks: Vec::new(),
        }
    }
}

impl Performer {
    pub(super) fn mailbox(&mut self, key: CallKey, action: MailboxAction, profile: Arc<Profile>) {
        let (store, desk) = (self.store.clone(), Arc::clone(&self.desk.mailboxes));
        match action {
            MailboxAction::Voice { user } => {
                let prompts = self.prompts.clone();
                self.reply(key, move || {
                    let own = user.and_then(|user| store.subscriber(&user).ok());
                    let language = own.and_then(|own| own.language).unwrap_or(profile.language);
                    let prompts = prompts.info(language);
                    MailboxReply::Voice { language, prompts }.into()
                });
            }
            MailboxAction::LogIn { said, pin, source } => self.log_in(key, said, pin, source, profile),
            MailboxAction::Prepare {
                message_id,
                audio,
                video,
            } => {
                let ready = Arc::clone(&self.desk.ready);
                let renditions: Vec<_> = audio.into_iter().chain(video).collect();
                let work = move || mailboxes::prepare(&store, &*desk, &ready, &message_id, &renditions);
                self.in_turn(key, Arc::clone(&self.desk.workers), work);
            }
            MailboxAction::MakeClip { user, recording } => {
                let clips = self.clips.clone();
                let work = move || mailboxes::make_clip(&store, &*desk, &clips, &user, &recording, now().wall.0);
                self.in_turn(key, Arc::clone(&self.desk.workers), work);
            }
            MailboxAction::SetPin { user, pin } => {
                let work = move || {
                    let done = match desk.keep_pin(&user, &pin) {
                        Some(sealed) => store.set_pin(&user, Some(sealed)),
                        None => Err(StoreError::Io("the PIN could not be hashed".to_owned())),
                    };
                    told(done)
                };
                self.in_turn(key, Arc::clone(&self.desk.hashing), work);
            }
            MailboxAction::Open { user } => {
                let clips = self.clips.clone();
                self.reply(key, move || match mailboxes::open(&store, &clips, &user) {
                    Ok(opened) => opened,
                    Err(error) => failed(&error),
                });
            }
            MailboxAction::SetDnd { user, on } => self.reply(key, move || {
                let done = store.change_subscriber(&user, move |subscriber| subscriber.dnd = on);
                told(done.map(drop))
            }),
            MailboxAction::UseGreeting { user, clip } => self.reply(key, move || {
                let done = store.change_subscriber(&user, move |subscriber| subscriber.greeting = Some(clip));
                told(done.map(drop))
            }),
            MailboxAction::UseClip { user, clip } => self.reply(key, move || {
                let done = store.change_subscriber(&user, move |subscriber| subscriber.clip = Some(clip));
                told(done.map(drop))
            }),
            MailboxAction::Played {
                message_id,
                from_ms,
                to_ms,
            } => self.do_with(message_id, "noted as played", move |id| {
                mailboxes::note_played(&store, id, (from_ms, to_ms), now().wall.0)
            }),
            MailboxAction::Heard { message_id } => self.do_with(message_id, "marked heard", move |id| {
                store.mark_heard(id, now().wall.0).map(drop)
            }),
            MailboxAction::Keep { message_id } => {
                self.do_with(message_id, "kept", move |id| mailboxes::keep(&store, id, now().wall.0))
            }
            MailboxAction::Delete { message_id } => self.do_with(message_id, "deleted", move |id| {
                store.delete_message(id, now().wall.0).map(drop)
            }),
        }
    }

    /// A call has ended: nobody waits for what it has asked.
    pub(super) fn leave_desk(&mut self, key: CallKey) {
        self.desk.tasks.retain(|(of, task)| {
            if *of == key {
                task.abort();
            }
            *of != key && !task.is_finished()
        });
    }

    /// What was asked for is there.
    pub(super) fn served(&mut self, key: CallKey, served: Served) {
        let Served { reply, clips } = served;
        if self.shard.has(key) {
            let playing = self.playing.entry(key).or_default();
            playing.extend(clips);
            // Messages have ids below 0, the newest the lowest.
            while playing.range(..0).count() > READY_MAX {
                let Some(oldest) = playing.range(..0).next_back().map(|(id, _)| *id) else {
                    break;
                };
                playing.remove(&oldest);
            }
        }
        self.shard
            .handle_store(now(), key, StoreReply::Mailbox(Box::new(reply)));
    }

    fn log_in(&mut self, key: CallKey, said: String, pin: Pin, source: IpAddr, profile: Arc<Profile>) {
        let (store, desk) = (self.store.clone(), Arc::clone(&self.desk.mailboxes));
        let (sources, watch) = (Arc::clone(&self.desk.sources), Arc::clone(&self.watch));
        let work = move || {
            let at = now();
            let asked = LogIn {
                said: &said,
                pin: &pin,
                source,
                profile: &profile,
                now_ms: at.wall.0,
                now: Instant::now(),
            };
            match mailboxes::log_in(&store, &*desk, &sources, &asked) {
                Ok((Some(user), _)) => MailboxReply::LoggedIn { user }.into(),
                Ok((None, locked)) => {
                    if let Some(locked) = locked {
                        tracing::warn!(
                            user = locked.user,
                            until = locked.until.rfc3339(),
                            %source,
                            "a PIN was wrong too often and is locked; 'segue subscriber unlock USER' unlocks it"
                        );
                        watch.event(Event::of_the_server(
                            at.wall,
                            Happening::SubscriberLocked {
                                user: locked.user,
                                until: locked.until,
                                source: source.to_string(),
                            },
                        ));
                    }
                    MailboxReply::NotLoggedIn.into()
                }
                Err(error) => failed(&error),
            }
        };
        self.in_turn(key, Arc::clone(&self.desk.hashing), work);
    }

    /// Work that takes a while, on a thread of its own, one after the other. The process does not wait for it when it ends.
    fn in_turn(&mut self, key: CallKey, turn: Arc<Semaphore>, work: impl FnOnce() -> Served + Send + 'static) {
        let inbox = self.inbox.clone();
        let task = self.tasks.spawn(async move {
            let Ok(turn) = turn.acquire_owned().await else { return };
            let (done, result) = oneshot::channel();
            let run = move || {
                let _turn = turn;
                // Its call may have ended.
                let _ = done.send(work());
            };
            let started = thread::Builder::new().name("mailbox".to_owned()).spawn(run);
            let served = match started {
                Ok(_) => result.await.ok(),
                Err(_) => None,
            };
            let why = "a fault of ours, or no thread".to_owned();
            let served = served.unwrap_or_else(|| MailboxReply::Failed { why }.into());
            inbox.put(key, Note::Served(key, Box::new(served)));
        });
        self.desk.tasks.push((key, task));
    }

    /// A look at the store, or a change.
    fn reply(&mut self, key: CallKey, work: impl FnOnce() -> Served + Send + 'static) {
        let inbox = self.inbox.clone();
        self.tasks.spawn_blocking(move || {
            inbox.put(key, Note::Served(key, Box::new(work())));
        });
    }

    /// A change of a message that nobody waits for.
    fn do_with(
        &mut self,
        message_id: String,
        what: &'static str,
        work: impl FnOnce(&str) -> Result<(), StoreError> + Send + 'static,
    ) {
        self.tasks.spawn_blocking(move || match work(&message_id) {
            Ok(()) => {}
            // Somebody else was faster.
            Err(StoreError::NotFound { .. }) => {}
            Err(error) => {
                tracing::error!(message_id, %error, "a message could not be {what} as its owner wanted by phone")
            }
        });
    }
}

fn told(done: Result<(), StoreError>) -> Served {
    match done {
        Ok(()) => MailboxReply::Done.into(),
        Err(error) => failed(&error),
    }
}

fn failed(error: &StoreError) -> Served {
    tracing::error!(%error, "a subscriber's call could not be served");
    let why = error.to_string();
    MailboxReply::Failed { why }.into()
}
