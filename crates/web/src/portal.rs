//! The API and the pages: what both stand on.

use std::{net::IpAddr, str::FromStr, sync::Arc};

use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, uri::Authority},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use ipnet::IpNet;
use segue_manage::{Begun, Manage, Refusal, Secret};
use segue_policy::Profile;
use tokio::sync::Semaphore;

use crate::{
    Events, Site, Uploads, api, bounded::Peer, events::names_this_machine, followers::Followers, pages,
    problem::Problem,
};

/// Who may reach the API and the pages, and by which address.
pub struct Portal {
    /// Lets people in.
    pub manage: Manage,
    /// What happens, for who follows it.
    pub events: Events,
    /// The address by which people reach the pages; `None`: this machine's own, and only if `is_loopback`.
    pub public: Option<PublicUrl>,
    /// Proxies whose X-Forwarded-For is believed.
    pub proxies: Vec<IpNet>,
    /// The socket is on loopback.
    pub is_loopback: bool,
    /// Clips on their way in.
    pub uploads: Uploads,
}

/// `http://host[:port]` or `https://host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    authority: Authority,
    is_https: bool,
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<PublicUrl, String> {
        let wrong = || "an address without a path is needed, e.g. \"https://voice.example.com\"".to_owned();
        let uri: Uri = text.trim_end_matches('/').parse().map_err(|_| wrong())?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().filter(|_| uri.path() == "/" && uri.query().is_none());
        let authority = authority
            .filter(|authority| !authority.as_str().contains('@'))
            .ok_or_else(wrong)?;
        Ok(PublicUrl {
            authority: authority.clone(),
            is_https,
        })
    }
}

impl PublicUrl {
    /// What is sent there goes by TLS.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// Its machine: a name or an address.
    pub fn host(&self) -> &str {
        self.authority.host()
    }
}

impl std::fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority)
    }
}

/// What handlers share. The store is not in it: they get to that by [`crate::who::Who`] alone.
#[derive(Clone)]
pub(crate) struct Web(Arc<Inner>);

struct Inner {
    portal: Portal,
    site: Arc<Site>,
    /// One password is checked at a time: each takes some tens of milliseconds and 19 MiB.
    checking: Semaphore,
    /// How many may wait for that.
    waiting: Semaphore,
    /// Who follows uploads.
    followers: Followers,
}

/// Logins that wait for their turn; who comes past them is told to come again.
const LOGINS_WAITING: usize = 32;

impl Web {
    pub(crate) fn manage(&self) -> &Manage {
        &self.0.portal.manage
    }

    pub(crate) fn events(&self) -> &Events {
        &self.0.portal.events
    }

    pub(crate) fn uploads(&self) -> &Uploads {
        &self.0.portal.uploads
    }

    pub(crate) fn site(&self) -> &Arc<Site> {
        &self.0.site
    }

    /// The profiles, for what is read or bound by them.
    pub(crate) async fn profiles(&self) -> Result<Vec<Profile>, Problem> {
        let site = self.site().clone();
        crate::asked(move || (site.profiles)())
            .await
            .flatten()
            .ok_or_else(Problem::fault)
    }

    /// Browsers are to send the cookie by TLS alone.
    pub(crate) fn is_https(&self) -> bool {
        self.0.portal.public.as_ref().is_some_and(|public| public.is_https)
    }

