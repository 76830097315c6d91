//! What an endpoint counts.

use segue_sip_wire::Message;

/// Methods that are counted apart; the last stands for all others.
pub const METHODS: [&str; 9] = [
    "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "PRACK", "UPDATE", "INFO", "other",
];

/// Messages and what went wrong with them, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests received, by the place of their method in [`METHODS`].
    pub requests_in: [u64; METHODS.len()],
    /// Requests sent, retransmissions among them.
    pub requests_out: [u64; METHODS.len()],
    /// Responses received, 1xx to 6xx.
    pub responses_in: [u64; 6],
    /// Responses sent, retransmissions among them.
    pub responses_out: [u64; 6],
    /// Messages received again.
    pub again_in: u64,
    /// Messages sent again.
    pub again_out: u64,
    /// Transactions that we began.
    pub client_transactions: u64,
    /// Transactions that peers began.
    pub server_transactions: u64,
    /// Requests of ours without a final response in time (RFC 3261 §17.1.1.2, timers B and F).
    pub timed_out: u64,
    /// Reliable provisional responses without a PRACK in time (RFC 3262 §3).
    pub no_prack: u64,
    /// Final responses without an ACK in time (RFC 3261 §13.3.1.4).
    pub no_ack: u64,
    /// Sessions that nobody refreshed in time (RFC 4028 §10).
    pub expired: u64,
    /// Transactions now.
    pub transactions: u64,
    /// Sessions now.
    pub sessions: u64,
}

impl Stats {
    pub(crate) fn received(&mut self, message: &Message) {
        match (message.method(), message.status()) {
            (Some(method), _) => count(&mut self.requests_in, place(method.as_str().as_bytes())),
            (None, Some(status)) => count(&mut self.responses_in, class(status)),
            (None, None) => {}
        }
    }

    /// `bytes`: a whole message of ours.
    pub(crate) fn sent(&mut self, bytes: &[u8]) {
        let mut words = bytes.splitn(3, |byte| *byte == b' ');
        match (words.next(), words.next()) {
            (Some(b"SIP/2.0"), Some(status)) => {
                let status = std::str::from_utf8(status).ok().and_then(|status| status.parse().ok());
                count(&mut self.responses_out, class(status.unwrap_or(0)));
            }
            (Some(method), _) => count(&mut self.requests_out, place(method)),
            _ => {}
        }
    }
}

fn place(method: &[u8]) -> usize {
    METHODS
        .iter()
        .position(|known| known.as_bytes() == method)
        .unwrap_or(METHODS.len().saturating_sub(1))
}

fn class(status: u16) -> usize {
    usize::from(status.checked_div(100).unwrap_or(0)).saturating_sub(1)
}

fn count<const N: usize>(counters: &mut [u64; N], at: usize) {
    if let Some(counter) = counters.get_mut(at) {
        *counter = counter.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_known_by_its_first_words() {
        let mut stats = Stats::default();
        stats.sent(b"PRACK sip:a@b SIP/2.0\r\n");
        stats.sent(b"SIP/2.0 183 Session Progress\r\n");
        stats.sent(b"SIP/2.0 603 Decline\r\n");
        stats.sent(b"MADEUP sip:a@b SIP/2.0\r\n");
        assert_eq!(stats.requests_out, [0, 0, 0, 0, 0, 1, 0, 0, 1]);
        assert_eq!(stats.responses_out, [1, 0, 0, 0, 0, 1]);
    }
}
