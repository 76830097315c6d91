//! One call: who, how it stands or ended, its SIP, and what its caller saw and heard.

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use maud::{Markup, html};
use segue_manage::Scope;
use segue_records::{CallRecord, LiveCall, UnixMs};
use serde::Deserialize;

use super::{
    calls::{address, badge, word},
    failed, layout,
};
use crate::{
    api::live::hang_up,
    draw,
    portal::Web,
    problem::Problem,
    who::{Posted, Visitor, Who},
};

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/operator/calls/{id}", get(show).post(act))
}

/// It is up, or it has ended.
enum Found {
    Live(Box<LiveCall>),
    Ended(Box<CallRecord>),
}

async fn find(who: &Who, web: &Web, id: String) -> Result<Found, Problem> {
    who.access().need(Scope::CallsRead)?;
    if let Ok(Some(live)) = web.site().live.show(&id).await {
        return Ok(Found::Live(Box::new(live)));
    }
    let record = who.ask(move |access| access.call(&id)).await?;
    Ok(Found::Ended(Box::new(record)))
}

async fn show(Visitor(who): Visitor, State(web): State<Web>, Path(id): Path<String>) -> Result<Markup, Response> {
    let found = find(&who, &web, id).await.map_err(|problem| failed(&problem))?;
    let now = UnixMs(who.access().now_ms());
    let (record, live) = match &found {
        Found::Live(live) => (&live.record, Some(live.as_ref())),
        Found::Ended(record) => (record.as_ref(), None),
    };
    Ok(layout::page(
        &who,
        "Call",
        &["calls.js"],
        html! {
            p { a href="/operator/calls" { "All calls" } }
            h1 { "Call from " (layout::address(&record.from)) }
            div #one data-now=(now.0) data-live[live.is_some()] {
                (facts(record, live, now))
                h2 { "What the caller saw and heard" }
                @if record.switches.is_empty() {
                    p.nothing { "Nothing was played." }
                } @else {
                    (draw::timeline(record, now))
                }
                h2 { "SIP" }
                (draw::ladder(record))
                h2 { "Packets" }
                (draw::streams(record))
            }
            @if live.is_some() {
                form.acts #end method="post" action=(address(&record.id)) {
                    (layout::csrf(&who))
                    button type="submit" name="act" value="end" { "End this call" }
                }
            }
        },
    ))
}

fn facts(record: &CallRecord, live: Option<&LiveCall>, now: UnixMs) -> Markup {
    html! {
        dl.facts-list {
            (fact("To", &record.to))
            dt { "Began" } dd { (layout::moment(record.started_at)) }
            @match live {
                Some(live) => {
                    dt { "Phase" } dd { span.badge { (word(&live.phase)) } " since " (layout::moment(live.since)) }
                    @if let Some(mailbox) = &live.mailbox { (fact("Mailbox", mailbox)) }
                    @if let Some(account) = &live.account { (fact("Account", account)) }
                    (fact("Profile", &live.profile))
                }
                None => {
                    dt { "Result" } dd { (badge(record.result)) @if let Some(cause) = record.cause { " (" (cause) ")" } }
                    (fact("Why", &record.why))
                    @if let Some(admit) = &record.admit { (fact("What would admit it", admit)) }
                    @if let Some(source) = &record.source { (fact("Source", source)) }
                    @if let Some(message) = &record.message_id { (fact("Message", message)) }
                }
            }
            @if record.hold_asked_ms.is_some() {
                dt { "Hold" } dd { (draw::hold(record, now)) }
            }
            @for (number, leg) in record.legs.iter().enumerate() {
                dt { @if number == 0 { "Caller's Call-ID" } @else { "Callee " (number) } }
                dd {
                    @if number > 0 { (layout::address(&leg.target)) ", " }
                    code { (leg.sip_call_id) }
                    @if let Some(status) = leg.status.filter(|_| number > 0) { ", " (status) }
                }
            }
            @for rule in &record.rules { (fact("Rule", &rule.told())) }
        }
    }
}

fn fact(name: &str, value: &str) -> Markup {
    html! { dt { (name) } dd { (value) } }
}

#[derive(Debug, Deserialize)]
struct Act {
    act: String,
}

/// Ends the call, and leads back to what it has become.
async fn act(State(web): State<Web>, Path(id): Path<String>, Posted { who, form }: Posted<Act>) -> Response {
    let done = match form.act.as_str() {
        "end" => hang_up(&who, &web, id.clone()).await,
        _ => Err(Problem::new(
            axum::http::StatusCode::UNPROCESSABLE_ENTITY,
            "there is no such button",
        )),
    };
    match done {
        Ok(()) => Redirect::to("/operator/calls").into_response(),
        Err(problem) => failed(&problem),
    }
}
