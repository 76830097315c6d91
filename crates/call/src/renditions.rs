//! Which prepared rendition of a clip fits what was agreed with A.

use segue_mailbox::{AmrForm, ClipInfo, RenditionInfo, RenditionProfile};
use segue_policy::HoldOn;
use segue_sdp::{Agreed, Amr, Band, Codec, Format, H264Need, Packing, Vp8Need, h264_receives, vp8_receives};

use crate::io::{ClipUse, Lookup, Source};

impl Lookup {
    /// What A is held on, if anything.
    pub(crate) fn held_on(&self) -> Option<(Source, &ClipInfo)> {
        let clip = self.clip.as_ref().map(|clip| (Source::Clip, clip));
        let greeting = self.greeting.as_ref().map(|clip| (Source::Greeting, clip));
        match self.plan.hold_on {
            HoldOn::Clip => clip,
            HoldOn::Greeting => greeting.or(clip),
        }
    }
}

/// The clip in renditions for A; `None` when nothing of it can be sent.
pub(crate) fn clip_use(clip: &ClipInfo, answered: &Agreed) -> Option<ClipUse> {
    let rendition = |stream: &Option<segue_sdp::Stream>| {
        let stream = stream.as_ref().filter(|s| s.direction.sends() && s.remote.is_some())?;
        fitting(clip, &stream.format)
    };
    let (audio, video) = (rendition(&answered.audio), rendition(&answered.video));
    (audio.is_some() || video.is_some()).then_some(ClipUse {
        clip: clip.id,
        audio,
        video,
    })
}

/// What A's streams are to be sent, of all that can be made.
pub(crate) fn wanted(answered: &Agreed) -> (Option<RenditionProfile>, Option<RenditionProfile>) {
    let all = RenditionProfile::ALL.map(|profile| RenditionInfo {
        profile,
        bytes: 0,
        profile_level_id: None,
    });
    let everything = ClipInfo {
        id: 0,
        name: String::new(),
        duration_ms: 0,
        renditions: all.to_vec(),
    };
    clip_use(&everything, answered).map_or((None, None), |found| (found.audio, found.video))
}

/// The best rendition of a clip for a format: the greatest picture first, FU-A before single NAL units.
pub(crate) fn fitting(clip: &ClipInfo, format: &Format) -> Option<RenditionProfile> {
    let order: &[RenditionProfile] = match format.codec {
        Codec::Amr(amr) => return fitting_amr(clip, amr),
        Codec::Pcmu => &[RenditionProfile::Pcmu],
        Codec::Pcma => &[RenditionProfile::Pcma],
        Codec::G722 => &[RenditionProfile::G722],
        Codec::Opus => &[RenditionProfile::Opus],
        Codec::Vp8 => &[RenditionProfile::Vp8W640, RenditionProfile::Vp8W320],
        Codec::Foreign { .. } => &[],
        Codec::H264 { .. } => &[
            RenditionProfile::H264W640Mode1,
            RenditionProfile::H264W640Mode0,
            RenditionProfile::H264W320Mode1,
            RenditionProfile::H264W320Mode0,
        ],
    };
    order.iter().copied().find(|profile| {
        let prepared = clip.renditions.iter().find(|r| r.profile == *profile);
        prepared.is_some_and(|r| takes(format, r))
    })
}

/// The best rendition in the agreed packing whose mode is one of those agreed (RFC 4867 §8.1: others "MUST NOT be sent").
fn fitting_amr(clip: &ClipInfo, amr: Amr) -> Option<RenditionProfile> {
    let prepared = |profile| clip.renditions.iter().any(|r| r.profile == profile);
    let mut all = RenditionProfile::of_amr(amr.band == Band::Wide);
    let fits = |(profile, form): &(RenditionProfile, AmrForm)| {
        form.octet_aligned == (amr.packing == Packing::OctetAligned)
            && amr.modes.contains(form.mode)
            && prepared(*profile)
    };
    all.find(fits).map(|(profile, _)| profile)
}

/// Pictures a second of every video rendition.
const FRAME_RATE: u32 = 25;

/// Whether who announced `format` can receive the rendition; sound is always received.
fn takes(format: &Format, rendition: &RenditionInfo) -> bool {
    let (packetization_mode, level_idc, frame_macroblocks) = match rendition.profile {
        RenditionProfile::Vp8W640 => return vp8_receives(format, vp8_need(40, 23)),
        RenditionProfile::Vp8W320 => return vp8_receives(format, vp8_need(20, 12)),
        RenditionProfile::H264W640Mode1 => (1, 30, 920),
        RenditionProfile::H264W640Mode0 => (0, 30, 920),
        RenditionProfile::H264W320Mode1 => (1, 12, 240),
        RenditionProfile::H264W320Mode0 => (0, 12, 240),
        _ => return true,
    };
    let level_idc = rendition.profile_level_id.map_or(level_idc, |[_, _, level]| level);
    let need = H264Need {
        packetization_mode,
        level_idc,
        frame_macroblocks,
        macroblocks_per_second: frame_macroblocks * FRAME_RATE,
    };
    h264_receives(format, need)
}

fn vp8_need(width_macroblocks: u32, height_macroblocks: u32) -> Vp8Need {
    Vp8Need {
        width_macroblocks,
        height_macroblocks,
        frame_rate: FRAME_RATE,
    }
}
