//! Each header that is known, and what becomes of it on its way through (docs/headers.md).

use Fate::{Pass, Rewrite, Strip};

/// What becomes of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes on as it came, in its place among the others.
    Pass,
    /// Segue says its own in its place.
    Rewrite,
    /// It goes no further.
    Strip,
}

impl Fate {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Fate::Pass => "pass",
            Fate::Rewrite => "rewrite",
            Fate::Strip => "strip",
        }
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The full name. `P-*`: every other name that begins so; `*`: every other name.
    pub name: &'static str,
    /// From a trusted side to a trusted side.
    pub within: Fate,
    /// From a trusted side to one that is not.
    pub leaving: Fate,
    /// From a side that is not trusted to whichever.
    pub untrusted: Fate,
    /// To a side that is not trusted, when who says it wants privacy.
    pub withheld: Fate,
    /// In responses to an INVITE, and in those to requests within the dialog.
    pub responses: Beyond,
    /// In requests within the dialog.
    pub dialog: Beyond,
}

/// What becomes of a header in other messages than the first INVITE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// The same as there.
    Same,
    /// It passes, whoever says it.
    Pass,
    /// It goes no further.
    Strip,
    /// It passes in a 2xx, and in nothing else.
    Success,
    /// It passes in a refusal (300 to 699), and in nothing else.
    Refusal,
    /// It passes in a 3xx, and in nothing else.
    Redirection,
}

impl Beyond {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Beyond::Same => "same",
            Beyond::Pass => "pass",
            Beyond::Strip => "strip",
            Beyond::Success => "2xx",
            Beyond::Refusal => "refusal",
            Beyond::Redirection => "3xx",
        }
    }
}

/// The message that a header stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stands {
    /// The first INVITE.
    Invite,
    /// A response of this status.
    Response(u16),
    /// A response to INFO of this status.
    InfoResponse(u16),
    /// A request within the dialog.
    Dialog,
}

impl Rule {
    /// The same, but for responses.
    const fn responses(self, responses: Beyond) -> Rule {
        Rule { responses, ..self }
    }

    /// The same, but within the dialog.
    const fn dialog(self, dialog: Beyond) -> Rule {
        Rule { dialog, ..self }
    }

    /// Whether it passes there whatever the trust; `None`: by the trust, as in an INVITE.
    pub(crate) fn passes(&self, stands: Stands) -> Option<bool> {
        let (beyond, status) = match stands {
            Stands::Invite => return None,
            // What is taken instead: of the side that was asked, not of ours (RFC 6086 §4.2.2, RFC 3261 §8.2.3).
            Stands::InfoResponse(469) if self.name == "Recv-Info" => return Some(true),
            Stands::InfoResponse(415) if ["Accept", "Accept-Encoding"].contains(&self.name) => return Some(true),
            Stands::Response(status) | Stands::InfoResponse(status) => (self.responses, status),
            Stands::Dialog => (self.dialog, 0),
        };
        match beyond {
            Beyond::Same => None,
            Beyond::Pass => Some(true),
            Beyond::Strip => Some(false),
            Beyond::Success => Some((200..300).contains(&status)),
            Beyond::Refusal => Some(status >= 300),
            Beyond::Redirection => Some((300..400).contains(&status)),
        }
    }
}

const fn rule(name: &'static str, within: Fate, leaving: Fate, untrusted: Fate, withheld: Fate) -> Rule {
    Rule {
        name,
        within,
        leaving,
        untrusted,
        withheld,
        responses: Beyond::Same,
        dialog: Beyond::Same,
    }
}

/// End to end, whoever says it.
const fn pass(name: &'static str) -> Rule {
    rule(name, Pass, Pass, Pass, Pass)
}

/// The same, but it may say who calls (RFC 3323 §5.3).
const fn personal(name: &'static str) -> Rule {
    rule(name, Pass, Pass, Pass, Strip)
}

/// Each leg has its own.
const fn own(name: &'static str) -> Rule {
    rule(name, Rewrite, Rewrite, Rewrite, Rewrite)
}

/// It belongs to one leg: there is none of it on the other.
const fn strip(name: &'static str) -> Rule {
    rule(name, Strip, Strip, Strip, Strip)
}

/// It stays within the trust domain.
const fn inside(name: &'static str) -> Rule {
    rule(name, Pass, Strip, Strip, Strip)
}

/// What a trusted side says of who calls: others may hear it, unless the caller wants privacy.
const fn asserted(name: &'static str) -> Rule {
    rule(name, Pass, Pass, Strip, Strip)
}

/// How the call came here: written anew from what a trusted side said and what has happened here.
const fn history(name: &'static str) -> Rule {
    rule(name, Rewrite, Rewrite, Strip, Rewrite)
}

