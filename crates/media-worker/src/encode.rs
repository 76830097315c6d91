//! Raw frames to H.264 and VP8 in the two sizes that are sent, each encoded once.
//!
//! 25 frames a second, a key frame each second. H.264 is constrained baseline without B-frames; slices are kept below one RTP payload,
//! so that one encoding serves packetization-mode 0 and 1 alike; an encoder that cannot do that serves mode 1 alone, by fragments.

use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc};
use segue_mailbox::RenditionProfile;

use crate::error::JobError;
use crate::h264::{self, PAYLOAD_MAX};
use crate::pipeline::{Running, first_of};
use crate::vp8;

/// Width of the frames pushed, pixels.
pub(crate) const WIDTH: u32 = 640;
/// Height of the frames pushed, pixels.
pub(crate) const HEIGHT: u32 = 360;
/// One frame, milliseconds.
pub(crate) const FRAME_MS: u64 = 40;

/// One encoded size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    width: u32,
    height: u32,
    kbit_s: u32,
    /// H.264 level (table A-1) as GStreamer writes it: what receivers of that size support.
    level: &'static str,
}

/// 640x360: level 3.0.
pub(crate) const LARGE: Size = Size {
    width: WIDTH,
    height: HEIGHT,
    kbit_s: 500,
    level: "3",
};
/// 320x180: level 1.2 (240 macroblocks 25 times a second is just within it).
pub(crate) const SMALL: Size = Size {
    width: 320,
    height: 180,
    kbit_s: 200,
    level: "1.2",
};

/// How pictures are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    H264,
    Vp8,
}

/// What is made of every clip, in the order of [`Encoder::finish`].
const STREAMS: [(Coding, Size); 4] = [
    (Coding::H264, LARGE),
    (Coding::H264, SMALL),
    (Coding::Vp8, LARGE),
    (Coding::Vp8, SMALL),
];

/// Which renditions a job is for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted(Option<Vec<RenditionProfile>>);

impl Wanted {
    /// These alone, by their names; those that are none are left out.
    pub fn these(names: &[String]) -> Wanted {
        Wanted(Some(
            names
                .iter()
                .filter_map(|name| RenditionProfile::from_name(name))
                .collect(),
        ))
    }

    pub fn has(&self, profile: RenditionProfile) -> bool {
        self.0.as_ref().is_none_or(|these| these.contains(&profile))
    }

    /// Pictures of any kind.
    pub fn has_video(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|these| these.iter().any(|profile| profile.is_video()))
    }

    /// Of this place in [`STREAMS`].
    fn has_stream(&self, index: usize) -> bool {
        let of_stream: &[RenditionProfile] = match index {
            0 => &[RenditionProfile::H264W640Mode1, RenditionProfile::H264W640Mode0],
            1 => &[RenditionProfile::H264W320Mode1, RenditionProfile::H264W320Mode0],
            2 => &[RenditionProfile::Vp8W640],
            _ => &[RenditionProfile::Vp8W320],
        };
        of_stream.iter().any(|profile| self.has(*profile))
    }
}

/// One encoded frame.
#[derive(Debug, Clone, Default)]
pub(crate) struct Picture {
    /// H.264: its NAL units in order without start codes, a key frame beginning with its parameter sets. VP8: the frame.
    pub units: Vec<Vec<u8>>,
    /// An IDR picture or a VP8 key frame.
    pub key: bool,
}

/// Frames in, pictures out.
pub(crate) struct Encoder {
    pipeline: Running,
    source: AppSrc,
    /// By the place of their stream in [`STREAMS`].
    outputs: Vec<(usize, Arc<Mutex<Vec<Picture>>>)>,
    pushed: u64,
    last: Option<gst::Buffer>,
}

impl Encoder {
    /// An encoder for every stream of a clip. Some encoders look further ahead than the queues before others hold: no sink waits for
    /// the others to begin.
    pub fn start() -> Result<Encoder, JobError> {
        Encoder::start_for(&Wanted::default())
    }

    /// The same for the streams that renditions are wanted of.
    pub fn start_for(wanted: &Wanted) -> Result<Encoder, JobError> {
        let h264 = first_of(&["x264enc", "openh264enc"])?;
        let scaled = |size: Size| {
            let Size { width, height, .. } = size;
            format!(
                " t. ! queue max-size-buffers=3 ! videoscale ! video/x-raw,width={width},height={height} ! \
                 tee name=t{width}"
            )
        };
        let branch = |(index, (coding, size)): (usize, &(Coding, Size))| {
            let encoder = match coding {
                Coding::H264 => h264_encoder(h264, size),
                Coding::Vp8 => vp8_encoder(size),
            };
            format!(
                " t{}. ! queue max-size-buffers=3 ! {encoder} ! appsink name=out{index} sync=false async=false",
                size.width
            )
        };
        let streams = STREAMS.iter().enumerate();
        let streams: Vec<(usize, &(Coding, Size))> = streams.filter(|(index, _)| wanted.has_stream(*index)).collect();
        let sizes = [LARGE, SMALL]
            .into_iter()
            .filter(|size| streams.iter().any(|(_, (_, of))| of == size));
        let scales: String = sizes.map(scaled).collect();
        let branches: String = streams.iter().copied().map(branch).collect();
        let pipeline = Running::parse(&format!("appsrc name=in ! tee name=t{scales}{branches}"))?;
        let source: AppSrc = pipeline.element("in")?;
        source.set_caps(Some(&raw_caps()));
        source.set_format(gst::Format::Time);
        source.set_block(true);
        source.set_max_bytes(4 * u64::from(WIDTH * HEIGHT * 3 / 2));
        let mut outputs = Vec::new();
        for (index, (coding, _)) in streams {
            let pictures = Arc::new(Mutex::new(Vec::new()));
            collect(
                &pipeline.element(&format!("out{index}"))?,
                *coding,
                Arc::clone(&pictures),
            );
            outputs.push((index, pictures));
        }
        pipeline.play()?;
        Ok(Encoder {
            pipeline,
            source,
            outputs,
            pushed: 0,
            last: None,
        })
    }

