//! How a call has come here and where it goes on: History-Info (RFC 7044) and Diversion (RFC 5806), read, mapped into one another,
//! written.

use segue_policy::History;
use segue_sip_wire::{Message, NameAddr, Uri};

use super::privacy::ANONYMOUS;

/// Most entries that go on of each.
const ENTRIES_MAX: usize = 32;

/// What a trusted side said of a call's way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Received {
    /// History-Info, the first first.
    entries: Vec<NameAddr>,
    /// Diversion, the last first.
    diversions: Vec<NameAddr>,
    /// It knows History-Info in responses (RFC 7044 §9.4).
    knows_history: bool,
    /// `Privacy: history` (or `header`): nobody outside the trust domain shall hear who diverted.
    is_private: bool,
}

impl Received {
    /// Of an INVITE. A header that cannot be read says nothing.
    pub fn of(invite: &Message, trusted: bool) -> Received {
        let list = |name: &str| {
            let mut list = invite.routes(name).unwrap_or_default();
            list.truncate(ENTRIES_MAX);
            list
        };
        let mut privacy = invite.headers("Privacy").flat_map(|value| value.split([';', ',']));
        let is_private = privacy.any(|value| {
            let value = value.trim();
            value.eq_ignore_ascii_case("history") || value.eq_ignore_ascii_case("header")
        });
        match trusted {
            true => Received {
                entries: list("History-Info"),
                diversions: list("Diversion"),
                knows_history: invite.has_token("Supported", "histinfo"),
                is_private,
            },
            false => Received {
                is_private,
                ..Received::default()
            },
        }
    }

    /// Whether it says anything of a way.
    pub fn says_way(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Diversion as a header value, the last first; `None`: there is none.
    pub fn diversion(&self) -> Option<String> {
        (!self.diversions.is_empty()).then(|| list(&self.diversions))
    }

    /// Who diverted the call last, and why.
    pub fn last_diversion(&self) -> Option<(Uri, Option<u16>)> {
        let last = self.diversions().into_iter().next()?;
        let cause = last.params.get("reason").map(cause_of);
        Some((last.uri.without_params(), cause))
    }

    /// Those who diverted the call, the last first: as Diversion says, else by History-Info.
    fn diversions(&self) -> Vec<NameAddr> {
        match self.diversions.is_empty() {
            true => diversions(&self.entries),
            false => self.diversions.clone(),
        }
    }

    /// The way so far: as History-Info says, else by Diversion.
    fn entries(&self, dialled: &NameAddr) -> Vec<NameAddr> {
        if !self.entries.is_empty() {
            return self.entries.clone();
        }
        // Each was followed by the one after it, the last by who was dialled here.
        let mut entries: Vec<NameAddr> = Vec::new();
        let mut why: Option<u16> = None;
        let steps = self
            .diversions
            .iter()
            .rev()
            .map(|by| (by.uri.without_headers(), by.params.get("reason")));
        let last = (!self.diversions.is_empty()).then(|| (dialled.uri.without_headers(), None));
        for (uri, reason) in steps.chain(last) {
            let before = entries
                .last()
                .and_then(|last| last.params.get("index"))
                .map(str::to_owned);
            let mut entry = NameAddr::new(match why {
                Some(cause) if uri.is_sip() => uri.with_param("cause", Some(&cause.to_string())),
                _ => uri,
            });
            match before {
                Some(before) => {
                    entry.params.set("index", Some(&format!("{before}.1")));
                    set_value(&mut entry, "mp", &before);
                }
                None => set_value(&mut entry, "index", "1"),
            }
            why = Some(cause_of(reason.unwrap_or_default()));
            entries.push(entry);
        }
        entries
    }
}

fn set_value(entry: &mut NameAddr, name: &str, value: &str) {
    entry.params.set(name, Some(value));
}

/// A 3xx that led to a target.
#[derive(Debug, Clone)]
pub(crate) struct Redirected {
    pub status: u16,
    /// Its Diversion, of a trusted side.
    said: Vec<NameAddr>,
}

impl Redirected {
    /// `said`: what those who said 3xx on the way said with it, the last first.
    pub fn new<'a>(status: u16, said: impl Iterator<Item = &'a Received>) -> Redirected {
        let said = said.flat_map(|said| said.diversions.iter().cloned());
        Redirected {
            status,
            said: said.take(ENTRIES_MAX).collect(),
        }
    }
}

