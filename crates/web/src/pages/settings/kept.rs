//! How long messages are kept: the limits, what goes next by them and what has gone; and before others are saved, what would go by those.

use axum::{
    Router,
    response::{IntoResponse, Redirect, Response},
    routing::post,
};
use maud::{Markup, html};
use segue_mailbox::Limit;
use segue_manage::{
    Access, AuditView, Change, ForeseenView, MessageView, Refusal, RetentionChange, RetentionView, lasting,
};
use serde::Deserialize;

use super::{age, invalid, named, number};
use crate::{
    given,
    pages::{failed, layout},
    portal::Web,
    who::Posted,
};

/// Rows of a table.
const ROWS_MAX: usize = 50;

pub(super) fn routes() -> Router<Web> {
    // Who loads anew what was asked comes back to the page.
    let back = || async { Redirect::to("/settings#kept") };
    Router::new().route("/settings/kept", post(change).get(back))
}

/// The limits, as they are typed.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Typed {
    act: String,
    user: String,
    #[serde(default)]
    heard_max: String,
    #[serde(default)]
    heard_age: String,
    #[serde(default)]
    unheard_max: String,
    #[serde(default)]
    unheard_age: String,
    #[serde(default)]
    trash: String,
    /// What was shown to go at once; empty: nothing was shown.
    #[serde(default)]
    seen: String,
}

impl Typed {
    fn of(view: &RetentionView) -> Typed {
        let number = |limit: Option<u32>| limit.map(|limit| limit.to_string()).unwrap_or_default();
        let time = |limit: Option<u64>| limit.map(lasting).unwrap_or_default();
        Typed {
            user: view.user.clone(),
            heard_max: number(view.heard_max),
            heard_age: time(view.heard_age_ms),
            unheard_max: number(view.unheard_max),
            unheard_age: time(view.unheard_age_ms),
            trash: lasting(view.trash_ms),
            ..Typed::default()
        }
    }

    fn change(&self) -> Result<RetentionChange, Refusal> {
        let trash_ms = match age("trash", &self.trash)? {
            Limit::Off => Limit::At(0),
            limit => limit,
        };
        Ok(RetentionChange {
            heard_max: Some(Change(number("heard_max", &self.heard_max)?)),
            heard_age_ms: Some(Change(age("heard_age", &self.heard_age)?)),
            unheard_max: Some(Change(number("unheard_max", &self.unheard_max)?)),
            unheard_age_ms: Some(Change(age("unheard_age", &self.unheard_age)?)),
            trash_ms: Some(Change(trash_ms)),
            ..RetentionChange::default()
        })
    }

    fn form(&self, csrf: &Markup) -> Markup {
        let fields = [
            ("heard_max", "Heard messages, at most", &self.heard_max, "number"),
            ("heard_age", "A heard message goes after", &self.heard_age, "time"),
            ("unheard_max", "Unheard messages, at most", &self.unheard_max, "number"),
            (
                "unheard_age",
                "An unheard message goes after",
                &self.unheard_age,
                "time",
            ),
            ("trash", "The trash keeps for", &self.trash, "time"),
        ];
        html! {
            form.kept method="post" action="/settings/kept" {
                (csrf)
                input type="hidden" name="user" value=(self.user);
                input type="hidden" name="seen" value=(self.seen);
                @for (name, words, value, kind) in fields {
                    label for=(name) { (words) }
                    @if kind == "number" {
                        input id=(name) name=(name) value=(value) inputmode="numeric" pattern="[0-9]*" placeholder="no limit";
                    } @else {
                        input id=(name) name=(name) value=(value) pattern="[0-9]+ ?(d|h|m|s|ms)" placeholder="no limit" title="a number and d, h, m or s, e.g. 30d";
                    }
                }
                div.acts {
                    button type="submit" name="act" value="look" { "What would go?" }
                    button type="submit" name="act" value="save" { "Keep them so" }
                }
            }
            p { "Pinned messages stay whatever the rules say. A field that is empty is no limit." }
        }
    }
}

/// A message that goes, as people know it.
struct Going {
    one: ForeseenView,
    message: Option<MessageView>,
}

/// What goes, the soonest first; of many the first ones.
struct AllGoing {
    first: Vec<Going>,
    more: usize,
}

impl AllGoing {
    fn of(access: &Access, foreseen: Vec<ForeseenView>) -> AllGoing {
        let mut going: Vec<ForeseenView> = foreseen
            .into_iter()
            .filter(|one| !matches!(one.fate, "kept" | "pinned"))
            .collect();
        // What goes now has no moment.
        going.sort_by(|a, b| (&a.at, &a.id).cmp(&(&b.at, &b.id)));
        let more = going.len().saturating_sub(ROWS_MAX);
        going.truncate(ROWS_MAX);
        let first = going
            .into_iter()
            .map(|one| Going {
                message: access.message(&one.id).ok(),
                one,
            })
            .collect();
        AllGoing { first, more }
    }

    fn table(&self, label: &str, none: &str) -> Markup {
        html! {
            @if self.first.is_empty() {
                p.none { (none) }
            } @else {
                (layout::table(label, &["From", "Received", "What happens", "When", "Why"], html! {
                    @for Going { one, message } in &self.first {
                        tr {
                            @match message {
                                Some(message) => {
                                    td { (caller(message)) }
                                    td { (when(&message.received_at)) }
                                }
                                None => { td { (one.id) } td { "–" } }
                            }
                            td { (what(one)) }
                            td { @match &one.at { Some(at) => (when(at)), None => { "now" } } }
                            td { (why(one)) }
                        }
                    }
                }))
                @if self.more > 0 { p { "And " (self.more) " more." } }
            }
        }
    }
}

