//! The audit as it is shown.

use segue_records::UnixMs;
use segue_store::{Done, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Access, Page, PageAsked, Refusal, Scope};

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeedView {
    /// Grows with each.
    pub id: i64,
    /// When, RFC 3339.
    pub at: String,
    /// Who: an operator or subscriber, or the system's user for a command.
    pub name: String,
    /// By what: `session`, `token ID`, `password`, `link` or `command`.
    pub by: String,
    /// From where; empty for a command.
    pub source: String,
    /// What, e.g. `message.delete`.
    pub what: String,
    /// To what, e.g. the message's id.
    pub object: String,
    /// Whose that is, where it is somebody's.
    pub owner: Option<String>,
    /// More about it, in words.
    pub detail: String,
}

impl From<Done> for DeedView {
    fn from(done: Done) -> DeedView {
        let deed = done.deed;
        DeedView {
            id: done.id,
            at: UnixMs(done.at_ms).rfc3339(),
            name: deed.name,
            by: deed.by,
            source: deed.source,
            what: deed.what,
            object: deed.object,
            owner: deed.owner,
            detail: deed.detail,
        }
    }
}

impl Access {
    /// Deeds, the newest first: of or about one subscriber or operator, or all. A subscriber sees what was done by and to them.
    pub fn audit(&self, of: Option<&str>, page: &PageAsked) -> Result<Page<DeedView>, Refusal> {
        self.need(Scope::SettingsRead)?;
        let own = self.own_name();
        let of = match (own, of) {
            (None, of) => {
                self.need(Scope::SystemRead)?;
                of.map(|of| (of, Role::Operator))
            }
            (Some(own), None) => Some((own, Role::Subscriber)),
            (Some(own), Some(of)) if of == own => Some((own, Role::Subscriber)),
            (Some(_), Some(of)) => return Err(Refusal::not_found("subscriber", of)),
        };
        let before = match page.after()? {
            None => None,
            Some(text) => Some(
                text.parse()
                    .map_err(|_| Refusal::invalid("cursor", "it is not the 'next' of a page"))?,
            ),
        };
        let limit = page.limit()?;
        let max = u32::try_from(limit.saturating_add(1)).unwrap_or(u32::MAX);
        let found = self.store().audit(of, before, max)?;
        Ok(Page::of(found, limit, |done| done.id.to_string(), DeedView::from))
    }
}