    /// Asks what may wait for the disk, on a thread that may wait.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Manage) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Problem> {
        let web = self.clone();
        match tokio::task::spawn_blocking(move || ask(web.manage())).await {
            Ok(answer) => answer.map_err(Problem::from),
            Err(_) => Err(Problem::fault()),
        }
    }

    /// Logs in by a password. Waiting for a turn holds none of the threads that serve everything else.
    pub(crate) async fn login(
        &self,
        name: String,
        password: String,
        from: segue_manage::From,
    ) -> Result<Begun, Problem> {
        let full = || {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many log in at this moment")
                .fix("try again in some seconds, or use a one-time link")
        };
        let _waiting = self.0.waiting.try_acquire().map_err(|_| full())?;
        let _turn = self.0.checking.acquire().await.map_err(|_| full())?;
        self.ask(move |manage| manage.login(&name, &password, &from)).await
    }

    /// Who follows uploads, and how many of them.
    pub(crate) fn followers(&self) -> &Followers {
        &self.0.followers
    }

    /// Ends the session that a browser had before it logged in anew, if it had one.
    pub(crate) async fn end(&self, before: Option<Secret>) {
        if let Some(before) = before {
            // One that cannot be ended now ends by its age.
            let _ = self.ask(move |manage| manage.logout(&before)).await;
        }
    }

    /// Where a request comes from: the peer, or whom a proxy of ours names.
    fn source(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let is_ours = |ip: &IpAddr| self.0.portal.proxies.iter().any(|net| net.contains(ip));
        let said: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        // Each proxy appends whom it has the request from: read from the end, as long as it is one of ours who says so.
        let mut source = peer.to_canonical();
        for said in said.into_iter().rev() {
            if !is_ours(&source) {
                break;
            }
            match said.trim().parse::<IpAddr>() {
                Ok(before) => source = before.to_canonical(),
                Err(_) => break,
            }
        }
        source
    }

    /// Whether a page made it whose origin is neither the public address nor the host that was asked.
    fn is_from_elsewhere(&self, headers: &HeaderMap) -> bool {
        let said = |name| headers.get(name).map(HeaderValue::as_bytes);
        let Some(origin) = said(header::ORIGIN) else {
            return false;
        };
        let public = self.0.portal.public.as_ref().map(ToString::to_string);
        let host = said(header::HOST).unwrap_or_default();
        let is_host = origin
            .strip_prefix(b"http://".as_slice())
            .or_else(|| origin.strip_prefix(b"https://".as_slice()))
            .is_some_and(|authority| authority.eq_ignore_ascii_case(host));
        !is_host && !public.is_some_and(|public| origin.eq_ignore_ascii_case(public.as_bytes()))
    }

    /// Whether a request is meant for us: a page of elsewhere must not reach us through a name that it had resolve to us.
    fn is_meant(&self, headers: &HeaderMap) -> bool {
        let portal = &self.0.portal;
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let is_public = portal
            .public
            .as_ref()
            .is_some_and(|public| host.is_some_and(|host| host.eq_ignore_ascii_case(public.authority.as_str())));
        is_public || (portal.is_loopback && names_this_machine(headers))
    }
}

/// From where a request comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source(pub IpAddr);

/// All routes of the API and the pages.
pub(crate) fn routes(portal: Portal, site: Arc<Site>) -> Router {
    let web = Web(Arc::new(Inner {
        portal,
        site,
        checking: Semaphore::new(1),
        waiting: Semaphore::new(LOGINS_WAITING),
        followers: Followers::default(),
    }));
    let routes = Router::new().merge(api::routes()).merge(pages::routes());
    routes
        .layer(middleware::from_fn_with_state(web.clone(), guard))
        .with_state(web)
}

/// Nothing inline, nothing from elsewhere, and nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// In front of everything: who is meant, from where it comes, and what browsers must not do with the answer.
async fn guard(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    let mut response = match refused(&web, &request) {
        Some(problem) => problem.into_response(),
        None => {
            let peer = request.extensions().get::<ConnectInfo<Peer>>();
            let peer = peer.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(Peer(peer))| peer.ip());
            let source = web.source(peer, request.headers());
            request.extensions_mut().insert(Source(source));
            next.run(request).await
        }
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

fn refused(web: &Web, request: &Request) -> Option<Problem> {
    let portal = &web.0.portal;
    if portal.public.is_none() && !portal.is_loopback {
        return Some(
            Problem::new(
                StatusCode::FORBIDDEN,
                "http.listen is not loopback, and passwords would go over the network as they are",
            )
            .fix("set http.public to the address by which people reach this, best https:// of a proxy that does TLS"),
        );
    }
    if !web.is_meant(request.headers()) {
        return Some(
            Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "the Host header names another machine than this one",
            )
            .fix("use the address of http.public, or on this machine its address or localhost"),
        );
    }
    // What a browser says of where a request was made: by fetch metadata (only to addresses that it trusts), by Origin the others.
    let is_change = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let site = request
        .headers()
        .get("sec-fetch-site")
        .and_then(|site| site.to_str().ok());
    if is_change && (matches!(site, Some("cross-site" | "same-site")) || web.is_from_elsewhere(request.headers())) {
        return Some(Problem::new(
            StatusCode::FORBIDDEN,
            "a page of elsewhere may not change anything here",
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_and_a_host() {
        let public = |text: &str| text.parse::<PublicUrl>();
        assert_eq!(
            public("https://voice.example.com/").unwrap().to_string(),
            "https://voice.example.com"
        );
        assert_eq!(
            public("http://10.0.0.1:8080").unwrap().to_string(),
            "http://10.0.0.1:8080"
        );
        for wrong in [
            "voice.example.com",
            "ftp://a",
            "https://a/b",
            "https://a?x",
            "https://u@a",
            "",
        ] {
            assert!(public(wrong).is_err(), "{wrong}");
        }
    }
}
