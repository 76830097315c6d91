//! Identifiers of a call, from its seed.

use rand::{Rng, SeedableRng, rngs::StdRng};
use segue_records::UnixMs;
use ulid::Ulid;

/// Makes identifiers; the same seed makes the same ones.
#[derive(Debug)]
pub(crate) struct Ids(StdRng);

impl Ids {
    pub fn new(seed: u64) -> Ids {
        Ids(StdRng::seed_from_u64(seed))
    }

    /// A ULID: sorts by `at`.
    pub fn ulid(&mut self, at: UnixMs) -> String {
        let random = u128::from(self.0.next_u64()) << 64 | u128::from(self.0.next_u64());
        Ulid::from_parts(u64::try_from(at.0).unwrap_or(0), random).to_string()
    }

    /// A session id for `o=`.
    pub fn session_id(&mut self) -> u64 {
        self.0.next_u64()
    }
}
