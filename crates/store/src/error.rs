//! What can go wrong in the store. Each error carries its code and its fix.

use std::path::PathBuf;

use thiserror::Error;

/// An error of the store. Nothing was changed, except where a variant says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The data directory was written by a Segue of another schema version.
    #[error("{} holds data of schema version {found}; this Segue reads version {ours}", path.display())]
    OtherVersion {
        /// The database file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        ours: u32,
    },
    /// The file is there but is no database of Segue.
    #[error("{} is not a Segue database", path.display())]
    NotSegue {
        /// The file.
        path: PathBuf,
    },
    /// The directory or file cannot be used.
    #[error("{} cannot be used: {why}", path.display())]
    Path {
        /// The directory or file.
        path: PathBuf,
        /// The system's reason.
        why: String,
    },
    /// A server works on this data directory already.
    #[error("another Segue server works on {}", path.display())]
    InUse {
        /// The data directory.
        path: PathBuf,
    },
    /// No such thing.
    #[error("no {what} named '{name}'")]
    NotFound {
        /// `subscriber`, `clip`, `message`, `call`, `notice`, `operator`, `token`, `rule`, `contact`, ...
        what: &'static str,
        /// The name or id asked for.
        name: String,
    },
    /// A rule forbids it.
    #[error("{why}")]
    Refused {
        /// Why.
        why: String,
        /// What to do instead.
        fix: String,
    },
    /// It is not any more what who changes it has seen of it.
    #[error("it has been changed meanwhile")]
    Changed,
    /// Another process kept the write lock past our patience.
    #[error("the database is busy: another process has been writing for too long")]
    Busy,
    /// The disk is full. What was to be written is not there.
    #[error("the disk is full: nothing was written")]
    Full,
    /// The system failed to read, write or sync. What was to be written does not count as written.
    #[error("the disk failed: {0}")]
    Io(String),
    /// The database is damaged.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// Too many writes wait.
    #[error("too many writes wait")]
    QueueFull,
    /// The store has stopped.
    #[error("the store has stopped")]
    Stopped,
    /// Anything else SQLite said.
    #[error("the database refused: {0}")]
    Sql(String),
}

impl StoreError {
    /// A word for programs: `not_found`, `refused`, `other_version`, `disk_full`, ...
    pub fn code(&self) -> &'static str {
        match self {
            StoreError::OtherVersion { .. } => "other_version",
            StoreError::NotSegue { .. } => "not_segue",
            StoreError::Path { .. } => "unusable_path",
            StoreError::InUse { .. } => "in_use",
            StoreError::NotFound { .. } => "not_found",
            StoreError::Refused { .. } => "refused",
            StoreError::Changed => "changed",
            StoreError::Busy => "busy",
            StoreError::Full => "disk_full",
            StoreError::Io(_) => "disk_failed",
            StoreError::Corrupt(_) => "damaged",
            StoreError::QueueFull => "queue_full",
            StoreError::Stopped => "stopped",
            StoreError::Sql(_) => "database",
        }
    }

    /// What the operator can do about it.
    pub fn fix(&self) -> String {
        match self {
            StoreError::OtherVersion { path, found, .. } => format!(
                "use the Segue that wrote version {found}, or name another directory with --data; {} was left as it is",
                path.display()
            ),
            StoreError::NotSegue { path } => {
                format!("move {} away, or name another directory with --data", path.display())
            }
            StoreError::Path { path, .. } => {
                format!(
                    "make {} writable for this user, or name another directory with --data",
                    path.display()
                )
            }
            StoreError::InUse { .. } => "stop that server, or name another directory with --data".to_owned(),
            StoreError::NotFound { what, .. } => match *what {
                "clip" => "see 'segue clip list'; add one with 'segue clip add NAME FILE'".to_owned(),
                "subscriber" => {
                    "see 'segue subscriber list'; add one with 'segue subscriber add USER --target sip:USER@HOST'"
                        .to_owned()
                }
                "message" => "see 'segue message list USER'".to_owned(),
                "operator" => "see 'segue admin list'".to_owned(),
                "token" => "see 'segue token list'".to_owned(),
                "notice" => "see 'segue notice list'".to_owned(),
                "rule" => "see 'segue rule list USER'".to_owned(),
                "target" => "see 'segue subscriber show USER'".to_owned(),
                "trunk" => "see 'segue trunk list'; 'segue trunk add' makes one".to_owned(),
                "contact" | "contact group" => "see 'segue contact list USER'".to_owned(),
                _ => "see 'segue call list'".to_owned(),
            },
            StoreError::Refused { fix, .. } => fix.clone(),
            StoreError::Changed => "read it again, then change it".to_owned(),
            StoreError::Busy | StoreError::QueueFull => "try again; if it stays so, look for a hung process".to_owned(),
            StoreError::Full => "free space on the disk of the data directory, then try again".to_owned(),
            StoreError::Io(_) => {
                "check the disk (dmesg) and the permissions of the data directory, then try again".to_owned()
            }
            StoreError::Corrupt(_) => "stop the server, keep a copy of the data directory, restore a backup".to_owned(),
            StoreError::Stopped => "start the command again".to_owned(),
            StoreError::Sql(_) => "report this with the log".to_owned(),
        }
    }

    /// What is in the trash is not changed.
    pub(crate) fn in_trash(id: &str) -> StoreError {
        StoreError::Refused {
            why: format!("message {id} is in the trash"),
            fix: format!("bring it back first: 'segue message undelete {id}'"),
        }
    }

    /// Shorthand for [`StoreError::NotFound`].
    pub(crate) fn not_found(what: &'static str, name: &str) -> StoreError {
        StoreError::NotFound {
            what,
            name: name.to_owned(),
        }
    }
}

impl From<&rusqlite::Error> for StoreError {
    fn from(error: &rusqlite::Error) -> StoreError {
        use rusqlite::ErrorCode;
        let said = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
            Some(ErrorCode::DiskFull) => StoreError::Full,
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => StoreError::Io(said),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(said),
            _ => StoreError::Sql(said),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        StoreError::from(&error)
    }
}

impl From<rusqlite::types::FromSqlError> for StoreError {
    fn from(error: rusqlite::types::FromSqlError) -> StoreError {
        rusqlite::Error::from(error).into()
    }
}
