//! The operator's page of trunks: how they fare, and a form for those that are added beside the configuration.

mod draft;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use maud::{Markup, html};
use segue_manage::{Access, Refusal, Scope, Trunking};
use serde::Deserialize;
use serde_json::Value;

use super::{
    failed,
    field::{Fields, Pairs, Wrong, one},
    layout,
};
use crate::{
    api::trunks::{Known, ask, read},
    given::{self, Asked},
    portal::Web,
    problem::Problem,
    seen::{Seen, tag_of},
    who::{Posted, Visitor, Who},
};
use draft::{CHOICES, Draft, FIRST, MORE};

const FORM: &str = "trunk";
const PAGE: &str = "/operator/trunks";

pub(super) fn routes() -> Router<Web> {
    Router::new().route(PAGE, get(show).post(act))
}

/// What the address of the page says.
#[derive(Debug, Default, Deserialize)]
struct View {
    /// Which is to be changed.
    edit: Option<String>,
}

async fn show(Visitor(who): Visitor, State(web): State<Web>, view: Asked<View>) -> Result<Markup, Response> {
    let trunks = read(&who, &web).await.map_err(|problem| failed(&problem))?;
    let draft = match view.0.edit.as_deref().filter(|name| !name.is_empty()) {
        None => None,
        Some(name) => Some(edited(&trunks, name).map_err(|problem| failed(&problem))?),
    };
    page(&who, &web, &trunks, draft, None).await
}

fn edited(trunks: &[Known], name: &str) -> Result<Draft, Problem> {
    let added = trunks
        .iter()
        .find(|known| known.name == name)
        .and_then(|known| known.added.as_ref());
    added.map(Draft::of).ok_or_else(|| {
        let why = format!("no trunk '{name}' was added: one of segue.toml is changed there");
        Problem::new(axum::http::StatusCode::NOT_FOUND, why)
    })
}

async fn page(
    who: &Who,
    web: &Web,
    trunks: &[Known],
    draft: Option<Draft>,
    wrong: Option<Wrong>,
) -> Result<Markup, Response> {
    let profiles = web.profiles().await.map_err(|problem| failed(&problem))?;
    let profiles: Vec<String> = profiles.into_iter().map(|profile| profile.name).collect();
    Ok(layout::page(
        who,
        "Trunks",
        &["clock.js"],
        html! {
            h1 { "Trunks" }
            p { "Servers of carriers and providers: where calls go out, and by which they come in. A profile sends calls to one by "
                code { "next_hop = \"trunk:NAME\"" } ", or to whichever takes the number by " code { "trunk:*" } "." }
            (form(who, &profiles, draft.as_ref(), wrong.as_ref()))
            (list(&layout::csrf(who), trunks))
        },
    ))
}

fn form(who: &Who, profiles: &[String], draft: Option<&Draft>, wrong: Option<&Wrong>) -> Markup {
    let fields = Fields::new(FORM, wrong);
    let new = Draft::default();
    let is_open = draft.is_some();
    let draft = draft.unwrap_or(&new);
    let is_there = !draft.seen.is_empty();
    let heading = match is_there {
        true => format!("Change {}", draft.name),
        false => "Add a trunk".to_owned(),
    };
    let is_more =
        |field: &str| MORE.iter().any(|(name, ..)| *name == field) || CHOICES.iter().any(|(name, ..)| *name == field);
    let known: Vec<&str> = ["name", "password", "profile"]
        .into_iter()
        .chain(FIRST.iter().chain(&MORE).map(|(name, ..)| *name))
        .chain(CHOICES.iter().map(|(name, ..)| *name))
        .collect();
    let by_source = (String::new(), "as the sources of profiles say".to_owned());
    let profiles: Vec<(String, String)> = std::iter::once(by_source)
        .chain(profiles.iter().map(|name| (name.clone(), name.clone())))
        .collect();
    let password = fields.id("password");
    html! {
        (fields.whole(&known))
        details #trunk open[is_open] {
            summary { (heading) }
            form.sentence method="post" action=(PAGE) aria-label=(heading) {
                (layout::csrf(who))
                input type="hidden" name="seen" value=(draft.seen);
                @if is_there { input type="hidden" name="name" value=(draft.name); }
                @else { (fields.text(("name", "Name"), &draft.name, "provider", None)) }
                @for (name, label, empty) in &FIRST { (fields.text((name, label), draft.get(name), empty, None)) }
                div.field {
                    label for=(password) { "Password" }
                    input id=(password) type="password" name="password" autocomplete="new-password"
                        placeholder=(if draft.has_password { "empty: as it is" } else { "empty: none" });
                    (fields.said("password"))
                }
                (fields.choice(("profile", "Profile of its calls"), draft.get("profile"), &profiles))
                details open[wrong.is_some_and(|wrong| is_more(wrong.field))] {
                    summary { "More: numbers, limits, registration" }
                    @for (name, label, all) in &CHOICES {
                        (fields.choice((name, label), draft.get(name), &words(all)))
                    }
                    @for (name, label, empty) in &MORE { (fields.text((name, label), draft.get(name), empty, None)) }
                }
                div.acts {
                    button type="submit" name="act" value="save" { @if is_there { "Change it so" } @else { "Add it" } }
                    @if is_there { a href=(PAGE) { "Leave it" } }
                }
            }
        }
    }
}

