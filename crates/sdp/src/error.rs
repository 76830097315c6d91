//! What is wrong with a description, and what to tell its sender.

use std::fmt;

/// A description that cannot be used. Carries the verdict for the SIP side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Not a session description, or past a bound (10 m-lines, 64 KiB).
    #[error("not a usable session description: {0}")]
    Malformed(String),
    /// Well formed, but nothing in it can be relayed.
    #[error("{}", .0.text)]
    Unusable(Warning),
}

impl SdpError {
    /// The status that refuses it: 400 for what is malformed, else 488 (RFC 3261 §21.4.26).
    pub fn status(&self) -> u16 {
        match self {
            SdpError::Malformed(_) => 400,
            SdpError::Unusable(_) => 488,
        }
    }

    /// The Warning that goes with it.
    pub fn warning(&self) -> Warning {
        match self {
            SdpError::Malformed(why) => Warning::new(
                WarnCode::Miscellaneous,
                format!("Session description not understood: {why}"),
            ),
            SdpError::Unusable(warning) => warning.clone(),
        }
    }
}

/// Warning codes about session descriptions (RFC 3261 §20.43).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarnCode {
    /// 301: an address family that we do not have, or a host name.
    AddressFormat,
    /// 302: neither RTP nor SRTP with keys that can be used, or not the one that is wanted.
    Transport,
    /// 304: neither audio nor video.
    MediaType,
    /// 305: no codec that we know.
    MediaFormat,
    /// 330.
    Multicast,
    /// 399.
    Miscellaneous,
}

impl WarnCode {
    /// Its number.
    pub fn number(self) -> u16 {
        match self {
            WarnCode::AddressFormat => 301,
            WarnCode::Transport => 302,
            WarnCode::MediaType => 304,
            WarnCode::MediaFormat => 305,
            WarnCode::Multicast => 330,
            WarnCode::Miscellaneous => 399,
        }
    }
}

/// A Warning header value; `Display` prints it as it stands in the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Its code.
    pub code: WarnCode,
    /// Its text, safe inside a quoted string.
    pub text: String,
}

impl Warning {
    /// A warning; characters that would break the quoted string become spaces, and the text is cut at 200 characters.
    pub fn new(code: WarnCode, text: impl Into<String>) -> Warning {
        let clean = |c: char| {
            if c.is_control() || c == '"' || c == '\\' {
                ' '
            } else {
                c
            }
        };
        Warning {
            code,
            text: text.into().chars().take(200).map(clean).collect(),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // "segue" is the pseudonym that RFC 3261 §20.43 allows for the warn-agent.
        write!(f, "{} segue \"{}\"", self.code.number(), self.text)
    }
}
