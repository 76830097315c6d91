//! Tokens of programs.

use axum::{Json, extract::Path, http::StatusCode};
use segue_manage::{NewToken, TokenMade, TokenView};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{given::Given, portal::Web, problem::Problem, who::Who};

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(list, make)).routes(routes!(revoke))
}

/// List one's tokens; an operator those of all
#[utoipa::path(
    get, path = "/tokens", tag = "tokens", operation_id = "tokens",
    responses((status = 200, body = Vec<TokenView>), (status = 403, body = Problem, description = "Asked by a token"))
)]
async fn list(who: Who) -> Result<Json<Vec<TokenView>>, Problem> {
    Ok(Json(who.ask(|access| access.tokens(None)).await?))
}

/// Make a token for oneself; what it is is said this once
#[utoipa::path(
    post, path = "/tokens", tag = "tokens", operation_id = "make_token",
    request_body = NewToken,
    responses((status = 201, body = TokenMade), (status = 403, body = Problem), (status = 422, body = Problem))
)]
async fn make(who: Who, Given(new): Given<NewToken>) -> Result<(StatusCode, Json<TokenMade>), Problem> {
    let made = who.ask(move |access| access.add_token(None, new)).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Revoke a token
#[utoipa::path(
    delete, path = "/tokens/{token}", tag = "tokens", operation_id = "revoke_token",
    params(("token" = String, Path, description = "The token's id")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem))
)]
async fn revoke(who: Who, Path(token): Path<String>) -> Result<StatusCode, Problem> {
    who.ask(move |access| access.revoke_token(&token)).await?;
    Ok(StatusCode::NO_CONTENT)
}
