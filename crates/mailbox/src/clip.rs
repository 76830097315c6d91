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
    /// AMR 12.2 kbit/s (mode 7), bandwidth-efficient (RFC 4867 §4.3), 20 ms packets; so are those that follow.
    #[serde(rename = "amr-12.2-be")]
    Amr122Be,
    /// The same, octet-aligned (RFC 4867 §4.4).
    #[serde(rename = "amr-12.2-oa")]
    Amr122Oa,
    /// AMR 7.4 kbit/s (mode 4), for sets of modes without 12.2.
    #[serde(rename = "amr-7.4-be")]
    Amr74Be,
    /// The same, octet-aligned.
    #[serde(rename = "amr-7.4-oa")]
    Amr74Oa,
    /// AMR 4.75 kbit/s (mode 0).
    #[serde(rename = "amr-4.75-be")]
    Amr475Be,
    /// The same, octet-aligned.
    #[serde(rename = "amr-4.75-oa")]
    Amr475Oa,
    /// AMR-WB 12.65 kbit/s (mode 2).
    #[serde(rename = "amr-wb-12.65-be")]
    AmrWb1265Be,
    /// The same, octet-aligned.
    #[serde(rename = "amr-wb-12.65-oa")]
    AmrWb1265Oa,
    /// AMR-WB 6.60 kbit/s (mode 0), for sets of modes without 12.65.
    #[serde(rename = "amr-wb-6.6-be")]
    AmrWb66Be,
    /// The same, octet-aligned.
    #[serde(rename = "amr-wb-6.6-oa")]
    AmrWb66Oa,
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
    pub const ALL: [RenditionProfile; 20] = [
        RenditionProfile::Pcmu,
        RenditionProfile::Pcma,
        RenditionProfile::G722,
        RenditionProfile::Opus,
        RenditionProfile::Amr122Be,
        RenditionProfile::Amr122Oa,
        RenditionProfile::Amr74Be,
        RenditionProfile::Amr74Oa,
        RenditionProfile::Amr475Be,
        RenditionProfile::Amr475Oa,
        RenditionProfile::AmrWb1265Be,
        RenditionProfile::AmrWb1265Oa,
        RenditionProfile::AmrWb66Be,
        RenditionProfile::AmrWb66Oa,
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
            RenditionProfile::Amr122Be => "amr-12.2-be",
            RenditionProfile::Amr122Oa => "amr-12.2-oa",
            RenditionProfile::Amr74Be => "amr-7.4-be",
            RenditionProfile::Amr74Oa => "amr-7.4-oa",
            RenditionProfile::Amr475Be => "amr-4.75-be",
            RenditionProfile::Amr475Oa => "amr-4.75-oa",
            RenditionProfile::AmrWb1265Be => "amr-wb-12.65-be",
            RenditionProfile::AmrWb1265Oa => "amr-wb-12.65-oa",
            RenditionProfile::AmrWb66Be => "amr-wb-6.6-be",
            RenditionProfile::AmrWb66Oa => "amr-wb-6.6-oa",
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
        matches!(
            self,
            RenditionProfile::H264W640Mode1
                | RenditionProfile::H264W640Mode0
                | RenditionProfile::H264W320Mode1
                | RenditionProfile::H264W320Mode0
                | RenditionProfile::Vp8W640
                | RenditionProfile::Vp8W320
        )
    }

    /// Of AMR and AMR-WB: which, and how.
    pub fn amr(self) -> Option<AmrForm> {
        let form = |wide, mode, octet_aligned| {
            Some(AmrForm {
                wide,
                mode,
                octet_aligned,
            })
        };
        match self {
            RenditionProfile::Amr122Be => form(false, 7, false),
            RenditionProfile::Amr122Oa => form(false, 7, true),
            RenditionProfile::Amr74Be => form(false, 4, false),
            RenditionProfile::Amr74Oa => form(false, 4, true),
            RenditionProfile::Amr475Be => form(false, 0, false),
            RenditionProfile::Amr475Oa => form(false, 0, true),
            RenditionProfile::AmrWb1265Be => form(true, 2, false),
            RenditionProfile::AmrWb1265Oa => form(true, 2, true),
            RenditionProfile::AmrWb66Be => form(true, 0, false),
            RenditionProfile::AmrWb66Oa => form(true, 0, true),
            _ => None,
        }
    }

    /// All of AMR, or of AMR-WB, the best first.
    pub fn of_amr(wide: bool) -> impl Iterator<Item = (RenditionProfile, AmrForm)> {
        let all = RenditionProfile::ALL.into_iter();
        all.filter_map(|profile| Some((profile, profile.amr()?)))
            .filter(move |(_, form)| form.wide == wide)
    }
}

/// How a rendition in AMR is coded and packed (RFC 4867).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmrForm {
    /// AMR-WB rather than AMR.
    pub wide: bool,
    /// Its speech mode: 0 to 7, of AMR-WB 0 to 8.
    pub mode: u8,
    /// Octet-aligned rather than bandwidth-efficient.
    pub octet_aligned: bool,
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
        let amr = R::ALL.into_iter().filter(|profile| profile.amr().is_some());
        let expected: Vec<R> = [R::G722, R::Opus]
            .into_iter()
            .chain(amr)
            .chain([R::Vp8W640, R::Vp8W320])
            .collect();
        assert_eq!(old.missing(), expected);
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
