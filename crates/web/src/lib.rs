//! The HTTP side: `/health`, `/ready`, `/metrics`, `/events`, `/trunks` and `/calls` for machines; the API under `/api/v1` and the pages for people
//! and their programs.
//!
//! | file | |
//! |---|---|
//! | `portal.rs` | what stands in front of API and pages: Host, source, headers; what handlers share |
//! | `who.rs` | who asks: the only way from a request to what is somebody's |
//! | `api.rs`, `api/` | the API, a file a topic; how a route is added |
//! | `pages.rs`, `pages/` | the pages; how one is added |
//! | `seen.rs`, `media.rs`, `given.rs`, `problem.rs` | tags, ranges, what requests bring, errors |
//! | `archive.rs` | several messages as one ZIP |
//! | `in_force.rs` | the profiles as they are shown, and what became of reading them again |
//! | `load.rs`, `load/` | how busy the server is, and was in the last hour |
//! | `upload.rs` | bytes of clips from a request to the disk |
//! | `draw/` | drawings of calls for the pages |
//! | `serving.rs`, `bounded.rs`, `paced.rs` | connections: how many at once, and how long nothing may come of one |
//! | `followers.rs` | how many streams one identity follows |
//! | `events.rs`, `hub.rs` | what happens, to those who follow it |
//!
//! # To add to it
//! `manage` first: what is seen and changed, by whom (the docs of `segue_manage` say how). Then a route (docs of `api.rs`) or a page (docs of
//! `pages.rs`): both take a `Who`, which yields an `Access` and nothing else, and hold no store. What only the running server knows (calls,
//! trunks) comes through [`Site`]: a handler asks `who.access().need(Scope::...)?` and then `web.site()`.
//!
//! # To test it
//! `tests/fixture/mod.rs` is an office on a real store: `Office::open()`, `office.browser("bob")` has logged in, `office.program("bob", role,
//! scopes)` has a token, `office.deposit(id, mailbox, |new| ...)` leaves a message; `get`, `change` (JSON) and `form` send over loopback,
//! `answer.problem(404)` checks a refusal. `tests/others.rs` tries every route of the API with another's things by itself. A real browser is
//! driven by `tests/src/page.rs` of the workspace.

mod api;
mod archive;
mod bounded;
pub mod draw;
mod events;
mod followers;
mod given;
mod hub;
mod in_force;
mod live;
mod load;
mod media;
mod paced;
mod pages;
mod portal;
mod problem;
mod seen;
mod serving;
mod upload;
mod who;

use std::{future::Future, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::future::BoxFuture;
use segue_b2bua::LiveCalls;
use serde::Serialize;
use tokio::net::TcpListener;
use utoipa::ToSchema;

pub use api::description;
pub use events::Events;
pub use hub::Hub;
pub use in_force::{KeyShown, ProfileShown, ProfilesShown, Reloaded};
pub use load::{LoadHistory, LoadHistoryView, LoadSample, LoadView, Refused, SAMPLE_EVERY, SAMPLES_MAX, Used};
pub use portal::{Portal, PublicUrl};
use problem::{problem, with_reasons};
pub use upload::Uploads;

/// What `GET /health` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Health {
    /// `ok`, or what is wrong in a word; anything but `ok` answers 503.
    pub status: String,
    /// What is wrong, one sentence each.
    pub reasons: Vec<String>,
    /// Version of Segue.
    pub version: String,
    /// Seconds since start.
    pub uptime_s: u64,
    /// Calls now.
    pub calls: u64,
    /// Unheard messages of all mailboxes.
    pub unheard: u64,
    /// Counters by name, e.g. `sip_dropped`.
    pub counters: std::collections::BTreeMap<String, u64>,
}

