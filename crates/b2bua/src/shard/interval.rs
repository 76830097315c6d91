//! Session timers (RFC 4028) as the profiles want them.

use segue_call::Now;
use segue_policy::Profile;
use segue_sip::{CommandError, Peer, SessionId};
use segue_sip_wire::Message;

use super::Shard;
use crate::{Refusal, translate};

impl Shard {
    /// Whether a caller's INVITE asks for no shorter a session interval than its profile allows; if it does it is refused.
    pub(super) fn takes_interval(
        &mut self,
        now: Now,
        session: SessionId,
        invite: &Message,
        peer: &Peer,
        profile: &Profile,
    ) -> bool {
        let wish = translate::interval(profile);
        let Err(CommandError::IntervalTooSmall { min_se_s }) = self.endpoint.want_interval(session, wish) else {
            return true;
        };
        let min_se = [("Min-SE", min_se_s.to_string())];
        let _ = self.endpoint.refuse(now.mono, session, 422, &min_se);
        self.refuse(Refusal::of(now.wall, peer, invite, Some(422)).because(
            format!("its Session-Expires is less than {min_se_s} s"),
            format!(
                "let the caller ask for {min_se_s} s or more, or lower min_se_s in the profile `{}`",
                profile.name
            ),
        ));
        false
    }
}
