//! Plain data that other crates hand on: call records, refused requests, events, moments.
//!
//! Pure: no socket, file, clock or thread. Times are wall-clock milliseconds ([`UnixMs`]).

mod call_record;
mod event;
mod live;
mod moment;
mod notice;
mod refused;
mod registration;
mod written;

pub use call_record::{
    CallRecord, CallResult, LadderStep, LegRecord, LossRecord, MediaKind, PhaseName, RuleRecord, Sent, StreamRecord,
    SwitchRecord,
};
pub use event::{CallBackFacts, Event, Happening, MessageFacts, NoticeOutcome, RegistrationFacts};
pub use live::LiveCall;
pub use moment::UnixMs;
pub use notice::{NoticeEvent, NoticeFacts, NoticeLimit};
pub use refused::RefusedRecord;
pub use registration::RegistrationRecord;
pub use written::{COLUMNS, csv_header};
