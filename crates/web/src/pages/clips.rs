//! Clips and greetings: what callers get, looked at as they get it; chosen, uploaded, deleted.

mod taken;

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use segue_manage::{Access, ClipUse, ClipView, PageAsked, Refusal, SubscriberChange, SubscriberView, UploadView};
use segue_store::Role;
use serde::Deserialize;

use super::{failed, layout, mailbox::length};
use crate::{
    given::{self, Asked},
    portal::Web,
    upload,
    who::{Posted, Visitor},
};

/// Uses of a clip that the page shows.
const USES_MAX: usize = 20;

pub(super) fn routes() -> Router<Web> {
    // A file may be longer than other forms: it is counted as it comes.
    let taking = post(taken::take).layer(DefaultBodyLimit::disable());
    Router::new()
        .route("/clips", get(show).merge(taking))
        .route("/clips/act", post(act))
}

/// What the address of the page says.
#[derive(Debug, Clone, Default, Deserialize)]
struct View {
    /// For whom clips are chosen; an operator says it.
    user: Option<String>,
    cursor: Option<String>,
}

struct Shown {
    clips: Vec<ClipView>,
    next: Option<String>,
    uploads: Vec<UploadView>,
    subscriber: Option<SubscriberView>,
}

fn read(access: &Access, user: Option<&str>, page: &PageAsked) -> Result<Shown, Refusal> {
    let clips = access.clips(page)?;
    Ok(Shown {
        clips: clips.items,
        next: clips.next,
        uploads: access.uploads()?,
        subscriber: user.map(|user| access.subscriber(user)).transpose()?,
    })
}

async fn show(Visitor(who): Visitor, State(web): State<Web>, view: Asked<View>) -> Result<Markup, Response> {
    let known = who.access().who();
    let is_operator = known.role == Role::Operator;
    let named = view.0.user.filter(|user| !user.is_empty());
    let user = match is_operator {
        true => named,
        false => Some(known.name.clone()),
    };
    let page = PageAsked {
        cursor: view.0.cursor,
        limit: None,
    };
    let asked = user.clone();
    let shown = who.ask(move |access| read(access, asked.as_deref(), &page)).await;
    let mut shown = shown.map_err(|problem| failed(&problem))?;
    shown.uploads.iter_mut().for_each(|one| upload::with_percent(&web, one));
    let csrf = layout::csrf(&who);
    Ok(layout::page(
        &who,
        "Clips",
        &["clips.js"],
        html! {
            h1 { "Clips" }
            p { "A clip is what callers see and hear while they are held, a greeting what asks them for a message." }
            @if is_operator { (choose(user.as_deref())) }
            @if let (Some(subscriber), Some(user)) = (&shown.subscriber, &user) {
                (chosen(subscriber, user, is_operator, &csrf))
            }
            h2 { "Upload" }
            (uploading(is_operator, user.as_deref(), web.uploads().max_bytes, &csrf))
            ul #uploads.uploads {
                @for one in shown.uploads.iter().filter(|one| one.state != "ready") { (under_way(one, &csrf)) }
            }
            h2 { "What there is" }
            p.none hidden[!shown.clips.is_empty()] { "No clips yet." }
            ul #clips.messages {
                @for clip in &shown.clips { (row(clip, user.as_deref(), is_operator, &csrf)) }
            }
            @if let Some(next) = &shown.next {
                @let user = user.as_deref().filter(|_| is_operator).unwrap_or_default();
                p { a.more rel="next" href={ "/clips?user=" (given::encoded(user)) "&cursor=" (given::encoded(next)) } { "More clips" } }
            }
        },
    ))
}

fn choose(user: Option<&str>) -> Markup {
    html! {
        form.filters method="get" action="/clips" {
            label for="of" { "Choose for subscriber" }
            input #of name="user" value=(user.unwrap_or_default());
            button type="submit" { "Show" }
        }
    }
}

