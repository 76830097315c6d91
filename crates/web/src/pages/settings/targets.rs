//! Where a subscriber is reached: places in their order.

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use maud::{Markup, html};
use segue_manage::{Access, Refusal, SubscriberChange, TargetGiven, TargetsView};
use segue_policy::{Profile, REGISTERED, Ring};

use super::{Drafts, View, rules::Around};
use crate::{
    given::Asked,
    pages::field::{Fields, Pairs, Wrong, one},
    portal::Web,
    problem::Problem,
    seen::{Seen, tag_of},
    who::Posted,
};

const FORM: &str = "target";

pub(super) fn routes() -> Router<Web> {
    // Who loads anew what was refused comes back to the page.
    let back = || async { Redirect::to("/settings") };
    Router::new().route("/settings/targets", get(back).post(change))
}

pub(super) fn section(view: &TargetsView, typed: Option<&str>, around: &Around<'_>, wrong: Option<&Wrong>) -> Markup {
    let action = around.action("/settings/targets");
    let fields = Fields::new(FORM, wrong);
    let last = view.targets.len();
    let seen = tag_of(view);
    let hidden = html! {
        (around.whose())
        input type="hidden" name="seen" value=(seen);
    };
    html! {
        (fields.whole(&["uri"]))
        @if last > 1 {
            form.notice method="post" action=(action) {
                (hidden)
                @if view.ring == Ring::InOrder {
                    span { "They ring one after the other." }
                    button type="submit" name="act" value="together" { "Ring all at once" }
                } @else {
                    span { "They ring all at once." }
                    button type="submit" name="act" value="in-order" { "Ring in order" }
                }
            }
        }
        ol.rules #targets {
            @for target in &view.targets {
                li {
                    @if target.uri == REGISTERED { "wherever their phones are registered" } @else { (target.uri) }
                    form.acts method="post" action=(action) {
                        (hidden)
                        input type="hidden" name="place" value=(target.place);
                        button type="submit" name="act" value="up" disabled[target.place == 1] aria-label={ "Move target " (target.place) " up" } { "Up" }
                        button type="submit" name="act" value="remove" disabled[last == 1] aria-label={ "Remove target " (target.place) } { "Remove" }
                    }
                }
            }
        }
        form.sentence method="post" action=(action) aria-label="Add a target" {
            (hidden)
            (fields.text(("uri", "Also at"), typed.unwrap_or_default(), "sip:bob@192.0.2.7, tel:+4930123456, registered", None))
            div.acts { button type="submit" name="act" value="add" { "Add this target" } }
        }
    }
}

async fn change(State(web): State<Web>, view: Asked<View>, Posted { who, form }: Posted<Pairs>) -> Response {
    let (view, user) = (view.0, one(&form, "user").to_owned());
    let profiles = match web.profiles().await {
        Ok(profiles) => profiles,
        Err(problem) => return super::failed(&problem),
    };
    let (whose, typed) = (user.clone(), one(&form, "uri").to_owned());
    let refusal = match who
        .ask(move |access| Ok(perform(access, &whose, &form, &profiles)))
        .await
    {
        Ok(Ok(())) => {
            let back = view.at("/settings", super::named(&who, &user));
            return Redirect::to(&format!("{back}#targets")).into_response();
        }
        Ok(Err(refusal)) => refusal,
        Err(problem) => return super::failed(&problem),
    };
    let status = Problem::from(refusal.clone()).status();
    if !super::is_theirs_to_mend(status) {
        return super::failed(&refusal.into());
    }
    let mut wrong = Wrong::of(FORM, &refusal);
    if !typed.is_empty() && wrong.field == "targets" {
        wrong.field = "uri";
    }
    let drafts = Drafts {
        target: Some(typed),
        wrong: Some(wrong),
        ..Drafts::default()
    };
    match super::page(&who, &web, &user, &view, drafts).await {
        Ok(page) => (status, page).into_response(),
        Err(failed) => failed,
    }
}

fn perform(access: &Access, user: &str, form: &Pairs, profiles: &[Profile]) -> Result<(), Refusal> {
    let seen = Seen::of_form(one(form, "seen"));
    let as_seen = move |now: &TargetsView| seen.may_change(now);
    let place = one(form, "place").parse::<usize>();
    let place = place.map_err(|_| super::invalid("place", "no target was named"));
    let ring = |ring| SubscriberChange {
        ring: Some(ring),
        ..SubscriberChange::default()
    };
    match one(form, "act") {
        "add" => {
            let given = TargetGiven {
                uri: one(form, "uri").to_owned(),
                place: None,
            };
            access.add_target(user, given, profiles, as_seen).map(drop)
        }
        "up" => {
            let place = place?;
            access
                .move_target(user, place, place.saturating_sub(1), as_seen)
                .map(drop)
        }
        "remove" => access.remove_target(user, place?, as_seen).map(drop),
        "together" => access
            .change_subscriber(user, ring(Ring::Together), profiles, |_| true)
            .map(drop),
        "in-order" => access
            .change_subscriber(user, ring(Ring::InOrder), profiles, |_| true)
            .map(drop),
        _ => Err(super::invalid("act", "there is no such button")),
    }
}
