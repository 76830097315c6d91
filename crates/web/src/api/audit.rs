//! Who did what.

use axum::response::Response;
use segue_manage::{DeedView, Page, PageAsked};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{given::Asked, portal::Web, problem::Problem, seen::Seen, who::Who};

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(list))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Of {
    /// By or about this subscriber or operator; an operator may leave it out for all.
    name: Option<String>,
}

/// Who did what, the newest first; a subscriber sees what was done by and to them
#[utoipa::path(
    get, path = "/audit", tag = "system", operation_id = "audit",
    params(Of, PageAsked),
    responses((status = 200, body = Page<DeedView>), (status = 304), (status = 404, body = Problem))
)]
async fn list(who: Who, of: Asked<Of>, page: Asked<PageAsked>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(
        &who.ask(move |access| access.audit(of.0.name.as_deref(), &page.0))
            .await?,
    )
}
