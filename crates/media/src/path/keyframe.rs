//! Where a key frame begins, and when to ask for one: at once, after 250, 500 and 1000 ms, then each second, until it comes.

use std::time::{Duration, Instant};

use segue_sdp::Codec;

use super::{h264, vp8};

/// Whether a decoder can start at this payload. Sound starts anywhere.
pub fn starts_key_frame(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::H264 { .. } => h264::starts_key_frame(payload),
        Codec::Vp8 => vp8::starts_key_frame(payload),
        Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Opus | Codec::Amr(_) | Codec::Foreign { .. } => true,
    }
}

const OFFSETS_MS: [u64; 4] = [0, 250, 500, 1_000];
const THEN: Duration = Duration::from_secs(1);

/// Asks until it is satisfied.
#[derive(Debug, Clone, Default)]
pub struct Asker {
    asking: Option<Asking>,
}

#[derive(Debug, Clone, Copy)]
struct Asking {
    since: Instant,
    asked: usize,
    next: Instant,
}

impl Asker {
    /// A key frame is wanted from now on; one that is wanted already goes on being asked for.
    pub fn start(&mut self, now: Instant) {
        self.asking.get_or_insert(Asking {
            since: now,
            asked: 0,
            next: now,
        });
    }

    /// It has come, or is wanted no more.
    pub fn stop(&mut self) {
        self.asking = None;
    }

    /// Whether one is wanted.
    pub fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// Whether it is time to ask (again).
    pub fn take_due(&mut self, now: Instant) -> bool {
        let Some(asking) = self.asking.as_mut().filter(|asking| asking.next <= now) else {
            return false;
        };
        asking.asked = asking.asked.saturating_add(1);
        asking.next = match OFFSETS_MS.get(asking.asked) {
            Some(&ms) => (asking.since + Duration::from_millis(ms)).max(now),
            None => now + THEN,
        };
        true
    }

    /// When `take_due` wants to be called next.
    pub fn due(&self) -> Option<Instant> {
        self.asking.map(|asking| asking.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_at_0_250_500_1000_and_each_second_after() {
        let start = Instant::now();
        let mut asker = Asker::default();
        asker.start(start);
        let asked: Vec<u64> = (0..3_500)
            .filter(|&ms| asker.take_due(start + Duration::from_millis(ms)))
            .collect();
        assert_eq!(asked, [0, 250, 500, 1_000, 2_000, 3_000]);
    }

    #[test]
    fn it_stops_when_the_key_frame_has_come() {
        let now = Instant::now();
        let mut asker = Asker::default();
        asker.start(now);
        asker.stop();
        assert!(!asker.take_due(now) && asker.due().is_none());
    }

    #[test]
    fn wanting_twice_asks_once() {
        let now = Instant::now();
        let mut asker = Asker::default();
        asker.start(now);
        assert!(asker.take_due(now));
        asker.start(now);
        assert!(!asker.take_due(now));
    }
}
