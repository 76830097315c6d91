//! One direction: packets in one codec in, packets of 20 ms in the other out.

use std::str::FromStr;

use gstreamer as gst;
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc};

use super::coding::{Coding, raw};
use crate::error::JobError;
use crate::pipeline::Running;

/// A hole up to this is filled with silence; past it nobody was sending, milliseconds.
const HOLE_MS_MAX: u32 = 200;
/// A pause up to this is one; past it the sender has begun anew, milliseconds.
const PAUSE_MS_MAX: u32 = 60_000;
/// A packet up to this before what has been played is late, milliseconds; further back its sender has begun anew.
const LATE_MS_MAX: u32 = 1_000;
/// What may wait to be decoded, bytes: some packets.
const WAITING_MAX: u64 = 16 * 1024;
/// Between what the sound's time says and where its packets are, before they jump there, milliseconds.
const DRIFT_MS_MAX: u64 = 100;

/// One direction.
pub(super) struct Way {
    from: Coding,
    source: AppSrc,
    pipeline: Running,
    /// The timestamp that goes on from what came.
    expected: Option<u32>,
    /// Where that is, in clock units since the beginning.
    at: u64,
}

impl Way {
    /// Starts; what is made goes to `out` with its timestamp and marker, on a thread of GStreamer's.
    pub fn start(
        from: Coding,
        to: Coding,
        out: impl FnMut(u32, bool, &[u8]) + Send + 'static,
    ) -> Result<Way, JobError> {
        let (caps, reader) = from.reader()?;
        let description = format!(
            "appsrc name=in ! {reader} audioconvert ! audioresample quality=4 ! {} {} ! appsink name=out sync=false",
            raw(to.rate()),
            to.maker()
        );
        let pipeline = Running::parse(&description)?;
        let source: AppSrc = pipeline.element("in")?;
        let caps = gst::Caps::from_str(&caps).map_err(|error| JobError::failed(error.to_string()))?;
        source.set_caps(Some(&caps));
        source.set_format(gst::Format::Time);
        source.set_max_bytes(WAITING_MAX);
        let sink: AppSink = pipeline.element("out")?;
        let mut made = Made {
            to,
            out,
            waiting: Vec::new(),
            next: None,
        };
        let take = move |sink: &AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let buffer = sample.buffer().ok_or(gst::FlowError::Error)?;
            if !buffer.flags().contains(gst::BufferFlags::HEADER) {
                let bytes = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
                made.take(buffer.pts(), &bytes).map_err(|_| gst::FlowError::Error)?;
            }
            Ok(gst::FlowSuccess::Ok)
        };
        sink.set_callbacks(AppSinkCallbacks::builder().new_sample(take).build());
        pipeline.play()?;
        Ok(Way {
            from,
            source,
            pipeline,
            expected: None,
            at: 0,
        })
    }

    /// The next packet. One that is no sound of this codec, or late, is left out.
    pub fn push(&mut self, timestamp: u32, payload: &[u8]) -> Result<(), JobError> {
        self.check()?;
        let Some(units) = self.from.units(payload) else {
            return Ok(());
        };
        let ms = (self.from.clock_rate() / 1_000).max(1);
        let ahead = self
            .expected
            .map_or(0, |expected| timestamp.wrapping_sub(expected).cast_signed());
        match u32::try_from(ahead) {
            Ok(hole) if hole <= HOLE_MS_MAX.saturating_mul(ms) => self.fill(hole)?,
            Ok(pause) if pause <= PAUSE_MS_MAX.saturating_mul(ms) => self.at = self.at.saturating_add(pause.into()),
            // Its sender has begun anew.
            Ok(_) => {}
            Err(_) if ahead.unsigned_abs() <= LATE_MS_MAX.saturating_mul(ms) => return Ok(()),
            Err(_) => {}
        }
        self.give(self.from.unpacked(payload), units)?;
        self.expected = Some(timestamp.wrapping_add(units));
        Ok(())
    }

    fn fill(&mut self, mut hole: u32) -> Result<(), JobError> {
        loop {
            let units = self.from.silence_units(hole);
            if units == 0 {
                self.at = self.at.saturating_add(hole.into());
                return Ok(());
            }
            self.give(self.from.unpacked_silence(units), units)?;
            hole = hole.saturating_sub(units);
        }
    }

    fn give(&mut self, bytes: Vec<u8>, units: u32) -> Result<(), JobError> {
        let time = |units: u64| {
            let ns = u128::from(units).saturating_mul(1_000_000_000) / u128::from(self.from.clock_rate().max(1));
            gst::ClockTime::from_nseconds(u64::try_from(ns).unwrap_or(u64::MAX))
        };
        // Late is worse than lost: what would wait longer is left out.
        if self.source.current_level_bytes() < WAITING_MAX {
            let mut buffer = gst::Buffer::from_mut_slice(bytes);
            if let Some(buffer) = buffer.get_mut() {
                buffer.set_pts(time(self.at));
                buffer.set_duration(time(units.into()));
            }
            self.source.push_buffer(buffer)?;
        }
        self.at = self.at.saturating_add(units.into());
        Ok(())
    }

    /// A codec that has failed ends the process: whoever waits for sound must know.
    fn check(&self) -> Result<(), JobError> {
        match self.pipeline.ended(std::time::Duration::ZERO) {
            Ok(false) => Ok(()),
            Ok(true) => Err(JobError::failed("the sound ended by itself")),
            Err(error) => Err(JobError::failed(error.message())),
        }
    }
}

/// What comes out of the pipeline.
struct Made<F> {
    to: Coding,
    out: F,
    /// Less than a packet.
    waiting: Vec<u8>,
    /// Timestamp of the next packet, in clock units since the beginning.
    next: Option<u64>,
}

impl<F: FnMut(u32, bool, &[u8])> Made<F> {
    fn take(&mut self, time: Option<gst::ClockTime>, bytes: &[u8]) -> Result<(), JobError> {
        let clock = u64::from(self.to.clock_rate());
        let mut marker = self.next.is_none();
        if let Some(time) = time.filter(|_| self.waiting.is_empty()) {
            let units = u128::from(time.nseconds()).saturating_mul(clock.into()) / 1_000_000_000;
            let units = u64::try_from(units).unwrap_or(u64::MAX);
            let drift = DRIFT_MS_MAX.saturating_mul(clock) / 1_000;
            if self.next.is_none_or(|next| units > next.saturating_add(drift)) {
                marker = true;
                self.next = Some(units);
            }
        }
        let payloads = match self.to.cut() {
            None => self.to.packed(bytes)?,
            Some(len) => {
                self.waiting.extend_from_slice(bytes);
                let whole = self.waiting.len().checked_div(len).unwrap_or(0).saturating_mul(len);
                let cut: Vec<u8> = self.waiting.drain(..whole).collect();
                let mut payloads = Vec::new();
                for piece in cut.chunks_exact(len) {
                    payloads.extend(self.to.packed(piece)?);
                }
                payloads
            }
        };
        for payload in payloads {
            let next = self.next.unwrap_or(0);
            // RTP timestamps come round.
            (self.out)(u32::try_from(next & u64::from(u32::MAX)).unwrap_or(0), marker, &payload);
            marker = false;
            self.next = Some(next.saturating_add(self.to.step().into()));
        }
        Ok(())
    }
}
