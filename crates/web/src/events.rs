//! `GET /events`: what happens, one JSON object a line, until somebody ends it (docs/events.md).

use std::{collections::VecDeque, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use segue_records::UnixMs;
use segue_store::Store;
use serde::Deserialize;

use crate::{
    Followers, Hub, Site,
    hub::{Following, Place, Told, lost_line},
    problem::problem,
};

/// An empty line this often when nothing happens: whoever has gone is noticed, and nobody in between gives up.
pub(crate) const ALIVE_EVERY: Duration = Duration::from_secs(15);
/// Changes read from the store at a time.
const CHANGES_AT_ONCE: u32 = 500;

/// Where `/events` gets its events.
#[derive(Debug, Clone)]
pub struct Events {
    hub: Hub,
    // Known to this file alone: handlers get to what is somebody's by `Who`.
    store: Store,
    now: fn() -> UnixMs,
}

impl Events {
    /// Those of this run from the hub, changes of messages since any from the store; `now` is the wall clock, for what the stream itself
    /// says.
    pub fn new(hub: Hub, store: Store, now: fn() -> UnixMs) -> Events {
        Events { hub, store, now }
    }

    /// The wall clock.
    pub(crate) fn now(&self) -> UnixMs {
        (self.now)()
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    after: Option<String>,
}

pub(crate) async fn follow(State(site): State<Arc<Site>>, headers: HeaderMap, asked: Query<Asked>) -> Response {
    if let Some(refusal) = refused(&site, &headers) {
        return refusal;
    }
    let Some(events) = &site.events else {
        return problem(StatusCode::FORBIDDEN, "Not allowed", NOT_HERE.to_owned());
    };
    let place = match asked.after.as_deref().map(str::parse::<Place>) {
        None => None,
        Some(Ok(place)) => Some(place),
        Some(Err(())) => {
            return problem(
                StatusCode::BAD_REQUEST,
                "Bad request",
                "after is no id of an event; leave it out to follow from now on".to_owned(),
            );
        }
    };
    let Some(stream) = Stream::follow(events, "", place) else {
        return too_many();
    };
    let stream = stream::unfold(stream, |mut stream| async move {
        let line = match stream.next().await? {
            Step::Alive => Bytes::from_static(b"\n"),
            Step::Told(told) => Bytes::copy_from_slice(told.line.as_bytes()),
        };
        Some((Ok::<_, std::convert::Infallible>(line), stream))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (StatusCode::OK, headers, Body::from_stream(stream)).into_response()
}

/// As many follow as may.
pub(crate) fn too_many() -> Response {
    problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "Too many followers",
        "as many follow the events as may, or the server ends".to_owned(),
    )
}

const NOT_HERE: &str = "this tells who calls whom: it is for commands on the server's machine, as http.listen is not loopback, or \
                        http.public or http.proxies is set; operators follow /api/v1/events, and http.events = \"anyone\" opens it to all";

/// Why who asks may not know who calls whom, and where calls go.
pub(crate) fn refused(site: &Site, headers: &HeaderMap) -> Option<Response> {
    if site.key.as_deref().is_some_and(|key| has_key(headers, key)) {
        return None;
    }
    let why = match site.followers {
        Followers::Anyone => return None,
        Followers::Nobody => NOT_HERE,
        Followers::ThisMachine if BY_PROXY.iter().any(|name| headers.contains_key(*name)) => NOT_HERE,
        Followers::ThisMachine if names_this_machine(headers) => return None,
        Followers::ThisMachine => "the Host header names another machine than this one by address or localhost",
    };
    Some(problem(StatusCode::FORBIDDEN, "Not allowed", why.to_owned()))
}

/// What proxies add: then somebody else asks than a program of this machine.
const BY_PROXY: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// In a time that tells nothing of the key.
fn has_key(headers: &HeaderMap, key: &str) -> bool {
    let said = headers.get(header::AUTHORIZATION).map(|said| said.as_bytes());
    let Some(said) = said.and_then(|said| said.strip_prefix(b"Bearer ".as_slice())) else {
        return false;
    };
    let differs = said
        .iter()
        .zip(key.as_bytes())
        .fold(0, |differs, (a, b)| differs | (a ^ b));
    !key.is_empty() && said.len() == key.len() && differs == 0
}

/// A page of elsewhere must not read this through a name that it had resolve to us.
pub(crate) fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
}

/// What a stream of events brings.
pub(crate) enum Step {
    /// Nothing happens.
    Alive,
    /// Something happened.
    Told(Arc<Told>),
}

/// One follower's way through what it missed and what comes.
pub(crate) struct Stream {
    events: Events,
    following: Following,
    place: Option<Place>,
    replayed: VecDeque<Arc<Told>>,
    /// Changes up to here are still to be read.
    replay_to: Option<i64>,
    greeted: bool,
}

impl Stream {
    /// `None`: as many follow as may.
    pub(crate) fn follow(events: &Events, whose: &str, place: Option<Place>) -> Option<Stream> {
        let mut following = events.hub.follow(whose, place.as_ref(), (events.now)()).ok()?;
        Some(Stream {
            replay_to: following.replay_to.take(),
            events: events.clone(),
            following,
            place,
            replayed: VecDeque::new(),
            greeted: false,
        })
    }

    /// `None`: the server ends.
    pub(crate) async fn next(&mut self) -> Option<Step> {
        // The first empty line brings the header out: from then on nothing is missed.
        if !std::mem::replace(&mut self.greeted, true) {
            return Some(Step::Alive);
        }
        while self.replayed.is_empty() && self.replay_to.is_some() {
            self.replay().await;
        }
        if let Some(line) = self.replayed.pop_front() {
            return Some(Step::Told(line));
        }
        match tokio::time::timeout(ALIVE_EVERY, self.following.next()).await {
            Ok(told) => told.map(Step::Told),
            Err(_) => Some(Step::Alive),
        }
    }

    /// Reads some more of what was changed before this run.
    async fn replay(&mut self) {
        let (Some(place), Some(to)) = (self.place.as_mut(), self.replay_to) else {
            return;
        };
        let (store, after) = (self.events.store.clone(), place.change);
        let read = tokio::task::spawn_blocking(move || {
            let first = store.first_change()?;
            Ok::<_, segue_store::StoreError>((first, store.changes(after, CHANGES_AT_ONCE)?))
        });
        let Ok(Ok((first, changes))) = read.await else {
            self.replayed.push_back(lost_line(None, (self.events.now)()));
            self.replay_to = None;
            return;
        };
        let gone = first.saturating_sub(after.saturating_add(1));
        if gone > 0 {
            let gone = u64::try_from(gone).ok();
            self.replayed.push_back(lost_line(gone, (self.events.now)()));
        }
        let full = changes.len() >= CHANGES_AT_ONCE as usize;
        for change in changes.iter().filter(|change| change.seq <= to) {
            place.change = change.seq;
            self.replayed.push_back(place.line_of(change));
        }
        if !full || place.change >= to {
            // Calls of another run are in its records; what was told of them is not kept.
            self.replayed.push_back(lost_line(None, (self.events.now)()));
            self.replay_to = None;
        }
    }
}
