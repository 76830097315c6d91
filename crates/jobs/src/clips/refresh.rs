//! A clip that an older version prepared gains what this one makes besides. Its file is not kept: the best sound and picture that it
//! has are made a file again, of which a worker prepares the rest.

use std::{path::Path, time::Duration};

use segue_mailbox::{ClipInfo, Kind, RecordingManifest, RenditionProfile, StreamInfo};
use segue_media::{
    cache::{Cache, Entry},
    spool::{self, AUDIO_STREAM, RecordKind, VIDEO_STREAM},
    worker::{Job, Outcome},
};
use segue_store::{NewRendition, Store, StoreError};

use super::{ClipError, LIMIT, LONGEST_MS, WorkerError, WorkerPool, prepared, run, something_else};
use crate::work;

/// Sound to begin with, the best first, with its name and clock as SDP has them.
const SOUNDS: [(RenditionProfile, &str, u32); 5] = [
    (RenditionProfile::Opus, "opus", 48_000),
    (RenditionProfile::G722, "G722", 8_000),
    (RenditionProfile::AmrWb1265Be, "AMR-WB", 16_000),
    (RenditionProfile::Pcmu, "PCMU", 8_000),
    (RenditionProfile::Pcma, "PCMA", 8_000),
];

/// Pictures likewise.
const PICTURES: [(RenditionProfile, &str); 6] = [
    (RenditionProfile::H264W640Mode1, "H264"),
    (RenditionProfile::H264W640Mode0, "H264"),
    (RenditionProfile::Vp8W640, "VP8"),
    (RenditionProfile::H264W320Mode1, "H264"),
    (RenditionProfile::H264W320Mode0, "H264"),
    (RenditionProfile::Vp8W320, "VP8"),
];

/// Adds what `name` lacks ([`ClipInfo::missing`]), as far as this machine can make it; what was added. What it has stays as it
/// is, and calls that play it go on. `progress` gets 0 to 99.
///
/// # Errors
/// [`ClipError`]; nothing was changed then.
pub fn refresh(
    pool: &WorkerPool,
    store: &Store,
    name: &str,
    progress: &mut dyn FnMut(u8),
) -> Result<(ClipInfo, Vec<RenditionProfile>), ClipError> {
    let clip = store.clip(name)?;
    let read = |profile| Ok(store.rendition(clip.id, profile)?);
    let made = made_besides(pool, store.data_dir(), &clip, &read, progress)?;
    let added: Vec<RenditionProfile> = made.iter().map(|made| made.profile).collect();
    if added.is_empty() {
        return Ok((clip, added));
    }
    Ok((store.add_renditions(&clip, made)?, added))
}

/// Where the packet cache of a rendition comes from; `None`: the clip has been replaced or removed.
type Read<'a> = &'a dyn Fn(RenditionProfile) -> Result<Option<Vec<u8>>, ClipError>;

/// Makes what a clip lacks, in a folder of the data directory, for others to add.
///
/// # Errors
/// [`ClipError`].
pub fn made_besides(
    pool: &WorkerPool,
    data_dir: &Path,
    clip: &ClipInfo,
    read: Read<'_>,
    progress: &mut dyn FnMut(u8),
) -> Result<Vec<NewRendition>, ClipError> {
    let missing = clip.missing();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let (again, out) = (
        work::folder(data_dir, work::PREPARE)?,
        work::folder(data_dir, work::PREPARE)?,
    );
    let input = again.path().join(file_again(pool, read, clip, again.path(), LIMIT)?.0);
    let input = input.to_string_lossy().into_owned();
    let job = |out_dir| Job::PrepareClip {
        input,
        out_dir,
        // Codecs leave a little sound behind the end.
        longest_ms: LONGEST_MS.saturating_add(1_000),
    };
    let made = prepared(pool, &clip.name, out.path(), job, LIMIT, progress)?;
    let wanted = made
        .renditions
        .into_iter()
        .filter(|made| missing.contains(&made.profile));
    wanted.map(|made| fitted(made, clip.duration_ms)).collect()
}

