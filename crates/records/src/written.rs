//! Call records as other programs read them: a JSON object, or a line of CSV (docs/records.md). Names and order are
//! stable; new columns come at the end.

use serde_json::{Value, json};

use crate::{CallRecord, LegRecord, LossRecord, RuleRecord, StreamRecord, SwitchRecord, UnixMs};

/// The columns of the CSV, in order.
pub const COLUMNS: [&str; 32] = [
    "id",
    "sip_call_id",
    "from",
    "to",
    "started_at",
    "first_media_at",
    "invited_at",
    "answered_at",
    "ended_at",
    "duration_ms",
    "answered_ms",
    "hold_asked_ms",
    "hold_ms",
    "prolonged_at",
    "phase_reached",
    "result",
    "cause",
    "message_id",
    "callees",
    "callee_target",
    "callee_sip_call_id",
    "callee_status",
    "callee_reason",
    "a_lost",
    "a_jitter_ms",
    "why",
    "admit",
    "icid",
    "relayed_untouched",
    "source",
    "from_said",
    "rules",
];

impl CallRecord {
    /// As programs see it in a list: no ladders, no counters of media.
    pub fn to_json(&self) -> Value {
        let at = |moment: Option<UnixMs>| moment.map(UnixMs::rfc3339);
        let leg = |leg: &LegRecord| json!({"sip_call_id": leg.sip_call_id, "target": leg.target, "status": leg.status, "reason": leg.reason});
        let switch = |switch: &SwitchRecord| json!({"to": switch.to, "kind": switch.kind, "gap_ms": switch.gap_ms});
        json!({
            "id": self.id,
            "sip_call_id": self.sip_call_id,
            "from": self.from,
            "to": self.to,
            "started_at": self.started_at.rfc3339(),
            "first_media_at": at(self.first_media_at),
            "invited_at": at(self.invited_at),
            "answered_at": at(self.answered_at),
            "ended_at": at(self.ended_at),
            "hold_asked_ms": self.hold_asked_ms,
            "hold_ms": self.hold_ms,
            "prolonged_at": at(self.prolonged_at),
            "phase_reached": self.phase_reached,
            "result": self.result,
            "cause": self.cause,
            "legs": self.legs.iter().map(leg).collect::<Vec<_>>(),
            "switches": self.switches.iter().map(switch).collect::<Vec<_>>(),
            "message_id": self.message_id,
            "why": self.why,
            "admit": self.admit,
            "icid": self.icid,
            "relayed_untouched": self.relayed_untouched,
            "source": self.source,
            "from_said": self.from_said,
            "rules": self.rules,
        })
    }

    /// The same with ladders, what was counted and the moments of the switches: a line of the JSON lines.
    pub fn to_full_json(&self) -> Value {
        let mut value = self.to_json();
        let legs = value.get_mut("legs").and_then(Value::as_array_mut);
        for (shown, leg) in legs.into_iter().flatten().zip(&self.legs) {
            let ladder: Vec<Value> = leg
                .ladder
                .iter()
                .map(|step| json!({"at": step.at.rfc3339(), "sent": step.sent, "summary": step.summary}))
                .collect();
            if let Some(shown) = shown.as_object_mut() {
                shown.insert("ladder".to_owned(), Value::Array(ladder));
                shown.insert("media".to_owned(), leg.media.iter().map(media).collect());
            }
        }
        let switches = value.get_mut("switches").and_then(Value::as_array_mut);
        for (shown, switch) in switches.into_iter().flatten().zip(&self.switches) {
            if let Some(shown) = shown.as_object_mut() {
                shown.insert("at".to_owned(), json!(switch.at.rfc3339()));
            }
        }
        value
    }

    /// One line of the CSV under [`COLUMNS`], without its end. It holds no line end itself.
    pub fn to_csv(&self) -> String {
        let callees = self.legs.get(1..).unwrap_or_default();
        // The one that answered, else the last that was tried.
        let callee = callees
            .iter()
            .find(|leg| leg.status.is_some_and(|status| (200..300).contains(&status)))
            .or(callees.last());
        let caller = self.legs.first();
        let media = caller.map(|leg| leg.media.as_slice()).unwrap_or_default();
        let ms = |from: Option<UnixMs>| {
            let to = self.ended_at?.0;
            from.map(|from| to.saturating_sub(from.0).max(0))
        };
        let at = |moment: Option<UnixMs>| text(moment.map(UnixMs::rfc3339).as_deref());
        let told: Vec<String> = self.rules.iter().map(RuleRecord::told).collect();
        let rules = (!told.is_empty()).then(|| told.join("; "));
        let fields: [String; COLUMNS.len()] = [
            text(Some(&self.id)),
            text(Some(&self.sip_call_id)),
            text(Some(&self.from)),
            text(Some(&self.to)),
            at(Some(self.started_at)),
            at(self.first_media_at),
            at(self.invited_at),
            at(self.answered_at),
            at(self.ended_at),
            number(ms(Some(self.started_at))),
            number(ms(self.answered_at)),
            number(self.hold_asked_ms),
            number(self.hold_ms),
            at(self.prolonged_at),
            text(json!(self.phase_reached).as_str()),
            text(Some(self.result.as_str())),
            number(self.cause),
            text(self.message_id.as_deref()),
            number(Some(callees.len())),
            text(callee.map(|leg| leg.target.as_str())),
            text(callee.map(|leg| leg.sip_call_id.as_str())),
            number(callee.and_then(|leg| leg.status)),
            text(callee.and_then(|leg| leg.reason.as_deref())),
            number(media.iter().map(|stream| stream.lost).reduce(u64::saturating_add)),
            number(media.iter().map(|stream| stream.jitter_ms).max()),
            text(Some(&self.why)),
            text(self.admit.as_deref()),
            text(self.icid.as_deref()),
            number(Some(self.relayed_untouched)),
            text(self.source.as_deref()),
            text(self.from_said.as_deref()),
            text(rules.as_deref()),
        ];
        fields.join(",")
    }
}

