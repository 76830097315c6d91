//! The owner's handle on the packet path.

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::AtomicU64,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::{Builder, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use segue_sdp::Family;

use crate::{
    Command, Event, LegKey, MediaAddress, MediaConfig, MediaError, Ports, SessionKey, Stats,
    bell::Bell,
    ports::{self, PortPool},
    spool_link::{Job, SpoolLink},
    spool_thread::Spooler,
    stats::Counters,
    syscall,
    thread::{MediaThread, Order, Start},
};

/// Called with each event, on a media thread or the spool thread: it must return soon and never wait for a thread that gives
/// commands.
pub type Events = Box<dyn Fn(SessionKey, Event) + Send + Sync>;

/// Orders that wait for one media thread.
const ORDERS_MAX: usize = 4_096;
/// Jobs that wait for the spool thread.
const JOBS_MAX: usize = 512;
/// From 1900 (NTP) to 1970 (Unix), seconds.
const NTP_TO_UNIX_S: u64 = 2_208_988_800;

/// The running packet path. Dropping it ends everything like [`Media::shutdown`].
pub struct Media {
    config: MediaConfig,
    pools: Vec<Pool>,
    counters: Arc<Counters>,
    threads: Vec<Thread>,
    spooler: Option<(SyncSender<Job>, JoinHandle<()>)>,
}

/// The ports of one of our addresses.
struct Pool {
    ports: PortPool,
    advertise: IpAddr,
}

struct Thread {
    orders: SyncSender<Order>,
    bell: Arc<Bell>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Media {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Media")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Media {
    /// Starts the media threads and the spool thread.
    ///
    /// # Errors
    /// [`MediaError::Config`] for settings that cannot work, [`MediaError::System`] when a thread cannot start.
    pub fn start(config: MediaConfig, events: Events) -> Result<Media, MediaError> {
        std::fs::create_dir_all(&config.spool_dir).map_err(|source| MediaError::System {
            what: "making the spool folder",
            source,
        })?;
        let mut rng = ports::rng(config.seed);
        let seed = rng.next_u64();
        let mut pools = Vec::with_capacity(config.addresses.len());
        for MediaAddress { bind, advertise } in &config.addresses {
            let rng = StdRng::seed_from_u64(rng.next_u64());
            pools.push(Pool {
                ports: PortPool::new(*bind, config.ports.clone(), rng)?,
                advertise: *advertise,
            });
        }
        let (events, counters) = (Arc::new(events), Arc::new(Counters::default()));
        let (jobs, spooled) = sync_channel(JOBS_MAX);
        let spooler = Spooler::new(spooled, events.clone());
        let spooler = spawn("segue-spool", move || spooler.run())?;
        let mut media = Media {
            pools,
            counters,
            threads: Vec::new(),
            spooler: Some((jobs.clone(), spooler)),
            config,
        };
        let epoch = (Instant::now(), ntp_now());
        let recordings = Arc::new(AtomicU64::new(1));
        for n in 0..media.config.threads.max(1) {
            let (orders, waiting) = sync_channel(ORDERS_MAX);
            let bell = Arc::new(Bell::new().map_err(|source| system("making an eventfd", source))?);
            let start = Start {
                orders: waiting,
                bell: bell.clone(),
                events: events.clone(),
                counters: media.counters.clone(),
                recordings: recordings.clone(),
                spool: SpoolLink::new(jobs.clone()),
                seed,
                epoch,
                rtp_gone: Duration::from_millis(media.config.rtp_gone_ms),
            };
            let realtime = media.config.realtime;
            let handle = spawn(&format!("segue-media-{n}"), move || work(start, realtime))?;
            media.threads.push(Thread {
                orders,
                bell,
                handle: Mutex::new(Some(handle)),
            });
        }
        Ok(media)
    }

    /// Binds a leg's four sockets (RTP and RTCP of audio and video), making the session with its first leg. Where we have no
    /// address of the family that is asked for, they are of our first.
    ///
    /// # Errors
    /// [`MediaError::NoPorts`], [`MediaError::System`], [`MediaError::Busy`], [`MediaError::Gone`].
    pub fn open(&self, session: SessionKey, leg: LegKey, family: Option<Family>) -> Result<Ports, MediaError> {
        let same = |pool: &&Pool| Some(Family::of(pool.advertise)) == family;
        let pool = self.pools.iter().find(same).or_else(|| self.pools.first());
        let pool = pool.ok_or_else(|| MediaError::Config("there is no address for media".to_owned()))?;
        let pairs = Box::new([pool.ports.lease()?, pool.ports.lease()?]);
        let [audio, video] = pairs.each_ref().map(|pair| pair.lease.port);
        let thread = self.thread(session)?;
        thread
            .orders
            .try_send(Order::Open { session, leg, pairs })
            .map_err(refused)?;
        thread.wake()?;
        Ok(Ports {
            address: pool.advertise,
            audio,
            video,
        })
    }

    /// Tells a session what to do. Commands of one session are performed in order; one for a session that is not open is
    /// ignored. `StopRecording`, `CloseLeg` and `Close` wait for room in a full queue, the others are refused.
    ///
    /// # Errors
    /// [`MediaError::Busy`] when the queue is full, [`MediaError::Gone`] after a thread has died.
    pub fn command(&self, session: SessionKey, command: Command) -> Result<(), MediaError> {
        let thread = self.thread(session)?;
        let must_arrive = matches!(
            command,
            Command::StopRecording { .. } | Command::CloseLeg { .. } | Command::Close
        );
        let order = Order::Command(session, Box::new(command));
        if must_arrive {
            thread.orders.send(order).map_err(|_| MediaError::Gone)?;
        } else {
            thread.orders.try_send(order).map_err(refused)?;
        }
        thread.wake()
    }

    /// Whether all threads of the packet path run.
    pub fn lives(&self) -> bool {
        let spooler = self.spooler.as_ref().is_some_and(|(_, handle)| !handle.is_finished());
        spooler
            && self.threads.iter().all(|thread| {
                let handle = thread.handle.lock().unwrap_or_else(PoisonError::into_inner);
                handle.as_ref().is_some_and(|handle| !handle.is_finished())
            })
    }

    /// What has been done so far.
    pub fn stats(&self) -> Stats {
        self.counters
            .read(self.pools.iter().map(|pool| pool.ports.leased()).sum())
    }

    /// Ends all sessions and recordings (cause `stopped`) and waits for the threads.
    pub fn shutdown(self) {}

    fn thread(&self, session: SessionKey) -> Result<&Thread, MediaError> {
        let index = session.checked_rem(self.threads.len() as u64).unwrap_or(0);
        self.threads.get(index as usize).ok_or(MediaError::Gone)
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        for thread in &self.threads {
            // A thread that is gone needs no telling.
            let _ = thread.orders.send(Order::Stop);
            let _ = thread.wake();
        }
        for thread in &self.threads {
            let handle = thread.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(handle) = handle {
                let _ = handle.join();
            }
        }
        if let Some((jobs, handle)) = self.spooler.take() {
            let _ = jobs.send(Job::Stop);
            let _ = handle.join();
        }
    }
}

impl Thread {
    fn wake(&self) -> Result<(), MediaError> {
        self.bell
            .ring()
            .map_err(|source| system("waking a media thread", source))
    }
}

fn work(start: Start, realtime: bool) {
    if realtime && let Err(error) = syscall::make_realtime() {
        tracing::warn!(
            %error,
            "media runs without real-time priority, so packets may be late under load; grant CAP_SYS_NICE or raise RLIMIT_RTPRIO"
        );
    }
    match MediaThread::new(start) {
        Ok(thread) => thread.run(),
        Err(error) => tracing::error!(%error, "a media thread cannot start"),
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, MediaError> {
    Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|source| system("starting a thread", source))
}

fn system(what: &'static str, source: io::Error) -> MediaError {
    MediaError::System { what, source }
}

fn refused<T>(error: TrySendError<T>) -> MediaError {
    match error {
        TrySendError::Full(_) => MediaError::Busy,
        TrySendError::Disconnected(_) => MediaError::Gone,
    }
}

/// Wall-clock time once, at the start; all later NTP times follow the monotonic clock.
fn ntp_now() -> u64 {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let fraction = (u64::from(unix.subsec_nanos()) << 32) / 1_000_000_000;
    (unix.as_secs().wrapping_add(NTP_TO_UNIX_S) << 32) | fraction
}
