//! The rules in their order, and the form that makes or changes one: it reads as the sentence that the rule is.

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use maud::{Markup, html};
use segue_mailbox::Limit;
use segue_manage::{Access, Refusal, RuleGiven, lasting, told};
use segue_policy::{ClipChoice, Profile, Rule, Then, Why};

use super::{Drafts, View};
use crate::{
    api::rules::as_seen,
    given::Asked,
    pages::field::{Fields, Pairs, Wrong, listed, one},
    portal::Web,
    seen::Seen,
    who::Posted,
};

/// The form, and the list of rules: what is wrong with either is said there.
const FORM: &str = "rule";
const LIST: &str = "rules";

const FIELDS: [&str; 10] = [
    "from", "at", "on", "why", "then", "forward", "clip", "hold", "greeting", "message",
];

pub(super) fn routes() -> Router<Web> {
    // Who loads anew what was refused comes back to the page.
    let back = || async { Redirect::to("/settings") };
    Router::new().route("/settings/rules", get(back).post(change))
}

/// A rule as it is typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Draft {
    /// The rule that is changed; `None`: a new one.
    place: Option<usize>,
    from: String,
    at: String,
    on: String,
    why: Vec<String>,
    then: String,
    forward: String,
    clip: String,
    hold: String,
    greeting: String,
    message: String,
}

impl Draft {
    /// To change the rule in this place.
    pub fn of(place: usize, rule: &Rule) -> Draft {
        fn all<T: ToString>(all: &[T], between: &str) -> String {
            all.iter().map(T::to_string).collect::<Vec<_>>().join(between)
        }
        let clip = |choice: &Option<ClipChoice>| choice.clone().map(String::from).unwrap_or_default();
        let outcome = &rule.outcome;
        let (then, forward) = match &outcome.then {
            None => ("", ""),
            Some(Then::Ring) => ("ring", ""),
            Some(Then::Greeting) => ("greeting", ""),
            Some(Then::HangUp) => ("hang-up", ""),
            Some(Then::Forward(uri)) => ("forward", uri.as_str()),
        };
        Draft {
            place: Some(place),
            from: all(&rule.from, ", "),
            at: all(&rule.at, "; "),
            on: all(&rule.on, ", "),
            why: rule.why.iter().map(|why| why.as_str().to_owned()).collect(),
            then: then.to_owned(),
            forward: forward.to_owned(),
            clip: clip(&outcome.clip),
            hold: outcome.hold_ms.map(lasting).unwrap_or_default(),
            greeting: clip(&outcome.greeting),
            message: outcome
                .message
                .map_or("", |may| if may { "yes" } else { "no" })
                .to_owned(),
        }
    }

    fn typed(pairs: &Pairs) -> Draft {
        let text = |name: &str| one(pairs, name).to_owned();
        let why = pairs.iter().filter(|(name, _)| name == "why");
        Draft {
            place: one(pairs, "place").parse().ok(),
            from: text("from"),
            at: text("at"),
            on: text("on"),
            why: why.map(|(_, word)| word.clone()).collect(),
            then: text("then"),
            forward: text("forward"),
            clip: text("clip"),
            hold: text("hold"),
            greeting: text("greeting"),
            message: text("message"),
        }
    }

    fn given(&self) -> Result<RuleGiven, Refusal> {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let hold = super::age("hold", &self.hold).map_err(|_| {
            let why = "a number and s is needed, e.g. 8s, or nothing for the usual time";
            super::invalid("hold", why)
        })?;
        Ok(RuleGiven {
            place: None,
            from: listed(&self.from, ','),
            why: self.why.clone(),
            // Days of hours have commas between them.
            at: listed(&self.at, ';'),
            on: listed(&self.on, ','),
            then: some(&self.then),
            forward: some(&self.forward),
            clip: some(&self.clip),
            hold_ms: match hold {
                Limit::At(ms) => Some(ms),
                Limit::Off | Limit::Default => None,
            },
            greeting: some(&self.greeting),
            message: match self.message.as_str() {
                "yes" => Some(true),
                "no" => Some(false),
                _ => None,
            },
        })
    }
}

/// What the rules are shown with.
pub(super) struct Around<'a> {
    pub user: &'a str,
    pub csrf: &'a Markup,
    /// What all rules together are known by.
    pub tag: &'a str,
    pub view: &'a View,
    pub is_operator: bool,
}

