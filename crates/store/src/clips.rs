//! Prepared clips and their packet caches.

use std::{fs::File, path::Path};

use rusqlite::{Connection, OptionalExtension, params};
use segue_mailbox::{ClipInfo, RenditionInfo, RenditionProfile};

use crate::{
    MediaFile, Store, StoreError,
    blobs::{BlobId, Blobs, Staged, read_all},
};

/// A clip as the worker prepared it.
#[derive(Debug, Clone)]
pub struct NewClip {
    /// Its name; one of that name is replaced.
    pub name: String,
    /// Playing time, milliseconds.
    pub duration_ms: u64,
    /// What was prepared, each profile once.
    pub renditions: Vec<NewRendition>,
    /// A still picture (JPEG).
    pub poster: Option<Vec<u8>>,
}

/// One packet cache of a new clip.
#[derive(Debug, Clone)]
pub struct NewRendition {
    /// Which codec and form.
    pub profile: RenditionProfile,
    /// Value for `profile-level-id` (RFC 6184 §8.1); H.264 only.
    pub profile_level_id: Option<[u8; 3]>,
    /// The packet cache.
    pub cache: Vec<u8>,
}

/// How a clip is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClipUsedAs {
    /// Callers see it.
    Clip,
    /// It asks for a message.
    Greeting,
    /// A rule names it.
    Rule,
}

/// A use of a clip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClipUsed {
    /// By which subscriber.
    pub user: String,
    /// How.
    pub how: ClipUsedAs,
    /// The rule's place, from 1; else 0.
    pub place: u32,
}

impl Store {
    /// Stores a clip in one transaction, replacing the one of that name; subscribers who name it get the new one. A
    /// call that plays the former one has its bytes already.
    ///
    /// Error: [`StoreError::Refused`] without a rendition.
    pub fn put_clip(&self, clip: NewClip) -> Result<ClipInfo, StoreError> {
        self.put_clip_if(clip, |_| Ok(()))
    }

