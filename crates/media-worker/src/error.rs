//! What can go wrong with a job, with its verdict.

use gstreamer as gst;

/// Why a job could not be done.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub(crate) struct JobError {
    /// The input is at fault: trying again will not help.
    pub refused: bool,
    /// One sentence.
    pub why: String,
}

impl JobError {
    /// The input is at fault.
    pub fn refused(why: impl Into<String>) -> JobError {
        JobError {
            refused: true,
            why: why.into(),
        }
    }

    /// The machine is at fault, or a bug.
    pub fn failed(why: impl Into<String>) -> JobError {
        JobError {
            refused: false,
            why: why.into(),
        }
    }

    /// An error message from a pipeline that reads the input: stream errors are the input's fault, everything else is ours.
    pub fn from_reader(error: &gst::glib::Error) -> JobError {
        if error.matches(gst::CoreError::MissingPlugin) {
            return JobError::refused("no decoder here reads this kind of file");
        }
        let refused = error.is::<gst::StreamError>() || error.matches(gst::ResourceError::NotFound);
        let why = match error.kind::<gst::StreamError>() {
            Some(gst::StreamError::TypeNotFound | gst::StreamError::WrongType) => {
                "this is no audio or video file".to_owned()
            }
            Some(gst::StreamError::CodecNotFound) => format!("no decoder for this file: {}", error.message()),
            Some(_) => format!("this file cannot be decoded: {}", error.message()),
            None => error.message().to_owned(),
        };
        JobError { refused, why }
    }
}

impl From<std::io::Error> for JobError {
    fn from(error: std::io::Error) -> JobError {
        JobError::failed(error.to_string())
    }
}

impl From<gst::glib::BoolError> for JobError {
    fn from(error: gst::glib::BoolError) -> JobError {
        JobError::failed(error.to_string())
    }
}

impl From<gst::StateChangeError> for JobError {
    fn from(_: gst::StateChangeError) -> JobError {
        JobError::failed("a GStreamer pipeline would not start")
    }
}

impl From<gst::FlowError> for JobError {
    fn from(error: gst::FlowError) -> JobError {
        JobError::failed(format!("a GStreamer pipeline stopped: {error}"))
    }
}
