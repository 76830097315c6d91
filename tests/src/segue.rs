//! A running `segue` with a data folder of its own, and its command line.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::{sipp::Over, wait::until};

/// Settings of a server whose callers are spoken to: what `make samples` has made, prepared once for all servers.
pub fn prompts() -> String {
    let (made, prepared) = (
        repository().join("media/out/prompts"),
        repository().join("target/prompts"),
    );
    format!("\n[prompts]\ndir = {made:?}\nprepared = {prepared:?}\n")
}

/// The server; dropped, it is killed.
#[derive(Debug)]
pub struct Segue {
    folder: PathBuf,
    settings: String,
    child: Option<Child>,
    ready: Value,
    starts: u32,
}

impl Segue {
    /// Starts a server whose configuration, data and logs are in `folder`, on free ports of 127.0.0.1.
    pub fn start(folder: &Path) -> Segue {
        Segue::start_with(folder, "")
    }

    /// The same with more settings: top-level keys and tables in TOML, none of `http`; both of `sip.udp` and `sip.tcp` in
    /// `[sip]`, or neither.
    pub fn start_with(folder: &Path, settings: &str) -> Segue {
        fs::create_dir_all(folder).expect("the server's folder");
        let mut segue = Segue {
            folder: folder.to_owned(),
            settings: settings.to_owned(),
            child: None,
            ready: Value::Null,
            starts: 0,
        };
        segue.run();
        segue
    }

    /// Returns once callers of a mailbox are spoken to in each language, where the settings say `prompts`: the first server of
    /// a checkout prepares them for all others, which takes a minute of one core, and whatever is tested meanwhile lacks it.
    #[track_caller]
    pub fn expect_prompts(&self) {
        until("the prompts to be ready", Duration::from_secs(240), || {
            ["en", "de"]
                .iter()
                .all(|language| self.has_prompts(language))
                .then_some(())
        });
    }

    /// Whether they are in this one.
    pub fn has_prompts(&self, language: &str) -> bool {
        self.log_text()
            .contains(&format!("prompts are ready language={language}"))
    }

    /// Other settings, from its next run on.
    pub fn set(&mut self, settings: &str) {
        settings.clone_into(&mut self.settings);
    }

    /// Starts the server again on the same ports after `stop` or `kill_9`.
    pub fn run(&mut self) {
        let (udp, tcp, http) = match self.ready {
            Value::Null => (
                "127.0.0.1:0".to_owned(),
                "127.0.0.1:0".to_owned(),
                "127.0.0.1:0".to_owned(),
            ),
            _ => (
                self.sip_udp().to_string(),
                self.sip_tcp().to_string(),
                self.http().to_string(),
            ),
        };
        let (mut top, sip, tables) = split(&self.settings);
        if !top.contains("profiles_dir") {
            top.push_str(&format!("profiles_dir = {:?}\n", repository().join("sip-profiles")));
        }
        let config = format!(
            "data_dir = {data:?}\n{top}\n[sip]\nudp = [{udp:?}]\ntcp = [{tcp:?}]\n{sip}\n\
             [http]\nlisten = {http:?}\n{tables}",
            data = self.data(),
        );
        // Sockets that the settings name stand alone.
        let config = match self.settings.contains("\nudp = ") {
            true => config.replacen(&format!("udp = [{udp:?}]\ntcp = [{tcp:?}]\n"), "", 1),
            false => config,
        };
        fs::write(self.config(), config).expect("the server's configuration");
        self.starts += 1;
        let ready = self.folder.join(format!("ready-{}.json", self.starts));
        let log = fs::File::create(self.log()).expect("the server's log");
        self.child = Some(
            segue()
                .arg("run")
                .arg("--config")
                .arg(self.config())
                .arg("--ready-file")
                .arg(&ready)
                .current_dir(&self.folder)
                .stdout(log.try_clone().expect("a file clones"))
                .stderr(log)
                .spawn()
                .expect("segue runs"),
        );
        self.ready = until("segue to be ready", Duration::from_secs(20), || {
            let gone = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(gone.is_none(), "segue ended: {}", self.log_text());
            serde_json::from_slice(&fs::read(&ready).ok()?).ok()
        });
    }

    /// Where it takes SIP over UDP.
    pub fn sip_udp(&self) -> SocketAddr {
        self.bound("udp")
    }

    /// Where it takes SIP over TCP.
    pub fn sip_tcp(&self) -> SocketAddr {
        self.bound("tcp")
    }

    /// Where it takes SIP over TLS; `sip.tls` must be among its settings.
    pub fn sip_tls(&self) -> SocketAddr {
        self.bound("tls")
    }

    /// Where it takes HTTP.
    pub fn http(&self) -> SocketAddr {
        self.bound("http")
    }

    /// All its sockets for SIP over this.
    pub fn sip(&self, over: Over) -> Vec<SocketAddr> {
        let sockets = self.ready["sip"][over.word()]
            .as_array()
            .expect("sockets in the ready file");
        let parsed = sockets
            .iter()
            .map(|socket| socket.as_str().and_then(|text| text.parse().ok()));
        parsed.collect::<Option<_>>().expect("addresses in the ready file")
    }

    /// The first address of the ready file under a key that has this word in it, however deep.
    fn bound(&self, word: &str) -> SocketAddr {
        fn first(value: &Value) -> Option<SocketAddr> {
            match value {
                Value::String(text) => text.parse().ok(),
                Value::Array(items) => items.iter().find_map(first),
                Value::Object(map) => map.values().find_map(first),
                _ => None,
            }
        }
        fn find(value: &Value, word: &str) -> Option<SocketAddr> {
            let map = value.as_object()?;
            map.iter().find_map(|(key, value)| {
                if key.contains(word) {
                    first(value)
                } else {
                    find(value, word)
                }
            })
        }
        find(&self.ready, word).unwrap_or_else(|| panic!("no {word} address in the ready file: {}", self.ready))
    }

