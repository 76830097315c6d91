//! Subscribers come and go, and get what their phones prove themselves by; by operators.

use std::fmt;

use segue_policy::{Profile, REGISTERED, Subscriber, check_user};
use segue_records::UnixMs;
use segue_store::{NewProofs, NewSubscriber};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Access, Refusal, Scope, SubscriberChange, SubscriberView};

/// Most subscribers that are added at once by programs: the check of each PIN that is set takes its turn before those of callers.
pub const IMPORTED_MAX: usize = 100;

/// What somebody typed and nobody shall read again.
#[derive(Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Typed(pub String);

impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("...")
    }
}

/// Makes of passwords and PINs what they are checked by, sealed.
pub trait Seals: Send + Sync {
    /// Of a phone's password, by realm.
    ///
    /// # Errors
    /// Why it is none, or that nobody asks for one.
    fn password(&self, user: &str, password: &str) -> Result<Vec<(String, Vec<u8>)>, String>;

    /// Of a PIN.
    ///
    /// # Errors
    /// Why it is none.
    fn pin(&self, user: &str, digits: &str) -> Result<Vec<u8>, String>;
}

/// A subscriber that is to be.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriberGiven {
    /// User part of their SIP address.
    pub user: String,
    /// With which their phones register and call; it is never told again.
    #[schema(value_type = Option<String>)]
    pub password: Option<Typed>,
    /// 4 to 10 digits, by which they reach their mailbox from phones of others.
    #[schema(value_type = Option<String>)]
    pub pin: Option<Typed>,
    /// What else is set; without targets they are reached wherever their phones are registered.
    #[serde(default)]
    pub settings: SubscriberChange,
}

/// A subscriber as they are to be, new or in place of what they were: what is absent of `settings` is as for a new one.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriberPut {
    /// With which their phones register and call; absent: as it is, a new one has none.
    #[schema(value_type = Option<String>)]
    pub password: Option<Typed>,
    /// 4 to 10 digits; absent: as it is, a new one has none.
    #[schema(value_type = Option<String>)]
    pub pin: Option<Typed>,
    /// What else is set; without targets they are reached wherever their phones are registered.
    #[serde(default)]
    pub settings: SubscriberChange,
}

/// How a subscriber's PIN stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PinView {
    /// They have one.
    pub is_set: bool,
    /// Wrong tries in a row.
    pub wrong_tries: u32,
    /// It may not be tried before then, RFC 3339; `null`: it is not locked.
    pub locked_until: Option<String>,
}

impl Access {
    fn may_change_subscribers(&self) -> Result<(), Refusal> {
        self.need(Scope::SettingsWrite)?;
        self.need(Scope::SystemWrite)
    }

    /// Adds a subscriber, with what their phones prove themselves by.
    ///
    /// # Errors
    /// Who asks is no operator; [`Refusal::Invalid`] with the field; the name, a number or an alias is another's; a clip is not there.
    pub fn add_subscriber(
        &self,
        given: SubscriberGiven,
        profiles: &[Profile],
        seals: &dyn Seals,
    ) -> Result<SubscriberView, Refusal> {
        self.may_change_subscribers()?;
        let new = self.read_new(given, profiles, seals)?;
        let view = SubscriberView::from(&new.subscriber);
        self.add_new_subscriber(new)?;
        Ok(view)
    }

    /// Adds several subscribers: all of them, or none. The error is that of the first that cannot be added, with its place among them, from 0.
    ///
    /// # Errors
    /// As [`Access::add_subscriber`]; there are more than [`IMPORTED_MAX`].
    pub fn add_subscribers(
        &self,
        all: Vec<SubscriberGiven>,
        profiles: &[Profile],
        seals: &dyn Seals,
    ) -> Result<Vec<String>, (usize, Refusal)> {
        self.may_change_subscribers().map_err(|refusal| (0, refusal))?;
        if all.len() > IMPORTED_MAX {
            let why = format!("there are {IMPORTED_MAX} at most; add the others after them");
            return Err((IMPORTED_MAX, Refusal::invalid("subscribers", why)));
        }
        let read = all.into_iter().enumerate();
        let read = read.map(|(place, given)| {
            self.read_new(given, profiles, seals)
                .map_err(|refusal| (place, refusal))
        });
        let read = read.collect::<Result<Vec<_>, _>>()?;
        let users = read.iter().map(|new| new.subscriber.user.clone()).collect();
        self.import_subscribers(&read.len().to_string(), read)?;
        Ok(users)
    }

