//! Which GStreamer elements the worker needs, for `segue doctor`.

use gstreamer as gst;

/// Each line: what it is for, and elements of which one is enough.
const NEEDED: &[(&str, &[&str])] = &[
    ("reading clips", &["uridecodebin"]),
    ("raw audio", &["audioconvert"]),
    ("raw audio", &["audioresample"]),
    ("raw video", &["videoconvert"]),
    ("raw video", &["videoscale"]),
    ("raw video", &["videorate"]),
    ("bytes in", &["appsrc"]),
    ("bytes out", &["appsink"]),
    ("H.264 streams", &["h264parse"]),
    ("making H.264", &["x264enc", "openh264enc"]),
    ("reading H.264", &["avdec_h264", "openh264dec"]),
    ("making VP8", &["vp8enc"]),
    ("reading VP8", &["vp8dec", "avdec_vp8"]),
    ("making Opus", &["opusenc"]),
    ("reading Opus", &["opusdec", "avdec_opus"]),
    ("making G.722", &["avenc_g722"]),
    ("reading G.722", &["avdec_g722"]),
    ("writing MP4", &["mp4mux"]),
    ("writing WebM", &["webmmux"]),
    ("posters", &["jpegenc"]),
];

/// Without one of these clips lack a rendition, or messages in that codec their sound; everything else goes on.
const OPTIONAL: &[(&str, &[&str])] = &[
    ("making AMR", &["amrnbenc"]),
    ("reading AMR", &["amrnbdec", "avdec_amrnb"]),
    ("making AMR-WB", &["voamrwbenc"]),
    ("reading AMR-WB", &["amrwbdec", "avdec_amrwb"]),
    ("live pictures", &["capssetter"]),
    ("live H.264", &["rtph264pay"]),
    ("live H.264", &["rtph264depay"]),
    ("live VP8", &["rtpvp8pay"]),
    ("live VP8", &["rtpvp8depay"]),
];

/// What this machine lacks, each e.g. `x264enc or openh264enc (making H.264)`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// No clip and no message without it.
    pub needed: Vec<String>,
    /// One codec less.
    pub optional: Vec<String>,
}

/// What this machine lacks. Starts GStreamer: call it in a process of its own.
///
/// Error: GStreamer does not start.
pub fn missing_elements() -> Result<Missing, String> {
    gst::init().map_err(|e| format!("GStreamer does not start: {e}"))?;
    Ok(missing(|name| gst::ElementFactory::find(name).is_some()))
}

fn missing(is_here: impl Fn(&str) -> bool) -> Missing {
    let of = |table: &[(&str, &[&str])]| {
        let lacking = table
            .iter()
            .filter(|(_, names)| !names.iter().any(|name| is_here(name)));
        lacking
            .map(|(purpose, names)| format!("{} ({purpose})", names.join(" or ")))
            .collect()
    };
    Missing {
        needed: of(NEEDED),
        optional: of(OPTIONAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_less_is_told_apart_from_what_nothing_goes_without() {
        let all = missing(|_| true);
        assert_eq!(all, Missing::default());
        let Missing { needed, optional } = missing(|name| !["amrnbenc", "amrwbdec", "x264enc"].contains(&name));
        assert_eq!(
            (needed, optional),
            (Vec::new(), vec!["amrnbenc (making AMR)".to_owned()])
        );
        let Missing { needed, .. } = missing(|name| name != "opusenc");
        assert_eq!(needed, ["opusenc (making Opus)"]);
    }
}
