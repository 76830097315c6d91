//! One direction of pictures: packets in one codec in, packets in the other out, under the timestamps of what they are made of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc};

use super::order::{Next, Order};
use super::picture::Picture;
use crate::error::JobError;
use crate::pipeline::Running;

/// RTP clock of every video codec, Hz.
const CLOCK: u32 = 90_000;
/// A step of time further than this is a new beginning, clock units.
const STEP_MAX: u32 = 60 * CLOCK;
/// What may wait to be decoded, bytes: some pictures.
const WAITING_MAX: u64 = 512 * 1024;
/// A key frame that does not come is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Bytes of an RTP header without CSRCs.
const HEADER: usize = 12;

/// Where what is made goes.
pub(super) type Out = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// One direction.
pub(super) struct Shown {
    from: Picture,
    to: Picture,
    out: Out,
    running: Option<Stage>,
    order: Order,
    /// Sequence numbers of what is made, whatever it is made by.
    sequence: Arc<AtomicU16>,
    ssrc: Option<u32>,
    /// The last timestamp, and where that is, in clock units: they come round, this does not.
    at: Option<(u32, u64)>,
    /// Nothing can be decoded until a key frame comes.
    waits: bool,
    asked_at: Option<Instant>,
}

/// What decodes and encodes.
struct Stage {
    source: AppSrc,
    sink: AppSink,
    pipeline: Running,
}

impl Shown {
    /// Ready to start with the first key frame.
    pub fn new(from: Picture, to: Picture, out: Out) -> Shown {
        Shown {
            from,
            to,
            out,
            running: None,
            order: Order::default(),
            sequence: Arc::new(AtomicU16::new(0)),
            ssrc: None,
            at: None,
            waits: true,
            asked_at: None,
        }
    }

    /// The next packet that has come. Whether its source is to send a key frame.
    pub fn push(&mut self, now: Instant, packet: &[u8]) -> Result<bool, JobError> {
        let (Some(sequence), Some(ssrc)) = (word(packet, 2), long(packet, 8)) else {
            return Ok(false);
        };
        if self.ssrc != Some(ssrc) {
            self.ssrc = Some(ssrc);
            self.begin_anew();
            self.order = Order::default();
        }
        self.order.put(now, sequence, packet);
        while let Some(next) = self.order.take(now) {
            match next {
                Next::Lost => self.waits = true,
                Next::Packet(packet) => self.decode(packet)?,
            }
        }
        // What begins a picture says little of what follows it: at its end it is known whether it was a key frame.
        let ends_picture = packet.get(1).is_some_and(|second| second & 0x80 != 0);
        Ok(ends_picture && self.asks(now))
    }

    fn begin_anew(&mut self) {
        self.running = None;
        self.at = None;
        self.waits = true;
        self.asked_at = None;
    }

    fn asks(&mut self, now: Instant) -> bool {
        if !self.waits {
            self.asked_at = None;
            return false;
        }
        let asks = self
            .asked_at
            .is_none_or(|at| now.saturating_duration_since(at) >= ASK_AGAIN);
        if asks {
            self.asked_at = Some(now);
        }
        asks
    }

