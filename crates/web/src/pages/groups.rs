//! The operator's page of group mailboxes: listed, added, who is in them, removed.

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use maud::{Markup, html};
use segue_manage::{Access, Page, PageAsked, Refusal, Scope, TeamGiven, TeamView};
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

const FORM: &str = "group";
const FIELDS: [&str; 2] = ["group", "members"];
const PAGE: &str = "/operator/groups";

pub(super) fn routes() -> Router<Web> {
    Router::new().route(PAGE, get(show).post(act))
}

/// What the address of the page says.
#[derive(Debug, Clone, Default, Deserialize)]
struct View {
    cursor: Option<String>,
    /// Which is to be changed.
    edit: Option<String>,
}

/// A group as it is typed.
#[derive(Default)]
struct Draft {
    /// It is there already, and known by this; empty: it is new.
    seen: String,
    group: String,
    members: String,
}

impl Draft {
    fn of(view: &TeamView) -> Draft {
        Draft {
            seen: tag_of(view),
            group: view.group.clone(),
            members: view.members.join(", "),
        }
    }

    fn typed(form: &Pairs) -> Draft {
        let text = |name: &str| one(form, name).to_owned();
        Draft {
            seen: text("seen"),
            group: text("group"),
            members: text("members"),
        }
    }
}

async fn show(Visitor(who): Visitor, view: Asked<View>) -> Result<Markup, Response> {
    page(&who, view.0, None, None).await
}

async fn page(who: &Who, view: View, typed: Option<Draft>, wrong: Option<Wrong>) -> Result<Markup, Response> {
    let read = who.ask(move |access| {
        let page = PageAsked {
            cursor: view.cursor.filter(|cursor| !cursor.is_empty()),
            limit: None,
        };
        let found = access.teams(&page)?;
        let edited = match view.edit.filter(|name| !name.is_empty()) {
            None => None,
            Some(name) => Some(access.team(&name)?),
        };
        Ok((found, edited))
    });
    let (found, edited) = read.await.map_err(|problem| failed(&problem))?;
    let draft = typed.or_else(|| edited.as_ref().map(Draft::of));
    Ok(layout::page(
        who,
        "Groups",
        &[],
        html! {
            h1 { "Groups" }
            p { "A group is a subscriber whose messages are for several others: each gets them in a mailbox of their own, and calls to it ring where they are." }
            (form(who, draft.as_ref(), wrong.as_ref()))
            (list(&layout::csrf(who), &found))
        },
    ))
}

fn form(who: &Who, draft: Option<&Draft>, wrong: Option<&Wrong>) -> Markup {
    let fields = Fields::new(FORM, wrong);
    let new = Draft::default();
    let is_open = draft.is_some();
    let draft = draft.unwrap_or(&new);
    let is_there = !draft.seen.is_empty();
    let heading = match is_there {
        true => format!("Who is in {}", draft.group),
        false => "Add a group".to_owned(),
    };
    html! {
        (fields.whole(&FIELDS))
        details #group open[is_open] {
            summary { (heading) }
            form.sentence method="post" action=(PAGE) aria-label=(heading) {
                (layout::csrf(who))
                input type="hidden" name="seen" value=(draft.seen);
                @if is_there { input type="hidden" name="group" value=(draft.group); }
                @else { (fields.text(("group", "Name"), &draft.group, "sales", None)) }
                (fields.text(("members", "Members"), &draft.members, "ann, bob", None))
                div.acts {
                    button type="submit" name="act" value="save" { @if is_there { "Let these be its members" } @else { "Add it" } }
                    @if is_there { a href=(PAGE) { "Leave it" } }
                }
            }
        }
    }
}

fn list(csrf: &Markup, found: &Page<TeamView>) -> Markup {
    html! {
        @if found.items.is_empty() {
            p.none { "No group has members." }
        } @else {
            (layout::table("Groups", &["Group", "Members", ""], html! {
                @for team in &found.items {
                    @let name = &team.group;
                    tr {
                        td { a href={ "/settings?user=" (given::encoded(name)) } { (name) } }
                        td {
                            @for (place, member) in team.members.iter().enumerate() {
                                @if place > 0 { ", " }
                                a href={ "/settings?user=" (given::encoded(member)) } { (member) }
                            }
                        }
                        td {
                            form.acts method="post" action=(PAGE) {
                                (csrf)
                                input type="hidden" name="seen" value=(tag_of(team));
                                input type="hidden" name="group" value=(name);
                                a href={ (PAGE) "?edit=" (given::encoded(name)) "#group" } aria-label={ "Change who is in " (name) } { "Change" }
                                details {
                                    summary aria-label={ "Remove " (name) } { "Remove" }
                                    p { "Its members keep the messages that they have; its rules and contacts go." }
                                    button type="submit" name="act" value="remove" aria-label={ "Remove " (name) " for good" } { "Remove for good" }
                                }
                            }
                        }
                    }
                }
            }))
        }
        @if let Some(next) = &found.next {
            p { a rel="next" href={ (PAGE) "?cursor=" (given::encoded(next)) } { "More" } }
        }
    }
}

async fn act(State(_): State<Web>, Posted { who, form }: Posted<Pairs>) -> Response {
    let draft = Draft::typed(&form);
    let is_form = one(&form, "act") == "save";
    let refusal = match who.ask(move |access| Ok(perform(access, &form))).await {
        Ok(Ok(())) => return Redirect::to(PAGE).into_response(),
        Ok(Err(refusal)) => refusal,
        Err(problem) => return failed(&problem),
    };
    let status = Problem::from(refusal.clone()).status();
    if !super::settings::is_theirs_to_mend(status) {
        return failed(&refusal.into());
    }
    let mut wrong = Wrong::of(FORM, &refusal);
    if is_form && refusal.is_not_found() {
        wrong.field = "members";
    }
    // What was changed meanwhile is shown as it is now.
    let edit = (refusal == Refusal::Changed).then(|| draft.group.clone());
    let typed = (is_form && edit.is_none()).then_some(draft);
    let view = View { cursor: None, edit };
    match page(&who, view, typed, Some(wrong)).await {
        Ok(page) => (status, page).into_response(),
        Err(failed) => failed,
    }
}

fn perform(access: &Access, form: &Pairs) -> Result<(), Refusal> {
    access.need(Scope::SystemWrite)?;
    let draft = Draft::typed(form);
    let members = listed(&draft.members, ',');
    let seen = Seen::of_form(&draft.seen);
    let (act, is_new) = (one(form, "act"), draft.seen.is_empty());
    if act == "save" && members.is_empty() {
        return Err(Refusal::Invalid {
            field: "members",
            why: "name somebody; without members it is a subscriber like any other".to_owned(),
        });
    }
    match (act, is_new) {
        ("save", true) => {
            let group = draft.group;
            access.add_team(TeamGiven { group, members }).map(drop)
        }
        ("save", false) => access
            .set_team(&draft.group, members, move |now| seen.may_change(now))
            .map(drop),
        ("remove", _) => access
            .remove_team(&draft.group, move |now| seen.may_change(now))
            .map(drop),
        _ => Err(Refusal::Invalid {
            field: "act",
            why: "there is no such button".to_owned(),
        }),
    }
}
