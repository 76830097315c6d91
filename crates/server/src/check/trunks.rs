//! Trunks: those that profiles name are there, and none leads back here.

use segue_policy::{ANY_TRUNK, NextHops, Trunk};
use segue_sip_wire::Uri;

use super::{Warning, profiles::is_here};
use crate::{
    config::{Config, ProfileFile, nearest},
    failure::Failure,
};

/// One that a command adds, or has added: no other has its name, its profile is there, and it does not lead back here.
pub(super) fn added(config: &Config, profiles: &[ProfileFile], trunk: &Trunk) -> Result<(), Failure> {
    let name = &trunk.name;
    if let Some(table) = config.trunks.iter().find(|table| table.trunk.name == *name) {
        let message = format!(
            "{}: the trunk {name:?} was added by a command as well",
            table.at("name")
        );
        let fix = format!("give it another name, take it out there, or 'segue trunk remove {name}'");
        return Err(Failure::refused("bad_configuration", message, fix));
    }
    if !trunk.profile.is_empty() && !profiles.iter().any(|file| file.profile.name == trunk.profile) {
        let message = format!("trunk {name}: there is no profile {:?}", trunk.profile);
        let fix = "name the profile that is to hold for calls from it; 'segue config check' reads them";
        return Err(Failure::refused("bad_trunk", message, fix));
    }
    let mut servers = trunk
        .servers
        .iter()
        .filter_map(|server| server.uri.uri().parse::<Uri>().ok());
    match servers.find(|uri| is_here(config, uri)) {
        Some(uri) => {
            let message = format!("trunk {name}: {uri} is this server itself");
            Err(Failure::refused("bad_trunk", message, "name the provider's servers"))
        }
        None => Ok(()),
    }
}

/// `also`: those that commands have added.
pub(super) fn check(config: &Config, profiles: &[ProfileFile], also: &[&Trunk]) -> Result<Vec<Warning>, Failure> {
    for trunk in also {
        added(config, profiles, trunk)?;
    }
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
    let known = || {
        let configured = config.trunks.iter().map(|table| table.trunk.name.as_str());
        configured.chain(also.iter().map(|trunk| trunk.name.as_str()))
    };
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
                None => format!(
                    "add [[trunk]] with name = {missing:?} to segue.toml, or 'segue trunk add {missing}', or name another server"
                ),
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
