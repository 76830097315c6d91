//! A profile: how Segue behaves towards one kind of peer. Read from `sip-profiles/*.toml`; `docs/profiles.md` has every key.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    Algorithm, Auth, CalleeEarlyMedia, Destination, DigestOver, Language, MessageWaiting, NextHop, NextHops,
    NumberRule, PEarlyMedia, PreconditionsToCallee, RedirectTarget, ServiceCode, Srtp, SrtpTo, Transcode,
    UnknownCallee,
};

mod check;
mod words;

pub use check::ProfileError;
pub use words::{AnswerAt, History, MediaFrom, RedirectUri, Reliable, ReliableToCallee, SessionRefresher};

/// One profile file. What it leaves out is as in [`Profile::default`].
///
/// A new key wants: a field here with its default, its place in [`KEYS`], its bounds in [`Profile::check`], a line in
/// `sip-profiles/softphone.toml` and a row in `docs/profiles.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// Its name, also in logs.
    pub name: String,
    /// Listening sockets it serves, `address:port`; empty: all.
    pub listen: Vec<String>,
    /// Sources it admits.
    #[serde(deserialize_with = "crate::sources::read")]
    pub sources: Vec<IpNet>,
    /// Its peers are in our trust domain (RFC 3325 §2.3): what they say of who calls is believed, and is told to them.
    pub trusted: bool,
    /// Whether its peers must prove who they are when they call.
    pub auth: Auth,
    /// The realm that we ask them for.
    pub auth_realm: String,
    /// The file (or `env:NAME`) with their names and passwords.
    pub auth_users: String,
    /// Its peers may register (RFC 3261 §10): who proves to be a subscriber says where it is.
    pub registrar: bool,
    /// Its peers may be behind NATs: they are answered and called where their requests come from, whatever their contacts say.
    pub nat: bool,
    /// How their phones are told of waiting messages.
    pub mwi: MessageWaiting,
    /// How often registered phones behind NATs are pinged, milliseconds; 0: never.
    pub nat_ping_ms: u64,
    /// After so many pings in vain a contact is removed; 0: never.
    pub nat_ping_lost_max: u32,
    /// Hash functions for digest authentication, the preferred one first (RFC 8760).
    pub digest_algorithms: Vec<Algorithm>,
    /// Who we are where its peers ask us for credentials; empty: we have none.
    pub digest_user: String,
    /// The realm that these credentials are for: they go to no other.
    pub digest_realm: String,
    /// The file (or `env:NAME`) with their password.
    pub digest_secret: String,
    /// Where they may be sent.
    pub digest_over: DigestOver,
    /// When provisional responses are sent reliably (RFC 3262).
    pub reliable: Reliable,
    /// What INVITEs to callees say of reliable provisional responses.
    pub reliable_to_callee: ReliableToCallee,
    /// Callers who offer sound alone are offered the clip's pictures by UPDATE.
    pub video_upgrade: bool,
    /// The early answer of a call with a clip says `a=content:g.3gpp.cat` (3GPP TS 24.182).
    pub cat_content: bool,
    /// What callees are told of preconditions.
    pub preconditions_to_callee: PreconditionsToCallee,
    /// When peers of our trust domain are told what early media they may let through.
    pub p_early_media: PEarlyMedia,
    /// Whose early media a caller hears who is played nothing.
    pub callee_early_media: CalleeEarlyMedia,
    /// A callee that refuses the caller's codec is offered what else the caller can do, and the caller is brought to what it takes.
    pub align: bool,
    /// What is transcoded where the two have no codec in common.
    pub transcode: Transcode,
    /// Where they have no video codec in common their pictures are transcoded, too.
    pub transcode_video: bool,
    /// When A gets the 200 for the mailbox.
    pub answer_at: AnswerAt,
    /// Callers of mailboxes that say nothing of it choose what they leave, and what becomes of it.
    pub menu: bool,
    /// In which language callers are spoken to, for subscribers that name none.
    pub language: Language,
    /// Status sent to A when B rings: 180 or 183.
    pub ringing_status: u16,
    /// Hold for subscribers that name none, milliseconds.
    pub hold_ms: u64,
    /// Longest hold, milliseconds.
    pub hold_max_ms: u64,
    /// What B's phone is told when A has prolonged the hold to watch the clip; empty: nothing.
    pub prolonged_note: String,
    /// Ring time for subscribers that name none, milliseconds.
    pub no_answer_ms: u64,
    /// In so many calls a subscriber that names no other number is busy; 0: never.
    pub busy_at: u32,
    /// RTP that should come and does not is gone after this long, milliseconds; 0: never.
    pub rtp_gone_ms: u64,
    /// The longest call from B's answer on, milliseconds; 0: any.
    pub call_max_ms: u64,
    /// Calls at once that it admits; 0: any number. One more gets 403.
    pub calls_max: u32,
    /// Calls at once of one account that names no other number; 0: any number.
    pub account_calls_max: u32,
    /// The same, new calls a minute.
    pub account_calls_per_minute: u32,
    /// The same, answered minutes a day.
    pub account_minutes_per_day: u32,
    /// The session interval that we ask for (RFC 4028), seconds; 0: none.
    pub session_expires_s: u32,
    /// The least session interval that we take, seconds.
    pub min_se_s: u32,
    /// Who refreshes sessions, where that is open.
    pub session_refresher: SessionRefresher,
    /// Whose word counts about where a caller's media is.
    pub media_from: MediaFrom,
    /// Whether callers may use SRTP.
    pub srtp: Srtp,
    /// Whether those whom they call are offered SRTP.
    pub srtp_to: SrtpTo,
    /// Where a 3xx of B may send the call on to; empty: nowhere.
    pub redirect_targets: Vec<RedirectTarget>,
    /// What the Request-URI of a call says that is sent on so (RFC 4458).
    pub redirect_uri: RedirectUri,
    /// How B's side is told of the call's way.
    pub history: History,
    /// Users that stand for all mailboxes: whose it is tells the history of the call, from trusted sides.
    pub mailbox_users: Vec<String>,
    /// What subscribers dial for their mailbox and the like; empty: nothing.
    pub service_codes: Vec<ServiceCode>,
    /// Subscribers who say nothing of it are told of calls that they missed.
    pub missed_notices: bool,
    /// Domains whose users are ours, beside our own addresses and names; empty: all.
    pub domains: Vec<RedirectTarget>,
    /// What becomes of calls to those who are no subscribers.
    pub unknown_callee: UnknownCallee,
    /// Where such calls, and those of subscribers who want it so, go on to when they have no Route of their own.
    #[serde(with = "crate::onward::several")]
    pub next_hop: Option<NextHops>,
    /// Our first hop towards whoever nothing else says the way to; none: the target's own server.
    #[serde(with = "crate::onward::maybe")]
    pub outbound_proxy: Option<NextHop>,
    /// What may be called beyond the subscribers; empty: nothing.
    pub destinations: Vec<Destination>,
    /// Country code of numbers that are dialled here, without +; empty: only numbers in E.164 are known.
    pub country_code: String,
    /// Area code of numbers that are dialled without one; empty: none are.
    pub area_code: String,
    /// What is dialled before a country code.
    pub international_prefix: String,
    /// What is dialled before an area code.
    pub national_prefix: String,
    /// What other numbers become, the first that fits before all else.
    pub number_rules: Vec<NumberRule>,
    /// Numbers of emergency services, as they are dialled; `urn:service:sos` is one without that.
    pub emergency_numbers: Vec<String>,
    /// Where emergency calls go; none: as other calls do.
    #[serde(with = "crate::onward::several")]
    pub emergency_next_hop: Option<NextHops>,
}

