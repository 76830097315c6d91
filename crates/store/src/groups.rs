//! Groups: subscribers whose messages are for several others.
//!
//! A message for a group is a row for each member, with a state of its own (heard, pinned, in the trash), its own rules and notices. The
//! rows share their media, which goes with the last of them.

use rusqlite::{Connection, params};
use segue_mailbox::Message;
use segue_policy::Subscriber;

use crate::{
    NewSubscriber, Store, StoreError,
    blobs::{BlobId, Blobs},
    subscribers,
};

/// Members of one group.
pub const MEMBERS_MAX: usize = 100;

/// A group and who is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name, that of a subscriber.
    pub name: String,
    /// In the order of their names.
    pub members: Vec<String>,
}

impl Store {
    /// Adds a subscriber whose messages are for these members: all of it, or nothing. Errors: those of [`Store::add_subscriber`] and
    /// [`Store::add_member`].
    pub fn add_group(&self, group: &str, all: Vec<String>) -> Result<Group, StoreError> {
        let group = group.to_owned();
        self.write(move |tx| {
            let subscriber = Subscriber {
                user: group.clone(),
                ..Subscriber::default()
            };
            NewSubscriber::plain(subscriber).add(tx)?;
            for member in &all {
                join(tx, &group, member)?;
            }
            of(tx, group)
        })
    }

    /// Has a subscriber's messages be for just these, if they are for whom `is_so` wants: all of it, or nothing. Who goes keeps the
    /// messages that they have.
    ///
    /// Errors: those of [`Store::add_member`]; [`StoreError::Changed`] when they are for others.
    pub fn set_members_if(
        &self,
        group: &str,
        all: Vec<String>,
        is_so: impl FnOnce(&Group) -> bool + Send + 'static,
    ) -> Result<Group, StoreError> {
        let group = group.to_owned();
        self.write(move |tx| {
            is_subscriber(tx, &group)?;
            let before = of(tx, group.clone())?;
            if !is_so(&before) {
                return Err(StoreError::Changed);
            }
            let mut leave = tx.prepare_cached("DELETE FROM member WHERE team = ? AND subscriber = ?")?;
            for member in before.members.iter().filter(|member| !all.contains(member)) {
                leave.execute([&group, member])?;
            }
            for member in all.iter().filter(|member| !before.members.contains(member)) {
                join(tx, &group, member)?;
            }
            of(tx, group)
        })
    }

    /// Removes a group that is as `is_so` wants it, as a subscriber is removed ([`Store::remove_subscriber`]): what its members have stays
    /// theirs, and so does what came to the group's own mailbox while it had none, until it is deleted.
    ///
    /// Errors: [`StoreError::NotFound`]; [`StoreError::Refused`] for a subscriber without members; [`StoreError::Changed`].
    pub fn remove_group_if(
        &self,
        group: &str,
        is_so: impl FnOnce(&Group) -> bool + Send + 'static,
    ) -> Result<(), StoreError> {
        let group = group.to_owned();
        let blobs = self.inner.blobs.clone();
        self.write(move |tx| {
            is_subscriber(tx, &group)?;
            let now = of(tx, group)?;
            if !is_so(&now) {
                return Err(StoreError::Changed);
            }
            let name = now.name;
            if now.members.is_empty() {
                return Err(StoreError::Refused {
                    why: format!("'{name}' has no members: it is a subscriber like any other"),
                    fix: format!("remove it as one: 'segue subscriber remove {name}'"),
                });
            }
            subscribers::remove(tx, &blobs, &name)
        })
    }

    /// The groups whose messages a subscriber gets, by name.
    pub fn groups_of(&self, member: &str) -> Result<Vec<String>, StoreError> {
        self.read(|db| {
            let mut all = db.prepare_cached("SELECT team FROM member WHERE subscriber = ? ORDER BY team")?;
            let names = all.query_map([member], |row| row.get(0))?;
            Ok(names.collect::<Result<_, _>>()?)
        })
    }

    /// Whom a subscriber's messages are for; nobody else: it is no group. Error: [`StoreError::NotFound`].
    pub fn group(&self, group: &str) -> Result<Group, StoreError> {
        self.read(|db| {
            is_subscriber(db, group)?;
            of(db, group.to_owned())
        })
    }

    /// Lets messages for a subscriber go to another one too. `false`: they do already.
    ///
    /// Errors: [`StoreError::NotFound`] when either is no subscriber; [`StoreError::Refused`] for itself, for a group in a group, and past
    /// [`MEMBERS_MAX`].
    pub fn add_member(&self, group: &str, member: &str) -> Result<bool, StoreError> {
        let (group, member) = (group.to_owned(), member.to_owned());
        self.write(move |tx| join(tx, &group, &member))
    }

