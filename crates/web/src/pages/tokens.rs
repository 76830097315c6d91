//! Tokens by which programs act for who is logged in: which there are, a new one, whose secret is said once, and an end to one.

use axum::{
    Router,
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use segue_manage::{Access, NewToken, Refusal, Scope, TokenMade, TokenView};
use segue_store::Role;

use super::{
    failed,
    field::{Fields, Pairs, Wrong, one},
    layout,
};
use crate::{
    given,
    portal::Web,
    who::{Posted, Visitor, Who},
};

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/settings/tokens", get(show).post(make))
        .route("/settings/tokens/{token}", post(revoke))
}

/// How long a token may count: what the form says, in seconds, and in words.
const LASTING: [(&str, &str); 5] = [
    ("604800", "a week"),
    ("2592000", "30 days"),
    ("7776000", "90 days"),
    ("31536000", "a year"),
    ("", "until it is revoked"),
];

/// What each scope lets a program do.
fn words(scope: Scope) -> &'static str {
    match scope {
        Scope::MessagesRead => "see and play messages",
        Scope::MessagesWrite => "mark, pin and delete messages, and see them",
        Scope::SettingsRead => "see settings: rules, contacts, clips, how long messages are kept",
        Scope::SettingsWrite => "change settings, and see them",
        Scope::CallsRead => "see calls and their records",
        Scope::CallsWrite => "end calls, and see them",
        Scope::SystemRead => "see trunks, notices, storage, the audit",
        Scope::SystemWrite => "change them; with settings:write, add and remove subscribers",
    }
}

/// What is typed of a new one.
#[derive(Debug, Clone)]
struct Draft {
    label: String,
    scopes: Vec<String>,
    lasting: String,
}

impl Default for Draft {
    fn default() -> Draft {
        Draft {
            label: String::new(),
            scopes: Vec::new(),
            lasting: "7776000".to_owned(),
        }
    }
}

impl Draft {
    fn of(form: &Pairs) -> Draft {
        let ticked = form.iter().filter(|(name, _)| name == "scope");
        Draft {
            label: one(form, "label").to_owned(),
            scopes: ticked.map(|(_, scope)| scope.clone()).collect(),
            lasting: one(form, "lasting").to_owned(),
        }
    }

    fn new_token(&self) -> Result<NewToken, Refusal> {
        let expires_in_s = match self.lasting.as_str() {
            "" => None,
            s => Some(s.parse().map_err(|_| Refusal::Invalid {
                field: "lasting",
                why: "a number of seconds is needed, or nothing".to_owned(),
            })?),
        };
        Ok(NewToken {
            label: self.label.clone(),
            scopes: self.scopes.clone(),
            expires_in_s,
        })
    }
}

async fn show(Visitor(who): Visitor) -> Response {
    page(&who, &Draft::default(), None, None, StatusCode::OK).await
}

/// Their own, also an operator's, who may see those of all elsewhere.
fn own(access: &Access) -> Result<Vec<TokenView>, Refusal> {
    let who = access.who();
    let mut tokens = access.tokens(Some(&who.name))?;
    tokens.retain(|token| token.name == who.name && token.role == who.role.name());
    Ok(tokens)
}

async fn page(
    who: &Who,
    draft: &Draft,
    wrong: Option<&Wrong>,
    made: Option<&TokenMade>,
    status: StatusCode,
) -> Response {
    let tokens = match who.ask(|access| Ok((own(access)?, access.now_ms()))).await {
        Ok(tokens) => tokens,
        Err(problem) => return failed(&problem),
    };
    let (tokens, now_ms) = tokens;
    let now = segue_records::UnixMs(now_ms).rfc3339();
    let csrf = layout::csrf(who);
    let is_operator = who.access().who().role == Role::Operator;
    let body = html! {
        h1 { "Tokens" }
        p { "By a token a program does what you allow it to do, in your name, until you revoke it. It cannot see or make tokens." }
        @if let Some(made) = made { (said_once(made)) }
        h2 { "Your tokens" }
        @if tokens.is_empty() {
            p.none { "No tokens yet." }
        } @else {
            (layout::table("Your tokens", &["For", "May", "Made", "Last used", "Until", ""], html! {
                @for token in &tokens { (row(token, &now, &csrf)) }
            }))
        }
        h2 { "A new token" }
        (form(draft, is_operator, &csrf, wrong))
        p { a href="/settings" { "Back to the settings" } }
    };
    // What is said once is not kept by a browser either.
    let kept = [(header::CACHE_CONTROL, "no-store")];
    (status, kept, layout::page(who, "Tokens", &["clock.js"], body)).into_response()
}

