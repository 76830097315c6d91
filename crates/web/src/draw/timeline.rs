//! What A saw and heard, when, and what lay between.

use maud::{Markup, html};
use segue_records::{CallRecord, MediaKind, SwitchRecord, UnixMs};

use super::{
    after, along, length,
    losses::{self, Lost},
    step,
};

const LEFT: f64 = 84.0;
const WIDTH: f64 = 720.0;
const LANE: f64 = 26.0;
const TOP: f64 = 30.0;

/// Which source played when on each of A's streams, the gap before each, what was lost and when, and the moments of the call.
/// `until`: now, for a call that is up.
pub fn timeline(call: &CallRecord, until: UnixMs) -> Markup {
    let start = call.started_at;
    let end = call.ended_at.unwrap_or(until);
    let span = since(start, end);
    let x = |at: UnixMs| LEFT + along(since(start, at), span, WIDTH);
    let lanes = [("picture", MediaKind::Video), ("sound", MediaKind::Audio)];
    let lost = losses::all(call);
    // What A and the callee said to each other past this has lanes of its own where some of it is missing.
    let sent = [("picture sent", MediaKind::Video), ("sound sent", MediaKind::Audio)];
    let sent: Vec<_> = sent
        .into_iter()
        .filter(|(_, kind)| {
            lost.iter()
                .any(|lost| lost.kind == *kind && !lost.way.concerns_caller())
        })
        .collect();
    let marks = marks(call);
    let bottom = TOP + LANE * (lanes.len() + sent.len()) as f64 + 14.0;
    let height = bottom + 24.0 + 16.0 * marks.len() as f64;
    let lacks = |kind, concerns_caller, y: f64| {
        let here = |lost: &&Lost<'_>| lost.kind == kind && lost.way.concerns_caller() == concerns_caller;
        html! {
            @for lost in lost.iter().filter(here) {
                @let from = x(lost.loss.from);
                g class="loss" {
                    title { (lost.told(start)) }
                    rect x=(from) y=(y + LANE - 15.0) width=((x(lost.loss.until) - from).max(2.0)) height="9" {}
                }
            }
        }
    };
    let ticks = step(span / 1000, 8).saturating_mul(1000);
    html! {
        div class="drawing" tabindex="0" role="group" aria-label="What the caller saw and heard, drawn" {
            svg class="timeline" viewBox={ "0 0 " (LEFT + WIDTH + 40.0) " " (height) } width=(LEFT + WIDTH + 40.0) height=(height)
                role="img" aria-label={ "What the caller saw and heard, and when; " (losses::sum(call, &lost)) " The tables below have the same." } {
                @for tick in (0..=span).step_by(usize::try_from(ticks).unwrap_or(usize::MAX)) {
                    @let at = LEFT + along(tick, span, WIDTH);
                    line class="tick" x1=(at) x2=(at) y1=(TOP - 6.0) y2=(bottom) {}
                    text class="moment" x=(at) y="14" text-anchor="middle" { (tick / 1000) " s" }
                }
                @for (lane, (name, kind)) in (0_u8..).zip(lanes) {
                    @let y = TOP + LANE * f64::from(lane);
                    text class="lane" x="4" y=(y + 15.0) { (name) }
                    @for (switch, over) in played(call, kind, end) {
                        @let from = x(switch.at);
                        @let width = (x(over) - from).max(1.0);
                        g class={ "source " (class(&switch.to)) } {
                            title { (told(start, switch, over)) }
                            rect x=(from) y=(y) width=(width) height=(LANE - 6.0) {}
                            @if width > 7.0 * switch.to.len() as f64 {
                                text x=(from + 5.0) y=(y + 14.0) { (switch.to) }
                            }
                        }
                    }
                    (lacks(kind, true, y))
                }
                @for (lane, (name, kind)) in (2_u8..).zip(sent.iter().copied()) {
                    @let y = TOP + LANE * f64::from(lane);
                    text class="lane" x="4" y=(y + 15.0) { (name) }
                    g class="source other" { rect x=(LEFT) y=(y) width=(WIDTH) height=(LANE - 6.0) {} }
                    (lacks(kind, false, y))
                }
                @for (row, (at, what)) in (0_u8..).zip(&marks) {
                    @let y = bottom + 14.0 + 16.0 * f64::from(row);
                    line class="mark" x1=(x(*at)) x2=(x(*at)) y1=(TOP - 2.0) y2=(y) {}
                    // On the side where there is room.
                    @if x(*at) > LEFT + WIDTH * 0.6 {
                        text class="moment" x=(x(*at) - 5.0) y=(y) text-anchor="end" { (what) ", " (after(start, *at)) }
                    } @else {
                        text class="moment" x=(x(*at) + 5.0) y=(y) { (what) ", " (after(start, *at)) }
                    }
                }
            }
        }
        p class="missing" { (losses::sum(call, &lost)) }
        details {
            summary { "The same as a table" }
            table class="timeline-table" {
                thead { tr { th scope="col" { "After" } th scope="col" { "Stream" } th scope="col" { "Source" } th scope="col" { "For" } th scope="col" { "Gap before it" } } }
                tbody {
                    @for (name, kind) in lanes {
                        @for (switch, over) in played(call, kind, end) {
                            tr {
                                td class="number" { (after(start, switch.at)) }
                                td { (name) }
                                td { (switch.to) }
                                td class="number" { (length(since(switch.at, over))) }
                                td class="number" { (gap(switch)) }
                            }
                        }
                    }
                }
            }
            @if !lost.is_empty() { (losses::table(start, &lost)) }
        }
    }
}

