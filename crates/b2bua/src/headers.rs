//! What a message's headers and body parts become on the other side of us. Pure: a message and two trusts in, headers out.

mod history;
mod mailbox;
mod privacy;
mod reason;
mod stir;
mod table;

use segue_call::Said;
use segue_policy::Emergency;
use segue_sip_wire::{Message, Parts, full_name};

pub(crate) use history::{Received, Redirected, returned, written as history};
pub(crate) use mailbox::sent_on;
pub(crate) use privacy::{anonymous, icid, is_withheld, shown};
pub(crate) use reason::{passed_on, try_later};
pub(crate) use stir::fresh_for_ms;
pub(crate) use table::Stands;
pub use table::{Fate, RULES as HEADERS, Rule as HeaderRule};

use table::rule_for;

const REASON: &str = "Reason";
const PRIVACY: &str = "Privacy";
/// By which a network vouches for who calls.
const VOUCHES: [&str; 5] = [
    "Additional-Identity",
    "Attestation-Info",
    "Origination-Id",
    "P-Asserted-Identity",
    "Remote-Party-ID",
];

/// Most bytes of headers that a message has for others, and of body parts. What is more is left out; that is logged in detail only, since
/// peers could fill the log.
const HEADERS_BYTES_MAX: usize = 16 * 1024;
const PARTS_BYTES_MAX: usize = 32 * 1024;

/// What goes along with a message that passes through, while it is not known yet to whom.
#[derive(Debug, Clone)]
pub(crate) struct Carried {
    headers: Vec<(&'static HeaderRule, String, String)>,
    pub parts: Parts,
    stands: Stands,
    from_trusted: bool,
    /// Who says it wants privacy.
    pub withheld: bool,
    /// The way that the call has come.
    pub received: Received,
}

impl Carried {
    /// What an INVITE says for others than us. Compact names are full ones from here on.
    pub fn of(invite: &Message, from_trusted: bool) -> Carried {
        Carried {
            received: Received::of(invite, from_trusted),
            ..Carried::of_any(invite, Stands::Invite, from_trusted)
        }
    }

    /// What the INVITE of a call says: for who helps all of it, but that a caller who is not trusted vouches for itself ("the
    /// proxy MUST replace … or remove this header field", RFC 3325 §5).
    pub fn of_call(invite: &Message, from_trusted: bool, emergency: Option<Emergency>) -> Carried {
        if from_trusted || emergency != Some(Emergency::Call) {
            return Carried::of(invite, from_trusted);
        }
        let mut carried = Carried::of(invite, true);
        carried.headers.retain(|(rule, _, value)| {
            !(VOUCHES.contains(&rule.name) || rule.name == "Priority" && value.eq_ignore_ascii_case("psap-callback"))
        });
        carried
    }

    /// The same of any message.
    pub fn of_any(message: &Message, stands: Stands, from_trusted: bool) -> Carried {
        let mut headers = Vec::new();
        let mut left = HEADERS_BYTES_MAX;
        for (written, value) in message.all_headers() {
            let name = full_name(written);
            let rule = rule_for(name);
            let by_trust =
                if from_trusted { rule.within } else { rule.untrusted } == Fate::Pass || rule.name == PRIVACY;
            let goes_on = rule.passes(stands).unwrap_or(by_trust);
            // Who calls back for an emergency centre is a trusted side's word (RFC 7090 §5).
            let claims_help =
                !from_trusted && rule.name == "Priority" && value.trim().eq_ignore_ascii_case("psap-callback");
            // An empty Recv-Info says that no package is taken (RFC 6086 §5.2.3).
            let says = !value.trim().is_empty() || rule.name == "Recv-Info";
            if goes_on && !claims_help && says {
                let Some(fewer) = left.checked_sub(name.len().saturating_add(value.len())) else {
                    tracing::debug!(header = name, "a header is too much to be passed on");
                    continue;
                };
                left = fewer;
                // A name that is known is written as it is known.
                let name = if rule.name.eq_ignore_ascii_case(name) {
                    rule.name
                } else {
                    name
                };
                headers.push((rule, name.to_owned(), value.trim().to_owned()));
            }
        }
        let reason = passed_on(&message.list(REASON));
        headers.extend(reason.map(|reason| (rule_for(REASON), REASON.to_owned(), reason)));
        let mut parts = message.parts();
        if parts.size() > PARTS_BYTES_MAX {
            tracing::debug!(bytes = parts.size(), "the parts of a body are too much to be passed on");
            parts = Parts::default();
        }
        Carried {
            headers,
            parts,
            stands,
            from_trusted,
            withheld: is_withheld(message),
            received: Received::default(),
        }
    }

    /// Without what the call says by a word of its own.
    pub fn without_reason(mut self) -> Carried {
        self.headers.retain(|(rule, ..)| rule.name != REASON);
        self
    }

    /// With the whole body as it came: an INFO has no description of ours around which others stand. Without one that is too much.
    pub fn with_body_of(mut self, message: &Message) -> Carried {
        self.parts = match is_too_much(message) {
            true => Parts::default(),
            false => message.whole_body(),
        };
        self
    }

