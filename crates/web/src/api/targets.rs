//! Where subscribers are reached.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use segue_manage::{TargetGiven, TargetView, TargetsView};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{given::Given, portal::Web, problem::Problem, seen::Seen, who::Who};

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, shift, remove))
}

/// The place in a path; what is no number is none.
fn numbered(place: &str) -> Result<usize, Problem> {
    let nothing = || Problem::new(StatusCode::NOT_FOUND, format!("no target named '{place}'"));
    place.parse().map_err(|_| nothing().code("not_found"))
}

/// List where a subscriber is reached, and how several places ring
#[utoipa::path(
    get, path = "/subscribers/{user}/targets", tag = "subscribers", operation_id = "targets",
    params(("user" = String, Path, description = "The subscriber")),
    responses((status = 200, body = TargetsView), (status = 304), (status = 404, body = Problem))
)]
async fn list(who: Who, Path(user): Path<String>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.targets(&user)).await?)
}

/// Add a target, as the last or in its place
#[utoipa::path(
    post, path = "/subscribers/{user}/targets", tag = "subscribers", operation_id = "add_target",
    params(("user" = String, Path, description = "The subscriber")),
    request_body = TargetGiven,
    responses(
        (status = 201, body = TargetsView), (status = 404, body = Problem), (status = 422, body = Problem),
        (status = 412, body = Problem, description = "The targets are not what If-Match says")
    )
)]
async fn add(
    who: Who,
    State(web): State<Web>,
    Path(user): Path<String>,
    seen: Seen,
    Given(given): Given<TargetGiven>,
) -> Result<Response, Problem> {
    let profiles = web.profiles().await?;
    let added = who.ask(move |access| access.add_target(&user, given, &profiles, move |now| seen.may_change(now)));
    Ok((StatusCode::CREATED, Seen::default().answer(&added.await?)?).into_response())
}

/// Show the target in this place, 1 for the first
#[utoipa::path(
    get, path = "/subscribers/{user}/targets/{place}", tag = "subscribers", operation_id = "target",
    params(("user" = String, Path, description = "The subscriber"), ("place" = usize, Path, description = "Its place")),
    responses((status = 200, body = TargetView), (status = 304), (status = 404, body = Problem))
)]
async fn show(who: Who, Path((user, place)): Path<(String, String)>, seen: Seen) -> Result<Response, Problem> {
    let place = numbered(&place)?;
    seen.answer(&who.ask(move |access| access.target(&user, place)).await?)
}

/// Where a target is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TargetMoved {
    /// Its new place, 1 for the first.
    place: usize,
}

/// Give a target another place: in order the first is called first
#[utoipa::path(
    patch, path = "/subscribers/{user}/targets/{place}", tag = "subscribers", operation_id = "move_target",
    params(("user" = String, Path, description = "The subscriber"), ("place" = usize, Path, description = "Its place")),
    request_body = TargetMoved,
    responses(
        (status = 200, body = TargetsView), (status = 404, body = Problem), (status = 422, body = Problem),
        (status = 412, body = Problem, description = "The targets are not what If-Match says")
    )
)]
async fn shift(
    who: Who,
    Path((user, place)): Path<(String, String)>,
    seen: Seen,
    Given(moved): Given<TargetMoved>,
) -> Result<Response, Problem> {
    let place = numbered(&place)?;
    let moved = who.ask(move |access| access.move_target(&user, place, moved.place, move |now| seen.may_change(now)));
    Seen::default().answer(&moved.await?)
}

/// Remove a target; the last one stays
#[utoipa::path(
    delete, path = "/subscribers/{user}/targets/{place}", tag = "subscribers", operation_id = "remove_target",
    params(("user" = String, Path, description = "The subscriber"), ("place" = usize, Path, description = "Its place")),
    responses(
        (status = 204), (status = 404, body = Problem), (status = 422, body = Problem),
        (status = 412, body = Problem, description = "The targets are not what If-Match says")
    )
)]
async fn remove(who: Who, Path((user, place)): Path<(String, String)>, seen: Seen) -> Result<StatusCode, Problem> {
    let place = numbered(&place)?;
    let removed = who.ask(move |access| access.remove_target(&user, place, move |now| seen.may_change(now)));
    removed.await.map(|_| StatusCode::NO_CONTENT)
}
