//! Groups: subscribers whose messages are for several others.

use axum::{
    Json,
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use segue_manage::{Page, PageAsked, TeamGiven, TeamView};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    given::{self, Asked, Given},
    portal::Web,
    problem::Problem,
    seen::Seen,
    who::Who,
};

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, set, remove))
}

/// List the groups that have members (docs/groups.md); for operators
#[utoipa::path(
    get, path = "/groups", tag = "system", operation_id = "groups",
    params(PageAsked),
    responses((status = 200, body = Page<TeamView>), (status = 304), (status = 403, body = Problem))
)]
async fn list(who: Who, page: Asked<PageAsked>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.teams(&page.0)).await?)
}

/// Add a group with its members: all of it, or nothing; it is set and removed as other subscribers are; for operators
#[utoipa::path(
    post, path = "/groups", tag = "system", operation_id = "add_group",
    request_body = TeamGiven,
    responses(
        (status = 201, body = TeamView), (status = 403, body = Problem), (status = 422, body = Problem),
        (status = 404, body = Problem, description = "A member is nobody"),
        (status = 409, body = Problem, description = "The name is taken, or a member is a group")
    )
)]
async fn add(who: Who, Given(given): Given<TeamGiven>) -> Result<Response, Problem> {
    let at = format!("/api/v1/groups/{}", given::encoded(&given.group));
    let added = who.ask(move |access| access.add_team(given)).await?;
    let view = Seen::default().answer(&added)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, at)], view).into_response())
}

/// Show who gets the messages of a group; a subscriber without members is none; for operators
#[utoipa::path(
    get, path = "/groups/{group}", tag = "system", operation_id = "group",
    params(("group" = String, Path, description = "Its name")),
    responses((status = 200, body = TeamView), (status = 304), (status = 403, body = Problem), (status = 404, body = Problem))
)]
async fn show(who: Who, Path(group): Path<String>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.team(&group)).await?)
}

/// Who shall be in a group.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TeamMembers {
    /// All of them.
    members: Vec<String>,
}

/// Set who is in a group: all of it, or nothing; who goes keeps the messages that they have; for operators
#[utoipa::path(
    put, path = "/groups/{group}", tag = "system", operation_id = "set_group",
    params(("group" = String, Path, description = "Its name")),
    request_body = TeamMembers,
    responses(
        (status = 200, body = TeamView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "A member is a group"),
        (status = 412, body = Problem, description = "It is not what If-Match says"), (status = 422, body = Problem)
    )
)]
async fn set(
    who: Who,
    Path(group): Path<String>,
    seen: Seen,
    Given(given): Given<TeamMembers>,
) -> Result<Response, Problem> {
    let set = who.ask(move |access| access.set_team(&group, given.members, move |now| seen.may_change(now)));
    Seen::default().answer(&set.await?)
}

/// What stays of a group that is removed.
#[derive(Debug, Serialize, ToSchema)]
struct TeamRemoved {
    /// Messages of its own mailbox, from when it had no members, that stay until they are deleted.
    messages_kept: usize,
}

/// Remove a group with its rules, contacts and logins; its members keep the messages that they have; for operators
#[utoipa::path(
    delete, path = "/groups/{group}", tag = "system", operation_id = "remove_group",
    params(("group" = String, Path, description = "Its name")),
    responses(
        (status = 200, body = TeamRemoved), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "It has no members, and is removed as a subscriber"),
        (status = 412, body = Problem, description = "It is not what If-Match says")
    )
)]
async fn remove(who: Who, Path(group): Path<String>, seen: Seen) -> Result<Json<TeamRemoved>, Problem> {
    let removed = who.ask(move |access| access.remove_team(&group, move |now| seen.may_change(now)));
    let messages_kept = removed.await?;
    Ok(Json(TeamRemoved { messages_kept }))
}
