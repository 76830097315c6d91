//! A message: its bytes, and what they say.

use std::{fmt, net::SocketAddr};

use bytes::{Bytes, BytesMut};

use crate::{
    body,
    cseq::{CSeq, RAck, parse_u32},
    error::{Head, ParseError, Verdict},
    index::{Fault, Field, Index, Span, Start, index},
    limits::LIST_MAX,
    method::Method,
    name::{expand, same},
    name_addr::NameAddr,
    split::{find_outside, split_outside},
    uri::Uri,
    validate,
    via::Via,
};

/// One SIP message. What was received is kept byte for byte; values are unfolded and typed when asked for.
#[derive(Clone)]
pub struct Message {
    bytes: Bytes,
    start: Start,
    fields: Vec<Field>,
    body: std::ops::Range<usize>,
}

impl Message {
    /// Read one UDP datagram (RFC 3261 §18.3): bytes past Content-Length are dropped, a missing Content-Length means the
    /// rest of the datagram.
    ///
    /// # Errors
    /// The verdict: an answer (400, 501, 505, 513) where one is possible, else silence.
    pub fn parse_datagram(bytes: &[u8]) -> Result<Message, ParseError> {
        let skip = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let bytes = bytes.get(skip..).unwrap_or_default();
        if bytes.is_empty() {
            return Err(ParseError {
                verdict: Verdict::Drop,
                why: "a keep-alive".into(),
                head: None,
            });
        }
        Self::parse(Bytes::copy_from_slice(bytes), false)
    }

    /// Read the bytes of one message; with `framed` they come from a stream and Content-Length has set their end.
    pub(crate) fn parse(bytes: Bytes, framed: bool) -> Result<Message, ParseError> {
        let (mut message, mut fault) = Self::indexed(bytes);
        let rest = message.body.len();
        match message.content_length() {
            Ok(Some(length)) if length > rest => {
                fault.get_or_insert_with(|| Fault::new(400, "Content-Length is larger than the body"));
            }
            Ok(Some(length)) => message.body.end = message.body.start.saturating_add(length),
            Ok(None) if !framed => {}
            Ok(None) => {
                fault.get_or_insert_with(|| Fault::new(400, "Content-Length is missing"));
            }
            Err(why) => {
                fault.get_or_insert_with(|| Fault::new(400, why));
            }
        }
        message.bytes.truncate(message.body.end);
        match fault.or_else(|| validate::fault(&message)) {
            None => Ok(message),
            Some(fault) => Err(message.refusal(fault)),
        }
    }

    /// Index without judging.
    pub(crate) fn indexed(bytes: Bytes) -> (Message, Option<Fault>) {
        let Index {
            start,
            fields,
            body_at,
            fault,
        } = index(&bytes);
        let body = body_at..bytes.len();
        (
            Message {
                bytes,
                start,
                fields,
                body,
            },
            fault,
        )
    }

    /// The verdict about this broken message.
    pub(crate) fn refusal(&self, Fault { status, why }: Fault) -> ParseError {
        let response = matches!(
            self.start,
            Start::Response { .. } | Start::Broken { response: true, .. }
        );
        let method = match &self.start {
            Start::Request { method, .. } => Some(method.clone()),
            Start::Broken { method, .. } => method.clone(),
            Start::Response { .. } => None,
        };
        let first = |name| self.values(name).next();
        let top = self.header("Via").filter(|_| !response && method != Some(Method::Ack));
        let Some(top_via) = top.and_then(Via::salvage) else {
            return ParseError {
                verdict: Verdict::Drop,
                why,
                head: None,
            };
        };
        // A broken Via must not go into the answer; without the others it still finds its way to the last hop.
        let vias = if self.vias().is_ok() {
            self.values("Via").collect()
        } else {
            vec![Bytes::from(top_via.to_string())]
        };
        let head = Head {
            method,
            top_via,
            vias,
            from: first("From"),
            to: first("To"),
            call_id: first("Call-ID"),
            cseq: first("CSeq"),
        };
        ParseError {
            verdict: Verdict::Answer(status),
            why,
            head: Some(Box::new(head)),
        }
    }

    /// Whether it is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// The method of a request.
    pub fn method(&self) -> Option<&Method> {
        match &self.start {
            Start::Request { method, .. } => Some(method),
            _ => None,
        }
    }

    /// The Request-URI of a request.
    pub fn request_uri(&self) -> Option<&Uri> {
        match &self.start {
            Start::Request { uri, .. } => Some(uri),
            _ => None,
        }
    }

    /// The status code of a response, 100 to 699.
    pub fn status(&self) -> Option<u16> {
        match self.start {
            Start::Response { status, .. } => Some(status),
            _ => None,
        }
    }

