//! The file: MP4 or WebM.
#![deny(clippy::arithmetic_side_effects)]

use std::path::Path;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSrc;

use super::audio::Sound;
use super::video::{self, Picture};
use super::{LAST_FRAME_NS, Recording, opus_header};
use crate::encode::Coding;
use crate::error::JobError;
use crate::pipeline::{Running, first_of};
use crate::{h264, vp8};

/// File names in the job's folder.
const MP4: &str = "recording.mp4";
const WEBM: &str = "recording.webm";
const OPUS_BIT_S: u32 = 40_000;

/// Browsers play VP8 in WebM, the rest in MP4.
fn is_webm(recording: &Recording) -> bool {
    recording.coding == Coding::Vp8 && !recording.pictures.is_empty()
}

/// The media type of the file.
pub(super) fn media_type(recording: &Recording) -> &'static str {
    match (is_webm(recording), recording.pictures.is_empty()) {
        (true, _) => "video/webm",
        (false, false) => "video/mp4",
        (false, true) => "audio/mp4",
    }
}

/// A picture as one buffer.
pub(super) fn bytes(coding: Coding, picture: &Picture) -> Vec<u8> {
    match coding {
        Coding::H264 => h264::annex_b(picture.units.iter().map(Vec::as_slice)),
        Coding::Vp8 => picture.units.concat(),
    }
}

/// Writes the recording; copies the pictures where one track can hold them and all that they refer to is there, else encodes them anew.
/// VP8 is always copied: its key frames say their size, and its decoders go on over what is lost.
pub(super) fn write(recording: &Recording, out_dir: &Path) -> Result<String, JobError> {
    if is_webm(recording) {
        run(recording, true, WEBM, out_dir)?;
        return Ok(WEBM.to_owned());
    }
    let pictures = &recording.pictures;
    let copy = !video::sets_change(pictures) && !video::refer_to_lost(pictures);
    match run(recording, copy, MP4, out_dir) {
        Err(error) if copy && !pictures.is_empty() => {
            eprintln!("media-worker: pictures cannot be copied, encoding them anew: {error}");
            run(recording, false, MP4, out_dir)?;
        }
        done => done?,
    }
    Ok(MP4.to_owned())
}

fn run(recording: &Recording, copy: bool, file: &str, out_dir: &Path) -> Result<(), JobError> {
    let webm = file == WEBM;
    let mut description = if webm {
        "webmmux name=mux ! filesink name=file".to_owned()
    } else {
        "mp4mux name=mux faststart=true ! filesink name=file".to_owned()
    };
    if webm {
        description.push_str(" appsrc name=video ! queue ! mux.video_0");
    } else if !recording.pictures.is_empty() {
        let anew = if copy {
            String::new()
        } else {
            transcode(video::sets_change(&recording.pictures))?
        };
        description.push_str(&format!(
            " appsrc name=video ! h264parse ! {anew} video/x-h264,stream-format=avc,alignment=au ! queue ! mux.video_0"
        ));
    }
    match &recording.audio {
        Some(Sound::Samples { .. }) => description.push_str(&format!(
            " appsrc name=audio ! audioconvert ! audioresample ! audio/x-raw,rate=48000,channels=1 ! \
             opusenc bitrate={OPUS_BIT_S} ! queue ! mux.audio_0"
        )),
        Some(Sound::Opus { .. }) => description.push_str(" appsrc name=audio ! queue ! mux.audio_0"),
        None => {}
    }
    let pipeline = Running::parse(&description)?;
    pipeline
        .element::<gst::Element>("file")?
        .set_property("location", out_dir.join(file));
    let draft = out_dir.join("faststart.tmp");
    if !webm {
        pipeline
            .element::<gst::Element>("mux")?
            .set_property("faststart-file", draft.to_string_lossy().as_ref());
    }
    // Everything is in memory already; the sources may hold it all.
    let source = |name, caps| -> Result<AppSrc, JobError> {
        let source: AppSrc = pipeline.element(name)?;
        source.set_caps(Some(&caps));
        source.set_format(gst::Format::Time);
        source.set_max_bytes(0);
        Ok(source)
    };
    let video = recording.pictures.first();
    let video = video
        .map(|first| source("video", picture_caps(recording.coding, first)))
        .transpose()?;
    let audio = recording.audio.as_ref();
    let audio = audio
        .map(|sound| Ok::<_, JobError>((source("audio", sound_caps(sound))?, sound)))
        .transpose()?;
    pipeline.play()?;
    if let Some(video) = video {
        push_pictures(&video, recording)?;
    }
    let has_audio = audio.is_some();
    match audio {
        Some((audio, Sound::Samples { rate, samples })) => push_samples(&audio, *rate, samples, recording.end_ns)?,
        Some((audio, Sound::Opus { packets, .. })) => push_packets(&audio, packets)?,
        None => {}
    }
    pipeline.wait()?;
    if has_audio && !webm {
        opus_header::correct(&out_dir.join(file))?;
    }
    // Left behind when the muxer did not need it.
    let _ = std::fs::remove_file(draft);
    Ok(())
}

