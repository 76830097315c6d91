//! Subscribers: what is stored of them, and what they may change themselves.

use segue_policy::{
    ALIASES_MAX, AccountCaps, AnswerAt, HoldOn, Language, NUMBERS_MAX, Notify, Profile, Ring, Subscriber, TargetBy,
    Weekly, Zone,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    Access, Page, PageAsked, Refusal, Scope,
    access::{notify, strict::Strict, targets},
    written,
};

/// A subscriber as programs see them (docs/cli.md).
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct SubscriberView(pub Value);

impl From<&Subscriber> for SubscriberView {
    fn from(subscriber: &Subscriber) -> SubscriberView {
        SubscriberView(serde_json::json!({
            "user": subscriber.user,
            "targets": subscriber.targets,
            "numbers": subscriber.numbers,
            "aliases": subscriber.aliases,
            "target_by": subscriber.target_by,
            "ring": subscriber.ring,
            "ring_ms": subscriber.ring_ms,
            "clip": subscriber.clip,
            "hold_on": subscriber.hold_on,
            "hold_ms": subscriber.hold_ms,
            "no_answer_ms": subscriber.no_answer_ms,
            "greeting": subscriber.greeting,
            "answer_at": subscriber.answer_at,
            "menu": subscriber.menu,
            "language": subscriber.language,
            "dnd": subscriber.dnd,
            "hours": subscriber.hours,
            "time_zone": subscriber.zone,
            "notify": subscriber.notify,
            "caps": subscriber.caps,
        }))
    }
}

/// What is to be changed of a subscriber; what is absent stays, `null` is the default.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriberChange {
    /// They want not to be disturbed.
    pub dnd: Option<bool>,
    /// When they may be called; empty: at all hours.
    #[schema(value_type = Option<Vec<Object>>)]
    pub hours: Option<Vec<Weekly>>,
    /// Their clock, e.g. `Europe/Berlin`.
    #[schema(value_type = Option<String>)]
    pub time_zone: Option<Zone>,
    /// Their callers choose what they leave; `null`: as the profile says.
    #[serde(default, deserialize_with = "said")]
    pub menu: Option<Option<bool>>,
    /// In which language they are spoken to; `null`: the profile's.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<String>)]
    pub language: Option<Option<Language>>,
    /// How long callers are held, milliseconds; `null`: the profile's.
    #[serde(default, deserialize_with = "said")]
    pub hold_ms: Option<Option<u64>>,
    /// How long they ring, milliseconds; `null`: the profile's.
    #[serde(default, deserialize_with = "said")]
    pub no_answer_ms: Option<Option<u64>>,
    /// The clip that callers see; `null`: none.
    #[serde(default, deserialize_with = "said")]
    pub clip: Option<Option<String>>,
    /// The clip that is their greeting; `null`: none.
    #[serde(default, deserialize_with = "said")]
    pub greeting: Option<Option<String>>,
    /// How several targets ring: `together` or `in-order`.
    #[schema(value_type = Option<String>)]
    pub ring: Option<Ring>,
    /// How long each rings in order, 1000 to 170000 milliseconds; `null`: 15 s.
    #[serde(default, deserialize_with = "said")]
    pub ring_ms: Option<Option<u64>>,
    /// What callers are held on: `clip` or `greeting`.
    #[schema(value_type = Option<String>)]
    pub hold_on: Option<HoldOn>,
    /// When callers of the mailbox are answered: `greeting` or `after_greeting`; `null`: as the profile says.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<String>)]
    pub answer_at: Option<Option<AnswerAt>>,
    /// Where they are reached, all places in their order. A subscriber adds none but those that `destinations` admit (docs/rules.md).
    pub targets: Option<Vec<String>>,
    /// Their numbers, all of them, also as they are dialled. For operators, as all that follows.
    pub numbers: Option<Vec<String>>,
    /// Other addresses of theirs, all of them.
    pub aliases: Option<Vec<String>>,
    /// By what their targets are reached: `host` or `next-hop`.
    #[schema(value_type = Option<String>)]
    pub target_by: Option<TargetBy>,
    /// What they are told of, and how.
    #[schema(value_type = Option<Object>)]
    pub notify: Option<Strict<Notify>>,
    /// How much they may call.
    #[schema(value_type = Option<Object>)]
    pub caps: Option<Strict<AccountCaps>>,
}

