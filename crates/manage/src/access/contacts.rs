//! Whom a subscriber knows, in groups that their rules speak of.

use segue_policy::{Address, Contact, GROUPS_MAX, Profile, Rules, Who, check_group};
use segue_store::StoreError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Access, Refusal, Scope, written};

/// Somebody whom a subscriber knows.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ContactView {
    /// Their address or number.
    pub address: String,
    /// Their name.
    pub name: Option<String>,
    /// The groups that they are in.
    pub groups: Vec<String>,
}

impl From<&Contact> for ContactView {
    fn from(contact: &Contact) -> ContactView {
        ContactView {
            address: contact.address.to_string(),
            name: contact.name.clone(),
            groups: contact.groups.clone(),
        }
    }
}

/// A contact that is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContactGiven {
    /// `+4930123456` or as it is dialled, `+4930*` (all that begin so), `sip:alice@example.com`, `sip:*@example.com`.
    pub address: String,
    /// What they are called, at most 100 characters.
    pub name: Option<String>,
    /// The groups that they are in, e.g. `business`; at most 10.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// A group of contacts.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct GroupView {
    /// Its name.
    pub name: String,
    /// The addresses of those who are in it.
    pub contacts: Vec<String>,
    /// The places of the rules that are for it.
    pub rules: Vec<usize>,
}

/// Who is to be in a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupGiven {
    /// Its new name; the rules that are for it follow. Absent: as it is.
    pub name: Option<String>,
    /// The addresses of those who are in it, each a contact. Absent: as they are.
    pub contacts: Option<Vec<String>>,
}

/// Longest name of a contact, characters.
const NAME_MAX: usize = 100;

fn check(mut contact: Contact) -> Result<Contact, Refusal> {
    contact.groups.sort();
    contact.groups.dedup();
    for group in &contact.groups {
        check_group(group).map_err(|wrong| Refusal::invalid("groups", wrong.to_string()))?;
    }
    if contact.groups.len() > GROUPS_MAX {
        let count = contact.groups.len();
        let why = format!("a contact is in at most {GROUPS_MAX} groups, not {count}");
        return Err(Refusal::invalid("groups", why));
    }
    contact.name = contact.name.filter(|name| !name.is_empty());
    let is_long = |name: &String| name.chars().count() > NAME_MAX || name.contains(char::is_control);
    if contact.name.as_ref().is_some_and(is_long) {
        let why = format!("a name is at most {NAME_MAX} characters on one line");
        return Err(Refusal::invalid("name", why));
    }
    Ok(contact)
}

impl ContactGiven {
    /// The contact that it is, its number by the first profile that knows it. Error: [`Refusal::Invalid`] with the field.
    pub fn contact(self, profiles: &[Profile]) -> Result<Contact, Refusal> {
        let address = written::address(&self.address, profiles);
        Ok(Contact {
            address: address.map_err(|wrong| Refusal::invalid("address", wrong))?,
            name: self.name,
            groups: self.groups,
        })
    }
}

fn no_contact(address: &Address) -> StoreError {
    StoreError::NotFound {
        what: "contact",
        name: address.to_string(),
    }
}

/// The groups that there are: of contacts, and those that rules are for.
fn groups(rules: &Rules) -> Vec<GroupView> {
    let mut groups: std::collections::BTreeMap<&str, GroupView> = std::collections::BTreeMap::new();
    let empty = |name: &str| GroupView {
        name: name.to_owned(),
        contacts: Vec::new(),
        rules: Vec::new(),
    };
    for contact in &rules.contacts {
        for name in &contact.groups {
            let group = groups.entry(name).or_insert_with(|| empty(name));
            group.contacts.push(contact.address.to_string());
        }
    }
    for (place, rule) in (1..).zip(&rules.rules) {
        for who in &rule.from {
            if let Who::Group(name) = who {
                groups.entry(name).or_insert_with(|| empty(name)).rules.push(place);
            }
        }
    }
    groups.into_values().collect()
}

fn group(rules: &Rules, name: &str) -> Option<GroupView> {
    groups(rules).into_iter().find(|group| group.name == name)
}

