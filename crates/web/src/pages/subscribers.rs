//! The operator's page of subscribers: found, added, changed, removed.

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use maud::{Markup, html};
use segue_manage::{
    Access, Page, PageAsked, Refusal, Scope, Seals, SubscriberChange, SubscriberGiven, SubscriberView, Typed,
};
use segue_policy::Profile;
use serde::Deserialize;

use super::{
    failed,
    field::{Fields, Pairs, Wrong, listed, one},
    layout,
};
use crate::{
    given::{self, Asked},
    portal::Web,
    problem::Problem,
    seen::{Seen, tag_of},
    who::{Posted, Visitor, Who},
};

const FORM: &str = "subscriber";
const FIELDS: [&str; 6] = ["user", "password", "pin", "targets", "numbers", "aliases"];
const PAGE: &str = "/operator/subscribers";

pub(super) fn routes() -> Router<Web> {
    Router::new().route(PAGE, get(show).post(change))
}

/// What the address of the page says.
#[derive(Debug, Clone, Default, Deserialize)]
struct View {
    q: Option<String>,
    cursor: Option<String>,
    /// Who is to be changed.
    edit: Option<String>,
}

/// A subscriber as they are typed.
#[derive(Default)]
struct Draft {
    /// They are there already, and known by this; empty: they are new.
    seen: String,
    user: String,
    targets: String,
    numbers: String,
    aliases: String,
}

impl Draft {
    fn of(view: &SubscriberView) -> Draft {
        Draft {
            seen: tag_of(view),
            user: text(view, "user"),
            targets: all(view, "targets"),
            numbers: all(view, "numbers"),
            aliases: all(view, "aliases"),
        }
    }

    fn typed(form: &Pairs) -> Draft {
        let text = |name: &str| one(form, name).to_owned();
        Draft {
            seen: text("seen"),
            user: text("user"),
            targets: text("targets"),
            numbers: text("numbers"),
            aliases: text("aliases"),
        }
    }

    fn change(&self) -> SubscriberChange {
        let targets = listed(&self.targets, ',');
        let is_new = self.seen.is_empty();
        SubscriberChange {
            // A new one without any is reached wherever their phones are registered.
            targets: (!is_new || !targets.is_empty()).then_some(targets),
            numbers: Some(listed(&self.numbers, ',')),
            aliases: Some(listed(&self.aliases, ',')),
            ..SubscriberChange::default()
        }
    }
}

fn text(view: &SubscriberView, name: &str) -> String {
    let text = view.0.get(name).and_then(serde_json::Value::as_str);
    text.unwrap_or_default().to_owned()
}

fn all(view: &SubscriberView, name: &str) -> String {
    let all = view
        .0
        .get(name)
        .and_then(serde_json::Value::as_array)
        .into_iter()
        .flatten();
    all.filter_map(serde_json::Value::as_str).collect::<Vec<_>>().join(", ")
}

async fn show(Visitor(who): Visitor, view: Asked<View>) -> Result<Markup, Response> {
    page(&who, &view.0, None, None).await
}

async fn page(who: &Who, view: &View, typed: Option<Draft>, wrong: Option<Wrong>) -> Result<Markup, Response> {
    let asked = view.clone();
    let read = who.ask(move |access| {
        access.need(Scope::SystemRead)?;
        let page = PageAsked {
            cursor: asked.cursor.filter(|cursor| !cursor.is_empty()),
            limit: None,
        };
        let found = access.find_subscribers(asked.q.as_deref().unwrap_or_default(), &page)?;
        let edited = match asked.edit.filter(|user| !user.is_empty()) {
            None => None,
            Some(user) => Some(access.subscriber(&user)?),
        };
        Ok((found, edited))
    });
    let (found, edited) = read.await.map_err(|problem| failed(&problem))?;
    let draft = typed.or_else(|| edited.as_ref().map(Draft::of));
    Ok(layout::page(
        who,
        "Subscribers",
        &[],
        html! {
            h1 { "Subscribers" }
            form.filters method="get" action=(PAGE) role="search" {
                label for="q" { "Name, number or alias" }
                input #q type="search" name="q" value=(view.q.as_deref().unwrap_or_default());
                button type="submit" { "Find" }
            }
            (form(who, draft.as_ref(), wrong.as_ref()))
            (list(&layout::csrf(who), view, &found))
        },
    ))
}

