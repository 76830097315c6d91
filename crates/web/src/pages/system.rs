//! An operator's view of the server: whether it is well, its trunks, who is registered, what is stored, who did what.

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use maud::{Markup, html};
use segue_manage::{DeedView, Page, PageAsked, RegistrationView, Scope, StorageView};
use serde::Deserialize;
use serde_json::Value;

use super::{failed, layout};
use crate::{
    Health,
    api::trunks::ask,
    draw,
    given::{self, Asked},
    portal::Web,
    problem::Problem,
    who::{Posted, Visitor, Who},
};

/// Registrations that the page shows; the API has all.
const REGISTRATIONS_MAX: u32 = 200;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/operator/system", get(show).post(act))
        .route("/operator/audit", get(audit))
}

/// What the page shows.
struct Shown {
    health: Health,
    trunks: Value,
    registrations: Vec<RegistrationView>,
    registered: u64,
    storage: StorageView,
}

async fn read(who: &Who, web: &Web) -> Result<Shown, Problem> {
    who.access().need(Scope::SystemRead)?;
    let site = web.site().clone();
    let (health, trunks) = crate::asked(move || ((site.health)(), (site.trunks)()))
        .await
        .ok_or_else(Problem::fault)?;
    let ((registrations, registered), storage) = who
        .ask(|access| Ok((access.first_registrations(REGISTRATIONS_MAX)?, access.storage()?)))
        .await?;
    Ok(Shown {
        health,
        trunks,
        registrations,
        registered,
        storage,
    })
}

async fn show(Visitor(who): Visitor, State(web): State<Web>) -> Result<Markup, Response> {
    let shown = read(&who, &web).await.map_err(|problem| failed(&problem))?;
    Ok(layout::page(
        &who,
        "System",
        &["clock.js"],
        html! {
            h1 { "System" }
            (health(&shown.health))
            p { a href="/operator/profiles" { "Profiles in force, and reading them again" } }
            h2 { "Storage" }
            (storage(&shown.storage))
            h2 { "Trunks" }
            (trunks(&shown.trunks, &layout::csrf(&who)))
            h2 { "Registered phones" }
            (registrations(&shown.registrations, shown.registered))
        },
    ))
}

fn health(health: &Health) -> Markup {
    html! {
        p {
            span class={ "badge result " @if health.status == "ok" { "good" } @else { "bad" } } { (health.status) }
            " version " (health.version) ", up for " (uptime(health.uptime_s)) ", " (health.calls) @if health.calls == 1 { " call now" } @else { " calls now" }
        }
        @if !health.reasons.is_empty() {
            ul { @for reason in &health.reasons { li.warned { (reason) } } }
        }
    }
}

fn storage(storage: &StorageView) -> Markup {
    let held = storage.used_bytes.saturating_add(storage.file_bytes);
    let messages = storage.message_bytes.saturating_add(storage.trash_bytes);
    let part = |name, class, value| draw::Part { name, class, value };
    let parts = [
        part("messages", "message", storage.message_bytes),
        part("trash, freed when its time is over", "gone", storage.trash_bytes),
        part("clips, records and the rest", "heard", held.saturating_sub(messages)),
        part("free in the database's file", "free", storage.free_bytes),
    ];
    html! {
        (draw::shares("What is on the disk", &parts, bytes))
        p {
            (storage.messages) " messages of " (storage.subscribers) " subscribers, " (storage.unheard) " not heard yet, "
            (storage.trash) " in the trash; " (storage.calls) " records of calls"
        }
    }
}

#[derive(Debug, Deserialize)]
struct Act {
    act: String,
    trunk: String,
}

/// Has a trunk asked, and leads back to the page.
async fn act(State(web): State<Web>, Posted { who, form }: Posted<Act>) -> Response {
    let done = match form.act.as_str() {
        "test" => ask(&who, &web, form.trunk).await,
        _ => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "there is no such button",
        )),
    };
    match done {
        Ok(()) => Redirect::to("/operator/system").into_response(),
        Err(problem) => failed(&problem),
    }
}

