//! The operator's page of subscribers: found, added, changed, removed.

mod draft;
mod form;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use maud::{Markup, html};
use segue_manage::{Access, Page, PageAsked, Refusal, Scope, Seals, SubscriberGiven, SubscriberView, Typed};
use segue_policy::Profile;
use serde::Deserialize;

use self::draft::{Draft, all, of_field, text};
use super::{
    failed,
    field::{Pairs, Wrong, one},
    layout,
};
use crate::{
    given::{self, Asked},
    portal::Web,
    problem::Problem,
    seen::{Seen, tag_of},
    who::{Posted, Visitor, Who},
};

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

async fn show(Visitor(who): Visitor, view: Asked<View>) -> Result<Markup, Response> {
    page(&who, &view.0, None, None).await
}

async fn page(who: &Who, view: &View, typed: Option<Draft>, wrong: Option<Wrong>) -> Result<Markup, Response> {
    let asked = view.clone();
    // Empty for a new one: clips that are nobody's own.
    let named = match &typed {
        Some(draft) => (!draft.seen().is_empty()).then(|| draft.text("user").to_owned()),
        None => view.edit.clone(),
    };
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
        let clips = access.clips_to_name(&named.unwrap_or_default())?;
        Ok((found, edited, clips))
    });
    let (found, edited, clips) = read.await.map_err(|problem| failed(&problem))?;
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
            (form::form(who, draft.as_ref(), &clips, wrong.as_ref()))
            (list(&layout::csrf(who), view, &found))
        },
    ))
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
                        td { (all(one, "targets", ", ")) }
                        td { (all(one, "numbers", ", ")) }
                        td { (all(one, "aliases", ", ")) }
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
    // Another has changed them meanwhile: the form has them as they are now.
    let is_other = is_form && refusal == Refusal::Changed;
    let view = View {
        edit: is_other.then(|| draft.text("user").to_owned()),
        ..View::default()
    };
    let typed = (is_form && !is_other).then_some(draft);
    let wrong = Some(Wrong::of(form::FORM, &of_field(refusal)));
    match page(&who, &view, typed, wrong).await {
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
    let given = || {
        Ok::<_, Refusal>(SubscriberGiven {
            user: draft.text("user").to_owned(),
            password: typed("password"),
            pin: typed("pin"),
            settings: draft.change()?,
        })
    };
    let seen = Seen::of_form(draft.seen());
    match (one(form, "act"), draft.seen().is_empty()) {
        ("save", true) => {
            let given = given()?;
            access.add_subscriber(given, profiles, seals).map(drop)
        }
        ("save", false) => {
            let given = given()?;
            access
                .change_account(given, profiles, seals, move |now| seen.may_change(now))
                .map(drop)
        }
        ("remove", _) => access
            .remove_subscriber(draft.text("user"), move |now| seen.may_change(now))
            .map(drop),
        _ => Err(Refusal::Invalid {
            field: "act",
            why: "there is no such button".to_owned(),
        }),
    }
}
