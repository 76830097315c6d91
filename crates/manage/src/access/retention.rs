//! How long messages are kept: a mailbox's rules, what they will do, and what they have done.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::digest;
use segue_mailbox::{Limit, OwnRules, Rule, Scope as Counted};
use segue_records::UnixMs;
use segue_store::{AuditRow, Fate, Foreseen, Rules};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::Value;
use utoipa::{PartialSchema, ToSchema};

use crate::{Access, Refusal, Scope};

/// The rules that hold for a mailbox; `null`: no limit.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RetentionView {
    /// Whose.
    pub user: String,
    /// Heard messages; past it the oldest heard goes.
    pub heard_max: Option<u32>,
    /// How long after its hearing a message goes.
    pub heard_age_ms: Option<u64>,
    /// Unheard messages; at it the mailbox is full.
    pub unheard_max: Option<u32>,
    /// How old an unheard message goes.
    pub unheard_age_ms: Option<u64>,
    /// Bytes of all.
    pub max_bytes: Option<u64>,
    /// Playing time of all.
    pub max_seconds: Option<u64>,
    /// What is counted together: `mailbox` or `conversation`.
    pub scope: String,
    /// How long a deleted message can be had back.
    pub trash_ms: u64,
    /// Which of these the mailbox has set itself.
    pub own: Vec<&'static str>,
}

impl RetentionView {
    /// Of a mailbox.
    pub fn new(user: &str, rules: &Rules) -> RetentionView {
        let Rules { own, effective } = rules;
        RetentionView {
            user: user.to_owned(),
            heard_max: effective.heard_max,
            heard_age_ms: effective.heard_age_ms,
            unheard_max: effective.unheard_max,
            unheard_age_ms: effective.unheard_age_ms,
            max_bytes: effective.max_bytes,
            max_seconds: effective.max_seconds,
            scope: effective.scope.name().to_owned(),
            trash_ms: effective.trash_ms,
            own: own_names(own),
        }
    }
}

fn own_names(own: &OwnRules) -> Vec<&'static str> {
    [
        ("heard_max", own.heard_max != Limit::Default),
        ("heard_age_ms", own.heard_age_ms != Limit::Default),
        ("unheard_max", own.unheard_max != Limit::Default),
        ("unheard_age_ms", own.unheard_age_ms != Limit::Default),
        ("max_bytes", own.max_bytes != Limit::Default),
        ("max_seconds", own.max_seconds != Limit::Default),
        ("scope", own.scope.is_some()),
        ("trash_ms", own.trash_ms.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, is_own)| is_own.then_some(name))
    .collect()
}

/// A limit as it is to be: a number, `null` for none, `"default"` for what the configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<T>(pub Limit<T>);

impl<'de, T: TryFrom<u64>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Change<T>, D::Error> {
        let wrong = || D::Error::custom("a whole number, null for no limit, or \"default\" is needed");
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(Change(Limit::Off)),
            Value::String(word) if word == "default" => Ok(Change(Limit::Default)),
            Value::Number(number) => {
                let number = number.as_u64().and_then(|number| T::try_from(number).ok());
                number.map(|number| Change(Limit::At(number))).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }
}

impl<T> PartialSchema for Change<T> {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        Value::schema()
    }
}

impl<T> ToSchema for Change<T> {}

/// What is to be changed of a mailbox's rules; what is absent stays. Each limit is a number, `null` for none, or `"default"`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionChange {
    /// Heard messages.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<Value>)]
    pub heard_max: Option<Change<u32>>,
    /// Age after hearing, milliseconds.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<Value>)]
    pub heard_age_ms: Option<Change<u64>>,
    /// Unheard messages.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<Value>)]
    pub unheard_max: Option<Change<u32>>,
    /// Age of unheard ones, milliseconds.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<Value>)]
    pub unheard_age_ms: Option<Change<u64>>,
    /// Bytes of all.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<Value>)]
    pub max_bytes: Option<Change<u64>>,
    /// Playing time of all.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<Value>)]
    pub max_seconds: Option<Change<u64>>,
    /// `mailbox`, `conversation` or `default`.
    pub scope: Option<String>,
    /// How long the trash keeps, milliseconds; 0: nothing.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<Value>)]
    pub trash_ms: Option<Change<u64>>,
    /// `seen` of a preview of this change: it is made if the same messages go at once by it, else 412.
    pub seen: Option<String>,
}

fn said<'de, T: TryFrom<u64>, D: Deserializer<'de>>(value: D) -> Result<Option<Change<T>>, D::Error> {
    Change::deserialize(value).map(Some)
}

/// Longest age, milliseconds: a hundred years.
const AGE_MS_MAX: u64 = 3_155_760_000_000;

