//! Records of calls.

use axum::{
    Json,
    body::Body,
    extract::Path,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use segue_jobs::Form;
use segue_manage::{
    Access, CallQuery, CallsWanted, Page, PageAsked, Refusal, RefusedView, Scope, SomeCalls, refused_json,
};
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
        .routes(routes!(export))
        .routes(routes!(refused))
        .routes(routes!(show_refused))
        .routes(routes!(show))
        .routes(routes!(hours))
}

/// List ended calls, the newest first (docs/records.md)
#[utoipa::path(
    get, path = "/calls", tag = "calls", operation_id = "calls",
    params(CallQuery, PageAsked),
    responses(
        (status = 200, body = Page<Value>), (status = 304), (status = 403, body = Problem), (status = 422, body = Problem)
    )
)]
async fn list(who: Who, asked: Asked<CallQuery>, page: Asked<PageAsked>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.calls(&asked.0, &page.0)).await?)
}

/// How records are written.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Written {
    /// CSV with a header (RFC 4180).
    #[default]
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// In which form.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct FormAsked {
    /// `csv`, or `jsonl`: one JSON object a line; absent: CSV.
    #[serde(default)]
    #[param(inline)]
    form: Written,
}

/// Save the records of ended calls as files of records have them, the oldest first; `q` is refused (docs/records.md)
#[utoipa::path(
    get, path = "/calls/export", tag = "calls", operation_id = "export_calls",
    params(CallQuery, FormAsked),
    responses(
        (status = 200, content_type = "text/csv", body = String, description = "A record that cannot be read is left out"),
        (status = 403, body = Problem), (status = 422, body = Problem)
    )
)]
async fn export(who: Who, asked: Asked<CallQuery>, form: Asked<FormAsked>) -> Result<Response, Problem> {
    let form = match form.0.form {
        Written::Csv => Form::Csv,
        Written::Jsonl => Form::JsonLines,
    };
    let wanted = CallsWanted::try_from(&asked.0)?;
    who.access().need(Scope::CallsRead)?;
    Ok(exported(who.access().clone(), wanted, form))
}

/// Some records at a time, as they are taken.
fn exported(access: Access, wanted: CallsWanted, form: Form) -> Response {
    let now = UnixMs(access.now_ms()).rfc3339();
    let day = now.get(..10).unwrap_or_default();
    let (media_type, ending) = match form {
        Form::Csv => ("text/csv; charset=utf-8; header=present", "csv"),
        Form::JsonLines => ("application/jsonl", "jsonl"),
    };
    let head = Some(form.head()).filter(|head| !head.is_empty());
    let lines = stream::unfold((head, Some((access, wanted))), move |(head, rest)| async move {
        if let Some(head) = head {
            return Some((Ok(head), (None, rest)));
        }
        let (access, mut wanted) = rest?;
        let asked = tokio::task::spawn_blocking(move || {
            let some = access.next_calls(&mut wanted);
            (some, access, wanted)
        });
        match asked.await {
            Ok((Ok(Some(SomeCalls { calls, unreadable })), access, wanted)) => {
                for why in unreadable {
                    tracing::warn!("{why}; it is left out of an export");
                }
                let lines: String = calls.iter().map(|call| form.line(call)).collect();
                Some((Ok(lines), (None, Some((access, wanted)))))
            }
            Ok((Ok(None), ..)) => None,
            // It breaks off: nobody takes it for whole.
            Ok((Err(refusal), ..)) => Some((Err(std::io::Error::other(refusal.to_string())), (None, None))),
            Err(_) => Some((Err(std::io::Error::other("the records cannot be read")), (None, None))),
        }
    });
    let mut response = Body::from_stream(lines).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"calls-{day}.{ending}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

/// Between which moments.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Between {
    /// What came then or later (RFC 3339).
    #[param(format = "date-time")]
    since: Option<String>,
    /// What came before then (RFC 3339).
    #[param(format = "date-time")]
    until: Option<String>,
}

/// List what was refused, the newest first: rejected calls, and requests that never became calls
#[utoipa::path(
    get, path = "/refused", tag = "calls", operation_id = "refused",
    params(Between, PageAsked),
    responses(
        (status = 200, body = Page<RefusedView>), (status = 304), (status = 403, body = Problem),
        (status = 422, body = Problem)
    )
)]
async fn refused(who: Who, asked: Asked<Between>, page: Asked<PageAsked>, seen: Seen) -> Result<Response, Problem> {
    let Between { since, until } = asked.0;
    let between = CallQuery {
        since,
        until,
        ..CallQuery::default()
    };
    seen.answer(&who.ask(move |access| access.refused(&between, &page.0)).await?)
}

/// Show all of a request that never became a call, with its ladder
#[utoipa::path(
    get, path = "/refused/{call}", tag = "calls", operation_id = "refused_request",
    params(("call" = String, Path, description = "Its id, as `/refused` has it")),
    responses((status = 200, body = Value), (status = 304), (status = 403, body = Problem), (status = 404, body = Problem))
)]
async fn show_refused(who: Who, Path(call): Path<String>, seen: Seen) -> Result<Response, Problem> {
    let found = who.ask(move |access| access.refused_request(&call).map(|record| refused_json(&record)));
    seen.answer(&found.await?)
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
