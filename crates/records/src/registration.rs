//! A registration, as it is kept.

use serde::{Deserialize, Serialize};

use crate::UnixMs;

/// One contact of a subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationRecord {
    /// Whose.
    pub user: String,
    /// The contact's URI.
    pub contact: String,
    /// How much it is preferred, thousandths.
    pub q: u16,
    /// Until when.
    pub expires_at: UnixMs,
    /// Call-ID of the REGISTER that said so last.
    pub sip_call_id: String,
    /// Its CSeq.
    pub cseq: u32,
    /// The device, `+sip.instance` as written.
    pub instance: Option<String>,
    /// Which of its flows.
    pub reg_id: Option<u32>,
    /// Path, first hop first.
    pub path: Vec<String>,
    /// The phone.
    pub user_agent: Option<String>,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
    /// Our socket, `address:port`.
    pub local: String,
    /// Where the REGISTER came from, `address:port`.
    pub source: String,
    /// It is called there, whatever its contact says.
    pub by_source: bool,
}