    /// The URI of a subscriber at this server.
    pub fn uri(&self, user: &str) -> String {
        format!("sip:{user}@{}", self.sip_udp())
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.join("segue.toml")
    }

    /// The log of the present run.
    pub fn log(&self) -> PathBuf {
        self.folder.join(format!("segue-{}.log", self.starts))
    }

    /// What the present run has logged.
    pub fn log_text(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// Process id of the present run.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Runs the command line beside the server.
    pub fn try_cli(&self, args: &[&str]) -> Output {
        segue()
            .args(args)
            .arg("--config")
            .arg(self.config())
            .arg("--json")
            .current_dir(&self.folder)
            .output()
            .expect("segue runs")
    }

    /// Runs the command line; panics when it refuses. Its JSON, or null when it says nothing.
    #[track_caller]
    pub fn cli(&self, args: &[&str]) -> Value {
        let output = self.try_cli(args);
        let (said, complained) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(
            output.status.success(),
            "segue {args:?}: {} {said} {complained}",
            output.status
        );
        if said.trim().is_empty() {
            return Value::Null;
        }
        serde_json::from_str(said.trim()).unwrap_or_else(|error| panic!("segue {args:?}: {error}: {said}"))
    }

    /// Writes a message into a folder; the file, under the name that its content gets, and its media type.
    #[track_caller]
    pub fn export(&self, id: &str, folder: &Path) -> (PathBuf, String) {
        let folder = folder.to_str().expect("a path in UTF-8");
        let wrote = self.cli(&["message", "export", id, folder, "--force"]);
        let word = |key: &str| wrote[key].as_str().expect("a word").to_owned();
        (PathBuf::from(word("file")), word("media_type"))
    }

    /// Rows of a `list`.
    #[track_caller]
    pub fn rows(&self, args: &[&str]) -> Vec<Value> {
        match self.cli(args) {
            Value::Array(rows) => rows,
            other => panic!("segue {args:?}: no array: {other}"),
        }
    }

    /// Status and body of `GET` this path.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.http()).expect("segue takes HTTP");
        let mut said = String::new();
        // HTTP/1.0: the body comes without chunks.
        let asked = stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes());
        asked
            .and_then(|()| stream.read_to_string(&mut said))
            .expect("segue answers over HTTP");
        let (head, body) = said.split_once("\r\n\r\n").expect("an HTTP response");
        let status = head.get(9..12).and_then(|status| status.parse().ok());
        (status.expect("a status"), body.to_owned())
    }

    /// What `GET /health` says.
    pub fn health(&self) -> Value {
        let (_, body) = self.get("/health");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("/health: {error}: {body}"))
    }

    /// Sockets the present run has open.
    pub fn open_sockets(&self) -> usize {
        let Some(pid) = self.pid() else { return 0 };
        let files = fs::read_dir(format!("/proc/{pid}/fd")).expect("the files of segue");
        let links = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
        links
            .filter(|link| link.to_string_lossy().starts_with("socket:"))
            .count()
    }

    /// kill -9, at once.
    pub fn kill_9(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Ends it in order, calls too; panics when it does not end within 10 s.
    pub fn stop(&mut self) {
        self.signal(Signal::SIGINT);
        let _ = self.ended();
    }

    /// Sends the present run a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            let _ = kill(Pid::from_raw(pid as i32), signal);
        }
    }

    /// Whether the present run goes on.
    pub fn runs(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Waits for the present run to end by itself, and says how; panics when it does not within 10 s.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let mut child = self.child.take()?;
        Some(until("segue to stop", Duration::from_secs(10), || {
            child.try_wait().ok().flatten()
        }))
    }
}

impl Drop for Segue {
    fn drop(&mut self) {
        self.kill_9();
    }
}

/// The binary, without what somebody has exported for a server of theirs.
fn segue() -> Command {
    let mut command = Command::new(binary());
    let exported = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let kept = |name: &String| ["SEGUE_LOG", "SEGUE_TEST"].iter().any(|ours| name.starts_with(ours));
    for name in exported.filter(|name| name.starts_with("SEGUE_") && !kept(name)) {
        command.env_remove(name);
    }
    command
}

/// Settings apart: top-level keys, what belongs into `[sip]`, other tables.
fn split(settings: &str) -> (String, String, String) {
    let (mut top, mut sip, mut tables) = (String::new(), String::new(), String::new());
    let mut table = String::new();
    for line in settings.lines() {
        if line.trim_start().starts_with('[') {
            table = line.trim().to_owned();
        }
        let part = match table.as_str() {
            "" => &mut top,
            "[sip]" if line.trim() == "[sip]" => continue,
            "[sip]" => &mut sip,
            _ => &mut tables,
        };
        part.push_str(line);
        part.push('\n');
    }
    (top, sip, tables)
}

/// The top folder of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ stands in the repository")
        .to_owned()
}

/// The binary beside the running test or demo.
pub fn binary() -> PathBuf {
    let own = std::env::current_exe().expect("a path of our own");
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("segue"))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("no segue beside {}: run `cargo build` first", own.display()))
}

/// A file that media/make-samples.sh has made.
pub fn sample(name: &str) -> PathBuf {
    let path = repository().join("media/out").join(name);
    assert!(path.exists(), "{} is missing: run `make samples`", path.display());
    path
}
