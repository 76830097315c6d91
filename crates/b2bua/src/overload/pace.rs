//! How many new calls a second are let in: as many as are handled without a standing queue.
//!
//! What comes waits between its arrival and its handling. A queue that stands is overload: even the shortest wait of an
//! interval is longer than is aimed at. One that drains meanwhile is a burst (the idea of CoDel, RFC 8289). While a queue
//! stands and does not shrink, the rate of a token bucket is lowered; then it rises fast to nearly what was let in when the
//! queue came to stand, and slowly beyond, until nobody is turned away any more: then there is no limit.

use std::time::{Duration, Instant};

/// How long waits are looked at before the rate is set anew.
const INTERVAL: Duration = Duration::from_millis(100);
/// Messages that wait at once; so many are overload however short they wait.
pub const DEPTH_MAX: usize = 1_024;
/// What is left of the rate while a queue stands …
const LESS: f64 = 0.8;
/// … and while it makes everybody wait this many times longer than is aimed at.
const MUCH_LESS: f64 = 0.6;
const FAR: u32 = 4;
/// Intervals until it is lowered again: what was let in has work to do for a while.
const HOLD: u32 = 3;
/// A queue that is shorter than this share of what it was shrinks.
const SHRINKS: f64 = 0.9;
/// By how much the rate rises in an interval with hardly a queue: up to this share of what was too much, beyond it, and after
/// more than [`FREE`] such intervals one after the other, when what was too much is no measure any more.
const BACK: f64 = 1.15;
const BACK_TO: f64 = 0.95;
const MORE: f64 = 1.01;
const MUCH_MORE: f64 = 1.1;
const FREE: u32 = 20;
/// What the newest interval counts in the mean of what is let in.
const NEWEST: f64 = 0.2;
/// Calls a second, whatever happens: without any, nothing would be measured.
const RATE_MIN: f64 = 5.0;
/// After so many intervals in which nobody was turned away there is no limit any more.
const CALM: u32 = 50;

/// See the module. Pure: each `now` is the caller's.
#[derive(Debug)]
pub struct Pace {
    /// The wait that is aimed at; `None`: all are let in.
    aim: Option<Duration>,
    /// Calls a second; `None`: no limit.
    rate: Option<f64>,
    tokens: f64,
    filled_at: Instant,
    since: Instant,
    shortest: Option<Waits>,
    /// Of the interval before, when a queue stood in it.
    stood: Option<Waits>,
    let_in: u32,
    turned_away: u32,
    calm: u32,
    /// Intervals with hardly a queue, one after the other.
    free: u32,
    /// Intervals until the rate may be lowered again.
    hold: u32,
    /// What was let in a second of late, and when a queue came to stand.
    mean: f64,
    too_much: f64,
}

/// A queue, by what is known of it.
#[derive(Debug, Clone, Copy)]
struct Waits {
    wait: Duration,
    depth: usize,
}

impl Pace {
    /// Without a limit. `aim`: how long a message may wait; `None`: for ever.
    pub fn new(now: Instant, aim: Option<Duration>) -> Pace {
        Pace {
            aim,
            rate: None,
            tokens: 0.0,
            filled_at: now,
            since: now,
            shortest: None,
            stood: None,
            let_in: 0,
            turned_away: 0,
            calm: 0,
            free: 0,
            hold: 0,
            mean: 0.0,
            too_much: f64::INFINITY,
        }
    }

    /// From now on another wait is aimed at.
    pub fn aim(&mut self, aim: Option<Duration>) {
        self.aim = aim;
        if aim.is_none() {
            self.rate = None;
        }
    }

    /// A message that is now handled has waited so long, and so many wait behind it.
    pub fn waited(&mut self, now: Instant, wait: Duration, depth: usize) {
        self.turn(now);
        let shortest = self.shortest.get_or_insert(Waits { wait, depth });
        shortest.wait = shortest.wait.min(wait);
        shortest.depth = shortest.depth.min(depth);
    }

