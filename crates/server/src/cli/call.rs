//! `segue call list|live|hours|show|export`.

mod live;
mod refused;

use std::str::FromStr;

use clap::Subcommand as ClapSubcommand;
use segue_jobs::Form;
use segue_manage::{Access, CallsWanted, SomeCalls};
use segue_records::{CallRecord, LadderStep, LegRecord, RuleRecord, Sent, StreamRecord, UnixMs};
use segue_store::CallsOfHour;
use serde_json::{Value, json};

use super::{
    Context,
    message::now_ms,
    output::{Row, clean, or_dash, print_raw, table},
    value::{DurationMs, Moment},
};
use crate::failure::Failure;

#[derive(Debug, ClapSubcommand)]
pub enum Command {
    /// List ended calls, oldest first
    List {
        /// Only calls that began within this time
        #[arg(long, value_name = "DURATION")]
        since: Option<DurationMs>,
        /// Only what was refused: rejected calls, and requests that never became calls
        #[arg(long)]
        refused: bool,
    },
    /// Count the calls of each hour (UTC) by what became of them, oldest first; also those whose records are gone
    Hours {
        /// Only hours within this time
        #[arg(long, value_name = "DURATION", default_value = "24h")]
        since: DurationMs,
    },
    /// List the calls that are up on the running server, the latest first
    Live,
    /// Print call records as files of records have them: CSV or one JSON object a line, oldest first
    Export {
        /// CSV with a header (RFC 4180)
        #[arg(long)]
        csv: bool,
        /// Only calls that began within this time, or at this moment or later
        #[arg(long, value_name = "DURATION|TIME")]
        since: Option<Begin>,
        /// Only calls that began before this time ago, or before this moment
        #[arg(long, value_name = "DURATION|TIME")]
        until: Option<Begin>,
        /// Only calls to this subscriber
        #[arg(long)]
        user: Option<String>,
    },
    /// Show one call: both legs' ladder, what was played when, why it ended so; of one that is up, what there is so far
    Show {
        /// The call
        id: String,
    },
}

pub fn perform(command: Command, context: &Context) -> Result<(), Failure> {
    let access = context.access()?;
    match command {
        Command::List { since, refused } => {
            let since_ms = since.map_or(i64::MIN, |DurationMs(ms)| {
                now_ms().saturating_sub(i64::try_from(ms).unwrap_or(i64::MAX))
            });
            if refused {
                return refused::list(&access, since_ms, context);
            }
            let rows = access.calls_since(since_ms)?.iter().map(row).collect();
            let columns = ["ID", "STARTED", "FROM", "TO", "RESULT", "CAUSE", "HOLD", "WHY"];
            context.out.rows(rows, &columns, "no calls")
        }
        Command::Live => live::list(context),
        Command::Hours { since: DurationMs(ms) } => {
            let since_ms = now_ms().saturating_sub(i64::try_from(ms).unwrap_or(i64::MAX));
            let rows = access.calls_by_hour(since_ms)?.iter().map(hour).collect();
            context.out.rows(rows, &["HOUR", "RESULT", "CALLS"], "no calls")
        }
        Command::Export {
            csv,
            since,
            until,
            user,
        } => {
            let form = match (csv, context.out.is_json()) {
                (true, false) => Form::Csv,
                (false, true) => Form::JsonLines,
                _ => {
                    return Err(Failure::refused(
                        "no_form",
                        "call export needs one form",
                        "say --csv or --json",
                    ));
                }
            };
            let now = now_ms();
            let since_ms = since.map_or(i64::MIN, |at| at.ms(now));
            let until_ms = until.map_or(i64::MAX, |at| at.ms(now));
            export(&access, form, CallsWanted::new(since_ms, until_ms, user))
        }
        Command::Show { id } => match access.call(&id) {
            Ok(call) => context.out.object(&call.to_full_json(), || told(&call)),
            Err(refusal) if refusal.is_not_found() => match live::show(&id, context) {
                Some(shown) => shown,
                None => refused::show(&access, &id, context),
            },
            Err(refusal) => Err(refusal.into()),
        },
    }
}