/// What is chosen now.
fn chosen(subscriber: &SubscriberView, user: &str, is_operator: bool, csrf: &Markup) -> Markup {
    let of = |field: &str| subscriber.0.get(field).and_then(serde_json::Value::as_str);
    let whose = if is_operator {
        format!("Callers of {user}")
    } else {
        "Your callers".to_owned()
    };
    let said = |words: String, act: &str, is_any: bool, stop: &str| {
        html! {
            form.notice method="post" action="/clips/act" {
                (csrf)
                input type="hidden" name="user" value=(user);
                span { (words) }
                @if is_any { button type="submit" name="act" value=(act) { (stop) } }
            }
        }
    };
    let clip = of("clip").map_or_else(
        || format!("{whose} are held on no clip: they hear ringing."),
        |clip| format!("{whose} are held on the clip {clip}."),
    );
    let greeting = of("greeting").map_or_else(
        || "The greeting is the beep alone.".to_owned(),
        |clip| format!("The greeting is {clip}."),
    );
    html! {
        div #chosen {
            (said(clip, "no-clip", of("clip").is_some(), "Show no clip"))
            (said(greeting, "no-greeting", of("greeting").is_some(), "Use no greeting"))
        }
    }
}

fn uploading(is_operator: bool, user: Option<&str>, max_bytes: u64, csrf: &Markup) -> Markup {
    html! {
        form #upload.drop method="post" action="/clips" enctype="multipart/form-data" data-max=(max_bytes) {
            // Before the file: it is refused before it comes.
            (csrf)
            @if is_operator {
                label for="for" { "For (empty: for all)" }
                input #for name="user" value=(user.unwrap_or_default());
            }
            label for="name" { "Name: letters, digits, '.', '_', '-'" }
            input #name name="name" required maxlength="64" pattern="[A-Za-z0-9][A-Za-z0-9._\\-]*";
            label for="file" { "A file of video or sound of at most three minutes; drop it here or choose it" }
            input #file type="file" name="file" accept="video/*,audio/*" required;
            button type="submit" { "Upload" }
            progress #progress max="100" value="0" aria-label="Upload" hidden {}
            p #told role="status" {}
        }
    }
}

fn under_way(one: &UploadView, csrf: &Markup) -> Markup {
    let percent = |done: u64, all: u64| done.saturating_mul(100).checked_div(all).unwrap_or(0);
    let state = match one.state {
        "open" => format!(
            "{} % has come; choose the same file again to go on",
            percent(one.offset, one.bytes)
        ),
        "queued" => "waits to be prepared".to_owned(),
        "preparing" => format!("is being prepared, {} %", one.percent.unwrap_or(0)),
        _ => format!("is no clip: {}", one.why.as_deref().unwrap_or_default()),
    };
    let is_over = one.state == "refused";
    html! {
        li data-upload=(one.id) data-state=(one.state) {
            form.notice method="post" action="/clips/act" {
                (csrf)
                input type="hidden" name="upload" value=(one.id);
                span {
                    strong { (one.name) } " " span.wrong[is_over] { (state) } "."
                    @if let Some(fix) = one.fix.as_ref().filter(|fix| !fix.contains('`')) { " To mend it: " (fix) "." }
                }
                button type="submit" name="act" value="forget" aria-label={ (if is_over { "Forget" } else { "Cancel" }) " the upload of " (one.name) } {
                    @if is_over { "Forget" } @else { "Cancel" }
                }
            }
        }
    }
}

