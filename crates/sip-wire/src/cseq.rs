//! CSeq (RFC 3261 §20.16) and RAck (RFC 3262 §7.2).

use std::fmt;

use crate::method::Method;

/// A CSeq value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CSeq {
    /// Sequence number.
    pub number: u32,
    /// Method.
    pub method: Method,
}

impl CSeq {
    pub(crate) fn parse(text: &str) -> Result<CSeq, &'static str> {
        let mut words = text.split_ascii_whitespace();
        let number = words.next().and_then(parse_u32).ok_or("CSeq has no proper number")?;
        let method = words
            .next()
            .and_then(|word| word.parse().ok())
            .ok_or("CSeq has no proper method")?;
        match words.next() {
            None => Ok(CSeq { number, method }),
            Some(_) => Err("CSeq has more than a number and a method"),
        }
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// A RAck value: which reliable provisional response a PRACK acknowledges.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RAck {
    /// RSeq of the response.
    pub rseq: u32,
    /// CSeq number of the response.
    pub cseq: u32,
    /// CSeq method of the response.
    pub method: Method,
}

impl RAck {
    pub(crate) fn parse(text: &str) -> Option<RAck> {
        let mut words = text.split_ascii_whitespace();
        let (rseq, cseq) = (parse_u32(words.next()?)?, parse_u32(words.next()?)?);
        let method = words.next()?.parse().ok()?;
        words.next().is_none().then_some(RAck { rseq, cseq, method })
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.rseq, self.cseq, self.method)
    }
}

/// Digits only (no sign), leading zeros allowed.
pub(crate) fn parse_u32(text: &str) -> Option<u32> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}