    /// The reason phrase of a response, maybe empty.
    pub fn phrase(&self) -> Option<&str> {
        match self.start {
            Start::Response { phrase, .. } => Some(phrase.text(&self.bytes)),
            _ => None,
        }
    }

    fn text<'a>(&'a self, field: &'a Field) -> &'a str {
        field.text.as_deref().unwrap_or_else(|| field.value.text(&self.bytes))
    }

    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Field> {
        let name = expand(name);
        self.fields
            .iter()
            .filter(move |field| same(field.name.text(&self.bytes), name))
    }

    /// Values with their exact bytes, so that tags and branches are given back as they came; unfolded.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Bytes> {
        self.named(name).map(|field| match &field.text {
            Some(text) => Bytes::copy_from_slice(text.as_bytes()),
            None => self.slice(field.value),
        })
    }

    fn slice(&self, span: Span) -> Bytes {
        let range = span.range();
        let within = range.start <= range.end && range.end <= self.bytes.len();
        if within { self.bytes.slice(range) } else { Bytes::new() }
    }

    /// The first value of a header field, unfolded. Names compare without case, compact forms are the same name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let name = expand(name);
        let field = self
            .fields
            .iter()
            .find(|field| same(field.name.text(&self.bytes), name))?;
        Some(self.text(field))
    }

    /// Each field value of that name, unfolded; comma lists are not split.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.named(name).map(|field| self.text(field))
    }

    /// All values of a comma-separated header, over all its fields. Quotes and angle brackets hold together; at most
    /// [`LIST_MAX`].
    pub fn list(&self, name: &str) -> Vec<String> {
        let values = self.headers(name).flat_map(|value| split_outside(value, b','));
        values
            .filter(|value| !value.is_empty())
            .take(LIST_MAX)
            .map(Into::into)
            .collect()
    }

    /// Whether a comma list names a token (`("Supported", "100rel")`), without case and whatever its parameters.
    pub fn has_token(&self, header: &str, token: &str) -> bool {
        let names = |value: &str| {
            value
                .split(';')
                .next()
                .is_some_and(|name| name.trim().eq_ignore_ascii_case(token))
        };
        self.headers(header).any(|value| split_outside(value, b',').any(names))
    }

    /// All header fields in order, with the names as written.
    pub fn all_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .map(|field| (field.name.text(&self.bytes), self.text(field)))
    }

    /// Call-ID.
    pub fn call_id(&self) -> Option<&str> {
        self.header("Call-ID").filter(|id| !id.is_empty())
    }

    /// CSeq.
    ///
    /// # Errors
    /// 400 if absent or malformed.
    pub fn cseq(&self) -> Result<CSeq, ParseError> {
        let value = self
            .header("CSeq")
            .ok_or_else(|| ParseError::bad_request("CSeq is missing"))?;
        CSeq::parse(value).map_err(ParseError::bad_request)
    }

    fn one_name_addr(&self, name: &str) -> Result<NameAddr, ParseError> {
        let value = self
            .header(name)
            .ok_or_else(|| ParseError::bad_request(format!("{name} is missing")))?;
        NameAddr::parse(value).map_err(|why| ParseError::bad_request(format!("{name}: {why}")))
    }

    /// From.
    ///
    /// # Errors
    /// 400 if absent or malformed.
    pub fn from(&self) -> Result<NameAddr, ParseError> {
        self.one_name_addr("From")
    }

    /// To.
    ///
    /// # Errors
    /// 400 if absent or malformed.
    pub fn to(&self) -> Result<NameAddr, ParseError> {
        self.one_name_addr("To")
    }

    fn typed<T>(&self, name: &str, parse: impl Fn(&str) -> Result<T, &'static str>) -> Result<Vec<T>, ParseError> {
        let values = self.headers(name).flat_map(|value| split_outside(value, b','));
        values
            .take(LIST_MAX)
            .map(|value| parse(value).map_err(|why| ParseError::bad_request(format!("{name}: {why}"))))
            .collect()
    }

    /// All Via values, the topmost first.
    ///
    /// # Errors
    /// 400 if one is malformed.
    pub fn vias(&self) -> Result<Vec<Via>, ParseError> {
        self.typed("Via", Via::parse)
    }

    /// The topmost Via.
    ///
    /// # Errors
    /// 400 if absent or malformed.
    pub fn top_via(&self) -> Result<Via, ParseError> {
        let value = self.header("Via").and_then(|value| split_outside(value, b',').next());
        let value = value.ok_or_else(|| ParseError::bad_request("Via is missing"))?;
        Via::parse(value).map_err(|why| ParseError::bad_request(format!("Via: {why}")))
    }

    /// The first Contact; `None` if there is none or it is `*`.
    ///
    /// # Errors
    /// 400 if malformed.
    pub fn contact(&self) -> Result<Option<NameAddr>, ParseError> {
        let Some(value) = self
            .header("Contact")
            .and_then(|value| split_outside(value, b',').next())
        else {
            return Ok(None);
        };
        if value == "*" {
            return Ok(None);
        }
        NameAddr::parse(value)
            .map(Some)
            .map_err(|why| ParseError::bad_request(format!("Contact: {why}")))
    }

    /// All Contact values (3xx responses, REGISTER), without `*`.
    ///
    /// # Errors
    /// 400 if one is malformed.
    pub fn contacts(&self) -> Result<Vec<NameAddr>, ParseError> {
        let star = self.header("Contact") == Some("*");
        if star {
            Ok(Vec::new())
        } else {
            self.typed("Contact", NameAddr::parse)
        }
    }

    /// Max-Forwards.
    ///
    /// # Errors
    /// 400 if it is no number up to 255.
    pub fn max_forwards(&self) -> Result<Option<u8>, ParseError> {
        let Some(value) = self.header("Max-Forwards") else {
            return Ok(None);
        };
        let number = parse_u32(value).and_then(|number| u8::try_from(number).ok());
        number
            .map(Some)
            .ok_or_else(|| ParseError::bad_request("Max-Forwards is no number up to 255"))
    }

    /// The values of `Route` or `Record-Route` (or another list of name-addrs).
    ///
    /// # Errors
    /// 400 if one is malformed.
    pub fn routes(&self, name: &str) -> Result<Vec<NameAddr>, ParseError> {
        self.typed(name, NameAddr::parse)
    }

    /// RSeq (RFC 3262 §7.1); `None` if absent or malformed.
    pub fn rseq(&self) -> Option<u32> {
        parse_u32(self.header("RSeq")?)
    }

    /// RAck (RFC 3262 §7.2); `None` if absent or malformed.
    pub fn rack(&self) -> Option<RAck> {
        RAck::parse(self.header("RAck")?)
    }

    /// Content-Type with its parameters.
    pub fn content_type(&self) -> Option<&str> {
        self.header("Content-Type")
    }

    pub(crate) fn content_length(&self) -> Result<Option<usize>, &'static str> {
        let mut values = self.headers("Content-Length");
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err("Content-Length is said more than once");
        }
        let length = parse_u32(value).and_then(|length| usize::try_from(length).ok());
        length.map(Some).ok_or("Content-Length is no proper number")
    }

    /// The body, any bytes.
    pub fn body(&self) -> &[u8] {
        self.bytes.get(self.body.clone()).unwrap_or_default()
    }

    /// The session description: the body when it is application/sdp, or that part of a multipart body (RFC 5621).
    pub fn sdp(&self) -> Option<&[u8]> {
        let disposition = self.header("Content-Disposition");
        body::find_sdp(self.content_type()?, disposition, self.body()).filter(|sdp| !sdp.is_empty())
    }

    /// The request as it stands after the top Via has noted its source (RFC 3261 §18.2.1, RFC 3581 §4).
    pub fn with_received(&self, source: SocketAddr) -> Message {
        let (Ok(mut via), Some(field)) = (self.top_via(), self.named("Via").next()) else {
            return self.clone();
        };
        via.stamp(source);
        let value = self.text(field);
        let others = find_outside(value, |byte| byte == b',')
            .and_then(|at| value.get(at..))
            .unwrap_or_default();
        let range = field.value.range();
        let mut bytes = BytesMut::with_capacity(self.bytes.len().saturating_add(64));
        bytes.extend_from_slice(self.bytes.get(..range.start).unwrap_or_default());
        bytes.extend_from_slice(via.to_string().as_bytes());
        bytes.extend_from_slice(others.as_bytes());
        bytes.extend_from_slice(self.bytes.get(range.end..).unwrap_or_default());
        Self::indexed(bytes.freeze()).0
    }

    /// The whole message.
    pub fn to_bytes(&self) -> Bytes {
        self.bytes.clone()
    }
}

/// The head only, and without what must stay out of logs.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.start {
            Start::Request { method, uri } => write!(f, "{method} {uri}")?,
            Start::Response { status, .. } => write!(f, "{status} {}", self.phrase().unwrap_or_default())?,
            Start::Broken { .. } => write!(f, "broken")?,
        }
        write!(
            f,
            " (Call-ID {}, CSeq {}, {} header fields, {} body bytes)",
            self.call_id().unwrap_or("none"),
            self.header("CSeq").unwrap_or("none"),
            self.fields.len(),
            self.body.len()
        )
    }
}
