//! Events from whoever has some to whoever follows them. The giver never waits: a follower that is too slow loses events
//! and is told how many.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
};

use segue_records::{Event, Happening, UnixMs};
use segue_store::Change;
use serde::Serialize;
use tokio::sync::mpsc::{self, error::TryRecvError};

/// Events that may wait for one follower.
const QUEUE_MAX: usize = 1_024;
/// Events kept for followers that come back.
const KEPT_MAX: usize = 4_096;
/// Followers at a time.
const FOLLOWERS_MAX: usize = 256;
/// Followers at a time that are one: somebody who is logged in, or all who are not asked.
const FOLLOWERS_OF_ONE_MAX: usize = 16;

/// What a follower is told.
#[derive(Debug)]
pub(crate) struct Told {
    /// Of this event; absent for what the stream says of itself.
    pub id: Option<String>,
    /// One line of JSON with its end.
    pub line: String,
    /// What happened; absent for what the stream says of itself, which is for everybody.
    pub event: Option<Event>,
}

/// Takes events in and hands each to every follower. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hub {
    run: Arc<str>,
    /// Place of the store's newest change when this run began.
    began_at: i64,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    published: AtomicU64,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// Number of the newest event.
    number: u64,
    /// Place of the newest change of the store that was told.
    change: i64,
    kept: VecDeque<(u64, Arc<Told>)>,
    followers: BTreeMap<u64, Follower>,
    last_follower: u64,
    closed: bool,
}

#[derive(Debug)]
struct Follower {
    whose: String,
    queue: mpsc::Sender<Arc<Told>>,
    lost: Arc<Lost>,
}

/// Events that a follower has lost and not been told of.
#[derive(Debug, Default)]
struct Lost {
    count: AtomicU64,
    last_at: AtomicI64,
}

impl Lost {
    /// The line that tells of them, once.
    fn tell(&self) -> Option<(u64, Arc<Told>)> {
        let count = self.count.swap(0, Relaxed);
        (count > 0).then(|| (count, lost_line(Some(count), UnixMs(self.last_at.load(Relaxed)))))
    }

    fn add(&self, count: u64) {
        self.count.fetch_add(count, Relaxed);
    }
}

/// Where a follower was: `RUN-NUMBER-CHANGE`, the id of the last event it has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    run: String,
    number: u64,
    /// Of the store's changes.
    pub change: i64,
}

/// What a follower gets.
#[derive(Debug)]
pub(crate) struct Following {
    queue: mpsc::Receiver<Arc<Told>>,
    lost: Arc<Lost>,
    /// What it missed and is still kept.
    pub missed: VecDeque<Arc<Told>>,
    /// The store's changes up to this one are to be told first: it comes from another run.
    pub replay_to: Option<i64>,
    hub: Hub,
    id: u64,
}