    /// What of it a side hears.
    pub fn said_to(&self, to_trusted: bool, takes_parts: bool) -> Said {
        Said {
            headers: self.towards(to_trusted),
            parts: if takes_parts {
                self.parts.clone()
            } else {
                Parts::default()
            },
        }
    }

    /// The headers of it that a side hears, in order.
    pub fn towards(&self, to_trusted: bool) -> Vec<(String, String)> {
        let goes_on = |rule: &HeaderRule| match (self.from_trusted, to_trusted) {
            // Those that do not have been left out.
            _ if rule.passes(self.stands).is_some() => true,
            _ if [REASON, PRIVACY].contains(&rule.name) => true,
            (true, true) => rule.within == Fate::Pass,
            (_, false) if self.withheld => rule.withheld == Fate::Pass,
            (true, false) => rule.leaving == Fate::Pass,
            (false, _) => rule.untrusted == Fate::Pass,
        };
        let headers = self.headers.iter().filter(|(rule, ..)| goes_on(rule));
        let said = |(rule, name, value): &(&HeaderRule, String, String)| {
            // Outside the trust domain the way is told without names by then (RFC 7044 §10.1.2).
            let done = rule.name == PRIVACY && !to_trusted;
            let value = if done {
                without_history(value)
            } else {
                Some(value.clone())
            };
            Some((name.clone(), value?))
        };
        headers.filter_map(said).collect()
    }
}

/// Whether who sent an INVITE takes parts beside the description in a response: it says so, or it has sent some itself. Without Accept
/// it takes a description alone (RFC 3261 §20.1).
pub(crate) fn takes_parts(invite: &Message) -> bool {
    let ranges = invite.list("Accept");
    let takes = |range: &String| {
        let range = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        ["multipart/mixed", "multipart/*", "*/*"].contains(&range.as_str())
    };
    ranges.iter().any(takes) || !invite.parts().is_empty()
}

/// Whether a body as a whole is more than is passed on.
pub(crate) fn is_too_much(message: &Message) -> bool {
    message.whole_body().size() > PARTS_BYTES_MAX
}

/// Privacy without `history`; `None`: nothing is left.
fn without_history(value: &str) -> Option<String> {
    let left = value
        .split(';')
        .map(str::trim)
        .filter(|value| !value.eq_ignore_ascii_case("history"));
    let left: Vec<&str> = left.collect();
    (!left.is_empty()).then(|| left.join(";"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(lines: &str) -> Message {
        let text = format!(
            "INVITE sip:b@192.0.2.1 SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1\r\nf: <sip:a@b>;tag=1\r\n\
             t: <sip:x@b>\r\ni: 1\r\nCSeq: 1 INVITE\r\n{lines}Content-Length: 0\r\n\r\n"
        );
        Message::parse_datagram(text.as_bytes()).unwrap()
    }

    /// The names that pass, by both trusts.
    fn names(lines: &str, from_trusted: bool, to_trusted: bool) -> Vec<String> {
        let carried = Carried::of(&message(lines), from_trusted);
        carried.towards(to_trusted).into_iter().map(|(name, _)| name).collect()
    }

    const ASSERTED: &str = "p-asserted-identity : <sip:real@x>\r\nP-ASSERTED-IDENTITY: <tel:+491>\r\nP-Charging-Vector: icid-value=1\r\n\
                            P-Unheard-Of: 1\r\nP-Preferred-Identity: <sip:p@x>\r\nDiversion: <sip:d@x>\r\nHistory-Info: <sip:h@x>;index=1\r\n\
                            Remote-Party-ID: <sip:r@x>\r\n";

    #[test]
    fn what_only_trusted_sides_may_say_is_stripped_in_whatever_spelling() {
        assert_eq!(names(ASSERTED, false, true), [""; 0]);
        assert_eq!(names(ASSERTED, false, false), [""; 0]);
        let asserted = ["P-Asserted-Identity", "P-Asserted-Identity"];
        let leaving = [&asserted[..], &["Remote-Party-ID"]].concat();
        assert_eq!(names(ASSERTED, true, false), leaving);
        let within = [&asserted[..], &["P-Charging-Vector", "P-Unheard-Of", "Remote-Party-ID"]].concat();
        assert_eq!(names(ASSERTED, true, true), within);
    }

    #[test]
    fn who_is_not_trusted_cannot_claim_to_call_back_for_help() {
        let lines = "Priority: PSAP-callback\r\nPriority: urgent\r\n";
        assert_eq!(names(lines, false, true), ["Priority"]);
        assert_eq!(names(lines, true, true), ["Priority", "Priority"]);
    }

    #[test]
    fn with_privacy_a_side_that_is_not_trusted_hears_nothing_of_who_calls() {
        let told = "Reply-To: <sip:real@x>\r\ns: it is me\r\ny: a.b.c;info=<https://x>\r\nPriority: urgent\r\n";
        for privacy in ["id", "user; critical", "header;ID", "session, id"] {
            let lines = format!("{ASSERTED}{told}Privacy: {privacy}\r\n");
            assert_eq!(names(&lines, true, false), ["Priority", "Privacy"], "{privacy}");
            assert_eq!(names(&lines, false, false), ["Priority", "Privacy"], "{privacy}");
            assert_eq!(names(&lines, true, true).len(), 10, "{privacy}");
        }
        for privacy in ["none", "header", "session", "history"] {
            let lines = format!("{told}Privacy: {privacy}\r\n");
            let left = names(&lines, true, false).len();
            assert_eq!(left, if privacy == "history" { 4 } else { 5 }, "{privacy}");
        }
    }

    #[test]
    fn what_is_not_known_passes_in_its_order_and_bytes() {
        let lines = "X-First: 1\r\na: *;+sip.video\r\nUser-to-User: 56a3;encoding=hex\r\nX-Folded: a,\r\n  b\r\nx-first: 2\r\n\
                     Geolocation: <cid:here@a>\r\n";
        let told = Carried::of(&message(lines), false).towards(false);
        let told: Vec<_> = told
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("X-First", "1"),
                ("Accept-Contact", "*;+sip.video"),
                ("User-to-User", "56a3;encoding=hex"),
                ("X-Folded", "a, b"),
                ("x-first", "2"),
                ("Geolocation", "<cid:here@a>"),
            ]
        );
    }

    /// What a message of these lines says on, by its names.
    fn beyond(stands: Stands, lines: &str, from_trusted: bool, to_trusted: bool) -> Vec<String> {
        let carried = Carried::of_any(&message(lines), stands, from_trusted);
        carried.towards(to_trusted).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn what_belongs_to_one_kind_of_message_passes_there_alone() {
        let lines =
            "WWW-Authenticate: Digest x\r\nRetry-After: 5\r\nm: <sip:else@x>\r\nRecv-Info: x\r\nInfo-Package: x\r\n";
        for (stands, passes) in [
            (Stands::Invite, &["Recv-Info"][..]),
            (Stands::Response(180), &[]),
            (Stands::Response(200), &["Recv-Info"]),
            (Stands::Response(302), &["Retry-After", "Contact"]),
            (Stands::Response(503), &["Retry-After"]),
            (Stands::Dialog, &["Recv-Info", "Info-Package"]),
        ] {
            for (from, to) in [(true, true), (true, false), (false, true), (false, false)] {
                assert_eq!(beyond(stands, lines, from, to), passes, "{stands:?}");
            }
        }
    }

    #[test]
    fn trust_and_privacy_hold_for_every_message() {
        for stands in [
            Stands::Response(183),
            Stands::Response(200),
            Stands::Response(486),
            Stands::Dialog,
        ] {
            assert_eq!(beyond(stands, ASSERTED, false, true), [""; 0]);
            let within = [
                "P-Asserted-Identity",
                "P-Asserted-Identity",
                "P-Charging-Vector",
                "P-Unheard-Of",
                "Remote-Party-ID",
            ];
            assert_eq!(beyond(stands, ASSERTED, true, true), within);
            let private = format!("{ASSERTED}Privacy: id\r\nX-1: 1\r\n");
            assert_eq!(beyond(stands, &private, true, false), ["Privacy", "X-1"]);
            let own = "v: SIP/2.0/UDP x\r\nRecord-Route: <sip:r>\r\nRoute: <sip:r>\r\nServer: x\r\nRequire: x\r\n";
            assert_eq!(beyond(stands, own, true, true), [""; 0]);
        }
    }

    #[test]
    fn what_a_message_has_for_others_is_bounded() {
        let large = "x".repeat(7_000);
        let lines = format!("X-1: {large}\r\nX-2: {large}\r\nX-3: {large}\r\nX-4: 4\r\n");
        assert_eq!(names(&lines, true, true), ["X-1", "X-2", "X-4"]);
    }

    #[test]
    fn who_names_no_multipart_gets_none() {
        for (lines, takes) in [
            ("", false),
            ("Accept: application/sdp\r\n", false),
            ("Accept: application/sdp, Multipart/Mixed;q=0.5\r\n", true),
            ("Accept: */*\r\n", true),
        ] {
            assert_eq!(takes_parts(&message(lines)), takes, "{lines}");
        }
    }

    #[test]
    fn what_each_leg_has_of_its_own_does_not_pass() {
        let lines = "m: <sip:a@192.0.2.2>\r\nk: 100rel, timer\r\nx: 1800\r\nRoute: <sip:r;lr>\r\nAuthorization: Digest x\r\n\
                     Replaces: 1;to-tag=a;from-tag=b\r\nRequire: 100rel\r\nSession-ID: 1\r\nUser-Agent: x\r\nMax-Breadth: 3\r\n";
        assert_eq!(names(lines, true, true), [""; 0]);
        assert_eq!(names("Reason: SIP;cause=302, X;a=b\r\n", false, false), ["Reason"]);
    }
}
