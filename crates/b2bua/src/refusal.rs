//! A request that got no answer or a refusal, with what would have admitted it.

use std::net::SocketAddr;

use segue_records::{CallRecord, LadderStep, RefusedRecord, Sent, UnixMs};
use segue_sip::{Peer, Protocol};
use segue_sip_wire::{Message, Method, ParseError, Verdict};
use ulid::Ulid;

use crate::headers;

/// Characters of a value from outside that a record keeps.
const VALUE_MAX: usize = 256;

/// What is asked of whoever sends no proper request.
const REQUEST_AS_DEFINED: &str = "a request as RFC 3261 defines it";

/// A request that got no answer or a refusal, with what would have admitted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// When it came.
    pub at: UnixMs,
    /// UDP or TCP.
    pub protocol: Protocol,
    /// Where it came from.
    pub source: SocketAddr,
    /// Where it arrived.
    pub local: SocketAddr,
    /// Its method (or what could be read of it).
    pub method: String,
    /// Its Call-ID, if any.
    pub call_id: Option<String>,
    /// Its From URI, if any.
    pub from: Option<String>,
    /// Its Request-URI, if any.
    pub to: Option<String>,
    /// What came, in short.
    pub summary: String,
    /// What it got; absent: nothing.
    pub status: Option<u16>,
    /// Why it was dropped or refused.
    pub why: String,
    /// The exact line that would admit it.
    pub admit: String,
    /// It became a call, whose record tells all this.
    pub is_call: bool,
    /// Makes its identifier.
    pub nonce: u128,
}

impl Refusal {
    /// A request that could be read. `status`: what it got.
    pub(crate) fn of(at: UnixMs, peer: &Peer, request: &Message, status: Option<u16>) -> Refusal {
        Refusal {
            at,
            protocol: peer.protocol,
            source: peer.remote,
            local: peer.local,
            method: request.method().map(Method::to_string).unwrap_or_default(),
            call_id: request.call_id().map(short),
            from: headers::shown(request, false)
                .or(request.from().ok())
                .map(|from| short(&from.uri.without_params().to_string())),
            to: request.request_uri().map(|uri| short(&uri.to_string())),
            summary: segue_sip::summary(request),
            status,
            why: status.map(reason).unwrap_or_default(),
            admit: status.map(|status| wanted(request, status)).unwrap_or_default(),
            is_call: false,
            nonce: 0,
        }
    }

    /// Bytes that are no proper message. `heard`: the source is known, so that it was answered where that is possible.
    pub(crate) fn of_unreadable(at: UnixMs, peer: &Peer, error: &ParseError, heard: bool) -> Refusal {
        let head = error.head.as_deref();
        let text = |bytes: &[u8]| short(&String::from_utf8_lossy(bytes));
        let method = head.and_then(|head| head.method.as_ref()).map(Method::to_string);
        let status = match error.verdict {
            Verdict::Answer(status) if heard && head.is_some() => Some(status),
            Verdict::Answer(_) | Verdict::Drop => None,
        };
        let mut summary = method.clone().unwrap_or_else(|| "a message".to_owned());
        summary.push_str(", unreadable");
        Refusal {
            at,
            protocol: peer.protocol,
            source: peer.remote,
            local: peer.local,
            method: method.unwrap_or_default(),
            call_id: head.and_then(|head| head.call_id.as_deref()).map(text),
            from: head.and_then(|head| head.from.as_deref()).map(text),
            to: None,
            summary,
            status,
            why: error.why.clone(),
            admit: REQUEST_AS_DEFINED.to_owned(),
            is_call: false,
            nonce: 0,
        }
    }

    /// A call that was rejected; its own record tells it.
    pub(crate) fn of_call(at: UnixMs, peer: &Peer, record: &CallRecord, admit: String) -> Refusal {
        Refusal {
            at,
            protocol: peer.protocol,
            source: peer.remote,
            local: peer.local,
            method: "INVITE".to_owned(),
            call_id: Some(record.sip_call_id.clone()),
            from: Some(record.from.clone()),
            to: Some(record.to.clone()),
            summary: "INVITE".to_owned(),
            status: record.cause,
            why: record.why.clone(),
            admit,
            is_call: true,
            nonce: 0,
        }
    }

    /// The same, dropped or refused for this reason.
    pub(crate) fn because(mut self, why: String, admit: String) -> Refusal {
        self.why = why;
        self.admit = admit;
        self
    }

    /// `admit` as it goes to the log: unquoted, to be copied as it is. What a stranger put into it stays on the line.
    pub fn line(&self) -> String {
        self.admit.replace(char::is_control, "\u{fffd}")
    }

    /// What went over the wire.
    pub(crate) fn steps(&self) -> Vec<LadderStep> {
        let step = |sent, summary| LadderStep {
            at: self.at,
            sent,
            summary,
        };
        let answer = self.status.map(|status| step(Sent::Out, reason(status)));
        std::iter::once(step(Sent::In, self.summary.clone()))
            .chain(answer)
            .collect()
    }

