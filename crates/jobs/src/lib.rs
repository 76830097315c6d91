//! What may wait: finalising recordings, salvage, clips, age rules, notices.
//!
//! The heavy work is done by worker processes ([`WorkerPool`]); here it is decided what is asked of them, and what becomes of a recording
//! when they fail. Everything here blocks: call it from a thread of its own.

pub mod clips;
mod deposit;
mod depositor;
mod keeper;
pub mod notices;
mod phone;
mod pool;
mod preview;
mod process;
pub mod prompts;
mod record_files;
mod recording;
mod stats;
mod transcoders;
mod uploads;
mod work;

pub use deposit::{DepositError, DepositOutcome};
pub use depositor::Depositor;
pub use keeper::{Clocks, Keeper, KeeperThread, KeptCalls, RETENTION_EVERY, Turn};
pub use phone::Phone;
pub use pool::{WorkerCommand, WorkerError, WorkerPool};
pub use preview::Preview;
pub use record_files::{Form, RecordFile, RecordFileError, RecordFileStats, RecordFiles, RecordPlan, RecordWriter};
pub use stats::{DepositStats, WorkStats};
pub use transcoders::{Budget, NoTranscoder, TranscodeStats, Transcoder, Transcoders};
pub use uploads::Preparer;
