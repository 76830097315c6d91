//! Rules: what a subscriber's callers meet (docs/rules.md).

use segue_policy::{ClipChoice, Dates, Outcome, Profile, Rule, RuleError, Then, Weekly, Why};
use segue_store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{Access, Refusal, Scope, access::subscribers::MS_MAX, told, written};

/// A rule as programs see it (docs/rules.md); what is absent is `null`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct RuleView(pub Value);

impl RuleView {
    /// The rule in this place, counted from 1.
    pub fn new(place: usize, rule: &Rule) -> RuleView {
        let outcome = &rule.outcome;
        let (then, forward) = match &outcome.then {
            Some(Then::Forward(uri)) => (json!("forward"), json!(uri)),
            then => (json!(then), Value::Null),
        };
        RuleView(json!({
            "place": place,
            "from": rule.from,
            "why": rule.why,
            "at": rule.at,
            "on": rule.on,
            "then": then,
            "forward": forward,
            "clip": outcome.clip,
            "hold_ms": outcome.hold_ms,
            "greeting": outcome.greeting,
            "message": outcome.message,
        }))
    }

    fn all(rules: &[Rule]) -> Vec<RuleView> {
        (1..)
            .zip(rules)
            .map(|(place, rule)| RuleView::new(place, rule))
            .collect()
    }
}

/// A rule that is to be, as it is read: what is absent, empty or `null` is left open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleGiven {
    /// Its place, 1 for the first; absent: the last, or where it is.
    pub place: Option<usize>,
    /// Who calls, any of these: a group of contacts, `anonymous`, `unknown`, `+4930123456`, `+4930*`, `sip:alice@example.com`,
    /// `sip:*@example.com`.
    #[serde(default)]
    pub from: Vec<String>,
    /// Why, any of these: `dnd`, `out-of-hours`, `offline`, `no-answer`, `busy`, `declined`.
    #[serde(default)]
    pub why: Vec<String>,
    /// At which hours, any of these, e.g. `mon-fri 09:00-17:00`.
    #[serde(default)]
    pub at: Vec<String>,
    /// On which dates, any of these, e.g. `2026-12-24..2027-01-01`.
    #[serde(default)]
    pub on: Vec<String>,
    /// `ring`, `greeting`, `hang-up` or `forward`.
    pub then: Option<String>,
    /// Where to, if it is `forward`.
    pub forward: Option<String>,
    /// The clip that the caller is held on, or `none`.
    pub clip: Option<String>,
    /// For how long, milliseconds.
    pub hold_ms: Option<u64>,
    /// The clip that is the greeting, or `none`.
    pub greeting: Option<String>,
    /// Whether a message may be left.
    pub message: Option<bool>,
}

impl RuleGiven {
    /// The rule that it is, numbers by the first profile that knows them. Error: [`Refusal::Invalid`] with the field.
    pub fn rule(&self, profiles: &[Profile]) -> Result<Rule, Refusal> {
        let why = |word: &String| {
            let known = Why::ALL.into_iter().find(|why| why.as_str() == word);
            known.ok_or_else(|| {
                let words: Vec<&str> = Why::ALL.iter().map(|why| why.as_str()).collect();
                Refusal::invalid(
                    "why",
                    format!("{word:?} is no reason; it is one of {}", words.join(", ")),
                )
            })
        };
        let at = |text: &String| Weekly::try_from(text.clone()).map_err(|e| Refusal::invalid("at", e.to_string()));
        let on = |text: &String| Dates::try_from(text.clone()).map_err(|e| Refusal::invalid("on", e.to_string()));
        let from = |text: &String| {
            let who = written::who(text, profiles);
            who.map_err(|wrong| Refusal::invalid("from", format!("{wrong}: {}", written::WHO)))
        };
        if self.hold_ms.is_some_and(|ms| ms > MS_MAX) {
            return Err(Refusal::invalid("hold_ms", format!("it is {MS_MAX} at most, a day")));
        }
        Ok(Rule {
            from: self.from.iter().map(from).collect::<Result<_, _>>()?,
            why: self.why.iter().map(why).collect::<Result<_, _>>()?,
            at: self.at.iter().map(at).collect::<Result<_, _>>()?,
            on: self.on.iter().map(on).collect::<Result<_, _>>()?,
            outcome: Outcome {
                then: self.then()?,
                clip: clip("clip", self.clip.as_deref())?,
                hold_ms: self.hold_ms,
                greeting: clip("greeting", self.greeting.as_deref())?,
                message: self.message,
            },
            own: false,
        })
    }

