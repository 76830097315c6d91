//! The HTTP side: health today.

use std::{future::Future, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use tokio::net::TcpListener;

/// What `GET /health` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// `ok`, or what is wrong in a word; anything but `ok` answers 503.
    pub status: String,
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

/// A problem as RFC 9457 describes it.
#[derive(Serialize)]
struct Problem {
    title: &'static str,
    status: u16,
    detail: String,
}

type Probe = Arc<dyn Fn() -> Health + Send + Sync>;

/// Serves until `stop` completes. `health` is asked for each request and must not block long.
///
/// Errors: what accepting fails with.
pub async fn serve(
    listener: TcpListener,
    health: impl Fn() -> Health + Send + Sync + 'static,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let probe: Probe = Arc::new(health);
    let routes = Router::new()
        .route("/health", get(say_health))
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
                format!("nothing is at {}; try /health", uri.path()),
            )
        })
        .with_state(probe);
    axum::serve(listener, routes).with_graceful_shutdown(stop).await
}

async fn say_health(State(probe): State<Probe>) -> Response {
    let health = probe();
    let status = if health.status == "ok" {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(health)).into_response()
}

fn problem(status: StatusCode, title: &'static str, detail: String) -> Response {
    let body = Json(Problem {
        title,
        status: status.as_u16(),
        detail,
    });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}
