//! Writing messages. Whatever is given, one header stays one header: nothing that came over the wire can inject another.

use std::{borrow::Cow, net::SocketAddr};

use bytes::{Bytes, BytesMut};

use crate::{
    Message,
    error::Head,
    method::Method,
    split::{cut, find_outside, is_token},
    status::phrase,
    uri::Uri,
    via::Via,
};

/// Builds one message. Content-Length is always set by [`MessageBuilder::build`].
#[derive(Debug, Clone)]
pub struct MessageBuilder {
    start: String,
    headers: Vec<(Cow<'static, str>, Bytes)>,
    body: Bytes,
}

impl MessageBuilder {
    /// A request. `?headers` of the URI are left out (RFC 3261 §19.1.1).
    pub fn request(method: &Method, uri: &Uri) -> MessageBuilder {
        let start = format!("{method} {} SIP/2.0", uri.without_headers());
        MessageBuilder {
            start,
            headers: Vec::with_capacity(20),
            body: Bytes::new(),
        }
    }

    /// A response with its default phrase.
    pub fn response(status: u16) -> MessageBuilder {
        let builder = MessageBuilder {
            start: String::new(),
            headers: Vec::with_capacity(20),
            body: Bytes::new(),
        };
        builder.status_line(status, phrase(status))
    }

    fn status_line(mut self, status: u16, phrase: &str) -> MessageBuilder {
        self.start = format!("SIP/2.0 {status} {}", one_line(phrase));
        self
    }

    /// A response to a request (RFC 3261 §8.2.6): Via, From, To, Call-ID and CSeq byte for byte, Record-Route where it
    /// makes a dialog (§12.1.1), Timestamp in a 100. `to_tag` is added if the request's To has none.
    pub fn response_to(request: &Message, status: u16, to_tag: Option<&str>) -> MessageBuilder {
        let mut builder = Self::response(status);
        for via in request.values("Via") {
            builder = builder.raw("Via", via);
        }
        let makes_dialog = matches!(request.method(), Some(Method::Invite | Method::Subscribe));
        if makes_dialog && (101..300).contains(&status) {
            for route in request.values("Record-Route") {
                builder = builder.raw("Record-Route", route);
            }
        }
        builder = builder.raw_all("From", request.values("From").next());
        let tagged = request.to().is_ok_and(|to| to.tag().is_some());
        builder = match (request.values("To").next(), to_tag) {
            (Some(to), Some(tag)) if !tagged => {
                // A tag that is there and empty is replaced: two would be one too many.
                let empty = request.to().ok().filter(|to| to.params.has("tag"));
                let tagged = empty.map(|to| Bytes::from(to.with_tag(tag).to_string()));
                builder.raw("To", tagged.unwrap_or_else(|| with_tag(&to, tag)))
            }
            (to, _) => builder.raw_all("To", to),
        };
        for name in ["Call-ID", "CSeq"] {
            builder = builder.raw_all(name, request.values(name).next());
        }
        if status == 100 {
            builder = builder.raw_all("Timestamp", request.values("Timestamp").next());
        }
        builder
    }

    /// A stateless response to a broken request.
    pub(crate) fn response_to_head(head: &Head, status: u16, source: SocketAddr, to_tag: &str) -> MessageBuilder {
        let mut builder = Self::response(status);
        let mut top = head.top_via.clone();
        top.stamp(source);
        for (at, via) in head.vias.iter().enumerate() {
            let value = if at == 0 {
                replace_first_value(via, &top)
            } else {
                via.clone()
            };
            builder = builder.raw("Via", value);
        }
        builder = builder.raw_all("From", head.from.clone());
        if let Some(to) = &head.to {
            let tagged = std::str::from_utf8(to).is_ok_and(|to| to.to_ascii_lowercase().contains("tag"));
            builder = builder.raw("To", if tagged { to.clone() } else { with_tag(to, to_tag) });
        }
        builder
            .raw_all("Call-ID", head.call_id.clone())
            .raw_all("CSeq", head.cseq.clone())
    }