    /// Whether a new call is let in.
    pub fn lets_in(&mut self, now: Instant) -> bool {
        self.turn(now);
        if let Some(rate) = self.rate {
            let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
            self.filled_at = now;
            // An interval's worth at once, so that the rate is kept when calls come in bunches.
            self.tokens = (self.tokens + passed * rate).min((rate * INTERVAL.as_secs_f64()).max(1.0));
            if self.tokens < 1.0 {
                self.turned_away = self.turned_away.saturating_add(1);
                return false;
            }
            self.tokens -= 1.0;
        }
        self.let_in = self.let_in.saturating_add(1);
        true
    }

    /// Calls a second that are let in; `None`: there is no limit.
    pub fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Sets the rate anew when the interval is over.
    fn turn(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        if passed < INTERVAL {
            return;
        }
        let (let_in, turned_away) = (std::mem::take(&mut self.let_in), std::mem::take(&mut self.turned_away));
        let shortest = self.shortest.take();
        self.since = now;
        let came = f64::from(let_in) / passed.as_secs_f64();
        self.mean += NEWEST * (came - self.mean);
        self.hold = self.hold.saturating_sub(1);
        let Some(aim) = self.aim else { return };
        let standing = shortest.filter(|queue| queue.wait > aim || queue.depth > DEPTH_MAX);
        let before = std::mem::replace(&mut self.stood, standing);
        match (standing, self.rate) {
            (Some(queue), rate) => {
                (self.calm, self.free) = (0, 0);
                // Without a limit one interval may be a standstill of the machine, whose queue shrinks in the next.
                let grows = before.map_or(rate.is_some(), |before| !queue.shrinks(before));
                if !grows || self.hold > 0 {
                    return;
                }
                let far = queue.wait > aim.saturating_mul(FAR);
                let less = rate.map_or(came, |rate| rate.min(came)) * if far { MUCH_LESS } else { LESS };
                if rate.is_none() || before.is_none() {
                    self.too_much = if rate.is_none() { less } else { self.mean };
                }
                self.hold = HOLD;
                self.set(now, less);
            }
            (None, Some(rate)) => {
                let near = shortest.is_some_and(|queue| queue.wait > aim / 4);
                self.calm = if turned_away > 0 {
                    0
                } else {
                    self.calm.saturating_add(1)
                };
                if self.calm >= CALM {
                    self.rate = None;
                } else if near {
                    self.free = 0;
                } else {
                    self.free = self.free.saturating_add(1);
                    self.set(now, self.risen(rate));
                }
            }
            (None, None) => {}
        }
    }

    /// The next rate after one with which hardly a queue came to be.
    fn risen(&self, rate: f64) -> f64 {
        let back_to = self.too_much * BACK_TO;
        if rate < back_to {
            (rate * BACK).min(back_to.max(rate * MORE))
        } else {
            rate * if self.free > FREE { MUCH_MORE } else { MORE }
        }
    }

    fn set(&mut self, now: Instant, rate: f64) {
        if self.rate.is_none() {
            (self.tokens, self.filled_at) = (0.0, now);
        }
        self.rate = Some(rate.max(RATE_MIN));
    }
}

