//! Ears: tones are made, and found again by Goertzel's filter.

use std::{fs, io, path::Path};

/// The tones of the parties (media/README.md), Hz: caller, greeting, clip, callee, beep, and one for marks in time.
pub const TONES: [u32; 6] = [440, 660, 880, 1000, 1400, 2000];

/// One channel of samples.
#[derive(Debug, Clone)]
pub struct Sound {
    /// Samples a second.
    pub rate: u32,
    /// 16-bit samples.
    pub samples: Vec<i16>,
}

impl Sound {
    /// A sine of `hz` at 8 kHz.
    pub fn tone(hz: u32, duration_ms: u64) -> Sound {
        Sound::tone_at_rate(8000, hz, duration_ms)
    }

    /// A sine of `hz` with `rate` samples a second.
    pub fn tone_at_rate(rate: u32, hz: u32, duration_ms: u64) -> Sound {
        let step = std::f64::consts::TAU * f64::from(hz) / f64::from(rate);
        let samples = (0..duration_ms * u64::from(rate) / 1000)
            .map(|n| ((step * n as f64).sin() * 10_000.0) as i16)
            .collect();
        Sound { rate, samples }
    }

    /// Writes a WAV file.
    pub fn write_wav(&self, path: &Path) -> io::Result<()> {
        let bytes = (self.samples.len() * 2) as u32;
        let mut wav = Vec::with_capacity(44 + self.samples.len() * 2);
        wav.extend_from_slice(b"RIFF");
        wav.extend_from_slice(&(36 + bytes).to_le_bytes());
        wav.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
        wav.extend_from_slice(&self.rate.to_le_bytes());
        wav.extend_from_slice(&(self.rate * 2).to_le_bytes());
        wav.extend_from_slice(b"\x02\0\x10\0data");
        wav.extend_from_slice(&bytes.to_le_bytes());
        wav.extend(self.samples.iter().flat_map(|sample| sample.to_le_bytes()));
        fs::write(path, wav)
    }

    /// Reads the first channel of a 16-bit WAV file, also of one that is still being written (its header then says nothing
    /// of its length).
    pub fn read_wav(path: &Path) -> Sound {
        let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let channels = bytes
            .get(22..24)
            .map_or(1, |two| usize::from(u16::from_le_bytes([two[0], two[1]])).max(1));
        let rate = bytes
            .get(24..28)
            .map(|rate| u32::from_le_bytes(rate.try_into().unwrap()))
            .unwrap_or(8000);
        let start = bytes
            .windows(4)
            .position(|four| four == b"data")
            .map_or(bytes.len(), |at| at + 8);
        let mut sound = Sound::from_bytes(rate, bytes.get(start..).unwrap_or_default());
        sound.samples = sound.samples.into_iter().step_by(channels).collect();
        sound
    }

    /// From 16-bit little-endian samples.
    pub fn from_bytes(rate: u32, bytes: &[u8]) -> Sound {
        Sound {
            rate,
            samples: bytes
                .chunks_exact(2)
                .map(|two| i16::from_le_bytes([two[0], two[1]]))
                .collect(),
        }
    }

    /// Playing time.
    pub fn duration_ms(&self) -> u64 {
        self.samples.len() as u64 * 1000 / u64::from(self.rate)
    }

    /// How loud a stretch is on average, dB below full scale.
    pub fn level_at(&self, from_ms: u64, length_ms: u64) -> f64 {
        let at = |ms: u64| ((ms * u64::from(self.rate) / 1000) as usize).min(self.samples.len());
        let stretch = &self.samples[at(from_ms)..at(from_ms + length_ms)];
        let energy: f64 = stretch.iter().map(|&sample| f64::from(sample).powi(2)).sum();
        10.0 * (energy / (stretch.len().max(1) as f64) / 32_768_f64.powi(2)).log10()
    }

