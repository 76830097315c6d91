//! The SIP messages of a call, of all its legs on one clock.

use maud::{Markup, html};
use segue_records::{CallRecord, LadderStep, Sent};

use super::after;

/// Columns: CSS pixels between the lines of two parties.
const BETWEEN: usize = 190;
/// Room for the moments on the left.
const LEFT: usize = 90;
/// From one message to the next.
const ROW: usize = 30;
/// Room for the names on top.
const TOP: usize = 44;
/// Legs that are drawn: the table has all.
const LEGS_MAX: usize = 9;
/// Characters of a label in the drawing.
const LABEL_MAX: usize = 28;

/// A step with the leg that it belongs to.
struct Row<'a> {
    leg: usize,
    step: &'a LadderStep,
}

/// All messages of all legs in their order: A on the left, Segue, then each callee.
pub fn ladder(call: &CallRecord) -> Markup {
    let rows = in_order(call);
    let drawn = call.legs.len().clamp(1, LEGS_MAX);
    let (width, height) = (LEFT + BETWEEN * drawn + 60, TOP + ROW * (rows.len() + 1));
    html! {
        @if rows.is_empty() {
            p class="nothing" { "Nothing went over the wire." }
        } @else {
            div class="drawing" tabindex="0" role="group" aria-label="SIP messages, drawn" {
                svg class="ladder" viewBox={ "0 0 " (width) " " (height) } width=(width) height=(height) role="img"
                    aria-label="SIP messages between the caller, Segue and each callee; the table below has the same" {
                    (lifeline(line_of(0), height, "caller"))
                    (lifeline(segue(), height, "Segue"))
                    @for leg in 1..drawn {
                        (lifeline(line_of(leg), height, &format!("callee {leg}")))
                    }
                    @for (n, row) in rows.iter().enumerate().filter(|(_, row)| row.leg < drawn) {
                        (arrow(row, TOP + ROW * (n + 1), &after(call.started_at, row.step.at)))
                    }
                }
            }
            details {
                summary { "The same as a table" }
                table class="ladder-table" {
                    thead { tr { th scope="col" { "After" } th scope="col" { "Leg" } th scope="col" { "Way" } th scope="col" { "Message" } } }
                    tbody {
                        @for row in &rows {
                            tr {
                                td class="number" { (after(call.started_at, row.step.at)) }
                                td { (leg_name(row.leg)) }
                                td { @match row.step.sent { Sent::In => "to Segue", Sent::Out => "from Segue" } }
                                td { (row.step.summary) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What a leg said stays in its order; of several legs within one millisecond what came stands before what was sent for it.
fn in_order(call: &CallRecord) -> Vec<Row<'_>> {
    let mut legs: Vec<_> = call.legs.iter().map(|leg| leg.ladder.iter().peekable()).collect();
    let mut rows = Vec::new();
    loop {
        let heads = legs.iter_mut().enumerate();
        let heads = heads.filter_map(|(leg, steps)| Some((leg, *steps.peek()?)));
        let Some((leg, step)) = heads.min_by_key(|(_, step)| (step.at, step.sent == Sent::Out)) else {
            return rows;
        };
        rows.push(Row { leg, step });
        if let Some(steps) = legs.get_mut(leg) {
            steps.next();
        }
    }
}

/// Where a party's line stands; Segue is between the caller and the callees.
fn line_of(leg: usize) -> usize {
    match leg {
        0 => LEFT + 20,
        leg => segue() + BETWEEN * leg,
    }
}

fn segue() -> usize {
    LEFT + 20 + BETWEEN
}

fn leg_name(leg: usize) -> String {
    match leg {
        0 => "caller".to_owned(),
        leg => format!("callee {leg}"),
    }
}

fn lifeline(x: usize, height: usize, name: &str) -> Markup {
    html! {
        text class="party" x=(x) y="18" text-anchor="middle" { (name) }
        line class="life" x1=(x) x2=(x) y1="28" y2=(height - 6) {}
    }
}

fn arrow(row: &Row, y: usize, at: &str) -> Markup {
    let (peer, us) = (line_of(row.leg), segue());
    let (from, to) = match row.step.sent {
        Sent::In => (peer, us),
        Sent::Out => (us, peer),
    };
    // The label stands in the last stretch before the peer: nothing else goes there.
    let label = match row.leg {
        0 => peer + BETWEEN / 2,
        _ => peer - BETWEEN / 2,
    };
    let head = if to > from { to - 7 } else { to + 7 };
    let points = format!("{to},{y} {head},{} {head},{}", y - 4, y + 4);
    html! {
        text class="moment" x="4" y=(y + 4) { (at) }
        g class=(kind(&row.step.summary)) {
            title { (at) " " (leg_name(row.leg)) ": " (row.step.summary) }
            line x1=(from) x2=(to) y1=(y) y2=(y) {}
            polygon points=(points) {}
            text x=(label) y=(y - 6) text-anchor="middle" { (shortened(&row.step.summary)) }
        }
    }
}

/// What a message is, by its first character: a status says so by its class (RFC 3261 §7.2).
fn kind(summary: &str) -> &'static str {
    match summary.as_bytes().first() {
        Some(b'1') => "message provisional",
        Some(b'2') => "message success",
        Some(b'3'..=b'6') => "message failure",
        _ => "message request",
    }
}

fn shortened(summary: &str) -> String {
    match summary.char_indices().nth(LABEL_MAX) {
        Some((end, _)) => format!("{}…", summary.get(..end).unwrap_or_default()),
        None => summary.to_owned(),
    }
}
