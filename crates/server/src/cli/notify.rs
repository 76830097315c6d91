//! What a subscriber is told of, and how: the options of `segue subscriber add|set`.

use std::str::FromStr;

use clap::Args;
use segue_policy::{About, Attach, Channel, Language, Notify, NotifyError, check_mail, check_webhook};

use super::value::{OrNone, Target};
use crate::failure::Failure;

/// Where mail goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailAddress(String);

impl FromStr for MailAddress {
    type Err = NotifyError;

    fn from_str(text: &str) -> Result<MailAddress, NotifyError> {
        check_mail(text).map(|()| MailAddress(text.to_owned()))
    }
}

/// Where a webhook is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookUrl(String);

impl FromStr for WebhookUrl {
    type Err = NotifyError;

    fn from_str(text: &str) -> Result<WebhookUrl, NotifyError> {
        check_webhook(text).map(|()| WebhookUrl(text.to_owned()))
    }
}

/// Where SIP MESSAGE goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageTarget(String);

impl FromStr for MessageTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<MessageTarget, String> {
        let Target(uri) = text.parse()?;
        match uri.starts_with("sip:") || uri.starts_with("sips:") {
            true => Ok(MessageTarget(uri)),
            false => Err("a SIP URI is needed, e.g. sip:bob@192.0.2.7:5060".to_owned()),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct NotifyOptions {
    /// By which ways they are told, e.g. mail,message; 'none' for none
    #[arg(long, value_name = "WAYS", value_delimiter = ',')]
    notify: Vec<OrNone<Channel>>,
    /// Of what: message, missed, warning; 'none' for messages and warnings, and missed calls where the profile says so
    #[arg(long, value_name = "EVENTS", value_delimiter = ',')]
    notify_on: Vec<OrNone<About>>,
    /// Where mail goes, or 'none'
    #[arg(long, value_name = "ADDRESS")]
    mail: Option<OrNone<MailAddress>>,
    /// What of a message goes along with mail: yes (the message, where it is short enough), no, or poster (its picture alone)
    #[arg(long, value_name = "WHAT")]
    mail_attach: Option<Attach>,
    /// Where their webhook is, or 'none' for the configuration's
    #[arg(long, value_name = "URL")]
    webhook: Option<OrNone<WebhookUrl>>,
    /// Where SIP MESSAGE goes, or 'none' for wherever they are registered
    #[arg(long, value_name = "URI")]
    message_to: Option<OrNone<MessageTarget>>,
    /// In which language, en or de, or 'none' for the configuration's
    #[arg(long, value_name = "LANGUAGE")]
    notify_language: Option<OrNone<Language>>,
}

impl NotifyOptions {
    pub fn is_empty(&self) -> bool {
        *self == NotifyOptions::default()
    }

    pub fn apply(self, notify: &mut Notify) {
        if !self.notify.is_empty() {
            notify.by = each_once(self.notify);
        }
        if !self.notify_on.is_empty() {
            let on = each_once(self.notify_on);
            notify.on = (!on.is_empty()).then_some(on);
        }
        if let Some(OrNone(mail)) = self.mail {
            notify.mail = mail.map(|MailAddress(mail)| mail);
        }
        if let Some(attach) = self.mail_attach {
            notify.attach = attach;
        }
        if let Some(OrNone(url)) = self.webhook {
            notify.webhook = url.map(|WebhookUrl(url)| url);
        }
        if let Some(OrNone(uri)) = self.message_to {
            notify.message_to = uri.map(|MessageTarget(uri)| uri);
        }
        if let Some(OrNone(language)) = self.notify_language {
            notify.language = language;
        }
    }

    /// Whether what comes of it can be done.
    pub fn check_with(&self, before: &Notify) -> Result<(), Failure> {
        let mut after = before.clone();
        self.clone().apply(&mut after);
        check(&after)
    }
}

fn each_once<T: Ord>(named: Vec<OrNone<T>>) -> Vec<T> {
    let mut all: Vec<T> = named.into_iter().filter_map(|OrNone(one)| one).collect();
    all.sort();
    all.dedup();
    all
}

/// Whether somebody can be told so.
pub fn check(notify: &Notify) -> Result<(), Failure> {
    if notify.by.contains(&Channel::Mail) && notify.mail.is_none() {
        return Err(Failure::usage(
            "they are to be told by mail, and there is no address for it",
            "name it, e.g. --mail bob@example.com; or leave mail out of --notify",
        ));
    }
    Ok(())
}

/// As a person reads it.
pub fn describe(notify: &Notify) -> String {
    if notify.by.is_empty() {
        return "of nothing".to_owned();
    }
    let ways = notify.by.iter().map(|channel| match channel {
        Channel::Mail => format!(
            "by mail to {} ({})",
            notify.mail.as_deref().unwrap_or("nobody"),
            match notify.attach {
                Attach::Yes => "with the message",
                Attach::Poster => "with the picture",
                Attach::No => "nothing attached",
            }
        ),
        Channel::Webhook => format!(
            "by webhook to {}",
            notify.webhook.as_deref().unwrap_or("the configured one")
        ),
        Channel::Message => {
            let to = notify.message_to.as_deref();
            format!("by SIP MESSAGE to {}", to.unwrap_or("wherever they are registered"))
        }
    });
    let of = match &notify.on {
        None => "of messages and warnings, of missed calls as the profile says".to_owned(),
        Some(on) => {
            let words: Vec<&str> = on.iter().map(|about| about.name()).collect();
            format!("of {}", words.join(", "))
        }
    };
    format!("{}; {of}", ways.collect::<Vec<_>>().join(", "))
}
