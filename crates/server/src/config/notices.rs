//! `[mail]`, `[webhook]` and `[notice]`: how subscribers are told.

use std::{net::IpAddr, path::Path, time::Duration};

use ipnet::IpNet;
use segue_policy::{Language, check_webhook};
use serde_json::json;

use super::{keys::Key, value::Raw};
use crate::cli::value::{Bytes, DurationMs};

/// Most networks that webhooks may be in beside the public ones.
const ALLOW_MAX: usize = 50;

/// The keys of these tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notices {
    /// The mail server; `None`: no mail.
    pub mail_server: Option<String>,
    /// Its port; `None`: the usual one.
    pub mail_port: Option<u16>,
    /// How the connection is protected.
    pub mail_tls: MailProtection,
    /// Who we are there.
    pub mail_user: Option<String>,
    /// The file of the password, or `env:NAME`.
    pub mail_password_file: Option<String>,
    /// Who sends.
    pub mail_from: Option<String>,
    /// The largest message attached, bytes.
    pub mail_attach_max: u64,
    /// The webhook of those who name none.
    pub webhook_url: Option<String>,
    /// The file of the secrets, or `env:NAME`; `None`: no webhooks.
    pub webhook_secret_file: Option<String>,
    /// Networks that are not public, and webhooks may be in.
    pub webhook_allow: Vec<IpNet>,
    /// How long a notice is tried.
    pub give_up: Duration,
    /// The language of those who chose none.
    pub language: Language,
    /// Where a message is seen.
    pub link: Option<String>,
    /// PEM file of the roots of mail servers and webhooks.
    pub tls_ca: Option<String>,
}

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailProtection {
    /// By STARTTLS.
    Starttls,
    /// By TLS from the first byte.
    Tls,
    /// Not at all, on this machine.
    None,
    /// Not at all, wherever the server is.
    NoneAnywhere,
}

impl MailProtection {
    const ALL: [MailProtection; 4] = [
        MailProtection::Starttls,
        MailProtection::Tls,
        MailProtection::None,
        MailProtection::NoneAnywhere,
    ];

    fn name(self) -> &'static str {
        match self {
            MailProtection::Starttls => "starttls",
            MailProtection::Tls => "tls",
            MailProtection::None => "none",
            MailProtection::NoneAnywhere => "none-anywhere",
        }
    }

    /// The port where none is named (RFC 6409 §3.1, RFC 8314 §3.3, RFC 5321 §4.5.4.2).
    pub fn port(self) -> u16 {
        match self {
            MailProtection::Starttls => 587,
            MailProtection::Tls => 465,
            MailProtection::None | MailProtection::NoneAnywhere => 25,
        }
    }
}

impl Default for Notices {
    fn default() -> Notices {
        Notices {
            mail_server: None,
            mail_port: None,
            mail_tls: MailProtection::Starttls,
            mail_user: None,
            mail_password_file: None,
            mail_from: None,
            mail_attach_max: 10_000_000,
            webhook_url: None,
            webhook_secret_file: None,
            webhook_allow: Vec::new(),
            give_up: Duration::from_secs(24 * 60 * 60),
            language: Language::En,
            link: None,
            tls_ca: None,
        }
    }
}

impl Notices {
    /// Paths are meant from where the configuration file stands.
    pub fn based(&mut self, base: &Path) {
        let all = [
            &mut self.mail_password_file,
            &mut self.webhook_secret_file,
            &mut self.tls_ca,
        ];
        for path in all.into_iter().flatten() {
            if !path.starts_with("env:") {
                *path = base.join(&*path).display().to_string();
            }
        }
    }
}

