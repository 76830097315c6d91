//! What is done with several messages: one form, whose boxes stand in the rows.

use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use segue_manage::{Access, Refusal, SEVERAL_MAX};

use super::{View, action, back_to, perform, row::button};
use crate::{
    given,
    pages::{
        failed,
        field::{Pairs, one},
    },
    who::Posted,
};

/// The buttons for those that are chosen.
pub(super) fn bar(view: &View, is_empty: bool, csrf: &Markup, back: &str) -> Markup {
    html! {
        form.acts.several #chosen method="post" action="/messages" aria-label="The chosen messages" hidden[is_empty] {
            (csrf)
            input type="hidden" name="back" value=(back);
            span #chosen-count { "Chosen:" }
            (button("download", "Download"))
            @if view.show == "trash" {
                (button("undelete", "Restore"))
            } @else {
                (button("heard", "Mark heard"))
                (button("delete", "Delete"))
            }
            button #choose-all type="button" hidden { "Choose all" }
        }
    }
}

/// What was just done. Messages that were deleted can be had back.
pub(super) fn done(view: &View, csrf: &Markup, back: &str) -> Markup {
    let ids: Vec<&str> = view.deleted.as_deref().unwrap_or_default().split(',').collect();
    let ids: Vec<&str> = ids.into_iter().filter(|id| !id.is_empty()).take(SEVERAL_MAX).collect();
    html! {
        @if view.none { p.notice { "No message was chosen." } }
        @match ids.as_slice() {
            [] => {}
            [id] => form.notice method="post" action=(action(id)) {
                (csrf)
                input type="hidden" name="back" value=(back);
                span { "Deleted." }
                button type="submit" name="act" value="undelete" autofocus { "Undo" }
            }
            several => form.notice method="post" action="/messages" {
                (csrf)
                input type="hidden" name="back" value=(back);
                @for id in several { input type="hidden" name="id" value=(id); }
                span { (several.len()) " messages deleted." }
                button type="submit" name="act" value="undelete" autofocus { "Undo" }
            }
        }
    }
}

/// Does what a button says with each, and leads back to the list; a download is led to the API.
pub(super) async fn act(Posted { who, form }: Posted<Pairs>) -> Response {
    let named = form.iter().filter(|(name, _)| name == "id");
    let ids: Vec<String> = named.map(|(_, id)| id.clone()).collect();
    let (act, back) = (one(&form, "act").to_owned(), one(&form, "back").to_owned());
    if ids.is_empty() {
        return Redirect::to(&back_to(&back, Some(("none", "true".to_owned())))).into_response();
    }
    let (asked, said) = (ids, act.clone());
    let ids = match who.ask(move |access| perform_all(access, &asked, &said)).await {
        Ok(ids) => ids,
        Err(problem) => return failed(&problem),
    };
    let to = match act.as_str() {
        "download" => {
            let ids: Vec<String> = ids.iter().map(|id| format!("id={}", given::encoded(id))).collect();
            format!("/api/v1/messages/export?{}", ids.join("&"))
        }
        "delete" => back_to(&back, Some(("deleted", ids.join(",")))),
        _ => back_to(&back, None),
    };
    Redirect::to(&to).into_response()
}

/// Nothing is done before it is known that all of them are theirs.
fn perform_all(access: &Access, ids: &[String], act: &str) -> Result<Vec<String>, Refusal> {
    let ids: Vec<String> = access.several(ids)?.into_iter().map(|message| message.id).collect();
    if act != "download" {
        ids.iter().try_for_each(|id| perform(access, id, act))?;
    }
    Ok(ids)
}