fn push_pictures(source: &AppSrc, recording: &Recording) -> Result<(), JobError> {
    let (pictures, end_ns) = (&recording.pictures, recording.end_ns);
    let ends = pictures.iter().skip(1).map(|next| next.time_ns).chain([end_ns]);
    for (picture, end) in pictures.iter().zip(ends) {
        let shown = end
            .saturating_sub(picture.time_ns)
            .max(if end == end_ns { LAST_FRAME_NS } else { 1 });
        let mut buffer = gst::Buffer::from_mut_slice(bytes(recording.coding, picture));
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(time(picture.time_ns));
            // Telephones send no B-frames: pictures are shown in decoding order.
            buffer.set_dts(time(picture.time_ns));
            // WebM says of a block with a duration of its own what it refers to, which the muxer leaves out: players would take
            // every picture for a key frame. Without one it is a SimpleBlock, whose flag is right (RFC 9559 §10.2).
            if recording.coding != Coding::Vp8 {
                buffer.set_duration(time(shown));
            }
            if !picture.key {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        source.push_buffer(buffer)?;
    }
    source.end_of_stream()?;
    Ok(())
}

/// Sound that is encoded here, with silence to the recording's end.
pub(super) fn push_samples(source: &AppSrc, rate: u32, samples: &[i16], end_ns: i64) -> Result<(), JobError> {
    let in_ns = |samples: usize| {
        let a_second = i64::try_from(samples).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
        a_second.checked_div(rate.into()).unwrap_or(0)
    };
    let length = end_ns.saturating_mul(rate.into()) / 1_000_000_000;
    let length = usize::try_from(length).unwrap_or(samples.len()).max(samples.len());
    let mut padded = samples.to_vec();
    padded.resize(length, 0);
    let mut at = 0usize;
    // Half a second at once.
    let chunk = usize::try_from(rate / 2).unwrap_or(4_000).max(1);
    for chunk in padded.chunks(chunk) {
        let bytes: Vec<u8> = chunk.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        push(source, bytes, in_ns(at), in_ns(chunk.len()))?;
        at = at.saturating_add(chunk.len());
    }
    source.end_of_stream()?;
    Ok(())
}

/// Opus as it came.
pub(super) fn push_packets(source: &AppSrc, packets: &[(Vec<u8>, u32)]) -> Result<(), JobError> {
    let in_ns = |samples: i64| samples.saturating_mul(1_000_000) / 48;
    let mut at = 0i64;
    for (packet, length) in packets {
        push(source, packet.clone(), in_ns(at), in_ns((*length).into()))?;
        at = at.saturating_add((*length).into());
    }
    source.end_of_stream()?;
    Ok(())
}

fn push(source: &AppSrc, bytes: Vec<u8>, at_ns: i64, length_ns: i64) -> Result<(), JobError> {
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(time(at_ns));
        buffer.set_duration(time(length_ns));
    }
    source.push_buffer(buffer)?;
    Ok(())
}

fn time(ns: i64) -> gst::ClockTime {
    gst::ClockTime::from_nseconds(u64::try_from(ns).unwrap_or(0))
}

fn picture_caps(coding: Coding, first: &Picture) -> gst::Caps {
    match coding {
        Coding::H264 => gst::Caps::builder("video/x-h264")
            .field("stream-format", "byte-stream")
            .field("alignment", "au")
            .build(),
        Coding::Vp8 => {
            let (width, height) = first.units.first().and_then(|frame| vp8::size(frame)).unwrap_or((0, 0));
            gst::Caps::builder("video/x-vp8")
                .field("width", i32::from(width))
                .field("height", i32::from(height))
                // Variable, as telephones send; the muxer asks for it.
                .field("framerate", gst::Fraction::new(0, 1))
                .build()
        }
    }
}

pub(super) fn sound_caps(sound: &Sound) -> gst::Caps {
    match sound {
        Sound::Samples { rate, .. } => gst::Caps::builder("audio/x-raw")
            .field("format", "S16LE")
            .field("layout", "interleaved")
            .field("rate", rate.cast_signed())
            .field("channels", 1)
            .build(),
        Sound::Opus { is_stereo, .. } => gst::Caps::builder("audio/x-opus")
            .field("rate", 48_000)
            .field("channels", if *is_stereo { 2 } else { 1 })
            .field("channel-mapping-family", 0)
            .field("stream-count", 1)
            .field("coupled-count", i32::from(*is_stereo))
            .build(),
    }
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
