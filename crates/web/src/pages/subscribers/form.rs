//! The form that adds or changes a subscriber. What most leave as it is stands below lines that open.

use maud::{Markup, html};
use segue_policy::Language;

use super::{PAGE, draft::Draft};
use crate::pages::{
    field::{Fields, Wrong},
    layout,
};
use crate::who::Who;

pub(super) const FORM: &str = "subscriber";

const WHO: [&str; 6] = ["user", "password", "pin", "targets", "numbers", "aliases"];
const REACHED: [&str; 3] = ["ring", "ring_each", "target_by"];
const MEET: [&str; 8] = [
    "clip",
    "hold_on",
    "hold",
    "no_answer",
    "greeting",
    "answer_at",
    "menu",
    "language",
];
const WHEN: [&str; 2] = ["hours", "time_zone"];
const CAPS: [&str; 4] = ["calls_at_once", "calls_per_minute", "minutes_per_day", "busy_at"];
const TOLD: [&str; 7] = ["by", "on", "mail", "attach", "webhook", "message_to", "told_language"];

/// The form; `clips` are those that may be shown to callers of theirs.
pub(super) fn form(who: &Who, draft: Option<&Draft>, clips: &[String], wrong: Option<&Wrong>) -> Markup {
    let new = Draft::default();
    let shown = Shown {
        fields: Fields::new(FORM, wrong),
        draft: draft.unwrap_or(&new),
    };
    let is_there = !shown.draft.seen().is_empty();
    let user = shown.draft.text("user");
    let heading = match is_there {
        true => format!("Change {user}"),
        false => "Add a subscriber".to_owned(),
    };
    let known = [&WHO[..], &REACHED, &MEET, &WHEN, &CAPS, &TOLD].concat();
    html! {
        (shown.fields.whole(&known))
        details #subscriber open[draft.is_some()] {
            summary { (heading) }
            form.sentence method="post" action=(PAGE) aria-label=(heading) {
                (layout::csrf(who))
                input type="hidden" name="seen" value=(shown.draft.seen());
                @if is_there { input type="hidden" name="user" value=(user); }
                @else { (shown.text("user", "Name", "bob")) }
                @let kept = if is_there { "empty: as it is" } else { "empty: none" };
                (shown.secret("password", "Phone's password", kept))
                (shown.secret("pin", "PIN", kept))
                (shown.text("targets", "Reached at", "registered, sip:bob@192.0.2.7"))
                (shown.text("numbers", "Numbers", "+4930123456"))
                (shown.text("aliases", "Aliases", "sip:robert@example.org"))
                (shown.part(&REACHED, "How they ring", shown.reached()))
                (shown.part(&MEET, "What callers meet", shown.meet(clips)))
                (shown.part(&WHEN, "When they may be called", html! {
                    (shown.text("hours", "Hours", "all; or mon-fri 09:00-17:00; sat 10:00-12:00"))
                    (shown.text("time_zone", "By the clock of", "UTC; or Europe/Berlin"))
                }))
                (shown.part(&CAPS, "How much they may call", html! {
                    p { "0: no limit." }
                    (shown.text("calls_at_once", "Calls at once", BY_PROFILE))
                    (shown.text("calls_per_minute", "New calls a minute", BY_PROFILE))
                    (shown.text("minutes_per_day", "Minutes a day", BY_PROFILE))
                    (shown.text("busy_at", "Busy in calls", BY_PROFILE))
                }))
                (shown.part(&TOLD, "What they are told of", shown.told()))
                div.acts {
                    button type="submit" name="act" value="save" { @if is_there { "Change them so" } @else { "Add them" } }
                    @if is_there { a href=(PAGE) { "Leave it" } }
                }
            }
        }
    }
}

const BY_PROFILE: &str = "as the profile says";

/// What the fields show.
struct Shown<'a> {
    fields: Fields<'a>,
    draft: &'a Draft,
}

