//! How subscribers are told, made of what the configuration says.

use std::{io, net::IpAddr, path::Path, sync::Arc};

use segue_b2bua::{Text, TextOutcome, TextSender};
use segue_jobs::notices::{
    Deliver, Delivered, Hook, MailServer, MailTls, Mailer, NoticeSettings, NoticeStats, Notifier, NotifierThread,
    Secrets, Settings, SipMessage,
};
use segue_store::Store;

use crate::{
    config::{Config, MailProtection, tls},
    failure::Failure,
    secrets,
    watch::Watcher,
};

/// Starts the thread that tells subscribers, and says what becomes of it.
///
/// # Errors
/// When the thread cannot be made.
pub fn start(
    store: &Store,
    settings: &NoticeSettings,
    texts: TextSender,
    stats: &NoticeStats,
    watcher: &Watcher,
) -> io::Result<NotifierThread> {
    let deliver = Arc::new(SipNotices(texts));
    let watcher = watcher.clone();
    let told = Box::new(move |what| watcher.server(what));
    Notifier::new(store.clone(), settings.clone(), Some(deliver), stats, told).start()
}

/// Sends notices by SIP: the jobs know none of it.
struct SipNotices(TextSender);

impl Deliver for SipNotices {
    fn deliver(&self, message: SipMessage, done: Box<dyn FnOnce(Delivered) + Send>) {
        let to = match message.to.as_deref().map(str::parse) {
            None => None,
            Some(Ok(uri)) => Some(uri),
            Some(Err(error)) => return done(Delivered::Never(format!("{error}"))),
        };
        let text = Text {
            user: message.user,
            to,
            text: message.text.into(),
            language: message.language.name(),
            expires_s: u32::try_from(message.expires.as_secs()).unwrap_or(u32::MAX),
        };
        let done = Box::new(move |outcome| {
            done(match outcome {
                TextOutcome::Taken(said) => Delivered::Taken(said),
                TextOutcome::NotNow(why, after) => Delivered::NotNow(why, after),
                TextOutcome::Never(why) => Delivered::Never(why),
            });
        });
        self.0.send(text, done);
    }
}

/// Reads what the configuration names: passwords, secrets, roots. Blocking.
///
/// # Errors
/// The first thing that is wrong: where, key and what to do.
pub fn settings(config: &Config) -> Result<Settings, Failure> {
    let notices = &config.notices;
    let roots = match &notices.tls_ca {
        Some(path) => {
            let name = format!("{}notice.tls_ca", config.place(&["notice.tls_ca"]));
            Some(tls::read(&name, Path::new(path))?)
        }
        None => None,
    };
    Ok(Settings {
        give_up: notices.give_up,
        language: notices.language,
        link: notices.link.clone(),
        mail: mailer(config, roots.clone())?.map(Arc::new),
        webhook: hook(config, roots.as_deref())?.map(Arc::new),
        ..Settings::default()
    })
}

fn wrong(config: &Config, keys: &[&str], message: &str, fix: &str) -> Failure {
    Failure::refused("bad_configuration", format!("{}{message}", config.place(keys)), fix)
}

fn mailer(config: &Config, roots: Option<Vec<u8>>) -> Result<Option<Mailer>, Failure> {
    let notices = &config.notices;
    let wrong = |keys: &[&str], message: &str, fix: &str| Err(wrong(config, keys, message, fix));
    let Some(host) = &notices.mail_server else {
        return Ok(None);
    };
    let Some(from) = &notices.mail_from else {
        return wrong(
            &["mail.server"],
            "mail.server is set, but nobody sends the mail",
            "set mail.from, e.g. \"Segue <segue@example.com>\"",
        );
    };
    let is_here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    if notices.mail_tls == MailProtection::None && !is_here {
        return wrong(
            &["mail.tls", "mail.server"],
            "mail.tls = \"none\" sends what people say over the network for everybody to read, and mail.server is not this machine",
            "use \"starttls\" or \"tls\"; if it is meant, \"none-anywhere\"",
        );
    }
    let credentials = match (&notices.mail_user, &notices.mail_password_file) {
        (None, None) => None,
        (Some(_), Some(_)) if notices.mail_tls == MailProtection::NoneAnywhere => {
            return wrong(
                &["mail.tls"],
                "mail.tls = \"none-anywhere\" would send the password over the network for everybody to read",
                "use \"starttls\" or \"tls\", or leave mail.user out",
            );
        }
        (Some(user), Some(file)) => {
            let name = format!("{}mail.password_file", config.place(&["mail.password_file"]));
            Some((user.clone(), secrets::one_line(&name, file, Path::new(""))?))
        }
        (user, _) => {
            let key = if user.is_some() {
                "mail.user"
            } else {
                "mail.password_file"
            };
            return wrong(
                &[key],
                "mail.user and mail.password_file go together, and one is missing",
                "set both, or neither",
            );
        }
    };
    let server = MailServer {
        host: host.clone(),
        port: notices.mail_port.unwrap_or(notices.mail_tls.port()),
        tls: match notices.mail_tls {
            MailProtection::Starttls => MailTls::Starttls,
            MailProtection::Tls => MailTls::Tls,
            MailProtection::None | MailProtection::NoneAnywhere => MailTls::None,
        },
        credentials,
        from: from.clone(),
        attach_bytes_max: notices.mail_attach_max,
        roots,
    };
    match Mailer::new(&server) {
        Ok(mailer) => Ok(Some(mailer)),
        Err(why) => wrong(
            &["mail.from", "notice.tls_ca", "mail.server"],
            &why,
            "correct it; 'segue config' says what each key means",
        ),
    }
}

