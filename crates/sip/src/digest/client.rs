//! Our own credentials, for who asks for them (RFC 3261 §22.2, RFC 8760 §2.4).

use std::{collections::BTreeMap, fmt, sync::Arc};

use segue_sip_wire::{Challenge, Credentials, DigestAlgorithm, Message, Protection};

use super::{Asked, Protected, response};
use crate::{
    api::{Protocol, SessionId},
    draft::Draft,
};

/// Credentials for one realm. They never go to another.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The realm that they are for; empty: the first one that asks for them.
    pub realm: String,
    /// Who we are there.
    pub username: String,
    /// The password.
    pub secret: String,
    /// Hash functions that may be used; the first of the peer's challenges that is of one of them is answered.
    pub algorithms: Vec<DigestAlgorithm>,
    /// They are sent by TLS alone.
    pub tls_only: bool,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account of {} in {}", self.username, self.realm)
    }
}

/// Who asks: the peer, or a proxy on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 401.
    User,
    /// 407.
    Proxy,
}

impl Kind {
    pub(crate) fn of(status: u16) -> Option<Kind> {
        match status {
            401 => Some(Kind::User),
            407 => Some(Kind::Proxy),
            _ => None,
        }
    }

    fn challenge(self) -> &'static str {
        match self {
            Kind::User => "WWW-Authenticate",
            Kind::Proxy => "Proxy-Authenticate",
        }
    }

    pub(crate) fn credentials(self) -> &'static str {
        match self {
            Kind::User => "Authorization",
            Kind::Proxy => "Proxy-Authorization",
        }
    }
}

/// The account of each session that has one, and what it was asked.
#[derive(Default)]
pub(crate) struct Accounts(BTreeMap<SessionId, Held>);

struct Held {
    account: Arc<Account>,
    user: Option<Answered>,
    proxy: Option<Answered>,
}

impl Held {
    /// The realm that the credentials are for; `None`: it is not known yet.
    fn realm(&self) -> Option<&str> {
        if !self.account.realm.is_empty() {
            return Some(&self.account.realm);
        }
        let answered = self.user.as_ref().or(self.proxy.as_ref());
        answered.map(|answered| answered.challenge.realm.as_str())
    }
}

/// A challenge in use: "subsequent requests … SHOULD [carry] the credentials" with a higher count (RFC 3261 §22.2, RFC 7616
/// §3.6).
struct Answered {
    challenge: Challenge,
    /// How often its nonce was used.
    count: u32,
}

impl Accounts {
    pub(crate) fn set(&mut self, session: SessionId, account: Arc<Account>) {
        let held = Held {
            account,
            user: None,
            proxy: None,
        };
        self.0.insert(session, held);
    }

    pub(crate) fn forget(&mut self, session: SessionId) {
        self.0.remove(&session);
    }

    /// The first challenge that we can answer, and may.
    pub(crate) fn choose(&self, session: SessionId, kind: Kind, refusal: &Message, by: Protocol) -> Option<Challenge> {
        let held = self.0.get(&session)?;
        let (account, realm) = (&held.account, held.realm());
        let challenges = refusal.challenges(kind.challenge());
        let ours = challenges.into_iter().find(|challenge| {
            realm.is_none_or(|realm| challenge.realm == realm)
                && account.algorithms.contains(&challenge.algorithm)
                && (challenge.qop.is_empty() || quality(challenge).is_some())
        });
        if ours.is_none() {
            tracing::warn!(account = ?account, "no challenge was answered: none is of this realm and of an algorithm allowed");
        } else if account.tls_only && by != Protocol::Tls {
            tracing::warn!(account = ?account, "no challenge was answered: the account is for TLS alone");
            return None;
        }
        ours
    }

    /// The realm of this session's credentials, once that is known.
    pub(crate) fn realm(&self, session: SessionId) -> Option<&str> {
        self.0.get(&session)?.realm()
    }

    /// Uses a challenge from now on.
    pub(crate) fn answer(&mut self, session: SessionId, kind: Kind, challenge: Challenge) {
        if let Some(held) = self.0.get_mut(&session) {
            let answered = Some(Answered { challenge, count: 0 });
            match kind {
                Kind::User => held.user = answered,
                Kind::Proxy => held.proxy = answered,
            }
        }
    }

    /// Adds the credentials that were asked for in this session before.
    pub(crate) fn authorize(&mut self, session: SessionId, draft: Draft, by: Protocol, cnonce: &str) -> Draft {
        let Some(held) = self.0.get_mut(&session) else {
            return draft;
        };
        if held.account.tls_only && by != Protocol::Tls {
            return draft;
        }
        let mut draft = draft;
        for (kind, answered) in [(Kind::User, &mut held.user), (Kind::Proxy, &mut held.proxy)] {
            if let Some(answered) = answered {
                let credentials = answered.credentials(&held.account, &draft, cnonce);
                draft = draft.header(kind.credentials(), credentials.to_string());
            }
        }
        draft
    }

    /// Whether this session was asked for credentials.
    pub(crate) fn are_wanted(&self, session: SessionId) -> bool {
        self.0
            .get(&session)
            .is_some_and(|held| held.user.is_some() || held.proxy.is_some())
    }
}

/// What we choose of the qualities offered: `auth` where it is among them.
fn quality(challenge: &Challenge) -> Option<&'static str> {
    ["auth", "auth-int"]
        .into_iter()
        .find(|known| challenge.qop.iter().any(|offered| offered == known))
}

impl Answered {
    fn credentials(&mut self, account: &Account, draft: &Draft, cnonce: &str) -> Credentials {
        self.count = self.count.saturating_add(1);
        let challenge = &self.challenge;
        let uri = draft.uri.to_string();
        let qop = quality(challenge);
        let body = draft.body.as_ref().map_or(&[][..], |(_, body)| body);
        let asked = Asked {
            algorithm: challenge.algorithm,
            username: &account.username,
            realm: &challenge.realm,
            nonce: &challenge.nonce,
            method: draft.method.as_str(),
            uri: &uri,
            protection: qop.map(|qop| Protected {
                qop,
                cnonce,
                count: self.count,
                body: (qop == "auth-int").then_some(body),
            }),
        };
        Credentials {
            response: response(asked, &account.secret),
            username: account.username.clone(),
            realm: challenge.realm.clone(),
            nonce: challenge.nonce.clone(),
            algorithm: challenge.algorithm,
            opaque: challenge.opaque.clone(),
            protection: qop.map(|qop| Protection {
                qop: qop.to_owned(),
                cnonce: cnonce.to_owned(),
                count: self.count,
            }),
            uri,
        }
    }
}
