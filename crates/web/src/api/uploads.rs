//! Clips on their way in: tus 1.0.0, its core with creation, termination and expiration
//! (<https://tus.io/protocols/resumable-upload>), and what becomes of them.

use std::{
    convert::Infallible,
    time::{Duration, Instant, UNIX_EPOCH},
};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::stream;
use segue_manage::{NewUpload, UploadView};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{followers::Place, portal::Web, problem::Problem, upload, who::Who};

const VERSION: &str = "1.0.0";
const EXTENSIONS: &str = "creation,termination,expiration";
/// The media type of pieces.
const PIECE: &str = "application/offset+octet-stream";

/// How often it is looked how far an upload is.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// As often something is said, so that a connection that is gone is noticed.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
/// Longest that an upload is followed: then it is asked anew who asks.
const FOLLOW_MAX: Duration = Duration::from_secs(900);

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(list, begin, options))
        .routes(routes!(show, append, delete))
        .routes(routes!(follow))
}

/// List uploads and what became of them, the oldest first
#[utoipa::path(
    get, path = "/uploads", tag = "clips", operation_id = "uploads",
    responses((status = 200, body = Vec<UploadView>))
)]
async fn list(who: Who, State(web): State<Web>) -> Result<Json<Vec<UploadView>>, Problem> {
    let mut found = who.ask(|access| access.uploads()).await?;
    found.iter_mut().for_each(|one| upload::with_percent(&web, one));
    Ok(Json(found))
}

/// What of tus is spoken here
#[utoipa::path(
    options, path = "/uploads", tag = "clips", operation_id = "upload_options",
    responses((status = 204, description = "Tus-Version, Tus-Extension, Tus-Max-Size"))
)]
async fn options(State(web): State<Web>) -> Response {
    let headers = [
        ("tus-resumable", VERSION.to_owned()),
        ("tus-version", VERSION.to_owned()),
        ("tus-extension", EXTENSIONS.to_owned()),
        ("tus-max-size", web.uploads().max_bytes.to_string()),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Begin an upload: its length is in Upload-Length, the clip's name in Upload-Metadata (`name`, and for operators `user`)
#[utoipa::path(
    post, path = "/uploads", tag = "clips", operation_id = "begin_upload",
    params(
        ("Upload-Length" = u64, Header, description = "Bytes of the file"),
        ("Upload-Metadata" = String, Header, description = "`name BASE64` and perhaps `,user BASE64`")
    ),
    responses(
        (status = 201, body = UploadView, description = "Location says where its bytes go"),
        (status = 409, body = Problem, description = "The name is another's, or too much is under way"),
        (status = 412, body = Problem), (status = 413, body = Problem), (status = 422, body = Problem),
        (status = 507, body = Problem, description = "The disk has no room for it")
    )
)]
async fn begin(who: Who, State(web): State<Web>, headers: HeaderMap) -> Result<Response, Problem> {
    speaks(&headers)?;
    let bytes = number(&headers, "upload-length")?;
    let metadata = text(&headers, "upload-metadata").unwrap_or_default();
    let new = NewUpload {
        name: said(metadata, "name")?.unwrap_or_default(),
        user: said(metadata, "user")?.filter(|user| !user.is_empty()),
        bytes,
    };
    upload::fits(&web, bytes)?;
    let begun = who.ask(move |access| access.begin_upload(&new)).await?;
    let mut response = (StatusCode::CREATED, tus(&begun), Json(&begun)).into_response();
    let place = HeaderValue::from_str(&format!("/api/v1/uploads/{}", begun.id));
    if let Ok(place) = place {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// How far an upload has come, in Upload-Offset (HEAD) and in words
#[utoipa::path(
    get, path = "/uploads/{upload}", tag = "clips", operation_id = "upload",
    params(("upload" = String, Path, description = "The upload")),
    responses((status = 200, body = UploadView), (status = 404, body = Problem))
)]
async fn show(who: Who, State(web): State<Web>, Path(id): Path<String>) -> Result<Response, Problem> {
    let mut found = who.ask(move |access| access.upload(&id)).await?;
    upload::with_percent(&web, &mut found);
    let kept = [(header::CACHE_CONTROL, "no-store")];
    Ok((kept, tus(&found), Json(found)).into_response())
}

/// Bring bytes of an upload, from Upload-Offset on; the last of them has it prepared
#[utoipa::path(
    patch, path = "/uploads/{upload}", tag = "clips", operation_id = "append_upload",
    params(
        ("upload" = String, Path, description = "The upload"),
        ("Upload-Offset" = u64, Header, description = "Which byte the body begins with")
    ),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses(
        (status = 204, description = "Upload-Offset says which byte is next"), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "Another byte is next"), (status = 412, body = Problem),
        (status = 413, body = Problem), (status = 415, body = Problem),
        (status = 423, body = Problem, description = "Another request brings bytes of it"),
        (status = 507, body = Problem, description = "The disk is full; what came is kept")
    )
)]
async fn append(
    who: Who,
    State(web): State<Web>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    // Whose it is comes before what is wrong with the request.
    let asked = id.clone();
    let found = who.ask(move |access| access.upload(&asked)).await?;
    speaks(&headers)?;
    if text(&headers, "content-type").is_none_or(|kind| !kind.eq_ignore_ascii_case(PIECE)) {
        let wrong = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body is no piece of an upload");
        return Err(wrong.fix(format!("send Content-Type: {PIECE}")));
    }
    let offset = number(&headers, "upload-offset")?;
    let length = text(&headers, "content-length").and_then(|said| said.parse::<u64>().ok());
    if length.is_some_and(|length| length > found.bytes.saturating_sub(offset)) {
        return Err(upload::too_long());
    }
    let now = upload::bring(&who, &web, &id, offset, body).await?;
    Ok((StatusCode::NO_CONTENT, tus(&now)).into_response())
}

