//! The options of `segue trunk add` and `set`: the keys of a trunk as `segue.toml` has them, by the same names and rules.

use std::path::PathBuf;

use clap::Args;
use segue_manage::{Refusal, TrunkSettings, Typed};
use serde_json::Value;

use crate::{
    cli::value::{DurationMs, OnOff},
    failure::Failure,
    passwords,
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
    password_file: Option<PathBuf>,
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
    /// The password and the settings that these change. Error: the file is not what it should be.
    pub fn given(&self) -> Result<(Option<Typed>, TrunkSettings), Failure> {
        let password = match &self.password_file {
            None => None,
            Some(file) if file.as_os_str() == NONE => Some(Typed(String::new())),
            Some(file) => Some(Typed(passwords::secret_line("--password-file", file)?)),
        };
        // It is the server as well, and registered with, where nothing else is said.
        let registers = self.registrar.as_deref().map(|uri| uri != NONE);
        let on = |value: Option<OnOff>| value.map(|value| value == OnOff::On);
        let seconds = |time: DurationMs| u32::try_from(time.0 / 1_000).unwrap_or(u32::MAX);
        let settings = TrunkSettings {
            servers: listed(&self.address).map(|all| all.into_iter().map(Value::String).collect()),
            registrar: or_default(self.registrar.as_ref(), ""),
            register: on(self.register).or(registers),
            digest_user: or_default(self.user.as_ref(), ""),
            digest_realm: or_default(self.realm.as_ref(), ""),
            user: or_default(self.account.as_ref(), ""),
            domain: or_default(self.domain.as_ref(), ""),
            contact_user: or_default(self.contact_user.as_ref(), ""),
            expires_s: self.expires.map(seconds),
            profile: or_default(self.profile.as_ref(), ""),
            callee: or_default(self.callee.as_ref(), "auto"),
            identity: or_default(self.identity.as_ref(), "auto"),
            main_number: or_default(self.main_number.as_ref(), ""),
            allow: listed(&self.allow),
            deny: listed(&self.deny),
            strip: or_default(self.strip.as_ref(), ""),
            number_format: or_default(self.number_format.as_ref(), "as_dialled"),
            add: or_default(self.add.as_ref(), ""),
            emergency: on(self.emergency),
            calls_max: self.calls_max,
            ping_ms: self.ping.map(|time| time.0),
            ..TrunkSettings::default()
        };
        Ok((password, settings))
    }
}

/// `none` is what holds where nothing is said.
fn or_default(value: Option<&String>, default: &str) -> Option<String> {
    let word = |value: &String| if value == NONE { default } else { value }.to_owned();
    value.map(word)
}

fn listed(all: &[String]) -> Option<Vec<String>> {
    match all {
        [] => None,
        [one] if one == NONE => Some(Vec::new()),
        all => Some(all.to_vec()),
    }
}

/// What was refused, by the option that says it.
pub fn refused(refusal: Refusal) -> Failure {
    let Refusal::Invalid { field, why } = refusal else {
        return refusal.into();
    };
    let option = match field {
        "servers" => "address",
        "digest_user" => "user",
        "digest_realm" => "realm",
        "password" => "password-file",
        "user" => "account",
        "expires_s" => "expires",
        "ping_ms" => "ping",
        key => key,
    };
    let option = match option {
        "name" => "NAME".to_owned(),
        option => format!("--{}", option.replace('_', "-")),
    };
    let (why, fix) = match (why.split_once("; give "), why.split_once("; ")) {
        (Some((why, wants)), _) => (why, format!("give {wants}")),
        (None, Some((why, fix))) => (why, fix.to_owned()),
        (None, None) => (why.as_str(), "see docs/trunks.md".to_owned()),
    };
    Failure::refused("bad_trunk", format!("{option}: {why}"), fix)
}
