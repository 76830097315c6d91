//! Where the phones of subscribers are registered.

use segue_records::{RegistrationRecord, UnixMs};
use segue_store::Removal;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Access, Page, PageAsked, Refusal, Scope};

/// Longest URI of a contact that is looked for, bytes.
const CONTACT_MAX: usize = 1_024;

/// Where a phone is registered.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RegistrationView {
    /// Whose.
    pub user: String,
    /// The contact's URI.
    pub contact: String,
    /// Its priority, 0 to 1.
    pub q: f64,
    /// Where the REGISTER came from.
    pub source: String,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
    /// Our socket.
    pub local: String,
    /// It is called at `source`.
    pub by_source: bool,
    /// The proxies on the way to it.
    pub path: Vec<String>,
    /// What the phone calls itself by, across restarts.
    pub instance: Option<String>,
    /// The phone.
    pub user_agent: Option<String>,
    /// Until when, RFC 3339.
    pub expires_at: String,
    /// The same from now on.
    pub expires_in_s: u64,
}

impl RegistrationView {
    /// As it is now.
    pub fn new(kept: &RegistrationRecord, now: UnixMs) -> RegistrationView {
        let left_ms = kept.expires_at.0.saturating_sub(now.0);
        RegistrationView {
            user: kept.user.clone(),
            contact: kept.contact.clone(),
            q: f64::from(kept.q) / 1_000.0,
            source: kept.source.clone(),
            transport: kept.transport.clone(),
            local: kept.local.clone(),
            by_source: kept.by_source,
            path: kept.path.clone(),
            instance: kept.instance.clone(),
            user_agent: kept.user_agent.clone(),
            expires_at: kept.expires_at.rfc3339(),
            expires_in_s: u64::try_from(left_ms).unwrap_or(0) / 1_000,
        }
    }
}

impl Access {
    /// Where phones are registered: those of one, or for an operator of all.
    pub fn registrations(&self, user: Option<&str>) -> Result<Vec<RegistrationView>, Refusal> {
        self.need(Scope::SettingsRead)?;
        let of = self.owner_of_list(user)?;
        let now = UnixMs(self.now_ms());
        let kept = self.store().registrations(of.as_deref(), now)?;
        Ok(kept.iter().map(|kept| RegistrationView::new(kept, now)).collect())
    }

    /// The same page by page, in the order of subscriber and contact.
    pub fn registrations_page(&self, user: Option<&str>, asked: &PageAsked) -> Result<Page<RegistrationView>, Refusal> {
        self.need(Scope::SettingsRead)?;
        let of = self.owner_of_list(user)?;
        let (limit, after) = (asked.limit()?, asked.after()?);
        let after = match &after {
            Some(key) => {
                let key = key.split_once('\n');
                Some(key.ok_or_else(|| Refusal::invalid("cursor", "it is not the 'next' of a page"))?)
            }
            None => None,
        };
        let now = UnixMs(self.now_ms());
        let found = self.store().registrations_after(of.as_deref(), after, limit + 1, now)?;
        let key = |kept: &RegistrationRecord| format!("{}\n{}", kept.user, kept.contact);
        Ok(Page::of(found, limit, key, |kept| RegistrationView::new(&kept, now)))
    }

    /// Of all phones that are registered the first, at most `max`, and how many there are.
    pub fn first_registrations(&self, max: u32) -> Result<(Vec<RegistrationView>, u64), Refusal> {
        self.need(Scope::SystemRead)?;
        let now = UnixMs(self.now_ms());
        let (kept, all) = self.store().first_registrations(max, now)?;
        Ok((kept.iter().map(|kept| RegistrationView::new(kept, now)).collect(), all))
    }

    /// Forgets where a subscriber's phones are registered, one contact or all; the server does within a second. Says how many.
    pub fn remove_registrations(&self, user: &str, contact: Option<&str>) -> Result<usize, Refusal> {
        self.need(Scope::SettingsWrite)?;
        self.owned_user(user)?;
        self.store().subscriber(user)?;
        if contact.is_some_and(|contact| contact.len() > CONTACT_MAX) {
            return Err(Refusal::invalid(
                "contact",
                format!("it is longer than {CONTACT_MAX} bytes"),
            ));
        }
        let removal = Removal {
            user: user.to_owned(),
            contact: contact.map(str::to_owned),
        };
        Ok(self
            .acting("registration.remove", contact.unwrap_or("all"), Some(user))
            .remove_registrations(removal)?)
    }

    /// Puts down what was done to the running server itself, e.g. that a call was ended.
    pub fn did(&self, what: &str, object: &str) -> Result<(), Refusal> {
        Ok(self.store().put_down(self.who().deed(what, object, None))?)
    }
}
