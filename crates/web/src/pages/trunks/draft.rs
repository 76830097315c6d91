//! A trunk as it is typed: each setting as one line of text.

use std::str::FromStr;

use segue_manage::{Refusal, TrunkChange, TrunkGiven, TrunkSettings, TrunkView, Typed};
use segue_policy::Trunk;
use serde_json::{Value, json};

use crate::{
    pages::field::{Pairs, listed, one},
    seen::tag_of,
};

/// Fields that most trunks need: name, label, what it means when it is empty.
pub(super) const FIRST: [(&str, &str, &str); 6] = [
    (
        "registrar",
        "Registrar",
        "sip:provider.example; empty: Segue does not register",
    ),
    (
        "servers",
        "Servers",
        "empty: the registrar; 192.0.2.1:5060, sip:sbc.example.com;transport=tls",
    ),
    ("user", "Our address there", "+4930765; empty: the user below"),
    (
        "main_number",
        "Main number",
        "+4930765; for callers without one of their own",
    ),
    (
        "allow",
        "Numbers it takes",
        "+49*, +43*; empty: all that a profile sends by its name",
    ),
    ("digest_user", "User for credentials", "empty: none, and no password"),
];

/// Those that few need.
pub(super) const MORE: [(&str, &str, &str); 10] = [
    ("deny", "Numbers it does not take", "+49900*"),
    ("strip", "Dialled for a line", "9"),
    ("add", "Put before each number", "1010"),
    ("calls_max", "Calls at once", "0: any number"),
    (
        "digest_realm",
        "Realm of the credentials",
        "empty: the first that the registrar names",
    ),
    ("domain", "Domain of our address", "empty: the registrar's"),
    ("contact_user", "User of our Contact", "empty: one that nobody guesses"),
    ("expires_s", "A registration lasts, seconds", "3600"),
    ("ping_ms", "Asked by OPTIONS every, ms", "30000; 0: never"),
    ("digest_over", "Credentials go over", "any; tls"),
];

/// A choice: its name, its label, its values with words for them.
type Choice = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Choices among those that few need.
pub(super) const CHOICES: [Choice; 5] = [
    (
        "register",
        "Registers with it",
        &[("", "where a registrar is named"), ("yes", "yes"), ("no", "no")],
    ),
    ("emergency", "Takes emergency calls", &[("", "no"), ("yes", "yes")]),
    (
        "number_format",
        "Wants numbers",
        &[
            ("as_dialled", "as they are dialled"),
            ("e164", "+4930123"),
            ("plain", "4930123"),
            ("national", "030123, 0044…"),
            ("international", "004930123"),
        ],
    ),
    (
        "identity",
        "Who calls is said",
        &[
            ("auto", "as is usual: in From where it registers"),
            ("from", "in From"),
            ("preferred", "in P-Preferred-Identity, the account in From"),
            ("account", "by the account alone"),
            ("untouched", "as the caller's phone says it"),
        ],
    ),
    (
        "callee",
        "Whom its calls are for",
        &[
            ("auto", "is found by itself"),
            ("request-uri", "stands in the Request-URI"),
            ("to", "stands in To"),
            ("p-called-party-id", "stands in P-Called-Party-ID"),
        ],
    ),
];

/// A trunk as it is typed.
#[derive(Default)]
pub(super) struct Draft {
    /// It is there already, and known by this; empty: it is new.
    pub(super) seen: String,
    pub(super) name: String,
    pub(super) has_password: bool,
    values: Pairs,
}

fn names() -> impl Iterator<Item = &'static str> {
    let lines = FIRST.iter().chain(&MORE).map(|(name, ..)| *name);
    lines.chain(CHOICES.iter().map(|(name, ..)| *name)).chain(["profile"])
}

