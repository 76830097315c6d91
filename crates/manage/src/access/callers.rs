//! Who left messages, by the names that their owners have for them.

use std::collections::{BTreeMap, btree_map::Entry};

use segue_policy::{Address, Calling, Contact, Profile};
use segue_store::StoreError;

use crate::{Access, MessageView, Refusal, Scope};

impl Access {
    /// What the owner of each message calls who left it, by their contacts of just that address; numbers are read as the profile says.
    pub fn known_callers(&self, messages: &[MessageView], profile: &Profile) -> Result<Vec<Option<String>>, Refusal> {
        self.need(Scope::SettingsRead)?;
        let mut contacts: BTreeMap<&str, Vec<Contact>> = BTreeMap::new();
        let mut names = Vec::with_capacity(messages.len());
        for message in messages {
            let theirs = match contacts.entry(&message.mailbox) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(self.contacts_if_any(&message.mailbox)?),
            };
            names.push(name(theirs, &message.from, profile));
        }
        Ok(names)
    }

    /// Messages of a subscriber who was removed stay.
    fn contacts_if_any(&self, user: &str) -> Result<Vec<Contact>, Refusal> {
        self.owned_user(user)?;
        match self.store().contacts(user) {
            Err(StoreError::NotFound { .. }) => Ok(Vec::new()),
            other => Ok(other?),
        }
    }
}

fn name(contacts: &[Contact], from: &str, profile: &Profile) -> Option<String> {
    let calling = Calling {
        from: from.to_owned(),
        at_ms: 0,
    };
    if contacts.is_empty() || calling.is_anonymous() {
        return None;
    }
    let number = profile.normalise(from).number;
    let is_one = |address: &Address| matches!(address, Address::Number(_) | Address::Uri { .. });
    let found = contacts
        .iter()
        .find(|contact| is_one(&contact.address) && contact.address.is(from, number.as_deref()));
    found?.name.clone().filter(|name| !name.trim().is_empty())
}
