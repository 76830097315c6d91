//! One picture as JPEG.

use std::path::Path;

use gstreamer as gst;
use gstreamer_app::{AppSink, AppSrc};

use crate::encode::Coding;
use crate::error::JobError;
use crate::pipeline::{Running, first_of};

/// File name of the poster in a job's folder.
pub(crate) const FILE: &str = "poster.jpg";

/// A raw frame.
pub(crate) fn from_frame(frame: &gst::Buffer, caps: &gst::Caps, out_dir: &Path) -> Result<String, JobError> {
    make("", frame.copy(), caps, out_dir)
}

/// A key frame: VP8, or H.264 with its parameter sets as a byte stream.
pub(crate) fn from_key_frame(coding: Coding, frame: Vec<u8>, out_dir: &Path) -> Result<String, JobError> {
    let (decoder, caps) = match coding {
        Coding::H264 => {
            let caps = gst::Caps::builder("video/x-h264")
                .field("stream-format", "byte-stream")
                .field("alignment", "au");
            let decoder = first_of(&["avdec_h264", "openh264dec"])?;
            (format!("h264parse ! {decoder} !"), caps.build())
        }
        Coding::Vp8 => {
            let decoder = first_of(&["vp8dec", "avdec_vp8"])?;
            (format!("{decoder} !"), gst::Caps::new_empty_simple("video/x-vp8"))
        }
    };
    make(&decoder, gst::Buffer::from_mut_slice(frame), &caps, out_dir)
}

fn make(before: &str, mut buffer: gst::Buffer, caps: &gst::Caps, out_dir: &Path) -> Result<String, JobError> {
    let pipeline = Running::parse(&format!(
        "appsrc name=in ! {before} videoconvert ! jpegenc quality=80 ! appsink name=out sync=false max-buffers=1 drop=true"
    ))?;
    let source: AppSrc = pipeline.element("in")?;
    source.set_caps(Some(caps));
    source.set_format(gst::Format::Time);
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(gst::ClockTime::ZERO);
    }
    let sink: AppSink = pipeline.element("out")?;
    pipeline.play()?;
    source.push_buffer(buffer)?;
    source.end_of_stream()?;
    let sample = loop {
        if let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_mseconds(50)) {
            break sample;
        }
        match pipeline.ended(std::time::Duration::ZERO) {
            Ok(false) => {}
            Ok(true) => return Err(JobError::failed("no picture for the poster")),
            Err(error) => return Err(JobError::failed(error.message())),
        }
    };
    let jpeg = sample
        .buffer()
        .ok_or_else(|| JobError::failed("no picture for the poster"))?
        .map_readable()?;
    std::fs::write(out_dir.join(FILE), &jpeg)?;
    Ok(FILE.to_owned())
}
