//! Credentials of others: who wants to call proves who it is (RFC 3261 §22.1, RFC 7616 §5, RFC 8760 §2.3).

pub(crate) mod backing_off;
mod counts;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    time::{Duration, Instant},
};

use ring::hmac;
use segue_sip_wire::{Challenge, Credentials, DigestAlgorithm, Message, Scheme, Uri};

use self::{
    backing_off::BackingOff,
    counts::{Counts, Stamp},
};
use super::{Asked, Protected, Secret, hex, response};

/// How long a nonce may be used.
const NONCE_LIVES: Duration = Duration::from_secs(60);

/// Who may call, and as whom.
#[derive(Clone, PartialEq, Eq)]
pub struct Realm {
    /// Its name, as challenges say it.
    pub name: String,
    /// Hash functions, the preferred one first.
    pub algorithms: Vec<DigestAlgorithm>,
    /// By user name.
    pub users: BTreeMap<String, User>,
}

/// One who may call.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The password, or what is known of it.
    pub secret: Secret,
    /// Users that may stand in its From; a `*` at the end stands for any rest. Empty: its own name alone.
    pub from: Vec<String>,
}

impl fmt::Debug for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Realm {} of {} users", self.name, self.users.len())
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User as {:?}", self.from)
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Its user has proven who it is.
    Given(String),
    /// 401 with these challenges, as WWW-Authenticate each.
    Wanted {
        /// In the realm's order.
        challenges: Vec<String>,
        /// Credentials were there, and are wrong.
        failed: bool,
    },
    /// 403: this user may not call as who its From says.
    OfAnother(String),
    /// 500 with Retry-After: too many credentials of this source were wrong.
    TooMany(Duration),
}

/// Makes nonces and checks what is made of them.
pub struct Guard {
    key: hmac::Key,
    /// The moment from which nonces count.
    born: Option<Instant>,
    made: u64,
    counts: Counts,
    backing_off: BackingOff,
}

