//! The running Segue: where it listens, and its command line.

use std::{
    fs,
    net::{IpAddr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::Command,
};

use segue_tests::{segue::repository, sipp::Over};
use serde_json::Value;

use crate::{options::Options, own::Own};

/// The running Segue, as far as it is known.
pub struct Server {
    pub sip: SocketAddr,
    /// Known when it runs on this machine: then its command line can be asked.
    pub data: Option<PathBuf>,
    binary: PathBuf,
    /// It is ours, and ends with the run.
    pub own: Option<Own>,
}

/// What a running Segue leaves in its data directory: what it has bound.
const BOUND_FILE: &str = "server.json";

impl Server {
    pub fn find(options: &Options, over: Over) -> Result<Server, String> {
        let beside_data = options.get("DATA").map(|data| Path::new(data).join(BOUND_FILE));
        let named = options.get("READY").map(PathBuf::from).or(beside_data);
        let is_named = named.is_some();
        let file = named.unwrap_or_else(|| repository().join("target/run.json"));
        let ready = fs::read(&file)
            .ok()
            .and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        // A file that outlived its server names addresses that are no more.
        let ready = ready.filter(|ready| Path::new(&format!("/proc/{}", ready["pid"])).exists());
        if is_named && ready.is_none() && options.get("TARGET").is_none() {
            return Err(format!("{} is not the ready file of a Segue that runs", file.display()));
        }
        let bound = ready
            .as_ref()
            .and_then(|ready| ready["sip"][over.word()][0].as_str()?.parse().ok());
        let sip = match options.get("TARGET") {
            Some(target) => resolve(target)?,
            None => bound.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 5060))),
        };
        let told = ready
            .as_ref()
            .and_then(|ready| ready["data_dir"].as_str())
            .map(PathBuf::from);
        // Another target may be another server: its data must be named.
        let here =
            told.filter(|_| options.get("TARGET").is_none() || bound == Some(sip) || options.get("READY").is_some());
        Ok(Server {
            sip,
            data: options.get("DATA").map(PathBuf::from).or(here),
            binary: binary(options),
            own: None,
        })
    }

    /// One of our own.
    pub fn own(own: Own, over: Over, options: &Options) -> Server {
        Server {
            sip: own.sip(over),
            data: Some(own.segue.data()),
            binary: binary(options),
            own: Some(own),
        }
    }

    /// Asks the command line; its JSON, or what it complains of.
    pub fn cli(&self, args: &[&str]) -> Result<Value, String> {
        let data = self
            .data
            .as_deref()
            .ok_or("Segue's data directory is not known: name it with DATA=")?;
        let output = Command::new(&self.binary)
            .args(args)
            .arg("--json")
            .arg("--data")
            .arg(data)
            .output()
            .map_err(|error| {
                format!(
                    "{}: {error}: `make build`, or name it with SEGUE=",
                    self.binary.display()
                )
            })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let why = serde_json::from_str::<Value>(&said)
                .ok()
                .map(|error| format!("{}; {}", error["message"], error["fix"]));
            return Err(format!("segue {}: {}", args.join(" "), why.unwrap_or(said)));
        }
        Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
    }

    pub fn rows(&self, args: &[&str]) -> Result<Vec<Value>, String> {
        Ok(self.cli(args)?.as_array().cloned().unwrap_or_default())
    }
}

fn binary(options: &Options) -> PathBuf {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name("segue"));
    let named = options.get("SEGUE").map(PathBuf::from);
    named
        .or(beside.filter(|path| path.exists()))
        .unwrap_or_else(|| "segue".into())
}

fn resolve(target: &str) -> Result<SocketAddr, String> {
    use std::net::ToSocketAddrs;
    let whole = if target.contains(':') {
        target.to_owned()
    } else {
        format!("{target}:5060")
    };
    let mut found = whole
        .to_socket_addrs()
        .map_err(|error| format!("TARGET={target}: {error}"))?;
    found.next().ok_or_else(|| format!("TARGET={target} has no address"))
}

/// The address of this machine that Segue sees.
pub fn own_address(server: SocketAddr) -> Result<IpAddr, String> {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).and_then(|socket| socket.connect(server).map(|()| socket));
    socket
        .and_then(|socket| socket.local_addr())
        .map(|own| own.ip())
        .map_err(|error| format!("{server}: {error}"))
}
