//! Status codes and their reason phrases (RFC 3261 §21 and its extensions).

use std::fmt;

/// A status code, 100 to 699.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusCode(u16);

impl StatusCode {
    /// `None` outside 100 to 699.
    pub fn new(code: u16) -> Option<Self> {
        (100..=699).contains(&code).then_some(StatusCode(code))
    }

    /// The number.
    pub fn code(self) -> u16 {
        self.0
    }

    /// The default reason phrase.
    pub fn phrase(self) -> &'static str {
        phrase(self.0)
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.phrase())
    }
}

/// The default reason phrase of a code; that of its class when the code is unknown (RFC 3261 §8.1.3.2).
pub fn phrase(code: u16) -> &'static str {
    use rsip::StatusCode as S;
    match S::from(code) {
        S::Trying => "Trying",
        S::Ringing => "Ringing",
        S::CallIsBeingForwarded => "Call Is Being Forwarded",
        S::Queued => "Queued",
        S::SessionProgress => "Session Progress",
        S::EarlyDialogTerminated => "Early Dialog Terminated",
        S::OK => "OK",
        S::Accepted => "Accepted",
        S::NoNotification => "No Notification",
        S::MultipleChoices => "Multiple Choices",
        S::MovedPermanently => "Moved Permanently",
        S::MovedTemporarily => "Moved Temporarily",
        S::UseProxy => "Use Proxy",
        S::AlternativeService => "Alternative Service",
        S::BadRequest => "Bad Request",
        S::Unauthorized => "Unauthorized",
        S::PaymentRequired => "Payment Required",
        S::Forbidden => "Forbidden",
        S::NotFound => "Not Found",
        S::MethodNotAllowed => "Method Not Allowed",
        S::NotAcceptable | S::NotAcceptableGlobal => "Not Acceptable",
        S::ProxyAuthenticationRequired => "Proxy Authentication Required",
        S::RequestTimeout => "Request Timeout",
        S::Conflict => "Conflict",
        S::Gone => "Gone",
        S::LengthRequired => "Length Required",
        S::ConditionalRequestFailed => "Conditional Request Failed",
        S::RequestEntityTooLarge => "Request Entity Too Large",
        S::RequestUriTooLong => "Request-URI Too Long",
        S::UnsupportedMediaType => "Unsupported Media Type",
        S::UnsupportedUriScheme => "Unsupported URI Scheme",
        S::UnknownResourcePriority => "Unknown Resource-Priority",
        S::BadExtension => "Bad Extension",
        S::ExtensionRequired => "Extension Required",
        S::SessionIntervalTooSmall => "Session Interval Too Small",
        S::IntervalTooBrief => "Interval Too Brief",
        S::BadLocationInformation => "Bad Location Information",
        S::UseIdentityHeader => "Use Identity Header",
        S::ProvideReferrerIdentity => "Provide Referrer Identity",
        S::AnonymityDisallowed => "Anonymity Disallowed",
        S::BadIdentityInfo => "Bad Identity-Info",
        S::UnsupportedCertificate => "Unsupported Certificate",
        S::InvalidIdentityHeader => "Invalid Identity Header",
        S::FirstHopLacksOutboundSupport => "First Hop Lacks Outbound Support",
        S::MaxBreadthExceeded => "Max-Breadth Exceeded",
        S::BadInfoPackage => "Bad Info Package",
        S::ConsentNeeded => "Consent Needed",
        S::TemporarilyUnavailable => "Temporarily Unavailable",
        S::CallTransactionDoesNotExist => "Call/Transaction Does Not Exist",
        S::LoopDetected => "Loop Detected",
        S::TooManyHops => "Too Many Hops",
        S::AddressIncomplete => "Address Incomplete",
        S::Ambiguous => "Ambiguous",
        S::BusyHere => "Busy Here",
        S::RequestTerminated => "Request Terminated",
        S::NotAcceptableHere => "Not Acceptable Here",
        S::BadEvent => "Bad Event",
        S::RequestPending => "Request Pending",
        S::Undecipherable => "Undecipherable",
        S::SecurityAgreementRequired => "Security Agreement Required",
        S::ServerInternalError => "Server Internal Error",
        S::NotImplemented => "Not Implemented",
        S::BadGateway => "Bad Gateway",
        S::ServiceUnavailable => "Service Unavailable",
        S::ServerTimeOut => "Server Time-out",
        S::VersionNotSupported => "Version Not Supported",
        S::MessageTooLarge => "Message Too Large",
        S::PreconditionFailure => "Precondition Failure",
        S::BusyEverywhere => "Busy Everywhere",
        S::Decline => "Decline",
        S::DoesNotExistAnywhere => "Does Not Exist Anywhere",
        S::Unwanted => "Unwanted",
        S::Other(..) => match code {
            100..=199 => "Progress",
            200..=299 => "OK",
            300..=399 => "Redirection",
            400..=499 => "Request Failure",
            500..=599 => "Server Failure",
            _ => "Global Failure",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_its_rfc_phrase_and_an_unknown_one_that_of_its_class() {
        assert_eq!(phrase(481), "Call/Transaction Does Not Exist");
        assert_eq!(phrase(487), "Request Terminated");
        assert_eq!(phrase(499), "Request Failure");
        assert_eq!(
            StatusCode::new(486).map(|code| code.to_string()),
            Some("486 Busy Here".into())
        );
        assert_eq!(StatusCode::new(700), None);
    }
}
