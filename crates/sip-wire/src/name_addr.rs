//! `"Display" <uri>;param` and `uri;param` (RFC 3261 §20.10, §25.1 name-addr, addr-spec).

use std::fmt;

use crate::{
    params::Params,
    split::{cut, find_outside, quote, take_quoted, unescape_quoted},
    uri::Uri,
};

/// A value of From, To, Contact, Route, Record-Route and their like.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NameAddr {
    /// The display name, quoted pairs resolved.
    pub display: Option<String>,
    /// The URI.
    pub uri: Uri,
    /// Header parameters (not the URI's).
    pub params: Params,
}

impl NameAddr {
    /// Of a URI alone.
    pub fn new(uri: Uri) -> NameAddr {
        NameAddr {
            display: None,
            uri,
            params: Params::default(),
        }
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }

    /// The same with a tag.
    pub fn with_tag(mut self, tag: &str) -> NameAddr {
        self.params.set("tag", Some(tag));
        self
    }

    /// Read one value (no comma list).
    pub(crate) fn parse(text: &str) -> Result<NameAddr, &'static str> {
        let text = text.trim();
        if text.starts_with('"') {
            let (inner, rest) = take_quoted(text).ok_or("a display name misses its closing quote")?;
            let rest = rest
                .trim_start()
                .strip_prefix('<')
                .ok_or("'<' must follow a quoted display name")?;
            return Self::angled(Some(unescape_quoted(inner)), rest);
        }
        if let Some((name, rest)) = text.split_once('<') {
            let name = name.trim();
            // Tokens only, says the grammar; phones also send dots, brackets and UTF-8 unquoted, which mislead nobody.
            if name
                .bytes()
                .any(|byte| byte.is_ascii_control() && byte != b'\t' || b"\",;:\\>@".contains(&byte))
            {
                return Err("an unquoted display name holds what needs quotes");
            }
            return Self::angled((!name.is_empty()).then(|| name.into()), rest);
        }
        // Without '<' every parameter is the header's, and a '?' or ',' is not allowed (§20).
        let at = find_outside(text, |byte| byte == b';').unwrap_or(text.len());
        let (uri, params) = text.split_at_checked(at).unwrap_or((text, ""));
        if uri.contains(['?', ',']) {
            return Err("a URI with '?' or ',' must stand in '<>'");
        }
        let uri = uri.trim_end().parse().map_err(|crate::uri::UriError(why)| why)?;
        Ok(NameAddr {
            display: None,
            uri,
            params: Params::parse(params, true)?,
        })
    }

    fn angled(display: Option<String>, rest: &str) -> Result<NameAddr, &'static str> {
        let at = rest.find('>').ok_or("'<' misses its '>'")?;
        let (uri, params) = cut(rest, at);
        let uri = uri.parse().map_err(|crate::uri::UriError(why)| why)?;
        Ok(NameAddr {
            display,
            uri,
            params: Params::parse(params, true)?,
        })
    }
}

impl std::str::FromStr for NameAddr {
    type Err = crate::ParseError;

    fn from_str(text: &str) -> Result<NameAddr, crate::ParseError> {
        NameAddr::parse(text).map_err(crate::ParseError::bad_request)
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write!(f, "{} ", quote(display))?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}
