//! Letting people and programs in.

use std::net::IpAddr;

use segue_store::{NewSession, Role, Store};

use crate::{
    Access, Refusal, Scopes, Secret, Who,
    device::Device,
    password,
    throttle::{Throttle, Tried},
};

/// How long a session lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Without being used, milliseconds.
    pub idle_ms: u64,
    /// At all, milliseconds.
    pub max_ms: u64,
}

/// That a session or token is used is written down this often at most, milliseconds: each time is a write to the disk.
const USED_EVERY_MS: i64 = 60_000;

/// What tokens of programs begin with.
const TOKEN_PREFIX: &str = "segue_";

/// From where somebody comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// The address.
    pub source: IpAddr,
    /// The browser, as it calls itself.
    pub user_agent: String,
    /// What the browser holds of a login before, if it does.
    pub device: Option<String>,
}

/// A session that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// What the browser holds from now on.
    pub secret: Secret,
    /// When it ends at the latest, Unix milliseconds.
    pub expires_at_ms: i64,
    /// What the browser holds for [`crate::DEVICE_MS`], to be known by at the next login with the password.
    pub device: Option<String>,
}

/// Lets somebody in. Blocking, as the store is.
#[derive(Debug)]
pub struct Manage {
    store: Store,
    limits: Limits,
    throttle: Throttle,
    now: fn() -> i64,
}

impl Manage {
    /// On this store; `now` is the wall clock, Unix milliseconds.
    pub fn new(store: Store, limits: Limits, now: fn() -> i64) -> Manage {
        Manage {
            store,
            limits,
            throttle: Throttle::default(),
            now,
        }
    }

    /// By name and password. A name that nobody has takes as long as a wrong password.
    ///
    /// # Errors
    /// [`Refusal::WrongLogin`], [`Refusal::TooMany`].
    pub fn login(&self, name: &str, password: &str, from: &From) -> Result<Begun, Refusal> {
        let now_ms = (self.now)();
        let known = match &from.device {
            None => None,
            Some(said) => {
                let kept = self.store.password_of(name)?;
                kept.and_then(|kept| Device::said(said, name, &kept, now_ms))
            }
        };
        let tried = match &known {
            Some(device) => Tried::By(&device.id),
            None => Tried::From(from.source, Some(name)),
        };
        self.throttle
            .try_at(tried, now_ms)
            .map_err(|retry_after_s| Refusal::TooMany { retry_after_s })?;
        let kept = self.store.password_of(name)?;
        if !password::matches(kept.as_deref(), password) {
            // A name that nobody has is not put down: it may be a password that went into the wrong field.
            if kept.is_some() {
                let who = Who::outside(name, "password", &from.source.to_string());
                // Not waited for: how long the answer takes would tell that there is the name.
                let _ = self.store.put_down_later(who.deed("login.failed", name, Some(name)));
            }
            return Err(Refusal::WrongLogin);
        }
        let Some(verified) = kept else {
            return Err(Refusal::WrongLogin);
        };
        self.throttle.was_right(tried);
        let device = match &known {
            Some(device) => device.clone().again(now_ms),
            None => Device::new(now_ms)?,
        };
        let device = device.text(name, &verified);
        let (secret, new) = self.new_session(name, from, now_ms)?;
        let who = Who::outside(name, "password", &from.source.to_string());
        let acting = self.store.acting(who.deed("login", name, Some(name)));
        let begun = acting
            .begin_session(new, verified, now_ms)
            .map_err(|error| match error {
                // Gone since its password was read, or it is another.
                segue_store::StoreError::NotFound { .. } => Refusal::WrongLogin,
                other => other.into(),
            })?;
        Ok(Begun {
            secret,
            expires_at_ms: begun.expires_at_ms,
            device: Some(device),
        })
    }

    /// Whether a link still opens. It stays.
    pub fn opens(&self, link: &str) -> Result<bool, Refusal> {
        match Secret::said(link) {
            None => Ok(false),
            Some(link) => Ok(self.store.link(&link.hash(), (self.now)())?.is_some()),
        }
    }

    /// By a link, which then opens no more.
    ///
    /// # Errors
    /// [`Refusal::LinkSpent`], [`Refusal::TooMany`].
    pub fn login_by_link(&self, link: &str, from: &From) -> Result<Begun, Refusal> {
        let now_ms = (self.now)();
        self.throttle
            .try_at(Tried::From(from.source, None), now_ms)
            .map_err(|retry_after_s| Refusal::TooMany { retry_after_s })?;
        let link = Secret::said(link).ok_or(Refusal::LinkSpent)?;
        let whose = self.store.link(&link.hash(), now_ms)?.ok_or(Refusal::LinkSpent)?;
        let (secret, new) = self.new_session(&whose, from, now_ms)?;
        let who = Who::outside(&whose, "link", &from.source.to_string());
        let acting = self.store.acting(who.deed("login", &whose, Some(&whose)));
        let begun = acting
            .begin_by_link(link.hash(), new, now_ms)?
            .ok_or(Refusal::LinkSpent)?;
        self.throttle.was_right(Tried::From(from.source, None));
        Ok(Begun {
            secret,
            expires_at_ms: begun.expires_at_ms,
            device: self.known_by_link(&whose, from, now_ms)?,
        })
    }