    fn then(&self) -> Result<Option<Then>, Refusal> {
        let forward = self.forward.as_deref().filter(|uri| !uri.is_empty());
        match (self.then.as_deref().filter(|word| !word.is_empty()), forward) {
            (Some("forward"), Some(uri)) => Ok(Some(Then::Forward(uri.to_owned()))),
            (Some("forward"), None) => Err(Refusal::invalid("forward", "say where to, e.g. sip:deputy@192.0.2.7")),
            (_, Some(_)) => Err(Refusal::invalid(
                "forward",
                "it is for a rule that says 'forward' alone",
            )),
            (None, None) => Ok(None),
            (Some("ring"), None) => Ok(Some(Then::Ring)),
            (Some("greeting"), None) => Ok(Some(Then::Greeting)),
            (Some("hang-up"), None) => Ok(Some(Then::HangUp)),
            (Some(_), None) => Err(Refusal::invalid(
                "then",
                "it is one of ring, greeting, hang-up, forward",
            )),
        }
    }
}

fn clip(field: &'static str, name: Option<&str>) -> Result<Option<ClipChoice>, Refusal> {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    segue_mailbox::check_clip_name(name)
        .or_else(|wrong| if name == "none" { Ok(()) } else { Err(wrong) })
        .map_err(|wrong| Refusal::invalid(field, wrong.to_string()))?;
    Ok(Some(ClipChoice::from(name.to_owned())))
}

/// Whether this can be a rule.
fn check(rule: &Rule) -> Result<(), Refusal> {
    if let Some(Then::Forward(uri)) = &rule.outcome.then {
        let is_place = match uri.as_str() {
            segue_policy::AS_CALLED => Err("as-called is no place to forward to".to_owned()),
            uri => written::target(uri),
        };
        is_place.map_err(|why| Refusal::invalid("forward", why))?;
    }
    rule.check().map_err(|wrong| {
        let field = match wrong {
            RuleError::Nothing | RuleError::NotReached | RuleError::NotHeld => "then",
            RuleError::TooLate => "why",
            RuleError::TooMany => "from",
        };
        Refusal::invalid(field, wrong.to_string())
    })
}

fn no_rule(place: usize) -> StoreError {
    StoreError::NotFound {
        what: "rule",
        name: place.to_string(),
    }
}

fn take(rules: &mut Vec<Rule>, place: usize) -> Result<Rule, StoreError> {
    match place.checked_sub(1) {
        Some(at) if at < rules.len() => Ok(rules.remove(at)),
        _ => Err(no_rule(place)),
    }
}

/// Puts it there; `last` is the last place that there may be.
fn put(rules: &mut Vec<Rule>, user: &str, place: usize, rule: Rule) -> Result<(), StoreError> {
    let last = rules.len().saturating_add(1);
    if place == 0 || place > last {
        return Err(StoreError::Refused {
            why: format!("there is no place {place} among the rules of {user}"),
            fix: format!("name one from 1 to {last}; 'segue rule list {user}' shows them"),
        });
    }
    rules.insert(place.saturating_sub(1), rule);
    Ok(())
}

/// Changes them if they are as they were seen.
fn change<T: Send + 'static>(
    acting: &Store,
    user: &str,
    is_as_seen: impl FnOnce(&[RuleView]) -> bool + Send + 'static,
    change: impl FnOnce(&mut Vec<Rule>) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Refusal> {
    let changed = acting.change_rules(user, move |rules| match is_as_seen(&RuleView::all(rules)) {
        true => change(rules),
        false => Err(StoreError::Changed),
    });
    Ok(changed?)
}

impl Access {
    /// A subscriber's rules, in their order.
    pub fn rules(&self, user: &str) -> Result<Vec<RuleView>, Refusal> {
        Ok(RuleView::all(&self.rules_as_they_are(user)?))
    }

