//! What a token may.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

/// One thing that may be done. Writing includes reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// See and play messages.
    MessagesRead,
    /// Mark, pin, delete them.
    MessagesWrite,
    /// See what subscribers have set: their facts, rules, clips, retention.
    SettingsRead,
    /// Change it.
    SettingsWrite,
    /// See calls and their records.
    CallsRead,
    /// End calls.
    CallsWrite,
    /// See trunks, registrations, profiles, notices, the audit.
    SystemRead,
    /// Change them.
    SystemWrite,
}

impl Scope {
    /// All of them.
    pub const ALL: [Scope; 8] = [
        Scope::MessagesRead,
        Scope::MessagesWrite,
        Scope::SettingsRead,
        Scope::SettingsWrite,
        Scope::CallsRead,
        Scope::CallsWrite,
        Scope::SystemRead,
        Scope::SystemWrite,
    ];

    /// E.g. `messages:read`.
    pub fn name(self) -> &'static str {
        match self {
            Scope::MessagesRead => "messages:read",
            Scope::MessagesWrite => "messages:write",
            Scope::SettingsRead => "settings:read",
            Scope::SettingsWrite => "settings:write",
            Scope::CallsRead => "calls:read",
            Scope::CallsWrite => "calls:write",
            Scope::SystemRead => "system:read",
            Scope::SystemWrite => "system:write",
        }
    }

    /// What is an operator's alone, whatever a token says.
    pub fn is_operators(self) -> bool {
        self >= Scope::CallsRead
    }

    fn includes(self, other: Scope) -> bool {
        self == other
            || matches!(
                (self, other),
                (Scope::MessagesWrite, Scope::MessagesRead)
                    | (Scope::SettingsWrite, Scope::SettingsRead)
                    | (Scope::CallsWrite, Scope::CallsRead)
                    | (Scope::SystemWrite, Scope::SystemRead)
            )
    }
}

/// Several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Everything.
    pub fn all() -> Scopes {
        Scopes(Scope::ALL.to_vec())
    }

    /// These.
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Scopes {
        let mut scopes: Vec<Scope> = scopes.into_iter().collect();
        scopes.sort();
        scopes.dedup();
        Scopes(scopes)
    }

    /// Whether this may be done.
    pub fn has(&self, scope: Scope) -> bool {
        self.0.iter().any(|held| held.includes(scope))
    }

    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = Scope> + '_ {
        self.0.iter().copied()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|scope| scope.name()).collect();
        f.write_str(&names.join(" "))
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|scope| scope.name()))
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(name: &str) -> Result<Scope, String> {
        Scope::ALL
            .into_iter()
            .find(|scope| scope.name() == name)
            .ok_or_else(|| format!("a scope is one of {}", Scopes::all()))
    }
}

/// Words with a space between.
impl FromStr for Scopes {
    type Err = String;

    fn from_str(words: &str) -> Result<Scopes, String> {
        let scopes: Result<Vec<Scope>, String> = words.split_whitespace().map(str::parse).collect();
        scopes.map(Scopes::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_includes_reading_and_nothing_else() {
        let scopes: Scopes = "messages:write settings:read".parse().unwrap();
        let held: Vec<&str> = Scope::ALL
            .into_iter()
            .filter(|s| scopes.has(*s))
            .map(Scope::name)
            .collect();
        assert_eq!(held, ["messages:read", "messages:write", "settings:read"]);
        assert_eq!(scopes.to_string().parse(), Ok(scopes));
        assert!("messages:all".parse::<Scopes>().is_err());
    }
}