fn hour(of: &CallsOfHour) -> Row {
    let began = UnixMs(of.hour_ms).rfc3339();
    Row {
        value: json!({"hour": began, "result": of.result, "calls": of.calls}),
        cells: vec![began, of.result.as_str().to_owned(), of.calls.to_string()],
    }
}

/// A time ago, or a moment.
#[derive(Debug, Clone, Copy)]
pub enum Begin {
    Ago(u64),
    At(i64),
}

impl Begin {
    fn ms(self, now_ms: i64) -> i64 {
        match self {
            Begin::Ago(ms) => now_ms.saturating_sub(i64::try_from(ms).unwrap_or(i64::MAX)),
            Begin::At(ms) => ms,
        }
    }
}

impl FromStr for Begin {
    type Err = String;

    fn from_str(text: &str) -> Result<Begin, String> {
        if let Ok(DurationMs(ms)) = text.parse() {
            return Ok(Begin::Ago(ms));
        }
        match text.parse() {
            Ok(Moment(ms)) => Ok(Begin::At(ms)),
            Err(_) => Err("a duration, e.g. 24h, or a moment, e.g. 2026-03-01T12:00:00Z, is needed".to_owned()),
        }
    }
}

/// Some records at a time: the store may hold more than fits into memory.
fn export(access: &Access, form: Form, mut wanted: CallsWanted) -> Result<(), Failure> {
    if !form.head().is_empty() && !print_raw(&form.head())? {
        return Ok(());
    }
    while let Some(SomeCalls { calls, unreadable }) = access.next_calls(&mut wanted)? {
        for why in unreadable {
            eprintln!("segue: {why}; it is left out");
        }
        let lines: String = calls.iter().map(|call| form.line(call)).collect();
        if !print_raw(&lines)? {
            return Ok(());
        }
    }
    Ok(())
}

fn row(call: &CallRecord) -> Row {
    let cells = vec![
        call.id.clone(),
        call.started_at.rfc3339(),
        call.from.clone(),
        call.to.clone(),
        word(&json!(call.result)),
        or_dash(call.cause),
        or_dash(call.hold_ms.map(|ms| format!("{ms} ms"))),
        call.why.clone(),
    ];
    Row {
        value: call.to_json(),
        cells,
    }
}

/// The call as a person reads it: what happened, each leg's ladder, the media, why it ended so.
fn told(call: &CallRecord) -> String {
    let start = call.started_at;
    let mut facts = vec![
        ["call", &call.id].map(str::to_owned).to_vec(),
        ["from", &call.from].map(str::to_owned).to_vec(),
        ["to", &call.to].map(str::to_owned).to_vec(),
        ["started", &start.rfc3339()].map(str::to_owned).to_vec(),
        vec!["result".to_owned(), result(call)],
    ];
    if let Some(said) = &call.from_said {
        facts.insert(2, ["said", said].map(str::to_owned).to_vec());
    }
    if let Some(source) = &call.source {
        facts.push(["source", source].map(str::to_owned).to_vec());
    }
    if let Some(asked) = call.hold_asked_ms {
        facts.push(vec![
            "hold".to_owned(),
            format!(
                "asked {asked} ms, kept {}{}",
                or_dash(call.hold_ms.map(|ms| format!("{ms} ms"))),
                if call.prolonged_at.is_some() {
                    ", prolonged by *"
                } else {
                    ""
                }
            ),
        ]);
    }
    if call.relayed_untouched {
        facts.push(
            ["media", "relayed untouched: no format of the caller is known here"]
                .map(str::to_owned)
                .to_vec(),
        );
    }
    if !call.rules.is_empty() {
        let told: Vec<String> = call.rules.iter().map(RuleRecord::told).collect();
        facts.push(vec!["rules".to_owned(), told.join("; ")]);
    }
    if let Some(message) = &call.message_id {
        facts.push(vec!["message".to_owned(), message.clone()]);
    }
    let mut text = table(&facts);
    for (number, leg) in call.legs.iter().enumerate() {
        let who = if number == 0 {
            "A (caller)".to_owned()
        } else {
            format!("B{number} (callee)")
        };
        text.push_str(&format!(
            "\n\nleg {who}: {}, Call-ID {}\n",
            clean(&leg.target),
            clean(&leg.sip_call_id)
        ));
        text.push_str(&ladder(&leg.ladder, start));
        text.push_str(&counted(leg));
    }
    text.push_str("\n\nmedia to A\n");
    text.push_str(&timeline(call));
    text.push_str(&format!("\n\nwhy: {}", clean(&call.why)));
    if let Some(admit) = &call.admit {
        text.push_str(&format!("\nwhat would admit it: {}", clean(admit)));
    }
    text
}

