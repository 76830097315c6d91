//! A leg's sound, live, in the other leg's codec: packets come in on the socket that is our standard input and go out there, until
//! whoever gave it is gone.

mod coding;
mod way;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;

use gstreamer as gst;
use segue_media::transcode::{Codecs, MESSAGE_MAX, Sound, Words};

use crate::error::JobError;
use crate::limits;
use coding::Coding;
use way::Way;

/// Runs until the other end of the socket is closed, or a codec fails: whoever gave it sees the end.
pub fn live() -> ExitCode {
    limits::apply_live();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("media-worker: transcoding: {}", error.why);
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), JobError> {
    gst::init().map_err(|error| JobError::failed(format!("GStreamer does not start: {error}")))?;
    let failed = |error: std::io::Error| JobError::failed(error.to_string());
    let socket = std::io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    let socket = Arc::new(File::from(socket));
    let mut ways: Option<Ways> = None;
    let mut room = [0; MESSAGE_MAX];
    loop {
        let len = (&*socket).read(&mut room).map_err(failed)?;
        if len == 0 {
            return Ok(());
        }
        match Words::parse(room.get(..len).unwrap_or_default()) {
            Some(Words::Setup { generation, json }) => {
                let codecs = serde_json::from_slice(json).map_err(|error| JobError::failed(error.to_string()))?;
                // Those before end first: two at a time would cost twice.
                drop(ways.take());
                ways = Some(Ways::start(&codecs, generation, &socket)?);
            }
            Some(Words::Sound(sound)) => {
                if let Some(ways) = ways.as_mut().filter(|ways| ways.generation == sound.generation) {
                    ways.push(sound)?;
                }
            }
            None => return Err(JobError::failed("what came is no message")),
        }
    }
}

/// Both directions of a call.
struct Ways {
    generation: u8,
    from_a: Way,
    from_b: Way,
}

impl Ways {
    fn start(codecs: &Codecs, generation: u8, socket: &Arc<File>) -> Result<Ways, JobError> {
        let (a, b) = (Coding::of(&codecs.a)?, Coding::of(&codecs.b)?);
        let out = |of_caller: bool| {
            let socket = Arc::clone(socket);
            move |timestamp: u32, marker: bool, payload: &[u8]| {
                let mut message = Vec::with_capacity(payload.len().saturating_add(8));
                let sound = Sound {
                    of_caller,
                    marker,
                    generation,
                    timestamp,
                    payload,
                };
                Words::Sound(sound).write(&mut message);
                // Nobody there: the reading side ends.
                let _ = (&*socket).write(&message);
            }
        };
        Ok(Ways {
            generation,
            from_a: Way::start(a, b, out(true))?,
            from_b: Way::start(b, a, out(false))?,
        })
    }

    fn push(&mut self, sound: Sound<'_>) -> Result<(), JobError> {
        let way = match sound.of_caller {
            true => &mut self.from_a,
            false => &mut self.from_b,
        };
        way.push(sound.timestamp, sound.payload)
    }
}
