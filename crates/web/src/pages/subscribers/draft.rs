//! A subscriber as they are typed: what the form shows of one, and the change that it asks for.

use segue_mailbox::Limit;
use segue_manage::{NotifyGiven, Refusal, SubscriberChange, SubscriberView, lasting};
use segue_policy::{AccountCaps, Weekly, Zone};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    pages::{
        field::{Pairs, listed, one},
        settings::age,
    },
    seen::tag_of,
};

/// What is neither shown nor typed again.
const SECRET: [&str; 2] = ["password", "pin"];

/// The fields by name.
#[derive(Default)]
pub(super) struct Draft(Pairs);

impl Draft {
    /// To change this one.
    pub fn of(view: &SubscriberView) -> Draft {
        let (caps, notify) = (member(&view.0, "caps"), member(&view.0, "notify"));
        let mut pairs: Pairs = vec![("seen".to_owned(), tag_of(view))];
        let mut put = |name: &str, value: String| pairs.push((name.to_owned(), value));
        for name in [
            "user",
            "ring",
            "target_by",
            "clip",
            "hold_on",
            "greeting",
            "answer_at",
            "language",
            "time_zone",
        ] {
            put(name, text(view, name));
        }
        for name in ["targets", "numbers", "aliases"] {
            put(name, all(view, name, ", "));
        }
        // Days of hours have commas between them.
        put("hours", all(view, "hours", "; "));
        for (name, of) in [
            ("hold", "hold_ms"),
            ("no_answer", "no_answer_ms"),
            ("ring_each", "ring_ms"),
        ] {
            put(name, member(&view.0, of).as_u64().map(lasting).unwrap_or_default());
        }
        let menu = member(&view.0, "menu").as_bool();
        put("menu", menu.map_or("", |on| if on { "on" } else { "off" }).to_owned());
        for name in ["calls_at_once", "calls_per_minute", "minutes_per_day", "busy_at"] {
            let cap = member(caps, name).as_u64();
            put(name, cap.map(|cap| cap.to_string()).unwrap_or_default());
        }
        for name in ["mail", "attach", "webhook", "message_to", "language"] {
            let said = member(notify, name).as_str().unwrap_or_default();
            put(told_by(name), said.to_owned());
        }
        for name in ["by", "on"] {
            for word in member(notify, name).as_array().into_iter().flatten() {
                put(name, word.as_str().unwrap_or_default().to_owned());
            }
        }
        Draft(pairs)
    }

    /// What a form says.
    pub fn typed(form: &Pairs) -> Draft {
        let kept = form.iter().filter(|(name, _)| !SECRET.contains(&name.as_str()));
        Draft(kept.cloned().collect())
    }

    /// The value of a field.
    pub fn text(&self, name: &str) -> &str {
        one(&self.0, name)
    }

    /// Whether this box of that name is ticked.
    pub fn is_ticked(&self, name: &str, word: &str) -> bool {
        self.0.iter().any(|(said, value)| said == name && value == word)
    }

    /// They are there already, and known by this; empty: they are new.
    pub fn seen(&self) -> &str {
        self.text("seen")
    }

    /// What is asked for. Error: [`Refusal::Invalid`] with the field of the form.
    pub fn change(&self) -> Result<SubscriberChange, Refusal> {
        let some = |name: &str| Some(self.text(name)).filter(|text| !text.is_empty()).map(str::to_owned);
        let targets = listed(self.text("targets"), ',');
        let is_new = self.seen().is_empty();
        let hours = listed(self.text("hours"), ';').into_iter().map(Weekly::try_from);
        let hours = hours.collect::<Result<Vec<_>, _>>();
        let zone = some("time_zone").map(Zone::try_from).transpose();
        Ok(SubscriberChange {
            // On and off by who is called themselves, on their settings.
            dnd: None,
            hours: Some(hours.map_err(|wrong| invalid("hours", wrong.to_string()))?),
            time_zone: Some(
                zone.map_err(|wrong| invalid("time_zone", wrong.to_string()))?
                    .unwrap_or_default(),
            ),
            menu: Some(match self.text("menu") {
                "" => None,
                "on" => Some(true),
                "off" => Some(false),
                _ => return Err(no_such("menu")),
            }),
            language: Some(self.word("language")?),
            hold_ms: Some(self.time("hold")?),
            no_answer_ms: Some(self.time("no_answer")?),
            clip: Some(some("clip")),
            greeting: Some(some("greeting")),
            ring: Some(self.word("ring")?.unwrap_or_default()),
            ring_ms: Some(self.time("ring_each")?),
            hold_on: Some(self.word("hold_on")?.unwrap_or_default()),
            answer_at: Some(self.word("answer_at")?),
            // A new one without any is reached wherever their phones are registered.
            targets: (!is_new || !targets.is_empty()).then_some(targets),
            numbers: Some(listed(self.text("numbers"), ',')),
            aliases: Some(listed(self.text("aliases"), ',')),
            target_by: Some(self.word("target_by")?.unwrap_or_default()),
            notify: Some(self.notify().notify().map_err(of_notify)?.into()),
            caps: Some(
                AccountCaps {
                    calls_at_once: self.cap("calls_at_once")?,
                    calls_per_minute: self.cap("calls_per_minute")?,
                    minutes_per_day: self.cap("minutes_per_day")?,
                    busy_at: self.cap("busy_at")?,
                }
                .into(),
            ),
        })
    }

