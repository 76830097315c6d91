//! The API under `/api/v1` (docs/api.md). One file a topic.
//!
//! # To add a route
//! 1. A method of `segue_manage::Access` that checks scope and owner, and its view (see there).
//! 2. A handler here in the file of its topic: it takes a [`Who`](crate::who::Who) first, then [`Asked`](crate::given::Asked) for the
//!    query, [`Given`](crate::given::Given) for a body of JSON, [`Seen`](crate::seen::Seen) where it has a tag; it returns
//!    `Result<_, Problem>`; `#[utoipa::path]` describes it. What may wait goes through `who.ask(|access| ...)`.
//! 3. `.routes(routes!(handler))` in that file's `routes()`: a route that is not described cannot be added so.
//! 4. `RENEW=1 cargo test -p segue-web --test openapi` renews `docs/openapi.json`; look at the difference.
//! 5. A test in `crates/web/tests/`. `others.rs` tries the new route with another's id by itself: it walks the description, and knows
//!    path parameters by their names (`id`, `user`, ...); a name that is new to it must be added there.

mod audit;
mod calls;
mod clips;
mod contacts;
mod follow;
mod groups;
pub(crate) mod live;
mod messages;
pub(crate) mod notices;
mod numbers;
pub(crate) mod profiles;
mod registrations;
mod retention;
pub(crate) mod rules;
pub(crate) mod session;
mod subscribers;
pub(crate) mod system;
mod targets;
mod tokens;
pub(crate) mod trunks;
mod uploads;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, Uri, header},
    response::IntoResponse,
    routing::get,
};
use utoipa::{
    OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Health, portal::Web, problem::Problem, who::Who};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Segue",
        description = "What a subscriber and an operator can see and do. Errors are application/problem+json (RFC 9457).",
        version = "1"
    ),
    tags(
        (name = "session", description = "Who is logged in"),
        (name = "messages", description = "Messages that callers left"),
        (name = "subscribers", description = "Who may be called, and how"),
        (name = "rules", description = "What a subscriber's callers meet (docs/rules.md), and the contacts that rules are for"),
        (name = "clips", description = "What callers see and hear: clips, greetings, and uploads of them"),
        (name = "retention", description = "How long messages are kept"),
        (name = "calls", description = "Calls that have ended, and those that are up; for operators"),
        (name = "events", description = "What happens, while it happens"),
        (name = "tokens", description = "Tokens by which programs act for somebody"),
        (name = "system", description = "The server itself")
    ),
    components(schemas(Problem)),
    security(("session" = []), ("token" = []))
)]
struct Description;

fn described() -> (Router<Web>, utoipa::openapi::OpenApi) {
    let api = OpenApiRouter::new()
        .routes(routes!(say_health))
        .merge(session::routes())
        .merge(messages::routes())
        .merge(subscribers::routes())
        .merge(groups::routes())
        .merge(numbers::routes())
        .merge(targets::routes())
        .merge(contacts::routes())
        .merge(rules::routes())
        .merge(registrations::routes())
        .merge(clips::routes())
        .merge(uploads::routes())
        .merge(retention::routes())
        .merge(notices::routes())
        .merge(profiles::routes())
        .merge(calls::routes())
        .merge(live::routes())
        .merge(system::routes())
        .merge(trunks::routes())
        .merge(follow::routes())
        .merge(tokens::routes())
        .merge(audit::routes());
    let (routes, mut description) = OpenApiRouter::with_openapi(Description::openapi())
        .nest("/api/v1", api)
        .split_for_parts();
    let components = description.components.get_or_insert_default();
    let cookie = ApiKeyValue::with_description(
        "segue",
        "The session of a browser; changes need the header X-CSRF-Token besides. By TLS its name is __Host-segue.",
    );
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme("token", SecurityScheme::Http(token));
    (routes, description)
}

/// The description of the API, as `/api/v1/openapi.json` says it.
pub fn description() -> String {
    let mut text = described().1.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

pub(crate) fn routes() -> Router<Web> {
    let (routes, description) = described();
    let description = description.to_json().unwrap_or_default();
    let describe = move || {
        let description = description.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], description) }
    };
    let nothing =
        |uri: Uri| async move { Problem::new(StatusCode::NOT_FOUND, format!("nothing is at {}", uri.path())) };
    let other_method = || async { Problem::new(StatusCode::METHOD_NOT_ALLOWED, "that is not done here") };
    routes
        .route("/api/v1/openapi.json", get(describe))
        .route(
            "/api/{*rest}",
            get(nothing).post(nothing).put(nothing).patch(nothing).delete(nothing),
        )
        .method_not_allowed_fallback(other_method)
}

/// Whether the server lives, and what it counts
#[utoipa::path(
    get, path = "/health", tag = "system", operation_id = "health",
    responses((status = 200, body = Health), (status = 503, body = Health), (status = 403, body = Problem))
)]
async fn say_health(who: Who, State(web): State<Web>) -> Result<impl IntoResponse, Problem> {
    who.access().need(segue_manage::Scope::SystemRead)?;
    let site = web.site().clone();
    let health = crate::asked(move || (site.health)()).await.ok_or_else(Problem::fault)?;
    Ok(crate::health_answer(health))
}
