//! One POST to a server that anybody may have named: bounded in time and size, without a redirect, and only to addresses that are allowed.
//!
//! The address is looked at when it is connected to, after the name has been resolved: what a name server says for another question, or a moment
//! later, makes no difference (DNS rebinding).

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, Uri,
    body::Incoming,
    client::conn::http1,
    header::{HOST, RETRY_AFTER},
};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring::default_provider, pki_types::ServerName},
};

use super::{addresses::is_public, short};

/// For finding and reaching the server, with TLS.
const CONNECT: Duration = Duration::from_secs(2);
/// For its answer.
const ANSWER: Duration = Duration::from_secs(2);
/// Bytes of an answer, and of its head.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The final answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: u16,
    pub retry_after: Option<Duration>,
    /// How its body begins.
    pub begins: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// Whoever is there may not be called.
    Forbidden(String),
    /// Another time it may be otherwise.
    Failed(String),
}

/// Calls servers.
pub(super) struct Client {
    allowed: Vec<IpNet>,
    tls: TlsConnector,
}

impl Client {
    /// Beside public addresses those of these networks may be called.
    pub(super) fn new(allowed: Vec<IpNet>, roots: RootCertStore) -> Result<Client, String> {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Client {
            allowed,
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Sends `body` as JSON with these headers.
    pub(super) async fn post(
        &self,
        uri: &Uri,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<Answer, Unanswered> {
        let failed = |e: &dyn std::fmt::Display| Unanswered::Failed(short(&e.to_string()));
        let authority = uri.authority().ok_or_else(|| failed(&"the URL has no host"))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::post(path)
            .header(HOST, authority.as_str())
            .header("content-type", "application/json")
            .header("user-agent", concat!("Segue/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|e| failed(&e))?;
        let silent = |what: &str, limit: Duration| failed(&format!("{what} within {} s", limit.as_secs()));
        let connected = timeout(CONNECT, self.connect(uri)).await;
        let io = connected.map_err(|_| silent("it could not be reached", CONNECT))??;
        let exchanged = timeout(ANSWER, exchange(io, request)).await;
        let (response, _connection) = exchanged
            .map_err(|_| silent("it did not answer", ANSWER))?
            .map_err(|e| failed(&e))?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| {
            let seconds = value.to_str().ok()?.trim().parse().ok()?;
            Some(Duration::from_secs(seconds))
        });
        // The status says it all; a body that is long or does not come changes nothing.
        let body = timeout(ANSWER, beginning(response.into_body()))
            .await
            .unwrap_or_default();
        Ok(Answer {
            status,
            retry_after,
            begins: short(&String::from_utf8_lossy(&body)),
        })
    }

    async fn connect(&self, uri: &Uri) -> Result<Box<dyn Stream>, Unanswered> {
        let failed = |e: &dyn std::fmt::Display| Unanswered::Failed(short(&e.to_string()));
        let host = uri.host().ok_or_else(|| failed(&"the URL has no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => lookup_host((host, port))
                .await
                .map_err(|e| failed(&format!("{host} is not found: {e}")))?
                .collect(),
        };
        let (may, may_not): (Vec<SocketAddr>, Vec<SocketAddr>) = found.into_iter().partition(|at| self.may(at.ip()));
        if let (true, Some(first)) = (may.is_empty(), may_not.first()) {
            return Err(Unanswered::Forbidden(format!(
                "{} is no public address: name it in webhook.allow if it is meant",
                first.ip()
            )));
        }
        let mut last = failed(&format!("{host} has no address"));
        for address in may {
            match TcpStream::connect(address).await {
                Ok(tcp) if is_tls => {
                    let name = ServerName::try_from(host.to_owned()).map_err(|e| failed(&e))?;
                    let tls = self.tls.connect(name, tcp).await;
                    return Ok(Box::new(tls.map_err(|e| failed(&format!("TLS with {address}: {e}")))?));
                }
                Ok(tcp) => return Ok(Box::new(tcp)),
                Err(e) => last = failed(&format!("{address}: {e}")),
            }
        }
        Err(last)
    }

    pub(super) fn may(&self, ip: IpAddr) -> bool {
        is_public(ip) || self.allowed.iter().any(|net| net.contains(&ip.to_canonical()))
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The task of a connection, which ends with whoever uses it.
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn exchange(
    io: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
) -> Result<(Response<Incoming>, Connection), hyper::Error> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(ANSWER_BYTES_MAX)
        .handshake(TokioIo::new(io))
        .await?;
    let connection = Connection(tokio::spawn(async move {
        // What is wrong with it is told to who sends.
        let _ = connection.await;
    }));
    Ok((sender.send_request(request).await?, connection))
}

/// What of a body has come, at most [`ANSWER_BYTES_MAX`].
async fn beginning(mut body: Incoming) -> Vec<u8> {
    let mut read = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        let data = frame.into_data().unwrap_or_default();
        let room = ANSWER_BYTES_MAX.saturating_sub(read.len());
        read.extend(data.iter().take(room));
        if read.len() >= ANSWER_BYTES_MAX {
            break;
        }
    }
    read
}
