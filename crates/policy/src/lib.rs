//! A subscriber's facts and a profile's rules to the plan for one call. Pure.

mod account;
mod digest;
mod early;
mod emergency;
mod language;
mod message_waiting;
mod notify;
mod numbers;
mod onward;
mod pin;
mod plan;
mod profile;
mod reach;
mod redirects;
mod rules;
mod service;
mod sources;
mod srtp;
mod subscriber;
mod transcode;
mod trunk;

pub use account::AccountCaps;
pub use digest::{Algorithm, Auth, DigestOver};
pub use early::{CalleeEarlyMedia, PEarlyMedia, PreconditionsToCallee};
pub use emergency::Emergency;
pub use language::{Language, LanguageError};
pub use message_waiting::MessageWaiting;
pub use notify::{About, Attach, Channel, Notify, NotifyError, check_mail, check_webhook};
pub use numbers::{Normalised, NumberRule, NumberRuleError, is_e164};
pub use onward::{
    ANY_TRUNK, Callee, Destination, DestinationError, NextHop, NextHopError, NextHops, NextHopsError, UnknownCallee,
};
pub use pin::{Pin, PinError, pin_lock_ms};
pub use plan::{AS_CALLED, DEFAULT_RING_MS, HoldOn, Plan, REGISTERED, Ring, TargetBy};
pub use profile::{
    AnswerAt, History, KEYS as PROFILE_KEYS, MediaFrom, Profile, ProfileError, RedirectUri, Reliable, ReliableToCallee,
    SessionRefresher,
};
pub use reach::SentTo;
pub use redirects::{RedirectTarget, RedirectTargetError};
pub use rules::{
    Address, AddressError, CONTACTS_MAX, Calling, ClipChoice, Contact, Dates, DatesError, Decided, Decision, Facts,
    First, GROUPS_MAX, GroupError, Local, OnMissed, Outcome, Passed, Rule, RuleError, Rules, SUBSCRIBER_RULES_MAX,
    Then, Weekly, WeeklyError, Who, Why, Zone, ZoneError, check_group,
};
pub use service::{Service, ServiceCode, ServiceCodeError};
pub use srtp::{Srtp, SrtpTo};
pub use subscriber::{
    ALIASES_MAX, HOURS_MAX, NUMBERS_MAX, Subscriber, TARGETS_MAX, TargetsError, UserError, check_targets, check_user,
    user_of_alias,
};
pub use transcode::Transcode;
pub use trunk::{
    CalleeFrom, CallerIdentity, KEYS as TRUNK_KEYS, NumberFormat, Outward, TRUNKS_MAX, Trunk, TrunkError, TrunkServer,
};
