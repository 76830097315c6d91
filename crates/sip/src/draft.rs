//! A request of ours before it has a Via: the Via depends on the transport, which may change (RFC 3261 §18.1.1).

#![deny(clippy::arithmetic_side_effects)]

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use segue_sip_wire::{Message, MessageBuilder, Method, Uri};

use crate::api::SessionId;

/// What is to be asked.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub method: Method,
    /// Request-URI.
    pub uri: Uri,
    /// All headers but Via and Content-*.
    pub headers: Vec<(&'static str, String)>,
    /// Headers of others' choosing.
    pub more: Vec<(String, String)>,
    /// Content-Type and body.
    pub body: Option<(Cow<'static, str>, Bytes)>,
    /// The URI it goes to names no transport: where TCP was only guessed, UDP is tried after it.
    pub any_transport: bool,
    /// It goes where its peer's requests come from: large or not, by no other transport.
    pub same_way: bool,
    /// Who was called in its dialog, by name: proves who is at an address that the peer's Contact names, by TLS.
    pub domain: Option<Arc<str>>,
    /// The next server, where neither Route nor Request-URI names it.
    pub hop: Option<Uri>,
    /// The session whose credentials it may use, where it has no owner.
    pub account: Option<SessionId>,
}

impl Draft {
    pub(crate) fn new(method: Method, uri: Uri) -> Self {
        Self {
            method,
            uri,
            headers: Vec::with_capacity(12),
            more: Vec::new(),
            body: None,
            any_transport: false,
            same_way: false,
            domain: None,
            hop: None,
            account: None,
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A header that may be absent.
    pub(crate) fn maybe(self, name: &'static str, value: Option<String>) -> Self {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    pub(crate) fn body(mut self, content_type: impl Into<Cow<'static, str>>, body: Bytes) -> Self {
        self.body = Some((content_type.into(), body));
        self
    }

    /// What was asked, to be asked again with another CSeq. What belongs to one request alone is left out.
    pub(crate) fn again(request: &Message) -> Option<Self> {
        const OWN: [&str; 7] = [
            "Via",
            "CSeq",
            "Session-ID",
            "Authorization",
            "Proxy-Authorization",
            "Content-Type",
            "Content-Length",
        ];
        let mut draft = Self::new(request.method()?.clone(), request.request_uri()?.clone());
        let kept = |name: &str| !OWN.iter().any(|own| own.eq_ignore_ascii_case(name));
        let headers = request.all_headers().filter(|(name, _)| kept(name));
        draft.more = headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        draft.body = request.content_type().map(|content_type| {
            let body = Bytes::copy_from_slice(request.body());
            (content_type.to_owned().into(), body)
        });
        Some(draft)
    }

    /// With its Via.
    pub(crate) fn build(&self, via: &str) -> Message {
        let mut builder = MessageBuilder::request(&self.method, &self.uri).header("Via", via);
        for (name, value) in &self.headers {
            builder = builder.header(name, value);
        }
        for (name, value) in &self.more {
            builder = builder.header(name, value);
        }
        if let Some((content_type, body)) = &self.body {
            builder = builder.body(content_type, body.clone());
        }
        builder.build()
    }
}
