//! How many messages wait, from committed state.

use segue_mailbox::{Count, Kind, Waiting};

use crate::{Store, StoreError, messages::kind_name};

impl Store {
    /// Counts a mailbox's messages; those in the trash do not count, and nobody's mailbox is empty.
    pub fn waiting(&self, mailbox: &str) -> Result<Waiting, StoreError> {
        self.read(|db| {
            let mut counts = db.prepare_cached(
                "SELECT kind, place = 'heard', messages, urgent FROM tally WHERE mailbox = ? AND place <> 'trash'",
            )?;
            let mut rows = counts.query([mailbox])?;
            let mut waiting = Waiting::default();
            while let Some(row) = rows.next()? {
                let count: &mut Count = match row.get::<_, String>(0)? == kind_name(Kind::Video) {
                    true => &mut waiting.video,
                    false => &mut waiting.voice,
                };
                let (all, urgent) = (row.get(2)?, row.get(3)?);
                match row.get(1)? {
                    true => (count.old, count.urgent_old) = (all, urgent),
                    false => (count.new, count.urgent_new) = (all, urgent),
                }
            }
            Ok(waiting)
        })
    }
}
