//! Contacts of subscribers, and the groups that they are in.

use axum::{
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use segue_manage::{ContactGiven, ContactView, GroupGiven, GroupView, Refusal, written};
use segue_policy::{Address, Profile};
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
        .routes(routes!(show, put, remove))
        .routes(routes!(groups))
        .routes(routes!(group, set_group, remove_group))
}

/// The address in a path.
fn address(text: &str, profiles: &[Profile]) -> Result<Address, Refusal> {
    written::address(text, profiles).map_err(|why| Refusal::Invalid { field: "address", why })
}

/// List whom a subscriber knows, with the groups that rules speak of
#[utoipa::path(
    get, path = "/subscribers/{user}/contacts", tag = "rules", operation_id = "contacts",
    params(("user" = String, Path, description = "The subscriber")),
    responses((status = 200, body = Vec<ContactView>), (status = 304), (status = 404, body = Problem))
)]
async fn list(who: Who, Path(user): Path<String>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.contacts(&user)).await?)
}

/// Add a contact
#[utoipa::path(
    post, path = "/subscribers/{user}/contacts", tag = "rules", operation_id = "add_contact",
    params(("user" = String, Path, description = "The subscriber")),
    request_body = ContactGiven,
    responses(
        (status = 201, body = ContactView), (status = 404, body = Problem), (status = 422, body = Problem),
        (status = 409, body = Problem, description = "There is one of this address already, or there are too many")
    )
)]
async fn add(
    who: Who,
    State(web): State<Web>,
    Path(user): Path<String>,
    Given(contact): Given<ContactGiven>,
) -> Result<Response, Problem> {
    let profiles = web.profiles().await?;
    let at = format!("/api/v1/subscribers/{}/contacts", given::encoded(&user));
    let added = who.ask(move |access| access.add_contact(&user, contact.contact(&profiles)?));
    let view = added.await?;
    let location = [(header::LOCATION, format!("{at}/{}", given::encoded(&view.address)))];
    Ok((StatusCode::CREATED, location, Seen::default().answer(&view)?).into_response())
}

/// Show a contact
#[utoipa::path(
    get, path = "/subscribers/{user}/contacts/{address}", tag = "rules", operation_id = "contact",
    params(("user" = String, Path, description = "The subscriber"), ("address" = String, Path, description = "Its address")),
    responses((status = 200, body = ContactView), (status = 304), (status = 404, body = Problem))
)]
async fn show(
    who: Who,
    State(web): State<Web>,
    Path((user, text)): Path<(String, String)>,
    seen: Seen,
) -> Result<Response, Problem> {
    let profiles = web.profiles().await?;
    let found = who.ask(move |access| access.contact(&user, &address(&text, &profiles)?));
    seen.answer(&found.await?)
}

/// What a contact is called, and the groups that it is in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ContactFacts {
    /// At most 100 characters.
    name: Option<String>,
    /// At most 10.
    #[serde(default)]
    groups: Vec<String>,
}

/// Add the contact of this address, or change it
#[utoipa::path(
    put, path = "/subscribers/{user}/contacts/{address}", tag = "rules", operation_id = "put_contact",
    params(("user" = String, Path, description = "The subscriber"), ("address" = String, Path, description = "Its address")),
    request_body = ContactFacts,
    responses(
        (status = 200, body = ContactView), (status = 404, body = Problem), (status = 422, body = Problem),
        (status = 409, body = Problem, description = "There are too many"),
        (status = 412, body = Problem, description = "It is not what If-Match says")
    )
)]
async fn put(
    who: Who,
    State(web): State<Web>,
    Path((user, text)): Path<(String, String)>,
    seen: Seen,
    Given(facts): Given<ContactFacts>,
) -> Result<Response, Problem> {
    let profiles = web.profiles().await?;
    let put = who.ask(move |access| {
        let given = ContactGiven {
            address: text,
            name: facts.name,
            groups: facts.groups,
        };
        access.put_contact(&user, given.contact(&profiles)?, move |now| seen.may_put(now))
    });
    Seen::default().answer(&put.await?)
}

/// Remove a contact
#[utoipa::path(
    delete, path = "/subscribers/{user}/contacts/{address}", tag = "rules", operation_id = "remove_contact",
    params(("user" = String, Path, description = "The subscriber"), ("address" = String, Path, description = "Its address")),
    responses(
        (status = 204), (status = 404, body = Problem),
        (status = 412, body = Problem, description = "It is not what If-Match says")
    )
)]
async fn remove(
    who: Who,
    State(web): State<Web>,
    Path((user, text)): Path<(String, String)>,
    seen: Seen,
) -> Result<StatusCode, Problem> {
    let profiles = web.profiles().await?;
    let removed = who.ask(move |access| {
        let address = address(&text, &profiles)?;
        access.remove_contact(&user, &address, move |now| seen.may_change(now))
    });
    removed.await.map(|()| StatusCode::NO_CONTENT)
}

/// List a subscriber's groups of contacts, with the rules that are for them
#[utoipa::path(
    get, path = "/subscribers/{user}/groups", tag = "rules", operation_id = "contact_groups",
    params(("user" = String, Path, description = "The subscriber")),
    responses((status = 200, body = Vec<GroupView>), (status = 304), (status = 404, body = Problem))
)]
async fn groups(who: Who, Path(user): Path<String>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.groups(&user)).await?)
}

/// Show who is in a group
#[utoipa::path(
    get, path = "/subscribers/{user}/groups/{group}", tag = "rules", operation_id = "contact_group",
    params(("user" = String, Path, description = "The subscriber"), ("group" = String, Path, description = "Its name")),
    responses((status = 200, body = GroupView), (status = 304), (status = 404, body = Problem))
)]
async fn group(who: Who, Path((user, name)): Path<(String, String)>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.group(&user, &name)).await?)
}

/// Say who is in a group, and what it is called
#[utoipa::path(
    put, path = "/subscribers/{user}/groups/{group}", tag = "rules", operation_id = "set_contact_group",
    params(("user" = String, Path, description = "The subscriber"), ("group" = String, Path, description = "Its name")),
    request_body = GroupGiven,
    responses(
        (status = 200, body = GroupView), (status = 404, body = Problem), (status = 422, body = Problem),
        (status = 409, body = Problem, description = "The new name is that of another"),
        (status = 412, body = Problem, description = "It is not what If-Match says")
    )
)]
async fn set_group(
    who: Who,
    State(web): State<Web>,
    Path((user, name)): Path<(String, String)>,
    seen: Seen,
    Given(given): Given<GroupGiven>,
) -> Result<Response, Problem> {
    let profiles = web.profiles().await?;
    let set = who.ask(move |access| {
        let as_seen = move |now: Option<&GroupView>| seen.may_put(now);
        access.set_group(&user, &name, given, &profiles, as_seen)
    });
    Seen::default().answer(&set.await?)
}

/// Take all out of a group that no rule is for
#[utoipa::path(
    delete, path = "/subscribers/{user}/groups/{group}", tag = "rules", operation_id = "remove_contact_group",
    params(("user" = String, Path, description = "The subscriber"), ("group" = String, Path, description = "Its name")),
    responses(
        (status = 204), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "A rule is for it"),
        (status = 412, body = Problem, description = "It is not what If-Match says")
    )
)]
async fn remove_group(who: Who, Path((user, name)): Path<(String, String)>, seen: Seen) -> Result<StatusCode, Problem> {
    let removed = who.ask(move |access| access.remove_group(&user, &name, move |now| seen.may_change(now)));
    removed.await.map(|()| StatusCode::NO_CONTENT)
}
