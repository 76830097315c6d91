//! How long messages are kept.

use axum::{Json, extract::Path, response::Response};
use segue_manage::{
    AuditView, ChangeForeseen, ForeseenView, Refusal, RetentionChange, RetentionChanged, RetentionView, written,
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    given::{Asked, Given},
    portal::Web,
    problem::Problem,
    seen::Seen,
    who::Who,
};

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(show, change))
        .routes(routes!(preview, preview_change))
        .routes(routes!(audit))
}

/// For which moment.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct At {
    /// As if it were then (RFC 3339); absent: now.
    #[param(format = "date-time")]
    at: Option<String>,
}

impl At {
    fn ms(&self) -> Result<Option<i64>, Refusal> {
        let read = self.at.as_deref().map(written::moment).transpose();
        read.map_err(|why| Refusal::Invalid {
            field: "at",
            why: format!("{why}, is needed"),
        })
    }
}

/// Show the rules of a mailbox
#[utoipa::path(
    get, path = "/subscribers/{user}/retention", tag = "retention", operation_id = "retention",
    params(("user" = String, Path, description = "The subscriber")),
    responses((status = 200, body = RetentionView), (status = 304), (status = 404, body = Problem))
)]
async fn show(who: Who, Path(user): Path<String>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.retention(&user)).await?)
}

/// Change the rules of a mailbox; they act at once
#[utoipa::path(
    patch, path = "/subscribers/{user}/retention", tag = "retention", operation_id = "change_retention",
    params(("user" = String, Path, description = "The subscriber")),
    request_body = RetentionChange,
    responses(
        (status = 200, body = RetentionChanged), (status = 404, body = Problem), (status = 422, body = Problem),
        (status = 412, body = Problem, description = "They are not what If-Match says, or other messages would go than `seen` says")
    )
)]
async fn change(
    who: Who,
    Path(user): Path<String>,
    seen: Seen,
    Given(change): Given<RetentionChange>,
) -> Result<Json<RetentionChanged>, Problem> {
    let changed = who.ask(move |access| access.set_retention(&user, change, move |now| seen.may_change(now)));
    Ok(Json(changed.await?))
}

/// Say what the rules would do, now or at another moment, and what is to come; changes nothing
#[utoipa::path(
    get, path = "/subscribers/{user}/retention/preview", tag = "retention", operation_id = "preview_retention",
    params(("user" = String, Path, description = "The subscriber"), At),
    responses((status = 200, body = Vec<ForeseenView>), (status = 404, body = Problem), (status = 422, body = Problem))
)]
async fn preview(who: Who, Path(user): Path<String>, at: Asked<At>, seen: Seen) -> Result<Response, Problem> {
    let at_ms = at.0.ms()?;
    seen.answer(&who.ask(move |access| access.foresee_retention(&user, at_ms)).await?)
}

/// Say what a change of the rules would do now, and what would then be to come; changes nothing
#[utoipa::path(
    post, path = "/subscribers/{user}/retention/preview", tag = "retention", operation_id = "preview_retention_change",
    params(("user" = String, Path, description = "The subscriber")),
    request_body = RetentionChange,
    responses((status = 200, body = ChangeForeseen), (status = 404, body = Problem), (status = 422, body = Problem))
)]
async fn preview_change(
    who: Who,
    Path(user): Path<String>,
    Given(change): Given<RetentionChange>,
) -> Result<Json<ChangeForeseen>, Problem> {
    Ok(Json(who.ask(move |access| access.foresee_change(&user, change)).await?))
}

/// List what the rules have deleted, oldest first
#[utoipa::path(
    get, path = "/subscribers/{user}/retention/audit", tag = "retention", operation_id = "retention_audit",
    params(("user" = String, Path, description = "The subscriber")),
    responses((status = 200, body = Vec<AuditView>), (status = 404, body = Problem))
)]
async fn audit(who: Who, Path(user): Path<String>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.retention_audit(&user)).await?)
}