    fn notify(&self) -> NotifyGiven {
        let ticked = |name: &str| -> Vec<String> {
            let all = self.0.iter().filter(|(said, _)| said == name);
            all.map(|(_, word)| word.clone()).collect()
        };
        let on = ticked("on");
        // What is empty is none, by the one place that reads them all.
        let text = |name: &str| Some(self.text(told_by(name)).to_owned());
        NotifyGiven {
            by: ticked("by"),
            on: (!on.is_empty()).then_some(on),
            mail: text("mail"),
            attach: text("attach"),
            webhook: text("webhook"),
            message_to: text("message_to"),
            language: text("language"),
        }
    }

    /// One of several words; empty: none.
    fn word<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>, Refusal> {
        match self.text(name) {
            "" => Ok(None),
            word => serde_json::from_value(word.into()).map(Some).map_err(|_| no_such(name)),
        }
    }

    fn time(&self, name: &'static str) -> Result<Option<u64>, Refusal> {
        match age(name, self.text(name)) {
            Ok(Limit::At(ms)) => Ok(Some(ms)),
            Ok(_) => Ok(None),
            Err(_) => Err(invalid(
                name,
                "a number and s is needed, e.g. 8s, or nothing for the usual time",
            )),
        }
    }

    fn cap(&self, name: &'static str) -> Result<Option<u32>, Refusal> {
        match self.text(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                invalid(
                    name,
                    "a whole number is needed, 0 for no limit, or nothing for as the profile says",
                )
            }),
        }
    }
}

/// What is refused, by the field of the form that says it.
pub(super) fn of_field(refusal: Refusal) -> Refusal {
    named(refusal, |field| match field {
        "hold_ms" => "hold",
        "no_answer_ms" => "no_answer",
        "ring_ms" => "ring_each",
        other => other,
    })
}

fn of_notify(refusal: Refusal) -> Refusal {
    named(refusal, told_by)
}

fn named(refusal: Refusal, name: impl Fn(&'static str) -> &'static str) -> Refusal {
    match refusal {
        Refusal::Invalid { field, why } => invalid(name(field), why),
        other => other,
    }
}

/// The field of a member of `notify`: they have a language of their own.
fn told_by(member: &str) -> &str {
    match member {
        "language" => "told_language",
        other => other,
    }
}

/// What a subscriber's member says, where it is text.
pub(super) fn text(view: &SubscriberView, name: &str) -> String {
    member(&view.0, name).as_str().unwrap_or_default().to_owned()
}

/// The same of a list.
pub(super) fn all(view: &SubscriberView, name: &str, between: &str) -> String {
    let all = member(&view.0, name).as_array().into_iter().flatten();
    all.filter_map(Value::as_str).collect::<Vec<_>>().join(between)
}

fn member<'a>(of: &'a Value, name: &str) -> &'a Value {
    of.get(name).unwrap_or(&Value::Null)
}

fn no_such(field: &'static str) -> Refusal {
    invalid(field, "there is no such choice")
}

fn invalid(field: &'static str, why: impl Into<String>) -> Refusal {
    Refusal::Invalid { field, why: why.into() }
}
