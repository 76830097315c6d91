//! What becomes of a number.

use axum::{extract::State, response::Response};
use segue_manage::{NumberView, Refusal};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{given::Asked, portal::Web, problem::Problem, seen::Seen, who::Who};

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(explain))
}

/// Which number.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Number {
    /// As it is dialled, or a tel: or SIP URI.
    #[param(max_length = 256)]
    value: String,
    /// By the numbering of this profile; absent: of the first.
    profile: Option<String>,
}

/// Say what becomes of a number, by which rule of a profile, and who has it: to operators whoever that is, else oneself
#[utoipa::path(
    get, path = "/numbers/explain", tag = "subscribers", operation_id = "explain_number",
    params(Number),
    responses((status = 200, body = NumberView), (status = 304), (status = 422, body = Problem))
)]
async fn explain(
    who: Who,
    State(web): State<Web>,
    Asked(asked): Asked<Number>,
    seen: Seen,
) -> Result<Response, Problem> {
    let profiles = web.profiles().await?;
    let explained = who.ask(move |access| {
        let Number { value, profile } = asked;
        let mut profiles = profiles.iter();
        let found = match profile {
            Some(name) => profiles.find(|profile| profile.name == name),
            None => profiles.next(),
        };
        let found = found.ok_or_else(|| Refusal::Invalid {
            field: "profile",
            why: "there is no profile of that name".to_owned(),
        })?;
        access.explain_number(&value, found)
    });
    seen.answer(&explained.await?)
}
