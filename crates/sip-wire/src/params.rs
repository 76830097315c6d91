//! Parameters of URIs and header values: `;name` or `;name=value` (RFC 3261 §25.1 generic-param, uri-parameter).

use std::fmt;

use crate::{limits::PARAMS_MAX, split::split_outside};

/// Parameters in their order. Names compare without case; values are kept as written, quotes and escapes too.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Params(Vec<(Box<str>, Option<Box<str>>)>);

impl Params {
    /// The value of a parameter; `""` when it has none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_deref().unwrap_or(""))
    }

    /// Whether the parameter is there.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Set or add a parameter. What could end it or the header value is left out.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let clean = |text: &str| -> Box<str> {
            let safe = |char: &char| !char.is_control() && !matches!(char, ' ' | ';' | ',' | '<' | '>' | '?' | '=');
            text.chars().filter(safe).collect::<String>().into()
        };
        let value = value.map(clean);
        match self.0.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, old)) => *old = value,
            None => self.0.push((clean(name), value)),
        }
    }

    /// Drop a parameter.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (&**name, value.as_deref()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Read `;a;b=c` (or nothing). Spaces around the separators are accepted where `spaces` says so (header values).
    pub(crate) fn parse(text: &str, spaces: bool) -> Result<Params, &'static str> {
        let text = if spaces { text.trim() } else { text };
        if text.is_empty() {
            return Ok(Params::default());
        }
        let Some(list) = text.strip_prefix(';') else {
            return Err("parameters must start with ';'");
        };
        let mut params = Vec::new();
        for piece in split_outside(list, b';') {
            if params.len() >= PARAMS_MAX {
                return Err("too many parameters");
            }
            let (name, value) = match piece.split_once('=') {
                Some((name, value)) => (name.trim_end(), Some(value.trim_start())),
                None => (piece, None),
            };
            if name.is_empty() || !name.bytes().all(is_param_name) {
                return Err("a parameter has no proper name");
            }
            if value.is_some_and(|value| !is_param_value(value)) {
                return Err("a parameter has no proper value");
            }
            params.push((name.into(), value.map(Into::into)));
        }
        Ok(Params(params))
    }
}

fn is_param_name(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f && !b"\"<>;,?=@".contains(&byte)
}

fn is_param_value(value: &str) -> bool {
    if let Some((_, rest)) = crate::split::take_quoted(value) {
        return rest.is_empty();
    }
    value
        .bytes()
        .all(|byte| byte > b' ' && byte != 0x7f && !b"\"<>;,".contains(&byte))
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.iter() {
            match value {
                Some(value) => write!(f, ";{name}={value}")?,
                None => write!(f, ";{name}")?,
            }
        }
        Ok(())
    }
}
