//! The configuration: defaults, then `segue.toml`, then `SEGUE_` environment variables, then command line options.

mod file;
mod http;
mod keys;
mod notices;
mod overload;
mod place;
mod profiles;
mod records;
pub mod registrar;
pub mod tls;
mod trunks;
mod value;

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

pub use keys::{KEYS, Key};
pub use notices::MailProtection;
pub use place::nearest;
pub use profiles::{ProfileFile, load as load_profiles, load_files};
pub use trunks::TrunkTable;

use segue_mailbox::Retention;
use segue_media::MediaAddress;
use segue_store::{MediaStore, Store};

use crate::failure::Failure;
use http::Http;
use notices::Notices;
use overload::Overload;
use place::Position;
use records::Records;
use segue_b2bua::{Limits, RegistrationLimits};
use tls::TlsPaths;
use value::Raw;

/// Every setting, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the database and spools live.
    pub data_dir: PathBuf,
    /// Where new media goes.
    pub media_store: MediaStore,
    /// Where profiles are read from; `None`: the one built in.
    pub profiles_dir: Option<PathBuf>,
    /// How long calls may go on after SIGTERM, milliseconds.
    pub drain_ms: u64,
    /// What is logged, as tracing's `EnvFilter` reads it.
    pub log: String,
    /// The log is JSON, one object a line.
    pub log_json: bool,
    /// UDP sockets for SIP.
    pub sip_udp: Vec<SocketAddr>,
    /// TCP sockets for SIP.
    pub sip_tcp: Vec<SocketAddr>,
    /// TLS sockets for SIP.
    pub sip_tls: Vec<SocketAddr>,
    /// Certificates for them.
    pub sip_tls_paths: TlsPaths,
    /// Hosts (or host:port) that Via and Contact say: a name for all sockets, an address for those of its family; the others
    /// say their own address.
    pub sip_advertise: Vec<String>,
    /// Name servers; none: those of `/etc/resolv.conf`.
    pub sip_nameservers: Vec<SocketAddr>,
    /// SIP timer T1, milliseconds.
    pub sip_t1_ms: u64,
    /// The longest that a server's 503 with Retry-After keeps calls from it, milliseconds; 0: not at all.
    pub sip_pause_max_ms: u64,
    /// Where calls may go on by.
    pub trunks: Vec<TrunkTable>,
    /// Homer's collector; `None`: no copies.
    pub hep_collector: Option<SocketAddr>,
    /// Our number there.
    pub hep_capture_id: u32,
    /// The HTTP socket.
    pub http_listen: SocketAddr,
    /// Whoever reaches the HTTP socket may follow events, also off loopback.
    pub http_events_anyone: bool,
    /// Who reaches the pages, and how.
    pub http: Http,
    /// Where media sockets bind: at most one address of each family. The first serves those of whom no family is known.
    pub media_address: Vec<IpAddr>,
    /// What SDP says instead of the address of the same family.
    pub media_advertise: Vec<IpAddr>,
    /// Ports for RTP and RTCP.
    pub media_ports: RangeInclusive<u16>,
    /// How many calls may be transcoded at once; `None`: by the machine's cores.
    pub media_transcode_max: Option<u32>,
    /// How much of all cores that may take, percent.
    pub media_transcode_cpu: u32,
    /// Recordings shorter than this are dropped, milliseconds.
    pub record_min_ms: u64,
    /// The longest recording, milliseconds.
    pub record_max_ms: u64,
    /// Silence that ends an audio recording, milliseconds.
    pub record_silence_ms: u64,
    /// Where prompts are, a folder a language; `None`: where they are made or installed.
    pub prompts_dir: Option<PathBuf>,
    /// Where prepared prompts are kept; `None`: in the data directory.
    pub prompts_prepared: Option<PathBuf>,
    /// The rules of mailboxes that set none of their own.
    pub retention: Retention,
    /// Files of call records.
    pub records: Records,
    /// How subscribers are told.
    pub notices: Notices,
    /// When new calls are turned away.
    pub overload: Overload,
    /// How many registrations there may be, and how long they last.
    pub registrar: RegistrationLimits,
    /// Fixes tags, Call-IDs, SSRCs and ports.
    pub test_seed: Option<u64>,
    sources: Vec<(&'static str, Source)>,
}

