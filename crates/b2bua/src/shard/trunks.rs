//! The ways of a leg whose next server the profile names: by the servers of trunks and by others, one after the other until one
//! takes the call. And what keeps the trunks' conditions true.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use segue_call::{LegEvent, LegId, Now, Said};
use segue_policy::NextHop;
use segue_records::{Event as Happened, Happening};
use segue_sip::{Candidate, Condition, Event, Outgoing, Place};
use segue_sip_wire::{Scheme, Uri};

use super::{CallKey, Shard, ShardOutput};
use crate::{
    entry::{Entry, ladder},
    outside::{self, Caller},
    registrations::Directory,
    translate,
    trunks::{Hop, Line, Told, TrunkStatus, Wish, rank},
};

/// The ways of one leg.
#[derive(Debug)]
pub(crate) struct Ways {
    /// The INVITE but for its way.
    base: Outgoing,
    /// Those that have not been tried.
    left: VecDeque<Hop>,
    /// The one that is tried now.
    pub now: Option<Hop>,
    /// What became of the others, for people.
    told: Vec<String>,
    /// The trunks that had no room are all that there was.
    only_full: bool,
    /// That no trunk takes what is called is all that there was.
    only_denied: bool,
    /// Until when none of those that were tried takes a call, as far as each says so.
    again_in: Option<Option<Duration>>,
}

/// For a caller who meets as many calls as a trunk may have (Q.850 cause 34).
const NO_CHANNEL: &str = "Q.850;cause=34;text=\"No circuit/channel available\"";

/// The trunk that a URI of a profile's next hop is.
fn trunk_of(uri: &Uri) -> Option<&str> {
    match uri.scheme() {
        Scheme::Other(name) if &**name == "trunk" => uri.opaque(),
        _ => None,
    }
}

/// Who calls, for the provider of a trunk: a subscriber by its own number.
fn caller(entry: &Entry, directory: &Directory, outgoing: &Outgoing) -> Caller {
    let user = outgoing.from.user().map(|user| user.into_owned()).unwrap_or_default();
    let number = entry.profile.normalise(&user).number;
    let nobody = outgoing.from.host().map(ToString::to_string);
    let nobody = nobody.is_some_and(|host| host.eq_ignore_ascii_case("anonymous.invalid"));
    Caller {
        number: directory.number_of(&user, number.as_deref()),
        is_private: entry.carried.withheld || nobody,
        says_privacy: entry.carried.withheld,
    }
}

/// Whether a leg calls whom the call itself is for.
fn is_same_callee(entry: &Entry, outgoing: &Outgoing) -> bool {
    translate::called(&outgoing.target) == entry.present.1
}

impl Ways {
    /// No call goes by a way that failed so for this long; `None`: nothing says how long.
    fn failed(&mut self, told: String, again_in: Option<Duration>) {
        self.told.push(told);
        (self.only_full, self.only_denied) = (false, false);
        self.again_in = Some(match self.again_in {
            None => again_in,
            Some(before) => before.zip(again_in).map(|(a, b)| a.min(b)),
        });
    }
}

impl Shard {
    /// Sends a leg on its way; `others`: where else its profile has it go.
    pub(super) fn set_out(&mut self, now: Now, key: CallKey, leg: LegId, mut outgoing: Outgoing, others: &[NextHop]) {
        let trunk = outgoing.hop.as_ref().and_then(trunk_of);
        if trunk.is_none() && others.is_empty() {
            return self.go(now, key, leg, outgoing);
        }
        self.tend_trunks(now);
        let Some(entry) = self.calls.get(&key) else { return };
        let (profile, is_urgent) = (Arc::clone(&entry.profile), entry.emergency.is_some());
        let mut left: Vec<Hop> = Vec::new();
        let first = match (outgoing.hop.take(), outgoing.route.pop()) {
            (Some(hop), _) => Some((hop, false)),
            (None, route) => route.map(|route| (route, true)),
        };
        let more = others
            .iter()
            .filter_map(|hop| Some((hop.uri().parse().ok()?, hop.is_route())));
        let mut told = Vec::new();
        for (uri, is_route) in first.into_iter().chain(more) {
            let Some(name) = trunk_of(&uri) else {
                left.push(Hop {
                    uri,
                    is_route,
                    trunk: None,
                    condition: Condition::Unchecked,
                });
                continue;
            };
            let trunks = self.trunks.named(name, &profile, &outgoing.target, is_urgent);
            if trunks.is_empty() {
                told.push("no trunk takes what is called".to_owned());
            }
            for name in trunks {
                let servers = self.trunks.servers(&name);
                match servers.is_empty() {
                    true => told.push(format!("there is no trunk {name}")),
                    false => left.extend(servers),
                }
            }
        }
        // Who does not answer is asked when all others have failed: but asked, as a ping may be wrong.
        left.sort_by_key(|hop| rank(hop.condition));
        let ways = Ways {
            base: outgoing,
            left: left.into(),
            now: None,
            only_full: told.is_empty(),
            only_denied: told.iter().all(|told| told.starts_with("no trunk takes")),
            told,
            again_in: None,
        };
        let Some(entry) = self.calls.get_mut(&key) else { return };
        entry.ways.insert(leg, ways);
        if !self.next_way(now, key, leg) {
            self.has_no_way(key, leg);
        }
    }

