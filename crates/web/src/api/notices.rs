//! Notices on their way and dead letters, for operators; and how a subscriber is told.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use segue_manage::{NoticeCountView, NoticeQuery, NoticeView, NotifyBounds, NotifyGiven, NotifyView, Page, PageAsked};
use serde::Serialize;
use utoipa::ToSchema;
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
        .routes(routes!(list))
        .routes(routes!(counts))
        .routes(routes!(retry_dead))
        .routes(routes!(show, discard))
        .routes(routes!(retry))
        .routes(routes!(notify, set_notify))
}

/// The number in a path; what is none names nothing.
pub(crate) fn numbered(notice: &str) -> Result<i64, Problem> {
    let nothing = || Problem::new(StatusCode::NOT_FOUND, format!("no notice named '{notice}'"));
    notice.parse().map_err(|_| nothing().code("not_found"))
}

/// List notices, the newest first: those that wait, the dead letters, and those delivered within a week
#[utoipa::path(
    get, path = "/notices", tag = "system", operation_id = "notices",
    params(NoticeQuery, PageAsked),
    responses((status = 200, body = Page<NoticeView>), (status = 304), (status = 403, body = Problem), (status = 422, body = Problem))
)]
async fn list(who: Who, query: Asked<NoticeQuery>, page: Asked<PageAsked>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.notices(&query.0, &page.0)).await?)
}

/// Count the notices that wait and the dead letters, by channel
#[utoipa::path(
    get, path = "/notice-counts", tag = "system", operation_id = "notice_counts",
    responses((status = 200, body = Vec<NoticeCountView>), (status = 403, body = Problem))
)]
async fn counts(who: Who) -> Result<Json<Vec<NoticeCountView>>, Problem> {
    Ok(Json(who.ask(|access| access.notice_counts()).await?))
}

/// How many there were.
#[derive(Debug, Serialize, ToSchema)]
struct Retried {
    retried: u64,
}

/// Try all dead letters again
#[utoipa::path(
    post, path = "/notices/retry", tag = "system", operation_id = "retry_dead_notices",
    responses((status = 200, body = Retried), (status = 403, body = Problem))
)]
async fn retry_dead(who: Who) -> Result<Json<Retried>, Problem> {
    let retried = who.ask(|access| access.retry_dead_notices()).await?;
    Ok(Json(Retried { retried }))
}

/// Show a notice: attempts, and what the receiver said last
#[utoipa::path(
    get, path = "/notices/{notice}", tag = "system", operation_id = "notice",
    params(("notice" = String, Path, description = "The notice's id")),
    responses((status = 200, body = NoticeView), (status = 304), (status = 403, body = Problem), (status = 404, body = Problem))
)]
async fn show(who: Who, Path(notice): Path<String>, seen: Seen) -> Result<Response, Problem> {
    who.access().need(segue_manage::Scope::SystemRead)?;
    let id = numbered(&notice)?;
    seen.answer(&who.ask(move |access| access.notice(id)).await?)
}

/// Take a notice out of the queue for good: nobody is told
#[utoipa::path(
    delete, path = "/notices/{notice}", tag = "system", operation_id = "drop_notice",
    params(("notice" = String, Path, description = "The notice's id")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem))
)]
async fn discard(who: Who, Path(notice): Path<String>) -> Result<StatusCode, Problem> {
    who.access().need(segue_manage::Scope::SystemWrite)?;
    let id = numbered(&notice)?;
    who.ask(move |access| access.drop_notice(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Try a notice again now, with as much time as a new one
#[utoipa::path(
    post, path = "/notices/{notice}/retry", tag = "system", operation_id = "retry_notice",
    params(("notice" = String, Path, description = "The notice's id")),
    responses((status = 200, body = NoticeView), (status = 403, body = Problem), (status = 404, body = Problem))
)]
async fn retry(who: Who, Path(notice): Path<String>) -> Result<Json<NoticeView>, Problem> {
    who.access().need(segue_manage::Scope::SystemWrite)?;
    let id = numbered(&notice)?;
    Ok(Json(who.ask(move |access| access.retry_notice(id)).await?))
}

/// Show how a subscriber is told of messages and missed calls (docs/notices.md)
#[utoipa::path(
    get, path = "/subscribers/{user}/notify", tag = "subscribers", operation_id = "notify",
    params(("user" = String, Path, description = "The subscriber")),
    responses((status = 200, body = NotifyView), (status = 304), (status = 404, body = Problem))
)]
async fn notify(who: Who, Path(user): Path<String>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.notify(&user)).await?)
}

/// Set how a subscriber is told, all of it
#[utoipa::path(
    put, path = "/subscribers/{user}/notify", tag = "subscribers", operation_id = "set_notify",
    params(("user" = String, Path, description = "The subscriber")),
    request_body = NotifyGiven,
    responses(
        (status = 200, body = NotifyView), (status = 404, body = Problem), (status = 422, body = Problem),
        (status = 412, body = Problem, description = "It is not what If-Match says")
    )
)]
async fn set_notify(
    who: Who,
    State(web): State<Web>,
    Path(user): Path<String>,
    seen: Seen,
    Given(given): Given<NotifyGiven>,
) -> Result<Response, Problem> {
    let set = put(&who, &web, user, given, move |now| seen.may_change(now)).await?;
    Seen::default().answer(&set)
}

/// Sets it within what who asks may.
pub(crate) async fn put(
    who: &Who,
    web: &Web,
    user: String,
    given: NotifyGiven,
    is_as_seen: impl FnOnce(&NotifyView) -> bool + Send + 'static,
) -> Result<NotifyView, Problem> {
    let profiles = web.profiles().await?;
    let site = Arc::clone(web.site());
    who.ask(move |access| {
        let bounds = NotifyBounds {
            profiles: &profiles,
            may_call: &*site.may_call,
        };
        access.set_notify(&user, &given, &bounds, is_as_seen)
    })
    .await
}
