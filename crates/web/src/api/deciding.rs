//! Contacts, rules and registrations of subscribers.

use axum::{Json, extract::Path, response::Response};
use segue_manage::{ContactView, RegistrationView, RuleView};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{given::Asked, portal::Web, problem::Problem, seen::Seen, who::Who};

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(contacts))
        .routes(routes!(rules))
        .routes(routes!(registrations))
        .routes(routes!(forget))
}

/// List whom a subscriber knows, with the groups that rules speak of
#[utoipa::path(
    get, path = "/subscribers/{user}/contacts", tag = "subscribers", operation_id = "contacts",
    params(("user" = String, Path, description = "The subscriber")),
    responses((status = 200, body = Vec<ContactView>), (status = 304), (status = 404, body = Problem))
)]
async fn contacts(who: Who, Path(user): Path<String>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.contacts(&user)).await?)
}

/// List a subscriber's rules in their order (docs/rules.md)
#[utoipa::path(
    get, path = "/subscribers/{user}/rules", tag = "subscribers", operation_id = "rules",
    params(("user" = String, Path, description = "The subscriber")),
    responses((status = 200, body = Vec<RuleView>), (status = 304), (status = 404, body = Problem))
)]
async fn rules(who: Who, Path(user): Path<String>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.rules(&user)).await?)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Of {
    /// Of this subscriber; an operator may leave it out for all.
    user: Option<String>,
}

/// List where phones are registered
#[utoipa::path(
    get, path = "/registrations", tag = "subscribers", operation_id = "registrations",
    params(Of),
    responses((status = 200, body = Vec<RegistrationView>), (status = 404, body = Problem))
)]
async fn registrations(who: Who, of: Asked<Of>) -> Result<Json<Vec<RegistrationView>>, Problem> {
    let found = who.ask(move |access| access.registrations(of.0.user.as_deref()));
    Ok(Json(found.await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// This contact alone; absent: all.
    contact: Option<String>,
}

/// How many there were.
#[derive(Debug, Serialize, ToSchema)]
struct Removed {
    removed: usize,
}

/// Forget where a subscriber's phones are registered
#[utoipa::path(
    delete, path = "/subscribers/{user}/registrations", tag = "subscribers", operation_id = "remove_registrations",
    params(("user" = String, Path, description = "The subscriber"), Which),
    responses((status = 200, body = Removed), (status = 404, body = Problem))
)]
async fn forget(who: Who, Path(user): Path<String>, which: Asked<Which>) -> Result<Json<Removed>, Problem> {
    let removed = who
        .ask(move |access| access.remove_registrations(&user, which.0.contact.as_deref()))
        .await?;
    Ok(Json(Removed { removed }))
}