fn trunks(trunks: &Value, csrf: &Markup) -> Markup {
    let trunks = trunks.as_array().map_or(&[][..], Vec::as_slice);
    let text = |value: &Value, member: &str| match value.get(member) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "–".to_owned(),
        Some(other) => other.to_string(),
    };
    html! {
        @if trunks.is_empty() {
            p.none { "There are no trunks." }
        } @else {
            (layout::table("Trunks", &["Trunk", "Server", "State", "Last answer", "Round trip", "Calls", "Registration", "Do"], html! {
                @for trunk in trunks {
                    @for server in trunk.get("servers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice) {
                        tr {
                            td { (text(trunk, "name")) }
                            td.whole { (text(server, "uri")) " " (text(server, "address")) }
                            td { span class={ "badge result " @if text(server, "state") == "up" { "good" } @else { "gone" } } { (text(server, "state")) } }
                            td { (text(server, "last_answer")) }
                            td.number { (text(server, "rtt_ms")) @if !server["rtt_ms"].is_null() { " ms" } }
                            td.number { (text(trunk, "calls")) }
                            td { (trunk.get("registration").map_or_else(|| "–".to_owned(), |line| text(line, "state"))) }
                            td {
                                form.acts method="post" action="/operator/system" {
                                    (csrf)
                                    input type="hidden" name="trunk" value=(text(trunk, "name"));
                                    button type="submit" name="act" value="test" aria-label={ "Ask now: the trunk " (text(trunk, "name")) } { "Ask now" }
                                }
                            }
                        }
                    }
                }
            }))
        }
    }
}

fn registrations(registrations: &[RegistrationView], all: u64) -> Markup {
    html! {
        @if registrations.is_empty() {
            p.none { "No phone is registered." }
        } @else {
            (layout::table("Registered phones", &["Subscriber", "Contact", "From", "Phone", "Expires in"], html! {
                @for one in registrations {
                    tr {
                        td { (one.user) }
                        td { (one.contact) }
                        td { (one.transport) " " (one.source) }
                        td { (one.user_agent.as_deref().unwrap_or("–")) }
                        td.number { (one.expires_in_s) " s" }
                    }
                }
            }))
            @if all > u64::from(REGISTRATIONS_MAX) {
                p { "These are the first " (REGISTRATIONS_MAX) " of " (all) "." }
            }
        }
    }
}

/// What the address of the audit says.
#[derive(Debug, Clone, Default, Deserialize)]
struct Of {
    name: Option<String>,
    cursor: Option<String>,
}

async fn audit(Visitor(who): Visitor, of: Asked<Of>) -> Result<Markup, Response> {
    let of = of.0;
    let (name, page) = (
        of.name.clone().filter(|name| !name.trim().is_empty()),
        PageAsked {
            cursor: of.cursor.clone(),
            limit: None,
        },
    );
    let asked = name.clone();
    let read = who
        .ask(move |access| {
            access.need(Scope::SystemRead)?;
            access.audit(asked.as_deref(), &page)
        })
        .await;
    let deeds = read.map_err(|problem| failed(&problem))?;
    Ok(layout::page(
        &who,
        "Audit",
        &["clock.js"],
        html! {
            h1 { "Who did what" }
            form.filters role="search" method="get" action="/operator/audit" {
                label for="name" { "By or about" }
                input #name name="name" value=(name.as_deref().unwrap_or_default());
                button type="submit" { "Show" }
            }
            (rows(&deeds))
            @if let Some(next) = &deeds.next {
                @let name = given::encoded(name.as_deref().unwrap_or_default());
                p { a.more rel="next" href={ "/operator/audit?name=" (name) "&cursor=" (given::encoded(next)) } { "Older" } }
            }
        },
    ))
}

fn rows(deeds: &Page<DeedView>) -> Markup {
    html! {
        @if deeds.items.is_empty() {
            p.none { "Nothing yet." }
        } @else {
            (layout::table("Who did what", &["When", "Who", "By", "From", "What", "To what", "Whose"], html! {
                @for deed in &deeds.items {
                    tr {
                        td { time datetime=(deed.at) { (deed.at) } }
                        td { (deed.name) }
                        td { (deed.by) }
                        td { (deed.source) }
                        td { (deed.what) @if !deed.detail.is_empty() { ": " (deed.detail) } }
                        td { (deed.object) }
                        td { (deed.owner.as_deref().unwrap_or("–")) }
                    }
                }
            }))
        }
    }
}

/// `12.3 MB`.
fn bytes(bytes: u64) -> String {
    let units = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{}.{} {name}", bytes / unit, bytes % unit / (unit / 10)),
        None => format!("{bytes} B"),
    }
}

/// `3 d 4 h`, `12 min`.
fn uptime(s: u64) -> String {
    match s {
        0..60 => format!("{s} s"),
        60..3_600 => format!("{} min", s / 60),
        3_600..86_400 => format!("{} h {} min", s / 3_600, s / 60 % 60),
        _ => format!("{} d {} h", s / 86_400, s / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_said_in_what_fits() {
        assert_eq!(
            [bytes(999), bytes(1_250), bytes(12_345_678), bytes(3_000_000_000)],
            ["999 B", "1.2 kB", "12.3 MB", "3.0 GB"]
        );
        assert_eq!(
            [uptime(59), uptime(3_599), uptime(7_260), uptime(100_000)],
            ["59 s", "59 min", "2 h 1 min", "1 d 3 h"]
        );
    }
}
