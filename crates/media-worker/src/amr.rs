//! AMR and AMR-WB: which encoders are here, their frames as RTP payloads, and decoded.

use gstreamer as gst;
use gstreamer_app::{AppSink, AppSrc};
use segue_mailbox::RenditionProfile;
use segue_media::amr::{self, Band, Frame, NO_REQUEST, PAYLOAD_MAX, Packing};

use crate::error::JobError;
use crate::g722::pull;
use crate::pipeline::{Running, first_of};

/// The encoders, from -ugly and -bad. A machine without one prepares clips without its renditions.
const ENCODERS: [(Band, &str); 2] = [(Band::Narrow, "amrnbenc"), (Band::Wide, "voamrwbenc")];

/// One speech mode of one band, as a piece of a pipeline that takes sound of the band's rate.
pub(crate) struct Mode {
    pub band: Band,
    pub mode: u8,
    /// The name of its sink.
    pub name: String,
    /// The encoder with its setting.
    pub element: String,
}

fn is_wide(band: Band) -> bool {
    band == Band::Wide
}

/// Every mode that clips are prepared in, as far as its encoder is here.
pub(crate) fn modes() -> Vec<Mode> {
    let here = ENCODERS
        .into_iter()
        .filter(|(_, element)| gst::ElementFactory::find(element).is_some());
    let mut modes: Vec<Mode> = Vec::new();
    for (band, element) in here {
        for (_, form) in RenditionProfile::of_amr(is_wide(band)) {
            if !modes.iter().any(|known| known.band == band && known.mode == form.mode) {
                modes.push(Mode {
                    band,
                    mode: form.mode,
                    name: format!("{element}-mode-{}", form.mode),
                    element: format!("{element} band-mode={}", form.mode),
                });
            }
        }
    }
    modes
}

/// Frames as files store them, one behind the other, each alone.
pub(crate) fn frames(band: Band, mut stored: &[u8]) -> Result<Vec<Vec<u8>>, JobError> {
    let mut frames = Vec::new();
    while let Some(head) = stored.first() {
        let bits = amr::frame_bits(band, head >> 3 & 0x0f);
        let cut = bits.and_then(|bits| stored.split_at_checked(bits.div_ceil(8).saturating_add(1)));
        let (frame, rest) = cut.ok_or_else(|| JobError::failed("an AMR encoder gave something else"))?;
        frames.push(frame.to_vec());
        stored = rest;
    }
    Ok(frames)
}

/// A payload of one frame.
pub(crate) fn payload(band: Band, packing: Packing, stored: &[u8]) -> Result<Vec<u8>, JobError> {
    let mut out = vec![0; PAYLOAD_MAX];
    let frame = Frame::stored(band, stored);
    let len = frame.and_then(|frame| amr::pack(packing, NO_REQUEST, std::iter::once(frame), &mut out));
    let len = len.ok_or_else(|| JobError::failed("an AMR encoder gave a broken frame"))?;
    out.truncate(len);
    Ok(out)
}

/// Mono samples at the band's rate, 20 ms a frame. What is lost is a frame without data: comfort noise goes on, speech fades.
pub(crate) fn decode(band: Band, frames: &[Vec<u8>]) -> Result<Vec<i16>, JobError> {
    let (name, decoder) = match band {
        Band::Narrow => ("audio/AMR", first_of(&["amrnbdec", "avdec_amrnb"])?),
        Band::Wide => ("audio/AMR-WB", first_of(&["amrwbdec", "avdec_amrwb"])?),
    };
    let rate = band.clock_rate();
    let pipeline = Running::parse(&format!(
        "appsrc name=in ! {decoder} ! audioconvert ! audio/x-raw,format=S16LE,rate={rate},channels=1 ! \
         appsink name=out sync=false"
    ))?;
    let source: AppSrc = pipeline.element("in")?;
    let caps = gst::Caps::builder(name)
        .field("rate", rate.cast_signed())
        .field("channels", 1)
        .build();
    source.set_caps(Some(&caps));
    source.set_format(gst::Format::Time);
    // Everything is in memory already.
    source.set_max_bytes(0);
    let sink: AppSink = pipeline.element("out")?;
    pipeline.play()?;
    for (index, frame) in (0u64..).zip(frames) {
        let mut buffer = gst::Buffer::from_mut_slice(frame.clone());
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::from_mseconds(index.saturating_mul(20)));
            buffer.set_duration(gst::ClockTime::from_mseconds(20));
        }
        source.push_buffer(buffer)?;
    }
    source.end_of_stream()?;
    pull(&pipeline, &sink)
}
