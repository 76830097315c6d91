//! Messages out of a byte stream (RFC 3261 §18.3, keep-alives RFC 5626 §4.4.1).

use bytes::{Buf, BytesMut};

use crate::{Message, body::find, error::ParseError, index::Fault, limits::MESSAGE_MAX};

/// What a stream held next.
#[derive(Debug, Clone)]
pub enum Frame {
    /// A message.
    Message(Message),
    /// A double CRLF: wants a single CRLF back.
    KeepAlive,
}

/// Cuts one connection's bytes into messages.
#[derive(Debug, Default)]
pub struct StreamFramer {
    buffer: BytesMut,
    /// Bytes already searched for the end of the head.
    searched: usize,
    /// Length of the whole message, once its head is there.
    wanted: Option<usize>,
    broken: bool,
}

impl StreamFramer {
    /// An empty one.
    pub fn new() -> StreamFramer {
        StreamFramer::default()
    }

    /// Take bytes as they came. Drain with [`StreamFramer::poll_frame`] before pushing again.
    ///
    /// # Errors
    /// More is pushed than two of the largest messages: the caller does not drain.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ParseError> {
        if self.buffer.len().saturating_add(bytes.len()) > MESSAGE_MAX.saturating_mul(2) {
            self.broken = true;
            return Err(ParseError {
                verdict: crate::Verdict::Drop,
                why: "the stream's buffer is full".into(),
                head: None,
            });
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Whether the place of the next message is lost: answer if the verdict says so, then close the connection.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether a message has begun and is not complete.
    pub fn is_partial(&self) -> bool {
        self.buffer.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
    }

    /// How much is kept.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The next frame; `None` until more bytes are pushed.
    ///
    /// # Errors
    /// A message that is not proper; the next one can still be read unless [`StreamFramer::is_broken`].
    pub fn poll_frame(&mut self) -> Result<Option<Frame>, ParseError> {
        if self.broken {
            return Ok(None);
        }
        if self.wanted.is_none() {
            if self.buffer.starts_with(b"\r\n\r\n") {
                self.buffer.advance(4);
                return Ok(Some(Frame::KeepAlive));
            }
            // A lone CRLF is an answer to a keep-alive of ours, or a stray one before a message (§7.5). Kept until it is
            // clear that it is no half of a double one.
            while self.buffer.starts_with(b"\r\n") && self.buffer.get(2).is_some_and(|byte| *byte != b'\r') {
                self.buffer.advance(2);
            }
            if self.buffer.starts_with(b"\r") {
                return match self.buffer.as_ref() {
                    b"\r" | b"\r\n" | b"\r\n\r" => Ok(None),
                    _ => Err(self.lose("a CR stands alone")),
                };
            }
            self.wanted = self.find_length()?;
        }
        let Some(wanted) = self.wanted.filter(|wanted| *wanted <= self.buffer.len()) else {
            return Ok(None);
        };
        self.wanted = None;
        self.searched = 0;
        let bytes = self.buffer.split_to(wanted).freeze();
        Message::parse(bytes, true).map(|message| Some(Frame::Message(message)))
    }

    /// Length of the message at the buffer's start; `None` while its head is incomplete.
    fn find_length(&mut self) -> Result<Option<usize>, ParseError> {
        // The end may straddle what was searched before.
        let from = self.searched.saturating_sub(3);
        let found = self.buffer.get(from..).and_then(|rest| find(rest, b"\r\n\r\n"));
        let Some(end) = found.map(|at| at.saturating_add(from).saturating_add(4)) else {
            self.searched = self.buffer.len();
            if self.buffer.len() > MESSAGE_MAX {
                return Err(self.refuse(self.buffer.len(), Fault::new(513, "the head is too large")));
            }
            return Ok(None);
        };
        let head = self.buffer.get(..end).unwrap_or_default();
        let (message, _) = Message::indexed(bytes::Bytes::copy_from_slice(head));
        let length = match message.content_length() {
            Ok(Some(length)) => length,
            Ok(None) => return Err(self.refuse(end, Fault::new(400, "Content-Length is missing"))),
            Err(why) => return Err(self.refuse(end, Fault::new(400, why))),
        };
        match end.checked_add(length).filter(|whole| *whole <= MESSAGE_MAX) {
            Some(whole) => Ok(Some(whole)),
            None => Err(self.refuse(end, Fault::new(513, "the message is too large"))),
        }
    }

    fn refuse(&mut self, head_end: usize, fault: Fault) -> ParseError {
        self.broken = true;
        let head = self.buffer.get(..head_end).unwrap_or_default();
        Message::indexed(bytes::Bytes::copy_from_slice(head)).0.refusal(fault)
    }

    fn lose(&mut self, why: &str) -> ParseError {
        self.refuse(0, Fault::new(400, why))
    }
}
