//! What a video codec means for live pictures: which elements read and make it, and how great a picture its receiver takes.

use gstreamer as gst;
use segue_media::transcode::Coded;
use segue_media::{h264, vp8};

use crate::error::JobError;
use crate::pipeline::first_of;

/// One codec, as one side has agreed on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Picture {
    H264 {
        /// RFC 6184 packetization-mode: 0 takes single NAL units alone.
        mode: u8,
        /// Ten times the level that the side receives.
        level: u8,
        /// `sprop-parameter-sets`: what the side sends begins with these.
        parameter_sets: Option<String>,
    },
    Vp8 {
        /// The most macroblocks of a picture (RFC 7741 §6.1).
        macroblocks: Option<u32>,
    },
}

/// The most that a picture may be, and what it may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Room {
    width: u16,
    height: u16,
    kbit_s: u32,
}

/// From the greatest to the smallest, with their macroblocks. No live picture is made greater than the first.
const ROOMS: [(u32, Room); 5] = [
    (3_600, room(1_280, 720, 1_200)),
    (1_620, room(720, 576, 800)),
    (396, room(352, 288, 384)),
    (220, room(320, 176, 256)),
    (99, room(176, 144, 64)),
];

const fn room(width: u16, height: u16, kbit_s: u32) -> Room {
    Room { width, height, kbit_s }
}

/// Without a rate x264 keeps each picture back until it knows how long it stands. Timestamps count all the same.
const RATE: &str = "capssetter caps=video/x-raw,framerate=25/1";
/// Bytes of an RTP packet.
const PACKET_MAX: usize = 1_200;
/// Of a NAL unit that no packet may split.
const UNIT_MAX: usize = 1_150;

impl Picture {
    /// By its names in SDP.
    pub fn of(coded: &Coded) -> Result<Picture, JobError> {
        let fmtp = coded.fmtp.as_deref().unwrap_or_default();
        if coded.encoding.eq_ignore_ascii_case("H264") {
            // Without a word of it: level 1 (RFC 6184 §8.1).
            let level = parameter(fmtp, "profile-level-id").and_then(|id| u8::from_str_radix(id.get(4..6)?, 16).ok());
            let mode = parameter(fmtp, "packetization-mode").and_then(|mode| mode.parse().ok());
            let is_base64 = |text: &&str| {
                text.bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b','))
            };
            Ok(Picture::H264 {
                mode: mode.unwrap_or(0),
                level: level.unwrap_or(10),
                parameter_sets: parameter(fmtp, "sprop-parameter-sets")
                    .filter(is_base64)
                    .map(str::to_owned),
            })
        } else if coded.encoding.eq_ignore_ascii_case("VP8") {
            let macroblocks = parameter(fmtp, "max-fs").and_then(|most| most.parse().ok());
            Ok(Picture::Vp8 { macroblocks })
        } else {
            Err(JobError::refused(format!("{} is no picture", coded.encoding)))
        }
    }

    /// Whether a decoder can start at this payload.
    pub fn starts_key_frame(&self, payload: &[u8]) -> bool {
        match self {
            Picture::H264 { .. } => h264::starts_key_frame(payload),
            Picture::Vp8 { .. } => vp8::starts_key_frame(payload),
        }
    }

    /// What comes in.
    pub fn caps(&self) -> gst::Caps {
        let caps = gst::Caps::builder("application/x-rtp")
            .field("media", "video")
            .field("clock-rate", 90_000)
            .field("payload", 96);
        match self {
            Picture::H264 { parameter_sets, .. } => {
                let caps = caps.field("encoding-name", "H264");
                match parameter_sets {
                    Some(sets) => caps.field("sprop-parameter-sets", sets.as_str()).build(),
                    None => caps.build(),
                }
            }
            Picture::Vp8 { .. } => caps.field("encoding-name", "VP8").build(),
        }
    }

    /// The piece of a pipeline that makes raw pictures of that. One thread: a decoder with more holds pictures back.
    pub fn reader(&self) -> Result<&'static str, JobError> {
        Ok(match self {
            Picture::H264 { .. } => match first_of(&["avdec_h264", "openh264dec"])? {
                "avdec_h264" => "rtph264depay ! h264parse ! avdec_h264 max-threads=1 output-corrupt=false",
                _ => "rtph264depay ! h264parse ! openh264dec",
            },
            Picture::Vp8 { .. } => match first_of(&["vp8dec", "avdec_vp8"])? {
                "vp8dec" => "rtpvp8depay ! vp8dec threads=1",
                _ => "rtpvp8depay ! avdec_vp8 max-threads=1",
            },
        })
    }

    /// The piece that makes packets of raw pictures: their size is kept where the receiver takes it.
    pub fn maker(&self) -> Result<String, JobError> {
        let Room { width, height, kbit_s } = self.room();
        let caps = format!(
            "videoconvert n-threads=1 ! videoscale n-threads=1 ! \
             video/x-raw,format=I420,width=[16,{width},2],height=[16,{height},2],pixel-aspect-ratio=1/1"
        );
        let bit_s = kbit_s.saturating_mul(1_000);
        let made = match self {
            Picture::H264 { mode, .. } => {
                let encoder = match first_of(&["x264enc", "openh264enc"])? {
                    "x264enc" => {
                        let slices = match mode {
                            0 => format!(":slice-max-size={UNIT_MAX}"),
                            _ => String::new(),
                        };
                        format!(
                            "x264enc bitrate={kbit_s} vbv-buf-capacity=500 tune=zerolatency speed-preset=superfast \
                             key-int-max=250 bframes=0 ref=1 cabac=false dct8x8=false aud=false threads=1 sliced-threads=false \
                             option-string=scenecut=0{slices}"
                        )
                    }
                    _ => {
                        let slices = match mode {
                            0 => format!("slice-mode=dyn max-slice-size={UNIT_MAX}"),
                            _ => String::new(),
                        };
                        format!(
                            "openh264enc rate-control=bitrate bitrate={bit_s} gop-size=250 complexity=low multi-thread=1 {slices}"
                        )
                    }
                };
                // Nothing of several units in a packet for who takes single ones.
                let together = if *mode == 0 { "none" } else { "zero-latency" };
                format!(
                    "{RATE} ! {encoder} ! video/x-h264,profile=constrained-baseline,stream-format=byte-stream ! \
                     rtph264pay mtu={PACKET_MAX} config-interval=-1 aggregate-mode={together} timestamp-offset=0"
                )
            }
            Picture::Vp8 { .. } => format!(
                "vp8enc target-bitrate={bit_s} end-usage=cbr buffer-size=500 buffer-initial-size=300 buffer-optimal-size=400 \
                 deadline=1 cpu-used=8 threads=1 lag-in-frames=0 keyframe-max-dist=250 error-resilient=default \
                 min-quantizer=4 max-quantizer=56 ! rtpvp8pay mtu={PACKET_MAX} picture-id-mode=15-bit timestamp-offset=0"
            ),
        };
        Ok(format!("{caps} ! {made}"))
    }

    fn room(&self) -> Room {
        let macroblocks = match self {
            Picture::Vp8 { macroblocks } => macroblocks.unwrap_or(u32::MAX),
            // Table A-1 of H.264: MaxFS, and at 25 pictures a second MaxMBPS.
            Picture::H264 { level, .. } => match level {
                0..=11 => 99,
                12 => 220,
                13..=20 => 396,
                21 => 792,
                22..=30 => 1_620,
                31.. => 3_600,
            },
        };
        let mut rooms = ROOMS.iter().filter(|(needs, _)| *needs <= macroblocks);
        let [.., (_, least)] = ROOMS;
        rooms.next().map_or(least, |(_, room)| *room)
    }
}

