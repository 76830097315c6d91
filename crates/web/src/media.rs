//! Media: whole, or a range of it (RFC 9110 §14), piece by piece, so that no slow reader holds the store.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use segue_manage::Access;
use segue_store::MediaFile;

use crate::{
    problem::Problem,
    seen::{Seen, tagged},
};

/// Bytes read at a time.
const PIECE: usize = 256 * 1024;

/// What a Range header asks for of so many bytes.
#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// All of it: there is none, it cannot be read, or it names several (a server may ignore it, §14.2).
    All,
    /// These, the last included.
    Part(u64, u64),
    /// None of them is there.
    Beyond,
}

impl Range {
    fn of(said: &str, length: u64) -> Range {
        let Some((unit, set)) = said.split_once('=') else {
            return Range::All;
        };
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return Range::All;
        }
        let Some((first, last)) = set.trim().split_once('-') else {
            return Range::All;
        };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(first) || !digits(last) {
            return Range::All;
        }
        // A number too long for us is past every end.
        let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
        let end = length.saturating_sub(1);
        match (first, last) {
            ("", "") => Range::All,
            ("", suffix) => match number(suffix).min(length) {
                0 => Range::Beyond,
                suffix => Range::Part(length.saturating_sub(suffix), end),
            },
            (first, _) if number(first) >= length => Range::Beyond,
            (first, "") => Range::Part(number(first), end),
            (first, last) if number(last) < number(first) => Range::All,
            (first, last) => Range::Part(number(first), number(last).min(end)),
        }
    }
}

/// Its entity tag.
pub(crate) fn tag(file: &MediaFile) -> String {
    format!("\"{}\"", file.tag())
}

/// Media as an answer. `name`: it is to be saved under it.
pub(crate) fn answer(access: Access, file: MediaFile, name: Option<&str>, headers: &HeaderMap) -> Response {
    let tag = tag(&file);
    let kept = [(header::CACHE_CONTROL, "private, no-cache")];
    if Seen::of(headers).has(&tag) {
        return (StatusCode::NOT_MODIFIED, kept, tagged(&tag)).into_response();
    }
    let said = |name| headers.get(name).and_then(|said: &HeaderValue| said.to_str().ok());
    // A range of something else than it has seen is none (§13.1.5).
    let is_same = said(header::IF_RANGE).is_none_or(|seen| seen.trim() == tag);
    let range = match said(header::RANGE) {
        Some(range) if is_same => Range::of(range, file.bytes),
        _ => Range::All,
    };
    let end = file.bytes.saturating_sub(1);
    let (status, first, last) = match range {
        Range::All => (StatusCode::OK, 0, end),
        Range::Part(first, last) => (StatusCode::PARTIAL_CONTENT, first, last),
        Range::Beyond => {
            let size = HeaderValue::from_str(&format!("bytes */{}", file.bytes));
            let mut response = Problem::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                format!("there are {} bytes, and none of those asked for", file.bytes),
            )
            .into_response();
            if let Ok(size) = size {
                response.headers_mut().insert(header::CONTENT_RANGE, size);
            }
            return response;
        }
    };
    let length = if file.bytes == 0 {
        0
    } else {
        last.saturating_sub(first).saturating_add(1)
    };
    let mut response = (status, kept, tagged(&tag)).into_response();
    let mut put = |name, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    };
    put(header::ACCEPT_RANGES, "bytes".to_owned());
    put(header::CONTENT_TYPE, shown_type(&file.media_type).to_owned());
    put(header::CONTENT_LENGTH, length.to_string());
    if status == StatusCode::PARTIAL_CONTENT {
        put(header::CONTENT_RANGE, format!("bytes {first}-{last}/{}", file.bytes));
    }
    if let Some(name) = name {
        put(header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\""));
    }
    *response.body_mut() = body(access, file, first, length);
    response
}

/// What a browser is told that it is. What could be taken for a page is not said.
fn shown_type(media_type: &str) -> &str {
    let is_media = ["video/", "audio/", "image/jpeg"]
        .iter()
        .any(|kind| media_type.starts_with(kind));
    if is_media {
        media_type
    } else {
        "application/octet-stream"
    }
}

/// Endings of the files that messages are, by media type.
pub(crate) fn ending(media_type: &str) -> &'static str {
    match media_type.split(';').next().unwrap_or_default().trim() {
        "video/mp4" | "audio/mp4" => "mp4",
        "video/webm" | "audio/webm" => "webm",
        "audio/ogg" => "ogg",
        _ => "bin",
    }
}

struct Reading {
    access: Access,
    file: MediaFile,
    at: u64,
    left: u64,
}

/// Read as fast as it is taken. What is gone meanwhile breaks the answer off, as nothing else can be said any more.
fn body(access: Access, file: MediaFile, at: u64, left: u64) -> Body {
    let reading = Reading { access, file, at, left };
    let pieces = stream::unfold(reading, |mut reading| async move {
        if reading.left == 0 {
            return None;
        }
        let max = usize::try_from(reading.left).unwrap_or(PIECE).min(PIECE);
        let (access, file, at) = (reading.access.clone(), reading.file.clone(), reading.at);
        let read = tokio::task::spawn_blocking(move || access.media_piece(&file, at, max)).await;
        let piece = match read {
            Ok(Ok(piece)) if !piece.is_empty() => Ok(Bytes::from(piece)),
            Ok(Err(refusal)) => Err(std::io::Error::other(refusal.to_string())),
            _ => Err(std::io::Error::other("the media ended early")),
        };
        let length = piece.as_ref().map_or(reading.left, |piece| piece.len() as u64);
        reading.at = reading.at.saturating_add(length);
        reading.left = reading.left.saturating_sub(length);
        Some((piece, reading))
    });
    Body::from_stream(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_14_says() {
        for (said, wanted) in [
            ("bytes=0-499", Range::Part(0, 499)),
            ("bytes=500-999", Range::Part(500, 999)),
            ("bytes=-500", Range::Part(9500, 9999)),
            ("bytes=9500-", Range::Part(9500, 9999)),
            ("bytes=0-0", Range::Part(0, 0)),
            ("bytes=-1", Range::Part(9999, 9999)),
            ("bytes=9000-20000", Range::Part(9000, 9999)),
            ("bytes=-20000", Range::Part(0, 9999)),
            ("Bytes=1-2", Range::Part(1, 2)),
            ("bytes=0-99999999999999999999999", Range::Part(0, 9999)),
            ("bytes=10000-", Range::Beyond),
            ("bytes=99999999999999999999999-", Range::Beyond),
            ("bytes=-0", Range::Beyond),
            ("bytes=2-1", Range::All),
            ("bytes=0-0,-1", Range::All),
            ("bytes=a-b", Range::All),
            ("bytes=-", Range::All),
            ("pages=1-2", Range::All),
            ("", Range::All),
        ] {
            assert_eq!(Range::of(said, 10_000), wanted, "{said}");
        }
        assert_eq!(Range::of("bytes=0-", 0), Range::Beyond);
    }
}
