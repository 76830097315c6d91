//! The last hour of the load: a small chart for each number, and all of them by the minute as a table.

use maud::{Markup, html};
use segue_records::UnixMs;

use super::{percent, plain};
use crate::{
    draw::{self, Line},
    load::{LoadHistoryView, LoadSample},
    pages::layout,
};

const MINUTE_MS: i64 = 60_000;

pub(super) fn hour(history: &LoadHistoryView) -> Markup {
    let last = history.samples.last().map_or(0, |sample| sample.at_ms.0);
    let first = history.samples.first().map_or(last, |sample| sample.at_ms.0);
    let span_ms = span(u64::try_from(last.saturating_sub(first)).unwrap_or(0));
    let line = |name, class, value: fn(&LoadSample) -> u64| Line {
        name,
        class,
        points: history
            .samples
            .iter()
            .map(|sample| {
                (
                    u64::try_from(last.saturating_sub(sample.at_ms.0)).unwrap_or(0),
                    value(sample),
                )
            })
            .collect(),
    };
    // Twice as far apart as they should be: the one between was missed.
    let apart_ms = history.every_ms.saturating_mul(2).saturating_add(history.every_ms / 2);
    let chart = |title, lines: &[Line], said: fn(u64) -> String| draw::lines(title, span_ms, apart_ms, lines, said);
    html! {
        div.charts #hour data-every-ms=(history.every_ms) {
            @if history.samples.is_empty() {
                p.none { "Nothing has been measured yet: the first figures come some seconds after the start." }
            } @else {
                (chart("Calls", &[line("up", "message", |s| s.calls), line("waiting for an answer", "gone", |s| s.early)], plain))
                (chart("New calls a second", &[line("tried", "message", |s| tenths_a_second(s.attempts, s.over_ms))], tenths))
                (chart("Refused a second", &[line("of all reasons", "bad", |s| tenths_a_second(s.refused, s.over_ms))], tenths))
                (chart("Processor, of all cores", &[
                    line("this process", "message", |s| s.cpu_percent),
                    line("transcoding", "gone", |s| s.transcoding_cpu_percent),
                ], percent))
            }
        }
        details #by-minute {
            summary { "The same as a table, by the minute" }
            div #minutes { (table(&minutes(&history.samples))) }
        }
    }
}

/// How far back the charts go: not much further than there is something to show, and an hour at most.
fn span(measured_ms: u64) -> u64 {
    let spans = [5, 15, 30, 60].map(|minutes: u64| minutes.saturating_mul(60_000));
    let enough = spans.into_iter().find(|span| measured_ms <= *span);
    enough.unwrap_or(3_600_000)
}

/// What was in one minute.
#[derive(Debug, Default)]
struct Minute {
    at: i64,
    calls: u64,
    early: u64,
    attempts: u64,
    refused: u64,
    cpu_percent: u64,
    transcoding_cpu_percent: u64,
}

/// The newest first. Minutes are those of the clock; counts that reach over two are of the later.
fn minutes(samples: &[LoadSample]) -> Vec<Minute> {
    let minute = |sample: &LoadSample| sample.at_ms.0.div_euclid(MINUTE_MS);
    let of = |samples: &[LoadSample]| {
        let most = |value: fn(&LoadSample) -> u64| samples.iter().map(value).max().unwrap_or(0);
        let all = |value: fn(&LoadSample) -> u64| samples.iter().map(value).fold(0, u64::saturating_add);
        Minute {
            at: samples.first().map_or(0, minute).saturating_mul(MINUTE_MS),
            calls: most(|s| s.calls),
            early: most(|s| s.early),
            attempts: all(|s| s.attempts),
            refused: all(|s| s.refused),
            cpu_percent: most(|s| s.cpu_percent),
            transcoding_cpu_percent: most(|s| s.transcoding_cpu_percent),
        }
    };
    let by_minute = samples.chunk_by(|before, after| minute(before) == minute(after));
    let mut minutes: Vec<Minute> = by_minute.map(of).collect();
    minutes.reverse();
    minutes
}

fn table(minutes: &[Minute]) -> Markup {
    layout::table(
        "The last hour, by the minute",
        &[
            "Minute",
            "Calls, at most",
            "Waiting, at most",
            "New calls tried",
            "Refused",
            "Processor, at most",
            "Transcoding, at most",
        ],
        html! {
            @for minute in minutes {
                tr {
                    td { (layout::moment(UnixMs(minute.at))) }
                    td.number { (minute.calls) }
                    td.number { (minute.early) }
                    td.number { (minute.attempts) }
                    td.number { (minute.refused) }
                    td.number { (percent(minute.cpu_percent)) }
                    td.number { (percent(minute.transcoding_cpu_percent)) }
                }
            }
        },
    )
}

fn tenths_a_second(count: u64, over_ms: u64) -> u64 {
    count.saturating_mul(10_000) / over_ms.max(1)
}

fn tenths(value: u64) -> String {
    match value % 10 {
        0 => (value / 10).to_string(),
        tenth => format!("{}.{tenth}", value / 10),
    }
}