    /// Takes a member out; the messages that they have stay theirs. Error: [`StoreError::NotFound`].
    pub fn remove_member(&self, group: &str, member: &str) -> Result<(), StoreError> {
        let (group, member) = (group.to_owned(), member.to_owned());
        self.write(move |tx| {
            let removed = tx
                .prepare_cached("DELETE FROM member WHERE team = ? AND subscriber = ?")?
                .execute([&group, &member])?;
            match removed {
                0 => Err(StoreError::not_found("member", &member)),
                _ => Ok(()),
            }
        })
    }

    /// All groups that have members, by name.
    pub fn groups(&self) -> Result<Vec<Group>, StoreError> {
        self.read(|db| {
            let mut groups: Vec<Group> = Vec::new();
            let mut statement = db.prepare_cached("SELECT team, subscriber FROM member ORDER BY team, subscriber")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (name, member): (String, String) = (row.get(0)?, row.get(1)?);
                match groups.last_mut().filter(|group| group.name == name) {
                    Some(group) => group.members.push(member),
                    None => groups.push(Group {
                        name,
                        members: vec![member],
                    }),
                }
            }
            Ok(groups)
        })
    }

    /// Who else has a message, by their rows of it: those with the same media, also in the trash.
    pub fn shared_with(&self, id: &str) -> Result<Vec<Message>, StoreError> {
        self.read(|db| {
            crate::messages::many(
                db,
                "media = (SELECT media FROM message WHERE id = ?1) AND id != ?1 ORDER BY mailbox",
                [id],
            )
        })
    }
}

fn is_subscriber(db: &Connection, user: &str) -> Result<(), StoreError> {
    match db
        .prepare_cached("SELECT 1 FROM subscriber WHERE user = ?")?
        .exists([user])?
    {
        true => Ok(()),
        false => Err(StoreError::not_found("subscriber", user)),
    }
}

fn of(db: &Connection, name: String) -> Result<Group, StoreError> {
    let members = members(db, &name)?;
    Ok(Group { name, members })
}

/// Makes somebody a member; `false`: they are.
fn join(tx: &Connection, group: &str, member: &str) -> Result<bool, StoreError> {
    is_subscriber(tx, group)?;
    is_subscriber(tx, member)?;
    let refused = |why: String, fix: &str| {
        Err(StoreError::Refused {
            why,
            fix: fix.to_owned(),
        })
    };
    if group == member {
        return refused(format!("'{group}' cannot be in itself"), "name another subscriber");
    }
    if !members(tx, member)?.is_empty() {
        return refused(format!("'{member}' is a group itself"), "add its members");
    }
    if tx
        .prepare_cached("SELECT 1 FROM member WHERE subscriber = ?")?
        .exists([group])?
    {
        return refused(
            format!("'{group}' is in a group itself"),
            "take it out first with 'segue group member remove'",
        );
    }
    if members(tx, group)?.len() >= MEMBERS_MAX {
        return refused(
            format!("'{group}' has {MEMBERS_MAX} members, as many as a group may"),
            "make another group",
        );
    }
    let added = tx
        .prepare_cached("INSERT OR IGNORE INTO member (team, subscriber) VALUES (?, ?)")?
        .execute([group, member])?;
    Ok(added == 1)
}

/// Who is in a group; nobody: it is none.
pub(crate) fn members(db: &Connection, group: &str) -> Result<Vec<String>, StoreError> {
    Ok(db
        .prepare_cached("SELECT subscriber FROM member WHERE team = ? ORDER BY subscriber")?
        .query_map([group], |row| row.get(0))?
        .collect::<Result<Vec<_>, _>>()?)
}

/// The rows that a message makes: one for each member of a group who has place for it, the first with its id. Where none of those is a
/// member any more all are who are.
pub(crate) fn rows(
    db: &Connection,
    message: Message,
    has_place: impl Fn(&str, &Message) -> bool,
) -> Result<Vec<Message>, StoreError> {
    let all = members(db, &message.mailbox)?;
    let (with, without): (Vec<String>, Vec<String>) = all.into_iter().partition(|member| has_place(member, &message));
    let members = if with.is_empty() { without } else { with };
    if members.is_empty() {
        return Ok(vec![message]);
    }
    let row = |(place, mailbox): (usize, String)| Message {
        id: match place {
            0 => message.id.clone(),
            _ => format!("{}-{}", message.id, place.saturating_add(1)),
        },
        mailbox,
        ..message.clone()
    };
    Ok(members.into_iter().enumerate().map(row).collect())
}

/// Frees bytes of a message whose row is gone, unless another row has them too.
pub(crate) fn drop_bytes(tx: &Connection, blobs: &Blobs, blob: BlobId) -> Result<(), StoreError> {
    let is_shared = tx
        .prepare_cached("SELECT 1 FROM message WHERE media = ?1 UNION ALL SELECT 1 FROM message WHERE poster = ?1")?
        .exists(params![blob.0])?;
    if is_shared {
        return Ok(());
    }
    blobs.drop_bytes(tx, blob)
}