/// What is there, also `null`: absent and `null` are two things.
fn said<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// Longest hold and ring, milliseconds.
pub(crate) const MS_MAX: u64 = 86_400_000;

impl SubscriberChange {
    /// The first of what it names that operators alone may change.
    fn is_operators(&self) -> Option<&'static str> {
        [
            ("numbers", self.numbers.is_some()),
            ("aliases", self.aliases.is_some()),
            ("target_by", self.target_by.is_some()),
            ("notify", self.notify.is_some()),
            ("caps", self.caps.is_some()),
        ]
        .into_iter()
        .find_map(|(name, is_named)| is_named.then_some(name))
    }

    /// With numbers and aliases in the form in which they are looked up. Error: [`Refusal::Invalid`] with the field.
    pub(crate) fn read(mut self, profiles: &[Profile]) -> Result<SubscriberChange, Refusal> {
        self.check()?;
        let number = |text: &String| written::number(text, profiles);
        let alias = |text: &String| written::alias(text, profiles);
        self.numbers = self
            .numbers
            .map(|all| each("numbers", &all, NUMBERS_MAX, number))
            .transpose()?;
        self.aliases = self
            .aliases
            .map(|all| each("aliases", &all, ALIASES_MAX, alias))
            .transpose()?;
        if let Some(targets) = &self.targets {
            targets::check(targets)?;
        }
        if let Some(notify) = &self.notify {
            notify.check("notify")?;
            notify::check(&notify.value).map_err(|refusal| match refusal {
                Refusal::Invalid { field, why } => Refusal::invalid("notify", format!("{field}: {why}")),
                other => other,
            })?;
        }
        if let Some(caps) = &self.caps {
            caps.check("caps")?;
        }
        Ok(self)
    }

    fn check(&self) -> Result<(), Refusal> {
        if self
            .hours
            .as_ref()
            .is_some_and(|hours| hours.len() > segue_policy::HOURS_MAX)
        {
            return Err(Refusal::invalid(
                "hours",
                format!("there are {} at most", segue_policy::HOURS_MAX),
            ));
        }
        if self
            .ring_ms
            .flatten()
            .is_some_and(|ms| !(1_000..=170_000).contains(&ms))
        {
            return Err(Refusal::invalid("ring_ms", "a target rings for 1000 to 170000"));
        }
        for (field, ms) in [("hold_ms", self.hold_ms), ("no_answer_ms", self.no_answer_ms)] {
            if ms.flatten().is_some_and(|ms| ms > MS_MAX) {
                return Err(Refusal::invalid(field, format!("it is {MS_MAX} at most, a day")));
            }
        }
        Ok(())
    }

    /// `own`: by themselves.
    pub(crate) fn apply(self, subscriber: &mut Subscriber, own: bool) {
        fn set<T>(to: &mut T, new: Option<T>) {
            if let Some(new) = new {
                *to = new;
            }
        }
        set(&mut subscriber.dnd, self.dnd);
        set(&mut subscriber.hours, self.hours);
        set(&mut subscriber.zone, self.time_zone);
        set(&mut subscriber.menu, self.menu);
        set(&mut subscriber.language, self.language);
        set(&mut subscriber.hold_ms, self.hold_ms);
        set(&mut subscriber.no_answer_ms, self.no_answer_ms);
        set(&mut subscriber.clip, self.clip);
        set(&mut subscriber.greeting, self.greeting);
        set(&mut subscriber.ring, self.ring);
        set(&mut subscriber.ring_ms, self.ring_ms);
        set(&mut subscriber.hold_on, self.hold_on);
        set(&mut subscriber.answer_at, self.answer_at);
        if let Some(all) = self.targets {
            targets::set(subscriber, all, own);
        }
        set(&mut subscriber.numbers, self.numbers);
        set(&mut subscriber.aliases, self.aliases);
        set(&mut subscriber.target_by, self.target_by);
        set(&mut subscriber.notify, self.notify.map(|notify| notify.value));
        set(&mut subscriber.caps, self.caps.map(|caps| caps.value));
    }
}

