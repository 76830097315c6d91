//! Several messages as one ZIP: written piece by piece as it is taken, never whole in memory, and no thread waits for a slow reader.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    mem,
    sync::{Arc, Mutex, PoisonError},
    vec,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use segue_manage::{Access, Exported, MessageView};
use segue_records::UnixMs;
use segue_store::MediaFile;
use serde::Serialize;
use zip::{
    CompressionMethod, DateTime, ZipWriter,
    write::{SimpleFileOptions, StreamWriter},
};

use crate::{media, problem::Problem};

mod name;

/// Bytes read at a time.
const PIECE: usize = 256 * 1024;
/// What the list in it is called.
const INDEX: &str = "index.json";

/// The messages as a file to save.
pub(crate) fn answer(access: Access, exported: Vec<Exported>) -> Result<Response, Problem> {
    let now = UnixMs(access.now_ms()).rfc3339();
    let day = now.get(..10).unwrap_or_default();
    let entries = entries(exported, &now)?;
    let length = length(&entries);
    let mut response = Body::from_stream(stream::unfold(Packing::new(access, entries), Packing::next)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"messages-{day}.zip\"")) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(response)
}

/// A file in the archive.
struct Entry {
    name: String,
    at: DateTime,
    from: From,
}

/// What is in it.
enum From {
    Here(Vec<u8>),
    Media(MediaFile),
}

impl Entry {
    fn bytes(&self) -> u64 {
        match &self.from {
            From::Here(bytes) => bytes.len() as u64,
            From::Media(file) => file.bytes,
        }
    }

    fn options(&self) -> SimpleFileOptions {
        SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(self.at)
            .large_file(self.bytes() >= u64::from(u32::MAX))
    }
}

/// A message in the index.
#[derive(Serialize)]
struct Indexed {
    /// The file that it is; `null`: it is still being prepared.
    file: Option<String>,
    #[serde(flatten)]
    message: MessageView,
}

/// The index, then each message's media.
fn entries(exported: Vec<Exported>, now: &str) -> Result<Vec<Entry>, Problem> {
    let mut taken = BTreeSet::from([INDEX.to_owned()]);
    let (mut index, mut files) = (Vec::new(), Vec::new());
    for Exported { message, media } in exported {
        let name = media.map(|file| {
            let name = name::of(&message, media::ending(&file.media_type), &mut taken);
            files.push(Entry {
                name: name.clone(),
                at: moment(&message.received_at),
                from: From::Media(file),
            });
            name
        });
        index.push(Indexed { file: name, message });
    }
    let index = serde_json::to_vec_pretty(&index).map_err(|_| Problem::fault())?;
    files.insert(
        0,
        Entry {
            name: INDEX.to_owned(),
            at: moment(now),
            from: From::Here(index),
        },
    );
    Ok(files)
}

/// A moment as archives have it, to two seconds and without a zone: UTC here.
fn moment(rfc3339: &str) -> DateTime {
    let part = |from: usize, to: usize| rfc3339.get(from..to).and_then(|digits| digits.parse::<u8>().ok());
    let year = rfc3339.get(..4).and_then(|digits| digits.parse().ok());
    let read = || {
        DateTime::from_date_and_time(
            year?,
            part(5, 7)?,
            part(8, 10)?,
            part(11, 13)?,
            part(14, 16)?,
            part(17, 19)?,
        )
        .ok()
    };
    read().unwrap_or_default()
}

/// How long the archive will be: as one of empty files is, and what is in them. `None`: longer than what archives of that shape may be.
fn length(entries: &[Entry]) -> Option<u64> {
    let sink = Sink::default();
    let mut zip = ZipWriter::new_stream(sink.clone());
    for entry in entries {
        zip.start_file(entry.name.as_str(), entry.options()).ok()?;
    }
    zip.finish().ok()?;
    let around = sink.take().len() as u64;
    let length = entries.iter().map(Entry::bytes).fold(around, u64::saturating_add);
    (length < u64::from(u32::MAX)).then_some(length)
}

/// Where an archive is written to, until it is sent.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn take(&self) -> Vec<u8> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An archive that is being written.
struct Packing {
    access: Access,
    sink: Sink,
    /// `None`: it is complete, or broke off.
    zip: Option<ZipWriter<StreamWriter<Sink>>>,
    left: vec::IntoIter<Entry>,
    /// The media that is being read, and how far.
    reading: Option<(MediaFile, u64)>,
}

impl Packing {
    fn new(access: Access, entries: Vec<Entry>) -> Packing {
        let sink = Sink::default();
        Packing {
            access,
            zip: Some(ZipWriter::new_stream(sink.clone())),
            sink,
            left: entries.into_iter(),
            reading: None,
        }
    }

    /// What is sent next. What is gone meanwhile breaks the answer off: an archive that lacks something would not say so.
    async fn next(mut self) -> Option<(io::Result<Bytes>, Packing)> {
        let mut zip = self.zip.take()?;
        let (access, sink, left, reading) = (self.access, self.sink, self.left, self.reading);
        let work = tokio::task::spawn_blocking(move || {
            let mut packing = Packing {
                access,
                sink,
                zip: None,
                left,
                reading,
            };
            let (result, goes_on) = match packing.piece(&mut zip) {
                Ok(true) => (Ok(()), Some(zip)),
                Ok(false) => (zip.finish().map(drop).map_err(io::Error::other), None),
                // Its end, which it writes when it is dropped, is not sent.
                Err(wrong) => (Err(wrong), None),
            };
            packing.zip = goes_on;
            (result.map(|()| Bytes::from(packing.sink.take())), packing)
        });
        work.await.ok()
    }

    /// Writes the next piece; whether there was one.
    fn piece(&mut self, zip: &mut ZipWriter<StreamWriter<Sink>>) -> io::Result<bool> {
        if let Some((file, at)) = self.reading.take().filter(|(file, at)| *at < file.bytes) {
            let max = usize::try_from(file.bytes.saturating_sub(at))
                .unwrap_or(PIECE)
                .min(PIECE);
            let piece = self.access.media_piece(&file, at, max);
            let piece = piece.map_err(|refusal| io::Error::other(refusal.to_string()))?;
            if piece.is_empty() {
                return Err(io::Error::other("the media ended early"));
            }
            zip.write_all(&piece)?;
            self.reading = Some((file, at.saturating_add(piece.len() as u64)));
            return Ok(true);
        }
        let Some(entry) = self.left.next() else {
            return Ok(false);
        };
        zip.start_file(entry.name.as_str(), entry.options())
            .map_err(io::Error::other)?;
        match entry.from {
            From::Here(bytes) => zip.write_all(&bytes)?,
            From::Media(file) => self.reading = Some((file, 0)),
        }
        Ok(true)
    }
}
