//! Request methods (RFC 3261 §7.1). Names are case-sensitive; unknown ones are kept as they came.

use std::{fmt, str::FromStr};

use crate::split::is_token;

/// A request method.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// INVITE, RFC 3261.
    Invite,
    /// ACK, RFC 3261.
    Ack,
    /// BYE, RFC 3261.
    Bye,
    /// CANCEL, RFC 3261.
    Cancel,
    /// OPTIONS, RFC 3261.
    Options,
    /// REGISTER, RFC 3261.
    Register,
    /// PRACK, RFC 3262.
    Prack,
    /// UPDATE, RFC 3311.
    Update,
    /// INFO, RFC 6086.
    Info,
    /// MESSAGE, RFC 3428.
    Message,
    /// NOTIFY, RFC 6665.
    Notify,
    /// SUBSCRIBE, RFC 6665.
    Subscribe,
    /// REFER, RFC 3515.
    Refer,
    /// PUBLISH, RFC 3903.
    Publish,
    /// Any other token, as it was written.
    Other(Box<str>),
}

impl Method {
    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Method::Invite => "INVITE",
            Method::Ack => "ACK",
            Method::Bye => "BYE",
            Method::Cancel => "CANCEL",
            Method::Options => "OPTIONS",
            Method::Register => "REGISTER",
            Method::Prack => "PRACK",
            Method::Update => "UPDATE",
            Method::Info => "INFO",
            Method::Message => "MESSAGE",
            Method::Notify => "NOTIFY",
            Method::Subscribe => "SUBSCRIBE",
            Method::Refer => "REFER",
            Method::Publish => "PUBLISH",
            Method::Other(name) => name,
        }
    }

    /// Whether some RFC defines it, so that 405 rather than 501 is its refusal.
    pub fn is_known(&self) -> bool {
        !matches!(self, Method::Other(_))
    }
}

impl From<rsip::Method> for Method {
    fn from(method: rsip::Method) -> Self {
        match method {
            rsip::Method::Ack => Method::Ack,
            rsip::Method::Bye => Method::Bye,
            rsip::Method::Cancel => Method::Cancel,
            rsip::Method::Info => Method::Info,
            rsip::Method::Invite => Method::Invite,
            rsip::Method::Message => Method::Message,
            rsip::Method::Notify => Method::Notify,
            rsip::Method::Options => Method::Options,
            rsip::Method::PRack => Method::Prack,
            rsip::Method::Publish => Method::Publish,
            rsip::Method::Refer => Method::Refer,
            rsip::Method::Register => Method::Register,
            rsip::Method::Subscribe => Method::Subscribe,
            rsip::Method::Update => Method::Update,
        }
    }
}

/// The text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a method must be a token")]
pub struct BadMethod;

impl FromStr for Method {
    type Err = BadMethod;

    fn from_str(name: &str) -> Result<Self, BadMethod> {
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(BadMethod);
        }
        // rsip ignores case, SIP does not (§7.1): `invite` is an unknown method, not INVITE.
        let known = name.parse::<rsip::Method>().ok().map(Method::from);
        Ok(known
            .filter(|method| method.as_str() == name)
            .unwrap_or_else(|| Method::Other(name.into())))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_the_vocabulary_is_known_by_its_wire_name() {
        for known in rsip::Method::all() {
            let ours = Method::from(known);
            assert_eq!(known.to_string().parse(), Ok(ours.clone()));
            assert!(ours.is_known());
        }
    }

    #[test]
    fn method_names_are_case_sensitive_and_percent_is_no_escape() {
        assert_eq!("invite".parse(), Ok(Method::Other("invite".into())));
        assert_eq!("IN%56ITE".parse(), Ok(Method::Other("IN%56ITE".into())));
        assert_eq!("IN VITE".parse::<Method>(), Err(BadMethod));
        assert_eq!("".parse::<Method>(), Err(BadMethod));
    }
}