impl Guard {
    /// `key`: what nonces are made with, unguessable in production.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Guard {
        Guard {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            born: None,
            made: 0,
            counts: Counts::default(),
            backing_off: BackingOff::default(),
        }
    }

    /// Checks one request that wants to begin something.
    pub fn check(&mut self, now: Instant, source: IpAddr, request: &Message, realm: &Realm) -> Proof {
        let Some(given) = request.credentials("Authorization", &realm.name) else {
            return self.ask(now, source, realm, false, false);
        };
        if let Some(wait) = self.backing_off.wait(now, source, &given.username) {
            return Proof::TooMany(wait);
        }
        let user = realm.users.get(&given.username);
        if !self.is_right(&given, request, realm, user) {
            // A nonce of ours shows that the source is where it says: nobody locks out others in their name.
            if self.stamp_of(&given.nonce, source, realm).is_some() {
                self.backing_off.failed(now, source, &given.username);
            }
            return self.ask(now, source, realm, false, true);
        }
        let count = given.protection.as_ref().map_or(1, |protection| protection.count);
        let fresh = self
            .stamp_of(&given.nonce, source, realm)
            .filter(|stamp| self.age(now, *stamp) <= NONCE_LIVES);
        // A count that was used before is a replay: whoever knows the password may use a new nonce.
        let taken = fresh.is_some_and(|stamp| {
            let oldest = self.elapsed(now).saturating_sub(millis(NONCE_LIVES));
            self.counts.take(stamp, count, oldest)
        });
        if !taken {
            return self.ask(now, source, realm, true, false);
        }
        self.backing_off.proven(source, &given.username);
        match user.filter(|user| fits(user, &given.username, request)) {
            Some(_) => Proof::Given(given.username),
            None => Proof::OfAnother(given.username),
        }
    }

    /// The same work and the same answer, whether the user is known or not.
    fn is_right(&self, given: &Credentials, request: &Message, realm: &Realm, user: Option<&User>) -> bool {
        let nobody = hex(hmac::sign(&self.key, given.username.as_bytes()).as_ref());
        let method = request.method().map(|method| method.as_str()).unwrap_or_default();
        let asked = Asked {
            algorithm: given.algorithm,
            username: &given.username,
            realm: &realm.name,
            nonce: &given.nonce,
            method,
            uri: &given.uri,
            protection: given.protection.as_ref().map(|protection| Protected {
                qop: &protection.qop,
                cnonce: &protection.cnonce,
                count: protection.count,
                body: None,
            }),
        };
        let expected = match user {
            Some(user) => user.secret.response(asked),
            None => response(asked, &nobody),
        };
        // In constant time: what is compared are MACs of both under a key that nobody else has.
        let mac = hmac::sign(&self.key, given.response.to_ascii_lowercase().as_bytes());
        let same = hmac::verify(&self.key, expected.as_bytes(), mac.as_ref()).is_ok();
        let allowed = realm.algorithms.contains(&given.algorithm)
            && given
                .protection
                .as_ref()
                .is_none_or(|protection| protection.qop == "auth");
        same && allowed && user.is_some() && same_callee(&given.uri, request)
    }

    fn ask(&mut self, now: Instant, source: IpAddr, realm: &Realm, stale: bool, failed: bool) -> Proof {
        self.made = self.made.wrapping_add(1);
        let stamp = Stamp {
            at_ms: self.elapsed(now),
            number: self.made,
        };
        let nonce = self.nonce(stamp, source, realm);
        let challenge = |algorithm: &DigestAlgorithm| {
            let challenge = Challenge {
                realm: realm.name.clone(),
                nonce: nonce.clone(),
                opaque: None,
                stale,
                algorithm: *algorithm,
                qop: vec!["auth".to_owned()],
            };
            challenge.to_string()
        };
        Proof::Wanted {
            challenges: realm.algorithms.iter().map(challenge).collect(),
            failed,
        }
    }

    /// When and as which it was made, and the proof that we made it for this source and realm.
    fn nonce(&self, stamp: Stamp, source: IpAddr, realm: &Realm) -> String {
        let text = stamp.to_string();
        let mac = hmac::sign(&self.key, sealed(&text, source, realm).as_bytes());
        format!("{text}{}", hex(mac.as_ref()))
    }

    /// `None`: it is none of ours, or was made for somebody else.
    fn stamp_of(&self, nonce: &str, source: IpAddr, realm: &Realm) -> Option<Stamp> {
        let (text, mac) = nonce.split_at_checked(Stamp::LENGTH)?;
        let stamp: Stamp = text.parse().ok()?;
        // Of the same length as ours, whatever it is.
        let given = hmac::sign(&self.key, mac.as_bytes());
        let ours = hex(hmac::sign(&self.key, sealed(text, source, realm).as_bytes()).as_ref());
        hmac::verify(&self.key, ours.as_bytes(), given.as_ref()).ok()?;
        Some(stamp)
    }

    fn elapsed(&mut self, now: Instant) -> u64 {
        let born = *self.born.get_or_insert(now);
        millis(now.saturating_duration_since(born))
    }

    fn age(&mut self, now: Instant, stamp: Stamp) -> Duration {
        Duration::from_millis(self.elapsed(now).saturating_sub(stamp.at_ms))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn sealed(text: &str, source: IpAddr, realm: &Realm) -> String {
    format!("{text};{source};{}", realm.name)
}

/// "A UAS MUST check if the Request-URI in the Authorization … corresponds to a user for whom the UAS is willing to accept …
/// requests" (RFC 8760 §2.6): the one who is called. Hosts and parameters may have been changed on the way.
fn same_callee(uri: &str, request: &Message) -> bool {
    let (Ok(signed), Some(called)) = (uri.parse::<Uri>(), request.request_uri()) else {
        return false;
    };
    signed.user() == called.user()
}

/// Whether a user may call as who its From says.
fn fits(user: &User, name: &str, request: &Message) -> bool {
    let Ok(from) = request.from() else { return false };
    // Who wants privacy has proven to us who it is, and need not tell others (RFC 3323 §4.1.1.3).
    let is_nobody = from.uri.user().is_some_and(|user| user == "anonymous")
        && from
            .uri
            .host()
            .is_some_and(|host| host.to_string().eq_ignore_ascii_case("anonymous.invalid"));
    if is_nobody {
        return true;
    }
    let said = match from.uri.scheme() {
        Scheme::Tel => Cow::Owned(number(from.uri.opaque().unwrap_or_default())),
        _ => from.uri.user().unwrap_or_default(),
    };
    if user.from.is_empty() {
        return said == name;
    }
    user.from.iter().any(|allowed| match allowed.strip_suffix('*') {
        Some(beginning) => said.starts_with(beginning),
        None => said == allowed.as_str(),
    })
}

/// The number of a `tel:` URI, without visual separators and parameters (RFC 3966 §3).
fn number(tel: &str) -> String {
    let digits = tel.split(';').next().unwrap_or_default();
    digits.chars().filter(|c| !"-.()".contains(*c)).collect()
}
