//! Every clip, greeting and prompt is as loud as the next: EBU R128 loudness, measured over the whole, brought to one level.
//!
//! One gain for all of it, so its dynamics stay. Peaks are measured between samples too, and bound the gain.

use ebur128::{EbuR128, Mode};

use crate::error::JobError;

/// What everything is brought to, LUFS (EBU R 128). A telephone's nominal speech level is about there.
pub(crate) const TARGET_LUFS: f64 = -23.0;
/// Highest true peak, dBFS (EBU R 128).
const PEAK_MAX_DB: f64 = -1.0;
/// Nothing is made louder than by this: what is quieter yet is noise.
const GAIN_MAX_DB: f64 = 30.0;
/// Smaller gains are not worth rounding every sample again.
const GAIN_MIN_DB: f64 = 0.1;

/// 48 kHz mono sound at [`TARGET_LUFS`]. Silence stays silence, and so does what is too short to be measured (under 400 ms).
pub(crate) fn normalised(mut samples: Vec<i16>) -> Result<Vec<i16>, JobError> {
    let failed = |error: ebur128::Error| JobError::failed(format!("loudness: {error}"));
    let mut meter = EbuR128::new(1, 48_000, Mode::I | Mode::TRUE_PEAK).map_err(failed)?;
    meter.add_frames_i16(&samples).map_err(failed)?;
    let loudness = meter.loudness_global().map_err(failed)?;
    if !loudness.is_finite() {
        return Ok(samples);
    }
    let peak_db = 20.0 * meter.true_peak(0).map_err(failed)?.log10();
    let gain_db = (TARGET_LUFS - loudness).min(PEAK_MAX_DB - peak_db).min(GAIN_MAX_DB);
    if gain_db.abs() < GAIN_MIN_DB {
        return Ok(samples);
    }
    let gain = 10f64.powf(gain_db / 20.0);
    for sample in &mut samples {
        let louder = (f64::from(*sample) * gain).round();
        let louder = louder.clamp(f64::from(i16::MIN), f64::from(i16::MAX));
        // Within i16 by the line before.
        #[allow(clippy::cast_possible_truncation)]
        let louder = louder as i16;
        *sample = louder;
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second of a tone at 1 kHz with this amplitude, and half a second of silence.
    fn tone(amplitude: f64) -> Vec<i16> {
        let sample = |n: u32| ((f64::from(n) / 48.0 * std::f64::consts::TAU).sin() * amplitude) as i16;
        (0..48_000).map(sample).chain([0; 24_000]).collect()
    }

    fn lufs(samples: &[i16]) -> f64 {
        let mut meter = EbuR128::new(1, 48_000, Mode::I).unwrap();
        meter.add_frames_i16(samples).unwrap();
        meter.loudness_global().unwrap()
    }

    #[test]
    fn quiet_and_loud_end_alike() {
        for amplitude in [120.0, 3_000.0, 32_000.0] {
            let after = lufs(&normalised(tone(amplitude)).unwrap());
            assert!((after - TARGET_LUFS).abs() < 0.3, "{amplitude}: {after}");
        }
    }

    #[test]
    fn silence_and_what_is_too_short_stay_as_they_are() {
        assert_eq!(normalised(vec![0; 96_000]).unwrap(), vec![0; 96_000]);
        let short: Vec<i16> = tone(9_000.0).into_iter().take(14_400).collect();
        assert_eq!(normalised(short.clone()).unwrap(), short);
        let hiss: Vec<i16> = (0..96_000).map(|n| if n % 2 == 0 { 3 } else { -3 }).collect();
        assert_eq!(normalised(hiss.clone()).unwrap(), hiss, "below the gate of -70 LUFS");
    }

    #[test]
    fn peaks_bound_the_gain() {
        // Clicks at full scale in a very quiet tone.
        let mut samples = tone(60.0);
        for click in samples.iter_mut().step_by(24_000) {
            *click = 20_000;
        }
        let louder = normalised(samples).unwrap();
        assert!(louder.iter().all(|sample| sample.unsigned_abs() < 29_300), "-1 dBFS");
    }
}