/// History-Info of a response to a caller of our trust domain who knows it: the way to the target that says it, and what that says of
/// its own way (RFC 7044 §9.3, §9.4). `way`: as for `written`.
pub(crate) fn returned(caller: &Received, way: &[String], said: &Received, status: u16) -> Option<String> {
    let mut ours: Vec<NameAddr> = way.iter().filter_map(|entry| entry.parse().ok()).collect();
    if !caller.knows_history && caller.entries.is_empty() {
        return None;
    }
    // "If the response is not a 100 or 2xx …, the SIP entity adds one or more Reason header fields to the hi-targeted-to-uri."
    if let Some(target) = ours.last_mut().filter(|_| status >= 300) {
        let given_up = format!("{}?Reason=SIP%3Bcause%3D{status}", target.uri.without_headers());
        target.uri = given_up.parse().unwrap_or_else(|_| target.uri.clone());
    }
    let mut entries = joined(caller.entries(ours.first()?), &ours);
    let index = |entry: &NameAddr| entry.params.get("index").map(str::to_owned);
    for entry in &said.entries {
        let known = entries.iter().any(|known| index(known) == index(entry));
        if !known && entries.len() < 2 * ENTRIES_MAX {
            entries.push(entry.clone());
        }
    }
    let steps = |entry: &NameAddr| -> Vec<u32> {
        let index = index(entry).unwrap_or_default();
        index.split('.').map(|step| step.parse().unwrap_or(u32::MAX)).collect()
    };
    entries.sort_by_key(steps);
    Some(list(&entries))
}

/// The headers of an INVITE that tell its way. `way`: what has happened here, each entry a child of the first, which was dialled;
/// `redirected`: the 3xx that led to this target, or why the callee's rules forward the caller.
pub(crate) fn written(
    received: &Received,
    way: &[String],
    redirected: Option<Redirected>,
    kind: History,
    to_trusted: bool,
) -> Vec<(String, String)> {
    let ours: Vec<NameAddr> = way.iter().filter_map(|entry| entry.parse().ok()).collect();
    let Some(dialled) = ours.first() else { return Vec::new() };
    let (by_history, by_diversion) = match kind {
        History::HistoryInfo => (true, false),
        History::Diversion => (false, true),
        History::Both => (true, true),
        History::None => (false, false),
    };
    let mut headers = Vec::new();
    let before = received.entries(dialled);
    if by_history && (redirected.is_some() || !before.is_empty()) {
        let mut entries = joined(before, &ours);
        if !to_trusted {
            entries
                .iter_mut()
                .for_each(|entry| withhold(entry, received.is_private));
        }
        headers.push(("History-Info".to_owned(), list(&entries)));
    }
    let mut diversions = received.diversions();
    if let Some(Redirected { status, said }) = redirected {
        let mut by = NameAddr::new(dialled.uri.without_headers());
        by.params.set("reason", Some(reason_of(status)));
        by.params.set("counter", Some("1"));
        // "A SIP UAC that receives a 3xx containing a Diversion header SHOULD copy [it] into each … request that resulted" (RFC 5806
        // §5.2).
        match said.is_empty() {
            true => diversions.insert(0, by),
            false => drop(diversions.splice(0..0, said)),
        }
        diversions.truncate(ENTRIES_MAX);
    }
    if !to_trusted {
        let open = |by: &NameAddr| {
            by.params
                .get("privacy")
                .is_none_or(|privacy| unquoted(privacy).eq_ignore_ascii_case("off"))
        };
        diversions.retain(|by| open(by) && !received.is_private);
    }
    if by_diversion && !diversions.is_empty() {
        headers.push(("Diversion".to_owned(), list(&diversions)));
    }
    headers
}

fn list(values: &[NameAddr]) -> String {
    let values: Vec<String> = values.iter().map(NameAddr::to_string).collect();
    values.join(", ")
}

