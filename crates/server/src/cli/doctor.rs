//! `segue doctor`: what is wrong with this machine or configuration, each with its fix.

mod clock;
mod hops;
mod named;
mod notices;
mod targets;
mod trunks;

use std::{
    fs,
    net::{SocketAddr, TcpListener, UdpSocket},
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use segue_policy::Language;
use segue_store::Store;
use serde_json::json;

use super::{
    OPTIONAL,
    output::{Output, Row},
};
use crate::{
    config::{self, Config},
    failure::{Exit, Failure},
    prompts::{FIX, dir, find},
};

/// Open files that a busy small office needs: eight sockets and more a call.
const FILES_WANTED: u64 = 4_096;

/// `CAP_SYS_NICE` in the capability masks (capabilities(7)).
const CAP_SYS_NICE: u32 = 23;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    /// Works, with less.
    Warn,
    Wrong,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Wrong => "wrong",
        }
    }
}

struct Check {
    name: &'static str,
    state: State,
    found: String,
    fix: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Check {
        Check {
            name,
            state: State::Ok,
            found: found.into(),
            fix: None,
        }
    }

    fn warn(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Check {
        Check {
            name,
            state: State::Warn,
            found: found.into(),
            fix: Some(fix.into()),
        }
    }

    fn wrong(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Check {
        Check {
            name,
            state: State::Wrong,
            found: found.into(),
            fix: Some(fix.into()),
        }
    }

    fn failed(name: &'static str, failure: Failure) -> Check {
        Check::wrong(name, failure.message, failure.fix)
    }
}

/// Prints every check; exit code 1 when one is wrong.
pub fn perform(file: Option<&Path>, data: Option<&Path>, out: &Output) -> Result<ExitCode, Failure> {
    let mut checks = Vec::new();
    match Config::load(file, data) {
        Ok(config) => {
            checks.push(Check::ok(
                "configuration",
                "every setting reads well; 'segue config' prints them",
            ));
            checks.push(variables());
            checks.extend(named::checks(&config));
            checks.extend(trunks::checks(&config));
            checks.push(data_dir(&config));
            checks.push(clock::check(&config));
            checks.extend(ports(&config));
            checks.push(media_address(&config));
            checks.push(built_in(&config, "beep", segue_mailbox::BEEP_CLIP));
            checks.push(built_in(&config, "notice", segue_mailbox::BUILT_IN_FULL_CLIP));
            checks.push(prompts(&config));
            checks.push(clips(&config));
            checks.push(media_files(&config));
            checks.extend(notices::check(&config));
            checks.extend(targets::check(&config));
        }
        Err(failure) => checks.push(Check::failed("configuration", failure)),
    }
    checks.push(gstreamer());
    checks.push(open_files());
    checks.push(realtime());
    let wrong = checks.iter().any(|c| c.state == State::Wrong);
    let rows = checks.into_iter().map(row).collect();
    out.rows(rows, &["STATE", "CHECK", "FOUND"], "")?;
    Ok(if wrong {
        ExitCode::from(Exit::Refused as u8)
    } else {
        ExitCode::SUCCESS
    })
}

fn row(check: Check) -> Row {
    let found = match &check.fix {
        Some(fix) => format!("{}; fix: {fix}", check.found),
        None => check.found.clone(),
    };
    Row {
        value: json!({"check": check.name, "state": check.state.name(), "found": check.found, "fix": check.fix}),
        cells: vec![check.state.name().to_owned(), check.name.to_owned(), found],
    }
}

/// A misspelt variable would silently do nothing.
fn variables() -> Check {
    let unknown = config::unknown_variables(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()));
    if unknown.is_empty() {
        Check::ok("environment", "no unknown SEGUE_ variable")
    } else {
        Check::warn(
            "environment",
            format!("{} means nothing", unknown.join(", ")),
            "'segue config' prints every key",
        )
    }
}

/// Looks without making anything: a directory that is not there yet is made by the first command that needs it.
fn data_dir(config: &Config) -> Check {
    const NAME: &str = "data directory";
    let dir = &config.data_dir;
    match segue_store::version(dir) {
        Ok(None | Some(1..=segue_store::VERSION)) => {}
        Ok(Some(found)) => {
            let error = segue_store::StoreError::OtherVersion {
                path: dir.clone(),
                found,
                ours: segue_store::VERSION,
            };
            return Check::failed(NAME, error.into());
        }
        Err(error) => return Check::failed(NAME, error.into()),
    }
    let existing = dir
        .ancestors()
        .find(|d| d.as_os_str().is_empty() || d.exists())
        .unwrap_or(dir);
    let existing = if existing.as_os_str().is_empty() {
        Path::new(".")
    } else {
        existing
    };
    let probe = existing.join(format!(".segue-doctor.{}", std::process::id()));
    let written = fs::write(&probe, b"probe");
    let _ = fs::remove_file(&probe);
    match written {
        Ok(()) => Check::ok(
            NAME,
            format!("{} is writable, schema version {}", dir.display(), segue_store::VERSION),
        ),
        Err(e) => Check::wrong(
            NAME,
            format!("{} cannot be written: {e}", existing.display()),
            "make it writable for this user, or name another with --data",
        ),
    }
}

fn ports(config: &Config) -> Vec<Check> {
    let server = Store::server_runs(&config.data_dir);
    let taken = |name: &'static str, address: SocketAddr, key: &str, bound: std::io::Result<()>| match bound {
        Ok(()) => Check::ok(name, format!("{address} is free")),
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse && server => Check::ok(
            name,
            format!("{address} is in use, and a Segue server runs on this data directory"),
        ),
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => Check::wrong(
            name,
            format!("{address} is in use by another program"),
            format!("stop it (ss -lntup shows it), or set {key} to another port"),
        ),
        Err(e) => Check::wrong(
            name,
            format!("{address} cannot be bound: {e}"),
            format!("set {key} to an address of this machine"),
        ),
    };
    let udp = config
        .sip_udp
        .iter()
        .map(|a| taken("sip.udp", *a, "sip.udp", UdpSocket::bind(a).map(drop)));
    let tcp = config
        .sip_tcp
        .iter()
        .map(|a| taken("sip.tcp", *a, "sip.tcp", TcpListener::bind(a).map(drop)));
    let tls = config
        .sip_tls
        .iter()
        .map(|a| taken("sip.tls", *a, "sip.tls", TcpListener::bind(a).map(drop)));
    let http = config.http_listen;
    let http = taken("http.listen", http, "http.listen", TcpListener::bind(http).map(drop));
    udp.chain(tcp).chain(tls).chain([http]).collect()
}

