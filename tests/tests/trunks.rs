//! Trunks on real sockets: a server that dies and comes back, all of them dead, and credentials of a trunk's own.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use segue_tests::{
    segue::Segue,
    sipp::{Over, Sipp},
    wait::until,
};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(10);

/// A carrier's server: it answers OPTIONS, and is busy.
struct Server {
    at: SocketAddr,
    invites: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(at: &str) -> Server {
        let socket = UdpSocket::bind(at).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let at = socket.local_addr().unwrap();
        let (invites, stop) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stopped) = (Arc::clone(&invites), Arc::clone(&stop));
        let serve = move || {
            let mut bytes = [0; 65_536];
            let mut branches = std::collections::BTreeSet::new();
            while !stopped.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut bytes) else {
                    continue;
                };
                let request = String::from_utf8_lossy(&bytes[..length]).into_owned();
                let status = match request.split(' ').next() {
                    Some("OPTIONS") => "200 OK",
                    Some("INVITE") => {
                        if branches.insert(header(&request, "Via").to_owned()) {
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                        "486 Busy Here"
                    }
                    _ => continue,
                };
                socket.send_to(answer(&request, status).as_bytes(), from).unwrap();
            }
        };
        Server {
            at,
            invites,
            stop,
            thread: Some(thread::spawn(serve)),
        }
    }

    fn invites(&self) -> u32 {
        self.invites.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}

/// The value of the first such header.
fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let line = message
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().trim()
}

fn answer(request: &str, status: &str) -> String {
    let mut said = format!("SIP/2.0 {status}\r\n");
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        let tag = if name == "To" { ";tag=server" } else { "" };
        said.push_str(&format!("{name}: {}{tag}\r\n", header(request, name)));
    }
    said.push_str("Content-Length: 0\r\n\r\n");
    said
}

/// A call to a number that is no subscriber's: its final response.
fn call(server: SocketAddr, number: u32) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let own = socket.local_addr().unwrap();
    let sdp = "v=0\r\no=a 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";
    let head = |method: &str| {
        format!(
            "{method} sip:+4930123@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{number};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:ann@{own}>;tag=a{number}\r\nCall-ID: {number}@trunks\r\nCSeq: 1 {method}\r\n"
        )
    };
    let invite = format!(
        "{}To: <sip:+4930123@{server}>\r\nContact: <sip:ann@{own}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        head("INVITE"),
        sdp.len()
    );
    socket.send_to(invite.as_bytes(), server).unwrap();
    let mut bytes = [0; 65_536];
    loop {
        let (length, _) = socket.recv_from(&mut bytes).expect("an answer");
        let said = String::from_utf8_lossy(&bytes[..length]).into_owned();
        if !said.starts_with("SIP/2.0 1") {
            let ack = format!(
                "{}To: {}\r\nContent-Length: 0\r\n\r\n",
                head("ACK"),
                header(&said, "To")
            );
            socket.send_to(ack.as_bytes(), server).unwrap();
            return said;
        }
    }
}

/// A server whose calls to others go out by the trunk `main`.
fn segue(folder: &Path, trunk: &str) -> Segue {
    let profiles = folder.join("profiles");
    fs::create_dir_all(&profiles).unwrap();
    let profile = "name = \"callers\"\nsources = [\"127.0.0.0/8\"]\nunknown_callee = \"forward\"\nringing_status = 180\n\
                   next_hop = \"trunk:main\"\ndestinations = [\"+49*\"]\n";
    fs::write(profiles.join("callers.toml"), profile).unwrap();
    let settings = format!("profiles_dir = {profiles:?}\n[sip]\nt1_ms = 100\n[[trunk]]\nname = \"main\"\n{trunk}\n");
    Segue::start_with(folder, &settings)
}

/// The state of each server, by its address.
fn states(segue: &Segue) -> BTreeMap<String, String> {
    let trunks = segue.cli(&["trunk", "list"]);
    let servers = trunks[0]["servers"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let state = |server: &Value| (text(&server["address"]), text(&server["state"]));
    servers.iter().map(state).collect()
}

#[test]
fn a_server_that_dies_is_left_and_found_again_and_all_dead_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (Server::start("127.0.0.1:0"), Server::start("127.0.0.1:0"));
    let keys = format!(
        "servers = [{:?}, {:?}]\nping_ms = 1000\nping_up = 1\nping_down = 1",
        one.at.to_string(),
        two.at.to_string()
    );
    let segue = segue(folder.path(), &keys);
    let is = |server: SocketAddr, state: &str| {
        until(state, LONG, || {
            (states(&segue).get(&format!("{server}/UDP"))? == state).then_some(())
        });
    };
    let (first, second) = (one.at, two.at);
    is(first, "up");
    is(second, "up");
    let busy = |number| assert!(call(segue.sip_udp(), number).starts_with("SIP/2.0 486 "));
    busy(1);
    assert_eq!((one.invites(), two.invites()), (1, 0));

    drop(one);
    is(first, "down");
    busy(2);
    assert_eq!(two.invites(), 1);

    let one = Server::start(&first.to_string());
    is(first, "up");
    busy(3);
    assert_eq!((one.invites(), two.invites()), (1, 1));

    drop((one, two));
    is(first, "down");
    is(second, "down");
    let refused = call(segue.sip_udp(), 4);
    assert!(refused.starts_with("SIP/2.0 500 "), "{refused}");
    assert!((1..=2).contains(&header(&refused, "Retry-After").parse::<u32>().unwrap()));
    assert_eq!(
        header(&refused, "Reason"),
        "SIP;cause=503;text=\"No server takes calls\""
    );
    let record = segue.cli(&["wait", "call", "--sip-call-id", "4@trunks", "--timeout", "10s"]);
    let why = record["why"].as_str().unwrap();
    assert!(
        why.contains(&first.to_string()) && why.contains(&second.to_string()),
        "{why}"
    );

    let metrics = segue.get("/metrics").1;
    assert!(
        metrics.contains("trunk_servers{trunk=\"main\",state=\"down\"} 2"),
        "{metrics}"
    );
    let doctor = String::from_utf8(segue.try_cli(&["doctor"]).stdout).unwrap();
    let rows: Vec<Value> = serde_json::from_str(&doctor).unwrap();
    let row = rows.iter().find(|row| row["check"] == "trunks").unwrap();
    assert_eq!(row["state"], "wrong", "{row}");
    let log = segue.log_text();
    assert!(log.contains("a server of a trunk is down"), "{log}");
}

