//! Trunks: how they fare on the running server, and what is set of those that were added.

use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use segue_manage::{Scope, TrunkChange, TrunkGiven, TrunkView};
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    given::{self, Given},
    portal::Web,
    problem::Problem,
    seen::{Seen, tag_of, tagged},
    who::Who,
};

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(trunks, add))
        .routes(routes!(show, change, remove))
        .routes(routes!(test))
}

/// A trunk as the server has it, and as it was added.
pub(crate) struct Known {
    /// Its name.
    pub(crate) name: String,
    /// How it fares; `None`: the server has not got it yet.
    pub(crate) running: Option<Value>,
    /// What is set of it; `None`: it was not added.
    pub(crate) added: Option<TrunkView>,
    /// Where it stands in the configuration.
    pub(crate) at: Option<String>,
}

impl Known {
    fn to_value(&self) -> Value {
        let mut value = match &self.running {
            Some(running) => running.clone(),
            None => json!({ "name": self.name, "registration": null, "servers": [] }),
        };
        if let Some(members) = value.as_object_mut() {
            let added = self.added.as_ref();
            let settings = added.map(|added| added.settings.clone());
            members.insert("settings".to_owned(), settings.unwrap_or_default());
            let has_password = added.map(|added| added.has_password);
            members.insert("has_password".to_owned(), has_password.into());
            members.insert("at".to_owned(), self.at.clone().into());
        }
        value
    }
}

/// All of them: the server's, then those that it has not got yet.
pub(crate) async fn read(who: &Who, web: &Web) -> Result<Vec<Known>, Problem> {
    who.access().need(Scope::SystemRead)?;
    let mut added = who.ask(segue_manage::Access::trunks).await?;
    let site = web.site().clone();
    let known = crate::asked(move || {
        let Value::Array(running) = (site.trunks)() else {
            return Vec::new();
        };
        let mut all: Vec<Known> = Vec::new();
        for running in running {
            let name = running
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            let place = added.iter().position(|added| added.name == name);
            all.push(Known {
                added: place.map(|place| added.remove(place)),
                at: site.trunking.stands_at(&name),
                running: Some(running),
                name,
            });
        }
        all.extend(added.into_iter().map(|added| Known {
            name: added.name.clone(),
            running: None,
            at: site.trunking.stands_at(&added.name),
            added: Some(added),
        }));
        all
    });
    known.await.ok_or_else(Problem::fault)
}

async fn one(who: &Who, web: &Web, name: &str) -> Result<Known, Problem> {
    let found = read(who, web).await?.into_iter().find(|known| known.name == name);
    found.ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, format!("the server has no trunk '{name}'")).code("not_found")
    })
}

/// List the trunks as they are (docs/trunks.md), with the settings of those that were added
#[utoipa::path(
    get, path = "/trunks", tag = "system", operation_id = "trunks",
    responses((status = 200, body = Value), (status = 403, body = Problem))
)]
async fn trunks(who: Who, State(web): State<Web>) -> Result<Json<Value>, Problem> {
    let all = read(&who, &web).await?;
    Ok(Json(all.iter().map(Known::to_value).collect()))
}

/// Add a trunk beside the configuration; the server has it within a second
#[utoipa::path(
    post, path = "/trunks", tag = "system", operation_id = "add_trunk",
    request_body = TrunkGiven,
    responses(
        (status = 201, body = TrunkView), (status = 403, body = Problem), (status = 422, body = Problem),
        (status = 409, body = Problem, description = "The name is another's; of one in segue.toml it is said where it stands")
    )
)]
async fn add(who: Who, State(web): State<Web>, Given(given): Given<TrunkGiven>) -> Result<Response, Problem> {
    let at = format!("/api/v1/trunks/{}", given::encoded(&given.name));
    let host = web.site().trunking.clone();
    let added = who.ask(move |access| access.add_trunk(given, host.as_ref())).await?;
    let view = Seen::default().answer(&added)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, at)], view).into_response())
}

/// Show a trunk as it is; its ETag is that of the settings of one that was added, whatever becomes of its servers
#[utoipa::path(
    get, path = "/trunks/{trunk}", tag = "system", operation_id = "trunk",
    params(("trunk" = String, Path, description = "Its name")),
    responses((status = 200, body = Value), (status = 403, body = Problem), (status = 404, body = Problem))
)]
async fn show(who: Who, State(web): State<Web>, Path(trunk): Path<String>) -> Result<Response, Problem> {
    let known = one(&who, &web, &trunk).await?;
    let shown = ([(header::CACHE_CONTROL, "no-store")], Json(known.to_value()));
    Ok(match &known.added {
        Some(added) => (tagged(&tag_of(added)), shown).into_response(),
        None => shown.into_response(),
    })
}

/// Change a trunk that was added beside the configuration: all that is named, or nothing; the server has it within a second
#[utoipa::path(
    patch, path = "/trunks/{trunk}", tag = "system", operation_id = "change_trunk",
    params(("trunk" = String, Path, description = "Its name")),
    request_body = TrunkChange,
    responses(
        (status = 200, body = TrunkView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "It stands in segue.toml, and is changed there"),
        (status = 412, body = Problem, description = "It is not what If-Match says"), (status = 422, body = Problem)
    )
)]
async fn change(
    who: Who,
    State(web): State<Web>,
    Path(trunk): Path<String>,
    seen: Seen,
    Given(change): Given<TrunkChange>,
) -> Result<Response, Problem> {
    let host = web.site().trunking.clone();
    let changed =
        who.ask(move |access| access.change_trunk(&trunk, change, host.as_ref(), move |now| seen.may_change(now)));
    Seen::default().answer(&changed.await?)
}

/// Remove a trunk that was added beside the configuration; what was registered is taken back, calls go on
#[utoipa::path(
    delete, path = "/trunks/{trunk}", tag = "system", operation_id = "remove_trunk",
    params(("trunk" = String, Path, description = "Its name")),
    responses(
        (status = 204), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "It stands in segue.toml, and is taken out there"),
        (status = 412, body = Problem, description = "It is not what If-Match says")
    )
)]
async fn remove(
    who: Who,
    State(web): State<Web>,
    Path(trunk): Path<String>,
    seen: Seen,
) -> Result<StatusCode, Problem> {
    let host = web.site().trunking.clone();
    who.ask(move |access| access.remove_trunk(&trunk, host.as_ref(), move |now| seen.may_change(now)))
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
