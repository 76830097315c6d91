//! What goes along with a message of ours: said by one peer for another, and meaning nothing here.

use segue_sip_wire::{MessageBuilder, Parts};

use crate::draft::Draft;

/// See the module. Whoever fills it has left out what each leg has of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Along {
    /// More headers, in order.
    pub headers: Vec<(String, String)>,
    /// More parts of the body.
    pub parts: Parts,
}

impl Along {
    /// Whether there is nothing of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.parts.is_empty()
    }

    /// A response with it, and with a session description of ours.
    pub(crate) fn with(&self, mut builder: MessageBuilder, sdp: Option<&[u8]>) -> MessageBuilder {
        for (name, value) in &self.headers {
            builder = builder.header(name, value);
        }
        let Some(body) = self.parts.body(sdp) else {
            return builder;
        };
        for (name, value) in body.headers {
            builder = builder.header(name, value);
        }
        builder.body(&body.content_type, body.bytes)
    }

    /// The same of a request.
    pub(crate) fn asked(&self, mut draft: Draft, sdp: Option<&[u8]>) -> Draft {
        draft.more.extend(self.headers.iter().cloned());
        let Some(body) = self.parts.body(sdp) else {
            return draft;
        };
        draft
            .more
            .extend(body.headers.into_iter().map(|(name, value)| (name.to_owned(), value)));
        draft.body(body.content_type, body.bytes)
    }
}
