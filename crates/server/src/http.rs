//! The HTTP side: a thread of its own, so that nobody who reads slowly holds up a call.

use std::{
    io,
    net::TcpListener,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use segue_b2bua::{Gauges, LiveCalls};
use segue_jobs::{
    Depositor, Preparer, RecordFileStats, Transcoders, WorkerPool,
    notices::{NoticeSettings, NoticeStats},
};
use segue_manage::{Limits, Manage};
use segue_media::Media;
use segue_sip::transport::HepStats;
use segue_store::Store;
use segue_web::{Events, Followers, Health, LoadHistory, Portal, Site, Uploads};
use tokio::sync::watch;

use crate::{
    cli::now_ms,
    config::Config,
    in_force::{Asks, InForce},
    load::{Cpu, Load, keep_history},
    metrics::{self, Parts},
    passwords::{self, Sealer},
    pins, trunks,
    watch::{Watcher, now},
};

/// How long requests under way are waited for at the end.
const DRAIN: Duration = Duration::from_secs(2);
/// The signalling thread shows itself every second; after this long it hangs.
const HANGS_AFTER: Duration = Duration::from_secs(10);

/// Whether the store can be written is tried this often at most: each try syncs the disk, and anybody may ask.
const TRY_WRITING_EVERY: Duration = Duration::from_secs(1);

/// With less room than this on the disk, messages may not fit.
const DISK_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// What the pages tell of.
pub struct Told {
    /// The signalling thread.
    pub gauges: Arc<Gauges>,
    /// The packet path.
    pub media: Arc<Media>,
    /// The store.
    pub store: Store,
    /// Recordings on their way to be messages.
    pub depositor: Arc<Depositor>,
    /// Worker processes.
    pub pool: WorkerPool,
    /// Processes that transcode.
    pub transcoders: Transcoders,
    /// Copies of SIP messages.
    pub hep: HepStats,
    /// The files of call records.
    pub record_files: RecordFileStats,
    /// The profiles that calls meet.
    pub in_force: InForce,
    /// Asks for everything to be read again.
    pub asks: Asks,
    /// How subscribers are told.
    pub notice_settings: NoticeSettings,
    /// How notices fared.
    pub notices: NoticeStats,
    /// Events and metrics.
    pub watcher: Watcher,
    /// The calls that are up.
    pub live: LiveCalls,
    /// What commands show that ask this run of the server.
    pub key: String,
}

/// The running HTTP side.
pub struct Http {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Http {
    /// Serves on a bound socket.
    pub fn start(listener: TcpListener, site: Site, portal: Portal) -> io::Result<Http> {
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name("page")
            .max_blocking_threads(4)
            .build()?;
        let (stop, mut stopped) = watch::channel(false);
        let kept = keep_history(Arc::clone(&site.load), site.load_history.clone());
        let thread = thread::Builder::new().name("http".to_owned()).spawn(move || {
            let mut over = stopped.clone();
            let serve = async move {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                segue_web::serve(listener, site, Some(portal), async move {
                    let _ = over.wait_for(|stop| *stop).await;
                })
                .await;
                io::Result::Ok(())
            };
            let end = async move {
                let _ = stopped.wait_for(|stop| *stop).await;
                tokio::time::sleep(DRAIN).await;
            };
            let served = runtime.block_on(async {
                tokio::select! {
                    served = serve => served,
                    // A peer that never ends its request does not keep us.
                    () = end => Ok(()),
                    // It goes on as long as the server does.
                    () = kept => Ok(()),
                }
            });
            if let Err(error) = served {
                tracing::error!(%error, "HTTP is served no more");
            }
            runtime.shutdown_background();
        })?;
        Ok(Http { stop, thread })
    }

    /// Answers what is under way, then ends.
    pub fn finish(self) {
        let _ = self.stop.send(true);
        // A thread that panicked serves nobody.
        let _ = self.thread.join();
    }
}

/// The API and the pages for people.
pub fn portal(config: &Config, store: &Store, watcher: &Watcher, preparer: Preparer) -> Portal {
    let limits = Limits {
        idle_ms: config.http.session_idle_ms,
        max_ms: config.http.session_max_ms,
    };
    Portal {
        manage: Manage::new(store.clone(), limits, now_ms),
        events: Events::new(watcher.hub.clone(), store.clone(), now),
        public: config.http.public.clone(),
        proxies: config.http.proxies.clone(),
        is_loopback: config.http_listen.ip().is_loopback(),
        uploads: Uploads {
            preparer,
            max_bytes: config.http.upload_max,
        },
    }
}

/// The pages of this server.
pub fn site(config: &Config, told: Told) -> Site {
    // Behind a proxy whoever comes by it would be a program of this machine.
    let is_alone =
        config.http_listen.ip().is_loopback() && config.http.public.is_none() && config.http.proxies.is_empty();
    let followers = match is_alone {
        _ if config.http_events_anyone => Followers::Anyone,
        true => Followers::ThisMachine,
        false => Followers::Nobody,
    };
    let registry = told.watcher.metrics.registry(Parts {
        gauges: Arc::clone(&told.gauges),
        media: Arc::clone(&told.media),
        store: told.store.clone(),
        depositor: Arc::clone(&told.depositor),
        pool: told.pool.clone(),
        transcoders: told.transcoders.clone(),
        hep: told.hep.clone(),
        record_files: told.record_files.clone(),
        notices: told.notices.clone(),
        hub: told.watcher.hub.clone(),
        started: SystemTime::now(),
    });
    let events = Events::new(told.watcher.hub.clone(), told.store.clone(), now);
    let gauges = Arc::clone(&told.gauges);
    let (live, key, notices) = (told.live.clone(), told.key.clone(), told.notice_settings.clone());
    let load = Load {
        gauges: Arc::clone(&told.gauges),
        media: Arc::clone(&told.media),
        transcoders: told.transcoders.clone(),
        transcode_cpu: config.media_transcode_cpu,
        in_force: told.in_force.clone(),
        cpu: Cpu::new(),
    };
    let (profiles, in_force, asks) = (told.in_force.clone(), told.in_force.clone(), told.asks.clone());
    let seals = SealsOf {
        data_dir: config.data_dir.clone(),
        in_force: told.in_force.clone(),
    };
    let trunking = told.in_force.clone();
    let told = Arc::new(told);
    let (lives, takes) = (Arc::clone(&told), told);
    let started = Instant::now();
    let store = takes.store.clone();
    let writes = kept_for(TRY_WRITING_EVERY, move || {
        store.try_writing().map_err(|e| e.to_string())
    });
    Site {
        health: Box::new(move || health(&lives, started)),
        not_ready: Box::new(move || not_ready(&takes, writes())),
        metrics: Box::new(move || metrics::text(&registry)),
        trunks: Box::new(move || trunks::page(&gauges.trunks())),
        seals: Arc::new(seals),
        trunking: Arc::new(trunking),
        profiles: Box::new(move || Some(profiles.profiles())),
        in_force: Box::new(move || in_force.shown()),
        reload: Box::new(move || asks.ask()),
        load: Arc::new(move || load.view()),
        load_history: LoadHistory::default(),
        may_call: Box::new(move |ip| notices.may_call(ip)),
        live,
        events: Some(events),
        followers,
        key: Some(key),
    }
}

/// Seals what subscribers prove themselves by, as commands do, for the realms that calls meet now.
struct SealsOf {
    data_dir: PathBuf,
    in_force: InForce,
}

impl segue_manage::Seals for SealsOf {
    fn password(&self, user: &str, password: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
        let realms = passwords::realms(self.in_force.profiles().iter());
        if realms.is_empty() {
            return Err("no profile asks for a password".to_owned());
        }
        let password = passwords::checked("it", password).map_err(|failure| failure.message)?;
        let sealer = Sealer::of(&self.data_dir).map_err(|failure| failure.message)?;
        sealer.seal(user, &realms, &password).map_err(|failure| failure.message)
    }

    fn pin(&self, user: &str, digits: &str) -> Result<Vec<u8>, String> {
        // Never the digits.
        let pin = segue_policy::Pin::chosen(digits).map_err(|wrong| wrong.to_string())?;
        let sealer = Sealer::of(&self.data_dir).map_err(|failure| failure.message)?;
        pins::keep(&sealer, user, &pin).ok_or_else(|| "no random numbers are to be had".to_owned())
    }
}

/// What keeps the server from living: a restart would mend it.
fn faults(told: &Told) -> Vec<String> {
    let mut reasons = Vec::new();
    if told.gauges.silent_for() > HANGS_AFTER {
        reasons.push(format!(
            "the signalling thread has not moved for {} s",
            told.gauges.silent_for().as_secs()
        ));
    }
    if !told.media.lives() {
        reasons.push("a thread of the packet path has ended".to_owned());
    }
    reasons
}

fn health(told: &Told, started: Instant) -> Health {
    let totals = told.store.totals();
    let mut reasons = faults(told);
    let mut status = if reasons.is_empty() { "ok" } else { "fault" };
    if let Err(error) = &totals {
        status = "store";
        reasons.push(format!("the store cannot be read: {error}"));
    }
    let mut counters = told.gauges.counters();
    counters.extend(media_counters(&told.media.stats()));
    Health {
        status: status.to_owned(),
        reasons,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_s: started.elapsed().as_secs(),
        calls: told.gauges.calls(),
        unheard: totals.map_or(0, |t| t.unheard),
        counters,
    }
}

/// What keeps new calls from being served well.
fn not_ready(told: &Told, writes: Result<(), String>) -> Vec<String> {
    let mut reasons = faults(told);
    if told.gauges.is_closing() {
        reasons.push("the server is stopping: calls are ended in order, no new ones are taken".to_owned());
    }
    if told.pool.stats().cannot_start {
        reasons.push("no media worker can be started: recordings stay raw; `segue doctor` says why".to_owned());
    }
    if let Err(error) = writes {
        reasons.push(format!("the store cannot be written: {error}"));
    }
    match rustix::fs::statvfs(told.store.data_dir()) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            if free < DISK_BYTES_MIN {
                reasons.push(format!(
                    "only {} MiB are left on the disk of {}",
                    free / 1_048_576,
                    told.store.data_dir().display()
                ));
            }
        }
        Err(error) => reasons.push(format!("the disk cannot be asked for its room: {error}")),
    }
    reasons
}