/// Makes a file of the best sound and picture; its name in the folder, and its media type.
pub(super) fn file_again(
    pool: &WorkerPool,
    read: Read<'_>,
    clip: &ClipInfo,
    folder: &Path,
    limit: Duration,
) -> Result<(String, String), ClipError> {
    let has = |profile: RenditionProfile| clip.renditions.iter().any(|made| made.profile == profile);
    let sound = SOUNDS.into_iter().find(|(profile, ..)| has(*profile));
    let picture = PICTURES.into_iter().find(|(profile, _)| has(*profile));
    let sound = sound.map(|(profile, encoding, clock_rate)| (profile, AUDIO_STREAM, encoding, clock_rate));
    let picture = picture.map(|(profile, encoding)| (profile, VIDEO_STREAM, encoding, 90_000));
    let mut streams = Vec::new();
    let mut packets = Vec::new();
    for (profile, stream, encoding, clock_rate) in sound.into_iter().chain(picture) {
        let cache = cache(read, clip, profile)?;
        streams.push(StreamInfo {
            stream,
            payload_type: PAYLOAD_TYPE,
            encoding: encoding.to_owned(),
            clock_rate,
            fmtp: None,
        });
        let is_vp8 = encoding == "VP8";
        for (sequence, entry) in cache.entries.iter().enumerate() {
            let packet = packet(&cache, entry, sequence, stream, is_vp8);
            packets.push((u64::from(entry.time_us).saturating_mul(1_000), stream, packet));
        }
    }
    packets.sort_by_key(|(arrival_ns, ..)| *arrival_ns);
    let manifest = RecordingManifest {
        message_id: String::new(),
        purpose: segue_mailbox::Purpose::Message,
        mailbox: String::new(),
        call_id: String::new(),
        sip_call_id: String::new(),
        from: String::new(),
        from_name: None,
        started_at_ms: 0,
        kind: if picture.is_some() { Kind::Video } else { Kind::Audio },
        shortest_ms: 0,
        streams,
    };
    let mut bytes = Vec::new();
    let damaged = || ClipError::Refused(format!("what is stored of {} is damaged", clip.name));
    let manifest = serde_json::to_vec(&manifest).map_err(|_| damaged())?;
    spool::append(&mut bytes, RecordKind::Meta, 0, 0, &manifest).map_err(|_| damaged())?;
    for (arrival_ns, stream, packet) in packets {
        spool::append(&mut bytes, RecordKind::Rtp, stream, arrival_ns, &packet).map_err(|_| damaged())?;
    }
    let spool = folder.join("again.spool");
    std::fs::write(&spool, bytes)?;
    let out = folder.join("again");
    std::fs::create_dir(&out)?;
    let job = Job::Finalise {
        spool: spool.to_string_lossy().into_owned(),
        out_dir: out.to_string_lossy().into_owned(),
    };
    match run(pool, &job, limit, &mut |_| {})? {
        Outcome::Recording { file, media_type, .. } => Ok((format!("again/{file}"), media_type)),
        _ => Err(something_else()),
    }
}

/// Of both streams: each has a spool stream of its own.
const PAYLOAD_TYPE: u8 = 96;

/// A packet of a cache as RTP (RFC 3550 §5.1).
fn packet(cache: &Cache, entry: &Entry, sequence: usize, stream: u8, is_vp8: bool) -> Vec<u8> {
    const MARKER: u8 = 0x80;
    let marker = if stream == VIDEO_STREAM && entry.ends_frame() {
        MARKER
    } else {
        0
    };
    let mut packet = vec![0x80, marker | PAYLOAD_TYPE];
    // It wraps, as sequence numbers do.
    let [.., high, low] = sequence.to_be_bytes();
    packet.extend([high, low]);
    packet.extend(entry.rtp_time.to_be_bytes());
    packet.extend(u32::from(stream).saturating_add(1).to_be_bytes());
    if is_vp8 {
        // The least descriptor: S, partition 0 (RFC 7741 §4.2).
        packet.push(if entry.starts_frame() { 0x10 } else { 0 });
    }
    packet.extend_from_slice(cache.payload_of(entry));
    packet
}

fn cache(read: Read<'_>, clip: &ClipInfo, profile: RenditionProfile) -> Result<Cache, ClipError> {
    let bytes = read(profile)?.ok_or_else(|| StoreError::NotFound {
        what: "clip",
        name: clip.name.clone(),
    })?;
    Cache::parse(&bytes).map_err(|error| {
        ClipError::Refused(format!(
            "what is stored of {} as {}: {error}",
            clip.name,
            profile.name()
        ))
    })
}

/// The same with the loop of the clip: what is made again may be some milliseconds longer or shorter.
fn fitted(made: NewRendition, duration_ms: u64) -> Result<NewRendition, ClipError> {
    let broken = |what: String| ClipError::Worker(WorkerError::Failed(what));
    let cache = Cache::parse(&made.cache).map_err(|error| broken(error.to_string()))?;
    let loop_us = u32::try_from(duration_ms.saturating_mul(1_000)).unwrap_or(u32::MAX);
    let loop_rtp = duration_ms.saturating_mul(u64::from(cache.clock_rate)) / 1_000;
    let entries: Vec<Entry> = cache
        .entries
        .iter()
        .filter(|entry| entry.time_us < loop_us)
        .copied()
        .collect();
    let fitted = Cache {
        loop_us,
        loop_rtp: u32::try_from(loop_rtp).unwrap_or(u32::MAX),
        entries: entries.into(),
        ..cache
    };
    let bytes = fitted.to_bytes();
    // Nothing is stored that could not be played.
    Cache::parse(&bytes).map_err(|error| broken(error.to_string()))?;
    Ok(NewRendition { cache: bytes, ..made })
}