impl Around<'_> {
    /// Whom an operator has named.
    pub fn named(&self) -> Option<&str> {
        self.is_operator.then_some(self.user)
    }

    /// Where a form goes, with the question that is tried.
    pub fn action(&self, path: &str) -> String {
        self.view.at(path, self.named())
    }

    /// What each form says.
    pub fn whose(&self) -> Markup {
        html! {
            (self.csrf)
            input type="hidden" name="user" value=(self.user);
        }
    }

    fn hidden(&self, place: Option<usize>) -> Markup {
        html! {
            (self.whose())
            input type="hidden" name="seen" value=(self.tag);
            @if let Some(place) = place { input type="hidden" name="place" value=(place); }
        }
    }
}

pub(super) fn list(rules: &[Rule], around: &Around<'_>, wrong: Option<&Wrong>) -> Markup {
    let last = rules.len();
    let action = around.action("/settings/rules");
    html! {
        (Fields::new(LIST, wrong).whole(&[]))
        @if rules.is_empty() {
            p.none { "There are no rules: all callers meet the same clip, hold and greeting." }
        } @else {
            p { "They are read from the top; the first that fits acts." }
            ol.rules #rules {
                @for (place, rule) in (1..).zip(rules) {
                    li {
                        (told::condition(rule)) ": " strong { (told::outcome(&rule.outcome)) }
                        form.acts method="post" action=(action) {
                            (around.hidden(Some(place)))
                            button type="submit" name="act" value="up" disabled[place == 1] aria-label={ "Move rule " (place) " up" } { "Up" }
                            button type="submit" name="act" value="down" disabled[place == last] aria-label={ "Move rule " (place) " down" } { "Down" }
                            a href={ (around.view.edit(place, around.named())) "#rule" } aria-label={ "Change rule " (place) } { "Change" }
                            button type="submit" name="act" value="remove" aria-label={ "Remove rule " (place) } { "Remove" }
                        }
                    }
                }
            }
        }
    }
}

/// What rules may name.
pub(super) struct Known {
    pub groups: Vec<String>,
    pub clips: Vec<String>,
}

pub(super) fn form(draft: Option<&Draft>, around: &Around<'_>, known: &Known, wrong: Option<&Wrong>) -> Markup {
    let new = Draft::default();
    let fields = Fields::new(FORM, wrong);
    let is_open = draft.is_some();
    let draft = draft.unwrap_or(&new);
    let pairs = |all: &[(&str, &str)]| -> Vec<(String, String)> {
        all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    };
    let clips = |usual: &str, none: &str| {
        let mut all = pairs(&[("", usual), ("none", none)]);
        all.extend(known.clips.iter().map(|name| (name.clone(), name.clone())));
        all
    };
    let thens = pairs(&[
        ("", "go on as without this rule"),
        ("ring", "ring, even when they are not available"),
        ("greeting", "go straight to the greeting"),
        ("forward", "forward the caller"),
        ("hang-up", "hang up"),
    ]);
    let messages = pairs(&[("", "as usual"), ("yes", "may be left"), ("no", "may not be left")]);
    let (heading, button) = match draft.place {
        Some(place) => (format!("Change rule {place}"), "Change it so"),
        None => ("Add a rule".to_owned(), "Add this rule"),
    };
    let action = around.action("/settings/rules");
    html! {
        details #rule open[is_open] {
            summary { (heading) }
            form.sentence method="post" action=(action) aria-label=(heading) {
                (around.hidden(draft.place))
                (fields.whole(&FIELDS))
                datalist #known-callers {
                    @for group in &known.groups { option value=(group) {} }
                    option value="anonymous" {}
                    option value="unknown" {}
                }
                (fields.text(("from", "When"), &draft.from, "anybody; or business, +4930*, sip:alice@example.com, anonymous, unknown", Some("known-callers")))
                (fields.text(("at", "calls at"), &draft.at, "all hours; or mon-fri 09:00-17:00; sat 10:00-12:00", None))
                (fields.text(("on", "on"), &draft.on, "all days; or 2026-12-24, 2026-12-31..2027-01-01", None))
                fieldset {
                    legend { "and (none: always, before anybody rings)" }
                    @for why in Why::ALL {
                        label.tick {
                            input type="checkbox" name="why" value=(why.as_str()) checked[draft.why.iter().any(|word| word == why.as_str())];
                            " " (told::because(why))
                        }
                    }
                    (fields.said("why"))
                }
                (fields.choice(("then", "then"), &draft.then, &thens))
                (fields.text(("forward", "to"), &draft.forward, "if forwarded: sip:deputy@192.0.2.9 or tel:+4930123456", None))
                (fields.choice(("clip", "held on"), &draft.clip, &clips("the usual clip", "no clip")))
                (fields.text(("hold", "for"), &draft.hold, "the usual time; or 8s", None))
                (fields.choice(("greeting", "with the greeting"), &draft.greeting, &clips("as usual", "none")))
                (fields.choice(("message", "a message"), &draft.message, &messages))
                div.acts {
                    button type="submit" name="act" value="save" { (button) }
                    @if draft.place.is_some() {
                        a href=(around.action("/settings")) { "Leave it" }
                    }
                }
            }
        }
    }
}

