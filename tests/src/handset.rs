//! Handsets of other makers, each behind a script that speaks JSON lines (`tests/handsets/lines.py`): pjsua2, baresip 4,
//! linphonec. [`crate::phone`] is the softphone that most tests use.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    phone::{Answers, Party},
    picture::Colour,
    segue::repository,
    sound::Sound,
    wait::until,
};

/// Whose handset it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make {
    /// PJSIP's pjsua2: sound alone.
    Pjsua,
    /// baresip 4 as a Python package: VP8.
    Baresip4,
    /// linphonec: VP8.
    Linphone,
}

impl Make {
    /// Its script, and a word for it.
    pub fn name(self) -> &'static str {
        match self {
            Make::Pjsua => "pjsua",
            Make::Baresip4 => "baresip4",
            Make::Linphone => "linphone",
        }
    }

    /// Whether it has a camera and a screen.
    pub fn has_video(self) -> bool {
        self != Make::Pjsua
    }
}

/// What a handset says, with the moment it came.
type Said = Arc<Mutex<Vec<(Instant, Value)>>>;

/// A running handset that registers; dropped, it is gone.
#[derive(Debug)]
pub struct Handset {
    make: Make,
    party: Party,
    video: bool,
    folder: PathBuf,
    child: Child,
    said: Said,
    looks: u32,
}

