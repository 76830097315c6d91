//! Records of calls: an operator's.

use segue_records::CallRecord;
use segue_store::CallsOfHour;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use crate::{Access, Page, PageAsked, Refusal, Scope};

/// Which calls.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CallQuery {
    /// Those whose addresses have this in them.
    pub q: Option<String>,
}

impl Access {
    /// Ended calls as programs see them in a list, the newest first.
    pub fn calls(&self, asked: &CallQuery, page: &PageAsked) -> Result<Page<Value>, Refusal> {
        let Page { items, next } = self.call_records(asked, page)?;
        let items = items.iter().map(CallRecord::to_json).collect();
        Ok(Page { items, next })
    }

    /// The same, each whole.
    pub fn call_records(&self, asked: &CallQuery, page: &PageAsked) -> Result<Page<CallRecord>, Refusal> {
        self.need(Scope::CallsRead)?;
        let limit = page.limit()?;
        let text = asked.q.as_deref().filter(|text| !text.trim().is_empty());
        let before = page.after()?;
        let found = self
            .store()
            .calls_page(before.as_deref(), limit.saturating_add(1), text)?;
        Ok(Page::looked(found, limit, |record| record.id.clone(), |record| record))
    }

    /// All of one call: ladders, what was counted, each switch.
    pub fn call(&self, id: &str) -> Result<CallRecord, Refusal> {
        self.need(Scope::CallsRead)?;
        Ok(self.store().call(id)?)
    }

    /// An ended call, found by the Call-ID of its caller's leg.
    pub fn call_by_sip_call_id(&self, sip_call_id: &str) -> Result<Option<CallRecord>, Refusal> {
        self.need(Scope::CallsRead)?;
        Ok(self.store().call_by_sip_call_id(sip_call_id)?)
    }

    /// How many calls began in each hour since a moment (Unix milliseconds), by what became of them; the oldest first.
    pub fn calls_by_hour(&self, since_ms: i64) -> Result<Vec<CallsOfHour>, Refusal> {
        self.need(Scope::CallsRead)?;
        Ok(self.store().calls_by_hour(since_ms)?)
    }
}
