//! H.264 pictures: NAL units put together, what is damaged left out, from the first key frame on.
#![deny(clippy::arithmetic_side_effects)]

use super::MS;
use super::clock::{TimedRun, Track};
use crate::h264::{self, Depacketiser};

/// After a loss the picture stands until the next key frame if that comes within this time. Of a sender that ignores every request for
/// one a smeared picture that moves is better: it is decoded with what is there and encoded anew.
const FREEZE_NS_MAX: i64 = 2000 * MS;
/// Two pictures are at least this far apart, so that times only grow.
const APART_NS_MIN: i64 = MS;

/// One picture (access unit).
#[derive(Debug, Clone)]
pub(super) struct Picture {
    /// When it is shown, nanoseconds from the beginning.
    pub time_ns: i64,
    /// H.264: its NAL units, a key frame beginning with its parameter sets. VP8: the frame.
    pub units: Vec<Vec<u8>>,
    /// An IDR picture or a VP8 key frame.
    pub key: bool,
    /// Pictures are missing before it.
    pub after_loss: bool,
}

/// The pictures of a track, beginning at a key frame that is shown from time zero.
pub(super) fn pictures(track: &Track, fmtp: &str) -> Vec<Picture> {
    let mut all: Vec<Picture> = track.runs.iter().flat_map(of_run).collect();
    complete_keys(&mut all, h264::sprop(fmtp));
    let has = |picture: &Picture, kind: u8| picture.units.iter().any(|unit| h264::nal_type(unit) == kind);
    decodable(all, |picture| {
        picture.key && has(picture, h264::SPS) && has(picture, h264::PPS)
    })
}

/// Leaves out what cannot be decoded, and puts the first picture that `begins` a stream at time zero, the others after it.
pub(super) fn decodable(all: Vec<Picture>, begins: impl Fn(&Picture) -> bool) -> Vec<Picture> {
    let mut kept = keep_decodable(all, begins);
    // Sound may begin before the first key frame; the picture then stands from the beginning.
    if let Some(first) = kept.first_mut() {
        first.time_ns = 0;
    }
    let mut last = APART_NS_MIN.saturating_neg();
    for picture in &mut kept {
        picture.time_ns = picture.time_ns.max(last.saturating_add(APART_NS_MIN));
        last = picture.time_ns;
    }
    kept
}

/// Whether the parameter sets change on the way: then the pictures cannot be copied into one MP4 track.
pub(super) fn sets_change(pictures: &[Picture]) -> bool {
    let first: Vec<_> = pictures.first().into_iter().flat_map(sets).collect();
    pictures.iter().skip(1).flat_map(sets).any(|set| !first.contains(&set))
}

/// Whether pictures refer to some that were lost: not every player would show a copy of them.
pub(super) fn refer_to_lost(pictures: &[Picture]) -> bool {
    pictures
        .iter()
        .skip(1)
        .any(|picture| picture.after_loss && !picture.key)
}

fn sets(picture: &Picture) -> impl Iterator<Item = &Vec<u8>> {
    picture
        .units
        .iter()
        .filter(|unit| matches!(h264::nal_type(unit), h264::SPS | h264::PPS))
}

/// A picture while its packets come.
#[derive(Default)]
struct Gathering {
    rtp: i64,
    time_ns: i64,
    units: Vec<Vec<u8>>,
    damaged: bool,
    after_loss: bool,
}

fn of_run(run: &TimedRun) -> Vec<Picture> {
    let mut done = Vec::new();
    let mut lost = Lost::default();
    let mut depacketiser = Depacketiser::default();
    let mut now: Option<Gathering> = None;
    let mut expected = None;
    let mut marked = false;
    for packet in &run.packets {
        let gap = expected.is_some_and(|seq| seq != packet.seq);
        expected = Some(packet.seq.saturating_add(1));
        if gap {
            depacketiser.lost();
        }
        let goes_on = now.as_ref().is_some_and(|picture| picture.rtp == packet.rtp);
        if !goes_on && let Some(mut picture) = now.take() {
            // Packets are missing after it and nothing said that it was whole.
            picture.damaged |= gap && !marked;
            close(picture, &mut lost, &mut done);
        }
        let picture = now.get_or_insert_with(|| Gathering {
            rtp: packet.rtp,
            time_ns: run.time_ns(packet),
            after_loss: gap,
            ..Gathering::default()
        });
        picture.damaged |= gap && goes_on;
        picture.damaged |= depacketiser.push(&packet.payload, &mut picture.units).is_err();
        marked = packet.marker;
    }
    if let Some(mut picture) = now {
        // Cut in the middle of a picture, unless it said that it ended.
        picture.damaged |= !marked;
        close(picture, &mut lost, &mut done);
    }
    done
}

/// What the next picture has to know of those before it.
#[derive(Default)]
struct Lost {
    /// Parameter sets that came on their own.
    sets: Vec<Vec<u8>>,
    /// A picture was left out.
    picture: bool,
}

fn close(picture: Gathering, lost: &mut Lost, done: &mut Vec<Picture>) {
    let Gathering {
        time_ns,
        units,
        damaged,
        after_loss,
        ..
    } = picture;
    lost.picture |= after_loss;
    let Some(first) = units.iter().find(|unit| h264::is_slice(unit)) else {
        lost.picture |= damaged;
        lost.sets.extend(units);
        return;
    };
    if damaged || !h264::starts_picture(first) {
        lost.picture = true;
        return;
    }
    let key = units.iter().any(|unit| h264::nal_type(unit) == h264::IDR);
    let units = std::mem::take(&mut lost.sets).into_iter().chain(units).collect();
    done.push(Picture {
        time_ns,
        units,
        key,
        after_loss: std::mem::take(&mut lost.picture),
    });
}

/// Puts the parameter sets in force in front of key frames that come without, first those that the sender announced in its SDP.
fn complete_keys(pictures: &mut [Picture], announced: Vec<Vec<u8>>) {
    let mut in_force = announced;
    for picture in pictures {
        let own: Vec<Vec<u8>> = sets(picture).cloned().collect();
        if own.iter().any(|unit| h264::nal_type(unit) == h264::SPS) {
            in_force = own;
        } else if picture.key {
            let rest: Vec<_> = std::mem::take(&mut picture.units);
            let new = |unit: &&Vec<u8>| !rest.contains(unit);
            picture.units = in_force.iter().filter(new).cloned().collect();
            picture.units.extend(rest);
        } else {
            in_force.extend(own);
        }
    }
}

/// Leaves out what cannot be decoded: everything before the first complete key frame, and after a loss what refers to it.
fn keep_decodable(all: Vec<Picture>, begins: impl Fn(&Picture) -> bool) -> Vec<Picture> {
    let keys: Vec<i64> = all
        .iter()
        .filter(|picture| begins(picture))
        .map(|picture| picture.time_ns)
        .collect();
    let mut kept: Vec<Picture> = Vec::new();
    let mut frozen = true;
    for picture in all {
        if begins(&picture) {
            frozen = false;
        } else if picture.after_loss && !kept.is_empty() {
            let near = picture.time_ns..picture.time_ns.saturating_add(FREEZE_NS_MAX);
            frozen = frozen || keys.iter().any(|key| near.contains(key));
        }
        if !frozen {
            kept.push(picture);
        }
    }
    kept
}
