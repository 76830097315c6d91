//! The profiles in force, and reading them again.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use segue_manage::Scope;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    in_force::{ProfilesShown, Reloaded},
    portal::Web,
    problem::Problem,
    seen::Seen,
    who::Who,
};

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(show)).routes(routes!(reload))
}

/// Show the profiles in force: each key with its value, its default and where it is said
#[utoipa::path(
    get, path = "/profiles", tag = "system", operation_id = "profiles",
    responses((status = 200, body = ProfilesShown), (status = 304), (status = 403, body = Problem))
)]
async fn show(who: Who, State(web): State<Web>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&shown(&who, &web).await?)
}

/// Read configuration and profiles again, as SIGHUP has it; 409 says why they were refused, and what was read before goes on
#[utoipa::path(
    post, path = "/reload", tag = "system", operation_id = "reload",
    responses(
        (status = 200, body = Reloaded), (status = 409, body = Reloaded), (status = 403, body = Problem),
        (status = 503, body = Problem)
    )
)]
async fn reload(who: Who, State(web): State<Web>) -> Result<Response, Problem> {
    let reloaded = read_again(&who, &web).await?;
    let status = if reloaded.taken {
        StatusCode::OK
    } else {
        StatusCode::CONFLICT
    };
    Ok((status, Json(reloaded)).into_response())
}

pub(crate) async fn shown(who: &Who, web: &Web) -> Result<ProfilesShown, Problem> {
    who.access().need(Scope::SystemRead)?;
    let site = web.site().clone();
    crate::asked(move || (site.in_force)()).await.ok_or_else(Problem::fault)
}

/// Has everything read again for somebody, and has it put down before: who did it is known whatever becomes of it.
pub(crate) async fn read_again(who: &Who, web: &Web) -> Result<Reloaded, Problem> {
    who.access().need(Scope::SystemWrite)?;
    who.ask(|access| access.did("server.reload", "configuration and profiles"))
        .await?;
    let reloaded = (web.site().reload)().await;
    reloaded.ok_or_else(|| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the server stops, or reads them already",
        )
    })
}
