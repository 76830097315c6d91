//! What commands have changed beside the server, for the shard.

use segue_store::Removal;

use super::{Performer, now};
use crate::keeping::Learnt;

impl Performer {
    pub(super) fn learnt(&mut self, learnt: Learnt) {
        match learnt {
            Learnt::Directory(directory) => self.shard.handle_directory(directory),
            Learnt::Removal(Removal { user, contact }) => {
                self.shard.handle_removal(now(), &user, contact.as_deref());
            }
            Learnt::Waiting(user, summary) => self.shard.handle_waiting(now(), &user, summary),
            Learnt::Trunks(trunks) => self.shard.handle_trunks(now(), trunks),
            Learnt::AskTrunk(name) => self.shard.ask_trunk(now(), &name),
        }
    }
}
