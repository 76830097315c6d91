//! Logging in by name and password or by a one-time link, and out.

use axum::{
    Extension, Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use segue_manage::Begun;
use serde::Deserialize;

use super::{failed, layout};
use crate::{
    api::session::{from, lasts_ms},
    given::{self, Asked},
    portal::{Source, Web},
    problem::Problem,
    who::{Posted, cookie, set_cookie, set_device},
};

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/login", get(show).post(login))
        .route("/login/link/{link}", get(show_link).post(login_by_link))
        .route("/logout", post(logout))
}

#[derive(Debug, Default, Deserialize)]
struct Next {
    next: Option<String>,
}

/// Where to go after the login: a page of ours and nowhere else.
fn next_page(next: Option<&str>) -> &str {
    // "//host" and "/\host" are elsewhere.
    let is_ours = |next: &&str| {
        next.starts_with('/')
            && !next.get(1..).unwrap_or_default().starts_with(['/', '\\'])
            && !next.contains(char::is_control)
    };
    next.filter(is_ours).unwrap_or("/")
}

async fn show(asked: Asked<Next>) -> Markup {
    form(asked.0.next.as_deref(), None)
}

fn form(next: Option<&str>, wrong: Option<&str>) -> Markup {
    layout::plain(
        "Log in",
        html! {
            h1 { "Log in" }
            @if let Some(wrong) = wrong {
                p.wrong role="alert" { (wrong) }
            }
            form.login method="post" action="/login" {
                @if let Some(next) = next {
                    input type="hidden" name="next" value=(next);
                }
                label for="name" { "Name" }
                input #name name="name" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus;
                label for="password" { "Password" }
                input #password name="password" type="password" autocomplete="current-password" required;
                button type="submit" { "Log in" }
            }
        },
    )
}

#[derive(Debug, Deserialize)]
struct Login {
    name: String,
    password: String,
    next: Option<String>,
}

async fn login(
    State(web): State<Web>,
    Extension(source): Extension<Source>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Response> {
    let bytes = given::form_bytes(&headers, body)
        .await
        .map_err(|problem| failed(&problem))?;
    let Login { name, password, next } = given::form(&bytes).map_err(|problem| failed(&problem))?;
    let from = from(&web, source, &headers);
    match web.login(name.trim().to_owned(), password, from).await {
        Ok(begun) => {
            web.end(cookie(&headers, &web)).await;
            Ok(begin(&web, &begun, next_page(next.as_deref())))
        }
        Err(problem) => {
            let page = form(next.as_deref(), Some(&problem.detail));
            Err((problem.status(), page).into_response())
        }
    }
}

fn begin(web: &Web, begun: &Begun, next: &str) -> Response {
    let mut response = Redirect::to(next).into_response();
    set_cookie(
        &mut response,
        web,
        Some((&begun.secret, lasts_ms(web, begun.expires_at_ms))),
    );
    set_device(&mut response, web, begun.device.as_deref());
    response
}

/// A link is used by a button: what looks at links in mail ahead of its reader uses none.
async fn show_link(State(web): State<Web>, Path(link): Path<String>) -> Response {
    let (said, action) = (link.clone(), format!("/login/link/{}", given::encoded(&link)));
    match web.ask(move |manage| manage.opens(&said)).await {
        Ok(true) => layout::plain(
            "Log in",
            html! {
                h1 { "Log in" }
                p { "This link logs you in once." }
                form.login method="post" action=(action) {
                    button type="submit" autofocus { "Log in" }
                }
            },
        )
        .into_response(),
        Ok(false) => failed(&spent()),
        Err(problem) => failed(&problem),
    }
}

async fn login_by_link(
    State(web): State<Web>,
    Extension(source): Extension<Source>,
    Path(link): Path<String>,
    headers: HeaderMap,
) -> Response {
    let from = from(&web, source, &headers);
    match web.ask(move |manage| manage.login_by_link(&link, &from)).await {
        Ok(begun) => {
            web.end(cookie(&headers, &web)).await;
            begin(&web, &begun, "/")
        }
        Err(problem) => failed(&problem),
    }
}

fn spent() -> Problem {
    Problem::new(StatusCode::GONE, "this link has been used, or its time is over").fix("Ask for another link.")
}

#[derive(Debug, Deserialize)]
struct Nothing {}

async fn logout(State(web): State<Web>, headers: HeaderMap, _posted: Posted<Nothing>) -> Result<Response, Response> {
    if let Some(session) = cookie(&headers, &web) {
        let ended = web.ask(move |manage| manage.logout(&session)).await;
        ended.map_err(|problem| failed(&problem))?;
    }
    let mut response = Redirect::to("/login").into_response();
    set_cookie(&mut response, &web, None);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::next_page;

    #[test]
    fn a_login_leads_nowhere_but_here() {
        assert_eq!(next_page(Some("/messages?q=a")), "/messages?q=a");
        for elsewhere in [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "",
            "messages",
            "/a\r\nX: y",
        ] {
            assert_eq!(next_page(Some(elsewhere)), "/", "{elsewhere}");
        }
    }
}
