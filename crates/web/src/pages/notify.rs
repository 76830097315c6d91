//! How a subscriber is told of messages and missed calls: by mail, webhook, SIP MESSAGE.

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use maud::{Markup, html};
use segue_manage::{NotifyGiven, NotifyView};
use segue_store::Role;
use serde::Deserialize;
use serde_json::Value;

use super::{failed, layout};
use crate::{
    api::notices::put,
    given::{self, Asked},
    portal::Web,
    problem::Problem,
    who::{Posted, Visitor, Who},
};

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/settings/notices", get(show).post(change))
}

/// What the address of the page says.
#[derive(Debug, Clone, Default, Deserialize)]
struct View {
    /// Whose; an operator says it.
    user: Option<String>,
    /// It was set just now.
    #[serde(default)]
    set: bool,
}

async fn show(Visitor(who): Visitor, view: Asked<View>) -> Result<Markup, Response> {
    let known = who.access().who();
    let user = match known.role {
        Role::Subscriber => Some(known.name.clone()),
        Role::Operator => view.0.user.clone().filter(|name| !name.is_empty()),
    };
    let Some(user) = user else {
        return Ok(page(&who, &choose(None)));
    };
    let asked = user.clone();
    let notify = who.ask(move |access| access.notify(&asked)).await;
    let notify = notify.map_err(|problem| failed(&problem))?;
    let form = Form::of(user, &notify);
    Ok(shown(&who, &form, None, view.0.set))
}

fn page(who: &Who, main: &Markup) -> Markup {
    layout::page(who, "How you are told", &[], html! { h1 { "How you are told" } (main) })
}

fn choose(user: Option<&str>) -> Markup {
    html! {
        form.filters method="get" action="/settings/notices" {
            label for="whose" { "Subscriber" }
            input #whose name="user" value=(user.unwrap_or_default()) required;
            button type="submit" { "Show" }
        }
    }
}

/// The form as it is, or as it was sent: what is wrong with it is said, and nothing of it is lost.
fn shown(who: &Who, form: &Form, wrong: Option<&Problem>, is_set: bool) -> Markup {
    let is_operator = who.access().who().role == Role::Operator;
    let check = |name: &str, on: &Option<String>, words: &str| {
        html! {
            label { input type="checkbox" name=(name) value="on" checked[on.is_some()]; " " (words) }
        }
    };
    let one_of = |name: &str, chosen: &str, all: &[(&str, &str)]| {
        html! {
            select id=(name) name=(name) {
                @for (value, words) in all { option value=(value) selected[*value == chosen] { (words) } }
            }
        }
    };
    let main = html! {
        @if is_operator { (choose(Some(&form.user))) }
        @if let Some(problem) = wrong { p.wrong role="alert" { (problem.detail) } }
        @if is_set { p role="status" { "It is set so." } }
        form.told method="post" action="/settings/notices" {
            (layout::csrf(who))
            input type="hidden" name="user" value=(form.user);
            fieldset {
                legend { "By which ways" }
                (check("by_mail", &form.by_mail, "mail"))
                (check("by_webhook", &form.by_webhook, "webhook"))
                (check("by_message", &form.by_message, "SIP MESSAGE to the phone"))
                p { "Without any nobody is told of anything here." }
            }
            fieldset {
                legend { "Of what" }
                (check("on_message", &form.on_message, "messages that callers left"))
                (check("on_missed", &form.on_missed, "missed calls"))
                (check("on_warning", &form.on_warning, "what is soon deleted unheard, and a mailbox nearly full"))
                p { "Without any: of messages and warnings, and of missed calls where the server's profile says so." }
            }
            div.kept {
                label for="mail" { "Mail goes to" }
                input #mail type="email" name="mail" value=(form.mail) autocomplete="email" placeholder="bob@example.com";
                label for="attach" { "with mail goes" }
                (one_of("attach", &form.attach, &[("poster", "the picture"), ("yes", "the message and its picture"), ("no", "neither")]))
                label for="webhook" { "The webhook is" }
                input #webhook type="url" name="webhook" value=(form.webhook) placeholder="as the server is set up";
                label for="message_to" { "SIP MESSAGE goes to" }
                input #message_to name="message_to" value=(form.message_to) placeholder="wherever they are registered";
                label for="language" { "In" }
                (one_of("language", &form.language, &[("", "the server's language"), ("en", "English"), ("de", "German")]))
                button type="submit" { "Set it so" }
            }
        }
        p { "A webhook gets signed JSON; it may be at public addresses alone unless an operator has named others." }
    };
    page(who, &main)
}

/// The fields: a box that is not ticked is not sent.
#[derive(Debug, Default, Deserialize)]
struct Form {
    user: String,
    by_mail: Option<String>,
    by_webhook: Option<String>,
    by_message: Option<String>,
    on_message: Option<String>,
    on_missed: Option<String>,
    on_warning: Option<String>,
    #[serde(default)]
    mail: String,
    #[serde(default)]
    attach: String,
    #[serde(default)]
    webhook: String,
    #[serde(default)]
    message_to: String,
    #[serde(default)]
    language: String,
}

impl Form {
    fn of(user: String, notify: &NotifyView) -> Form {
        let member = |name: &str| notify.0.get(name).unwrap_or(&Value::Null);
        let text = |name: &str| member(name).as_str().unwrap_or_default().to_owned();
        let has = |name: &str, word: &str| {
            let all = member(name).as_array()?;
            all.iter().any(|one| one == word).then(|| "on".to_owned())
        };
        Form {
            user,
            by_mail: has("by", "mail"),
            by_webhook: has("by", "webhook"),
            by_message: has("by", "message"),
            on_message: has("on", "message"),
            on_missed: has("on", "missed"),
            on_warning: has("on", "warning"),
            mail: text("mail"),
            attach: text("attach"),
            webhook: text("webhook"),
            message_to: text("message_to"),
            language: text("language"),
        }
    }

    fn given(&self) -> NotifyGiven {
        let ticked = |boxes: [(&Option<String>, &str); 3]| -> Vec<String> {
            let on = boxes.into_iter().filter(|(ticked, _)| ticked.is_some());
            on.map(|(_, word)| word.to_owned()).collect()
        };
        let on = ticked([
            (&self.on_message, "message"),
            (&self.on_missed, "missed"),
            (&self.on_warning, "warning"),
        ]);
        NotifyGiven {
            by: ticked([
                (&self.by_mail, "mail"),
                (&self.by_webhook, "webhook"),
                (&self.by_message, "message"),
            ]),
            on: (!on.is_empty()).then_some(on),
            // What is empty is none, by the one place that reads them all.
            mail: Some(self.mail.clone()),
            attach: Some(self.attach.clone()),
            webhook: Some(self.webhook.clone()),
            message_to: Some(self.message_to.clone()),
            language: Some(self.language.clone()),
        }
    }
}

/// Does what the form says, and leads back to the page.
async fn change(State(web): State<Web>, Posted { who, form }: Posted<Form>) -> Response {
    match put(&who, &web, form.user.clone(), form.given(), |_| true).await {
        Ok(_) => {
            let user = given::encoded(&form.user);
            Redirect::to(&format!("/settings/notices?user={user}&set=true")).into_response()
        }
        Err(problem) if problem.status() == StatusCode::UNPROCESSABLE_ENTITY => {
            (problem.status(), shown(&who, &form, Some(&problem), false)).into_response()
        }
        Err(problem) => failed(&problem),
    }
}
