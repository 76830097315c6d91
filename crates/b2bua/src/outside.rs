//! What a call to or from a trunk says of its ends: which number is called and how it is written, who calls, and whom a call from a
//! provider is for.

use segue_policy::{CalleeFrom, CallerIdentity, Profile, Trunk};
use segue_sip::Outgoing;
use segue_sip_wire::{Host, Message, NameAddr, Scheme, Uri};

use crate::headers;

/// Who calls, as far as a provider is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Caller {
    /// A direct number of its own.
    pub number: Option<String>,
    /// It wants to stay unknown.
    pub is_private: bool,
    /// Its own request says so (Privacy).
    pub says_privacy: bool,
}

/// What is called, as it was dialled.
pub(crate) fn dialled(target: &Uri) -> Option<String> {
    match target.scheme() {
        Scheme::Tel => segue_call::number(target),
        _ if target.is_sip() => segue_call::number(target).or_else(|| target.user().map(std::borrow::Cow::into_owned)),
        _ => None,
    }
}

/// Whether a trunk does not take what is called; why. Whoever calls for help is taken by all.
pub(crate) fn is_denied(trunk: &Trunk, profile: &Profile, target: &Uri) -> Option<String> {
    if trunk.allow.is_empty() && trunk.deny.is_empty() {
        return None;
    }
    let dialled = dialled(target)?;
    let called = trunk.outward(profile, &dialled);
    let denied = trunk.takes(&called).is_none();
    denied.then(|| format!("the trunk {} does not take {}", trunk.name, called.number))
}

/// An INVITE as a trunk wants it: the callee in its domain, by the number as it wants numbers written, and who calls.
/// `is_urgent`: whoever helps is called as it was dialled, and sees who calls.
pub(crate) fn dress(trunk: &Trunk, profile: &Profile, caller: &Caller, is_urgent: bool, outgoing: &mut Outgoing) {
    let domain: Option<Uri> = trunk.domain_uri().and_then(|uri| uri.parse().ok());
    let domain = domain.as_ref().and_then(|uri| Some((uri.host()?.clone(), uri.port())));
    call(trunk, profile, domain.as_ref(), is_urgent, outgoing);
    if let Some((host, _)) = domain {
        show(trunk, caller, &host, is_urgent, outgoing);
    }
}

fn call(
    trunk: &Trunk,
    profile: &Profile,
    domain: Option<&(Host, Option<u16>)>,
    is_urgent: bool,
    outgoing: &mut Outgoing,
) {
    let Some(dialled) = dialled(&outgoing.target) else {
        return;
    };
    let written = match is_urgent {
        true => dialled.clone(),
        false => trunk.outward(profile, &dialled).written,
    };
    let here = || Some((outgoing.target.host()?.clone(), outgoing.target.port()));
    let Some((host, port)) = domain.cloned().or_else(here) else {
        return;
    };
    if domain.is_none() && written == dialled {
        return;
    }
    outgoing.target = Uri::sip(Some(&written), host, port);
    // It would name whom the caller called by another name.
    outgoing.to = None;
}

fn show(trunk: &Trunk, caller: &Caller, host: &Host, is_urgent: bool, outgoing: &mut Outgoing) {
    let how = trunk.caller_identity();
    if how == CallerIdentity::Untouched {
        return;
    }
    let user = trunk.account_user();
    let main = Some(trunk.main_number.as_str()).filter(|number| !number.is_empty());
    let number = caller.number.as_deref().or(main);
    let at = |user: &str| Uri::sip(Some(user), host.clone(), None);
    let account = at(if user.is_empty() {
        number.unwrap_or("anonymous")
    } else {
        user
    });
    let shown = number.map_or_else(|| account.clone(), at);
    let is_private = caller.is_private && !is_urgent;
    outgoing.from = match how {
        CallerIdentity::From => shown.clone(),
        _ => account.clone(),
    };
    if how == CallerIdentity::Account {
        outgoing.from_name = None;
    }
    let preferred = match how {
        CallerIdentity::Account => &account,
        _ => &shown,
    };
    if is_private {
        if let Some(nobody) = headers::anonymous() {
            (outgoing.from, outgoing.from_name) = (nobody.uri, nobody.display);
        }
        if !caller.says_privacy {
            outgoing.headers.push(("Privacy".to_owned(), "id".to_owned()));
        }
    }
    if is_private || how == CallerIdentity::Preferred {
        let value = NameAddr::new(preferred.clone()).to_string();
        outgoing.headers.push(("P-Preferred-Identity".to_owned(), value));
    }
}

