//! Who may be called.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use rusqlite::{Connection, OptionalExtension, Row, params};
use segue_mailbox::ClipInfo;
use segue_policy::{AnswerAt, HoldOn, Language, Ring, Rule, Rules, Subscriber, TargetBy, Zone};

use crate::{Deed, Store, StoreError, audit, blobs::Blobs, clips, looking::Sought, names, pins, registrations, rules};

const COLUMNS: &str = "user, clip, hold_ms, no_answer_ms, greeting, ring, ring_ms, answer_at, hold_on, target_by, dnd, hours, zone, notify, \
     menu, language, caps";

/// Everything a new call needs to know about its callee, from one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The callee.
    pub subscriber: Subscriber,
    /// Their rules, with the contacts that these speak of.
    pub rules: Rules,
    /// The clips that rules name.
    pub named: Vec<ClipInfo>,
    /// Their clip.
    pub clip: Option<ClipInfo>,
    /// Their greeting.
    pub greeting: Option<ClipInfo>,
    /// The beep, when it has been prepared.
    pub beep: Option<ClipInfo>,
    /// The notice that the mailbox is full: somebody's own, else the built-in one when it has been prepared.
    pub full: Option<ClipInfo>,
}

/// A subscriber who comes with what they prove themselves by.
#[derive(Debug, Clone)]
pub struct NewSubscriber {
    /// The subscriber.
    pub subscriber: Subscriber,
    /// What their password is checked by, sealed, by realm.
    pub secrets: Option<Vec<(String, Vec<u8>)>>,
    /// What their PIN is checked by, sealed.
    pub pin: Option<Vec<u8>>,
}

/// What a subscriber proves themselves by, as far as it is to be another.
#[derive(Debug, Clone, Default)]
pub struct NewProofs {
    /// What their password is checked by, sealed, by realm; `None`: as it is.
    pub secrets: Option<Vec<(String, Vec<u8>)>>,
    /// What their PIN is checked by, sealed, or that they have none; `None`: as it is.
    pub pin: Option<Option<Vec<u8>>>,
    /// What is put down of that, beside the deed of who acts.
    pub deeds: Vec<Deed>,
}

impl NewProofs {
    fn put(&self, tx: &Connection, user: &str) -> Result<(), StoreError> {
        if let Some(secrets) = &self.secrets {
            registrations::put_secrets(tx, user, secrets)?;
        }
        if let Some(pin) = &self.pin {
            pins::put(tx, user, pin.as_deref())?;
        }
        self.deeds.iter().try_for_each(|deed| audit::insert(tx, deed))
    }
}

impl NewSubscriber {
    /// One who proves nothing yet.
    pub(crate) fn plain(subscriber: Subscriber) -> NewSubscriber {
        NewSubscriber {
            subscriber,
            secrets: None,
            pin: None,
        }
    }

    pub(crate) fn add(&self, tx: &Connection) -> Result<(), StoreError> {
        let user = &self.subscriber.user;
        if one(tx, user)?.is_some() {
            return Err(StoreError::Refused {
                why: format!("subscriber '{user}' exists already"),
                fix: format!("change it with 'segue subscriber set {user} ...'"),
            });
        }
        put(tx, &self.subscriber)?;
        if let Some(secrets) = &self.secrets {
            registrations::put_secrets(tx, user, secrets)?;
        }
        if let Some(pin) = &self.pin {
            pins::put(tx, user, Some(pin))?;
        }
        Ok(())
    }
}

impl Store {
    /// What a call to `user` meets; `None` when nobody of that name is a subscriber. Sees every committed change.
    pub fn lookup(&self, user: &str) -> Result<Option<Found>, StoreError> {
        self.read(|db| {
            let Some(subscriber) = one(db, user)? else {
                return Ok(None);
            };
            let named = |name: &Option<String>| match name {
                Some(name) => clips::by_name(db, name),
                None => Ok(None),
            };
            let clip = named(&subscriber.clip)?;
            let greeting = named(&subscriber.greeting)?;
            let beep = clips::by_name(db, segue_mailbox::BEEP_CLIP)?;
            let full = match clips::by_name(db, segue_mailbox::FULL_CLIP)? {
                None => clips::by_name(db, segue_mailbox::BUILT_IN_FULL_CLIP)?,
                own => own,
            };
            let rules = rules::rules(db, user)?;
            let mut names: Vec<&str> = rules.rules.iter().flat_map(Rule::clips).collect();
            names.sort_unstable();
            names.dedup();
            let named = names
                .into_iter()
                .filter_map(|name| clips::by_name(db, name).transpose());
            Ok(Some(Found {
                named: named.collect::<Result<_, _>>()?,
                rules,
                subscriber,
                clip,
                greeting,
                beep,
                full,
            }))
        })
    }