/// Give an upload up, or forget one that is done with; its clip stays
#[utoipa::path(
    delete, path = "/uploads/{upload}", tag = "clips", operation_id = "delete_upload",
    params(("upload" = String, Path, description = "The upload")),
    responses((status = 204), (status = 404, body = Problem))
)]
async fn delete(who: Who, Path(id): Path<String>) -> Result<Response, Problem> {
    who.ask(move |access| access.remove_upload(&id)).await?;
    Ok((StatusCode::NO_CONTENT, [("tus-resumable", VERSION)]).into_response())
}

/// Follow an upload until it is ready or refused: events `upload`, each its view
#[utoipa::path(
    get, path = "/uploads/{upload}/events", tag = "clips", operation_id = "upload_events",
    params(("upload" = String, Path, description = "The upload")),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = 404, body = Problem),
        (status = 503, body = Problem, description = "They follow as many as they may"))
)]
async fn follow(who: Who, State(web): State<Web>, Path(id): Path<String>) -> Result<Response, Problem> {
    let asked = id.clone();
    who.ask(move |access| access.upload(&asked)).await?;
    let Some(place) = web.followers().enter(&who.access().who().name) else {
        let full = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "you follow as many uploads as one may");
        return Err(full.fix("end one of the others, or ask for the upload now and then"));
    };
    let following = Following {
        _place: place,
        who,
        web,
        id,
        since: Instant::now(),
        said: None,
        is_over: false,
    };
    let lines = stream::unfold(following, |mut following| async move {
        let line = following.next().await?;
        Some((Ok::<_, Infallible>(line), following))
    });
    let kind = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((kind, Body::from_stream(lines)).into_response())
}

struct Following {
    _place: Place,
    who: Who,
    web: Web,
    id: String,
    since: Instant,
    said: Option<(String, Instant)>,
    is_over: bool,
}

impl Following {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.is_over || self.since.elapsed() > FOLLOW_MAX {
                return None;
            }
            if self.said.is_some() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            let id = self.id.clone();
            let mut found = self.who.ask(move |access| access.upload(&id)).await.ok()?;
            upload::with_percent(&self.web, &mut found);
            self.is_over = found.is_final();
            let text = serde_json::to_string(&found).ok()?;
            match &self.said {
                Some((said, at)) if *said == text => {
                    if at.elapsed() >= ALIVE_EVERY {
                        self.said = Some((text, Instant::now()));
                        return Some(Bytes::from_static(b": alive\n\n"));
                    }
                }
                _ => {
                    let line = format!("event: upload\ndata: {text}\n\n");
                    self.said = Some((text, Instant::now()));
                    return Some(Bytes::from(line));
                }
            }
        }
    }
}

/// What tus says with each answer about an upload.
fn tus(upload: &UploadView) -> [(&'static str, String); 4] {
    let expires = u64::try_from(upload.expires_at_ms).unwrap_or(0);
    let expires = UNIX_EPOCH
        .checked_add(Duration::from_millis(expires))
        .unwrap_or(UNIX_EPOCH);
    [
        ("tus-resumable", VERSION.to_owned()),
        ("upload-offset", upload.offset.to_string()),
        ("upload-length", upload.bytes.to_string()),
        ("upload-expires", httpdate::fmt_http_date(expires)),
    ]
}

/// One that says nothing of tus is taken at its word.
fn speaks(headers: &HeaderMap) -> Result<(), Problem> {
    match text(headers, "tus-resumable") {
        None | Some(VERSION) => Ok(()),
        Some(_) => Err(
            Problem::new(StatusCode::PRECONDITION_FAILED, "another version of tus is spoken here")
                .fix(format!("send Tus-Resumable: {VERSION}")),
        ),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|said| said.to_str().ok()).map(str::trim)
}

fn number(headers: &HeaderMap, name: &str) -> Result<u64, Problem> {
    let said = text(headers, name).filter(|said| said.bytes().all(|byte| byte.is_ascii_digit()));
    said.and_then(|said| said.parse().ok()).ok_or_else(|| {
        let wrong = Problem::new(
            StatusCode::BAD_REQUEST,
            format!("the header {name} is missing or no number"),
        );
        wrong.fix(format!("send {name} with a number of bytes"))
    })
}

/// A value of Upload-Metadata: pairs of a key and a value in Base64, with commas between.
fn said(metadata: &str, key: &str) -> Result<Option<String>, Problem> {
    let wrong = || {
        Problem::new(
            StatusCode::BAD_REQUEST,
            format!("{key} in Upload-Metadata is no Base64 of UTF-8"),
        )
    };
    for pair in metadata.split(',') {
        let (said, value) = pair.trim().split_once(' ').unwrap_or((pair.trim(), ""));
        if said == key {
            let bytes = STANDARD.decode(value.trim()).map_err(|_| wrong())?;
            return String::from_utf8(bytes).map(Some).map_err(|_| wrong());
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read_as_tus_has_it() {
        let of = |text: &str| said(text, "name").ok().flatten();
        assert_eq!(of("name aGVsbG8=").as_deref(), Some("hello"));
        assert_eq!(of("is_public,name aGVsbG8=, user Ym9i").as_deref(), Some("hello"));
        assert_eq!(of("filename aGVsbG8="), None);
        assert_eq!(of("name").as_deref(), Some(""));
        assert!(said("name $", "name").is_err());
        assert!(said("name /w==", "name").is_err(), "no UTF-8");
    }
}