/// Does what a form says and leads back, with the question that was tried so that its new answer is seen.
async fn change(State(web): State<Web>, view: Asked<View>, Posted { who, form }: Posted<Pairs>) -> Response {
    let (view, user) = (view.0, one(&form, "user").to_owned());
    let profiles = match web.profiles().await {
        Ok(profiles) => profiles,
        Err(problem) => return super::failed(&problem),
    };
    let draft = Draft::typed(&form);
    let name = if one(&form, "act") == "save" { FORM } else { LIST };
    let (typed, whose) = (draft.clone(), user.clone());
    let done = who.ask(move |access| Ok(perform(access, &whose, &form, &typed, &profiles)));
    match done.await {
        Ok(Ok(())) => {
            Redirect::to(&format!("{}#rules", view.at("/settings", super::named(&who, &user)))).into_response()
        }
        Ok(Err(refusal)) => {
            let status = crate::problem::Problem::from(refusal.clone()).status();
            if !super::is_theirs_to_mend(status) {
                return super::failed(&refusal.into());
            }
            let mut wrong = Wrong::of(name, &refusal);
            let mut draft = draft;
            if name == FORM && refusal == Refusal::Changed {
                // What has this place now may be another.
                draft.place = None;
                wrong.why = "The rules have been changed meanwhile: what you typed would be a new one. To change one of those that are \
                             there, choose it again."
                    .to_owned();
            }
            let drafts = Drafts {
                rule: (name == FORM).then_some(draft),
                wrong: Some(wrong),
                ..Drafts::default()
            };
            match super::page(&who, &web, &user, &view, drafts).await {
                Ok(page) => (status, page).into_response(),
                Err(failed) => failed,
            }
        }
        Err(problem) => super::failed(&problem),
    }
}

fn perform(access: &Access, user: &str, form: &Pairs, draft: &Draft, profiles: &[Profile]) -> Result<(), Refusal> {
    let place = draft.place;
    let seen = || as_seen(Seen::of_form(one(form, "seen")), place);
    let needed = place.ok_or_else(|| super::invalid("place", "no rule was named"));
    match one(form, "act") {
        "save" => {
            let rule = draft.given()?.rule(profiles).map_err(|refusal| match refusal {
                Refusal::Invalid { field: "hold_ms", why } => Refusal::Invalid { field: "hold", why },
                other => other,
            })?;
            match place {
                // The last, whatever there is.
                None => access.add_rule(user, (rule, None), profiles, |_| true),
                Some(place) => access.set_rule(user, place, (rule, None), profiles, seen()),
            }
            .map(drop)
        }
        "up" => {
            let place = needed?;
            access.move_rule(user, place, place.saturating_sub(1), seen()).map(drop)
        }
        "down" => {
            let place = needed?;
            access.move_rule(user, place, place.saturating_add(1), seen()).map(drop)
        }
        "remove" => access.remove_rule(user, needed?, seen()).map(drop),
        _ => Err(super::invalid("act", "there is no such button")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_is_changed_is_typed_as_it_is() {
        let rule = RuleGiven {
            from: vec!["business".to_owned(), "+4930*".to_owned()],
            why: vec!["busy".to_owned(), "offline".to_owned()],
            at: vec!["sat,sun 10:00-14:00".to_owned(), "mon-fri 09:00-17:00".to_owned()],
            on: vec!["2026-12-24..2027-01-01".to_owned()],
            then: Some("forward".to_owned()),
            forward: Some("tel:+4930123456".to_owned()),
            clip: Some("none".to_owned()),
            hold_ms: Some(1_500),
            greeting: Some("sorry".to_owned()),
            message: Some(false),
            ..RuleGiven::default()
        };
        let rule = rule.rule(&[]).unwrap();
        let again = Draft::of(3, &rule).given().unwrap().rule(&[]).unwrap();
        assert_eq!(again, rule);
    }
}