    /// Encodes the next frame.
    pub fn push(&mut self, picture: &gst::Buffer) -> Result<(), JobError> {
        let mut buffer = picture.copy();
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::from_mseconds(self.pushed.saturating_mul(FRAME_MS)));
            buffer.set_dts(gst::ClockTime::NONE);
            buffer.set_duration(gst::ClockTime::from_mseconds(FRAME_MS));
        }
        self.source.push_buffer(buffer).map_err(|flow| self.why(flow))?;
        self.last = Some(picture.clone());
        self.pushed = self.pushed.saturating_add(1);
        Ok(())
    }

    /// Frames pushed so far.
    pub fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Repeats the last frame until there are `frames`.
    pub fn pad_to(&mut self, frames: u64) -> Result<(), JobError> {
        while let (true, Some(last)) = (self.pushed < frames, self.last.clone()) {
            self.push(&last)?;
        }
        Ok(())
    }

    /// Ends, and gives the pictures of H.264 640x360 and 320x180, then of VP8 in the same sizes; one a frame, none of a stream that is
    /// not wanted.
    pub fn finish(self) -> Result<[Vec<Picture>; 4], JobError> {
        self.source.end_of_stream()?;
        self.pipeline.wait()?;
        let mut done: [Vec<Picture>; 4] = Default::default();
        for (index, pictures) in &self.outputs {
            let Some(place) = done.get_mut(*index) else { continue };
            let pictures = std::mem::take(&mut *pictures.lock().unwrap_or_else(PoisonError::into_inner));
            if u64::try_from(pictures.len()).ok() != Some(self.pushed) {
                return Err(JobError::failed(format!(
                    "{} frames became {} pictures",
                    self.pushed,
                    pictures.len()
                )));
            }
            *place = pictures;
        }
        Ok(done)
    }

    /// The pipeline's own words for a push that failed.
    fn why(&self, flow: gst::FlowError) -> JobError {
        match self.pipeline.ended(std::time::Duration::from_millis(100)) {
            Err(error) => JobError::failed(error.message()),
            Ok(_) => JobError::from(flow),
        }
    }
}

/// Caps of the frames pushed.
pub(crate) fn raw_caps() -> gst::Caps {
    gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", WIDTH.cast_signed())
        .field("height", HEIGHT.cast_signed())
        .field("framerate", gst::Fraction::new(25, 1))
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        .build()
}

/// The encoder with its settings. The rate is held over half a second, so that a key frame is no burst.
fn h264_encoder(kind: &str, size: &Size) -> String {
    let Size { kbit_s, level, .. } = size;
    let encoder = match kind {
        "x264enc" => format!(
            "x264enc bitrate={kbit_s} vbv-buf-capacity=500 speed-preset=veryfast key-int-max=25 bframes=0 ref=1 \
             cabac=false dct8x8=false aud=false threads=2 option-string=scenecut=0:slice-max-size={PAYLOAD_MAX}"
        ),
        _ => format!(
            "{kind} rate-control=bitrate bitrate={} gop-size=25 complexity=medium",
            kbit_s * 1000
        ),
    };
    format!(
        "{encoder} ! video/x-h264,profile=constrained-baseline,level=(string){level} ! h264parse config-interval=-1 ! \
         video/x-h264,stream-format=byte-stream,alignment=au"
    )
}

/// One frame in, one picture out: no look-ahead, no alternate references. Without what decoders remember of entropy between frames a
/// lost packet spoils less.
fn vp8_encoder(size: &Size) -> String {
    let bit_s = size.kbit_s * 1000;
    format!(
        "vp8enc target-bitrate={bit_s} end-usage=cbr buffer-size=500 buffer-initial-size=300 buffer-optimal-size=400 \
         deadline=1 cpu-used=5 keyframe-max-dist=25 error-resilient=default min-quantizer=4 max-quantizer=56"
    )
}

fn collect(sink: &AppSink, coding: Coding, pictures: Arc<Mutex<Vec<Picture>>>) {
    let take = move |sink: &AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let bytes = sample
            .buffer()
            .ok_or(gst::FlowError::Error)?
            .map_readable()
            .map_err(|_| gst::FlowError::Error)?;
        let picture = match coding {
            Coding::H264 => h264_picture(&bytes),
            Coding::Vp8 => Picture {
                units: vec![bytes.to_vec()],
                key: vp8::is_key_frame(&bytes),
            },
        };
        pictures.lock().unwrap_or_else(PoisonError::into_inner).push(picture);
        Ok(gst::FlowSuccess::Ok)
    };
    sink.set_callbacks(AppSinkCallbacks::builder().new_sample(take).build());
}

fn h264_picture(stream: &[u8]) -> Picture {
    let units = h264::nal_units(stream);
    let key = units.iter().any(|unit| h264::nal_type(unit) == h264::IDR);
    // Delimiters and remarks cost packets and say nothing to a receiver.
    let keep = |unit: &&&[u8]| h264::is_slice(unit) || matches!(h264::nal_type(unit), h264::SPS | h264::PPS);
    let units = units.iter().filter(keep).map(|unit| unit.to_vec()).collect();
    Picture { units, key }
}
