//! Who asks. **The only way from a request to anything that is somebody's**: a handler takes a [`Who`] and gets an
//! `Access`, which yields what they may see. There is no other: handlers have no store.
//!
//! - [`Who`] in a handler of the API: a session's cookie or a token (`Authorization: Bearer`). A change by a session needs the header
//!   `X-CSRF-Token`; without it the handler is not reached.
//! - [`Posted`] in a handler of a form: the same, with the field `csrf` in place of the header.
//! - [`PostedFile`] in a handler of a form with a file: the same, once its field was read.
//! - [`Visitor`] in a handler of a page: as [`Who`], and who is not logged in is led to the login.

use axum::{
    extract::{FromRequest, FromRequestParts, Multipart, Request},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use segue_manage::{Access, Refusal, Secret};
use serde::de::DeserializeOwned;

use crate::{
    given,
    portal::{Source, Web},
    problem::Problem,
};

/// Somebody who is let in.
pub(crate) struct Who {
    access: Access,
    session: Option<Secret>,
}

impl Who {
    /// Asks for what they may see, on a thread that may wait.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Access) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Problem> {
        let access = self.access.clone();
        match tokio::task::spawn_blocking(move || ask(&access)).await {
            Ok(answer) => answer.map_err(Problem::from),
            Err(_) => Err(Problem::fault()),
        }
    }

    /// What they may see, for what goes on after the answer has begun.
    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// The session; `None`: a token.
    pub(crate) fn session(&self) -> Option<&Secret> {
        self.session.as_ref()
    }

    /// What forms and programs of this session say with each change.
    pub(crate) fn csrf(&self) -> String {
        self.session.as_ref().map(Secret::csrf).unwrap_or_default()
    }

    /// Who it is, before it is known that they mean it.
    async fn of(parts: &Parts, web: &Web) -> Result<Who, Problem> {
        let source = source(parts);
        if let Some(said) = parts.headers.get(header::AUTHORIZATION) {
            let token = said.to_str().ok().and_then(|said| {
                let (scheme, token) = said.split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
            });
            let token = token.ok_or_else(|| Problem::from(Refusal::NotLoggedIn))?;
            let access = web.ask(move |manage| manage.by_token(&token, source)).await?;
            return Ok(Who { access, session: None });
        }
        let session = cookie(&parts.headers, web).ok_or_else(|| Problem::from(Refusal::NotLoggedIn))?;
        let said = session.clone();
        let access = web.ask(move |manage| manage.by_session(&said, source)).await?;
        Ok(Who {
            access,
            session: Some(session),
        })
    }

    fn means_it(&self, said: Option<&str>) -> Result<(), Problem> {
        match &self.session {
            Some(session) if !said.is_some_and(|said| session.is_csrf(said)) => {
                let wrong = "the token against forged requests is missing or wrong";
                let fix = "send the 'csrf' of /api/v1/session as X-CSRF-Token, or load the page again";
                Err(Problem::new(StatusCode::FORBIDDEN, wrong).code("csrf").fix(fix))
            }
            _ => Ok(()),
        }
    }
}

/// From where.
pub(crate) fn source(parts: &Parts) -> std::net::IpAddr {
    let source = parts.extensions.get::<Source>();
    source.map_or(std::net::IpAddr::from([0, 0, 0, 0]), |Source(ip)| *ip)
}

impl FromRequestParts<Web> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Who, Problem> {
        let who = Who::of(parts, web).await?;
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            who.means_it(parts.headers.get("x-csrf-token").and_then(|said| said.to_str().ok()))?;
        }
        Ok(who)
    }
}

/// Somebody who looks at a page.
pub(crate) struct Visitor(pub Who);

impl FromRequestParts<Web> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Visitor, Response> {
        match Who::from_request_parts(parts, web).await {
            Ok(who) => Ok(Visitor(who)),
            Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => {
                let next = given::encoded(&parts.uri.to_string());
                Err(Redirect::to(&format!("/login?next={next}")).into_response())
            }
            Err(problem) => Err(crate::pages::failed(&problem)),
        }
    }
}

/// Somebody who has sent a form.
pub(crate) struct Posted<T> {
    /// Who.
    pub who: Who,
    /// What.
    pub form: T,
}

