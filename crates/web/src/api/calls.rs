//! Records of calls.

use axum::{Json, extract::Path, response::Response};
use segue_manage::{CallQuery, Page, PageAsked, Refusal};
use segue_records::UnixMs;
use segue_store::CallsOfHour;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{given::Asked, portal::Web, problem::Problem, seen::Seen, who::Who};

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(hours))
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
    seen.answer(
        &who.ask(move |access| access.call(&call).map(|record| record.to_full_json()))
            .await?,
    )
}

/// Which hours.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct HoursAsked {
    /// From this many hours ago on, 1 to 8,760; absent: 24.
    #[param(minimum = 1, maximum = 8760)]
    hours: Option<u32>,
}

/// The calls of an hour that ended the same way.
#[derive(Debug, Serialize, ToSchema)]
struct HourView {
    /// When the hour began (RFC 3339, UTC).
    hour: String,
    /// What became of them, as in records.
    result: String,
    /// How many.
    calls: u64,
}

/// Count the calls of each hour by what became of them, the oldest first
#[utoipa::path(
    get, path = "/call-hours", tag = "calls", operation_id = "call_hours",
    params(HoursAsked),
    responses((status = 200, body = Vec<HourView>), (status = 403, body = Problem), (status = 422, body = Problem))
)]
async fn hours(who: Who, asked: Asked<HoursAsked>) -> Result<Json<Vec<HourView>>, Problem> {
    let hours = asked.0.hours.unwrap_or(24);
    if !(1..=8_760).contains(&hours) {
        return Err(Problem::from(Refusal::Invalid {
            field: "hours",
            why: "it is a number from 1 to 8760".to_owned(),
        }));
    }
    let since = who.access().now_ms() - i64::from(hours) * 3_600_000;
    let counted = who.ask(move |access| access.calls_by_hour(since)).await?;
    let view = |of: &CallsOfHour| HourView {
        hour: UnixMs(of.hour_ms).rfc3339(),
        result: of.result.as_str().to_owned(),
        calls: of.calls,
    };
    Ok(Json(counted.iter().map(view).collect()))
}
