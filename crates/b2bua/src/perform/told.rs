//! What is told to those who watch, and kept in the store: ended calls and refused requests.

use std::{sync::Arc, time::Instant};

use segue_records::{CallRecord, Event, Happening, NoticeFacts};

use super::{Performer, now};
use crate::{Refusal, refusals::Kept};

impl Performer {
    /// Keeps a call's record and tells of its end.
    pub(super) fn ended(&self, record: &CallRecord) {
        let what = Happening::CallEnded {
            result: record.result,
            cause: record.cause,
            why: record.why.clone(),
            message_id: record.message_id.clone(),
        };
        self.watch.event(Event {
            at: now().wall,
            call_id: Some(record.id.clone()),
            sip_call_id: Some(record.sip_call_id.clone()),
            what,
        });
        self.watch.ended(record);
        let (sip_call_id, watch) = (record.sip_call_id.clone(), Arc::clone(&self.watch));
        let kept = self.store.save_call_later(record, move |outcome| {
            if let Err(error) = outcome {
                tracing::error!(sip_call_id, %error, "the call record could not be kept");
                watch.unkept();
            }
        });
        if let Err(error) = kept {
            tracing::error!(sip_call_id = record.sip_call_id, %error, "the call record could not be kept");
            self.watch.unkept();
        }
    }

    /// Queues what a subscriber is to be told of a call that was missed.
    pub(super) fn missed(&self, facts: NoticeFacts, by_default: bool) {
        let told = |error| tracing::error!(%error, "nobody can be told of a missed call");
        let kept = self.store.tell_of_missed_later(facts, by_default, move |outcome| {
            if let Err(error) = outcome {
                told(error);
            }
        });
        if let Err(error) = kept {
            told(error);
        }
    }

    /// Counts a refused request, and keeps its record unless there are too many.
    pub(super) fn refused(&mut self, refusal: &Refusal) {
        self.watch.refused(refusal.status);
        let (record, is_new) = match self.refusals.take(Instant::now(), refusal) {
            Some(Kept::New(record)) => (record, true),
            Some(Kept::Again(record)) => (record, false),
            None => return,
        };
        if is_new {
            self.watch.event(Event {
                at: refusal.at,
                call_id: None,
                sip_call_id: record.sip_call_id.clone(),
                what: Happening::RequestRefused {
                    refused_id: record.id.clone(),
                    source: record.source.clone(),
                    method: record.method.clone(),
                    status: record.status,
                    why: record.why.clone(),
                    withheld: record.withheld,
                },
            });
        }
        let watch = Arc::clone(&self.watch);
        let kept = self.store.save_refused_later(&record, move |outcome| {
            if let Err(error) = outcome {
                tracing::warn!(%error, "the record of a refused request could not be kept");
                watch.unkept();
            }
        });
        if kept.is_err() {
            self.watch.unkept();
        }
    }

    /// Counts one of a flood of refused requests.
    pub(super) fn refused_untold(&mut self, status: u16) {
        self.refusals.withhold();
        self.watch.refused(Some(status));
    }
}
