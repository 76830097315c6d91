//! Trunks: those that profiles name are there, and none leads back here.

use segue_policy::{ANY_TRUNK, NextHops};
use segue_sip_wire::Uri;

use super::{Warning, profiles::is_here};
use crate::{
    config::{Config, ProfileFile, nearest},
    failure::Failure,
};

pub(super) fn check(config: &Config, profiles: &[ProfileFile]) -> Result<Vec<Warning>, Failure> {
    for table in &config.trunks {
        for server in &table.trunk.servers {
            let uri = server.uri.uri().parse::<Uri>().ok();
            if let Some(uri) = uri.filter(|uri| is_here(config, uri)) {
                let message = format!("{}: trunk.servers: {uri} is this server itself", table.at("servers"));
                let fix = "name the carrier's servers in servers";
                return Err(Failure::refused("bad_configuration", message, fix));
            }
        }
    }
    for table in &config.trunks {
        let name = &table.trunk.profile;
        if !name.is_empty() && !profiles.iter().any(|file| file.profile.name == *name) {
            let known = profiles.iter().map(|file| file.profile.name.as_str());
            let fix = match nearest(name, known) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => "name the profile that is to hold for calls from it".to_owned(),
            };
            let message = format!("{}: trunk.profile: there is no profile {name:?}", table.at("profile"));
            return Err(Failure::refused("bad_configuration", message, fix));
        }
    }
    let known = || config.trunks.iter().map(|table| table.trunk.name.as_str());
    let mut warnings = Vec::new();
    for file in profiles {
        let profile = &file.profile;
        let keys = [
            ("next_hop", &profile.next_hop),
            ("emergency_next_hop", &profile.emergency_next_hop),
        ];
        for (key, hops) in keys {
            let mut named = hops.iter().flat_map(NextHops::trunks);
            let is_missing = |name: &&str| *name != ANY_TRUNK && !known().any(|known| known == *name);
            let Some(missing) = named.find(is_missing) else {
                continue;
            };
            let fix = match nearest(missing, known()) {
                Some(meant) => format!("did you mean \"trunk:{meant}\"?"),
                None => format!("add [[trunk]] with name = {missing:?} to segue.toml, or name another server"),
            };
            let message = format!("{}: {key}: there is no trunk {missing:?}", file.at(key));
            return Err(Failure::refused("bad_profile", message, fix));
        }
    }
    let used = |name: &str| {
        profiles.iter().any(|file| {
            let hops = [&file.profile.next_hop, &file.profile.emergency_next_hop];
            let mut named = hops.into_iter().flatten().flat_map(NextHops::trunks);
            named.any(|named| named == name || named == ANY_TRUNK)
        })
    };
    for table in config.trunks.iter().filter(|table| !used(&table.trunk.name)) {
        let name = &table.trunk.name;
        warnings.push(Warning::new(
            format!(
                "{}: trunk {name:?} is named by no profile: no call goes out by it",
                table.at("name")
            ),
            format!("set next_hop = \"trunk:{name}\" in the profile whose calls it is for, or take it out"),
        ));
    }
    Ok(warnings)
}