impl RetentionChange {
    /// What it does to a mailbox's own rules.
    fn checked(self) -> Result<impl FnOnce(&mut OwnRules) + Send + 'static, Refusal> {
        let scope = match self.scope.as_deref() {
            None => None,
            Some("default") => Some(None),
            Some(name) => Some(Some(Counted::from_name(name).ok_or_else(|| {
                Refusal::invalid("scope", "'mailbox', 'conversation' or 'default' is needed")
            })?)),
        };
        for (field, age) in [
            ("heard_age_ms", self.heard_age_ms),
            ("unheard_age_ms", self.unheard_age_ms),
            ("trash_ms", self.trash_ms),
        ] {
            if let Some(Change(Limit::At(ms))) = age
                && ms > AGE_MS_MAX
            {
                return Err(Refusal::invalid(
                    field,
                    format!("it is {AGE_MS_MAX} at most, a hundred years"),
                ));
            }
        }
        let trash = match self.trash_ms {
            None => None,
            Some(Change(Limit::Default)) => Some(None),
            Some(Change(Limit::At(ms))) => Some(Some(ms)),
            Some(Change(Limit::Off)) => {
                return Err(Refusal::invalid("trash_ms", "a time is needed, 0 for no trash"));
            }
        };
        Ok(move |own: &mut OwnRules| {
            fn set<T: Copy>(limit: &mut Limit<T>, new: Option<Change<T>>) {
                if let Some(Change(new)) = new {
                    *limit = new;
                }
            }
            set(&mut own.heard_max, self.heard_max);
            set(&mut own.heard_age_ms, self.heard_age_ms);
            set(&mut own.unheard_max, self.unheard_max);
            set(&mut own.unheard_age_ms, self.unheard_age_ms);
            set(&mut own.max_bytes, self.max_bytes);
            set(&mut own.max_seconds, self.max_seconds);
            if let Some(scope) = scope {
                own.scope = scope;
            }
            if let Some(trash) = trash {
                own.trash_ms = trash;
            }
        })
    }
}

/// The rules after a change, and what they did at once.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RetentionChanged {
    /// The rules now.
    #[serde(flatten)]
    pub rules: RetentionView,
    /// Messages that went, in order.
    pub evicted: Vec<String>,
    /// Messages whose owner has been warned.
    pub warned: Vec<String>,
}

/// What a run of the rules did.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RetentionRun {
    /// For which moment, RFC 3339.
    pub at: String,
    /// Messages that went, in order.
    pub evicted: Vec<String>,
    /// Messages freed from the trash.
    pub freed: Vec<String>,
    /// Messages whose owner has been warned.
    pub warned: Vec<String>,
}

/// What is to come for one message.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ForeseenView {
    /// The message.
    pub id: String,
    /// `deleted`, `freed` or `warned` now; `later`; `kept`; `pinned`.
    pub fate: &'static str,
    /// By which rule.
    pub rule: Option<&'static str>,
    /// When, RFC 3339.
    pub at: Option<String>,
    /// What the rule allows.
    pub allowed: Option<u64>,
    /// What there is.
    pub found: Option<u64>,
}

impl From<&Foreseen> for ForeseenView {
    fn from(foreseen: &Foreseen) -> ForeseenView {
        let (fate, rule, at_ms, measure) = match &foreseen.fate {
            Fate::Deleted(deletion) => ("deleted", Some(deletion.rule), None, Some(deletion)),
            Fate::Freed(deletion) => ("freed", Some(deletion.rule), None, Some(deletion)),
            Fate::Warned => ("warned", Some(Rule::UnheardAge), None, None),
            Fate::Later { at_ms, rule } => ("later", Some(*rule), Some(*at_ms), None),
            Fate::Kept => ("kept", None, None, None),
            Fate::Pinned => ("pinned", None, None, None),
        };
        ForeseenView {
            id: foreseen.id.clone(),
            fate,
            rule: rule.map(Rule::name),
            at: at_ms.map(|at| UnixMs(at).rfc3339()),
            allowed: measure.map(|deletion| deletion.allowed),
            found: measure.map(|deletion| deletion.found),
        }
    }
}

/// What a change of rules would do.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ChangeForeseen {
    /// Messages that would go at once.
    pub going: usize,
    /// Says which those are; the change takes it as `seen`.
    pub seen: String,
    /// What would be to come for each message.
    pub messages: Vec<ForeseenView>,
}

/// The same for the same messages, in whatever order.
fn tag_of<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let ids: std::collections::BTreeSet<&str> = ids.collect();
    let mut digest = digest::Context::new(&digest::SHA256);
    for id in ids {
        digest.update(id.as_bytes());
        digest.update(b"\n");
    }
    let digest = digest.finish();
    URL_SAFE_NO_PAD.encode(digest.as_ref().get(..15).unwrap_or_default())
}