fn form(who: &Who, draft: Option<&Draft>, wrong: Option<&Wrong>) -> Markup {
    let new = Draft::default();
    let fields = Fields::new(FORM, wrong);
    let is_open = draft.is_some();
    let draft = draft.unwrap_or(&new);
    let is_there = !draft.seen.is_empty();
    let heading = match is_there {
        true => format!("Change {}", draft.user),
        false => "Add a subscriber".to_owned(),
    };
    let secret = |name: &'static str, label: &str, words: &str| {
        let id = fields.id(name);
        html! {
            div.field {
                label for=(id) { (label) }
                input id=(id) type="password" name=(name) placeholder=(words) autocomplete="new-password";
                (fields.said(name))
            }
        }
    };
    let kept = if is_there { "empty: as it is" } else { "empty: none" };
    html! {
        (fields.whole(&FIELDS))
        details #subscriber open[is_open] {
            summary { (heading) }
            form.sentence method="post" action=(PAGE) aria-label=(heading) {
                (layout::csrf(who))
                input type="hidden" name="seen" value=(draft.seen);
                @if is_there { input type="hidden" name="user" value=(draft.user); }
                @else { (fields.text(("user", "Name"), &draft.user, "bob", None)) }
                (secret("password", "Phone's password", kept))
                (secret("pin", "PIN", kept))
                (fields.text(("targets", "Reached at"), &draft.targets, "registered, sip:bob@192.0.2.7", None))
                (fields.text(("numbers", "Numbers"), &draft.numbers, "+4930123456", None))
                (fields.text(("aliases", "Aliases"), &draft.aliases, "sip:robert@example.org", None))
                div.acts {
                    button type="submit" name="act" value="save" { @if is_there { "Change them so" } @else { "Add them" } }
                    @if is_there { a href=(PAGE) { "Leave it" } }
                }
            }
        }
    }
}

fn list(csrf: &Markup, view: &View, found: &Page<SubscriberView>) -> Markup {
    html! {
        @if found.items.is_empty() {
            p.none { "Nobody." }
        } @else {
            (layout::table("Subscribers", &["Name", "Reached at", "Numbers", "Aliases", ""], html! {
                @for one in &found.items {
                    @let user = text(one, "user");
                    tr {
                        td { a href={ "/settings?user=" (given::encoded(&user)) } { (user) } }
                        td { (all(one, "targets")) }
                        td { (all(one, "numbers")) }
                        td { (all(one, "aliases")) }
                        td {
                            form.acts method="post" action=(PAGE) {
                                (csrf)
                                input type="hidden" name="seen" value=(tag_of(one));
                                input type="hidden" name="user" value=(user);
                                a href={ (PAGE) "?edit=" (given::encoded(&user)) "#subscriber" } aria-label={ "Change " (user) } { "Change" }
                                details {
                                    summary aria-label={ "Remove " (user) } { "Remove" }
                                    button type="submit" name="act" value="remove" aria-label={ "Remove " (user) " for good" } { "Remove for good" }
                                }
                            }
                        }
                    }
                }
            }))
        }
        @if let Some(next) = &found.next {
            p { a rel="next" href={ (PAGE) "?q=" (given::encoded(view.q.as_deref().unwrap_or_default())) "&cursor=" (given::encoded(next)) } { "More" } }
        }
    }
}

async fn change(State(web): State<Web>, Posted { who, form }: Posted<Pairs>) -> Response {
    let profiles = match web.profiles().await {
        Ok(profiles) => profiles,
        Err(problem) => return failed(&problem),
    };
    let seals = web.site().seals.clone();
    let draft = Draft::typed(&form);
    let is_form = one(&form, "act") == "save";
    let refusal = match who
        .ask(move |access| Ok(perform(access, &form, &profiles, seals.as_ref())))
        .await
    {
        Ok(Ok(())) => return Redirect::to(PAGE).into_response(),
        Ok(Err(refusal)) => refusal,
        Err(problem) => return failed(&problem),
    };
    let status = Problem::from(refusal.clone()).status();
    if !super::settings::is_theirs_to_mend(status) {
        return failed(&refusal.into());
    }
    let wrong = Some(Wrong::of(FORM, &refusal));
    match page(&who, &View::default(), is_form.then_some(draft), wrong).await {
        Ok(page) => (status, page).into_response(),
        Err(failed) => failed,
    }
}

fn perform(access: &Access, form: &Pairs, profiles: &[Profile], seals: &dyn Seals) -> Result<(), Refusal> {
    access.need(Scope::SystemWrite)?;
    let draft = Draft::typed(form);
    let typed = |name: &str| {
        Some(one(form, name))
            .filter(|word| !word.is_empty())
            .map(|word| Typed(word.to_owned()))
    };
    let given = |draft: &Draft| SubscriberGiven {
        user: draft.user.clone(),
        password: typed("password"),
        pin: typed("pin"),
        settings: draft.change(),
    };
    let seen = Seen::of_form(&draft.seen);
    match (one(form, "act"), draft.seen.is_empty()) {
        ("save", true) => {
            let given = given(&draft);
            access.add_subscriber(given, profiles, seals).map(drop)
        }
        ("save", false) => {
            let given = given(&draft);
            access
                .change_account(given, profiles, seals, move |now| seen.may_change(now))
                .map(drop)
        }
        ("remove", _) => access
            .remove_subscriber(&draft.user, move |now| seen.may_change(now))
            .map(drop),
        _ => Err(Refusal::Invalid {
            field: "act",
            why: "there is no such button".to_owned(),
        }),
    }
}
