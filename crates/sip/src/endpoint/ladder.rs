//! What was said in a session, for the call record.

use std::time::Instant;

use segue_sip_wire::Message;

use crate::api::LadderEntry;

/// Entries a session keeps.
const ENTRIES_MAX: usize = 64;
/// Of these, what retransmissions may fill.
const REPEATS_UP_TO: usize = 40;
/// Characters of a summary that come from outside.
const PHRASE_MAX: usize = 48;

/// The messages of one session.
#[derive(Debug, Default)]
pub(crate) struct Ladder(Vec<LadderEntry>);

impl Ladder {
    /// Adds one message. A long session keeps its beginning and its latest entry.
    pub(crate) fn add(&mut self, at: Instant, out: bool, again: bool, mut summary: String) {
        if again && self.0.len() >= REPEATS_UP_TO {
            return;
        }
        if again {
            summary.push_str(", again");
        }
        self.0.truncate(ENTRIES_MAX.saturating_sub(1));
        self.0.push(LadderEntry { at, out, summary });
    }

    /// Everything so far, to be looked at.
    pub(crate) fn entries(&self) -> &[LadderEntry] {
        &self.0
    }

    /// Everything so far.
    pub(crate) fn take(&mut self) -> Vec<LadderEntry> {
        std::mem::take(&mut self.0)
    }
}

/// A message in short, printable: `INVITE (SDP)`, `183 Session Progress (SDP)`, `200 OK for PRACK`.
#[must_use]
pub fn summary(message: &Message) -> String {
    let mut text = match (message.method(), message.status()) {
        (Some(method), _) => clean(method.as_str()),
        (None, Some(status)) => {
            let phrase = message
                .phrase()
                .filter(|p| !p.is_empty())
                .unwrap_or(segue_sip_wire::phrase(status));
            match message.cseq() {
                Ok(cseq) if cseq.method.as_str() != "INVITE" => {
                    format!("{status} {} for {}", clean(phrase), clean(cseq.method.as_str()))
                }
                _ => format!("{status} {}", clean(phrase)),
            }
        }
        (None, None) => String::new(),
    };
    if message.sdp().is_some() {
        text.push_str(" (SDP)");
    }
    text
}

/// Printable and short.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(PHRASE_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_bounded_and_keeps_the_last_message() {
        let mut ladder = Ladder::default();
        for n in 0..200 {
            ladder.add(Instant::now(), true, n % 2 == 0, format!("{n}"));
        }
        let entries = ladder.take();
        assert_eq!(entries.len(), ENTRIES_MAX);
        assert_eq!(entries[0].summary, "0, again");
        assert_eq!(entries[ENTRIES_MAX - 1].summary, "199");
    }
}
