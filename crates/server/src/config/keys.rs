//! Every key: its name, what it means, how it is read and shown. The only list of them.

use std::path::PathBuf;

use segue_mailbox::Limit;
use segue_store::MediaStore;
use serde_json::{Value, json};

use super::{Config, http, notices, records::Rotate, registrar, value::Raw};
use crate::cli::value::{Bytes, Count, DurationMs, NewLimit, ScopeName, Seconds, Trash};

/// One key.
#[derive(Clone, Copy)]
pub struct Key {
    /// `table.key` as in the file.
    pub name: &'static str,
    /// What it means, after "is".
    pub meaning: &'static str,
    /// Takes its value from a configuration that was read again (SIGHUP), for what begins from then on. `None`: a new value
    /// waits for a restart, as it is for sockets, threads and files that are there already.
    pub live: Option<fn(&mut Config, &Config)>,
    /// Reads it; the error says what is needed.
    pub set: fn(&mut Config, &Raw) -> Result<(), String>,
    /// Shows it; absent = null.
    pub get: fn(&Config) -> Value,
}

impl Key {
    /// The environment variable that overrides it: `SEGUE_SIP_UDP` for `sip.udp`.
    pub fn variable(&self) -> String {
        format!("SEGUE_{}", self.name.replace('.', "_").to_ascii_uppercase())
    }

    /// When a new value holds: `live`, from the next SIGHUP on, or after a `restart`.
    pub fn holds(&self) -> &'static str {
        match self.live {
            Some(_) => "live",
            None => "restart",
        }
    }
}

const DAY_MS: u64 = 86_400_000;

/// All keys, in the order `segue config` prints them.
pub const KEYS: &[Key] = &joined::<{ FIRST.len() + http::KEYS.len() + notices::KEYS.len() }>();

#[allow(clippy::indexing_slicing, reason = "worked out when this is compiled")]
const fn joined<const N: usize>() -> [Key; N] {
    let mut all = [FIRST[0]; N];
    let mut at = 0;
    while at < N {
        all[at] = if at < FIRST.len() {
            FIRST[at]
        } else if at < FIRST.len() + http::KEYS.len() {
            http::KEYS[at - FIRST.len()]
        } else {
            notices::KEYS[at - FIRST.len() - http::KEYS.len()]
        };
        at += 1;
    }
    all
}