    /// Goes the next way that has room. False: there is none.
    fn next_way(&mut self, now: Now, key: CallKey, leg: LegId) -> bool {
        let Some(entry) = self.calls.get_mut(&key) else {
            return false;
        };
        let Some(base) = entry.ways.get(&leg).map(|ways| &ways.base) else {
            return false;
        };
        let caller = caller(entry, &self.directory, base);
        // Whom it is for was asked of that provider already; who forwards calls may send them back by it.
        let came_back = entry.by_trunk.clone().filter(|_| is_same_callee(entry, base));
        let Some(ways) = entry.ways.get_mut(&leg) else {
            return false;
        };
        let hop = loop {
            let Some(hop) = ways.left.pop_front() else { return false };
            let trunk = hop.trunk.as_ref().filter(|_| entry.emergency.is_none());
            let goes_back = trunk.filter(|name| came_back.as_ref() == Some(*name));
            let goes_back = goes_back.map(|name| format!("the call has come by the trunk {name}"));
            let setup = trunk.and_then(|name| self.trunks.setup(name));
            let denied = setup.and_then(|setup| outside::is_denied(&setup.trunk, &entry.profile, &ways.base.target));
            if let Some(denied) = goes_back.or(denied) {
                ways.only_full = false;
                if !ways.told.contains(&denied) {
                    ways.told.push(denied);
                }
                continue;
            }
            let bounded = hop.trunk.as_ref().filter(|_| entry.emergency.is_none());
            let Some((trunk, full)) = bounded.and_then(|trunk| Some((trunk, self.trunks.is_full(trunk)?))) else {
                break hop;
            };
            ways.only_denied = false;
            if !ways.told.contains(&full) {
                self.trunks.turned_away(trunk);
                ways.told.push(full);
            }
        };
        let mut outgoing = ways.base.clone();
        match hop.is_route {
            true => outgoing.route = vec![hop.uri.clone()],
            false => outgoing.hop = Some(hop.uri.clone()),
        }
        if let Some((name, setup)) = hop
            .trunk
            .as_ref()
            .and_then(|name| Some((name, self.trunks.setup(name)?)))
        {
            let is_urgent = entry.emergency.is_some();
            outside::dress(&setup.trunk, &entry.profile, &caller, is_urgent, &mut outgoing);
            let route = self.trunks.line(name).map(Line::service_route).unwrap_or_default();
            if !route.is_empty() {
                // The trunk's own server stays the next one, wherever its provider's route leads after it.
                outgoing.hop = Some(hop.uri.clone());
                outgoing.route.extend_from_slice(route);
            }
        }
        // One that does not answer pings is not waited for as long as another would be.
        outgoing.has_other_way = !ways.left.is_empty() || hop.condition == Condition::Down;
        ways.now = Some(hop);
        self.go(now, key, leg, outgoing);
        true
    }

    /// Asks where the next server is, and sends the INVITE there.
    fn go(&mut self, now: Now, key: CallKey, leg: LegId, mut outgoing: Outgoing) {
        let Some(entry) = self.calls.get_mut(&key) else { return };
        if let Some(place) = Place::of(outgoing.next_hop()) {
            match entry.places.look_up(&place) {
                Some(crate::places::Known::At(servers)) => outgoing.candidates = servers,
                known => {
                    entry.waiting.insert(leg, (place.clone(), outgoing));
                    if known.is_none() {
                        self.resolve(key, place);
                    }
                    return;
                }
            }
        }
        self.invite(now, key, leg, outgoing);
    }

