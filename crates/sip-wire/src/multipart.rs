//! What a body holds beside the session description, taken along to another message (RFC 5621, RFC 2046 §5.1).

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes, BytesMut};

use crate::{
    Message,
    body::{boundary, find, media_type, part_head, parts, sdp_part},
};

/// Header fields that describe a body which is not in parts; they stand in its part then.
const OF_A_BODY: [&str; 6] = [
    "Content-Type",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-ID",
    "Content-Transfer-Encoding",
];

/// The parts of a body that are no session description, each with its own head, byte for byte, in their order around it.
///
/// A second SDP (alternatives, `early-session`) is none of them, nor is a multipart within: what it holds could describe a session
/// that nobody here has agreed to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    before: Vec<Bytes>,
    after: Vec<Bytes>,
}

/// A body and what its message says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Content-Type.
    pub content_type: String,
    /// Content-Disposition and the like.
    pub headers: Vec<(&'static str, String)>,
    /// The bytes.
    pub bytes: Bytes,
}

impl Message {
    /// What the body holds beside the session description.
    pub fn parts(&self) -> Parts {
        let mut found = Parts::default();
        let (Some(content_type), body) = (self.content_type(), self.body()) else {
            return found;
        };
        let (essence, _) = media_type(content_type);
        if body.is_empty() || essence.eq_ignore_ascii_case("application/sdp") {
            return found;
        }
        if !is_multipart(essence) {
            return self.whole_body();
        }
        // Of alternatives one is to be taken, and ours is the session description.
        let together = ["multipart/mixed", "multipart/related"];
        let Some(boundary) =
            boundary(content_type).filter(|_| together.iter().any(|t| essence.eq_ignore_ascii_case(t)))
        else {
            return found;
        };
        let mut sdp_seen = false;
        for part in parts(body, &boundary) {
            sdp_seen |= sdp_part(part).is_some();
            if goes_along(part) {
                let side = if sdp_seen { &mut found.after } else { &mut found.before };
                side.push(Bytes::copy_from_slice(part));
            }
        }
        found
    }
}

impl Message {
    /// The whole body as the only part, whatever it holds.
    pub fn whole_body(&self) -> Parts {
        let mut part = BytesMut::new();
        for name in OF_A_BODY {
            if let Some(value) = self.header(name) {
                part.put_slice(format!("{name}: {value}\r\n").as_bytes());
            }
        }
        part.put_slice(b"\r\n");
        part.put_slice(self.body());
        let is_empty = self.body().is_empty();
        Parts {
            before: (!is_empty).then(|| part.freeze()).into_iter().collect(),
            after: Vec::new(),
        }
    }
}