/// Those of no file of their own.
const FIRST: &[Key] = &[
    Key {
        name: "data_dir",
        meaning: "where the database and the recordings in work live",
        live: None,
        set: |c, raw| raw.text().map(|v| c.data_dir = PathBuf::from(v)),
        get: |c| json!(c.data_dir.display().to_string()),
    },
    Key {
        name: "media_store",
        meaning: "where new media goes: \"sqlite\" (the database) or \"dir\" (files in data_dir/media); what is there stays",
        live: Some(|c, new| c.media_store = new.media_store),
        set: |c, raw| media_store(raw).map(|v| c.media_store = v),
        get: |c| json!(c.media_store.name()),
    },
    Key {
        name: "profiles_dir",
        meaning: "where SIP profiles (*.toml) are read from; absent: the built-in softphone profile",
        live: Some(|c, new| c.profiles_dir.clone_from(&new.profiles_dir)),
        set: |c, raw| raw.text().map(|v| c.profiles_dir = Some(PathBuf::from(v))),
        get: |c| json!(c.profiles_dir.as_ref().map(|d| d.display().to_string())),
    },
    Key {
        name: "drain_ms",
        meaning: "how long calls may go on after SIGTERM, in milliseconds; 0 ends them at once",
        live: Some(|c, new| c.drain_ms = new.drain_ms),
        set: |c, raw| raw.number(0..=DAY_MS).map(|v| c.drain_ms = v),
        get: |c| json!(c.drain_ms),
    },
    Key {
        name: "log",
        meaning: "how much is logged: error, warn, info, debug, trace, or a filter of tracing's EnvFilter",
        live: Some(|c, new| c.log.clone_from(&new.log)),
        set: |c, raw| log_filter(raw).map(|v| c.log = v),
        get: |c| json!(c.log),
    },
    Key {
        name: "log_format",
        meaning: "text, or json for one object a line",
        live: None,
        set: |c, raw| log_json(raw).map(|v| c.log_json = v),
        get: |c| json!(if c.log_json { "json" } else { "text" }),
    },
    Key {
        name: "sip.udp",
        meaning: "the list of UDP sockets for SIP; port 0 takes a free one",
        live: None,
        set: |c, raw| raw.sockets().map(|v| c.sip_udp = v),
        get: |c| json!(c.sip_udp.iter().map(ToString::to_string).collect::<Vec<_>>()),
    },
    Key {
        name: "sip.tcp",
        meaning: "the list of TCP sockets for SIP; port 0 takes a free one",
        live: None,
        set: |c, raw| raw.sockets().map(|v| c.sip_tcp = v),
        get: |c| json!(c.sip_tcp.iter().map(ToString::to_string).collect::<Vec<_>>()),
    },
    Key {
        name: "sip.tls",
        meaning: "the list of TLS sockets for SIP; port 0 takes a free one",
        live: None,
        set: |c, raw| raw.sockets().map(|v| c.sip_tls = v),
        get: |c| json!(c.sip_tls.iter().map(ToString::to_string).collect::<Vec<_>>()),
    },
    Key {
        name: "sip.tls_certificate",
        meaning: "the PEM file of the certificate for sip.tls, with its issuers after it",
        live: Some(|c, new| c.sip_tls_paths.certificate.clone_from(&new.sip_tls_paths.certificate)),
        set: |c, raw| raw.text().map(|v| c.sip_tls_paths.certificate = Some(PathBuf::from(v))),
        get: |c| path(&c.sip_tls_paths.certificate),
    },
    Key {
        name: "sip.tls_key",
        meaning: "the PEM file of its private key, readable by its owner alone (chmod 600)",
        live: Some(|c, new| c.sip_tls_paths.key.clone_from(&new.sip_tls_paths.key)),
        set: |c, raw| raw.text().map(|v| c.sip_tls_paths.key = Some(PathBuf::from(v))),
        get: |c| path(&c.sip_tls_paths.key),
    },
    Key {
        name: "sip.tls_ca",
        meaning: "the PEM file of the roots that servers' certificates must come from; absent: the system's",
        live: Some(|c, new| c.sip_tls_paths.ca.clone_from(&new.sip_tls_paths.ca)),
        set: |c, raw| raw.text().map(|v| c.sip_tls_paths.ca = Some(PathBuf::from(v))),
        get: |c| path(&c.sip_tls_paths.ca),
    },
    Key {
        name: "sip.tls_client_ca",
        meaning: "the PEM file of the roots that clients' certificates must come from; absent: clients need none",
        live: Some(|c, new| c.sip_tls_paths.client_ca.clone_from(&new.sip_tls_paths.client_ca)),
        set: |c, raw| raw.text().map(|v| c.sip_tls_paths.client_ca = Some(PathBuf::from(v))),
        get: |c| path(&c.sip_tls_paths.client_ca),
    },
    Key {
        name: "sip.advertise",
        meaning: "the host or host:port that Via and Contact say, or a list with one for IPv4 and one for IPv6; by TLS the host with the socket's port; absent: the socket's own address",
        live: None,
        set: |c, raw| raw.each(2, advertised).map(|v| c.sip_advertise = v),
        get: |c| shown(&c.sip_advertise),
    },
    Key {
        name: "sip.nameservers",
        meaning: "the list of name servers that SIP servers are asked of (RFC 3263); empty: /etc/hosts and those of /etc/resolv.conf",
        live: None,
        set: |c, raw| raw.sockets().map(|v| c.sip_nameservers = v),
        get: |c| json!(c.sip_nameservers.iter().map(ToString::to_string).collect::<Vec<_>>()),
    },
    Key {
        name: "sip.t1_ms",
        meaning: "SIP's round-trip estimate T1 in milliseconds (RFC 3261 §17.1.1.1), from which its timers follow",
        live: None,
        set: |c, raw| raw.number(1..=10_000).map(|v| c.sip_t1_ms = v),
        get: |c| json!(c.sip_t1_ms),
    },
    Key {
        name: "sip.pause_max_ms",
        meaning: "how long a server's 503 with Retry-After keeps calls from it at most, in milliseconds; 0: not at all",
        live: None,
        set: |c, raw| raw.number(0..=3_600_000).map(|v| c.sip_pause_max_ms = v),
        get: |c| json!(c.sip_pause_max_ms),
    },
    Key {
        name: "trunk",
        meaning: "a table [[trunk]] for each trunk that profiles may name as their next_hop (docs/trunks.md)",
        live: Some(|c, new| c.trunks.clone_from(&new.trunks)),
        set: |_, _| Err("trunks stand in the file, as tables [[trunk]]".to_owned()),
        get: |c| json!(c.trunks.iter().map(|table| &table.trunk.name).collect::<Vec<_>>()),
    },
    Key {
        name: "hep.collector",
        meaning: "the address:port of a Homer collector that gets a copy of each SIP message (HEPv3 over UDP); absent: none",
        live: None,
        set: |c, raw| raw.socket().map(|v| c.hep_collector = Some(v)),
        get: |c| json!(c.hep_collector.map(|a| a.to_string())),
    },
    Key {
        name: "hep.capture_id",
        meaning: "the number by which the collector knows this server",
        live: None,
        set: |c, raw| {
            raw.number(0..=u64::from(u32::MAX))
                .map(|v| c.hep_capture_id = u32::try_from(v).unwrap_or(u32::MAX))
        },
        get: |c| json!(c.hep_capture_id),
    },
    Key {
        name: "media.address",
        meaning: "the address media sockets bind to, or a list with one of IPv4 and one of IPv6",
        live: None,
        set: |c, raw| raw.addresses().map(|v| c.media_address = v),
        get: |c| shown(&c.media_address),
    },
    Key {
        name: "media.advertise",
        meaning: "the address that SDP says, or a list with one of IPv4 and one of IPv6; absent: media.address",
        live: None,
        set: |c, raw| raw.addresses().map(|v| c.media_advertise = v),
        get: |c| shown(&c.media_advertise),
    },
    Key {
        name: "media.ports",
        meaning: "the range of UDP ports for RTP and RTCP, four for each leg of a call",
        live: None,
        set: |c, raw| raw.ports().map(|v| c.media_ports = v),
        get: |c| json!(format!("{}-{}", c.media_ports.start(), c.media_ports.end())),
    },
    Key {
        name: "media.transcode_max",
        meaning: "how many calls may have their sound transcoded at once, each by a process (one for pictures counts as eight); or \"auto\": eight for each core",
        live: None,
        set: |c, raw| auto(raw).map(|v| c.media_transcode_max = v),
        get: |c| c.media_transcode_max.map_or(json!("auto"), |max| json!(max)),
    },
    Key {
        name: "media.transcode_cpu",
        meaning: "how much of all cores those processes may take before no more is started, in percent",
        live: None,
        set: |c, raw| {
            raw.number(1..=100)
                .map(|v| c.media_transcode_cpu = u32::try_from(v).unwrap_or(100))
        },
        get: |c| json!(c.media_transcode_cpu),
    },
    Key {
        name: "record.min_ms",
        meaning: "the length in milliseconds under which a recording is dropped",
        live: Some(|c, new| c.record_min_ms = new.record_min_ms),
        set: |c, raw| raw.number(0..=DAY_MS).map(|v| c.record_min_ms = v),
        get: |c| json!(c.record_min_ms),
    },
    Key {
        name: "record.max_ms",
        meaning: "the length in milliseconds at which a recording ends",
        live: Some(|c, new| c.record_max_ms = new.record_max_ms),
        set: |c, raw| raw.number(1..=DAY_MS).map(|v| c.record_max_ms = v),
        get: |c| json!(c.record_max_ms),
    },
    Key {
        name: "record.silence_ms",
        meaning: "the silence in milliseconds that ends an audio recording",
        live: Some(|c, new| c.record_silence_ms = new.record_silence_ms),
        set: |c, raw| raw.number(500..=DAY_MS).map(|v| c.record_silence_ms = v),
        get: |c| json!(c.record_silence_ms),
    },
    Key {
        name: "prompts.dir",
        meaning: "where the spoken prompts are, a folder a language; absent: media/out/prompts here, else those installed",
        live: None,
        set: |c, raw| raw.text().map(|v| c.prompts_dir = Some(PathBuf::from(v))),
        get: |c| json!(c.prompts_dir.as_ref().map(|d| d.display().to_string())),
    },
    Key {
        name: "prompts.prepared",
        meaning: "where prepared prompts are kept; absent: prompts in data_dir",
        live: None,
        set: |c, raw| raw.text().map(|v| c.prompts_prepared = Some(PathBuf::from(v))),
        get: |c| json!(c.prompts_prepared.as_ref().map(|d| d.display().to_string())),
    },
    Key {
        name: "retention.heard_max",
        meaning: "how many heard messages a mailbox keeps unless it says otherwise, or \"none\"",
        live: Some(|c, new| c.retention.heard_max = new.retention.heard_max),
        set: |c, raw| limit(raw, |Count(n)| n).map(|v| c.retention.heard_max = v),
        get: |c| json!(c.retention.heard_max),
    },
    Key {
        name: "retention.heard_age",
        meaning: "how long after its hearing a message goes, e.g. \"30d\", or \"none\"",
        live: Some(|c, new| c.retention.heard_age_ms = new.retention.heard_age_ms),
        set: |c, raw| limit(raw, |DurationMs(ms)| ms).map(|v| c.retention.heard_age_ms = v),
        get: |c| json!(c.retention.heard_age_ms),
    },
    Key {
        name: "retention.unheard_max",
        meaning: "how many unheard messages a mailbox takes, or \"none\"",
        live: Some(|c, new| c.retention.unheard_max = new.retention.unheard_max),
        set: |c, raw| limit(raw, |Count(n)| n).map(|v| c.retention.unheard_max = v),
        get: |c| json!(c.retention.unheard_max),
    },
    Key {
        name: "retention.unheard_age",
        meaning: "how old an unheard message goes, 7 days after a warning at the earliest, or \"none\"",
        live: Some(|c, new| c.retention.unheard_age_ms = new.retention.unheard_age_ms),
        set: |c, raw| limit(raw, |DurationMs(ms)| ms).map(|v| c.retention.unheard_age_ms = v),
        get: |c| json!(c.retention.unheard_age_ms),
    },
    Key {
        name: "retention.max_bytes",
        meaning: "how many bytes of messages a mailbox takes, e.g. \"500MB\", or \"none\"",
        live: Some(|c, new| c.retention.max_bytes = new.retention.max_bytes),
        set: |c, raw| limit(raw, |Bytes(n)| n).map(|v| c.retention.max_bytes = v),
        get: |c| json!(c.retention.max_bytes),
    },
    Key {
        name: "retention.max_seconds",
        meaning: "how many seconds of messages a mailbox takes, or \"none\"",
        live: Some(|c, new| c.retention.max_seconds = new.retention.max_seconds),
        set: |c, raw| limit(raw, |Seconds(n)| n).map(|v| c.retention.max_seconds = v),
        get: |c| json!(c.retention.max_seconds),
    },
    Key {
        name: "retention.scope",
        meaning: "what these limits count together, \"mailbox\" or \"conversation\" (one caller's messages)",
        live: Some(|c, new| c.retention.scope = new.retention.scope),
        set: |c, raw| raw.text()?.parse().map(|ScopeName(v)| c.retention.scope = v),
        get: |c| json!(c.retention.scope.name()),
    },
    Key {
        name: "retention.trash",
        meaning: "how long a deleted message can be had back, e.g. \"7d\"; 0: it is freed at once",
        live: Some(|c, new| c.retention.trash_ms = new.retention.trash_ms),
        set: |c, raw| raw.shown().parse().map(|Trash(ms)| c.retention.trash_ms = ms),
        get: |c| json!(c.retention.trash_ms),
    },
    Key {
        name: "records.csv",
        meaning: "the file that call records are appended to as CSV; absent: none",
        live: Some(|c, new| c.records.csv.clone_from(&new.records.csv)),
        set: |c, raw| raw.text().map(|v| c.records.csv = Some(PathBuf::from(v))),
        get: |c| json!(c.records.csv.as_ref().map(|f| f.display().to_string())),
    },
    Key {
        name: "records.jsonl",
        meaning: "the file that call records are appended to as JSON, one object a line; absent: none",
        live: Some(|c, new| c.records.jsonl.clone_from(&new.records.jsonl)),
        set: |c, raw| raw.text().map(|v| c.records.jsonl = Some(PathBuf::from(v))),
        get: |c| json!(c.records.jsonl.as_ref().map(|f| f.display().to_string())),
    },
    Key {
        name: "records.rotate",
        meaning: "when such a file is set aside for a new one: a size, e.g. \"100MB\", \"daily\" (UTC), a list of both, or \"none\"",
        live: Some(|c, new| c.records.rotate = new.records.rotate),
        set: |c, raw| rotation(raw).map(|v| c.records.rotate = v),
        get: |c| json!(c.records.rotate.shown()),
    },
    Key {
        name: "records.keep",
        meaning: "how many files set aside stay of each, or \"none\" to delete none",
        live: Some(|c, new| c.records.keep = new.records.keep),
        set: |c, raw| limit(raw, |Count(n)| n).map(|v| c.records.keep = v),
        get: |c| json!(c.records.keep),
    },
    Key {
        name: "records.keep_max",
        meaning: "how many call records the store keeps, the newest, or \"none\" for all",
        live: Some(|c, new| c.records.keep_max = new.records.keep_max),
        set: |c, raw| limit(raw, |Count(n)| n).map(|v| c.records.keep_max = v),
        get: |c| json!(c.records.keep_max),
    },
    Key {
        name: "records.keep_age",
        meaning: "how long after its beginning a call's record stays in the store, e.g. \"90d\", or \"none\"",
        live: Some(|c, new| c.records.keep_age_ms = new.records.keep_age_ms),
        set: |c, raw| limit(raw, |DurationMs(ms)| ms).map(|v| c.records.keep_age_ms = v),
        get: |c| json!(c.records.keep_age_ms),
    },
    Key {
        name: "overload.delay_ms",
        meaning: "how long messages may wait to be handled, in milliseconds, before new calls are turned away (503), or \"none\"",
        live: Some(|c, new| c.overload.delay_ms = new.overload.delay_ms),
        set: |c, raw| delay(raw).map(|v| c.overload.delay_ms = v),
        get: |c| json!(c.overload.delay_ms),
    },
    Key {
        name: "overload.calls_max",
        meaning: "how many calls there may be at once (503), or \"none\"",
        live: Some(|c, new| c.overload.caps.calls = new.overload.caps.calls),
        set: |c, raw| bound(raw).map(|v| c.overload.caps.calls = v),
        get: |c| json!(c.overload.caps.calls),
    },
    Key {
        name: "overload.early_max",
        meaning: "how many callers may wait for an answer at once (503), or \"none\"",
        live: Some(|c, new| c.overload.caps.early = new.overload.caps.early),
        set: |c, raw| bound(raw).map(|v| c.overload.caps.early = v),
        get: |c| json!(c.overload.caps.early),
    },
    Key {
        name: "overload.source_rate",
        meaning: "how many new calls a second one source may make (500), or \"none\"",
        live: Some(|c, new| c.overload.caps.source_rate = new.overload.caps.source_rate),
        set: |c, raw| bound(raw).map(|v| c.overload.caps.source_rate = v),
        get: |c| json!(c.overload.caps.source_rate),
    },
    Key {
        name: "overload.source_calls_max",
        meaning: "how many calls one source may have at once (500), or \"none\"",
        live: Some(|c, new| c.overload.caps.source_calls = new.overload.caps.source_calls),
        set: |c, raw| bound(raw).map(|v| c.overload.caps.source_calls = v),
        get: |c| json!(c.overload.caps.source_calls),
    },
    Key {
        name: "overload.source_early_max",
        meaning: "how many callers of one source may wait for an answer at once (500), or \"none\"",
        live: Some(|c, new| c.overload.caps.source_early = new.overload.caps.source_early),
        set: |c, raw| bound(raw).map(|v| c.overload.caps.source_early = v),
        get: |c| json!(c.overload.caps.source_early),
    },
    Key {
        name: "overload.subscriber_calls_max",
        meaning: "how many calls one subscriber may have at once (403), or \"none\"",
        live: Some(|c, new| c.overload.caps.subscriber_calls = new.overload.caps.subscriber_calls),
        set: |c, raw| bound(raw).map(|v| c.overload.caps.subscriber_calls = v),
        get: |c| json!(c.overload.caps.subscriber_calls),
    },
    registrar::CONTACTS_MAX,
    registrar::TOTAL_MAX,
    registrar::EXPIRES_MIN_S,
    registrar::EXPIRES_DEFAULT_S,
    registrar::EXPIRES_MAX_S,
    Key {
        name: "test.seed",
        meaning: "a number that fixes tags, Call-IDs, SSRCs and ports, for tests on loopback only",
        live: None,
        set: |c, raw| raw.number(0..=u64::MAX).map(|v| c.test_seed = Some(v)),
        get: |c| json!(c.test_seed),
    },
];

