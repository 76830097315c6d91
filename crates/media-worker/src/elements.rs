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

/// What this machine lacks, e.g. `x264enc or openh264enc (making H.264)`. Starts GStreamer: call it in a process of its own.
///
/// Error: GStreamer does not start.
pub fn missing_elements() -> Result<Vec<String>, String> {
    gst::init().map_err(|e| format!("GStreamer does not start: {e}"))?;
    let lacks = |names: &&(&str, &[&str])| !names.1.iter().any(|name| gst::ElementFactory::find(name).is_some());
    Ok(NEEDED
        .iter()
        .filter(lacks)
        .map(|(purpose, names)| format!("{} ({purpose})", names.join(" or ")))
        .collect())
}
