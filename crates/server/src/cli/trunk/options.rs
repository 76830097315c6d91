//! The options of `segue trunk add` and `set`: the keys of a trunk as `segue.toml` has them, by the same names and rules.

use std::path::PathBuf;

use clap::Args;
use segue_policy::{TRUNK_KEYS, Trunk};
use toml::{Table, Value};

use crate::{
    cli::value::{DurationMs, OnOff},
    failure::Failure,
};

/// What each key takes when it is taken back.
const NONE: &str = "none";

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Options {
    /// The provider's registrar, e.g. sip:provider.example: Segue registers there, and calls go there unless --address says else
    #[arg(long, value_name = "URI")]
    registrar: Option<String>,
    /// A server where calls go, e.g. 192.0.2.1:5060 or sip:sbc.example.com;transport=tls; again for each further one, all of them
    #[arg(long, value_name = "SERVER")]
    address: Vec<String>,
    /// Whether Segue registers there [default: on with --registrar]
    #[arg(long, value_name = "ON|OFF", value_enum)]
    register: Option<OnOff>,
    /// Who we are where it asks for credentials, and in our address there unless --account says else
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// A file (mode 600) with the password alone; '-': the standard input; 'none': no credentials
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// The realm of these credentials [default: the first that the registrar names]
    #[arg(long, value_name = "REALM")]
    realm: Option<String>,
    /// The user of our address there, e.g. +4930765
    #[arg(long, value_name = "USER")]
    account: Option<String>,
    /// The domain of our address there, and of whom we call by it [default: the registrar's]
    #[arg(long, value_name = "HOST")]
    domain: Option<String>,
    /// The user of our Contact, where the provider wants a certain one
    #[arg(long, value_name = "USER")]
    contact_user: Option<String>,
    /// How long a registration is to last
    #[arg(long, value_name = "DURATION")]
    expires: Option<DurationMs>,
    /// The profile that holds for calls from it
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Where calls from it say whom they are for: auto, request-uri, to, p-called-party-id
    #[arg(long, value_name = "WHERE")]
    callee: Option<String>,
    /// Where calls by it say who calls: auto, untouched, from, preferred, account
    #[arg(long, value_name = "WHERE")]
    identity: Option<String>,
    /// The number of callers without one of their own, in E.164
    #[arg(long, value_name = "NUMBER")]
    main_number: Option<String>,
    /// Numbers that it takes, e.g. '+49*'; again for each further ones, all of them; 'none': all that a profile sends by its name
    #[arg(long, value_name = "NUMBERS")]
    allow: Vec<String>,
    /// Numbers that it does not take; again for each further ones, all of them; 'none' for none
    #[arg(long, value_name = "NUMBERS")]
    deny: Vec<String>,
    /// What is dialled for a line, e.g. 9
    #[arg(long, value_name = "DIGITS")]
    strip: Option<String>,
    /// How it wants numbers: as_dialled, e164, plain, national, international
    #[arg(long, value_name = "FORMAT")]
    number_format: Option<String>,
    /// What it wants before each number
    #[arg(long, value_name = "DIGITS")]
    add: Option<String>,
    /// Whether it takes emergency calls
    #[arg(long, value_name = "ON|OFF", value_enum)]
    emergency: Option<OnOff>,
    /// Calls that go out by it at once; 0: any number
    #[arg(long, value_name = "N")]
    calls_max: Option<u32>,
    /// How often its servers are asked whether they live; 0s: never
    #[arg(long, value_name = "DURATION")]
    ping: Option<DurationMs>,
}

