//! What would Alice meet on Sunday at nine?

use maud::{Markup, html};
use segue_manage::{Explained, Refusal};

use super::View;

pub(super) fn probe(view: &View, user: &str, is_operator: bool, probed: Option<&Result<Explained, Refusal>>) -> Markup {
    html! {
        form.filters method="get" action="/settings" aria-label="Try a call" {
            @if is_operator { input type="hidden" name="user" value=(user); }
            label for="from" { "What would" }
            input #from name="from" placeholder="+49301234567 or sip:alice@example.com" value=(view.from.as_deref().unwrap_or_default()) required;
            label for="at" { "meet at" }
            input #at type="datetime-local" name="at" value=(view.at.as_deref().unwrap_or_default());
            button type="submit" { "Try" }
        }
        @match probed {
            None => {}
            Some(Err(wrong)) => { p.wrong role="status" { (wrong) } }
            Some(Ok(explained)) => {
                div.probed role="status" {
                    p { (explained.about) }
                    @for reading in &explained.readings {
                        h3 { (reading.when) }
                        p { strong { (reading.so) } }
                        details {
                            summary { (reading.acts) }
                            ul { @for passed in &reading.passed { li { (passed) } } }
                        }
                    }
                }
            }
        }
    }
}
