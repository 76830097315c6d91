//! The mailbox: messages with their pictures, played where they stand, and what can be done with each.

use axum::{
    Router,
    extract::Path,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use segue_mailbox::{Kind, MediaState, Waiting};
use segue_manage::{Access, MessageChange, MessageView, MessagesAsked, Page, PageAsked, Refusal};
use segue_store::Role;
use serde::Deserialize;

use super::{failed, layout};
use crate::{
    given::{self, Asked},
    portal::Web,
    who::{Posted, Visitor},
};

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/messages", get(show))
        .route("/messages/{id}", post(act))
}

/// What the address of the page says.
#[derive(Debug, Clone, Default, Deserialize)]
struct View {
    mailbox: Option<String>,
    q: Option<String>,
    /// `new`, `trash`, or all.
    #[serde(default)]
    show: String,
    cursor: Option<String>,
    /// The message that was just deleted: it can be had back here.
    deleted: Option<String>,
}

impl View {
    /// The address of this page, without what was just done; `cursor` of another part of the list.
    fn path(&self, cursor: Option<&str>) -> String {
        let show = Some(self.show.as_str()).filter(|show| !show.is_empty());
        let parts = [
            ("mailbox", self.mailbox.as_deref()),
            ("q", self.q.as_deref().filter(|q| !q.is_empty())),
            ("show", show),
            ("cursor", cursor),
        ];
        let said: Vec<String> = parts
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", given::encoded(value?))))
            .collect();
        match said.is_empty() {
            true => "/messages".to_owned(),
            false => format!("/messages?{}", said.join("&")),
        }
    }

    fn asked(&self) -> MessagesAsked {
        MessagesAsked {
            mailbox: self.mailbox.clone().filter(|mailbox| !mailbox.is_empty()),
            trash: self.show == "trash",
            heard: (self.show == "new").then_some(false),
            q: self.q.clone(),
            ..MessagesAsked::default()
        }
    }
}

/// What the page shows.
struct Shown {
    page: Page<MessageView>,
    /// Of one mailbox.
    waiting: Option<Waiting>,
}

fn read(access: &Access, view: &View) -> Result<Shown, Refusal> {
    let asked = view.asked();
    let page = PageAsked {
        cursor: view.cursor.clone(),
        limit: None,
    };
    let who = access.who();
    let mailbox = match who.role {
        Role::Subscriber => Some(who.name.clone()),
        Role::Operator => asked.mailbox.clone(),
    };
    Ok(Shown {
        waiting: mailbox.map(|mailbox| access.waiting(&mailbox)).transpose()?,
        page: access.messages(&asked, &page)?,
    })
}

async fn show(Visitor(who): Visitor, view: Asked<View>) -> Result<Markup, Response> {
    let view = view.0;
    let asked = view.clone();
    let shown = who.ask(move |access| read(access, &asked)).await;
    let Shown { page, waiting } = shown.map_err(|problem| failed(&problem))?;
    let is_operator = who.access().who().role == Role::Operator;
    let back = view.path(view.cursor.as_deref());
    let csrf = layout::csrf(&who);
    Ok(layout::page(
        &who,
        "Messages",
        &["mailbox.js"],
        html! {
            h1 { "Messages" }
            @if let Some(waiting) = waiting { p #counts { (counts(&waiting)) } }
            (deleted(&view, &csrf, &back))
            (filters(&view, is_operator))
            ul.messages #messages {
                @for message in &page.items {
                    (row(message, is_operator, &csrf, &back))
                }
            }
            @if page.items.is_empty() { p.none { (nothing(&view)) } }
            @if let Some(next) = &page.next {
                p { a.more rel="next" href=(view.path(Some(next))) { "Older messages" } }
            }
        },
    ))
}

fn counts(waiting: &Waiting) -> String {
    let new = waiting.video.new.saturating_add(waiting.voice.new);
    let old = waiting.video.old.saturating_add(waiting.voice.old);
    format!("{new} new, {old} heard")
}

fn nothing(view: &View) -> &'static str {
    match (view.q.as_deref().unwrap_or_default(), view.show.as_str()) {
        ("", "trash") => "The trash is empty.",
        ("", "new") => "No new messages.",
        ("", _) => "No messages yet.",
        _ => "Nothing found.",
    }
}

/// What was just deleted can be had back.
fn deleted(view: &View, csrf: &Markup, back: &str) -> Markup {
    html! {
        @if let Some(id) = &view.deleted {
            form.notice role="status" method="post" action=(action(id)) {
                (csrf)
                input type="hidden" name="back" value=(back);
                span { "Deleted." }
                button type="submit" name="act" value="undelete" autofocus { "Undo" }
            }
        }
    }
}

fn filters(view: &View, is_operator: bool) -> Markup {
    let tabs = [("", "All"), ("new", "New"), ("trash", "Trash")];
    html! {
        form.filters role="search" method="get" action="/messages" {
            @if is_operator {
                label for="mailbox" { "Mailbox" }
                input #mailbox name="mailbox" value=(view.mailbox.as_deref().unwrap_or_default());
            }
            label for="q" { "From" }
            input #q type="search" name="q" value=(view.q.as_deref().unwrap_or_default());
            @if !view.show.is_empty() { input type="hidden" name="show" value=(view.show); }
            button type="submit" { "Search" }
        }
        nav.tabs aria-label="Which messages" {
            @for (name, words) in tabs {
                @let tab = View { show: name.to_owned(), ..view.clone() };
                a href=(tab.path(None)) aria-current=[(view.show == name).then_some("page")] { (words) }
            }
        }
    }
}

