//! Lists, page by page.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use segue_store::Looked;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Refusal;

/// Entries of a page unless somebody says otherwise.
const LIMIT: u32 = 50;
/// Most entries of a page.
const LIMIT_MAX: u32 = 200;

/// Which page.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageAsked {
    /// `next` of the page before; absent: the first page.
    pub cursor: Option<String>,
    /// At most so many entries, 1 to 200; absent: 50.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

impl PageAsked {
    /// How many entries; one more is asked for, to know whether there is a page after.
    pub(crate) fn limit(&self) -> Result<usize, Refusal> {
        match self.limit.unwrap_or(LIMIT) {
            limit @ 1..=LIMIT_MAX => Ok(limit as usize),
            _ => Err(Refusal::invalid(
                "limit",
                format!("it is a number from 1 to {LIMIT_MAX}"),
            )),
        }
    }

    /// The key of the last entry of the page before.
    pub(crate) fn after(&self) -> Result<Option<String>, Refusal> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        URL_SAFE_NO_PAD
            .decode(cursor)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .map(Some)
            .ok_or_else(|| Refusal::invalid("cursor", "it is not the 'next' of a page"))
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Page<T> {
    /// The entries. A search looks at 20,000 at once: its page may have few, or none, and a `next` that looks further.
    pub items: Vec<T>,
    /// The `cursor` of the page after; absent: this is the last.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Of a look that has a bound: where that ended it, the page after goes on there, however little was found.
    pub(crate) fn looked<U>(
        looked: Looked<U>,
        limit: usize,
        key: impl Fn(&U) -> String,
        shown: impl Fn(U) -> T,
    ) -> Page<T> {
        let Page { items, next } = Page::of(looked.found, limit, key, shown);
        let next = next.or(looked.ended_at.map(|id| URL_SAFE_NO_PAD.encode(id)));
        Page { items, next }
    }

    /// Of what was found, which is one more than `limit` where there is a page after; `key` by which an entry is found again.
    pub(crate) fn of<U>(found: Vec<U>, limit: usize, key: impl Fn(&U) -> String, shown: impl Fn(U) -> T) -> Page<T> {
        let next = (found.len() > limit)
            .then(|| found.get(limit.saturating_sub(1)))
            .flatten()
            .map(|last| URL_SAFE_NO_PAD.encode(key(last)));
        Page {
            items: found.into_iter().take(limit).map(shown).collect(),
            next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_to_the_page_after_and_the_last_has_none() {
        let page = Page::of(vec![3, 2, 1], 2, ToString::to_string, |n| n * 10);
        assert_eq!(page.items, [30, 20]);
        let asked = PageAsked {
            cursor: page.next,
            limit: None,
        };
        assert_eq!(asked.after(), Ok(Some("2".to_owned())));
        assert_eq!(Page::of(vec![1], 2, ToString::to_string, |n| n).next, None);
        let wrong = PageAsked {
            cursor: Some("§".to_owned()),
            limit: Some(0),
        };
        assert!(wrong.after().is_err() && wrong.limit().is_err());
    }
}
