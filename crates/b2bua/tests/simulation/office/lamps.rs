//! Who is told how many messages wait, by what crossed Segue's edge, against what is committed.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    roll::{Bound, user_of},
    shelf::Shelf,
};
use crate::{
    dice::{MS, S, Time},
    phone::TRIED,
    wire::Msg,
};

/// Counting, and the least time between two NOTIFYs of one subscription.
const SETTLED: Time = 2 * S;
/// A count that is told may be as old as this.
const COUNTED: Time = 150 * MS;

/// One who is told.
#[derive(Debug, Clone)]
struct Lamp {
    user: String,
    /// Where it has subscribed from.
    contact: String,
    /// `None`: as long as the contact is registered.
    until: Option<Time>,
    /// The last NOTIFY: its branch, when, what it said, and what came back.
    last: Option<(String, Time, String, Option<u16>)>,
    /// When something began that it is to be told of.
    since: Time,
    later: bool,
}

/// All of them: subscriptions by Call-ID, others by contact.
#[derive(Default)]
pub struct Lamps {
    all: BTreeMap<String, Lamp>,
    /// SUBSCRIBEs that came, by branch.
    asked: BTreeMap<String, Msg>,
    /// Those that have their answer.
    done: BTreeSet<String>,
    /// Nobody may subscribe.
    unsolicited_only: bool,
    /// The last NOTIFY to each contact: its branch, when, what came back, and what it said.
    contacts: BTreeMap<String, (String, Time, Option<u16>, String)>,
}

impl Lamps {
    pub fn new(takes_subscriptions: bool) -> Lamps {
        Lamps {
            unsolicited_only: !takes_subscriptions,
            ..Lamps::default()
        }
    }

    pub fn came(&mut self, msg: &Msg) {
        if self.done.contains(msg.branch()) {
            return;
        }
        self.asked.entry(msg.branch().to_owned()).or_insert_with(|| msg.clone());
    }

