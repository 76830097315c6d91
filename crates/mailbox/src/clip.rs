//! Clips (ring-back tones, greetings, prompts) and their prepared renditions.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The clip played before a recording. Ours: no subscriber names it and no list shows it.
pub const BEEP_CLIP: &str = "beep";

/// The notice that a mailbox is full, where somebody has added one of their own: a clip like others.
pub const FULL_CLIP: &str = "full";
/// The notice otherwise. Ours, like the beep; nobody can add a clip of this name.
pub const BUILT_IN_FULL_CLIP: &str = ".full";

/// Longest clip name, bytes.
const NAME_BYTES_MAX: usize = 64;

/// Why a clip name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameError {
    /// Empty, too long, or a character that is not a letter, digit, `.`, `_` or `-`.
    #[error("a clip name is 1 to 64 letters, digits, '.', '_' or '-', and begins with a letter or digit")]
    Form,
    /// `none` clears an option, `beep` is ours.
    #[error("the clip names 'none' and 'beep' are reserved")]
    Reserved,
}

/// Whether a user may give a clip this name. Names appear in commands, logs and records as they are.
pub fn check_clip_name(name: &str) -> Result<(), NameError> {
    let plain = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !plain || !begins || name.len() > NAME_BYTES_MAX {
        return Err(NameError::Form);
    }
    if name == "none" || name == BEEP_CLIP {
        return Err(NameError::Reserved);
    }
    Ok(())
}

/// A prepared elementary stream of a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RenditionProfile {
    /// G.711 µ-law, 20 ms packets.
    #[serde(rename = "pcmu")]
    Pcmu,
    /// G.711 A-law, 20 ms packets.
    #[serde(rename = "pcma")]
    Pcma,
    /// G.722, 64 kbit/s, 20 ms packets.
    #[serde(rename = "g722")]
    G722,
    /// Opus, mono, 20 ms packets.
    #[serde(rename = "opus")]
    Opus,
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
    /// VP8 640x360, 25 fps.
    #[serde(rename = "vp8-360")]
    Vp8W640,
    /// VP8 320x180, 25 fps, for receivers that limit the frame size (RFC 7741 §6.1).
    #[serde(rename = "vp8-180")]
    Vp8W320,
}

impl RenditionProfile {
    /// Every profile.
    pub const ALL: [RenditionProfile; 10] = [
        RenditionProfile::Pcmu,
        RenditionProfile::Pcma,
        RenditionProfile::G722,
        RenditionProfile::Opus,
        RenditionProfile::H264W640Mode1,
        RenditionProfile::H264W640Mode0,
        RenditionProfile::H264W320Mode1,
        RenditionProfile::H264W320Mode0,
        RenditionProfile::Vp8W640,
        RenditionProfile::Vp8W320,
    ];

    /// Its name in files, tables and output; the same as its serde form.
    pub fn name(self) -> &'static str {
        match self {
            RenditionProfile::Pcmu => "pcmu",
            RenditionProfile::Pcma => "pcma",
            RenditionProfile::G722 => "g722",
            RenditionProfile::Opus => "opus",
            RenditionProfile::H264W640Mode1 => "h264-360-1",
            RenditionProfile::H264W640Mode0 => "h264-360-0",
            RenditionProfile::H264W320Mode1 => "h264-180-1",
            RenditionProfile::H264W320Mode0 => "h264-180-0",
            RenditionProfile::Vp8W640 => "vp8-360",
            RenditionProfile::Vp8W320 => "vp8-180",
        }
    }

    /// The profile of this name.
    pub fn from_name(name: &str) -> Option<RenditionProfile> {
        RenditionProfile::ALL.into_iter().find(|p| p.name() == name)
    }

    /// A picture, not sound.
    pub fn is_video(self) -> bool {
        !matches!(
            self,
            RenditionProfile::Pcmu | RenditionProfile::Pcma | RenditionProfile::G722 | RenditionProfile::Opus
        )
    }
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

impl ClipInfo {
    /// Built in: no subscriber names it and no list shows it.
    pub fn is_built_in(&self) -> bool {
        [BEEP_CLIP, BUILT_IN_FULL_CLIP].contains(&self.name.as_str())
    }

    /// What a clip that is added today has and this one lacks: it was prepared by an older version. Sound is missing only where there
    /// is any, single NAL units never, since not every encoder makes them.
    pub fn missing(&self) -> Vec<RenditionProfile> {
        let has = |profile: RenditionProfile| self.renditions.iter().any(|r| r.profile == profile);
        let has_sound = self.renditions.iter().any(|r| !r.profile.is_video());
        let single_units = [RenditionProfile::H264W640Mode0, RenditionProfile::H264W320Mode0];
        RenditionProfile::ALL
            .into_iter()
            .filter(|profile| !has(*profile) && !single_units.contains(profile) && (profile.is_video() || has_sound))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_version_did_not_prepare_is_missing() {
        let clip = |profiles: &[RenditionProfile]| ClipInfo {
            id: 1,
            name: "hello".into(),
            duration_ms: 1_000,
            renditions: profiles
                .iter()
                .map(|profile| RenditionInfo {
                    profile: *profile,
                    bytes: 1,
                    profile_level_id: None,
                })
                .collect(),
        };
        use RenditionProfile as R;
        assert_eq!(clip(&R::ALL).missing(), []);
        let old = clip(&[R::Pcmu, R::Pcma, R::H264W640Mode1, R::H264W320Mode1]);
        assert_eq!(old.missing(), [R::G722, R::Opus, R::Vp8W640, R::Vp8W320]);
        let silent = clip(&[R::H264W640Mode1, R::H264W320Mode1, R::Vp8W640]);
        assert_eq!(silent.missing(), [R::Vp8W320]);
    }

    #[test]
    fn names_that_a_shell_a_log_and_a_file_take_as_they_are() {
        for good in ["a", "ring-back", "Clip_2.v1", "7"] {
            assert_eq!(check_clip_name(good), Ok(()), "{good}");
        }
        for bad in ["", "-x", ".hidden", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert_eq!(check_clip_name(bad), Err(NameError::Form), "{bad}");
        }
        for ours in ["none", "beep"] {
            assert_eq!(check_clip_name(ours), Err(NameError::Reserved), "{ours}");
        }
    }

    #[test]
    fn each_profile_is_found_by_its_name() {
        for profile in RenditionProfile::ALL {
            assert_eq!(RenditionProfile::from_name(profile.name()), Some(profile));
        }
        assert_eq!(RenditionProfile::from_name("vp9"), None);
    }
}