impl Draft {
    pub(super) fn of(view: &TrunkView) -> Draft {
        let value = |name: &str| view.settings.get(name).unwrap_or(&Value::Null);
        let has_registrar = value("registrar") != "";
        // Where the registrar is the server as well, that is not said twice.
        let is_only_server = match value("servers").as_array().map(Vec::as_slice) {
            Some([one]) => has_registrar && one == &json!({ "uri": value("registrar"), "order": 0, "weight": 0 }),
            _ => false,
        };
        let line = |name: &'static str| match name {
            "servers" if is_only_server => String::new(),
            "register" if value(name) == has_registrar => String::new(),
            "register" => if value(name) == true { "yes" } else { "no" }.to_owned(),
            "emergency" => if value(name) == true { "yes" } else { "" }.to_owned(),
            name => written(value(name)),
        };
        Draft {
            seen: tag_of(view),
            name: view.name.clone(),
            has_password: view.has_password,
            values: names().map(|name| (name.to_owned(), line(name))).collect(),
        }
    }

    pub(super) fn typed(form: &Pairs) -> Draft {
        Draft {
            seen: one(form, "seen").to_owned(),
            name: one(form, "name").to_owned(),
            has_password: !one(form, "seen").is_empty(),
            values: names()
                .map(|name| (name.to_owned(), one(form, name).to_owned()))
                .collect(),
        }
    }

    pub(super) fn get(&self, name: &str) -> &str {
        let value = one(&self.values, name);
        match (name, value) {
            ("number_format", "") => "as_dialled",
            ("identity" | "callee", "") => "auto",
            _ => value,
        }
    }

    pub(super) fn given(&self, form: &Pairs) -> Result<TrunkGiven, Refusal> {
        Ok(TrunkGiven {
            name: self.name.clone(),
            password: password(form),
            settings: self.settings()?,
        })
    }

    pub(super) fn change(&self, form: &Pairs) -> Result<TrunkChange, Refusal> {
        Ok(TrunkChange {
            password: password(form),
            settings: self.settings()?,
        })
    }

    /// All that the form has; what it has not stays.
    fn settings(&self) -> Result<TrunkSettings, Refusal> {
        let default = Trunk::default();
        let text = |name: &str| Some(self.get(name).to_owned());
        let all = |name: &str| Some(listed(self.get(name), ','));
        let servers = listed(self.get("servers"), ',')
            .iter()
            .map(|text| server(text))
            .collect();
        let register = match self.get("register") {
            "yes" => true,
            "no" => false,
            _ => !self.get("registrar").is_empty(),
        };
        Ok(TrunkSettings {
            servers: Some(servers),
            registrar: text("registrar"),
            register: Some(register),
            user: text("user"),
            domain: text("domain"),
            contact_user: text("contact_user"),
            expires_s: Some(self.number("expires_s", default.expires_s)?),
            ping_ms: Some(self.number("ping_ms", default.ping_ms)?),
            calls_max: Some(self.number("calls_max", default.calls_max)?),
            profile: text("profile"),
            callee: text("callee"),
            identity: text("identity"),
            main_number: text("main_number"),
            allow: all("allow"),
            deny: all("deny"),
            strip: text("strip"),
            number_format: text("number_format"),
            add: text("add"),
            emergency: Some(self.get("emergency") == "yes"),
            digest_user: text("digest_user"),
            digest_realm: text("digest_realm"),
            digest_over: text("digest_over").filter(|over| !over.is_empty()),
            ..TrunkSettings::default()
        })
    }

    fn number<T: FromStr>(&self, field: &'static str, empty: T) -> Result<T, Refusal> {
        match self.get(field) {
            "" => Ok(empty),
            text => text.parse().map_err(|_| Refusal::Invalid {
                field,
                why: format!("{text:?} is no whole number"),
            }),
        }
    }
}

/// Empty: as it is.
fn password(form: &Pairs) -> Option<Typed> {
    let typed = one(form, "password");
    (!typed.is_empty()).then(|| Typed(typed.to_owned()))
}

/// A setting as one line.
fn written(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(written).collect::<Vec<_>>().join(", "),
        // A server: with order and weight where it has any.
        Value::Object(server) => {
            let number = |name: &str| server.get(name).and_then(Value::as_u64).unwrap_or_default();
            let uri = server.get("uri").and_then(Value::as_str).unwrap_or_default();
            match (number("order"), number("weight")) {
                (0, 0) => uri.to_owned(),
                (order, weight) => format!("{uri} {order} {weight}"),
            }
        }
        other => other.to_string(),
    }
}

/// `URI` or `URI ORDER WEIGHT`; what is neither is refused as a URI.
fn server(text: &str) -> Value {
    let words: Vec<&str> = text.split_whitespace().collect();
    if let [uri, order, weight] = words.as_slice()
        && let (Ok(order), Ok(weight)) = (order.parse::<u16>(), weight.parse::<u16>())
    {
        return json!({ "uri": uri, "order": order, "weight": weight });
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_trunk_is_read_as_the_same() {
        let trunk: Trunk = toml_like();
        let mut settings = serde_json::to_value(&trunk).unwrap();
        let members = settings.as_object_mut().unwrap();
        members.remove("name");
        members.remove("digest_secret");
        let view = TrunkView {
            name: trunk.name.clone(),
            settings: settings.clone(),
            has_password: true,
        };
        let read = serde_json::to_value(Draft::of(&view).settings().unwrap()).unwrap();
        for (key, value) in read.as_object().unwrap() {
            let said = match key.as_str() {
                "servers" => json!([
                    "sip:192.0.2.1",
                    { "uri": "sip:b.example;transport=tls", "order": 1, "weight": 60 }
                ]),
                key => settings[key].clone(),
            };
            assert_eq!(*value, said, "{key}");
        }
        let left: Vec<&String> = settings
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| read.get(key).is_none())
            .collect();
        assert_eq!(
            left,
            ["digest_algorithms", "ping_down", "ping_up"],
            "what the form has not"
        );
    }

    fn toml_like() -> Trunk {
        serde_json::from_value(json!({
            "name": "main", "servers": ["192.0.2.1", { "uri": "sip:b.example;transport=tls", "order": 1, "weight": 60 }],
            "ping_ms": 5000, "calls_max": 4, "register": false, "registrar": "sip:r.example", "user": "+4930765",
            "domain": "d.example", "contact_user": "us", "expires_s": 600, "profile": "office", "callee": "to",
            "identity": "account", "main_number": "+4930765", "allow": ["+49*", "+43*"], "deny": ["+49900*"], "strip": "9",
            "number_format": "plain", "add": "1010", "emergency": true, "digest_user": "u", "digest_realm": "r",
            "digest_secret": "s", "digest_over": "tls",
        }))
        .unwrap()
    }

    #[test]
    fn a_registrar_that_is_the_server_as_well_is_said_once() {
        let settings = json!({
            "registrar": "sip:r.example", "register": true,
            "servers": [{ "uri": "sip:r.example", "order": 0, "weight": 0 }],
        });
        let view = TrunkView {
            name: "main".to_owned(),
            settings,
            has_password: false,
        };
        let draft = Draft::of(&view);
        assert_eq!((draft.get("servers"), draft.get("register")), ("", ""));
        assert_eq!(draft.settings().unwrap().register, Some(true));
    }
}