    /// A leg for which there was no way from the beginning.
    fn has_no_way(&mut self, key: CallKey, leg: LegId) {
        let ways = self.calls.get_mut(&key).and_then(|entry| entry.ways.remove(&leg));
        let Some(ways) = ways else { return };
        let reason = ("Reason".to_owned(), NO_CHANNEL.to_owned());
        let failed = LegEvent::Failed {
            status: if ways.only_denied { 403 } else { 503 },
            phrase: ways.told.join(", "),
            local: true,
            said: Said {
                headers: ways.only_full.then_some(reason).into_iter().collect(),
                ..Said::default()
            },
        };
        tracing::warn!(why = ways.told.join(", "), "a call has no way on");
        self.said_here.push_back((key, leg, failed));
        self.said_here.push_back((key, leg, LegEvent::Terminated));
    }

    /// Takes what the endpoint says of servers, and failures after which another way is gone. `None`: that is all.
    pub(super) fn by_ways(&mut self, now: Now, event: Event) -> Option<Event> {
        match event {
            Event::Paused { server, wait } => {
                self.stats.pauses = self.stats.pauses.saturating_add(1);
                tracing::warn!(server = %server.remote, seconds = wait.as_secs(), "a server asked for a pause by 503: calls go to others");
                let told = self.trunks.paused(now.mono, server, wait);
                self.tell_trunks(now, told);
                None
            }
            Event::Pong {
                ping,
                status,
                retry_after,
            } => {
                if let Some((server, told)) = self.trunks.ponged(now.mono, ping, status) {
                    self.tell_trunks(now, told);
                    if let (Some(503), Some(wait)) = (status, retry_after) {
                        self.endpoint.pause(now.mono, server, wait);
                    }
                } else {
                    self.phone_answered(now, ping, status.is_some());
                }
                None
            }
            Event::RegisterAnswered { registration, response } => {
                self.register_answered(now, registration, response.as_deref());
                None
            }
            Event::Terminated { session } => {
                self.trunks.ended(session);
                Some(event)
            }
            Event::Answered { session, .. } => {
                let found = self.sessions.get(&session);
                if let Some((entry, leg)) = found.and_then(|(key, leg)| Some((self.calls.get_mut(key)?, leg))) {
                    entry.ways.remove(leg);
                }
                Some(event)
            }
            Event::Failed {
                session,
                status: status @ (408 | 503),
                ref phrase,
                ref response,
                paused,
            } if status == 503 || response.is_none() => {
                let Some((key, leg)) = self.sessions.get(&session).copied() else {
                    return Some(event);
                };
                // Its place is free for the next way, which may be of the same trunk; `Terminated` comes later.
                self.trunks.ended(session);
                let entry = self.calls.get_mut(&key)?;
                let Some(ways) = entry.ways.get_mut(&leg) else {
                    return Some(self.counted_pause(event));
                };
                let hop = ways.now.as_ref();
                let told = match (response, hop) {
                    (None, _) => phrase.clone(),
                    (Some(_), Some(hop)) => format!("{} refused with 503", hop.uri),
                    (Some(_), None) => "refused with 503".to_owned(),
                };
                let rests = hop
                    .filter(|hop| rank(hop.condition) > 0)
                    .and_then(|hop| hop.trunk.as_ref());
                let again_in = paused.or_else(|| self.trunks.again_in(now.mono, rests?));
                ways.failed(told, again_in);
                if ways.left.is_empty() || !self.goes_on(now, key, leg, session) {
                    let entry = self.calls.get_mut(&key)?;
                    let ways = entry.ways.remove(&leg)?;
                    return Some(self.counted_pause(at_last(event, &ways)));
                }
                None
            }
            event => Some(event),
        }
    }

    /// The next way of a leg whose server has failed: as another session, but the same leg.
    fn goes_on(&mut self, now: Now, key: CallKey, leg: LegId, session: segue_sip::SessionId) -> bool {
        if !self.next_way(now, key, leg) {
            return false;
        }
        let steps = self.endpoint.take_ladder(session);
        self.sessions.remove(&session);
        if let Some(leg) = self.calls.get_mut(&key).and_then(|entry| entry.legs.get_mut(&leg)) {
            // Those of the new session come after these.
            leg.ladder.extend(ladder(now, steps));
        }
        true
    }

