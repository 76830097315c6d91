//! Callers who have proven who they are, and call more than they may.

use segue_call::{Now, StoreReply};
use segue_policy::Profile;
use segue_sip::Peer;
use segue_sip_wire::{Message, Method};
use segue_store::Spent;

use super::{CallKey, Shard, ShardOutput};
use crate::{emergency, entry::Entry, overload::Used};

impl Shard {
    /// Answers an INVITE whose account has used up what it may. Whether it has done so.
    pub(super) fn turns_account_away(&mut self, now: Now, peer: Peer, request: &Message, profile: &Profile) -> bool {
        let Some(account) = self.proven.clone() else {
            return false;
        };
        if self.closing || request.method() != Some(&Method::Invite) || emergency::of(request, profile).is_some() {
            return false;
        }
        let Some(key) = self.endpoint.fingerprint(request) else {
            return false;
        };
        let (caps, zone) = self.directory.account(&account);
        let room = self.overload.accounts.room(now, &account, caps.at(profile), &zone);
        let Err(used) = room else { return false };
        let verdict = self.overload.account_full(key, used, &account);
        self.turn_away(now, peer, request, key, verdict);
        true
    }

    /// What the account that asks has used up.
    pub(super) fn account_is_full(&mut self, now: Now, profile: &Profile) -> Option<Used> {
        let account = self.proven.as_ref()?;
        let (caps, zone) = self.directory.account(account);
        self.overload.accounts.used(now, account, caps.at(profile), &zone)
    }

    /// Whom a subscriber calls back from its mailbox is known: that is a new call of the account's, as if its phone had dialled it.
    pub(super) fn admits_call_back(&mut self, now: Now, key: CallKey, reply: StoreReply) -> StoreReply {
        let entry = self.calls.get(&key).filter(|entry| entry.call.asks_whom_to_call_back());
        let (Some(entry), StoreReply::Found(_) | StoreReply::NotFound) = (entry, &reply) else {
            return reply;
        };
        if self.closing {
            let why = "the server is stopping".to_owned();
            return StoreReply::LookupFailed { why };
        }
        let Some(account) = &entry.account else { return reply };
        let (caps, zone) = self.directory.account(account);
        match self
            .overload
            .accounts
            .room_for_more(now, account, caps.at(&entry.profile), &zone)
        {
            Ok(()) => reply,
            Err(used) => {
                let why = self.overload.account_used_up(used, account).why;
                StoreReply::LookupFailed { why }
            }
        }
    }

    /// A call that ends gives back what it was counted under.
    pub(super) fn leave(&mut self, now: Now, key: CallKey, entry: &mut Entry) {
        self.disengage(key, &entry.engaged);
        if let Some(seat) = entry.seat.take() {
            self.overload.ledger.free(seat);
        }
        if let Some(account) = entry.account.take() {
            let (_, zone) = self.directory.account(&account);
            let spent = self.overload.accounts.free(now, &account, key, &zone);
            self.outputs.extend(spent.map(ShardOutput::Spent));
        }
    }

    /// How long accounts had called before the start.
    pub fn restore_spent(&mut self, spent: Vec<Spent>) {
        for spent in spent {
            self.overload.accounts.restore(spent);
        }
    }
}
