//! A 401 or 407 of a callee's side that we could not answer: it asks us for credentials, never the caller, whose own end here.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use segue_sip_wire::Message;

/// Whether a status asks for credentials (RFC 3261 §22).
pub(crate) fn is_one(status: u16) -> bool {
    matches!(status, 401 | 407)
}

/// Longest name of a realm that is told on, characters.
const REALM_MAX: usize = 80;

/// The realm that a challenge names. `None`: none that can be read.
fn realm(response: &Message) -> Option<String> {
    let challenges = ["WWW-Authenticate", "Proxy-Authenticate"].map(|name| response.challenges(name));
    let realm = challenges.into_iter().flatten().next()?.realm;
    let proper = |c: &char| !c.is_control() && !['"', '\\'].contains(c);
    Some(realm.chars().filter(proper).take(REALM_MAX).collect())
}

/// The Warning for the caller of such a call (RFC 3261 §20.43).
pub(crate) fn warning(response: &Message) -> String {
    match realm(response) {
        Some(realm) => format!("399 segue \"The next server asks us for credentials of the realm {realm}\""),
        None => "399 segue \"The next server asks us for credentials in a way that is not known here\"".to_owned(),
    }
}

/// A realm is logged once in this time …
const EVERY: Duration = Duration::from_secs(60);
/// … and so many are told apart: others choose their names.
const REALMS_MAX: usize = 32;

/// Where our credentials for a peer stand.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keys<'a> {
    /// In the trunk of this name, by which the call goes.
    Trunk(&'a str),
    /// In the profile of the peer's address.
    Profile(&'a str),
    /// No profile has its address.
    Nowhere,
}

impl Keys<'_> {
    fn fix(self, realm: &str) -> String {
        let keys = format!("digest_user, digest_secret and digest_realm = \"{realm}\"");
        match self {
            Keys::Trunk(trunk) => format!("set {keys} in the [[trunk]] {trunk:?} of segue.toml, or correct them"),
            Keys::Profile(profile) => format!("set {keys} in the profile {profile:?}, or correct them"),
            Keys::Nowhere => format!("add a profile whose `sources` has its address, with {keys}"),
        }
    }
}

/// Which realms were logged lately.
#[derive(Debug, Default)]
pub(crate) struct Asked(BTreeMap<String, Instant>);

impl Asked {
    /// Logs that a peer asks for credentials that we have not, or that it did not take.
    /// `target`: whom the request called; `keys`: where our credentials for it stand.
    pub(crate) fn note(&mut self, now: Instant, response: &Message, target: &str, keys: Keys) {
        let realm = realm(response).unwrap_or_default();
        if !self.is_new(now, &realm) {
            return;
        }
        let status = response.status().unwrap_or(401);
        let fix = keys.fix(&realm);
        tracing::warn!(
            status,
            realm,
            target_uri = target,
            fix,
            "the callee's side asks us for credentials that we have not; the caller is told 403"
        );
    }

    fn is_new(&mut self, now: Instant, realm: &str) -> bool {
        self.0.retain(|_, at| now.saturating_duration_since(*at) < EVERY);
        let is_new = self.0.len() < REALMS_MAX && !self.0.contains_key(realm);
        if is_new {
            self.0.insert(realm.to_owned(), now);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(lines: &str) -> Message {
        let text = format!(
            "SIP/2.0 407 Proxy Authentication Required\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:x@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n{lines}Content-Length: 0\r\n\r\n"
        );
        Message::parse_datagram(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_realm_is_told_and_breaks_no_quotes() {
        let asks = |realm: &str| {
            response(&format!(
                "Proxy-Authenticate: Digest realm=\"{realm}\", nonce=\"n\"\r\n"
            ))
        };
        assert_eq!(
            warning(&asks("trunk.example")),
            "399 segue \"The next server asks us for credentials of the realm trunk.example\""
        );
        assert!(warning(&asks("a \\\"b\\\\")).ends_with("realm a b\""));
        assert!(warning(&response("")).contains("not known here"));
        assert_eq!(warning(&asks(&"x".repeat(300))).matches('x').count(), REALM_MAX + 1);
    }

    #[test]
    fn the_fix_names_the_place_where_the_credentials_belong() {
        let trunk = Keys::Trunk("main").fix("r");
        assert!(
            trunk.contains("digest_realm = \"r\" in the [[trunk]] \"main\""),
            "{trunk}"
        );
        let profile = Keys::Profile("office").fix("r");
        assert!(profile.contains("in the profile \"office\""), "{profile}");
        assert!(Keys::Nowhere.fix("r").starts_with("add a profile"));
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // An `Instant` has no other beginning; nothing depends on it.
    fn each_realm_is_logged_once_a_minute_and_not_without_end() {
        let (mut asked, now) = (Asked::default(), Instant::now());
        assert!(asked.is_new(now, "a") && !asked.is_new(now, "a") && asked.is_new(now, "b"));
        assert!(asked.is_new(now + EVERY, "a"));
        let told = (0..1_000)
            .filter(|at| asked.is_new(now + EVERY, &format!("r{at}")))
            .count();
        assert_eq!(told, REALMS_MAX - 1);
    }
}