fn said_once(made: &TokenMade) -> Markup {
    html! {
        section.made role="status" {
            p { strong { "This is the token for " (made.shown.label) "." } }
            p { code #secret { (made.token) } }
            p {
                "Copy it now to where the program keeps its passwords: it is not shown again. Programs send it as "
                code { "Authorization: Bearer TOKEN" }
                ". Who has it can do what it may: if somebody else has seen it, revoke it."
            }
        }
    }
}

fn row(token: &TokenView, now: &str, csrf: &Markup) -> Markup {
    html! {
        tr {
            td { (token.label) }
            td { (token.scopes.join(", ")) }
            td { (moment(&token.created_at)) }
            td { @match &token.used_at { Some(at) => (moment(at)), None => "never" } }
            td {
                @match &token.expires_at {
                    Some(at) => {
                        (moment(at))
                        @if at.as_str() <= now { " " span.badge { "over" } }
                    }
                    None => "it is revoked"
                }
            }
            td {
                form method="post" action={ "/settings/tokens/" (given::encoded(&token.id)) } {
                    (csrf)
                    button type="submit" aria-label={ "Revoke: " (token.label) } { "Revoke" }
                }
            }
        }
    }
}

/// By the browser's clock, once the module has seen it.
fn moment(rfc3339: &str) -> Markup {
    let shown = rfc3339.get(..16).unwrap_or(rfc3339).replace('T', " ");
    html! { time datetime=(rfc3339) { (shown) " UTC" } }
}

fn form(draft: &Draft, is_operator: bool, csrf: &Markup, wrong: Option<&Wrong>) -> Markup {
    let fields = Fields::new("token", wrong);
    let lasting = LASTING.map(|(s, words)| (s.to_owned(), words.to_owned()));
    html! {
        form.sentence method="post" action="/settings/tokens" {
            (csrf)
            (fields.text(("label", "What it is for"), &draft.label, "e.g. phone book", None))
            fieldset {
                legend { "What it may" }
                @for scope in Scope::ALL.into_iter().filter(|scope| is_operator || !scope.is_operators()) {
                    label.tick {
                        input type="checkbox" name="scope" value=(scope.name()) checked[draft.scopes.iter().any(|s| s == scope.name())];
                        (words(scope))
                    }
                }
                (fields.said("scopes"))
            }
            (fields.choice(("lasting", "It counts for"), &draft.lasting, &lasting))
            (fields.whole(&["label", "scopes", "lasting"]))
            div.acts { button type="submit" { "Make it" } }
        }
    }
}

/// Makes one. Loading the answer anew would make another: a browser asks before it does.
async fn make(Posted { who, form }: Posted<Pairs>) -> Response {
    let draft = Draft::of(&form);
    let asked = draft.clone();
    let made = who.ask(move |access| {
        let made = asked.new_token().and_then(|new| access.add_token(None, new));
        match made {
            Ok(made) => Ok(Ok(made)),
            Err(refusal @ Refusal::Invalid { .. }) => Ok(Err(Wrong::of("token", &refusal))),
            Err(other) => Err(other),
        }
    });
    match made.await {
        Ok(Ok(made)) => page(&who, &Draft::default(), None, Some(&made), StatusCode::CREATED).await,
        Ok(Err(wrong)) => page(&who, &draft, Some(&wrong), None, StatusCode::UNPROCESSABLE_ENTITY).await,
        Err(problem) => failed(&problem),
    }
}

/// Revokes one of their own; an operator revokes those of others by the API or by command, not here.
async fn revoke(Path(token): Path<String>, Posted { who, .. }: Posted<Pairs>) -> Response {
    let revoked = who.ask(move |access| {
        if !own(access)?.iter().any(|one| one.id == token) {
            return Err(segue_store::StoreError::NotFound {
                what: "token",
                name: token,
            }
            .into());
        }
        access.revoke_token(&token)
    });
    match revoked.await {
        Ok(()) => Redirect::to("/settings/tokens").into_response(),
        Err(problem) => failed(&problem),
    }
}
