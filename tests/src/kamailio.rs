//! Kamailio of Debian 12: with the configuration of `packaging/kamailio/` in front of Segue nodes, or as a provider behind one.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{segue::repository, wait::until};

/// The address it listens on: not that of the phones, nor of Segue.
const ADDRESS: &str = "127.0.0.20";

/// A running Kamailio; dropped, it is gone with its children.
#[derive(Debug)]
pub struct Kamailio {
    at: SocketAddr,
    folder: PathBuf,
    child: Child,
}

impl Kamailio {
    /// Where one may listen that is yet to start: Segue's profile names it first.
    pub fn address() -> &'static str {
        ADDRESS
    }

    /// Starts it on a free port, for these nodes and users, each with a password.
    pub fn start(folder: &Path, nodes: &[SocketAddr], users: &[(&str, &str)]) -> Kamailio {
        let folder = folder.join("kamailio");
        let source = repository().join("packaging/kamailio");
        fs::create_dir_all(&folder).expect("Kamailio's folder");
        let list: String = nodes.iter().map(|node| format!("1 sip:{node}\n")).collect();
        fs::write(folder.join("dispatcher.list"), list).expect("the list of nodes");
        let at = free();
        let more = [
            quoted("NODES", &folder.join("dispatcher.list").display().to_string()),
            quoted("CONTROL", &format!("unix:{}", folder.join("control").display())),
            [String::from("-A"), format!("LISTEN_TCP=tcp:{at}")],
        ];
        Kamailio::run(folder, &source.join("kamailio.cfg"), at, users, &more)
    }

    /// Starts it on a free port as a provider with one account: `tests/kamailio/provider.cfg`. Calls out go on to this address.
    pub fn provider(folder: &Path, account: (&str, &str), outside: SocketAddr) -> Kamailio {
        let folder = folder.join("provider");
        let config = repository().join("tests/kamailio/provider.cfg");
        let more = [quoted("OUTSIDE", &format!("sip:{outside}"))];
        Kamailio::run(folder, &config, free(), &[account], &more)
    }

    fn run(folder: PathBuf, config: &Path, at: SocketAddr, users: &[(&str, &str)], more: &[[String; 2]]) -> Kamailio {
        let source = repository().join("packaging/kamailio/dbtext");
        let tables = folder.join("dbtext");
        fs::create_dir_all(&tables).expect("Kamailio's folder");
        fs::copy(source.join("version"), tables.join("version")).expect("the table of versions");
        let mut table = fs::read_to_string(source.join("subscriber")).expect("the table of users");
        for (user, password) in users {
            let ha1 = md5(&format!("{user}:{ADDRESS}:{password}"));
            table.push_str(&format!("{user}:{ADDRESS}:{ha1}\n"));
        }
        fs::write(tables.join("subscriber"), table).expect("the table of users");
        let log = fs::File::create(folder.join("log")).expect("Kamailio's log");
        let child = Command::new("kamailio")
            // In front, its log on stderr, with two workers.
            .args(["-DD", "-E", "-n", "2", "-m", "16", "-M", "4", "-Y"])
            .arg(&folder)
            .arg("-f")
            .arg(config)
            .args(["-A", &format!("LISTEN=udp:{at}")])
            .args(quoted("DOMAIN", ADDRESS))
            .args(quoted("DATABASE", &format!("text://{}", tables.display())))
            .args(more.iter().flatten())
            .stdout(log.try_clone().expect("a file clones"))
            .stderr(log)
            .spawn()
            .expect("kamailio runs (make setup)");
        let kamailio = Kamailio { at, folder, child };
        kamailio.wait_until_it_answers();
        kamailio
    }

    /// Where phones register, and where Segue sends what is for phones.
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// What it has logged.
    pub fn log_text(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn wait_until_it_answers(&self) {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .expect("a time limit");
        let from = socket.local_addr().expect("an address");
        let mut n = 0;
        until("Kamailio to answer", Duration::from_secs(10), || {
            n += 1;
            let options = format!(
                "OPTIONS sip:{at} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK-up-{n}\r\nMax-Forwards: 70\r\n\
                 From: <sip:test@{from}>;tag=1\r\nTo: <sip:{at}>\r\nCall-ID: up@{from}\r\nCSeq: {n} OPTIONS\r\n\
                 Content-Length: 0\r\n\r\n",
                at = self.at
            );
            socket.send_to(options.as_bytes(), self.at).ok()?;
            let mut answer = [0; 2048];
            let length = socket.recv(&mut answer).ok()?;
            answer.get(..length)?.starts_with(b"SIP/2.0 200").then_some(())
        });
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // Its children end with it only when it is asked.
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        for _ in 0..50 {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A free port of its address.
fn free() -> SocketAddr {
    UdpSocket::bind((ADDRESS, 0))
        .and_then(|socket| socket.local_addr())
        .expect("a free port")
}

/// A string of its configuration.
fn quoted(name: &str, value: &str) -> [String; 2] {
    [String::from("-A"), format!("{name}=\"{value}\"")]
}

/// HA1 of digest: by the tool that an operator would use.
fn md5(text: &str) -> String {
    use std::{io::Write, process::Stdio};
    let mut child = Command::new("md5sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("md5sum runs");
    let mut input = child.stdin.take().expect("its input");
    input.write_all(text.as_bytes()).expect("md5sum reads");
    drop(input);
    let output = child.wait_with_output().expect("md5sum ends");
    String::from_utf8_lossy(&output.stdout).chars().take(32).collect()
}