    /// One subscriber. Error: [`StoreError::NotFound`].
    pub fn subscriber(&self, user: &str) -> Result<Subscriber, StoreError> {
        self.read(|db| one(db, user)?.ok_or_else(|| StoreError::not_found("subscriber", user)))
    }

    /// All subscribers, by name.
    pub fn subscribers(&self) -> Result<Vec<Subscriber>, StoreError> {
        self.read(|db| {
            let mut all = db
                .prepare_cached(&format!("SELECT {COLUMNS} FROM subscriber ORDER BY user"))?
                .query_map([], subscriber)?
                .collect::<Result<Vec<_>, _>>()?;
            for subscriber in &mut all {
                read_targets(db, subscriber)?;
                names::read(db, subscriber)?;
            }
            Ok(all)
        })
    }

    /// Subscribers by name after one, at most `max`: those who have the text in name, number or alias, in whatever case; all by an empty one.
    pub fn find_subscribers(&self, text: &str, after: &str, max: usize) -> Result<Vec<Subscriber>, StoreError> {
        self.read(|db| {
            let users = match text {
                "" => db
                    .prepare_cached("SELECT user FROM subscriber WHERE user > ? ORDER BY user LIMIT ?")?
                    .query_map(params![after, i64::try_from(max).unwrap_or(i64::MAX)], |row| row.get(0))?
                    .collect::<Result<_, _>>()?,
                text => names::like(db, &Sought::new(text), after, max)?,
            };
            let all = users.iter().map(|user| one(db, user));
            all.filter_map(Result::transpose).collect()
        })
    }

    /// Adds a subscriber. Errors: [`StoreError::Refused`] when the name is taken, [`StoreError::NotFound`] when the
    /// clip or greeting is not there.
    pub fn add_subscriber(&self, new: Subscriber) -> Result<(), StoreError> {
        self.add_subscribers(vec![NewSubscriber::plain(new)])
            .map_err(|(_, error)| error)
    }

    /// Adds these subscribers with their passwords and PINs: all, or none. The error is that of the first that cannot be
    /// added, with its place among them; see [`Store::add_subscriber`].
    pub fn add_subscribers(&self, all: Vec<NewSubscriber>) -> Result<(), (usize, StoreError)> {
        let at = Arc::new(AtomicUsize::new(0));
        let place = Arc::clone(&at);
        let written = self.write(move |tx| {
            for (number, new) in all.iter().enumerate() {
                place.store(number, Ordering::Relaxed);
                new.add(tx)?;
            }
            Ok(())
        });
        written.map_err(|error| (at.load(Ordering::Relaxed), error))
    }

    /// Adds or replaces a subscriber. Error: [`StoreError::NotFound`] when the clip or greeting is not there.
    pub fn put_subscriber(&self, subscriber: Subscriber) -> Result<(), StoreError> {
        self.write(move |tx| put(tx, &subscriber))
    }

    /// Changes a subscriber in one transaction and returns the new facts; `change` cannot rename them.
    /// Error: [`StoreError::NotFound`] for the subscriber, or for the clip or greeting it names.
    pub fn change_subscriber(
        &self,
        user: &str,
        change: impl FnOnce(&mut Subscriber) + Send + 'static,
    ) -> Result<Subscriber, StoreError> {
        let changed = self.change_subscriber_if(user, |_| true, change)?;
        changed.ok_or_else(|| StoreError::not_found("subscriber", user))
    }