impl Parts {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.before.len().saturating_add(self.after.len())
    }

    /// Bytes of them all.
    pub fn size(&self) -> usize {
        let parts = self.before.iter().chain(&self.after);
        parts.fold(0, |all, part| all.saturating_add(part.len()))
    }

    /// A body of these and a session description in its place: its Content-Type and bytes.
    pub fn with_sdp(&self, sdp: Option<&[u8]>) -> (String, Bytes) {
        let boundary = self.boundary(sdp.unwrap_or_default());
        let mut body = BytesMut::new();
        let mut put = |pieces: &[&[u8]]| {
            body.put_slice(format!("--{boundary}\r\n").as_bytes());
            for piece in pieces {
                body.put_slice(piece);
            }
            body.put_slice(b"\r\n");
        };
        for part in &self.before {
            put(&[part]);
        }
        if let Some(sdp) = sdp {
            put(&[b"Content-Type: application/sdp\r\n\r\n", sdp]);
        }
        for part in &self.after {
            put(&[part]);
        }
        body.put_slice(format!("--{boundary}--\r\n").as_bytes());
        (format!("multipart/mixed;boundary={boundary}"), body.freeze())
    }

    /// The whole body of a message with these and a session description; `None`: there is neither. What stands alone is no
    /// multipart.
    pub fn body(&self, sdp: Option<&[u8]>) -> Option<Body> {
        if let (Some(sdp), true) = (sdp, self.is_empty()) {
            return Some(Body {
                content_type: "application/sdp".to_owned(),
                headers: Vec::new(),
                bytes: Bytes::copy_from_slice(sdp),
            });
        }
        if self.is_empty() {
            return None;
        }
        let alone = sdp.is_none().then(|| self.alone()).flatten();
        Some(alone.unwrap_or_else(|| {
            let (content_type, bytes) = self.with_sdp(sdp);
            Body {
                content_type,
                headers: Vec::new(),
                bytes,
            }
        }))
    }

    /// The only part as a body of its own. Of its head what describes a body goes on, and nothing else.
    fn alone(&self) -> Option<Body> {
        let mut all = self.before.iter().chain(&self.after);
        let (part, None) = (all.next()?, all.next()) else {
            return None;
        };
        let (head, body) = part_head(part)?;
        let (mut content_type, mut headers) = (None, Vec::new());
        for (name, value) in head {
            let Some(known) = OF_A_BODY.into_iter().find(|known| crate::name::same(known, name)) else {
                continue;
            };
            match known {
                "Content-Type" => content_type = Some(value.trim().to_owned()),
                known => headers.push((known, value.trim().to_owned())),
            }
        }
        Some(Body {
            content_type: content_type?,
            headers,
            bytes: Bytes::copy_from_slice(body),
        })
    }

    /// A boundary that stands in no part (RFC 2046 §5.1.1).
    fn boundary(&self, sdp: &[u8]) -> String {
        // The numbers that are taken, found in one pass over what a stranger may have filled with them.
        let mut taken = BTreeSet::new();
        let parts = self.before.iter().chain(&self.after).map(|part| &**part);
        for mut part in parts.chain([sdp]) {
            while let Some(rest) = find(part, BOUNDARY.as_bytes()).and_then(|at| part.get(at..)?.get(BOUNDARY.len()..))
            {
                // `segue-12` has `segue-1` in it: each beginning is taken.
                let digits = rest.iter().take(DIGITS_MAX).take_while(|byte| byte.is_ascii_digit());
                digits.fold(0u32, |number, digit| {
                    let number = number
                        .wrapping_mul(10)
                        .wrapping_add(u32::from(digit.wrapping_sub(b'0')));
                    taken.insert(number);
                    number
                });
                part = rest;
            }
        }
        let free = (0u32..).find(|number| !taken.contains(number)).unwrap_or_default();
        format!("{BOUNDARY}{free}")
    }
}

/// How our boundaries begin; a number follows.
const BOUNDARY: &str = "segue-";
/// Numbers as long as a body can make us need.
const DIGITS_MAX: usize = 7;

fn is_multipart(essence: &str) -> bool {
    essence
        .get(..10)
        .is_some_and(|start| start.eq_ignore_ascii_case("multipart/"))
}

