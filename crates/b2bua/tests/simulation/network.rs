//! What happens to messages on their way, by the seed: lost, doubled, overtaken, late. Streams keep order and lose nothing.

use std::collections::BTreeMap;

use segue_sip::Protocol;

use crate::dice::{Dice, MS, S, Time};

/// Longest stay of a message in the network; less than T4 (RFC 3261 §17.1.2.2), as SIP assumes.
const STAY_MAX: Time = 4 * S;

pub struct Network {
    dice: Dice,
    lost_percent: u32,
    doubled_percent: u32,
    late_percent: u32,
    delay: (Time, Time),
    /// When the last message of each stream, by its name, arrives.
    streams: BTreeMap<(u64, bool), Time>,
}

impl Network {
    pub fn by(mut dice: Dice) -> Network {
        let lost_percent = dice.pick(&[0, 0, 3, 10, 25, 40]);
        let doubled_percent = dice.pick(&[0, 0, 5, 30]);
        let late_percent = dice.pick(&[0, 0, 3, 10]);
        let delay = dice.pick(&[(0, 0), (MS, 3 * MS), (5 * MS, 60 * MS), (10 * MS, 900 * MS)]);
        Network {
            dice,
            lost_percent,
            doubled_percent,
            late_percent,
            delay,
            streams: BTreeMap::new(),
        }
    }

    /// Nothing lost, each message `delay` under way.
    pub fn smooth(delay: Time) -> Network {
        let dice = Dice::new(0, 0);
        let streams = BTreeMap::new();
        Network {
            dice,
            lost_percent: 0,
            doubled_percent: 0,
            late_percent: 0,
            delay: (delay, delay),
            streams,
        }
    }

    pub fn describe(&self) -> String {
        let (from, to) = (self.delay.0 / MS, self.delay.1 / MS);
        format!(
            "lost {} %, doubled {} %, late {} %, {from} to {to} ms",
            self.lost_percent, self.doubled_percent, self.late_percent
        )
    }

    /// When the copies of a message arrive; none when it is lost. `stream` and `out` name a stream's direction.
    pub fn arrivals(&mut self, now: Time, protocol: Protocol, stream: u64, out: bool) -> Vec<Time> {
        if protocol == Protocol::Tcp {
            let at = (now + self.delay()).max(self.streams.get(&(stream, out)).copied().unwrap_or_default());
            self.streams.insert((stream, out), at);
            return vec![at];
        }
        if self.dice.chance(self.lost_percent) {
            return Vec::new();
        }
        let copies = if self.dice.chance(self.doubled_percent) { 2 } else { 1 };
        (0..copies).map(|_| now + self.delay()).collect()
    }

    fn delay(&mut self) -> Time {
        let late = if self.dice.chance(self.late_percent) {
            self.dice.between(0, 3 * S)
        } else {
            0
        };
        (self.dice.between(self.delay.0, self.delay.1) + late).min(STAY_MAX)
    }

    /// How long a phone's transport takes to say that nothing can be sent.
    pub fn refusal(&mut self) -> Time {
        self.dice.between(0, 200 * MS)
    }
}
