//! What was refused: calls that were rejected, and requests that never became calls.

use segue_records::{CallResult, RefusedRecord};
use segue_store::Store;
use serde_json::{Value, json};

use super::{ladder, row};
use crate::{
    cli::{
        Context,
        output::{Row, clean, or_dash, table},
    },
    failure::Failure,
};

/// Both kinds, oldest first.
pub fn list(store: &Store, since_ms: i64, context: &Context) -> Result<(), Failure> {
    let calls = store.calls(since_ms)?;
    let mut rows: Vec<(i64, Row)> = calls
        .iter()
        .filter(|call| call.result == CallResult::Rejected)
        .map(|call| {
            let mut cells = row(call).cells;
            // A hold was never begun; its column is where the source stands.
            cells.splice(
                4..7,
                [or_dash(call.source.as_ref()), "INVITE".to_owned(), or_dash(call.cause)],
            );
            let (protocol, source) = call.source.as_deref().and_then(|source| source.split_once(' ')).unzip();
            let value = json!({
                "id": call.id, "kind": "call", "at": call.started_at.rfc3339(), "protocol": protocol, "source": source,
                "local": null, "method": "INVITE", "sip_call_id": call.sip_call_id, "from": call.from, "to": call.to,
                "status": call.cause, "why": call.why, "admit": call.admit, "times": 1, "withheld": 0,
            });
            (call.started_at.0, Row { value, cells })
        })
        .collect();
    rows.extend(
        store
            .all_refused(since_ms)?
            .iter()
            .map(|refused| (refused.at.0, refused_row(refused))),
    );
    rows.sort_by_key(|(at, _)| *at);
    let columns = ["ID", "AT", "FROM", "TO", "SOURCE", "METHOD", "STATUS", "WHY"];
    let rows = rows.into_iter().map(|(_, row)| row).collect();
    context.out.rows(rows, &columns, "nothing was refused")
}

/// One request that never became a call.
pub fn show(store: &Store, id: &str, context: &Context) -> Result<(), Failure> {
    let refused = store.refused(id)?;
    let mut value = json_of(&refused);
    let ladder: Vec<Value> = refused
        .ladder
        .iter()
        .map(|step| json!({"at": step.at.rfc3339(), "sent": step.sent, "summary": step.summary}))
        .collect();
    if let Some(shown) = value.as_object_mut() {
        shown.insert("ladder".to_owned(), Value::Array(ladder));
    }
    context.out.object(&value, || told(&refused))
}

fn refused_row(refused: &RefusedRecord) -> Row {
    Row {
        value: json_of(refused),
        cells: vec![
            refused.id.clone(),
            refused.at.rfc3339(),
            or_dash(refused.from.as_ref()),
            or_dash(refused.to.as_ref()),
            format!("{} {}", refused.protocol, refused.source),
            or_dash(Some(&refused.method).filter(|method| !method.is_empty())),
            refused
                .status
                .map_or_else(|| "dropped".to_owned(), |status| status.to_string()),
            refused.why.clone(),
        ],
    }
}

fn json_of(refused: &RefusedRecord) -> Value {
    json!({
        "id": refused.id,
        "kind": "request",
        "at": refused.at.rfc3339(),
        "protocol": refused.protocol,
        "source": refused.source,
        "local": refused.local,
        "method": refused.method,
        "sip_call_id": refused.sip_call_id,
        "from": refused.from,
        "to": refused.to,
        "status": refused.status,
        "why": refused.why,
        "admit": refused.admit,
        "times": refused.times,
        "withheld": refused.withheld,
    })
}

/// As a person reads it.
fn told(refused: &RefusedRecord) -> String {
    let mut facts = vec![
        vec!["refused".to_owned(), refused.id.clone()],
        vec!["from".to_owned(), or_dash(refused.from.as_ref())],
        vec!["to".to_owned(), or_dash(refused.to.as_ref())],
        vec!["source".to_owned(), format!("{} {}", refused.protocol, refused.source)],
        vec!["socket".to_owned(), refused.local.clone()],
        vec!["Call-ID".to_owned(), or_dash(refused.sip_call_id.as_ref())],
        vec!["first".to_owned(), refused.at.rfc3339()],
        vec!["times".to_owned(), refused.times.to_string()],
    ];
    if refused.withheld > 0 {
        let before = format!("{} refusals before it were counted and not kept", refused.withheld);
        facts.push(vec!["withheld".to_owned(), before]);
    }
    format!(
        "{}\n\n{}\n\nwhy: {}\nwhat would admit it: {}",
        table(&facts),
        ladder(&refused.ladder, refused.at),
        clean(&refused.why),
        clean(&refused.admit)
    )
}