/// The first line of the CSV, without its end.
pub fn csv_header() -> String {
    COLUMNS.join(",")
}

/// What was counted on a stream, with the moments of its losses as people read them.
fn media(stream: &StreamRecord) -> Value {
    let loss = |loss: &LossRecord| json!({"from": loss.from.rfc3339(), "until": loss.until.rfc3339(), "packets": loss.packets});
    let mut value = json!(stream);
    for (name, losses) in [("losses", &stream.losses), ("peer_losses", &stream.peer_losses)] {
        if let Some(shown) = value.get_mut(name) {
            *shown = losses.iter().map(loss).collect();
        }
    }
    value
}

/// A number as it is, absent: nothing.
fn number(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// A quoted field (RFC 4180 §2), absent: nothing.
///
/// Callers choose much of what stands here, and a spreadsheet takes what begins with one of these characters for a
/// formula: such a field gets an apostrophe in front, and so does one that begins with an apostrophe, so that it can
/// be taken off again. Line ends and other control characters become U+FFFD: one record is one line.
fn text(value: Option<&str>) -> String {
    let Some(value) = value else { return String::new() };
    let mut field = String::with_capacity(value.len().saturating_add(2));
    field.push('"');
    if value
        .trim_start()
        .starts_with(['=', '+', '-', '@', '\'', '＝', '＋', '－', '＠'])
        || value.starts_with(char::is_control)
    {
        field.push('\'');
    }
    for c in value.chars() {
        match c {
            '"' => field.push_str("\"\""),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => field.push('\u{fffd}'),
            c => field.push(c),
        }
    }
    field.push('"');
    field
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CallResult, PhaseName};

    fn call() -> CallRecord {
        CallRecord {
            from: "sip:\"a,b\"@h".to_owned(),
            to: "+1\r\n=2".to_owned(),
            answered_at: Some(UnixMs(1_000)),
            ended_at: Some(UnixMs(3_500)),
            hold_asked_ms: Some(6_000),
            phase_reached: PhaseName::Bridged,
            result: CallResult::Answered,
            why: "The caller hung up.".to_owned(),
            ..CallRecord::begun("01JNA4X".to_owned(), "=cmd|' /C calc'!A0".to_owned(), UnixMs(0))
        }
    }

    /// A plain reader of RFC 4180.
    fn read(line: &str) -> Vec<String> {
        let (mut fields, mut quoted) = (vec![String::new()], false);
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            let field = fields.last_mut().unwrap();
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => field.push(chars.next().unwrap()),
                '"' => quoted = !quoted,
                ',' if !quoted => fields.push(String::new()),
                c => field.push(c),
            }
        }
        fields
    }

    #[test]
    fn a_line_has_every_column_and_is_one_line() {
        let line = call().to_csv();
        assert!(!line.contains(['\r', '\n']), "{line}");
        let fields = read(&line);
        assert_eq!(fields.len(), COLUMNS.len());
        let field = |name: &str| fields[COLUMNS.iter().position(|c| *c == name).unwrap()].as_str();
        assert_eq!(field("from"), "sip:\"a,b\"@h");
        assert_eq!((field("duration_ms"), field("answered_ms")), ("3500", "2500"));
        assert_eq!((field("result"), field("phase_reached")), ("answered", "bridged"));
        assert_eq!((field("cause"), field("callee_status"), field("admit")), ("", "", ""));
        assert_eq!(csv_header().split(',').count(), COLUMNS.len());
    }

    #[test]
    fn what_a_caller_chose_is_no_formula() {
        let fields = read(&call().to_csv());
        assert_eq!(fields[1], "'=cmd|' /C calc'!A0");
        assert_eq!(fields[3], "'+1\u{fffd}\u{fffd}=2");
        for (given, field) in [
            ("@x", "'@x"),
            ("-1", "'-1"),
            ("\t=1", "'\u{fffd}=1"),
            ("  =1", "'  =1"),
            ("'x", "''x"),
            ("＝1", "'＝1"),
            ("sip:a@h", "sip:a@h"),
            ("", ""),
        ] {
            assert_eq!(read(&text(Some(given))), [field], "{given:?}");
        }
    }
}
