//! SIPp as the callers and as the callee of many calls.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::party::Codecs;
use segue_tests::{
    segue::repository,
    sipp::{Over, free_port},
    wait::until,
};

/// A SIPp process; dropped, it is killed.
pub struct Sipp {
    folder: PathBuf,
    child: Child,
    port: u16,
}

/// What it plays.
#[derive(Clone, Copy)]
pub enum Scenario {
    /// SIPp's own `uac` or `uas`: audio, with nobody at the media port.
    Own,
    /// `tests/sipp/bench/`, with a [`crate::party::Party`] at these ports.
    WithMedia {
        codecs: Codecs,
        audio: u16,
        video: Option<u16>,
    },
    /// Says 486 to every call.
    Busy,
}

/// How the callers call.
pub struct Calls {
    pub user: &'static str,
    pub server: SocketAddr,
    pub a_second: u32,
    pub count: u32,
    /// From the answer to A's BYE.
    pub talk: Duration,
}

/// How SIPp says it went.
#[derive(Debug, Default)]
pub struct Outcome {
    pub successful: u64,
    pub failed: u64,
    pub retransmitted: u64,
}

impl Sipp {
    /// Answers every call at once. It listens when this returns.
    pub fn callee(folder: &Path, scenario: Scenario) -> Sipp {
        let callee = Sipp::start(folder, "callee", "uas", scenario, &[]);
        let port = format!(":{:04X} ", callee.port);
        until("SIPp to listen", Duration::from_secs(5), || {
            fs::read_to_string("/proc/net/udp").ok()?.contains(&port).then_some(())
        });
        callee
    }

    /// Calls until all calls are made and ended.
    pub fn callers(folder: &Path, scenario: Scenario, calls: &Calls) -> Sipp {
        let text = |n: u32| n.to_string();
        let (rate, count) = (text(calls.a_second), text(calls.count));
        let (talk, server) = (calls.talk.as_millis().to_string(), calls.server.to_string());
        let args = [
            "-s", calls.user, "-r", &rate, "-m", &count, "-l", &count, "-d", &talk, &server,
        ];
        Sipp::start(folder, "caller", "uac", scenario, &args)
    }

    fn start(folder: &Path, role: &str, own: &str, scenario: Scenario, args: &[&str]) -> Sipp {
        let folder = folder.join(role);
        fs::create_dir_all(&folder).expect("a folder for SIPp");
        let port = free_port(Over::Udp);
        let mut command = Command::new("sipp");
        match scenario {
            Scenario::Own => command.args(["-sn", own]),
            Scenario::Busy => command.arg("-sf").arg(repository().join("tests/sipp/callee/busy.xml")),
            Scenario::WithMedia { codecs, audio, video } => command
                .arg("-sf")
                .arg(repository().join(format!("tests/sipp/bench/{role}.xml")))
                .args([
                    "-key",
                    "audio",
                    &format!("{audio} {}", codecs.audio()),
                    "-key",
                    "video",
                    &video.map_or_else(String::new, |port| {
                        format!("\r\nm=video {port} RTP/AVP 96\r\n{}", codecs.video())
                    }),
                ]),
        };
        let child = command
            .current_dir(&folder)
            .args([
                "-i",
                "127.0.0.1",
                "-p",
                &port.to_string(),
                "-t",
                "u1",
                "-mi",
                "127.0.0.1",
                "-nostdin",
            ])
            .args([
                "-mp",
                &free_port(Over::Udp).to_string(),
                "-trace_stat",
                "-fd",
                "1",
                "-stf",
                "stat.csv",
            ])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("SIPp runs");
        Sipp { folder, child, port }
    }

    /// Its SIP URI for a subscriber's target.
    pub fn uri(&self) -> String {
        format!("sip:b@127.0.0.1:{}", self.port)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until all calls have ended.
    pub fn finish(mut self, limit: Duration) -> Outcome {
        until("the callers to be done", limit, || self.child.try_wait().ok().flatten());
        let stat = fs::read_to_string(self.folder.join("stat.csv")).expect("SIPp's statistics");
        let names = stat.lines().next().unwrap_or_default().split(';');
        let last = stat.lines().last().unwrap_or_default().split(';');
        let row: Vec<_> = names.zip(last).collect();
        let count = |name: &str| {
            let found = row.iter().find(|(column, _)| *column == name);
            found.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
        };
        Outcome {
            successful: count("SuccessfulCall(C)"),
            failed: count("FailedCall(C)"),
            retransmitted: count("Retransmissions(C)"),
        }
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