fn caller(message: &MessageView) -> &str {
    let name = message.from_name.as_deref().filter(|name| !name.trim().is_empty());
    name.unwrap_or(&message.from)
}

/// By the browser's clock, once the module has seen it.
fn when(rfc3339: &str) -> Markup {
    let shown = rfc3339.get(..16).unwrap_or(rfc3339).replace('T', " ");
    html! { time datetime=(rfc3339) { (shown) " UTC" } }
}

fn what(one: &ForeseenView) -> &'static str {
    match (one.fate, one.rule) {
        ("warned", _) => "its owner is warned",
        ("freed", _) | (_, Some("trash")) => "leaves the trash for good",
        _ => "is deleted",
    }
}

fn why(one: &ForeseenView) -> String {
    let measure = one.found.zip(one.allowed);
    match (one.rule.unwrap_or_default(), measure) {
        ("heard_max", Some((found, allowed))) => format!("{found} heard messages, {allowed} allowed"),
        ("max_bytes", Some((found, allowed))) => format!("{found} bytes, {allowed} allowed"),
        ("max_seconds", Some((found, allowed))) => format!("{found} s, {allowed} allowed"),
        (rule, _) => reason(rule).to_owned(),
    }
}

fn reason(rule: &str) -> &str {
    match rule {
        "heard_max" => "too many heard messages",
        "heard_age" => "it was heard long ago",
        "unheard_age" => "it is old, though nobody heard it",
        "max_bytes" => "too many bytes",
        "max_seconds" => "too much playing time",
        "trash" => "its time in the trash is over",
        other => other,
    }
}

/// What the page shows of it.
pub(super) struct Kept {
    limits: RetentionView,
    going: AllGoing,
    gone: Vec<AuditView>,
}

pub(super) fn read(access: &Access, user: &str) -> Result<Kept, Refusal> {
    let max = u32::try_from(ROWS_MAX).unwrap_or(u32::MAX);
    Ok(Kept {
        limits: access.retention(user)?,
        going: AllGoing::of(access, access.foresee_retention(user, None)?),
        gone: access.newest_retention_audit(user, max)?,
    })
}

pub(super) fn section(kept: &Kept, csrf: &Markup) -> Markup {
    html! {
        (Typed::of(&kept.limits).form(csrf))
        h3 { "What goes next" }
        (kept.going.table("What goes next", "Nothing, as it is now."))
        h3 { "What has gone by these rules" }
        @if kept.gone.is_empty() {
            p.none { "Nothing yet." }
        } @else {
            (layout::table("What has gone by these rules", &["When", "Message of", "Heard", "Why"], html! {
                @for row in &kept.gone {
                    tr {
                        td { (when(&row.at)) }
                        td { (when(&row.received_at)) }
                        td { @match &row.heard_at { Some(at) => (when(at)), None => { "no" } } }
                        td { (reason(&row.rule)) }
                    }
                }
            }))
        }
    }
}

/// What would go, which was not seen before.
struct Looked {
    typed: Typed,
    count: usize,
    going: AllGoing,
    /// Something else goes than was shown.
    is_other: bool,
}

async fn change(Posted { who, form }: Posted<Typed>) -> Response {
    let user = form.user.clone();
    let looked = match who.ask(move |access| perform(access, form)).await {
        Ok(looked) => looked,
        Err(problem) => return failed(&problem),
    };
    let back = match named(&who, &user) {
        Some(user) => format!("/settings?user={}#kept", given::encoded(user)),
        None => "/settings#kept".to_owned(),
    };
    let Some(Looked {
        typed,
        count,
        going,
        is_other,
    }) = looked
    else {
        return Redirect::to(&back).into_response();
    };
    let words = match count {
        0 => "If you save this, nothing goes now.".to_owned(),
        1 => "If you save this, 1 message goes now.".to_owned(),
        n => format!("If you save this, {n} messages go now."),
    };
    layout::page(
        &who,
        "Before it is saved",
        &["clock.js"],
        html! {
            h1 { "Before it is saved" }
            p.notice role="status" {
                strong { (words) }
                @if is_other { " That has changed meanwhile; nothing was saved." }
            }
            (typed.form(&layout::csrf(&who)))
            h2 { "What would go, and when" }
            (going.table("What would go", "Nothing."))
            p { a href=(back) { "Leave it as it is" } }
        },
    )
    .into_response()
}

/// Saves it if nothing goes at once by it but what was shown; else says what would.
fn perform(access: &Access, form: Typed) -> Result<Option<Looked>, Refusal> {
    let change = form.change()?;
    let foreseen = access.foresee_change(&form.user, change.clone())?;
    let seen = match form.seen.as_str() {
        "" if foreseen.going == 0 => foreseen.seen.clone(),
        shown => shown.to_owned(),
    };
    let saves = match form.act.as_str() {
        "save" => true,
        "look" => false,
        _ => return Err(invalid("act", "there is no such button")),
    };
    if saves && !seen.is_empty() {
        let change = RetentionChange {
            seen: Some(seen),
            ..change
        };
        match access.set_retention(&form.user, change, |_| true) {
            Ok(_) => return Ok(None),
            Err(Refusal::Changed) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(Some(Looked {
        count: foreseen.going,
        is_other: saves && !form.seen.is_empty(),
        typed: Typed {
            seen: foreseen.seen,
            ..form
        },
        going: AllGoing::of(access, foreseen.messages),
    }))
}
