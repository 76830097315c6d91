//! Sound of a caller who changed its codec, as one.
#![deny(clippy::arithmetic_side_effects)]

use gstreamer_app::{AppSink, AppSrc};

use super::audio::Sound;
use super::mux::{push_packets, push_samples, sound_caps};
use crate::error::JobError;
use crate::g722::pull;
use crate::pipeline::Running;

/// Sounds of one timeline, each with when it begins (nanoseconds). One alone stays as it came; several are decoded, and each lasts
/// until the next begins.
pub(super) fn join(mut sounds: Vec<(i64, Sound)>) -> Result<Option<Sound>, JobError> {
    if sounds.len() <= 1 {
        return Ok(sounds.pop().map(|(_, sound)| sound));
    }
    sounds.sort_by_key(|(begins_ns, _)| *begins_ns);
    let rate = sounds.iter().map(|(_, sound)| sound.rate()).max().unwrap_or(48_000);
    let mut joined: Vec<i16> = Vec::new();
    for (begins_ns, sound) in &sounds {
        let at = begins_ns.max(&0).saturating_mul(rate.into()) / 1_000_000_000;
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let samples = at_rate(sound, rate)?;
        let Some(own) = samples.get(at..).filter(|own| !own.is_empty()) else {
            continue;
        };
        joined.resize(at, 0);
        joined.extend_from_slice(own);
    }
    Ok(Some(Sound::Samples { rate, samples: joined }))
}

/// Decoded, with so many samples a second.
fn at_rate(sound: &Sound, rate: u32) -> Result<Vec<i16>, JobError> {
    let decoder = match sound {
        Sound::Samples { rate: own, samples } if *own == rate => return Ok(samples.clone()),
        Sound::Samples { .. } => "",
        Sound::Opus { .. } => "opusdec !",
    };
    let pipeline = Running::parse(&format!(
        "appsrc name=in ! {decoder} audioconvert ! audioresample ! \
         audio/x-raw,format=S16LE,layout=interleaved,rate={rate},channels=1 ! appsink name=out sync=false"
    ))?;
    let source: AppSrc = pipeline.element("in")?;
    source.set_caps(Some(&sound_caps(sound)));
    source.set_format(gstreamer::Format::Time);
    // Everything is in memory already.
    source.set_max_bytes(0);
    let sink: AppSink = pipeline.element("out")?;
    pipeline.play()?;
    match sound {
        Sound::Samples { rate, samples } => push_samples(&source, *rate, samples, 0)?,
        Sound::Opus { packets, .. } => push_packets(&source, packets)?,
    }
    pull(&pipeline, &sink)
}
