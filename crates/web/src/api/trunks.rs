//! The trunks of the running server.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use segue_manage::Scope;
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{portal::Web, problem::Problem, who::Who};

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(trunks))
        .routes(routes!(show, remove))
        .routes(routes!(test))
}

/// All of them, as they are.
async fn read(who: &Who, web: &Web) -> Result<Value, Problem> {
    who.access().need(Scope::SystemRead)?;
    let site = web.site().clone();
    crate::asked(move || (site.trunks)()).await.ok_or_else(Problem::fault)
}

async fn one(who: &Who, web: &Web, name: &str) -> Result<Value, Problem> {
    let all = read(who, web).await?;
    let mut all = all.as_array().map_or(&[][..], Vec::as_slice).iter();
    let found = all.find(|trunk| trunk.get("name").and_then(Value::as_str) == Some(name));
    let nothing = || Problem::new(StatusCode::NOT_FOUND, format!("the server has no trunk '{name}'")).code("not_found");
    found.cloned().ok_or_else(nothing)
}

/// List the trunks as they are (docs/trunks.md)
#[utoipa::path(
    get, path = "/trunks", tag = "system", operation_id = "trunks",
    responses((status = 200, body = Value), (status = 403, body = Problem))
)]
async fn trunks(who: Who, State(web): State<Web>) -> Result<Json<Value>, Problem> {
    Ok(Json(read(&who, &web).await?))
}

/// Show a trunk as it is
#[utoipa::path(
    get, path = "/trunks/{trunk}", tag = "system", operation_id = "trunk",
    params(("trunk" = String, Path, description = "Its name")),
    responses((status = 200, body = Value), (status = 403, body = Problem), (status = 404, body = Problem))
)]
async fn show(who: Who, State(web): State<Web>, Path(trunk): Path<String>) -> Result<Json<Value>, Problem> {
    Ok(Json(one(&who, &web, &trunk).await?))
}

/// Remove a trunk that was added beside the configuration; what was registered is taken back, calls go on
#[utoipa::path(
    delete, path = "/trunks/{trunk}", tag = "system", operation_id = "remove_trunk",
    params(("trunk" = String, Path, description = "Its name")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem))
)]
async fn remove(who: Who, State(web): State<Web>, Path(trunk): Path<String>) -> Result<StatusCode, Problem> {
    let host = web.site().trunking.clone();
    who.ask(move |access| access.remove_trunk(&trunk, host.as_ref()))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Have a trunk asked at once, by OPTIONS and by REGISTER if it registers; what comes of it is seen of the trunk within a second or so
#[utoipa::path(
    post, path = "/trunks/{trunk}/test", tag = "system", operation_id = "test_trunk",
    params(("trunk" = String, Path, description = "Its name")),
    responses((status = 202), (status = 403, body = Problem), (status = 404, body = Problem))
)]
async fn test(who: Who, State(web): State<Web>, Path(trunk): Path<String>) -> Result<StatusCode, Problem> {
    ask(&who, &web, trunk).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(crate) async fn ask(who: &Who, web: &Web, trunk: String) -> Result<(), Problem> {
    who.access().need(Scope::SystemWrite)?;
    one(who, web, &trunk).await?;
    who.ask(move |access| access.ask_trunk(&trunk)).await
}
