//! The tokio side: takes input from sockets, packet path and store, passes it to the shard, performs what comes out. Nothing else.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use segue_call::{CallConfig, Now, Operator, StoreAction, StoreReply};
use segue_media::Media;
use segue_policy::Profile;
use segue_records::UnixMs;
use segue_sip::transport::{Received, Resolver, Transports};
use segue_store::{Reserve, Store, StoreError};
use tokio::{sync::mpsc, task::JoinSet, time::sleep_until};

use crate::{
    Admission, CallKey, ClipCache, Limits, Mailboxes, Prompts, Shard, ShardOutput, ShardStats, TextKey,
    clips::Renditions,
    gauges::Gauges,
    inbox::{Inbox, InboxEnd, Note},
    keeping::{Keeping, Learnt},
    look_up::{Answer, look_up, reserve},
    packet_path::{media_event, stream_record},
    refusals::Refusals,
    registrations::Unseal,
    tallies::Tallies,
};

mod counting;
mod learnt;
mod leaving;
mod live;
mod mailboxes;
mod media;
mod names;
mod outside;
mod preview;
mod texts;
mod told;
mod transcoding;

pub use transcoding::Transcoding;

use counting::Counting;
pub use live::{LIVE_AT_ONCE, LiveCalls, LiveEnd, NoAnswer};
use mailboxes::Desk;
pub use outside::{Deposits, Take, Watch};
pub(crate) use preview::Shown;
pub use texts::{TextDone, TextSender, TextsEnd};

/// How long calls that are hung up may take to end in order.
const HANG_UP: Duration = Duration::from_secs(10);

/// What the process tells its shard.
#[derive(Debug)]
pub enum Order {
    /// New settings for calls that begin from now on; the others keep theirs.
    Reload {
        /// Settings of every call.
        call: Arc<CallConfig>,
        /// Who is admitted.
        admission: Admission,
        /// When there are too many.
        limits: Limits,
    },
    /// New callers get 503; the calls that are there go on. What is left after this long is ended in order.
    Drain(Duration),
    /// Every call is ended in order now, recordings are kept.
    Stop,
}

/// How far the shard is from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    Serving,
    Draining { until: Instant },
    Ending { until: Instant },
}

impl Course {
    fn until(self) -> Option<Instant> {
        match self {
            Course::Serving => None,
            Course::Draining { until } | Course::Ending { until } => Some(until),
        }
    }
}

/// How often the shard shows that it lives.
const SHOWS_ITSELF_EVERY: Duration = Duration::from_secs(1);

/// Everything one signalling thread works with.
pub struct Node {
    /// The calls.
    pub shard: Shard,
    /// SIP sockets.
    pub transports: Transports,
    /// The packet path.
    pub media: Arc<Media>,
    /// The state.
    pub store: Store,
    /// Finds servers by their names.
    pub resolver: Resolver,
    /// Where recordings become messages.
    pub deposits: Arc<dyn Deposits>,
    /// Where sound is transcoded.
    pub transcoding: Arc<dyn Transcoding>,
    /// Prepared clips at hand.
    pub clips: ClipCache,
    /// What callers are spoken to with.
    pub prompts: Prompts,
    /// Where recordings are written.
    pub spool_dir: PathBuf,
    /// Given to media and store as the way back.
    pub inbox: Inbox,
    /// The way back's end.
    pub inbox_end: InboxEnd,
    /// Kept true for who asks from other threads.
    pub gauges: Arc<Gauges>,
    /// Told what happens.
    pub watch: Arc<dyn Watch>,
    /// Opens subscribers' passwords.
    pub keys: Arc<dyn Unseal>,
    /// Serves subscribers who call themselves.
    pub mailboxes: Arc<dyn Mailboxes>,
    /// Texts to be sent.
    pub texts: TextsEnd,
    /// Who asks about the calls that are up.
    pub live: LiveEnd,
}

