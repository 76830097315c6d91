//! How loud a G.722 packet is, without decoding it, and what silence looks like in it (ITU-T G.722).
#![deny(clippy::arithmetic_side_effects)]

/// 20 ms of silence: the smallest code words of both bands, under which a decoder's steps shrink until nothing is heard.
pub const SILENCE: [u8; 160] = [0xff; 160];

/// The lower band's step size, as a logarithm of 2 in units of 1/2048, from which on there is speech. White noise reaches it at
/// about -52 dBFS; a voice, which is predicted better than noise, at about -40.
const LOUD: i32 = 6_500;

/// How each code word changes the step size (table 15/G.722), by its sign and magnitude bits.
const CHANGE: [i32; 16] = [
    -60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60,
];
const STEP_MAX: i32 = 18_432;

/// The lower band's adaptive step size (block 3L of ITU-T G.722 §3.5): it follows the level of what is coded, and depends on the code
/// words alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Level {
    step: i32,
}

impl Level {
    /// Takes a payload; whether there was speech in it rather than silence.
    pub fn is_loud(&mut self, payload: &[u8]) -> bool {
        let mut most = 0;
        for byte in payload {
            let change = CHANGE.get(usize::from(byte >> 2 & 0x0f)).copied().unwrap_or(0);
            // Within 0 to STEP_MAX, so the product is within i32.
            let decayed = self.step.saturating_mul(127) >> 7;
            self.step = decayed.saturating_add(change).clamp(0, STEP_MAX);
            most = most.max(self.step);
        }
        most >= LOUD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_quiet_even_after_something_loud() {
        let mut level = Level::default();
        assert!(!level.is_loud(&SILENCE));
        // Large steps up and down in turn, as a loud sound has them.
        let loud: Vec<u8> = [0x10, 0x30].repeat(80);
        assert!(level.is_loud(&loud));
        assert!((0..10).any(|_| !level.is_loud(&SILENCE)), "within 200 ms");
    }

    #[test]
    fn the_step_stays_within_its_bounds() {
        let mut level = Level::default();
        for byte in 0..=255 {
            level.is_loud(&[byte; 4096]);
            assert!((0..=STEP_MAX).contains(&level.step));
        }
        assert!(!Level::default().is_loud(&[]));
    }
}
