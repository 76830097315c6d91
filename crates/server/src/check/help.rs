//! Whether whoever calls for help is heard: phones and lines without a way to the emergency services are warned about.

use segue_policy::{ANY_TRUNK, NextHops, Trunk, UnknownCallee};

use super::Warning;
use crate::config::ProfileFile;

/// `trunks`: all there are, wherever they are configured.
pub(super) fn check(profiles: &[ProfileFile], trunks: &[&Trunk]) -> Vec<Warning> {
    profiles.iter().filter_map(|file| of(file, trunks)).collect()
}

fn of(file: &ProfileFile, trunks: &[&Trunk]) -> Option<Warning> {
    let profile = &file.profile;
    let hops = [&profile.emergency_next_hop, &profile.next_hop];
    let named = || hops.into_iter().flatten().flat_map(NextHops::trunks);
    let goes_out = profile.unknown_callee == UnknownCallee::Forward && named().next().is_some();
    if profile.emergency_numbers.is_empty() {
        let who = match (profile.registrar, goes_out) {
            (true, _) => "phones register here",
            (false, true) => "calls go out by trunks",
            (false, false) => return None,
        };
        return Some(Warning::new(
            format!(
                "{}: {who}, and the profile knows no emergency numbers: who dials one is handled as any other caller",
                file.at("name")
            ),
            "set emergency_numbers, e.g. [\"112\", \"110\"], and a trunk with emergency = true in next_hop or emergency_next_hop",
        ));
    }
    // By name a trunk is meant; of all trunks one must say that it takes such calls.
    let asks_any = named().any(|name| name == ANY_TRUNK);
    let by_name = hops.into_iter().flatten().flat_map(NextHops::iter);
    let by_name = by_name.filter(|hop| hop.trunk() != Some(ANY_TRUNK)).count() > 0;
    let takes = trunks.iter().any(|trunk| trunk.emergency);
    (asks_any && !by_name && !takes).then(|| {
        Warning::new(
            format!(
                "{}: emergency_numbers: no trunk takes emergency calls: they go by any that is there",
                file.at("emergency_numbers")
            ),
            "set emergency = true in the [[trunk]] whose provider takes them, or name it in emergency_next_hop",
        )
    })
}
