//! A leg's sound, or its pictures, live, in the other leg's codec: packets come in on the socket that is our standard input and go out there, until
//! whoever gave it is gone.

mod coding;
mod order;
mod picture;
mod shown;
mod way;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use gstreamer as gst;
use segue_media::transcode::{Codecs, MESSAGE_MAX, Sound, Words};

use crate::error::JobError;
use crate::limits;
use coding::Coding;
use picture::Picture;
use shown::Shown;
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
                if let Some(ways) = ways.as_mut().filter(|ways| ways.generation == sound.generation)
                    && let Made::Sound { from_a, from_b } = &mut ways.made
                {
                    let way = if sound.of_caller { from_a } else { from_b };
                    way.push(sound.timestamp, sound.payload)?;
                }
            }
            Some(Words::Picture {
                of_caller,
                generation,
                packet,
            }) => {
                if let Some(shown) = Ways::shown(&mut ways, of_caller, generation)
                    && shown.push(Instant::now(), packet)?
                {
                    say(&socket, Words::KeyFrame { of_caller, generation });
                }
            }
            Some(Words::KeyFrame { of_caller, generation }) => {
                if let Some(shown) = Ways::shown(&mut ways, of_caller, generation)
                    && shown.want_key_frame(Instant::now())
                {
                    say(&socket, Words::KeyFrame { of_caller, generation });
                }
            }
            None => return Err(JobError::failed("what came is no message")),
        }
    }
}

/// Both directions of a call.
struct Ways {
    generation: u8,
    made: Made,
}

/// What is made: of sound, or of the caller's and the callee's pictures.
enum Made {
    Sound { from_a: Way, from_b: Way },
    Pictures(Box<[Shown; 2]>),
}

impl Ways {
    fn start(codecs: &Codecs, generation: u8, socket: &Arc<File>) -> Result<Ways, JobError> {
        let made = match (Picture::of(&codecs.a), Picture::of(&codecs.b)) {
            (Ok(a), Ok(b)) => {
                let out = |of_caller: bool| {
                    let socket = Arc::clone(socket);
                    Arc::new(move |packet: &[u8]| {
                        say(
                            &socket,
                            Words::Picture {
                                of_caller,
                                generation,
                                packet,
                            },
                        );
                    })
                };
                let from_a = Shown::new(a.clone(), b.clone(), out(true));
                Made::Pictures(Box::new([from_a, Shown::new(b, a, out(false))]))
            }
            _ => {
                let (a, b) = (Coding::of(&codecs.a)?, Coding::of(&codecs.b)?);
                let out = |of_caller: bool| {
                    let socket = Arc::clone(socket);
                    move |timestamp: u32, marker: bool, payload: &[u8]| {
                        let sound = Sound {
                            of_caller,
                            marker,
                            generation,
                            timestamp,
                            payload,
                        };
                        say(&socket, Words::Sound(sound));
                    }
                };
                Made::Sound {
                    from_a: Way::start(a, b, out(true))?,
                    from_b: Way::start(b, a, out(false))?,
                }
            }
        };
        Ok(Ways { generation, made })
    }

    /// Where the pictures of a side go.
    fn shown(ways: &mut Option<Ways>, of_caller: bool, generation: u8) -> Option<&mut Shown> {
        match &mut ways.as_mut().filter(|ways| ways.generation == generation)?.made {
            Made::Pictures(shown) => {
                let [from_a, from_b] = &mut **shown;
                Some(if of_caller { from_a } else { from_b })
            }
            Made::Sound { .. } => None,
        }
    }
}

fn say(socket: &File, words: Words<'_>) {
    let mut message = Vec::new();
    words.write(&mut message);
    // Nobody there: the reading side ends.
    let _ = { socket }.write(&message);
}
