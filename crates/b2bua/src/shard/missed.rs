//! Calls that subscribers missed: they ended without an answer and without a message.

use segue_call::StoreReply;
use segue_policy::Profile;
use segue_records::{CallRecord, CallResult, NoticeEvent, NoticeFacts};

use super::{CallKey, Shard, ShardOutput};

impl Shard {
    /// A look-up's answer says whose call it is.
    pub(super) fn know_mailbox(&mut self, key: CallKey, reply: &StoreReply) {
        if let (StoreReply::Found(lookup), Some(entry)) = (reply, self.calls.get_mut(&key)) {
            entry.mailbox = Some(lookup.plan.mailbox.clone());
        }
    }

    /// Tells whose call it was, if it was missed.
    pub(super) fn tell_of_missed(&mut self, whose: Option<String>, record: &CallRecord, profile: &Profile) {
        let Some(mailbox) = whose.filter(|_| is_missed(record)) else {
            return;
        };
        let facts = NoticeFacts {
            call_id: Some(record.id.clone()),
            sip_call_id: Some(record.sip_call_id.clone()),
            from: Some(record.from.clone()),
            result: Some(record.result),
            ..NoticeFacts::new(NoticeEvent::CallMissed, mailbox, record.started_at)
        };
        self.outputs
            .push_back(ShardOutput::Missed(Box::new(facts), profile.missed_notices));
    }
}

/// Whom a rule refuses has missed nobody; a message says more than that a call was missed.
fn is_missed(record: &CallRecord) -> bool {
    match record.result {
        CallResult::AbandonedWhileHeld
        | CallResult::Abandoned
        | CallResult::Greeted
        | CallResult::TooShort
        | CallResult::MailboxFull => true,
        // Nobody took it, and there is no mailbox.
        CallResult::Failed => record.answered_at.is_none(),
        CallResult::Answered | CallResult::Message | CallResult::Mailbox | CallResult::Rejected => false,
    }
}