fn action(id: &str) -> String {
    format!("/messages/{}", given::encoded(id))
}

fn row(message: &MessageView, with_mailbox: bool, csrf: &Markup, back: &str) -> Markup {
    let is_new = message.heard_at.is_none();
    let id = given::encoded(&message.id);
    let caller = message.from_name.as_deref().filter(|name| !name.trim().is_empty());
    let label = format!("Message from {}", caller.unwrap_or(&message.from));
    html! {
        li.message.new[is_new] #{ "m-" (message.id) } data-id=(message.id) data-duration=(message.duration_ms)
            data-played=(message.played_ms.unwrap_or(0)) data-heard=(!is_new) {
            (player(message, &id, &label))
            div.about {
                p.caller {
                    @if let Some(name) = caller { strong { (name) } " " }
                    span.address { (message.from) }
                }
                p.facts {
                    @if is_new { span.badge.fresh { "New" } }
                    @if message.urgent { span.badge.urgent { "Urgent" } }
                    @if message.pinned { span.badge { "Pinned" } }
                    @if message.interrupted { span.badge { "Cut short" } }
                    @if with_mailbox { span { "for " (message.mailbox) } }
                    time datetime=(message.received_at) { (day_and_time(&message.received_at)) }
                    span { (length(message.duration_ms)) }
                }
                @if let (Some(warned), None) = (&message.warned_at, &message.deleted_at) {
                    p.warned { "It will be deleted soon; you were told on " (day_and_time(warned)) ". Pin it to keep it." }
                }
                form.acts method="post" action=(action(&message.id)) aria-label=(label) {
                    (csrf)
                    input type="hidden" name="back" value=(back);
                    @if message.deleted_at.is_some() {
                        (button("undelete", "Restore"))
                    } @else {
                        @if is_new { (button("heard", "Mark heard")) } @else { (button("unheard", "Mark new")) }
                        @if message.pinned { (button("unpin", "Unpin")) } @else { (button("pin", "Pin")) }
                        (button("delete", "Delete"))
                    }
                    @if message.media_state == MediaState::Ready {
                        a href={ "/api/v1/messages/" (id) "/media?download=true" } download { "Save" }
                    }
                }
            }
        }
    }
}

fn button(act: &str, words: &str) -> Markup {
    html! { button type="submit" name="act" value=(act) { (words) } }
}

fn player(message: &MessageView, id: &str, label: &str) -> Markup {
    let media = format!("/api/v1/messages/{id}/media");
    let poster = message.has_poster.then(|| format!("/api/v1/messages/{id}/poster"));
    html! {
        @if message.media_state == MediaState::Raw {
            p.raw { "This message is still being prepared." }
        } @else if message.kind == Kind::Video {
            video controls playsinline preload="none" poster=[poster] src=(media) aria-label=(label) {}
        } @else {
            audio controls preload="none" src=(media) aria-label=(label) {}
        }
    }
}

/// `2026-03-01 12:03 UTC`; the module shows it by the browser's clock.
fn day_and_time(rfc3339: &str) -> String {
    let text = rfc3339.get(..16).unwrap_or(rfc3339);
    format!("{} UTC", text.replace('T', " "))
}

/// `0:14`.
pub(super) fn length(ms: u64) -> String {
    let s = ms.saturating_add(500) / 1_000;
    format!("{}:{:02}", s / 60, s % 60)
}

#[derive(Debug, Deserialize)]
struct Act {
    act: String,
    #[serde(default)]
    back: String,
}

/// Does what a button says, and leads back to the list.
async fn act(Path(id): Path<String>, Posted { who, form }: Posted<Act>) -> Response {
    let (asked, said) = (id.clone(), form.act.clone());
    let done = who.ask(move |access| perform(access, &asked, &said)).await;
    if let Err(problem) = done {
        return failed(&problem);
    }
    // Nowhere but to this page.
    let is_page = form.back == "/messages" || form.back.starts_with("/messages?");
    let back = match is_page && !form.back.contains(char::is_control) {
        true => form.back,
        false => "/messages".to_owned(),
    };
    let back = match form.act.as_str() {
        "delete" => {
            let mark = if back.contains('?') { '&' } else { '?' };
            format!("{back}{mark}deleted={}", given::encoded(&id))
        }
        _ => back,
    };
    Redirect::to(&back).into_response()
}

fn perform(access: &Access, id: &str, act: &str) -> Result<(), Refusal> {
    let change = |change: MessageChange| access.change_message(id, change, |_| true).map(drop);
    match act {
        "heard" | "unheard" => change(MessageChange {
            heard: Some(act == "heard"),
            ..MessageChange::default()
        }),
        "pin" | "unpin" => change(MessageChange {
            pinned: Some(act == "pin"),
            ..MessageChange::default()
        }),
        "delete" => access.delete_message(id).map(drop),
        "undelete" => access.undelete_message(id).map(drop),
        _ => Err(Refusal::Invalid {
            field: "act",
            why: "there is no such button".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_minutes_and_seconds() {
        assert_eq!([length(0), length(14_220), length(61_500)], ["0:00", "0:14", "1:02"]);
        assert_eq!(day_and_time("2026-03-01T12:03:12.480Z"), "2026-03-01 12:03 UTC");
    }

    #[test]
    fn the_address_of_a_page_is_encoded() {
        let view = View {
            q: Some("a&b=c \"<".to_owned()),
            show: "new".to_owned(),
            ..View::default()
        };
        assert_eq!(view.path(None), "/messages?q=a%26b%3Dc%20%22%3C&show=new");
        assert_eq!(View::default().path(None), "/messages");
    }
}
