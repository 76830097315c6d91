//! The pages. Rendered here by maud, which escapes whatever it is given; small modules of our own in `assets/` do what needs a script.
//!
//! # To add a page
//! 1. What it shows comes from a method of `segue_manage::Access`, the same that the API uses.
//! 2. A file in `pages/` with `routes()`, merged below. A handler takes a [`Visitor`](crate::who::Visitor) (who is not logged in is led to
//!    the login) and returns [`layout::page`]. A form is taken by [`Posted`](crate::who::Posted): it has [`layout::csrf`] in it.
//! 3. Text goes in by `(value)`, never by `PreEscaped`. No style and no script stands in the page (the policy in `portal.rs` forbids it):
//!    both are files in `assets/`, listed in `pages/assets.rs`.
//! 4. It works without a script, by keyboard, at 360 pixels and in the dark.
//! 5. A test in `crates/web/tests/` that fetches it: what it shows, and that a caller's name that is HTML stays text.

pub(crate) mod assets;
mod call;
mod calls;
mod clips;
mod field;
mod groups;
pub(crate) mod layout;
mod load;
mod login;
mod mailbox;
mod notices;
mod notify;
mod profiles;
mod settings;
mod subscribers;
mod system;
mod tokens;
mod trunks;

use axum::{
    Router,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use maud::html;

use crate::{portal::Web, problem::Problem};

pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/", get(|| async { Redirect::to("/messages") }))
        .merge(assets::routes())
        .merge(login::routes())
        .merge(mailbox::routes())
        .merge(calls::routes())
        .merge(call::routes())
        .merge(clips::routes())
        .merge(settings::routes())
        .merge(subscribers::routes())
        .merge(groups::routes())
        .merge(notify::routes())
        .merge(notices::routes())
        .merge(load::routes())
        .merge(profiles::routes())
        .merge(system::routes())
        .merge(tokens::routes())
        .merge(trunks::routes())
}

/// What went wrong, as a page.
pub(crate) fn failed(problem: &Problem) -> Response {
    let body = layout::plain(
        problem.title,
        html! {
            h1 { (problem.title) }
            p { (problem.detail) }
            @if let Some(fix) = &problem.fix { p { (fix) } }
            p { a href="/" { "Back to the start" } }
        },
    );
    (problem.status(), body).into_response()
}
