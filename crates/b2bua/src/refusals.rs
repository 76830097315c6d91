//! The log of refused requests, bounded: a flood is counted, not written.

use std::time::{Duration, Instant};

use crate::Refusal;

/// Refusals logged a second; the rest are counted.
const LOGGED_A_SECOND: u32 = 10;

/// Logs refusals, so many a second; a flood is counted, not written.
#[derive(Debug, Default)]
pub(crate) struct RefusalLog {
    second: Option<Instant>,
    logged: u32,
    withheld: u64,
}

impl RefusalLog {
    pub(crate) fn log(&mut self, refusal: &Refusal) {
        let now = Instant::now();
        if self
            .second
            .is_none_or(|s| now.saturating_duration_since(s) >= Duration::from_secs(1))
        {
            if self.withheld > 0 {
                tracing::warn!(withheld = self.withheld, "more requests were refused than are logged");
            }
            *self = RefusalLog {
                second: Some(now),
                logged: 0,
                withheld: 0,
            };
        }
        if self.logged >= LOGGED_A_SECOND {
            self.withheld = self.withheld.saturating_add(1);
            return;
        }
        self.logged = self.logged.saturating_add(1);
        tracing::warn!(
            source = %refusal.source, local = %refusal.local, method = ?refusal.method,
            sip_call_id = refusal.call_id, why = refusal.why, admit = %refusal.line(), "request refused"
        );
    }
}
