//! MESSAGE outside any dialog (RFC 3428): a text, by a transaction that belongs to no session.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use bytes::Bytes;
use segue_sip_wire::{Message, Method, NameAddr, Uri};

use super::{Endpoint, core::Core, failover::retry_after};
use crate::{
    api::{Event, PageId, Peer, SessionId},
    digest::Account,
    draft::Draft,
    locate::Candidate,
    transaction::store::TransactionId,
};

/// A text to send.
#[derive(Debug, Clone)]
pub struct Page {
    /// Request-URI, and To.
    pub target: Uri,
    /// Route, first hop first.
    pub route: Vec<Uri>,
    /// What is said.
    pub text: Arc<str>,
    /// Its language (RFC 5646).
    pub language: &'static str,
    /// It says nothing any more after so many seconds.
    pub expires_s: u32,
    /// The server that is asked.
    pub server: Candidate,
    /// It goes where a request of the target came from, and by no other way.
    pub back_to: Option<Peer>,
    /// The credentials, for when it is asked for them.
    pub account: Option<Arc<Account>>,
}

impl Endpoint {
    /// Sends a text to one server. One [`Event::Paged`] follows, at the latest after 64·T1 and once more when it is asked for credentials.
    /// `None`: there is no socket that reaches it.
    ///
    /// There is no Contact: "User Agent Clients MUST NOT insert Contact header fields into MESSAGE requests" (RFC 3428 §4).
    pub fn page(&mut self, now: Instant, page: &Page) -> Option<PageId> {
        let core = &mut self.core;
        let towards = Peer {
            protocol: page.server.protocol,
            local: SocketAddr::new(page.server.remote.ip(), 0),
            remote: page.server.remote,
            flow: None,
        };
        let peer = match page.back_to {
            Some(peer) => peer,
            None => core.localized(towards)?,
        };
        let target = page.target.without_headers();
        let (tag, call_id, cseq) = (core.tag(), core.call_id(), core.first_cseq());
        let from = core.contact(peer).parse::<NameAddr>().ok()?.uri.without_params();
        let mut draft = Draft::new(Method::Message, target.clone()).header("Max-Forwards", "70");
        for hop in &page.route {
            draft = draft.header("Route", format!("<{hop}>"));
        }
        draft = draft
            .header("From", NameAddr::new(from).with_tag(&tag).to_string())
            .header("To", NameAddr::new(target).to_string())
            .header("Call-ID", call_id)
            .header("CSeq", format!("{cseq} MESSAGE"))
            .header("Expires", page.expires_s.to_string())
            .header("Content-Language", page.language)
            .header("User-Agent", core.config.user_agent.as_str())
            .body("text/plain;charset=UTF-8", Bytes::copy_from_slice(page.text.as_bytes()));
        draft.same_way = page.back_to.is_some();
        draft.account = page.account.clone().map(|account| {
            let holder = SessionId(core.next_id());
            core.accounts.set(holder, account);
            holder
        });
        let id = core.request(now, &draft, peer, None);
        let page = PageId(core.next_id());
        core.pages.insert(id, (page, draft.account));
        Some(page)
    }
}

impl Core {
    /// A text goes on with another transaction, by which it is sent again with credentials.
    pub(super) fn page_again(&mut self, before: TransactionId, after: TransactionId) {
        if let Some(page) = self.pages.remove(&before) {
            self.pages.insert(after, page);
        }
    }

    /// A final response to a text, or that there is none. False: this transaction is none of a text.
    pub(super) fn paged(&mut self, id: TransactionId, response: Option<&Message>) -> bool {
        let status = response.and_then(Message::status);
        if status.is_some_and(|status| status < 200) {
            return self.pages.contains_key(&id);
        }
        let Some((page, account)) = self.pages.remove(&id) else {
            return false;
        };
        if let Some(account) = account {
            self.accounts.forget(account);
        }
        self.event(Event::Paged {
            page,
            status,
            retry_after: response.and_then(retry_after),
        });
        true
    }
}
