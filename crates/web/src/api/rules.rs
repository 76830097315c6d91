//! Rules of subscribers.

use axum::{
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use segue_manage::{RuleGiven, RuleView};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    given::{self, Given},
    portal::Web,
    problem::Problem,
    seen::Seen,
    who::Who,
};

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, set, shift, remove))
}

/// Whether the rules are what `If-Match` says: all of them, or the one in this place.
pub(crate) fn as_seen(seen: Seen, place: Option<usize>) -> impl FnOnce(&[RuleView]) -> bool + Send + 'static {
    move |now| {
        let one = place.and_then(|place| now.get(place.checked_sub(1)?));
        seen.may_change(&now) || one.is_some_and(|one| seen.may_change(one))
    }
}

/// The place in a path; what is no number is none.
fn numbered(place: &str) -> Result<usize, Problem> {
    let nothing = || Problem::new(StatusCode::NOT_FOUND, format!("no rule named '{place}'"));
    place.parse().map_err(|_| nothing().code("not_found"))
}

/// List a subscriber's rules in their order (docs/rules.md)
#[utoipa::path(
    get, path = "/subscribers/{user}/rules", tag = "rules", operation_id = "rules",
    params(("user" = String, Path, description = "The subscriber")),
    responses((status = 200, body = Vec<RuleView>), (status = 304), (status = 404, body = Problem))
)]
async fn list(who: Who, Path(user): Path<String>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.rules(&user)).await?)
}

/// Add a rule, as the last or in its place
#[utoipa::path(
    post, path = "/subscribers/{user}/rules", tag = "rules", operation_id = "add_rule",
    params(("user" = String, Path, description = "The subscriber")),
    request_body = RuleGiven,
    responses(
        (status = 201, body = RuleView), (status = 404, body = Problem), (status = 422, body = Problem),
        (status = 409, body = Problem, description = "There are too many, or there is no such place"),
        (status = 412, body = Problem, description = "The rules are not what If-Match says")
    )
)]
async fn add(
    who: Who,
    State(web): State<Web>,
    Path(user): Path<String>,
    seen: Seen,
    Given(rule): Given<RuleGiven>,
) -> Result<Response, Problem> {
    let profiles = web.profiles().await?;
    let at = format!("/api/v1/subscribers/{}/rules", given::encoded(&user));
    let added = who.ask(move |access| {
        let rule = (rule.rule(&profiles)?, rule.place);
        let place = access.add_rule(&user, rule.clone(), &profiles, as_seen(seen, None))?;
        Ok((place, RuleView::new(place, &rule.0)))
    });
    let (place, view) = added.await?;
    let location = [(header::LOCATION, format!("{at}/{place}"))];
    Ok((StatusCode::CREATED, location, Seen::default().answer(&view)?).into_response())
}

/// Show the rule in this place, 1 for the first
#[utoipa::path(
    get, path = "/subscribers/{user}/rules/{place}", tag = "rules", operation_id = "rule",
    params(("user" = String, Path, description = "The subscriber"), ("place" = usize, Path, description = "Its place")),
    responses((status = 200, body = RuleView), (status = 304), (status = 404, body = Problem))
)]
async fn show(who: Who, Path((user, place)): Path<(String, String)>, seen: Seen) -> Result<Response, Problem> {
    let place = numbered(&place)?;
    seen.answer(&who.ask(move |access| access.rule(&user, place)).await?)
}

/// Put another rule in the place of this one; a member `place` moves it
#[utoipa::path(
    put, path = "/subscribers/{user}/rules/{place}", tag = "rules", operation_id = "set_rule",
    params(("user" = String, Path, description = "The subscriber"), ("place" = usize, Path, description = "Its place")),
    request_body = RuleGiven,
    responses(
        (status = 200, body = RuleView), (status = 404, body = Problem), (status = 422, body = Problem),
        (status = 409, body = Problem, description = "There is no such place to move to"),
        (status = 412, body = Problem, description = "Neither the rules nor this one are what If-Match says")
    )
)]
async fn set(
    who: Who,
    State(web): State<Web>,
    Path((user, place)): Path<(String, String)>,
    seen: Seen,
    Given(rule): Given<RuleGiven>,
) -> Result<Response, Problem> {
    let place = numbered(&place)?;
    let profiles = web.profiles().await?;
    let set = who.ask(move |access| {
        let rule = (rule.rule(&profiles)?, rule.place);
        let now = access.set_rule(&user, place, rule.clone(), &profiles, as_seen(seen, Some(place)))?;
        Ok(RuleView::new(now, &rule.0))
    });
    Seen::default().answer(&set.await?)
}

/// Where a rule is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RuleMoved {
    /// Its new place, 1 for the first.
    place: usize,
}

/// Give a rule another place
#[utoipa::path(
    patch, path = "/subscribers/{user}/rules/{place}", tag = "rules", operation_id = "move_rule",
    params(("user" = String, Path, description = "The subscriber"), ("place" = usize, Path, description = "Its place")),
    request_body = RuleMoved,
    responses(
        (status = 200, body = RuleView), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "There is no such place to move to"),
        (status = 412, body = Problem, description = "Neither the rules nor this one are what If-Match says")
    )
)]
async fn shift(
    who: Who,
    Path((user, place)): Path<(String, String)>,
    seen: Seen,
    Given(moved): Given<RuleMoved>,
) -> Result<Response, Problem> {
    let (place, to) = (numbered(&place)?, moved.place);
    let rule = who.ask(move |access| access.move_rule(&user, place, to, as_seen(seen, Some(place))));
    Seen::default().answer(&RuleView::new(to, &rule.await?))
}

/// Remove a rule
#[utoipa::path(
    delete, path = "/subscribers/{user}/rules/{place}", tag = "rules", operation_id = "remove_rule",
    params(("user" = String, Path, description = "The subscriber"), ("place" = usize, Path, description = "Its place")),
    responses(
        (status = 204), (status = 404, body = Problem),
        (status = 412, body = Problem, description = "Neither the rules nor this one are what If-Match says")
    )
)]
async fn remove(who: Who, Path((user, place)): Path<(String, String)>, seen: Seen) -> Result<StatusCode, Problem> {
    let place = numbered(&place)?;
    let removed = who.ask(move |access| access.remove_rule(&user, place, as_seen(seen, Some(place))));
    removed.await.map(|_| StatusCode::NO_CONTENT)
}
