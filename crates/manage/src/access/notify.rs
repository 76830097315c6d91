//! How a subscriber is told of messages and missed calls (docs/notices.md).
//!
//! An operator has it go anywhere. A subscriber who could would have this server call what only it can reach, or send SIP MESSAGE at the
//! operator's cost: a webhook of theirs is at no address that `webhook.allow` does not admit (what its name leads to is seen when it is
//! called), and SIP MESSAGE goes where they could call.

use std::net::IpAddr;

use segue_policy::{About, Attach, Channel, Language, Notify, Profile, check_mail, check_webhook};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::bound::may_send;
use crate::{Access, Refusal, Scope, written};

/// How a subscriber is told, as programs see it: the members of [`NotifyGiven`].
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = NotifyGiven)]
pub struct NotifyView(pub serde_json::Value);

impl From<&Notify> for NotifyView {
    fn from(notify: &Notify) -> NotifyView {
        NotifyView(json!(notify))
    }
}

/// How a subscriber is to be told, all of it: what is absent is as `null`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NotifyGiven {
    /// By which ways, each on its own: `mail`, `webhook`, `message` (SIP MESSAGE). None: not at all.
    #[serde(default)]
    pub by: Vec<String>,
    /// Of what: `message`, `missed`, `warning`; `null`: of messages and warnings, and of missed calls where the profile says so.
    pub on: Option<Vec<String>>,
    /// Where mail goes.
    pub mail: Option<String>,
    /// What of a message goes along with mail: `yes` (the message), `no`, `poster` (its picture); `null`: `poster`.
    pub attach: Option<String>,
    /// Where the webhook is; `null`: where the configuration says.
    pub webhook: Option<String>,
    /// Where SIP MESSAGE goes, a SIP URI; `null`: wherever they are registered.
    pub message_to: Option<String>,
    /// In which language: `en` or `de`; `null`: the configuration's.
    pub language: Option<String>,
}

impl NotifyGiven {
    /// What it says. Error: [`Refusal::Invalid`] with the member.
    pub fn notify(&self) -> Result<Notify, Refusal> {
        fn each<T: std::str::FromStr<Err: std::fmt::Display> + Ord>(
            field: &'static str,
            words: &[String],
        ) -> Result<Vec<T>, Refusal> {
            let read = |word: &String| word.parse().map_err(|e: T::Err| Refusal::invalid(field, e.to_string()));
            let mut all = words.iter().map(read).collect::<Result<Vec<T>, _>>()?;
            all.sort();
            all.dedup();
            Ok(all)
        }
        let named = |text: &Option<String>| {
            text.as_deref()
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let on: Option<Vec<About>> = self.on.as_ref().map(|on| each("on", on)).transpose()?;
        let attach = named(&self.attach).map(|word| word.parse::<Attach>());
        let language = named(&self.language).map(|word| word.parse::<Language>());
        let notify = Notify {
            by: each("by", &self.by)?,
            on,
            mail: named(&self.mail),
            attach: attach
                .transpose()
                .map_err(|wrong| Refusal::invalid("attach", wrong.to_string()))?
                .unwrap_or_default(),
            webhook: named(&self.webhook),
            message_to: named(&self.message_to),
            language: language
                .transpose()
                .map_err(|wrong| Refusal::invalid("language", wrong.to_string()))?,
        };
        check(&notify)?;
        Ok(notify)
    }
}

/// Whether somebody can be told so. Error: [`Refusal::Invalid`] with the member.
pub(crate) fn check(notify: &Notify) -> Result<(), Refusal> {
    if let Some(mail) = &notify.mail {
        check_mail(mail).map_err(|wrong| Refusal::invalid("mail", wrong.to_string()))?;
    }
    if let Some(url) = &notify.webhook {
        check_webhook(url).map_err(|wrong| Refusal::invalid("webhook", wrong.to_string()))?;
    }
    if let Some(uri) = &notify.message_to {
        let is_sip = uri.starts_with("sip:") || uri.starts_with("sips:");
        let needed = || "a SIP URI is needed, e.g. sip:bob@192.0.2.7:5060".to_owned();
        let wrong = if is_sip { written::target(uri) } else { Err(needed()) };
        wrong.map_err(|why| Refusal::invalid("message_to", why))?;
    }
    if notify.by.contains(&Channel::Mail) && notify.mail.is_none() {
        return Err(Refusal::invalid(
            "mail",
            "they are to be told by mail, and there is no address for it",
        ));
    }
    Ok(())
}

/// What a subscriber's own settings are bound by.
pub struct NotifyBounds<'a> {
    /// For SIP MESSAGE.
    pub profiles: &'a [Profile],
    /// Whether a webhook may be at this address.
    pub may_call: &'a dyn Fn(IpAddr) -> bool,
}

