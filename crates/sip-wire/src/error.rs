//! Refusals with their verdict.

use bytes::Bytes;

use crate::{Message, MessageBuilder, Via, method::Method};

/// What to do about bytes that are no proper message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Answer with this status code, statelessly.
    Answer(u16),
    /// Say nothing: a response, an ACK, or too little to answer to.
    Drop,
}

/// Why bytes are no proper message.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{why}")]
pub struct ParseError {
    /// What to do about it.
    pub verdict: Verdict,
    /// For the log.
    pub why: String,
    /// What an answer needs, as far as it could be read; always there with `Verdict::Answer`.
    pub head: Option<Box<Head>>,
}

/// The fields of a broken request that its answer copies (RFC 3261 §8.2.6).
#[derive(Debug, Clone)]
pub struct Head {
    /// Method, if readable.
    pub method: Option<Method>,
    /// The topmost Via: where the answer goes.
    pub top_via: Via,
    /// All Via field values, the topmost first.
    pub vias: Vec<Bytes>,
    /// From.
    pub from: Option<Bytes>,
    /// To.
    pub to: Option<Bytes>,
    /// Call-ID.
    pub call_id: Option<Bytes>,
    /// CSeq.
    pub cseq: Option<Bytes>,
}

impl ParseError {
    /// For values that are asked for after the edge.
    pub(crate) fn bad_request(why: impl Into<String>) -> ParseError {
        ParseError {
            verdict: Verdict::Answer(400),
            why: why.into(),
            head: None,
        }
    }

    /// The answer that the verdict asks for, its top Via stamped with the request's source (RFC 3261 §18.2.1).
    /// `None`: send nothing.
    pub fn response(&self, source: std::net::SocketAddr, to_tag: &str) -> Option<Message> {
        let Verdict::Answer(status) = self.verdict else {
            return None;
        };
        let head = self.head.as_deref()?;
        Some(
            MessageBuilder::response_to_head(head, status, source, to_tag)
                .header("Warning", warning(&self.why))
                .build(),
        )
    }
}

/// RFC 3261 §20.43: 399 carries text for a person.
fn warning(why: &str) -> String {
    format!("399 segue {}", crate::split::quote(why))
}
