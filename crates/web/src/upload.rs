//! Bytes of an upload from a request to the disk: piece by piece, and never more of them in memory. Whatever ends a request, what has come
//! until then is kept.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::StatusCode,
};
use futures_util::{Stream, StreamExt};
use segue_jobs::Preparer;
use segue_manage::{Access, Refusal, UploadView};
use segue_store::{StoreError, UploadFile};

use crate::{portal::Web, problem::Problem, who::Who};

/// Bytes written at a time.
const WRITE: usize = 256 * 1024;
/// A request of which nothing comes for so long has broken off.
const SILENT_MAX: Duration = Duration::from_secs(30);
/// Longest that is read of what is refused.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// What uploads need of the server.
#[derive(Clone)]
pub struct Uploads {
    /// Makes clips of them.
    pub preparer: Preparer,
    /// Longest upload, bytes.
    pub max_bytes: u64,
}

/// How far it has been prepared.
pub(crate) fn with_percent(web: &Web, upload: &mut UploadView) {
    if upload.state == "preparing" {
        upload.percent = web.uploads().preparer.percent(&upload.id);
    }
}

/// Whether so many bytes are not too many.
pub(crate) fn fits(web: &Web, bytes: u64) -> Result<(), Problem> {
    let max = web.uploads().max_bytes;
    if bytes <= max {
        return Ok(());
    }
    let wrong = format!("the file has {bytes} bytes, and {max} are the most (http.upload_max)");
    Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, wrong).fix("give a shorter one, or one with a lower bitrate"))
}

/// More bytes than were said.
pub(crate) fn too_long() -> Problem {
    let wrong = "there are more bytes than Upload-Length says";
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, wrong).fix("begin another upload")
}

/// Brings what a request has, from a byte on; the last byte of all has the upload prepared. It is done in a task of its own: a handler
/// ends with its connection, and what came before that is to be kept.
///
/// # Errors
/// 404, 409 (another byte is next), 423 (another request is at it), 413, 507, 400 where the request broke off.
pub(crate) async fn bring(who: &Who, web: &Web, id: &str, offset: u64, body: Body) -> Result<UploadView, Problem> {
    let (access, web, id) = (who.access().clone(), web.clone(), id.to_owned());
    let task = async move {
        let mut pieces = body.into_data_stream();
        let brought = bring_pieces(&access, &web, &id, offset, &mut pieces).await;
        if brought.is_err() {
            drain(&mut pieces).await;
        }
        brought
    };
    tokio::spawn(task).await.unwrap_or_else(|_| Err(Problem::fault()))
}

/// Reads on for a while: who still sends would not see the answer, but a connection that breaks.
pub(crate) async fn drain<T, E>(mut pieces: impl Stream<Item = Result<T, E>> + Unpin) {
    let rest = async { while let Some(Ok(_)) = pieces.next().await {} };
    let _ = tokio::time::timeout(DRAIN_MAX, rest).await;
}

/// Brings all that there is of a fresh upload: where it ends, it is whole.
pub(crate) async fn bring_all<E>(
    access: &Access,
    web: &Web,
    id: &str,
    pieces: impl Stream<Item = Result<Bytes, E>>,
) -> Result<UploadView, Problem> {
    let file = opened(access, id, 0).await?;
    let (file, ended) = written(file, pieces).await?;
    ended?;
    let (asked, asks) = (id.to_owned(), access.clone());
    let now = crate::asked(move || asks.end_upload(&asked, file)).await;
    let now = now.ok_or_else(Problem::fault)?.map_err(Problem::from)?;
    web.uploads().preparer.wake();
    Ok(now)
}

async fn bring_pieces<E>(
    access: &Access,
    web: &Web,
    id: &str,
    offset: u64,
    pieces: impl Stream<Item = Result<Bytes, E>>,
) -> Result<UploadView, Problem> {
    let file = opened(access, id, offset).await?;
    let (file, ended) = written(file, pieces).await?;
    let (asked, asks) = (id.to_owned(), access.clone());
    let now = crate::asked(move || asks.close_upload(&asked, file)).await;
    let now = now.ok_or_else(Problem::fault)?.map_err(Problem::from)?;
    if now.state == "queued" {
        web.uploads().preparer.wake();
    }
    ended.map(|()| now)
}

async fn opened(access: &Access, id: &str, offset: u64) -> Result<UploadFile, Problem> {
    let (asked, asks) = (id.to_owned(), access.clone());
    let opened = crate::asked(move || asks.go_on_with_upload(&asked, offset)).await;
    match opened.ok_or_else(Problem::fault)? {
        Ok(Some(file)) => Ok(file),
        Ok(None) => {
            let wrong = "another request is bringing bytes of this upload";
            Err(Problem::new(StatusCode::LOCKED, wrong).fix("wait for it to end, then ask for the offset"))
        }
        Err(Refusal::Changed) => {
            let wrong = format!("byte {offset} is not the one that comes next");
            Err(Problem::new(StatusCode::CONFLICT, wrong)
                .code("offset")
                .fix("ask for the offset by HEAD, and go on from there"))
        }
        Err(refusal) => Err(refusal.into()),
    }
}

/// Writes pieces until they end; the file is there again however they did.
async fn written<E>(
    mut file: UploadFile,
    pieces: impl Stream<Item = Result<Bytes, E>>,
) -> Result<(UploadFile, Result<(), Problem>), Problem> {
    let mut pieces = std::pin::pin!(pieces);
    let mut waiting: Vec<u8> = Vec::with_capacity(WRITE);
    let broken_off = || {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "the request broke off; what has come of it is kept",
        )
    };
    loop {
        let (is_last, ended) = match tokio::time::timeout(SILENT_MAX, pieces.next()).await {
            Ok(Some(Ok(piece))) => {
                waiting.extend_from_slice(&piece);
                (false, Ok(()))
            }
            Ok(None) => (true, Ok(())),
            Ok(Some(Err(_))) => (true, Err(broken_off())),
            Err(_) => {
                let late = Problem::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "nothing came for too long; what has come is kept",
                );
                (true, Err(late))
            }
        };
        if waiting.len() >= WRITE || (is_last && !waiting.is_empty()) {
            let bytes = std::mem::take(&mut waiting);
            let write = move || {
                let done = file.append(&bytes);
                (file, done, bytes)
            };
            let (back, done, bytes) = crate::asked(write).await.ok_or_else(Problem::fault)?;
            file = back;
            waiting = bytes;
            waiting.clear();
            match done {
                Ok(()) => {}
                Err(StoreError::Refused { .. }) => return Ok((file, Err(too_long()))),
                Err(error) => return Ok((file, Err(Refusal::from(error).into()))),
            }
        }
        if is_last {
            return Ok((file, ended));
        }
    }
}
