//! A browser that plays a message: headless Chromium, told by a page that a server on loopback gives it.
//!
//! The page loads for as long as the server holds back its last picture. It lets go when the page has reported that the
//! video plays; Chromium then takes its screenshot and ends.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::wait::until;

/// What the page saw of the video.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Played {
    /// The furthest `currentTime`, seconds.
    pub current_time: f64,
    /// `duration`, seconds.
    pub duration: f64,
    /// `videoWidth` and `videoHeight`.
    pub size: (u32, u32),
    /// `error.message`, empty when there is none.
    pub error: String,
}

const PAGE: &str = "<!doctype html><meta charset=utf-8><title>Segue</title>
<body style='margin:0;background:#222;color:#eee;font:16px sans-serif'>
<video id=v src=/message autoplay muted playsinline controls style='display:block;width:640px;height:360px'></video>
<p id=t style='padding:0 12px'></p>
<img src=/hold width=1 height=1 alt=''>
<script>
const v = document.getElementById('v');
setInterval(() => {
  document.getElementById('t').textContent = 'currentTime ' + v.currentTime.toFixed(2) + ' s of ' + v.duration.toFixed(2) + ' s';
  fetch('/report?' + [v.currentTime, v.duration || 0, v.videoWidth, v.videoHeight, encodeURIComponent(v.error ? v.error.message : '')].join('&'));
}, 100);
</script>";

/// What the server's threads share.
#[derive(Debug, Default)]
struct Shared {
    played: Mutex<Played>,
    changed: Condvar,
}

/// Plays a file until `enough` seconds of it have played, and takes a screenshot; gives up after 20 s.
pub fn play(media: &Path, enough: f64, screenshot: &Path) -> Played {
    let bytes: Arc<[u8]> = fs::read(media).expect("the message").into();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
    let address = listener.local_addr().expect("its address");
    let shared = Arc::new(Shared::default());
    let server_side = Arc::clone(&shared);
    thread::spawn(move || {
        // Ends with the process: a test's page is small.
        for stream in listener.incoming().flatten() {
            let (bytes, shared) = (Arc::clone(&bytes), Arc::clone(&server_side));
            thread::spawn(move || serve(stream, &bytes, &shared, enough));
        }
    });
    let profile = tempfile::tempdir().expect("a folder for the browser");
    let mut child = Command::new("chromium")
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--mute-audio",
            "--hide-scrollbars",
        ])
        .args([
            "--no-first-run",
            "--disable-background-networking",
            "--autoplay-policy=no-user-gesture-required",
        ])
        .arg("--window-size=640,420")
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--screenshot={}", screenshot.display()))
        .arg(format!("http://{address}/"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromium runs (make setup)");
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) && child.try_wait().ok().flatten().is_none() {
        thread::sleep(Duration::from_millis(50));
    }
    let _ = child.kill();
    let _ = child.wait();
    until("the screenshot", Duration::from_secs(2), || {
        screenshot.exists().then_some(())
    });
    shared.played.lock().expect("the report").clone()
}

/// Where a screenshot that outlives the run is put.
pub fn screenshot_path(name: &str) -> PathBuf {
    let folder = crate::segue::repository().join("target/demo");
    fs::create_dir_all(&folder).expect("a folder for screenshots");
    folder.join(name)
}

fn serve(stream: TcpStream, media: &[u8], shared: &Shared, enough: f64) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket clones"));
    let mut stream = stream;
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request).unwrap_or(0) == 0 {
            return;
        }
        let mut range = None;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).unwrap_or(0) == 0 || header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("range: bytes=") {
                range = value
                    .trim()
                    .split_once('-')
                    .map(|(from, to)| (from.parse().unwrap_or(0), to.parse().ok()));
            }
        }
        let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
        let sent = match path.split_once('?') {
            Some(("/report", query)) => {
                report(query, shared);
                respond(&mut stream, "204 No Content", "text/plain", "", b"")
            }
            None if path == "/message" => send_range(&mut stream, media, range),
            None if path == "/hold" => {
                hold(shared, enough);
                respond(&mut stream, "404 Not Found", "text/plain", "", b"")
            }
            None if path == "/" => respond(&mut stream, "200 OK", "text/html", "", PAGE.as_bytes()),
            _ => respond(&mut stream, "404 Not Found", "text/plain", "", b""),
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Takes what the page reports.
fn report(query: &str, shared: &Shared) {
    let mut parts = query.split('&');
    let mut number = || {
        parts
            .next()
            .and_then(|part| part.parse::<f64>().ok())
            .unwrap_or_default()
    };
    let (current_time, duration, width, height) = (number(), number(), number(), number());
    let mut played = shared.played.lock().expect("the report");
    played.current_time = played.current_time.max(current_time);
    played.duration = duration;
    played.size = (width as u32, height as u32);
    played.error = parts.next().unwrap_or_default().to_owned();
    shared.changed.notify_all();
}

/// Waits until enough has played, or nothing will.
fn hold(shared: &Shared, enough: f64) {
    let played = shared.played.lock().expect("the report");
    let going = |played: &mut Played| played.current_time < enough && played.error.is_empty();
    drop(
        shared
            .changed
            .wait_timeout_while(played, Duration::from_secs(20), going),
    );
}

/// All of the media, or the part that was asked for (RFC 9110 §14).
fn send_range(stream: &mut TcpStream, media: &[u8], range: Option<(usize, Option<usize>)>) -> std::io::Result<()> {
    // EBML begins WebM.
    let kind = if media.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
        "video/webm"
    } else {
        "video/mp4"
    };
    let Some((from, to)) = range else {
        return respond(stream, "200 OK", kind, "Accept-Ranges: bytes\r\n", media);
    };
    let last = to.unwrap_or(usize::MAX).min(media.len().saturating_sub(1));
    let part = media.get(from..=last).unwrap_or_default();
    let header = format!(
        "Accept-Ranges: bytes\r\nContent-Range: bytes {from}-{last}/{}\r\n",
        media.len()
    );
    respond(stream, "206 Partial Content", kind, &header, part)
}

fn respond(stream: &mut TcpStream, status: &str, kind: &str, headers: &str, body: &[u8]) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}
