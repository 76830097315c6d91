//! Clips and greetings.

use std::time::Duration;

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use segue_jobs::clips::ClipError;
use segue_manage::{ClipView, Page, PageAsked};
use segue_store::MediaFile;
use tokio::sync::oneshot;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{given::Asked, media, portal::Web, problem::Problem, seen::Seen, who::Who};

/// How long is waited for a preview that is being made.
const PREVIEW_TIME: Duration = Duration::from_secs(120);

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show, delete))
        .routes(routes!(poster))
        .routes(routes!(preview))
        .routes(routes!(refresh))
}

/// List clips by name: all for an operator, else one's own and those that are everybody's
#[utoipa::path(
    get, path = "/clips", tag = "clips", operation_id = "clips",
    params(PageAsked),
    responses((status = 200, body = Page<ClipView>), (status = 304), (status = 422, body = Problem))
)]
async fn list(who: Who, page: Asked<PageAsked>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.clips(&page.0)).await?)
}

/// Show a clip: its renditions, and where it is used
#[utoipa::path(
    get, path = "/clips/{clip}", tag = "clips", operation_id = "clip",
    params(("clip" = String, Path, description = "The clip's name")),
    responses((status = 200, body = ClipView), (status = 304), (status = 404, body = Problem))
)]
async fn show(who: Who, Path(clip): Path<String>, seen: Seen) -> Result<Response, Problem> {
    seen.answer(&who.ask(move |access| access.clip(&clip)).await?)
}

/// Delete a clip that is not used; calls that play it go on
#[utoipa::path(
    delete, path = "/clips/{clip}", tag = "clips", operation_id = "delete_clip",
    params(("clip" = String, Path, description = "The clip's name")),
    responses(
        (status = 204), (status = 404, body = Problem),
        (status = 403, body = Problem, description = "It is everybody's, and who asks is no operator"),
        (status = 409, body = Problem, description = "A subscriber or a rule uses it")
    )
)]
async fn delete(who: Who, Path(clip): Path<String>) -> Result<StatusCode, Problem> {
    who.ask(move |access| access.remove_clip(&clip)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A clip's still picture (JPEG)
#[utoipa::path(
    get, path = "/clips/{clip}/poster", tag = "clips", operation_id = "clip_poster",
    params(("clip" = String, Path, description = "The clip's name")),
    responses((status = 200, content_type = "image/jpeg", body = Vec<u8>), (status = 304), (status = 404, body = Problem))
)]
async fn poster(who: Who, Path(clip): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    match who.ask(move |access| access.clip_poster(&clip)).await? {
        Some(file) => Ok(media::answer(who.access().clone(), file, None, &headers)),
        None => Ok(Problem::new(StatusCode::NOT_FOUND, "this clip has no picture").into_response()),
    }
}

/// A clip as its callers get it, in a form that browsers play, whole or in ranges; it is made when it is first asked for
#[utoipa::path(
    get, path = "/clips/{clip}/preview", tag = "clips", operation_id = "clip_preview",
    params(("clip" = String, Path, description = "The clip's name")),
    responses(
        (status = 200, content_type = "video/mp4", body = Vec<u8>), (status = 206, content_type = "video/mp4", body = Vec<u8>),
        (status = 304), (status = 404, body = Problem), (status = 416, body = Problem),
        (status = 503, body = Problem, description = "Others come first")
    )
)]
async fn preview(
    who: Who,
    State(web): State<Web>,
    Path(clip): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let file = made(&who, &web, &clip).await?;
    Ok(media::answer(who.access().clone(), file, None, &headers))
}

async fn made(who: &Who, web: &Web, name: &str) -> Result<MediaFile, Problem> {
    let asked = name.to_owned();
    let clip = match who.ask(move |access| access.clip_preview(&asked)).await? {
        Ok(file) => return Ok(file),
        Err(clip) => clip,
    };
    let (tell, told) = oneshot::channel();
    if !web.uploads().preparer.preview(clip, |made| drop(tell.send(made))) {
        return Err(others_first());
    }
    match tokio::time::timeout(PREVIEW_TIME, told).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => {
            tracing::warn!(clip = name, %error, "what browsers play of a clip could not be made");
            return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).code(error.code()));
        }
        Ok(Err(_)) | Err(_) => return Err(others_first()),
    }
    let asked = name.to_owned();
    let again = who.ask(move |access| access.clip_preview(&asked)).await?;
    again.map_err(|_| others_first())
}

/// Make what this version makes besides of a clip that an older one prepared; calls that play it go on
#[utoipa::path(
    post, path = "/clips/{clip}/refresh", tag = "clips", operation_id = "refresh_clip",
    params(("clip" = String, Path, description = "The clip's name")),
    responses(
        (status = 200, body = ClipView, description = "What is `missing` still cannot be made here"),
        (status = 202, body = ClipView, description = "It takes its time: it is done once nothing is `missing`"),
        (status = 403, body = Problem, description = "It is everybody's, and who asks is no operator"),
        (status = 404, body = Problem), (status = 409, body = Problem, description = "What is stored of it cannot be used"),
        (status = 503, body = Problem, description = "Others come first")
    )
)]
async fn refresh(who: Who, State(web): State<Web>, Path(clip): Path<String>) -> Result<Response, Problem> {
    let name = clip.clone();
    let (found, deed) = who.ask(move |access| access.clip_to_refresh(&name)).await?;
    let mut status = StatusCode::OK;
    if !found.missing().is_empty() {
        let (tell, told) = oneshot::channel();
        let preparer = &web.uploads().preparer;
        if !preparer.refresh(&clip, deed, |made| drop(tell.send(made))) {
            return Err(others_first());
        }
        match tokio::time::timeout(PREVIEW_TIME, told).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => return Err(not_refreshed(&clip, &error)),
            Ok(Err(_)) => return Err(others_first()),
            Err(_) => status = StatusCode::ACCEPTED,
        }
    }
    let view = who.ask(move |access| access.clip(&clip)).await?;
    Ok((status, Seen::default().answer(&view)?).into_response())
}

fn not_refreshed(clip: &str, error: &ClipError) -> Problem {
    let status = match error {
        ClipError::Refused(_) | ClipError::Reserved => StatusCode::CONFLICT,
        gone if gone.code() == "not_found" => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    tracing::warn!(clip, %error, "a clip could not be brought up to date");
    Problem::new(status, error.to_string())
        .code(error.code())
        .fix(error.fix())
}

fn others_first() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "other clips are being prepared first").fix("try again in a while")
}