fn goes_along(part: &[u8]) -> bool {
    // Without a head it is plain text.
    let Some((mut head, _)) = part_head(part) else {
        return part.starts_with(b"\r\n");
    };
    head.all(|(name, value)| {
        let (essence, _) = media_type(value);
        let session = essence.eq_ignore_ascii_case("application/sdp") || is_multipart(essence);
        !(crate::name::same(name, "Content-Type") && session)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "v=0\r\ns=-\r\n";
    const ISUP: &[u8] = b"\x01\x11\x48\x00--segue-0\r\n\xff";

    fn message(content: &str, body: &[u8]) -> Message {
        let head = format!(
            "INVITE sip:x@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:x@b>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n{content}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Message::parse_datagram(&[head.as_bytes(), body].concat()).unwrap()
    }

    fn mixed(parts: &[&[u8]]) -> Message {
        let mut body = Vec::new();
        for part in parts {
            body.extend_from_slice(b"--b1\r\n");
            body.extend_from_slice(part);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--b1--\r\n");
        message("Content-Type: multipart/mixed;boundary=\"b1\"", &body)
    }

    fn with_head(head: &str, body: &[u8]) -> Vec<u8> {
        [head.as_bytes(), b"\r\n\r\n", body].concat()
    }

    #[test]
    fn the_other_parts_keep_their_order_and_bytes_around_another_sdp() {
        let isup = with_head(
            "Content-Type: application/isup;version=itu-t92+\r\nContent-Disposition: signal;handling=optional",
            ISUP,
        );
        let sdp = with_head("Content-Type: application/sdp", SDP.as_bytes());
        let place = with_head(
            "Content-Type: application/pidf+xml\r\nContent-ID: <here@a>",
            b"<presence/>",
        );
        let parts = mixed(&[&isup, &sdp, &place]).parts();
        let (content_type, body) = parts.with_sdp(Some(b"v=0\r\ns=ours\r\n"));
        let sent = message(&format!("Content-Type: {content_type}"), &body);
        assert_eq!(sent.sdp(), Some(b"v=0\r\ns=ours\r\n".as_slice()));
        assert_eq!(sent.parts(), parts);
        // Its own boundary stands in the ISUP part.
        assert!(content_type.ends_with("boundary=segue-1"), "{content_type}");
        let at = |piece: &[u8]| find(&body, piece).unwrap();
        assert!(at(&isup) < at(b"s=ours") && at(b"s=ours") < at(&place));
    }

    #[test]
    fn a_body_that_is_no_session_goes_along_with_its_description() {
        let alone = message(
            "c: application/isup;version=x\r\nContent-Disposition: signal;handling=optional",
            ISUP,
        );
        let (content_type, body) = alone.parts().with_sdp(Some(SDP.as_bytes()));
        let sent = message(&format!("Content-Type: {content_type}"), &body);
        assert_eq!(sent.sdp(), Some(SDP.as_bytes()));
        let part = with_head(
            "Content-Type: application/isup;version=x\r\nContent-Disposition: signal;handling=optional",
            ISUP,
        );
        assert!(find(&body, &part).is_some());
    }

    #[test]
    fn what_stands_alone_is_the_body_with_its_own_description_and_no_other_header() {
        let isup = with_head(
            "c: application/isup;version=x\r\nVia: SIP/2.0/UDP evil\r\nContent-disposition: signal;handling=optional",
            ISUP,
        );
        let body = mixed(&[&isup]).parts().body(None).unwrap();
        assert_eq!(body.content_type, "application/isup;version=x");
        assert_eq!(
            body.headers,
            [("Content-Disposition", "signal;handling=optional".to_owned())]
        );
        assert_eq!(&*body.bytes, ISUP);
        // Two are a multipart still, and what has no type is a part of one.
        assert!(
            mixed(&[&isup, &isup])
                .parts()
                .body(None)
                .unwrap()
                .content_type
                .starts_with("multipart/")
        );
        let plain = mixed(&[b"\r\nx"]).parts().body(None).unwrap();
        assert!(plain.content_type.starts_with("multipart/"));
        let sdp = Parts::default().body(Some(SDP.as_bytes())).unwrap();
        assert_eq!(
            (sdp.content_type.as_str(), &*sdp.bytes),
            ("application/sdp", SDP.as_bytes())
        );
        assert_eq!(Parts::default().body(None), None);
    }

    #[test]
    fn no_other_session_goes_along() {
        let second = with_head(
            "Content-Type: application/sdp\r\nContent-Disposition: early-session",
            SDP.as_bytes(),
        );
        let within = with_head(
            "c:multipart/alternative;boundary=x",
            b"--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--x--",
        );
        let sdp = with_head("Content-Type: application/sdp", SDP.as_bytes());
        assert!(mixed(&[&sdp, &second, &within]).parts().is_empty());
        assert!(
            message("Content-Type: application/sdp", SDP.as_bytes())
                .parts()
                .is_empty()
        );
        assert!(message("Subject: x", b"").parts().is_empty());
    }
}
