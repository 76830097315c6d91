//! Sound: samples where their time says, silence where nothing came.
#![deny(clippy::arithmetic_side_effects)]

use super::MS;
use super::clock::Track;
use crate::g711::Law;

/// Samples a millisecond.
const RATE_MS: i64 = 8;
/// What a packet's time may lie past its arrival before it is not believed.
const AHEAD_NS_MAX: i64 = 10_000 * MS;

/// The whole track at 8 kHz.
pub(super) fn samples(track: &Track, law: Law) -> Vec<i16> {
    let mut samples: Vec<i16> = Vec::new();
    for run in &track.runs {
        for packet in &run.packets {
            let time = run.time_ns(packet);
            if time.saturating_sub(packet.arrival_ns) > AHEAD_NS_MAX {
                continue;
            }
            // G.711 has one sample a clock unit: rounding once a run keeps its packets seamless.
            let first = run.zero_ns.saturating_add(MS / RATE_MS / 2).div_euclid(MS / RATE_MS);
            let Ok(at) = usize::try_from(first.saturating_add(packet.rtp)) else {
                continue;
            };
            let end = at.saturating_add(packet.payload.len());
            if samples.len() < end {
                samples.resize(end, 0);
            }
            let place = samples.get_mut(at..end).unwrap_or_default();
            for (sample, byte) in place.iter_mut().zip(&packet.payload) {
                *sample = law.decode(*byte);
            }
        }
    }
    samples
}
