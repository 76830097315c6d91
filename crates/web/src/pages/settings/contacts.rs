//! Whom a subscriber knows, and the groups that rules are for.

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use maud::{Markup, html};
use segue_manage::{Access, ContactGiven, ContactView, GroupGiven, GroupView, Refusal, written};
use segue_policy::Profile;

use super::{Drafts, View, rules::Around};
use crate::{
    given::Asked,
    pages::field::{Fields, Pairs, Wrong, listed, one},
    pages::layout,
    portal::Web,
    problem::Problem,
    seen::{Seen, tag_of},
    who::Posted,
};

/// The form, and the lists: what is wrong with either is said there.
const FORM: &str = "contact";
const LIST: &str = "contacts";

const FIELDS: [&str; 3] = ["address", "name", "groups"];

pub(super) fn routes() -> Router<Web> {
    // Who loads anew what was refused comes back to the page.
    let back = || async { Redirect::to("/settings") };
    Router::new().route("/settings/contacts", get(back).post(change))
}

/// A contact as it is typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Draft {
    /// It is there already, and known by this; empty: it is new.
    seen: String,
    address: String,
    name: String,
    groups: String,
}

impl Draft {
    /// To change this one.
    pub fn of(contact: &ContactView) -> Draft {
        Draft {
            seen: tag_of(contact),
            address: contact.address.clone(),
            name: contact.name.clone().unwrap_or_default(),
            groups: contact.groups.join(", "),
        }
    }

    fn typed(pairs: &Pairs) -> Draft {
        let text = |name: &str| one(pairs, name).to_owned();
        Draft {
            seen: text("seen"),
            address: text("address"),
            name: text("name"),
            groups: text("groups"),
        }
    }

    fn given(&self) -> ContactGiven {
        ContactGiven {
            address: self.address.clone(),
            name: Some(self.name.clone()),
            groups: listed(&self.groups, ','),
        }
    }
}

pub(super) fn list(contacts: &[ContactView], around: &Around<'_>, wrong: Option<&Wrong>) -> Markup {
    let action = around.action("/settings/contacts");
    html! {
        (Fields::new(LIST, wrong).whole(&[]))
        @if contacts.is_empty() {
            p.none { "There are no contacts: rules can be for numbers and addresses all the same." }
        } @else {
            (layout::table("Contacts", &["Address", "Name", "Groups", ""], html! {
                @for contact in contacts {
                    tr {
                        td { (contact.address) }
                        td { (contact.name.as_deref().unwrap_or("–")) }
                        td { @if contact.groups.is_empty() { "–" } @else { (contact.groups.join(", ")) } }
                        td {
                            form.acts method="post" action=(action) {
                                (around.whose())
                                input type="hidden" name="seen" value=(tag_of(contact));
                                input type="hidden" name="address" value=(contact.address);
                                a href={ (around.view.contact(&contact.address, around.named())) "#contact" } aria-label={ "Change " (contact.address) } { "Change" }
                                button type="submit" name="act" value="remove" aria-label={ "Remove " (contact.address) } { "Remove" }
                            }
                        }
                    }
                }
            }))
        }
    }
}

pub(super) fn form(draft: Option<&Draft>, around: &Around<'_>, wrong: Option<&Wrong>) -> Markup {
    let new = Draft::default();
    let fields = Fields::new(FORM, wrong);
    let is_open = draft.is_some();
    let draft = draft.unwrap_or(&new);
    let is_there = !draft.seen.is_empty();
    let heading = match is_there {
        true => format!("Change {}", draft.address),
        false => "Add a contact".to_owned(),
    };
    html! {
        details #contact open[is_open] {
            summary { (heading) }
            form.sentence method="post" action=(around.action("/settings/contacts")) aria-label=(heading) {
                (around.whose())
                input type="hidden" name="seen" value=(draft.seen);
                (fields.whole(&FIELDS))
                @if is_there {
                    input type="hidden" name="address" value=(draft.address);
                    (fields.said("address"))
                } @else {
                    (fields.text(("address", "Address or number"), &draft.address, "+4930123456, +4930*, sip:alice@example.com, sip:*@example.com", None))
                }
                (fields.text(("name", "Name"), &draft.name, "what they are called", None))
                (fields.text(("groups", "Groups"), &draft.groups, "e.g. family, business", None))
                div.acts {
                    button type="submit" name="act" value="save" { @if is_there { "Change it so" } @else { "Add this contact" } }
                    @if is_there { a href=(around.action("/settings")) { "Leave it" } }
                }
            }
        }
    }
}

