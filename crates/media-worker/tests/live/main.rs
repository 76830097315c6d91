//! What a call's two sides say and show, made by the process in the codec of the other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod pictures;
mod sound;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use segue_media::transcode::{Codecs, Coded, MESSAGE_MAX, Sound, TranscodeLink, Words};

struct Process {
    child: Child,
    socket: File,
    back: Receiver<(Instant, Vec<u8>)>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(a: &str, b: &str) -> Process {
        let coded = |encoding: &str| Coded {
            encoding: encoding.to_owned(),
            fmtp: encoding.starts_with("AMR").then(|| "octet-align=1".to_owned()),
        };
        Process::with(coded(a), coded(b))
    }

    fn with(a: Coded, b: Coded) -> Process {
        let (ours, theirs): (OwnedFd, OwnedFd) = TranscodeLink::waiting_pair().unwrap();
        let child = Command::new(worker())
            .arg("--live")
            .stdin(Stdio::from(theirs))
            .spawn()
            .unwrap();
        let socket = File::from(ours);
        let (sender, back) = channel();
        let mut reading = socket.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut room = [0; MESSAGE_MAX];
            while let Ok(len @ 1..) = reading.read(&mut room) {
                let _ = sender.send((Instant::now(), room[..len].to_vec()));
            }
        });
        let codecs = Codecs { a, b };
        let process = Process { child, socket, back };
        process.say(Words::Setup {
            generation: 1,
            json: &serde_json::to_vec(&codecs).unwrap(),
        });
        process
    }

    fn say(&self, words: Words<'_>) {
        let mut message = Vec::new();
        words.write(&mut message);
        (&self.socket).write_all(&message).unwrap();
    }

    fn sound(&self, of_caller: bool, timestamp: u32, payload: &[u8]) {
        self.say(Words::Sound(Sound {
            of_caller,
            marker: false,
            generation: 1,
            timestamp,
            payload,
        }));
    }
}

fn worker() -> std::path::PathBuf {
    // Beside this test's own binary.
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples/segue-media-worker-test")
}

#[test]
fn the_process_ends_with_the_other_side_and_where_a_codec_is_not_known() {
    let mut unknown = Process::start("PCMU", "speex");
    assert!(!ends(&mut unknown.child).success());
    let (ours, theirs) = TranscodeLink::waiting_pair().unwrap();
    let mut alone = Command::new(worker())
        .arg("--live")
        .stdin(Stdio::from(theirs))
        .spawn()
        .unwrap();
    drop(ours);
    assert!(ends(&mut alone).success());
}

fn ends(child: &mut Child) -> std::process::ExitStatus {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    panic!("it goes on for ever");
}
