//! Texts of our own (RFC 3428): to wherever a subscriber is registered, or to a URI, each by its servers in order.

use std::{collections::BTreeMap, collections::VecDeque, sync::Arc, time::Duration};

use rand::Rng;
use segue_call::Now;
use segue_sip::{Candidate, Event, Page, PageId, Peer, Place, Protocol};
use segue_sip_wire::{Host, Uri};

use super::{Shard, ShardOutput};
use crate::reach::Reach;

/// One text, for as long as it is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextKey(pub u64);

/// A text for one subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Whose.
    pub user: String,
    /// Where to; `None`: wherever they are registered.
    pub to: Option<Uri>,
    /// What is said.
    pub text: Arc<str>,
    /// Its language.
    pub language: &'static str,
    /// It says nothing any more after so many seconds.
    pub expires_s: u32,
}

/// What became of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextOutcome {
    /// Somebody has it (2xx).
    Taken(String),
    /// Nobody has it yet: why, and when they want to be asked again.
    NotNow(String, Option<Duration>),
    /// Nobody will take it.
    Never(String),
}

/// The texts on their way.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    all: BTreeMap<TextKey, Sending>,
    pages: BTreeMap<PageId, (TextKey, usize)>,
}

#[derive(Debug)]
struct Sending {
    text: Text,
    ways: Vec<Way>,
}

#[derive(Debug)]
struct Way {
    target: Uri,
    route: Vec<Uri>,
    back_to: Option<Peer>,
    /// Where its servers are, while that is asked.
    place: Option<Place>,
    /// Those that were not tried yet.
    servers: VecDeque<Candidate>,
    /// How it failed.
    failed: Option<Failed>,
}

#[derive(Debug, Clone)]
struct Failed {
    why: String,
    for_good: bool,
    retry_after: Option<Duration>,
}

impl Way {
    fn to(target: Uri, reach: Option<Reach>) -> Way {
        let (route, back_to) = match reach {
            Some(Reach::Path(route)) => (route, None),
            Some(Reach::Source { peer, .. }) => (Vec::new(), Some(peer)),
            None => (Vec::new(), None),
        };
        let hop = route.first().unwrap_or(&target);
        let servers = match back_to {
            Some(peer) => Some(Candidate {
                protocol: peer.protocol,
                remote: peer.remote,
            }),
            None => at_address(hop),
        };
        Way {
            place: Place::of(hop).filter(|_| servers.is_none()),
            servers: servers.into_iter().collect(),
            target,
            route,
            back_to,
            failed: None,
        }
    }
}

/// The server of a URI whose host is an address (RFC 3263 §4.1, §4.2).
fn at_address(uri: &Uri) -> Option<Candidate> {
    let ip = uri.host().and_then(Host::ip)?;
    let protocol = match uri.param("transport").map(str::to_ascii_lowercase).as_deref() {
        _ if uri.is_sips() => Protocol::Tls,
        None | Some("udp") => Protocol::Udp,
        Some("tcp") => Protocol::Tcp,
        Some("tls") => Protocol::Tls,
        Some(_) => return None,
    };
    let port = uri.port().unwrap_or(protocol.default_port());
    Some(Candidate {
        protocol,
        remote: (ip, port).into(),
    })
}

impl Shard {
    /// Sends a text; one [`ShardOutput::Texted`] follows.
    pub fn handle_text(&mut self, now: Now, key: TextKey, text: Text) {
        let ways: Vec<Way> = match &text.to {
            Some(uri) => vec![Way::to(uri.clone(), None)],
            None => {
                let contacts = self.registrar.contacts(&text.user, now.mono);
                let way = |binding: &&segue_registrar::Binding| Way::to(binding.contact.clone(), Reach::of(binding));
                contacts.iter().map(way).collect()
            }
        };
        if ways.is_empty() {
            let why = format!("{} is registered nowhere", text.user);
            let outcome = TextOutcome::NotNow(why, None);
            return self.outputs.push_back(ShardOutput::Texted(key, outcome));
        }
        let count = ways.len();
        for place in ways.iter().filter_map(|way| way.place.clone()) {
            let seed = self.rng.next_u64();
            self.outputs.push_back(ShardOutput::Locate { place, seed });
        }
        self.texts.all.insert(key, Sending { text, ways });
        for at in 0..count {
            self.send_text(now, key, at);
        }
        self.pump(now);
    }

