//! Telephone-events (RFC 4733): one key per press, however many packets tell of it.
#![deny(clippy::arithmetic_side_effects)]

/// Watches one stream.
#[derive(Debug, Clone, Default)]
pub struct DtmfWatch {
    last: Option<Seen>,
    /// SSRC and timestamp of a press that is not for the other side.
    withheld: Option<(u32, u32)>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    ssrc: u32,
    timestamp: u32,
    event: u8,
    duration: u16,
    ended: bool,
}

impl DtmfWatch {
    /// The press under way was meant for us: what is still told of it is not for the other side.
    pub fn withhold_current(&mut self) {
        self.withheld = self.last.map(|last| (last.ssrc, last.timestamp));
    }

    /// Whether a packet tells of a press that is not for the other side.
    pub fn withholds(&self, ssrc: u32, timestamp: u32) -> bool {
        self.withheld == Some((ssrc, timestamp))
    }

    /// Takes a telephone-event packet. The key, when a press begins with it.
    pub fn handle(&mut self, ssrc: u32, timestamp: u32, payload: &[u8]) -> Option<char> {
        let &[event, flags, d0, d1, ..] = payload else {
            return None;
        };
        let now = Seen {
            ssrc,
            timestamp,
            event,
            duration: u16::from_be_bytes([d0, d1]),
            ended: flags & 0x80 != 0,
        };
        match self.last.filter(|last| last.ssrc == ssrc) {
            // All packets of a press carry the timestamp of its beginning (§2.5.1.2).
            Some(last) if last.timestamp == timestamp => {
                self.last = Some(Seen {
                    duration: last.duration.max(now.duration),
                    ended: last.ended || now.ended,
                    ..last
                });
                None
            }
            Some(last) if (timestamp.wrapping_sub(last.timestamp) as i32) < 0 => None,
            // A press longer than the duration field goes on in a new segment (§2.5.1.3).
            Some(last)
                if !last.ended
                    && last.event == event
                    && last.timestamp.wrapping_add(last.duration.into()) == timestamp =>
            {
                if self.withholds(ssrc, last.timestamp) {
                    self.withheld = Some((ssrc, timestamp));
                }
                self.last = Some(now);
                None
            }
            _ => {
                self.last = Some(now);
                key(event)
            }
        }
    }
}

fn key(event: u8) -> Option<char> {
    match event {
        0..=9 => Some(char::from(b'0'.wrapping_add(event))),
        10 => Some('*'),
        11 => Some('#'),
        12..=15 => Some(char::from(b'A'.wrapping_add(event.wrapping_sub(12)))),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // Tests make their own input.
mod tests {
    use super::*;

    fn packet(event: u8, end: bool, duration: u16) -> [u8; 4] {
        let [d0, d1] = duration.to_be_bytes();
        [event, if end { 0x8a } else { 0x0a }, d0, d1]
    }

    #[test]
    fn a_press_told_in_many_packets_is_one_key() {
        let mut watch = DtmfWatch::default();
        assert_eq!(watch.handle(1, 800, &packet(11, false, 160)), Some('#'));
        for n in 2..8 {
            assert_eq!(watch.handle(1, 800, &packet(11, false, n * 160)), None);
        }
        for _ in 0..3 {
            assert_eq!(watch.handle(1, 800, &packet(11, true, 1_280)), None);
        }
    }

    #[test]
    fn a_press_whose_start_was_lost_still_counts() {
        let mut watch = DtmfWatch::default();
        assert_eq!(watch.handle(1, 800, &packet(5, true, 800)), Some('5'));
    }

    #[test]
    fn the_same_key_twice_is_two_keys() {
        let mut watch = DtmfWatch::default();
        assert_eq!(watch.handle(1, 800, &packet(1, true, 800)), Some('1'));
        assert_eq!(watch.handle(1, 4_000, &packet(1, false, 160)), Some('1'));
    }

    #[test]
    fn a_late_end_of_an_older_press_is_no_key() {
        let mut watch = DtmfWatch::default();
        assert_eq!(watch.handle(1, 800, &packet(1, false, 160)), Some('1'));
        assert_eq!(watch.handle(1, 4_000, &packet(2, false, 160)), Some('2'));
        assert_eq!(watch.handle(1, 800, &packet(1, true, 800)), None);
    }

    #[test]
    fn a_long_press_in_segments_is_one_key() {
        let mut watch = DtmfWatch::default();
        assert_eq!(watch.handle(1, 0, &packet(10, false, 0xffff)), Some('*'));
        assert_eq!(watch.handle(1, 0xffff, &packet(10, false, 160)), None);
    }

    #[test]
    fn a_press_for_us_is_withheld_to_its_end_in_whatever_segments() {
        let mut watch = DtmfWatch::default();
        assert!(!watch.withholds(1, 800));
        watch.handle(1, 800, &packet(11, false, 0xffff));
        watch.withhold_current();
        assert!(watch.withholds(1, 800));
        watch.handle(1, 800 + 0xffff, &packet(11, true, 160));
        assert!(watch.withholds(1, 800 + 0xffff));
        watch.handle(1, 200_000, &packet(5, false, 160));
        assert!(!watch.withholds(1, 200_000), "the next press is for the other side");
        assert!(!watch.withholds(2, 800 + 0xffff));
    }

    #[test]
    fn short_and_unknown_events_are_no_key() {
        let mut watch = DtmfWatch::default();
        assert_eq!(watch.handle(1, 0, &[11, 0]), None);
        assert_eq!(watch.handle(1, 0, &packet(16, false, 0)), None);
    }
}