fn row(clip: &ClipView, user: Option<&str>, is_operator: bool, csrf: &Markup) -> Markup {
    let name = given::encoded(&clip.name);
    let label = format!("Clip {}", clip.name);
    // Another clip of that name has another picture.
    let media = |what: &str| format!("/api/v1/clips/{name}/{what}?id={}", clip.id);
    let is = |what: &str| {
        clip.uses
            .iter()
            .any(|one| one.r#as == what && Some(one.user.as_str()) == user)
    };
    let may_choose = user.is_some_and(|user| clip.owner.as_deref().is_none_or(|owner| owner == user));
    html! {
        li.message #{ "c-" (clip.name) } data-id=(clip.id) {
            @if clip.has_video {
                video controls playsinline preload="none" poster=[clip.has_poster.then(|| media("poster"))] src=(media("preview"))
                    aria-label=(label) {}
            } @else {
                audio controls preload="none" src=(media("preview")) aria-label=(label) {}
            }
            div.about {
                p.caller { strong { (clip.name) } }
                p.facts {
                    span { (length(clip.duration_ms)) }
                    span { (if clip.has_video { "video" } else { "sound alone" }) }
                    span { (clip.renditions.len()) " renditions" }
                    @match (&clip.owner, is_operator) {
                        (None, _) => span { "for all" },
                        (Some(owner), true) => span { "of " (owner) },
                        (Some(_), false) => span { "yours" },
                    }
                    @for one in clip.uses.iter().take(USES_MAX) { span.badge { (used(one, user)) } }
                    @let more = clip.uses_more.saturating_add(clip.uses.len().saturating_sub(USES_MAX) as u64);
                    @if more > 0 { span.badge { "and used " (more) " times more" } }
                }
                form.acts method="post" action="/clips/act" aria-label=(label) {
                    (csrf)
                    input type="hidden" name="clip" value=(clip.name);
                    @if let Some(user) = user.filter(|_| may_choose) {
                        input type="hidden" name="user" value=(user);
                        @if !is("clip") { button type="submit" name="act" value="clip" { "Show to callers" } }
                        @if !is("greeting") { button type="submit" name="act" value="greeting" { "Use as greeting" } }
                    }
                    @if is_operator || clip.owner.is_some() {
                        button type="submit" name="act" value="delete" { "Delete" }
                    }
                }
            }
        }
    }
}

fn used(one: &ClipUse, user: Option<&str>) -> String {
    let what = match (one.r#as, one.rule) {
        ("clip", _) => "Callers see it".to_owned(),
        ("greeting", _) => "Greeting".to_owned(),
        (_, place) => format!("Rule {}", place.unwrap_or(0)),
    };
    match Some(one.user.as_str()) == user {
        true => what,
        false => format!("{what}, {}", one.user),
    }
}

#[derive(Debug, Deserialize)]
struct Act {
    act: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    clip: String,
    #[serde(default)]
    upload: String,
}

/// Does what a button says, and leads back to the list.
async fn act(Posted { who, form }: Posted<Act>) -> Response {
    let is_operator = who.access().who().role == Role::Operator;
    let back = match is_operator && !form.user.is_empty() {
        true => format!("/clips?user={}", given::encoded(&form.user)),
        false => "/clips".to_owned(),
    };
    match who.ask(move |access| perform(access, &form)).await {
        Ok(()) => Redirect::to(&back).into_response(),
        Err(problem) => failed(&problem),
    }
}

fn perform(access: &Access, form: &Act) -> Result<(), Refusal> {
    let clip = || Some(Some(form.clip.clone()));
    let change = match form.act.as_str() {
        "delete" => return access.remove_clip(&form.clip),
        "forget" => return access.remove_upload(&form.upload),
        "clip" => SubscriberChange {
            clip: clip(),
            ..SubscriberChange::default()
        },
        "greeting" => SubscriberChange {
            greeting: clip(),
            ..SubscriberChange::default()
        },
        "no-clip" => SubscriberChange {
            clip: Some(None),
            ..SubscriberChange::default()
        },
        "no-greeting" => SubscriberChange {
            greeting: Some(None),
            ..SubscriberChange::default()
        },
        _ => {
            return Err(Refusal::Invalid {
                field: "act",
                why: "there is no such button".to_owned(),
            });
        }
    };
    access.change_subscriber(&form.user, change, &[], |_| true).map(drop)
}