/// Runs one shard until [`Order::Drain`] or [`Order::Stop`] has been carried out, or nobody is left to give orders.
///
/// # Errors
/// When what is registered, or who may register, cannot be read.
pub async fn perform(node: Node, orders: mpsc::Receiver<Order>) -> Result<ShardStats, StoreError> {
    let Node {
        mut shard,
        transports,
        media,
        store,
        resolver,
        deposits,
        transcoding,
        clips,
        prompts,
        spool_dir,
        inbox,
        inbox_end,
        gauges,
        watch,
        keys,
        mailboxes,
        mut texts,
        mut live,
    } = node;
    let (keeping, kept, mut learnt) = Keeping::start(store.clone(), keys)?;
    shard.handle_directory(kept.directory);
    shard.restore_registrations(now(), kept.registrations);
    shard.restore_spent(kept.spent);
    shard.handle_trunks(now(), kept.trunks);
    let mut performer = Performer {
        shard,
        media,
        store,
        resolver,
        deposits,
        transcoding,
        transcoders: BTreeMap::new(),
        clips,
        prompts,
        spool_dir,
        inbox,
        playing: BTreeMap::new(),
        tasks: JoinSet::new(),
        refusals: Refusals::default(),
        watch,
        tallies: Tallies::default(),
        counting: Counting::default(),
        keeping,
        leaves_until: None,
        desk: Desk::new(mailboxes),
        texting: BTreeMap::new(),
    };
    let from = (&mut learnt, &mut texts, &mut live);
    let stats = performer.run(transports, inbox_end, &gauges, orders, from).await;
    drop(learnt);
    performer.keeping.finish();
    Ok(stats)
}

struct Performer {
    shard: Shard,
    media: Arc<Media>,
    store: Store,
    resolver: Resolver,
    deposits: Arc<dyn Deposits>,
    transcoding: Arc<dyn Transcoding>,
    /// The process of each call that has one.
    transcoders: BTreeMap<CallKey, transcoding::Processes>,
    clips: ClipCache,
    prompts: Prompts,
    spool_dir: PathBuf,
    inbox: Inbox,
    /// What each call may play.
    playing: BTreeMap<CallKey, BTreeMap<i64, Renditions>>,
    /// Work under way on other threads; of a call at most one look-up, one record, one place asked for, one given back, and one
    /// name for each branch.
    tasks: JoinSet<()>,
    refusals: Refusals,
    watch: Arc<dyn Watch>,
    tallies: Tallies,
    counting: Counting,
    keeping: Keeping,
    /// How long providers are waited for, to whom it was said that we leave.
    leaves_until: Option<Instant>,
    desk: Desk,
    /// Who waits for what becomes of texts.
    texting: BTreeMap<TextKey, TextDone>,
}

impl Performer {
    async fn run(
        &mut self,
        mut transports: Transports,
        mut inbox_end: InboxEnd,
        gauges: &Gauges,
        mut orders: mpsc::Receiver<Order>,
        (learnt, texts, live): (&mut mpsc::Receiver<Learnt>, &mut TextsEnd, &mut LiveEnd),
    ) -> ShardStats {
        let mut course = Course::Serving;
        self.timed_out();
        loop {
            self.end_overflowed(&inbox_end);
            self.perform_outputs(&mut transports);
            gauges.set(&self.shard, inbox_end.notes.len());
            gauges.set_trunks(now(), &mut self.shard);
            match course {
                Course::Serving => {}
                Course::Draining { .. } | Course::Ending { .. } if self.has_ended() => break,
                Course::Ending { until } if Instant::now() >= until => break,
                Course::Draining { until } if Instant::now() >= until => {
                    tracing::warn!(
                        calls = self.shard.call_count(),
                        "calls went on for too long: they are ended"
                    );
                    course = self.hang_up_all();
                    continue;
                }
                Course::Draining { .. } | Course::Ending { .. } => {}
            }
            let due = [
                self.shard.poll_timeout(),
                course.until(),
                self.tallies.due(),
                self.leaving_due(),
            ];
            let due = due.into_iter().flatten().min();
            // It shows itself to those who ask whether it lives.
            let idle = Instant::now() + SHOWS_ITSELF_EVERY;
            tokio::select! {
                received = transports.recv() => {
                    let depth = transports.waiting().max(inbox_end.notes.len());
                    self.shard.waited(Instant::now(), transports.waited(), depth);
                    self.received(received);
                }
                Some(note) = inbox_end.notes.recv() => self.noted(note),
                Some(learnt) = learnt.recv() => self.learnt(learnt),
                Some((text, done)) = texts.next() => self.text(text, done),
                Some(question) = live.next() => self.asked(question),
                () = sleep_until(due.map_or(idle, |due| due.min(idle)).into()) => self.timed_out(),
                Some(_) = self.tasks.join_next() => {}
                order = orders.recv(), if !matches!(course, Course::Ending { .. }) => {
                    course = self.ordered(order.unwrap_or(Order::Stop), course);
                }
            }
        }
        self.perform_outputs(&mut transports);
        while let Some(record) = self.tallies.any() {
            self.ended(&record);
        }
        while self.tasks.join_next().await.is_some() {}
        if let Err(error) = self.store.flush() {
            tracing::error!(%error, "the last call records could not be kept");
        }
        self.shard.stats()
    }

