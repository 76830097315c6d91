//! No session outlives its interval (RFC 4028), whoever refreshes; and who is not to refresh does not.

use std::collections::{BTreeMap, BTreeSet};

use super::{Marks, Said};
use crate::{
    dice::{MS, S, Time},
    timers::expires,
};

/// A session of one leg, by the tag of the peer.
struct Session {
    refreshed: Time,
    interval_s: Option<u64>,
    we_refresh: bool,
}

/// How long a 2xx may take to say what Segue knows already.
const SLACK: Time = 10 * MS;

pub(super) fn sessions(who: &str, said: &[Said], marks: &mut Marks) -> Result<(), String> {
    let mut sessions: BTreeMap<(&str, &str), Session> = BTreeMap::new();
    let mut requests: BTreeMap<(bool, &str, &str), Said> = BTreeMap::new();
    let mut answered: BTreeSet<(bool, &str, &str)> = BTreeSet::new();
    let mut over: BTreeSet<(&str, &str)> = BTreeSet::new();
    for s in said {
        // What goes out has the peer in To, unless it is a response.
        let of_peer = if s.out == s.msg.status().is_some() {
            s.msg.tag_of_from()
        } else {
            s.msg.tag_of_to()
        };
        let dialog = (s.msg.call_id(), of_peer);
        let method = s.msg.cseq().1;
        if let Some(method) = s.msg.method() {
            let first = requests.insert((s.out, s.msg.branch(), method), *s).is_none();
            if !first || over.contains(&dialog) {
                continue;
            }
            let Some(session) = sessions.get(&dialog) else { continue };
            within(who, session, s.at, method)?;
            if method == "BYE" {
                let expired = s.msg.header("reason").is_some_and(|r| r.contains("Session expired"));
                if expired && s.out {
                    marks.insert(format!("a session of {who} expired"));
                }
                over.insert(dialog);
            } else if s.out && method == "UPDATE" && s.msg.sdp().is_none() {
                hold!(session.we_refresh, "a refresh to {who}, whose part that is");
            }
            continue;
        }
        let status = s.msg.status().unwrap_or_default();
        let asked = (!s.out, s.msg.branch(), method);
        if !(200..300).contains(&status) || !matches!(method, "INVITE" | "UPDATE") || !answered.insert(asked) {
            continue;
        }
        let Some(request) = requests.get(&asked) else { continue };
        if over.contains(&dialog) {
            continue;
        }
        let known = sessions.get(&dialog);
        if let Some(session) = known {
            within(who, session, s.at, "2xx")?;
        }
        let wanted = expires(request.msg);
        let agreed = expires(s.msg);
        if let (true, Some((interval_s, refresher))) = (s.out, agreed) {
            hold!(interval_s >= 90, "{interval_s} s for {who}");
            hold!(
                wanted.is_none_or(|(wanted, _)| interval_s <= wanted.max(90)),
                "{who} asked for {wanted:?}, and got {interval_s} s"
            );
            hold!(refresher.is_some(), "nobody is to refresh the session of {who}");
        }
        let by_us = match (s.out, agreed) {
            (true, Some((_, refresher))) => refresher == Some("uas"),
            (false, Some((_, refresher))) => refresher != Some("uas"),
            (false, None) => true,
            (true, None) => false,
        };
        // A peer that knows no timers is refreshed by us as often as we wanted.
        let interval_s = if s.out { agreed } else { agreed.or(wanted) }.map(|(interval_s, _)| interval_s);
        if known.is_some_and(|k| k.interval_s.is_some())
            && interval_s.is_some()
            && request.msg.sdp().is_none()
            && method == "UPDATE"
        {
            let by = if request.out { "Segue" } else { who };
            marks.insert(format!("UPDATE of {by} refreshed {who}"));
        } else if known.is_some() && interval_s.is_some() && method == "INVITE" {
            let by = if request.out { "Segue" } else { who };
            marks.insert(format!("re-INVITE of {by} refreshed {who}"));
        }
        sessions.insert(
            dialog,
            Session {
                refreshed: s.at,
                interval_s,
                we_refresh: by_us,
            },
        );
    }
    Ok(())
}

fn within(who: &str, session: &Session, at: Time, what: &str) -> Result<(), String> {
    let since = at - session.refreshed;
    hold!(
        session.interval_s.is_none_or(|s| since <= s * S + SLACK),
        "a session of {who} lived for {} s without a refresh, {:?} were agreed ({what})",
        since / S,
        session.interval_s
    );
    Ok(())
}
