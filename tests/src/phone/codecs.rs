//! What a phone can say and show.

/// The codecs that a phone knows: one for each medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codecs {
    /// Of its sound.
    pub audio: AudioCodec,
    /// Of its picture; `None` when it has no camera and offers audio alone.
    pub video: Option<VideoCodec>,
}

/// A codec for sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioCodec {
    /// G.711 µ-law.
    Pcmu,
    /// G.722 at 64 kbit/s.
    G722,
    /// Opus by libopus.
    Opus,
    /// Opus, and PCMU after it.
    OpusPcmu,
}

impl AudioCodec {
    /// Ticks a second of its RTP timestamps: of G.722 by an old error 8,000 (RFC 3551 §4.5.2), of Opus always 48,000 (RFC 7587 §4.1).
    /// Of Opus and PCMU it is the first.
    pub fn clock_hz(self) -> u32 {
        match self {
            AudioCodec::Pcmu | AudioCodec::G722 => 8_000,
            AudioCodec::Opus | AudioCodec::OpusPcmu => 48_000,
        }
    }
}

/// A codec for pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VideoCodec {
    /// H.264 by x264 and FFmpeg.
    H264,
    /// VP8 by libvpx.
    Vp8,
}

impl Codecs {
    /// PCMU and H.264.
    pub const USUAL: Codecs = Codecs {
        audio: AudioCodec::Pcmu,
        video: Some(VideoCodec::H264),
    };
    /// PCMU and no camera.
    pub const AUDIO_ONLY: Codecs = Codecs {
        audio: AudioCodec::Pcmu,
        video: None,
    };
    /// Opus and VP8, as a browser's.
    pub const OPUS_VP8: Codecs = Codecs {
        audio: AudioCodec::Opus,
        video: Some(VideoCodec::Vp8),
    };
    /// PCMU and VP8.
    pub const PCMU_VP8: Codecs = Codecs {
        audio: AudioCodec::Pcmu,
        video: Some(VideoCodec::Vp8),
    };
    /// G.722 and no camera.
    pub const G722_ONLY: Codecs = Codecs {
        audio: AudioCodec::G722,
        video: None,
    };
    /// G.722 and VP8.
    pub const G722_VP8: Codecs = Codecs {
        audio: AudioCodec::G722,
        video: Some(VideoCodec::Vp8),
    };

    /// Opus and no camera.
    pub const OPUS_ONLY: Codecs = Codecs {
        audio: AudioCodec::Opus,
        video: None,
    };
    /// Opus, PCMU after it, and no camera.
    pub const OPUS_PCMU: Codecs = Codecs {
        audio: AudioCodec::OpusPcmu,
        video: None,
    };

    /// The account's parameters.
    pub(super) fn parameters(self) -> String {
        let audio = match self.audio {
            AudioCodec::Pcmu => "pcmu",
            AudioCodec::G722 => "g722",
            AudioCodec::Opus => "opus",
            AudioCodec::OpusPcmu => "opus/48000/2,pcmu",
        };
        let video = match self.video {
            Some(VideoCodec::Vp8) => "vp8",
            Some(VideoCodec::H264) | None => "h264",
        };
        format!("audio_codecs={audio};video_codecs={video}")
    }

    /// Samples a second of its microphone. The phone makes 48 kHz of 8 kHz well, but its 16 kHz lose what lies near 2 kHz.
    pub(super) fn microphone_rate(self) -> u32 {
        match self.audio {
            AudioCodec::Pcmu | AudioCodec::Opus | AudioCodec::OpusPcmu => 8000,
            AudioCodec::G722 => 16_000,
        }
    }

    /// The modules that a phone loads for them. Without a codec for it, no video is offered.
    pub(super) fn modules(self) -> Vec<&'static str> {
        let mut modules = match self.audio {
            AudioCodec::Pcmu => vec!["g711"],
            AudioCodec::G722 => vec!["g722"],
            AudioCodec::Opus => vec!["opus"],
            AudioCodec::OpusPcmu => vec!["opus", "g711"],
        };
        modules.extend(["aufile", "aubridge", "sndfile"]);
        match self.video {
            Some(VideoCodec::H264) => modules.extend(["fakevideo", "avcodec", "avfilter", "snapshot"]),
            Some(VideoCodec::Vp8) => modules.extend(["fakevideo", "vp8", "avfilter", "snapshot"]),
            None => {}
        }
        modules
    }
}
