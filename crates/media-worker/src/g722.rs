//! G.722 decoded.

use gstreamer as gst;
use gstreamer_app::{AppSink, AppSrc};

use crate::error::JobError;
use crate::pipeline::Running;

/// Bytes given to the decoder at once: a second.
const CHUNK: usize = 8_000;

/// Mono samples at 16 kHz, two a byte.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<i16>, JobError> {
    let pipeline = Running::parse(
        "appsrc name=in ! avdec_g722 ! audioconvert ! audio/x-raw,format=S16LE,rate=16000,channels=1 ! \
         appsink name=out sync=false",
    )?;
    let source: AppSrc = pipeline.element("in")?;
    let caps = gst::Caps::builder("audio/G722")
        .field("rate", 16_000)
        .field("channels", 1)
        .build();
    source.set_caps(Some(&caps));
    source.set_format(gst::Format::Time);
    // Everything is in memory already.
    source.set_max_bytes(0);
    let sink: AppSink = pipeline.element("out")?;
    pipeline.play()?;
    for chunk in bytes.chunks(CHUNK) {
        source.push_buffer(gst::Buffer::from_mut_slice(chunk.to_vec()))?;
    }
    source.end_of_stream()?;
    pull(&pipeline, &sink)
}

/// All 16-bit samples that a running pipeline gives.
pub(crate) fn pull(pipeline: &Running, sink: &AppSink) -> Result<Vec<i16>, JobError> {
    let mut samples = Vec::new();
    loop {
        if let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_mseconds(50)) {
            let buffer = sample
                .buffer()
                .ok_or_else(|| JobError::failed("a decoder gave no sound"))?;
            let bytes = buffer.map_readable()?;
            let pairs = bytes.chunks_exact(2).filter_map(|pair| pair.first_chunk());
            samples.extend(pairs.map(|pair| i16::from_le_bytes(*pair)));
            continue;
        }
        match pipeline.ended(std::time::Duration::ZERO) {
            Ok(false) if !sink.is_eos() => {}
            Ok(_) => return Ok(samples),
            Err(error) => return Err(JobError::failed(error.message())),
        }
    }
}
