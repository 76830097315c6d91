//! 48 kHz sound in every form that telephones take: 8 kHz for G.711, G.722, Opus, AMR, AMR-WB. One pipeline, each form made once.

use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc};
use segue_mailbox::RenditionProfile;
use segue_media::amr::Band;

use crate::amr;
use crate::encode::Wanted;
use crate::error::JobError;
use crate::pipeline::Running;

/// One packet is 20 ms: samples at 8 kHz, and bytes of G.722.
const PACKET_NARROW: usize = 160;
/// Fullband speech and music in mono (RFC 7587 §3.1.1 puts fullband music at 48 to 64 kbit/s, speech at 28 to 40).
const OPUS_BIT_S: u32 = 48_000;
/// Samples given to the encoders at once: half a second.
const CHUNK: usize = 24_000;

/// The same sound, encoded.
pub(crate) struct Voices {
    /// 8 kHz.
    pub narrow: Vec<i16>,
    /// G.722 at 64 kbit/s (ITU-T G.722 mode 1).
    pub g722: Vec<u8>,
    /// Opus packets of 20 ms.
    pub opus: Vec<Vec<u8>>,
    /// AMR and AMR-WB in each mode, as far as the encoders are here.
    pub amr: Vec<Amr>,
}

/// Frames of one mode as files store them (RFC 4867 §5.3), 20 ms each.
pub(crate) struct Amr {
    pub band: Band,
    pub mode: u8,
    pub frames: Vec<Vec<u8>>,
}

/// Encodes 48 kHz mono sound into `packets` packets of 20 ms of each form that is wanted. G.711, G.722 and Opus cost little, and are
/// always made.
pub(crate) fn encode(samples: &[i16], packets: usize, wanted: &Wanted) -> Result<Voices, JobError> {
    let is_wanted = |mode: &amr::Mode| {
        let mut forms = RenditionProfile::of_amr(mode.band == Band::Wide);
        forms.any(|(profile, form)| form.mode == mode.mode && wanted.has(profile))
    };
    let modes: Vec<amr::Mode> = amr::modes().into_iter().filter(is_wanted).collect();
    // Sound of its own for each: the encoder of AMR clears bits of what it is given, in place.
    let branch = |mode: &amr::Mode| {
        format!(
            " t. ! queue ! audioresample ! audio/x-raw,rate={} ! {} ! appsink name={} sync=false async=false",
            mode.band.clock_rate(),
            mode.element,
            mode.name
        )
    };
    let amr_branches: String = modes.iter().map(branch).collect();
    let pipeline = Running::parse(&format!(
        "appsrc name=in ! tee name=t \
         t. ! queue ! audioresample ! audio/x-raw,rate=8000 ! appsink name=narrow sync=false async=false \
         t. ! queue ! audioresample ! audio/x-raw,rate=16000 ! avenc_g722 ! appsink name=g722 sync=false async=false \
         t. ! queue ! opusenc bitrate={OPUS_BIT_S} bitrate-type=constrained-vbr audio-type=generic frame-size=20 ! \
         appsink name=opus sync=false async=false{amr_branches}"
    ))?;
    let amr_outputs = modes.iter().map(|mode| collect(&pipeline, &mode.name));
    let amr_outputs: Vec<Buffers> = amr_outputs.collect::<Result<_, _>>()?;
    let outputs = ["narrow", "g722", "opus"].map(|name| collect(&pipeline, name));
    let source: AppSrc = pipeline.element("in")?;
    source.set_caps(Some(&caps()));
    source.set_format(gst::Format::Time);
    source.set_block(true);
    pipeline.play()?;
    let mut at = 0u64;
    // The encoders look ahead; what is theirs to say of the last packet comes with the silence after it.
    let padding = vec![0; CHUNK];
    for chunk in samples.chunks(CHUNK).chain([&padding[..]]) {
        let bytes: Vec<u8> = chunk.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(time(at));
        }
        source.push_buffer(buffer)?;
        at = at.saturating_add(u64::try_from(chunk.len()).unwrap_or(0));
    }
    source.end_of_stream()?;
    pipeline.wait()?;
    let [narrow, g722, opus] = outputs;
    let (narrow, g722, mut opus) = (taken(narrow?).concat(), taken(g722?).concat(), taken(opus?));
    let narrow = narrow
        .chunks_exact(2)
        .filter_map(|pair| pair.first_chunk())
        .map(|pair| i16::from_le_bytes(*pair));
    let wanted = packets.saturating_mul(PACKET_NARROW);
    let voices = Voices {
        narrow: narrow.take(wanted).collect(),
        g722: g722.get(..wanted).unwrap_or(&g722).to_vec(),
        opus: {
            opus.truncate(packets);
            opus
        },
        amr: modes
            .into_iter()
            .zip(amr_outputs)
            .map(|(mode, output)| {
                let mut frames = amr::frames(mode.band, &taken(output).concat())?;
                frames.truncate(packets);
                Ok(Amr {
                    band: mode.band,
                    mode: mode.mode,
                    frames,
                })
            })
            .collect::<Result<_, JobError>>()?,
    };
    let amr_is_short = voices.amr.iter().any(|amr| amr.frames.len() < packets);
    if amr_is_short || voices.narrow.len() < wanted || voices.g722.len() < wanted || voices.opus.len() < packets {
        return Err(JobError::failed("an audio encoder gave less than it was given"));
    }
    Ok(voices)
}

type Buffers = Arc<Mutex<Vec<Vec<u8>>>>;

fn taken(buffers: Buffers) -> Vec<Vec<u8>> {
    std::mem::take(&mut *buffers.lock().unwrap_or_else(PoisonError::into_inner))
}

fn collect(pipeline: &Running, name: &str) -> Result<Buffers, JobError> {
    let buffers = Buffers::default();
    let sink: AppSink = pipeline.element(name)?;
    let kept = Arc::clone(&buffers);
    let take = move |sink: &AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let buffer = sample.buffer().ok_or(gst::FlowError::Error)?;
        let bytes = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
        kept.lock().unwrap_or_else(PoisonError::into_inner).push(bytes.to_vec());
        Ok(gst::FlowSuccess::Ok)
    };
    sink.set_callbacks(AppSinkCallbacks::builder().new_sample(take).build());
    Ok(buffers)
}

fn time(samples: u64) -> gst::ClockTime {
    gst::ClockTime::from_useconds(samples.saturating_mul(1000) / 48)
}

fn caps() -> gst::Caps {
    gst::Caps::builder("audio/x-raw")
        .field("format", "S16LE")
        .field("layout", "interleaved")
        .field("rate", 48_000)
        .field("channels", 1)
        .build()
}