/// There are too many followers, or the server ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Hub {
    /// A hub. `run` tells this run of the server from others; `change` is the place of the store's newest change.
    pub fn new(run: &str, change: i64) -> Hub {
        let shared = Shared::default();
        shared.state.lock().unwrap_or_else(PoisonError::into_inner).change = change;
        Hub {
            run: run.into(),
            began_at: change,
            shared: Arc::new(shared),
        }
    }

    /// Tells every follower. Never waits.
    pub fn publish(&self, event: &Event) {
        let mut state = self.state();
        self.tell(&mut state, event);
    }

    /// The same for a change of the store.
    pub fn publish_change(&self, change: &Change) {
        let mut state = self.state();
        state.change = change.seq;
        self.tell(&mut state, &change.event);
    }

    /// Ends all followers once they have what they are owed.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.followers.clear();
    }

    /// Followers now.
    pub fn followers(&self) -> usize {
        self.state().followers.len()
    }

    /// Events told since the start.
    pub fn published(&self) -> u64 {
        self.shared.published.load(Relaxed)
    }

    /// Events that followers lost since the start.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Relaxed)
    }

    fn tell(&self, state: &mut State, event: &Event) {
        state.number = state.number.saturating_add(1);
        let id = self.id(state.number, state.change);
        let line = Arc::new(Told {
            line: line(&id, event),
            id: Some(id),
            event: Some(event.clone()),
        });
        self.shared.published.fetch_add(1, Relaxed);
        if state.kept.len() >= KEPT_MAX {
            state.kept.pop_front();
        }
        state.kept.push_back((state.number, Arc::clone(&line)));
        state.followers.retain(|_, follower| {
            if follower.queue.is_closed() {
                return false;
            }
            let told = follower.lost.tell().is_none_or(|(owed, line)| {
                let told = follower.queue.try_send(line).is_ok();
                if !told {
                    follower.lost.add(owed);
                }
                told
            });
            if !told || follower.queue.try_send(Arc::clone(&line)).is_err() {
                follower.lost.last_at.store(event.at.0, Relaxed);
                follower.lost.add(1);
                self.shared.lost.fetch_add(1, Relaxed);
            }
            true
        });
    }

    /// Follows from now on, or from the event after `place` on. `whose` follower it is: one has so many at a time.
    pub(crate) fn follow(&self, whose: &str, place: Option<&Place>, now: UnixMs) -> Result<Following, Full> {
        let mut state = self.state();
        state.followers.retain(|_, follower| !follower.queue.is_closed());
        let of_one = state.followers.values().filter(|follower| follower.whose == whose);
        if state.closed || of_one.count() >= FOLLOWERS_OF_ONE_MAX || state.followers.len() >= FOLLOWERS_MAX {
            return Err(Full);
        }
        let mut missed = VecDeque::new();
        let mut replay_to = None;
        if let Some(place) = place {
            // Of another run: what that did to messages, then all of this one.
            let number = if *place.run == *self.run {
                place.number
            } else {
                replay_to = Some(self.began_at);
                0
            };
            let first = state.kept.front().map_or(state.number.saturating_add(1), |(n, _)| *n);
            let gone = first.saturating_sub(number.saturating_add(1));
            if gone > 0 {
                missed.push_back(lost_line(Some(gone), now));
            }
            let after = state.kept.iter().filter(|(n, _)| *n > number);
            missed.extend(after.map(|(_, line)| Arc::clone(line)));
        }
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        let lost = Arc::<Lost>::default();
        state.last_follower = state.last_follower.wrapping_add(1);
        let id = state.last_follower;
        let follower = Follower {
            whose: whose.to_owned(),
            queue: sender,
            lost: Arc::clone(&lost),
        };
        state.followers.insert(id, follower);
        Ok(Following {
            queue,
            lost,
            missed,
            replay_to,
            hub: self.clone(),
            id,
        })
    }

    fn id(&self, number: u64, change: i64) -> String {
        format!("{}-{number}-{change}", self.run)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Following {
    /// The next line, with its line end. `None`: the server ends.
    pub(crate) async fn next(&mut self) -> Option<Arc<Told>> {
        if let Some(line) = self.missed.pop_front() {
            return Some(line);
        }
        match self.queue.try_recv() {
            Ok(line) => return Some(line),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => {}
        }
        // What was lost while the queue was full comes after what was in it.
        if let Some((_, line)) = self.lost.tell() {
            return Some(line);
        }
        self.queue.recv().await
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.hub.state().followers.remove(&self.id);
    }
}

impl std::str::FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Place, ()> {
        let mut parts = text.rsplitn(3, '-');
        let change = parts.next().and_then(|p| p.parse().ok()).ok_or(())?;
        let number = parts.next().and_then(|p| p.parse().ok()).ok_or(())?;
        let run = parts.next().filter(|run| !run.is_empty()).ok_or(())?.to_owned();
        Ok(Place { run, number, change })
    }
}

impl Place {
    /// A change of an earlier run as a line; its id leads back here.
    pub(crate) fn line_of(&self, change: &Change) -> Arc<Told> {
        let id = format!("{}-{}-{}", self.run, self.number, change.seq);
        Arc::new(Told {
            line: line(&id, &change.event),
            id: Some(id),
            event: Some(change.event.clone()),
        })
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    at: String,
    call_id: Option<&'a str>,
    sip_call_id: Option<&'a str>,
    #[serde(flatten)]
    what: &'a Happening,
}

fn line(id: &str, event: &Event) -> String {
    let shown = Shown {
        id,
        at: event.at.rfc3339(),
        call_id: event.call_id.as_deref(),
        sip_call_id: event.sip_call_id.as_deref(),
        what: &event.what,
    };
    let mut line = serde_json::to_string(&shown).unwrap_or_default();
    line.push('\n');
    line
}

/// Tells a follower that it has lost events; how many is not always known.
pub(crate) fn lost_line(count: Option<u64>, at: UnixMs) -> Arc<Told> {
    let line = serde_json::json!({
        "id": null, "at": at.rfc3339(), "call_id": null, "sip_call_id": null, "type": "events.lost", "lost": count,
    });
    Arc::new(Told {
        id: None,
        line: format!("{line}\n"),
        event: None,
    })
}

#[cfg(test)]
mod tests {
    use segue_records::MessageFacts;
    use serde_json::Value;

    use super::*;

    fn event(n: i64) -> Event {
        Event::of_the_server(UnixMs(n), Happening::ServerStopping)
    }

    fn change(seq: i64) -> Change {
        let facts = MessageFacts {
            message_id: format!("m{seq}"),
            mailbox: "bob".into(),
            from: "sip:a@b".into(),
            kind: "audio".into(),
            duration_ms: 1,
            bytes: 1,
        };
        Change {
            seq,
            event: Event::of_the_server(UnixMs(seq), Happening::MessageCommitted(facts)),
        }
    }

    async fn next(following: &mut Following) -> Value {
        let line = &following.next().await.unwrap().line;
        assert!(line.ends_with('\n') && line.matches('\n').count() == 1);
        serde_json::from_str(line).unwrap()
    }

