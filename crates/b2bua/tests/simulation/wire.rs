//! A reader of SIP bytes of its own, so that neither the phones nor the observer see through the eyes of the code under test.

use std::rc::Rc;

/// One message as it was on the wire.
#[derive(Clone)]
pub struct Msg(Rc<Read>);

struct Read {
    bytes: Vec<u8>,
    start: String,
    headers: Vec<(String, String)>,
    body: usize,
}

impl Msg {
    /// Reads what we write and what Segue writes: no folding, no compact forms. Anything else is a failure.
    pub fn read(bytes: &[u8]) -> Msg {
        let head = bytes
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .expect("a message has an empty line");
        let text = std::str::from_utf8(&bytes[..head]).expect("a head is text");
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no header: {line:?}"));
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        let headers: Vec<_> = lines.map(header).collect();
        let msg = Msg(Rc::new(Read {
            bytes: bytes.to_vec(),
            start,
            headers,
            body: head + 4,
        }));
        let length: usize = msg
            .header("content-length")
            .expect("Content-Length")
            .parse()
            .expect("a length");
        assert_eq!(length, msg.body().len(), "Content-Length of {}", msg.summary());
        msg
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    pub fn body(&self) -> &[u8] {
        &self.0.bytes[self.0.body..]
    }

    pub fn sdp(&self) -> Option<&[u8]> {
        (self.header("content-type") == Some("application/sdp")).then(|| self.body())
    }

    /// `None` for a request.
    pub fn status(&self) -> Option<u16> {
        self.0.start.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// `None` for a response.
    pub fn method(&self) -> Option<&str> {
        if self.status().is_some() {
            None
        } else {
            self.0.start.split(' ').next()
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .headers
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    pub fn has_token(&self, header: &str, token: &str) -> bool {
        self.headers(header)
            .any(|v| v.split(',').any(|t| t.trim().eq_ignore_ascii_case(token)))
    }

    pub fn call_id(&self) -> &str {
        self.header("call-id").expect("Call-ID")
    }

    /// Number and method.
    pub fn cseq(&self) -> (u32, &str) {
        let (number, method) = self.header("cseq").expect("CSeq").split_once(' ').expect("a CSeq");
        (number.parse().expect("a number"), method)
    }

    /// Branch of the topmost Via.
    pub fn branch(&self) -> &str {
        param(self.header("via").expect("Via"), "branch").expect("a branch")
    }

    pub fn tag_of_from(&self) -> &str {
        param(self.header("from").expect("From"), "tag").unwrap_or_default()
    }

    pub fn tag_of_to(&self) -> &str {
        param(self.header("to").expect("To"), "tag").unwrap_or_default()
    }

    /// URI of Contact.
    pub fn contact(&self) -> Option<&str> {
        let value = self.header("contact")?;
        Some(match value.split_once('<') {
            Some((_, rest)) => rest.split('>').next().unwrap_or_default(),
            None => value.split(';').next().unwrap_or_default(),
        })
    }

    pub fn request_uri(&self) -> &str {
        self.0.start.split(' ').nth(1).unwrap_or_default()
    }

    pub fn rseq(&self) -> Option<u32> {
        self.header("rseq")?.parse().ok()
    }

    /// A 1xx that wants a PRACK.
    pub fn is_reliable(&self) -> bool {
        self.status().is_some_and(|s| (101..200).contains(&s)) && self.has_token("require", "100rel")
    }

    /// One line for a ladder.
    pub fn summary(&self) -> String {
        let (number, method) = self.cseq();
        let sdp = if self.sdp().is_some() { " (SDP)" } else { "" };
        let rel = self.rseq().map(|r| format!(" RSeq {r}")).unwrap_or_default();
        let rack = self.header("rack").map(|r| format!(" RAck {r}")).unwrap_or_default();
        let reason = self.header("reason").map(|r| format!(" [{r}]")).unwrap_or_default();
        let end = self.branch().len().saturating_sub(6);
        let what = if self.status().is_some() {
            &self.0.start[8..]
        } else {
            method
        };
        format!(
            "{what}{sdp}{rel}{rack}{reason}  CSeq {number} {method}  to-tag {}  branch ..{}",
            self.tag_of_to(),
            &self.branch()[end..]
        )
    }
}

/// `;name=value` outside of angle brackets.
fn param<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let after = value.rfind('>').map_or(0, |at| at + 1);
    value[after..]
        .split(';')
        .find_map(|p| p.trim().strip_prefix(name)?.strip_prefix('='))
}

/// A response to `request`, from us.
pub fn response(request: &Msg, status: u16, phrase: &str, to_tag: &str, headers: &str, sdp: Option<&str>) -> Vec<u8> {
    let mut text = format!("SIP/2.0 {status} {phrase}\r\n");
    for via in request.headers("via") {
        text += &format!("Via: {via}\r\n");
    }
    let to = request.header("to").unwrap_or_default();
    let tag = if request.tag_of_to().is_empty() && status > 100 {
        format!(";tag={to_tag}")
    } else {
        String::new()
    };
    let (from, cseq) = (
        request.header("from").unwrap_or_default(),
        request.header("cseq").unwrap_or_default(),
    );
    text += &format!(
        "From: {from}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {cseq}\r\n{headers}",
        request.call_id()
    );
    finish(text, sdp)
}

/// Content headers, the empty line, the body.
pub fn finish(mut text: String, sdp: Option<&str>) -> Vec<u8> {
    if sdp.is_some() {
        text += "Content-Type: application/sdp\r\n";
    }
    let body = sdp.unwrap_or_default();
    text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    text.into_bytes()
}