/// What was said before, then what has happened here, numbered below it (RFC 7044 §10.3).
fn joined(mut entries: Vec<NameAddr>, ours: &[NameAddr]) -> Vec<NameAddr> {
    let (Some(last), Some(dialled)) = (entries.last(), ours.first()) else {
        return ours.to_vec();
    };
    let index = last.params.get("index").unwrap_or("1").to_owned();
    let same = last.uri.user() == dialled.uri.user() && last.uri.host() == dialled.uri.host();
    // "If the last hi-entry and Request-URI differ … MUST add a single index with a value of 0" (rule 6).
    let base = if same { index } else { format!("{index}.0.1") };
    for ours in ours.iter().skip(usize::from(same)) {
        let mut entry = ours.clone();
        for name in ["index", "rc", "mp", "np"] {
            let below = ours.params.get(name).and_then(|index| index.strip_prefix('1'));
            if let Some(below) = below {
                entry.params.set(name, Some(&format!("{base}{below}")));
            }
        }
        entries.push(entry);
    }
    entries
}

/// Who diverted a call by its History-Info, the last first: where an entry says for which cause it was targeted (RFC 4458), the one
/// before it; where an entry says why it was given up (RFC 7044 §10.2), that one.
fn diversions(entries: &[NameAddr]) -> Vec<NameAddr> {
    let mut found: Vec<NameAddr> = Vec::new();
    for (entry, next) in entries.iter().zip(entries.iter().skip(1)).rev() {
        let by = next.params.get("mp").or(next.params.get("rc"));
        let by = by.and_then(|by| entries.iter().find(|entry| entry.params.get("index") == Some(by)));
        let targeted = next.uri.param("cause").and_then(|cause| cause.parse().ok());
        let (by, cause) = match (targeted, given_up(entry)) {
            (Some(cause), _) => (by.unwrap_or(entry), cause),
            (None, Some(cause)) => (entry, cause),
            (None, None) => continue,
        };
        let mut diversion = NameAddr::new(by.uri.without_headers());
        diversion.params.set("reason", Some(reason_of(cause)));
        if is_withheld(by) {
            diversion.params.set("privacy", Some("full"));
        }
        found.push(diversion);
    }
    found
}

/// The status in an entry's own Reason (`?Reason=SIP%3Bcause%3D486`).
fn given_up(entry: &NameAddr) -> Option<u16> {
    let headers = entry
        .uri
        .headers()?
        .to_ascii_lowercase()
        .replace("%3b", ";")
        .replace("%3d", "=");
    let reason = headers
        .split(['?', '&'])
        .find_map(|header| header.strip_prefix("reason="))?;
    let cause = reason.split(';').find_map(|part| part.strip_prefix("cause="))?;
    reason
        .starts_with("sip")
        .then(|| cause.get(..3)?.parse().ok())
        .flatten()
}

fn is_withheld(entry: &NameAddr) -> bool {
    let headers = entry.uri.headers().unwrap_or_default().to_ascii_lowercase();
    headers
        .split(['?', '&'])
        .any(|header| header.starts_with("privacy=") && header.contains("history"))
}

/// An entry as those outside the trust domain may see it (RFC 7044 §10.1.2).
fn withhold(entry: &mut NameAddr, all: bool) {
    if (all || is_withheld(entry))
        && let Ok(nobody) = ANONYMOUS.parse()
    {
        entry.uri = nobody;
        entry.display = None;
    }
}

fn unquoted(text: &str) -> &str {
    text.trim_matches('"')
}

/// RFC 5806 §4 diversion-reason for a cause of RFC 4458 §2.2.
fn reason_of(cause: u16) -> &'static str {
    match cause {
        486 | 600 => "user-busy",
        408 => "no-answer",
        300..=399 => "unconditional",
        480 | 487 => "deflection",
        503 => "unavailable",
        _ => "unknown",
    }
}

/// The other way. "If no appropriate mapping … exists …, it would be mapped to 302" (RFC 4458 §2.2).
fn cause_of(reason: &str) -> u16 {
    match unquoted(reason).to_ascii_lowercase().as_str() {
        "user-busy" => 486,
        "no-answer" => 408,
        "deflection" => 480,
        "unavailable" | "out-of-service" => 503,
        "unknown" => 404,
        _ => 302,
    }
}
