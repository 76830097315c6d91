//! Notices, by channel.

use std::{fmt, time::SystemTime};

use segue_jobs::notices::NoticeStats;
use segue_policy::Channel;
use segue_store::{NoticeCounts, Store};

use super::Told;

pub(super) fn encode(told: &mut Told<'_>, stats: &NoticeStats, store: &Store) -> fmt::Result {
    let of = |channel: Channel| ("channel", channel.name().to_owned());
    let attempts = Channel::ALL.iter().flat_map(|channel| {
        let outcomes = [
            ("sent", stats.sent(*channel)),
            ("again", stats.again(*channel)),
            ("dead", stats.dead(*channel)),
        ];
        outcomes.map(|(outcome, count)| (vec![of(*channel), ("outcome", outcome.to_owned())], count))
    });
    told.counters(
        "notices",
        "Attempts to tell subscribers: delivered, to be tried again, given up",
        &attempts.collect::<Vec<_>>(),
    )?;
    let Ok(counts) = store.notice_counts() else {
        return Ok(());
    };
    let by_channel = |value: &dyn Fn(&NoticeCounts) -> u64| -> Vec<_> {
        let one = |counts: &NoticeCounts| (vec![of(counts.channel)], value(counts));
        counts.iter().map(one).collect()
    };
    told.gauges(
        "notices_waiting",
        "Notices that wait to be delivered",
        &by_channel(&|counts| counts.waiting),
    )?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now_s = now.map_or(0, |since| since.as_secs());
    told.gauges(
        "notices_oldest_age",
        "Since when the oldest of these waits, in seconds",
        &by_channel(&|counts| {
            let since = counts.waiting_since.and_then(|at| u64::try_from(at.0 / 1_000).ok());
            since.map_or(0, |since| now_s.saturating_sub(since))
        }),
    )?;
    told.gauges(
        "notices_dead",
        "Dead letters: notices that were given up",
        &by_channel(&|counts| counts.dead),
    )
}