fn media_address(config: &Config) -> Check {
    let refused = config
        .media_address
        .iter()
        .find_map(|ip| Some((ip, UdpSocket::bind(SocketAddr::new(*ip, 0)).err()?)));
    if let Some((ip, error)) = refused {
        return Check::wrong(
            "media",
            format!("media.address {ip} cannot be bound: {error}"),
            "set media.address to an address of this machine",
        );
    }
    let ports = config
        .media_ports
        .end()
        .saturating_sub(*config.media_ports.start())
        .saturating_add(1);
    let addresses: Vec<String> = config.media_address.iter().map(ToString::to_string).collect();
    let addresses = addresses.join(" and ");
    Check::ok(
        "media",
        match ports / 8 {
            0 | 1 => format!("{addresses}, {ports} ports: one call"),
            calls => format!("{addresses}, {ports} ports: about {calls} calls"),
        },
    )
}

/// Clips that an older version prepared go on in what they have.
fn clips(config: &Config) -> Check {
    const NAME: &str = "clips";
    if segue_store::version(&config.data_dir).ok().flatten().is_none() {
        return Check::ok(NAME, "none yet");
    }
    let clips = match Store::open(&config.data_dir).and_then(|store| store.clips()) {
        Ok(clips) => clips,
        Err(error) => return Check::failed(NAME, error.into()),
    };
    let own = || clips.iter().filter(|c| !c.is_built_in());
    let old: Vec<&str> = own()
        .filter(|c| !c.missing().is_empty())
        .map(|c| c.name.as_str())
        .collect();
    match old.first() {
        None => Check::ok(NAME, format!("{} in every codec", own().count())),
        Some(_) => Check::warn(
            NAME,
            format!("prepared by an older version, without some codecs: {}", old.join(", ")),
            "segue clip refresh, also while calls play them; 'segue clip list' shows what is missing",
        ),
    }
}

/// Media in files is only as good as its files.
fn media_files(config: &Config) -> Check {
    const NAME: &str = "media files";
    const NAMED_MAX: usize = 5;
    if segue_store::version(&config.data_dir).ok().flatten().is_none() {
        return Check::ok(NAME, "none yet");
    }
    match Store::open(&config.data_dir).and_then(|store| store.damaged_media(NAMED_MAX)) {
        Ok(damaged) if damaged.is_empty() => {
            Check::ok(NAME, "every file that the database names is there and of its length")
        }
        Ok(damaged) => Check::warn(
            NAME,
            damaged.join(", "),
            "bring data_dir/media back from a backup; other messages are not touched by it",
        ),
        Err(error) => Check::failed(NAME, error.into()),
    }
}

/// Only looks; `segue run` prepares beep and notice itself.
fn built_in(config: &Config, name: &'static str, clip: &str) -> Check {
    if segue_store::version(&config.data_dir).ok().flatten().is_none() {
        return Check::ok(name, "prepared when the server first starts");
    }
    match Store::open(&config.data_dir).and_then(|store| store.clips()) {
        Ok(clips) if clips.iter().any(|c| c.name == clip) => Check::ok(name, "prepared"),
        Ok(_) => Check::ok(name, "prepared when the server next starts"),
        Err(error) => Check::failed(name, error.into()),
    }
}

/// Whether everything that callers may be told is there to be prepared.
fn prompts(config: &Config) -> Check {
    const NAME: &str = "prompts";
    let missing: Vec<String> = Language::ALL
        .iter()
        .filter_map(|language| find(config, *language).err())
        .map(|error| error.to_string())
        .collect();
    match missing.is_empty() {
        true => Check::ok(NAME, format!("complete in {}", dir(config).display())),
        false => Check::warn(NAME, missing.join("; "), FIX),
    }
}

