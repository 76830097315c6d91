//! Subscribers.

use axum::{extract::Path, response::Response};
use segue_manage::{Page, PageAsked, SubscriberChange, SubscriberView};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    given::{Asked, Given},
    portal::Web,
    problem::Problem,
    seen::Seen,
    who::Who,
};

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, change))
}

/// List subscribers by name; a subscriber sees themselves
#[utoipa::path(
    get, path = "/subscribers", tag = "subscribers", operation_id = "subscribers",
    params(PageAsked),
    responses((status = 200, body = Page<SubscriberView>), (status = 304), (status = 401, body = Problem))
)]
async fn list(who: Who, page: Asked<PageAsked>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.subscribers(&page.0)).await?)
}

/// Show a subscriber
#[utoipa::path(
    get, path = "/subscribers/{user}", tag = "subscribers", operation_id = "subscriber",
    params(("user" = String, Path, description = "The subscriber")),
    responses((status = 200, body = SubscriberView), (status = 304), (status = 404, body = Problem))
)]
async fn show(who: Who, Path(user): Path<String>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.subscriber(&user)).await?)
}

/// Change what a subscriber may change themselves
#[utoipa::path(
    patch, path = "/subscribers/{user}", tag = "subscribers", operation_id = "change_subscriber",
    params(("user" = String, Path, description = "The subscriber")),
    request_body = SubscriberChange,
    responses(
        (status = 200, body = SubscriberView), (status = 404, body = Problem), (status = 422, body = Problem),
        (status = 412, body = Problem, description = "They are not what If-Match says")
    )
)]
async fn change(
    who: Who,
    Path(user): Path<String>,
    seen: Seen,
    Given(change): Given<SubscriberChange>,
) -> Result<Response, Problem> {
    let changed = who
        .ask(move |access| access.change_subscriber(&user, change, move |now| seen.may_change(now)))
        .await?;
    Seen::default().answer(&changed)
}
