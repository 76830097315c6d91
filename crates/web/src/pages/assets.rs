//! Styles, scripts and the picture in the tab: in the binary, each under a name that changes when it does.

use std::sync::LazyLock;

use axum::{
    Router,
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use ring::digest;

use crate::{portal::Web, problem::Problem};

/// Name, type, bytes.
const FILES: &[(&str, &str, &str)] = &[
    (
        "segue.css",
        "text/css; charset=utf-8",
        include_str!("../../assets/segue.css"),
    ),
    (
        "draw.css",
        "text/css; charset=utf-8",
        include_str!("../../assets/draw.css"),
    ),
    (
        "clock.js",
        "text/javascript; charset=utf-8",
        include_str!("../../assets/clock.js"),
    ),
    (
        "calls.js",
        "text/javascript; charset=utf-8",
        include_str!("../../assets/calls.js"),
    ),
    (
        "clips.js",
        "text/javascript; charset=utf-8",
        include_str!("../../assets/clips.js"),
    ),
    ("icon.svg", "image/svg+xml", include_str!("../../assets/icon.svg")),
    (
        "keys.js",
        "text/javascript; charset=utf-8",
        include_str!("../../assets/keys.js"),
    ),
    (
        "load.js",
        "text/javascript; charset=utf-8",
        include_str!("../../assets/load.js"),
    ),
    (
        "refresh.js",
        "text/javascript; charset=utf-8",
        include_str!("../../assets/refresh.js"),
    ),
    (
        "mailbox.js",
        "text/javascript; charset=utf-8",
        include_str!("../../assets/mailbox.js"),
    ),
];

/// One for all files: a new binary is asked for new ones.
static STAMP: LazyLock<String> = LazyLock::new(|| {
    let mut context = digest::Context::new(&digest::SHA256);
    FILES.iter().for_each(|(_, _, text)| context.update(text.as_bytes()));
    let digest = context.finish();
    digest
        .as_ref()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
});

/// Where a file is.
pub(crate) fn path(name: &str) -> String {
    format!("/assets/{}/{name}", *STAMP)
}

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/assets/{stamp}/{name}", get(file))
}

async fn file(Path((_, name)): Path<(String, String)>) -> Response {
    match FILES.iter().find(|(known, _, _)| *known == name) {
        Some((_, kind, text)) => {
            let headers = [
                (header::CONTENT_TYPE, *kind),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ];
            (headers, *text).into_response()
        }
        None => Problem::new(StatusCode::NOT_FOUND, "there is no such file").into_response(),
    }
}
