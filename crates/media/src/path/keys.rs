//! Sends keys as telephone-events (RFC 4733) into a stream, in place of its audio meanwhile.
#![deny(clippy::arithmetic_side_effects)]

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    out::{OutStream, units},
    rtp::Header,
};

/// A packet each so long: the event's update interval (RFC 4733 §2.5.1.2: 50 ms or the audio's packet time).
const EVERY: Duration = Duration::from_millis(20);
/// The final packet is sent so often (§2.5.1.4).
const ENDS: u8 = 3;
/// Shorter presses are not heard by everybody, longer ones hold up the audio.
const SHORTEST: Duration = Duration::from_millis(60);
const LONGEST: Duration = Duration::from_millis(2_000);
/// Between two keys.
const PAUSE: Duration = Duration::from_millis(60);
/// Keys that may wait.
const WAITING_MAX: usize = 16;
/// How long after a key of ours the same key of the source counts as the same press.
const SAME_PRESS: Duration = Duration::from_millis(1_500);
/// -10 dBm0, as phones send it.
const VOLUME: u8 = 10;
const END: u8 = 0x80;

/// The keys that one stream still has to send.
#[derive(Debug, Clone, Default)]
pub struct KeySender {
    waiting: VecDeque<(u8, Duration)>,
    sending: Option<Sending>,
    /// No key begins before.
    pause_until: Option<Instant>,
    /// The last key that began, and until when the source's own telling of it is no other press.
    told: Option<(u8, Instant)>,
}

#[derive(Debug, Clone, Copy)]
struct Sending {
    event: u8,
    /// The timestamp of its beginning, which all its packets carry.
    rtp: u32,
    began: Instant,
    length: Duration,
    next: Instant,
    ends_sent: u8,
}

/// One packet.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    pub header: Header,
    pub payload: [u8; 4],
}

impl KeySender {
    /// Adds a key. Whether there was room for it, and it is one.
    pub fn press(&mut self, key: char, length: Duration) -> bool {
        let Some(event) = event(key) else { return false };
        if self.waiting.len() >= WAITING_MAX {
            return false;
        }
        self.waiting.push_back((event, length.clamp(SHORTEST, LONGEST)));
        true
    }

    /// Whether the stream carries a key now, and so no audio.
    pub fn is_sending(&self) -> bool {
        self.sending.is_some()
    }

    /// Whether a telephone-event of the source tells of a key that was sent for it already.
    pub fn has_told(&self, payload: &[u8], now: Instant) -> bool {
        let waiting = |event: u8| self.waiting.iter().any(|(waits, _)| *waits == event);
        payload.first().is_some_and(|event| {
            waiting(*event) || self.told.is_some_and(|(told, until)| told == *event && now < until)
        })
    }

    /// Nothing is to be sent.
    pub fn is_idle(&self) -> bool {
        self.sending.is_none() && self.waiting.is_empty()
    }

    /// Nothing is to be sent any more.
    pub fn clear(&mut self) {
        *self = KeySender::default();
    }

    /// When it wants to send.
    pub fn due(&self) -> Option<Instant> {
        match (&self.sending, self.waiting.is_empty()) {
            (Some(sending), _) => Some(sending.next),
            (None, false) => self.pause_until,
            (None, true) => None,
        }
    }

    /// The next packet, if one is due; counted as sent on `out`. `clock_rate` is the event's.
    pub fn take_due(
        &mut self,
        now: Instant,
        payload_type: u8,
        clock_rate: u32,
        step: u32,
        out: &mut OutStream,
    ) -> Option<Sent> {
        if self.sending.is_none() {
            if self.pause_until.is_some_and(|until| now < until) {
                return None;
            }
            let (event, length) = self.waiting.pop_front()?;
            self.pause_until = Some(now);
            self.told = later(now, length.saturating_add(SAME_PRESS)).map(|until| (event, until));
            self.sending = Some(Sending {
                event,
                rtp: out.base(now, step),
                began: now,
                length,
                next: now,
                ends_sent: 0,
            });
        }
        let sending = self.sending.as_mut().filter(|sending| sending.next <= now)?;
        let first = sending.next == sending.began && sending.ends_sent == 0;
        let so_far = now.saturating_duration_since(sending.began).saturating_add(EVERY);
        let ends = so_far >= sending.length;
        let length = if ends { sending.length } else { so_far };
        let duration = u16::try_from(units(length, clock_rate)).unwrap_or(u16::MAX);
        let [d0, d1] = duration.to_be_bytes();
        let payload = [sending.event, VOLUME | if ends { END } else { 0 }, d0, d1];
        let header = out.stamp(now, sending.began, sending.rtp, payload_type, first, payload.len());
        if ends {
            sending.ends_sent = sending.ends_sent.saturating_add(1);
        } else {
            sending.next = later(now, EVERY).unwrap_or(now);
        }
        if sending.ends_sent >= ENDS {
            self.sending = None;
            self.pause_until = later(now, PAUSE);
        }
        Some(Sent { header, payload })
    }
}

