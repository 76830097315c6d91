//! The store as somebody may see it.

pub mod accounts;
pub(crate) mod bound;
pub mod callers;
pub mod calls;
pub mod clips;
pub mod contacts;
pub mod export;
pub mod groups;
pub mod messages;
pub mod notices;
pub mod notify;
pub mod numbers;
pub mod refused;
pub mod registrations;
pub mod retention;
pub mod rules;
mod standing;
pub mod strict;
pub mod subscribers;
pub mod system;
pub mod targets;
pub mod tokens;
pub mod trunk_settings;
pub mod trunks;
pub mod uploads;

use segue_records::{Event, Happening};
use segue_store::{Deed, Role, Store};

use crate::{Refusal, Scope, Scopes};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// Their name.
    pub name: String,
    /// What they are.
    pub role: Role,
    /// By what they are in: `session`, `token ID` or `command`.
    pub by: String,
    /// From where; empty for a command.
    pub source: String,
    /// What that lets them do.
    pub scopes: Scopes,
}

impl Who {
    /// What they do, as it is put down.
    pub(crate) fn deed(&self, what: &str, object: &str, owner: Option<&str>) -> Deed {
        Deed {
            name: self.name.clone(),
            role: self.role,
            by: self.by.clone(),
            source: self.source.clone(),
            what: what.to_owned(),
            object: object.to_owned(),
            owner: owner.map(str::to_owned),
            detail: String::new(),
        }
    }
}

/// The store as somebody may see it. Blocking, as the store is. Its methods are in `access/`, a file a topic.
#[derive(Debug, Clone)]
pub struct Access {
    store: Store,
    who: Who,
    now: fn() -> i64,
}

impl Access {
    pub(crate) fn new(store: Store, who: Who, now: fn() -> i64) -> Access {
        Access { store, who, now }
    }

    /// For a command on this machine: whoever may read the data directory may do everything.
    pub fn command(store: Store, system_user: &str, now: fn() -> i64) -> Access {
        let who = Who {
            name: system_user.to_owned(),
            role: Role::Operator,
            by: "command".to_owned(),
            source: String::new(),
            scopes: Scopes::all(),
        };
        Access::new(store, who, now)
    }

    /// Who asks.
    pub fn who(&self) -> &Who {
        &self.who
    }

    /// Whether somebody may see this event. A subscriber sees what happens to their messages.
    pub fn may_see(&self, event: &Event) -> bool {
        let owner = match &event.what {
            Happening::MessageCommitted(message)
            | Happening::MessageHeard(message)
            | Happening::MessageUnheard(message)
            | Happening::MessageRestored(message)
            | Happening::MessageDeleted { message, .. } => Some(message.mailbox.as_str()),
            _ => None,
        };
        match (owner, self.own_name()) {
            (Some(_), None) => self.need(Scope::MessagesRead).is_ok(),
            (Some(owner), Some(own)) => owner == own && self.need(Scope::MessagesRead).is_ok(),
            (None, None) => self.need(Scope::CallsRead).is_ok(),
            (None, Some(_)) => false,
        }
    }

    /// Asks for a scope. Error: [`Refusal::Forbidden`].
    pub fn need(&self, scope: Scope) -> Result<(), Refusal> {
        if scope.is_operators() && self.who.role != Role::Operator {
            return Err(Refusal::Forbidden {
                why: "this is for operators".to_owned(),
                fix: "log in as one".to_owned(),
            });
        }
        if !self.who.scopes.has(scope) {
            return Err(Refusal::Forbidden {
                why: format!("the token does not have the scope {}", scope.name()),
                fix: format!("make one with it: 'segue token create ... --scope {}'", scope.name()),
            });
        }
        Ok(())
    }

    /// A subscriber's own name; `None`: an operator, who sees those of all.
    pub(crate) fn own_name(&self) -> Option<&str> {
        match self.who.role {
            Role::Operator => None,
            Role::Subscriber => Some(&self.who.name),
        }
    }

    /// Whose things these are: theirs, or for an operator those of whom they name. Another's are not there.
    pub(crate) fn owned_user(&self, user: &str) -> Result<(), Refusal> {
        match self.own_name() {
            Some(own) if own != user => Err(Refusal::not_found("subscriber", user)),
            _ => Ok(()),
        }
    }

    /// Whose are meant by a list: their own for a subscriber, else of whom was named, `None` for all.
    pub(crate) fn owner_of_list(&self, named: Option<&str>) -> Result<Option<String>, Refusal> {
        if let Some(user) = named {
            self.owned_user(user)?;
        }
        Ok(self.own_name().or(named).map(str::to_owned))
    }

    /// The store for a change that is put down as this deed.
    pub(crate) fn acting(&self, what: &str, object: &str, owner: Option<&str>) -> Store {
        self.store.acting(self.who.deed(what, object, owner))
    }

    /// The same with more about it, in words.
    pub(crate) fn acting_so(&self, what: &str, object: &str, owner: &str, detail: String) -> Store {
        let deed = self.who.deed(what, object, Some(owner));
        self.store.acting(Deed { detail, ..deed })
    }

    /// Whether who asks may change what this subscriber has set.
    pub(crate) fn may_change_settings(&self, user: &str) -> Result<(), Refusal> {
        self.need(Scope::SettingsWrite)?;
        self.owned_user(user)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The moment, Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        (self.now)()
    }
}
