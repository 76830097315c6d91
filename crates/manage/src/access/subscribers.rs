//! Subscribers: what is stored of them, and what they may change themselves.

use segue_policy::{Language, Subscriber, Weekly, Zone};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{Access, Page, PageAsked, Refusal, Scope};

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
}

/// What is there, also `null`: absent and `null` are two things.
fn said<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// Longest hold and ring, milliseconds.
pub(crate) const MS_MAX: u64 = 86_400_000;

impl SubscriberChange {
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
        for (field, ms) in [("hold_ms", self.hold_ms), ("no_answer_ms", self.no_answer_ms)] {
            if ms.flatten().is_some_and(|ms| ms > MS_MAX) {
                return Err(Refusal::invalid(field, format!("it is {MS_MAX} at most, a day")));
            }
        }
        Ok(())
    }

    fn apply(self, subscriber: &mut Subscriber) {
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
    }
}

impl Access {
    /// Subscribers by name: all for an operator, else themselves.
    pub fn subscribers(&self, page: &PageAsked) -> Result<Page<SubscriberView>, Refusal> {
        self.need(Scope::SettingsRead)?;
        let (limit, after) = (page.limit()?, page.after()?.unwrap_or_default());
        let found: Vec<Subscriber> = match self.own_name() {
            Some(own) if own > after.as_str() => vec![self.store().subscriber(own)?],
            Some(_) => Vec::new(),
            None => {
                let all = self.store().subscribers()?.into_iter();
                all.filter(|subscriber| subscriber.user > after)
                    .take(limit.saturating_add(1))
                    .collect()
            }
        };
        Ok(Page::of(found, limit, |one| one.user.clone(), |one| (&one).into()))
    }

    /// One subscriber.
    pub fn subscriber(&self, user: &str) -> Result<SubscriberView, Refusal> {
        self.need(Scope::SettingsRead)?;
        self.owned_user(user)?;
        Ok((&self.store().subscriber(user)?).into())
    }

    /// Changes a subscriber if they are as `is_as_seen` wants it.
    ///
    /// # Errors
    /// They are not there; a clip is not theirs to use; [`Refusal::Changed`].
    pub fn change_subscriber(
        &self,
        user: &str,
        change: SubscriberChange,
        is_as_seen: impl FnOnce(&SubscriberView) -> bool + Send + 'static,
    ) -> Result<SubscriberView, Refusal> {
        self.need(Scope::SettingsWrite)?;
        self.owned_user(user)?;
        change.check()?;
        if let Some(own) = self.own_name() {
            let clips = [&change.clip, &change.greeting];
            let named = clips.into_iter().filter_map(|clip| clip.as_ref()?.as_deref());
            for clip in named {
                // What others have recorded is theirs.
                if !self.store().may_use_clip(own, clip)? {
                    return Err(Refusal::not_found("clip", clip));
                }
            }
        }
        let acting = self.acting("subscriber.set", user, Some(user));
        let changed = acting.change_subscriber_if(
            user,
            move |now| is_as_seen(&now.into()),
            move |subscriber| change.apply(subscriber),
        )?;
        changed.as_ref().map(SubscriberView::from).ok_or(Refusal::Changed)
    }
}
