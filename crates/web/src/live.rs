//! `GET /calls` and `GET /calls/{id}`: the calls that are up, for whoever may follow events.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use segue_b2bua::{LIVE_AT_ONCE, NoAnswer};
use segue_records::LiveCall;
use serde::Deserialize;
use serde_json::Value;

use crate::{Site, events, problem::problem};

#[derive(Debug, Deserialize)]
pub(crate) struct Older {
    before: Option<String>,
}

/// The latest [`LIVE_AT_ONCE`] calls, the latest first; `?before=ID` goes on behind one.
pub(crate) async fn list(State(site): State<Arc<Site>>, headers: HeaderMap, older: Query<Older>) -> Response {
    if let Some(refusal) = events::refused(&site, &headers) {
        return refusal;
    }
    match site.live.list(older.before.as_deref(), LIVE_AT_ONCE).await {
        Ok(calls) => said(calls.iter().map(LiveCall::to_json).collect()),
        Err(error) => no_answer(error),
    }
}

/// One call with the ladders of its legs so far.
pub(crate) async fn show(State(site): State<Arc<Site>>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    if let Some(refusal) = events::refused(&site, &headers) {
        return refusal;
    }
    match site.live.show(&id).await {
        Ok(Some(call)) => said(call.to_full_json()),
        Ok(None) => problem(
            StatusCode::NOT_FOUND,
            "Not found",
            "no call that is up has this id; ended ones are in 'segue call list'".to_owned(),
        ),
        Err(error) => no_answer(error),
    }
}

fn said(value: Value) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(value)).into_response()
}

fn no_answer(error: NoAnswer) -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, "Not now", error.to_string())
}
