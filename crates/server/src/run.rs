//! `segue run`: builds the parts, gives each what it needs, waits for the end.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use segue_b2bua::{ClipCache, Gauges, Inbox, LiveCalls, Node, Shard, ShardConfig, TextSender, perform};
use segue_call::KeySecret;
use segue_jobs::notices::{NoticeSettings, NoticeStats};
use segue_jobs::{
    Budget, Clocks, Depositor, Keeper, Phone, Preparer, RETENTION_EVERY, RecordFileStats, RecordFiles, Transcoders,
    WorkerCommand, WorkerPool,
};
use segue_media::{Kind, Media, MediaConfig, transcode::TranscodeLink};
use segue_records::Happening;
use segue_sip::{
    EndpointConfig, Local, Protocol, Speaks,
    transport::{Hep, HepStats, Resolver, Tls, TlsRenewal, Transports},
};
use segue_store::Store;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::{
    check::{Checked, Warning, check},
    cli::now_ms,
    config::Config,
    deposits::Deposits,
    failure::Failure,
    http::{self, Http},
    in_force::{Asks, InForce},
    key,
    logging::Log,
    mailboxes::Mailboxes,
    notices,
    obey::{Kept, obey},
    passwords::Sealer,
    prompts,
    reload::{Given, call_config},
    signals::Signals,
    watch::{Changes, Watcher},
};

/// Notes that may wait for the signalling thread.
const INBOX_DEPTH: usize = 65_536;
/// Prepared clips kept in memory, bytes.
const CLIP_CACHE_BYTES: u64 = 256 * 1024 * 1024;
/// Worker processes.
const WORKERS: usize = 2;

/// Orders that may wait for the signalling thread.
const ORDERS_MAX: usize = 8;

/// In the data directory of a running server: what it has bound, for commands beside it.
pub const BOUND_FILE: &str = "server.json";

/// The ready file: what was bound and where the data is, under the configuration's own names.
#[derive(Debug, Serialize)]
struct Ready {
    sip: ReadySip,
    http: ReadyHttp,
    data_dir: PathBuf,
    pid: u32,
}

#[derive(Debug, Serialize)]
struct ReadySip {
    udp: Vec<SocketAddr>,
    tcp: Vec<SocketAddr>,
    tls: Vec<SocketAddr>,
}

#[derive(Debug, Serialize)]
struct ReadyHttp {
    listen: SocketAddr,
}

