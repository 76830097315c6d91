//! Whether subscribers can be told as they want to be, and what could not be told.

use segue_policy::{Channel, Subscriber};
use segue_store::{NoticeCounts, Store, StoreError};

use super::Check;
use crate::config::Config;

const NAME: &str = "notices";

pub(super) fn check(config: &Config) -> Vec<Check> {
    if segue_store::version(&config.data_dir).ok().flatten().is_none() {
        return vec![Check::ok(NAME, "none yet")];
    }
    let found = Store::open(&config.data_dir).and_then(|store| {
        let counts = store.notice_counts()?;
        Ok::<_, StoreError>((counts, store.subscribers()?))
    });
    match found {
        Ok((counts, subscribers)) => {
            let mut checks = vec![dead(&counts)];
            checks.extend(without_a_way(config, &subscribers));
            checks
        }
        Err(error) => vec![Check::failed(NAME, error.into())],
    }
}

fn dead(counts: &[NoticeCounts]) -> Check {
    let listed = |of: fn(&NoticeCounts) -> u64| {
        let some = counts.iter().filter(|counts| of(counts) > 0);
        let each: Vec<String> = some
            .map(|counts| format!("{} by {}", of(counts), counts.channel))
            .collect();
        each.join(", ")
    };
    let (waiting, dead) = (listed(|counts| counts.waiting), listed(|counts| counts.dead));
    match (waiting.as_str(), dead.as_str()) {
        ("", "") => Check::ok(NAME, "none waits, none was given up"),
        (waiting, "") => Check::ok(NAME, format!("waiting: {waiting}; none was given up")),
        (_, dead) => Check::warn(
            NAME,
            format!("given up: {dead}"),
            "'segue notice list --dead' says why; then 'segue notice retry --all', or 'segue notice drop ID'",
        ),
    }
}

/// Those who want to be told by a way that is not configured.
fn without_a_way(config: &Config, subscribers: &[Subscriber]) -> Vec<Check> {
    let want = |channel: Channel, but: fn(&Subscriber) -> bool| {
        let who = subscribers
            .iter()
            .filter(|one| one.notify.by.contains(&channel) && !but(one));
        who.map(|one| one.user.as_str()).collect::<Vec<_>>()
    };
    let mut checks = Vec::new();
    let mut add = |who: Vec<&str>, way: &str, fix: &str| {
        if let Some(first) = who.first() {
            let more = match who.len() {
                1 => String::new(),
                n => format!(" and {} more", n - 1),
            };
            checks.push(Check::warn(NAME, format!("{first}{more} cannot be told: {way}"), fix));
        }
    };
    let notices = &config.notices;
    if notices.mail_server.is_none() {
        add(
            want(Channel::Mail, |_| false),
            "there is no mail server",
            "set mail.server and mail.from (notices.md)",
        );
    }
    match (&notices.webhook_secret_file, &notices.webhook_url) {
        (None, _) => add(
            want(Channel::Webhook, |_| false),
            "there is no secret to sign webhooks with",
            "set webhook.secret_file (notices.md)",
        ),
        (Some(_), None) => add(
            want(Channel::Webhook, |one| one.notify.webhook.is_some()),
            "there is no webhook for them",
            "set webhook.url, or theirs with 'segue subscriber set USER --webhook'",
        ),
        (Some(_), Some(_)) => {}
    }
    checks
}
