//! rtpengine (userspace) as the reference for relayed packets, driven by its ng protocol: bencoded dictionaries over UDP.

use std::{
    net::{SocketAddr, UdpSocket},
    process::{Child, Command, Stdio},
    time::Duration,
};

use segue_tests::{
    sipp::{Over, free_port},
    wait::until,
};

/// A running rtpengine; dropped, it is killed.
pub struct Rtpengine {
    child: Child,
    ng: UdpSocket,
    cookie: u32,
}

impl Rtpengine {
    /// Starts it, after installing Debian's package when it is missing and we may; why not, otherwise.
    pub fn start() -> Result<Rtpengine, String> {
        if !is_there() {
            let installed = Command::new("apt-get")
                .args(["install", "-y", "-qq", "--no-install-recommends", "rtpengine-daemon"])
                .env("DEBIAN_FRONTEND", "noninteractive")
                .stdout(Stdio::null())
                .status();
            if !installed.is_ok_and(|status| status.success()) || !is_there() {
                return Err("rtpengine is not installed: apt-get install rtpengine-daemon".to_owned());
            }
        }
        let port = free_port(Over::Udp);
        let child = Command::new("rtpengine")
            .args([
                "--config-file=none",
                "--foreground",
                "--table=-1",
                "--interface=127.0.0.1",
            ])
            .args(["--log-stderr", "--log-level=2", "--port-min=40000", "--port-max=59998"])
            .arg(format!("--listen-ng=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let ng = UdpSocket::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        ng.set_read_timeout(Some(Duration::from_millis(200)))
            .map_err(|error| error.to_string())?;
        ng.connect(("127.0.0.1", port)).map_err(|error| error.to_string())?;
        let mut engine = Rtpengine { child, ng, cookie: 0 };
        until("rtpengine to answer", Duration::from_secs(10), || {
            engine
                .ask(&[("command", "ping")])
                .filter(|answer| answer.contains("pong"))
        });
        Ok(engine)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A call between two parties' ports; where each of them is to send.
    pub fn call(&mut self, number: u32, a: u16, b: u16) -> [SocketAddr; 2] {
        let id = format!("call-{number}");
        let mut side = |command: &str, port: u16, tags: &[(&str, &str)]| {
            let sdp = format!(
                "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                 m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
            );
            let fixed = [("call-id", id.as_str()), ("command", command), ("sdp", sdp.as_str())];
            let answer = self.ask(&[&fixed[..], tags].concat()).expect("rtpengine answers");
            let port = answer.split("m=audio ").nth(1).and_then(|rest| rest.split(' ').next());
            let port: u16 = port
                .and_then(|port| port.parse().ok())
                .unwrap_or_else(|| panic!("{answer}"));
            SocketAddr::from(([127, 0, 0, 1], port))
        };
        let for_b = side("offer", a, &[("from-tag", "a")]);
        let for_a = side("answer", b, &[("from-tag", "a"), ("to-tag", "b")]);
        [for_a, for_b]
    }

    /// A request and its answer, as it came.
    fn ask(&mut self, fields: &[(&str, &str)]) -> Option<String> {
        self.cookie += 1;
        let mut fields = fields.to_vec();
        fields.sort_unstable();
        let text = |text: &str| format!("{}:{text}", text.len());
        let body: String = fields.iter().map(|(key, value)| text(key) + &text(value)).collect();
        self.ng.send(format!("{} d{body}e", self.cookie).as_bytes()).ok()?;
        let mut answer = [0; 8_192];
        let length = self.ng.recv(&mut answer).ok()?;
        Some(String::from_utf8_lossy(answer.get(..length)?).into_owned())
    }
}

impl Drop for Rtpengine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_there() -> bool {
    Command::new("rtpengine")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}