/// What the packet path counts, by name; the first two say how many there are now.
fn media_counters(stats: &segue_media::Stats) -> impl Iterator<Item = (String, u64)> {
    let bounds = segue_media::LATENESS_US.map(|us| format!("{us}_us"));
    let bounds = bounds.into_iter().chain(["more".to_owned()]);
    let lateness = bounds.zip(stats.lateness);
    let lateness = lateness.map(|(bound, count)| (format!("media_lateness_to_{bound}"), count));
    [
        ("media_latest_us", stats.latest_us),
        ("media_sessions", stats.sessions),
        ("media_ports", stats.ports),
        ("media_sent", stats.sent),
        ("media_late", stats.late),
        ("media_received", stats.received),
        ("media_relayed", stats.relayed),
        ("media_bad", stats.bad),
        ("media_unauthentic", stats.unauthentic),
        ("media_send_failed", stats.send_failed),
        ("media_spool_dropped", stats.spool_dropped),
    ]
    .map(|(name, count)| (name.to_owned(), count))
    .into_iter()
    .chain(lateness)
}

/// Asks once in `how_long` however often it is called; whoever comes meanwhile waits for that answer.
fn kept_for<T: Clone>(how_long: Duration, ask: impl Fn() -> T) -> impl Fn() -> T {
    let kept: Mutex<Option<(Instant, T)>> = Mutex::new(None);
    move || {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((at, answer)) if at.elapsed() < how_long => answer.clone(),
            _ => kept.insert((Instant::now(), ask())).1.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, fs};

    use segue_manage::Seals;

    use super::*;
    use crate::config::load_files;

    #[test]
    fn passwords_are_sealed_for_the_realms_in_force_whatever_the_files_say_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let profiles = dir.path().join("p");
        fs::create_dir(&profiles).unwrap();
        let mut config = Config::default();
        config.profiles_dir = Some(profiles.clone());
        let files = |realm: &str| {
            let text = format!(
                "name = \"a\"\nsources = [\"10.0.0.0/8\"]\nregistrar = true\nauth = \"digest\"\nauth_realm = \"{realm}\"\n"
            );
            fs::write(profiles.join("1.toml"), text).unwrap();
            load_files(&config).unwrap()
        };
        let in_force = InForce::new(files("first"), Config::default());
        let seals = SealsOf {
            data_dir: dir.path().join("data"),
            in_force: in_force.clone(),
        };
        let realms = || {
            let sealed = seals.password("anna", "apple-tree-7").unwrap();
            sealed.into_iter().map(|(realm, _)| realm).collect::<Vec<_>>()
        };
        Store::open(&dir.path().join("data")).unwrap();
        assert_eq!(realms(), ["first"]);
        let second = files("second");
        assert_eq!(realms(), ["first"], "nobody has had them read again");
        in_force.take(second, Config::default());
        assert_eq!(realms(), ["second"]);
    }

    #[test]
    fn who_asks_often_gets_the_answer_that_is_kept() {
        let asked = Cell::new(0);
        let count = || {
            asked.set(asked.get() + 1);
            asked.get()
        };
        let kept = kept_for(Duration::from_secs(3600), count);
        assert_eq!([kept(), kept(), kept()], [1, 1, 1]);
        let never = kept_for(Duration::ZERO, count);
        assert_eq!([never(), never()], [2, 3]);
    }
}
