//! What is stored.

use axum::response::Response;
use segue_manage::StorageView;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{portal::Web, problem::Problem, seen::Seen, who::Who};

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(storage))
}

/// Show how much is stored
#[utoipa::path(
    get, path = "/storage", tag = "system", operation_id = "storage",
    responses((status = 200, body = StorageView), (status = 304), (status = 403, body = Problem))
)]
async fn storage(who: Who, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(|access| access.storage()).await?)
}
