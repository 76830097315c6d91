//! The words between the server and a `segue media-worker` process: one JSON object a line, jobs on its standard input, replies on
//! its standard output. A worker does one job at a time and lives long.

use serde::{Deserialize, Serialize};

/// One line to the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Comes back with every reply.
    pub id: u64,
    /// What to do.
    #[serde(flatten)]
    pub job: Job,
}

/// What a worker can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Job {
    /// Turn any file GStreamer reads into packet caches (`OUT_DIR/<rendition profile>.cache`).
    PrepareClip {
        /// The file.
        input: String,
        /// An existing empty folder.
        out_dir: String,
        /// Longest clip, milliseconds; a longer one is refused.
        longest_ms: u64,
    },
    /// The same in some renditions alone, for one who waits: a stored message.
    PrepareMessage {
        /// The file.
        input: String,
        /// An existing empty folder.
        out_dir: String,
        /// Longest message, milliseconds; a longer one is refused.
        longest_ms: u64,
        /// The names of rendition profiles; those that cannot be made are left out.
        renditions: Vec<String>,
    },
    /// Make the built-in beep (a card that says recording, a short tone) as packet caches.
    PrepareBeep {
        /// An existing empty folder.
        out_dir: String,
    },
    /// Make the built-in notice of a full mailbox (a card that says so; a voice, or tones where espeak-ng is missing).
    PrepareNotice {
        /// An existing empty folder.
        out_dir: String,
    },
    /// Make the spoken prompts of a language and the pictures that go with them as packet caches, all sounds in a row and all pictures
    /// in a row; where each stands, the reply says.
    PreparePrompts {
        /// Where the files are.
        dir: String,
        /// A file name in `dir` for each sound.
        sounds: Vec<String>,
        /// What each picture says, a line each.
        pictures: Vec<Vec<String>>,
        /// An existing empty folder.
        out_dir: String,
    },
    /// Turn a spool into a file that browsers play, and a poster (JPEG) when it has video.
    Finalise {
        /// The spool file.
        spool: String,
        /// An existing empty folder; the reply names the files made in it.
        out_dir: String,
    },
}

/// One line from the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The request's id.
    pub id: u64,
    /// How far, or how it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How far a job is, or how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Outcome {
    /// Not done yet.
    Progress {
        /// 0 to 100.
        percent: u8,
    },
    /// A clip is prepared.
    Clip {
        /// Playing time, milliseconds.
        duration_ms: u64,
        /// The renditions made: `(profile, file name in out_dir)`, profile as in `RenditionProfile`'s serde names.
        renditions: Vec<Rendition>,
        /// Poster file name in out_dir (JPEG), when it has video.
        poster: Option<String>,
    },
    /// Prompts are prepared.
    Prompts {
        /// Where each sound stands in the renditions of sound, as it was asked for.
        sounds: Vec<Span>,
        /// Where each picture stands in the renditions of pictures: one key frame.
        pictures: Vec<Span>,
        /// The renditions made.
        renditions: Vec<Rendition>,
    },
    /// A recording is final.
    Recording {
        /// Media file name in out_dir (MP4 or WebM).
        file: String,
        /// Its media type: `video/mp4`, `video/webm` or `audio/mp4`.
        media_type: String,
        /// Poster file name in out_dir (JPEG).
        poster: Option<String>,
        /// Playing time, milliseconds.
        duration_ms: u64,
        /// Whether a picture is in it.
        has_video: bool,
    },
    /// The job could not be done; the input is at fault (`refused`) or the machine is.
    Failed {
        /// The input is no audio or video, too long, empty: trying again will not help.
        refused: bool,
        /// One sentence.
        why: String,
    },
}

/// One prepared elementary stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendition {
    /// Serde name of the rendition profile, e.g. `h264-360-1`.
    pub profile: String,
    /// File name in out_dir.
    pub file: String,
    /// H.264 only.
    pub profile_level_id: Option<[u8; 3]>,
}

/// A part of a rendition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Where it begins, milliseconds.
    pub start_ms: u32,
    /// How long it is, milliseconds.
    pub length_ms: u32,
}
