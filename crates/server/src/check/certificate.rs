//! What the certificates of `sip.tls_*` say of themselves: whose they are, and until when.

use std::path::Path;

use x509_parser::{extensions::GeneralName, parse_x509_certificate, pem::Pem};

use super::Warning;
use crate::config::{Config, tls::read};

/// Days before its end from which a certificate is warned about.
const SOON_DAYS: i64 = 14;

const DAY_MS: i64 = 86_400_000;

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whom it names: DNS names, URIs and addresses of subjectAltName; where there is none, its subject.
    pub names: Vec<String>,
    /// From when it is valid, Unix milliseconds.
    pub from_ms: i64,
    /// Until when.
    pub until_ms: i64,
}

/// How it stands with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// Not for so many days yet.
    NotYet(i64),
    /// For so many days more.
    Valid(i64),
    /// It ends in so many days.
    Soon(i64),
    /// It ended so many days ago.
    Expired(i64),
}

impl Certificate {
    /// How it stands with it now, Unix milliseconds.
    pub fn validity(&self, now_ms: i64) -> Validity {
        let days = |ms: i64| ms.checked_div(DAY_MS).unwrap_or(0);
        let left = self.until_ms.saturating_sub(now_ms);
        if now_ms < self.from_ms {
            return Validity::NotYet(days(self.from_ms.saturating_sub(now_ms)).saturating_add(1));
        }
        match days(left) {
            _ if left < 0 => Validity::Expired(days(now_ms.saturating_sub(self.until_ms))),
            days if days < SOON_DAYS => Validity::Soon(days),
            days => Validity::Valid(days),
        }
    }
}

/// The certificates of a PEM file, in order; what cannot be read is left out.
pub fn certificates(pem: &[u8]) -> Vec<Certificate> {
    let read = |pem: Pem| {
        let (_, found) = parse_x509_certificate(&pem.contents).ok()?;
        let named = found.subject_alternative_name().ok().flatten();
        let mut names: Vec<String> = named
            .map(|named| named.value.general_names.iter().filter_map(shown).collect())
            .unwrap_or_default();
        if names.is_empty() {
            names.push(found.subject().to_string());
        }
        Some(Certificate {
            names,
            from_ms: found.validity().not_before.timestamp().saturating_mul(1_000),
            until_ms: found.validity().not_after.timestamp().saturating_mul(1_000),
        })
    };
    Pem::iter_from_buffer(pem)
        .filter_map(Result::ok)
        .filter_map(read)
        .collect()
}

fn shown(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(v4) => Some(std::net::IpAddr::from(v4).to_string()),
            Err(_) => Some(std::net::IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?).to_string()),
        },
        _ => None,
    }
}

/// What a certificate that is not simply valid is warned about with: words after whose it is, and what to do.
pub fn worry(validity: Validity) -> Option<(String, &'static str)> {
    const RENEW: &str = "renew it and send the server SIGHUP";
    let days = |days: i64| match days {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    match validity {
        Validity::Valid(_) => None,
        Validity::NotYet(in_days) => Some((
            format!("is not valid for {} yet: no peer will believe it", days(in_days)),
            "set this machine's clock, or wait",
        )),
        Validity::Soon(left) => Some((format!("ends in {}", days(left)), RENEW)),
        Validity::Expired(ago) => Some((format!("ended {} ago: no peer believes it", days(ago)), RENEW)),
    }
}

/// Warns of certificates that have ended or soon will. Whether the files can be used at all is another's to check.
pub(super) fn check(config: &Config, now_ms: i64) -> Vec<Warning> {
    let paths = &config.sip_tls_paths;
    let files = [
        ("sip.tls_certificate", &paths.certificate),
        ("sip.tls_ca", &paths.ca),
        ("sip.tls_client_ca", &paths.client_ca),
    ];
    let named = files
        .into_iter()
        .filter_map(|(key, path)| Some((key, path.as_deref()?)));
    if config.sip_tls.is_empty() {
        // They are not opened: nothing would use them.
        let mut unused = named.take(1);
        return unused
            .next()
            .map(|(key, _)| {
                Warning::new(
                    format!(
                        "{}{key} is set, and sip.tls has no socket that would use it",
                        config.place(&[key])
                    ),
                    "name a socket, e.g. sip.tls = [\"192.0.2.10:5061\"]",
                )
            })
            .into_iter()
            .collect();
    }
    named
        .flat_map(|(key, path)| worries(key, path, config, now_ms))
        .collect()
}

fn worries(key: &str, path: &Path, config: &Config, now_ms: i64) -> Vec<Warning> {
    let pem = read(key, path).unwrap_or_default();
    let told = |certificate: Certificate| {
        let (worry, fix) = worry(certificate.validity(now_ms))?;
        let names = certificate.names.join(", ");
        let message = format!(
            "{}{key} = {}: the certificate of {names} {worry}",
            config.place(&[key]),
            path.display()
        );
        Some(Warning::new(message, fix))
    };
    certificates(&pem).into_iter().filter_map(told).collect()
}
