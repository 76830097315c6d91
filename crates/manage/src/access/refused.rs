//! What was refused: calls, and requests that never became calls; an operator's.

use std::cmp::Reverse;

use segue_records::{CallRecord, CallResult, LadderStep, RefusedRecord};
use segue_store::{Begun, CallsSought, Looked};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::calls::before;
use crate::{Access, CallQuery, Page, PageAsked, Refusal, Scope};

/// What was refused: a call, or a request that never became one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RefusedView {
    /// Its id.
    pub id: String,
    /// `call`: a rejected call; `request`: one that never became a call.
    pub kind: &'static str,
    /// When it came, RFC 3339.
    pub at: String,
    /// `udp`, `tcp` or `tls`; `null`: it is not known.
    pub protocol: Option<String>,
    /// From where.
    pub source: Option<String>,
    /// To which socket; known of requests.
    pub local: Option<String>,
    /// Its method; empty: it was no SIP.
    pub method: String,
    /// Its Call-ID.
    pub sip_call_id: Option<String>,
    /// Who sent it, as they say.
    pub from: Option<String>,
    /// For whom.
    pub to: Option<String>,
    /// The answer; `null`: none.
    pub status: Option<u16>,
    /// Why, in a sentence.
    pub why: String,
    /// What would have let it in.
    pub admit: Option<String>,
    /// How often the same came.
    pub times: u32,
    /// Refusals before it that were only counted.
    pub withheld: u64,
    #[serde(skip)]
    at_ms: i64,
}

impl RefusedView {
    fn place(&self) -> Begun {
        Begun {
            at_ms: self.at_ms,
            id: self.id.clone(),
        }
    }
}

impl From<&CallRecord> for RefusedView {
    fn from(call: &CallRecord) -> RefusedView {
        let (protocol, source) = call.source.as_deref().and_then(|source| source.split_once(' ')).unzip();
        RefusedView {
            id: call.id.clone(),
            kind: "call",
            at: call.started_at.rfc3339(),
            protocol: protocol.map(str::to_owned),
            source: source.map(str::to_owned),
            local: None,
            method: "INVITE".to_owned(),
            sip_call_id: Some(call.sip_call_id.clone()),
            from: Some(call.from.clone()),
            to: Some(call.to.clone()),
            status: call.cause,
            why: call.why.clone(),
            admit: call.admit.clone(),
            times: 1,
            withheld: 0,
            at_ms: call.started_at.0,
        }
    }
}

impl From<&RefusedRecord> for RefusedView {
    fn from(refused: &RefusedRecord) -> RefusedView {
        RefusedView {
            id: refused.id.clone(),
            kind: "request",
            at: refused.at.rfc3339(),
            protocol: Some(refused.protocol.clone()),
            source: Some(refused.source.clone()),
            local: Some(refused.local.clone()),
            method: refused.method.clone(),
            sip_call_id: refused.sip_call_id.clone(),
            from: refused.from.clone(),
            to: refused.to.clone(),
            status: refused.status,
            why: refused.why.clone(),
            admit: Some(refused.admit.clone()),
            times: refused.times,
            withheld: refused.withheld,
            at_ms: refused.at.0,
        }
    }
}

/// All of a request that never became a call, for programs.
pub fn refused_json(refused: &RefusedRecord) -> Value {
    let mut value = json!(RefusedView::from(refused));
    let step = |step: &LadderStep| json!({"at": step.at.rfc3339(), "sent": step.sent, "summary": step.summary});
    if let Some(shown) = value.as_object_mut() {
        let ladder = refused.ladder.iter().map(step).collect();
        shown.insert("ladder".to_owned(), Value::Array(ladder));
    }
    value
}

impl Access {
    /// What was refused since a moment (Unix milliseconds), the oldest first: all of it that is kept.
    pub fn refused_since(&self, since_ms: i64) -> Result<Vec<RefusedView>, Refusal> {
        let calls = self.calls_since(since_ms)?;
        let rejected = calls.iter().filter(|call| call.result == CallResult::Rejected);
        let mut all: Vec<RefusedView> = rejected.map(RefusedView::from).collect();
        all.extend(self.store().all_refused(since_ms)?.iter().map(RefusedView::from));
        all.sort_by_key(|one| one.at_ms);
        Ok(all)
    }

    /// What was refused, the newest first: between two moments, a page at a time.
    pub fn refused(&self, asked: &CallQuery, page: &PageAsked) -> Result<Page<RefusedView>, Refusal> {
        self.need(Scope::CallsRead)?;
        let limit = page.limit()?;
        let more = limit.saturating_add(1);
        let (since_ms, until_ms) = asked.between()?;
        let before = before(page, until_ms)?;
        let sought = CallsSought {
            since_ms,
            text: None,
            is_rejected: true,
        };
        let calls = self.store().calls_back(&before, more, &sought, |_| true)?;
        let requests = self.store().refused_back(&before, since_ms.unwrap_or(i64::MIN), more)?;
        let mut found: Vec<RefusedView> = calls.found.iter().map(RefusedView::from).collect();
        found.extend(requests.iter().map(RefusedView::from));
        // What is older than where the look for calls ended comes with the page after.
        let ended = calls.ended_at.as_deref().and_then(|place| place.parse::<Begun>().ok());
        found.retain(|one| ended.as_ref().is_none_or(|ended| one.place() >= *ended));
        found.sort_by_key(|one| Reverse(one.place()));
        let found = Looked {
            found,
            ended_at: calls.ended_at,
        };
        Ok(Page::looked(found, limit, |one| one.place().to_string(), |one| one))
    }

    /// All of a request that never became a call.
    pub fn refused_request(&self, id: &str) -> Result<RefusedRecord, Refusal> {
        self.need(Scope::CallsRead)?;
        Ok(self.store().refused(id)?)
    }
}