    fn ordered(&mut self, order: Order, course: Course) -> Course {
        match (order, course) {
            (
                Order::Reload {
                    call,
                    admission,
                    limits,
                },
                course,
            ) => {
                self.shard.reload(now(), call, admission, limits);
                course
            }
            (Order::Drain(longest), Course::Serving) => {
                self.shard.close();
                self.leave_providers();
                Course::Draining {
                    until: Instant::now() + longest,
                }
            }
            (Order::Drain(_) | Order::Stop, _) => self.hang_up_all(),
        }
    }

    fn hang_up_all(&mut self) -> Course {
        self.shard.hang_up_all(now());
        self.leave_providers();
        Course::Ending {
            until: Instant::now() + HANG_UP,
        }
    }

    fn received(&mut self, received: Received) {
        match received {
            Received::Message(peer, message) => self.shard.handle_message(now(), peer, message),
            Received::Unparsable(peer, error) => {
                tracing::debug!(source = %peer.remote, why = error.why, "a message could not be read");
                self.shard.handle_unparsable(now(), peer, &error);
            }
            Received::SendFailed(id) => self.shard.handle_transport_error(now(), id),
            Received::FlowClosed(_) => {}
        }
    }

    fn timed_out(&mut self) {
        let now = now();
        self.shard.handle_timeout(now);
        while let Some(record) = self.tallies.overdue(now.mono) {
            self.ended(&record);
        }
    }

    fn noted(&mut self, note: Note) {
        match note {
            Note::Media(key, segue_media::Event::Tallied { leg, kind, tally }) => {
                self.tallies.add(key, leg.0, stream_record(now(), kind, &tally));
            }
            Note::Media(key, segue_media::Event::Counted { leg, kind, tally }) => {
                self.counting.add(key, leg.0, stream_record(now(), kind, &tally));
            }
            Note::Media(key, segue_media::Event::AllCounted) => self.counting.done(key),
            Note::Media(key, event @ (segue_media::Event::Lost | segue_media::Event::Closed)) => {
                self.counting.done(key);
                if let Some(record) = self.tallies.close(key) {
                    self.ended(&record);
                }
                if event == segue_media::Event::Lost {
                    self.shard.handle_operator(now(), key, Operator::HangUp);
                }
            }
            Note::Media(key, segue_media::Event::Recorded { path, .. }) if !self.shard.has(key) => {
                self.deposit_ownerless(&path);
            }
            Note::Media(key, event) => {
                if let Some(event) = media_event(event) {
                    self.shard.handle_media(now(), key, event);
                }
            }
            Note::Found(key, answer) => {
                let Answer { reply, clips } = *answer;
                // A caller who gave up meanwhile plays nothing any more.
                if self.shard.has(key) {
                    // Beside its messages, where it calls from a mailbox.
                    self.playing.entry(key).or_default().extend(clips);
                }
                self.shard.handle_store(now(), key, reply);
            }
            Note::Shown(key, take) => self.shown(key, *take),
            Note::Resolved(key, place, servers) => self.shard.handle_resolved(now(), key, place, servers),
            Note::Located(place, servers) => self.shard.handle_located(now(), &place, &servers),
            Note::Served(key, served) => self.served(key, *served),
            Note::Store(key, reply) => self.shard.handle_store(now(), key, reply),
        }
    }

    /// A recording that outlived its call (a fault of ours ended that, or the disk was slow) is a message all the same.
    fn deposit_ownerless(&self, spool: &Path) {
        let Some(id) = spool.file_stem().and_then(|stem| stem.to_str()) else {
            return;
        };
        tracing::warn!(message_id = id, "a recording outlived its call; it is deposited");
        // The depositor tells what becomes of it.
        self.deposits.deposit(id, false, Box::new(|_| {}));
    }

    /// A call whose event found no room has lost its order: it is ended.
    fn end_overflowed(&mut self, inbox_end: &InboxEnd) {
        let full = std::mem::take(&mut *inbox_end.overflow.lock().unwrap_or_else(PoisonError::into_inner));
        for key in full {
            tracing::error!(call = key.0, "the shard's inbox was full; the call is ended");
            self.shard.handle_operator(now(), key, Operator::HangUp);
        }
    }

