//! Trunks: those that profiles name are there, and none leads back here.

use segue_policy::{ANY_TRUNK, NextHops, Trunk, TrunkError};
use segue_sip_wire::Uri;

use super::{Warning, profiles::is_here};
use crate::{
    config::{Config, ProfileFile, nearest},
    failure::Failure,
};

/// Where a trunk of this name stands in the configuration.
pub fn configured(config: &Config, name: &str) -> Option<String> {
    let mut tables = config.trunks.iter();
    tables
        .find(|table| table.trunk.name == name)
        .map(|table| table.at("name"))
}

/// Whether one that is added fits what is configured: its profile is there, and it does not lead back here.
pub fn fits(config: &Config, profiles: &[ProfileFile], trunk: &Trunk) -> Result<(), TrunkError> {
    let wrong = |key, why| Err(TrunkError { key, why });
    let known = || profiles.iter().map(|file| file.profile.name.as_str());
    let name = &trunk.profile;
    if !name.is_empty() && !known().any(|known| known == name) {
        let fix = match nearest(name, known()) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => "name the profile that is to hold for calls from it".to_owned(),
        };
        return wrong("profile", format!("there is no profile {name:?}; {fix}"));
    }
    let mut servers = trunk
        .servers
        .iter()
        .filter_map(|server| server.uri.uri().parse::<Uri>().ok());
    match servers.find(|uri| is_here(config, uri)) {
        Some(uri) => wrong(
            "servers",
            format!("{uri} is this server itself; name the provider's servers"),
        ),
        None => Ok(()),
    }
}

/// One that was added: no other has its name, and it still fits.
fn added(config: &Config, profiles: &[ProfileFile], trunk: &Trunk) -> Result<(), Failure> {
    let name = &trunk.name;
    if let Some(at) = configured(config, name) {
        let message = format!("{at}: the trunk {name:?} was added by a command as well");
        let fix = format!("give it another name, take it out there, or 'segue trunk remove {name}'");
        return Err(Failure::refused("bad_configuration", message, fix));
    }
    fits(config, profiles, trunk).map_err(|TrunkError { key, why }| {
        let fix = format!("put it right with 'segue trunk set {name}', or 'segue trunk remove {name}'");
        Failure::refused("bad_trunk", format!("trunk {name}: {key}: {why}"), fix)
    })
}

/// `also`: those that commands have added.
pub(super) fn check(config: &Config, profiles: &[ProfileFile], also: &[Trunk]) -> Result<Vec<Warning>, Failure> {
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