impl Waits {
    fn shrinks(self, before: Waits) -> bool {
        self.wait < before.wait.mul_f64(SHRINKS) && self.depth <= before.depth.max(DEPTH_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AIM: Duration = Duration::from_millis(50);
    const MS: Duration = Duration::from_millis(1);

    /// A server that handles one message after the other.
    struct Server {
        now: Instant,
        pace: Pace,
        /// When it has done what it was given.
        free_at: Instant,
        handled: f64,
        turned_away: f64,
        longest: Duration,
    }

    /// What a call takes of the server, and what its refusal takes.
    const CALL: Duration = Duration::from_micros(1_000);
    const REFUSAL: Duration = Duration::from_micros(20);

    impl Server {
        fn new() -> Server {
            let now = Instant::now();
            Server {
                now,
                pace: Pace::new(now, Some(AIM)),
                free_at: now,
                handled: 0.0,
                turned_away: 0.0,
                longest: Duration::ZERO,
            }
        }

        /// So many calls a second for so long, at even distances. What was handled a second, the share turned away.
        fn offered(&mut self, a_second: u32, for_ms: u32) -> (f64, f64) {
            (self.handled, self.turned_away, self.longest) = (0.0, 0.0, Duration::ZERO);
            let every = Duration::from_secs(1) / a_second;
            let end = self.now + MS * for_ms;
            while self.now < end {
                self.now += every;
                // It is looked at when all before it are done.
                let starts = self.free_at.max(self.now);
                let wait = starts - self.now;
                self.longest = self.longest.max(wait);
                let depth = wait.as_micros() / every.as_micros();
                self.pace.waited(starts, wait, usize::try_from(depth).unwrap());
                let takes = match self.pace.lets_in(starts) {
                    true => {
                        self.handled += 1.0;
                        CALL
                    }
                    false => {
                        self.turned_away += 1.0;
                        REFUSAL
                    }
                };
                self.free_at = starts + takes;
            }
            let all = self.handled + self.turned_away;
            (self.handled / f64::from(for_ms) * 1e3, self.turned_away / all)
        }
    }

    #[test]
    fn what_can_be_handled_is_let_in() {
        let mut server = Server::new();
        assert_eq!(server.offered(900, 20_000).1, 0.0);
        assert_eq!(server.pace.rate(), None);
    }

    #[test]
    fn five_times_what_can_be_handled_leaves_most_of_it_and_no_queue() {
        let mut server = Server::new();
        server.offered(5_000, 3_000);
        let (handled, turned_away) = server.offered(5_000, 20_000);
        // Of 1,000 a second that it could, refusing 4,000 takes 80 ms.
        assert!(handled > 850.0, "{handled}");
        assert!((0.8..0.84).contains(&turned_away), "{turned_away}");
        assert!(server.longest < AIM * 3, "{:?}", server.longest);
    }

    #[test]
    fn when_it_is_over_there_is_no_limit_again() {
        let mut server = Server::new();
        server.offered(5_000, 5_000);
        assert!(server.pace.rate().is_some());
        let (handled, turned_away) = server.offered(500, 20_000);
        assert!(handled > 495.0 && turned_away < 0.01, "{handled}, {turned_away}");
        assert_eq!(server.pace.rate(), None);
    }

    #[test]
    fn a_burst_that_drains_is_no_overload() {
        let mut server = Server::new();
        for _ in 0..100 {
            // 80 calls at once each 100 ms: the last waits longer than is aimed at, the first not at all.
            assert_eq!(server.offered(40_000, 2).1, 0.0);
            server.offered(1, 98);
        }
        assert_eq!(server.pace.rate(), None);
    }

    #[test]
    fn a_single_long_wait_is_no_overload() {
        let mut server = Server::new();
        server.offered(500, 1_000);
        // Somebody else had the processor.
        server.free_at = server.now + MS * 300;
        assert_eq!(server.offered(500, 5_000).1, 0.0);
    }

    #[test]
    fn many_that_wait_are_overload_however_short() {
        let now = Instant::now();
        let mut pace = Pace::new(now, Some(AIM));
        for ms in 0..300 {
            pace.waited(now + MS * ms, MS, DEPTH_MAX + 1);
            pace.lets_in(now + MS * ms);
        }
        assert!(pace.rate().is_some_and(|rate| rate < 1_000.0), "{:?}", pace.rate());
    }

    #[test]
    fn without_an_aim_all_are_let_in() {
        let now = Instant::now();
        let mut pace = Pace::new(now, None);
        for ms in 0..3_000 {
            pace.waited(now + MS * ms, Duration::from_secs(9), 1 << 20);
            assert!(pace.lets_in(now + MS * ms));
        }
        // And when it is taken away.
        pace.aim(Some(AIM));
        for ms in 3_000..6_000 {
            pace.waited(now + MS * ms, Duration::from_secs(9), 0);
            pace.lets_in(now + MS * ms);
        }
        assert!(pace.rate().is_some());
        pace.aim(None);
        assert_eq!(pace.rate(), None);
    }

    #[test]
    fn a_few_are_let_in_even_when_nothing_gets_better() {
        let now = Instant::now();
        let mut pace = Pace::new(now, Some(AIM));
        let mut let_in = 0;
        for ms in 0..60_000 {
            pace.waited(now + MS * ms, Duration::from_secs(9), 0);
            let_in += u32::from(pace.lets_in(now + MS * ms) && ms >= 50_000);
        }
        assert!((45..=55).contains(&let_in), "{let_in}");
    }
}