/// A parameter of `a=fmtp`.
fn parameter<'a>(fmtp: &'a str, name: &str) -> Option<&'a str> {
    let mut all = fmtp.split(';').filter_map(|one| one.trim().split_once('='));
    let (_, value) = all.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    Some(value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(encoding: &str, fmtp: &str) -> Picture {
        let coded = Coded {
            encoding: encoding.to_owned(),
            fmtp: Some(fmtp.to_owned()),
        };
        Picture::of(&coded).unwrap()
    }

    #[test]
    fn a_picture_is_as_great_as_its_receiver_takes() {
        let width = |picture: &Picture| picture.room().width;
        let level = |id: &str| of("H264", &format!("packetization-mode=1; profile-level-id={id}"));
        let h264 = ["42e01f", "42c01e", "42e00c", "42000a", "64002a"].map(|id| width(&level(id)));
        assert_eq!(h264, [1_280, 720, 320, 176, 1_280]);
        assert_eq!(width(&of("H264", "")), 176, "level 1 where nothing is said");
        let vp8 = ["", "max-fr=30;max-fs=3600", "max-fs=1200", "max-fs=1"].map(|fmtp| width(&of("VP8", fmtp)));
        assert_eq!(vp8, [1_280, 1_280, 352, 176]);
    }

    #[test]
    fn what_a_side_says_of_its_parameter_sets_is_base64_or_nothing() {
        let sets = |text: &str| match of("h264", &format!("sprop-parameter-sets={text}")) {
            Picture::H264 { parameter_sets, .. } => parameter_sets,
            Picture::Vp8 { .. } => None,
        };
        assert_eq!(sets("Z0LAHtkA,aMuMsg==").as_deref(), Some("Z0LAHtkA,aMuMsg=="));
        assert_eq!(sets("a\"! fakesink"), None);
    }
}