fn words(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter()
        .map(|(value, words)| ((*value).to_owned(), (*words).to_owned()))
        .collect()
}

fn list(csrf: &Markup, trunks: &[Known]) -> Markup {
    html! {
        @if trunks.is_empty() {
            p.none { "There are no trunks." }
        } @else {
            (layout::table("Trunks", &["Trunk", "Servers", "Registration", "Calls", "Set", ""], html! {
                @for known in trunks { (row(csrf, known)) }
            }))
        }
    }
}

fn row(csrf: &Markup, known: &Known) -> Markup {
    let (name, running) = (&known.name, known.running.as_ref());
    let servers = running
        .and_then(|running| running.get("servers"))
        .and_then(Value::as_array);
    let line = running
        .and_then(|running| running.get("registration"))
        .filter(|line| !line.is_null());
    html! {
        tr {
            td { (name) }
            td.whole {
                @match servers {
                    None => "the server has it in a moment",
                    Some(servers) => @for server in servers {
                        @let state = text(server, "state");
                        div { (text(server, "uri")) " " span class={ "badge result " @if state == "up" { "good" } @else { "gone" } } { (state) } }
                    }
                }
            }
            td { @match line { Some(line) => (text(line, "state")), None => "–" } }
            td.number { @match running.and_then(|running| running.get("calls")) { Some(calls) => (calls), None => "–" } }
            td { @match &known.at { Some(at) => (at), None => "here" } }
            td {
                form.acts method="post" action=(PAGE) {
                    (csrf)
                    input type="hidden" name="name" value=(name);
                    button type="submit" name="act" value="test" aria-label={ "Ask now: the trunk " (name) } { "Ask now" }
                    @if let Some(added) = &known.added {
                        input type="hidden" name="seen" value=(tag_of(added));
                        @if !added.settings.is_null() && known.at.is_none() {
                            a href={ (PAGE) "?edit=" (given::encoded(name)) "#trunk" } aria-label={ "Change " (name) } { "Change" }
                        }
                        details {
                            summary aria-label={ "Remove " (name) } { "Remove" }
                            button type="submit" name="act" value="remove" aria-label={ "Remove " (name) " for good" } { "Remove for good" }
                        }
                    }
                }
            }
        }
    }
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or("–")
}

async fn act(State(web): State<Web>, Posted { who, form }: Posted<Pairs>) -> Response {
    if one(&form, "act") == "test" {
        return match ask(&who, &web, one(&form, "name").to_owned()).await {
            Ok(()) => Redirect::to(PAGE).into_response(),
            Err(problem) => failed(&problem),
        };
    }
    let draft = Draft::typed(&form);
    let is_form = one(&form, "act") == "save";
    let host = web.site().trunking.clone();
    let done = who.ask(move |access| Ok(perform(access, &form, host.as_ref())));
    let refusal = match done.await {
        Ok(Ok(())) => return Redirect::to(PAGE).into_response(),
        Ok(Err(refusal)) => refusal,
        Err(problem) => return failed(&problem),
    };
    let status = Problem::from(refusal.clone()).status();
    if !super::settings::is_theirs_to_mend(status) {
        return failed(&refusal.into());
    }
    let trunks = match read(&who, &web).await {
        Ok(trunks) => trunks,
        Err(problem) => return failed(&problem),
    };
    // What was changed meanwhile is shown as it is now.
    let draft = match &refusal {
        Refusal::Changed => edited(&trunks, &draft.name).ok(),
        _ => is_form.then_some(draft),
    };
    let wrong = Some(Wrong::of(FORM, &refusal));
    match page(&who, &web, &trunks, draft, wrong).await {
        Ok(page) => (status, page).into_response(),
        Err(failed) => failed,
    }
}

fn perform(access: &Access, form: &Pairs, host: &dyn Trunking) -> Result<(), Refusal> {
    access.need(Scope::SystemWrite)?;
    let draft = Draft::typed(form);
    match (one(form, "act"), draft.seen.is_empty()) {
        ("save", true) => access.add_trunk(draft.given(form)?, host).map(drop),
        ("save", false) => {
            let (change, seen) = (draft.change(form)?, Seen::of_form(&draft.seen));
            access
                .change_trunk(&draft.name, change, host, move |now| seen.may_change(now))
                .map(drop)
        }
        ("remove", _) => {
            let seen = Seen::of_form(&draft.seen);
            access.remove_trunk(&draft.name, host, move |now| seen.may_change(now))
        }
        _ => Err(Refusal::Invalid {
            field: "act",
            why: "there is no such button".to_owned(),
        }),
    }
}
