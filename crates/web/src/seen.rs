//! What who asks has seen already: ETag, If-None-Match and If-Match (RFC 9110 §13).

use std::convert::Infallible;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::digest;
use serde::Serialize;

use crate::problem::Problem;

/// The tags that a request names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    none_match: Option<String>,
    match_: Option<String>,
}

impl FromRequestParts<crate::portal::Web> for Seen {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &crate::portal::Web) -> Result<Seen, Infallible> {
        Ok(Seen::of(&parts.headers))
    }
}

impl Seen {
    pub(crate) fn of(headers: &HeaderMap) -> Seen {
        let all = |name: HeaderName| {
            let values: Vec<&str> = headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).collect();
            (!values.is_empty()).then(|| values.join(","))
        };
        Seen {
            none_match: all(header::IF_NONE_MATCH),
            match_: all(header::IF_MATCH),
        }
    }

    /// What a page shows of it, as a form says it again.
    pub(crate) fn of_form(tag: &str) -> Seen {
        Seen {
            none_match: None,
            match_: Some(tag.to_owned()),
        }
    }

    /// The value as JSON with its tag; 304 for who has it already.
    pub(crate) fn answer<T: Serialize>(&self, value: &T) -> Result<Response, Problem> {
        let json = serde_json::to_vec(value).map_err(|_| Problem::fault())?;
        let tag = tag(&json);
        let headers = [(header::CACHE_CONTROL, "private, no-cache")];
        if self.has(&tag) {
            return Ok((StatusCode::NOT_MODIFIED, headers, tagged(&tag)).into_response());
        }
        let kind = [(header::CONTENT_TYPE, "application/json")];
        Ok((headers, kind, tagged(&tag), json).into_response())
    }

    /// Whether who asks has what has this tag (weak comparison, §8.8.3.2).
    pub(crate) fn has(&self, tag: &str) -> bool {
        let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        self.none_match
            .as_deref()
            .is_some_and(|tags| tags.trim() == "*" || tags.split(',').any(|said| strong(said) == tag))
    }

    /// The same of what may not be there: then `If-Match` is not fulfilled, and `If-None-Match: *` is (§13.1.2).
    pub(crate) fn may_put<T: Serialize>(&self, now: Option<&T>) -> bool {
        let is_new_alone = self.none_match.as_deref().is_some_and(|tags| tags.trim() == "*");
        match now {
            Some(now) => !is_new_alone && self.may_change(now),
            None => self.match_.is_none(),
        }
    }

    /// Whether a change may be made of what is so now: nobody said what it must be, or it is that (strong comparison).
    pub(crate) fn may_change<T: Serialize>(&self, now: &T) -> bool {
        match self.match_.as_deref().map(str::trim) {
            None | Some("*") => true,
            Some(tags) => {
                let now = tag_of(now);
                tags.split(',').any(|said| said.trim() == now)
            }
        }
    }
}

/// The tag of a value.
pub(crate) fn tag_of<T: Serialize>(value: &T) -> String {
    tag(&serde_json::to_vec(value).unwrap_or_default())
}

/// The tag of these bytes.
fn tag(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    let first = digest.as_ref().get(..15).unwrap_or_default();
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(first))
}

/// As a header.
pub(crate) fn tagged(tag: &str) -> [(HeaderName, HeaderValue); 1] {
    let value = HeaderValue::from_str(tag).unwrap_or(HeaderValue::from_static("\"\""));
    [(header::ETAG, value)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: HeaderName, value: &str) -> Seen {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        Seen::of(&headers)
    }

    #[test]
    fn tags_are_compared_weakly_for_reading_and_strongly_for_changes() {
        let tag = tag(b"1");
        for said in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            assert!(seen(header::IF_NONE_MATCH, &said).has(&tag), "{said}");
        }
        assert!(!seen(header::IF_NONE_MATCH, "\"x\"").has(&tag));
        assert!(seen(header::IF_MATCH, &tag).may_change(&1));
        assert!(seen(header::IF_MATCH, "*").may_change(&1));
        assert!(Seen::default().may_change(&1));
        assert!(!seen(header::IF_MATCH, &format!("W/{tag}")).may_change(&1));
        assert!(!seen(header::IF_MATCH, &tag).may_change(&2));
        assert!(seen(header::IF_NONE_MATCH, "*").may_put(None::<&u8>));
        assert!(!seen(header::IF_NONE_MATCH, "*").may_put(Some(&1)));
        assert!(!seen(header::IF_MATCH, "*").may_put(None::<&u8>));
        assert!(seen(header::IF_MATCH, &tag).may_put(Some(&1)));
    }
}