/// Whom a call from a provider is for, where its Request-URI does not say it. `is_contact`: that names nobody but our registered
/// Contact.
pub(crate) fn callee(trunk: &Trunk, invite: &Message, is_contact: bool) -> Option<Uri> {
    let named = |uri: Uri| uri.user().is_some_and(|user| !user.is_empty()) || *uri.scheme() == Scheme::Tel;
    let of_party = || {
        let party = invite.routes("P-Called-Party-ID").ok()?.into_iter().next()?;
        Some(party.uri.without_headers()).filter(|uri| named(uri.clone()))
    };
    let of_to = || {
        let to = invite.to().ok()?.uri.without_params();
        Some(to).filter(|uri| named(uri.clone()))
    };
    // Where nothing else than our Contact is said, as by a registrar that calls its subscribers, it is for the line itself.
    let of_line = || {
        let user = [&trunk.main_number, &trunk.user, &trunk.digest_user];
        let user = user.into_iter().find(|user| !user.is_empty())?;
        let at = invite.request_uri()?.host()?.to_string();
        format!("sip:{user}@{at}").parse().ok()
    };
    let contact = invite.request_uri().and_then(|uri| uri.user());
    let of_other = || of_to().filter(|to: &Uri| to.user() != contact);
    match trunk.callee {
        CalleeFrom::RequestUri => None,
        CalleeFrom::To => of_to(),
        CalleeFrom::PCalledPartyId => of_party(),
        CalleeFrom::Auto if is_contact => of_party().or_else(of_other).or_else(of_line),
        CalleeFrom::Auto => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(lines: &str) -> Message {
        let text = format!(
            "INVITE sip:line-1@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:+4930765@provider.example;user=phone>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n{lines}Content-Length: 0\r\n\r\n"
        );
        Message::parse_datagram(text.as_bytes()).unwrap()
    }

    #[test]
    fn whom_a_call_from_a_provider_is_for_stands_where_the_trunk_says() {
        let party = "P-Called-Party-ID: <sip:+4930766@provider.example>\r\n";
        for (from, is_contact, lines, callee_is) in [
            (CalleeFrom::Auto, true, "", Some("sip:+4930765@provider.example")),
            (CalleeFrom::Auto, true, party, Some("sip:+4930766@provider.example")),
            (CalleeFrom::Auto, false, party, None),
            (CalleeFrom::RequestUri, true, party, None),
            (CalleeFrom::To, false, party, Some("sip:+4930765@provider.example")),
            (
                CalleeFrom::PCalledPartyId,
                false,
                party,
                Some("sip:+4930766@provider.example"),
            ),
            (CalleeFrom::PCalledPartyId, false, "", None),
            (CalleeFrom::PCalledPartyId, false, "P-Called-Party-ID: <<\r\n", None),
        ] {
            let trunk = Trunk {
                callee: from,
                ..Trunk::default()
            };
            let found = callee(&trunk, &invite(lines), is_contact).map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), callee_is, "{from:?} {is_contact} {lines}");
        }
    }

    #[test]
    fn who_says_nothing_but_our_contact_calls_the_line_itself() {
        let text = "INVITE sip:line-1@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
                    To: <sip:line-1@10.0.0.1>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
        let invite = Message::parse_datagram(text.as_bytes()).unwrap();
        for (main_number, callee_is) in [("+4930765", "sip:+4930765@10.0.0.1"), ("", "sip:office-7@10.0.0.1")] {
            let trunk = Trunk {
                main_number: main_number.to_owned(),
                digest_user: "office-7".to_owned(),
                ..Trunk::default()
            };
            let found = callee(&trunk, &invite, true).map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), Some(callee_is));
        }
    }
}