/// The table, in the order of the names without case, then the two that stand for all others.
pub const RULES: &[Rule] = &[
    own("Accept"),
    pass("Accept-Contact"),
    own("Accept-Encoding"),
    pass("Accept-Language"),
    strip("Accept-Resource-Priority").responses(Beyond::Pass),
    inside("Additional-Identity"),
    pass("Alert-Info"),
    own("Allow"),
    strip("Allow-Events"),
    pass("Answer-Mode"),
    inside("Attestation-Info"),
    strip("Authentication-Info"),
    strip("Authorization"),
    own("Call-ID"),
    personal("Call-Info"),
    inside("Cellular-Network-Info"),
    own("Contact").responses(Beyond::Redirection),
    own("Content-Disposition"),
    strip("Content-Encoding"),
    strip("Content-ID"),
    strip("Content-Language"),
    own("Content-Length"),
    strip("Content-Transfer-Encoding"),
    own("Content-Type"),
    own("CSeq"),
    pass("Date"),
    history("Diversion"),
    pass("Error-Info"),
    strip("Event"),
    strip("Expires"),
    inside("Feature-Caps"),
    strip("Flow-Timer"),
    own("From"),
    pass("Geolocation"),
    pass("Geolocation-Error"),
    pass("Geolocation-Routing"),
    history("History-Info"),
    personal("Identity"),
    personal("Identity-Info"),
    personal("In-Reply-To"),
    strip("Info-Package").dialog(Beyond::Pass),
    strip("Join"),
    own("Max-Breadth"),
    own("Max-Forwards"),
    strip("MIME-Version"),
    strip("Min-Expires"),
    own("Min-SE"),
    personal("Organization"),
    inside("Origination-Id"),
    inside("P-*"),
    asserted("P-Asserted-Identity"),
    strip("P-Associated-URI"),
    inside("P-Charging-Vector"),
    rule("P-Early-Media", Rewrite, Rewrite, Strip, Rewrite),
    strip("P-Media-Authorization"),
    strip("P-Preferred-Identity"),
    strip("P-Preferred-Service"),
    strip("Path"),
    pass("Priority"),
    pass("Priv-Answer-Mode"),
    rule("Privacy", Pass, Rewrite, Rewrite, Rewrite),
    strip("Proxy-Authenticate"),
    strip("Proxy-Authentication-Info"),
    strip("Proxy-Authorization"),
    strip("Proxy-Require"),
    own("RAck"),
    own("Reason"),
    own("Record-Route"),
    pass("Recv-Info").responses(Beyond::Success),
    strip("Refer-Sub"),
    strip("Refer-To"),
    personal("Referred-By"),
    pass("Reject-Contact"),
    asserted("Remote-Party-ID"),
    strip("Replaces"),
    personal("Reply-To"),
    pass("Request-Disposition"),
    own("Require"),
    pass("Resource-Priority"),
    own("Retry-After").responses(Beyond::Refusal),
    own("Route"),
    own("RSeq"),
    strip("Security-Client"),
    strip("Security-Server"),
    strip("Security-Verify"),
    own("Server"),
    strip("Service-Route"),
    own("Session-Expires"),
    own("Session-ID"),
    strip("SIP-ETag"),
    strip("SIP-If-Match"),
    personal("Subject"),
    strip("Subscription-State"),
    own("Supported"),
    strip("Target-Dialog"),
    strip("Timestamp"),
    own("To"),
    own("Unsupported"),
    own("User-Agent"),
    pass("User-to-User"),
    own("Via"),
    pass("Warning"),
    strip("WWW-Authenticate"),
    pass("*"),
];

/// The rule for a header by its full name.
pub fn rule_for(name: &str) -> &'static Rule {
    const LEAST: Rule = strip("");
    let named = |name: &str| RULES.iter().find(|rule| rule.name.eq_ignore_ascii_case(name));
    let is_private = name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("p-"));
    let rest = if is_private { "P-*" } else { "*" };
    named(name).or_else(|| named(rest)).unwrap_or(&LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_in_order_and_once() {
        let names: Vec<String> = RULES.iter().map(|rule| rule.name.to_ascii_lowercase()).collect();
        let (last, others) = names.split_last().unwrap();
        assert_eq!(last, "*");
        assert!(others.is_sorted_by(|a, b| a < b), "{others:?}");
    }

    #[test]
    fn a_name_is_known_in_whatever_case_and_others_by_their_beginning() {
        assert_eq!(rule_for("p-aSSERTED-identity").name, "P-Asserted-Identity");
        assert_eq!(rule_for("p-Something").name, "P-*");
        assert_eq!(rule_for("X-Something").name, "*");
        assert_eq!(rule_for("P").name, "*");
        assert_eq!(rule_for("Päf").name, "*");
    }

    #[test]
    fn nothing_that_is_stripped_for_want_of_trust_or_for_privacy_passes_otherwise() {
        for rule in RULES {
            let asserts = rule.name.starts_with("P-") || ["Diversion", "History-Info"].contains(&rule.name);
            assert!(!asserts || rule.untrusted == Strip, "{}", rule.name);
            assert!(rule.within == Pass || rule.leaving != Pass, "{}", rule.name);
            assert!(rule.leaving == Pass || rule.withheld != Pass, "{}", rule.name);
        }
    }
}
