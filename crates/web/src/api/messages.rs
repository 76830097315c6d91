//! Messages.

use axum::{
    Json,
    extract::Path,
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
};
use segue_manage::{MessageChange, MessageView, MessagesAsked, Page, PageAsked};
use segue_records::UnixMs;
use segue_store::Deleted;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    archive,
    given::{Asked, Given},
    media,
    portal::Web,
    problem::Problem,
    seen::Seen,
    who::Who,
};

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(export))
        .routes(routes!(show, change, delete))
        .routes(routes!(undelete))
        .routes(routes!(play))
        .routes(routes!(poster))
}

/// List and search messages, the newest first
#[utoipa::path(
    get, path = "/messages", tag = "messages", operation_id = "messages",
    params(MessagesAsked, PageAsked),
    responses(
        (status = 200, body = Page<MessageView>), (status = 304), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 422, body = Problem)
    )
)]
async fn list(who: Who, asked: Asked<MessagesAsked>, page: Asked<PageAsked>, seen: Seen) -> Result<Response, Problem> {
    let found = who.ask(move |access| access.messages(&asked.0, &page.0)).await?;
    seen.answer(&found)
}

/// Several messages as one ZIP, with an index of them as JSON; none of them counts as heard by that
#[utoipa::path(
    get, path = "/messages/export", tag = "messages", operation_id = "export_messages",
    params(("id" = Vec<String>, Query, description = "The messages, 100 at most: `id=A&id=B`")),
    responses(
        (status = 200, content_type = "application/zip", body = Vec<u8>,
            description = "It breaks off if one of them is freed meanwhile"),
        (status = 404, body = Problem), (status = 422, body = Problem)
    )
)]
async fn export(who: Who, asked: Asked<Vec<(String, String)>>, method: Method) -> Result<Response, Problem> {
    let ids: Vec<String> = asked
        .0
        .into_iter()
        .filter(|(name, _)| name == "id")
        .map(|(_, id)| id)
        .collect();
    let gets = method == Method::GET;
    let exported = who
        .ask(move |access| {
            let exported = access.export_messages(&ids)?;
            for one in exported.iter().filter(|one| gets && one.media.is_some()) {
                access.opened(&one.message.id)?;
            }
            Ok(exported)
        })
        .await?;
    archive::answer(who.access().clone(), exported)
}

/// Show a message, also one in the trash
#[utoipa::path(
    get, path = "/messages/{id}", tag = "messages", operation_id = "message",
    params(("id" = String, Path, description = "The message")),
    responses((status = 200, body = MessageView), (status = 304), (status = 404, body = Problem))
)]
async fn show(who: Who, Path(id): Path<String>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.message(&id)).await?)
}

/// Change a message: heard or not, pinned or not, what of it was played
#[utoipa::path(
    patch, path = "/messages/{id}", tag = "messages", operation_id = "change_message",
    params(("id" = String, Path, description = "The message")),
    request_body = MessageChange,
    responses(
        (status = 200, body = MessageView), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "It is in the trash"),
        (status = 412, body = Problem, description = "It is not what If-Match says"), (status = 422, body = Problem)
    )
)]
async fn change(
    who: Who,
    Path(id): Path<String>,
    seen: Seen,
    Given(change): Given<MessageChange>,
) -> Result<Response, Problem> {
    let changed = who
        .ask(move |access| access.change_message(&id, change, move |now| seen.may_change(now)))
        .await?;
    Seen::default().answer(&changed)
}

/// What became of a message that was deleted.
#[derive(Debug, Serialize, ToSchema)]
struct DeletedView {
    /// `trash`, or `gone`.
    state: &'static str,
    /// Until when it can be had back, RFC 3339.
    until: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DeletedHow {
    /// For good, also out of the trash: nobody has it back.
    #[serde(default)]
    now: bool,
}

/// Delete a message: it goes to the trash, or for good where there is none or where that is asked for
#[utoipa::path(
    delete, path = "/messages/{id}", tag = "messages", operation_id = "delete_message",
    params(("id" = String, Path, description = "The message"), DeletedHow),
    responses((status = 200, body = DeletedView), (status = 404, body = Problem))
)]
async fn delete(who: Who, Path(id): Path<String>, how: Asked<DeletedHow>) -> Result<Json<DeletedView>, Problem> {
    let deleted = who.ask(move |access| match how.0.now {
        true => access.free_message(&id).map(|()| Deleted::Freed),
        false => access.delete_message(&id),
    });
    let deleted = deleted.await?;
    let (state, until) = match deleted {
        Deleted::ToTrash { until_ms } => ("trash", Some(UnixMs(until_ms).rfc3339())),
        Deleted::Already => ("trash", None),
        Deleted::Freed => ("gone", None),
    };
    Ok(Json(DeletedView { state, until }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct BackHow {
    /// Pinned: no rule takes it again.
    #[serde(default)]
    pin: bool,
}

/// Bring a message back from the trash
#[utoipa::path(
    post, path = "/messages/{id}/undelete", tag = "messages", operation_id = "undelete_message",
    params(("id" = String, Path, description = "The message"), BackHow),
    responses(
        (status = 200, body = MessageView), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "A rule would delete it again at once")
    )
)]
async fn undelete(who: Who, Path(id): Path<String>, how: Asked<BackHow>) -> Result<Response, Problem> {
    let back = who.ask(move |access| access.undelete_message(&id, how.0.pin));
    Seen::default().answer(&back.await?)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// As a file to save.
    #[serde(default)]
    download: bool,
}

/// A message's media, whole or in ranges
#[utoipa::path(
    get, path = "/messages/{id}/media", tag = "messages", operation_id = "message_media",
    params(("id" = String, Path, description = "The message"), Wanted),
    responses(
        (status = 200, content_type = "video/mp4", body = Vec<u8>),
        (status = 206, content_type = "video/mp4", body = Vec<u8>, description = "The range that was asked for"),
        (status = 304), (status = 404, body = Problem),
        (status = 416, body = Problem, description = "Nothing of the range is there")
    )
)]
async fn play(
    who: Who,
    Path(id): Path<String>,
    wanted: Asked<Wanted>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (asked, seen, gets) = (id.clone(), Seen::of(&headers), method == Method::GET);
    let file = who
        .ask(move |access| {
            let file = access.message_media(&asked, false)?;
            // Whoever has it already gets nothing.
            if gets && file.as_ref().is_some_and(|file| !seen.has(&media::tag(file))) {
                access.opened(&asked)?;
            }
            Ok(file)
        })
        .await?
        .ok_or_else(Problem::fault)?;
    // The id comes from the store, but one that somebody has made up never names a file.
    let name: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    let name = wanted
        .0
        .download
        .then(|| format!("{name}.{}", media::ending(&file.media_type)));
    Ok(media::answer(who.access().clone(), file, name.as_deref(), &headers))
}

/// A message's still picture (JPEG)
#[utoipa::path(
    get, path = "/messages/{id}/poster", tag = "messages", operation_id = "message_poster",
    params(("id" = String, Path, description = "The message")),
    responses((status = 200, content_type = "image/jpeg", body = Vec<u8>), (status = 304), (status = 404, body = Problem))
)]
async fn poster(who: Who, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let file = who.ask(move |access| access.message_media(&id, true)).await?;
    match file {
        Some(file) => Ok(media::answer(who.access().clone(), file, None, &headers)),
        None => Ok(Problem::new(StatusCode::NOT_FOUND, "this message has no picture").into_response()),
    }
}