/// Where a value came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Source {
    /// Nobody said otherwise.
    #[default]
    Default,
    /// A line of the file.
    File {
        /// Which file.
        path: PathBuf,
        /// Where its key stands.
        position: Position,
    },
    /// An environment variable.
    Environment(String),
    /// An option on the command line.
    Option(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File { path, position } => write!(f, "{}:{position}", path.display()),
            Source::Environment(name) => f.write_str(name),
            Source::Option(name) => f.write_str(name),
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Config {
            data_dir: PathBuf::from("./segue-data"),
            media_store: MediaStore::Sqlite,
            profiles_dir: None,
            drain_ms: 600_000,
            log: "info".to_owned(),
            log_json: false,
            sip_udp: vec![SocketAddr::new(localhost, 5060)],
            sip_tcp: vec![SocketAddr::new(localhost, 5060)],
            sip_tls: Vec::new(),
            sip_tls_paths: TlsPaths::default(),
            sip_advertise: Vec::new(),
            sip_nameservers: Vec::new(),
            sip_t1_ms: 500,
            sip_pause_max_ms: 30_000,
            trunks: Vec::new(),
            hep_collector: None,
            hep_capture_id: 2001,
            http_listen: SocketAddr::new(localhost, 8080),
            http_events_anyone: false,
            http: Http::default(),
            media_address: vec![localhost],
            media_advertise: Vec::new(),
            media_ports: 20_000..=29_999,
            media_transcode_max: None,
            media_transcode_cpu: 50,
            record_min_ms: 1_000,
            record_max_ms: 180_000,
            record_silence_ms: 10_000,
            prompts_dir: None,
            prompts_prepared: None,
            retention: Retention {
                max_bytes: Some(QUOTA_BYTES),
                ..Retention::default()
            },
            records: Records::default(),
            notices: Notices::default(),
            overload: Overload::default(),
            registrar: RegistrationLimits::default(),
            test_seed: None,
            sources: Vec::new(),
        }
    }
}

impl Config {
    /// As the shard takes them.
    pub fn limits(&self) -> Limits {
        Limits {
            registrations: self.registrar,
            ..self.overload.limits()
        }
    }
}

/// What a mailbox may hold unless somebody says otherwise: some hours of video.
const QUOTA_BYTES: u64 = 2_000_000_000;

/// The file read when none is named.
const DEFAULT_FILE: &str = "segue.toml";
/// The file that an installed Segue reads when there is none here either.
const INSTALLED_FILE: &str = "/etc/segue/segue.toml";

/// Those of these environment variables that look like a setting and are none: misspelt, they would silently do nothing.
pub fn unknown_variables(names: impl Iterator<Item = String>) -> Vec<String> {
    let known: Vec<String> = KEYS.iter().map(Key::variable).collect();
    let mut unknown: Vec<String> = names
        .filter(|name| name.starts_with("SEGUE_") && !known.contains(name))
        .collect();
    unknown.sort();
    unknown
}

/// The file read when none is named: the one here, or that of a package whose binary this is, so that the commands of an
/// installed Segue find its data wherever they are typed.
fn default_file() -> Option<&'static Path> {
    let (here, installed) = (Path::new(DEFAULT_FILE), Path::new(INSTALLED_FILE));
    if here.exists() {
        return Some(here);
    }
    let is_installed = std::env::current_exe().is_ok_and(|own| own.starts_with("/usr"));
    (is_installed && installed.exists()).then_some(installed)
}

impl Config {
    /// Reads everything: `file` (or the one by default if there is one), the environment, the `--data` option.
    ///
    /// Errors name the line, variable or option, and the fix.
    pub fn load(file: Option<&Path>, data: Option<&Path>) -> Result<Config, Failure> {
        let by_default = default_file();
        Config::from_parts(file.or(by_default), &|name| std::env::var(name).ok(), data)
    }

    fn from_parts(
        file: Option<&Path>,
        environment: &dyn Fn(&str) -> Option<String>,
        data: Option<&Path>,
    ) -> Result<Config, Failure> {
        let mut config = Config::default();
        if let Some(path) = file {
            file::read(&mut config, path)?;
        }
        for key in KEYS {
            let name = key.variable();
            if let Some(text) = environment(&name) {
                config.set(key, &Raw::Text(text), Source::Environment(name))?;
            }
        }
        if let Some(dir) = data {
            config.data_dir = dir.to_owned();
            config.sources.push(("data_dir", Source::Option("--data")));
        }
        if config.profiles_dir.is_none() {
            config.profiles_dir = default_profiles(file);
        }
        config.check()?;
        Ok(config)
    }

    fn set(&mut self, key: &Key, raw: &Raw, source: Source) -> Result<(), Failure> {
        (key.set)(self, raw).map_err(|why| {
            Failure::refused(
                "bad_configuration",
                format!("{source}: {} = {raw}: {why}", key.name),
                format!("{} is {}", key.name, key.meaning),
            )
        })?;
        self.sources.push((key.name, source));
        Ok(())
    }

    /// Gives a store what is configured about it; what it has already stays.
    pub fn apply_to(&self, store: &Store) {
        store.set_retention_defaults(self.retention);
        store.set_media_store(self.media_store);
    }

    /// Where the value of a key came from.
    pub fn source(&self, key: &Key) -> Source {
        // The last one that said something counts.
        self.sources
            .iter()
            .rev()
            .find(|(name, _)| *name == key.name)
            .map(|(_, s)| s.clone())
            .unwrap_or_default()
    }