    /// The same with more in its transaction, before the former clip goes; what that refuses is not done.
    pub(crate) fn put_clip_if(
        &self,
        clip: NewClip,
        more: impl FnOnce(&Connection) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<ClipInfo, StoreError> {
        if clip.renditions.is_empty() {
            return Err(StoreError::Refused {
                why: format!("clip '{}' has nothing to play", clip.name),
                fix: "give a file with audio or video".to_owned(),
            });
        }
        let mut caches = Vec::new();
        let staged = self.stage_clip(&clip, &mut caches);
        let blobs = self.inner.blobs.clone();
        let for_commit = caches.clone();
        let stored = staged.and_then(|poster| {
            self.write(move |tx| {
                more(tx)?;
                let all = for_commit.iter().map(|(_, staged)| *staged);
                for bytes in all.chain(poster) {
                    blobs.link(tx, bytes)?;
                }
                replace(tx, &blobs, &clip, &for_commit, poster)
            })
        });
        if stored.is_err() {
            let blobs = self.inner.blobs.clone();
            // Nothing was done: nothing is put down.
            let undo = move |tx: &Connection| caches.iter().try_for_each(|(_, bytes)| blobs.drop_bytes(tx, bytes.id));
            let _ = self.inner.writer.write(undo);
        }
        stored
    }

    /// Adds renditions to a clip in one transaction; what it has already stays, byte for byte. It gets a new row id, by which
    /// whoever keeps clips in memory knows that there is more; a call that plays it has its bytes already.
    ///
    /// Error: [`StoreError::NotFound`] when the clip of this row id has been replaced or removed meanwhile.
    pub fn add_renditions(&self, clip: &ClipInfo, renditions: Vec<NewRendition>) -> Result<ClipInfo, StoreError> {
        let (name, id, duration_ms) = (clip.name.clone(), clip.id, clip.duration_ms);
        let new = NewClip {
            name: name.clone(),
            duration_ms,
            renditions,
            poster: None,
        };
        let mut caches = Vec::new();
        let staged = self.stage_clip(&new, &mut caches);
        let blobs = self.inner.blobs.clone();
        let for_commit = caches.clone();
        let stored = staged.and_then(|_| {
            self.write(move |tx| {
                if by_name(tx, &name)?.is_none_or(|found| found.id != id) {
                    return Err(StoreError::not_found("clip", &name));
                }
                for (_, staged) in &for_commit {
                    blobs.link(tx, *staged)?;
                }
                // Names are unique, and none begins with a space.
                tx.prepare_cached("UPDATE clip SET name = ' ' || id WHERE id = ?")?
                    .execute([id])?;
                tx.prepare_cached(
                    "INSERT INTO clip (name, duration_ms, poster, preview, preview_type)
                     SELECT ?, duration_ms, poster, preview, preview_type FROM clip WHERE id = ?",
                )?
                .execute(params![name, id])?;
                let new = tx.last_insert_rowid();
                tx.prepare_cached("UPDATE rendition SET clip = ? WHERE clip = ?")?
                    .execute([new, id])?;
                tx.prepare_cached("DELETE FROM clip WHERE id = ?")?.execute([id])?;
                insert(tx, new, &for_commit)?;
                by_name(tx, &name)?.ok_or(StoreError::Stopped)
            })
        });
        if stored.is_err() {
            let blobs = self.inner.blobs.clone();
            // Nothing was done: nothing is put down.
            let undo = move |tx: &Connection| caches.iter().try_for_each(|(_, bytes)| blobs.drop_bytes(tx, bytes.id));
            let _ = self.inner.writer.write(undo);
        }
        stored
    }

    /// Brings in a clip's bytes: caches into `caches` (also those before an error), the poster as the result.
    fn stage_clip(
        &self,
        clip: &NewClip,
        caches: &mut Vec<(RenditionInfo, Staged)>,
    ) -> Result<Option<Staged>, StoreError> {
        for rendition in &clip.renditions {
            let staged = self.stage(&mut rendition.cache.as_slice())?;
            let info = RenditionInfo {
                profile: rendition.profile,
                bytes: staged.bytes,
                profile_level_id: rendition.profile_level_id,
            };
            caches.push((info, staged));
        }
        clip.poster
            .as_ref()
            .map(|poster| self.stage(&mut poster.as_slice()))
            .transpose()
    }

    /// One clip. Error: [`StoreError::NotFound`].
    pub fn clip(&self, name: &str) -> Result<ClipInfo, StoreError> {
        self.read(|db| by_name(db, name)?.ok_or_else(|| StoreError::not_found("clip", name)))
    }

    /// All clips by name, the beep among them.
    pub fn clips(&self) -> Result<Vec<ClipInfo>, StoreError> {
        self.read(|db| {
            let names = db
                .prepare_cached("SELECT name FROM clip ORDER BY name")?
                .query_map([], |row| row.get::<_, String>(0))?
                .collect::<Result<Vec<_>, _>>()?;
            let mut clips = Vec::new();
            for name in names {
                clips.extend(by_name(db, &name)?);
            }
            Ok(clips)
        })
    }

    /// Clips by name after one, at most `max`, without those that are built in; for a subscriber those that are theirs to use.
    pub fn clips_page(&self, user: Option<&str>, after: &str, max: usize) -> Result<Vec<ClipInfo>, StoreError> {
        self.read(|db| {
            let mut names = db.prepare_cached(
                "SELECT c.name FROM clip c LEFT JOIN own_clip o ON o.clip = c.name
                 WHERE c.name > ?1 AND (?2 IS NULL OR coalesce(o.subscriber, ?2) = ?2) ORDER BY c.name",
            )?;
            let mut names = names.query([Some(after), user])?;
            let mut clips = Vec::new();
            while clips.len() < max
                && let Some(row) = names.next()?
            {
                let clip = by_name(db, row.get_ref(0)?.as_str()?)?;
                clips.extend(clip.filter(|clip| !clip.is_built_in()));
            }
            Ok(clips)
        })
    }

    /// Where a clip is used: by all, or by a subscriber; the first `max` of each way, and how often in all.
    pub fn clip_uses(&self, clip: &str, user: Option<&str>, max: u32) -> Result<(Vec<ClipUsed>, u64), StoreError> {
        let of_one = if user.is_some() { "= ?2" } else { "IS NOT ?2" };
        // Who, the place, the table, its order.
        const BY_SUBSCRIBER: (&str, &str, &str, &str) = ("user", "0", "subscriber", "user");
        const BY_RULE: (&str, &str, &str, &str) = ("subscriber", "place + 1", "rule", "subscriber, place");
        self.read(|db| {
            let (mut uses, mut all) = (Vec::new(), 0_u64);
            for (from, column, how) in [
                (BY_SUBSCRIBER, "clip", ClipUsedAs::Clip),
                (BY_SUBSCRIBER, "greeting", ClipUsedAs::Greeting),
                (BY_RULE, "clip", ClipUsedAs::Rule),
                // A rule that names it twice is one use.
                (BY_RULE, "greeting", ClipUsedAs::Rule),
            ] {
                let (who, place, table, order) = from;
                let twice = if how == ClipUsedAs::Rule && column == "greeting" {
                    "AND clip IS NOT ?1"
                } else {
                    ""
                };
                let which = format!("FROM {table} WHERE {column} = ?1 AND {who} {of_one} {twice}");
                all = all.saturating_add(
                    db.prepare_cached(&format!("SELECT count(*) {which}"))?
                        .query_row(params![clip, user], |row| row.get(0))?,
                );
                let mut rows =
                    db.prepare_cached(&format!("SELECT {who}, {place} {which} ORDER BY {order} LIMIT ?3"))?;
                let rows = rows.query_map(params![clip, user, max], |row| {
                    let (user, place) = (row.get(0)?, row.get(1)?);
                    Ok(ClipUsed { user, how, place })
                })?;
                for row in rows {
                    uses.push(row?);
                }
            }
            Ok((uses, all))
        })
    }

    /// A clip's still picture (JPEG), or as what browsers play it; `None`: there is none (yet). Error: [`StoreError::NotFound`].
    pub fn clip_media(&self, clip: &str, poster: bool) -> Result<Option<MediaFile>, StoreError> {
        let (column, kind) = match poster {
            true => ("c.poster", "'image/jpeg'"),
            false => ("c.preview", "coalesce(c.preview_type, '')"),
        };
        self.read(|db| {
            let found: Option<Option<MediaFile>> = db
                .prepare_cached(&format!(
                    "SELECT b.id, {kind}, b.bytes FROM clip c LEFT JOIN blob b ON b.id = {column} WHERE c.name = ?"
                ))?
                .query_row([clip], |row| {
                    let (blob, media_type, bytes) = (row.get(0)?, row.get(1)?, row.get(2)?);
                    Ok(Option::zip(blob, bytes).map(|(blob, bytes)| MediaFile::new(blob, media_type, bytes)))
                })
                .optional()?;
            found.ok_or_else(|| StoreError::not_found("clip", clip))
        })
    }

    /// Keeps as what browsers play this clip. Error: [`StoreError::NotFound`] when it was replaced or removed meanwhile.
    pub fn set_clip_preview(&self, clip: i64, media_type: &str, file: &Path) -> Result<(), StoreError> {
        let mut file = File::open(file).map_err(|error| StoreError::Io(error.to_string()))?;
        let staged = self.stage(&mut file)?;
        let (blobs, media_type) = (self.inner.blobs.clone(), media_type.to_owned());
        let kept = self.write(move |tx| {
            blobs.link(tx, staged)?;
            let done = tx
                .prepare_cached("UPDATE clip SET preview = ?, preview_type = ? WHERE id = ? AND preview IS NULL")?
                .execute(params![staged.id.0, media_type, clip])?;
            if done == 0 {
                return Err(StoreError::not_found("clip", &clip.to_string()));
            }
            Ok(())
        });
        if kept.is_err() {
            let blobs = self.inner.blobs.clone();
            let _ = self.inner.writer.write(move |tx| blobs.drop_bytes(tx, staged.id));
        }
        kept
    }

    /// Removes a clip. Errors: [`StoreError::NotFound`]; [`StoreError::Refused`] while a subscriber names it.
    pub fn remove_clip(&self, name: &str) -> Result<(), StoreError> {
        let name = name.to_owned();
        let blobs = self.inner.blobs.clone();
        self.write(move |tx| {
            let clip = by_name(tx, &name)?.ok_or_else(|| StoreError::not_found("clip", &name))?;
            let users = tx
                .prepare_cached("SELECT user FROM subscriber WHERE clip = ?1 OR greeting = ?1 ORDER BY user LIMIT 5")?
                .query_map([&name], |row| row.get::<_, String>(0))?
                .collect::<Result<Vec<_>, _>>()?;
            let by_rule: Option<(String, u32)> = tx
                .prepare_cached("SELECT subscriber, place + 1 FROM rule WHERE clip = ?1 OR greeting = ?1 LIMIT 1")?
                .query_row([&name], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            if let Some((user, place)) = by_rule {
                return Err(StoreError::Refused {
                    why: format!("clip '{name}' is used by rule {place} of {user}"),
                    fix: format!("remove that rule first: 'segue rule remove {user} {place}'"),
                });
            }
            if let Some(user) = users.first() {
                return Err(StoreError::Refused {
                    why: format!("clip '{name}' is used by {}", users.join(", ")),
                    fix: format!("give them another first, e.g. 'segue subscriber set {user} --clip none'"),
                });
            }
            delete_clip(tx, &blobs, clip.id)?;
            // Whoever gives another clip this name later owns that one.
            tx.prepare_cached("DELETE FROM own_clip WHERE clip = ?")?
                .execute([&name])?;
            Ok(())
        })
    }

    /// The packet cache of a clip, by the clip's row id; `None` when the clip has been replaced or removed, or has no
    /// such rendition.
    pub fn rendition(&self, clip: i64, profile: RenditionProfile) -> Result<Option<Vec<u8>>, StoreError> {
        let blobs = self.inner.blobs.clone();
        self.read_media(|db| {
            let cache: Option<i64> = db
                .prepare_cached("SELECT cache FROM rendition WHERE clip = ? AND profile = ?")?
                .query_row(params![clip, profile.name()], |row| row.get(0))
                .optional()?;
            cache.map(|cache| read_all(&blobs, db, BlobId(cache))).transpose()
        })
    }
}

/// A clip and its renditions.
pub(crate) fn by_name(db: &Connection, name: &str) -> Result<Option<ClipInfo>, StoreError> {
    let row: Option<(i64, u64)> = db
        .prepare_cached("SELECT id, duration_ms FROM clip WHERE name = ?")?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((id, duration_ms)) = row else {
        return Ok(None);
    };
    let rows = db
        .prepare_cached(
            "SELECT profile, profile_level_id, bytes FROM rendition JOIN blob ON blob.id = cache WHERE clip = ?",
        )?
        .query_map([id], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, Option<Vec<u8>>>(1)?,
                row.get::<_, u64>(2)?,
            ))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    // A profile this build does not know was written by a later one: not for us.
    let mut renditions: Vec<RenditionInfo> = rows
        .into_iter()
        .filter_map(|(profile, level, bytes)| {
            Some(RenditionInfo {
                profile: RenditionProfile::from_name(&profile)?,
                bytes,
                profile_level_id: level.and_then(|level| level.try_into().ok()),
            })
        })
        .collect();
    renditions.sort_by_key(|r| r.profile);
    Ok(Some(ClipInfo {
        id,
        name: name.to_owned(),
        duration_ms,
        renditions,
    }))
}

fn replace(
    tx: &Connection,
    blobs: &Blobs,
    clip: &NewClip,
    caches: &[(RenditionInfo, Staged)],
    poster: Option<Staged>,
) -> Result<ClipInfo, StoreError> {
    if let Some(former) = by_name(tx, &clip.name)? {
        delete_clip(tx, blobs, former.id)?;
    }
    tx.prepare_cached("INSERT INTO clip (name, duration_ms, poster) VALUES (?, ?, ?)")?
        .execute(params![clip.name, clip.duration_ms, poster.map(|p| p.id.0)])?;
    insert(tx, tx.last_insert_rowid(), caches)?;
    by_name(tx, &clip.name)?.ok_or(StoreError::Stopped)
}

/// Renditions of a clip.
fn insert(tx: &Connection, clip: i64, caches: &[(RenditionInfo, Staged)]) -> Result<(), StoreError> {
    for (info, staged) in caches {
        tx.prepare_cached("INSERT INTO rendition (clip, profile, profile_level_id, cache) VALUES (?, ?, ?, ?)")?
            .execute(params![
                clip,
                info.profile.name(),
                info.profile_level_id.as_ref().map(<[u8; 3]>::as_slice),
                staged.id.0
            ])?;
    }
    Ok(())
}

/// Deletes a clip's row, its renditions and all their bytes.
pub(crate) fn delete_clip(tx: &Connection, blobs: &Blobs, clip: i64) -> Result<(), StoreError> {
    let mut bytes = tx
        .prepare_cached("SELECT cache FROM rendition WHERE clip = ?")?
        .query_map([clip], |row| row.get::<_, i64>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    let shown: [Option<i64>; 2] = tx
        .prepare_cached("SELECT poster, preview FROM clip WHERE id = ?")?
        .query_row([clip], |row| Ok([row.get(0)?, row.get(1)?]))?;
    bytes.extend(shown.into_iter().flatten());
    tx.prepare_cached("DELETE FROM rendition WHERE clip = ?")?
        .execute([clip])?;
    tx.prepare_cached("DELETE FROM clip WHERE id = ?")?.execute([clip])?;
    for blob in bytes {
        blobs.drop_bytes(tx, BlobId(blob))?;
    }
    Ok(())
}
