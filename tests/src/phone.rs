//! A real softphone: baresip 1.0 of Debian 12, with a colour and a tone of its own, sending and receiving H.264 and PCMU
//! or other codecs.
//!
//! Its camera is the `fakevideo` module under an `avfilter` that paints it in the party's colour, its microphone a WAV
//! file. What it hears is dumped by the `sndfile` module, what it sees by `snapshot`.

mod codecs;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    certificate::{Root, Signed},
    control::Control,
    picture::Colour,
    sound::Sound,
    wait::until,
};

pub use codecs::{AudioCodec, Codecs, VideoCodec};

/// Who holds the phone.
#[derive(Debug, Clone, Copy)]
pub struct Party {
    /// User part of its URI and its display name.
    pub name: &'static str,
    /// Its picture.
    pub colour: Colour,
    /// Its sound, Hz.
    pub tone_hz: u32,
}

/// The caller: red, 440 Hz.
pub const A: Party = Party {
    name: "a",
    colour: Colour::Red,
    tone_hz: 440,
};
/// The callee: blue, 1 kHz.
pub const B: Party = Party {
    name: "b",
    colour: Colour::Blue,
    tone_hz: 1000,
};

/// What the phone does with an incoming call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// 200 at once.
    AtOnce,
    /// It rings until `answer` or for ever.
    OnCommand,
}

/// Where a phone registers.
#[derive(Debug, Clone)]
pub struct Registrar {
    /// Its address, which is the domain too.
    pub at: SocketAddr,
    /// The party's password there.
    pub password: String,
}

/// How a phone protects what it says.
#[derive(Clone, Copy, Default)]
struct Over<'a> {
    tls: Option<(&'a Signed, &'a Root)>,
    srtp: bool,
    /// It subscribes to how many messages wait.
    subscribes: bool,
}

/// A running phone; dropped, it is gone.
#[derive(Debug)]
pub struct Phone {
    party: Party,
    codecs: Codecs,
    folder: PathBuf,
    port: u16,
    control: Control,
    child: Child,
    snapshots: u32,
    dumps_before: usize,
    /// Its picture, when it has a camera.
    shows: Option<Colour>,
}

/// Seconds of tone in a phone's WAV file: longer than any test.
const TONE_MS: u64 = 180_000;

impl Phone {
    /// Starts a phone whose files are in `folder/<name>`, with picture and sound.
    pub fn start(folder: &Path, party: Party, answers: Answers) -> Phone {
        Phone::start_with(folder, party, answers, Codecs::USUAL)
    }

    /// Starts a phone that knows these codecs alone.
    pub fn start_with(folder: &Path, party: Party, answers: Answers, codecs: Codecs) -> Phone {
        Phone::start_at(folder, party, answers, codecs, None)
    }

    /// Starts a phone and waits until it has registered.
    pub fn start_registered(folder: &Path, party: Party, answers: Answers, registrar: &Registrar) -> Phone {
        let phone = Phone::start_at(folder, party, answers, Codecs::USUAL, Some(registrar));
        phone.expect_logged("200 OK");
        phone
    }

    /// The same, and it subscribes to how many messages wait (RFC 3842).
    pub fn start_subscribed(folder: &Path, party: Party, answers: Answers, registrar: &Registrar) -> Phone {
        let over = Over {
            subscribes: true,
            ..Over::default()
        };
        let phone = Phone::start_over(folder, party, answers, Codecs::USUAL, Some(registrar), over);
        phone.expect_logged("200 OK");
        phone
    }

    /// Starts a phone that registers, if it has where; it may fail to.
    pub fn start_at(
        folder: &Path,
        party: Party,
        answers: Answers,
        codecs: Codecs,
        registrar: Option<&Registrar>,
    ) -> Phone {
        Phone::start_over(folder, party, answers, codecs, registrar, Over::default())
    }

    /// Starts a phone that knows SRTP alone, with keys in its descriptions.
    pub fn start_with_srtp(folder: &Path, party: Party, answers: Answers, codecs: Codecs) -> Phone {
        let over = Over {
            srtp: true,
            ..Over::default()
        };
        Phone::start_over(folder, party, answers, codecs, None, over)
    }

