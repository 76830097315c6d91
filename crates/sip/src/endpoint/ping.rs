//! OPTIONS that asks whether a server lives (RFC 3261 §11), by a transaction that belongs to no session.

use std::{net::SocketAddr, time::Instant};

use segue_sip_wire::{Message, Method, NameAddr, Uri};

use super::{Endpoint, core::Core, failover::retry_after};
use crate::{
    api::{Event, Peer, PingId},
    draft::Draft,
    locate::Candidate,
    transaction::store::TransactionId,
};

impl Endpoint {
    /// Asks a server. `uri`: the server's own, whose host proves who is there by TLS. One [`Event::Pong`] follows, at the latest
    /// after 64·T1. `None`: there is no socket that reaches it.
    ///
    /// `Max-Forwards: 0`: whether *this* server lives is asked, so nobody behind it may answer in its place (§11, §16.3 step 3); its 483
    /// says as much as a 200.
    pub fn ping(&mut self, now: Instant, server: Candidate, uri: &Uri) -> Option<PingId> {
        let peer = self.core.localized(Peer {
            protocol: server.protocol,
            local: SocketAddr::new(server.remote.ip(), 0),
            remote: server.remote,
            flow: None,
        })?;
        self.ping_back(now, peer, uri)
    }

    /// The same to whoever has spoken to us from there, by the socket that it spoke to: what keeps open its way through a NAT.
    pub fn ping_back(&mut self, now: Instant, peer: Peer, uri: &Uri) -> Option<PingId> {
        let core = &mut self.core;
        let uri = uri.without_headers();
        let (tag, call_id, cseq) = (core.tag(), core.call_id(), core.first_cseq());
        let from = core.contact(peer).parse::<NameAddr>().ok()?.uri.without_params();
        let mut draft = Draft::new(Method::Options, uri.clone())
            .header("Max-Forwards", "0")
            .header("From", NameAddr::new(from).with_tag(&tag).to_string())
            .header("To", NameAddr::new(uri.clone()).to_string())
            .header("Call-ID", call_id)
            .header("CSeq", format!("{cseq} OPTIONS"))
            .header("Accept", "application/sdp")
            .header("User-Agent", core.config.user_agent.as_str());
        draft.hop = Some(uri);
        let id = core.request(now, &draft, peer, None);
        core.pings.insert(id);
        Some(PingId(id.0))
    }

    /// Nobody waits for this ping any more: its transaction ends, and no `Pong` follows.
    pub fn forget_ping(&mut self, ping: PingId) {
        let id = TransactionId(ping.0);
        if self.core.pings.remove(&id) {
            self.core.forget_transaction(id);
        }
    }
}

impl Core {
    /// A final response to a ping, or that there is none. False: this transaction is no ping.
    pub(super) fn ponged(&mut self, id: TransactionId, response: Option<&Message>) -> bool {
        if !self.pings.contains(&id) {
            return false;
        }
        let status = response.and_then(Message::status);
        if status.is_some_and(|status| status < 200) {
            return true;
        }
        self.pings.remove(&id);
        self.event(Event::Pong {
            ping: PingId(id.0),
            status,
            retry_after: response.and_then(retry_after),
        });
        true
    }
}
