//! How many messages wait in a mailbox.

/// Messages of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Unheard.
    pub new: u64,
    /// Heard.
    pub old: u64,
    /// Of the unheard ones, those that are urgent.
    pub urgent_new: u64,
    /// Of the heard ones.
    pub urgent_old: u64,
}

/// A mailbox's messages, without its trash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Sound alone.
    pub voice: Count,
    /// With a picture.
    pub video: Count,
}