    /// Starts a phone that speaks TLS, with this certificate, and believes in this root.
    pub fn start_by_tls(
        folder: &Path,
        (party, answers): (Party, Answers),
        codecs: Codecs,
        tls: (&Signed, &Root),
    ) -> Phone {
        let over = Over {
            tls: Some(tls),
            ..Over::default()
        };
        Phone::start_over(folder, party, answers, codecs, None, over)
    }

    fn start_over(
        folder: &Path,
        party: Party,
        answers: Answers,
        codecs: Codecs,
        registrar: Option<&Registrar>,
        Over { tls, srtp, subscribes }: Over<'_>,
    ) -> Phone {
        let folder = folder.join(party.name);
        fs::create_dir_all(&folder).expect("a phone's folder");
        Sound::tone_at_rate(codecs.microphone_rate(), party.tone_hz, TONE_MS)
            .write_wav(&folder.join(wav_name(party.tone_hz)))
            .expect("a tone");
        let port = free_block();
        let control_port = port + 2;
        let mut text = config(&folder, party, port, control_port, codecs);
        if let Some((signed, root)) = tls {
            let (own, root) = (signed.both.display(), root.file());
            text.push_str(&format!("sip_certificate {own}\nsip_cafile {}\n", root.display()));
        }
        if srtp {
            text.push_str("module srtp.so\n");
        }
        if subscribes {
            // Before the account: what it does a millisecond after it is loaded goes round for ever if that has registered by then.
            text = text.replacen("module_app", "module_app mwi.so\nmodule_app", 1);
        }
        fs::write(folder.join("config"), text).expect("a phone's config");
        let mode = if answers == Answers::AtOnce { "auto" } else { "manual" };
        let account = match registrar {
            None => {
                let transport = if tls.is_some() { ";transport=tls" } else { "" };
                format!("<sip:{}@127.0.0.1:{port}{transport}>;regint=0", party.name)
            }
            Some(Registrar { at, password }) => {
                let mwi = if subscribes { "yes" } else { "no" };
                format!("<sip:{}@{at}>;auth_pass={password};regint=600;mwi={mwi}", party.name)
            }
        };
        fs::write(
            folder.join("accounts"),
            format!(
                "{account};{};answermode={mode}{}\n",
                codecs.parameters(),
                if srtp { ";mediaenc=srtp-mand" } else { "" }
            ),
        )
        .expect("a phone's account");
        fs::write(folder.join("contacts"), "").expect("a phone's contacts");
        let log = fs::File::create(folder.join("log")).expect("a phone's log");
        let child = Command::new("baresip")
            .arg("-f")
            .arg(&folder)
            .current_dir(&folder)
            // It ends when its input ends: it gets a pipe that never says anything.
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a file clones"))
            .stderr(log)
            .spawn()
            .expect("baresip runs (make setup)");
        let control = Control::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, control_port)));
        let mut phone = Phone {
            party,
            codecs,
            folder,
            port,
            control,
            child,
            snapshots: 0,
            dumps_before: 0,
            shows: None,
        };
        if codecs.video.is_some() {
            phone.show(party.colour);
        }
        phone
    }

    /// What it was told last of waiting messages, since `since`.
    pub fn waiting(&self, since: Instant) -> Option<String> {
        // What came before the control connection stands in the log alone.
        let from_log = || {
            let log = fs::read_to_string(self.folder.join("log")).ok()?;
            let (_, shown) = log.rsplit_once("----- MWI for ")?;
            Some(shown.split("\n\n").next().unwrap_or(shown).to_owned())
        };
        self.control.last_param("MWI_NOTIFY", since).or_else(from_log)
    }

    /// Its URI for who speaks TLS: that port is the next.
    pub fn tls_uri(&self) -> String {
        format!("sip:{}@127.0.0.1:{};transport=tls", self.party.name, self.port + 1)
    }

    /// Its URI.
    pub fn uri(&self) -> String {
        format!("sip:{}@127.0.0.1:{}", self.party.name, self.port)
    }

    /// Calls a URI.
    pub fn dial(&mut self, uri: &str) -> Instant {
        let at = Instant::now();
        self.dumps_before = self.dumps().len();
        self.paint_again();
        self.control.command("dial", uri);
        at
    }

    /// Answers the call that rings.
    pub fn answer(&mut self) {
        self.paint_again();
        self.control.command("accept", "");
    }

    /// Hangs up, or cancels, or declines.
    pub fn hang_up(&mut self) {
        self.control.command("hangup", "");
    }

    /// Presses a key (RFC 4733).
    pub fn press(&mut self, key: char) {
        self.control.command("sndcode", &key.to_string());
    }

    /// When the event came, since `since`; panics after `limit`.
    #[track_caller]
    pub fn expect_event(&self, kind: &str, since: Instant, limit: Duration) -> Instant {
        self.control.event(kind, since, limit).unwrap_or_else(|| {
            let events = self.control.events(since);
            panic!(
                "{}: no {kind} within {limit:?} but {events:?}; its log ends:\n{}",
                self.party.name,
                self.log_end()
            )
        })
    }

    /// When a call came in since `since`; panics after `limit`.
    #[track_caller]
    pub fn expect_called(&self, since: Instant, limit: Duration) -> Instant {
        until(&format!("{} to be called", self.party.name), limit, || {
            // A phone that answers at once does not say CALL_INCOMING, but that an offer came.
            let moment = |kind| self.control.event(kind, since, Duration::ZERO);
            moment("CALL_INCOMING").or_else(|| moment("CALL_REMOTE_SDP"))
        })
    }

    /// Did a call come in since `since`?
    pub fn was_called(&self, since: Instant) -> bool {
        self.had_event("CALL_REMOTE_SDP", since) || self.had_event("CALL_INCOMING", since)
    }

    /// Did the event come since `since`?
    pub fn had_event(&self, kind: &str, since: Instant) -> bool {
        self.control.event(kind, since, Duration::ZERO).is_some()
    }

    /// Call-ID of its last call since `since`.
    #[track_caller]
    pub fn call_id(&self, since: Instant) -> String {
        until("a Call-ID", Duration::from_secs(5), || {
            self.control.last_field("id", since)
        })
    }

    /// The filter that paints the picture is set up anew in a call only when it is asked for anew.
    fn paint_again(&mut self) {
        if let Some(colour) = self.shows {
            self.show(colour);
        }
    }

    /// Paints its picture.
    pub fn show(&mut self, colour: Colour) {
        self.shows = Some(colour);
        self.control
            .send("avfilter", &format!("drawbox=color={}:t=fill", colour.name()));
    }

    /// Changes its tone.
    pub fn sound(&mut self, hz: u32) {
        let path = self.tone(hz);
        self.control.send("ausrc", &format!("aufile,{}", path.display()));
    }

    /// Leaves a mark in time: picture and tone change at one moment.
    pub fn mark(&mut self, colour: Colour, hz: u32) {
        // The file first: making it takes a while.
        self.tone(hz);
        self.show(colour);
        self.sound(hz);
    }

    /// The file with a tone.
    fn tone(&self, hz: u32) -> PathBuf {
        let path = self.folder.join(wav_name(hz));
        if !path.exists() {
            Sound::tone_at_rate(self.codecs.microphone_rate(), hz, TONE_MS)
                .write_wav(&path)
                .expect("a tone");
        }
        path
    }

    /// The colour it sees now; `None` when no picture comes.
    pub fn sees(&mut self) -> Option<Colour> {
        // The phone takes one wish at a time: one that waits gets the next picture, which may be seconds away while a still stands.
        let waits = self.snapshots > 0 && !is_whole(&self.snapshot());
        if !waits {
            self.snapshots += 1;
            let path = self.snapshot();
            self.control.send("snapshot_recv", &path.display().to_string());
        }
        let path = self.snapshot();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(1) {
            if is_whole(&path) {
                return Colour::of_file(&path);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// The picture that it saw last, or was asked for last, as a PNG.
    pub fn snapshot(&self) -> PathBuf {
        self.folder.join(format!("seen-{}.png", self.snapshots))
    }

    /// Waits until it sees this colour.
    #[track_caller]
    pub fn expect_sees(&mut self, colour: Colour, limit: Duration) {
        let began = Instant::now();
        let mut seen = None;
        while seen != Some(colour) {
            assert!(
                began.elapsed() < limit,
                "{} sees {seen:?} and not {colour:?} after {limit:?}; its log ends:\n{}",
                self.party.name,
                self.log_end()
            );
            seen = self.sees();
        }
    }

    /// What it has heard since it last dialled, or at all, packet after packet (gaps are not in it).
    pub fn heard(&self) -> Sound {
        let mut sound = Sound {
            rate: 8000,
            samples: Vec::new(),
        };
        // One file per stretch: a phone begins another when its call is answered. It has the rate of the codec.
        for dump in self.dumps().iter().skip(self.dumps_before) {
            let stretch = Sound::read_wav(dump);
            sound.rate = stretch.rate;
            sound.samples.extend(stretch.samples);
        }
        sound
    }

    /// The files with what it has heard, oldest first.
    fn dumps(&self) -> Vec<PathBuf> {
        let mut dumps: Vec<PathBuf> = fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.to_string_lossy().ends_with("-dec.wav"))
            .collect();
        dumps.sort();
        dumps
    }

    /// Waits until it hears this tone.
    #[track_caller]
    pub fn expect_hears(&self, hz: u32, limit: Duration) {
        until(&format!("{} to hear {hz} Hz", self.party.name), limit, || {
            let sound = self.heard();
            let end = sound.duration_ms();
            (end >= 300 && (0..3).all(|n| sound.tone_at(end - 300 + n * 100, 100) == Some(hz))).then_some(())
        });
    }

    /// Waits until its log has this text.
    #[track_caller]
    pub fn expect_logged(&self, text: &str) {
        until(
            &format!("{} to log {text:?}", self.party.name),
            Duration::from_secs(10),
            || {
                let log = fs::read(self.folder.join("log")).unwrap_or_default();
                String::from_utf8_lossy(&log).contains(text).then_some(())
            },
        );
    }

    /// The end of its log.
    pub fn log_end(&self) -> String {
        let log = fs::read(self.folder.join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&log).into_owned();
        let lines: Vec<&str> = text
            .split(['\n', '\r'])
            .filter(|line| !line.trim().is_empty() && !line.contains("(bit/s)"))
            .collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }
}

/// Whether all of a PNG is there: its last chunk ends it.
fn is_whole(png: &Path) -> bool {
    fs::read(png).is_ok_and(|bytes| bytes.ends_with(b"IEND\xaeB`\x82"))
}

impl Drop for Phone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wav_name(hz: u32) -> String {
    format!("tone-{hz}.wav")
}

/// The first of a block of ports that are free: SIP, TLS beside it, control, and RTP from the tenth on.
fn free_block() -> u16 {
    until("free ports", Duration::from_secs(5), || {
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .ok()?
            .local_addr()
            .ok()?
            .port();
        let free = |port: u16| {
            UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
                && std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        };
        (port < 65_000 && (port..port + 60).all(free)).then_some(port)
    })
}

fn config(folder: &Path, party: Party, port: u16, control_port: u16, codecs: Codecs) -> String {
    let (first_rtp, last_rtp) = (port + 10 + port % 2, port + 58);
    let tone = folder.join(wav_name(party.tone_hz));
    let modules: String = codecs
        .modules()
        .into_iter()
        .map(|name| format!("module {name}.so\n"))
        .chain(["account", "menu", "ctrl_tcp"].map(|name| format!("module_app {name}.so\n")))
        .collect();
    format!(
        "poll_method epoll\n\
         sip_listen 127.0.0.1:{port}\n\
         net_interface 127.0.0.1\n\
         ctrl_tcp_listen 127.0.0.1:{control_port}\n\
         rtp_ports {first_rtp}-{last_rtp}\n\
         rtp_timeout 0\n\
         statmode_default off\n\
         call_local_timeout 120\n\
         call_max_calls 4\n\
         audio_source aufile,{tone}\n\
         audio_player aubridge,ear\n\
         audio_alert aubridge,alert\n\
         ausrc_srate {microphone_rate}\n\
         auplay_srate 8000\n\
         ausrc_channels 1\n\
         auplay_channels 1\n\
         snd_path {folder}\n\
         video_source fakevideo,nil\n\
         video_display fakevideo,nil\n\
         video_size 640x360\n\
         video_bitrate 400000\n\
         video_fps 25\n\
         avcodec_h264enc libx264\n\
         avcodec_h264dec h264\n\
         module_path /usr/lib/baresip/modules\n\
         {modules}",
        microphone_rate = codecs.microphone_rate(),
        tone = tone.display(),
        folder = folder.display(),
    )
}
