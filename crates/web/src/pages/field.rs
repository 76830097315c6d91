//! Fields of forms: what is wrong with one is said beside it, and what was typed stays.

use maud::{Markup, html};
use segue_manage::Refusal;

/// What is wrong with what was typed.
pub(in crate::pages) struct Wrong {
    /// The form.
    pub(in crate::pages) form: &'static str,
    /// Its field; empty where it is none's alone.
    pub(in crate::pages) field: &'static str,
    /// Why, and what would do.
    pub(in crate::pages) why: String,
}

impl Wrong {
    /// As it was refused.
    pub(in crate::pages) fn of(form: &'static str, refusal: &Refusal) -> Wrong {
        match refusal {
            Refusal::Invalid { field, why } => Wrong {
                form,
                field,
                why: why.clone(),
            },
            other => Wrong {
                form,
                field: "",
                why: match other {
                    Refusal::Changed => "It has been changed meanwhile. This is how it is now; try again.".to_owned(),
                    other => other.to_string(),
                },
            },
        }
    }
}

/// The fields of one form.
pub(in crate::pages) struct Fields<'a> {
    pub(in crate::pages) form: &'static str,
    pub(in crate::pages) wrong: Option<&'a Wrong>,
}

impl<'a> Fields<'a> {
    pub(in crate::pages) fn new(form: &'static str, wrong: Option<&'a Wrong>) -> Fields<'a> {
        Fields {
            form,
            wrong: wrong.filter(|wrong| wrong.form == form),
        }
    }

    pub(in crate::pages) fn id(&self, name: &str) -> String {
        format!("{}-{name}", self.form)
    }

    fn wrong(&self, name: &str) -> Option<&'a Wrong> {
        self.wrong.filter(|wrong| wrong.field == name)
    }

    /// What is said beside a field.
    pub(in crate::pages) fn said(&self, name: &str) -> Markup {
        html! {
            @if let Some(wrong) = self.wrong(name) {
                p.wrong id=(format!("{}-wrong", self.id(name))) role="alert" { (wrong.why) }
            }
        }
    }

    /// What is wrong with the whole, or with what is none of these fields.
    pub(in crate::pages) fn whole(&self, fields: &[&str]) -> Markup {
        let wrong = self.wrong.filter(|wrong| !fields.contains(&wrong.field));
        html! { @if let Some(wrong) = wrong { p.wrong role="alert" { (wrong.why) } } }
    }

    /// A line of text; `empty` is what it means when it is empty, `list` a list of what could stand there.
    pub(in crate::pages) fn text(
        &self,
        (name, label): (&str, &str),
        value: &str,
        empty: &str,
        list: Option<&str>,
    ) -> Markup {
        let (id, wrong) = (self.id(name), self.wrong(name));
        html! {
            div.field {
                label for=(id) { (label) }
                input id=(id) name=(name) value=(value) placeholder=(empty) list=[list] autocomplete="off"
                    aria-invalid=[wrong.map(|_| "true")] aria-describedby=[wrong.map(|_| format!("{id}-wrong"))]
                    autofocus[wrong.is_some()];
                (self.said(name))
            }
        }
    }

    /// One of several: value and words.
    pub(in crate::pages) fn choice(
        &self,
        (name, label): (&str, &str),
        value: &str,
        all: &[(String, String)],
    ) -> Markup {
        let (id, wrong) = (self.id(name), self.wrong(name));
        let is_known = all.iter().any(|(one, _)| one == value);
        html! {
            div.field {
                label for=(id) { (label) }
                select id=(id) name=(name)
                    aria-invalid=[wrong.map(|_| "true")] aria-describedby=[wrong.map(|_| format!("{id}-wrong"))]
                    autofocus[wrong.is_some()] {
                    @for (one, words) in all { option value=(one) selected[one == value] { (words) } }
                    @if !is_known { option value=(value) selected { (value) } }
                }
                (self.said(name))
            }
        }
    }
}

/// What forms say, by name.
pub(in crate::pages) type Pairs = Vec<(String, String)>;

/// The first value of this name; empty if there is none.
pub(in crate::pages) fn one<'a>(pairs: &'a Pairs, name: &str) -> &'a str {
    let found = pairs.iter().find(|(said, _)| said == name);
    found.map_or("", |(_, value)| value.trim())
}

/// The values of a list in one field.
pub(in crate::pages) fn listed(text: &str, between: char) -> Vec<String> {
    let parts = text.split(between).map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}
