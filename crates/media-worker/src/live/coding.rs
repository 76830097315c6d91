//! What a codec means for a packet of live sound: how long it is, what stands in for a lost one, which elements read and make it.

use segue_media::amr::{self, Amr, Band, Frame, Payload};
use segue_media::transcode::Coded;
use segue_media::{g722, opus};

use crate::error::JobError;
use crate::g711::Law;
use crate::pipeline::first_of;

/// One codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Companded here.
    G711(Law),
    G722,
    Opus,
    Amr(Amr),
}

/// Opus as it is made for speech, bits a second.
const OPUS_BIT_S: u32 = 32_000;

impl Coding {
    /// By its names in SDP.
    pub fn of(coded: &Coded) -> Result<Coding, JobError> {
        let named = |name: &str| coded.encoding.eq_ignore_ascii_case(name);
        let amr = |band| Amr::read(band, coded.fmtp.as_deref()).map(Coding::Amr);
        let coding = match Law::named(&coded.encoding) {
            Some(law) => Some(Coding::G711(law)),
            None if named("G722") => Some(Coding::G722),
            None if named("opus") => Some(Coding::Opus),
            None if named("AMR") => amr(Band::Narrow),
            None if named("AMR-WB") => amr(Band::Wide),
            None => None,
        };
        coding.ok_or_else(|| JobError::refused(format!("{} cannot be transcoded", coded.encoding)))
    }

    /// RTP clock, Hz.
    pub fn clock_rate(self) -> u32 {
        match self {
            Coding::G711(_) | Coding::G722 => 8_000,
            Coding::Opus => 48_000,
            Coding::Amr(amr) => amr.band.clock_rate(),
        }
    }

    /// Samples a second of what is decoded and encoded.
    pub fn rate(self) -> u32 {
        match self {
            Coding::G711(_) => 8_000,
            Coding::G722 => 16_000,
            Coding::Opus => 48_000,
            Coding::Amr(amr) => amr.band.clock_rate(),
        }
    }

    /// Clock units of a payload; `None`: it is none of this codec.
    pub fn units(self, payload: &[u8]) -> Option<u32> {
        let units = match self {
            Coding::G711(_) | Coding::G722 => u32::try_from(payload.len()).ok()?,
            Coding::Opus => opus::duration(payload)?,
            Coding::Amr(amr) => {
                let frames = u32::try_from(Payload::parse(amr, payload)?.count()).ok()?;
                frames.saturating_mul(amr::frame_samples(amr.band))
            }
        };
        (units > 0).then_some(units)
    }

    /// What stands in for a hole of so many clock units, as near as whole frames come.
    pub fn silence(self, units: u32) -> Vec<u8> {
        let bytes = usize::try_from(units).unwrap_or(0);
        match self {
            Coding::G711(law) => vec![law.encode(0); bytes],
            Coding::G722 => {
                let [silence, ..] = g722::SILENCE;
                vec![silence; bytes]
            }
            Coding::Opus => opus::silence_within(units).map_or_else(Vec::new, |(packet, _)| packet.to_vec()),
            Coding::Amr(_) => {
                let mut stored = Vec::new();
                Frame::nothing().store(&mut stored);
                stored
            }
        }
    }

    /// Clock units of that.
    pub fn silence_units(self, units: u32) -> u32 {
        match self {
            Coding::G711(_) | Coding::G722 => units,
            Coding::Opus => opus::silence_within(units).map_or(0, |(_, length)| length),
            Coding::Amr(amr) => Some(amr::frame_samples(amr.band))
                .filter(|frame| *frame <= units)
                .unwrap_or(0),
        }
    }

