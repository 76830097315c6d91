//! What decides about a subscriber's calls and messages: their rules with a probe, whom they know, do not disturb, and how long messages
//! are kept.

mod contacts;
mod kept;
mod limit;
mod probe;
mod rules;
mod targets;

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use maud::{Markup, html};
use segue_mailbox::Limit;
use segue_manage::{
    Access, At, ContactView, Explained, GroupView, Refusal, RuleView, Scope, SubscriberChange, SubscriberView,
    TargetsView, Thought,
};
use segue_policy::{Profile, Rule};
use segue_store::Role;
use serde::Deserialize;

use self::rules::{Around, Known};
use super::{failed, field::Wrong, layout};
use crate::{
    given::{self, Asked},
    portal::Web,
    seen::tag_of,
    who::{Posted, Visitor, Who},
};

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/settings", get(show).post(change))
        .merge(rules::routes())
        .merge(contacts::routes())
        .merge(kept::routes())
        .merge(targets::routes())
}

/// What the address of the page says.
#[derive(Debug, Clone, Default, Deserialize)]
struct View {
    /// Whose; an operator says it.
    user: Option<String>,
    /// The probe: who calls.
    from: Option<String>,
    /// And when, as a field for moments gives it: `2026-12-24T14:30`.
    at: Option<String>,
    /// The place of the rule that is to be changed.
    edit: Option<String>,
    /// The address of the contact that is to be changed.
    contact: Option<String>,
}

/// What was typed and refused, and why.
#[derive(Default)]
struct Drafts {
    rule: Option<rules::Draft>,
    contact: Option<contacts::Draft>,
    target: Option<String>,
    wrong: Option<Wrong>,
}

impl View {
    /// This path with the question that is tried, of whom an operator names.
    fn at(&self, path: &str, user: Option<&str>) -> String {
        self.with(path, user, None)
    }

    /// The page with the form that changes a rule.
    fn edit(&self, place: usize, user: Option<&str>) -> String {
        self.with("/settings", user, Some(("edit", &place.to_string())))
    }

    /// The page with the form that changes a contact.
    fn contact(&self, address: &str, user: Option<&str>) -> String {
        self.with("/settings", user, Some(("contact", address)))
    }

    fn with(&self, path: &str, user: Option<&str>, more: Option<(&str, &str)>) -> String {
        let asked = [
            ("user", user),
            ("from", self.from.as_deref()),
            ("at", self.at.as_deref()),
        ];
        let asked = asked.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let query: Vec<String> = asked
            .chain(more)
            .map(|(name, value)| format!("{name}={}", given::encoded(value)))
            .collect();
        match query.is_empty() {
            true => path.to_owned(),
            false => format!("{path}?{}", query.join("&")),
        }
    }

    fn thought(&self) -> Option<Thought> {
        let from = self.from.as_deref().map(str::trim).filter(|from| !from.is_empty())?;
        let at = self.at.as_deref().map(str::trim).filter(|at| !at.is_empty());
        Some(Thought {
            from: from.to_owned(),
            at: at.map(|at| At::Local(at.replacen('T', " ", 1))),
            why: Vec::new(),
        })
    }
}

/// What the page shows.
struct Shown {
    subscriber: SubscriberView,
    rules: Vec<Rule>,
    clips: Vec<String>,
    contacts: Vec<ContactView>,
    groups: Vec<GroupView>,
    targets: TargetsView,
    probed: Option<Result<Explained, Refusal>>,
    kept: kept::Kept,
    /// Groups whose messages are theirs, too.
    teams: Vec<String>,
    /// Whom their own are for, where they are a group; for operators.
    members: Vec<String>,
}

fn read(access: &Access, user: &str, thought: Option<(Thought, Vec<Profile>)>) -> Result<Shown, Refusal> {
    let probed = thought.and_then(|(thought, profiles)| {
        let profile = profiles.first()?;
        Some(access.explain(user, &thought, profile, &profiles))
    });
    Ok(Shown {
        subscriber: access.subscriber(user)?,
        rules: access.rules_as_they_are(user)?,
        clips: access.clips_to_name(user)?,
        contacts: access.contacts(user)?,
        groups: access.groups(user)?,
        targets: access.targets(user)?,
        // What cannot be read of the question is said beside it.
        probed: match probed {
            Some(Err(wrong @ Refusal::Invalid { .. })) => Some(Err(wrong)),
            other => other.transpose()?.map(Ok),
        },
        kept: kept::read(access, user)?,
        teams: access.teams_of(user)?,
        members: match access.need(Scope::SystemRead) {
            Ok(()) => access.team(user)?.members,
            Err(_) => Vec::new(),
        },
    })
}