    /// The same for a subscriber who is as `is_so` wants them; `None`: they are not, and nothing was changed.
    pub fn change_subscriber_if(
        &self,
        user: &str,
        is_so: impl FnOnce(&Subscriber) -> bool + Send + 'static,
        change: impl FnOnce(&mut Subscriber) + Send + 'static,
    ) -> Result<Option<Subscriber>, StoreError> {
        let changed = self.try_change_subscriber(user, move |subscriber| {
            if !is_so(subscriber) {
                return Err(StoreError::Changed);
            }
            change(subscriber);
            Ok(())
        });
        match changed {
            Ok((subscriber, ())) => Ok(Some(subscriber)),
            Err(StoreError::Changed) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The same with what `change` says; its error leaves them as they are.
    pub fn try_change_subscriber<T: Send + 'static>(
        &self,
        user: &str,
        change: impl FnOnce(&mut Subscriber) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<(Subscriber, T), StoreError> {
        let user = user.to_owned();
        self.write(move |tx| {
            let mut subscriber = one(tx, &user)?.ok_or_else(|| StoreError::not_found("subscriber", &user))?;
            let done = change(&mut subscriber)?;
            subscriber.user = user;
            put(tx, &subscriber)?;
            Ok((subscriber, done))
        })
    }

    /// Changes a subscriber who is as `is_so` wants them, and what they prove themselves by: all of it, or nothing. Errors:
    /// [`StoreError::Changed`]; as [`Store::change_subscriber`].
    pub fn change_subscriber_and_proofs(
        &self,
        user: &str,
        proofs: NewProofs,
        is_so: impl FnOnce(&Subscriber) -> bool + Send + 'static,
        change: impl FnOnce(&mut Subscriber) + Send + 'static,
    ) -> Result<Subscriber, StoreError> {
        let user = user.to_owned();
        self.write(move |tx| {
            let mut subscriber = one(tx, &user)?.ok_or_else(|| StoreError::not_found("subscriber", &user))?;
            if !is_so(&subscriber) {
                return Err(StoreError::Changed);
            }
            change(&mut subscriber);
            subscriber.user = user;
            put(tx, &subscriber)?;
            proofs.put(tx, &subscriber.user)?;
            Ok(subscriber)
        })
    }

    /// Adds a subscriber, or has one be just this from now on, if what is there (`None`: nobody) is as `is_so` wants it. Whether they are
    /// new. Errors: [`StoreError::Changed`]; as [`Store::add_subscriber`].
    pub fn replace_subscriber(
        &self,
        subscriber: Subscriber,
        proofs: NewProofs,
        is_so: impl FnOnce(Option<&Subscriber>) -> bool + Send + 'static,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let before = one(tx, &subscriber.user)?;
            if !is_so(before.as_ref()) {
                return Err(StoreError::Changed);
            }
            put(tx, &subscriber)?;
            proofs.put(tx, &subscriber.user)?;
            Ok(before.is_none())
        })
    }

    /// Removes a subscriber, their rules and the clips of their own that nobody else shows. Their messages stay, listed under their name
    /// until deleted.
    ///
    /// Error: [`StoreError::NotFound`].
    pub fn remove_subscriber(&self, user: &str) -> Result<(), StoreError> {
        self.remove_subscriber_if(user, |_| true)
    }

    /// The same for one who is as `is_so` wants them. Errors: [`StoreError::NotFound`], [`StoreError::Changed`].
    pub fn remove_subscriber_if(
        &self,
        user: &str,
        is_so: impl FnOnce(&Subscriber) -> bool + Send + 'static,
    ) -> Result<(), StoreError> {
        let user = user.to_owned();
        let blobs = self.inner.blobs.clone();
        self.write(move |tx| {
            let now = one(tx, &user)?.ok_or_else(|| StoreError::not_found("subscriber", &user))?;
            if !is_so(&now) {
                return Err(StoreError::Changed);
            }
            remove(tx, &blobs, &user)
        })
    }
}

/// Takes a subscriber away with what is theirs alone; their messages stay.
pub(crate) fn remove(tx: &Connection, blobs: &Blobs, user: &str) -> Result<(), StoreError> {
    // What they have recorded themselves must not become everybody's; unless somebody else shows it already.
    let own = tx
        .prepare_cached(
            "SELECT clip.id FROM clip JOIN own_clip ON own_clip.clip = clip.name
             WHERE own_clip.subscriber = ?1
                 AND NOT EXISTS (SELECT 1 FROM subscriber s WHERE s.user <> ?1 AND clip.name IN (s.clip, s.greeting))
                 AND NOT EXISTS (SELECT 1 FROM rule r WHERE r.subscriber <> ?1 AND clip.name IN (r.clip, r.greeting))",
        )?
        .query_map([user], |row| row.get::<_, i64>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    tx.prepare_cached("DELETE FROM subscriber WHERE user = ?")?
        .execute([user])?;
    for clip in own {
        clips::delete_clip(tx, blobs, clip)?;
    }
    names::remove(tx, user)?;
    tx.prepare_cached("DELETE FROM retention WHERE mailbox = ?")?
        .execute([user])?;
    Ok(())
}

fn one(db: &Connection, user: &str) -> Result<Option<Subscriber>, StoreError> {
    let found = db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM subscriber WHERE user = ?"))?
        .query_row([user], subscriber)
        .optional()?;
    let Some(mut subscriber) = found else { return Ok(None) };
    read_targets(db, &mut subscriber)?;
    names::read(db, &mut subscriber)?;
    Ok(Some(subscriber))
}

fn read_targets(db: &Connection, subscriber: &mut Subscriber) -> Result<(), StoreError> {
    let mut query = db.prepare_cached("SELECT uri, own FROM target WHERE subscriber = ? ORDER BY place")?;
    let targets = query.query_map([&subscriber.user], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let targets = targets.collect::<Result<Vec<(String, bool)>, _>>()?;
    let own = targets.iter().filter(|(_, own)| *own);
    subscriber.own_targets = own.map(|(uri, _)| uri.clone()).collect();
    subscriber.targets = targets.into_iter().map(|(uri, _)| uri).collect();
    Ok(())
}

fn ring_word(ring: Ring) -> &'static str {
    match ring {
        Ring::Together => "together",
        Ring::InOrder => "in-order",
    }
}

fn answer_word(at: AnswerAt) -> &'static str {
    match at {
        AnswerAt::Greeting => "greeting",
        AnswerAt::AfterGreeting => "after_greeting",
    }
}