/// One automatic deletion.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AuditView {
    /// When, RFC 3339.
    pub at: String,
    /// Whose mailbox.
    pub mailbox: String,
    /// Whose messages were counted together; `null`: all.
    pub conversation: Option<String>,
    /// The message.
    pub message: String,
    /// The rule.
    pub rule: String,
    /// What it allows.
    pub allowed: u64,
    /// What was found.
    pub found: u64,
    /// When the message was received.
    pub received_at: String,
    /// When it was heard.
    pub heard_at: Option<String>,
    /// When its owner was warned.
    pub warned_at: Option<String>,
    /// When it had gone to the trash.
    pub deleted_at: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// Its length.
    pub duration_ms: u64,
}

impl From<&AuditRow> for AuditView {
    fn from(row: &AuditRow) -> AuditView {
        let moment = |at: Option<i64>| at.map(|at| UnixMs(at).rfc3339());
        AuditView {
            at: UnixMs(row.at_ms).rfc3339(),
            mailbox: row.mailbox.clone(),
            conversation: row.conversation.clone(),
            message: row.message.clone(),
            rule: row.rule.clone(),
            allowed: row.allowed,
            found: row.found,
            received_at: UnixMs(row.received_at_ms).rfc3339(),
            heard_at: moment(row.heard_at_ms),
            warned_at: moment(row.warned_at_ms),
            deleted_at: moment(row.deleted_at_ms),
            bytes: row.bytes,
            duration_ms: row.duration_ms,
        }
    }
}

impl Access {
    /// The rules of a mailbox.
    pub fn retention(&self, user: &str) -> Result<RetentionView, Refusal> {
        self.need(Scope::SettingsRead)?;
        self.owned_user(user)?;
        Ok(RetentionView::new(user, &self.store().retention(user)?))
    }

    /// Changes them if they are as `is_as_seen` wants them when they are changed; they act at once. By what messages go sooner, only who may
    /// delete messages changes them.
    ///
    /// # Errors
    /// [`Refusal::Changed`], also when other messages would go at once than were seen to ([`RetentionChange::seen`]).
    pub fn set_retention(
        &self,
        user: &str,
        change: RetentionChange,
        is_as_seen: impl FnOnce(&RetentionView) -> bool + Send + 'static,
    ) -> Result<RetentionChanged, Refusal> {
        self.may_change_settings(user)?;
        let (seen, name) = (change.seen.clone(), user.to_owned());
        let before = self.may_only_lengthen(user, &change)?;
        let change = change.checked()?;
        let acting = self.acting("retention.set", user, Some(user));
        let changed = acting.set_retention_if(
            user,
            self.now_ms(),
            move |now| before.is_none_or(|before| before == *now) && is_as_seen(&RetentionView::new(&name, now)),
            change,
            move |going| seen.is_none_or(|seen| seen == tag_of(going.iter().map(String::as_str))),
        )?;
        Ok(RetentionChanged {
            rules: RetentionView::new(user, &changed.rules),
            evicted: changed.evicted,
            warned: changed.warned,
        })
    }

    /// For who may not delete messages: the rules that the change was held against. `None`: they may do either.
    fn may_only_lengthen(&self, user: &str, change: &RetentionChange) -> Result<Option<Rules>, Refusal> {
        let Err(refusal) = self.need(Scope::MessagesWrite) else {
            return Ok(None);
        };
        let before = self.store().retention(user)?;
        let mut own = before.own;
        change.clone().checked()?(&mut own);
        match own
            .over(self.store().retention_defaults())
            .deletes_more_than(&before.effective)
        {
            true => Err(refusal),
            false => Ok(Some(before)),
        }
    }

    /// Applies the rules now, or for an operator as if it were another moment (Unix milliseconds): to one mailbox, or to all of them. The
    /// server does so every minute by a clock that it watches; whoever calls this vouches for theirs, so that the API has it not.
    ///
    /// # Errors
    /// As [`Access::foresee_change_at`]; a subscriber names a moment.
    pub fn run_retention(&self, user: Option<&str>, at_ms: Option<i64>) -> Result<RetentionRun, Refusal> {
        self.need(Scope::MessagesWrite)?;
        let of = self.owner_of_list(user)?;
        if at_ms.is_some() && self.own_name().is_some() {
            return Err(Refusal::Forbidden {
                why: "the moment of a run is for operators to say".to_owned(),
                fix: "leave it out: it is now".to_owned(),
            });
        }
        if let Some(user) = &of {
            self.has_mailbox(user)?;
        }
        let at_ms = at_ms.unwrap_or_else(|| self.now_ms());
        let acting = self.acting("retention.run", of.as_deref().unwrap_or("all"), of.as_deref());
        let report = acting.run_retention(of.as_deref(), at_ms)?;
        Ok(RetentionRun {
            at: UnixMs(at_ms).rfc3339(),
            evicted: report.evicted,
            freed: report.freed,
            warned: report.warned,
        })
    }

