//! Clips that subscribers have recorded by phone or uploaded: theirs alone to choose from, and not more than a few.

use rusqlite::{OptionalExtension, params};
use segue_mailbox::ClipInfo;

use crate::{Store, StoreError, clips};

/// Most recorded clips of one subscriber; the oldest go that are in no use.
const OWN_MAX: i64 = 5;

impl Store {
    /// Whether a subscriber may let callers see a clip: one that is there and that is not another's.
    pub fn may_use_clip(&self, user: &str, clip: &str) -> Result<bool, StoreError> {
        self.read(|db| {
            let may = "SELECT 1 FROM clip c WHERE c.name = ?1
                       AND NOT EXISTS (SELECT 1 FROM own_clip o WHERE o.clip = c.name AND o.subscriber <> ?2)";
            Ok(db.prepare_cached(may)?.exists([clip, user])?)
        })
    }

    /// The names of the clips that a subscriber may let callers see, see [`Store::may_use_clip`].
    pub fn clips_to_use(&self, user: &str) -> Result<Vec<String>, StoreError> {
        self.read(|db| {
            let names = "SELECT c.name FROM clip c
                         WHERE NOT EXISTS (SELECT 1 FROM own_clip o WHERE o.clip = c.name AND o.subscriber <> ?)
                         ORDER BY c.name";
            let mut query = db.prepare_cached(names)?;
            let names = query.query_map([user], |row| row.get(0))?;
            Ok(names.collect::<Result<_, _>>()?)
        })
    }

    /// Notes that a clip was recorded by a subscriber at `now_ms`. Those of theirs that are now too many, the oldest first and none that is
    /// in use, are returned: they are to be removed. Error: [`StoreError::NotFound`] for the subscriber.
    pub fn own_clip(&self, clip: &str, user: &str, now_ms: i64) -> Result<Vec<String>, StoreError> {
        let (clip, user) = (clip.to_owned(), user.to_owned());
        self.write(move |tx| {
            let known: i64 = tx
                .prepare_cached("SELECT count(*) FROM subscriber WHERE user = ?")?
                .query_row([&user], |row| row.get(0))?;
            if known == 0 {
                return Err(StoreError::not_found("subscriber", &user));
            }
            tx.prepare_cached("INSERT OR REPLACE INTO own_clip (clip, subscriber, recorded_at) VALUES (?, ?, ?)")?
                .execute(params![clip, user, now_ms])?;
            // Some may have been removed by a command.
            tx.prepare_cached("DELETE FROM own_clip WHERE subscriber = ? AND clip NOT IN (SELECT name FROM clip)")?
                .execute([&user])?;
            let mut unused = tx.prepare_cached(
                "SELECT clip FROM own_clip AS own WHERE subscriber = ?1 AND clip <> ?2 AND uploaded = 0
                     AND NOT EXISTS (SELECT 1 FROM subscriber WHERE clip = own.clip OR greeting = own.clip)
                     AND NOT EXISTS (SELECT 1 FROM rule WHERE clip = own.clip OR greeting = own.clip)
                 ORDER BY recorded_at, clip
                 LIMIT max(0, (SELECT count(*) FROM own_clip WHERE subscriber = ?1 AND uploaded = 0) - ?3)",
            )?;
            let too_many = unused.query_map(params![user, clip, OWN_MAX], |row| row.get(0))?;
            Ok(too_many.collect::<Result<_, _>>()?)
        })
    }

    /// What a subscriber may choose by phone: clips that they have recorded, the oldest first, after those in use, which come as the clip,
    /// the greeting, those of rules.
    pub fn clips_of(&self, user: &str) -> Result<Vec<ClipInfo>, StoreError> {
        self.read(|db| {
            let mut names = db.prepare_cached(
                "SELECT name FROM (
                     SELECT clip AS name, 0 AS place, 0 AS then_by FROM subscriber WHERE user = ?1
                     UNION ALL SELECT greeting, 1, 0 FROM subscriber WHERE user = ?1
                     UNION ALL SELECT clip, 2, place FROM rule WHERE subscriber = ?1
                     UNION ALL SELECT greeting, 2, place FROM rule WHERE subscriber = ?1
                     UNION ALL SELECT clip, 3, recorded_at FROM own_clip WHERE subscriber = ?1)
                 WHERE name IS NOT NULL ORDER BY place, then_by",
            )?;
            let names = names.query_map([user], |row| row.get::<_, String>(0))?;
            let mut found: Vec<ClipInfo> = Vec::new();
            for name in names {
                let name = name?;
                if found.iter().any(|clip| clip.name == name) {
                    continue;
                }
                found.extend(clips::by_name(db, &name)?);
            }
            Ok(found)
        })
    }

    /// Whose a clip is; `None`: everybody's. Error: [`StoreError::NotFound`].
    pub fn clip_owner(&self, clip: &str) -> Result<Option<String>, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT subscriber FROM clip LEFT JOIN own_clip ON clip = clip.name WHERE name = ?")?
                .query_row([clip], |row| row.get(0))
                .optional()?
                .ok_or_else(|| StoreError::not_found("clip", clip))
        })
    }
}
