//! What a recording carries with it, so that it can become a message even after a crash.
//!
//! The manifest is the first record of a spool file, the end its last; both as JSON in a spool record of kind `meta`. Between them
//! a [`StreamInfo`] says that a stream goes on in another codec.

use serde::{Deserialize, Serialize};

use crate::Kind;

/// First record of a spool: everything the message row needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingManifest {
    /// The id the message will have.
    pub message_id: String,
    /// The subscriber who will own it.
    pub mailbox: String,
    /// What becomes of it.
    #[serde(default)]
    pub purpose: Purpose,
    /// Our call's id.
    pub call_id: String,
    /// Call-ID of the caller's leg.
    pub sip_call_id: String,
    /// The caller's URI.
    pub from: String,
    /// The caller's display name.
    pub from_name: Option<String>,
    /// When the recording began, Unix milliseconds.
    pub started_at_ms: i64,
    /// Video when a video stream was negotiated, else audio.
    pub kind: Kind,
    /// Recordings shorter than this are dropped, milliseconds.
    pub shortest_ms: u64,
    /// The streams of the spool, by the spool record's `stream` byte.
    pub streams: Vec<StreamInfo>,
}

/// What becomes of a recording.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A message.
    #[default]
    Message,
    /// A greeting of its owner, made by who recorded it; one that a crash leaves is dropped.
    Greeting,
}

/// One RTP stream of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamInfo {
    /// The `stream` byte of its spool records.
    pub stream: u8,
    /// RTP payload type in its packets.
    pub payload_type: u8,
    /// Encoding name as in `a=rtpmap`: `PCMU`, `PCMA`, `G722`, `opus`, `H264`, `VP8`.
    pub encoding: String,
    /// RTP clock rate in Hz.
    pub clock_rate: u32,
    /// The `a=fmtp` value the sender announced (sprop-parameter-sets), if any.
    pub fmtp: Option<String>,
}

/// Last record of a spool that ended in order. A spool without one was interrupted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingEnd {
    /// From the first recorded packet to the last, milliseconds.
    pub duration_ms: u64,
    /// What ended it.
    pub cause: StopCause,
}

/// What ended a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    /// The caller hung up.
    Bye,
    /// The caller pressed `#`.
    Key,
    /// The longest message.
    Longest,
    /// RTP stopped coming.
    RtpGone,
    /// Nothing but silence (audio alone).
    Silence,
    /// The server stopped or the call failed.
    Stopped,
}

impl StopCause {
    /// Its word in spools and records.
    pub fn as_str(self) -> &'static str {
        match self {
            StopCause::Bye => "bye",
            StopCause::Key => "key",
            StopCause::Longest => "longest",
            StopCause::RtpGone => "rtp_gone",
            StopCause::Silence => "silence",
            StopCause::Stopped => "stopped",
        }
    }
}
