//! The calls that are up on the running server.

use segue_records::{LadderStep, Sent, UnixMs};
use serde_json::Value;

use super::ladder;
use crate::{
    cli::{
        Context, beside,
        output::{Row, clean, or_dash, table},
        value::Moment,
    },
    failure::Failure,
};

/// All of them, the latest first.
pub fn list(context: &Context) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let mut page = "/calls".to_owned();
    loop {
        let calls = beside::json(context, &page)?;
        let calls = calls.as_array().map_or(&[][..], Vec::as_slice);
        rows.extend(calls.iter().map(row));
        // The server says when there are no more.
        let Some(last) = calls.last().and_then(|call| text(call, "id")) else {
            break;
        };
        page = format!("/calls?before={last}");
    }
    let columns = ["ID", "STARTED", "FROM", "TO", "PHASE", "SINCE", "HOLD"];
    context.out.rows(rows, &columns, "no calls are up")
}

/// One that is up, as far as it has come; `None`: it is not up, or no server runs.
pub fn show(id: &str, context: &Context) -> Option<Result<(), Failure>> {
    // What comes from a command line goes into a request.
    if !id.chars().all(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    let call = beside::json(context, &format!("/calls/{id}")).ok()?;
    Some(context.out.object(&call, || told(&call)))
}

fn row(call: &Value) -> Row {
    let hold = call.get("hold_asked_ms").and_then(Value::as_u64);
    Row {
        cells: vec![
            or_dash(text(call, "id")),
            or_dash(text(call, "started_at")),
            or_dash(text(call, "from")),
            or_dash(text(call, "to")),
            or_dash(text(call, "phase")),
            or_dash(text(call, "since")),
            or_dash(hold.map(|ms| format!("{ms} ms"))),
        ],
        value: call.clone(),
    }
}

fn told(call: &Value) -> String {
    let fact = |name: &str, member: &str| vec![name.to_owned(), or_dash(text(call, member))];
    let started = at(call, "started_at");
    let mut told = table(&[
        fact("call", "id"),
        fact("from", "from"),
        fact("to", "to"),
        fact("started", "started_at"),
        fact("phase", "phase"),
        fact("since", "since"),
    ]);
    let legs = call.get("legs").and_then(Value::as_array);
    for (number, leg) in legs.into_iter().flatten().enumerate() {
        let who = match number {
            0 => "A (caller)".to_owned(),
            _ => format!("B{number} (callee)"),
        };
        let steps = leg.get("ladder").and_then(Value::as_array);
        let steps: Vec<LadderStep> = steps.into_iter().flatten().map(step).collect();
        told.push_str(&format!(
            "\n\nleg {who}: {}, Call-ID {}\n{}",
            clean(&or_dash(text(leg, "target"))),
            clean(&or_dash(text(leg, "sip_call_id"))),
            ladder(&steps, started)
        ));
    }
    told.push_str("\n\nit goes on");
    told
}

fn step(step: &Value) -> LadderStep {
    LadderStep {
        at: at(step, "at"),
        sent: match text(step, "sent").as_deref() {
            Some("out") => Sent::Out,
            _ => Sent::In,
        },
        summary: text(step, "summary").unwrap_or_default(),
    }
}

fn text(value: &Value, member: &str) -> Option<String> {
    value.get(member)?.as_str().map(str::to_owned)
}

fn at(value: &Value, member: &str) -> UnixMs {
    let moment = text(value, member).and_then(|text| text.parse().ok());
    UnixMs(moment.map_or(0, |Moment(ms)| ms))
}