    /// Its record.
    pub(crate) fn record(&self, withheld: u64) -> RefusedRecord {
        RefusedRecord {
            id: Ulid::from_parts(u64::try_from(self.at.0).unwrap_or(0), self.nonce).to_string(),
            at: self.at,
            protocol: self.protocol.as_str().to_ascii_lowercase(),
            source: self.source.to_string(),
            local: self.local.to_string(),
            method: self.method.clone(),
            sip_call_id: self.call_id.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            status: self.status,
            why: self.sentence(),
            admit: self.admit.clone(),
            times: 1,
            withheld,
            ladder: self.steps(),
        }
    }

    /// Why, as one sentence.
    fn sentence(&self) -> String {
        let what = match self.method.as_str() {
            "" => "A message",
            method => method,
        };
        match self.status {
            Some(status) if self.why == reason(status) => format!("{what} was refused with {}.", self.why),
            Some(status) => format!("{what} was refused with {}: {}.", reason(status), self.why),
            None => format!("{what} was dropped without an answer: {}.", self.why),
        }
    }
}

/// E.g. `482 Loop Detected`.
fn reason(status: u16) -> String {
    format!("{status} {}", segue_sip_wire::phrase(status))
}

fn short(text: &str) -> String {
    text.chars().take(VALUE_MAX).collect()
}

/// What a request that the endpoint refused should have been.
fn wanted(request: &Message, status: u16) -> String {
    match status {
        405 | 501 => "send INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO or OPTIONS".to_owned(),
        406 | 415 => "send and accept application/sdp".to_owned(),
        416 if request.request_uri().is_some_and(|uri| uri.is_sips()) => {
            "call the sip: URI of the same callee, by TLS (transport=tls) if it is to be private on its way here"
                .to_owned()
        }
        416 => "use a sip: or tel: URI".to_owned(),
        420 => {
            let mut unknown = request.list("Require");
            unknown.retain(|option| !option.eq_ignore_ascii_case("100rel"));
            format!("leave out Require: {}", unknown.join(", "))
        }
        481 => "the dialog or transaction is not known here; begin with an INVITE".to_owned(),
        440 => "allow the call more branches at a time (Max-Breadth)".to_owned(),
        482 => "the same request has come by another way; see the proxies in between".to_owned(),
        483 => "raise Max-Forwards, or look for a loop".to_owned(),
        503 => "fewer calls at once".to_owned(),
        _ => REQUEST_AS_DEFINED.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_that_is_not_served_is_told_which_are() {
        let wanted = |uri: &str| {
            let text = format!(
                "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\nFrom: <sip:a@192.0.2.7>;tag=1\r\n\
                 To: <{uri}>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
            );
            wanted(&Message::parse_datagram(text.as_bytes()).unwrap(), 416)
        };
        assert_eq!(wanted("im:bob@example.com"), "use a sip: or tel: URI");
        let sips = wanted("sips:bob@example.com");
        assert!(sips.starts_with("call the sip: URI of the same callee"), "{sips}");
    }

    #[test]
    fn the_line_is_logged_as_it_stands_and_stays_one_line() {
        let request = Message::parse_datagram(
            b"INVITE sip:bob@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\nMax-Forwards: 0\r\n\
              From: <sip:a@192.0.2.7>;tag=1\r\nTo: <sip:bob@192.0.2.1>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\n\
              Content-Length: 0\r\n\r\n",
        )
        .unwrap();
        let peer = Peer {
            protocol: Protocol::Udp,
            local: "127.0.0.1:5060".parse().unwrap(),
            remote: "192.0.2.7:5060".parse().unwrap(),
            flow: None,
        };
        let refusal = Refusal::of(UnixMs(0), &peer, &request, None).because(
            "no profile".into(),
            "sources = [\"192.0.2.7/32\"]\r\n2026 INFO forged".into(),
        );
        assert_eq!(
            refusal.line(),
            "sources = [\"192.0.2.7/32\"]\u{fffd}\u{fffd}2026 INFO forged"
        );
        let record = refusal.record(3);
        assert_eq!(record.why, "INVITE was dropped without an answer: no profile.");
        assert_eq!((record.ladder.len(), record.withheld, record.status), (1, 3, None));
        let record = Refusal::of(UnixMs(0), &peer, &request, Some(483)).record(0);
        assert_eq!(record.why, "INVITE was refused with 483 Too Many Hops.");
        assert_eq!(record.ladder[1].summary, "483 Too Many Hops");
        assert_eq!(record.to.as_deref(), Some("sip:bob@192.0.2.1"));
        assert_eq!(record.from.as_deref(), Some("sip:a@192.0.2.7"));
        let text = String::from_utf8(request.to_bytes().to_vec()).unwrap();
        let text = text.replace("CSeq", "Privacy: id\r\nCSeq");
        let private = Message::parse_datagram(text.as_bytes()).unwrap();
        let record = Refusal::of(UnixMs(0), &peer, &private, Some(483)).record(0);
        assert_eq!(record.from.as_deref(), Some("sip:anonymous@anonymous.invalid"));
    }
}