    /// Where somebody set the first of these keys that is set, in front of a message: `segue.toml:3:1: `; nothing for defaults.
    pub fn place(&self, names: &[&str]) -> String {
        let said = |name: &&str| self.sources.iter().rev().find(|(said, _)| said == name);
        let said = names.iter().find_map(said);
        said.map(|(_, source)| format!("{source}: ")).unwrap_or_default()
    }

    /// What Via and Contact of this socket say in place of its address.
    pub fn advertised_for(&self, bind: SocketAddr) -> Option<&str> {
        let ip = |said: &str| {
            let host = said.parse().map(|socket: SocketAddr| socket.ip());
            host.or_else(|_| said.trim_matches(['[', ']']).parse())
        };
        let fits = |said: &&String| ip(said).map_or(true, |ip: IpAddr| ip.is_ipv4() == bind.is_ipv4());
        self.sip_advertise.iter().find(fits).map(String::as_str)
    }

    /// Where media sockets bind, and what SDP says of it.
    pub fn media_addresses(&self) -> impl Iterator<Item = MediaAddress> {
        self.media_address.iter().map(|bind| {
            let same = |said: &&IpAddr| said.is_ipv4() == bind.is_ipv4();
            MediaAddress {
                bind: *bind,
                advertise: *self.media_advertise.iter().find(same).unwrap_or(bind),
            }
        })
    }

    /// What no single key can say.
    fn check(&self) -> Result<(), Failure> {
        // Told with the place of the first of these keys that somebody set.
        let wrong = |names: &[&str], message: String, fix: &str| {
            let at = self.place(names);
            Err(Failure::refused("bad_configuration", format!("{at}{message}"), fix))
        };
        if self.sip_udp.is_empty() && self.sip_tcp.is_empty() && self.sip_tls.is_empty() {
            return wrong(
                &["sip.udp", "sip.tcp", "sip.tls"],
                "sip.udp, sip.tcp and sip.tls are all empty, so nobody can call".to_owned(),
                "name a socket, e.g. sip.udp = [\"127.0.0.1:5060\"]",
            );
        }
        let paths = &self.sip_tls_paths;
        if !self.sip_tls.is_empty() && (paths.certificate.is_none() || paths.key.is_none()) {
            return wrong(
                &["sip.tls"],
                "sip.tls has sockets, but there is no certificate for them".to_owned(),
                "set sip.tls_certificate and sip.tls_key to PEM files",
            );
        }
        if self.record_min_ms > self.record_max_ms {
            return wrong(
                &["record.min_ms", "record.max_ms"],
                format!(
                    "record.min_ms = {} is more than record.max_ms = {}",
                    self.record_min_ms, self.record_max_ms
                ),
                "make record.min_ms the smaller one",
            );
        }
        let sip = self.sip_udp.iter().chain(&self.sip_tcp).chain(&self.sip_tls);
        let unsaid = |a: &&SocketAddr| a.ip().is_unspecified() && self.advertised_for(**a).is_none();
        if let Some(any) = sip.clone().find(unsaid) {
            return wrong(
                &["sip.udp", "sip.tcp", "sip.tls"],
                format!("{any} is no address that a peer could answer to"),
                "set sip.advertise to this machine's address of that family, or its name",
            );
        }
        if let Some(any) = self.media_addresses().find(|a| a.advertise.is_unspecified()) {
            return wrong(
                &["media.address"],
                format!(
                    "media.address = {} is no address that a peer could send media to",
                    any.bind
                ),
                "set media.advertise to this machine's address of that family",
            );
        }
        let unbound = |a: &&IpAddr| !self.media_address.iter().any(|b| b.is_ipv4() == a.is_ipv4());
        if let Some(unbound) = self.media_advertise.iter().find(unbound) {
            return wrong(
                &["media.advertise"],
                format!("media.advertise = {unbound} has no media.address of its family"),
                "name an address of that family in media.address as well",
            );
        }
        if self.records.csv.is_some() && self.records.csv == self.records.jsonl {
            return wrong(
                &["records.jsonl", "records.csv"],
                "records.csv and records.jsonl are the same file".to_owned(),
                "name a file for each",
            );
        }
        if self.test_seed.is_some() {
            let bound = sip
                .map(SocketAddr::ip)
                .chain([self.http_listen.ip()])
                .chain(self.media_address.iter().copied());
            if let Some(outside) = bound.into_iter().find(|ip| !ip.is_loopback()) {
                return wrong(
                    &["test.seed"],
                    format!("test.seed makes tags, Call-IDs and ports guessable, and {outside} is not loopback"),
                    "remove test.seed, or bind everything to 127.0.0.1",
                );
            }
        }
        Ok(())
    }
}

/// `sip-profiles` beside the configuration file, else in the working directory, else none: the one built in.
fn default_profiles(file: Option<&Path>) -> Option<PathBuf> {
    let beside = file.and_then(Path::parent).map(|dir| dir.join("sip-profiles"));
    beside
        .into_iter()
        .chain([PathBuf::from("sip-profiles")])
        .find(|dir| dir.is_dir())
}

#[cfg(test)]
mod tests;