impl<T: DeserializeOwned> FromRequest<Web> for Posted<T> {
    type Rejection = Response;

    async fn from_request(request: Request, web: &Web) -> Result<Posted<T>, Response> {
        #[derive(serde::Deserialize)]
        struct Csrf {
            #[serde(default)]
            csrf: String,
        }
        let (parts, body) = request.into_parts();
        let failed = |problem: Problem| crate::pages::failed(&problem);
        let who = Who::of(&parts, web).await.map_err(|problem| match problem.status() {
            StatusCode::UNAUTHORIZED => Redirect::to("/login").into_response(),
            _ => failed(problem),
        })?;
        let bytes = given::form_bytes(&parts.headers, body).await.map_err(failed)?;
        let Csrf { csrf } = given::form(&bytes).map_err(failed)?;
        who.means_it(Some(&csrf)).map_err(failed)?;
        let form = given::form(&bytes).map_err(failed)?;
        Ok(Posted { who, form })
    }
}

/// Who sends a form with a file in it, before it is known that they mean it: its field `csrf` comes before the file, and is read with the rest.
pub(crate) struct PostedFile(Who, Multipart);

impl PostedFile {
    pub(crate) fn parts(self) -> (Sender, Multipart) {
        (Sender(self.0), self.1)
    }
}

/// Who has sent a form, before it is known that they mean it.
pub(crate) struct Sender(Who);

impl Sender {
    /// Whether they mean it, by what the form says.
    pub(crate) fn means_it(self, csrf: &str) -> Result<Who, Problem> {
        self.0.means_it(Some(csrf))?;
        Ok(self.0)
    }
}

impl FromRequest<Web> for PostedFile {
    type Rejection = Response;

    async fn from_request(request: Request, web: &Web) -> Result<PostedFile, Response> {
        let (parts, body) = request.into_parts();
        let who = Who::of(&parts, web).await.map_err(|problem| match problem.status() {
            StatusCode::UNAUTHORIZED => Redirect::to("/login").into_response(),
            _ => crate::pages::failed(&problem),
        })?;
        let form = Multipart::from_request(Request::from_parts(parts, body), web)
            .await
            .map_err(|_| {
                let wrong = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body is no form with a file");
                crate::pages::failed(&wrong)
            })?;
        Ok(PostedFile(who, form))
    }
}

/// By TLS the name says more: no subdomain and no page without TLS can set it (RFC 6265bis §4.1.3.2).
fn cookie_name(web: &Web) -> &'static str {
    match web.is_https() {
        true => "__Host-segue",
        false => "segue",
    }
}

/// The session that a browser holds.
pub(crate) fn cookie(headers: &HeaderMap, web: &Web) -> Option<Secret> {
    said(headers, cookie_name(web)).and_then(Secret::said)
}

/// By what a browser is known that has logged in before.
pub(crate) fn device(headers: &HeaderMap, web: &Web) -> Option<String> {
    said(headers, device_name(web)).map(str::to_owned)
}

fn device_name(web: &Web) -> &'static str {
    match web.is_https() {
        true => "__Host-segue-device",
        false => "segue-device",
    }
}

fn said<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(said, _)| *said == name)
        .map(|(_, value)| value)
}

/// Has a browser be known at its next login. It stays past the session, and gives access to nothing.
pub(crate) fn set_device(response: &mut Response, web: &Web, device: Option<&str>) {
    let Some(device) = device else { return };
    let secure = if web.is_https() { "; Secure" } else { "" };
    let cookie = format!(
        "{}={device}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{secure}",
        device_name(web),
        segue_manage::DEVICE_MS / 1_000
    );
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// Gives a browser its session, or takes it back. Lax: links from mail open pages; changes need the token besides.
pub(crate) fn set_cookie(response: &mut Response, web: &Web, session: Option<(&Secret, i64)>) {
    let secure = if web.is_https() { "; Secure" } else { "" };
    let (value, age_s) = session.map_or(("", 0), |(secret, for_ms)| (secret.text(), (for_ms / 1_000).max(0)));
    let cookie = format!(
        "{}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}",
        cookie_name(web)
    );
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
