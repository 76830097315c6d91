//! Errors as RFC 9457 describes them.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

#[derive(Serialize)]
struct Problem<'a> {
    title: &'a str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    reasons: &'a [String],
}

/// `application/problem+json` with this status.
pub(crate) fn problem(status: StatusCode, title: &str, detail: String) -> Response {
    with_reasons(status, title, detail, &[])
}

/// The same with a member `reasons`.
pub(crate) fn with_reasons(status: StatusCode, title: &str, detail: String, reasons: &[String]) -> Response {
    let body = Json(Problem {
        title,
        status: status.as_u16(),
        detail,
        reasons,
    });
    let headers = [
        (header::CONTENT_TYPE, "application/problem+json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, body).into_response()
}
