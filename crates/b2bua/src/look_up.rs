//! What a call asks the store about its callee: blocking work, on a thread of its own.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use segue_call::{Lookup, StoreReply};
use segue_mailbox::ClipInfo;
use segue_policy::{Calling, Plan, Profile, SentTo, Subscriber};
use segue_sip_wire::Uri;
use segue_store::{Found, Reserve, Store, StoreError};

use crate::{ClipCache, Prompts, clips::Renditions};

/// A look-up's answer with all that playing it will need.
#[derive(Debug)]
pub(crate) struct Answer {
    pub reply: StoreReply,
    pub clips: BTreeMap<i64, Renditions>,
}

impl Answer {
    fn without_clips(reply: StoreReply) -> Answer {
        Answer {
            reply,
            clips: BTreeMap::new(),
        }
    }
}

/// `callee`: by user part, and as an address ([`StoreAction::Lookup`](segue_call::StoreAction)).
///
/// One read of the store gives the whole plan; its clips are loaded before anything is said to the caller.
/// `calling`: for whom the callee's rules are asked; `None`: they are not. `profiles`: all that are in force.
pub(crate) fn look_up(
    store: &Store,
    (clips, prompts): (&ClipCache, &Prompts),
    callee: (&str, Option<&str>),
    calling: Option<&Calling>,
    (profile, profiles): (&Profile, &[Arc<Profile>]),
) -> Answer {
    let Found {
        subscriber,
        rules,
        mut named,
        clip,
        greeting,
        beep,
        full,
    } = match by_name_number_or_alias(store, callee, profile) {
        Ok(Some(found)) => found,
        Ok(None) => return Answer::without_clips(StoreReply::NotFound),
        Err(error) => return Answer::without_clips(StoreReply::LookupFailed { why: error.to_string() }),
    };
    let mut plan = Plan::new(&subscriber, profile);
    if let Some(calling) = calling {
        // Nobody is known to be offline before they are called.
        plan.decide(&subscriber, &rules, profile, calling, false);
        plan.bind(&subscriber, &rules, |uri| may_send(&subscriber, uri, profiles));
        for target in &plan.barred {
            tracing::info!(
                user = subscriber.user,
                target,
                "not called: calls of theirs do not go there (destinations)"
            );
        }
    }
    named.extend([clip, greeting].into_iter().flatten());
    let by_name = |name: &Option<String>| -> Option<ClipInfo> {
        let name = name.as_ref()?;
        named.iter().find(|clip| clip.name == *name).cloned()
    };
    let (clip, greeting) = (by_name(&plan.clip), by_name(&plan.greeting));
    named.retain(|clip| plan.clips().any(|name| name == clip.name));
    let loaded = [&beep, &full]
        .into_iter()
        .flatten()
        .chain(&named)
        .map(|info| (info.id, clips.load(store, info)))
        .collect();
    let reply = StoreReply::Found(Box::new(Lookup {
        prompts: prompts.info(plan.language),
        plan,
        clip,
        greeting,
        beep,
        full,
        named,
    }));
    Answer { reply, clips: loaded }
}

/// Whether the subscriber may have their own callers sent there now.
fn may_send(subscriber: &Subscriber, uri: &str, profiles: &[Arc<Profile>]) -> bool {
    let read = uri.parse::<Uri>().ok();
    let host = read.as_ref().map(Uri::bare_host).unwrap_or_default();
    let to = read.as_ref().map(|read| SentTo {
        uri,
        is_tel: read.is_tel(),
        host: &host,
    });
    subscriber.may_send(uri, to, profiles)
}

/// A subscriber by their name, else by a number of theirs, however the profile's callers write it, else by an alias.
fn by_name_number_or_alias(
    store: &Store,
    (user, alias): (&str, Option<&str>),
    profile: &Profile,
) -> Result<Option<Found>, StoreError> {
    if !user.is_empty()
        && let Some(found) = store.lookup(user)?
    {
        return Ok(Some(found));
    }
    let number = profile.normalise(user).number;
    let mut owner = number.map_or(Ok(None), |number| store.owner_of(&number))?;
    if owner.is_none() {
        owner = alias.map_or(Ok(None), |alias| store.owner_of_alias(alias))?;
    }
    owner.map_or(Ok(None), |owner| store.lookup(&owner))
}

