//! How long messages are kept: the limits, what goes next by them and what has gone; and before others are saved, what would go by those.

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::post,
};
use maud::{Markup, html};
use segue_mailbox::Limit;
use segue_manage::{
    Access, AuditView, Change, ForeseenView, MessageView, Refusal, RetentionChange, RetentionView, lasting,
};
use serde::Deserialize;

use super::{
    age, invalid,
    limit::{bytes, seconds, shown_bytes},
    named, number,
};
use crate::{
    given,
    pages::{
        failed,
        field::{Fields, Wrong},
        layout,
    },
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
    /// These stay as they are where a form does not have them.
    max_bytes: Option<String>,
    max_seconds: Option<String>,
    scope: Option<String>,
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
            max_bytes: Some(view.max_bytes.map(shown_bytes).unwrap_or_default()),
            max_seconds: Some(time(view.max_seconds.map(|s| s.saturating_mul(1_000)))),
            scope: Some(view.scope.clone()),
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
            max_bytes: limit(&self.max_bytes, |text| bytes("max_bytes", text))?,
            max_seconds: limit(&self.max_seconds, |text| seconds("max_seconds", text))?,
            scope: self.scope.clone(),
            ..RetentionChange::default()
        })
    }

    fn form(&self, csrf: &Markup, wrong: Option<&Wrong>) -> Markup {
        let said = |text: &Option<String>| text.clone().unwrap_or_default();
        let (max_bytes, max_seconds) = (said(&self.max_bytes), said(&self.max_seconds));
        let fields = [
            ("heard_max", "Heard messages, at most", &self.heard_max, NUMBER),
            ("heard_age", "A heard message goes after", &self.heard_age, TIME),
            ("unheard_max", "Unheard messages, at most", &self.unheard_max, NUMBER),
            ("unheard_age", "An unheard message goes after", &self.unheard_age, TIME),
            ("max_bytes", "Room for all, at most", &max_bytes, BYTES),
            ("max_seconds", "Playing time of all, at most", &max_seconds, TIME),
            ("trash", "The trash keeps for", &self.trash, TIME),
        ];
        let names: Vec<&str> = fields.iter().map(|(name, ..)| *name).chain(["scope"]).collect();
        let around = Fields::new("kept", wrong);
        html! {
            form.kept method="post" action="/settings/kept" {
                (csrf)
                input type="hidden" name="user" value=(self.user);
                input type="hidden" name="seen" value=(self.seen);
                @for (name, words, value, (pattern, title)) in fields {
                    @let is_wrong = wrong.is_some_and(|wrong| wrong.field == name);
                    label for=(name) { (words) }
                    input id=(name) name=(name) value=(value) pattern=(pattern) title=(title) placeholder="no limit"
                        inputmode=[(pattern == NUMBER.0).then_some("numeric")] aria-invalid=[is_wrong.then_some("true")]
                        aria-describedby=[is_wrong.then(|| format!("{}-wrong", around.id(name)))] autofocus[is_wrong];
                    (around.said(name))
                }
                label for="scope" { "Counted together" }
                select #scope name="scope" {
                    @for (name, words) in SCOPES {
                        option value=(name) selected[self.scope.as_deref() == Some(name)] { (words) }
                    }
                }
                (around.said("scope"))
                (around.whole(&names))
                div.acts {
                    button type="submit" name="act" value="look" { "What would go?" }
                    button type="submit" name="act" value="save" { "Keep them so" }
                }
            }
            p { "Pinned messages stay whatever the rules say. A field that is empty is no limit." }
        }
    }
}

/// What may stand in a field, and what it says of that.
const NUMBER: (&str, &str) = ("[0-9]*", "a whole number");
const TIME: (&str, &str) = ("[0-9]+ ?(d|h|m|s|ms)", "a number and d, h, m or s, e.g. 30d");
const BYTES: (&str, &str) = (
    "[0-9]+ ?([kMG]B|[KMG]iB)?",
    "a number of bytes, or with kB, MB, GB, KiB, MiB or GiB, e.g. 500MB",
);

/// What the numbers of messages, their bytes and their playing time are counted over.
const SCOPES: [(&str, &str); 2] = [
    ("mailbox", "all messages"),
    ("conversation", "the messages of each caller by themselves"),
];

/// What is typed in a field that a form has.
fn limit(
    text: &Option<String>,
    read: impl FnOnce(&str) -> Result<Limit<u64>, Refusal>,
) -> Result<Option<Change<u64>>, Refusal> {
    Ok(text.as_deref().map(read).transpose()?.map(Change))
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
        AllGoing::first(access, going, more)
    }

    fn first(access: &Access, going: Vec<ForeseenView>, more: usize) -> AllGoing {
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
    let (next, more) = access.foresee_next(user, ROWS_MAX)?;
    Ok(Kept {
        limits: access.retention(user)?,
        going: AllGoing::first(access, next, more),
        gone: access.newest_retention_audit(user, max)?,
    })
}

pub(super) fn section(kept: &Kept, csrf: &Markup) -> Markup {
    html! {
        (Typed::of(&kept.limits).form(csrf, None))
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

/// What became of what was typed.
enum Outcome {
    Saved,
    Looked(Looked),
    /// It cannot be so; nothing was looked at or saved.
    Refused(Typed, Wrong),
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
    let outcome = match who.ask(move |access| try_out(access, form)).await {
        Ok(outcome) => outcome,
        Err(problem) => return failed(&problem),
    };
    let back = match named(&who, &user) {
        Some(user) => format!("/settings?user={}#kept", given::encoded(user)),
        None => "/settings#kept".to_owned(),
    };
    let csrf = layout::csrf(&who);
    let (status, body) = match outcome {
        Outcome::Saved => return Redirect::to(&back).into_response(),
        Outcome::Refused(typed, wrong) => (StatusCode::UNPROCESSABLE_ENTITY, typed.form(&csrf, Some(&wrong))),
        Outcome::Looked(looked) => (StatusCode::OK, looked.shown(&csrf)),
    };
    let page = html! {
        h1 { "Before it is saved" }
        (body)
        p { a href=(back) { "Leave it as it is" } }
    };
    (status, layout::page(&who, "Before it is saved", &["clock.js"], page)).into_response()
}

impl Looked {
    fn shown(&self, csrf: &Markup) -> Markup {
        let words = match self.count {
            0 => "If you save this, nothing goes now.".to_owned(),
            1 => "If you save this, 1 message goes now.".to_owned(),
            n => format!("If you save this, {n} messages go now."),
        };
        html! {
            p.notice role="status" {
                strong { (words) }
                @if self.is_other { " That has changed meanwhile; nothing was saved." }
            }
            (self.typed.form(csrf, None))
            h2 { "What would go, and when" }
            (self.going.table("What would go", "Nothing."))
        }
    }
}

/// What is wrong with a field is said beside it.
fn try_out(access: &Access, form: Typed) -> Result<Outcome, Refusal> {
    let typed = form.clone();
    match perform(access, form) {
        Ok(None) => Ok(Outcome::Saved),
        Ok(Some(looked)) => Ok(Outcome::Looked(looked)),
        Err(Refusal::Invalid { field, why }) => {
            // Fields of the page have no unit in their names.
            let field = field.strip_suffix("_ms").unwrap_or(field);
            let form = "kept";
            Ok(Outcome::Refused(typed, Wrong { form, field, why }))
        }
        Err(other) => Err(other),
    }
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
