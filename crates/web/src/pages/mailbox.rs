//! The mailbox: messages with their pictures, played where they stand, and what can be done with each and with several.

mod keys;
mod row;
mod several;

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use segue_mailbox::Waiting;
use segue_manage::{Access, MessageChange, MessageView, MessagesAsked, Page, PageAsked, Refusal};
use segue_policy::Profile;
use segue_store::Role;
use serde::Deserialize;

pub(super) use self::row::length;
use super::{failed, layout};
use crate::{
    given::{self, Asked},
    portal::Web,
    who::{Posted, Visitor},
};

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/messages", get(show).post(several::act))
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
    /// The messages that were just deleted, with a comma between: they can be had back here.
    deleted: Option<String>,
    /// A button was pressed for several, and none was chosen.
    #[serde(default)]
    none: bool,
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
    /// What their owners call those who left them.
    known: Vec<Option<String>>,
    /// Of one mailbox.
    waiting: Option<Waiting>,
}

fn read(access: &Access, view: &View, profile: &Profile) -> Result<Shown, Refusal> {
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
    let page = access.messages(&asked, &page)?;
    Ok(Shown {
        waiting: mailbox.map(|mailbox| access.waiting(&mailbox)).transpose()?,
        known: access.known_callers(&page.items, profile)?,
        page,
    })
}

async fn show(Visitor(who): Visitor, State(web): State<Web>, view: Asked<View>) -> Result<Markup, Response> {
    let view = view.0;
    let asked = view.clone();
    // How numbers are written is the first profile's, as where rules are tried.
    let profiles = web.profiles().await.map_err(|problem| failed(&problem))?;
    let profile = profiles.into_iter().next().unwrap_or_default();
    let shown = who.ask(move |access| read(access, &asked, &profile)).await;
    let Shown { page, known, waiting } = shown.map_err(|problem| failed(&problem))?;
    let is_operator = who.access().who().role == Role::Operator;
    let back = view.path(view.cursor.as_deref());
    let csrf = layout::csrf(&who);
    let around = row::Around {
        with_mailbox: is_operator,
        csrf: &csrf,
        back: &back,
    };
    // Each day stands above its first message.
    let day = |message: &MessageView| message.received_at.get(..10).unwrap_or_default().to_owned();
    let mut last = String::new();
    let rows = page.items.iter().zip(&known).map(|(message, known)| {
        let day = day(message);
        let first = (day != last).then_some(day.as_str());
        let row = row::row(message, known.as_deref(), first, &around);
        last = day;
        row
    });
    let rows: Vec<Markup> = rows.collect();
    Ok(layout::page(
        &who,
        "Messages",
        &["mailbox.js"],
        html! {
            h1 #top tabindex="-1" { "Messages" }
            @if let Some(waiting) = waiting { p #counts { (counts(&waiting)) } }
            div #done role="status" { (several::done(&view, &csrf, &back)) }
            (filters(&view, is_operator))
            (keys::help())
            ul.messages #messages data-trash=(view.show == "trash") {
                @for row in rows { (row) }
            }
            p.none hidden[!page.items.is_empty()] {
                @if page.next.is_some() { "Nothing among the newer ones." } @else { (nothing(&view)) }
            }
            (several::bar(&view, page.items.is_empty(), &csrf, &back))
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
    let done = (form.act == "delete").then_some(("deleted", id));
    Redirect::to(&back_to(&form.back, done)).into_response()
}

/// The address that a form leads back to, with what was done.
fn back_to(back: &str, done: Option<(&str, String)>) -> String {
    // Nowhere but to this page.
    let is_page = back == "/messages" || back.starts_with("/messages?");
    let back = match is_page && !back.contains(char::is_control) {
        true => back,
        false => "/messages",
    };
    match done {
        Some((name, value)) => {
            let mark = if back.contains('?') { '&' } else { '?' };
            format!("{back}{mark}{name}={}", given::encoded(&value))
        }
        None => back.to_owned(),
    }
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
        "undelete" => access.undelete_message(id, false).map(drop),
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
