//! The profiles in force, key by key, and reading them again.

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::{failed, layout};
use crate::{
    api::profiles::{read_again, shown},
    in_force::{KeyShown, ProfileShown, ProfilesShown, Reloaded},
    portal::Web,
    who::{Posted, Visitor, Who},
};

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/operator/profiles", get(show).post(reload))
}

async fn show(Visitor(who): Visitor, State(web): State<Web>) -> Result<Markup, Response> {
    let profiles = shown(&who, &web).await.map_err(|problem| failed(&problem))?;
    Ok(page(&who, &profiles, None))
}

#[derive(Debug, Deserialize)]
struct Form {}

/// Reads them again, and says what became of it.
async fn reload(State(web): State<Web>, Posted { who, form: Form {} }: Posted<Form>) -> Response {
    let reloaded = match read_again(&who, &web).await {
        Ok(reloaded) => reloaded,
        Err(problem) => return failed(&problem),
    };
    match shown(&who, &web).await {
        Ok(profiles) => page(&who, &profiles, Some(&reloaded)).into_response(),
        Err(problem) => failed(&problem),
    }
}

fn page(who: &Who, profiles: &ProfilesShown, reloaded: Option<&Reloaded>) -> Markup {
    layout::page(
        who,
        "Profiles",
        &["clock.js"],
        html! {
            h1 { "Profiles" }
            @if let Some(reloaded) = reloaded { (became(reloaded)) }
            form.notice method="post" action="/operator/profiles" {
                (layout::csrf(who))
                span { "In force since " time datetime=(profiles.since) { (profiles.since) } ". Calls that are up keep what they began with." }
                button type="submit" { "Read files again" }
            }
            p { "They are asked in this order, by listening socket, then by source; the first that fits is a call's." }
            @for profile in &profiles.profiles { (one(profile)) }
        },
    )
}

fn became(reloaded: &Reloaded) -> Markup {
    let list = |title: &str, all: &[String]| {
        html! { @if !all.is_empty() { p { (title) } ul { @for one in all { li { (one) } } } } }
    };
    html! {
        div.probed role="status" {
            @match &reloaded.refused {
                Some(why) => {
                    p.wrong { strong { "They were refused; what was read before goes on." } }
                    p { (why) }
                }
                None => {
                    p { strong { "Configuration and profiles were read again." } @if reloaded.changed.is_empty() { " Nothing has changed." } }
                }
            }
            (list("This has changed:", &reloaded.changed))
            (list("This has changed, and holds only after a restart:", &reloaded.waiting))
            (list("This works, and hardly as it is meant:", &reloaded.warnings))
        }
    }
}

fn one(profile: &ProfileShown) -> Markup {
    let (said, silent): (Vec<&KeyShown>, Vec<&KeyShown>) = profile.keys.iter().partition(|key| key.at.is_some());
    html! {
        h2 { (profile.name) }
        p { (profile.file) }
        (keys(&format!("What {} says", profile.name), &profile.file, &said))
        details {
            summary { (silent.len()) " keys of " (profile.name) " are as by default" }
            (keys(&format!("What {} leaves out", profile.name), &profile.file, &silent))
        }
    }
}

fn keys(label: &str, file: &str, keys: &[&KeyShown]) -> Markup {
    layout::table(
        label,
        &["Key", "Value", "Default", "Said in", "What it wants"],
        html! {
            @for key in keys {
                tr {
                    td.key { (key.key) }
                    td { strong { (value(&key.value)) } }
                    td { @if key.value == key.default { "the same" } @else { (value(&key.default)) } }
                    td { (place(key.at.as_deref(), file)) }
                    td { (key.wants) }
                }
            }
        },
    )
}

/// Line and column, where the file is the one that the list is of.
fn place(at: Option<&str>, file: &str) -> String {
    let Some(at) = at else { return "–".to_owned() };
    match at.strip_prefix(file).and_then(|rest| rest.strip_prefix(':')) {
        Some(line) => format!("line {line}"),
        None => at.to_owned(),
    }
}

/// As a person reads it.
fn value(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(all) if all.is_empty() => "none".to_owned(),
        Value::Array(all) => all.iter().map(self::value).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
