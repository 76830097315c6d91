//! Any file that GStreamer reads, as sound and pictures of the size we send.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks};

use crate::encode::{FRAME_MS, HEIGHT, WIDTH};
use crate::error::JobError;
use crate::pipeline::Running;

/// Widest or highest picture that is decoded, pixels.
const PICTURE_SIDE_MAX: i32 = 4096;
/// Of pictures a second: UHD at 60. A small file can hold more than an hour's work of the decoder.
const PIXELS_A_SECOND_MAX: i64 = 3840 * 2160 * 60;
/// Samples a millisecond.
pub(crate) const SAMPLES_A_MS: u64 = 48;
/// Time stamps of successive audio buffers wobble by rounding; below this no hole is filled and nothing is cut.
const WOBBLE_SAMPLES: usize = 960;

/// What came out beside the frames, which were handed on as they came.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// 48 kHz mono; `None` when the file has no sound.
    pub audio: Option<Vec<i16>>,
    /// How many frames were handed on; `None` when the file has no picture.
    pub frames: Option<u64>,
}

/// A frame, and the total that is expected as far as the file says.
pub(crate) struct Frame {
    /// Raw I420 of [`WIDTH`]x[`HEIGHT`].
    pub picture: gst::Buffer,
    /// 0 when unknown.
    pub expected: u64,
}

/// Decodes a file to its end. Frames come at exactly 25 a second from the file's start.
pub(crate) fn decode(
    input: &Path,
    longest_ms: u64,
    on_frame: &mut dyn FnMut(Frame) -> Result<(), JobError>,
) -> Result<Decoded, JobError> {
    let pipeline = Running::parse("filesrc name=file ! decodebin name=decoder")?;
    pipeline
        .element::<gst::Element>("file")?
        .set_property("location", input);
    let streams = Arc::new(Streams {
        longest_ms,
        ..Streams::default()
    });
    let decoder = pipeline.element::<gst::Element>("decoder")?;
    {
        let (streams, weak) = (Arc::clone(&streams), pipeline.0.downgrade());
        decoder.connect_pad_added(move |_, pad| {
            if let Some(pipeline) = weak.upgrade() {
                streams.attach(&pipeline, pad);
            }
        });
    }
    pipeline.play()?;
    let frames = carry(&pipeline, &streams, on_frame)?;
    streams.check()?;
    let audio = lock(&streams.audio).take();
    Ok(Decoded { audio, frames })
}

fn carry(
    pipeline: &Running,
    streams: &Streams,
    on_frame: &mut dyn FnMut(Frame) -> Result<(), JobError>,
) -> Result<Option<u64>, JobError> {
    let mut video: Option<AppSink> = None;
    let mut count = 0u64;
    let mut ended = false;
    loop {
        streams.check()?;
        if video.is_none() {
            video = lock(&streams.video).clone();
        }
        let wait = if video.is_some() { 0 } else { 20 };
        if !ended {
            ended = pipeline.ended(Duration::from_millis(wait)).or_else(|error| {
                // A reason of ours comes first: it stopped the pipeline.
                streams.check().and(Err(JobError::from_reader(&error)))
            })?;
        }
        let Some(sink) = &video else {
            if ended {
                return Ok(None);
            }
            continue;
        };
        match sink.try_pull_sample(gst::ClockTime::from_mseconds(20)) {
            Some(sample) => {
                let due = frames_until(&sample);
                if due.saturating_mul(FRAME_MS) > streams.longest_ms {
                    return Err(too_long(streams.longest_ms));
                }
                let expected = expected_frames(pipeline);
                let picture = sample
                    .buffer_owned()
                    .ok_or_else(|| JobError::failed("a frame without picture"))?;
                // A hole in the source's time stamps is filled, so that picture and sound stay together.
                let due = due.max(count.saturating_add(1));
                for _ in count..due {
                    on_frame(Frame {
                        picture: picture.clone(),
                        expected,
                    })?;
                }
                count = due;
            }
            None if ended && sink.is_eos() => return Ok(Some(count)),
            None => {}
        }
    }
}

/// How many frames there are once this one is shown, by its time.
fn frames_until(sample: &gst::Sample) -> u64 {
    running_time(sample).map_or(0, |time| {
        (time.mseconds().saturating_add(FRAME_MS / 2) / FRAME_MS).saturating_add(1)
    })
}

fn expected_frames(pipeline: &Running) -> u64 {
    pipeline
        .0
        .query_duration::<gst::ClockTime>()
        .map_or(0, |length| length.mseconds() / FRAME_MS)
}

/// Time since the file's start; `None` for what lies before it.
fn running_time(sample: &gst::Sample) -> Option<gst::ClockTime> {
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    segment.to_running_time(sample.buffer()?.pts())
}

fn too_long(longest_ms: u64) -> JobError {
    JobError::refused(format!("longer than {} s, the longest clip", longest_ms / 1000))
}

/// What the decoder's threads share with ours.
#[derive(Default)]
struct Streams {
    longest_ms: u64,
    audio: Mutex<Option<Vec<i16>>>,
    video: Mutex<Option<AppSink>>,
    trouble: Mutex<Option<JobError>>,
}

impl Streams {
    fn check(&self) -> Result<(), JobError> {
        lock(&self.trouble).take().map_or(Ok(()), Err)
    }

