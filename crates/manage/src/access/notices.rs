//! Notices on their way to subscribers, and the dead letters: an operator's (docs/notices.md). What a receiver said is in them, so a
//! subscriber, who chooses the receiver, does not see them: a webhook must not read to them what it finds.

use segue_records::UnixMs;
use segue_store::{Delivery, DeliveryState, WhichDeliveries};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{Access, Page, PageAsked, Refusal, Scope};

/// A notice on its way to one subscriber by one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NoticeView {
    /// By which it is named here.
    pub id: String,
    /// By which receivers know it.
    pub key: String,
    /// What happened, e.g. `message.committed`.
    pub event: String,
    /// The subscriber who is told.
    pub user: String,
    /// `mail`, `webhook` or `message`.
    pub channel: String,
    /// `waiting`, `sent` or `dead`.
    pub state: String,
    /// An attempt is under way.
    pub is_tried: bool,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// Attempts begun.
    pub attempts: u32,
    /// The next attempt, while it waits, RFC 3339.
    pub next_at: Option<String>,
    /// When it was delivered or given up, RFC 3339.
    pub settled_at: Option<String>,
    /// What the receiver said last, or why it could not be asked.
    pub said: Option<String>,
    /// The message that it is about.
    pub message_id: Option<String>,
    /// The call that it is about.
    pub call_id: Option<String>,
}

impl From<Delivery> for NoticeView {
    fn from(found: Delivery) -> NoticeView {
        let facts = found.facts;
        let of = facts.as_ref();
        NoticeView {
            id: found.id.to_string(),
            key: found.key,
            event: found.event,
            user: found.recipient,
            channel: found.channel,
            state: found.state.name().to_owned(),
            is_tried: found.is_tried,
            created_at: found.created_at.rfc3339(),
            attempts: found.attempts,
            next_at: found.next_at.map(UnixMs::rfc3339),
            settled_at: found.settled_at.map(UnixMs::rfc3339),
            said: found.said,
            message_id: of.and_then(|facts| facts.message_id.clone()),
            call_id: of.and_then(|facts| facts.call_id.clone()),
        }
    }
}

/// Which notices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NoticeQuery {
    /// To this subscriber alone.
    pub user: Option<String>,
    /// `waiting`, `sent` or `dead` alone.
    pub state: Option<String>,
}

impl NoticeQuery {
    fn which(&self) -> Result<WhichDeliveries, Refusal> {
        let named = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let state = named(&self.state).map(|state| {
            let found = DeliveryState::ALL.into_iter().find(|known| known.name() == state);
            found.ok_or_else(|| Refusal::invalid("state", "it is waiting, sent or dead"))
        });
        Ok(WhichDeliveries {
            recipient: named(&self.user),
            state: state.transpose()?,
        })
    }
}

/// How many notices of a channel there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NoticeCountView {
    /// `mail`, `webhook` or `message`.
    pub channel: String,
    /// Those that wait.
    pub waiting: u64,
    /// Since when the oldest of these does, RFC 3339.
    pub waiting_since: Option<String>,
    /// Dead letters.
    pub dead: u64,
}

impl Access {
    /// Notices, the newest first.
    pub fn notices(&self, query: &NoticeQuery, page: &PageAsked) -> Result<Page<NoticeView>, Refusal> {
        let limit = page.limit()?;
        let before = page.after()?.map(|id| id.parse());
        let before = before.transpose();
        let before = before.map_err(|_| Refusal::invalid("cursor", "it is not the 'next' of a page"))?;
        let max = u32::try_from(limit.saturating_add(1)).unwrap_or(u32::MAX);
        let found = self.notices_before(query, before, max)?;
        Ok(Page::of(found, limit, |one| one.id.clone(), |one| one))
    }

    /// The same, at most so many of those that are older than one.
    pub fn notices_before(
        &self,
        query: &NoticeQuery,
        before: Option<i64>,
        max: u32,
    ) -> Result<Vec<NoticeView>, Refusal> {
        self.need(Scope::SystemRead)?;
        let which = query.which()?;
        if let Some(user) = &which.recipient {
            self.store().subscriber(user)?;
        }
        let found = self.store().deliveries_before(&which, before, max, self.now_ms())?;
        Ok(found.into_iter().map(NoticeView::from).collect())
    }

    /// All of one.
    pub fn notice(&self, id: i64) -> Result<NoticeView, Refusal> {
        self.need(Scope::SystemRead)?;
        Ok(self.store().delivery(id, self.now_ms())?.into())
    }

    /// How many there are, by channel.
    pub fn notice_counts(&self) -> Result<Vec<NoticeCountView>, Refusal> {
        self.need(Scope::SystemRead)?;
        let counts = self.store().notice_counts()?.into_iter();
        Ok(counts
            .map(|of| NoticeCountView {
                channel: of.channel.name().to_owned(),
                waiting: of.waiting,
                waiting_since: of.waiting_since.map(UnixMs::rfc3339),
                dead: of.dead,
            })
            .collect())
    }

    /// Tries one again now, with as much time as a new one; one that was delivered is so once more.
    pub fn retry_notice(&self, id: i64) -> Result<NoticeView, Refusal> {
        self.need(Scope::SystemWrite)?;
        let to = self.notice(id)?.user;
        let acting = self.acting("notice.retry", &id.to_string(), Some(&to));
        Ok(acting.retry_notice(id, self.now_ms())?.into())
    }

    /// The same with all dead letters; how many they were.
    pub fn retry_dead_notices(&self) -> Result<u64, Refusal> {
        self.need(Scope::SystemWrite)?;
        let acting = self.acting("notice.retry", "all dead letters", None);
        Ok(acting.retry_dead_notices(self.now_ms())?)
    }

    /// Takes one out of the queue for good: nobody is told.
    pub fn drop_notice(&self, id: i64) -> Result<NoticeView, Refusal> {
        self.need(Scope::SystemWrite)?;
        let to = self.notice(id)?.user;
        let acting = self.acting("notice.drop", &id.to_string(), Some(&to));
        Ok(acting.drop_notice(id, self.now_ms())?.into())
    }
}