fn later(from: Instant, by: Duration) -> Option<Instant> {
    from.checked_add(by)
}

/// A key's number (RFC 4733 §3.2).
fn event(key: char) -> Option<u8> {
    let number = match key {
        '0'..='9' => key.to_digit(10)?,
        '*' => 10,
        '#' => 11,
        'A'..='D' => key.to_digit(16)?.checked_add(2)?,
        _ => return None,
    };
    u8::try_from(number).ok()
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "tests make their own input")]
mod tests {
    use super::*;
    use crate::path::dtmf::DtmfWatch;

    /// Everything that is sent in 20 ms steps.
    fn run(keys: &mut KeySender, start: Instant, ms: u64, out: &mut OutStream) -> Vec<(u64, Sent)> {
        let mut sent = Vec::new();
        for at in (0..ms).step_by(20) {
            let now = start + Duration::from_millis(at);
            while keys.due().is_some_and(|due| due <= now) || keys.due().is_none() && !keys.waiting.is_empty() {
                match keys.take_due(now, 101, 8_000, 160, out) {
                    Some(packet) => sent.push((at, packet)),
                    None => break,
                }
            }
        }
        sent
    }

    #[test]
    fn a_key_is_one_event_with_three_ends_that_a_watch_hears_once() {
        let (mut keys, start) = (KeySender::default(), Instant::now());
        let mut out = OutStream::new(7, 100, 4_000, 8_000);
        out.stamp(start, start, 4_000, 0, false, 160);
        assert!(keys.press('#', Duration::from_millis(100)));
        assert_eq!(keys.due(), None, "sent at once");
        let sent = run(&mut keys, start + Duration::from_millis(20), 400, &mut out);
        let told: Vec<(u64, u16, bool)> = sent
            .iter()
            .map(|(at, s)| {
                (
                    *at,
                    u16::from_be_bytes([s.payload[2], s.payload[3]]),
                    s.payload[1] & END != 0,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (0, 160, false),
                (20, 320, false),
                (40, 480, false),
                (60, 640, false),
                (80, 800, true),
                (80, 800, true),
                (80, 800, true)
            ]
        );
        assert!(
            sent.iter()
                .all(|(_, s)| s.header.timestamp == 4_160 && s.header.payload_type == 101)
        );
        assert_eq!(sent.iter().map(|(_, s)| s.header.marker).filter(|m| *m).count(), 1);
        let sequences: Vec<u16> = sent.iter().map(|(_, s)| s.header.sequence).collect();
        assert_eq!(sequences, (101..108).collect::<Vec<_>>());
        let mut watch = DtmfWatch::default();
        let heard: Vec<char> = sent
            .iter()
            .filter_map(|(_, s)| watch.handle(7, s.header.timestamp, &s.payload))
            .collect();
        assert_eq!(heard, ['#']);
        assert!(!keys.is_sending() && keys.due().is_none());
    }

    #[test]
    fn keys_wait_for_one_another() {
        let (mut keys, start) = (KeySender::default(), Instant::now());
        let mut out = OutStream::new(7, 100, 4_000, 8_000);
        for key in ['1', '1', 'D'] {
            assert!(keys.press(key, Duration::from_millis(1)));
        }
        let sent = run(&mut keys, start, 1_000, &mut out);
        let mut watch = DtmfWatch::default();
        let heard: Vec<(u64, char)> = sent
            .iter()
            .filter_map(|(at, s)| Some((*at, watch.handle(7, s.header.timestamp, &s.payload)?)))
            .collect();
        assert_eq!(
            heard,
            [(0, '1'), (100, '1'), (200, 'D')],
            "60 ms of key, 60 ms of pause"
        );
    }

    #[test]
    fn the_source_telling_of_the_same_press_is_known() {
        let (mut keys, start) = (KeySender::default(), Instant::now());
        let mut out = OutStream::new(7, 100, 4_000, 8_000);
        keys.press('5', Duration::from_millis(100));
        assert!(keys.has_told(&[5, 10, 0, 160], start));
        run(&mut keys, start, 400, &mut out);
        assert!(keys.has_told(&[5, 10, 0, 160], start + Duration::from_millis(500)));
        assert!(!keys.has_told(&[6, 10, 0, 160], start));
        assert!(!keys.has_told(&[5, 10, 0, 160], start + Duration::from_secs(3)));
        assert!(!keys.has_told(&[], start));
    }

    #[test]
    fn what_is_no_key_and_what_is_too_many_is_refused() {
        let mut keys = KeySender::default();
        assert!(!keys.press('x', SHORTEST));
        for _ in 0..WAITING_MAX {
            assert!(keys.press('1', SHORTEST));
        }
        assert!(!keys.press('1', SHORTEST));
    }
}