impl Options {
    /// The trunk with these changes.
    ///
    /// # Errors
    /// A value makes no sense: its option, and what it wants.
    pub fn apply(&self, trunk: &Trunk) -> Result<Trunk, Failure> {
        let broken = |why: String| Failure::refused("bad_trunk", why, "see docs/trunks.md");
        let mut table = Table::try_from(trunk).map_err(|e| broken(e.to_string()))?;
        let defaults = Table::try_from(Trunk::default()).map_err(|e| broken(e.to_string()))?;
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                let cleared = value.as_str() == Some(NONE) || value.as_array().is_some_and(|all| is_none(all));
                let value = match (cleared, defaults.get(key)) {
                    (true, Some(default)) => default.clone(),
                    _ => value,
                };
                table.insert(key.to_owned(), value);
            }
        };
        let text = |value: &Option<String>| value.clone().map(Value::String);
        let list = |all: &[String]| {
            let all: Vec<Value> = all.iter().cloned().map(Value::String).collect();
            (!all.is_empty()).then_some(Value::Array(all))
        };
        let number = |value: u64| Value::Integer(i64::try_from(value).unwrap_or(i64::MAX));
        let yes = |value: Option<OnOff>| value.map(|value| Value::Boolean(value == OnOff::On));
        // It is the only server, unless others are named.
        if self.registrar.is_some() && self.address.is_empty() && !trunk.servers.is_empty() {
            let old = trunk.registrar.as_ref();
            let is_registrar = trunk.servers.iter().all(|server| Some(&server.uri) == old);
            if is_registrar {
                table_servers(&mut set);
            }
        }
        set("servers", list(&self.address));
        set("registrar", text(&self.registrar));
        let registers = self.registrar.as_deref().map(|uri| Value::Boolean(uri != NONE));
        set("register", yes(self.register).or(registers));
        set("digest_user", text(&self.user));
        set("digest_realm", text(&self.realm));
        set("user", text(&self.account));
        set("domain", text(&self.domain));
        set("contact_user", text(&self.contact_user));
        set("expires_s", self.expires.map(|time| number(time.0 / 1_000)));
        set("profile", text(&self.profile));
        set("callee", text(&self.callee));
        set("identity", text(&self.identity));
        set("main_number", text(&self.main_number));
        set("allow", list(&self.allow));
        set("deny", list(&self.deny));
        set("strip", text(&self.strip));
        set("number_format", text(&self.number_format));
        set("add", text(&self.add));
        set("emergency", yes(self.emergency));
        set("calls_max", self.calls_max.map(|calls| number(calls.into())));
        set("ping_ms", self.ping.map(|time| number(time.0)));
        if let Some(file) = &self.password_file {
            let secret = match file.as_os_str() == NONE {
                true => "",
                false => crate::kept_trunks::SEALED,
            };
            set("digest_secret", Some(Value::String(secret.to_owned())));
        }
        read(table)
    }

    /// Whether the password is to be forgotten.
    pub fn forgets_password(&self) -> bool {
        self.password_file.as_ref().is_some_and(|file| file.as_os_str() == NONE)
    }
}

fn table_servers(set: &mut impl FnMut(&str, Option<Value>)) {
    set("servers", Some(Value::Array(vec![Value::String(NONE.to_owned())])));
}

fn is_none(all: &[Value]) -> bool {
    matches!(all, [one] if one.as_str() == Some(NONE))
}

fn read(table: Table) -> Result<Trunk, Failure> {
    // One key after the other: whoever reads all at once cannot say which is wrong.
    for (key, value) in &table {
        let alone = Table::from_iter([(key.clone(), value.clone())]);
        alone.try_into::<Trunk>().map_err(|e| wrong(key, e.message().trim()))?;
    }
    let trunk: Trunk = table.try_into().map_err(|e: toml::de::Error| wrong("", e.message()))?;
    let trunk = trunk.completed();
    trunk.check().map_err(|e| wrong(e.key, &e.why))?;
    Ok(trunk)
}

fn wrong(key: &str, why: &str) -> Failure {
    let option = match key {
        "servers" => "address",
        "digest_user" => "user",
        "digest_realm" => "realm",
        "digest_secret" => "password-file",
        "user" => "account",
        "expires_s" => "expires",
        "ping_ms" => "ping",
        key => key,
    };
    let option = option.replace('_', "-");
    let wants = TRUNK_KEYS
        .iter()
        .find(|(name, _)| *name == key)
        .map(|(_, wants)| *wants);
    Failure::refused(
        "bad_trunk",
        format!("--{option}: {why}"),
        format!("give {}", wants.unwrap_or("what docs/trunks.md says")),
    )
}