    /// Whom an operator has sent a link is known as who has the password is; without a password there is nothing to try.
    fn known_by_link(&self, name: &str, from: &From, now_ms: i64) -> Result<Option<String>, Refusal> {
        let Some(kept) = self.store.password_of(name)? else {
            return Ok(None);
        };
        let known = from.device.as_ref();
        let device = match known.and_then(|said| Device::said(said, name, &kept, now_ms)) {
            // What it has tried still counts.
            Some(device) => device.again(now_ms),
            None => Device::new(now_ms)?,
        };
        Ok(Some(device.text(name, &kept)))
    }

    /// By a session, which is thereby used. Error: [`Refusal::NotLoggedIn`].
    pub fn by_session(&self, secret: &Secret, source: IpAddr) -> Result<Access, Refusal> {
        let (access, used_at_ms) = self.session(secret, source)?;
        let now_ms = (self.now)();
        if now_ms.saturating_sub(used_at_ms) > USED_EVERY_MS {
            // Too busy to write it down is no reason to turn anybody away.
            let _ = self.store.session_used(secret.hash(), now_ms);
        }
        Ok(access)
    }

    /// The same for a page that merely stands open: nobody uses it.
    pub fn still_by_session(&self, secret: &Secret, source: IpAddr) -> Result<Access, Refusal> {
        self.session(secret, source).map(|(access, _)| access)
    }

    fn session(&self, secret: &Secret, source: IpAddr) -> Result<(Access, i64), Refusal> {
        let now_ms = (self.now)();
        let hash = secret.hash();
        let idle_ms = i64::try_from(self.limits.idle_ms).unwrap_or(i64::MAX);
        let session = self
            .store
            .session(&hash, idle_ms, now_ms)?
            .ok_or(Refusal::NotLoggedIn)?;
        let who = Who {
            name: session.name,
            role: session.role,
            by: "session".to_owned(),
            source: source.to_string(),
            scopes: Scopes::all(),
        };
        let access = Access::new(self.store.clone(), who, self.now);
        Ok((access, session.used_at_ms))
    }

    /// By a token. Error: [`Refusal::NotLoggedIn`].
    pub fn by_token(&self, said: &str, source: IpAddr) -> Result<Access, Refusal> {
        let now_ms = (self.now)();
        let token = match Secret::said(said).filter(|_| said.starts_with(TOKEN_PREFIX)) {
            Some(secret) => self.store.token(&secret.hash(), now_ms)?,
            None => None,
        };
        let token = token.ok_or(Refusal::NotLoggedIn)?;
        if token
            .used_at_ms
            .is_none_or(|at| now_ms.saturating_sub(at) > USED_EVERY_MS)
        {
            let _ = self.store.token_used(&token.id, now_ms);
        }
        let who = Who {
            name: token.name,
            role: token.role,
            by: format!("token {}", token.id),
            source: source.to_string(),
            scopes: token.scopes.parse().unwrap_or_else(|_| Scopes::of([])),
        };
        Ok(Access::new(self.store.clone(), who, self.now))
    }

    /// Ends a session.
    pub fn logout(&self, secret: &Secret) -> Result<(), Refusal> {
        Ok(self.store.end_session(secret.hash())?)
    }

    fn new_session(&self, name: &str, from: &From, now_ms: i64) -> Result<(Secret, NewSession), Refusal> {
        let secret = Secret::new("")?;
        let max_ms = i64::try_from(self.limits.max_ms).unwrap_or(i64::MAX);
        let new = NewSession {
            hash: secret.hash(),
            name: name.to_owned(),
            source: from.source.to_string(),
            user_agent: from.user_agent.chars().take(200).collect(),
            expires_at_ms: now_ms.saturating_add(max_ms),
        };
        Ok((secret, new))
    }
}

/// A new token of a program, as text that scanners of leaked secrets find.
pub(crate) fn new_token() -> Result<Secret, Refusal> {
    Secret::new(TOKEN_PREFIX)
}

impl Who {
    /// Somebody who is not in yet.
    fn outside(name: &str, by: &str, source: &str) -> Who {
        Who {
            name: name.to_owned(),
            role: Role::Subscriber,
            by: by.to_owned(),
            source: source.to_owned(),
            scopes: Scopes::of([]),
        }
    }
}