/// Each source of a stream with the moment when its last packet left: before the next one there is its gap.
fn played(call: &CallRecord, kind: MediaKind, end: UnixMs) -> Vec<(&SwitchRecord, UnixMs)> {
    let switches: Vec<&SwitchRecord> = call.switches.iter().filter(|switch| switch.kind == kind).collect();
    let last = |next: &&SwitchRecord| {
        let gap = next.gap_ms.and_then(|gap| i64::try_from(gap).ok()).unwrap_or(0);
        UnixMs(next.at.0.saturating_sub(gap))
    };
    let overs = switches.iter().skip(1).map(last).chain([end]);
    switches.iter().copied().zip(overs).collect()
}

fn marks(call: &CallRecord) -> Vec<(UnixMs, &'static str)> {
    let all = [
        (call.first_media_at, "first packet of the clip"),
        (call.prolonged_at, "caller stays with the clip (*)"),
        (call.invited_at, "INVITE to the callee"),
        (call.answered_at, "200 to the caller"),
        (call.ended_at, "end"),
    ];
    let mut marks: Vec<_> = all.into_iter().filter_map(|(at, what)| Some((at?, what))).collect();
    marks.sort_by_key(|(at, _)| *at);
    marks
}

fn told(start: UnixMs, switch: &SwitchRecord, over: UnixMs) -> String {
    format!(
        "{} from {} for {}, gap {}",
        switch.to,
        after(start, switch.at),
        length(since(switch.at, over)),
        gap(switch)
    )
}

fn gap(switch: &SwitchRecord) -> String {
    switch
        .gap_ms
        .map_or_else(|| "first".to_owned(), |gap| format!("{gap} ms"))
}

/// A class of its own for each source that there is: what a record says is not made a class.
fn class(source: &str) -> &'static str {
    match source {
        "clip" => "clip",
        "greeting" => "greeting",
        "callee" => "callee",
        "beep" => "beep",
        "prompt" => "prompt",
        "message" | "take" => "played",
        _ => "other",
    }
}

fn since(start: UnixMs, at: UnixMs) -> u64 {
    u64::try_from(at.0.saturating_sub(start.0)).unwrap_or(0)
}