    fn counted_pause(&mut self, event: Event) -> Event {
        if let Event::Failed { paused: Some(_), .. } = event {
            self.stats.paused_calls = self.stats.paused_calls.saturating_add(1);
        }
        event
    }

    /// Where a leg by a trunk goes first; other targets are where they are.
    pub(super) fn first_server(&mut self, target: Uri) -> Uri {
        let first = trunk_of(&target).and_then(|name| self.trunks.servers(name).into_iter().next());
        first.map_or(target, |hop| hop.uri)
    }

    /// Pings and looks up what is due.
    pub(super) fn tend_trunks(&mut self, now: Now) {
        let endpoint = &self.endpoint;
        let wishes = self.trunks.due(now.mono, |uri| endpoint.server_named(uri));
        self.fulfil(now, wishes);
    }

    pub(super) fn fulfil(&mut self, now: Now, wishes: Vec<Wish>) {
        let mut told = Vec::new();
        let mut wishes = VecDeque::from(wishes);
        while let Some(wish) = wishes.pop_front() {
            match wish {
                Wish::Ping(id, uri) => {
                    let ping = self.endpoint.ping(now.mono, id.at, &uri);
                    told.extend(self.trunks.pinged(now.mono, &id, ping));
                }
                Wish::Forget(ping) => self.endpoint.forget_ping(ping),
                Wish::LookUp(place, seed) => self.outputs.push_back(ShardOutput::Locate { place, seed }),
                Wish::Told(change) => told.push(change),
                Wish::Register(asking) => wishes.extend(self.say_register(now, *asking)),
                Wish::Close(registration) => self.endpoint.close_registration(registration),
                Wish::Stands(stands) => self.tell_line(now, stands),
            }
        }
        self.tell_trunks(now, told);
    }

    /// Where the servers of a trunk's domain are.
    pub fn handle_located(&mut self, now: Now, place: &Place, servers: &[Candidate]) {
        self.texts_located(now, place, servers);
        let wishes = self.trunks.located(now.mono, place, servers);
        self.fulfil(now, wishes);
        self.tend_trunks(now);
    }

    fn tell_trunks(&mut self, now: Now, told: impl IntoIterator<Item = Told>) {
        let mut any = false;
        for told in told {
            any = true;
            let (trunk, server) = (told.trunk.to_string(), told.server.remote.to_string());
            let (was, why) = (told.change.from.as_str().to_owned(), told.why);
            let what = match told.change.to {
                Condition::Up | Condition::Unchecked => {
                    tracing::info!(trunk, server, was, why, "a server of a trunk takes calls");
                    Happening::TrunkUp {
                        trunk,
                        server,
                        was,
                        why,
                    }
                }
                state @ (Condition::Down | Condition::Suspended) => {
                    let state = state.as_str().to_owned();
                    tracing::warn!(trunk, server, was, why, "a server of a trunk is {state}");
                    Happening::TrunkDown {
                        trunk,
                        server,
                        state,
                        was,
                        why,
                    }
                }
            };
            let event = Happened::of_the_server(now.wall, what);
            self.outputs.push_back(ShardOutput::Event(Box::new(event)));
        }
        if any {
            self.endpoint.set_down(self.trunks.down());
        }
    }

    /// The trunks as they are, if anything has changed since this was asked last.
    pub fn changed_trunks(&mut self, now: Now) -> Option<Vec<TrunkStatus>> {
        std::mem::take(&mut self.trunks.changed).then(|| self.trunks.status(now))
    }

    /// The trunks as they are.
    pub fn trunks(&self, now: Now) -> Vec<TrunkStatus> {
        self.trunks.status(now)
    }
}

/// The last failure of a leg that had several ways: what became of all of them, and when one may be gone again.
fn at_last(event: Event, ways: &Ways) -> Event {
    let Event::Failed {
        session,
        response: None,
        status,
        ..
    } = event
    else {
        return event;
    };
    let paused = ways.again_in.flatten();
    Event::Failed {
        session,
        // That nobody answers is no 408 of the callee's where it is known to last.
        status: paused.map_or(status, |_| 503),
        phrase: ways.told.join(", "),
        response: None,
        paused,
    }
}
