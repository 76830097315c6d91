//! Records of calls.

use axum::{extract::Path, response::Response};
use segue_manage::{CallQuery, Page, PageAsked};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{given::Asked, portal::Web, problem::Problem, seen::Seen, who::Who};

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show))
}

/// List ended calls, the newest first (docs/records.md)
#[utoipa::path(
    get, path = "/calls", tag = "calls", operation_id = "calls",
    params(CallQuery, PageAsked),
    responses((status = 200, body = Page<Value>), (status = 304), (status = 403, body = Problem))
)]
async fn list(who: Who, asked: Asked<CallQuery>, page: Asked<PageAsked>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.calls(&asked.0, &page.0)).await?)
}

/// Show all of one call: ladders, media, switches
#[utoipa::path(
    get, path = "/calls/{call}", tag = "calls", operation_id = "call",
    params(("call" = String, Path, description = "The call's id")),
    responses((status = 200, body = Value), (status = 304), (status = 403, body = Problem), (status = 404, body = Problem))
)]
async fn show(who: Who, Path(call): Path<String>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.call(&call)).await?)
}