/// The address that a URL names as its host, where it is one.
fn address(url: &str) -> Option<IpAddr> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split(['/', '?']).next()?;
    match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?.parse().ok(),
        None => authority.split(':').next()?.parse().ok(),
    }
}

impl Access {
    /// How a subscriber is told.
    pub fn notify(&self, user: &str) -> Result<NotifyView, Refusal> {
        self.need(Scope::SettingsRead)?;
        self.owned_user(user)?;
        Ok((&self.store().subscriber(user)?.notify).into())
    }

    /// Has a subscriber told otherwise, if it is as `is_as_seen` wants it.
    ///
    /// # Errors
    /// What cannot be; where a subscriber's own may not go; [`Refusal::Changed`].
    pub fn set_notify(
        &self,
        user: &str,
        given: &NotifyGiven,
        bounds: &NotifyBounds<'_>,
        is_as_seen: impl FnOnce(&NotifyView) -> bool + Send + 'static,
    ) -> Result<NotifyView, Refusal> {
        self.need(Scope::SettingsWrite)?;
        self.owned_user(user)?;
        let new = given.notify()?;
        if self.own_name().is_some() {
            self.is_within(user, &new, bounds)?;
        }
        let acting = self.acting("notify.set", user, Some(user));
        let changed = acting.change_subscriber_if(
            user,
            move |now| is_as_seen(&(&now.notify).into()),
            move |subscriber| subscriber.notify = new,
        )?;
        let changed = changed.ok_or(Refusal::Changed)?;
        Ok((&changed.notify).into())
    }

    /// What an operator has set stays as it is.
    fn is_within(&self, user: &str, new: &Notify, bounds: &NotifyBounds<'_>) -> Result<(), Refusal> {
        let subscriber = self.store().subscriber(user)?;
        if let Some(url) = new
            .webhook
            .as_ref()
            .filter(|_| new.webhook != subscriber.notify.webhook)
            && let Some(ip) = address(url).filter(|ip| !(bounds.may_call)(*ip))
        {
            return Err(Refusal::invalid(
                "webhook",
                format!("{ip} is no public address; an operator can name it in webhook.allow"),
            ));
        }
        if let Some(uri) = new
            .message_to
            .as_ref()
            .filter(|_| new.message_to != subscriber.notify.message_to)
        {
            may_send(&subscriber, uri, bounds.profiles).map_err(|why| Refusal::invalid("message_to", why))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_names_its_field() {
        let field = |change: &dyn Fn(&mut NotifyGiven)| {
            let mut given = NotifyGiven::default();
            change(&mut given);
            match given.notify() {
                Err(Refusal::Invalid { field, .. }) => field,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(field(&|given| given.by = vec!["pigeon".to_owned()]), "by");
        assert_eq!(field(&|given| given.by = vec!["mail".to_owned()]), "mail");
        assert_eq!(field(&|given| given.on = Some(vec!["all".to_owned()])), "on");
        assert_eq!(field(&|given| given.mail = Some("bob".to_owned())), "mail");
        assert_eq!(field(&|given| given.attach = Some("some".to_owned())), "attach");
        assert_eq!(field(&|given| given.webhook = Some("ftp://a".to_owned())), "webhook");
        assert_eq!(
            field(&|given| given.message_to = Some("registered".to_owned())),
            "message_to"
        );
        assert_eq!(field(&|given| given.language = Some("tlh".to_owned())), "language");
        let empty = NotifyGiven {
            mail: Some(" ".to_owned()),
            ..NotifyGiven::default()
        };
        assert_eq!(empty.notify(), Ok(Notify::default()));
    }

    #[test]
    fn the_address_in_a_url_is_found_however_it_is_written() {
        for (url, found) in [
            ("http://192.0.2.1/a?b", Some("192.0.2.1")),
            ("http://192.0.2.1:80", Some("192.0.2.1")),
            ("https://[::1]:8080/hook", Some("::1")),
            ("https://example.com/192.0.2.1", None),
        ] {
            assert_eq!(address(url), found.map(|ip| ip.parse().unwrap()), "{url}");
        }
    }
}
