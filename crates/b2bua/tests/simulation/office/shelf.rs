//! The messages of all mailboxes as they must be: a plain reference of the store.

use std::collections::BTreeMap;

use crate::dice::Time;

/// One message of one subscriber.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Item {
    pub video: bool,
    pub urgent: bool,
    pub heard: bool,
    pub deleted: bool,
}

#[derive(Default)]
pub struct Shelf {
    pub all: BTreeMap<String, BTreeMap<String, Item>>,
    /// What was to be told of each, since when.
    history: BTreeMap<String, Vec<(Time, String)>>,
}

impl Shelf {
    /// Something of a mailbox changes.
    pub fn change(&mut self, now: Time, user: &str, id: &str, change: impl FnOnce(&mut Item)) {
        let item = self
            .all
            .entry(user.to_owned())
            .or_default()
            .entry(id.to_owned())
            .or_default();
        let before = *item;
        change(item);
        if before != *item || before == Item::default() {
            let told = self.told(user);
            let history = self.history.entry(user.to_owned()).or_default();
            if history.last().is_none_or(|(_, last)| *last != told) {
                history.push((now, told));
            }
        }
    }

    /// Whose message it is.
    pub fn owner(&self, id: &str) -> Option<String> {
        let found = self.all.iter().find(|(_, all)| all.contains_key(id));
        found.map(|(user, _)| user.clone())
    }

    /// What is in a mailbox, and what is in its trash.
    pub fn of(&self, user: &str, deleted: bool) -> Vec<(&String, &Item)> {
        let all = self.all.get(user).into_iter().flatten();
        all.filter(|(_, item)| item.deleted == deleted).collect()
    }

    /// The counts of a message-summary (RFC 3842 §5.2).
    fn told(&self, user: &str) -> String {
        let all = self.of(user, false);
        let count = |video, heard, urgent: bool| {
            let is = |item: &Item| item.video == video && item.heard == heard && (item.urgent || !urgent);
            all.iter().filter(|(_, item)| is(item)).count()
        };
        let of = |video| {
            format!(
                "{}/{} ({}/{})",
                count(video, false, false),
                count(video, true, false),
                count(video, false, true),
                count(video, true, true)
            )
        };
        let waits = if count(true, false, false) + count(false, false, false) > 0 {
            "yes"
        } else {
            "no"
        };
        format!(
            "Messages-Waiting: {waits}\r\nVoice-Message: {}\r\nVideo-Message: {}\r\n",
            of(false),
            of(true)
        )
    }

    fn without_account(body: &str) -> String {
        let lines = body
            .split_inclusive("\r\n")
            .filter(|line| !line.starts_with("Message-Account:"));
        lines.collect()
    }

    pub fn is(&self, user: &str, body: &str) -> bool {
        Self::without_account(body) == self.told(user)
    }

    /// Whether this was so at some time since then.
    pub fn was(&self, user: &str, since: Time, body: &str) -> bool {
        let body = Self::without_account(body);
        let empty = Shelf::default().told(user);
        let history = self.history.get(user).map(Vec::as_slice).unwrap_or_default();
        let before = history.iter().rposition(|(at, _)| *at <= since);
        let first = before.map_or(&empty, |at| &history[at].1);
        let later = history.iter().filter(|(at, _)| *at > since).map(|(_, told)| told);
        later.chain([first]).any(|told| *told == body)
    }

    pub fn changed_at(&self, user: &str) -> Time {
        self.history.get(user).and_then(|h| h.last()).map_or(0, |(at, _)| *at)
    }
}
