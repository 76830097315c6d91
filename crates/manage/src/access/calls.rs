//! Records of calls: an operator's.

use segue_records::CallRecord;
use segue_sip_wire::Uri;
use segue_store::{Begun, CallsOfHour, CallsSought};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use crate::{Access, Page, PageAsked, Refusal, Scope, written};

/// Records that are read at once where all are wanted: the store may hold more than fits into memory.
const AT_ONCE: u32 = 50;

/// Which calls.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CallQuery {
    /// Those whose addresses have this in them.
    pub q: Option<String>,
    /// Those that began then or later (RFC 3339).
    #[param(format = "date-time")]
    pub since: Option<String>,
    /// Those that began before then (RFC 3339).
    #[param(format = "date-time")]
    pub until: Option<String>,
    /// Those to this subscriber, by the name in the Request-URI.
    pub user: Option<String>,
}

impl CallQuery {
    fn is_of_time_or_user(&self) -> bool {
        self.since.is_some() || self.until.is_some() || self.user.is_some()
    }

    fn text(&self) -> Option<&str> {
        self.q.as_deref().filter(|text| !text.trim().is_empty())
    }

    /// From when on, and before when.
    pub(super) fn between(&self) -> Result<(Option<i64>, Option<i64>), Refusal> {
        Ok((
            moment("since", self.since.as_deref())?,
            moment("until", self.until.as_deref())?,
        ))
    }
}

fn moment(field: &'static str, text: Option<&str>) -> Result<Option<i64>, Refusal> {
    let read = text.map(written::moment).transpose();
    read.map_err(|why| Refusal::invalid(field, format!("{why}, is needed")))
}

/// Calls that are wanted one after the other, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallsWanted {
    after: Begun,
    until_ms: i64,
    user: Option<String>,
}

impl CallsWanted {
    /// Those that began at a moment or later and before another (Unix milliseconds); to this subscriber.
    pub fn new(since_ms: i64, until_ms: i64, user: Option<String>) -> CallsWanted {
        CallsWanted {
            after: Begun::at(since_ms),
            until_ms,
            user,
        }
    }
}

impl TryFrom<&CallQuery> for CallsWanted {
    type Error = Refusal;

    fn try_from(query: &CallQuery) -> Result<CallsWanted, Refusal> {
        if query.text().is_some() {
            return Err(Refusal::invalid(
                "q",
                "all records are not searched: name a user or moments",
            ));
        }
        let (since_ms, until_ms) = query.between()?;
        Ok(CallsWanted::new(
            since_ms.unwrap_or(i64::MIN),
            until_ms.unwrap_or(i64::MAX),
            query.user.clone(),
        ))
    }
}

/// Some of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SomeCalls {
    /// Those that are wanted; there may be none among those that were looked at.
    pub calls: Vec<CallRecord>,
    /// Which cannot be read, and why.
    pub unreadable: Vec<String>,
}

/// Whether a Request-URI's user part is this one.
fn calls_user(uri: &str, user: &str) -> bool {
    uri.parse::<Uri>()
        .is_ok_and(|uri| uri.user().is_some_and(|found| found == user))
}

/// Where a page goes on in a list by moments; at first before a moment.
pub(super) fn before(page: &PageAsked, until_ms: Option<i64>) -> Result<Begun, Refusal> {
    let place = page.after()?.map(|cursor| cursor.parse()).transpose();
    let place = place.map_err(|()| Refusal::invalid("cursor", "it is not the 'next' of a page"))?;
    Ok(place.unwrap_or(Begun::at(until_ms.unwrap_or(i64::MAX))))
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
        if asked.is_of_time_or_user() {
            let (since_ms, until_ms) = asked.between()?;
            let sought = CallsSought {
                since_ms,
                text: asked.text().map(str::to_owned),
                is_rejected: false,
            };
            let is_theirs = |callee: &str| asked.user.as_deref().is_none_or(|user| calls_user(callee, user));
            let before = before(page, until_ms)?;
            let found = self
                .store()
                .calls_back(&before, limit.saturating_add(1), &sought, is_theirs)?;
            return Ok(Page::looked(
                found,
                limit,
                |record| place(record).to_string(),
                |record| record,
            ));
        }
        let before = page.after()?;
        if before.as_ref().is_some_and(|id| id.contains(':')) {
            return Err(Refusal::invalid(
                "cursor",
                "it is the 'next' of a page by moments or of a user",
            ));
        }
        let found = self
            .store()
            .calls_page(before.as_deref(), limit.saturating_add(1), asked.text())?;
        Ok(Page::looked(found, limit, |record| record.id.clone(), |record| record))
    }

    /// Ended calls that began at or after a moment (Unix milliseconds), the oldest first: all of them.
    pub fn calls_since(&self, since_ms: i64) -> Result<Vec<CallRecord>, Refusal> {
        self.need(Scope::CallsRead)?;
        Ok(self.store().calls(since_ms)?)
    }

    /// The next of the calls that are wanted, which then has those after them; `None`: that were all.
    pub fn next_calls(&self, wanted: &mut CallsWanted) -> Result<Option<SomeCalls>, Refusal> {
        self.need(Scope::CallsRead)?;
        let found = self.store().calls_from(&wanted.after, wanted.until_ms, AT_ONCE)?;
        let Some((last, _)) = found.last() else {
            return Ok(None);
        };
        wanted.after = last.clone();
        let mut some = SomeCalls::default();
        for (_, call) in found {
            match call {
                Ok(call) if wanted.user.as_deref().is_none_or(|user| calls_user(&call.to, user)) => {
                    some.calls.push(call)
                }
                Ok(_) => {}
                Err(unreadable) => some.unreadable.push(unreadable.to_string()),
            }
        }
        Ok(Some(some))
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

fn place(call: &CallRecord) -> Begun {
    Begun {
        at_ms: call.started_at.0,
        id: call.id.clone(),
    }
}