/// Who is in it from now on.
fn set_members(rules: &mut Rules, name: &str, members: &[Address]) -> Result<(), StoreError> {
    let is_known = |address: &&Address| !rules.contacts.iter().any(|contact| contact.address == **address);
    if let Some(unknown) = members.iter().find(is_known) {
        return Err(no_contact(unknown));
    }
    for contact in &mut rules.contacts {
        contact.groups.retain(|group| group != name);
        if members.contains(&contact.address) {
            contact.groups.push(name.to_owned());
            contact.groups.sort();
        }
        if contact.groups.len() > GROUPS_MAX {
            return Err(StoreError::Refused {
                why: format!("{} is in {GROUPS_MAX} groups, as many as there may be", contact.address),
                fix: "take them out of another group first".to_owned(),
            });
        }
    }
    Ok(())
}

impl Access {
    /// Whom a subscriber knows, by address.
    pub fn contacts(&self, user: &str) -> Result<Vec<ContactView>, Refusal> {
        self.need(Scope::SettingsRead)?;
        self.owned_user(user)?;
        Ok(self.store().contacts(user)?.iter().map(ContactView::from).collect())
    }

    /// One of them.
    pub fn contact(&self, user: &str, address: &Address) -> Result<ContactView, Refusal> {
        let all = self.contacts(user)?.into_iter();
        let name = address.to_string();
        let mut found = all.filter(|contact| contact.address == name);
        found.next().ok_or_else(|| no_contact(address).into())
    }

    /// Adds a contact. Errors: as [`Access::put_contact`]; there is one of this address already.
    pub fn add_contact(&self, user: &str, contact: Contact) -> Result<ContactView, Refusal> {
        let taken = StoreError::Refused {
            why: format!("{} is a contact already", contact.address),
            fix: "change that one".to_owned(),
        };
        match self.put_contact(user, contact, |now| now.is_none()) {
            Err(Refusal::Changed) => Err(taken.into()),
            put => put,
        }
    }

    /// Adds a contact, or changes the one of this address, if it is as `is_as_seen` wants it (`None`: there is none).
    ///
    /// # Errors
    /// [`Refusal::Invalid`] with the field; there are too many; [`Refusal::Changed`].
    pub fn put_contact(
        &self,
        user: &str,
        contact: Contact,
        is_as_seen: impl FnOnce(Option<&ContactView>) -> bool + Send + 'static,
    ) -> Result<ContactView, Refusal> {
        self.may_change_settings(user)?;
        let contact = check(contact)?;
        let view = ContactView::from(&contact);
        let acting = self.acting_so("contact.put", &view.address, user, view.groups.join(" "));
        acting.change_contacts(user, move |rules| {
            let known = rules.contacts.iter_mut().find(|known| known.address == contact.address);
            if !is_as_seen(known.as_deref().map(ContactView::from).as_ref()) {
                return Err(StoreError::Changed);
            }
            match known {
                Some(known) => *known = contact,
                None => rules.contacts.push(contact),
            }
            Ok(())
        })?;
        Ok(view)
    }

    /// Removes a contact.
    pub fn remove_contact(
        &self,
        user: &str,
        address: &Address,
        is_as_seen: impl FnOnce(&ContactView) -> bool + Send + 'static,
    ) -> Result<(), Refusal> {
        self.may_change_settings(user)?;
        let address = address.clone();
        let acting = self.acting_so("contact.remove", &address.to_string(), user, String::new());
        let removed = acting.change_contacts(user, move |rules| {
            let at = rules.contacts.iter().position(|known| known.address == address);
            let at = at.ok_or_else(|| no_contact(&address))?;
            if !is_as_seen(&ContactView::from(&rules.contacts.remove(at))) {
                return Err(StoreError::Changed);
            }
            Ok(())
        });
        Ok(removed?)
    }

    /// A subscriber's groups of contacts by name, with the rules that are for them.
    pub fn groups(&self, user: &str) -> Result<Vec<GroupView>, Refusal> {
        self.need(Scope::SettingsRead)?;
        self.owned_user(user)?;
        let store = self.store();
        Ok(groups(&Rules {
            contacts: store.contacts(user)?,
            ..store.rules_of(user)?
        }))
    }

