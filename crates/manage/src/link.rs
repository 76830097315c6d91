//! Links by which somebody logs in once, and operators: what a command makes for people.

use segue_store::{Identity, Role};

use crate::{Access, Refusal, Scope, Secret, password};

/// How long a login link opens unless somebody says otherwise, milliseconds: an hour.
pub const LINK_MS: u64 = 3_600_000;

impl Access {
    /// Makes an operator. Without a password they log in by a link.
    ///
    /// # Errors
    /// The name is taken or none, or the password is too short.
    pub fn add_operator(&self, name: &str, password: Option<&str>) -> Result<(), Refusal> {
        self.need(Scope::SystemWrite)?;
        segue_policy::check_user(name).map_err(|wrong| Refusal::invalid("name", wrong.to_string()))?;
        let hash = password.map(password::hash).transpose()?;
        Ok(self
            .acting("operator.create", name, None)
            .add_operator(name, hash, self.now_ms())?)
    }

    /// The operators, by name.
    pub fn operators(&self) -> Result<Vec<Identity>, Refusal> {
        self.need(Scope::SystemRead)?;
        Ok(self.store().identities(Role::Operator)?)
    }

    /// Removes an operator with their sessions, links and tokens.
    pub fn remove_operator(&self, name: &str) -> Result<(), Refusal> {
        self.need(Scope::SystemWrite)?;
        Ok(self.acting("operator.remove", name, None).remove_operator(name)?)
    }

    /// Sets or takes away somebody's password; their sessions end.
    pub fn set_password(&self, name: &str, role: Role, password: Option<&str>) -> Result<(), Refusal> {
        self.need(match role {
            Role::Operator => Scope::SystemWrite,
            Role::Subscriber => Scope::SettingsWrite,
        })?;
        if role == Role::Subscriber {
            self.owned_user(name)?;
        }
        let hash = password.map(password::hash).transpose()?;
        Ok(self
            .acting("password.set", name, Some(name))
            .set_password(name, role, hash, self.now_ms())?)
    }

    /// A link by which somebody logs in once, within `for_ms`: what comes after `/login/link/`.
    pub fn login_link(&self, name: &str, role: Role, for_ms: u64) -> Result<Secret, Refusal> {
        self.need(Scope::SystemWrite)?;
        let (link, now_ms) = (Secret::new("")?, self.now_ms());
        let until_ms = now_ms.saturating_add(i64::try_from(for_ms).unwrap_or(i64::MAX));
        self.acting("login.link", name, Some(name))
            .add_link(name, role, link.hash(), until_ms, now_ms)?;
        Ok(link)
    }
}
