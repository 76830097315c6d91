//! SIGHUP: configuration and profiles are read again, for calls that begin from then on.

use std::{path::PathBuf, sync::Arc};

use segue_b2bua::Order;
use segue_call::CallConfig;
use segue_jobs::notices::Settings;
use segue_sip::transport::Tls;

use crate::{
    check::{Checked, Warning, check},
    cli::now_ms,
    config::{Config, KEYS, ProfileFile},
    failure::Failure,
};

/// The whole early phase of a call stays under this (call-flows: our own cap).
const EARLY_MAX_MS: u64 = 170_000;

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
    /// The profiles, in order.
    pub profiles: Vec<ProfileFile>,
    /// Keys that have changed and hold only after a restart.
    pub waiting: Vec<&'static str>,
    /// What works, and hardly as it is meant.
    pub warnings: Vec<Warning>,
    /// For the shard.
    pub order: Order,
    /// Certificates for new connections; `None` where there is no TLS.
    pub tls: Option<Tls>,
    /// How subscribers are told from now on.
    pub notices: Settings,
}

/// Reads everything again. On an error nothing has changed.
pub fn reload(given: &Given, running: &Config) -> Result<Reloaded, Failure> {
    let new = Config::load(given.file.as_deref(), given.data.as_deref())?;
    // Files are read again though their names are the same: that is how a certificate is renewed.
    let checked = check(&new, now_ms())?;
    let Checked {
        profiles,
        admission,
        tls,
        notices,
        warnings,
        ..
    } = checked;
    let waiting = KEYS
        .iter()
        .filter(|key| key.live.is_none() && (key.get)(&new) != (key.get)(running))
        .map(|key| key.name)
        .collect();
    let mut config = running.clone();
    for take in KEYS.iter().filter_map(|key| key.live) {
        take(&mut config, &new);
    }
    Ok(Reloaded {
        order: Order::Reload {
            call: call_config(&config),
            admission,
            limits: config.limits(),
        },
        // New sockets wait for a restart, and their certificates with them.
        tls: tls.filter(|_| !running.sip_tls.is_empty()),
        profiles,
        waiting,
        warnings,
        notices,
        config,
    })
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const OTHERWISE: &str = "media_store = \"dir\"\ndata_dir = \"d\"\nprofiles_dir = \"p\"\ndrain_ms = 7\nlog = \"debug\"\n\
                             sip = { udp = [\"127.0.0.1:1\"], tls_certificate = \"c\", tls_key = \"k\", tls_ca = \"r\", \
                             tls_client_ca = \"s\" }\nrecord = { min_ms = 7, max_ms = 8, silence_ms = 900 }\n\
                             retention = { heard_max = 1, heard_age = \"1d\", unheard_max = 1, unheard_age = \"1d\", \
                             max_bytes = 1, max_seconds = 1, scope = \"conversation\", trash = 0 }\n\
                             records = { csv = \"c\", jsonl = \"j\", rotate = \"daily\", keep = 1, keep_max = 1, keep_age = \"1d\" }\n\
                             overload = { delay_ms = 70, calls_max = 1, early_max = 1, source_rate = 1, source_calls_max = 1, \
                             source_early_max = 1, subscriber_calls_max = 1 }\n\
                             mail = { server = \"m\", port = 26, tls = \"tls\", user = \"u\", password_file = \"word\", from = \"a@b\", \
                             attach_max = 1 }\nwebhook = { url = \"http://h\", secret_file = \"hook\", allow = [\"10.0.0.0/8\"] }\n\
                             notice = { give_up = \"1h\", language = \"de\", link = \"http://h/{id}\", tls_ca = \"roots\" }\n\
                             registrar = { contacts_max = 1, total_max = 1, expires_min_s = 61, expires_default_s = 62, \
                             expires_max_s = 63 }\n\
                             [[trunk]]\nname = \"main\"\nservers = [\"192.0.2.1\"]\n";

    #[test]
    fn live_keys_take_their_new_values_and_all_others_wait() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("segue.toml");
        std::fs::write(&file, OTHERWISE).unwrap();
        std::fs::create_dir(dir.path().join("p")).unwrap();
        let profile = "name = \"office\"\nsources = [\"10.0.0.0/8\"]";
        std::fs::write(dir.path().join("p/office.toml"), profile).unwrap();
        let root = rcgen::generate_simple_self_signed(vec!["h".to_owned()]).unwrap();
        for (name, text) in [
            ("word", "sesame"),
            ("hook", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            ("roots", root.cert.pem().as_str()),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let (running, data) = (Config::default(), None);
        let given = Given { file: Some(file), data };
        let Reloaded {
            config,
            profiles,
            waiting,
            ..
        } = reload(&given, &running).unwrap();
        let names: Vec<&str> = profiles.iter().map(|file| file.profile.name.as_str()).collect();
        assert_eq!(names, ["office"]);
        assert_eq!(waiting, ["data_dir", "sip.udp"]);
        let mut changed: Vec<&str> = KEYS
            .iter()
            .filter(|key| (key.get)(&config) != (key.get)(&running))
            .map(|key| key.name)
            .collect();
        let mut live: Vec<&str> = KEYS
            .iter()
            .filter(|key| key.live.is_some())
            .map(|key| key.name)
            .collect();
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
