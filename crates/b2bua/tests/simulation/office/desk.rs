//! The store, which is a real one on the disk, and the packet path at the shard's side.

use std::{path::Path, time::Instant};

use segue_b2bua::CallKey;
use segue_call::{Lookup, MediaAction, MediaEvent, StoreAction, StoreReply};
use segue_mailbox::{Keeping, Kind, MediaState, Message, Purpose, RecordingManifest};
use segue_policy::{Plan, Profile};
use segue_records::{Happening, RegistrationRecord, UnixMs};
use segue_registrar::mwi::{Count, Summary};
use segue_store::{Deposit, Follower, MediaSource, Reserve, Store};
use tempfile::TempDir;

use super::{
    setup::{Deed, PIN, Setup, TEAM, name},
    shelf::Shelf,
    world::{Pending, World},
};
use crate::{
    dice::{MS, Time},
    media_model::Fires,
    store_model::{Places, clip},
};

/// A recording, as far as it is.
struct Take {
    manifest: RecordingManifest,
    began: Time,
    /// Synced, with its length.
    duration_ms: Option<u64>,
}

pub struct Desk {
    dir: TempDir,
    pub(super) store: Store,
    follower: Follower,
    pub shelf: Shelf,
    pub places: Places,
    spool: std::collections::BTreeMap<String, Take>,
    /// Messages that were synced, and those of them that were too short.
    pub synced: Vec<String>,
    pub dropped: Vec<String>,
}

fn open(dir: &Path) -> (Store, Follower) {
    let store = Store::open(dir).expect("a store");
    let follower = store.follow(store.last_change().expect("changes")).expect("a follower");
    (store, follower)
}