impl Default for Profile {
    /// Without name and sources, which every file must give.
    fn default() -> Profile {
        Profile {
            name: String::new(),
            listen: Vec::new(),
            sources: Vec::new(),
            trusted: false,
            auth: Auth::None,
            auth_realm: "segue".to_owned(),
            auth_users: String::new(),
            registrar: false,
            nat: false,
            mwi: MessageWaiting::Subscribed,
            nat_ping_ms: 30_000,
            nat_ping_lost_max: 0,
            digest_algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            digest_user: String::new(),
            digest_realm: String::new(),
            digest_secret: String::new(),
            digest_over: DigestOver::Any,
            reliable: Reliable::Supported,
            reliable_to_callee: ReliableToCallee::Supported,
            video_upgrade: false,
            cat_content: false,
            preconditions_to_callee: PreconditionsToCallee::Strip,
            p_early_media: PEarlyMedia::Supported,
            callee_early_media: CalleeEarlyMedia::Authorized,
            align: true,
            transcode: Transcode::Audio,
            transcode_video: false,
            answer_at: AnswerAt::Greeting,
            menu: true,
            language: Language::En,
            ringing_status: 183,
            hold_ms: 0,
            hold_max_ms: 60_000,
            prolonged_note: "The caller stays to watch your clip to its end".to_owned(),
            no_answer_ms: 20_000,
            busy_at: 0,
            rtp_gone_ms: 10_000,
            call_max_ms: 14_400_000,
            calls_max: 0,
            account_calls_max: 0,
            account_calls_per_minute: 0,
            account_minutes_per_day: 0,
            session_expires_s: 1_800,
            min_se_s: 90,
            session_refresher: SessionRefresher::Negotiated,
            media_from: MediaFrom::Proven,
            srtp: Srtp::Allow,
            srtp_to: SrtpTo::AsCaller,
            redirect_targets: Vec::new(),
            redirect_uri: RedirectUri::AsItIs,
            history: History::HistoryInfo,
            mailbox_users: Vec::new(),
            service_codes: Vec::new(),
            missed_notices: true,
            domains: Vec::new(),
            unknown_callee: UnknownCallee::Reject,
            next_hop: None,
            outbound_proxy: None,
            destinations: Vec::new(),
            country_code: String::new(),
            area_code: String::new(),
            international_prefix: "00".to_owned(),
            national_prefix: "0".to_owned(),
            number_rules: Vec::new(),
            emergency_numbers: Vec::new(),
            emergency_next_hop: None,
        }
    }
}

