//! Clips (ring-back tones, greetings, prompts) and their prepared renditions.

use serde::{Deserialize, Serialize};

/// A prepared elementary stream of a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RenditionProfile {
    /// G.711 µ-law, 20 ms packets.
    #[serde(rename = "pcmu")]
    Pcmu,
    /// G.711 A-law, 20 ms packets.
    #[serde(rename = "pcma")]
    Pcma,
    /// H.264 constrained baseline 640x360, 25 fps, packetization-mode 1 (FU-A, RFC 6184 §6.3).
    #[serde(rename = "h264-360-1")]
    H264W640Mode1,
    /// The same, packetization-mode 0 (single NAL units, RFC 6184 §6.2).
    #[serde(rename = "h264-360-0")]
    H264W640Mode0,
    /// H.264 constrained baseline 320x180 for receivers below level 3.0, mode 1.
    #[serde(rename = "h264-180-1")]
    H264W320Mode1,
    /// The same, mode 0.
    #[serde(rename = "h264-180-0")]
    H264W320Mode0,
}

/// What one rendition is, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenditionInfo {
    /// Which codec and form.
    pub profile: RenditionProfile,
    /// Size of its packet cache in bytes.
    pub bytes: u64,
    /// Value for `profile-level-id` (three bytes, RFC 6184 §8.1); H.264 only.
    pub profile_level_id: Option<[u8; 3]>,
}

/// A clip as the call core sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClipInfo {
    /// Row id in the store, changes when the clip is replaced.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Playing time, milliseconds.
    pub duration_ms: u64,
    /// What was prepared.
    pub renditions: Vec<RenditionInfo>,
}
