//! A number as it was over time.

use maud::{Markup, html};

use super::{along, step};

const LEFT: f64 = 44.0;
const WIDTH: f64 = 300.0;
const TOP: f64 = 10.0;
const HEIGHT: f64 = 96.0;
const MINUTE_MS: u64 = 60_000;

/// A line of a chart.
#[derive(Debug, Clone)]
pub struct Line {
    /// What it is, as the legend says it.
    pub name: &'static str,
    /// Its class of `assets/draw.css`.
    pub class: &'static str,
    /// How long ago, milliseconds, and how much; oldest first.
    pub points: Vec<(u64, u64)>,
}

/// Lines over the time until now; the caption has the last and the highest of each as text. `span_ms`: how far back the chart goes.
/// `apart_ms`: where two points are further apart, nothing was measured, and no line is drawn. `said` writes a value out.
pub fn lines(title: &str, span_ms: u64, apart_ms: u64, lines: &[Line], said: impl Fn(u64) -> String) -> Markup {
    let highest = |line: &Line| line.points.iter().map(|(_, value)| *value).max().unwrap_or(0);
    let most = lines.iter().map(highest).max().unwrap_or(0);
    let ticks = step(most, 3);
    let top = most.div_ceil(ticks).max(1).saturating_mul(ticks);
    let base = TOP + HEIGHT;
    let x = |ago: u64| LEFT + WIDTH - along(ago, span_ms, WIDTH);
    let y = |value: u64| base - along(value, top, HEIGHT);
    let words = |line: &Line| match line.points.last() {
        Some((_, now)) => format!("{}: {} now, {} at most", line.name, said(*now), said(highest(line))),
        None => format!("{}: nothing yet", line.name),
    };
    let each = step(span_ms / MINUTE_MS, 4).saturating_mul(MINUTE_MS);
    html! {
        figure class="chart small" {
            figcaption { (title) }
            ul class="legend" {
                @for line in lines { li { (swatch(line.class)) (words(line)) } }
            }
            svg class="lines" viewBox={ "0 0 " (LEFT + WIDTH + 8.0) " " (base + 22.0) } role="img"
                aria-label={ (title) @for line in lines { "; " (words(line)) } "; the table below has all" } {
                @for tick in 0..=top / ticks {
                    @let value = tick.saturating_mul(ticks);
                    line class="tick" x1=(LEFT) x2=(LEFT + WIDTH) y1=(y(value)) y2=(y(value)) {}
                    text class="moment" x=(LEFT - 6.0) y=(y(value) + 4.0) text-anchor="end" { (said(value)) }
                }
                @for tick in 0..=span_ms / each {
                    @let ago = tick.saturating_mul(each);
                    text class="moment" x=(x(ago)) y=(base + 16.0) text-anchor=(if ago == 0 { "end" } else { "middle" }) {
                        @if ago == 0 { "now" } @else { "−" (ago / MINUTE_MS) " min" }
                    }
                }
                @for line in lines {
                    @for run in line.points.chunk_by(|(before, _), (after, _)| before.saturating_sub(*after) <= apart_ms) {
                        polyline class={ "line " (line.class) } points=(points(run, x, y)) {}
                    }
                }
            }
        }
    }
}

fn points(run: &[(u64, u64)], x: impl Fn(u64) -> f64, y: impl Fn(u64) -> f64) -> String {
    let place = |(ago, value): &(u64, u64)| format!("{:.1},{:.1}", x(*ago), y(*value));
    let mut places: Vec<String> = run.iter().map(place).collect();
    // A point alone is seen, too.
    if let [(ago, value)] = run {
        places.push(format!("{:.1},{:.1}", x(*ago) + 1.0, y(*value)));
    }
    places.join(" ")
}

fn swatch(class: &str) -> Markup {
    html! { svg class="swatch" width="12" height="12" aria-hidden="true" { line class={ "line " (class) } x1="0" x2="12" y1="6" y2="6" {} } " " }
}