    fn perform_outputs(&mut self, transports: &mut Transports) {
        while let Some(output) = self.shard.poll_output() {
            match output {
                ShardOutput::Transmit(transmit) => transports.send(transmit),
                ShardOutput::Media(key, action) => self.media(key, action),
                ShardOutput::Store(key, action, profile) => self.store(key, action, profile),
                ShardOutput::Resolve { key, place, seed } => self.resolve(key, place, seed),
                ShardOutput::Locate { place, seed } => self.locate(place, seed),
                ShardOutput::Release { mailbox, message_id } => self.release(mailbox, message_id),
                ShardOutput::Refused(refusal) => self.refused(&refusal),
                ShardOutput::RefusedUntold(status) => self.refused_untold(status),
                ShardOutput::Event(event) => self.watch.event(*event),
                ShardOutput::Registrations(user, all) => self.keeping.save(user, all),
                ShardOutput::Texted(key, outcome) => self.texted(key, outcome),
                ShardOutput::Missed(facts, by_default) => self.missed(*facts, by_default),
                ShardOutput::Spent(spent) => self.keeping.spend(spent),
                ShardOutput::CountMessages(user) => self.keeping.count(user),
                ShardOutput::Ended(key, record) => {
                    self.playing.remove(&key);
                    self.transcoders.remove(&key);
                    self.leave_desk(key);
                    tracing::info!(
                        sip_call_id = record.sip_call_id,
                        from = record.from,
                        to = record.to,
                        result = record.result.as_str(),
                        cause = record.cause,
                        why = record.why,
                        "call ended"
                    );
                    if let Some(record) = self.tallies.ended(Instant::now(), key, record) {
                        self.ended(&record);
                    }
                }
            }
        }
    }

    fn store(&mut self, key: CallKey, action: StoreAction, profile: Arc<Profile>) {
        match action {
            StoreAction::Lookup { user, alias, calling } => {
                let (store, inbox) = (self.store.clone(), self.inbox.clone());
                let (clips, prompts) = (self.clips.clone(), self.prompts.clone());
                let profiles = self.shard.profiles();
                self.tasks.spawn_blocking(move || {
                    let played = (&clips, &prompts);
                    let answer = look_up(
                        &store,
                        played,
                        (&user, alias.as_deref()),
                        calling.as_ref(),
                        (&profile, &profiles),
                    );
                    inbox.put(key, Note::Found(key, Box::new(answer)));
                });
            }
            StoreAction::Reserve {
                message_id,
                mailbox,
                from,
                ask,
            } => {
                let (store, inbox) = (self.store.clone(), self.inbox.clone());
                let wanted = Reserve {
                    message_id,
                    mailbox,
                    from,
                    ask,
                };
                self.tasks.spawn_blocking(move || {
                    let reply = reserve(&store, &wanted, Instant::now());
                    if !inbox.put(key, Note::Store(key, reply)) {
                        store.release(&wanted.mailbox, &wanted.message_id);
                    }
                });
            }
            StoreAction::Release { mailbox, message_id } => self.release(mailbox, message_id),
            StoreAction::Hold { message_id } => self.deposits.hold(&message_id),
            StoreAction::Preview { message_id } => self.preview(key, &message_id),
            StoreAction::Deposit { message_id, urgent } => {
                let inbox = self.inbox.clone();
                let id = message_id.clone();
                let done = move |outcome: Result<(), String>| {
                    let reply = match outcome {
                        Ok(()) => StoreReply::Deposited { message_id },
                        Err(why) => StoreReply::DepositFailed { why },
                    };
                    inbox.put(key, Note::Store(key, reply));
                };
                self.deposits.deposit(&id, urgent, Box::new(done));
            }
            StoreAction::Mailbox(action) => self.mailbox(key, *action, profile),
            StoreAction::Discard { message_id } => self.deposits.discard(&message_id),
        }
    }

    /// Gives back a place; not on this thread, as whoever asks for one reads the store meanwhile.
    fn release(&mut self, mailbox: String, message_id: String) {
        let store = self.store.clone();
        self.tasks.spawn_blocking(move || store.release(&mailbox, &message_id));
    }
}

fn now() -> Now {
    let wall = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
    Now {
        mono: Instant::now(),
        wall: UnixMs(wall),
    }
}
