//! By which way a call goes out: in which order the servers of a trunk are tried, as whom, and how many calls it has.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{Rng, rngs::StdRng};
use segue_sip::{Account, Candidate, Condition, SessionId};

use super::{Hop, Server, Trunks};

impl Trunks {
    /// The servers of a trunk as they are to be tried: those that answer first, then by order, and by lot within one.
    pub(crate) fn servers(&mut self, name: &str) -> Vec<Hop> {
        let Some((name, running)) = self.all.get_key_value(name) else {
            return Vec::new();
        };
        let hop = |server: &Server| Hop {
            uri: server.uri.clone(),
            is_route: server.is_route,
            trunk: Some(Arc::clone(name)),
            condition: server.condition(),
        };
        in_order(&running.servers, &mut self.rng).into_iter().map(hop).collect()
    }

    /// Why one more call may not go out by a trunk; `None`: it may.
    pub(crate) fn is_full(&self, name: &str) -> Option<String> {
        let running = self.all.get(name)?;
        let max = running.setup.trunk.calls_max;
        (max != 0 && running.calls >= max).then(|| format!("the trunk {name} has as many calls as it may, {max}"))
    }

    /// A call did not go out by a trunk since that is full.
    pub(crate) fn turned_away(&mut self, name: &str) {
        if let Some(running) = self.all.get_mut(name) {
            running.full = running.full.saturating_add(1);
            self.changed = true;
        }
    }

    /// Who we are at this server, where it is a trunk's.
    pub(crate) fn account_at(&self, server: Candidate) -> Option<Arc<Account>> {
        let found = self.nodes().find(|(id, _)| id.at == server);
        found.and_then(|(id, _)| self.account(&id.trunk))
    }

    /// Who we are at the servers of a trunk.
    pub(crate) fn account(&self, name: &str) -> Option<Arc<Account>> {
        let running = self.all.get(name)?;
        match &running.line {
            Some(line) => line.account(),
            None => running.setup.account.clone(),
        }
    }

    /// When a trunk that gets no call now may take one: until its first server is asked again.
    pub(crate) fn again_in(&self, now: Instant, name: &str) -> Option<Duration> {
        let servers = &self.all.get(name)?.servers;
        let nodes = servers.iter().flat_map(|server| server.nodes.values());
        nodes.filter_map(|node| node.probe.again_in(now)).min()
    }

    /// A leg goes out by a trunk.
    pub(crate) fn began(&mut self, session: SessionId, name: &Arc<str>) {
        self.legs.insert(session, Arc::clone(name));
        if let Some(running) = self.all.get_mut(name) {
            running.calls = running.calls.saturating_add(1);
            running.carried = running.carried.saturating_add(1);
            self.changed = true;
        }
    }

    /// The trunk by which a leg goes.
    pub(crate) fn of(&self, session: SessionId) -> Option<&str> {
        self.legs.get(&session).map(|name| &**name)
    }

    /// Nothing is left of a leg, of whichever way.
    pub(crate) fn ended(&mut self, session: SessionId) {
        let Some(name) = self.legs.remove(&session) else { return };
        if let Some(running) = self.all.get_mut(&name) {
            running.calls = running.calls.saturating_sub(1);
            self.changed = true;
        }
    }
}

/// Tried before those of a higher one. Nothing known is as good as up.
pub(crate) fn rank(condition: Condition) -> u8 {
    match condition {
        Condition::Up | Condition::Unchecked => 0,
        Condition::Suspended => 1,
        Condition::Down => 2,
    }
}

/// Servers as they are to be tried: those that answer first, then by order, and by lot within one.
pub(super) fn in_order<'a>(servers: &'a [Server], rng: &mut StdRng) -> Vec<&'a Server> {
    let class = |server: &Server| (rank(server.condition()), server.order, server.weight == 0);
    let mut left: Vec<&Server> = servers.iter().collect();
    left.sort_by_key(|server| class(server));
    let mut drawn = Vec::with_capacity(left.len());
    while let Some(first) = left.first() {
        let of = class(first);
        let alike = left.iter().take_while(|server| class(server) == of);
        let weights: Vec<u64> = alike.map(|server| server.weight.into()).collect();
        drawn.push(left.remove(draw(rng, &weights)));
    }
    drawn
}

/// Which of these, by their weights (RFC 2782); the first where they have none.
fn draw(rng: &mut StdRng, weights: &[u64]) -> usize {
    let sum: u64 = weights.iter().sum();
    let Some(mut number) = rng.next_u64().checked_rem(sum) else {
        return 0;
    };
    for (at, weight) in weights.iter().enumerate() {
        match number.checked_sub(*weight) {
            Some(rest) => number = rest,
            None => return at,
        }
    }
    0
}