/// Whether there is room for a message; if so, a place is held for it from now on.
pub(crate) fn reserve(store: &Store, wanted: &Reserve, now: Instant) -> StoreReply {
    match store.reserve(wanted, now) {
        Ok(Ok(grant)) => StoreReply::Reserved {
            mailbox: wanted.mailbox.clone(),
            message_id: wanted.message_id.clone(),
            longest_ms: grant.longest_ms,
            longest_bytes: grant.longest_bytes,
        },
        Ok(Err(rule)) => StoreReply::MailboxFull { rule },
        Err(error) => {
            tracing::warn!(mailbox = wanted.mailbox, %error, "nobody can say whether the mailbox is full; the caller may speak");
            StoreReply::ReserveFailed { why: error.to_string() }
        }
    }
}

#[cfg(test)]
mod tests {
    use segue_mailbox::RenditionProfile;
    use segue_policy::{Address, Contact, Rule};
    use segue_store::{NewClip, NewRendition};

    use super::*;

    /// A clip that nothing of can be played, with nothing to prepare.
    fn put_clip(store: &Store, name: &str) {
        let rendition = NewRendition {
            profile: RenditionProfile::Pcmu,
            profile_level_id: None,
            cache: b"x".to_vec(),
        };
        let clip = NewClip {
            name: name.to_owned(),
            duration_ms: 1_000,
            poster: None,
            renditions: vec![rendition],
        };
        store.put_clip(clip).unwrap();
    }