    /// The tone of [`TONES`] that makes up most of this stretch; `None` when there is none or silence.
    pub fn tone_at(&self, from_ms: u64, length_ms: u64) -> Option<u32> {
        let at = |ms: u64| ((ms * u64::from(self.rate) / 1000) as usize).min(self.samples.len());
        let stretch = &self.samples[at(from_ms)..at(from_ms + length_ms)];
        let energy: f64 = stretch.iter().map(|&sample| f64::from(sample).powi(2)).sum();
        // Quieter than 100 of 32768 on average is silence.
        if stretch.is_empty() || energy / (stretch.len() as f64) < 100.0 * 100.0 {
            return None;
        }
        let share = |hz: u32| goertzel(stretch, hz, self.rate) * 2.0 / (stretch.len() as f64 * energy);
        TONES
            .into_iter()
            .map(|hz| (hz, share(hz)))
            .filter(|(_, share)| *share > 0.6)
            .map(|(hz, _)| hz)
            .next()
    }

    /// What was heard, in order: each tone that lasted at least 200 ms, with the moment it began.
    pub fn tones(&self) -> Vec<(u64, u32)> {
        let mut heard: Vec<(u64, u32)> = Vec::new();
        let mut candidate: Option<(u64, u32)> = None;
        for from_ms in (0..self.duration_ms().saturating_sub(100)).step_by(50) {
            match (self.tone_at(from_ms, 100), candidate) {
                (Some(hz), Some((began, before))) if hz == before => {
                    if from_ms - began >= 150 && heard.last().is_none_or(|(_, last)| *last != hz) {
                        heard.push((began, hz));
                    }
                }
                (tone, _) => candidate = tone.map(|hz| (from_ms, hz)),
            }
        }
        heard
    }

    /// The share of 100 ms stretches from `from_ms` on in which `hz` is the tone, 0 to 1.
    pub fn share_of(&self, hz: u32, from_ms: u64) -> f64 {
        let stretches: Vec<u64> = (from_ms..self.duration_ms().saturating_sub(100)).step_by(100).collect();
        let right = stretches
            .iter()
            .filter(|at| self.tone_at(**at, 100) == Some(hz))
            .count();
        right as f64 / stretches.len().max(1) as f64
    }
}

/// Power of one frequency (Goertzel 1958).
fn goertzel(samples: &[i16], hz: u32, rate: u32) -> f64 {
    let factor = 2.0 * (std::f64::consts::TAU * f64::from(hz) / f64::from(rate)).cos();
    let (last, before) = samples.iter().fold((0.0, 0.0), |(last, before), &sample| {
        (f64::from(sample) + factor * last - before, last)
    });
    last * last + before * before - factor * last * before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tone_is_told_from_the_others_and_from_silence() {
        for hz in TONES {
            assert_eq!(Sound::tone(hz, 1000).tone_at(300, 100), Some(hz));
        }
        assert_eq!(
            Sound {
                rate: 8000,
                samples: vec![0; 8000]
            }
            .tone_at(0, 100),
            None
        );
        assert_eq!(Sound::tone(550, 1000).tone_at(0, 100), None);
    }

    #[test]
    fn of_two_channels_the_first_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two.wav");
        let (left, right) = (
            Sound::tone_at_rate(48_000, 440, 50),
            Sound::tone_at_rate(48_000, 1000, 50),
        );
        let pairs = left.samples.iter().zip(&right.samples);
        let both = Sound {
            rate: 48_000,
            samples: pairs.flat_map(|(left, right)| [*left, *right]).collect(),
        };
        both.write_wav(&path).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes[22] = 2;
        fs::write(&path, bytes).unwrap();
        let back = Sound::read_wav(&path);
        assert_eq!((back.rate, back.samples), (48_000, left.samples));
    }

    #[test]
    fn tones_are_heard_in_their_order() {
        let mut sound = Sound::tone(880, 1000);
        sound.samples.extend(Sound::tone(1000, 1000).samples);
        let heard: Vec<u32> = sound.tones().into_iter().map(|(_, hz)| hz).collect();
        assert_eq!(heard, [880, 1000]);
        assert!(sound.share_of(1000, 1100) > 0.99);
    }

    #[test]
    fn a_wav_file_comes_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tone.wav");
        let tone = Sound::tone(440, 250);
        tone.write_wav(&path).unwrap();
        let back = Sound::read_wav(&path);
        assert_eq!((back.rate, back.samples), (tone.rate, tone.samples));
    }
}