    /// Segue has answered a SUBSCRIBE for the first time.
    pub fn answered(&mut self, now: Time, response: &Msg) -> Result<&'static str, String> {
        let Some(request) = self.asked.remove(response.branch()) else {
            return Ok("SUBSCRIBE again");
        };
        if response.status() != Some(401) {
            self.done.insert(response.branch().to_owned());
        }
        let user = user_of(request.header("from").unwrap_or_default());
        let wanted: u64 = request.header("expires").and_then(|s| s.parse().ok()).expect("Expires");
        let again = !request.tag_of_to().is_empty();
        match response.status().unwrap_or_default() {
            401 => return Ok("SUBSCRIBE: asked who it is"),
            423 if (1..60).contains(&wanted) => return Ok("SUBSCRIBE: too short"),
            481 if again => return Ok("SUBSCRIBE: it was over"),
            500 if again => return Ok("SUBSCRIBE: out of order"),
            503 => return Ok("SUBSCRIBE: the server stops"),
            405 if self.unsolicited_only => return Ok("SUBSCRIBE: not here"),
            200 => {}
            status => return Err(format!("{user} got {status} to a SUBSCRIBE")),
        }
        let lasts: u64 = response
            .header("expires")
            .and_then(|s| s.parse().ok())
            .expect("Expires");
        if lasts != wanted.min(900) {
            return Err(format!("{user} asked for {wanted} s and got {lasts}"));
        }
        // Who has subscribed is told there alone, and a phone that subscribes anew hears its old dialog no more.
        let contact = request.contact().unwrap_or_default().to_owned();
        self.all.remove(&contact);
        // One that has ended still says so.
        let lives = |lamp: &Lamp| lasts > 0 && lamp.until.is_some_and(|until| until > now);
        let is_left = |id: &str, lamp: &Lamp| lives(lamp) && lamp.contact == contact && id != request.call_id();
        self.all.retain(|call_id, lamp| !is_left(call_id, lamp));
        let lamp = self.all.entry(request.call_id().to_owned()).or_insert(Lamp {
            user,
            contact,
            until: None,
            last: None,
            since: now,
            later: false,
        });
        (lamp.until, lamp.since) = (Some(now + lasts * S), now);
        Ok(match (again, lasts) {
            (_, 0) => "SUBSCRIBE: ended",
            (true, _) => "SUBSCRIBE: goes on",
            (false, _) => "SUBSCRIBE: new",
        })
    }

    /// Segue says a NOTIFY for the first time.
    pub fn told(&mut self, now: Time, msg: &Msg, shelf: &Shelf) -> Result<&'static str, String> {
        let body = String::from_utf8_lossy(msg.body()).into_owned();
        let is_alone = msg.tag_of_to().is_empty();
        let user = user_of(msg.header("to").unwrap_or_default());
        let user = if is_alone {
            user
        } else {
            user_of(msg.header("from").unwrap_or_default())
        };
        let state = msg.header("subscription-state").unwrap_or_default();
        if !body.is_empty() && !shelf.was(&user, now.saturating_sub(COUNTED), &body) {
            return Err(format!("{user} was told {body:?}, which was not so"));
        }
        if body.is_empty() && !state.starts_with("terminated") {
            return Err(format!("{user} was told nothing"));
        }
        let key = if is_alone { msg.request_uri() } else { msg.call_id() };
        if is_alone {
            self.all.entry(key.to_owned()).or_insert(Lamp {
                user: user.clone(),
                contact: String::new(),
                until: None,
                last: None,
                since: now,
                later: false,
            });
        }
        let told = (msg.branch().to_owned(), now, None, body.clone());
        self.contacts.insert(msg.request_uri().to_owned(), told);
        let Some(lamp) = self.all.get_mut(key) else {
            return Err(format!("{user} was told within a subscription that is over"));
        };
        if lamp.user != user {
            return Err(format!("{} was told of the messages of {user}", lamp.user));
        }
        let soon = lamp
            .last
            .as_ref()
            .is_some_and(|(_, at, ..)| *at + S > now && lamp.since < *at);
        if soon && !state.starts_with("terminated") {
            return Err(format!("{user} was told twice within a second"));
        }
        lamp.last = Some((msg.branch().to_owned(), now, body, None));
        if !is_alone && state.starts_with("terminated") {
            self.all.remove(key);
            return Ok("NOTIFY: the last");
        }
        Ok(if is_alone {
            "NOTIFY: unasked"
        } else {
            "NOTIFY: asked for"
        })
    }

    /// A NOTIFY has its answer.
    pub fn heard(&mut self, now: Time, response: &Msg) {
        let contact = self
            .contacts
            .values_mut()
            .find(|(branch, ..)| branch == response.branch());
        if let Some((_, _, status, _)) = contact.filter(|_| response.status().is_some_and(|s| s >= 200)) {
            *status = response.status();
        }
        let found = self.all.iter_mut().find(|(_, lamp)| {
            lamp.last
                .as_ref()
                .is_some_and(|(branch, _, _, status)| branch == response.branch() && status.is_none())
        });
        let Some((key, lamp)) = found else { return };
        let status = response.status().unwrap_or_default();
        if status < 200 {
            return;
        }
        // Too late (RFC 3261 §17.1.2.2): it has failed by then.
        if lamp.until.is_some() && lamp.last.as_ref().is_some_and(|(_, at, ..)| *at + TRIED <= now) {
            let key = key.clone();
            self.all.remove(&key);
            return;
        }
        let later = response.header("retry-after").is_some();
        if let Some((.., answer)) = &mut lamp.last {
            *answer = Some(status);
        }
        (lamp.later, lamp.since) = (later, now);
        let (is_over, key) = (status >= 300 && !later && lamp.until.is_some(), key.clone());
        if is_over {
            self.all.remove(&key);
        }
    }

    /// The server has forgotten all who have subscribed.
    pub fn restart(&mut self) {
        self.all.clear();
    }

    /// A registered contact is told unasked: it knows what is committed, if it hears at all.
    pub fn knows(&self, now: Time, user: &str, bound: &Bound, up_since: Time, shelf: &Shelf) -> Result<(), String> {
        let changed_at = shelf.changed_at(user);
        if changed_at.max(up_since).max(bound.said_at) + SETTLED > now {
            return Ok(());
        }
        match self.contacts.get(&bound.uri) {
            // On its way or in vain; not wanted; told.
            Some((_, _, None, _)) => Ok(()),
            Some((_, _, Some(status), _)) if *status >= 300 => Ok(()),
            Some((_, _, _, body)) if shelf.is(user, body) => Ok(()),
            last => Err(format!(
                "{} of {user} knows nothing of what was committed at {} ms; told {:?} last",
                bound.uri,
                shelf.changed_at(user) / MS,
                last.map(|(_, at, ..)| at / MS)
            )),
        }
    }

    /// Contacts that are registered no more are told nothing.
    pub fn keep(&mut self, is_registered: impl Fn(&str) -> bool) {
        self.all.retain(|key, lamp| lamp.until.is_some() || is_registered(key));
    }

    /// Whoever is told knows what is committed, once nothing has happened for a while.
    pub fn settled(&mut self, now: Time, shelf: &Shelf) -> Result<usize, String> {
        self.all.retain(|_, lamp| {
            let is_lost =
                |(_, at, _, answer): &(String, Time, String, Option<u16>)| answer.is_none() && *at + TRIED <= now;
            lamp.until.is_none() || !lamp.last.as_ref().is_some_and(is_lost)
        });
        let mut right = 0;
        for (key, lamp) in &self.all {
            if lamp.until.is_some_and(|until| until <= now + SETTLED) || lamp.later {
                continue;
            }
            let since = lamp.since.max(shelf.changed_at(&lamp.user));
            if since + SETTLED > now {
                continue;
            }
            match &lamp.last {
                None => {
                    return Err(format!(
                        "{key} of {} has been told nothing since {} ms",
                        lamp.user,
                        since / MS
                    ));
                }
                // On its way, or in vain, or not wanted.
                Some((.., None)) => {}
                Some((_, _, _, Some(status))) if *status >= 300 => {}
                Some((_, at, body, _)) if !shelf.is(&lamp.user, body) => {
                    return Err(format!(
                        "{key} of {} was told {body:?} at {} ms last",
                        lamp.user,
                        at / MS
                    ));
                }
                Some(_) => right += 1,
            }
        }
        Ok(right)
    }
}