    /// What its decoder takes, of a payload.
    pub fn unpacked(self, payload: &[u8]) -> Vec<u8> {
        match self {
            Coding::G711(law) => payload
                .iter()
                .flat_map(|byte| law.decode(*byte).to_le_bytes())
                .collect(),
            Coding::G722 | Coding::Opus => payload.to_vec(),
            Coding::Amr(amr) => {
                let mut stored = Vec::new();
                for frame in Payload::parse(amr, payload).iter().flat_map(Payload::frames) {
                    match frame.intact {
                        true => frame.store(&mut stored),
                        false => Frame::nothing().store(&mut stored),
                    }
                }
                stored
            }
        }
    }

    /// The same of silence.
    pub fn unpacked_silence(self, units: u32) -> Vec<u8> {
        let silence = self.silence(units);
        match self {
            Coding::Amr(_) => silence,
            _ => self.unpacked(&silence),
        }
    }

    /// What comes in, and the piece of a pipeline that makes raw sound of it.
    pub fn reader(self) -> Result<(String, String), JobError> {
        let rate = self.rate();
        Ok(match self {
            Coding::G711(_) => (raw(rate), String::new()),
            Coding::G722 => ("audio/G722,rate=16000,channels=1".into(), "avdec_g722 !".into()),
            Coding::Opus => {
                let decoder = first_of(&["opusdec", "avdec_opus"])?;
                let caps = "audio/x-opus,channel-mapping-family=0,rate=48000,channels=2,stream-count=1,coupled-count=1";
                (caps.into(), format!("{decoder} !"))
            }
            Coding::Amr(amr) => {
                let (name, decoder) = match amr.band {
                    Band::Narrow => ("audio/AMR", first_of(&["amrnbdec", "avdec_amrnb"])?),
                    Band::Wide => ("audio/AMR-WB", first_of(&["amrwbdec", "avdec_amrwb"])?),
                };
                (format!("{name},rate={rate},channels=1"), format!("{decoder} !"))
            }
        })
    }

    /// The piece of a pipeline that makes it of raw sound of its rate.
    pub fn maker(self) -> String {
        match self {
            Coding::G711(_) => String::new(),
            Coding::G722 => "! avenc_g722".into(),
            Coding::Opus => format!("! opusenc bitrate={OPUS_BIT_S} audio-type=voice frame-size=20 inband-fec=true"),
            Coding::Amr(amr) => {
                // The best that the other side allows.
                let best = match amr.band {
                    Band::Narrow => 7,
                    Band::Wide => 8,
                };
                let mode = amr.modes.at_most(best);
                match amr.band {
                    Band::Narrow => format!("! amrnbenc band-mode={mode}"),
                    Band::Wide => format!("! voamrwbenc band-mode={mode}"),
                }
            }
        }
    }

    /// Bytes of 20 ms as its maker gives them, where packets are cut of a stream of such; `None`: they come as they are to be.
    pub fn cut(self) -> Option<usize> {
        match self {
            Coding::G711(_) => Some(320),
            Coding::G722 => Some(160),
            Coding::Opus | Coding::Amr(_) => None,
        }
    }

    /// Clock units of a packet that is made: 20 ms.
    pub fn step(self) -> u32 {
        self.clock_rate() / 50
    }

    /// The payloads of 20 ms each of what its maker has given at once.
    pub fn packed(self, made: &[u8]) -> Result<Vec<Vec<u8>>, JobError> {
        match self {
            Coding::G711(law) => {
                let samples = made.chunks_exact(2).filter_map(|pair| pair.first_chunk());
                Ok(vec![
                    samples.map(|pair| law.encode(i16::from_le_bytes(*pair))).collect(),
                ])
            }
            Coding::G722 | Coding::Opus => Ok(vec![made.to_vec()]),
            Coding::Amr(amr) => {
                let frames = crate::amr::frames(amr.band, made)?;
                let payload = |frame: &Vec<u8>| crate::amr::payload(amr.band, amr.packing, frame);
                frames.iter().map(payload).collect()
            }
        }
    }
}

/// Caps of raw mono sound.
pub(super) fn raw(rate: u32) -> String {
    format!("audio/x-raw,format=S16LE,rate={rate},channels=1,layout=interleaved")
}