/// The groups: another name, or nobody in it.
pub(super) fn groups(groups: &[GroupView], around: &Around<'_>) -> Markup {
    let action = around.action("/settings/contacts");
    html! {
        @if !groups.is_empty() {
            h3 { "Groups" }
            ul.rules {
                @for group in groups {
                    li {
                        strong { (group.name) } ": "
                        (group.contacts.len()) @if group.contacts.len() == 1 { " contact" } @else { " contacts" }
                        @if !group.rules.is_empty() {
                            "; for it " @if group.rules.len() == 1 { "is rule " } @else { "are rules " }
                            (group.rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
                        }
                        form.acts method="post" action=(action) {
                            (around.whose())
                            input type="hidden" name="seen" value=(tag_of(group));
                            input type="hidden" name="group" value=(group.name);
                            input name="name" value=(group.name) aria-label={ "New name of group " (group.name) } maxlength="32";
                            button type="submit" name="act" value="rename" aria-label={ "Rename group " (group.name) } { "Rename" }
                            button type="submit" name="act" value="empty" aria-label={ "Remove group " (group.name) } disabled[!group.rules.is_empty()] { "Remove" }
                        }
                    }
                }
            }
        }
    }
}

async fn change(State(web): State<Web>, view: Asked<View>, Posted { who, form }: Posted<Pairs>) -> Response {
    let (view, user) = (view.0, one(&form, "user").to_owned());
    let profiles = match web.profiles().await {
        Ok(profiles) => profiles,
        Err(problem) => return super::failed(&problem),
    };
    let draft = Draft::typed(&form);
    let name = if one(&form, "act") == "save" { FORM } else { LIST };
    let (typed, whose) = (draft.clone(), user.clone());
    let done = who.ask(move |access| Ok(perform(access, &whose, &form, &typed, &profiles)));
    let refusal = match done.await {
        Ok(Ok(())) => {
            let back = view.at("/settings", super::named(&who, &user));
            return Redirect::to(&format!("{back}#contacts")).into_response();
        }
        Ok(Err(refusal)) => refusal,
        Err(problem) => return super::failed(&problem),
    };
    let status = Problem::from(refusal.clone()).status();
    if !super::is_theirs_to_mend(status) {
        return super::failed(&refusal.into());
    }
    let mut draft = draft;
    let mut wrong = Wrong::of(name, &refusal);
    if name == FORM && refusal == Refusal::Changed {
        let is_new = draft.seen.is_empty();
        // Whoever sends it again has seen this.
        let address = draft.address.clone();
        let now = {
            let user = user.clone();
            who.ask(move |access| access.contacts(&user)).await.unwrap_or_default()
        };
        let now = now.iter().find(|contact| contact.address == address);
        draft.seen = now.map(tag_of).unwrap_or_default();
        if is_new {
            wrong.field = "address";
            wrong.why = "there is a contact of this address already".to_owned();
        }
    }
    let drafts = Drafts {
        contact: (name == FORM).then_some(draft),
        wrong: Some(wrong),
        ..Drafts::default()
    };
    match super::page(&who, &web, &user, &view, drafts).await {
        Ok(page) => (status, page).into_response(),
        Err(failed) => failed,
    }
}

fn perform(access: &Access, user: &str, form: &Pairs, draft: &Draft, profiles: &[Profile]) -> Result<(), Refusal> {
    let seen = Seen::of_form(&draft.seen);
    let group = one(form, "group");
    match one(form, "act") {
        "save" => {
            let contact = draft.given().contact(profiles)?;
            let is_new = draft.seen.is_empty();
            let as_seen = move |now: Option<&ContactView>| match is_new {
                true => now.is_none(),
                false => seen.may_put(now),
            };
            access.put_contact(user, contact, as_seen).map(drop)
        }
        "remove" => {
            let address = written::address(&draft.address, profiles);
            let address = address.map_err(|why| Refusal::Invalid { field: "address", why })?;
            access.remove_contact(user, &address, move |now| seen.may_change(now))
        }
        "rename" => {
            let given = GroupGiven {
                name: Some(draft.name.clone()),
                contacts: None,
            };
            let as_seen = move |now: Option<&GroupView>| seen.may_put(now);
            access.set_group(user, group, given, profiles, as_seen).map(drop)
        }
        "empty" => access.remove_group(user, group, move |now| seen.may_change(now)),
        _ => Err(super::invalid("act", "there is no such button")),
    }
}
