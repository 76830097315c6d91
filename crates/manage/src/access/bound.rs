//! Where subscribers may have their callers sent.
//!
//! What they say is bound as a call of their own phone is (`segue_policy::Subscriber::may_send`), now and at each call. What an operator
//! has set stays, and may be moved or removed by them, but not changed: else its condition could be made wider.

use segue_policy::{Profile, Rule, SentTo, Subscriber, Then};
use segue_sip_wire::Uri;

use crate::{Access, Refusal, SubscriberChange};

impl Access {
    /// Whether callers of this subscriber may be shown a clip. What others have recorded or uploaded is theirs: they change it as they like.
    pub(crate) fn may_show(&self, user: &str, clip: &str) -> Result<(), Refusal> {
        if self.store().may_use_clip(user, clip)? {
            return Ok(());
        }
        match (self.own_name(), self.store().clip_owner(clip)?) {
            (None, Some(owner)) => Err(Refusal::invalid(
                "clip",
                format!("'{clip}' is {owner}'s own; add one under another name"),
            )),
            _ => Err(Refusal::not_found("clip", clip)),
        }
    }

    /// The same of the clips that a change names; one that a subscriber who is there shows already stays.
    pub(crate) fn may_have_clips(
        &self,
        user: &str,
        change: &SubscriberChange,
        before: Option<&Subscriber>,
    ) -> Result<(), Refusal> {
        let shown = |of: fn(&Subscriber) -> &Option<String>| before.and_then(|before| of(before).as_ref());
        for (field, clip, shown) in [
            ("clip", &change.clip, shown(|before| &before.clip)),
            ("greeting", &change.greeting, shown(|before| &before.greeting)),
        ] {
            let new = clip.as_ref().and_then(Option::as_ref);
            if let Some(clip) = new.filter(|new| shown != Some(new)) {
                self.may_show(user, clip).map_err(|refusal| match refusal {
                    Refusal::Invalid { why, .. } => Refusal::invalid(field, why),
                    other => other,
                })?;
            }
        }
        Ok(())
    }

    /// Whether who asks may have callers of this subscriber sent there by this rule, and to these clips.
    pub(crate) fn may_have_rule(&self, user: &str, rule: &Rule, profiles: &[Profile]) -> Result<(), Refusal> {
        rule.clips().try_for_each(|clip| self.may_show(user, clip))?;
        if self.own_name().is_none() {
            return Ok(());
        }
        match &rule.outcome.then {
            Some(Then::Forward(uri)) => {
                may_send(&self.store().subscriber(user)?, uri, profiles).map_err(|why| Refusal::invalid("forward", why))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a subscriber may have their own callers sent there. Error: why not.
pub(crate) fn may_send(subscriber: &Subscriber, uri: &str, profiles: &[Profile]) -> Result<(), String> {
    let read = uri.parse::<Uri>().ok();
    let host = read.as_ref().map(Uri::bare_host).unwrap_or_default();
    let to = read.as_ref().map(|read| SentTo {
        uri,
        is_tel: read.is_tel(),
        host: &host,
    });
    match subscriber.may_send(uri, to, profiles) {
        true => Ok(()),
        false => Err(format!(
            "calls from here do not go to {uri}; an operator can have them go there"
        )),
    }
}

#[cfg(test)]
mod tests {
    use segue_policy::TargetBy;

    use super::*;

    fn profile(destinations: &[&str]) -> Profile {
        Profile {
            destinations: destinations.iter().map(|to| to.parse().unwrap()).collect(),
            ..Profile::default()
        }
    }

    #[test]
    fn callers_are_sent_where_a_phone_could_call_and_nowhere_else() {
        let bob = Subscriber::default();
        let by_hop = Subscriber {
            target_by: TargetBy::NextHop,
            ..Subscriber::default()
        };
        let office = [profile(&["+49*", "192.0.2.0/24"])];
        for (who, uri, may) in [
            (&bob, "registered", true),
            (&bob, "as-called", false),
            (&bob, "tel:+4930123456", true),
            (&bob, "tel:+1900555", false),
            (&bob, "sip:deputy@192.0.2.9", true),
            (&bob, "sip:+1900555@198.51.100.1", false),
            // A number at a host goes to that host, whatever the number.
            (&bob, "sip:+4930123456@198.51.100.1", false),
            (&by_hop, "sip:+4930123456@198.51.100.1", true),
            (&by_hop, "sip:+1900555@198.51.100.1", false),
        ] {
            assert_eq!(may_send(who, uri, &office).is_ok(), may, "{uri}");
            assert_eq!(may_send(who, uri, &[]).is_ok(), uri == "registered", "{uri}");
        }
        // "*" is what goes to the next hop; no host is admitted by it.
        assert!(may_send(&bob, "tel:+1900555", &[profile(&["*"])]).is_ok());
        assert!(may_send(&bob, "sip:x@198.51.100.1", &[profile(&["*"])]).is_err());
    }

    #[test]
    fn it_is_the_profile_of_phones_that_counts() {
        let bob = Subscriber::default();
        let trunk = profile(&["*"]);
        let phones = Profile {
            registrar: true,
            ..profile(&["+49*"])
        };
        for profiles in [[trunk.clone(), phones.clone()], [phones, trunk]] {
            assert!(may_send(&bob, "tel:+4930123456", &profiles).is_ok());
            assert!(may_send(&bob, "tel:+1900555", &profiles).is_err());
        }
    }
}