#[test]
fn a_trunk_that_asks_for_credentials_gets_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let callee = Sipp::callee(folder.path(), "answer_for_credentials", Over::Udp, 200);
    let password = folder.path().join("password");
    fs::write(&password, "open sesame\n").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    let keys = format!(
        "servers = [\"127.0.0.1:{}\"]\nping_ms = 0\ndigest_user = \"segue\"\ndigest_realm = \"trunk.example\"\ndigest_secret = \"password\"",
        callee.port()
    );
    let segue = segue(folder.path(), &keys);
    let at = segue.sip_udp();
    let route = format!("<sip:{at};lr>");
    let who = ("+4930123456", at);
    let caller = Sipp::caller_with(
        folder.path(),
        "onward",
        (Over::Udp, 300),
        who,
        "ours@trunks",
        &[("route", route.as_str())],
    );
    caller.finish().unwrap();
    callee.finish().unwrap();
    let record = segue.cli(&["wait", "call", "--sip-call-id", "ours@trunks", "--timeout", "10s"]);
    assert_eq!(record["result"], "answered", "{record:#}");
    let trunks = segue.cli(&["trunk", "list"]);
    let main = &trunks[0];
    assert_eq!(
        (&main["calls_since_start"], &main["servers"][0]["state"]),
        (&1.into(), &"unchecked".into())
    );
    assert!(!segue.log_text().contains("sesame"));
}

/// A change by the API: its status and what it answers.
fn change(segue: &Segue, token: &str, (method, path): (&str, &str), body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let request = format!(
        "{method} /api/v1{path} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(segue.http()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    (
        head[9..12].parse().unwrap(),
        serde_json::from_str(body).unwrap_or_default(),
    )
}

#[test]
fn a_trunk_that_is_added_by_the_api_is_asked_at_once_and_so_is_what_it_is_changed_to() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (Server::start("127.0.0.1:0"), Server::start("127.0.0.1:0"));
    let segue = segue(folder.path(), "servers = [\"192.0.2.1\"]\nping_ms = 0");
    segue.cli(&["admin", "create", "root"]);
    let made = segue.cli(&["token", "create", "root", "--operator", "--scope", "system:write"]);
    let token = made["token"].as_str().unwrap();
    let added = |settings: Value| {
        let given = json!({ "name": "second", "password": "open sesame", "settings": settings });
        change(&segue, token, ("POST", "/trunks"), &given)
    };
    let (status, said) =
        added(json!({ "servers": ["192.0.2.2"], "profile": "caller", "digest_user": "u", "digest_realm": "r" }));
    assert_eq!(status, 422, "{said}");
    let detail = said["detail"].as_str().unwrap();
    assert!(
        detail.contains("did you mean \"callers\"?"),
        "by the profiles in force: {said}"
    );
    let (status, said) = change(&segue, token, ("PATCH", "/trunks/main"), &json!({}));
    assert_eq!(status, 409, "{said}");
    assert!(said["detail"].as_str().unwrap().contains("segue.toml:"), "{said}");

    let has_it_and_it_is_up = |server: SocketAddr| {
        let of_it = || {
            let trunks: Value = serde_json::from_str(&segue.get("/trunks").1).ok()?;
            let second = trunks.as_array()?.iter().find(|trunk| trunk["name"] == "second")?;
            let first = second["servers"].get(0)?.clone();
            (first["address"] == format!("{server}/UDP")).then_some(first)
        };
        // It looks four times a second; a machine that is busy with other tests has its time.
        until("the server to have it", LONG, of_it);
        until("it to be up", LONG, || (of_it()?["state"] == "up").then_some(()));
    };
    let (status, said) = added(json!({
        "servers": [one.at.to_string()], "profile": "callers", "digest_user": "u", "digest_realm": "r", "ping_up": 1,
    }));
    assert_eq!((status, &said["has_password"]), (201, &json!(true)), "{said}");
    // It would not be there if its password could not be opened.
    has_it_and_it_is_up(one.at);
    let moved = json!({ "settings": { "servers": [two.at.to_string()] } });
    let (status, said) = change(&segue, token, ("PATCH", "/trunks/second"), &moved);
    assert_eq!(status, 200, "{said}");
    has_it_and_it_is_up(two.at);
    assert!(!segue.log_text().contains("sesame"));
}
