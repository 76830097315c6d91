//! What is stored, and how busy the server is.

use axum::{Json, extract::State, response::Response};
use segue_manage::{Scope, StorageView};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    load::{LoadHistoryView, LoadView},
    portal::Web,
    problem::Problem,
    seen::Seen,
    who::Who,
};

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(storage))
        .routes(routes!(load))
        .routes(routes!(load_history))
}

/// Show how much is stored
#[utoipa::path(
    get, path = "/storage", tag = "system", operation_id = "storage",
    responses((status = 200, body = StorageView), (status = 304), (status = 403, body = Problem))
)]
async fn storage(who: Who, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(|access| access.storage()).await?)
}

/// Show how busy the server is: calls against their limits, processor, transcoding, what was refused and why
#[utoipa::path(
    get, path = "/load", tag = "system", operation_id = "load",
    responses((status = 200, body = LoadView), (status = 403, body = Problem))
)]
async fn load(who: Who, State(web): State<Web>) -> Result<Json<LoadView>, Problem> {
    Ok(Json(read_load(&who, &web).await?))
}

pub(crate) async fn read_load(who: &Who, web: &Web) -> Result<LoadView, Problem> {
    who.access().need(Scope::SystemRead)?;
    let site = web.site().clone();
    crate::asked(move || (site.load)()).await.ok_or_else(Problem::fault)
}

/// Show how busy the server was: the last hour at most, in samples
#[utoipa::path(
    get, path = "/load/history", tag = "system", operation_id = "loadHistory",
    responses((status = 200, body = LoadHistoryView), (status = 403, body = Problem))
)]
async fn load_history(who: Who, State(web): State<Web>) -> Result<Json<LoadHistoryView>, Problem> {
    Ok(Json(read_load_history(&who, &web)?))
}

pub(crate) fn read_load_history(who: &Who, web: &Web) -> Result<LoadHistoryView, Problem> {
    who.access().need(Scope::SystemRead)?;
    Ok(web.site().load_history.view())
}