    fn fail(&self, error: JobError) {
        lock(&self.trouble).get_or_insert(error);
    }

    /// Takes the first stream of each kind, leaves the others.
    fn attach(self: &Arc<Self>, pipeline: &gst::Pipeline, pad: &gst::Pad) {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let Some(structure) = caps.structure(0) else { return };
        let done = match structure.name().as_str() {
            "audio/x-raw" => self.attach_audio(pipeline, pad),
            "video/x-raw" => self.attach_video(pipeline, pad, structure),
            _ => Ok(()),
        };
        if let Err(error) = done {
            self.fail(error);
        }
    }

    fn attach_audio(self: &Arc<Self>, pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<(), JobError> {
        if lock(&self.audio).replace(Vec::new()).is_some() {
            return Ok(());
        }
        let sink = attach(
            pipeline,
            pad,
            "queue max-size-time=2000000000 ! audioconvert ! audioresample ! \
             audio/x-raw,format=S16LE,rate=48000,channels=1,layout=interleaved ! appsink name=out sync=false",
        )?;
        let streams = Arc::clone(self);
        let take = move |sink: &AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            streams.hear(&sample).map_err(|error| {
                streams.fail(error);
                gst::FlowError::Error
            })?;
            Ok(gst::FlowSuccess::Ok)
        };
        sink.set_callbacks(AppSinkCallbacks::builder().new_sample(take).build());
        start(pipeline)
    }

    fn attach_video(
        self: &Arc<Self>,
        pipeline: &gst::Pipeline,
        pad: &gst::Pad,
        format: &gst::StructureRef,
    ) -> Result<(), JobError> {
        if lock(&self.video).is_some() {
            return Ok(());
        }
        let side = |name| format.get::<i32>(name).unwrap_or(0);
        if side("width") > PICTURE_SIDE_MAX || side("height") > PICTURE_SIDE_MAX {
            return Err(JobError::refused(format!(
                "the picture is {}x{}; the largest side is {PICTURE_SIDE_MAX}",
                side("width"),
                side("height")
            )));
        }
        // Nought: it says nothing of its rate.
        let rate = format
            .get::<gst::Fraction>("framerate")
            .map_or(0, |rate| i64::from(rate.numer()) / i64::from(rate.denom().max(1)));
        if i64::from(side("width")) * i64::from(side("height")) * rate > PIXELS_A_SECOND_MAX {
            return Err(JobError::refused(format!(
                "the picture is {}x{} at {rate} a second: more than UHD at 60",
                side("width"),
                side("height")
            )));
        }
        let sink = attach(
            pipeline,
            pad,
            &format!(
                "queue ! videorate ! deinterlace ! videoflip video-direction=auto ! videoconvert ! \
                 videoscale add-borders=true ! video/x-raw,format=I420,width={WIDTH},height={HEIGHT},\
                 framerate=25/1,pixel-aspect-ratio=1/1 ! appsink name=out sync=false max-buffers=4"
            ),
        )?;
        *lock(&self.video) = Some(sink);
        start(pipeline)
    }

    /// Puts sound where its time says, silence into holes.
    fn hear(&self, sample: &gst::Sample) -> Result<(), JobError> {
        let Some(buffer) = sample.buffer() else { return Ok(()) };
        let mut held = lock(&self.audio);
        let Some(audio) = held.as_mut() else { return Ok(()) };
        let mut at = audio.len();
        if let Some(time) = running_time(sample) {
            let samples = time.useconds().saturating_mul(SAMPLES_A_MS) / 1000;
            let due = usize::try_from(samples).unwrap_or(usize::MAX);
            if due.abs_diff(at) > WOBBLE_SAMPLES {
                at = due;
            }
        }
        let bytes = buffer.map_readable()?;
        let end = at.saturating_add(bytes.len() / 2);
        // The last buffer of a codec may overhang the end a little.
        if u64::try_from(end).unwrap_or(u64::MAX) / SAMPLES_A_MS > self.longest_ms.saturating_add(200) {
            return Err(too_long(self.longest_ms));
        }
        audio.resize(at, 0);
        audio.extend(
            bytes
                .chunks_exact(2)
                .filter_map(|pair| pair.first_chunk())
                .map(|pair| i16::from_le_bytes(*pair)),
        );
        Ok(())
    }
}

/// Adds a chain of elements ending in `appsink name=out` behind a pad; it is not yet started.
fn attach(pipeline: &gst::Pipeline, pad: &gst::Pad, chain: &str) -> Result<AppSink, JobError> {
    let bin = gst::parse::bin_from_description(chain, true).map_err(|error| JobError::failed(error.message()))?;
    let sink = bin
        .by_name("out")
        .and_then(|element| element.downcast::<AppSink>().ok())
        .ok_or_else(|| JobError::failed("a GStreamer chain has no sink"))?;
    pipeline.add(&bin)?;
    let entry = bin
        .static_pad("sink")
        .ok_or_else(|| JobError::failed("a GStreamer chain has no entry"))?;
    pad.link(&entry).map_err(|error| JobError::failed(error.to_string()))?;
    Ok(sink)
}

fn start(pipeline: &gst::Pipeline) -> Result<(), JobError> {
    for element in pipeline.children() {
        element.sync_state_with_parent()?;
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
