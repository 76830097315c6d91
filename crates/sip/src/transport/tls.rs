//! TLS 1.2 and 1.3 over TCP, by rustls: certificates, handshakes, and who is allowed to be at the other end.

mod names;
mod reason;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{
    TlsAcceptor, TlsConnector, client,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
        server::WebPkiClientVerifier,
        version::{TLS12, TLS13},
    },
    server,
};

use super::stream::Shared;
use names::Verifier;
use reason::{Side, reason};

/// What TLS is made of: the bytes of PEM files.
#[derive(Clone, Copy)]
pub struct TlsFiles<'a> {
    /// Our certificate, and after it those that lead to its root.
    pub certificate: &'a [u8],
    /// Its private key.
    pub key: &'a [u8],
    /// Roots that servers' certificates must come from; `None`: the system's.
    pub ca: Option<&'a [u8]>,
    /// Roots that clients' certificates must come from; `None`: clients need none.
    pub client_ca: Option<&'a [u8]>,
}

/// Which of the files cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFile {
    /// Our certificate.
    Certificate,
    /// Its key.
    Key,
    /// Roots of servers.
    Ca,
    /// Roots of clients.
    ClientCa,
}

/// Why TLS cannot be done with these files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct TlsError {
    /// The file at fault.
    pub file: TlsFile,
    /// What is wrong with it.
    pub why: String,
}

/// Certificates in use, for connections that begin from now on. As a client we show the same certificate, where asked for.
#[derive(Clone)]
pub struct Tls {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Reads the files. Blocking, where the system's roots are asked for.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn new(files: TlsFiles<'_>) -> Result<Tls, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let chain = certificates(TlsFile::Certificate, files.certificate)?;
        let wrong_key = |why: String| TlsError {
            file: TlsFile::Key,
            why,
        };
        let key = PrivateKeyDer::from_pem_slice(files.key)
            .map_err(|_| wrong_key("there is no unencrypted private key in it (PEM)".to_owned()))?;
        let versions = [&TLS13, &TLS12];
        let mismatch = |error: tokio_rustls::rustls::Error| match error {
            tokio_rustls::rustls::Error::InconsistentKeys(_) => wrong_key(
                "it does not fit the certificate: that (the first in its file) was made for another key".to_owned(),
            ),
            error => wrong_key(format!("it does not fit the certificate: {error}")),
        };

        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(mismatch)?;
        let server = match files.client_ca {
            None => server.with_no_client_auth(),
            Some(pem) => {
                let roots = Arc::new(roots(TlsFile::ClientCa, pem)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
                    .build()
                    .map_err(|e| TlsError {
                        file: TlsFile::ClientCa,
                        why: e.to_string(),
                    })?;
                server.with_client_cert_verifier(verifier)
            }
        };
        let server = server
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(mismatch)?;

        let trusted = match files.ca {
            Some(pem) => roots(TlsFile::Ca, pem)?,
            None => system_roots(),
        };
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(mismatch)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier::new(trusted, &provider)))
            .with_client_auth_cert(chain, key)
            .map_err(mismatch)?;
        Ok(Tls {
            server: Arc::new(server),
            client: Arc::new(client),
        })
    }
}

/// Puts new certificates in the place of the old ones. Connections that are there go on.
#[derive(Clone)]
pub struct TlsRenewal(pub(super) Arc<Shared>);

impl TlsRenewal {
    /// For handshakes from now on.
    pub fn renew(&self, tls: Tls) {
        *self.0.tls.lock().unwrap_or_else(PoisonError::into_inner) = Some(tls);
    }
}

fn current(tls: &Mutex<Option<Tls>>) -> Result<Tls, String> {
    let current = tls.lock().unwrap_or_else(PoisonError::into_inner).clone();
    current.ok_or_else(|| "no certificate is configured".to_owned())
}

/// Our side of a handshake that a peer began.
pub(super) async fn accept(stream: TcpStream, shared: &Shared) -> Result<server::TlsStream<TcpStream>, String> {
    let acceptor = TlsAcceptor::from(current(&shared.tls)?.server);
    finished(
        timeout(shared.limits.handshake, acceptor.accept(stream)).await,
        Side::Server,
    )
}

/// Our side of a handshake that we begin: the peer must prove that it is `domain`.
pub(super) async fn connect(
    stream: TcpStream,
    remote: SocketAddr,
    domain: Option<&str>,
    shared: &Shared,
) -> Result<client::TlsStream<TcpStream>, String> {
    let connector = TlsConnector::from(current(&shared.tls)?.client);
    let name = match domain {
        Some(name) => ServerName::try_from(name.trim_matches(['[', ']']).to_owned())
            .map_err(|_| "its name cannot stand in a certificate".to_owned())?,
        None => ServerName::IpAddress(remote.ip().into()),
    };
    finished(
        timeout(shared.limits.handshake, connector.connect(name, stream)).await,
        Side::Client,
    )
}

fn finished<T>(handshake: Result<io::Result<T>, tokio::time::error::Elapsed>, side: Side) -> Result<T, String> {
    match handshake {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(reason(&error, side)),
        Err(_) => Err("the handshake took too long".to_owned()),
    }
}

fn certificates(file: TlsFile, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(TlsError {
            file,
            why: "there is no certificate in it (PEM)".to_owned(),
        }),
        Err(error) => Err(TlsError {
            file,
            why: error.to_string(),
        }),
    }
}

fn roots(file: TlsFile, pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file, pem)? {
        roots.add(certificate).map_err(|e| TlsError {
            file,
            why: e.to_string(),
        })?;
    }
    Ok(roots)
}

/// Those that the system trusts. None at all: then no server is believed, and the log says so at each.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        tracing::warn!(%error, "the system's certificates cannot all be read");
    }
    roots.add_parsable_certificates(found.certs);
    roots
}