    /// The same as they are.
    pub fn rules_as_they_are(&self, user: &str) -> Result<Vec<Rule>, Refusal> {
        self.need(Scope::SettingsRead)?;
        self.owned_user(user)?;
        Ok(self.store().rules_of(user)?.rules)
    }

    /// The rule in this place, counted from 1.
    pub fn rule(&self, user: &str, place: usize) -> Result<RuleView, Refusal> {
        let rules = self.rules_as_they_are(user)?;
        let rule = place.checked_sub(1).and_then(|at| rules.get(at));
        let rule = rule.ok_or_else(|| Refusal::from(no_rule(place)))?;
        Ok(RuleView::new(place, rule))
    }

    /// The names of the clips that rules of a subscriber may name.
    pub fn clips_to_name(&self, user: &str) -> Result<Vec<String>, Refusal> {
        self.need(Scope::SettingsRead)?;
        self.owned_user(user)?;
        let mut names = self.store().clips_to_use(user)?;
        names.retain(|name| segue_mailbox::check_clip_name(name).is_ok());
        Ok(names)
    }

    /// Adds a rule, at the end or in this place, if the rules are as `is_as_seen` wants them; says where it is.
    ///
    /// # Errors
    /// It is none; it sends callers where a subscriber may not; it names a clip that is not theirs; there are too many;
    /// [`Refusal::Changed`].
    pub fn add_rule(
        &self,
        user: &str,
        (mut rule, place): (Rule, Option<usize>),
        profiles: &[Profile],
        is_as_seen: impl FnOnce(&[RuleView]) -> bool + Send + 'static,
    ) -> Result<usize, Refusal> {
        self.may_change_settings(user)?;
        check(&rule)?;
        self.may_have_rule(user, &rule, profiles)?;
        rule.own = self.own_name().is_some();
        let name = place.map_or_else(|| "last".to_owned(), |place| place.to_string());
        let acting = self.acting_so("rule.add", &name, user, told::rule(&rule));
        let whose = user.to_owned();
        change(&acting, user, is_as_seen, move |rules| {
            let place = place.unwrap_or_else(|| rules.len().saturating_add(1));
            put(rules, &whose, place, rule)?;
            Ok(place)
        })
    }

    /// Puts another rule in the place of one, or elsewhere; see [`Access::add_rule`]. Says where it is.
    pub fn set_rule(
        &self,
        user: &str,
        place: usize,
        (mut rule, to): (Rule, Option<usize>),
        profiles: &[Profile],
        is_as_seen: impl FnOnce(&[RuleView]) -> bool + Send + 'static,
    ) -> Result<usize, Refusal> {
        self.may_change_settings(user)?;
        check(&rule)?;
        self.may_have_rule(user, &rule, profiles)?;
        rule.own = self.own_name().is_some();
        let acting = self.acting_so("rule.set", &place.to_string(), user, told::rule(&rule));
        let whose = user.to_owned();
        change(&acting, user, is_as_seen, move |rules| {
            let before = take(rules, place)?;
            // Who mends something else of it does not answer for where a subscriber has it lead.
            rule.own |= before.own && before.outcome.then == rule.outcome.then;
            let to = to.unwrap_or(place);
            put(rules, &whose, to, rule)?;
            Ok(to)
        })
    }

    /// Gives a rule another place.
    pub fn move_rule(
        &self,
        user: &str,
        place: usize,
        to: usize,
        is_as_seen: impl FnOnce(&[RuleView]) -> bool + Send + 'static,
    ) -> Result<Rule, Refusal> {
        self.may_change_settings(user)?;
        let acting = self.acting_so("rule.move", &place.to_string(), user, format!("to {to}"));
        let whose = user.to_owned();
        change(&acting, user, is_as_seen, move |rules| {
            let rule = take(rules, place)?;
            put(rules, &whose, to, rule.clone())?;
            Ok(rule)
        })
    }

    /// Removes a rule, and says which it was.
    pub fn remove_rule(
        &self,
        user: &str,
        place: usize,
        is_as_seen: impl FnOnce(&[RuleView]) -> bool + Send + 'static,
    ) -> Result<Rule, Refusal> {
        self.may_change_settings(user)?;
        let acting = self.acting_so("rule.remove", &place.to_string(), user, String::new());
        change(&acting, user, is_as_seen, move |rules| take(rules, place))
    }
}