    #[test]
    fn the_plan_is_made_with_the_callees_rules_and_brings_the_clips_that_may_be_played() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for name in ["ring", "sorry", "jazz", "busy", "elsewhere"] {
            put_clip(&store, name);
        }
        let bob = Subscriber {
            user: "bob".into(),
            clip: Some("ring".into()),
            greeting: Some("sorry".into()),
            ..Subscriber::default()
        };
        store.add_subscriber(bob).unwrap();
        let contact = Contact {
            address: Address::try_from("+49301*".to_owned()).unwrap(),
            name: None,
            groups: vec!["work".into()],
        };
        store.put_contact("bob", contact).unwrap();
        let rule = |json: &str| serde_json::from_str::<Rule>(json).unwrap();
        let rules = [
            rule(r#"{"from":["work"],"outcome":{"clip":"jazz","hold_ms":60000}}"#),
            rule(r#"{"from":["work"],"why":["busy"],"outcome":{"greeting":"busy"}}"#),
            rule(r#"{"from":["anonymous"],"outcome":{"greeting":"elsewhere"}}"#),
        ];
        store
            .change_rules("bob", move |all| {
                all.extend(rules);
                Ok(())
            })
            .unwrap();
        let profile = Profile {
            country_code: "49".into(),
            hold_max_ms: 20_000,
            ..Profile::default()
        };
        let (cache, prompts) = (ClipCache::new(1 << 20), Prompts::default());
        let find = |from: &str| {
            let calling = Calling {
                from: from.to_owned(),
                at_ms: 0,
            };
            let answer = look_up(
                &store,
                (&cache, &prompts),
                ("bob", None),
                Some(&calling),
                (&profile, &[]),
            );
            let StoreReply::Found(found) = answer.reply else {
                panic!("{:?}", answer.reply)
            };
            assert!(found.named.iter().all(|clip| answer.clips.contains_key(&clip.id)));
            let names: Vec<&str> = found.named.iter().map(|clip| clip.name.as_str()).collect();
            let name = |clip: &Option<ClipInfo>| clip.as_ref().map(|clip| clip.name.clone()).unwrap();
            (
                name(&found.clip),
                name(&found.greeting),
                found.plan.hold_ms,
                names.join(" "),
            )
        };
        let works = (
            "jazz".to_owned(),
            "sorry".to_owned(),
            20_000,
            "busy jazz sorry".to_owned(),
        );
        assert_eq!(find("sip:030123@pbx"), works);
        let hold_ms = profile.hold_ms;
        let nobody = (
            "ring".to_owned(),
            "elsewhere".to_owned(),
            hold_ms,
            "elsewhere ring".to_owned(),
        );
        assert_eq!(find("sip:anonymous@anonymous.invalid"), nobody);
        let other = ("ring".to_owned(), "sorry".to_owned(), hold_ms, "ring sorry".to_owned());
        assert_eq!(find("sip:030999@pbx"), other);
        // Whoever calls for help, or calls them back, is asked for by no rule.
        let plain = look_up(&store, (&cache, &prompts), ("bob", None), None, (&profile, &[]));
        assert!(matches!(plain.reply, StoreReply::Found(found) if found.plan.clip.as_deref() == Some("ring")));
    }

    #[test]
    fn what_a_subscriber_has_set_is_called_as_far_as_the_profile_of_phones_admits_it_now() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let all = |all: &[&str]| all.iter().map(|uri| (*uri).to_owned()).collect::<Vec<_>>();
        let bob = Subscriber {
            user: "bob".into(),
            targets: all(&["tel:+4930123456", "tel:+1900555", "tel:+1900777"]),
            own_targets: all(&["tel:+4930123456", "tel:+1900555"]),
            ..Subscriber::default()
        };
        store.add_subscriber(bob).unwrap();
        let phones = |destinations: &str| {
            let registrar = Profile {
                registrar: true,
                destinations: vec![destinations.parse().unwrap()],
                ..Profile::default()
            };
            // The call comes by another profile, which admits everything.
            let trunk = Profile {
                destinations: vec!["*".parse().unwrap()],
                ..Profile::default()
            };
            [Arc::new(trunk), Arc::new(registrar)]
        };
        let calling = Calling {
            from: "sip:ann@example.org".to_owned(),
            at_ms: 0,
        };
        let (cache, prompts) = (ClipCache::new(1 << 20), Prompts::default());
        let plan = |destinations: &str| {
            let profiles = phones(destinations);
            let by = (profiles[0].as_ref(), profiles.as_slice());
            let answer = look_up(&store, (&cache, &prompts), ("bob", None), Some(&calling), by);
            let StoreReply::Found(found) = answer.reply else {
                panic!("{:?}", answer.reply)
            };
            found.plan
        };
        assert_eq!(plan("*").barred, Vec::<String>::new());
        let narrow = plan("+49*");
        assert_eq!(
            narrow.targets,
            ["tel:+4930123456", "tel:+1900777"],
            "an operator's stays"
        );
        assert_eq!(narrow.barred, ["tel:+1900555"]);
        let rule = r#"{"own":true,"outcome":{"then":{"forward":"tel:+1900555"}}}"#;
        let rule: Rule = serde_json::from_str(rule).unwrap();
        store
            .change_rules("bob", move |all| {
                all.push(rule);
                Ok(())
            })
            .unwrap();
        assert_eq!(plan("*").targets, ["tel:+1900555"]);
        let narrow = plan("+49*");
        assert_eq!((narrow.targets.len(), narrow.decided.barred), (0, vec![1]));
    }

    #[test]
    fn a_callee_is_found_by_name_and_by_number_however_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let bob = Subscriber {
            user: "bob".into(),
            numbers: vec!["+4930123456".into()],
            ..Subscriber::default()
        };
        store.add_subscriber(bob).unwrap();
        let profile = Profile {
            country_code: "49".into(),
            area_code: "30".into(),
            ..Profile::default()
        };
        let found = |user: &str| {
            let found = by_name_number_or_alias(&store, (user, None), &profile).unwrap();
            found.map(|found| found.subscriber.user)
        };
        for user in [
            "bob",
            "+4930123456",
            "030-123.456",
            "123456",
            "0049(30)123456;ext=7",
            "tel:123456;phone-context=+4930",
        ] {
            assert_eq!(found(user).as_deref(), Some("bob"), "{user}");
        }
        for user in ["eve", "+4930123457", "tel:123456;phone-context=+4940"] {
            assert_eq!(found(user), None, "{user}");
        }
    }
    #[test]
    fn an_alias_is_found_by_its_address_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let bob = Subscriber {
            user: "bob".into(),
            aliases: vec!["sip:robert@example.org".into(), "tel:+4930765".into()],
            ..Subscriber::default()
        };
        store.add_subscriber(bob).unwrap();
        let found = |user: &str, alias: Option<&str>| {
            let found = by_name_number_or_alias(&store, (user, alias), &Profile::default()).unwrap();
            found.map(|found| found.subscriber.user)
        };
        let robert = Some("sip:robert@example.org");
        assert_eq!(found("robert", robert).as_deref(), Some("bob"));
        assert_eq!(found("", robert).as_deref(), Some("bob"), "at a foreign host");
        for number in ["tel:+49-30-765", "+4930765", "0049 30765"] {
            assert_eq!(found(number, None).as_deref(), Some("bob"), "{number}");
        }
        for (user, alias) in [
            ("robert", Some("sip:robert@example.com")),
            ("robert", None),
            ("", Some("sip:bob@example.org")),
            ("", None),
        ] {
            assert_eq!(found(user, alias), None, "{user} {alias:?}");
        }
    }
}
