//! Where legs go: the addresses of targets, asked for before their ports are leased, since a peer of IPv6 wants ports of IPv6.

use std::collections::BTreeMap;

use rand::Rng;
use segue_call::{LegId, MediaAction, Now, StoreReply, Towards};
use segue_sdp::Family;
use segue_sip::{Candidate, Outgoing, Place};
use segue_sip_wire::{Host, Uri};

use super::{CallKey, Shard, ShardOutput};
use crate::{places::Known, reach::Reach};

impl Shard {
    /// Names among the callee's targets are asked for as soon as they are known, so that they have addresses after the hold.
    pub(super) fn ask_for_targets(&mut self, key: CallKey, reply: &StoreReply) {
        let (StoreReply::Found(lookup), Some(entry)) = (reply, self.calls.get_mut(&key)) else {
            return;
        };
        let by_host = |target: &&String| !entry.reaches.contains_key(*target);
        let targets = lookup.plan.targets.iter().filter(by_host);
        let targets = targets.filter_map(|target| target.parse().ok());
        let places = targets.filter_map(|target| Place::of(&target));
        let unknown: Vec<Place> = places.filter(|place| entry.places.look_up(place).is_none()).collect();
        for place in unknown {
            self.resolve(key, place);
        }
    }

    /// Leases ports for a leg of B, of the family that its target's address has.
    pub(super) fn lease(&mut self, key: CallKey, leg: LegId, target: Uri) {
        let target = self.first_server(target);
        let Some(entry) = self.calls.get_mut(&key) else { return };
        let reach = entry.reaches.get(&target.to_string());
        let known = reach.and_then(Reach::remote);
        let target = match reach {
            Some(Reach::Path(route)) => route.first().cloned().unwrap_or(target),
            Some(Reach::Source { .. }) | None => target,
        };
        let family = match Place::of(&target) {
            _ if known.is_some() => known.map(|remote| Family::of(remote.ip())),
            None => target.host().and_then(Host::ip).map(Family::of),
            Some(place) => match entry.places.look_up(&place) {
                Some(Known::At(servers)) => servers.first().map(|server| Family::of(server.remote.ip())),
                known => {
                    entry.leasing.insert(leg, (place.clone(), target));
                    if known.is_none() {
                        self.resolve(key, place);
                    }
                    return;
                }
            },
        };
        // Who has no address gets ports all the same: the INVITE then says what is wrong.
        let towards = family.map_or(Towards::Target(target), Towards::Family);
        let open = MediaAction::Open { leg, towards };
        self.outputs.push_back(ShardOutput::Media(key, open));
    }

    /// Asks where a place is.
    pub(super) fn resolve(&mut self, key: CallKey, place: Place) {
        let seed = self.rng.next_u64();
        self.outputs.push_back(ShardOutput::Resolve { key, place, seed });
    }

    /// The servers of a place that was asked for; nobody: who is to be called there is unreachable.
    pub fn handle_resolved(&mut self, now: Now, key: CallKey, place: Place, servers: Vec<Candidate>) {
        if let Some(entry) = self.calls.get_mut(&key) {
            entry.places.found(place.clone(), servers.clone());
            let (leasing, waiting) = (
                waiting_for(&mut entry.leasing, &place),
                waiting_for(&mut entry.waiting, &place),
            );
            for (leg, target) in leasing {
                self.lease(key, leg, target);
            }
            for (leg, outgoing) in waiting {
                let candidates = servers.clone();
                self.invite(now, key, leg, Outgoing { candidates, ..outgoing });
            }
        }
        self.pump(now);
    }
}

/// Takes what waits for this place.
fn waiting_for<T>(all: &mut BTreeMap<LegId, (Place, T)>, place: &Place) -> Vec<(LegId, T)> {
    let (there, others) = std::mem::take(all)
        .into_iter()
        .partition(|(_, (waits, _))| waits == place);
    *all = others;
    let there: BTreeMap<LegId, (Place, T)> = there;
    there.into_iter().map(|(leg, (_, what))| (leg, what)).collect()
}
