//! A subscriber's facts and a profile's rules to the plan for one call. Pure.

mod plan;
mod profile;
mod subscriber;

pub use plan::{DEFAULT_RING_MS, Plan, Ring};
pub use profile::{AnswerAt, KEYS as PROFILE_KEYS, Profile, ProfileError, Reliable};
pub use subscriber::{Subscriber, UserError, check_user};
