//! A browser on the pages of a running Segue: Debian's Chromium, driven by Playwright behind a script that speaks JSON lines
//! (`tests/browser/drive.mjs`). Selectors are Playwright's: CSS, `text=…`, `role=button[name="…"]`.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::segue::repository;

/// How long one deed may take; the script itself gives up after 10 s.
const PATIENCE: Duration = Duration::from_secs(30);

/// A visitor with a window. Dropped, it is gone.
#[derive(Debug)]
pub struct Page {
    child: Child,
    tell: Option<ChildStdin>,
    said: Receiver<Value>,
}

impl Page {
    /// Opens a window of 1280 by 800; its files are in `folder/browser`.
    pub fn open(folder: &Path) -> Page {
        let folder = folder.join("browser");
        fs::create_dir_all(&folder).expect("a browser's folder");
        let log = fs::File::create(folder.join("stderr")).expect("a browser's log");
        let mut child = Command::new("node")
            .arg(repository().join("tests/browser/drive.mjs"))
            .arg(repository().join("target/tools/browser"))
            .arg(folder.join("profile"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("node runs (make setup)");
        let (tell, lines) = (child.stdin.take(), child.stdout.take().expect("a pipe"));
        let (keep, said) = channel();
        thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                let Ok(value) = serde_json::from_str(&line) else { return };
                if keep.send(value).is_err() {
                    return;
                }
            }
        });
        let page = Page { child, tell, said };
        page.heard("a browser");
        page
    }

    /// Goes to an address; the status of what is there.
    #[track_caller]
    pub fn goto(&mut self, url: &str) -> u64 {
        let there = self.make(json!({"do": "goto", "url": url}));
        there["status"].as_u64().expect("a status")
    }

    /// Loads the page again.
    #[track_caller]
    pub fn reload(&mut self) {
        self.make(json!({"do": "reload"}));
    }

    /// Where it is.
    #[track_caller]
    pub fn url(&mut self) -> String {
        self.string(json!({"do": "url"}))
    }

    /// Clicks the first that fits.
    #[track_caller]
    pub fn click(&mut self, at: &str) {
        self.make(json!({"do": "click", "at": at}));
    }

    /// Writes into a field, in place of what is there.
    #[track_caller]
    pub fn fill(&mut self, at: &str, text: &str) {
        self.make(json!({"do": "fill", "at": at, "text": text}));
    }

    /// Chooses an option of a list by its value.
    #[track_caller]
    pub fn choose(&mut self, at: &str, value: &str) {
        self.make(json!({"do": "choose", "at": at, "value": value}));
    }

    /// Presses a key, e.g. `Enter`, where the focus is.
    #[track_caller]
    pub fn press(&mut self, key: &str) {
        self.make(json!({"do": "press", "key": key}));
    }

    /// Chooses a file in a field for files.
    #[track_caller]
    pub fn upload(&mut self, at: &str, file: &Path) {
        self.make(json!({"do": "upload", "at": at, "files": [file]}));
    }

    /// Presses what begins a download, keeps it as this file, and says what the page calls it.
    #[track_caller]
    pub fn download(&mut self, at: &str, file: &Path) -> String {
        let name = self.make(json!({"do": "download", "at": at, "file": file}));
        name.as_str().unwrap_or_default().to_owned()
    }

    /// Drags a file there and drops it.
    #[track_caller]
    pub fn drop_file(&mut self, at: &str, file: &Path, media_type: &str) {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
        self.make(json!({"do": "drop", "at": at, "file": file, "name": name, "type": media_type}));
    }

    /// Waits until it is to be seen.
    #[track_caller]
    pub fn wait_for(&mut self, at: &str) {
        self.make(json!({"do": "wait", "at": at}));
    }

    /// Waits until it is not to be seen.
    #[track_caller]
    pub fn wait_gone(&mut self, at: &str) {
        self.make(json!({"do": "wait", "at": at, "state": "hidden"}));
    }

    /// What a person reads there.
    #[track_caller]
    pub fn text(&mut self, at: &str) -> String {
        self.string(json!({"do": "text", "at": at}))
    }

    /// What a person reads in each that fits.
    #[track_caller]
    pub fn texts(&mut self, at: &str) -> Vec<String> {
        self.strings(json!({"do": "texts", "at": at}))
    }

    /// How many fit.
    #[track_caller]
    pub fn count(&mut self, at: &str) -> u64 {
        self.make(json!({"do": "count", "at": at})).as_u64().expect("a number")
    }

    /// An attribute of the first that fits.
    #[track_caller]
    pub fn attribute(&mut self, at: &str, name: &str) -> Option<String> {
        let value = self.make(json!({"do": "attribute", "at": at, "name": name}));
        value.as_str().map(str::to_owned)
    }

    /// What a script of the test says, e.g. `document.querySelector('video').currentTime`.
    #[track_caller]
    pub fn run(&mut self, script: &str) -> Value {
        self.make(json!({"do": "run", "script": script}))
    }

    /// Waits until a script of the test says something true.
    #[track_caller]
    pub fn wait_until(&mut self, script: &str) {
        self.make(json!({"do": "until", "script": script}));
    }

    /// A PNG of the window, or of the whole page.
    #[track_caller]
    pub fn shot(&mut self, file: &Path, whole: bool) {
        self.make(json!({"do": "shot", "file": file, "whole": whole}));
    }

    /// Makes the window so large, CSS pixels.
    #[track_caller]
    pub fn size(&mut self, width: u32, height: u32) {
        self.make(json!({"do": "size", "width": width, "height": height}));
    }

    /// As a person who wants it `light` or `dark`.
    #[track_caller]
    pub fn scheme(&mut self, scheme: &str) {
        self.make(json!({"do": "scheme", "scheme": scheme}));
    }

    /// Becomes somebody who was never here.
    #[track_caller]
    pub fn forget(&mut self) {
        self.make(json!({"do": "forget"}));
    }

    /// What went wrong unasked since the last time: errors of scripts, what the page's policy refused, failed loads.
    #[track_caller]
    pub fn troubles(&mut self) -> Vec<String> {
        self.strings(json!({"do": "troubles"}))
    }

    /// What axe finds here that is serious or critical for who uses a screen reader or the keyboard.
    #[track_caller]
    pub fn barriers(&mut self) -> Vec<String> {
        self.strings(json!({"do": "axe"}))
    }

    #[track_caller]
    fn string(&mut self, deed: Value) -> String {
        self.make(deed).as_str().expect("a text").to_owned()
    }

    #[track_caller]
    fn strings(&mut self, deed: Value) -> Vec<String> {
        let list = self.make(deed);
        let list = list.as_array().expect("a list").iter();
        list.map(|text| text.as_str().expect("a text").to_owned()).collect()
    }

    #[track_caller]
    fn make(&mut self, deed: Value) -> Value {
        let pipe = self.tell.as_mut().expect("a pipe");
        writeln!(pipe, "{deed}").expect("the browser listens");
        self.heard(&deed.to_string())
    }

    #[track_caller]
    fn heard(&self, deed: &str) -> Value {
        let said = self.said.recv_timeout(PATIENCE);
        let said = said.unwrap_or_else(|error| panic!("{deed}: {error}; see the browser's stderr"));
        match &said["error"] {
            Value::Null => said["ok"].clone(),
            error => panic!("{deed}: {error}"),
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // The end of its input: it closes Chromium, and ends.
        self.tell = None;
        for _ in 0..100 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
