//! The profiles that calls meet now, and what became of reading them again.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// The profiles in force, in the order in which they are asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct ProfilesShown {
    /// Since when, RFC 3339.
    pub since: String,
    /// Each.
    pub profiles: Vec<ProfileShown>,
}

/// A profile with each of its keys.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ProfileShown {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Every key there is.
    pub keys: Vec<KeyShown>,
}

/// A key of a profile.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct KeyShown {
    /// Its name (docs/profiles.md).
    pub key: String,
    /// What holds.
    pub value: Value,
    /// What holds where nothing is said.
    pub default: Value,
    /// Where it is said, `file:line:column`; `null`: nowhere.
    pub at: Option<String>,
    /// What it wants.
    pub wants: String,
}

/// What became of reading configuration and profiles again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reloaded {
    /// It holds for calls that begin from now on; `false`: what was read before goes on.
    pub taken: bool,
    /// Why not: file, line, key and what to do.
    pub refused: Option<String>,
    /// What has changed, one sentence each.
    pub changed: Vec<String>,
    /// Keys that have changed and hold only after a restart.
    pub waiting: Vec<String>,
    /// What works, and hardly as it is meant.
    pub warnings: Vec<String>,
}
