//! The keys of the list (`assets/keys.js`), as the page tells them.

use maud::{Markup, html};

/// Keys, and what they do while the focus is in the list.
const KEYS: &[(&[&str], &str)] = &[
    (&["↓", "n"], "next message"),
    (&["↑", "p"], "the message before"),
    (&["Space", "k"], "play, pause"),
    (&["←", "→"], "5 s back, forward"),
    (&["j", "l"], "10 s back, forward"),
    (&["x"], "choose it, for what is done with several"),
    (&["h"], "mark heard"),
    (&["Delete"], "delete"),
    (&["u"], "undo"),
    (&["?"], "show these keys"),
];

/// Without a script there are none: the module shows it.
pub(super) fn help() -> Markup {
    html! {
        details #keys hidden {
            summary { "Keys" }
            p { "While the focus is in the list, and not in a field:" }
            dl.facts-list {
                @for (keys, words) in KEYS {
                    dt { @for key in *keys { kbd { (key) } " " } }
                    dd { (words) }
                }
            }
        }
    }
}
