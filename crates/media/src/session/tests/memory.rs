//! A sink that remembers, with SRTP as it leaves.

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use segue_sdp::Kind;

use crate::{
    Event, LegKey,
    path::{
        rtp::Wire,
        srtp::{Room, Sealer},
    },
    session::{BATCH_MAX, Sink},
    spool::RecordKind,
    stats::Count,
    transcode::Given,
};

/// What left, by leg and kind.
#[derive(Debug)]
pub struct Sent {
    pub leg: LegKey,
    pub kind: Kind,
    pub at: Instant,
    pub bytes: Vec<u8>,
}

#[derive(Debug, Default)]
pub struct Memory {
    pub now: Option<Instant>,
    pub rtp: Vec<Sent>,
    pub rtcp: Vec<Sent>,
    pub events: Vec<Event>,
    pub spooled: usize,
    pub closed: Option<u64>,
    /// The last packet that went to the spool.
    pub last_spooled: Vec<u8>,
    /// Packets that were not authentic.
    pub unauthentic: u64,
    /// What the process that transcodes was told, and whether there is none.
    pub given: Vec<Vec<u8>>,
    /// The same of that for pictures.
    pub given_pictures: Vec<Vec<u8>>,
    pub given_to_nobody: bool,
}

impl Memory {
    fn sent(&self, leg: LegKey, kind: Kind, bytes: Vec<u8>) -> Sent {
        Sent {
            leg,
            kind,
            at: self.now.unwrap(),
            bytes,
        }
    }
}

impl Sink for Memory {
    fn send_rtp(&mut self, leg: LegKey, kind: Kind, _: SocketAddr, packets: &[Wire<'_>], sealer: Option<&mut Sealer>) {
        let mut room = Room::new();
        let (sealed, count) = match sealer {
            Some(sealer) => room.seal(sealer, packets),
            None => ([Wire::EMPTY; BATCH_MAX], 0),
        };
        let packets = if count > 0 { &sealed[..count] } else { packets };
        for wire in packets {
            let sent = self.sent(leg, kind, [&wire.head[..], wire.rest].concat());
            self.rtp.push(sent);
        }
    }

    fn send_rtcp(&mut self, leg: LegKey, kind: Kind, _: SocketAddr, bytes: &[u8]) {
        let sent = self.sent(leg, kind, bytes.to_vec());
        self.rtcp.push(sent);
    }

    fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    fn open_spool(&mut self, _: PathBuf, _: Vec<u8>) -> Result<u64, &'static str> {
        Ok(1)
    }

    fn spool(&mut self, _: u64, _: RecordKind, _: u8, _: u64, packet: &[u8]) {
        self.spooled += 1;
        self.last_spooled = packet.to_vec();
    }

    fn close_spool(&mut self, _: u64, duration_ms: u64, _: Vec<u8>) {
        self.closed = Some(duration_ms);
    }

    fn paced(&mut self, _: Duration) {}

    fn transcode(&mut self, kind: Kind, message: &[u8]) -> Given {
        match kind {
            Kind::Audio => self.given.push(message.to_vec()),
            Kind::Video => self.given_pictures.push(message.to_vec()),
        }
        match self.given_to_nobody {
            true => Given::Gone,
            false => Given::Taken,
        }
    }

    fn count(&mut self, what: Count, by: u64) {
        if what == Count::Unauthentic {
            self.unauthentic += by;
        }
    }
}
