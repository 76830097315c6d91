//! Requests of ours that belong to no session, outside any dialog or in that of a subscription: one transaction each, and what came of
//! it as [`Event::Replied`].

use std::{borrow::Cow, sync::Arc, time::Instant};

use segue_sip_wire::{Message, Method, NameAddr, Uri};

use super::{Endpoint, core::Core, failover::retry_after};
use crate::{
    api::{Event, Peer, RequestId, SessionId},
    dialog::next_hop,
    draft::Draft,
    transaction::store::TransactionId,
};

/// A request outside any dialog, e.g. MESSAGE or an unsolicited NOTIFY.
#[derive(Debug, Clone)]
pub struct Outside {
    /// What.
    pub method: Method,
    /// Request-URI.
    pub target: Uri,
    /// From, and To.
    pub from: Uri,
    /// Whom it is for.
    pub to: Uri,
    /// Route, first hop first.
    pub route: Vec<Uri>,
    /// More headers, in order.
    pub headers: Vec<(&'static str, String)>,
    /// Content-Type and body.
    pub body: Option<(Cow<'static, str>, Vec<u8>)>,
    /// Where it goes when the first hop is no address, and by which socket of ours in any case.
    pub peer: Peer,
    /// It goes to `peer`, whatever its URIs say: its receiver is behind a NAT, or has opened the connection.
    pub is_back: bool,
}

impl Endpoint {
    /// Sends a request. One [`Event::Replied`] follows, at the latest after 64·T1.
    pub fn request(&mut self, now: Instant, outside: Outside) -> RequestId {
        let core = &mut self.core;
        let (tag, call_id, cseq) = (core.tag(), core.call_id(), core.first_cseq());
        let method = outside.method;
        let first = outside.route.first().unwrap_or(&outside.target);
        let peer = match outside.is_back {
            true => outside.peer,
            false => next_hop(first, outside.peer),
        };
        let any_transport = first.param("transport").is_none() && !outside.is_back;
        let mut draft = Draft::new(method.clone(), outside.target.without_headers());
        for hop in &outside.route {
            draft = draft.header("Route", format!("<{hop}>"));
        }
        draft = draft
            .header("Max-Forwards", "70")
            .header("From", NameAddr::new(outside.from).with_tag(&tag).to_string())
            .header("To", NameAddr::new(outside.to).to_string())
            .header("Call-ID", call_id)
            .header("CSeq", format!("{cseq} {method}"))
            .header("User-Agent", core.config.user_agent.as_str());
        if method == Method::Notify {
            draft = draft.header("Contact", core.contact(core.localized(peer).unwrap_or(peer)));
        }
        for (name, value) in outside.headers {
            draft = draft.header(name, value);
        }
        draft.body = outside.body.map(|(content_type, body)| (content_type, body.into()));
        (draft.any_transport, draft.same_way) = (any_transport, outside.is_back);
        core.request_outside(now, &draft, peer)
    }
}

impl Core {
    pub(super) fn request_outside(&mut self, now: Instant, draft: &Draft, peer: Peer) -> RequestId {
        let id = self.request(now, draft, peer, None::<SessionId>);
        self.outside.insert(id);
        RequestId(id.0)
    }

    /// A response to such a request, or that there is none. False: this transaction is none of these.
    pub(super) fn replied(&mut self, id: TransactionId, response: Option<&Arc<Message>>) -> bool {
        if !self.outside.contains(&id) {
            return false;
        }
        let status = response.and_then(|response| response.status());
        if status.is_some_and(|status| status < 200) {
            return true;
        }
        self.outside.remove(&id);
        self.event(Event::Replied {
            request: RequestId(id.0),
            response: response.cloned(),
            retry_after: response.and_then(|response| retry_after(response)),
        });
        true
    }
}