    /// Another reason phrase (responses).
    pub fn phrase(self, text: &str) -> MessageBuilder {
        let status = self.start.split(' ').nth(1).and_then(|code| code.parse().ok());
        match status {
            Some(status) if self.start.starts_with("SIP/") => self.status_line(status, text),
            _ => self,
        }
    }

    /// Add a header field at the end. Line ends and NULs in the value become spaces; a name that is no token, or
    /// Content-Length, adds nothing.
    pub fn header(mut self, name: &str, value: impl AsRef<str>) -> MessageBuilder {
        if let Some(field) = field(name, value.as_ref()) {
            self.headers.push(field);
        }
        self
    }

    /// Add a header field before all others (Via, Route). Otherwise as [`MessageBuilder::header`].
    pub fn header_first(mut self, name: &str, value: impl AsRef<str>) -> MessageBuilder {
        if let Some(field) = field(name, value.as_ref()) {
            self.headers.insert(0, field);
        }
        self
    }

    /// Copy every field of that name from another message, bytes unchanged.
    pub fn copy(mut self, from: &Message, name: &'static str) -> MessageBuilder {
        for value in from.values(name) {
            self = self.raw(name, value);
        }
        self
    }

    /// Drop what was added under that name.
    pub fn without(mut self, name: &str) -> MessageBuilder {
        self.headers.retain(|(known, _)| !crate::name::same(known, name));
        self
    }

    /// Set the body and its Content-Type.
    pub fn body(self, content_type: &str, body: impl Into<Bytes>) -> MessageBuilder {
        let mut builder = self.without("Content-Type").header("Content-Type", content_type);
        builder.body = body.into();
        builder
    }

    /// `value` comes from an indexed message: unfolded, hence without line ends.
    fn raw(mut self, name: &'static str, value: Bytes) -> MessageBuilder {
        self.headers.push((Cow::Borrowed(name), value));
        self
    }

    fn raw_all(self, name: &'static str, value: Option<Bytes>) -> MessageBuilder {
        match value {
            Some(value) => self.raw(name, value),
            None => self,
        }
    }

    /// The message.
    pub fn build(self) -> Message {
        let head: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.len().saturating_add(value.len()).saturating_add(4))
            .sum();
        let mut out = BytesMut::with_capacity(
            self.start
                .len()
                .saturating_add(head)
                .saturating_add(self.body.len())
                .saturating_add(40),
        );
        out.extend_from_slice(self.start.as_bytes());
        out.extend_from_slice(b"\r\n");
        for (name, value) in &self.headers {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", self.body.len()).as_bytes());
        out.extend_from_slice(&self.body);
        Message::indexed(out.freeze()).0
    }
}

/// Text that stays on its line.
fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(['\r', '\n', '\0']) {
        text.replace(['\r', '\n', '\0'], " ").into()
    } else {
        text.into()
    }
}

fn field(name: &str, value: &str) -> Option<(Cow<'static, str>, Bytes)> {
    let proper = !name.is_empty() && name.bytes().all(is_token) && !crate::name::same(name, "Content-Length");
    proper.then(|| {
        (
            Cow::Owned(name.to_owned()),
            Bytes::copy_from_slice(one_line(value).trim().as_bytes()),
        )
    })
}

fn with_tag(to: &Bytes, tag: &str) -> Bytes {
    let tag: String = tag.bytes().filter(|byte| is_token(*byte)).map(char::from).collect();
    Bytes::from([to, b";tag=".as_slice(), tag.as_bytes()].concat())
}

fn replace_first_value(value: &Bytes, via: &Via) -> Bytes {
    let text = String::from_utf8_lossy(value);
    match find_outside(&text, |byte| byte == b',') {
        Some(at) => Bytes::from(format!("{via},{}", cut(&text, at).1)),
        None => Bytes::from(via.to_string()),
    }
}
