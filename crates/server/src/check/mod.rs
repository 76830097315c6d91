//! What a server is started with, read and checked as a whole: by `segue config check`, at the start and on SIGHUP alike.

pub mod certificate;
mod help;
mod http;
mod passwords;
mod profiles;
mod securing;
mod sockets;
mod trunks;

pub use profiles::is_here;
pub use trunks::{configured as configured_trunk, fits as trunk_fits};

use std::{fmt, sync::Arc};

use segue_b2bua::Admission;
use segue_jobs::notices::Settings;
use segue_policy::Trunk;
use segue_sip::transport::Tls;

use crate::{
    config::{Config, ProfileFile, load_files, registrar::contradiction},
    failure::Failure,
    kept_trunks, notices, secrets,
};

/// What was read.
#[derive(Debug)]
pub struct Checked {
    /// The profiles, in the order in which they are asked.
    pub profiles: Vec<ProfileFile>,
    /// Who is admitted, with the secrets that the profiles name.
    pub admission: Admission,
    /// Certificates, where there are TLS sockets.
    pub tls: Option<Tls>,
    /// How subscribers are told.
    pub notices: Settings,
    /// What works, and hardly as it is meant.
    pub warnings: Vec<Warning>,
}

/// Something that works, and hardly as it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where, and what.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

impl Warning {
    fn new(message: impl Into<String>, fix: impl Into<String>) -> Warning {
        Warning {
            message: message.into(),
            fix: fix.into(),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; fix: {}", self.message, self.fix)
    }
}

impl Checked {
    /// The profiles' names.
    pub fn names(&self) -> Vec<String> {
        self.profiles.iter().map(|file| file.profile.name.clone()).collect()
    }
}

/// Reads what the configuration names: profiles, secrets, certificates. Blocking; `now` in Unix milliseconds.
///
/// # Errors
/// The first thing with which a server would not start or not serve: file, line, key and what to do.
pub fn check(config: &Config, now_ms: i64) -> Result<Checked, Failure> {
    let mut warnings = sockets::check(config)?;
    let profiles = load_files(config)?;
    warnings.extend(profiles::check(config, &profiles)?);
    warnings.extend(passwords::check(config, &profiles));
    warnings.extend(http::check(config));
    if let Some((key, why)) = contradiction(&config.registrar) {
        return Err(Failure::refused(
            "bad_configuration",
            format!("{}{why}", config.place(&[key])),
            "correct one of the two",
        ));
    }
    let secrets = secrets::load(&profiles, config.profiles_dir.as_deref())?;
    let trunks = secrets::of_trunks(&config.trunks)?;
    let added = kept_trunks::of(config)?;
    warnings.extend(trunks::check(config, &profiles, &added)?);
    let all: Vec<&Trunk> = trunks.iter().map(|setup| &setup.trunk).chain(&added).collect();
    warnings.extend(profiles::admit(&profiles, &all)?);
    warnings.extend(securing::check(config, &profiles));
    warnings.extend(help::check(&profiles, &all));
    let tls = match config.sip_tls.is_empty() {
        true => None,
        false => Some(config.sip_tls_paths.load(&|key| config.place(&[key]))?),
    };
    warnings.extend(certificate::check(config, now_ms));
    let plain = profiles.iter().map(|file| Arc::new(file.profile.clone()));
    Ok(Checked {
        admission: Admission::new(plain.collect())
            .with_secrets(secrets)
            .with_trunks(trunks),
        profiles,
        tls,
        notices: notices::settings(config)?,
        warnings,
    })
}
