//! What happens, while it happens: server-sent events, each to those who may see it.

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use segue_manage::{Access, Secret};
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    events::{ALIVE_EVERY, Step, Stream, too_many},
    given::Asked,
    hub::{Place, Told},
    portal::{Source, Web},
    problem::Problem,
    who::Who,
};

pub(super) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(follow))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct After {
    /// Go on after the event of this id; a browser says it as Last-Event-ID.
    after: Option<String>,
}

/// Follow what happens (docs/events.md); a subscriber sees what happens to their messages
#[utoipa::path(
    get, path = "/events", tag = "events", operation_id = "events",
    params(After),
    responses(
        (status = 200, content_type = "text/event-stream", body = String), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 503, body = Problem)
    )
)]
async fn follow(
    who: Who,
    State(web): State<Web>,
    source: axum::Extension<Source>,
    after: Asked<After>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let place = match last.or(after.0.after.as_deref()).map(str::parse::<Place>) {
        None => None,
        Some(Ok(place)) => Some(place),
        Some(Err(())) => {
            return Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "after is no id of an event; leave it out to follow from now on",
            ));
        }
    };
    let access = who.access().clone();
    let Some(events) = Stream::follow(web.events(), &access.who().name, place) else {
        return Ok(too_many());
    };
    let following = Following {
        events,
        access,
        session: who.session().cloned(),
        token: bearer(&headers),
        source: source.0,
        web,
        asked_at: Instant::now(),
    };
    let lines = stream::unfold(following, |mut following| async move {
        let bytes = following.next().await?;
        Some((Ok::<_, std::convert::Infallible>(bytes), following))
    });
    let kind = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((kind, Body::from_stream(lines)).into_response())
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let said = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    said.split_once(' ').map(|(_, token)| token.trim().to_owned())
}

struct Following {
    events: Stream,
    access: Access,
    session: Option<Secret>,
    token: Option<String>,
    source: Source,
    web: Web,
    /// When it was last asked whether they still may.
    asked_at: Instant,
}

impl Following {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let step = self.events.next().await?;
            // First of all, and now and then, however much happens.
            if matches!(step, Step::Alive) || self.asked_at.elapsed() >= ALIVE_EVERY {
                self.access = self.still().await?;
                self.asked_at = Instant::now();
            }
            match step {
                Step::Alive => return Some(Bytes::from_static(b": alive\n\n")),
                Step::Told(told) => {
                    if let Some(text) = self.shown(&told) {
                        return Some(Bytes::from(text));
                    }
                }
            }
        }
    }

    /// Who has logged out, or whose token was revoked, follows no more.
    async fn still(&self) -> Option<Access> {
        let (session, token, source) = (self.session.clone(), self.token.clone(), self.source.0);
        let asked = self.web.ask(move |manage| match (&session, &token) {
            (Some(session), _) => manage.still_by_session(session, source),
            (None, Some(token)) => manage.by_token(token, source),
            (None, None) => Err(segue_manage::Refusal::NotLoggedIn),
        });
        asked.await.ok()
    }

    /// As an event of the stream, for who may see it. How many others were lost is nobody's business but an operator's.
    fn shown(&self, told: &Told) -> Option<String> {
        let Some(event) = &told.event else {
            return Some("event: events.lost\ndata: {\"type\":\"events.lost\"}\n\n".to_owned());
        };
        if !self.access.may_see(event) {
            return None;
        }
        let id = told.id.as_deref().unwrap_or_default();
        Some(format!(
            "id: {id}\nevent: {}\ndata: {}\n\n",
            event.what.name(),
            told.line.trim_end()
        ))
    }
}
