//! What headers of A's INVITE beyond RFC 3261's mean for a call.

use std::time::Instant;

use segue_sip_wire::Uri;

/// See the module; the default is an INVITE without any.
#[derive(Debug, Clone, Default)]
pub struct Further {
    /// Who is shown as the caller in record, message and events; `None`: From.
    pub shown: Option<Shown>,
    /// The charging identifier of the network before us (icid-value of P-Charging-Vector, RFC 7315 §4.6).
    pub icid: Option<String>,
    /// What A's network asserts (Identity, RFC 8224) is fresh until then: B is to be invited before.
    pub invite_by: Option<Instant>,
}

/// A caller as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Without parameters.
    pub uri: Uri,
    /// Display name.
    pub name: Option<String>,
}
