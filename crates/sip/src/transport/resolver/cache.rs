//! What name servers said, as long as it holds.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::{Question, Record};

/// Answers that are remembered.
const ANSWERS_MAX: usize = 4_096;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Cache(BTreeMap<Question, (Instant, Vec<Record>)>);

impl Cache {
    pub(super) fn get(&mut self, question: &Question) -> Option<Vec<Record>> {
        let (until, records) = self.0.get(question)?;
        if *until <= Instant::now() {
            self.0.remove(question);
            return None;
        }
        Some(records.clone())
    }

    pub(super) fn put(&mut self, question: Question, records: Vec<Record>, keep: Duration) {
        let now = Instant::now();
        if self.0.len() >= ANSWERS_MAX {
            self.0.retain(|_, (until, _)| *until > now);
        }
        if self.0.len() >= ANSWERS_MAX {
            self.0.pop_first();
        }
        self.0.insert(question, (now + keep, records));
    }
}
