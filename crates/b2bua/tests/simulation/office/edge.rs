//! What crosses Segue's edge, looked at on its way.

use std::net::SocketAddr;

use segue_sip::{FlowId, Peer, Protocol, Transmit};
use segue_sip_wire::Message;

use super::{
    provider,
    roll::user_of,
    world::{Pending, World},
};
use crate::{phone::X, wire::Msg};

impl World {
    pub(super) fn transmit(&mut self, transmit: Transmit) {
        let Transmit { peer, bytes, id, .. } = transmit;
        let msg = Msg::read(&bytes);
        let caller = self.caller_at(peer.remote, &msg);
        let is_line = peer.remote == provider::at() && self.provider.is_some();
        let is_there = caller.is_some_and(|a| !self.is_dark(a)) || self.device_at(peer.remote).is_some() || is_line;
        let arrivals = match is_there {
            true => self
                .network
                .arrivals(self.now, peer.protocol, Self::stream(peer.remote), true),
            false => Vec::new(),
        };
        let fate = if arrivals.is_empty() { " LOST" } else { "" };
        self.note(format!("{} <== {}{fate}", peer.remote, msg.summary()));
        self.sent(peer.remote, &msg);
        if !is_there && peer.protocol == Protocol::Tcp {
            let at = self.now + self.network.refusal();
            self.later(at, Pending::TransportError(self.life, id));
        }
        for at in arrivals {
            self.later(at, Pending::ToPhone(peer.remote, peer.protocol, msg.clone()));
        }
    }

    /// Looks at what Segue says.
    fn sent(&mut self, to: SocketAddr, msg: &Msg) {
        let now = self.now;
        let method = msg.cseq().1.to_owned();
        let is_new = self
            .said
            .insert(format!("{} {method} {:?}", msg.branch(), msg.status()));
        match (msg.status(), method.as_str()) {
            (Some(status), _) if status >= 200 => {
                if let Some((.., answered)) = self.asked.get_mut(&(msg.branch().to_owned(), method.clone())) {
                    *answered = true;
                }
                let outcome = match method.as_str() {
                    "REGISTER" => self.roll.answered(now, msg),
                    "SUBSCRIBE" => self.lamps.answered(now, msg),
                    _ => return,
                };
                if let Some(mark) = self.must(outcome) {
                    self.mark(mark);
                }
            }
            (None, "NOTIFY") if is_new => {
                let outcome = self.lamps.told(now, msg, &self.desk.shelf);
                if let Some(mark) = self.must(outcome) {
                    self.mark(mark);
                }
                if msg.tag_of_to().is_empty() {
                    let outcome = self.is_registered(to, msg);
                    if let Some(mark) = self.must(outcome) {
                        self.mark(mark);
                    }
                }
            }
            (None, "ACK") => self.busy.is_up(msg.call_id()),
            (None, "BYE") => self.busy.ended(msg.call_id()),
            (None, "INVITE") if to == provider::at() => {}
            (None, "INVITE") if is_new && msg.tag_of_to().is_empty() => {
                let whose = self.roll.all(now).find(|(_, bound)| bound.uri == msg.request_uri());
                let whose = whose.map(|(user, _)| user.clone());
                let outcome = whose.map_or(Ok(()), |user| self.is_free(&user, msg));
                self.must(outcome);
                let outcome = self.is_registered(to, msg);
                if let Some(mark) = self.must(outcome) {
                    self.mark(mark);
                }
                self.ring_together(msg);
            }
            _ => {}
        }
    }

    /// All contacts of the highest preference ring at once.
    fn ring_together(&mut self, msg: &Msg) {
        let user = user_of(msg.request_uri())
            .split('-')
            .next()
            .unwrap_or_default()
            .to_owned();
        let of = self.setup.subscribers.iter().find(|of| of.user == user);
        if of.is_some_and(|of| of.ring == segue_policy::Ring::Together) {
            let first = self.roll.first(&user, self.now);
            if first.contains(msg.request_uri()) && first.len() > 1 {
                self.mark("several phones rang together");
            }
        }
    }

    /// Whoever is called, or told unasked, is registered now, and reached as it has said.
    fn is_registered(&self, to: SocketAddr, msg: &Msg) -> Result<String, String> {
        let (uri, method) = (msg.request_uri(), msg.method().unwrap_or_default());
        let found = self.roll.all(self.now).find(|(_, bound)| bound.uri == uri);
        let Some((_, bound)) = found else {
            return Err(format!("{method} to {uri}, which is not registered"));
        };
        if bound.hop != to {
            return Err(format!("{method} to {uri} went to {to}, not to {}", bound.hop));
        }
        let device = self.device_at(to).map(|at| self.devices[at].script.way);
        Ok(format!("{method} to {device:?}"))
    }

    pub(super) fn hear(&mut self, from: SocketAddr, protocol: Protocol, flow: u64, bytes: &[u8]) {
        // A connection ends with the process.
        if !self.is_up || protocol == Protocol::Tcp && flow != u64::from(self.life) {
            return;
        }
        let msg = Msg::read(bytes);
        self.note(format!("{from} ==> {}", msg.summary()));
        let device = self.devices.iter().position(|d| d.phone.address == from);
        let lives = device.map_or(0, |at| self.devices[at].life());
        let peer = Peer {
            protocol,
            local: X.parse().expect("an address"),
            remote: from,
            flow: (protocol == Protocol::Tcp).then_some(FlowId(Self::stream(from) << 8 | u64::from(lives))),
        };
        match msg.method() {
            Some("REGISTER") => self.roll.came(&msg, from),
            Some("SUBSCRIBE") => self.lamps.came(&msg),
            Some("INVITE") if msg.tag_of_to().is_empty() && from == provider::at() => {
                self.mark("a call came in by the line");
            }
            Some("INVITE") if msg.tag_of_to().is_empty() => self.comes_from(from, &msg),
            Some("BYE") => self.busy.ended(msg.call_id()),
            None if msg.cseq().1 == "INVITE" && msg.status().is_some_and(|status| status / 100 == 2) => {
                if let Some(device) = device {
                    self.busy.answers(self.devices[device].user(), msg.call_id());
                }
            }
            None if msg.cseq().1 == "NOTIFY" => self.lamps.heard(self.now, &msg),
            _ => {}
        }
        if let Some(method) = msg.method().filter(|method| *method != "ACK") {
            let key = (msg.branch().to_owned(), method.to_owned());
            self.asked.entry(key).or_insert((self.now, self.life, false));
        }
        let message =
            Message::parse_datagram(bytes).unwrap_or_else(|e| panic!("{}: {e:?}", String::from_utf8_lossy(bytes)));
        self.shard.handle_message(self.instant(), peer, message);
    }
}
