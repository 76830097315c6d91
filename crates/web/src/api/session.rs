//! Logging in and out, and who one is.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use segue_manage::From;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    given::Given,
    portal::{Source, Web},
    problem::Problem,
    who::{Who, cookie, device, set_cookie, set_device},
};

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(show, login, logout))
}

/// Who is logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct SessionView {
    /// Their name.
    name: String,
    /// `operator` or `subscriber`.
    role: String,
    /// What they may.
    scopes: Vec<&'static str>,
    /// What changes are sent with, as X-CSRF-Token; `null` for a token, which needs none.
    csrf: Option<String>,
}

impl SessionView {
    fn of(who: &Who) -> SessionView {
        let access = who.access().who();
        SessionView {
            name: access.name.clone(),
            role: access.role.name().to_owned(),
            scopes: access.scopes.iter().map(segue_manage::Scope::name).collect(),
            csrf: who.session().map(segue_manage::Secret::csrf),
        }
    }
}

/// Who is logged in
#[utoipa::path(
    get, path = "/session", tag = "session", operation_id = "session",
    responses((status = 200, body = SessionView), (status = 401, body = Problem))
)]
async fn show(who: Who) -> Json<SessionView> {
    Json(SessionView::of(&who))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    /// An operator's or a subscriber's name.
    name: String,
    password: String,
}

/// What a browser gets for its name and password.
#[derive(Debug, Serialize, ToSchema)]
struct LoggedIn {
    /// What changes are sent with, as X-CSRF-Token.
    csrf: String,
}

/// Log in; the session comes as a cookie
#[utoipa::path(
    post, path = "/session", tag = "session", operation_id = "login", security(()),
    request_body = Login,
    responses(
        (status = 200, body = LoggedIn), (status = 401, body = Problem),
        (status = 429, body = Problem, description = "Too many tries; Retry-After says when the next may be made")
    )
)]
async fn login(
    State(web): State<Web>,
    source: axum::Extension<Source>,
    headers: HeaderMap,
    Given(Login { name, password }): Given<Login>,
) -> Result<Response, Problem> {
    let from = from(&web, source.0, &headers);
    let begun = web.login(name, password, from).await?;
    web.end(cookie(&headers, &web)).await;
    let known = begun.device.clone();
    let csrf = begun.secret.csrf();
    let mut response = Json(LoggedIn { csrf }).into_response();
    set_cookie(
        &mut response,
        &web,
        Some((&begun.secret, lasts_ms(&web, begun.expires_at_ms))),
    );
    set_device(&mut response, &web, known.as_deref());
    Ok(response)
}

/// Log out
#[utoipa::path(
    delete, path = "/session", tag = "session", operation_id = "logout",
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem))
)]
async fn logout(_who: Who, State(web): State<Web>, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(session) = cookie(&headers, &web) {
        web.ask(move |manage| manage.logout(&session)).await?;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(&mut response, &web, None);
    Ok(response)
}

/// Where somebody comes from who logs in.
pub(crate) fn from(web: &Web, source: Source, headers: &HeaderMap) -> From {
    let agent = headers.get(header::USER_AGENT).map(|agent| agent.as_bytes());
    From {
        source: source.0,
        device: device(headers, web),
        user_agent: String::from_utf8_lossy(agent.unwrap_or_default()).into_owned(),
    }
}

/// How long until then.
pub(crate) fn lasts_ms(web: &Web, until_ms: i64) -> i64 {
    until_ms.saturating_sub(web.events().now().0)
}
