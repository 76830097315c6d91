//! `segue retention set|show|preview|run|audit`.

use clap::{Args, Subcommand as ClapSubcommand};
use segue_mailbox::{Limit, OwnRules, Retention, Rule};
use segue_records::UnixMs;
use segue_store::{AuditRow, Fate, Foreseen, Rules};
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
            let mut value = object(&user, &changed.rules);
            if let Some(fields) = value.as_object_mut() {
                fields.insert("evicted".to_owned(), json!(changed.evicted));
                fields.insert("warned".to_owned(), json!(changed.warned));
            }
            context.out.object(&value, || {
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
            context.out.object(&object(&user, &rules), || sentences(&user, &rules))
        }
        Command::Preview { user: User(user), at } => {
            let at_ms = at.map_or_else(now_ms, |Moment(at)| at);
            let foreseen = store.foresee_retention(&user, at_ms)?;
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

/// The rules that hold, and which of them are the mailbox's own.
fn object(user: &str, rules: &Rules) -> Value {
    let Rules { own, effective } = rules;
    json!({
        "user": user,
        "heard_max": effective.heard_max,
        "heard_age_ms": effective.heard_age_ms,
        "unheard_max": effective.unheard_max,
        "unheard_age_ms": effective.unheard_age_ms,
        "max_bytes": effective.max_bytes,
        "max_seconds": effective.max_seconds,
        "scope": effective.scope.name(),
        "trash_ms": effective.trash_ms,
        "own": own_names(own),
    })
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
    let own = own_names(&rules.own);
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

/// A length of time in its largest whole unit, as options take it.
fn lasting(ms: u64) -> String {
    [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")]
        .into_iter()
        .find(|(unit, _)| ms >= *unit && ms.is_multiple_of(*unit))
        .map_or_else(|| format!("{ms}ms"), |(unit, name)| format!("{}{name}", ms / unit))
}

fn foreseen_row(foreseen: &Foreseen) -> Row {
    let Foreseen { id, fate } = foreseen;
    let (what, rule, at_ms, measure) = match fate {
        Fate::Deleted(deletion) => (
            "deleted",
            Some(deletion.rule),
            None,
            Some((deletion.allowed, deletion.found)),
        ),
        Fate::Freed(deletion) => (
            "freed",
            Some(deletion.rule),
            None,
            Some((deletion.allowed, deletion.found)),
        ),
        Fate::Warned => ("warned", Some(Rule::UnheardAge), None, None),
        Fate::Later { at_ms, rule } => ("later", Some(*rule), Some(*at_ms), None),
        Fate::Kept => ("kept", None, None, None),
        Fate::Pinned => ("pinned", None, None, None),
    };
    let at = at_ms.map(|at| UnixMs(at).rfc3339());
    let (allowed, found) = (measure.map(|(allowed, _)| allowed), measure.map(|(_, found)| found));
    Row {
        value: json!({
            "id": id, "fate": what, "rule": rule.map(Rule::name), "at": at, "allowed": allowed, "found": found,
        }),
        cells: vec![
            id.clone(),
            what.to_owned(),
            or_dash(rule.map(Rule::name)),
            or_dash(at),
            or_dash(allowed),
            or_dash(found),
        ],
    }
}

fn audit_row(row: &AuditRow) -> Row {
    let moment = |at: Option<i64>| at.map(|at| UnixMs(at).rfc3339());
    Row {
        value: json!({
            "at": UnixMs(row.at_ms).rfc3339(),
            "mailbox": row.mailbox,
            "conversation": row.conversation,
            "message": row.message,
            "rule": row.rule,
            "allowed": row.allowed,
            "found": row.found,
            "received_at": UnixMs(row.received_at_ms).rfc3339(),
            "heard_at": moment(row.heard_at_ms),
            "warned_at": moment(row.warned_at_ms),
            "deleted_at": moment(row.deleted_at_ms),
            "bytes": row.bytes,
            "duration_ms": row.duration_ms,
        }),
        cells: vec![
            UnixMs(row.at_ms).rfc3339(),
            row.message.clone(),
            row.rule.clone(),
            row.allowed.to_string(),
            row.found.to_string(),
            UnixMs(row.received_at_ms).rfc3339(),
            or_dash(moment(row.heard_at_ms)),
            row.bytes.to_string(),
        ],
    }
}