    fn decode(&mut self, mut packet: Vec<u8>) -> Result<(), JobError> {
        let (Some(timestamp), Some(payload)) = (long(&packet, 4), packet.get(HEADER..)) else {
            return Ok(());
        };
        if payload.is_empty() {
            return Ok(());
        }
        if self.waits {
            if !self.from.starts_key_frame(payload) {
                return Ok(());
            }
            self.waits = false;
        }
        let at = match self.at {
            None => u64::from(timestamp),
            Some((before, at)) => {
                let step = timestamp.wrapping_sub(before).cast_signed();
                if step.unsigned_abs() > STEP_MAX {
                    // The source's clock has jumped: no decoder goes on from there.
                    self.begin_anew();
                    if !self.from.starts_key_frame(payload) {
                        return Ok(());
                    }
                    self.waits = false;
                    u64::from(timestamp)
                } else {
                    at.saturating_add_signed(step.into())
                }
            }
        };
        self.at = Some((timestamp, at));
        if self.running.is_none() {
            self.running = Some(self.start()?);
        }
        let Some(stage) = &self.running else { return Ok(()) };
        stage.check()?;
        // The decoder does not keep up: what it would show late is left out.
        if stage.source.current_level_bytes() > WAITING_MAX {
            self.waits = true;
            return Ok(());
        }
        // The caps name this payload type.
        if let Some(second) = packet.get_mut(1) {
            *second = *second & 0x80 | 96;
        }
        let mut buffer = gst::Buffer::from_mut_slice(packet);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(time(at));
        }
        stage.source.push_buffer(buffer)?;
        Ok(())
    }

    /// A key frame is wanted of what is made. Whether its source is to send one: there is nothing to make it of.
    pub fn want_key_frame(&mut self, now: Instant) -> bool {
        let Some(stage) = self.running.as_ref().filter(|_| !self.waits) else {
            return self.asks(now);
        };
        let force = gst::Structure::builder("GstForceKeyUnit")
            .field("running-time", u64::MAX)
            .field("all-headers", true)
            .field("count", 0u32)
            .build();
        if let Some(pad) = stage.sink.static_pad("sink") {
            // Refused only where it is being torn down.
            let _ = pad.push_event(gst::event::CustomUpstream::new(force));
        }
        false
    }

    fn start(&self) -> Result<Stage, JobError> {
        // A raw picture that waits gives way to the next: an encoder that does not keep up makes fewer.
        let description = format!(
            "appsrc name=in ! {} ! queue leaky=downstream max-size-buffers=2 max-size-bytes=0 max-size-time=0 ! {} ! \
             appsink name=out sync=false",
            self.from.reader()?,
            self.to.maker()?
        );
        let pipeline = Running::parse(&description)?;
        let source: AppSrc = pipeline.element("in")?;
        source.set_caps(Some(&self.from.caps()));
        source.set_format(gst::Format::Time);
        source.set_max_bytes(WAITING_MAX.saturating_mul(2));
        let sink: AppSink = pipeline.element("out")?;
        let (out, sequence) = (Arc::clone(&self.out), Arc::clone(&self.sequence));
        // Not the source's own: pictures that are relayed as they are have that.
        let ssrc = !self.ssrc.unwrap_or(0);
        let take = move |sink: &AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let buffer = sample.buffer().ok_or(gst::FlowError::Error)?;
            let bytes = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
            let mut packet = bytes.to_vec();
            if let Some(header) = packet.first_chunk_mut::<HEADER>() {
                let [s0, s1] = sequence.fetch_add(1, Relaxed).to_be_bytes();
                let [c0, c1, c2, c3] = ssrc.to_be_bytes();
                let [first, second, _, _, t0, t1, t2, t3, ..] = *header;
                *header = [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3];
                out(&packet);
            }
            Ok(gst::FlowSuccess::Ok)
        };
        sink.set_callbacks(AppSinkCallbacks::builder().new_sample(take).build());
        pipeline.play()?;
        Ok(Stage { source, sink, pipeline })
    }
}

impl Stage {
    /// A codec that has failed ends the process: whoever waits for pictures must know.
    fn check(&self) -> Result<(), JobError> {
        match self.pipeline.ended(Duration::ZERO) {
            Ok(false) => Ok(()),
            Ok(true) => Err(JobError::failed("the pictures ended by themselves")),
            Err(error) => Err(JobError::failed(error.message())),
        }
    }
}

/// Clock units as time, so that they come out as they were.
fn time(units: u64) -> gst::ClockTime {
    let ns = u128::from(units).saturating_mul(1_000_000_000);
    gst::ClockTime::from_nseconds(u64::try_from(ns.div_ceil(CLOCK.into())).unwrap_or(u64::MAX))
}

fn word(packet: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*packet.get(at..)?.first_chunk()?))
}

fn long(packet: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*packet.get(at..)?.first_chunk()?))
}