fn path(path: &Option<PathBuf>) -> Value {
    json!(path.as_ref().map(|file| file.display().to_string()))
}

/// A list of one is shown as that one.
fn shown<T: ToString>(list: &[T]) -> Value {
    match list {
        [] => Value::Null,
        [one] => json!(one.to_string()),
        all => json!(all.iter().map(ToString::to_string).collect::<Vec<_>>()),
    }
}

fn media_store(raw: &Raw) -> Result<MediaStore, String> {
    MediaStore::from_name(raw.text()?).ok_or_else(|| "\"sqlite\" or \"dir\" is needed".to_owned())
}

fn log_json(raw: &Raw) -> Result<bool, String> {
    match raw.text()? {
        "text" => Ok(false),
        "json" => Ok(true),
        _ => Err("\"text\" or \"json\" is needed".to_owned()),
    }
}

fn log_filter(raw: &Raw) -> Result<String, String> {
    let text = raw.text()?;
    match text.parse::<tracing_subscriber::EnvFilter>() {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}; use e.g. \"info\" or \"segue_sip=debug,info\"")),
    }
}

/// `"100MB"`, `"daily"`, a list of both, or `"none"`.
fn rotation(raw: &Raw) -> Result<Rotate, String> {
    const FEWEST: u64 = 1_000;
    let words: Vec<String> = match raw {
        Raw::List(items) => items.iter().map(Raw::shown).collect(),
        one => one.shown().split(',').map(|word| word.trim().to_owned()).collect(),
    };
    let mut rotate = Rotate::default();
    for word in &words {
        match word.as_str() {
            "none" if words.len() == 1 => {}
            "daily" if !rotate.daily => rotate.daily = true,
            size if rotate.max_bytes.is_none() => match size.parse::<Bytes>() {
                Ok(Bytes(bytes)) if bytes >= FEWEST => rotate.max_bytes = Some(bytes),
                Ok(_) => return Err(format!("a size of at least {FEWEST} bytes is needed")),
                Err(_) => return Err("a size, e.g. \"100MB\", \"daily\" or \"none\" is needed".to_owned()),
            },
            _ => return Err("one size, \"daily\" or both are needed".to_owned()),
        }
    }
    Ok(rotate)
}

