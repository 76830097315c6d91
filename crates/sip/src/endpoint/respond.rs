//! Responses, and how they go back (RFC 3261 §8.2.6, §18.2.2).

use std::{net::SocketAddr, sync::Arc, time::Instant};

use segue_sip_wire::{Message, MessageBuilder, session_id};

use super::{
    Endpoint,
    core::{ALLOW, Core, SUPPORTED},
};
use crate::{
    api::{Event, Peer, Protocol, Served, SessionId},
    secure::domain_of,
    transaction::store::server_key,
};

/// Where the response to a request goes: by UDP to its source, at the source port if `rport` asks for it (RFC 3581 §4),
/// else at sent-by's; by TCP and TLS on its connection, and if that is gone to sent-by's port at its source.
pub(crate) fn reply_to(peer: Peer, request: &Message) -> Peer {
    let Ok(via) = request.top_via() else { return peer };
    let port = match peer.protocol {
        Protocol::Udp if via.rport().is_some() => peer.remote.port(),
        Protocol::Udp | Protocol::Tcp | Protocol::Tls => via.port_or_default(),
    };
    Peer {
        remote: SocketAddr::new(peer.remote.ip(), port),
        ..peer
    }
}

impl Core {
    /// A response with what all of ours have.
    pub(crate) fn response(&self, request: &Message, status: u16, to_tag: &str) -> MessageBuilder {
        let builder = MessageBuilder::response_to(request, status, (status > 100).then_some(to_tag));
        // Who is refused without a session is told whom it is for, by nobody: we are no end of it (RFC 7989 §7).
        let stateless = || session_id(None, request.session_sender());
        let builder = match self.identities.of_response(to_tag).or_else(stateless) {
            Some(value) => builder.header("Session-ID", value),
            None => builder,
        };
        match status {
            100 => builder,
            _ => builder.header("Server", &self.config.user_agent),
        }
    }

    /// A response that makes or refreshes a dialog: "The UAS MUST add a Contact header field to the response"
    /// (§12.1.1).
    pub(crate) fn dialog_response(
        &self,
        request: &Message,
        status: u16,
        to_tag: &str,
        contact: &str,
    ) -> MessageBuilder {
        self.response(request, status, to_tag)
            .header("Contact", contact)
            .header("Allow", ALLOW)
    }
}

/// Whether a request is for whom this server would call, and not for the server itself: a `tel:` URI has no user and names one all the
/// same (RFC 3966).
#[must_use]
pub fn names_callee(request: &Message) -> bool {
    request
        .request_uri()
        .is_some_and(|uri| !uri.is_sip() || uri.user().is_some())
}

impl Endpoint {
    /// Answers and forgets (§8.2.7): what we refuse unasked costs us no memory, and a repeated request gets the same
    /// again.
    pub(super) fn answer_stateless(&mut self, peer: Peer, request: &Message, status: u16, headers: &[(&str, String)]) {
        let tag = self.core.stateless_tag(request);
        let mut builder = self.core.response(request, status, &tag);
        if matches!(status, 405 | 501) || (status == 200 && request.method() != Some(&segue_sip_wire::Method::Cancel)) {
            builder = builder.header("Allow", self.core.allowed());
        }
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        let response = builder.build();
        let domain = domain_of(&response, peer);
        self.core.send(reply_to(peer, request), domain, response.to_bytes());
        if status >= 400 {
            let request = Arc::new(request.clone());
            self.core.event(Event::Refused { peer, request, status });
        }
    }

    /// Answers a request that is not to be handled at all, and forgets it: it makes no session and no `Refused`.
    pub fn turn_away(&mut self, peer: Peer, request: &Message, status: u16, headers: &[(&str, String)]) {
        self.core.stats.received(request);
        let request = request.with_received(peer.remote);
        let tag = self.core.stateless_tag(&request);
        let mut builder = self.core.response(&request, status, &tag);
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        let response = builder.build();
        let domain = domain_of(&response, peer);
        self.core.send(reply_to(peer, &request), domain, response.to_bytes());
    }

    /// What who is answered from now on may send: Allow says so.
    pub fn set_served(&mut self, served: Served) {
        self.core.served = served;
    }

    /// The final answer to a request that makes no session: it is said again when the request comes again (§17.2.2).
    pub fn reply(&mut self, now: Instant, peer: Peer, request: &Message, status: u16, headers: &[(&str, String)]) {
        let key = request.method().and_then(|method| server_key(request, method));
        let Some(key) = key.filter(|_| !self.is_full()) else {
            return self.turn_away(peer, request, status, headers);
        };
        self.core.stats.received(request);
        let request = request.with_received(peer.remote);
        let tag = self.core.stateless_tag(&request);
        let mut builder = self.core.response(&request, status, &tag);
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        let response = builder.build();
        // No session owns it.
        let nobody = SessionId(self.core.next_id());
        let transaction = self.core.start_server(&request, key, reply_to(peer, &request), nobody);
        self.core.respond(now, transaction, &response, false);
    }

    /// The same for a request that comes again, and for no other; `None` where nobody can tell.
    #[must_use]
    pub fn fingerprint(&self, request: &Message) -> Option<u64> {
        let key = server_key(request, request.method()?)?;
        Some(self.core.hash(&key))
    }

    /// OPTIONS outside any dialog. Without a user it is for this server: who pings us goes elsewhere while we stop. So is one that
    /// may go no further: we "MAY … respond as described in Section 11" (§16.3).
    pub(super) fn handle_options(&mut self, peer: Peer, request: Arc<Message>) {
        if self.core.closing {
            return self.answer_options(peer, &request, 503, &[("Retry-After", "5".to_owned())]);
        }
        let goes_on = !matches!(request.max_forwards(), Ok(Some(0)));
        match self.core.config.ask_options && names_callee(&request) && goes_on {
            true => self.core.event(Event::Options { peer, request }),
            false => self.answer_options(peer, &request, 200, &[]),
        }
    }

    /// The answer to OPTIONS: the status that an INVITE would get. "Allow, Accept, Accept-Encoding, Accept-Language, and Supported
    /// header fields SHOULD be present in a 200 (OK) response" (§11.2).
    pub fn answer_options(&mut self, peer: Peer, request: &Message, status: u16, headers: &[(&str, String)]) {
        let ours = [
            ("Accept", "application/sdp".to_owned()),
            ("Accept-Encoding", "identity".to_owned()),
            ("Supported", SUPPORTED.to_owned()),
            ("Accept-Language", "en".to_owned()),
        ];
        self.answer_stateless(peer, request, status, if status == 200 { &ours } else { headers });
    }
}
