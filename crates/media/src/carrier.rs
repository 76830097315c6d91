//! What a session says, carried to the system: to a leg's socket, the spool thread, the owner.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use segue_sdp::Kind;

use crate::{
    Event, LegKey, SessionKey,
    media::Events,
    path::{
        rtp::Wire,
        srtp::{Room, Sealer},
    },
    ports::Pair,
    session::Sink,
    spool::RecordKind,
    spool_link::SpoolLink,
    stats::{Count, Counters},
    syscall,
    transcode::{Given, Transcoders},
};

/// The sockets of one m-line of a leg.
pub struct LegPair {
    pub leg: LegKey,
    pub kind: Kind,
    pub pair: Pair,
}

/// Made for one call of a session.
pub struct Carrier<'a> {
    pub now: Instant,
    pub key: SessionKey,
    pub pairs: &'a [Option<LegPair>],
    /// Where SRTP is sealed.
    pub room: &'a mut Room,
    pub spool: &'a mut SpoolLink,
    pub recordings: &'a AtomicU64,
    pub events: &'a Events,
    pub counters: &'a Counters,
    pub transcoders: &'a Transcoders,
}

fn pair(pairs: &[Option<LegPair>], leg: LegKey, kind: Kind) -> Option<&Pair> {
    let mut pairs = pairs.iter().flatten();
    pairs
        .find(|pair| pair.leg == leg && pair.kind == kind)
        .map(|pair| &pair.pair)
}

impl Sink for Carrier<'_> {
    fn send_rtp(&mut self, leg: LegKey, kind: Kind, to: SocketAddr, packets: &[Wire<'_>], sealer: Option<&mut Sealer>) {
        let Some(pair) = pair(self.pairs, leg, kind) else {
            return;
        };
        let sent = match sealer {
            None => syscall::send(&pair.rtp, to, packets),
            Some(sealer) => {
                let (sealed, count) = self.room.seal(sealer, packets);
                syscall::send(&pair.rtp, to, sealed.get(..count).unwrap_or_default())
            }
        };
        self.counters.count(Count::Sent, sent as u64);
        if sent < packets.len() {
            self.counters
                .count(Count::SendFailed, packets.len().saturating_sub(sent) as u64);
        }
    }

    fn send_rtcp(&mut self, leg: LegKey, kind: Kind, to: SocketAddr, bytes: &[u8]) {
        let sent = pair(self.pairs, leg, kind).is_some_and(|pair| pair.rtcp.send_to(bytes, to).is_ok());
        if !sent {
            self.counters.count(Count::SendFailed, 1);
        }
    }

    fn event(&mut self, event: Event) {
        (self.events)(self.key, event);
    }

    fn open_spool(&mut self, path: PathBuf, manifest_json: Vec<u8>) -> Result<u64, &'static str> {
        let id = self.recordings.fetch_add(1, Relaxed);
        self.spool.open(id, self.key, path, manifest_json).map(|()| id)
    }

    fn spool(&mut self, id: u64, kind: RecordKind, stream: u8, arrival_ns: u64, packet: &[u8]) {
        if !self.spool.push(self.now, id, kind, stream, arrival_ns, packet) {
            self.counters.count(Count::SpoolDropped, 1);
        }
    }

    fn close_spool(&mut self, id: u64, duration_ms: u64, end_json: Vec<u8>) {
        self.spool.close(self.now, id, duration_ms, end_json);
    }

    fn paced(&mut self, late: Duration) {
        self.counters.paced(late);
    }

    fn count(&mut self, what: Count, by: u64) {
        self.counters.count(what, by);
    }

    fn transcode(&mut self, kind: Kind, message: &[u8]) -> Given {
        let link = self.transcoders.get(kind);
        link.map_or(Given::Gone, |link| link.give(message))
    }
}
