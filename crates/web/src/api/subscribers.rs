//! Subscribers.

use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use segue_manage::{Page, PageAsked, PinView, SubscriberChange, SubscriberGiven, SubscriberPut, SubscriberView, Typed};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
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
        .routes(routes!(import))
        .routes(routes!(show, put, change, remove))
        .routes(routes!(set_password))
        .routes(routes!(show_pin, set_pin))
        .routes(routes!(unlock))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Sought {
    /// Those whose name, number or alias has this in it; absent: all.
    q: Option<String>,
}

/// List subscribers by name; a subscriber sees themselves
#[utoipa::path(
    get, path = "/subscribers", tag = "subscribers", operation_id = "subscribers",
    params(PageAsked, Sought),
    responses((status = 200, body = Page<SubscriberView>), (status = 304), (status = 401, body = Problem))
)]
async fn list(who: Who, page: Asked<PageAsked>, sought: Asked<Sought>, seen: Seen) -> Result<Response, Problem> {
    let q = sought.0.q.unwrap_or_default();
    seen.answer(&who.ask(move |access| access.find_subscribers(&q, &page.0)).await?)
}

/// Add a subscriber; for operators
#[utoipa::path(
    post, path = "/subscribers", tags = ["subscribers", "system"], operation_id = "add_subscriber",
    request_body = SubscriberGiven,
    responses(
        (status = 201, body = SubscriberView), (status = 403, body = Problem), (status = 422, body = Problem),
        (status = 409, body = Problem, description = "The name, a number or an alias is another's"),
        (status = 404, body = Problem, description = "A clip is not there")
    )
)]
async fn add(who: Who, State(web): State<Web>, Given(given): Given<SubscriberGiven>) -> Result<Response, Problem> {
    let profiles = web.profiles().await?;
    let at = format!("/api/v1/subscribers/{}", given::encoded(&given.user));
    let seals = web.site().seals.clone();
    let added = who.ask(move |access| access.add_subscriber(given, &profiles, seals.as_ref()));
    let view = Seen::default().answer(&added.await?)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, at)], view).into_response())
}

/// Those who were added.
#[derive(Debug, Serialize, ToSchema)]
struct SubscribersAdded {
    /// How many.
    added: usize,
    /// Their names, as they were given.
    users: Vec<String>,
}

/// Add several subscribers, 100 at most: all of them, or none; for operators
#[utoipa::path(
    post, path = "/subscribers/import", tags = ["subscribers", "system"], operation_id = "import_subscribers",
    request_body = Vec<SubscriberGiven>,
    responses(
        (status = 201, body = SubscribersAdded), (status = 403, body = Problem),
        (status = 422, body = Problem, description = "What is wrong is told of the first of whom something is, by its place from 1"),
        (status = 409, body = Problem, description = "A name, a number or an alias is another's"),
        (status = 404, body = Problem, description = "A clip is not there")
    )
)]
async fn import(
    who: Who,
    State(web): State<Web>,
    Given(all): Given<Vec<SubscriberGiven>>,
) -> Result<(StatusCode, Json<SubscribersAdded>), Problem> {
    let profiles = web.profiles().await?;
    let seals = web.site().seals.clone();
    let added = who.ask(move |access| Ok(access.add_subscribers(all, &profiles, seals.as_ref())));
    let users = added.await?.map_err(|(place, refusal)| {
        let problem = Problem::from(refusal);
        match problem.status() {
            StatusCode::FORBIDDEN => problem,
            _ => problem.of(&format!(
                "number {} of the list; nobody is added",
                place.saturating_add(1)
            )),
        }
    })?;
    let added = users.len();
    Ok((StatusCode::CREATED, Json(SubscribersAdded { added, users })))
}

/// What stays of a subscriber who is removed.
#[derive(Debug, Serialize, ToSchema)]
struct SubscriberRemoved {
    /// Messages that stay until they are deleted.
    messages_kept: usize,
}

/// Remove a subscriber with their rules, contacts and logins; their messages stay until they are deleted; for operators
#[utoipa::path(
    delete, path = "/subscribers/{user}", tags = ["subscribers", "system"], operation_id = "remove_subscriber",
    params(("user" = String, Path, description = "The subscriber")),
    responses(
        (status = 200, body = SubscriberRemoved), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 412, body = Problem, description = "They are not what If-Match says")
    )
)]
async fn remove(who: Who, Path(user): Path<String>, seen: Seen) -> Result<Json<SubscriberRemoved>, Problem> {
    let removed = who.ask(move |access| access.remove_subscriber(&user, move |now| seen.may_change(now)));
    let messages_kept = removed.await?;
    Ok(Json(SubscriberRemoved { messages_kept }))
}

/// A phone's password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PhonePassword {
    /// It is never told again.
    #[schema(value_type = String)]
    password: Typed,
}