/// At least one, or `none`.
fn bound(raw: &Raw) -> Result<Option<u32>, String> {
    match (raw.shown().as_str(), raw.shown().parse()) {
        ("none", _) => Ok(None),
        (_, Ok(bound @ 1..)) => Ok(Some(bound)),
        _ => Err("a number from 1 on, or \"none\" is needed".to_owned()),
    }
}

/// Milliseconds, or `none`.
fn delay(raw: &Raw) -> Result<Option<u64>, String> {
    match (raw.shown().as_str(), raw.shown().parse()) {
        ("none", _) => Ok(None),
        (_, Ok(ms @ 5..=10_000)) => Ok(Some(ms)),
        _ => Err("a number from 5 to 10000, or \"none\" is needed".to_owned()),
    }
}

/// A limit as the command line takes it, `none` for no limit.
fn limit<T: std::str::FromStr<Err = String>, U>(raw: &Raw, value: impl FnOnce(T) -> U) -> Result<Option<U>, String> {
    match raw.shown().parse::<NewLimit<T>>()?.limit(value) {
        Limit::At(value) => Ok(Some(value)),
        Limit::Off => Ok(None),
        Limit::Default => Err("leave the key out for its default".to_owned()),
    }
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`, as Via and Contact take it.
fn advertised(raw: &Raw) -> Result<String, String> {
    let text = raw.text()?;
    let uri: Result<segue_sip_wire::Uri, _> = format!("sip:{text}").parse();
    match uri {
        Ok(uri) if uri.user_raw().is_none() && uri.params().next().is_none() && uri.headers().is_none() => {
            Ok(text.to_owned())
        }
        _ => Err("a host or host:port is needed, e.g. \"sip.example.com\"".to_owned()),
    }
}

/// A number, or what the machine allows.
fn auto(raw: &Raw) -> Result<Option<u32>, String> {
    if matches!(raw, Raw::Text(text) if text.trim() == "auto") {
        return Ok(None);
    }
    let number = raw.number(0..=10_000).map_err(|why| format!("{why}, or \"auto\""))?;
    Ok(u32::try_from(number).ok())
}