/// Each key of a profile, and what it wants.
pub const KEYS: &[(&str, &str)] = &[
    ("name", "a name for logs, e.g. \"softphone\""),
    (
        "listen",
        "a list of listening sockets, e.g. [\"127.0.0.1:5060\"]; empty: all",
    ),
    (
        "sources",
        "a list of networks, e.g. [\"127.0.0.0/8\", \"192.168.1.0/24\"]",
    ),
    ("trusted", "true or false"),
    ("auth", "\"none\" or \"digest\""),
    ("auth_realm", "a name in one line, e.g. \"sip.example.com\""),
    (
        "auth_users",
        "a file (mode 600) with a user a line: name, password and whom its From may name, or \"env:NAME\"",
    ),
    ("registrar", "true or false"),
    ("nat", "true or false"),
    ("mwi", "\"subscribed\", \"unsolicited\" or \"both\""),
    ("nat_ping_ms", "milliseconds from 5000 to 600000; 0: never"),
    (
        "nat_ping_lost_max",
        "a number of pings in vain; 0: no contact is removed",
    ),
    (
        "digest_algorithms",
        "a list of \"SHA-256\", \"SHA-512-256\" and \"MD5\", the preferred one first",
    ),
    (
        "digest_user",
        "the user name that the peers know us by; empty: no credentials",
    ),
    ("digest_realm", "the realm that the peers' challenges name"),
    (
        "digest_secret",
        "a file (mode 600) with the password alone, or \"env:NAME\" for an environment variable",
    ),
    ("digest_over", "\"any\" or \"tls\""),
    ("reliable", "\"supported\", \"required\" or \"always\""),
    ("reliable_to_callee", "\"supported\", \"required\" or \"never\""),
    ("video_upgrade", "true or false"),
    ("cat_content", "true or false"),
    ("preconditions_to_callee", "\"strip\" or \"offer\""),
    ("p_early_media", "\"supported\", \"always\" or \"never\""),
    ("callee_early_media", "\"authorized\", \"any\" or \"never\""),
    ("align", "true or false"),
    ("transcode", "\"off\" or \"audio\""),
    ("transcode_video", "true or false"),
    ("answer_at", "\"greeting\" or \"after_greeting\""),
    ("menu", "true or false"),
    ("language", "\"en\" or \"de\""),
    ("ringing_status", "180 or 183"),
    ("hold_ms", "milliseconds from 0 to hold_max_ms"),
    ("hold_max_ms", "milliseconds from 0 to 170000"),
    (
        "prolonged_note",
        "at most 120 characters in one line, e.g. \"The caller stays to watch your clip to its end\"; empty: no note",
    ),
    ("no_answer_ms", "milliseconds from 1 to 170000"),
    ("busy_at", "a number of calls; 0: never"),
    ("rtp_gone_ms", "milliseconds from 1000 to 3600000; 0: never"),
    (
        "call_max_ms",
        "milliseconds from 1000 to 604800000 (a week); 0: no limit",
    ),
    ("calls_max", "a number of calls; 0: no limit"),
    ("account_calls_max", "a number of calls; 0: no limit"),
    ("account_calls_per_minute", "a number of calls; 0: no limit"),
    ("account_minutes_per_day", "a number of minutes; 0: no limit"),
    (
        "session_expires_s",
        "seconds from 90 to 86400, no less than min_se_s; 0: we ask for no session timer",
    ),
    ("min_se_s", "seconds from 90 to 86400"),
    ("session_refresher", "\"negotiated\", \"segue\" or \"peer\""),
    ("media_from", "\"proven\", \"nat\" or \"any\""),
    ("srtp", "\"off\", \"allow\" or \"require\""),
    ("srtp_to", "\"off\", \"offer\", \"require\" or \"as-caller\""),
    (
        "redirect_targets",
        "a list of host names, domains and networks, e.g. [\"pbx.example.com\", \"*.example.com\", \"192.168.1.0/24\"]",
    ),
    ("redirect_uri", "\"as_it_is\", \"cause\" or \"target_and_cause\""),
    ("history", "\"history-info\", \"diversion\", \"both\" or \"none\""),
    (
        "mailbox_users",
        "a list of at most 16 users or numbers, e.g. [\"voicemail\", \"+4930990\"]",
    ),
    (
        "service_codes",
        "a list of at most 32 codes or numbers, e.g. [\"*97 -> mailbox\", \"*98 -> greetings\", \"*78 -> dnd-on\", \"*79 -> dnd-off\"]",
    ),
    ("missed_notices", "true or false"),
    (
        "domains",
        "a list of host names, domains and networks, e.g. [\"example.com\", \"*.example.com\"]; empty: all",
    ),
    ("unknown_callee", "\"reject\" or \"forward\""),
    (
        "next_hop",
        "an address, a host, a SIP URI of a server or a trunk, e.g. \"192.0.2.1:5060\", \"sip:sbc.example.com;lr\" or \"trunk:carrier\", or a list of at most 8 of them; empty: none",
    ),
    (
        "outbound_proxy",
        "a SIP URI of a server with lr, e.g. \"sip:sbc.example.com;lr\"; empty: none",
    ),
    (
        "destinations",
        "a list of numbers, host names, domains and networks, e.g. [\"+49*\", \"*.example.com\", \"192.0.2.0/24\"]; \"*\": whatever goes to next_hop",
    ),
    (
        "country_code",
        "digits, e.g. \"49\"; empty: only numbers in E.164 are known",
    ),
    ("area_code", "digits, e.g. \"30\"; empty: none"),
    ("international_prefix", "digits, e.g. \"00\" or \"011\"; empty: none"),
    ("national_prefix", "digits, e.g. \"0\"; empty: none"),
    (
        "number_rules",
        "a list of at most 100 rules, e.g. [\"1?? -> +4930765100\", \"8* -> +4930765*\"]",
    ),
    (
        "emergency_numbers",
        "a list of numbers as they are dialled, e.g. [\"112\", \"110\"]",
    ),
    (
        "emergency_next_hop",
        "an address, a host, a SIP URI of a server or a trunk, e.g. \"192.0.2.1:5060\" or \"trunk:help\", or a list of at most 8 of them; empty: as other calls",
    ),
];

impl Profile {
    /// Whether an address is one of its peers.
    pub fn has(&self, address: IpAddr) -> bool {
        self.sources.iter().any(|net| net.contains(&address))
    }

    /// Whether this profile serves a request that came from `source` to the listening socket `local`.
    pub fn matches(&self, local: &str, source: IpAddr) -> bool {
        (self.listen.is_empty() || self.listen.iter().any(|l| l == local)) && self.has(source)
    }
}

#[cfg(test)]
mod tests;
