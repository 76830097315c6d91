//! What was refused: calls that were rejected, and requests that never became calls.

use segue_manage::{Access, RefusedView, refused_json};
use segue_records::RefusedRecord;
use serde_json::json;

use super::ladder;
use crate::{
    cli::{
        Context,
        output::{Row, clean, or_dash, table},
    },
    failure::Failure,
};

/// Both kinds, oldest first.
pub fn list(access: &Access, since_ms: i64, context: &Context) -> Result<(), Failure> {
    let rows = access.refused_since(since_ms)?.into_iter().map(row).collect();
    let columns = ["ID", "AT", "FROM", "TO", "SOURCE", "METHOD", "STATUS", "WHY"];
    context.out.rows(rows, &columns, "nothing was refused")
}

/// One request that never became a call.
pub fn show(access: &Access, id: &str, context: &Context) -> Result<(), Failure> {
    let refused = access.refused_request(id)?;
    context.out.object(&refused_json(&refused), || told(&refused))
}

fn row(refused: RefusedView) -> Row {
    let value = json!(refused);
    let source = refused.protocol.zip(refused.source);
    let unanswered = match refused.kind {
        "request" => "dropped",
        _ => "-",
    };
    Row {
        value,
        cells: vec![
            refused.id,
            refused.at,
            or_dash(refused.from),
            or_dash(refused.to),
            or_dash(source.map(|(protocol, source)| format!("{protocol} {source}"))),
            or_dash(Some(refused.method).filter(|method| !method.is_empty())),
            refused
                .status
                .map_or_else(|| unanswered.to_owned(), |status| status.to_string()),
            refused.why,
        ],
    }
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
