//! UAC: the early dialogs of an INVITE, one for each fork that has said something (RFC 3261 §13.2.2.1), and their end before that of
//! the INVITE (199, RFC 6228).

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Instant,
};

use segue_sip_wire::{Message, full_name};

use super::{
    core::Core,
    incoming::shared_sdp,
    session::{Calling, Fork, PendingOffer, Phase, Said, Session},
};
use crate::{
    api::{Event, Peer, SessionId},
    dialog::Dialog,
    transaction::store::FORKS_MAX,
};

/// "Early Dialog Terminated" (RFC 6228).
const TERMINATED: u16 = 199;

/// What becomes of a 1xx.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Early {
    /// It is not to be processed further.
    Ignored,
    /// It is news.
    News,
    /// Its dialog is over.
    Ended,
}

impl Session {
    /// Whether a 1xx says what its fork has said before.
    pub(crate) fn repeats(&self, response: &Message) -> bool {
        let Phase::Calling(calling) = &self.phase else {
            return true;
        };
        let Ok(to) = response.to() else { return false };
        let fork = calling
            .forks
            .iter()
            .find(|fork| Some(fork.dialog.remote_tag.as_str()) == to.tag());
        fork.and_then(|fork| fork.last.as_ref())
            .is_some_and(|last| *last == Said::of(response))
    }

    /// Tells of a P-Early-Media in another message than a 1xx, if there is one (RFC 5009 §8).
    pub(super) fn on_early_media(&self, core: &mut Core, remote_tag: &str, message: &Arc<Message>) {
        let early = matches!(&self.phase, Phase::Calling(calling)
            if calling.living().any(|fork| fork.dialog.remote_tag == remote_tag));
        if early && message.header("P-Early-Media").is_some() {
            let (fork, message) = (remote_tag.into(), message.clone());
            self.emit(core, |session| Event::EarlyMedia { session, fork, message });
        }
    }

    /// An early dialog is over: what waits there for an answer waits in vain.
    pub(super) fn early_dialog_ended(&mut self, core: &mut Core, now: Instant, remote_tag: &str) {
        let Some(PendingOffer::Theirs { remote_tag: of, .. }) = &self.offer else {
            return self.offer_lost_with(core, now, remote_tag);
        };
        if of == remote_tag {
            self.end_offer_with(core, now, 481);
            self.emit(core, |session| Event::OfferWithdrawn { session });
        }
        self.offer_lost_with(core, now, remote_tag);
    }
}

impl Calling {
    /// Leaves the early dialogs to the INVITE's transaction, which outlives the session's interest in them.
    pub(super) fn leave_forks(&mut self, core: &mut Core) {
        if let Some(client) = core.transactions.client(self.transaction) {
            let forks = std::mem::take(&mut self.forks);
            client.losing.extend(forks.into_iter().map(|fork| fork.dialog));
        }
    }

    /// The early dialogs that are not over.
    pub(super) fn living(&self) -> impl Iterator<Item = &Fork> {
        self.forks.iter().filter(|fork| !fork.ended)
    }

    /// A 1xx above 100 on its fork.
    pub(super) fn on_early(
        &mut self,
        core: &mut Core,
        now: Instant,
        owner: SessionId,
        peer: Peer,
        invite: &Message,
        response: &Message,
    ) -> Early {
        let over = response.status() == Some(TERMINATED);
        let tag = response.to().ok().and_then(|to| to.tag().map(str::to_owned));
        let reliable = response.rseq().filter(|_| response.has_token("Require", "100rel"));
        let Some(tag) = tag else {
            // Without a tag there is no dialog (and nothing to acknowledge), but it still says how far the peer is.
            return if over { Early::Ignored } else { Early::News };
        };
        let at = self.forks.iter().position(|fork| fork.dialog.remote_tag == tag);
        if at.is_none() {
            // "… an unreliably sent 199 response on a dialog that has not previously been established …: it SHALL discard
            // the 199" (RFC 6228 §4).
            if self.forks.len() >= FORKS_MAX || over && reliable.is_none() {
                return Early::Ignored;
            }
            let Some(mut dialog) = Dialog::uac(invite, response, peer) else {
                return Early::Ignored;
            };
            dialog.follows_source = self.outgoing.back_to.is_some();
            self.forks.push(Fork {
                dialog,
                rseq: None,
                sdp: None,
                last: None,
                ended: false,
            });
        }
        let last = self.forks.len().saturating_sub(1);
        let Some(fork) = self.forks.get_mut(at.unwrap_or(last)) else {
            return Early::Ignored;
        };
        if fork.ended {
            return Early::Ignored;
        }
        if let Some(rseq) = reliable {
            if !fork.is_next(rseq) {
                return Early::Ignored;
            }
            fork.dialog.refresh(response);
            // An offer or an answer of a dialog that is over is none.
            if fork.sdp.is_none() && !over {
                fork.sdp = shared_sdp(response);
            }
            fork.prack(core, now, owner, invite, rseq);
        }
        fork.last = Some(Said::of(response));
        fork.ended = over;
        match (over, at) {
            (false, _) => Early::News,
            (true, Some(_)) => Early::Ended,
            // "… it MUST acknowledge the 199 response" (RFC 6228 §4), and that is all.
            (true, None) => Early::Ignored,
        }
    }

    /// Whether offer and answer of the INVITE are done, reliably, in this early dialog.
    pub(super) fn is_answered(&self, remote_tag: &str) -> bool {
        self.living()
            .any(|fork| fork.dialog.remote_tag == remote_tag && fork.sdp.is_some())
    }
}

/// A digest of headers that a repetition has as well.
fn digest(response: &Message) -> u64 {
    const OF_ONE: [&str; 4] = ["Via", "RSeq", "Timestamp", "Date"];
    let mut hasher = DefaultHasher::new();
    for (name, value) in response.all_headers() {
        let name = full_name(name);
        if !OF_ONE.iter().any(|of_one| of_one.eq_ignore_ascii_case(name)) {
            (name.to_ascii_lowercase(), value.trim()).hash(&mut hasher);
        }
    }
    hasher.finish()
}

impl Said {
    fn of(response: &Message) -> Said {
        Said {
            status: response.status(),
            body: Arc::from(response.body()),
            rseq: response.rseq(),
            headers: digest(response),
        }
    }
}