/// Runs the server until SIGINT, which ends calls in order and keeps recordings, or until after SIGTERM the last call has
/// ended. SIGHUP reads configuration and profiles again.
pub fn run(config: Config, given: Given, ready_file: Option<&Path>) -> Result<ExitCode, Failure> {
    let log = Log::start(&config);
    allow_open_files();
    // One left by an earlier run would name addresses that are no more.
    if let Some(path) = ready_file {
        let _ = fs::remove_file(path);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name("look-up")
        .max_blocking_threads(8)
        .build()
        .map_err(|e| system("the signalling thread cannot start", &e))?;
    runtime.block_on(serve(config, given, log, ready_file))
}

async fn serve(config: Config, given: Given, log: Log, ready_file: Option<&Path>) -> Result<ExitCode, Failure> {
    let Checked {
        profiles,
        admission,
        tls,
        notices,
        warnings,
        ..
    } = check(&config, now_ms())?;
    tell(&warnings);
    let mut transports =
        Transports::bind(&config.sip_udp, &config.sip_tcp).map_err(|e| in_use(e.addr, &e.why, "sip.udp or sip.tcp"))?;
    let renewal = listen_tls(&config, tls, &mut transports)?;
    let http =
        TcpListener::bind(config.http_listen).map_err(|e| in_use(config.http_listen, &e.to_string(), "http.listen"))?;
    let hep = HepStats::default();
    if let Some(collector) = config.hep_collector {
        let copies = Hep::to(collector, config.hep_capture_id, hep.clone());
        transports.copy_to(copies.map_err(|e| {
            Failure::refused(
                "hep",
                format!("{collector} cannot be reached: {e}"),
                "name another collector in hep.collector, or none",
            )
        })?);
    }
    // After the sockets: a port in use leaves no new data directory behind.
    let store = Store::open_server(&config.data_dir)?;
    config.apply_to(&store);

    let keys = Arc::new(Sealer::of(&config.data_dir)?);
    let (inbox, inbox_end) = Inbox::new(INBOX_DEPTH);
    let spool_dir = config.data_dir.join("spool");
    let media = {
        let inbox = inbox.clone();
        let started = Media::start(
            media_config(&config, &spool_dir),
            Box::new(move |session, event| inbox.media(session, event)),
        );
        Arc::new(started.map_err(|e| {
            Failure::refused(
                "media",
                e.to_string(),
                "see media.address and media.ports in `segue config`",
            )
        })?)
    };
    let pool = worker_pool()?;
    let transcoders = transcoders(&config)?;
    if let Err(error) = segue_jobs::clips::ensure_beep(&pool, &store) {
        tracing::error!(%error, "the beep could not be prepared: callers will hear none; `segue doctor` says why");
    }
    prepare_notice(&pool, &store)?;
    let prompts = prompts::prepare_all(&config, &pool)?;
    let spooled = |e: std::io::Error| system(&format!("{} cannot be used", spool_dir.display()), &e);
    let depositor = Arc::new(Depositor::start(store.clone(), pool.clone(), spool_dir.clone()).map_err(spooled)?);
    depositor.salvage().map_err(spooled)?;
    let keeper = Keeper::new(store.clone()).with_calls(config.records.kept());
    let kept_calls = keeper.calls();
    let _keeper = keeper
        .start(RETENTION_EVERY, clocks)
        .map_err(|e| system("the thread of the retention rules cannot start", &e))?;
    let record_stats = RecordFileStats::default();
    let record_files = RecordFiles::start(&store, config.records.files(), &record_stats)
        .map_err(|e| system("the thread of the call records cannot start", &e))?;
    let deposits = Arc::new(Deposits(Arc::clone(&depositor)));
    let mailboxes = Arc::new(Mailboxes {
        phone: Phone::new(store.clone(), pool.clone(), spool_dir.clone()),
        keys: Arc::clone(&keys),
    });

    let seed = match config.test_seed {
        Some(seed) => seed,
        None => random_seed()?,
    };
    let sockets = transports.local_addrs();
    let resolver = Resolver::new(config.sip_nameservers.clone(), Speaks::by(&sockets));
    let shard = Shard::new(ShardConfig {
        endpoint: endpoint_config(&config, &sockets, seed),
        call: call_config(&config),
        admission,
        limits: config.limits(),
        seed: seed.wrapping_add(1),
        secret: Some(KeySecret(random_bytes()?)),
    });

    let last_change = store.last_change()?;
    let watcher = Watcher::new(last_change);
    let changes = Changes::follow(&store, last_change, watcher.clone())?;
    let (notice_settings, notice_stats) = (NoticeSettings::new(notices), NoticeStats::default());
    let (texts, texts_end) = TextSender::new();
    let notifier = notices::start(&store, &notice_settings, texts, &notice_stats, &watcher)
        .map_err(|e| system("the thread of the notices cannot start", &e))?;
    let gauges = Arc::new(Gauges::default());
    let (live, live_end) = LiveCalls::new();
    let ready = Ready {
        sip: ReadySip {
            udp: of(&sockets, Protocol::Udp),
            tcp: of(&sockets, Protocol::Tcp),
            tls: of(&sockets, Protocol::Tls),
        },
        http: ReadyHttp {
            listen: http
                .local_addr()
                .map_err(|e| system("the HTTP socket has no address", &e))?,
        },
        data_dir: std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone()),
        pid: std::process::id(),
    };
    let in_force = InForce::new(profiles, config.clone());
    let (asks, asked) = Asks::new();
    let preparer = Preparer::start(store.clone(), pool.clone(), now_ms)
        .map_err(|e| system("the thread of the uploads cannot start", &e))?;
    let told = http::Told {
        in_force: in_force.clone(),
        asks,
        gauges: Arc::clone(&gauges),
        media: Arc::clone(&media),
        store: store.clone(),
        depositor,
        pool,
        transcoders: transcoders.clone(),
        hep,
        record_files: record_stats,
        notice_settings: notice_settings.clone(),
        notices: notice_stats,
        watcher: watcher.clone(),
        live,
        key: key::renew(&config.data_dir).map_err(|e| system("the key of this run cannot be written down", &e))?,
    };
    let portal = http::portal(&config, &store, &watcher, preparer);
    let http =
        Http::start(http, http::site(&config, told), portal).map_err(|e| system("the HTTP side cannot start", &e))?;
    // Before anybody is told that we are ready: from here a signal is an order.
    let signals = Signals::listen().map_err(|e| system("signals cannot be listened to", &e))?;
    let bound = config.data_dir.join(BOUND_FILE);
    write_ready(&bound, &ready)?;
    watcher.server(Happening::ServerReady {
        version: env!("CARGO_PKG_VERSION").to_owned(),
    });
    let (orders, orders_end) = mpsc::channel(ORDERS_MAX);
    tokio::spawn(obey(
        (signals, asked),
        orders,
        (config, given),
        log,
        (watcher.clone(), renewal),
        Kept {
            store: store.clone(),
            in_force,
            record_files: record_files.plan(),
            calls: kept_calls,
            notices: notice_settings,
        },
    ));
    tracing::info!(sip.udp = ?ready.sip.udp, sip.tcp = ?ready.sip.tcp, sip.tls = ?ready.sip.tls, http = %ready.http.listen, "ready");
    if let Some(path) = ready_file {
        write_ready(path, &ready)?;
    }

    let node = Node {
        shard,
        transports,
        media: Arc::clone(&media),
        store: store.clone(),
        resolver,
        deposits,
        transcoding: Arc::new(Transcoding(transcoders)),
        clips: ClipCache::new(CLIP_CACHE_BYTES),
        prompts,
        spool_dir,
        inbox,
        inbox_end,
        gauges,
        watch: Arc::new(watcher.clone()),
        keys,
        mailboxes,
        texts: texts_end,
        live: live_end,
    };
    perform(node, orders_end).await?;
    drop(notifier);
    // What the last calls left is told before those who follow are let go.
    changes.finish();
    // Likewise their records: once committed they go to the files.
    let _ = store.flush();
    drop(record_files);
    watcher.hub.close();
    http.finish();
    let _ = fs::remove_file(bound);
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Starts processes that transcode for calls: the signalling side knows no jobs.
struct Transcoding(Transcoders);

impl segue_b2bua::Transcoding for Transcoding {
    fn take(&self, kind: Kind) -> Result<(Arc<TranscodeLink>, Box<dyn Send>), String> {
        let process = self.0.take(kind).map_err(|error| error.to_string())?;
        Ok((process.link(), Box::new(process)))
    }
}

/// A call takes eight sockets or more, and what comes with a login is often 1024 files: as many as the system lets us have.
fn allow_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        tracing::warn!(%error, "the limit of open files stays as it is; `segue doctor` says how many calls that allows");
    }
}

