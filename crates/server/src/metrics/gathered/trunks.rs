//! Trunks and pauses. Labels are names of the configuration.

use std::fmt;

use segue_b2bua::{Gauges, TrunkStatus};

use super::Told;

/// The states of a server, each of which is told.
const STATES: [&str; 4] = ["up", "unchecked", "suspended", "down"];

pub(super) fn encode(told: &mut Told<'_>, gauges: &Gauges) -> fmt::Result {
    let stats = gauges.stats();
    told.counter(
        "server_pauses",
        "Pauses that servers asked for by 503 with Retry-After",
        stats.pauses,
    )?;
    told.counter(
        "calls_without_server",
        "Calls for which every server was suspended or down",
        stats.paused_calls,
    )?;
    let trunks = gauges.trunks();
    let of = |trunk: &TrunkStatus| ("trunk", trunk.name.clone());
    let by_trunk = |value: &dyn Fn(&TrunkStatus) -> u64| -> Vec<_> {
        let one = |trunk: &TrunkStatus| (vec![of(trunk)], value(trunk));
        trunks.iter().map(one).collect()
    };
    let servers = trunks.iter().flat_map(|trunk| {
        STATES.iter().map(move |state| {
            let count = trunk.servers.iter().filter(|s| s.condition.as_str() == *state).count();
            (vec![of(trunk), ("state", (*state).to_owned())], count as u64)
        })
    });
    told.gauges(
        "trunk_servers",
        "Servers of a trunk by their state",
        &servers.collect::<Vec<_>>(),
    )?;
    told.gauges(
        "trunk_calls_active",
        "Calls that are out by a trunk now",
        &by_trunk(&|trunk| trunk.calls.into()),
    )?;
    told.counters(
        "trunk_calls",
        "Calls that have gone out by a trunk",
        &by_trunk(&|trunk| trunk.carried),
    )?;
    told.counters(
        "trunk_calls_full",
        "Calls that found a trunk with as many as it may have",
        &by_trunk(&|trunk| trunk.full),
    )?;
    let lines = trunks.iter().filter_map(|trunk| {
        let line = trunk.registration.as_ref()?;
        Some((vec![of(trunk)], line))
    });
    let lines: Vec<_> = lines.collect();
    let by_line = |value: &dyn Fn(&segue_b2bua::LineStatus) -> u64| -> Vec<_> {
        let one =
            |(labels, line): &(Vec<(&'static str, String)>, &segue_b2bua::LineStatus)| (labels.clone(), value(line));
        lines.iter().map(one).collect()
    };
    told.gauges(
        "trunk_registered",
        "Whether a trunk's provider knows where we are, 0 or 1; of trunks that register",
        &by_line(&|line| (line.standing.as_str() == "registered").into()),
    )?;
    told.counters(
        "trunk_registers",
        "REGISTER requests sent to the provider of a trunk",
        &by_line(&|line| line.sent),
    )?;
    told.counters(
        "trunk_register_failures",
        "Of these, those without a 2xx, but for challenges that were answered",
        &by_line(&|line| line.failed),
    )?;
    told.counters(
        "trunk_pings",
        "OPTIONS sent to the servers of a trunk",
        &by_trunk(&|trunk| trunk.servers.iter().map(|server| server.pings).sum()),
    )?;
    told.counters(
        "trunk_ping_failures",
        "Of these, those without a good answer in time",
        &by_trunk(&|trunk| trunk.servers.iter().map(|server| server.failures).sum()),
    )
}
