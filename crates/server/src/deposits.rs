//! What calls ask of their recordings, carried to the depositor.

use std::sync::Arc;

use segue_b2bua::{Row, Take};
use segue_jobs::{DepositOutcome, Depositor, Preview};

/// Carries recordings from calls to the depositor: the signalling side knows no jobs.
pub struct Deposits(pub Arc<Depositor>);

impl segue_b2bua::Deposits for Deposits {
    fn hold(&self, message_id: &str) {
        self.0.hold(message_id);
    }

    fn preview(&self, message_id: &str, shown: Box<dyn FnOnce(Result<Take, String>) + Send>) {
        let given = |made: Preview| Take {
            duration_ms: made.duration_ms,
            rows: made
                .renditions
                .into_iter()
                .map(|(info, cache)| Row { info, cache })
                .collect(),
        };
        self.0.preview(message_id, Box::new(move |made| shown(made.map(given))));
    }

    fn deposit(&self, message_id: &str, urgent: bool, done: Box<dyn FnOnce(Result<(), String>) + Send>) {
        self.0.deposit(
            message_id,
            urgent,
            Box::new(move |outcome| {
                done(match outcome {
                    Ok(DepositOutcome::Stored(_)) => Ok(()),
                    Ok(DepositOutcome::Gone) => Err("the message has been deleted already".to_owned()),
                    Ok(DepositOutcome::Dropped) => Err("nothing that could be kept was recorded".to_owned()),
                    Err(error) => Err(error.to_string()),
                })
            }),
        );
    }

    fn discard(&self, message_id: &str) {
        self.0.discard(message_id);
    }
}
