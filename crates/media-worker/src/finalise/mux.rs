//! The MP4 file.
#![deny(clippy::arithmetic_side_effects)]

use std::path::Path;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSrc;

use super::video::{self, Picture};
use super::{LAST_FRAME_NS, Recording, opus_header};
use crate::error::JobError;
use crate::h264;
use crate::pipeline::{Running, first_of};

/// File name in the job's folder.
const FILE: &str = "recording.mp4";
/// Samples given to the encoder at once: half a second.
const CHUNK: usize = 4000;
const OPUS_BIT_S: u32 = 40_000;

/// Writes the recording; copies the pictures where one track can hold them and all that they refer to is there, else encodes them anew.
pub(super) fn write(recording: &Recording, out_dir: &Path) -> Result<String, JobError> {
    let pictures = &recording.pictures;
    let copy = !video::sets_change(pictures) && !video::refer_to_lost(pictures);
    let done = run(recording, copy, out_dir);
    match done {
        Err(error) if copy && !recording.pictures.is_empty() => {
            eprintln!("media-worker: pictures cannot be copied, encoding them anew: {error}");
            run(recording, false, out_dir)?;
        }
        done => done?,
    }
    Ok(FILE.to_owned())
}

fn run(recording: &Recording, copy: bool, out_dir: &Path) -> Result<(), JobError> {
    let has_video = !recording.pictures.is_empty();
    let has_audio = !recording.audio.is_empty();
    let mut description = "mp4mux name=mux faststart=true ! filesink name=file".to_owned();
    if has_video {
        let anew = if copy {
            String::new()
        } else {
            transcode(video::sets_change(&recording.pictures))?
        };
        description.push_str(&format!(
            " appsrc name=video ! h264parse ! {anew} video/x-h264,stream-format=avc,alignment=au ! queue ! mux."
        ));
    }
    if has_audio {
        description.push_str(&format!(
            " appsrc name=audio ! audioconvert ! audioresample ! audio/x-raw,rate=48000,channels=1 ! \
             opusenc bitrate={OPUS_BIT_S} ! queue ! mux."
        ));
    }
    let pipeline = Running::parse(&description)?;
    pipeline
        .element::<gst::Element>("file")?
        .set_property("location", out_dir.join(FILE));
    let draft = out_dir.join("faststart.tmp");
    pipeline
        .element::<gst::Element>("mux")?
        .set_property("faststart-file", draft.to_string_lossy().as_ref());
    // Everything is in memory already; the sources may hold it all.
    let source = |name, caps| -> Result<AppSrc, JobError> {
        let source: AppSrc = pipeline.element(name)?;
        source.set_caps(Some(&caps));
        source.set_format(gst::Format::Time);
        source.set_max_bytes(0);
        Ok(source)
    };
    let video = has_video.then(|| source("video", h264_caps())).transpose()?;
    let audio = has_audio.then(|| source("audio", pcm_caps())).transpose()?;
    pipeline.play()?;
    if let Some(video) = video {
        push_pictures(&video, &recording.pictures, recording.end_ns)?;
    }
    if let Some(audio) = audio {
        push_sound(&audio, &recording.audio, recording.end_ns)?;
    }
    pipeline.wait()?;
    if has_audio {
        opus_header::correct(&out_dir.join(FILE))?;
    }
    // Left behind when the muxer did not need it.
    let _ = std::fs::remove_file(draft);
    Ok(())
}

fn push_pictures(source: &AppSrc, pictures: &[Picture], end_ns: i64) -> Result<(), JobError> {
    let ends = pictures.iter().skip(1).map(|next| next.time_ns).chain([end_ns]);
    for (picture, end) in pictures.iter().zip(ends) {
        let shown = end
            .saturating_sub(picture.time_ns)
            .max(if end == end_ns { LAST_FRAME_NS } else { 1 });
        let mut buffer = gst::Buffer::from_mut_slice(h264::annex_b(picture.units.iter().map(Vec::as_slice)));
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(time(picture.time_ns));
            // Telephones send no B-frames: pictures are shown in decoding order.
            buffer.set_dts(time(picture.time_ns));
            buffer.set_duration(time(shown));
        }
        source.push_buffer(buffer)?;
    }
    source.end_of_stream()?;
    Ok(())
}

fn push_sound(source: &AppSrc, samples: &[i16], end_ns: i64) -> Result<(), JobError> {
    let length = usize::try_from(end_ns / 125_000)
        .unwrap_or(samples.len())
        .max(samples.len());
    let mut padded = samples.to_vec();
    padded.resize(length, 0);
    let mut at_ns = 0i64;
    for chunk in padded.chunks(CHUNK) {
        let length_ns = i64::try_from(chunk.len()).unwrap_or(0).saturating_mul(125_000);
        let bytes: Vec<u8> = chunk.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(time(at_ns));
            buffer.set_duration(time(length_ns));
        }
        source.push_buffer(buffer)?;
        at_ns = at_ns.saturating_add(length_ns);
    }
    source.end_of_stream()?;
    Ok(())
}

fn time(ns: i64) -> gst::ClockTime {
    gst::ClockTime::from_nseconds(u64::try_from(ns).unwrap_or(0))
}

fn h264_caps() -> gst::Caps {
    gst::Caps::builder("video/x-h264")
        .field("stream-format", "byte-stream")
        .field("alignment", "au")
        .build()
}

fn pcm_caps() -> gst::Caps {
    gst::Caps::builder("audio/x-raw")
        .field("format", "S16LE")
        .field("layout", "interleaved")
        .field("rate", 8000)
        .field("channels", 1)
        .build()
}

/// Decodes and encodes anew, in one size for senders that changed theirs.
fn transcode(size_changes: bool) -> Result<String, JobError> {
    let decoder = first_of(&["avdec_h264", "openh264dec"])?;
    let encoder = match first_of(&["x264enc", "openh264enc"])? {
        "x264enc" => "x264enc bitrate=800 speed-preset=veryfast tune=zerolatency key-int-max=50",
        other => other,
    };
    let size = if size_changes {
        ",width=640,height=480,pixel-aspect-ratio=1/1"
    } else {
        ""
    };
    Ok(format!(
        "{decoder} ! videoconvert ! videoscale add-borders=true ! video/x-raw,format=I420{size} ! {encoder} ! h264parse !"
    ))
}