    /// One of them.
    pub fn group(&self, user: &str, name: &str) -> Result<GroupView, Refusal> {
        let mut found = self.groups(user)?.into_iter().filter(|group| group.name == name);
        found.next().ok_or_else(|| Refusal::not_found("contact group", name))
    }

    /// Says who is in a group, and what it is called. A group is there as long as somebody is in it or a rule is for it.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] with the field; somebody is no contact; the new name is another group's; [`Refusal::Changed`].
    pub fn set_group(
        &self,
        user: &str,
        name: &str,
        given: GroupGiven,
        profiles: &[Profile],
        is_as_seen: impl FnOnce(Option<&GroupView>) -> bool + Send + 'static,
    ) -> Result<GroupView, Refusal> {
        self.may_change_settings(user)?;
        check_group(name).map_err(|wrong| Refusal::invalid("group", wrong.to_string()))?;
        let to = given.name.unwrap_or_else(|| name.to_owned());
        check_group(&to).map_err(|wrong| Refusal::invalid("name", wrong.to_string()))?;
        let read = |text: &String| {
            let address = written::address(text, profiles);
            address.map_err(|wrong| Refusal::invalid("contacts", wrong))
        };
        let members = match &given.contacts {
            None => None,
            Some(all) => Some(all.iter().map(read).collect::<Result<Vec<_>, _>>()?),
        };
        let detail = if to == name { String::new() } else { format!("to {to}") };
        let acting = self.acting_so("group.set", name, user, detail);
        let name = name.to_owned();
        let set = acting.change_contacts(user, move |rules| {
            let now = group(rules, &name);
            if !is_as_seen(now.as_ref()) {
                return Err(StoreError::Changed);
            }
            if now.is_none() && members.as_ref().is_none_or(Vec::is_empty) {
                return Err(StoreError::NotFound {
                    what: "contact group",
                    name,
                });
            }
            if let Some(members) = &members {
                set_members(rules, &name, members)?;
            }
            rename(rules, &name, &to)?;
            Ok(group(rules, &to).unwrap_or(GroupView {
                name: to,
                contacts: Vec::new(),
                rules: Vec::new(),
            }))
        });
        Ok(set?)
    }

    /// Takes all contacts out of a group. Error: a rule is for it, or [`Refusal::Changed`].
    pub fn remove_group(
        &self,
        user: &str,
        name: &str,
        is_as_seen: impl FnOnce(&GroupView) -> bool + Send + 'static,
    ) -> Result<(), Refusal> {
        self.may_change_settings(user)?;
        let acting = self.acting_so("group.remove", name, user, String::new());
        let name = name.to_owned();
        let removed = acting.change_contacts(user, move |rules| {
            let now = group(rules, &name).ok_or_else(|| StoreError::NotFound {
                what: "contact group",
                name: name.clone(),
            })?;
            if !is_as_seen(&now) {
                return Err(StoreError::Changed);
            }
            // A rule that is for nobody any more would be for everybody.
            if let Some(place) = now.rules.first() {
                return Err(StoreError::Refused {
                    why: format!("rule {place} is for the group {name}"),
                    fix: "change or remove that rule first".to_owned(),
                });
            }
            set_members(rules, &name, &[])
        });
        Ok(removed?)
    }
}

/// Gives a group another name, in rules too.
fn rename(rules: &mut Rules, name: &str, to: &str) -> Result<(), StoreError> {
    if name == to {
        return Ok(());
    }
    if group(rules, to).is_some() {
        return Err(StoreError::Refused {
            why: format!("there is a group {to} already"),
            fix: "choose another name".to_owned(),
        });
    }
    for contact in &mut rules.contacts {
        if let Some(group) = contact.groups.iter_mut().find(|group| *group == name) {
            to.clone_into(group);
            contact.groups.sort();
        }
    }
    for who in rules.rules.iter_mut().flat_map(|rule| &mut rule.from) {
        if matches!(who, Who::Group(group) if group == name) {
            *who = Who::Group(to.to_owned());
        }
    }
    Ok(())
}
