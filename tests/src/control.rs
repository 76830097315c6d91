//! A softphone's control connection: baresip's `ctrl_tcp`, JSON in netstrings.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::wait::until;

/// What a phone has said, with the moment it came.
type Said = Arc<Mutex<Vec<(Instant, Value)>>>;

/// The connection.
#[derive(Debug)]
pub struct Control {
    stream: TcpStream,
    said: Said,
    commands: u32,
}

impl Control {
    /// Connects, as soon as the phone listens.
    pub fn connect(address: SocketAddr) -> Control {
        let stream = until("a softphone to listen for commands", Duration::from_secs(10), || {
            TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok()
        });
        let said = Said::default();
        let (reader, list) = (stream.try_clone().expect("a socket clones"), Arc::clone(&said));
        thread::spawn(move || read(reader, &list));
        Control {
            stream,
            said,
            commands: 0,
        }
    }

    /// Gives a command and returns the answer's text; panics when it was refused.
    pub fn command(&mut self, command: &str, params: &str) -> String {
        let token = self.send(command, params);
        let answer = until(
            &format!("the answer to `{command} {params}`"),
            Duration::from_secs(5),
            || {
                let said = self.said.lock().unwrap();
                said.iter()
                    .map(|(_, value)| value)
                    .find(|value| value["token"] == token.as_str())
                    .cloned()
            },
        );
        assert_eq!(answer["ok"], true, "{command} {params}: {answer}");
        answer["data"].as_str().unwrap_or_default().to_owned()
    }

    /// Gives a command and does not wait; returns its token.
    pub fn send(&mut self, command: &str, params: &str) -> String {
        self.commands += 1;
        let token = self.commands.to_string();
        let text = json!({"command": command, "params": params, "token": token}).to_string();
        // One write: what stands in one segment is handled at one time.
        let _ = self.stream.write_all(format!("{}:{text},", text.len()).as_bytes());
        token
    }

    /// The last event since `since` that has this field, e.g. `id` for the Call-ID.
    pub fn last_field(&self, field: &str, since: Instant) -> Option<String> {
        let said = self.said.lock().unwrap();
        said.iter()
            .rev()
            .filter(|(at, _)| *at >= since)
            .find_map(|(_, value)| Some(value[field].as_str()?.to_owned()))
    }

    /// What the last event of this type since `since` says.
    pub fn last_param(&self, kind: &str, since: Instant) -> Option<String> {
        let said = self.said.lock().unwrap();
        let mut said = said.iter().rev();
        let (_, value) = said.find(|(at, value)| *at >= since && value["type"] == kind)?;
        Some(value["param"].as_str()?.to_owned())
    }

    /// The types of all events since `since`, in their order.
    pub fn events(&self, since: Instant) -> Vec<String> {
        let said = self.said.lock().unwrap();
        said.iter()
            .filter(|(at, _)| *at >= since)
            .filter_map(|(_, value)| Some(value["type"].as_str()?.to_owned()))
            .collect()
    }

    /// When the first event of this type since `since` came, e.g. `CALL_ESTABLISHED`; `None` after `limit`.
    pub fn event(&self, kind: &str, since: Instant, limit: Duration) -> Option<Instant> {
        let began = Instant::now();
        loop {
            let found = {
                let said = self.said.lock().unwrap();
                said.iter()
                    .find(|(at, value)| *at >= since && value["type"] == kind)
                    .map(|(at, _)| *at)
            };
            if found.is_some() || began.elapsed() > limit {
                return found;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Reads netstrings until the phone is gone.
fn read(mut stream: TcpStream, said: &Said) {
    let mut buffer = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut chunk) {
        buffer.extend_from_slice(&chunk[..length]);
        while let Some((text, rest)) = netstring(&buffer) {
            if let Ok(value) = serde_json::from_slice(text) {
                said.lock().unwrap().push((Instant::now(), value));
            }
            buffer.drain(..rest);
        }
    }
}

/// The first netstring of a buffer and where the next begins.
fn netstring(buffer: &[u8]) -> Option<(&[u8], usize)> {
    let colon = buffer.iter().position(|byte| *byte == b':')?;
    let length: usize = std::str::from_utf8(&buffer[..colon]).ok()?.parse().ok()?;
    let text = buffer.get(colon + 1..colon + 1 + length)?;
    buffer.get(colon + 1 + length)?;
    Some((text, colon + length + 2))
}