fn media_config(config: &Config, spool_dir: &Path) -> MediaConfig {
    MediaConfig {
        addresses: config.media_addresses().collect(),
        ports: config.media_ports.clone(),
        threads: 1,
        realtime: true,
        spool_dir: spool_dir.to_owned(),
        seed: config.test_seed,
        ..MediaConfig::default()
    }
}

/// Says what works and hardly as it is meant.
pub fn tell(warnings: &[Warning]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

fn listen_tls(config: &Config, tls: Option<Tls>, transports: &mut Transports) -> Result<Option<TlsRenewal>, Failure> {
    let Some(tls) = tls else { return Ok(None) };
    let listening = transports.listen_tls(&config.sip_tls, tls);
    listening.map(Some).map_err(|e| in_use(e.addr, &e.why, "sip.tls"))
}

fn endpoint_config(config: &Config, sockets: &[(Protocol, SocketAddr)], seed: u64) -> EndpointConfig {
    let advertise = |protocol: Protocol, bind: &SocketAddr| match config.advertised_for(*bind) {
        // A port stands there for UDP and TCP, which share one.
        Some(name) if protocol == Protocol::Tls => {
            let host = name.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
            format!("{}:{}", host.map_or(name, |(host, _)| host), bind.port())
        }
        Some(name)
            if name.parse::<SocketAddr>().is_ok()
                || name.rsplit_once(':').is_some_and(|(_, p)| p.parse::<u16>().is_ok()) =>
        {
            name.to_owned()
        }
        Some(name) => format!("{name}:{}", bind.port()),
        None => bind.to_string(),
    };
    EndpointConfig {
        t1: Duration::from_millis(config.sip_t1_ms),
        pause_max: Duration::from_millis(config.sip_pause_max_ms),
        seed,
        sockets: sockets
            .iter()
            .map(|(protocol, bind)| Local {
                protocol: *protocol,
                bind: *bind,
                advertise: advertise(*protocol, bind),
            })
            .collect(),
        ..EndpointConfig::default()
    }
}

/// For retention: the monotonic one goes on while the machine sleeps.
fn clocks() -> Clocks {
    use rustix::time::{ClockId, clock_gettime};
    let mono = clock_gettime(ClockId::Boottime);
    let ms = mono
        .tv_sec
        .saturating_mul(1_000)
        .saturating_add(mono.tv_nsec / 1_000_000);
    Clocks {
        mono_ms: u64::try_from(ms).unwrap_or(0),
        wall_ms: now_ms(),
    }
}

/// Makes the notice of a full mailbox beside what the server does, as it takes some seconds. Nobody waits for it when the server ends.
fn prepare_notice(pool: &WorkerPool, store: &Store) -> Result<(), Failure> {
    let (pool, store) = (pool.clone(), store.clone());
    let prepare = move || {
        if let Err(error) = segue_jobs::clips::ensure_notice(&pool, &store) {
            tracing::error!(%error, "the notice of a full mailbox could not be prepared: its callers are refused without a word");
        }
    };
    std::thread::Builder::new()
        .name("notice".to_owned())
        .spawn(prepare)
        .map_err(|e| system("the thread that prepares the notice cannot start", &e))?;
    Ok(())
}

/// So many transcode for each core: one takes some hundredths of it.
const TRANSCODERS_A_CORE: usize = 8;

/// Those are this same program, too.
fn transcoders(config: &Config) -> Result<Transcoders, Failure> {
    let program = std::env::current_exe().map_err(|e| system("this program's own file cannot be found", &e))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let by_cores = u32::try_from(cores.saturating_mul(TRANSCODERS_A_CORE)).unwrap_or(u32::MAX);
    let command = WorkerCommand {
        program,
        args: ["media-worker", "--live"].map(str::to_owned).to_vec(),
    };
    let budget = Budget {
        max: config.media_transcode_max.unwrap_or(by_cores),
        cpu_percent: config.media_transcode_cpu,
    };
    Ok(Transcoders::new(command, budget))
}

/// The workers are this same program.
fn worker_pool() -> Result<WorkerPool, Failure> {
    let program = std::env::current_exe().map_err(|e| system("this program's own file cannot be found", &e))?;
    Ok(WorkerPool::new(
        WorkerCommand {
            program,
            args: vec!["media-worker".to_owned()],
        },
        WORKERS,
    ))
}

fn of(sockets: &[(Protocol, SocketAddr)], protocol: Protocol) -> Vec<SocketAddr> {
    sockets
        .iter()
        .filter(|(p, _)| *p == protocol)
        .map(|(_, a)| *a)
        .collect()
}

/// Written beside and renamed: who waits for the file never reads half of it.
fn write_ready(path: &Path, ready: &Ready) -> Result<(), Failure> {
    let failed = |e: std::io::Error| {
        Failure::refused(
            "ready_file",
            format!("{} cannot be written: {e}", path.display()),
            "name a file in a directory that exists",
        )
    };
    let text = serde_json::to_vec(ready).map_err(|e| failed(e.into()))?;
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    fs::write(&partial, text).map_err(failed)?;
    fs::rename(&partial, path).map_err(failed)
}

fn in_use(addr: SocketAddr, why: &str, key: &str) -> Failure {
    Failure::refused(
        "cannot_bind",
        format!("{addr} cannot be bound: {why}"),
        format!("stop what uses it, or choose another address in {key} (port 0 takes a free one)"),
    )
}

fn system(what: &str, error: &std::io::Error) -> Failure {
    Failure::refused("system", format!("{what}: {error}"), "see the system's log")
}

/// From the system's randomness: tags, branches and Call-IDs must not be guessable.
fn random_seed() -> Result<u64, Failure> {
    random_bytes().map(u64::from_ne_bytes)
}

/// The same for the keys of SRTP, which want more of it.
fn random_bytes<const N: usize>() -> Result<[u8; N], Failure> {
    use rand::{TryRng, rngs::SysRng};
    let mut bytes = [0; N];
    let filled = SysRng.try_fill_bytes(&mut bytes).map(|()| bytes);
    filled.map_err(|e| {
        Failure::refused(
            "system",
            format!("the system gives no randomness: {e}"),
            "see /dev/urandom",
        )
    })
}
