//! A message in the list: its picture, who left it, when, and what can be done with it.

use maud::{Markup, html};
use segue_mailbox::{Kind, MediaState};
use segue_manage::MessageView;

use super::action;
use crate::given;

/// What all rows have.
pub(super) struct Around<'a> {
    /// Mailboxes of several subscribers are shown.
    pub(super) with_mailbox: bool,
    pub(super) csrf: &'a Markup,
    /// Where its buttons lead back to.
    pub(super) back: &'a str,
}

/// `known`: what its owner calls who left it; `day`: it is the first of this day.
pub(super) fn row(message: &MessageView, known: Option<&str>, day: Option<&str>, around: &Around) -> Markup {
    let is_new = message.heard_at.is_none();
    let id = given::encoded(&message.id);
    let said = message.from_name.as_deref().filter(|name| !name.trim().is_empty());
    let caller = known.or(said);
    let label = format!("Message from {}", caller.unwrap_or(&message.from));
    html! {
        li.message.new[is_new] #{ "m-" (message.id) } data-id=(message.id) data-duration=(message.duration_ms)
            data-played=(message.played_ms.unwrap_or(0)) data-heard=(!is_new) tabindex="-1" aria-label=(label) {
            @if let Some(day) = day { h2.day { (day) } }
            (player(message, &id, &label))
            div.about {
                p.caller {
                    label.tick {
                        input type="checkbox" name="id" value=(message.id) form="chosen" aria-label={ "Choose: " (label) };
                    }
                    @if let Some(name) = caller { strong { (name) } " " }
                    @if let (Some(_), Some(said)) = (known, said.filter(|said| caller != Some(*said))) {
                        span.address { "(" (said) ") " }
                    }
                    span.address { (message.from) }
                }
                p.facts {
                    @if is_new { span.badge.fresh { "New" } }
                    @if message.urgent { span.badge.urgent { "Urgent" } }
                    @if message.pinned { span.badge { "Pinned" } }
                    @if message.interrupted { span.badge { "Cut short" } }
                    @if around.with_mailbox { span { "for " (message.mailbox) } }
                    time datetime=(message.received_at) { (day_and_time(&message.received_at)) }
                    span { (length(message.duration_ms)) }
                }
                @if let (Some(warned), None) = (&message.warned_at, &message.deleted_at) {
                    p.warned { "It will be deleted soon; you were told on " (day_and_time(warned)) ". Pin it to keep it." }
                }
                form.acts method="post" action=(action(&message.id)) aria-label=(label) {
                    (around.csrf)
                    input type="hidden" name="back" value=(around.back);
                    @if message.deleted_at.is_some() {
                        (button("undelete", "Restore"))
                    } @else {
                        @if is_new { (button("heard", "Mark heard")) } @else { (button("unheard", "Mark new")) }
                        @if message.pinned { (button("unpin", "Unpin")) } @else { (button("pin", "Pin")) }
                        (button("delete", "Delete"))
                    }
                    @if message.media_state == MediaState::Ready {
                        a href={ "/api/v1/messages/" (id) "/media?download=true" } download { "Save" }
                    }
                }
            }
        }
    }
}

pub(super) fn button(act: &str, words: &str) -> Markup {
    html! { button type="submit" name="act" value=(act) { (words) } }
}

fn player(message: &MessageView, id: &str, label: &str) -> Markup {
    let media = format!("/api/v1/messages/{id}/media");
    let poster = message.has_poster.then(|| format!("/api/v1/messages/{id}/poster"));
    html! {
        @if message.media_state == MediaState::Raw {
            p.raw { "This message is still being prepared." }
        } @else if message.kind == Kind::Video {
            video controls playsinline preload="none" poster=[poster] src=(media) aria-label=(label) {}
        } @else {
            div.voice {
                p { "Voice message" }
                audio controls preload="none" src=(media) aria-label=(label) {}
            }
        }
    }
}

/// `2026-03-01 12:03 UTC`; the module shows it by the browser's clock.
fn day_and_time(rfc3339: &str) -> String {
    let text = rfc3339.get(..16).unwrap_or(rfc3339);
    format!("{} UTC", text.replace('T', " "))
}

/// `0:14`.
pub(in crate::pages) fn length(ms: u64) -> String {
    let s = ms.saturating_add(500) / 1_000;
    format!("{}:{:02}", s / 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_minutes_and_seconds() {
        assert_eq!([length(0), length(14_220), length(61_500)], ["0:00", "0:14", "1:02"]);
        assert_eq!(day_and_time("2026-03-01T12:03:12.480Z"), "2026-03-01 12:03 UTC");
    }
}
