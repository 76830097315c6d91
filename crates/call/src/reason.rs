//! Reason header values (RFC 3326).

/// Longest Reason of a peer that is passed on to the other.
const PASSED_ON_MAX: usize = 256;

/// B rang in vain and the caller goes to the mailbox. Not "completed elsewhere": B's phone shall show a missed call.
pub(crate) const NO_ANSWER: &str = "SIP;cause=408;text=\"No answer\"";
/// Another of B's targets has answered: this one shall show no missed call (RFC 3326 §3.1).
pub(crate) const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";
/// Another of B's targets has declined for all.
pub(crate) const DECLINED_ELSEWHERE: &str = "SIP;cause=603;text=\"Declined elsewhere\"";
/// A gave up while B rang.
pub(crate) const CALLER_GAVE_UP: &str = "SIP;cause=487;text=\"Caller hung up\"";
/// B's answer crossed our CANCEL.
pub(crate) const CROSSED: &str = "SIP;cause=487;text=\"Answered after CANCEL\"";
/// The other side hung up.
pub(crate) const NORMAL: &str = "Q.850;cause=16;text=\"Normal call clearing\"";
/// B answered with nothing that A could be connected to.
pub(crate) const NO_COMMON_MEDIA: &str = "SIP;cause=488;text=\"Not Acceptable Here\"";
/// There is nobody who transcodes what A and B say (Q.850 cause 58: "bearer capability not presently available").
pub(crate) const NO_TRANSCODING: &str = "Q.850;cause=58;text=\"No transcoding capacity\"";
/// A side stopped sending.
pub(crate) const MEDIA_LOST: &str = "Q.850;cause=41;text=\"Media lost\"";
/// The call has lasted as long as the profile allows.
pub(crate) const LONGEST: &str = "Q.850;cause=102;text=\"Longest call reached\"";
/// The next server was not to be had, for a caller who is told 500.
pub(crate) const NEXT_UNAVAILABLE: &str = "SIP;cause=503;text=\"Next server unavailable\"";
/// The next server asked us for credentials that we have not, for a caller who is told 403.
pub(crate) const ASKED_FOR_CREDENTIALS: &str = "SIP;cause=401;text=\"Unauthorized\"";
/// The same, of a proxy.
pub(crate) const ASKED_FOR_PROXY_CREDENTIALS: &str = "SIP;cause=407;text=\"Proxy Authentication Required\"";
/// No ports, no store.
pub(crate) const NO_CIRCUIT: &str = "Q.850;cause=34;text=\"No media ports available\"";
/// The store could not answer.
pub(crate) const STORE_FAILED: &str = "Q.850;cause=41;text=\"Subscriber data not available\"";
/// An operator ended it.
pub(crate) const OPERATOR: &str = "Q.850;cause=16;text=\"Ended by the operator\"";
/// The other leg broke: no PRACK, no ACK.
pub(crate) const OTHER_LEG_BROKE: &str = "Q.850;cause=102;text=\"The other side did not acknowledge\"";
/// There is no room for a message. Q.850 has no cause for that: 31 is "normal, unspecified".
pub(crate) const MAILBOX_FULL: &str = "Q.850;cause=31;text=\"Mailbox full\"";
/// The message is recorded.
pub(crate) const RECORDED: &str = "Q.850;cause=16;text=\"Recording ended\"";
/// A peer did not refresh its session any more (RFC 4028 §10): `sip` has said BYE to it, and tells us of one with this.
const EXPIRED: &str = "SIP;cause=408;text=\"Session expired\"";

/// Whether a leg ended because nobody refreshed its session.
pub(crate) fn is_expired(reason: Option<&str>) -> bool {
    reason == Some(EXPIRED)
}

/// What one peer gave as its reason, for the other; ours when it gave none.
pub(crate) fn passed_on(theirs: Option<&str>) -> &str {
    theirs_or(theirs, NORMAL)
}

/// The same, of a caller who gave up: where its call was completed elsewhere, B's phone shall not show a missed one.
pub(crate) fn given_up(theirs: Option<&str>) -> &str {
    theirs_or(theirs, CALLER_GAVE_UP)
}

fn theirs_or<'a>(theirs: Option<&'a str>, ours: &'a str) -> &'a str {
    theirs
        .filter(|r| !r.is_empty() && r.len() <= PASSED_ON_MAX && !r.contains(|c: char| c.is_control()))
        .unwrap_or(ours)
}