/// How it ended, with the status that decided it.
fn result(call: &CallRecord) -> String {
    let result = word(&json!(call.result));
    call.cause
        .map_or(result.clone(), |status| format!("{result} ({status})"))
}

/// The wire between the peer on the left and Segue on the right.
fn ladder(steps: &[LadderStep], start: UnixMs) -> String {
    if steps.is_empty() {
        return "  (nothing went over the wire)".to_owned();
    }
    let lines: Vec<Vec<String>> = steps
        .iter()
        .map(|step| {
            let arrow = match step.sent {
                Sent::In => "peer ---> segue",
                Sent::Out => "peer <--- segue",
            };
            vec![
                format!("  {}", after(start, step.at)),
                arrow.to_owned(),
                step.summary.clone(),
            ]
        })
        .collect();
    table(&lines)
}

/// A line for each stream: what came, what left, what the peer says.
fn counted(leg: &LegRecord) -> String {
    let line = |stream: &StreamRecord| {
        let mut line = format!(
            "\n  {}: received {} (lost {}, late {}, jitter {} ms), sent {} ({} late)",
            word(&json!(stream.kind)),
            stream.received,
            stream.lost,
            stream.late,
            stream.jitter_ms,
            stream.sent,
            stream.sent_late,
        );
        if let (Some(lost), Some(jitter)) = (stream.peer_lost, stream.peer_jitter_ms) {
            line.push_str(&format!("; the peer says: lost {lost}, jitter {jitter} ms"));
        }
        if let Some(rtt) = stream.rtt_ms {
            line.push_str(&format!("; there and back {rtt} ms"));
        }
        line
    };
    leg.media.iter().map(line).collect()
}

fn timeline(call: &CallRecord) -> String {
    let mut moments: Vec<(UnixMs, Vec<String>)> = call
        .switches
        .iter()
        .map(|s| {
            let gap = s
                .gap_ms
                .map_or_else(|| "first".to_owned(), |gap| format!("gap {gap} ms"));
            (s.at, vec![word(&json!(s.kind)), s.to.clone(), gap])
        })
        .collect();
    let named = [
        (call.first_media_at, "first clip packet"),
        (call.invited_at, "INVITE to the callee"),
        (call.answered_at, "200 to the caller"),
        (call.ended_at, "last leg ended"),
    ];
    moments.extend(
        named
            .into_iter()
            .filter_map(|(at, what)| at.map(|at| (at, vec!["-".to_owned(), what.to_owned()]))),
    );
    if moments.is_empty() {
        return "  (none)".to_owned();
    }
    moments.sort_by_key(|(at, _)| *at);
    let lines: Vec<Vec<String>> = moments
        .into_iter()
        .map(|(at, rest)| {
            std::iter::once(format!("  {}", after(call.started_at, at)))
                .chain(rest)
                .collect()
        })
        .collect();
    table(&lines)
}

/// Seconds after the start: `+1.250`.
fn after(start: UnixMs, at: UnixMs) -> String {
    let ms = at.0.saturating_sub(start.0).max(0);
    format!("+{}.{:03}", ms / 1_000, ms % 1_000)
}

/// The serde name of a variant.
fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
