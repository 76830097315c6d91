//! What all pages have around them.

use maud::{DOCTYPE, Markup, html};
use segue_records::UnixMs;
use segue_store::Role;

use super::assets;
use crate::who::Who;

/// Where one gets from every page.
const EVERYBODYS: [(&str, &str); 3] = [
    ("/messages", "Messages"),
    ("/clips", "Clips"),
    ("/settings", "Settings"),
];
/// Where operators get besides.
const OPERATORS: [(&str, &str); 8] = [
    ("/operator/calls", "Calls"),
    ("/operator/subscribers", "Subscribers"),
    ("/operator/groups", "Groups"),
    ("/operator/trunks", "Trunks"),
    ("/operator/load", "Load"),
    ("/operator/notices", "Notices"),
    ("/operator/system", "System"),
    ("/operator/audit", "Audit"),
];

/// A page of somebody who is logged in. `title` is what leads there, if something does ([`section`]). `scripts`: names of modules in `assets/`.
pub(crate) fn page(who: &Who, title: &str, scripts: &[&str], main: Markup) -> Markup {
    let known = who.access().who();
    let head = html! {
        // For the modules: what changes are sent with.
        meta name="csrf" content=(who.csrf());
        @for script in scripts {
            script type="module" src=(assets::path(script)) {}
        }
    };
    let top = html! {
        header.top {
            a.brand href="/" { "Segue" }
            nav aria-label="Main" {
                @for (path, name) in EVERYBODYS { (link(path, name, title)) }
                @if known.role == Role::Operator {
                    @for (path, name) in OPERATORS { (link(path, name, title)) }
                }
            }
            form.out method="post" action="/logout" {
                (csrf(who))
                span.who { (known.name) @if known.role == Role::Operator { " (operator)" } }
                button type="submit" { "Log out" }
            }
        }
    };
    document(title, head, top, main)
}

/// The page that one is on is marked, or the one that it belongs to.
fn link(path: &str, name: &str, title: &str) -> Markup {
    let current = match section(title) {
        _ if name == title => Some("page"),
        section if name == section => Some("true"),
        _ => None,
    };
    html! { a href=(path) aria-current=[current] { (name) } }
}

/// What leads to a page that nothing of its name leads to.
fn section(title: &str) -> &str {
    match title {
        "Call" => "Calls",
        "Profiles" => "System",
        "Tokens" | "How you are told" | "Before it is saved" => "Settings",
        own => own,
    }
}

/// Longer than this nothing stays in one piece, whatever it says.
const PIECE_MAX: usize = 28;

/// An address, which breaks before its host and after each of its parameters, not within a word.
pub(crate) fn address(text: &str) -> Markup {
    let mut pieces = vec![String::new()];
    let mut length = 0_usize;
    let mut before = None;
    for c in text.chars() {
        if length >= PIECE_MAX || matches!(c, '@' | '?') || before == Some(';') {
            pieces.push(String::new());
            length = 0;
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
        (before, length) = (Some(c), length.saturating_add(1));
    }
    html! { @for (n, piece) in pieces.iter().enumerate() { @if n > 0 { wbr; } (piece) } }
}

/// A page of nobody.
pub(crate) fn plain(title: &str, main: Markup) -> Markup {
    let top = html! { header.top { a.brand href="/" { "Segue" } } };
    document(title, html! {}, top, main)
}

/// A list with its columns, `rows` as `tr`: beside a narrow window it is moved, not cut.
pub(crate) fn table(label: &str, columns: &[&str], rows: Markup) -> Markup {
    html! {
        div.drawing tabindex="0" role="group" aria-label=(label) {
            table.calls {
                thead { tr { @for name in columns { th scope="col" { (name) } } } }
                tbody { (rows) }
            }
        }
    }
}

/// A moment; a module shows it by the browser's clock.
pub(crate) fn moment(at: UnixMs) -> Markup {
    let text = at.rfc3339();
    let shown = text.get(..19).unwrap_or(&text).replace('T', " ");
    html! { time datetime=(text) { (shown) " UTC" } }
}

/// The field that a form of a session must have.
pub(crate) fn csrf(who: &Who) -> Markup {
    html! { input type="hidden" name="csrf" value=(who.csrf()); }
}

fn document(title: &str, head: Markup, top: Markup, main: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – Segue" }
                link rel="icon" href=(assets::path("icon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(assets::path("segue.css"));
                link rel="stylesheet" href=(assets::path("draw.css"));
                (head)
            }
            body {
                a.skip href="#main" { "To the content" }
                (top)
                main #main { (main) }
            }
        }
    }
}