impl Handset {
    /// Starts a handset whose files are in `folder/<name>-<make>` and waits until it has registered at `server`; `more` are
    /// settings of its script.
    pub fn start(
        folder: &Path,
        (make, party): (Make, Party),
        answers: Answers,
        (server, password): (SocketAddr, &str),
        more: &Value,
    ) -> Handset {
        let folder = folder.join(format!("{}-{}", party.name, make.name()));
        fs::create_dir_all(&folder).expect("a handset's folder");
        let tone = folder.join("tone.wav");
        // A whole number of periods: it can be played round and round.
        Sound::tone(party.tone_hz, 60_000).write_wav(&tone).expect("a tone");
        let picture = folder.join("films.jpg");
        paint(party.colour, &picture);
        let mut settings = json!({
            "user": party.name,
            "server": server.to_string(),
            "password": password,
            "port": free_block(),
            "tone": tone,
            "picture": picture,
            "yuv": yuv(party.colour),
            "video": make.has_video(),
            "answers": answers == Answers::AtOnce,
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            settings[key] = value.clone();
        }
        let log = fs::File::create(folder.join("stderr")).expect("a handset's log");
        let mut child = Command::new(repository().join("target/tools/bin/python"))
            .arg(repository().join(format!("tests/handsets/{}.py", make.name())))
            .arg(settings.to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("target/tools/bin/python runs (make setup)");
        let said = Said::default();
        let (lines, list) = (child.stdout.take().expect("a pipe"), Arc::clone(&said));
        thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                if let Ok(value) = serde_json::from_str(&line) {
                    list.lock().unwrap().push((Instant::now(), value));
                }
            }
        });
        let began = Instant::now();
        let handset = Handset {
            make,
            party,
            video: settings["video"] == true,
            folder,
            child,
            said,
            looks: 0,
        };
        handset.expect("ready", began, Duration::from_secs(15));
        handset.expect("registered", began, Duration::from_secs(15));
        handset
    }

    /// Calls a URI.
    pub fn dial(&mut self, uri: &str) -> Instant {
        let at = Instant::now();
        self.tell(json!({"do": "dial", "uri": uri}));
        at
    }

    /// Answers the call that rings.
    pub fn answer(&mut self) {
        self.tell(json!({"do": "answer"}));
    }

    /// Hangs up.
    pub fn hang_up(&mut self) {
        self.tell(json!({"do": "hangup"}));
    }

    /// Presses a key.
    pub fn press(&mut self, key: char) {
        self.tell(json!({"do": "press", "key": key.to_string()}));
    }

    fn tell(&mut self, command: Value) {
        let pipe = self.child.stdin.as_mut().expect("a pipe");
        writeln!(pipe, "{command}").unwrap_or_else(|error| panic!("{error}; {}", self.told()));
    }

    /// The first event of this kind since `since`; panics after `limit`.
    #[track_caller]
    pub fn expect(&self, event: &str, since: Instant, limit: Duration) -> Value {
        self.expect_that(event, since, limit, |_| true)
    }

    /// The first event of this kind of which `holds` is true.
    #[track_caller]
    pub fn expect_that(&self, event: &str, since: Instant, limit: Duration, holds: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let found = self
                .events(since)
                .into_iter()
                .find(|said| said["event"] == event && holds(said));
            match found {
                Some(value) => return value,
                None if began.elapsed() < limit => thread::sleep(Duration::from_millis(20)),
                None => panic!("{:?}: no {event} within {limit:?}; {}", self.make, self.told()),
            }
        }
    }

    /// All it has said since `since`.
    pub fn events(&self, since: Instant) -> Vec<Value> {
        let said = self.said.lock().unwrap();
        said.iter()
            .filter(|(at, _)| *at >= since)
            .map(|(_, value)| value.clone())
            .collect()
    }

    /// What it has said, and the end of its errors, for who has to find out.
    fn told(&self) -> String {
        let errors = fs::read_to_string(self.folder.join("stderr")).unwrap_or_default();
        let said: Vec<Value> = self
            .said
            .lock()
            .unwrap()
            .iter()
            .map(|(_, value)| value.clone())
            .collect();
        format!("it said {said:?}; its errors: {errors}")
    }

    /// The last second of what it heard has this tone; panics after `limit`.
    #[track_caller]
    pub fn expect_hears(&self, hz: u32, limit: Duration) {
        let path = self.folder.join("heard.wav");
        let began = Instant::now();
        loop {
            let sound = read_heard(&path);
            let end = sound.as_ref().map_or(0, |sound| sound.duration_ms());
            let tone = sound.and_then(|sound| sound.tone_at(end.checked_sub(400)?, 300));
            if tone == Some(hz) {
                return;
            }
            assert!(
                began.elapsed() < limit,
                "{:?} heard {tone:?} and not {hz} Hz after {end} ms; {}",
                self.make,
                self.told()
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Somebody has spoken to it in the last second: no tone, and no silence; panics after `limit`.
    #[track_caller]
    pub fn expect_spoken_to(&self, limit: Duration) {
        let path = self.folder.join("heard.wav");
        until("words", limit, || {
            let sound = read_heard(&path)?;
            let from = sound.duration_ms().checked_sub(1_000)?;
            (sound.level_at(from, 900) > -45.0 && sound.tone_at(from, 900).is_none()).then_some(())
        });
    }

    /// The colour it sees now; `None` when no picture comes.
    pub fn sees(&mut self) -> Option<Colour> {
        self.looks += 1;
        let path = self.folder.join(format!("seen-{}", self.looks));
        self.tell(json!({"do": "look", "file": path}));
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(2) {
            if path.exists() {
                return Colour::of_picture(&path);
            }
            thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// It sees this colour; panics after `limit`.
    #[track_caller]
    pub fn expect_sees(&mut self, colour: Colour, limit: Duration) {
        let began = Instant::now();
        loop {
            let seen = self.sees();
            if seen == Some(colour) {
                return;
            }
            assert!(
                began.elapsed() < limit,
                "{:?} saw {seen:?} and not {colour:?}; {}",
                self.make,
                self.told()
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Whose it is.
    pub fn party(&self) -> Party {
        self.party
    }

    /// Whether it uses its camera and its screen.
    pub fn has_video(&self) -> bool {
        self.video
    }
}

impl Drop for Handset {
    fn drop(&mut self) {
        // Asked first: what it has started ends with it.
        if let Some(pipe) = self.child.stdin.as_mut() {
            let _ = writeln!(pipe, "{}", json!({"do": "quit"}));
        }
        drop(self.child.stdin.take());
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(4) && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is in a WAV file that grows. linphonec writes the header last; its calls are at 8 kHz.
fn read_heard(path: &Path) -> Option<Sound> {
    let bytes = fs::read(path).ok()?;
    match bytes.starts_with(b"RIFF") {
        true => Some(Sound::read_wav(path)),
        false => Some(Sound::from_bytes(8000, bytes.get(44..)?)),
    }
}

/// A picture of one colour for who films a file.
fn paint(colour: Colour, path: &Path) {
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i"])
        .arg(format!("color={}:s=352x288", colour.name()))
        .args(["-frames:v", "1"])
        .arg(path)
        .status()
        .expect("ffmpeg runs");
    assert!(status.success(), "{status}");
}

/// Y, Cb and Cr of a colour (ITU-R BT.601, limited range).
fn yuv(colour: Colour) -> [u8; 3] {
    match colour {
        Colour::Red => [81, 90, 240],
        Colour::Green => [145, 54, 34],
        Colour::Blue => [41, 240, 110],
        Colour::Yellow => [210, 16, 146],
        Colour::White => [235, 128, 128],
        Colour::Grey => [126, 128, 128],
        Colour::Black | Colour::Other => [16, 128, 128],
    }
}

/// The first of six UDP ports that are free: SIP, then RTP and RTCP for two media.
fn free_block() -> u16 {
    until("free ports", Duration::from_secs(5), || {
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .ok()?
            .local_addr()
            .ok()?
            .port()
            & !1;
        let free = |port: u16| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        (port < 65_000 && (port..port + 6).all(free)).then_some(port)
    })
}
