//! An operator's calls: those that are up, with phase and hold, how the last day went, and those that have ended.

use axum::{Router, extract::State, response::Response, routing::get};
use maud::{Markup, html};
use segue_manage::{CallQuery, Page, PageAsked, Scope};
use segue_records::{CallRecord, CallResult, LiveCall, UnixMs};
use segue_store::CallsOfHour;
use serde::Deserialize;

use super::{failed, layout};
use crate::{
    draw,
    given::{self, Asked},
    portal::Web,
    problem::Problem,
    who::{Visitor, Who},
};

/// Calls that are up that the page shows; the API has all.
const LIVE_MAX: usize = 100;
/// Hours of the chart.
const HOURS: i64 = 24;
const HOUR_MS: i64 = 3_600_000;

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/operator/calls", get(show))
}

/// What the address of the page says.
#[derive(Debug, Clone, Default, Deserialize)]
struct View {
    q: Option<String>,
    cursor: Option<String>,
}

impl View {
    fn older(&self, cursor: &str) -> String {
        let cursor = given::encoded(cursor);
        match self.q.as_deref().filter(|q| !q.is_empty()) {
            Some(q) => format!("/operator/calls?q={}&cursor={cursor}", given::encoded(q)),
            None => format!("/operator/calls?cursor={cursor}"),
        }
    }
}

/// What the page shows.
struct Shown {
    /// `None`: the signalling thread does not answer.
    live: Option<Vec<LiveCall>>,
    ended: Page<CallRecord>,
    hours: Vec<CallsOfHour>,
    now: i64,
}

async fn read(who: &Who, web: &Web, view: &View) -> Result<Shown, Problem> {
    who.access().need(Scope::CallsRead)?;
    let live = web.site().live.list(None, LIVE_MAX).await.ok();
    let query = CallQuery {
        q: view.q.clone(),
        ..CallQuery::default()
    };
    let page = PageAsked {
        cursor: view.cursor.clone(),
        limit: None,
    };
    let now = who.access().now_ms();
    let since = now.saturating_sub((HOURS - 1) * HOUR_MS);
    let (ended, hours) = who
        .ask(move |access| Ok((access.call_records(&query, &page)?, access.calls_by_hour(since)?)))
        .await?;
    Ok(Shown {
        live,
        ended,
        hours,
        now,
    })
}

async fn show(Visitor(who): Visitor, State(web): State<Web>, view: Asked<View>) -> Result<Markup, Response> {
    let view = view.0;
    let shown = read(&who, &web, &view).await.map_err(|problem| failed(&problem))?;
    Ok(layout::page(
        &who,
        "Calls",
        &["calls.js"],
        html! {
            h1 { "Calls" }
            section aria-labelledby="up" {
                h2 #up { "Up now" }
                div #live data-now=(shown.now) { (live(&shown)) }
            }
            section aria-labelledby="day" {
                h2 #day { "The last day" }
                div #chart { (chart(&shown)) }
            }
            section aria-labelledby="over" {
                h2 #over { "Ended" }
                form.filters role="search" method="get" action="/operator/calls" {
                    label for="q" { "From or to" }
                    input #q type="search" name="q" value=(view.q.as_deref().unwrap_or_default());
                    button type="submit" { "Search" }
                }
                div #ended { (ended(&shown.ended)) }
                @if let Some(next) = &shown.ended.next {
                    p { a.more rel="next" href=(view.older(next)) { "Older calls" } }
                }
            }
        },
    ))
}

fn live(shown: &Shown) -> Markup {
    let Some(calls) = &shown.live else {
        return html! { p.warned { "The signalling thread does not answer; see the health of the server." } };
    };
    html! {
        @if calls.is_empty() {
            p.none { "No calls." }
        } @else {
            (layout::table("Calls that are up", &["Began", "From", "To", "Phase", "Hold"], html! {
                @for call in calls {
                    tr {
                        td { a href=(address(&call.record.id)) { (layout::moment(call.record.started_at)) } }
                        td { (layout::address(&call.record.from)) }
                        td { (layout::address(&call.record.to)) }
                        td { span.badge { (word(&call.phase)) } }
                        td { (draw::hold(&call.record, UnixMs(shown.now))) }
                    }
                }
            }))
            @if calls.len() == LIVE_MAX { p { "These are the latest " (LIVE_MAX) "; there may be more." } }
        }
    }
}

fn ended(calls: &Page<CallRecord>) -> Markup {
    html! {
        @if calls.items.is_empty() {
            p.none { @if calls.next.is_some() { "Nothing among the newer ones." } @else { "Nothing found." } }
        } @else {
            (layout::table("Ended calls", &["Began", "From", "To", "Result", "Why"], html! {
                @for call in &calls.items {
                    tr {
                        td { a href=(address(&call.id)) { (layout::moment(call.started_at)) } }
                        td { (layout::address(&call.from)) }
                        td { (layout::address(&call.to)) }
                        td { (badge(call.result)) }
                        td { (call.why) }
                    }
                }
            }))
        }
    }
}

/// What became of the calls, in the four kinds that a chart can show.
const KINDS: [(&str, &str); 4] = [
    ("answered", "good"),
    ("message or mailbox", "message"),
    ("given up", "gone"),
    ("refused or failed", "bad"),
];

/// What became of a call, in the colour that the chart has for it.
pub(super) fn badge(result: CallResult) -> Markup {
    html! { span class={ "badge result " (kind(result)) } { (word(&result)) } }
}

fn kind(result: CallResult) -> &'static str {
    match result {
        CallResult::Answered => "good",
        CallResult::Message | CallResult::Mailbox => "message",
        CallResult::Greeted | CallResult::TooShort | CallResult::AbandonedWhileHeld | CallResult::Abandoned => "gone",
        CallResult::MailboxFull | CallResult::Rejected | CallResult::Failed => "bad",
    }
}

fn chart(shown: &Shown) -> Markup {
    let last = shown.now.div_euclid(HOUR_MS) * HOUR_MS;
    let columns: Vec<draw::Column> = (0..HOURS)
        .map(|back| {
            let began = last - (HOURS - 1 - back) * HOUR_MS;
            let name = UnixMs(began).rfc3339();
            let hour = name.get(11..13).unwrap_or_default().to_owned();
            let of_kind = |class: &str| {
                let of = shown
                    .hours
                    .iter()
                    .filter(|of| of.hour_ms == began && kind(of.result) == class);
                of.map(|of| of.calls).fold(0, u64::saturating_add)
            };
            let part = |(name, class)| draw::Part {
                name,
                class,
                value: of_kind(class),
            };
            draw::Column {
                label: if back % 3 == 0 { hour } else { String::new() },
                name: format!("{} UTC", name.get(..16).unwrap_or(&name).replace('T', " ")),
                parts: KINDS.map(part).to_vec(),
            }
        })
        .collect();
    draw::columns("Calls by the hour in which they began (UTC)", &columns)
}

/// Where a call's own page is.
pub(super) fn address(id: &str) -> String {
    format!("/operator/calls/{}", given::encoded(id))
}

/// A word of a record as people read it.
pub(super) fn word(word: &impl serde::Serialize) -> String {
    let word = serde_json::to_value(word).unwrap_or_default();
    word.as_str().unwrap_or_default().replace('_', " ")
}
