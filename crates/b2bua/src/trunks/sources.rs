//! Which trunk somebody is of who calls: by the addresses of its servers, as name servers have them now.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use segue_policy::{ANY_TRUNK, Profile};
use segue_sip_wire::Uri;

use super::{TrunkSetup, Trunks};
use crate::outside;

impl Trunks {
    /// Keeps the addresses true.
    pub(super) fn index(&mut self) {
        let mut sources = std::mem::take(&mut self.sources);
        sources.clear();
        for (name, running) in &self.all {
            for at in running.servers.iter().flat_map(|server| server.nodes.keys()) {
                let of = sources.entry(at.remote.ip()).or_default();
                of.push((at.remote, Arc::clone(name)));
            }
        }
        self.sources = sources;
    }

    /// The trunk that has a server at just this address. Of several accounts with one provider it is the one whose Contact is called.
    pub(crate) fn at(&self, remote: SocketAddr, user: Option<&str>) -> Option<&Arc<str>> {
        self.has_server(remote.ip(), user, |at| at == remote)
    }

    /// The same, by whatever port.
    pub(crate) fn near(&self, address: IpAddr, user: Option<&str>) -> Option<&Arc<str>> {
        self.has_server(address, user, |_| true)
    }

    fn has_server(&self, address: IpAddr, user: Option<&str>, is_it: impl Fn(SocketAddr) -> bool) -> Option<&Arc<str>> {
        let all = self.sources.get(&address)?;
        let all = || all.iter().filter(|(at, _)| is_it(*at)).map(|(_, name)| name);
        let is_called = |name: &&Arc<str>| {
            let line = self.all.get(*name).and_then(|running| running.line.as_ref());
            user.is_some_and(|user| line.is_some_and(|line| line.is_contact_user(user)))
        };
        all().find(is_called).or_else(|| all().next())
    }

    /// The servers of a trunk are asked at once, as far as they are ever.
    pub(crate) fn ping_now(&mut self, now: Instant, name: &str) {
        let servers = self.all.get_mut(name).map(|running| running.servers.iter_mut());
        for node in servers
            .into_iter()
            .flatten()
            .flat_map(|server| server.nodes.values_mut())
        {
            node.probe.again(now);
        }
        self.next = Some(now);
    }

    /// A trunk as it is configured.
    pub(crate) fn setup(&self, name: &str) -> Option<&TrunkSetup> {
        Some(&self.all.get(name)?.setup)
    }

    /// The trunks that a next hop names: one, or with [`ANY_TRUNK`] those that take what is called, who names most of its number
    /// first, then as they were configured. Who calls for help goes by those that take such calls, and then by all others.
    pub(crate) fn named(&self, name: &str, profile: &Profile, target: &Uri, is_urgent: bool) -> Vec<Arc<str>> {
        if name != ANY_TRUNK {
            return vec![Arc::from(name)];
        }
        let dialled = outside::dialled(target);
        let fits = |setup: &TrunkSetup| match &dialled {
            _ if is_urgent => Some(usize::from(setup.trunk.emergency)),
            Some(dialled) if !setup.trunk.allow.is_empty() => setup.trunk.takes(&setup.trunk.outward(profile, dialled)),
            _ => None,
        };
        let all = self.all.iter();
        let mut all: Vec<(usize, usize, &Arc<str>)> = all
            .filter_map(|(name, running)| Some((fits(&running.setup)?, running.place, name)))
            .collect();
        all.sort_by_key(|(fit, place, _)| (std::cmp::Reverse(*fit), *place));
        all.into_iter().map(|(_, _, name)| Arc::clone(name)).collect()
    }
}
