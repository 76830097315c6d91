//! An operator's view of the notices: what waits, what was given up, and trying that again.

use axum::{
    Router,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use maud::{Markup, html};
use segue_manage::{NoticeCountView, NoticeQuery, NoticeView, Page, PageAsked};
use serde::Deserialize;

use super::{failed, layout};
use crate::{
    api::notices::numbered,
    draw,
    given::{self, Asked},
    portal::Web,
    who::{Posted, Visitor},
};

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/operator/notices", get(show).post(change))
}

/// What the address of the page says.
#[derive(Debug, Clone, Default, Deserialize)]
struct View {
    user: Option<String>,
    state: Option<String>,
    cursor: Option<String>,
}

impl View {
    /// The page of these, from its begin.
    fn address(&self) -> String {
        let part = |value: &Option<String>| given::encoded(value.as_deref().unwrap_or_default());
        format!(
            "/operator/notices?user={}&state={}",
            part(&self.user),
            part(&self.state)
        )
    }
}

async fn show(Visitor(who): Visitor, view: Asked<View>) -> Result<Markup, Response> {
    let view = view.0;
    let query = NoticeQuery {
        user: view.user.clone(),
        state: view.state.clone(),
    };
    let page = PageAsked {
        cursor: view.cursor.clone().filter(|cursor| !cursor.is_empty()),
        limit: None,
    };
    let read = who.ask(move |access| Ok((access.notice_counts()?, access.notices(&query, &page)?)));
    let (counts, notices) = read.await.map_err(|problem| failed(&problem))?;
    let csrf = layout::csrf(&who);
    let dead: u64 = counts.iter().map(|of| of.dead).sum();
    Ok(layout::page(
        &who,
        "Notices",
        &["clock.js"],
        html! {
            h1 { "Notices" }
            (waiting(&counts))
            @if dead > 0 {
                form.notice method="post" action="/operator/notices" {
                    (csrf)
                    span { strong { (dead) @if dead == 1 { " dead letter" } @else { " dead letters" } } ": tried in vain, and given up." }
                    button type="submit" name="act" value="retry-all" { "Try all again" }
                }
            }
            form.filters role="search" method="get" action="/operator/notices" {
                label for="user" { "To" }
                input #user name="user" value=(view.user.as_deref().unwrap_or_default());
                label for="state" { "which" }
                select #state name="state" {
                    @for (value, words) in [("", "all"), ("dead", "dead letters"), ("waiting", "wait"), ("sent", "were delivered")] {
                        option value=(value) selected[view.state.as_deref().unwrap_or_default() == value] { (words) }
                    }
                }
                button type="submit" { "Show" }
            }
            (rows(&notices, &view, &csrf))
            @if let Some(next) = &notices.next {
                p { a.more rel="next" href={ (view.address()) "&cursor=" (given::encoded(next)) } { "Older" } }
            }
        },
    ))
}

fn waiting(counts: &[NoticeCountView]) -> Markup {
    let all: u64 = counts.iter().map(|of| of.waiting.saturating_add(of.dead)).sum();
    let sum = |of: fn(&NoticeCountView) -> u64| counts.iter().map(of).sum();
    let parts = [
        draw::Part {
            name: "wait",
            class: "message",
            value: sum(|of| of.waiting),
        },
        draw::Part {
            name: "dead letters",
            class: "bad",
            value: sum(|of| of.dead),
        },
    ];
    html! {
        @if all > 0 { (draw::shares("What is not delivered", &parts, |count| count.to_string())) }
        (layout::table("Notices by channel", &["Channel", "Wait", "The oldest since", "Dead letters"], html! {
            @for of in counts {
                tr {
                    td { (of.channel) }
                    td.number { (of.waiting) }
                    td { @match &of.waiting_since { Some(at) => { time datetime=(at) { (at) } }, None => { "–" } } }
                    td.number { (of.dead) }
                }
            }
        }))
    }
}

fn rows(notices: &Page<NoticeView>, view: &View, csrf: &Markup) -> Markup {
    html! {
        @if notices.items.is_empty() {
            p.none { "There are none." }
        } @else {
            (layout::table("Notices", &["Made", "To", "Of", "State", "What was said last", "Do"], html! {
                @for one in &notices.items {
                    tr {
                        td { time datetime=(one.created_at) { (one.created_at) } }
                        td { (one.user) br; "by " (one.channel) }
                        td.whole {
                            @match &one.call_id {
                                Some(call) => { a href={ "/operator/calls/" (given::encoded(call)) } { (one.event) } },
                                None => { (one.event) },
                            }
                        }
                        td {
                            span class={ "badge result " @match one.state.as_str() { "sent" => { "good" }, "dead" => { "bad" }, _ => { "gone" } } } {
                                @if one.is_tried { "being tried" } @else { (one.state) }
                            }
                            @if let Some(at) = &one.settled_at { br; time datetime=(at) { (at) } }
                            br;
                            @if one.attempts == 1 { "1 attempt" } @else { (one.attempts) " attempts" }
                            @if let Some(at) = &one.next_at { ", next " time datetime=(at) { (at) } }
                        }
                        td { (one.said.as_deref().unwrap_or("–")) }
                        td {
                            form.acts method="post" action="/operator/notices" {
                                (csrf)
                                input type="hidden" name="id" value=(one.id);
                                input type="hidden" name="user" value=(view.user.as_deref().unwrap_or_default());
                                input type="hidden" name="state" value=(view.state.as_deref().unwrap_or_default());
                                button type="submit" name="act" value="retry" aria-label={ "Try again: notice " (one.id) } { "Try again" }
                                button type="submit" name="act" value="drop" aria-label={ "Discard: notice " (one.id) } { "Discard" }
                            }
                        }
                    }
                }
            }))
        }
    }
}

#[derive(Debug, Deserialize)]
struct Form {
    act: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    state: String,
}

/// Does what a form says, and leads back to the page.
async fn change(Posted { who, form }: Posted<Form>) -> Response {
    let back = View {
        user: Some(form.user),
        state: Some(form.state),
        cursor: None,
    };
    let done = match (form.act.as_str(), numbered(&form.id)) {
        ("retry-all", _) => who.ask(|access| access.retry_dead_notices().map(drop)).await,
        ("retry", Ok(id)) => who.ask(move |access| access.retry_notice(id).map(drop)).await,
        (_, Ok(id)) => who.ask(move |access| access.drop_notice(id).map(drop)).await,
        (_, Err(wrong)) => Err(wrong),
    };
    match done {
        Ok(()) => Redirect::to(&back.address()).into_response(),
        Err(problem) => failed(&problem),
    }
}
