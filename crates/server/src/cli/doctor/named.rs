//! What the configuration names: profiles, their secrets, certificates, and whatever they say together.

use super::{Check, State, hops};
use crate::{
    check::{
        self, Checked,
        certificate::{Validity, certificates, worry},
    },
    cli::now_ms,
    config::{Config, ProfileFile, tls::read},
    failure::Failure,
};

const PROFILES: &str = "profiles";
const SECRETS: &str = "secret files";
const CERTIFICATES: &str = "certificates";

pub(super) fn checks(config: &Config) -> Vec<Check> {
    match check::check(config, now_ms()) {
        Ok(checked) => well(config, &checked),
        Err(failure) => vec![Check::failed(named(&failure), failure)],
    }
}

/// The row for what is wrong.
fn named(failure: &Failure) -> &'static str {
    match failure.code.as_str() {
        "bad_profile" => PROFILES,
        "bad_secret" => SECRETS,
        "open_secret" if !failure.message.contains("sip.tls_key") => SECRETS,
        "open_secret" | "bad_tls" => CERTIFICATES,
        _ => "configuration",
    }
}

fn well(config: &Config, checked: &Checked) -> Vec<Check> {
    let mut checks = vec![profiles(&checked.profiles), secrets(&checked.profiles)];
    checks.extend(own_certificates(config));
    checks.extend(hops::checks(config, &checked.profiles));
    // Certificates have rows of their own.
    let warnings = checked
        .warnings
        .iter()
        .filter(|warning| !warning.message.contains(": the certificate of "));
    checks.extend(warnings.map(|warning| Check::warn("configuration", &warning.message, &warning.fix)));
    checks
}

fn profiles(files: &[ProfileFile]) -> Check {
    let shown = |file: &ProfileFile| {
        let sources: Vec<String> = file.profile.sources.iter().map(ToString::to_string).collect();
        match sources.is_empty() {
            true => format!("{} (for trunks)", file.profile.name),
            false => format!("{} (admits {})", file.profile.name, sources.join(", ")),
        }
    };
    Check::ok(PROFILES, files.iter().map(shown).collect::<Vec<_>>().join(", "))
}

fn secrets(files: &[ProfileFile]) -> Check {
    let named = |file: &ProfileFile| {
        let profile = &file.profile;
        let users = (!profile.auth_users.is_empty()).then(|| profile.auth_users.clone());
        let account = (!profile.digest_user.is_empty()).then(|| profile.digest_secret.clone());
        users.into_iter().chain(account)
    };
    let named: Vec<String> = files.iter().flat_map(named).collect();
    match named.is_empty() {
        true => Check::ok(SECRETS, "no profile names any"),
        false => Check::ok(SECRETS, format!("read, and private: {}", named.join(", "))),
    }
}

/// Those that we show, and the roots that are configured.
fn own_certificates(config: &Config) -> Vec<Check> {
    let paths = &config.sip_tls_paths;
    if config.sip_tls.is_empty() {
        return vec![Check::ok(CERTIFICATES, "none: sip.tls has no socket")];
    }
    let now = now_ms();
    let ours = paths.certificate.iter().map(|path| ("sip.tls_certificate", path));
    let roots = paths.ca.iter().map(|path| ("sip.tls_ca", path));
    let clients = paths.client_ca.iter().map(|path| ("sip.tls_client_ca", path));
    let mut checks = Vec::new();
    for (key, path) in ours.chain(roots).chain(clients) {
        for certificate in certificates(&read(key, path).unwrap_or_default()) {
            let (names, validity) = (certificate.names.join(", "), certificate.validity(now));
            checks.push(match (worry(validity), validity) {
                (Some((worry, fix)), validity) => Check {
                    state: match validity {
                        Validity::Soon(_) => State::Warn,
                        _ => State::Wrong,
                    },
                    ..Check::warn(CERTIFICATES, format!("{key}: {names} {worry}"), fix)
                },
                (None, Validity::Valid(days)) => Check::ok(CERTIFICATES, format!("{key}: {names}, {days} days left")),
                (None, _) => Check::ok(CERTIFICATES, format!("{key}: {names}")),
            });
        }
    }
    checks
}
