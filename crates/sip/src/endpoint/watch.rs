//! Dialogs of subscriptions (RFC 6665 §4.2): a SUBSCRIBE makes one, NOTIFYs go in it. Who may subscribe to what, and what is told, is
//! decided elsewhere.

use std::{borrow::Cow, collections::BTreeMap, time::Instant};

use segue_sip_wire::{Message, Method};

use super::{Endpoint, respond::reply_to};
use crate::{
    api::{Peer, RequestId, SessionId, WatchId},
    dialog::Dialog,
    transaction::store::server_key,
};

/// All of them.
#[derive(Default)]
pub(super) struct Watches {
    /// With our tags.
    all: BTreeMap<WatchId, (String, Dialog)>,
    /// By our tag.
    by_tag: BTreeMap<String, WatchId>,
}

impl Endpoint {
    /// The subscription whose dialog a request names.
    #[must_use]
    pub fn watch_of(&self, request: &Message) -> Option<WatchId> {
        let to = request.to().ok()?;
        let id = *self.watches.by_tag.get(to.tag()?)?;
        let (_, dialog) = self.watches.all.get(&id)?;
        let from = request.from().ok()?;
        let is_its =
            request.call_id() == Some(dialog.call_id.as_str()) && from.tag() == Some(dialog.remote_tag.as_str());
        is_its.then_some(id)
    }

    /// Accepts a SUBSCRIBE outside any dialog: 200 with Expires, and a dialog (§4.2.1.1). With `nat` its NOTIFYs go where it came from,
    /// whatever its Contact says. `None`: it lacks what a dialog needs, or there is no room; nothing was answered.
    pub fn watch(&mut self, now: Instant, peer: Peer, request: &Message, expires_s: u32, nat: bool) -> Option<WatchId> {
        let method = request.method()?;
        let key = server_key(request, method).filter(|_| !self.is_full())?;
        let tag = self.core.tag();
        let request = request.with_received(peer.remote);
        let contact = self.core.contact(peer);
        let mut dialog = Dialog::uas(&request, &tag, contact, peer)?;
        dialog.follows_source = nat;
        dialog.local_seq = self.core.first_cseq();
        self.core.stats.received(&request);
        let id = WatchId(self.core.next_id());
        self.accept_subscribe(now, (&request, key, peer), &tag, &dialog.contact, expires_s);
        self.watches.by_tag.insert(tag.clone(), id);
        self.watches.all.insert(id, (tag, dialog));
        Some(id)
    }

    /// Accepts a SUBSCRIBE within its dialog (§4.2.1.2). False: it is out of order, and has got its 500 (RFC 3261 §12.2.2); or there is no
    /// such dialog, or no room, and it gets 481 or 503.
    pub fn watch_on(&mut self, now: Instant, peer: Peer, request: &Message, id: WatchId, expires_s: u32) -> bool {
        let key = request.method().and_then(|method| server_key(request, method));
        let (Some(key), false) = (key, self.is_full()) else {
            self.turn_away(peer, request, 503, &[("Retry-After", "5".to_owned())]);
            return false;
        };
        let (Some((_, dialog)), Ok(cseq)) = (self.watches.all.get_mut(&id), request.cseq()) else {
            self.reply(now, peer, request, 481, &[]);
            return false;
        };
        if !dialog.is_next(cseq.number) {
            self.reply(now, peer, request, 500, &[]);
            return false;
        }
        dialog.refresh(request);
        dialog.peer = peer;
        let contact = dialog.contact.clone();
        let request = request.with_received(peer.remote);
        self.core.stats.received(&request);
        self.accept_subscribe(now, (&request, key, peer), "", &contact, expires_s);
        true
    }

    fn accept_subscribe(
        &mut self,
        now: Instant,
        (request, key, peer): (&Message, String, Peer),
        tag: &str,
        contact: &str,
        expires_s: u32,
    ) {
        let response = self
            .core
            .response(request, 200, tag)
            .header("Contact", contact)
            .header("Expires", expires_s.to_string())
            .build();
        // No session owns it.
        let nobody = SessionId(self.core.next_id());
        let transaction = self.core.start_server(request, key, reply_to(peer, request), nobody);
        self.core.respond(now, transaction, &response, false);
    }

    /// NOTIFY in a subscription's dialog. `None`: there is none. What comes of it: [`Event::Replied`](crate::Event::Replied).
    pub fn notify(
        &mut self,
        now: Instant,
        id: WatchId,
        headers: Vec<(&'static str, String)>,
        body: Option<(Cow<'static, str>, Vec<u8>)>,
    ) -> Option<RequestId> {
        let (_, dialog) = self.watches.all.get_mut(&id)?;
        let mut draft = dialog
            .request(Method::Notify)
            .header("Contact", dialog.contact.as_str())
            .header("User-Agent", self.core.config.user_agent.as_str());
        for (name, value) in headers {
            draft = draft.header(name, value);
        }
        draft.body = body.map(|(content_type, body)| (content_type, body.into()));
        let peer = dialog.next_hop();
        Some(self.core.request_outside(now, &draft, peer))
    }

    /// Forgets a subscription's dialog: from now on it gets 481.
    pub fn unwatch(&mut self, id: WatchId) {
        if let Some((tag, _)) = self.watches.all.remove(&id) {
            self.watches.by_tag.remove(&tag);
        }
    }

    /// Dialogs of subscriptions.
    #[must_use]
    pub fn watch_count(&self) -> usize {
        self.watches.all.len()
    }
}
