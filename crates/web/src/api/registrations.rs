//! Where the phones of subscribers are registered.

use axum::{Json, extract::Path};
use segue_manage::{Page, PageAsked, RegistrationView};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{given::Asked, portal::Web, problem::Problem, who::Who};

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(registrations))
        .routes(routes!(forget))
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
    params(Of, PageAsked),
    responses((status = 200, body = Page<RegistrationView>), (status = 404, body = Problem))
)]
async fn registrations(
    who: Who,
    of: Asked<Of>,
    page: Asked<PageAsked>,
) -> Result<Json<Page<RegistrationView>>, Problem> {
    let found = who.ask(move |access| access.registrations_page(of.0.user.as_deref(), &page.0));
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
