//! `segue retention set|show|preview|run|audit`.

use clap::{Args, Subcommand as ClapSubcommand};
use segue_mailbox::Limit;
use segue_manage::{AuditView, Change, ForeseenView, RetentionChange, RetentionView, lasting};
use serde_json::json;

use super::{
    Context,
    output::{Row, or_dash},
    value::{Bytes, Count, DurationMs, Moment, NewLimit, OrDefault, ScopeName, Seconds, Trash, User},
};
use crate::failure::Failure;

#[derive(Debug, ClapSubcommand)]
pub enum Command {
    /// Set a subscriber's rules; they act at once
    Set {
        /// The subscriber
        user: User,
        #[command(flatten)]
        rules: NewRules,
    },
    /// Show a subscriber's rules
    Show {
        /// The subscriber
        user: User,
    },
    /// Say what a run would do to a subscriber's messages, and what is to come; changes nothing
    Preview {
        /// The subscriber
        user: User,
        /// As if it were then (RFC 3339)
        #[arg(long, value_name = "TIME")]
        at: Option<Moment>,
        /// As if these had been set
        #[command(flatten)]
        rules: NewRules,
    },
    /// Apply the rules now, as the server does every minute
    Run {
        /// The subscriber; without it, everybody
        user: Option<User>,
        /// As if it were then (RFC 3339)
        #[arg(long, value_name = "TIME")]
        at: Option<Moment>,
    },
    /// List what the rules have deleted, oldest first
    Audit {
        /// The subscriber
        user: User,
    },
}

/// Each 'none' is no limit, each 'default' what the configuration says.
#[derive(Debug, Clone, Copy, Args)]
pub struct NewRules {
    /// Keep at most this many heard messages; the oldest heard goes first
    #[arg(long, value_name = "N")]
    heard_max: Option<NewLimit<Count>>,
    /// Delete a message this long after it was heard
    #[arg(long, value_name = "DURATION")]
    heard_age: Option<NewLimit<DurationMs>>,
    /// The mailbox is full when this many are unheard; deletes none (no caller is refused yet)
    #[arg(long, value_name = "N")]
    unheard_max: Option<NewLimit<Count>>,
    /// Delete an unheard message this long after it came, no sooner than 7 days after a warning
    #[arg(long, value_name = "DURATION")]
    unheard_age: Option<NewLimit<DurationMs>>,
    /// Bytes of all messages (500MB, 2GiB); the oldest heard make room, unheard ones never go
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<NewLimit<Bytes>>,
    /// Playing time of all messages; otherwise as --max-bytes
    #[arg(long, value_name = "SECONDS")]
    max_seconds: Option<NewLimit<Seconds>>,
    /// What numbers, bytes and seconds count together: 'mailbox', or 'conversation' (one caller's messages)
    #[arg(long, value_name = "SCOPE")]
    scope: Option<OrDefault<ScopeName>>,
    /// How long a deleted message can be had back; 0 frees it at once
    #[arg(long, value_name = "DURATION")]
    trash: Option<OrDefault<Trash>>,
}

impl NewRules {
    fn is_empty(&self) -> bool {
        self.heard_max.is_none()
            && self.heard_age.is_none()
            && self.unheard_max.is_none()
            && self.unheard_age.is_none()
            && self.max_bytes.is_none()
            && self.max_seconds.is_none()
            && self.scope.is_none()
            && self.trash.is_none()
    }

    /// Only what was given changes.
    fn change(self) -> RetentionChange {
        fn new<T, U>(new: Option<NewLimit<T>>, value: impl FnOnce(T) -> U) -> Option<Change<U>> {
            new.map(|new| Change(new.limit(value)))
        }
        let scope = |OrDefault(scope): OrDefault<ScopeName>| scope.map_or("default", |ScopeName(scope)| scope.name());
        let trash = |OrDefault(trash): OrDefault<Trash>| trash.map_or(Limit::Default, |Trash(ms)| Limit::At(ms));
        RetentionChange {
            heard_max: new(self.heard_max, |Count(n)| n),
            heard_age_ms: new(self.heard_age, |DurationMs(ms)| ms),
            unheard_max: new(self.unheard_max, |Count(n)| n),
            unheard_age_ms: new(self.unheard_age, |DurationMs(ms)| ms),
            max_bytes: new(self.max_bytes, |Bytes(n)| n),
            max_seconds: new(self.max_seconds, |Seconds(n)| n),
            scope: self.scope.map(|given| scope(given).to_owned()),
            trash_ms: self.trash.map(|given| Change(trash(given))),
            seen: None,
        }
    }
}