/// What the keys are called, and mean.
pub const KEYS: &[Key] = &[
    Key {
        name: "mail.server",
        meaning: "the name or address of the mail server that takes notices (SMTP submission); absent: there is no mail",
        live: Some(|c, new| c.notices.mail_server.clone_from(&new.notices.mail_server)),
        set: |c, raw| host(raw).map(|v| c.notices.mail_server = Some(v)),
        get: |c| json!(c.notices.mail_server),
    },
    Key {
        name: "mail.port",
        meaning: "its port; absent: 587 with starttls, 465 with tls, else 25",
        live: Some(|c, new| c.notices.mail_port = new.notices.mail_port),
        set: |c, raw| {
            let port = raw.number(1..=u16::MAX.into())?;
            c.notices.mail_port = u16::try_from(port).ok();
            Ok(())
        },
        get: |c| json!(c.notices.mail_port),
    },
    Key {
        name: "mail.tls",
        meaning: "how the connection to it is protected: \"starttls\", \"tls\" (from the first byte), \"none\" (on this machine alone) or \"none-anywhere\"",
        live: Some(|c, new| c.notices.mail_tls = new.notices.mail_tls),
        set: |c, raw| protection(raw).map(|v| c.notices.mail_tls = v),
        get: |c| json!(c.notices.mail_tls.name()),
    },
    Key {
        name: "mail.user",
        meaning: "who Segue is there; absent: nobody, it takes mail without a password",
        live: Some(|c, new| c.notices.mail_user.clone_from(&new.notices.mail_user)),
        set: |c, raw| raw.text().map(|v| c.notices.mail_user = Some(v.to_owned())),
        get: |c| json!(c.notices.mail_user),
    },
    Key {
        name: "mail.password_file",
        meaning: "the file with its password there alone, readable by its owner alone (chmod 600), or env:NAME",
        live: Some(|c, new| c.notices.mail_password_file.clone_from(&new.notices.mail_password_file)),
        set: |c, raw| raw.text().map(|v| c.notices.mail_password_file = Some(v.to_owned())),
        get: |c| json!(c.notices.mail_password_file),
    },
    Key {
        name: "mail.from",
        meaning: "who mail comes from, e.g. \"Segue <segue@example.com>\"",
        live: Some(|c, new| c.notices.mail_from.clone_from(&new.notices.mail_from)),
        set: |c, raw| raw.text().map(|v| c.notices.mail_from = Some(v.to_owned())),
        get: |c| json!(c.notices.mail_from),
    },
    Key {
        name: "mail.attach_max",
        meaning: "the largest message that is attached, at most \"25MB\"",
        live: Some(|c, new| c.notices.mail_attach_max = new.notices.mail_attach_max),
        set: |c, raw| attach_max(raw).map(|v| c.notices.mail_attach_max = v),
        get: |c| json!(c.notices.mail_attach_max),
    },
    Key {
        name: "webhook.url",
        meaning: "the webhook of subscribers who have none of their own; absent: they have none",
        live: Some(|c, new| c.notices.webhook_url.clone_from(&new.notices.webhook_url)),
        set: |c, raw| url(raw).map(|v| c.notices.webhook_url = Some(v)),
        get: |c| json!(c.notices.webhook_url),
    },
    Key {
        name: "webhook.secret_file",
        meaning: "the file with the secrets that webhooks are signed with, readable by its owner alone (chmod 600), or env:NAME; absent: there are no webhooks",
        live: Some(|c, new| {
            c.notices
                .webhook_secret_file
                .clone_from(&new.notices.webhook_secret_file)
        }),
        set: |c, raw| raw.text().map(|v| c.notices.webhook_secret_file = Some(v.to_owned())),
        get: |c| json!(c.notices.webhook_secret_file),
    },
    Key {
        name: "webhook.allow",
        meaning: "the networks that webhooks may be in beside the public ones, e.g. [\"10.1.2.0/24\"]",
        live: Some(|c, new| c.notices.webhook_allow.clone_from(&new.notices.webhook_allow)),
        set: |c, raw| raw.each(ALLOW_MAX, network).map(|v| c.notices.webhook_allow = v),
        get: |c| json!(c.notices.webhook_allow),
    },
    Key {
        name: "notice.give_up",
        meaning: "how long a notice is tried before it is a dead letter, e.g. \"24h\"",
        live: Some(|c, new| c.notices.give_up = new.notices.give_up),
        set: |c, raw| give_up(raw).map(|v| c.notices.give_up = v),
        get: |c| json!(DurationMs(u64::try_from(c.notices.give_up.as_millis()).unwrap_or(u64::MAX)).to_string()),
    },
    Key {
        name: "notice.language",
        meaning: "the language of notices for those who chose none: \"en\" or \"de\"",
        live: Some(|c, new| c.notices.language = new.notices.language),
        set: |c, raw| {
            let language: Language = raw
                .text()?
                .parse()
                .map_err(|_| "\"en\" or \"de\" is needed".to_owned())?;
            c.notices.language = language;
            Ok(())
        },
        get: |c| json!(c.notices.language),
    },
    Key {
        name: "notice.link",
        meaning: "where a message is seen, a URL with {id} for the message's, for mail and webhooks; absent: nowhere",
        live: Some(|c, new| c.notices.link.clone_from(&new.notices.link)),
        set: |c, raw| link(raw).map(|v| c.notices.link = Some(v)),
        get: |c| json!(c.notices.link),
    },
    Key {
        name: "notice.tls_ca",
        meaning: "the PEM file of the roots that certificates of mail servers and webhooks must come from; absent: the system's",
        live: Some(|c, new| c.notices.tls_ca.clone_from(&new.notices.tls_ca)),
        set: |c, raw| raw.text().map(|v| c.notices.tls_ca = Some(v.to_owned())),
        get: |c| json!(c.notices.tls_ca),
    },
];

fn host(raw: &Raw) -> Result<String, String> {
    let text = raw.text()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.:_".contains(c);
    match text.chars().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("a host name or an address is needed, e.g. \"mail.example.com\"".to_owned()),
    }
}

fn protection(raw: &Raw) -> Result<MailProtection, String> {
    let text = raw.text()?;
    let found = MailProtection::ALL.into_iter().find(|known| known.name() == text);
    found.ok_or_else(|| "\"starttls\", \"tls\", \"none\" or \"none-anywhere\" is needed".to_owned())
}

fn attach_max(raw: &Raw) -> Result<u64, String> {
    match raw.shown().parse()? {
        Bytes(bytes @ ..=25_000_000) => Ok(bytes),
        _ => Err("at most 25MB: few mail servers take more".to_owned()),
    }
}

fn url(raw: &Raw) -> Result<String, String> {
    let text = raw.text()?;
    check_webhook(text).map(|()| text.to_owned()).map_err(|e| e.to_string())
}

fn network(raw: &Raw) -> Result<IpNet, String> {
    let text = raw.text()?;
    let host = |_| text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>()
        .or_else(host)
        .map(|net| net.trunc())
        .map_err(|_| "an address or a network is needed, e.g. \"10.1.2.0/24\"".to_owned())
}

fn give_up(raw: &Raw) -> Result<Duration, String> {
    match raw.shown().parse()? {
        DurationMs(ms @ 60_000..=2_592_000_000) => Ok(Duration::from_millis(ms)),
        _ => Err("1m to 30d is needed".to_owned()),
    }
}

fn link(raw: &Raw) -> Result<String, String> {
    let text = raw.text()?;
    match check_webhook(&text.replace("{id}", "x")) {
        Ok(()) if text.contains("{id}") => Ok(text.to_owned()),
        _ => Err("a URL with {id} in it is needed, e.g. \"https://example.com/messages/{id}\"".to_owned()),
    }
}