    fn place(value: &Value) -> Place {
        value["id"].as_str().unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn a_slow_follower_loses_events_is_told_how_many_and_holds_nobody_up() {
        let hub = Hub::new("r", 0);
        let mut slow = hub.follow("x", None, UnixMs(0)).unwrap();
        let all = QUEUE_MAX as i64 + 10;
        for n in 1..=all {
            hub.publish(&event(n));
        }
        for n in 1..=QUEUE_MAX as i64 {
            assert_eq!(next(&mut slow).await["at"], UnixMs(n).rfc3339());
        }
        let told = next(&mut slow).await;
        assert_eq!(
            (told["type"].as_str(), told["lost"].as_u64()),
            (Some("events.lost"), Some(10))
        );
        assert_eq!(told["at"], UnixMs(all).rfc3339());
        hub.publish(&event(5_000));
        assert_eq!(next(&mut slow).await["at"], UnixMs(5_000).rfc3339());
        assert_eq!(hub.lost(), 10);
    }

    #[tokio::test]
    async fn what_was_lost_stands_between_what_came_before_and_after() {
        let hub = Hub::new("r", 0);
        let mut slow = hub.follow("x", None, UnixMs(0)).unwrap();
        for n in 0..QUEUE_MAX as i64 + 3 {
            hub.publish(&event(n));
        }
        for _ in 0..QUEUE_MAX / 2 {
            next(&mut slow).await;
        }
        hub.publish(&event(9_000));
        for _ in QUEUE_MAX / 2..QUEUE_MAX {
            next(&mut slow).await;
        }
        assert_eq!(next(&mut slow).await["lost"], 3);
        assert_eq!(next(&mut slow).await["at"], UnixMs(9_000).rfc3339());
    }

    #[tokio::test]
    async fn who_comes_back_gets_what_it_missed_or_how_much_is_gone() {
        let hub = Hub::new("run", 0);
        let mut first = hub.follow("x", None, UnixMs(0)).unwrap();
        hub.publish(&event(1));
        let seen = place(&next(&mut first).await);
        drop(first);
        assert_eq!(hub.followers(), 0);
        for n in 2..5 {
            hub.publish(&event(n));
        }
        let mut again = hub.follow("x", Some(&seen), UnixMs(0)).unwrap();
        hub.publish(&event(5));
        for n in 2..6 {
            assert_eq!(next(&mut again).await["at"], UnixMs(n).rfc3339());
        }
        for n in 0..KEPT_MAX as i64 + 7 {
            hub.publish(&event(n));
        }
        let mut late = hub.follow("x", Some(&seen), UnixMs(0)).unwrap();
        // Of the events after the first, so many are no longer kept.
        assert_eq!(next(&mut late).await["lost"], 4 + 7);
    }

    #[tokio::test]
    async fn a_place_of_an_earlier_run_asks_for_the_changes_since() {
        let (old, new) = (Hub::new("old", 0), Hub::new("new", 9));
        let mut follower = old.follow("x", None, UnixMs(0)).unwrap();
        old.publish_change(&change(7));
        let seen = place(&next(&mut follower).await);
        let following = new.follow("x", Some(&seen), UnixMs(0)).unwrap();
        assert_eq!((seen.change, following.replay_to), (7, Some(9)));
        // What this run has told comes after them, and is not told twice.
        new.publish_change(&change(10));
        let mut following = new.follow("x", Some(&seen), UnixMs(0)).unwrap();
        assert_eq!(following.replay_to, Some(9));
        assert_eq!(place(&next(&mut following).await).change, 10);
        // A replayed line leads back to the same question, further on.
        let line: Value = serde_json::from_str(&seen.line_of(&change(8)).line).unwrap();
        assert_eq!(place(&line).change, 8);
        assert_eq!(
            new.follow("x", Some(&place(&line)), UnixMs(0)).unwrap().replay_to,
            Some(9)
        );
    }

    #[tokio::test]
    async fn the_number_of_followers_is_bounded_and_the_end_reaches_all() {
        let hub = Hub::new("r", 0);
        let mut all: Vec<Following> = (0..FOLLOWERS_OF_ONE_MAX)
            .map(|_| hub.follow("x", None, UnixMs(0)).unwrap())
            .collect();
        assert!(hub.follow("x", None, UnixMs(0)).is_err());
        for n in FOLLOWERS_OF_ONE_MAX..FOLLOWERS_MAX {
            all.push(hub.follow(&n.to_string(), None, UnixMs(0)).unwrap());
        }
        assert!(hub.follow("y", None, UnixMs(0)).is_err());
        all.pop();
        all.push(hub.follow("y", None, UnixMs(0)).unwrap());
        hub.publish(&event(1));
        hub.close();
        for mut one in all {
            assert!(one.next().await.is_some());
            assert!(one.next().await.is_none());
        }
        assert!(hub.follow("x", None, UnixMs(0)).is_err());
    }

    #[test]
    fn a_place_is_read_back_whatever_stands_in_the_runs_name() {
        assert_eq!(
            "a-b-3-4".parse(),
            Ok(Place {
                run: "a-b".into(),
                number: 3,
                change: 4
            })
        );
        for wrong in ["", "x", "3-4", "-3-4", "a-b-4", "a-3-x"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