    /// To the next server of one way, unless that is still to be found.
    fn send_text(&mut self, now: Now, key: TextKey, at: usize) {
        loop {
            let Some(sending) = self.texts.all.get_mut(&key) else {
                return;
            };
            let Some(way) = sending.ways.get_mut(at) else { return };
            if way.place.is_some() {
                return;
            }
            let Some(server) = way.servers.pop_front() else {
                way.failed.get_or_insert_with(|| Failed {
                    why: format!("{} cannot be reached", way.target),
                    for_good: false,
                    retry_after: None,
                });
                return self.finish_text(key);
            };
            let page = Page {
                target: way.target.clone(),
                route: way.route.clone(),
                text: Arc::clone(&sending.text.text),
                language: sending.text.language,
                expires_s: sending.text.expires_s,
                server,
                back_to: way.back_to,
                account: self.trunks.account_at(server),
            };
            if let Some(page) = self.endpoint.page(now.mono, &page) {
                self.texts.pages.insert(page, (key, at));
                return;
            }
        }
    }

    /// Whether an event is about a text.
    pub(super) fn is_of_a_text(&mut self, now: Now, event: &Event) -> bool {
        let Event::Paged {
            page,
            status,
            retry_after,
        } = event
        else {
            return false;
        };
        let Some((key, at)) = self.texts.pages.remove(page) else {
            return true;
        };
        let Some(sending) = self.texts.all.get_mut(&key) else {
            return true;
        };
        let Some(way) = sending.ways.get_mut(at) else {
            return true;
        };
        let why = match status {
            Some(status @ 200..=299) => {
                let taken = TextOutcome::Taken(format!("{status} from {}", way.target));
                self.texts.all.remove(&key);
                self.outputs.push_back(ShardOutput::Texted(key, taken));
                return true;
            }
            Some(status) => format!("{status} from {}", way.target),
            None => format!("no answer from {}", way.target),
        };
        way.failed = Some(Failed {
            why,
            for_good: status.is_some_and(is_for_good),
            retry_after: *retry_after,
        });
        // "503 … or a transport failure … or a timeout": the next server (RFC 3263 §4.3).
        if matches!(status, None | Some(408 | 503)) {
            self.send_text(now, key, at);
        } else {
            way.servers.clear();
            self.finish_text(key);
        }
        true
    }

    /// The servers of a place were found, or there are none.
    pub(super) fn texts_located(&mut self, now: Now, place: &Place, servers: &[Candidate]) {
        let mut found = Vec::new();
        for (key, sending) in &mut self.texts.all {
            for (at, way) in sending.ways.iter_mut().enumerate() {
                if way.place.as_ref() == Some(place) {
                    way.place = None;
                    way.servers = servers.iter().copied().collect();
                    found.push((*key, at));
                }
            }
        }
        for (key, at) in found {
            self.send_text(now, key, at);
        }
    }

    /// Tells what became of a text once every way of it has failed.
    fn finish_text(&mut self, key: TextKey) {
        let Some(sending) = self.texts.all.get(&key) else {
            return;
        };
        if self.texts.pages.values().any(|(of, _)| *of == key) {
            return;
        }
        let Some(failed) = sending
            .ways
            .iter()
            .map(|way| way.failed.clone())
            .collect::<Option<Vec<Failed>>>()
        else {
            return;
        };
        let why: Vec<String> = failed.iter().map(|failed| failed.why.clone()).collect();
        let why = why.join(", ");
        let outcome = match failed.iter().all(|failed| failed.for_good) {
            true => TextOutcome::Never(why),
            false => TextOutcome::NotNow(why, failed.iter().filter_map(|failed| failed.retry_after).max()),
        };
        self.texts.all.remove(&key);
        self.outputs.push_back(ShardOutput::Texted(key, outcome));
    }
}

/// Who says so takes no text, or there is nobody.
fn is_for_good(status: u16) -> bool {
    matches!(status, 404 | 405 | 410 | 413 | 415 | 416 | 484 | 485 | 501 | 600..=699)
}