/// Asked in a process of its own: a codec that cannot even be loaded must not end this one.
fn gstreamer() -> Check {
    const NAME: &str = "gstreamer";
    const FIX: &str = "apt-get install gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad \
                       gstreamer1.0-plugins-ugly gstreamer1.0-libav";
    let asked = std::env::current_exe().and_then(|program| {
        Command::new(program)
            .args(["media-worker", "--check"])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .output()
    });
    match asked {
        Ok(answer) if answer.status.success() && answer.stdout.trim_ascii().is_empty() => {
            Check::ok(NAME, "every element that clips and messages need is here")
        }
        Ok(answer) => {
            let said =
                [answer.stdout, answer.stderr].map(|text| String::from_utf8_lossy(&text).trim().replace('\n', ", "));
            let said = said
                .into_iter()
                .find(|text| !text.is_empty())
                .unwrap_or_else(|| answer.status.to_string());
            if answer.status.success() && is_optional(&said) {
                let said = said.replace(OPTIONAL, "");
                let what = format!("missing: {said}; clips are added without that codec, and go on in the others");
                return Check::warn(NAME, what, FIX);
            }
            Check::wrong(NAME, format!("missing: {said}"), FIX)
        }
        Err(e) => Check::wrong(
            NAME,
            format!("the worker does not start: {e}"),
            "run 'segue' from an installed binary",
        ),
    }
}

/// Whether everything in such a list is optional.
fn is_optional(missing: &str) -> bool {
    missing.split(", ").all(|element| element.starts_with(OPTIONAL))
}

/// The hard limit counts: `segue run` raises the soft one to it.
fn open_files() -> Check {
    const NAME: &str = "open files";
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    match limit(&limits, "Max open files", HARD) {
        Some(hard) if hard >= FILES_WANTED => Check::ok(NAME, format!("{} allowed", or_unlimited(hard))),
        Some(hard) => Check::warn(
            NAME,
            format!("{hard} allowed: about {} calls", hard / 10),
            format!("ulimit -Hn {FILES_WANTED} before starting (LimitNOFILE= in systemd)"),
        ),
        None => Check::warn(
            NAME,
            "/proc/self/limits does not say",
            format!("make sure of ulimit -n {FILES_WANTED}"),
        ),
    }
}

fn or_unlimited(limit: u64) -> String {
    if limit == u64::MAX {
        "any number".to_owned()
    } else {
        limit.to_string()
    }
}

/// Columns of /proc/self/limits after the name.
const SOFT: usize = 0;
const HARD: usize = 1;

/// A limit of a line in /proc/self/limits.
fn limit(limits: &str, name: &str, column: usize) -> Option<u64> {
    let value = limits
        .lines()
        .find_map(|line| line.strip_prefix(name))?
        .split_whitespace()
        .nth(column)?;
    if value == "unlimited" {
        Some(u64::MAX)
    } else {
        value.parse().ok()
    }
}

fn realtime() -> Check {
    const NAME: &str = "real-time priority";
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let by_limit = limit(&limits, "Max realtime priority", SOFT).is_some_and(|priority| priority > 0);
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if by_limit || has_capability(&status, CAP_SYS_NICE) {
        Check::ok(NAME, "allowed for the media threads")
    } else {
        Check::warn(
            NAME,
            "not allowed: with hundreds of streams some packets leave late",
            "give CAP_SYS_NICE or RLIMIT_RTPRIO (LimitRTPRIO=20 in systemd, 'rtprio' in limits.conf)",
        )
    }
}

/// Whether a capability is effective, from /proc/self/status.
fn has_capability(status: &str, bit: u32) -> bool {
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & (1 << bit) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_that_is_missing_is_a_warning_and_an_element_is_not() {
        assert!(is_optional(
            "optional: amrnbenc (making AMR), optional: voamrwbenc (making AMR-WB)"
        ));
        assert!(!is_optional("optional: amrnbenc (making AMR), opusenc (making Opus)"));
        assert!(!is_optional("GStreamer does not start"));
    }

    #[test]
    fn limits_are_read_as_the_kernel_writes_them() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max open files            1024                 524288               files     \n\
                      Max realtime priority     unlimited            0                    \n";
        assert_eq!(limit(limits, "Max open files", SOFT), Some(1_024));
        assert_eq!(limit(limits, "Max open files", HARD), Some(524_288));
        assert_eq!(limit(limits, "Max realtime priority", SOFT), Some(u64::MAX));
        assert_eq!(limit(limits, "Max stack size", SOFT), None);
    }

    #[test]
    fn capabilities_are_bits_of_a_mask() {
        assert!(has_capability(
            "Name:\tsegue\nCapEff:\t0000000000800000\n",
            CAP_SYS_NICE
        ));
        assert!(!has_capability("CapEff:\t00000000007fffff\n", CAP_SYS_NICE));
        assert!(!has_capability("", CAP_SYS_NICE));
    }
}