impl Shown<'_> {
    fn reached(&self) -> Markup {
        html! {
            (self.choice("ring", "Several targets", &[("together", "ring all at once"), ("in-order", "ring in order")]))
            (self.text("ring_each", "each for", "15s"))
            (self.choice("target_by", "Reached by", &[("host", "the host of a target"), ("next-hop", "the next hop")]))
        }
    }

    fn meet(&self, clips: &[String]) -> Markup {
        let clips = |none: &str| {
            let none = [(String::new(), none.to_owned())];
            let all = none
                .into_iter()
                .chain(clips.iter().map(|name| (name.clone(), name.clone())));
            all.collect::<Vec<_>>()
        };
        let held_on = [("clip", "the clip"), ("greeting", "the greeting, else the clip")];
        let answered = [
            ("", BY_PROFILE),
            ("greeting", "before the greeting"),
            ("after_greeting", "after the greeting"),
        ];
        html! {
            (self.fields.choice(("clip", "Clip"), self.draft.text("clip"), &clips("none")))
            (self.choice("hold_on", "Held on", &held_on))
            (self.text("hold", "for", "as the profile says; or 8s"))
            (self.text("no_answer", "Ring for", "as the profile says; or 20s"))
            (self.fields.choice(("greeting", "Greeting"), self.draft.text("greeting"), &clips("none")))
            (self.choice("answer_at", "Answered", &answered))
            (self.choice("menu", "Choose by keys", &[("", BY_PROFILE), ("on", "callers do"), ("off", "callers do not")]))
            (self.language("language", "Spoken to in", BY_PROFILE))
        }
    }

    fn told(&self) -> Markup {
        let by = [
            ("mail", "mail"),
            ("webhook", "webhook"),
            ("message", "SIP MESSAGE to the phone"),
        ];
        let on = [
            ("message", "messages that callers left"),
            ("missed", "missed calls"),
            ("warning", "what is soon deleted unheard, and a mailbox nearly full"),
        ];
        let attach = [
            ("poster", "the picture"),
            ("yes", "the message and its picture"),
            ("no", "neither"),
        ];
        html! {
            (self.ticks("by", "By which ways (none: of nothing)", &by))
            (self.ticks("on", "Of what (none: of messages and warnings, of missed calls as the profile says)", &on))
            (self.text("mail", "Mail goes to", "bob@example.com"))
            (self.choice("attach", "with mail goes", &attach))
            (self.text("webhook", "The webhook is", "as the server is set up"))
            (self.text("message_to", "SIP MESSAGE to", "wherever they are registered"))
            (self.language("told_language", "In", "the server's language"))
        }
    }

    /// Fields below a line that opens; it is open where one of them is wrong.
    fn part(&self, names: &[&str], words: &str, inner: Markup) -> Markup {
        let is_wrong = self.fields.wrong.is_some_and(|wrong| names.contains(&wrong.field));
        html! {
            details.part open[is_wrong] {
                summary { (words) }
                div.sentence { (inner) }
            }
        }
    }

    fn text(&self, name: &'static str, label: &str, empty: &str) -> Markup {
        self.fields.text((name, label), self.draft.text(name), empty, None)
    }

    fn secret(&self, name: &'static str, label: &str, empty: &str) -> Markup {
        let id = self.fields.id(name);
        html! {
            div.field {
                label for=(id) { (label) }
                input id=(id) type="password" name=(name) placeholder=(empty) autocomplete="new-password";
                (self.fields.said(name))
            }
        }
    }

    fn choice(&self, name: &'static str, label: &str, all: &[(&str, &str)]) -> Markup {
        let usual = all.first().map_or("", |(word, _)| word);
        let value = Some(self.draft.text(name)).filter(|value| !value.is_empty());
        let all: Vec<(String, String)> = all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        self.fields.choice((name, label), value.unwrap_or(usual), &all)
    }

    fn language(&self, name: &'static str, label: &str, usual: &str) -> Markup {
        let known = Language::ALL.iter().map(|language| match language {
            Language::En => ("en", "English"),
            Language::De => ("de", "German"),
        });
        let all: Vec<(&str, &str)> = [("", usual)].into_iter().chain(known).collect();
        self.choice(name, label, &all)
    }

    fn ticks(&self, name: &'static str, words: &str, all: &[(&str, &str)]) -> Markup {
        html! {
            fieldset {
                legend { (words) }
                @for (word, words) in all {
                    label.tick {
                        input type="checkbox" name=(name) value=(word) checked[self.draft.is_ticked(name, word)];
                        " " (words)
                    }
                }
                (self.fields.said(name))
            }
        }
    }
}