/// Set with which password a subscriber's phones register and call; for operators
#[utoipa::path(
    put, path = "/subscribers/{user}/phone-password", tags = ["subscribers", "system"], operation_id = "set_phone_password",
    params(("user" = String, Path, description = "The subscriber")),
    request_body = PhonePassword,
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem))
)]
async fn set_password(
    who: Who,
    State(web): State<Web>,
    Path(user): Path<String>,
    Given(given): Given<PhonePassword>,
) -> Result<StatusCode, Problem> {
    let seals = web.site().seals.clone();
    let set = who.ask(move |access| access.set_phone_password(&user, &given.password, seals.as_ref()));
    set.await.map(|()| StatusCode::NO_CONTENT)
}

/// A PIN.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PinGiven {
    /// 4 to 10 digits; `null`: none.
    #[schema(value_type = Option<String>)]
    pin: Option<Typed>,
}

/// Set by which PIN a subscriber reaches their mailbox from phones of others; for operators
#[utoipa::path(
    put, path = "/subscribers/{user}/pin", tags = ["subscribers", "system"], operation_id = "set_pin",
    params(("user" = String, Path, description = "The subscriber")),
    request_body = PinGiven,
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem))
)]
async fn set_pin(
    who: Who,
    State(web): State<Web>,
    Path(user): Path<String>,
    Given(given): Given<PinGiven>,
) -> Result<StatusCode, Problem> {
    let seals = web.site().seals.clone();
    let set = who.ask(move |access| access.set_pin(&user, given.pin.as_ref(), seals.as_ref()));
    set.await.map(|()| StatusCode::NO_CONTENT)
}

/// Show how a subscriber's PIN stands
#[utoipa::path(
    get, path = "/subscribers/{user}/pin", tag = "subscribers", operation_id = "pin",
    params(("user" = String, Path, description = "The subscriber")),
    responses((status = 200, body = PinView), (status = 304), (status = 404, body = Problem))
)]
async fn show_pin(who: Who, Path(user): Path<String>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.pin(&user)).await?)
}

/// A PIN that may be tried again.
#[derive(Debug, Serialize, ToSchema)]
struct PinUnlocked {
    /// It was locked; else only its wrong tries are forgotten.
    was_locked: bool,
}

/// Let a PIN be tried again that too many wrong ones have locked; for operators
#[utoipa::path(
    post, path = "/subscribers/{user}/unlock", tags = ["subscribers", "system"], operation_id = "unlock_pin",
    params(("user" = String, Path, description = "The subscriber")),
    responses(
        (status = 200, body = PinUnlocked), (status = 403, body = Problem),
        (status = 404, body = Problem, description = "There is no such subscriber, or they have no PIN")
    )
)]
async fn unlock(who: Who, Path(user): Path<String>) -> Result<Json<PinUnlocked>, Problem> {
    let was_locked = who.ask(move |access| access.unlock_pin(&user)).await?;
    Ok(Json(PinUnlocked { was_locked }))
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

/// Add a subscriber, or have one be just this from now on; for operators
#[utoipa::path(
    put, path = "/subscribers/{user}", tags = ["subscribers", "system"], operation_id = "put_subscriber",
    params(("user" = String, Path, description = "The subscriber")),
    request_body = SubscriberPut,
    responses(
        (status = 200, body = SubscriberView), (status = 201, body = SubscriberView, description = "They are new"),
        (status = 403, body = Problem), (status = 422, body = Problem),
        (status = 404, body = Problem, description = "A clip is not there"),
        (status = 409, body = Problem, description = "The name, a number or an alias is another's"),
        (status = 412, body = Problem, description = "They are not what If-Match or If-None-Match says")
    )
)]
async fn put(
    who: Who,
    State(web): State<Web>,
    Path(user): Path<String>,
    seen: Seen,
    Given(given): Given<SubscriberPut>,
) -> Result<Response, Problem> {
    let profiles = web.profiles().await?;
    let seals = web.site().seals.clone();
    let at = format!("/api/v1/subscribers/{}", given::encoded(&user));
    let put = who.ask(move |access| {
        access.put_subscriber(&user, given, &profiles, seals.as_ref(), move |now| seen.may_put(now))
    });
    let (view, is_new) = put.await?;
    let view = Seen::default().answer(&view)?;
    match is_new {
        true => Ok((StatusCode::CREATED, [(header::LOCATION, at)], view).into_response()),
        false => Ok(view),
    }
}

/// Change a subscriber; what is an operator's, a subscriber may not
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
    State(web): State<Web>,
    Path(user): Path<String>,
    seen: Seen,
    Given(change): Given<SubscriberChange>,
) -> Result<Response, Problem> {
    let profiles = web.profiles().await?;
    let changed =
        who.ask(move |access| access.change_subscriber(&user, change, &profiles, move |now| seen.may_change(now)));
    Seen::default().answer(&changed.await?)
}
