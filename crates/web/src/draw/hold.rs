//! How far the hold of a call has come.

use maud::{Markup, html};
use segue_records::{CallRecord, UnixMs};

use super::length;

/// A bar of the hold that was asked for; nothing where there is none. It stands still once the callee is called.
pub fn hold(call: &CallRecord, now: UnixMs) -> Markup {
    let (Some(asked), Some(from)) = (call.hold_asked_ms.filter(|ms| *ms > 0), call.first_media_at) else {
        return html! {};
    };
    let over = call.invited_at.or(call.ended_at);
    let kept = over.unwrap_or(now).0.saturating_sub(from.0);
    let kept = u64::try_from(kept).unwrap_or(0).min(asked);
    html! {
        span class="hold" {
            // A script moves on what still goes.
            progress max=(asked) value=(kept) data-from=[over.is_none().then_some(from.0)]
                aria-label="hold" {}
            " " span class="hold-text" { (length(kept)) " of " (length(asked)) }
        }
    }
}
