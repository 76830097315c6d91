//! Groups: subscribers whose messages are for several others (docs/groups.md); an operator's.

use segue_policy::check_user;
use segue_store::{Group, MEMBERS_MAX};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Access, Page, PageAsked, Refusal, Scope};

/// A group mailbox as programs see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TeamView {
    /// Its name, that of a subscriber.
    pub group: String,
    /// Who gets its messages, by name.
    pub members: Vec<String>,
}

impl From<&Group> for TeamView {
    fn from(group: &Group) -> TeamView {
        TeamView {
            group: group.name.clone(),
            members: group.members.clone(),
        }
    }
}

/// A group mailbox that is to be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamGiven {
    /// User part of its SIP address; nobody has it yet.
    pub group: String,
    /// Subscribers who get its messages, 100 at most.
    #[serde(default)]
    pub members: Vec<String>,
}

impl Access {
    fn may_change_groups(&self) -> Result<(), Refusal> {
        self.need(Scope::SettingsWrite)?;
        self.need(Scope::SystemWrite)
    }

    /// The groups that have members, by name.
    pub fn teams(&self, page: &PageAsked) -> Result<Page<TeamView>, Refusal> {
        self.need(Scope::SystemRead)?;
        let (limit, after) = (page.limit()?, page.after()?.unwrap_or_default());
        let all = self.store().groups()?.into_iter();
        let found = all.filter(|group| group.name > after).take(limit.saturating_add(1));
        let found: Vec<Group> = found.collect();
        Ok(Page::of(
            found,
            limit,
            |group| group.name.clone(),
            |group| (&group).into(),
        ))
    }

    /// Who gets a subscriber's messages besides; nobody: it is no group.
    pub fn team(&self, group: &str) -> Result<TeamView, Refusal> {
        self.need(Scope::SystemRead)?;
        Ok((&self.store().group(group)?).into())
    }

    /// Adds a group with its members: all of it, or nothing.
    ///
    /// # Errors
    /// Who asks is no operator; [`Refusal::Invalid`] with the field; the name is taken; a member is nobody, or a group.
    pub fn add_team(&self, given: TeamGiven) -> Result<TeamView, Refusal> {
        self.may_change_groups()?;
        let TeamGiven { group, members } = given;
        check_user(&group).map_err(|wrong| Refusal::invalid("group", wrong.to_string()))?;
        few(&members)?;
        let acting = self.acting("group.add", &group, Some(&group));
        Ok((&acting.add_group(&group, members)?).into())
    }

    /// Has a group have just these members, if it is as `is_as_seen` wants it; who goes keeps what they have.
    ///
    /// # Errors
    /// Those of [`Access::add_team`]; it is not there; [`Refusal::Changed`].
    pub fn set_team(
        &self,
        group: &str,
        members: Vec<String>,
        is_as_seen: impl FnOnce(&TeamView) -> bool + Send + 'static,
    ) -> Result<TeamView, Refusal> {
        self.may_change_groups()?;
        few(&members)?;
        let acting = self.acting("group.set", group, Some(group));
        let set = acting.set_members_if(group, members, move |now| is_as_seen(&now.into()))?;
        Ok((&set).into())
    }

    /// Removes a group that has members, as a subscriber is removed: with its rules, contacts and logins. What its members have stays
    /// theirs; says how many messages of its own mailbox stay until they are deleted.
    ///
    /// # Errors
    /// Who asks is no operator; it is not there, or has no members; [`Refusal::Changed`].
    pub fn remove_team(
        &self,
        group: &str,
        is_as_seen: impl FnOnce(&TeamView) -> bool + Send + 'static,
    ) -> Result<usize, Refusal> {
        self.may_change_groups()?;
        let acting = self.acting("group.remove", group, Some(group));
        acting.remove_group_if(group, move |now| is_as_seen(&now.into()))?;
        Ok(self.store().messages(group)?.len())
    }

    /// The groups whose messages a subscriber gets, by name.
    pub fn teams_of(&self, user: &str) -> Result<Vec<String>, Refusal> {
        self.need(Scope::SettingsRead)?;
        self.owned_user(user)?;
        Ok(self.store().groups_of(user)?)
    }

    /// Lets a subscriber get a group's messages from now on; `false`: they do already.
    pub fn join_team(&self, group: &str, user: &str) -> Result<bool, Refusal> {
        self.may_change_groups()?;
        let acting = self.acting_so("group.join", group, user, user.to_owned());
        Ok(acting.add_member(group, user)?)
    }

    /// Lets a subscriber get no more of them; those that they have stay theirs.
    pub fn leave_team(&self, group: &str, user: &str) -> Result<(), Refusal> {
        self.may_change_groups()?;
        let acting = self.acting_so("group.leave", group, user, user.to_owned());
        Ok(acting.remove_member(group, user)?)
    }
}

fn few(members: &[String]) -> Result<(), Refusal> {
    match members.len() {
        count if count > MEMBERS_MAX => {
            let why = format!("a group has at most {MEMBERS_MAX} members, not {count}");
            Err(Refusal::invalid("members", why))
        }
        _ => Ok(()),
    }
}
