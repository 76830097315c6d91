//! What the running server does now: calls that are up, and trunks.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use segue_b2bua::{LIVE_AT_ONCE, NoAnswer};
use segue_manage::Scope;
use segue_records::LiveCall;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{given::Asked, portal::Web, problem::Problem, who::Who};

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, end))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Older {
    /// Those that began before the call of this id.
    before: Option<String>,
}

/// List the calls that are up, the latest first, at most 500
#[utoipa::path(
    get, path = "/live", tag = "calls", operation_id = "live_calls",
    params(Older),
    responses((status = 200, body = Vec<Value>), (status = 403, body = Problem), (status = 503, body = Problem))
)]
async fn list(who: Who, State(web): State<Web>, older: Asked<Older>) -> Result<Json<Vec<Value>>, Problem> {
    who.access().need(Scope::CallsRead)?;
    let calls = web.site().live.list(older.0.before.as_deref(), LIVE_AT_ONCE).await;
    Ok(Json(calls.map_err(no_answer)?.iter().map(LiveCall::to_json).collect()))
}

/// Show a call that is up: phase, ladders so far, what its caller sees
#[utoipa::path(
    get, path = "/live/{call}", tag = "calls", operation_id = "live_call",
    params(("call" = String, Path, description = "The call's id")),
    responses((status = 200, body = Value), (status = 403, body = Problem), (status = 404, body = Problem))
)]
async fn show(who: Who, State(web): State<Web>, Path(call): Path<String>) -> Result<Json<Value>, Problem> {
    who.access().need(Scope::CallsRead)?;
    let found = web.site().live.show(&call).await.map_err(no_answer)?;
    found.map(|call| Json(call.to_full_json())).ok_or_else(not_up)
}

/// Hang up a call that is up; a recording under way is kept
#[utoipa::path(
    delete, path = "/live/{call}", tag = "calls", operation_id = "hang_up",
    params(("call" = String, Path, description = "The call's id")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem))
)]
async fn end(who: Who, State(web): State<Web>, Path(call): Path<String>) -> Result<StatusCode, Problem> {
    hang_up(&who, &web, call).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Hangs up for somebody, and has it put down before: who did it is known whatever becomes of us.
pub(crate) async fn hang_up(who: &Who, web: &Web, call: String) -> Result<(), Problem> {
    who.access().need(Scope::CallsWrite)?;
    let live = &web.site().live;
    if live.show(&call).await.map_err(no_answer)?.is_none() {
        return Err(not_up());
    }
    let id = call.clone();
    who.ask(move |access| access.did("call.hang_up", &id)).await?;
    // Gone meanwhile: it is as they want it.
    live.hang_up(&call).await.map_err(no_answer)?;
    Ok(())
}

fn not_up() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no call that is up has this id; ended ones are in /api/v1/calls",
    )
}

fn no_answer(error: NoAnswer) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}