    fn read_new(
        &self,
        given: SubscriberGiven,
        profiles: &[Profile],
        seals: &dyn Seals,
    ) -> Result<NewSubscriber, Refusal> {
        let user = given.user;
        check_user(&user).map_err(|wrong| Refusal::invalid("user", wrong.to_string()))?;
        let settings = given.settings.read(profiles)?;
        self.may_have_clips(&user, &settings, None)?;
        let NewProofs { secrets, pin, .. } = self.proofs(&user, given.password.as_ref(), given.pin.as_ref(), seals)?;
        Ok(NewSubscriber {
            subscriber: newly(&user, settings),
            secrets,
            pin: pin.flatten(),
        })
    }

    /// Adds a subscriber, or has one be just this from now on, if what is there is as `is_as_seen` wants it; says whether they are new.
    ///
    /// # Errors
    /// As [`Access::add_subscriber`]; [`Refusal::Changed`].
    pub fn put_subscriber(
        &self,
        user: &str,
        given: SubscriberPut,
        profiles: &[Profile],
        seals: &dyn Seals,
        is_as_seen: impl FnOnce(Option<&SubscriberView>) -> bool + Send + 'static,
    ) -> Result<(SubscriberView, bool), Refusal> {
        self.may_change_subscribers()?;
        check_user(user).map_err(|wrong| Refusal::invalid("user", wrong.to_string()))?;
        let settings = given.settings.read(profiles)?;
        self.may_have_clips(user, &settings, None)?;
        let proofs = self.proofs(user, given.password.as_ref(), given.pin.as_ref(), seals)?;
        let subscriber = newly(user, settings);
        let view = SubscriberView::from(&subscriber);
        let acting = self.acting("subscriber.put", user, Some(user));
        let is_new = acting.replace_subscriber(subscriber, proofs, move |now| {
            is_as_seen(now.map(SubscriberView::from).as_ref())
        })?;
        Ok((view, is_new))
    }

    /// Changes a subscriber, their phones' password and their PIN, what is given of these, if they are as `is_as_seen` wants them: all of
    /// it, or nothing.
    ///
    /// # Errors
    /// As [`Access::change_subscriber`], of password and PIN as [`Access::add_subscriber`].
    pub fn change_account(
        &self,
        given: SubscriberGiven,
        profiles: &[Profile],
        seals: &dyn Seals,
        is_as_seen: impl FnOnce(&SubscriberView) -> bool + Send + 'static,
    ) -> Result<SubscriberView, Refusal> {
        self.may_change_subscribers()?;
        let user = given.user;
        let settings = given.settings.read(profiles)?;
        let before = self.store().subscriber(&user)?;
        self.may_have_clips(&user, &settings, Some(&before))?;
        let proofs = self.proofs(&user, given.password.as_ref(), given.pin.as_ref(), seals)?;
        let acting = self.acting("subscriber.set", &user, Some(&user));
        let changed = acting.change_subscriber_and_proofs(
            &user,
            proofs,
            move |now| is_as_seen(&now.into()),
            move |subscriber| settings.apply(subscriber, false),
        )?;
        Ok((&changed).into())
    }

    /// What is typed, sealed, and what is put down of it.
    fn proofs(
        &self,
        user: &str,
        password: Option<&Typed>,
        pin: Option<&Typed>,
        seals: &dyn Seals,
    ) -> Result<NewProofs, Refusal> {
        let mut new = NewProofs::default();
        if let Some(Typed(word)) = password {
            new.secrets = Some(seals.password(user, word).map_err(|why| wrong("password", why))?);
        }
        if let Some(Typed(digits)) = pin {
            new.pin = Some(Some(seals.pin(user, digits).map_err(|why| wrong("pin", why))?));
        }
        Ok(self.put_down(user, new))
    }

    /// The same with what is put down of it.
    fn put_down(&self, user: &str, mut new: NewProofs) -> NewProofs {
        let given = [
            ("subscriber.phone_password", new.secrets.is_some()),
            ("subscriber.pin", new.pin.is_some()),
        ];
        let given = given.into_iter().filter(|(_, is_given)| *is_given);
        new.deeds = given.map(|(what, _)| self.who().deed(what, user, Some(user))).collect();
        new
    }

    /// The same as it is to be stored.
    pub fn add_new_subscriber(&self, new: NewSubscriber) -> Result<(), Refusal> {
        self.may_change_subscribers()?;
        let user = new.subscriber.user.clone();
        let acting = self.acting("subscriber.add", &user, Some(&user));
        Ok(acting.add_subscribers(vec![new]).map_err(|(_, error)| error)?)
    }

