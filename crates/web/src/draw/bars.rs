//! Charts of numbers: columns over time, and what makes up a whole.

use maud::{Markup, html};

use super::{along, step};

const LEFT: f64 = 50.0;
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 140.0;

/// A part of a column or of a whole.
#[derive(Debug, Clone)]
pub struct Part {
    /// What it is, as the legend says it.
    pub name: &'static str,
    /// Its class of `assets/draw.css`.
    pub class: &'static str,
    /// How much.
    pub value: u64,
}

/// A column of parts, one on top of the other.
#[derive(Debug, Clone)]
pub struct Column {
    /// What stands below it; empty: nothing.
    pub label: String,
    /// What it is in full, e.g. `2026-03-01 14:00`.
    pub name: String,
    /// From the bottom up, in every column the same.
    pub parts: Vec<Part>,
}

/// Columns side by side, with a legend, and the same as a table.
pub fn columns(title: &str, columns: &[Column]) -> Markup {
    let total = |column: &Column| column.parts.iter().map(|part| part.value).fold(0, u64::saturating_add);
    let highest = columns.iter().map(total).max().unwrap_or(0);
    let ticks = step(highest, 4);
    let top = highest.div_ceil(ticks).max(1).saturating_mul(ticks);
    let each = WIDTH / columns.len().max(1) as f64;
    let base = HEIGHT + 12.0;
    html! {
        figure class="chart" {
            figcaption { (title) }
            (legend(columns.first().map_or(&[][..], |column| &column.parts)))
            div class="drawing" tabindex="0" role="group" aria-label={ (title) ", drawn" } {
                svg viewBox={ "0 0 " (LEFT + WIDTH + 10.0) " " (base + 24.0) } width=(LEFT + WIDTH + 10.0) height=(base + 24.0)
                    role="img" aria-label={ (title) "; the table below has the same" } {
                    @for tick in 0..=top / ticks {
                        @let y = base - along(tick.saturating_mul(ticks), top, HEIGHT);
                        line class="tick" x1=(LEFT) x2=(LEFT + WIDTH) y1=(y) y2=(y) {}
                        text class="moment" x=(LEFT - 6.0) y=(y + 4.0) text-anchor="end" { (tick.saturating_mul(ticks)) }
                    }
                    @for (n, column) in columns.iter().enumerate() {
                        @let x = LEFT + each * n as f64;
                        g {
                            title { (column.name) @for part in &column.parts { ", " (part.name) " " (part.value) } }
                            @for (below, part) in stacked(&column.parts) {
                                @let (from, to) = (along(below, top, HEIGHT), along(below.saturating_add(part.value), top, HEIGHT));
                                rect class={ "part " (part.class) } x=(x + each * 0.1) y=(base - to) width=(each * 0.8) height=(to - from) {}
                            }
                        }
                        text class="moment" x=(x + each / 2.0) y=(base + 16.0) text-anchor="middle" { (column.label) }
                    }
                }
            }
            details {
                summary { "The same as a table" }
                table {
                    thead { tr { th scope="col" { "When" } @for part in columns.first().map_or(&[][..], |column| &column.parts) { th scope="col" { (part.name) } } } }
                    tbody {
                        @for column in columns.iter().filter(|column| total(column) > 0) {
                            tr { td { (column.name) } @for part in &column.parts { td class="number" { (part.value) } } }
                        }
                    }
                }
            }
        }
    }
}

/// What makes up a whole; `said` writes a value out, e.g. as bytes.
pub fn shares(title: &str, parts: &[Part], said: impl Fn(u64) -> String) -> Markup {
    let whole = parts.iter().map(|part| part.value).fold(0, u64::saturating_add);
    html! {
        figure class="chart" {
            figcaption { (title) }
            svg class="shares" viewBox={ "0 0 " (WIDTH) " 18" } preserveAspectRatio="none" role="img"
                aria-label={ (title) @for part in parts { ", " (part.name) " " (said(part.value)) } } {
                @for (before, part) in stacked(parts) {
                    @let (from, to) = (along(before, whole, WIDTH), along(before.saturating_add(part.value), whole, WIDTH));
                    rect class={ "part " (part.class) } x=(from) y="0" width=(to - from) height="18" {}
                }
            }
            ul class="legend" {
                @for part in parts {
                    li { (swatch(part.class)) (part.name) " " span class="number" { (said(part.value)) } }
                }
            }
        }
    }
}

/// How full something is; without a limit there is no bar, only the number.
pub fn fill(title: &str, now: u64, max: Option<u64>, said: impl Fn(u64) -> String) -> Markup {
    let words = match max {
        Some(max) => format!("{} of {}", said(now), said(max)),
        None => format!("{}, no limit", said(now)),
    };
    html! {
        figure class="chart" {
            figcaption { (title) ": " span class="number" { (words) } }
            @if let Some(max) = max {
                svg class="shares" viewBox={ "0 0 " (WIDTH) " 18" } preserveAspectRatio="none" role="img" aria-label={ (title) ", " (words) } {
                    rect class="part free" width=(WIDTH) height="18" {}
                    // From four fifths on it is time to look.
                    rect class={ "part " @if now.saturating_mul(5) >= max.saturating_mul(4) { "bad" } @else { "message" } }
                        width=(along(now, max, WIDTH)) height="18" {}
                }
            }
        }
    }
}

/// A value beside the largest of its column; the number stands beside it.
pub fn bar(value: u64, most: u64) -> Markup {
    html! {
        svg class="bar" width="120" height="12" aria-hidden="true" {
            rect class="part gone" width=(along(value, most, 120.0)) height="12" {}
        }
    }
}

/// Each part with what lies before it.
fn stacked(parts: &[Part]) -> Vec<(u64, &Part)> {
    let mut before = 0_u64;
    let place = |part| {
        let at = before;
        before = before.saturating_add(Part::value(part));
        (at, part)
    };
    parts.iter().map(place).collect()
}

impl Part {
    fn value(&self) -> u64 {
        self.value
    }
}

fn legend(parts: &[Part]) -> Markup {
    html! {
        ul class="legend" {
            @for part in parts { li { (swatch(part.class)) (part.name) } }
        }
    }
}

fn swatch(class: &str) -> Markup {
    html! { svg class="swatch" width="12" height="12" aria-hidden="true" { rect class={ "part " (class) } width="12" height="12" {} } " " }
}
