//! What a message's headers and body parts become on the other side of us. Pure: a message and two trusts in, headers out.

mod history;
mod mailbox;
mod privacy;
mod reason;
mod stir;
mod table;

use segue_sip_wire::{Message, Parts, full_name};

pub(crate) use history::{Received, written as history};
pub(crate) use mailbox::sent_on;
pub(crate) use privacy::{anonymous, icid, is_withheld, shown};
pub(crate) use reason::passed_on;
pub(crate) use stir::fresh_for_ms;
pub use table::{Fate, RULES as HEADERS, Rule as HeaderRule};

use table::rule_for;

const REASON: &str = "Reason";
const PRIVACY: &str = "Privacy";

/// What goes along with a message that passes through, while it is not known yet to whom.
#[derive(Debug, Clone, Default)]
pub(crate) struct Carried {
    headers: Vec<(&'static HeaderRule, String, String)>,
    pub parts: Parts,
    from_trusted: bool,
    /// Who calls wants privacy.
    pub withheld: bool,
    /// The way that the call has come.
    pub received: Received,
}

impl Carried {
    /// What a message says for others than us. Compact names are full ones from here on.
    pub fn of(message: &Message, from_trusted: bool) -> Carried {
        let mut headers = Vec::new();
        for (written, value) in message.all_headers() {
            let name = full_name(written);
            let rule = rule_for(name);
            let goes_on = if from_trusted { rule.within } else { rule.untrusted } == Fate::Pass || rule.name == PRIVACY;
            // Who calls back for an emergency centre is a trusted side's word (RFC 7090 §5).
            let claims_help =
                !from_trusted && rule.name == "Priority" && value.trim().eq_ignore_ascii_case("psap-callback");
            if goes_on && !claims_help && !value.trim().is_empty() {
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
        Carried {
            headers,
            parts: message.parts(),
            from_trusted,
            withheld: is_withheld(message),
            received: Received::of(message, from_trusted),
        }
    }

    /// What of it a side hears, in order.
    pub fn towards(&self, to_trusted: bool) -> Vec<(String, String)> {
        let goes_on = |rule: &HeaderRule| match (self.from_trusted, to_trusted) {
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

    #[test]
    fn what_each_leg_has_of_its_own_does_not_pass() {
        let lines = "m: <sip:a@192.0.2.2>\r\nk: 100rel, timer\r\nx: 1800\r\nRoute: <sip:r;lr>\r\nAuthorization: Digest x\r\n\
                     Replaces: 1;to-tag=a;from-tag=b\r\nRequire: 100rel\r\nSession-ID: 1\r\nUser-Agent: x\r\nMax-Breadth: 3\r\n";
        assert_eq!(names(lines, true, true), [""; 0]);
        assert_eq!(names("Reason: SIP;cause=302, X;a=b\r\n", false, false), ["Reason"]);
    }
}