/// What the pages show. Each is asked for each request, on a thread that may wait.
pub struct Site {
    /// Whether the server lives.
    pub health: Box<dyn Fn() -> Health + Send + Sync>,
    /// Why it should get no calls now; empty: it is ready.
    pub not_ready: Box<dyn Fn() -> Vec<String> + Send + Sync>,
    /// The metrics in OpenMetrics' text form.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// The trunks as they are, for whoever may follow events.
    pub trunks: Box<dyn Fn() -> serde_json::Value + Send + Sync>,
    /// The profiles; calls are thought of by the numbering of the first. `None`: they cannot be read.
    pub profiles: Box<dyn Fn() -> Option<Vec<segue_policy::Profile>> + Send + Sync>,
    /// Seals what subscribers prove themselves by.
    pub seals: std::sync::Arc<dyn segue_manage::Seals>,
    /// What is configured of trunks, and what fits it.
    pub trunking: std::sync::Arc<dyn segue_manage::Trunking>,
    /// The same as people see them.
    pub in_force: Box<dyn Fn() -> ProfilesShown + Send + Sync>,
    /// Has configuration and profiles read again; `None`: not now.
    pub reload: Box<dyn Fn() -> BoxFuture<'static, Option<Reloaded>> + Send + Sync>,
    /// How busy it is.
    pub load: Arc<dyn Fn() -> LoadView + Send + Sync>,
    /// How busy it was.
    pub load_history: LoadHistory,
    /// Whether a webhook may be at this address, by what is configured.
    pub may_call: Box<dyn Fn(std::net::IpAddr) -> bool + Send + Sync>,
    /// The calls that are up, likewise.
    pub live: LiveCalls,
    /// What happens; `None`: it is not told here.
    pub events: Option<Events>,
    /// Who may know who calls whom without being logged in.
    pub followers: Followers,
    /// What commands beside the server show (`Authorization: Bearer`): whoever can read the data directory may follow.
    pub key: Option<String>,
}

/// Who may ask `/events`, `/calls` and `/trunks`, beside whoever has the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followers {
    /// Whoever reaches the socket.
    Anyone,
    /// Programs of this machine, by its address or `localhost`, and past no proxy that says so.
    ThisMachine,
    /// Nobody.
    Nobody,
}

/// Serves until `stop` completes, then answers what is under way; without a portal there are no API and no pages.
pub async fn serve(listener: TcpListener, site: Site, portal: Option<Portal>, stop: impl Future<Output = ()>) {
    let site = Arc::new(site);
    let proxies = portal.as_ref().map(|portal| portal.proxies.clone()).unwrap_or_default();
    let portal = portal.map(|portal| portal::routes(portal, Arc::clone(&site)));
    let routes = Router::new()
        .route("/health", get(say_health))
        .route("/ready", get(say_ready))
        .route("/metrics", get(say_metrics))
        .route("/events", get(events::follow))
        .route("/trunks", get(say_trunks))
        .route("/calls", get(live::list))
        .route("/calls/{id}", get(live::show))
        .method_not_allowed_fallback(|| async {
            problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "Method not allowed",
                "only GET is known here".to_owned(),
            )
        })
        .fallback(|uri: Uri| async move {
            problem(
                StatusCode::NOT_FOUND,
                "Not found",
                format!(
                    "nothing is at {}; try /health, /ready, /metrics, /events, /trunks or /calls",
                    uri.path()
                ),
            )
        })
        .with_state(site);
    let routes = match portal {
        Some(portal) => routes.merge(portal),
        None => routes,
    };
    serving::serve(listener, routes, serving::Patience::default(), proxies, stop).await;
}

async fn say_health(State(site): State<Arc<Site>>) -> Response {
    let Some(health) = asked(move || (site.health)()).await else {
        return failed();
    };
    health_answer(health)
}

pub(crate) fn health_answer(health: Health) -> Response {
    let status = match health.status.as_str() {
        "ok" => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(health)).into_response()
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
}

async fn say_ready(State(site): State<Arc<Site>>) -> Response {
    match asked(move || (site.not_ready)()).await {
        Some(reasons) if reasons.is_empty() => {
            let ready = Json(Ready { status: "ready" });
            (StatusCode::OK, [(header::CACHE_CONTROL, "no-store")], ready).into_response()
        }
        Some(reasons) => with_reasons(
            StatusCode::SERVICE_UNAVAILABLE,
            "Not ready",
            reasons.join("; "),
            &reasons,
        ),
        None => failed(),
    }
}

async fn say_metrics(State(site): State<Arc<Site>>) -> Response {
    /// <https://prometheus.io/docs/specs/om/open_metrics_spec/#overall-structure>
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match asked(move || (site.metrics)()).await {
        Some(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        None => failed(),
    }
}

/// Where calls go out is nobody else's business than who calls whom.
async fn say_trunks(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    if let Some(refusal) = events::refused(&site, &headers) {
        return refusal;
    }
    match asked(move || (site.trunks)()).await {
        Some(trunks) => ([(header::CACHE_CONTROL, "no-store")], Json(trunks)).into_response(),
        None => failed(),
    }
}

/// What a page asks of the server may wait: not here, where the others are served.
pub(crate) async fn asked<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(ask).await.ok()
}

fn failed() -> Response {
    problem(
        StatusCode::INTERNAL_SERVER_ERROR,
        "A fault of ours",
        "see the log".to_owned(),
    )
}
