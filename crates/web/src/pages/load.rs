//! How busy the server is: what an operator looks at during a busy hour.

mod hour;

use axum::{Router, extract::State, response::Response, routing::get};
use maud::{Markup, html};

use self::hour::hour;
use super::{failed, layout};
use crate::{
    api::system::{read_load, read_load_history},
    draw,
    load::{LoadView, Used},
    portal::Web,
    who::Visitor,
};

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/operator/load", get(show))
}

async fn show(Visitor(who): Visitor, State(web): State<Web>) -> Result<Markup, Response> {
    let load = read_load(&who, &web).await.map_err(|problem| failed(&problem))?;
    let history = read_load_history(&who, &web).map_err(|problem| failed(&problem))?;
    Ok(layout::page(
        &who,
        "Load",
        &["clock.js", "load.js"],
        html! {
            h1 { "Load" }
            p { a href="/operator/load" { "Look again" } }
            p.warned #away role="status" hidden { "The server does not answer: what is shown here is old." }
            div #now {
                (state(&load))
                (draw::fill("Calls", load.calls.now, load.calls.max, plain))
                (draw::fill("Callers who wait for an answer", load.early.now, load.early.max, plain))
                (draw::fill("This process, of all cores", load.cpu_percent, Some(100), percent))
                (draw::fill("Places of transcoding", load.transcoding.now, load.transcoding.max, plain))
                (draw::fill("What transcoding takes of all cores", load.transcoding_cpu_percent.now, load.transcoding_cpu_percent.max, percent))
            }
            details {
                summary { "The same as a table" }
                div #figures { (table(&load)) }
            }
            h2 { "The last hour" }
            (hour(&history))
            h2 { "Refused since the start" }
            div #refused { (refused(&load)) }
        },
    ))
}

fn state(load: &LoadView) -> Markup {
    html! {
        p {
            @match load.admitted_per_s {
                Some(rate) => {
                    span class="badge result bad" { "limited" }
                    " Messages wait too long: " (rate) " new calls a second are let in, the others get 503."
                }
                None => {
                    span class="badge result good" { "all let in" }
                    " New calls are let in as they come"
                    @match load.delay_ms {
                        Some(ms) => { ", as long as messages wait no longer than " (ms) " ms." }
                        None => { ", however long messages wait." }
                    }
                }
            }
        }
        p { (load.inbox) " notes wait for the signalling thread; " (load.media_sessions) " sessions of the packet path on " (load.media_ports) " ports." }
    }
}

fn table(load: &LoadView) -> Markup {
    let rows: [(&str, Used); 5] = [
        ("Calls", load.calls),
        ("Callers who wait for an answer", load.early),
        (
            "This process, percent of all cores",
            Used {
                now: load.cpu_percent,
                max: Some(100),
            },
        ),
        ("Places of transcoding", load.transcoding),
        ("Transcoding, percent of all cores", load.transcoding_cpu_percent),
    ];
    layout::table(
        "Load",
        &["What", "Now", "At most"],
        html! {
            @for (name, used) in rows {
                tr {
                    td { (name) }
                    td.number { (used.now) }
                    td.number { @match used.max { Some(max) => { (max) }, None => { "no limit" } } }
                }
            }
        },
    )
}

fn refused(load: &LoadView) -> Markup {
    let most = load.refused.iter().map(|one| one.count).max().unwrap_or(0);
    layout::table(
        "Refused since the start, by reason",
        &["Because", "How often", "Beside the others", "What bounds it"],
        html! {
            @for one in &load.refused {
                tr {
                    td { (one.words) }
                    td.number { (one.count) }
                    td { (draw::bar(one.count, most)) }
                    td { (one.setting.as_deref().unwrap_or("–")) }
                }
            }
        },
    )
}

fn plain(value: u64) -> String {
    value.to_string()
}

fn percent(value: u64) -> String {
    format!("{value} %")
}
