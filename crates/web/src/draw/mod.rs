//! Drawings of calls, for pages: SVG with its text as text, so that it can be read, searched and copied, and each with the
//! same as a table for who does not see it. Colours come from classes (`assets/draw.css`): there is no style in the markup, as
//! the pages' policy wants it.

mod bars;
mod hold;
mod ladder;
mod lines;
mod losses;
mod streams;
#[cfg(test)]
mod tests;
mod timeline;

pub use bars::{Column, Part, bar, columns, fill, shares};
pub use hold::hold;
pub use ladder::ladder;
pub use lines::{Line, lines};
pub use streams::streams;
pub use timeline::timeline;

use segue_records::UnixMs;

/// A moment as seconds after another: `0.251 s`.
fn after(start: UnixMs, at: UnixMs) -> String {
    let ms = at.0.saturating_sub(start.0);
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    format!("{sign}{}.{:03} s", ms / 1000, ms % 1000)
}

/// A length as a person says it: `0.4 s`, `12 s`, `3 min 20 s`.
fn length(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        10_000..60_000 => format!("{} s", ms / 1000),
        _ => format!("{} min {} s", ms / 60_000, ms / 1000 % 60),
    }
}

/// Steps of an axis, so that at most `most` of them reach `end`: 1, 2 or 5 times a power of ten.
fn step(end: u64, most: u64) -> u64 {
    let mut power = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            let step = power.saturating_mul(factor);
            if end / step <= most {
                return step;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// `value` of `whole` on a line of this width, never beyond it.
fn along(value: u64, whole: u64, width: f64) -> f64 {
    match whole {
        0 => 0.0,
        whole => (value.min(whole) as f64 / whole as f64 * width * 10.0).round() / 10.0,
    }
}