    /// Several of these that come from a file: all of them, or none. The error is that of the first that cannot be added, with its place
    /// among them.
    pub fn import_subscribers(&self, from: &str, all: Vec<NewSubscriber>) -> Result<(), (usize, Refusal)> {
        self.may_change_subscribers().map_err(|refusal| (0, refusal))?;
        let added = self.acting("subscriber.import", from, None).add_subscribers(all);
        added.map_err(|(place, error)| (place, error.into()))
    }

    /// Changes whatever is to be changed of a subscriber, and what they prove themselves by, sealed: all of it, or nothing.
    pub fn set_subscriber(
        &self,
        user: &str,
        proofs: NewProofs,
        change: impl FnOnce(&mut Subscriber) + Send + 'static,
    ) -> Result<Subscriber, Refusal> {
        self.may_change_subscribers()?;
        let proofs = self.put_down(user, proofs);
        let acting = self.acting("subscriber.set", user, Some(user));
        Ok(acting.change_subscriber_and_proofs(user, proofs, |_| true, change)?)
    }

    /// Removes a subscriber, with their rules, contacts and logins; says how many messages stay until they are deleted.
    pub fn remove_subscriber(
        &self,
        user: &str,
        is_as_seen: impl FnOnce(&SubscriberView) -> bool + Send + 'static,
    ) -> Result<usize, Refusal> {
        self.may_change_subscribers()?;
        let acting = self.acting("subscriber.remove", user, Some(user));
        acting.remove_subscriber_if(user, move |now| is_as_seen(&now.into()))?;
        Ok(self.store().messages(user)?.len())
    }

    /// Sets with what a subscriber's phones register and call.
    pub fn set_phone_password(&self, user: &str, password: &Typed, seals: &dyn Seals) -> Result<(), Refusal> {
        self.may_change_subscribers()?;
        self.store().subscriber(user)?;
        let sealed = seals
            .password(user, &password.0)
            .map_err(|why| wrong("password", why))?;
        let acting = self.acting("subscriber.phone_password", user, Some(user));
        Ok(acting.set_secrets(user, sealed)?)
    }

    /// Sets by which PIN a subscriber reaches their mailbox from phones of others, and unlocks it; `None`: by none.
    pub fn set_pin(&self, user: &str, pin: Option<&Typed>, seals: &dyn Seals) -> Result<(), Refusal> {
        self.may_change_subscribers()?;
        self.store().subscriber(user)?;
        let sealed = match pin {
            None => None,
            Some(Typed(digits)) => Some(seals.pin(user, digits).map_err(|why| wrong("pin", why))?),
        };
        let acting = self.acting("subscriber.pin", user, Some(user));
        Ok(acting.set_pin(user, sealed)?)
    }

    /// How a subscriber's PIN stands.
    pub fn pin(&self, user: &str) -> Result<PinView, Refusal> {
        self.need(Scope::SettingsRead)?;
        self.owned_user(user)?;
        self.store().subscriber(user)?;
        let state = self.store().pin(user)?;
        let until_ms = state.map(|state| state.locked_until_ms);
        Ok(PinView {
            is_set: state.is_some(),
            wrong_tries: state.map_or(0, |state| state.wrong),
            locked_until: until_ms
                .filter(|until| *until > self.now_ms())
                .map(|until| UnixMs(until).rfc3339()),
        })
    }

    /// Lets a PIN be tried again that too many wrong ones have locked; says whether it was locked.
    ///
    /// # Errors
    /// Who asks is no operator; there is no such subscriber, or they have no PIN.
    pub fn unlock_pin(&self, user: &str) -> Result<bool, Refusal> {
        self.may_change_subscribers()?;
        let acting = self.acting("subscriber.unlock", user, Some(user));
        Ok(acting.unlock_pin(user, self.now_ms())?)
    }

    /// Whether a subscriber's phones have a password to register and call with.
    pub fn has_phone_password(&self, user: &str) -> Result<bool, Refusal> {
        self.need(Scope::SettingsRead)?;
        self.owned_user(user)?;
        self.store().subscriber(user)?;
        Ok(!self.store().realms_of(user)?.is_empty())
    }
}

/// A subscriber of whom nothing else is set.
fn newly(user: &str, settings: SubscriberChange) -> Subscriber {
    let mut subscriber = Subscriber {
        user: user.to_owned(),
        targets: vec![REGISTERED.to_owned()],
        ..Subscriber::default()
    };
    settings.apply(&mut subscriber, false);
    subscriber
}

fn wrong(field: &'static str, why: String) -> Refusal {
    Refusal::Invalid { field, why }
}
