//! Why somebody does not get what they ask for.

use segue_store::StoreError;
use thiserror::Error;

/// Why not. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Who asks has not said who they are, or their session or token counts no more.
    #[error("nobody is logged in here, or the session or token has ended")]
    NotLoggedIn,
    /// Name or password is wrong; which is not said.
    #[error("name or password is wrong")]
    WrongLogin,
    /// The link opens nothing any more.
    #[error("this link has been used, or its time is over")]
    LinkSpent,
    /// Too many have tried.
    #[error("there were too many tries; the next may be made in {retry_after_s} s")]
    TooMany {
        /// When the next may be made.
        retry_after_s: u64,
    },
    /// They may not.
    #[error("{why}")]
    Forbidden {
        /// Why.
        why: String,
        /// Who or what may.
        fix: String,
    },
    /// What was given is not what it should be.
    #[error("{field}: {why}")]
    Invalid {
        /// Which part of it.
        field: &'static str,
        /// Why, and what would do.
        why: String,
    },
    /// It is not any more what who asks has seen of it.
    #[error("it has been changed meanwhile")]
    Changed,
    /// The system fails.
    #[error("{0}")]
    System(String),
    /// The store says so.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        match error {
            StoreError::Changed => Refusal::Changed,
            other => Refusal::Store(other),
        }
    }
}

impl Refusal {
    /// A word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::NotLoggedIn => "not_logged_in",
            Refusal::WrongLogin => "wrong_login",
            Refusal::LinkSpent => "link_spent",
            Refusal::TooMany { .. } => "too_many",
            Refusal::Forbidden { .. } => "forbidden",
            Refusal::Invalid { .. } => "invalid",
            Refusal::Changed => "changed",
            Refusal::System(_) => "system",
            Refusal::Store(error) => error.code(),
        }
    }

    /// What can be done about it.
    pub fn fix(&self) -> String {
        match self {
            Refusal::NotLoggedIn => "log in, or send a token: 'Authorization: Bearer TOKEN'".to_owned(),
            Refusal::WrongLogin => "try again, or ask for a login link".to_owned(),
            Refusal::LinkSpent => "ask for another link".to_owned(),
            Refusal::TooMany { .. } => "wait".to_owned(),
            Refusal::Forbidden { fix, .. } => fix.clone(),
            Refusal::Invalid { field, .. } => format!("mend {field}"),
            Refusal::Changed => "read it again, then change it".to_owned(),
            Refusal::System(_) => "see the log".to_owned(),
            Refusal::Store(error) => error.fix(),
        }
    }

    /// There is no such thing, or it is another's.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Refusal::Store(StoreError::NotFound { .. }))
    }

    pub(crate) fn not_found(what: &'static str, name: &str) -> Refusal {
        Refusal::Store(StoreError::NotFound {
            what,
            name: name.to_owned(),
        })
    }

    pub(crate) fn invalid(field: &'static str, why: impl Into<String>) -> Refusal {
        Refusal::Invalid { field, why: why.into() }
    }

    pub(crate) fn no_random() -> Refusal {
        Refusal::System("no random numbers are to be had".to_owned())
    }
}
