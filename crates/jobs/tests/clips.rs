//! Clips on their way into the store.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use common::*;
use segue_jobs::WorkerPool;
use segue_jobs::clips::{self, ClipError};
use segue_mailbox::RenditionProfile;
use segue_media::cache::Cache;
use segue_store::{NewClip, NewRendition, Store};

#[test]
fn a_file_becomes_a_clip_with_all_its_renditions() {
    let folder = tempfile::tempdir().unwrap();
    let (store, pool) = (Store::open(folder.path()).unwrap(), WorkerPool::new(worker("clips"), 1));
    let mut said = Vec::new();
    let input = marks(folder.path(), 2);
    let made = clips::prepare_and_store(&pool, &store, "hello", &input, &mut |percent| said.push(percent)).unwrap();
    assert!(said.len() > 5);
    assert_eq!(
        (made.name.as_str(), made.duration_ms, made.renditions.len()),
        ("hello", 2000, 20)
    );
    assert_eq!(store.clip("hello").unwrap(), made);
    let bytes = store
        .rendition(made.id, RenditionProfile::H264W640Mode0)
        .unwrap()
        .unwrap();
    assert_eq!(Cache::parse(&bytes).unwrap().loop_us, 2_000_000);
    assert_eq!(std::fs::read_dir(folder.path().join("work")).unwrap().count(), 0);
}

#[test]
fn what_is_no_clip_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (store, pool) = (
        Store::open(folder.path()).unwrap(),
        WorkerPool::new(worker("noclips"), 1),
    );
    let text = folder.path().join("a.txt");
    std::fs::write(&text, "no clip at all").unwrap();
    let error = clips::prepare_and_store(&pool, &store, "hello", &text, &mut |_| {}).unwrap_err();
    assert!(
        matches!(error, ClipError::Refused(_)) && error.code() == "refused",
        "{error}"
    );
    let error = clips::prepare_and_store(&pool, &store, segue_mailbox::BEEP_CLIP, &text, &mut |_| {}).unwrap_err();
    assert!(matches!(error, ClipError::Reserved));
    assert_eq!(store.clips().unwrap(), []);
    assert_eq!(std::fs::read_dir(folder.path().join("work")).unwrap().count(), 0);
}

#[test]
fn the_beep_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let (store, pool) = (Store::open(folder.path()).unwrap(), WorkerPool::new(worker("beep"), 1));
    let first = clips::ensure_beep(&pool, &store).unwrap();
    assert_eq!((first.duration_ms, first.renditions.len()), (400, 20));
    assert_eq!(clips::ensure_beep(&pool, &store).unwrap(), first);
}

#[test]
fn the_notice_of_a_full_mailbox_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let (store, pool) = (
        Store::open(folder.path()).unwrap(),
        WorkerPool::new(worker("notice"), 1),
    );
    let first = clips::ensure_notice(&pool, &store).unwrap();
    assert_eq!(clips::ensure_notice(&pool, &store).unwrap(), first);
    assert!(first.is_built_in() && first.missing().is_empty());
    let text = folder.path().to_string_lossy().into_owned();
    let error = clips::prepare_and_store(&pool, &store, &first.name, text.as_ref(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, ClipError::Reserved));
}

#[test]
fn a_beep_of_an_older_store_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (store, pool) = (
        Store::open(folder.path()).unwrap(),
        WorkerPool::new(worker("oldbeep"), 1),
    );
    let old = NewClip {
        name: segue_mailbox::BEEP_CLIP.to_owned(),
        duration_ms: 400,
        renditions: vec![NewRendition {
            profile: RenditionProfile::Pcmu,
            profile_level_id: None,
            cache: b"bytes".to_vec(),
        }],
        poster: None,
    };
    let old = store.put_clip(old).unwrap();
    assert!(old.missing().contains(&RenditionProfile::Opus));
    let made = clips::ensure_beep(&pool, &store).unwrap();
    assert_eq!((made.renditions.len(), made.missing()), (20, Vec::new()));
}

#[test]
fn an_older_clip_gains_what_it_lacks_from_whatever_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let (store, pool) = (Store::open(folder.path()).unwrap(), WorkerPool::new(worker("again"), 1));
    let input = marks(folder.path(), 2);
    let whole = clips::prepare_and_store(&pool, &store, "whole", &input, &mut |_| {}).unwrap();
    let read = |clip: i64, profile| Cache::parse(&store.rendition(clip, profile).unwrap().unwrap()).unwrap();
    let mode1 = RenditionProfile::H264W640Mode1;
    for (name, kept) in [
        ("vp8", [RenditionProfile::Pcma, RenditionProfile::Vp8W640]),
        ("h264", [RenditionProfile::Opus, mode1]),
    ] {
        let renditions = kept.map(|profile| NewRendition {
            profile,
            profile_level_id: whole
                .renditions
                .iter()
                .find(|r| r.profile == profile)
                .unwrap()
                .profile_level_id,
            cache: read(whole.id, profile).to_bytes(),
        });
        let older = NewClip {
            name: name.to_owned(),
            duration_ms: whole.duration_ms,
            renditions: renditions.to_vec(),
            poster: None,
        };
        let missing = store.put_clip(older).unwrap().missing();
        let (clip, added) = clips::refresh(&pool, &store, name, &mut |_| {}).unwrap();
        assert_eq!((added, clip.missing()), (missing, vec![]), "{name}");
        assert_eq!(store.clip(name).unwrap(), clip);
        for made in &clip.renditions {
            let (is, was) = (read(clip.id, made.profile), read(whole.id, made.profile));
            assert_eq!(
                (is.loop_us, is.loop_rtp),
                (was.loop_us, was.loop_rtp),
                "{name} {:?}",
                made.profile
            );
            let frames = |cache: &Cache| {
                cache
                    .entries
                    .iter()
                    .map(|e| e.time_us)
                    .collect::<std::collections::BTreeSet<_>>()
                    .len()
            };
            let (is, was) = (frames(&is), frames(&was));
            assert!(is.abs_diff(was) <= 1, "{name} {:?}: {is} and {was}", made.profile);
        }
        assert!(
            clip.renditions
                .iter()
                .any(|r| r.profile == mode1 && r.profile_level_id.is_some())
        );
        // The sound is there, as loud as it was: silence is a few values around zero in µ-law.
        let loud = |id| {
            let cache = read(id, RenditionProfile::Pcmu);
            let silent = |byte: &&u8| matches!(**byte, 0x7c..=0x7f | 0xfc..=0xff);
            cache.payload.len() - cache.payload.iter().filter(silent).count()
        };
        let (is, was) = (loud(clip.id), loud(whole.id));
        assert!(was > 1_000 && is.abs_diff(was) < was / 5, "{name}: {is} and {was}");
    }
    assert_eq!(std::fs::read_dir(folder.path().join("work")).unwrap().count(), 0);
}
