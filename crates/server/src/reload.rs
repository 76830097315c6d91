//! SIGHUP: configuration and profiles are read again, for calls that begin from then on.

use std::{path::PathBuf, sync::Arc};

use segue_b2bua::{Admission, Order};
use segue_call::CallConfig;
use segue_policy::Profile;
use segue_sip::transport::Tls;

use crate::{
    config::{Config, KEYS, load_profiles},
    failure::Failure,
    secrets,
};

/// The whole early phase of a call stays under this (call-flows: our own cap).
const EARLY_MAX_MS: u64 = 170_000;

/// Keys whose new value holds at once. All others are for sockets, threads and files that are there already.
const LIVE: &[&str] = &[
    "media_store",
    "profiles_dir",
    "drain_ms",
    "sip.tls_certificate",
    "sip.tls_key",
    "sip.tls_ca",
    "sip.tls_client_ca",
    "log",
    "record.min_ms",
    "record.max_ms",
    "record.silence_ms",
    "retention.heard_max",
    "retention.heard_age",
    "retention.unheard_max",
    "retention.unheard_age",
    "retention.max_bytes",
    "retention.max_seconds",
    "retention.scope",
    "retention.trash",
    "records.csv",
    "records.jsonl",
    "records.rotate",
    "records.keep",
    "records.keep_max",
    "records.keep_age",
    "overload.delay_ms",
    "overload.calls_max",
    "overload.early_max",
    "overload.source_rate",
    "overload.source_calls_max",
    "overload.source_early_max",
    "overload.subscriber_calls_max",
];

/// What the command line said about where the configuration is.
#[derive(Debug, Clone)]
pub struct Given {
    pub file: Option<PathBuf>,
    pub data: Option<PathBuf>,
}

/// A configuration that was read again.
pub struct Reloaded {
    /// What holds now: new values where they can change, else the old ones.
    pub config: Config,
    /// The profiles' names, in order.
    pub profiles: Vec<String>,
    /// Keys that have changed and hold only after a restart.
    pub waiting: Vec<&'static str>,
    /// For the shard.
    pub order: Order,
    /// Certificates for new connections; `None` where there is no TLS.
    pub tls: Option<Tls>,
}

/// Reads everything again. On an error nothing has changed.
pub fn reload(given: &Given, running: &Config) -> Result<Reloaded, Failure> {
    let new = Config::load(given.file.as_deref(), given.data.as_deref())?;
    let profiles = load_profiles(&new)?;
    // Read again though their paths are the same: that is how a certificate is renewed.
    let tls = match running.sip_tls.is_empty() {
        true => None,
        false => Some(new.sip_tls_paths.load()?),
    };
    let names = profiles.iter().map(|profile| profile.name.clone()).collect();
    let waiting = KEYS
        .iter()
        .filter(|key| !LIVE.contains(&key.name) && (key.get)(&new) != (key.get)(running))
        .map(|key| key.name)
        .collect();
    let mut config = running.clone();
    take_live(&mut config, new);
    Ok(Reloaded {
        order: Order::Reload {
            call: call_config(&config),
            admission: admission(profiles, &config)?,
            limits: config.overload.limits(),
        },
        tls,
        profiles: names,
        waiting,
        config,
    })
}

/// The values of [`LIVE`] keys.
fn take_live(config: &mut Config, new: Config) {
    config.media_store = new.media_store;
    config.profiles_dir = new.profiles_dir;
    config.drain_ms = new.drain_ms;
    config.log = new.log;
    config.sip_tls_paths = new.sip_tls_paths;
    config.retention = new.retention;
    config.records = new.records;
    config.overload = new.overload;
    config.record_min_ms = new.record_min_ms;
    config.record_max_ms = new.record_max_ms;
    config.record_silence_ms = new.record_silence_ms;
}

/// Settings of every call.
pub fn call_config(config: &Config) -> Arc<CallConfig> {
    Arc::new(CallConfig {
        record_min_ms: config.record_min_ms,
        record_max_ms: config.record_max_ms,
        record_silence_ms: config.record_silence_ms,
        early_max_ms: EARLY_MAX_MS,
    })
}

/// Who is admitted, with the secrets that the profiles name. Blocking.
pub fn admission(profiles: Vec<Profile>, config: &Config) -> Result<Admission, Failure> {
    let secrets = secrets::load(&profiles, config.profiles_dir.as_deref())?;
    Ok(Admission::new(profiles.into_iter().map(Arc::new).collect()).with_secrets(secrets))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHERWISE: &str = "media_store = \"dir\"\ndata_dir = \"d\"\nprofiles_dir = \"p\"\ndrain_ms = 7\nlog = \"debug\"\n\
                             sip = { udp = [\"127.0.0.1:1\"], tls_certificate = \"c\", tls_key = \"k\", tls_ca = \"r\", \
                             tls_client_ca = \"s\" }\nrecord = { min_ms = 7, max_ms = 8, silence_ms = 900 }\n\
                             retention = { heard_max = 1, heard_age = \"1d\", unheard_max = 1, unheard_age = \"1d\", \
                             max_bytes = 1, max_seconds = 1, scope = \"conversation\", trash = 0 }\n\
                             records = { csv = \"c\", jsonl = \"j\", rotate = \"daily\", keep = 1, keep_max = 1, keep_age = \"1d\" }\n\
                             overload = { delay_ms = 70, calls_max = 1, early_max = 1, source_rate = 1, source_calls_max = 1, \
                             source_early_max = 1, subscriber_calls_max = 1 }\n";

    #[test]
    fn live_keys_take_their_new_values_and_all_others_wait() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("segue.toml");
        std::fs::write(&file, OTHERWISE).unwrap();
        std::fs::create_dir(dir.path().join("p")).unwrap();
        let profile = "name = \"office\"\nsources = [\"10.0.0.0/8\"]";
        std::fs::write(dir.path().join("p/office.toml"), profile).unwrap();
        let (running, data) = (Config::default(), None);
        let given = Given { file: Some(file), data };
        let Reloaded {
            config,
            profiles,
            waiting,
            ..
        } = reload(&given, &running).unwrap();
        assert_eq!(profiles, ["office"]);
        assert_eq!(waiting, ["data_dir", "sip.udp"]);
        let mut changed: Vec<&str> = KEYS
            .iter()
            .filter(|key| (key.get)(&config) != (key.get)(&running))
            .map(|key| key.name)
            .collect();
        let mut live = LIVE.to_vec();
        changed.sort_unstable();
        live.sort_unstable();
        assert_eq!(changed, live, "the file changes every live key");
    }

    #[test]
    fn what_cannot_be_read_changes_nothing_and_names_the_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("segue.toml");
        std::fs::write(&file, "drain_ms = 7\nlog = \"no=such=level\"\n").unwrap();
        let (file, data) = (Some(file), None);
        let Err(refused) = reload(&Given { file, data }, &Config::default()) else {
            panic!("read a broken file")
        };
        assert!(refused.message.contains("segue.toml:2:1: log = "), "{refused}");
    }
}
