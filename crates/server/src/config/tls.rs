//! `sip.tls_*`: the files that TLS is made of.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use segue_sip::transport::{Tls, TlsFile, TlsFiles};

use crate::failure::Failure;

/// Largest file read, bytes: a bundle of all public roots has a quarter of that.
const BYTES_MAX: u64 = 1024 * 1024;

/// Where they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsPaths {
    /// Our certificate and those that lead to its root (PEM).
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM).
    pub key: Option<PathBuf>,
    /// Roots of servers that we call; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// Roots of clients, each of which must then show a certificate.
    pub client_ca: Option<PathBuf>,
}

impl TlsPaths {
    /// Paths are meant from where the configuration file stands.
    pub fn based(&mut self, base: &Path) {
        let all = [&mut self.certificate, &mut self.key, &mut self.ca, &mut self.client_ca];
        for path in all.into_iter().flatten() {
            *path = base.join(&*path);
        }
    }

    /// Reads them. Blocking. Errors name the file and what to do; `place` says where a key was set.
    pub fn load(&self, place: &dyn Fn(&str) -> String) -> Result<Tls, Failure> {
        let (Some(certificate), Some(key)) = (&self.certificate, &self.key) else {
            return Err(Failure::refused(
                "bad_configuration",
                "sip.tls has sockets, but there is no certificate for them".to_owned(),
                "set sip.tls_certificate and sip.tls_key to PEM files",
            ));
        };
        let placed = |name: &str, failure: Failure| Failure {
            message: format!("{}{}", place(name), failure.message),
            ..failure
        };
        let named = |name: &'static str, path: &Path| read(name, path).map_err(|e| placed(name, e));
        let certificate_pem = named("sip.tls_certificate", certificate)?;
        let key_pem = secret("sip.tls_key", key).map_err(|e| placed("sip.tls_key", e))?;
        let roots = |name, path: &Option<PathBuf>| path.as_ref().map(|path| named(name, path)).transpose();
        let ca = roots("sip.tls_ca", &self.ca)?;
        let client_ca = roots("sip.tls_client_ca", &self.client_ca)?;
        Tls::new(TlsFiles {
            certificate: &certificate_pem,
            key: &key_pem,
            ca: ca.as_deref(),
            client_ca: client_ca.as_deref(),
        })
        .map_err(|error| {
            let (name, path, fix) = match error.file {
                TlsFile::Certificate => (
                    "sip.tls_certificate",
                    Some(certificate),
                    "name a PEM file with the certificate first and its issuers after it",
                ),
                TlsFile::Key => (
                    "sip.tls_key",
                    Some(key),
                    "name the PEM file of the private key that the certificate was made for",
                ),
                TlsFile::Ca => ("sip.tls_ca", self.ca.as_ref(), ROOTS),
                TlsFile::ClientCa => ("sip.tls_client_ca", self.client_ca.as_ref(), ROOTS),
            };
            let at = path.map(|path| path.display().to_string()).unwrap_or_default();
            Failure::refused("bad_tls", format!("{}{name} = {at}: {error}", place(name)), fix)
        })
    }
}

const ROOTS: &str = "name a PEM file of root certificates";

/// A file that a key names; `name` may have in front where the key stands.
pub fn read(name: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let key = name.rsplit(' ').next().unwrap_or(name);
    let fail = |why: String| {
        Failure::refused(
            if key.starts_with("sip.") {
                "bad_tls"
            } else {
                "bad_secret"
            },
            format!("{name} = {}: {why}", path.display()),
            format!("set {key} to a file that the server's user can read"),
        )
    };
    let size = fs::metadata(path).map_err(|e| fail(e.to_string()))?.len();
    if size > BYTES_MAX {
        return Err(fail(format!("{size} bytes are too many")));
    }
    fs::read(path).map_err(|e| fail(e.to_string()))
}

/// A file that nobody but its owner may read.
pub fn secret(name: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = read(name, path)?;
    let mode = fs::metadata(path).map(|found| found.mode() & 0o777).unwrap_or(0o777);
    if mode & 0o077 != 0 {
        return Err(Failure::refused(
            "open_secret",
            format!("{name} = {}: others may read it (mode {mode:04o})", path.display()),
            format!("chmod 600 {}", path.display()),
        ));
    }
    Ok(bytes)
}
