//! What is set of a trunk, by the keys that `segue.toml` has for it, and by the same rules.

use segue_policy::{TRUNK_KEYS, Trunk, TrunkError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::Refusal;

/// Settings of a trunk: those that are to be another (docs/trunks.md says what each is).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrunkSettings {
    /// Where calls go, 1 to 16: each an address, host or SIP URI, or `{"uri", "order", "weight"}`. Without any it is the registrar.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Value>>)]
    pub servers: Option<Vec<Value>>,
    /// How often its servers are asked by OPTIONS, milliseconds; 0: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping_ms: Option<u64>,
    /// Answers in a row that bring a server back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping_up: Option<u32>,
    /// Pings in a row without an answer after which a server is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping_down: Option<u32>,
    /// Calls that go out by it at once; 0: any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_max: Option<u32>,
    /// Whether Segue registers with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub register: Option<bool>,
    /// The SIP URI that REGISTER names; empty: that of the first server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registrar: Option<String>,
    /// The user of our address there; empty: `digest_user`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The domain of our address there and of whom we call by it; empty: the registrar's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The user of our Contact; empty: one that nobody guesses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact_user: Option<String>,
    /// How long a registration is to last, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_s: Option<u32>,
    /// The profile that holds for calls from it; empty: as `sources` say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Where calls from it say whom they are for: `auto`, `request-uri`, `to`, `p-called-party-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callee: Option<String>,
    /// Where calls by it say who calls: `auto`, `untouched`, `from`, `preferred`, `account`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The number, in E.164, of callers without one of their own; empty: the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub main_number: Option<String>,
    /// Numbers that it takes; empty: all, where a profile names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
    /// Numbers that it does not take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<String>>,
    /// What is dialled for a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strip: Option<String>,
    /// How it wants numbers: `as_dialled`, `e164`, `plain`, `national`, `international`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_format: Option<String>,
    /// What it wants before each number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add: Option<String>,
    /// Whether it takes emergency calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emergency: Option<bool>,
    /// Who we are where its servers ask for credentials; empty: nobody, and the password goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest_user: Option<String>,
    /// The realm of these credentials; empty with `register`: the first that the registrar names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest_realm: Option<String>,
    /// `SHA-256`, `SHA-512-256`, `MD5`, the preferred one first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest_algorithms: Option<Vec<String>>,
    /// Where they may be sent: `any` or `tls`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest_over: Option<String>,
}

impl TrunkSettings {
    /// Whether we are nobody there any more.
    pub(crate) fn forgets_user(&self) -> bool {
        self.digest_user.as_deref() == Some("")
    }

    /// The trunk with these settings. Error: [`Refusal::Invalid`] with the key, and what it wants.
    pub(crate) fn apply(&self, trunk: &Trunk, secret: &str) -> Result<Trunk, Refusal> {
        let mut all = members(trunk)?;
        // A registrar that is the only server stays that when it is another.
        let is_only_server = trunk
            .servers
            .iter()
            .all(|server| Some(&server.uri) == trunk.registrar.as_ref());
        if self.registrar.is_some() && is_only_server {
            all.insert("servers".to_owned(), Value::Array(Vec::new()));
        }
        all.extend(members(self)?);
        all.insert("digest_secret".to_owned(), secret.into());
        // One key after the other: whoever reads all at once cannot say which is wrong.
        for (key, value) in &all {
            let alone = Map::from_iter([(key.clone(), value.clone())]);
            serde_json::from_value::<Trunk>(Value::Object(alone)).map_err(|why| wrong(key, why.to_string()))?;
        }
        let trunk: Trunk = serde_json::from_value(Value::Object(all)).map_err(|why| wrong("", why.to_string()))?;
        let trunk = trunk.completed();
        trunk.check().map_err(|error| wrong(error.key, sentence(&error)))?;
        Ok(trunk)
    }
}

fn members(of: &impl Serialize) -> Result<Map<String, Value>, Refusal> {
    match serde_json::to_value(of) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Ok(Map::new()),
        Err(why) => Err(Refusal::System(why.to_string())),
    }
}

/// What follows a key in the configuration as something that stands for itself.
fn sentence(error: &TrunkError) -> String {
    match error.why.strip_prefix("= ") {
        Some(value) => format!("it is {value}"),
        None => format!("it {}", error.why),
    }
}

/// Which key is wrong, why, and what it wants.
pub(crate) fn wrong(key: &str, why: String) -> Refusal {
    if matches!(key, "digest_secret" | "password") {
        return Refusal::invalid(
            "password",
            format!("{why}; give a password and digest_user, or neither"),
        );
    }
    match TRUNK_KEYS.iter().find(|(name, _)| *name == key) {
        Some((name, wants)) => Refusal::invalid(name, format!("{why}; give {wants}")),
        None => Refusal::invalid("settings", why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> TrunkSettings {
        serde_json::from_str(json).unwrap()
    }

    fn named() -> Trunk {
        Trunk {
            name: "main".to_owned(),
            ..Trunk::default()
        }
    }

    #[test]
    fn every_key_of_a_trunk_can_be_set_but_its_name_and_its_secret() {
        let mut all = Map::new();
        for (key, _) in TRUNK_KEYS
            .iter()
            .filter(|(key, _)| !["name", "digest_secret"].contains(key))
        {
            let value = members(&Trunk::default()).unwrap().remove(*key).unwrap();
            all.insert((*key).to_owned(), value);
        }
        let read: TrunkSettings = serde_json::from_value(Value::Object(all.clone())).unwrap();
        assert_eq!(members(&read).unwrap(), all, "none is forgotten here");
        for other in ["name", "digest_secret", "severs"] {
            assert!(serde_json::from_str::<TrunkSettings>(&format!("{{\"{other}\": \"x\"}}")).is_err());
        }
    }

    #[test]
    fn what_is_not_named_stays_and_a_registrar_that_is_the_only_server_stays_that() {
        let one = settings(r#"{"registrar": "sip:a.example", "calls_max": 3}"#)
            .apply(&named(), "")
            .unwrap();
        assert_eq!((one.servers.len(), one.calls_max), (1, 3));
        let two = settings(r#"{"registrar": "sip:b.example"}"#).apply(&one, "").unwrap();
        assert_eq!((two.servers[0].uri.uri(), two.calls_max), ("sip:b.example", 3));
        let own = settings(r#"{"servers": ["192.0.2.1"]}"#).apply(&two, "").unwrap();
        let moved = settings(r#"{"registrar": "sip:c.example"}"#).apply(&own, "").unwrap();
        assert_eq!(
            moved.servers[0].uri.uri(),
            "sip:192.0.2.1",
            "who has servers keeps them"
        );
    }

    #[test]
    fn what_makes_no_sense_is_told_by_its_key() {
        for (json, field) in [
            ("{}", "servers"),
            (r#"{"servers": [7]}"#, "servers"),
            (r#"{"servers": ["a"], "ping_ms": 5}"#, "ping_ms"),
            (r#"{"servers": ["a"], "allow": ["+49x"]}"#, "allow"),
            (r#"{"servers": ["a"], "callee": "from"}"#, "callee"),
            (
                r#"{"servers": ["a"], "digest_user": "u", "digest_realm": "r"}"#,
                "password",
            ),
        ] {
            let Refusal::Invalid { field: said, why } = settings(json).apply(&named(), "").unwrap_err() else {
                panic!("{json}")
            };
            assert_eq!(said, field, "{json}: {why}");
            assert!(why.contains("; give "), "{why}");
        }
    }
}