/// Whose settings: their own, or whom an operator names.
fn whose(who: &Who, named: Option<&str>) -> Option<String> {
    let known = who.access().who();
    match known.role {
        Role::Subscriber => Some(known.name.clone()),
        Role::Operator => named.map(str::to_owned).filter(|name| !name.is_empty()),
    }
}

/// For addresses: whom an operator has named.
fn named<'a>(who: &Who, user: &'a str) -> Option<&'a str> {
    (who.access().who().role == Role::Operator).then_some(user)
}

/// Whether what was refused is shown with what was typed.
pub(super) fn is_theirs_to_mend(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNPROCESSABLE_ENTITY
            | StatusCode::CONFLICT
            | StatusCode::PRECONDITION_FAILED
            | StatusCode::NOT_FOUND
    )
}

async fn show(Visitor(who): Visitor, State(web): State<Web>, view: Asked<View>) -> Result<Markup, Response> {
    let view = view.0;
    match whose(&who, view.user.as_deref()) {
        Some(user) => page(&who, &web, &user, &view, Drafts::default()).await,
        None => Ok(layout::page(
            &who,
            "Settings",
            &[],
            html! {
                h1 { "Settings" }
                (choose(None))
                p { a href="/settings/tokens" { "Tokens by which programs act for you" } }
            },
        )),
    }
}

/// The page, with what was typed and refused in its place.
async fn page(who: &Who, web: &Web, user: &str, view: &View, drafts: Drafts) -> Result<Markup, Response> {
    let is_operator = who.access().who().role == Role::Operator;
    let thought = match view.thought() {
        None => None,
        Some(thought) => {
            let profiles = web.profiles().await.map_err(|problem| failed(&problem))?;
            Some((thought, profiles))
        }
    };
    let asked = user.to_owned();
    let shown = who.ask(move |access| read(access, &asked, thought)).await;
    let shown = shown.map_err(|problem| failed(&problem))?;
    let csrf = layout::csrf(who);
    let rules: Vec<RuleView> = (1..)
        .zip(&shown.rules)
        .map(|(place, rule)| RuleView::new(place, rule))
        .collect();
    let around = Around {
        user,
        csrf: &csrf,
        tag: &tag_of(&rules),
        view,
        is_operator,
    };
    let known = Known {
        groups: shown.groups.iter().map(|group| group.name.clone()).collect(),
        clips: shown.clips,
    };
    let wrong = drafts.wrong.as_ref();
    let edited = view.edit.as_deref().and_then(|place| place.parse::<usize>().ok());
    let rule = drafts.rule.or_else(|| {
        let place = edited?;
        let rule = shown.rules.get(place.checked_sub(1)?)?;
        Some(rules::Draft::of(place, rule))
    });
    let contact = drafts.contact.or_else(|| {
        let address = view.contact.as_deref()?;
        let known = shown.contacts.iter().find(|contact| contact.address == address);
        known.map(contacts::Draft::of)
    });
    Ok(layout::page(
        who,
        "Settings",
        &["clock.js"],
        html! {
            h1 { "Settings" @if is_operator { " of " (user) } }
            @if is_operator { (choose(Some(user))) }
            (disturb(&shown.subscriber, user, &csrf))
            p { a href={ "/settings/notices?user=" (given::encoded(user)) } { "How you are told of messages and missed calls" } }
            p { a href="/settings/tokens" { "Tokens by which programs act for you" } }
            (in_groups(&shown.teams, &shown.members, is_operator))
            h2 { "What callers meet" }
            (rules::list(&shown.rules, &around, wrong))
            (rules::form(rule.as_ref(), &around, &known, wrong))
            (probe::probe(view, user, is_operator, shown.probed.as_ref()))
            h2 #contacts { "Contacts" }
            (contacts::list(&shown.contacts, &around, wrong))
            (contacts::form(contact.as_ref(), &around, wrong))
            (contacts::groups(&shown.groups, &around))
            h2 { "Where they are reached" }
            (targets::section(&shown.targets, drafts.target.as_deref(), &around, wrong))
            h2 #kept { "How long messages are kept" }
            (kept::section(&shown.kept, &csrf))
        },
    ))
}

