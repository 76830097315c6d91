//! Whom a call is to, in the words that the store is asked with.

use segue_policy::{Calling, Service};
use segue_sip_wire::{Scheme, Uri};

use crate::{
    cx::Cx,
    io::{SentOn, StoreAction},
};

impl Cx {
    /// The service that A has called, if that is what it dialled.
    pub fn service(&self) -> Option<Service> {
        let dials = self.invite.emergency.is_none() && self.invite.further.sent_on.is_none();
        let uri = &self.invite.request_uri;
        if !dials || !self.is_ours(uri) {
            return None;
        }
        self.invite.profile.service(&dialled(uri)?)
    }

    /// The question to the store; `None`: nobody is named. A mailbox that the caller was sent to counts only where the call is to us.
    pub fn whom(&mut self) -> Option<StoreAction> {
        let is_ours = self.is_ours(&self.invite.request_uri);
        if !is_ours {
            self.invite.further.sent_on = None;
        }
        let (user, address) = match &self.invite.further.sent_on {
            Some(SentOn { user, uri, .. }) => {
                let is_ours = uri.as_ref().is_none_or(|uri| self.is_ours(uri));
                (Some(user.clone()).filter(|_| is_ours), uri.as_ref())
            }
            None => {
                let dialled = dialled(&self.invite.request_uri).filter(|_| is_ours);
                (dialled, Some(&self.invite.request_uri))
            }
        };
        let alias = address.and_then(Uri::address_of_record).map(|uri| uri.to_string());
        let user = user.unwrap_or_default();
        let names_somebody = !user.is_empty() || alias.is_some();
        let calling = self.invite.emergency.is_none().then(|| Calling {
            from: self.invite.shown().to_string(),
            at_ms: self.now.wall.0,
        });
        names_somebody.then_some(StoreAction::Lookup { user, alias, calling })
    }
}

fn dialled(uri: &Uri) -> Option<String> {
    match uri.scheme() {
        // A number, which the store knows by the profile's numbering.
        Scheme::Tel => Some(uri.to_string()),
        _ => uri.user().map(|user| user.into_owned()),
    }
}
