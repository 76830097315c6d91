//! A Segue of the kit's own, for scenarios that need a server which is not as it comes.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::signal::Signal;
use segue_tests::{
    scenario::Scenario,
    segue::{Segue, prompts},
    sipp::Over,
    wait::until,
};
use serde_json::Value;

/// Servers that go with the run.
pub struct Own {
    pub segue: Segue,
    /// Where its profile is, and the files beside it.
    pub files: PathBuf,
    /// The other one of a pair.
    pub peer: Option<Segue>,
    /// Both ends of the call that keeps a draining server up.
    call: Option<[UdpSocket; 2]>,
}

impl Own {
    /// As these scenarios need it. `callee` is where the callee listens.
    pub fn start(folder: &Path, needing: &[&Scenario], callee: SocketAddr, over: Over) -> Result<Own, String> {
        let all = |key: &str| -> Vec<&str> {
            let values = needing.iter().filter_map(|scenario| scenario.play.get(key));
            values.map(String::as_str).collect()
        };
        let here = folder.join("segue");
        let callee = format!("{callee};transport={}", over.word());
        let speaks = !all("dials").is_empty();
        let said = if speaks { prompts() } else { String::new() };
        let settings = all("settings").join(" ").replace(' ', "\n") + &said;
        let start = |folder: &Path, peer: &str| -> Result<Segue, String> {
            let profiles = profile(folder, &all("profile"), &all("file"), &callee, peer)?;
            Ok(Segue::start_with(
                folder,
                &format!("profiles_dir = {profiles:?}\n{settings}\n"),
            ))
        };
        let mut own = Own {
            segue: start(&here, "")?,
            files: here.join("sip-profiles"),
            peer: None,
            call: None,
        };
        if !all("retention").is_empty() {
            own.wait_for_the_notice();
        }
        if speaks {
            own.segue.expect_prompts();
        }
        match all("server").first() {
            Some(&"pair") => {
                let at = |segue: &Segue| format!("{};transport={}", sip(segue, over), over.word());
                let there = start(&folder.join("peer"), &at(&own.segue))?;
                // It learns where the other one is, on the ports that it has.
                own.segue.stop();
                profile(&here, &all("profile"), &all("file"), &callee, &at(&there))?;
                own.segue.run();
                own.peer = Some(there);
            }
            Some(&"draining") => own.drain()?,
            _ => {}
        }
        Ok(own)
    }

    /// Where it takes SIP.
    pub fn sip(&self, over: Over) -> SocketAddr {
        sip(&self.segue, over)
    }

    /// A full mailbox says so by a notice, which a new server makes beside what it does.
    fn wait_for_the_notice(&self) {
        until("the notice of a full mailbox", Duration::from_secs(30), || {
            let checks: Vec<Value> = serde_json::from_slice(&self.segue.try_cli(&["doctor"]).stdout).ok()?;
            let made = |check: &Value| check["check"] == "notice" && check["found"] == "prepared";
            checks.iter().any(made).then_some(())
        });
    }

    /// A call that rings on, and then SIGTERM.
    fn drain(&mut self) -> Result<(), String> {
        let socket = || UdpSocket::bind("127.0.0.1:0").map_err(|error| error.to_string());
        // What else the server has started is done then: with this call it cannot be ended in order.
        self.wait_for_the_notice();
        let (caller, callee) = (socket()?, socket()?);
        let here = |socket: &UdpSocket| socket.local_addr().map_err(|error| error.to_string());
        let (from, to, at) = (here(&caller)?, here(&callee)?, self.segue.sip_udp());
        self.segue.cli(&[
            "subscriber",
            "add",
            "rings-on",
            "--target",
            &format!("sip:rings-on@{to}"),
        ]);
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\n",
            from.port()
        );
        let invite = format!(
            "INVITE sip:rings-on@{at} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK-rings-on\r\nMax-Forwards: 70\r\n\
             From: <sip:kit@{from}>;tag=1\r\nTo: <sip:rings-on@{at}>\r\nCall-ID: rings-on@kit\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:kit@{from}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        );
        caller
            .send_to(invite.as_bytes(), at)
            .map_err(|error| error.to_string())?;
        let patience = Some(Duration::from_secs(10));
        callee.set_read_timeout(patience).map_err(|error| error.to_string())?;
        callee
            .recv_from(&mut [0; 4_096])
            .map_err(|error| format!("the call that keeps the server up did not come about: {error}"))?;
        self.segue.signal(Signal::SIGTERM);
        until("the server to drain", Duration::from_secs(5), || {
            self.segue.log_text().contains("no new calls").then_some(())
        });
        self.call = Some([caller, callee]);
        Ok(())
    }
}

fn sip(segue: &Segue, over: Over) -> SocketAddr {
    match over {
        Over::Udp => segue.sip_udp(),
        Over::Tcp => segue.sip_tcp(),
    }
}

/// Writes the one profile, and the files that it names; their folder.
fn profile(folder: &Path, keys: &[&str], files: &[&str], callee: &str, peer: &str) -> Result<PathBuf, String> {
    let profiles = folder.join("sip-profiles");
    let write = |name: &str, text: &str| {
        let path = profiles.join(name);
        fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)))
            .map_err(|error| format!("{}: {error}", path.display()))
    };
    fs::create_dir_all(&profiles).map_err(|error| format!("{}: {error}", profiles.display()))?;
    let keys = keys.join(" ").replace(' ', "\n");
    let keys = keys.replace("[callee]", callee).replace("[peer]", peer);
    write(
        "kit.toml",
        &format!("name = \"kit\"\nsources = [\"127.0.0.0/8\"]\n{keys}\n"),
    )?;
    for file in files {
        let (name, text) = file.split_once(' ').unwrap_or((file, ""));
        write(name, &format!("{text}\n"))?;
    }
    Ok(profiles)
}

impl Drop for Own {
    /// In order: what a server has started ends with it.
    fn drop(&mut self) {
        match self.call.take() {
            Some(_) => self.segue.kill_9(),
            None => self.segue.stop(),
        }
        if let Some(peer) = &mut self.peer {
            peer.stop();
        }
    }
}