pub fn perform(command: Command, context: &Context) -> Result<(), Failure> {
    let access = context.access()?;
    match command {
        Command::Set {
            user: User(user),
            rules,
        } => {
            if rules.is_empty() {
                return Err(Failure::usage(
                    "nothing to set",
                    format!("e.g. 'segue retention set {user} --heard-max 20'; see 'segue retention set --help'"),
                ));
            }
            let changed = access.set_retention(&user, rules.change(), |_| true)?;
            context.out.object(&json!(changed), || {
                let mut text = sentences(&changed.rules);
                for (ids, did) in [
                    (&changed.evicted, "deleted (kept in the trash as long as the rules say)"),
                    (&changed.warned, "warned of"),
                ] {
                    if !ids.is_empty() {
                        text.push_str(&format!("\n{} {did}: {}", ids.len(), ids.join(", ")));
                    }
                }
                text
            })
        }
        Command::Show { user: User(user) } => {
            let rules = access.retention(&user)?;
            context.out.object(&json!(rules), || sentences(&rules))
        }
        Command::Preview {
            user: User(user),
            at,
            rules,
        } => {
            let foreseen = access.foresee_change_at(&user, rules.change(), at.map(|Moment(at)| at))?;
            let columns = ["ID", "WHAT", "BY", "WHEN", "ALLOWED", "FOUND"];
            context.out.rows(
                foreseen.into_iter().map(foreseen_row).collect(),
                &columns,
                &format!("no messages for {user}"),
            )
        }
        Command::Run { user, at } => {
            let user = user.as_ref().map(|User(user)| user.as_str());
            let done = access.run_retention(user, at.map(|Moment(at)| at))?;
            context.out.object(&json!(done), || {
                format!(
                    "{} deleted, {} freed from the trash, {} warned of",
                    done.evicted.len(),
                    done.freed.len(),
                    done.warned.len()
                )
            })
        }
        Command::Audit { user: User(user) } => {
            let audit = access.retention_audit(&user)?;
            let columns = [
                "AT", "MESSAGE", "RULE", "ALLOWED", "FOUND", "RECEIVED", "HEARD", "BYTES",
            ];
            context.out.rows(
                audit.into_iter().map(audit_row).collect(),
                &columns,
                &format!("no rule has deleted anything of {user}"),
            )
        }
    }
}

/// One line a rule.
fn sentences(rules: &RetentionView) -> String {
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    let long = |ms: Option<u64>| or_none(ms.map(lasting));
    let lines = [
        (
            "heard_max",
            "--heard-max",
            or_none(rules.heard_max.map(|n| n.to_string())),
            "past it the oldest heard goes",
        ),
        (
            "heard_age_ms",
            "--heard-age",
            long(rules.heard_age_ms),
            "so long after the hearing a message goes",
        ),
        (
            "unheard_max",
            "--unheard-max",
            or_none(rules.unheard_max.map(|n| n.to_string())),
            "at it the mailbox is full; deletes none",
        ),
        (
            "unheard_age_ms",
            "--unheard-age",
            long(rules.unheard_age_ms),
            "so old an unheard message goes, 7 days after a warning at the earliest",
        ),
        (
            "max_bytes",
            "--max-bytes",
            or_none(rules.max_bytes.map(|n| n.to_string())),
            "the oldest heard make room, unheard ones never go",
        ),
        (
            "max_seconds",
            "--max-seconds",
            or_none(rules.max_seconds.map(|n| n.to_string())),
            "the same for playing time",
        ),
        ("scope", "--scope", rules.scope.clone(), "what is counted together"),
        (
            "trash_ms",
            "--trash",
            lasting(rules.trash_ms),
            "so long a deleted message can be had back",
        ),
    ];
    let table: Vec<Vec<String>> = lines
        .into_iter()
        .map(|(name, option, value, meaning)| {
            let whose = if rules.own.contains(&name) { "own" } else { "default" };
            vec![format!("  {option}"), value, whose.to_owned(), meaning.to_owned()]
        })
        .collect();
    format!("{}:\n{}", rules.user, super::output::table(&table))
}

fn foreseen_row(view: ForeseenView) -> Row {
    Row {
        value: json!(view),
        cells: vec![
            view.id,
            view.fate.to_owned(),
            or_dash(view.rule),
            or_dash(view.at),
            or_dash(view.allowed),
            or_dash(view.found),
        ],
    }
}

fn audit_row(view: AuditView) -> Row {
    Row {
        value: json!(view),
        cells: vec![
            view.at,
            view.message,
            view.rule,
            view.allowed.to_string(),
            view.found.to_string(),
            view.received_at,
            or_dash(view.heard_at),
            view.bytes.to_string(),
        ],
    }
}