/// Whose messages they get besides, and whom theirs are for.
fn in_groups(teams: &[String], members: &[String], is_operator: bool) -> Markup {
    html! {
        @if !teams.is_empty() {
            p #groups { @if is_operator { "Gets the messages for " } @else { "You get the messages for " } (teams.join(", ")) ", too." }
        }
        @if !members.is_empty() { p #members { "A group: its messages are for " (members.join(", ")) "." } }
        @if is_operator { p { a href="/operator/groups" { "Groups, and who is in them" } } }
    }
}

fn choose(user: Option<&str>) -> Markup {
    html! {
        form.filters method="get" action="/settings" {
            label for="user" { "Subscriber" }
            input #user name="user" value=(user.unwrap_or_default()) required;
            button type="submit" { "Show" }
        }
    }
}

fn disturb(subscriber: &SubscriberView, user: &str, csrf: &Markup) -> Markup {
    let on = subscriber
        .0
        .get("dnd")
        .and_then(serde_json::Value::as_bool)
        .unwrap_or(false);
    html! {
        form.notice method="post" action="/settings" {
            (csrf)
            input type="hidden" name="user" value=(user);
            @if on {
                span { strong { "Do not disturb is on." } " Nobody rings; callers go straight to the greeting." }
                button type="submit" name="act" value="dnd-off" { "Turn it off" }
            } @else {
                span { "Do not disturb is off." }
                button type="submit" name="act" value="dnd-on" { "Turn it on" }
            }
        }
    }
}

#[derive(Debug, Deserialize)]
struct Form {
    act: String,
    user: String,
}

/// Does what a form says, and leads back to the page.
async fn change(Posted { who, form }: Posted<Form>) -> Response {
    let user = form.user.clone();
    let back = match who.access().who().role {
        Role::Subscriber => "/settings".to_owned(),
        Role::Operator => format!("/settings?user={}", given::encoded(&user)),
    };
    match who.ask(move |access| perform(access, &user, &form)).await {
        Ok(()) => Redirect::to(&back).into_response(),
        Err(problem) => failed(&problem),
    }
}

fn perform(access: &Access, user: &str, form: &Form) -> Result<(), Refusal> {
    match form.act.as_str() {
        "dnd-on" | "dnd-off" => {
            let change = SubscriberChange {
                dnd: Some(form.act == "dnd-on"),
                ..SubscriberChange::default()
            };
            access.change_subscriber(user, change, &[], |_| true).map(drop)
        }
        _ => Err(invalid("act", "there is no such button")),
    }
}

fn invalid(field: &'static str, why: &str) -> Refusal {
    Refusal::Invalid {
        field,
        why: why.to_owned(),
    }
}

/// Empty: no limit.
fn number(field: &'static str, text: &str) -> Result<Limit<u32>, Refusal> {
    match text.trim() {
        "" => Ok(Limit::Off),
        text => text
            .parse()
            .map(Limit::At)
            .map_err(|_| invalid(field, "a whole number is needed, or nothing for no limit")),
    }
}

/// `30d`, `12 h`; empty: no limit.
pub(super) fn age(field: &'static str, text: &str) -> Result<Limit<u64>, Refusal> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Limit::Off);
    }
    let units = [
        ("ms", 1_u64),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ];
    units
        .into_iter()
        .find_map(|(name, unit)| {
            let number: u64 = text.strip_suffix(name)?.trim_end().parse().ok()?;
            number.checked_mul(unit)
        })
        .map(Limit::At)
        .ok_or_else(|| {
            invalid(
                field,
                "a number and d, h, m or s is needed, e.g. 30d, or nothing for no limit",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_a_number_and_a_unit_and_nothing_is_no_limit() {
        assert_eq!(age("trash", "30d"), Ok(Limit::At(2_592_000_000)));
        assert_eq!(age("trash", " 12 h "), Ok(Limit::At(43_200_000)));
        assert_eq!(age("trash", "1500ms"), Ok(Limit::At(1_500)));
        assert_eq!(age("trash", ""), Ok(Limit::Off));
        for wrong in ["d", "12", "-1d", "1.5h", "99999999999999999999d", "30d h"] {
            assert!(age("trash", wrong).is_err(), "{wrong}");
        }
        assert_eq!(number("heard_max", "7"), Ok(Limit::At(7)));
        assert!(number("heard_max", "seven").is_err());
    }
}
