//! What requests bring: queries, bodies and forms, each with a problem where it is wrong.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use serde::de::DeserializeOwned;

use crate::{portal::Web, problem::Problem};

/// Longest body of JSON or a form, bytes.
const BODY_MAX: usize = 64 * 1024;

/// The query of a request.
pub(crate) struct Asked<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Web> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Web) -> Result<Asked<T>, Problem> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(asked)| Asked(asked))
            .map_err(|wrong| Problem::new(StatusCode::BAD_REQUEST, format!("the query cannot be read: {wrong}")))
    }
}

/// A body of JSON.
pub(crate) struct Given<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Web> for Given<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Web) -> Result<Given<T>, Problem> {
        let (parts, body) = request.into_parts();
        if !is_of(&parts.headers, "application/json") {
            let wrong = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body is no JSON");
            return Err(wrong.fix("send Content-Type: application/json"));
        }
        let bytes = bytes(body).await?;
        serde_json::from_slice(&bytes)
            .map(Given)
            .map_err(|wrong| Problem::new(StatusCode::BAD_REQUEST, format!("the body cannot be read: {wrong}")))
    }
}

/// The body of a form.
pub(crate) async fn form_bytes(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    if !is_of(headers, "application/x-www-form-urlencoded") {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body is no form"));
    }
    bytes(body).await
}

/// What a form says.
pub(crate) fn form<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Problem> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let uri = format!("/?{text}").parse();
    let wrong = |why: String| Problem::new(StatusCode::BAD_REQUEST, format!("the form cannot be read: {why}"));
    let uri = uri.map_err(|_| wrong("it is not encoded as one".to_owned()))?;
    Query::try_from_uri(&uri)
        .map(|Query(form)| form)
        .map_err(|why| wrong(why.to_string()))
}

fn is_of(headers: &HeaderMap, wanted: &str) -> bool {
    let said = headers.get(header::CONTENT_TYPE).and_then(|said| said.to_str().ok());
    said.and_then(|said| said.split(';').next())
        .is_some_and(|said| said.trim().eq_ignore_ascii_case(wanted))
}

async fn bytes(body: Body) -> Result<Bytes, Problem> {
    axum::body::to_bytes(body, BODY_MAX).await.map_err(|_| {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is longer than {BODY_MAX} bytes, or it ended early"),
        )
    })
}

/// Text as a value of a query (RFC 3986 §2.1).
pub(crate) fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}
