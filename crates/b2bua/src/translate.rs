//! The only mapping between what `sip` says and what `call` says.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use segue_call::{
    Contact, Early, Further, Incoming, LegAction, LegEvent, LegId, MediaEvent, Now, RefuseInfo, Said, Shown, Trail,
};
use segue_policy::{PreconditionsToCallee, Profile, RedirectUri, ReliableToCallee, SessionRefresher};
use segue_records::{CallRecord, Happening, MediaKind};
use segue_sdp::Kind;
use segue_sip::{
    Along, Ask, CommandError, Endpoint, Event, Outgoing, Peer, Progress, Refreshes, SessionId, SessionInterval,
};
use segue_sip_wire::{KeyPress, Message, NameAddr, Parts, SessionUuid, Uri};

use crate::{
    emergency,
    headers::{self, Carried, Received, Redirected},
};

use crate::early_media;

/// A new INVITE as the call core wants it; `None` when its mandatory headers cannot be read.
pub(crate) fn incoming(now: Now, invite: &Message, peer: &Peer, profile: Arc<Profile>) -> Option<Incoming> {
    let from = invite.from().ok()?;
    let to = invite.to().ok()?;
    let route = invite.routes("Route").ok()?;
    let max_forwards = invite.max_forwards().ok()?.unwrap_or(70);
    Some(Incoming {
        sip_call_id: invite.call_id()?.to_owned(),
        from: from.uri.without_params(),
        from_name: from.display,
        request_uri: invite.request_uri()?.clone(),
        further: further(now, invite, &profile),
        offer: invite.sdp().map(Arc::from),
        supports_100rel: invite.has_token("Supported", "100rel") || invite.has_token("Require", "100rel"),
        requires_100rel: invite.has_token("Require", "100rel"),
        p_early_media: early_media::is_for(invite, &profile),
        max_forwards: max_forwards.saturating_sub(1),
        max_breadth: max_breadth(invite),
        is_loop: false,
        own_sockets: Arc::new([]),
        own_names: Arc::new([]),
        emergency: emergency::of(invite, &profile),
        to: to.uri,
        to_name: to.display,
        route: route.into_iter().map(|hop| hop.uri).collect(),
        source: peer.remote.ip(),
        profile,
    })
}

/// What its other headers mean to the call.
fn further(now: Now, invite: &Message, profile: &Profile) -> Further {
    let trusted = profile.trusted;
    let shown = headers::shown(invite, trusted).map(|shown| Shown {
        uri: shown.uri.without_params(),
        name: shown.display,
    });
    let fresh_ms = headers::fresh_for_ms(invite, now.wall.0);
    Further {
        shown,
        icid: headers::icid(invite, trusted),
        sent_on: headers::sent_on(invite, &headers::Received::of(invite, trusted), &profile.mailbox_users),
        // The shard knows.
        proven: None,
        invite_by: fresh_ms.and_then(|ms| now.mono.checked_add(Duration::from_millis(ms))),
        // The shard has it.
        secret: None,
    }
}

/// Whom a call is to, as far as that makes it another call.
pub(crate) fn called(request_uri: &Uri) -> String {
    match request_uri.user() {
        Some(user) => user.into_owned(),
        None => request_uri.to_string(),
    }
}

/// The most branches of a call at a time (RFC 5393 §5.3.3): the default without the header, and never more.
const MAX_BREADTH: u8 = 60;

/// Max-Breadth. What cannot be read is no limit that anybody set.
fn max_breadth(invite: &Message) -> u8 {
    let said = invite.header("Max-Breadth").map(str::trim);
    let digits = said.filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    // A number too long for us is more than our own limit.
    digits.map_or(MAX_BREADTH, |text| text.parse().unwrap_or(MAX_BREADTH).min(MAX_BREADTH))
}

/// Contacts of a 3xx that are looked at.
const CONTACTS_MAX: usize = 16;

/// Where a 3xx points to. Contacts that cannot be read are passed over.
fn contacts(response: &Message) -> Vec<Contact> {
    let read = |contact: &NameAddr| Contact {
        uri: contact.uri.without_headers(),
        q: contact.params.get("q").map_or(1_000, thousandths),
    };
    let contacts = response.contacts().unwrap_or_default();
    contacts.iter().take(CONTACTS_MAX).map(read).collect()
}

