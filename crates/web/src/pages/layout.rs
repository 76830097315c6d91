//! What all pages have around them.

use maud::{DOCTYPE, Markup, html};
use segue_records::UnixMs;
use segue_store::Role;

use super::assets;
use crate::who::Who;

/// A page of somebody who is logged in. `scripts`: names of modules in `assets/`.
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
                a href="/messages" { "Messages" }
                a href="/clips" { "Clips" }
                a href="/settings" { "Settings" }
                @if known.role == Role::Operator {
                    a href="/operator/calls" { "Calls" }
                    a href="/operator/subscribers" { "Subscribers" }
                    a href="/operator/load" { "Load" }
                    a href="/operator/notices" { "Notices" }
                    a href="/operator/system" { "System" }
                    a href="/operator/audit" { "Audit" }
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
