//! A file in an ordinary form (RFC 7578), for browsers without a script: it comes in one go and is otherwise an upload as others are.

use axum::{
    extract::{Multipart, State, multipart::Field},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use futures_util::stream;
use segue_manage::NewUpload;
use segue_store::Role;

use super::failed;
use crate::{
    given,
    portal::Web,
    problem::Problem,
    upload,
    who::{PostedFile, Sender},
};

/// Longest field besides the file, bytes.
const FIELD_MAX: usize = 1_024;

pub(super) async fn take(State(web): State<Web>, headers: HeaderMap, posted: PostedFile) -> Response {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|said| said.to_str().ok());
    let Some(length) = length.and_then(|said| said.parse::<u64>().ok()) else {
        return failed(&Problem::new(
            StatusCode::LENGTH_REQUIRED,
            "the form does not say how long it is",
        ));
    };
    // It goes on when the browser has left: then it notices, and clears up.
    let task = tokio::spawn(async move { taken(&web, length, posted).await });
    match task.await.unwrap_or_else(|_| Err(Problem::fault())) {
        Ok(back) => Redirect::to(&back).into_response(),
        Err(problem) => failed(&problem),
    }
}

async fn taken(web: &Web, length: u64, posted: PostedFile) -> Result<String, Problem> {
    let (sender, mut form) = posted.parts();
    let taken = read(web, length, sender, &mut form).await;
    if taken.is_err() {
        let rest = stream::unfold(form, |mut form| async move {
            let field = form.next_field().await.transpose()?.map(drop);
            Some((field, form))
        });
        upload::drain(Box::pin(rest)).await;
    }
    taken
}

async fn read(web: &Web, length: u64, sender: Sender, form: &mut Multipart) -> Result<String, Problem> {
    let (mut who, mut sender) = (None, Some(sender));
    let mut new = NewUpload::default();
    while let Some(mut field) = form.next_field().await.map_err(|_| unreadable())? {
        match field.name() {
            Some("csrf") => {
                let csrf = short(&mut field).await?;
                who = sender.take().map(|sender| sender.means_it(&csrf)).transpose()?;
            }
            Some("user") => new.user = Some(short(&mut field).await?).filter(|user| !user.is_empty()),
            Some("name") => new.name = short(&mut field).await?,
            Some("file") => {
                let Some(who) = &who else {
                    // It is said as everywhere else.
                    return Err(sender.map_or_else(Problem::fault, |sender| {
                        sender.means_it("").err().unwrap_or_else(Problem::fault)
                    }));
                };
                // What the form has besides is some hundred bytes: the disk is asked for no less than comes.
                new.bytes = length;
                upload::fits(web, length)?;
                let back = match (&new.user, who.access().who().role) {
                    (Some(user), Role::Operator) => format!("/clips?user={}", given::encoded(user)),
                    _ => "/clips".to_owned(),
                };
                let begun = who.ask(move |access| access.begin_upload(&new)).await?;
                let pieces = Box::pin(stream::unfold(field, |mut field| async move {
                    let piece = field.chunk().await.transpose()?;
                    Some((piece, field))
                }));
                let access = who.access().clone();
                let done = upload::bring_all(&access, web, &begun.id, pieces).await;
                if let Err(problem) = done {
                    // A form cannot be gone on with.
                    let _ = who.ask(move |access| access.remove_upload(&begun.id)).await;
                    return Err(problem);
                }
                return Ok(back);
            }
            _ => {
                short(&mut field).await?;
            }
        }
    }
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "there is no file in the form").fix("choose a file"))
}

fn unreadable() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "the form cannot be read, or it broke off")
}

/// A field of a few letters.
async fn short(field: &mut Field<'_>) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(|_| unreadable())? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > FIELD_MAX {
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "a field of the form is too long",
            ));
        }
    }
    String::from_utf8(bytes).map_err(|_| unreadable())
}