/// A qvalue (RFC 3261 §25.1), in thousandths; what is none counts as the least.
fn thousandths(q: &str) -> u16 {
    let (whole, part) = q.trim().split_once('.').unwrap_or((q.trim(), ""));
    let digits = part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
    match (whole, digits) {
        ("1", true) => 1_000,
        ("0", true) => format!("{part:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

/// An event of a leg; `None` for those that belong to none. `said`: what its message has for the other side.
pub(crate) fn event(event: Event, said: Said) -> Option<(SessionId, LegEvent)> {
    Some(match event {
        Event::Incoming { .. }
        | Event::Options { .. }
        | Event::Refused { .. }
        | Event::Paused { .. }
        | Event::Pong { .. }
        | Event::Replied { .. }
        | Event::RegisterAnswered { .. }
        | Event::Paged { .. } => return None,
        Event::Prack { session, sdp: None } => (session, LegEvent::Prack),
        // The answer to our offer comes in the PRACK or ACK of the response that it stood in.
        Event::Prack { session, sdp }
        | Event::Acked {
            session,
            sdp: sdp @ Some(_),
        } => (session, LegEvent::OfferAnswered { sdp }),
        Event::PrackTimeout { session } => (session, LegEvent::PrackTimeout),
        Event::Cancelled { session, reasons } => {
            let reason = headers::passed_on(&reasons);
            (session, LegEvent::Cancelled { reason })
        }
        Event::Acked { session, sdp: None } => (session, LegEvent::Acked),
        Event::AckTimeout { session } => (session, LegEvent::AckTimeout),
        Event::Provisional { session, response } => {
            let early = Early {
                status: response.status().unwrap_or(180),
                fork: to_tag(&response),
                sdp: response.sdp().map(Arc::from),
                early_media: early_media::asked(&response),
                has_more: !said.headers.is_empty() || !said.parts.is_empty(),
            };
            (session, LegEvent::Provisional(early))
        }
        Event::EarlyMedia { session, fork, message } => {
            let early_media = early_media::asked(&message)?;
            (session, LegEvent::EarlyMedia { fork, early_media })
        }
        Event::Answered { session, sdp, response } => {
            let fork = to_tag(&response);
            (session, LegEvent::Answered { sdp, fork })
        }
        Event::Failed {
            session,
            status: status @ 300..=399,
            phrase,
            response: Some(response),
            ..
        } => (
            session,
            LegEvent::Redirected {
                status,
                phrase,
                contacts: contacts(&response),
                said,
            },
        ),
        Event::CrossedCancel { session } => (session, LegEvent::CrossedCancel),
        Event::Failed {
            session,
            status,
            phrase,
            response,
            paused,
        } => (
            session,
            LegEvent::Failed {
                status,
                phrase,
                local: response.is_none(),
                said: match paused {
                    Some(left) => Said {
                        headers: headers::try_later(left),
                        ..Said::default()
                    },
                    None => said,
                },
            },
        ),
        Event::Offer { session, sdp, fork, .. } => (session, LegEvent::Offer { sdp, fork }),
        Event::OfferAnswered { session, sdp, .. } => (session, LegEvent::OfferAnswered { sdp }),
        Event::OfferRefused { session, status, .. } => (session, LegEvent::OfferRefused { status }),
        Event::AnswerHeld { session } => (session, LegEvent::AnswerHeld),
        Event::AnswerSent { session } => (session, LegEvent::AnswerSent),
        Event::OfferWithdrawn { session } => (session, LegEvent::OfferWithdrawn),
        Event::Bye { session, reasons, .. } => {
            let reason = headers::passed_on(&reasons);
            (session, LegEvent::Bye { reason })
        }
        Event::Key { session, press } => {
            let duration_ms = press.duration_ms.into();
            let key = press.key;
            (session, LegEvent::Key { key, duration_ms })
        }
        Event::Asked { session, ask, .. } => (session, LegEvent::Asked { ask: ask.0 }),
        Event::Refreshed { session, .. } => (session, LegEvent::Refreshed),
        // Its answer goes straight to who asked.
        Event::AskAnswered { .. } => return None,
        // What asks for a key frame by SIP asks by RTCP as well.
        Event::Info { .. } => return None,
        Event::Terminated { session } => (session, LegEvent::Terminated),
    })
}

/// What only peers of our trust domain may say, said by another: it is not heard (RFC 5009 §6). `None`: nothing is left of it.
pub(crate) fn at_trust_edge(event: LegEvent) -> Option<LegEvent> {
    match event {
        LegEvent::Provisional(early) => Some(LegEvent::Provisional(Early {
            early_media: None,
            ..early
        })),
        LegEvent::EarlyMedia { .. } => None,
        event => Some(event),
    }
}

/// The dialog that a response belongs to.
fn to_tag(response: &Message) -> Option<Arc<str>> {
    response.to().ok()?.tag().map(Arc::from)
}

/// The INVITE to B. It leaves by the socket that A's came to when the transport is the same.
pub(crate) fn outgoing(action: LegAction, a: &Peer, caller: SessionUuid) -> Option<Outgoing> {
    let LegAction::Invite {
        target,
        way,
        from,
        from_name,
        sdp,
        max_forwards,
        max_breadth,
        trail: _,
        note,
    } = action
    else {
        return None;
    };
    let mut headers = vec![("Max-Breadth".to_owned(), max_breadth.to_string())];
    headers.extend(note.iter().flat_map(|note| note_headers(note)));
    Some(Outgoing {
        target,
        to: way.to,
        route: way.route,
        hop: way.hop,
        from,
        from_name,
        sdp,
        max_forwards,
        headers,
        parts: Parts::default(),
        local: a.local,
        supported: Vec::new(),
        required: Vec::new(),
        session_uuid: Some(caller),
        interval: SessionInterval::default(),
        urgent: false,
        has_other_way: false,
        back_to: None,
        candidates: Vec::new(),
    })
}

/// What the INVITE says of reliable provisional responses, by the profile of B's side.
pub(crate) fn reliable(outgoing: &mut Outgoing, towards: &Profile, call: &Profile) {
    match towards.reliable_to_callee {
        ReliableToCallee::Supported => outgoing.supported.push("100rel"),
        ReliableToCallee::Required => outgoing.required.push("100rel"),
        ReliableToCallee::Never => {}
    }
    // What became of each phone behind the callee's proxy may be told at once (RFC 6228 §4).
    outgoing.supported.push("199");
    // All of ours are optional, so that Supported is enough (RFC 3312 §11).
    if call.preconditions_to_callee == PreconditionsToCallee::Offer {
        outgoing.supported.push("precondition");
    }
}

/// What a profile wants of the session timer of its side's leg.
pub(crate) fn interval(profile: &Profile) -> SessionInterval {
    SessionInterval {
        expires_s: profile.session_expires_s,
        min_se_s: profile.min_se_s,
        refreshes: match profile.session_refresher {
            SessionRefresher::Negotiated => Refreshes::Negotiated,
            SessionRefresher::Segue => Refreshes::We,
            SessionRefresher::Peer => Refreshes::Peer,
        },
    }
}

/// The INVITE to B with what A's says for it, now that it is known whether B's side is trusted.
pub(crate) fn carrying(
    mut outgoing: Outgoing,
    carried: &Carried,
    (trail, diverted): (Option<&Trail>, &BTreeMap<LegId, Received>),
    towards: &Profile,
    trusted: bool,
) -> Outgoing {
    if carried.withheld && !trusted {
        // From as nobody's is kept as it came.
        let host = outgoing.from.host().map(|host| host.to_string());
        let is_known = host.is_none_or(|host| !host.eq_ignore_ascii_case("anonymous.invalid"));
        if let Some(nobody) = headers::anonymous().filter(|_| is_known) {
            (outgoing.from, outgoing.from_name) = (nobody.uri, nobody.display);
        }
    }
    let mut headers = carried.towards(trusted);
    for (name, ours) in std::mem::take(&mut outgoing.headers) {
        say_too(&mut headers, name, ours);
    }
    if let Some(Trail {
        entries,
        redirected,
        by,
    }) = trail
    {
        let said = by.iter().filter_map(|leg| diverted.get(leg));
        let redirection = redirected.map(|status| Redirected::new(status, said));
        headers.extend(headers::history(
            &carried.received,
            entries,
            redirection,
            towards.history,
            trusted,
        ));
        let dialled = entries.first().and_then(|entry| entry.parse().ok());
        if let (Some(_), Some(dialled)) = (redirected, dialled) {
            outgoing.target = sent_on(outgoing.target, &dialled, towards.redirect_uri);
        }
    }
    outgoing.headers = headers;
    outgoing.parts = carried.parts.clone();
    outgoing
}

/// Where a 3xx sends a call on to, with what RFC 4458 §2 says of it; what its Contact says of that stays.
fn sent_on(target: Uri, dialled: &NameAddr, how: RedirectUri) -> Uri {
    let add = |uri: Uri, name: &str, value: &str| match uri.param(name) {
        Some(_) => uri,
        None => uri.with_param(name, Some(value)),
    };
    let with_target = match how {
        RedirectUri::AsItIs => return target,
        RedirectUri::Cause => target,
        RedirectUri::TargetAndCause => add(target, "target", &escaped(&dialled.uri.without_params().to_string())),
    };
    add(with_target, "cause", "302")
}

/// With `@` and the like as `%40` (RFC 3261 §25.1 pvalue).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(char::from(byte)),
            _ if b"-_.!~*'()[]/:&+$".contains(&byte) => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// A header of ours beside those of A; what is said already is not said again.
fn say_too(headers: &mut Vec<(String, String)>, name: String, ours: String) {
    let theirs = headers.iter_mut().filter(|(theirs, _)| *theirs == name);
    for (_, theirs) in theirs {
        // Subject may stand once.
        if *theirs == ours || name == "Subject" {
            if !theirs.contains(&ours) {
                *theirs = format!("{theirs} ({ours})");
            }
            return;
        }
    }
    headers.push((name, ours));
}

/// A note for B's phone: in Subject, which most phones show, and for those that show what Call-Info refers to (RFC 3261 §20.9),
/// there as a `data:` URI (RFC 2397).
fn note_headers(note: &str) -> [(String, String); 2] {
    let line: String = note.chars().filter(|c| !c.is_control()).collect();
    let mut data = String::with_capacity(line.len());
    for byte in line.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            data.push(char::from(byte));
        } else {
            data.push_str(&format!("%{byte:02X}"));
        }
    }
    let info = format!("<data:text/plain;charset=utf-8,{data}>;purpose=info");
    [
        ("Subject".to_owned(), line.trim().to_owned()),
        ("Call-Info".to_owned(), info),
    ]
}

/// What who has asked something of the other side is answered: the status of that side, and a Warning where it is another because that
/// one would say something of the asker's own dialog, send it elsewhere, or ask for credentials that only we could give. `None`: there was no answer.
pub(crate) fn answer_for_asker(status: Option<u16>) -> (u16, Option<String>) {
    match status {
        None => (504, Some("399 segue \"The other side does not answer\"".to_owned())),
        Some(status @ (300..=399 | 401 | 407 | 408 | 481 | 482 | 483 | 503)) => {
            (500, Some(format!("399 segue \"The other side says {status}\"")))
        }
        Some(status) => (status, None),
    }
}

/// What goes along with a message, from what has been said.
pub(crate) fn along(said: Said) -> Along {
    let Said { headers, parts } = said;
    Along { headers, parts }
}

/// Performs an action on a leg that exists, with what goes along.
pub(crate) fn perform(
    endpoint: &mut Endpoint,
    now: Instant,
    session: SessionId,
    action: LegAction,
    said: Said,
) -> Result<(), CommandError> {
    let along = along(said);
    match action {
        LegAction::Progress {
            status,
            reliable,
            sdp,
            early_media,
        } => {
            let progress = Progress {
                status,
                reliable,
                sdp,
                headers: early_media::told(&early_media).into_iter().collect(),
                along,
            };
            endpoint.progress(now, session, progress)
        }
        LegAction::Answer { sdp } => endpoint.answer_along(now, session, sdp, along),
        LegAction::Refuse(RefuseInfo {
            status,
            reason,
            warning,
            require,
            said,
            sdp,
        }) => {
            let mut headers: Vec<(&str, String)> = Vec::new();
            headers.extend(reason.map(|r| ("Reason", r)));
            headers.extend(warning.map(|w| ("Warning", w)));
            headers.extend(require.map(|r| ("Require", r.to_owned())));
            endpoint.refuse_along(now, session, status, &headers, sdp.as_deref(), &self::along(said))
        }
        // What needs more than one leg, the shard has done.
        LegAction::Invite { .. } | LegAction::Ask { .. } | LegAction::Refresh => Ok(()),
        LegAction::DeclineAsk { ask } => endpoint.decline_ask(now, session, Ask(ask)),
        LegAction::Cancel { reason } => endpoint.cancel(now, session, reason),
        LegAction::Bye { reason } => endpoint.bye_along(now, session, reason, along),
        LegAction::AcceptOffer { sdp } => endpoint.accept_offer_along(now, session, sdp, &along),
        LegAction::RefuseOffer { status, warning } => {
            let warning: Vec<_> = warning.map(|warning| ("Warning", warning)).into_iter().collect();
            endpoint.refuse_offer_along(now, session, status, &warning, &along)
        }
        LegAction::Offer { sdp } => endpoint.offer_along(now, session, sdp, along),
        LegAction::AskKeyFrame => endpoint.ask_key_frame(now, session),
        LegAction::TellKey { key, duration_ms } => {
            let duration_ms = u16::try_from(duration_ms).unwrap_or(u16::MAX);
            endpoint.tell_key(now, session, KeyPress { key, duration_ms })
        }
    }
}

/// A change of what A hears or sees, for those who follow what happens.
pub(crate) fn switched(event: &MediaEvent) -> Option<Happening> {
    let MediaEvent::Switched { to, kind, gap_ms } = event else {
        return None;
    };
    Some(Happening::CallSwitch {
        to: to.as_str().to_owned(),
        kind: match kind {
            Kind::Audio => MediaKind::Audio,
            Kind::Video => MediaKind::Video,
        },
        gap_ms: *gap_ms,
    })
}

/// The command or line that would have let a rejected call in.
pub(crate) fn line_that_admits(record: &CallRecord) -> String {
    match record.cause {
        Some(404) => {
            let uri = record.to.parse::<Uri>().ok();
            let user = uri.as_ref().and_then(Uri::user).unwrap_or_default();
            let target = format!("sip:{user}@ADDRESS:PORT");
            format!(
                "segue subscriber add {} --target {}",
                shell_word(&user),
                shell_word(&target)
            )
        }
        Some(421) => "let the caller support 100rel, or set reliable = \"supported\" in its profile".to_owned(),
        Some(403) if record.why.contains("as many as a subscriber may") => {
            "raise overload.subscriber_calls_max".to_owned()
        }
        Some(403) if record.why.contains(" admits its Route to ") => {
            // The sentence ends there.
            let place = record.why.trim_end_matches('.').rsplit(' ').next().unwrap_or_default();
            format!(
                "add \"{place}\" to `destinations` in the caller's profile (numbers and \"*\" admit no Route), or send the call \
                 without that Route"
            )
        }
        Some(403) => {
            "name the callee or the place that it goes to in `destinations` of the caller's profile".to_owned()
        }
        Some(480) => "set `next_hop` in the caller's profile, or send the call with a Route".to_owned(),
        Some(440) => "allow the call more branches at a time (Max-Breadth)".to_owned(),
        Some(482) => "look where the callee's targets and the servers there send the call".to_owned(),
        Some(488) => {
            "offer PCMU, PCMA, G722, opus, AMR or AMR-WB (and H.264 or VP8 for video) over RTP/AVP or RTP/AVPF"
                .to_owned()
        }
        _ => "see `segue call show` of this call".to_owned(),
    }
}

/// One word of a command line. A caller chose it, and an operator may paste it into a shell.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%_+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests;
