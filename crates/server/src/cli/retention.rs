//! `segue retention set|show|preview|run|audit`.

use clap::{Args, Subcommand as ClapSubcommand};
use segue_mailbox::{Limit, OwnRules, Retention};
use segue_manage::{AuditView, ForeseenView, RetentionChanged, RetentionView, lasting};
use segue_records::UnixMs;
use segue_store::{AuditRow, Foreseen, Rules};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Context,
    message::now_ms,
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
    fn change(self, own: &mut OwnRules) {
        fn set<T, U>(limit: &mut Limit<U>, new: Option<NewLimit<T>>, value: impl FnOnce(T) -> U) {
            if let Some(new) = new {
                *limit = new.limit(value);
            }
        }
        set(&mut own.heard_max, self.heard_max, |Count(n)| n);
        set(&mut own.heard_age_ms, self.heard_age, |DurationMs(ms)| ms);
        set(&mut own.unheard_max, self.unheard_max, |Count(n)| n);
        set(&mut own.unheard_age_ms, self.unheard_age, |DurationMs(ms)| ms);
        set(&mut own.max_bytes, self.max_bytes, |Bytes(n)| n);
        set(&mut own.max_seconds, self.max_seconds, |Seconds(n)| n);
        if let Some(OrDefault(scope)) = self.scope {
            own.scope = scope.map(|ScopeName(scope)| scope);
        }
        if let Some(OrDefault(trash)) = self.trash {
            own.trash_ms = trash.map(|Trash(ms)| ms);
        }
    }
}

pub fn perform(command: Command, context: &Context) -> Result<(), Failure> {
    let store = context.store()?;
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
            let changed = store.set_retention(&user, now_ms(), move |own| rules.change(own))?;
            let said = RetentionChanged {
                rules: RetentionView::new(&user, &changed.rules),
                evicted: changed.evicted.clone(),
                warned: changed.warned.clone(),
            };
            context.out.object(&value(&said), || {
                let mut text = sentences(&user, &changed.rules);
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
            let rules = store.retention(&user)?;
            let said = RetentionView::new(&user, &rules);
            context.out.object(&value(&said), || sentences(&user, &rules))
        }
        Command::Preview {
            user: User(user),
            at,
            rules,
        } => {
            let at_ms = at.map_or_else(now_ms, |Moment(at)| at);
            let foreseen = store.foresee_retention_with(&user, at_ms, |own| rules.change(own))?;
            if foreseen.is_empty() {
                store.subscriber(&user)?;
            }
            let columns = ["ID", "WHAT", "BY", "WHEN", "ALLOWED", "FOUND"];
            context.out.rows(
                foreseen.iter().map(foreseen_row).collect(),
                &columns,
                &format!("no messages for {user}"),
            )
        }
        Command::Run { user, at } => {
            let at_ms = at.map_or_else(now_ms, |Moment(at)| at);
            if let Some(User(user)) = &user
                && store.messages(user)?.is_empty()
                && store.trash(user)?.is_empty()
            {
                store.subscriber(user)?;
            }
            let report = store.run_retention(user.as_ref().map(|User(user)| user.as_str()), at_ms)?;
            let value = json!({
                "at": UnixMs(at_ms).rfc3339(), "evicted": report.evicted, "freed": report.freed, "warned": report.warned,
            });
            context.out.object(&value, || {
                format!(
                    "{} deleted, {} freed from the trash, {} warned of",
                    report.evicted.len(),
                    report.freed.len(),
                    report.warned.len()
                )
            })
        }
        Command::Audit { user: User(user) } => {
            let audit = store.retention_audit(&user)?;
            if audit.is_empty() && store.messages(&user)?.is_empty() {
                store.subscriber(&user)?;
            }
            let columns = [
                "AT", "MESSAGE", "RULE", "ALLOWED", "FOUND", "RECEIVED", "HEARD", "BYTES",
            ];
            context.out.rows(
                audit.iter().map(audit_row).collect(),
                &columns,
                &format!("no rule has deleted anything of {user}"),
            )
        }
    }
}

/// As programs see them.
fn value(view: &impl Serialize) -> Value {
    serde_json::to_value(view).unwrap_or_default()
}

/// One line a rule.
fn sentences(user: &str, rules: &Rules) -> String {
    let Retention {
        heard_max,
        heard_age_ms,
        unheard_max,
        unheard_age_ms,
        max_bytes,
        max_seconds,
        scope,
        trash_ms,
    } = rules.effective;
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    let long = |ms: Option<u64>| or_none(ms.map(lasting));
    let own = RetentionView::new(user, rules).own;
    let lines = [
        (
            "heard_max",
            "--heard-max",
            or_none(heard_max.map(|n| n.to_string())),
            "past it the oldest heard goes",
        ),
        (
            "heard_age_ms",
            "--heard-age",
            long(heard_age_ms),
            "so long after the hearing a message goes",
        ),
        (
            "unheard_max",
            "--unheard-max",
            or_none(unheard_max.map(|n| n.to_string())),
            "at it the mailbox is full; deletes none",
        ),
        (
            "unheard_age_ms",
            "--unheard-age",
            long(unheard_age_ms),
            "so old an unheard message goes, 7 days after a warning at the earliest",
        ),
        (
            "max_bytes",
            "--max-bytes",
            or_none(max_bytes.map(|n| n.to_string())),
            "the oldest heard make room, unheard ones never go",
        ),
        (
            "max_seconds",
            "--max-seconds",
            or_none(max_seconds.map(|n| n.to_string())),
            "the same for playing time",
        ),
        ("scope", "--scope", scope.name().to_owned(), "what is counted together"),
        (
            "trash_ms",
            "--trash",
            lasting(trash_ms),
            "so long a deleted message can be had back",
        ),
    ];
    let table: Vec<Vec<String>> = lines
        .into_iter()
        .map(|(name, option, value, meaning)| {
            let whose = if own.contains(&name) { "own" } else { "default" };
            vec![format!("  {option}"), value, whose.to_owned(), meaning.to_owned()]
        })
        .collect();
    format!("{user}:\n{}", super::output::table(&table))
}

fn foreseen_row(foreseen: &Foreseen) -> Row {
    let view = ForeseenView::from(foreseen);
    Row {
        value: value(&view),
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

fn audit_row(row: &AuditRow) -> Row {
    let view = AuditView::from(row);
    Row {
        value: value(&view),
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
