//! Where packets are sealed before they leave: shared by all sessions of a thread.

use super::{ADDED_MAX, Sealer};
use crate::{
    path::rtp::{HEADER_LEN, Wire},
    session::BATCH_MAX,
};

/// No packet that we carry is longer.
const PACKET_MAX: usize = 2_048;
const SLOT_LEN: usize = PACKET_MAX + ADDED_MAX;

/// Room for one batch.
#[derive(Debug)]
pub struct Room {
    slots: Vec<[u8; SLOT_LEN]>,
}

impl Room {
    /// Without anything in it.
    pub fn new() -> Room {
        Room {
            slots: vec![[0; SLOT_LEN]; BATCH_MAX],
        }
    }

    /// The packets, sealed; those that cannot be are left out.
    pub(crate) fn seal<'r>(&'r mut self, sealer: &mut Sealer, packets: &[Wire<'_>]) -> ([Wire<'r>; BATCH_MAX], usize) {
        let mut wires = [Wire::EMPTY; BATCH_MAX];
        let mut count: usize = 0;
        for (slot, packet) in self.slots.iter_mut().zip(packets) {
            let Some((sealed, wire)) = seal(slot, sealer, packet).zip(wires.get_mut(count)) else {
                continue;
            };
            *wire = sealed;
            count = count.saturating_add(1);
        }
        (wires, count)
    }
}

fn seal<'r>(slot: &'r mut [u8], sealer: &mut Sealer, packet: &Wire<'_>) -> Option<Wire<'r>> {
    let len = packet.head.len().checked_add(packet.rest.len())?;
    let (head, rest) = slot.get_mut(..len)?.split_at_mut_checked(packet.head.len())?;
    head.copy_from_slice(&packet.head);
    rest.copy_from_slice(packet.rest);
    let sealed = sealer.seal_rtp(slot, len)?;
    let (head, rest) = slot.get(..sealed)?.split_first_chunk::<HEADER_LEN>()?;
    Some(Wire {
        head: (*head).into(),
        rest,
    })
}