/// Each once, in the form in which it is looked up.
fn each(
    field: &'static str,
    all: &[String],
    max: usize,
    read: impl Fn(&String) -> Result<String, String>,
) -> Result<Vec<String>, Refusal> {
    let read: Result<Vec<String>, String> = all.iter().map(read).collect();
    let mut read = read.map_err(|why| Refusal::invalid(field, why))?;
    read.sort();
    read.dedup();
    match read.len() {
        count if count > max => {
            let why = format!("a subscriber has at most {max}, not {count}");
            Err(Refusal::invalid(field, why))
        }
        _ => Ok(read),
    }
}

impl Access {
    /// Subscribers by name: all for an operator, else themselves.
    pub fn subscribers(&self, page: &PageAsked) -> Result<Page<SubscriberView>, Refusal> {
        self.find_subscribers("", page)
    }

    /// The same of those whose name, number or alias has this in it, in whatever case.
    pub fn find_subscribers(&self, text: &str, page: &PageAsked) -> Result<Page<SubscriberView>, Refusal> {
        self.need(Scope::SettingsRead)?;
        let (limit, after) = (page.limit()?, page.after()?.unwrap_or_default());
        let found: Vec<Subscriber> = match self.own_name() {
            Some(own) if own > after.as_str() => vec![self.store().subscriber(own)?],
            Some(_) => Vec::new(),
            None => self
                .store()
                .find_subscribers(text.trim(), &after, limit.saturating_add(1))?,
        };
        Ok(Page::of(found, limit, |one| one.user.clone(), |one| (&one).into()))
    }

    /// All subscribers as they are stored, by name; a subscriber sees themselves.
    pub fn stored_subscribers(&self) -> Result<Vec<Subscriber>, Refusal> {
        self.need(Scope::SettingsRead)?;
        match self.own_name() {
            Some(own) => Ok(vec![self.store().subscriber(own)?]),
            None => Ok(self.store().subscribers()?),
        }
    }

    /// One subscriber as they are stored.
    pub fn stored_subscriber(&self, user: &str) -> Result<Subscriber, Refusal> {
        self.need(Scope::SettingsRead)?;
        self.owned_user(user)?;
        Ok(self.store().subscriber(user)?)
    }

    /// One subscriber.
    pub fn subscriber(&self, user: &str) -> Result<SubscriberView, Refusal> {
        Ok((&self.stored_subscriber(user)?).into())
    }

    /// Changes a subscriber if they are as `is_as_seen` wants it; numbers by the first profile that knows them.
    ///
    /// # Errors
    /// They are not there; [`Refusal::Invalid`] with the field; a clip is not theirs to use; what is an operator's; [`Refusal::Changed`].
    pub fn change_subscriber(
        &self,
        user: &str,
        change: SubscriberChange,
        profiles: &[Profile],
        is_as_seen: impl FnOnce(&SubscriberView) -> bool + Send + 'static,
    ) -> Result<SubscriberView, Refusal> {
        self.may_change_settings(user)?;
        let change = change.read(profiles)?;
        self.may_have_clips(user, &change, None)?;
        let own = self.own_name().is_some();
        let mut of_targets = None;
        if own {
            if let Some(field) = change.is_operators() {
                return Err(Refusal::Forbidden {
                    why: format!("{field} of a subscriber are for operators"),
                    fix: "ask one".to_owned(),
                });
            }
            if let Some(targets) = &change.targets {
                let before = self.store().subscriber(user)?;
                targets::may_have(&before, targets, profiles)?;
                of_targets = Some(before.targets);
            }
        }
        let acting = self.acting("subscriber.set", user, Some(user));
        let changed = acting.change_subscriber_if(
            user,
            move |now| of_targets.is_none_or(|seen| seen == now.targets) && is_as_seen(&now.into()),
            move |subscriber| change.apply(subscriber, own),
        )?;
        changed.as_ref().map(SubscriberView::from).ok_or(Refusal::Changed)
    }
}