impl Desk {
    pub fn new(setup: &Setup) -> Desk {
        // In memory where that can be: nothing here is about the disk.
        let memory = Path::new("/dev/shm");
        let dir = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let dir = dir.expect("a directory");
        let (store, follower) = open(dir.path());
        for subscriber in &setup.subscribers {
            store.add_subscriber(subscriber.clone()).expect("a subscriber");
            if subscriber.user != TEAM {
                let pin = Some(PIN.as_bytes().to_vec());
                store.set_pin(&subscriber.user, pin).expect("a PIN");
            }
        }
        for member in &setup.members {
            store.add_member(TEAM, &name(*member)).expect("a member");
        }
        Desk {
            dir,
            store,
            follower,
            shelf: Shelf::default(),
            places: Places::default(),
            spool: Default::default(),
            synced: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// The process is another; what was registered.
    pub fn restart(&mut self, now: UnixMs) -> Vec<RegistrationRecord> {
        let path = self.dir.path().to_owned();
        (self.store, self.follower) = open(&path);
        self.places = Places::default();
        self.store.registrations(None, now).expect("registrations")
    }

    pub fn save(&self, user: String, all: Vec<RegistrationRecord>) {
        self.store.save_registrations(vec![(user, all)]).expect("kept");
    }

    pub fn release(&mut self, mailbox: &str, message_id: &str) {
        self.places.released(message_id);
        self.store.release(mailbox, message_id);
    }

    /// Recordings that nobody deposits any more.
    pub fn left(&self) -> Vec<String> {
        self.spool.keys().cloned().collect()
    }

    /// It has become something else.
    pub fn forget(&mut self, recording: &str) {
        self.spool.remove(recording);
        self.dropped.push(recording.to_owned());
    }

    pub fn reservations(&self) -> u64 {
        self.store.reservations()
    }

    pub fn summary(&self, user: &str) -> Summary {
        let waiting = self.store.waiting(user).expect("counts");
        let count = |count: segue_mailbox::Count| Count {
            new: count.new,
            old: count.old,
            urgent_new: count.urgent_new,
            urgent_old: count.urgent_old,
        };
        Summary {
            voice: count(waiting.voice),
            video: count(waiting.video),
        }
    }

    fn look_up(&self, user: &str, calling: Option<&segue_policy::Calling>, profile: &Profile) -> StoreReply {
        let number = profile.normalise(user).number;
        let owner = number.and_then(|number| self.store.owner_of(&number).expect("an owner"));
        let user = owner.as_deref().unwrap_or(user);
        let Some(found) = self.store.lookup(user).expect("a look-up") else {
            return StoreReply::NotFound;
        };
        let mut plan = Plan::new(&found.subscriber, profile);
        if let Some(calling) = calling {
            plan.decide(&found.subscriber, &found.rules, profile, calling, false);
        }
        StoreReply::Found(Box::new(Lookup {
            clip: Some(clip(1, "clip")),
            greeting: Some(clip(2, "greeting")),
            beep: Some(clip(3, "beep")),
            full: None,
            prompts: Some(clip(0, "prompts")),
            named: Vec::new(),
            plan,
        }))
    }

    fn reserve(&self, wanted: &Reserve, now: Instant) -> StoreReply {
        match self.store.reserve(wanted, now).expect("a place") {
            Ok(grant) => StoreReply::Reserved {
                mailbox: wanted.mailbox.clone(),
                message_id: wanted.message_id.clone(),
                longest_ms: grant.longest_ms,
                longest_bytes: grant.longest_bytes,
            },
            Err(rule) => StoreReply::MailboxFull { rule },
        }
    }

    /// Each mailbox has what it must have, as it must be.
    pub fn is_as_it_must_be(&self) -> Result<(), String> {
        for user in self.store.subscribers().expect("subscribers") {
            let user = user.user;
            for deleted in [false, true] {
                let kept = match deleted {
                    true => self.store.trash(&user),
                    false => self.store.messages(&user),
                };
                let kept = kept.expect("messages");
                let all = self.shelf.of(&user, deleted);
                let is = |message: &Message| {
                    (
                        message.id.clone(),
                        message.kind == Kind::Video,
                        message.urgent,
                        message.heard_at_ms.is_some(),
                    )
                };
                let mut kept: Vec<_> = kept.iter().map(is).collect();
                kept.sort();
                let must: Vec<_> = all
                    .into_iter()
                    .map(|(id, item)| (id.clone(), item.video, item.urgent, item.heard))
                    .collect();
                if kept != must {
                    return Err(format!(
                        "{user} (deleted: {deleted}) has {kept:?}, and must have {must:?}"
                    ));
                }
            }
        }
        Ok(())
    }
}

impl World {
    pub(super) fn perform(&mut self, key: CallKey, action: MediaAction) {
        let text: String = format!("     {key:?} {action:?}").chars().take(160).collect();
        self.note(text);
        if let Some(visit) = self.visits.get_mut(&key) {
            visit.does(self.now, &action);
        }
        if action == MediaAction::Close {
            // What is still recorded is synced without its call: it becomes a message, or is dropped.
            let takes = self.desk.spool.iter();
            let left = takes.filter(|(_, take)| {
                take.duration_ms.is_none() && Some(&take.manifest.sip_call_id) == self.keys.get(&key)
            });
            for id in left.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
                self.deposit(&id, false);
                self.mark("a recording outlived its call");
            }
        }
        if let MediaAction::Record { manifest, .. } = &action {
            let take = Take {
                manifest: manifest.clone(),
                began: self.now,
                duration_ms: None,
            };
            let before = self.desk.spool.insert(manifest.message_id.clone(), take);
            assert!(before.is_none(), "two recordings of one name");
        }
        let script = match self.call_of(key) {
            Some(call) if call < self.setup.calls.len() => self.setup.calls[call].media.clone(),
            _ => crate::media_model::MediaScript::plain(),
        };
        for (at, fires) in self.media.perform(self.now, key, &action, &script) {
            self.later(at, Pending::Fires(self.life, key, fires));
        }
    }

    pub(super) fn fire(&mut self, key: CallKey, fires: Fires) {
        let (events, more) = self.media.fire(self.now, key, fires, |_| None);
        for (at, fires) in more {
            self.later(at, Pending::Fires(self.life, key, fires));
        }
        for event in events {
            let call_id = self.keys.get(&key).cloned();
            let of_call = |take: &Take| Some(&take.manifest.sip_call_id) == call_id.as_ref();
            let mut takes = self.desk.spool.iter_mut();
            let take = takes.rfind(|(_, take)| of_call(take) && take.duration_ms.is_none());
            match (&event, take) {
                (MediaEvent::Recorded { duration_ms }, Some((id, take))) => {
                    take.duration_ms = Some(*duration_ms);
                    self.desk.synced.push(id.clone());
                }
                (MediaEvent::RecordFailed { .. }, Some((id, _))) => {
                    let id = id.clone();
                    self.desk.spool.remove(&id);
                }
                _ => {}
            }
            self.tell(key, event);
        }
    }

    pub(super) fn store(&mut self, key: CallKey, action: StoreAction) {
        self.note(format!("     {key:?} {action:?}"));
        let soon = self.now + self.dice.between(0, 50 * MS);
        match action {
            StoreAction::Lookup { user, calling, .. } => {
                let reply = self.desk.look_up(&user, calling.as_ref(), &self.setup.profile);
                self.later(soon, Pending::Store(self.life, key, reply));
            }
            StoreAction::Reserve {
                mailbox,
                message_id,
                from,
                ask,
            } => {
                let wanted = Reserve {
                    message_id,
                    mailbox,
                    from,
                    ask,
                };
                let reply = self.desk.reserve(&wanted, self.instant().mono);
                self.later(soon, Pending::Store(self.life, key, reply));
            }
            StoreAction::Release { mailbox, message_id } => self.desk.release(&mailbox, &message_id),
            StoreAction::Deposit { message_id, urgent } => {
                let takes = self
                    .call_of(key)
                    .and_then(|call| self.setup.calls.get(call))
                    .map_or(0, |call| call.deposit_takes);
                let at = self.now + takes;
                self.later(at, Pending::Deposit(self.life, key, message_id, urgent));
            }
            StoreAction::Mailbox(action) => self.mailbox(key, *action),
            StoreAction::Hold { .. } => {}
            StoreAction::Preview { message_id } => {
                let why = "no worker is free".into();
                let reply = match self.dice.chance(70) {
                    true => StoreReply::Previewed {
                        message_id,
                        clip: clip(9, "take"),
                    },
                    false => StoreReply::PreviewFailed { message_id, why },
                };
                self.later(soon, Pending::Store(self.life, key, reply));
            }
            StoreAction::Discard { message_id } => {
                self.desk.spool.remove(&message_id);
                self.desk.dropped.push(message_id);
            }
        }
    }

    /// A recording becomes a message, if it is one.
    pub(super) fn deposit(&mut self, id: &str, urgent: bool) -> StoreReply {
        let (now, wall) = (self.now, self.instant().wall.0);
        let Some(Take {
            manifest,
            began,
            duration_ms,
        }) = self.desk.spool.remove(id)
        else {
            return StoreReply::DepositFailed { why: "no spool".into() };
        };
        let lasted = duration_ms.unwrap_or((now - began) / MS);
        if lasted < manifest.shortest_ms || manifest.purpose == Purpose::Greeting {
            self.desk.dropped.push(id.to_owned());
            return StoreReply::DepositFailed {
                why: "too short".into(),
            };
        }
        let mailbox = manifest.mailbox.clone();
        let message = Message {
            id: manifest.message_id,
            mailbox: manifest.mailbox,
            call_id: manifest.call_id,
            sip_call_id: manifest.sip_call_id,
            from: manifest.from,
            from_name: manifest.from_name,
            received_at_ms: manifest.started_at_ms,
            heard_at_ms: None,
            duration_ms: lasted,
            kind: manifest.kind,
            media_state: MediaState::Ready,
            bytes: 0,
            interrupted: duration_ms.is_none(),
            urgent,
            keeping: Keeping::default(),
        };
        let video = message.kind == Kind::Video;
        let deposit = Deposit {
            message,
            media: MediaSource::Bytes(vec![7; 64]),
            media_type: "video/mp4".into(),
            poster: None,
        };
        self.desk.store.deposit_at(deposit, wall).expect("a message");
        self.desk.places.deposited(id);
        // A group has no messages: each of its members has one.
        let owners: Vec<String> = match mailbox == TEAM {
            true => self.setup.members.iter().map(|member| name(*member)).collect(),
            false => vec![mailbox],
        };
        for (place, owner) in owners.into_iter().enumerate() {
            let id = if place == 0 {
                id.to_owned()
            } else {
                format!("{id}-{}", place + 1)
            };
            self.desk.shelf.change(now, &owner, &id, |item| {
                (item.video, item.urgent) = (video, urgent);
            });
            if place > 0 {
                self.mark("a message was left for several");
            }
        }
        if urgent {
            self.mark("an urgent message was left");
        }
        self.mark("a message was left");
        self.changed();
        let message_id = id.to_owned();
        StoreReply::Deposited { message_id }
    }

    /// A command beside the server.
    pub(super) fn do_deed(&mut self, at: usize) {
        let (_, user, which, deed) = self.setup.deeds[at];
        let (user, now) = (name(user), self.instant());
        if deed == Deed::Unregister {
            if self.is_up {
                self.note(format!("     {user} is unregistered by a command"));
                self.roll.remove_all(&user);
                self.shard.handle_removal(now, &user, None);
                self.mark("unregistered by a command");
            }
            return;
        }
        if deed == Deed::Unlock {
            self.note(format!("     the PIN of {user} is unlocked by a command"));
            let was_locked = self.desk.store.unlock_pin(&user, now.wall.0).expect("unlocked");
            let outcome = self.pins.unlocked(&user, now.wall.0, was_locked);
            if let Some(mark) = self.must(outcome) {
                self.mark(mark);
            }
            return;
        }
        let of = self.desk.shelf.of(&user, deed == Deed::Restore);
        let Some(id) = of
            .get(usize::try_from(which).expect("few") % of.len().max(1))
            .map(|(id, _)| (*id).clone())
        else {
            return;
        };
        self.note(format!("     {deed:?} {id} of {user}"));
        self.mark(format!("by command: {deed:?}"));
        let (store, wall) = (&self.desk.store, now.wall.0);
        let done = match deed {
            Deed::Heard => store.mark_heard(&id, wall).map(drop),
            Deed::Unheard => store.mark_unheard(&id, wall).map(drop),
            Deed::Delete => store.delete_message(&id, wall).map(drop),
            Deed::Restore => store.undelete_message(&id, false, wall).map(drop),
            Deed::Unregister | Deed::Unlock => return,
        };
        done.expect("done");
        self.desk.shelf.change(self.now, &user, &id, |item| match deed {
            Deed::Heard => item.heard = true,
            Deed::Unheard => item.heard = false,
            Deed::Delete => item.deleted = true,
            Deed::Restore => item.deleted = false,
            Deed::Unregister | Deed::Unlock => {}
        });
        self.changed();
    }

    /// Something was committed: whose messages are counted for that.
    pub(super) fn changed(&mut self) {
        let changes = self.desk.follower.poll(500).expect("changes");
        let outcome = self.desk.is_as_it_must_be();
        self.must(outcome);
        for change in changes {
            let user = match change.event.what {
                Happening::MessageCommitted(message)
                | Happening::MessageHeard(message)
                | Happening::MessageUnheard(message)
                | Happening::MessageRestored(message)
                | Happening::MessageDeleted { message, .. } => message.mailbox,
                _ => continue,
            };
            self.count(user);
        }
    }

    pub(super) fn count(&mut self, user: String) {
        let at = self.now + self.dice.between(0, 60 * MS);
        self.later(at, Pending::Count(self.life, user));
    }
}