    /// What the rules, changed so, would hold for a mailbox's messages at a moment (Unix milliseconds; absent: now). Changes nothing.
    ///
    /// # Errors
    /// There is no such mailbox; [`Refusal::Invalid`] with the field.
    pub fn foresee_change_at(
        &self,
        user: &str,
        change: RetentionChange,
        at_ms: Option<i64>,
    ) -> Result<Vec<ForeseenView>, Refusal> {
        self.need(Scope::SettingsRead)?;
        self.owned_user(user)?;
        self.has_mailbox(user)?;
        let at_ms = at_ms.unwrap_or_else(|| self.now_ms());
        let foreseen = self.store().foresee_retention_with(user, at_ms, change.checked()?)?;
        Ok(foreseen.iter().map(ForeseenView::from).collect())
    }

    /// Messages of a subscriber who was removed stay, and so does what is known of them.
    fn has_mailbox(&self, user: &str) -> Result<(), Refusal> {
        match self.store().subscriber(user) {
            Err(gone)
                if self.store().messages(user)?.is_empty()
                    && self.store().trash(user)?.is_empty()
                    && self.store().newest_retention_audit(user, 1)?.is_empty() =>
            {
                Err(gone.into())
            }
            _ => Ok(()),
        }
    }

    /// What a change would do, and what would then be to come. Changes nothing.
    pub fn foresee_change(&self, user: &str, change: RetentionChange) -> Result<ChangeForeseen, Refusal> {
        let messages = self.foresee_change_at(user, change, None)?;
        let going = || messages.iter().filter(|one| one.fate == "deleted");
        Ok(ChangeForeseen {
            going: going().count(),
            seen: tag_of(going().map(|one| one.id.as_str())),
            messages,
        })
    }

    /// What the rules hold for a mailbox's messages at a moment (Unix milliseconds; absent: now). Changes nothing.
    pub fn foresee_retention(&self, user: &str, at_ms: Option<i64>) -> Result<Vec<ForeseenView>, Refusal> {
        self.foresee_change_at(user, RetentionChange::default(), at_ms)
    }

    /// What goes next of a mailbox's messages, at most `max` of them, the soonest first; and how many go later than those.
    pub fn foresee_next(&self, user: &str, max: usize) -> Result<(Vec<ForeseenView>, usize), Refusal> {
        self.need(Scope::SettingsRead)?;
        self.owned_user(user)?;
        self.store().subscriber(user)?;
        let mut going = self.store().foresee_retention(user, self.now_ms())?;
        going.retain(|one| !matches!(one.fate, Fate::Kept | Fate::Pinned));
        let more = going.len().saturating_sub(max);
        // What goes now has no moment.
        let order = |one: &Foreseen| match one.fate {
            Fate::Later { at_ms, .. } => Some(at_ms),
            _ => None,
        };
        let by_moment = |a: &Foreseen, b: &Foreseen| (order(a), &a.id).cmp(&(order(b), &b.id));
        if more > 0 {
            going.select_nth_unstable_by(max, by_moment);
            going.truncate(max);
        }
        going.sort_unstable_by(by_moment);
        Ok((going.iter().map(ForeseenView::from).collect(), more))
    }

    /// The newest of what the rules have deleted, the newest first.
    pub fn newest_retention_audit(&self, user: &str, max: u32) -> Result<Vec<AuditView>, Refusal> {
        self.need(Scope::SettingsRead)?;
        self.owned_user(user)?;
        let audit = self.store().newest_retention_audit(user, max)?;
        Ok(audit.iter().map(AuditView::from).collect())
    }

    /// What the rules have deleted, oldest first.
    pub fn retention_audit(&self, user: &str) -> Result<Vec<AuditView>, Refusal> {
        self.need(Scope::SettingsRead)?;
        self.owned_user(user)?;
        self.has_mailbox(user)?;
        let audit = self.store().retention_audit(user)?;
        Ok(audit.iter().map(AuditView::from).collect())
    }
}

/// A length of time in its largest whole unit, e.g. `7d`.
pub fn lasting(ms: u64) -> String {
    [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")]
        .into_iter()
        .find(|(unit, _)| ms >= *unit && ms.is_multiple_of(*unit))
        .map_or_else(|| format!("{ms}ms"), |(unit, name)| format!("{}{name}", ms / unit))
}
