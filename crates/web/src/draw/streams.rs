//! What was counted of the RTP of each leg.

use maud::{Markup, html};
use segue_records::{CallRecord, MediaKind, StreamRecord};

/// A line for each stream of each leg, so far or at its end: what came, what was lost, what left, what the peer says of it.
pub fn streams(call: &CallRecord) -> Markup {
    let counted = call.legs.iter().enumerate();
    let rows: Vec<(usize, &StreamRecord)> = counted
        .flat_map(|(leg, record)| record.media.iter().map(move |stream| (leg, stream)))
        .collect();
    html! {
        @if rows.is_empty() {
            p class="nothing" { "Nothing has been counted." }
        } @else {
            div class="drawing" tabindex="0" role="group" aria-label="Packets of each stream" {
                table class="streams" {
                    thead {
                        tr {
                            @for name in ["Leg", "Stream", "Received", "Lost", "Late", "Jitter", "Sent", "Peer lost", "Peer jitter", "There and back"] {
                                th scope="col" { (name) }
                            }
                        }
                    }
                    tbody {
                        @for (leg, stream) in rows {
                            tr {
                                td { @if leg == 0 { "caller" } @else { "callee " (leg) } }
                                td { @match stream.kind { MediaKind::Audio => "sound", MediaKind::Video => "picture" } }
                                td class="number" { (stream.received) }
                                td class={ "number" @if stream.lost > 0 { " bad" } } { (share(stream.lost, stream.received)) }
                                td class="number" { (stream.late) }
                                td class="number" { (stream.jitter_ms) " ms" }
                                td class="number" { (stream.sent) }
                                td class="number" { (said(stream.peer_lost, "")) }
                                td class="number" { (said(stream.peer_jitter_ms, " ms")) }
                                td class="number" { (said(stream.rtt_ms, " ms")) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// `12 (1.9 %)`: of all that the peer has sent.
fn share(lost: u64, received: u64) -> String {
    match lost {
        0 => "0".to_owned(),
        lost => {
            let all = lost.saturating_add(received) as f64;
            format!("{lost} ({:.1} %)", lost as f64 * 100.0 / all)
        }
    }
}

fn said(value: Option<u64>, unit: &str) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value}{unit}"))
}