fn hook(config: &Config, roots: Option<&[u8]>) -> Result<Option<Hook>, Failure> {
    const NEW: &str = "write one a line, e.g. made by: echo whsec_$(openssl rand -base64 32)";
    let notices = &config.notices;
    let Some(file) = &notices.webhook_secret_file else {
        return match notices.webhook_url {
            None => Ok(None),
            Some(_) => Err(wrong(
                config,
                &["webhook.url"],
                "webhook.url is set, and there is no secret to sign with",
                "set webhook.secret_file; make one by: echo whsec_$(openssl rand -base64 32)",
            )),
        };
    };
    let name = format!("{}webhook.secret_file", config.place(&["webhook.secret_file"]));
    let text = secrets::read(&name, file, Path::new(""))?;
    let secrets =
        Secrets::parse(&text).map_err(|why| Failure::refused("bad_secret", format!("{name} = {file}: {why}"), NEW))?;
    Hook::new(
        notices.webhook_url.clone(),
        secrets,
        notices.webhook_allow.clone(),
        roots,
    )
    .map(Some)
    .map_err(|why| wrong(config, &["notice.tls_ca"], &why, "name a PEM file of root certificates"))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        let dir = tempfile::tempdir().unwrap();
        let private = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        };
        private("password", "open sesame\n");
        private("hook", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
        private("short", "whsec_c2hvcnQ=\n");
        let file = dir.path().join("segue.toml");
        fs::write(&file, text).unwrap();
        let config = Config::load(Some(&file), None).map_err(|refused| refused.to_string())?;
        settings(&config).map_err(|refused| refused.to_string())
    }

    #[test]
    fn what_is_configured_is_read_with_its_secrets() {
        let settings = read(
            "[mail]\nserver = \"mail.example.com\"\nfrom = \"Segue <segue@example.com>\"\nuser = \"segue\"\n\
             password_file = \"password\"\nattach_max = \"5MB\"\n[webhook]\nurl = \"https://example.com/hook\"\n\
             secret_file = \"hook\"\nallow = [\"10.1.2.0/24\", \"127.0.0.1\"]\n[notice]\ngive_up = \"1h\"\nlanguage = \"de\"\n\
             link = \"https://example.com/{id}\"\n",
        )
        .unwrap();
        assert!(settings.mail.is_some() && settings.webhook.is_some());
        assert_eq!(settings.give_up.as_secs(), 3_600);
        let none = read("").unwrap();
        assert!(none.mail.is_none() && none.webhook.is_none());
    }

    #[test]
    fn what_cannot_work_or_tells_secrets_is_refused_with_its_line() {
        const FROM: &str = "from = \"segue@example.com\"\n";
        for (text, told) in [
            ("[mail]\nserver = \"mail.example.com\"", "segue.toml:2:1: mail.server"),
            (
                &format!("[mail]\nserver = \"mail.example.com\"\n{FROM}tls = \"none\""),
                "segue.toml:4:1: mail.tls",
            ),
            (
                &format!(
                    "[mail]\nserver = \"mail.example.com\"\n{FROM}tls = \"none-anywhere\"\nuser = \"u\"\npassword_file = \"password\""
                ),
                "would send the password",
            ),
            (
                &format!("[mail]\nserver = \"localhost\"\n{FROM}user = \"u\""),
                "go together",
            ),
            (
                &format!("[mail]\nserver = \"localhost\"\n{FROM}user = \"u\"\npassword_file = \"nothing\""),
                "mail.password_file",
            ),
            ("[mail]\nserver = \"localhost\"\nfrom = \"nobody\"", "mail.from"),
            ("[mail]\nserver = \"local host\"", "a host name"),
            ("[mail]\nattach_max = \"1GB\"", "25MB"),
            ("[webhook]\nurl = \"https://example.com\"", "no secret"),
            ("[webhook]\nsecret_file = \"short\"", "24 to 64 bytes"),
            ("[webhook]\nallow = [\"everywhere\"]", "a network"),
            ("[notice]\nlink = \"https://example.com\"", "{id}"),
            ("[notice]\ngive_up = \"1s\"", "1m to 30d"),
            ("[notice]\nlanguage = \"fr\"", "\"en\" or \"de\""),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(told), "{text}: {refused}");
        }
        for good in [
            &format!("[mail]\nserver = \"127.0.0.1\"\n{FROM}tls = \"none\""),
            &format!("[mail]\nserver = \"mail.example.com\"\n{FROM}tls = \"none-anywhere\""),
        ] {
            read(good).unwrap();
        }
    }
}
