//! UAC: an INVITE that is refused for the form it has is made again in the form that the refusal asks for (RFC 3261 §8.1.3.5).

use std::time::Instant;

use segue_sip_wire::Message;

use super::{
    core::{Core, SUPPORTED},
    interval::ask_longer,
    session::{Cancel, Phase, Session},
};
use crate::api::Outgoing;

/// How often one INVITE is made in all.
const TRIES_MAX: u8 = 4;

impl Session {
    /// Makes our INVITE again, if its refusal says how: "the same value of the Call-ID, To, and From …, but the CSeq …
    /// one higher" (§8.1.3.5). False: it is refused for good.
    pub(crate) fn invite_again(&mut self, core: &mut Core, now: Instant, refusal: &Message) -> bool {
        let Phase::Calling(calling) = &mut self.phase else {
            return false;
        };
        if calling.cancel != Cancel::No || calling.tries >= TRIES_MAX || !adapt(&mut calling.outgoing, refusal) {
            return false;
        }
        let Ok(cseq) = refusal.cseq() else { return false };
        self.withdraw_offer(core, now);
        self.hear_interval(refusal);
        let Phase::Calling(calling) = &mut self.phase else {
            return false;
        };
        calling.leave_forks(core);
        core.stop_all(self.id);
        calling.tries = calling.tries.saturating_add(1);
        calling.provisional = false;
        let cseq = cseq.number.wrapping_add(1);
        let draft = core.draft_invite(&calling.outgoing, calling.peer, &self.local_tag, &self.call_id, cseq);
        calling.transaction = core.request(now, &draft, calling.peer, Some(self.id));
        true
    }
}

/// What of an INVITE is to be otherwise. False: nothing that we could change.
fn adapt(outgoing: &mut Outgoing, refusal: &Message) -> bool {
    match refusal.status() {
        // "the request SHOULD be retried, this time omitting any extensions listed in the Unsupported" (§8.1.3.5).
        Some(420) => {
            let unsupported = refusal.list("Unsupported");
            let before = outgoing.supported.len().saturating_add(outgoing.required.len());
            for tags in [&mut outgoing.supported, &mut outgoing.required] {
                tags.retain(|tag| !unsupported.iter().any(|named| named.trim().eq_ignore_ascii_case(tag)));
            }
            before > outgoing.supported.len().saturating_add(outgoing.required.len())
        }
        // "The UAS needs a particular extension to process the request" (§21.4.16): Require lists it.
        Some(421) => {
            let wanted = refusal.list("Require");
            let known = |named: &String| {
                // Preconditions stand in the offer, or do not.
                let had = |tag: &&str| *tag != "precondition" || outgoing.supported.contains(tag);
                let mut known = SUPPORTED.split(", ").filter(had);
                known.find(|tag| tag.eq_ignore_ascii_case(named.trim()))
            };
            let Some(wanted) = wanted.iter().map(known).collect::<Option<Vec<&'static str>>>() else {
                return false;
            };
            let mut changed = false;
            for tag in wanted {
                if !outgoing.required.contains(&tag) {
                    outgoing.required.push(tag);
                    outgoing.supported.retain(|other| *other != tag);
                    changed = true;
                }
            }
            changed
        }
        // "Session Interval Too Small" (RFC 4028 §6).
        Some(422) => ask_longer(&mut outgoing.interval, refusal),
        _ => false,
    }
}
