//! Where legs go: the addresses of targets, asked for before their ports are leased, since a peer of IPv6 wants ports of IPv6.

use std::{collections::BTreeMap, net::SocketAddr};

use segue_call::{LegId, MediaAction, Now, StoreReply, Towards};
use segue_sdp::Family;
use segue_sip::Outgoing;
use segue_sip_wire::{Host, Uri};

use super::{CallKey, Shard, ShardOutput};
use crate::places::{Known, Place};

impl Shard {
    /// Names among the callee's targets are asked for as soon as they are known, so that they have addresses after the hold.
    pub(super) fn ask_for_targets(&mut self, key: CallKey, reply: &StoreReply) {
        let (StoreReply::Found(lookup), Some(entry)) = (reply, self.calls.get_mut(&key)) else {
            return;
        };
        let targets = lookup.plan.targets.iter().filter_map(|target| target.parse().ok());
        for place in targets.filter_map(|target| Place::of(&target)) {
            if entry.places.look_up(&place).is_none() {
                self.outputs.push_back(ShardOutput::Resolve(key, place));
            }
        }
    }

    /// Leases ports for a leg of B, of the family that its target's address has.
    pub(super) fn lease(&mut self, key: CallKey, leg: LegId, target: Uri) {
        let Some(entry) = self.calls.get_mut(&key) else { return };
        let family = match Place::of(&target) {
            None => target.host().and_then(Host::ip).map(Family::of),
            Some(place) => match entry.places.look_up(&place) {
                Some(Known::At(at)) => at.map(|at| Family::of(at.ip())),
                known => {
                    if known.is_none() {
                        self.outputs.push_back(ShardOutput::Resolve(key, place.clone()));
                    }
                    entry.leasing.insert(leg, (place, target));
                    return;
                }
            },
        };
        // Who has no address gets ports all the same: the INVITE then says what is wrong.
        let towards = family.map_or(Towards::Target(target), Towards::Family);
        let open = MediaAction::Open { leg, towards };
        self.outputs.push_back(ShardOutput::Media(key, open));
    }

    /// The address of a place that was asked for; `None`: it has none, and who is to be called there is unreachable.
    pub fn handle_resolved(&mut self, now: Now, key: CallKey, place: Place, at: Option<SocketAddr>) {
        if let Some(entry) = self.calls.get_mut(&key) {
            entry.places.found(place.clone(), at);
            let (leasing, waiting) = (
                waiting_for(&mut entry.leasing, &place),
                waiting_for(&mut entry.waiting, &place),
            );
            for (leg, target) in leasing {
                self.lease(key, leg, target);
            }
            for (leg, outgoing) in waiting {
                let destination = at;
                self.invite(
                    now,
                    key,
                    leg,
                    Outgoing {
                        destination,
                        ..outgoing
                    },
                );
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
