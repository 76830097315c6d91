//! A browser that plays a message: what [`crate::page`] sees of a video in a file.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::page::Page;

/// How long it may take until enough has played.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the page saw of the video.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Played {
    /// `currentTime`, seconds.
    pub current_time: f64,
    /// `duration`, seconds.
    pub duration: f64,
    /// `videoWidth` and `videoHeight`.
    pub size: (u32, u32),
    /// `error.message`, empty when there is none.
    pub error: String,
}

/// Plays a file until `enough` seconds of it have played, and takes a screenshot; gives up after 20 s.
pub fn play(media: &Path, enough: f64, screenshot: &Path) -> Played {
    let folder = tempfile::tempdir().expect("a folder for the browser");
    let media = media.canonicalize().expect("the message");
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Segue</title><body style='margin:0;background:#222'>\
         <video src='file://{}' autoplay muted playsinline controls style='display:block;width:640px;height:360px'></video>",
        media.display()
    );
    let file = folder.path().join("page.html");
    fs::write(&file, html).expect("a page");
    let mut page = Page::open(folder.path());
    page.size(640, 420);
    page.goto(&format!("file://{}", file.display()));
    let began = Instant::now();
    loop {
        let played = seen(&mut page);
        if played.current_time >= enough || !played.error.is_empty() || began.elapsed() > PATIENCE {
            page.shot(screenshot, false);
            return played;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn seen(page: &mut Page) -> Played {
    let said = page.run(
        "(() => { const v = document.querySelector('video'); \
         return [v.currentTime, v.duration || 0, v.videoWidth, v.videoHeight, v.error ? v.error.message || 'error' : '']; })()",
    );
    let number = |at: usize| said[at].as_f64().expect("a number");
    Played {
        current_time: number(0),
        duration: number(1),
        size: (number(2) as u32, number(3) as u32),
        error: said[4].as_str().expect("a text").to_owned(),
    }
}

/// Where a screenshot that outlives the run is put.
pub fn screenshot_path(name: &str) -> PathBuf {
    let folder = crate::segue::repository().join("target/demo");
    fs::create_dir_all(&folder).expect("a folder for screenshots");
    folder.join(name)
}