fn put(tx: &Connection, subscriber: &Subscriber) -> Result<(), StoreError> {
    let before = names::of(tx, &subscriber.user)?;
    for clip in [&subscriber.clip, &subscriber.greeting].into_iter().flatten() {
        if clips::by_name(tx, clip)?.is_none() {
            return Err(StoreError::not_found("clip", clip));
        }
    }
    tx.prepare_cached(
        "INSERT INTO subscriber (user, clip, hold_ms, no_answer_ms, greeting, ring, ring_ms, answer_at, hold_on,
                                 target_by, dnd, hours, zone, notify, menu, language, caps)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (user) DO UPDATE SET clip = excluded.clip, hold_ms = excluded.hold_ms,
             no_answer_ms = excluded.no_answer_ms, greeting = excluded.greeting, ring = excluded.ring,
             ring_ms = excluded.ring_ms, answer_at = excluded.answer_at, hold_on = excluded.hold_on,
             target_by = excluded.target_by, dnd = excluded.dnd, hours = excluded.hours, zone = excluded.zone,
             notify = excluded.notify, menu = excluded.menu, language = excluded.language, caps = excluded.caps",
    )?
    .execute(params![
        subscriber.user,
        subscriber.clip,
        subscriber.hold_ms,
        subscriber.no_answer_ms,
        subscriber.greeting,
        ring_word(subscriber.ring),
        subscriber.ring_ms,
        subscriber.answer_at.map(answer_word),
        match subscriber.hold_on {
            HoldOn::Clip => "clip",
            HoldOn::Greeting => "greeting",
        },
        match subscriber.target_by {
            TargetBy::Host => "host",
            TargetBy::NextHop => "next-hop",
        },
        subscriber.dnd,
        serde_json::to_string(&subscriber.hours).map_err(|e| StoreError::Corrupt(e.to_string()))?,
        subscriber.zone.to_string(),
        serde_json::to_string(&subscriber.notify).map_err(|e| StoreError::Corrupt(e.to_string()))?,
        subscriber.menu,
        subscriber.language.map(Language::name),
        serde_json::to_string(&subscriber.caps).map_err(|e| StoreError::Corrupt(e.to_string()))?,
    ])?;
    names::put(tx, subscriber, &before)?;
    tx.prepare_cached("DELETE FROM target WHERE subscriber = ?")?
        .execute([&subscriber.user])?;
    let mut add = tx.prepare_cached("INSERT INTO target (subscriber, place, uri, own) VALUES (?, ?, ?, ?)")?;
    for (place, uri) in subscriber.targets.iter().enumerate() {
        let own = subscriber.own_targets.contains(uri);
        add.execute(params![
            subscriber.user,
            i64::try_from(place).unwrap_or(i64::MAX),
            uri,
            own
        ])?;
    }
    Ok(())
}

fn subscriber(row: &Row<'_>) -> rusqlite::Result<Subscriber> {
    Ok(Subscriber {
        user: row.get(0)?,
        targets: Vec::new(),
        own_targets: Vec::new(),
        numbers: Vec::new(),
        aliases: Vec::new(),
        target_by: match row.get_ref(9)?.as_str()? {
            "next-hop" => TargetBy::NextHop,
            _ => TargetBy::Host,
        },
        clip: row.get(1)?,
        hold_ms: row.get(2)?,
        no_answer_ms: row.get(3)?,
        greeting: row.get(4)?,
        ring: match row.get_ref(5)?.as_str()? {
            "in-order" => Ring::InOrder,
            _ => Ring::Together,
        },
        ring_ms: row.get(6)?,
        hold_on: match row.get_ref(8)?.as_str()? {
            "greeting" => HoldOn::Greeting,
            _ => HoldOn::Clip,
        },
        answer_at: match row.get_ref(7)?.as_str_or_null()? {
            Some("greeting") => Some(AnswerAt::Greeting),
            Some("after_greeting") => Some(AnswerAt::AfterGreeting),
            _ => None,
        },
        dnd: row.get(10)?,
        // Both were checked when they were written.
        hours: serde_json::from_str(row.get_ref(11)?.as_str()?).unwrap_or_default(),
        zone: Zone::try_from(row.get::<_, String>(12)?).unwrap_or_default(),
        notify: serde_json::from_str(row.get_ref(13)?.as_str()?).unwrap_or_default(),
        menu: row.get(14)?,
        language: row.get_ref(15)?.as_str_or_null()?.and_then(|tag| tag.parse().ok()),
        caps: serde_json::from_str(row.get_ref(16)?.as_str()?).unwrap_or_default(),
    })
}
