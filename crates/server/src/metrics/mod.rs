//! What Prometheus is told (docs/metrics.md): what events tell is counted here as it happens, what the parts count
//! themselves is read when somebody asks (`gathered.rs`). Every label has few values, none of them chosen by a peer.

mod gathered;
mod quality;

use prometheus_client::{
    encoding::text::encode,
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        histogram::Histogram,
        info::Info,
    },
    registry::{Registry, Unit},
};
use segue_records::{CallRecord, Event, Happening, MediaKind};

pub use gathered::Parts;
use quality::Quality;

type Label = [(&'static str, String); 1];
type Labels = [(&'static str, String); 2];

/// Phases: a look-up takes milliseconds, a conversation an hour.
const PHASE_S: [f64; 12] = [0.01, 0.05, 0.25, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 300.0, 3_600.0];
/// A hold is late by a tick of 10 ms or so, or something is wrong.
const HOLD_S: [f64; 8] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0];
/// A packet is 20 ms of sound, a picture 33 ms; a key frame may take seconds.
const GAP_S: [f64; 10] = [0.01, 0.02, 0.03, 0.04, 0.06, 0.1, 0.25, 0.5, 1.0, 3.0];

/// The counters that events move. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    calls: Family<Label, Counter>,
    phases: Family<Label, Histogram, Buckets>,
    hold_error: Histogram,
    holds_cut_short: Counter,
    relayed_untouched: Counter,
    gaps: Family<Labels, Histogram, Buckets>,
    refused: Family<Label, Counter>,
    messages: Family<Label, Counter>,
    deleted: Family<Label, Counter>,
    unkept: Counter,
    quality: Quality,
}

/// Makes the histograms of a family.
#[derive(Debug, Clone, Copy)]
struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Metrics {
        let metrics = Metrics {
            calls: Family::default(),
            phases: Family::new_with_constructor(Buckets(&PHASE_S)),
            hold_error: Histogram::new(HOLD_S),
            holds_cut_short: Counter::default(),
            relayed_untouched: Counter::default(),
            gaps: Family::new_with_constructor(Buckets(&GAP_S)),
            refused: Family::default(),
            messages: Family::default(),
            deleted: Family::default(),
            unkept: Counter::default(),
            quality: Quality::new(),
        };
        metrics.begin();
        metrics
    }

    /// A series that is not there until its first event hides that event from a rate: the usual ones begin at zero.
    fn begin(&self) {
        for result in ["answered", "message", "greeted", "abandoned", "rejected", "failed"] {
            let _ = self.calls.get_or_create(&[("result", result.to_owned())]);
        }
        for phase in [
            "looking_up",
            "holding",
            "ringing",
            "bridged",
            "greeting",
            "choosing",
            "recording",
            "reviewing",
            "saving",
        ] {
            let _ = self.phases.get_or_create(&[("phase", phase.to_owned())]);
        }
        for to in ["clip", "callee", "greeting", "beep", "notice", "take", "prompt"] {
            for kind in ["audio", "video"] {
                let labels = [("to", to.to_owned()), ("kind", kind.to_owned())];
                let _ = self.gaps.get_or_create(&labels);
            }
        }
        for what in ["committed", "heard", "unheard", "deleted", "restored"] {
            let _ = self.messages.get_or_create(&[("what", what.to_owned())]);
        }
        let _ = self.deleted.get_or_create(&[("by", "user".to_owned())]);
        let _ = self.refused.get_or_create(&[("cause", "dropped".to_owned())]);
    }

    /// Counts what happened.
    pub fn event(&self, event: &Event) {
        match &event.what {
            Happening::CallPhase { before, lasted_ms, .. } => {
                self.phases
                    .get_or_create(&[("phase", word(before))])
                    .observe(seconds(*lasted_ms));
            }
            Happening::CallSwitch {
                to,
                kind,
                gap_ms: Some(gap_ms),
            } => {
                let kind = match kind {
                    MediaKind::Audio => "audio",
                    MediaKind::Video => "video",
                };
                self.gaps
                    .get_or_create(&[("to", to.clone()), ("kind", kind.to_owned())])
                    .observe(seconds(*gap_ms));
            }
            Happening::MessageCommitted(_)
            | Happening::MessageHeard(_)
            | Happening::MessageUnheard(_)
            | Happening::MessageRestored(_) => self.message(event),
            Happening::MessageDeleted { by, .. } => {
                self.message(event);
                self.deleted.get_or_create(&[("by", by.clone())]).inc();
            }
            Happening::CallStarted { .. }
            | Happening::CallProlonged { .. }
            | Happening::CallBack(_)
            | Happening::CallSwitch { gap_ms: None, .. }
            | Happening::CallEnded { .. }
            | Happening::RequestRefused { .. }
            | Happening::TrunkUp { .. }
            | Happening::TrunkDown { .. }
            | Happening::TrunkRegistered { .. }
            | Happening::TrunkUnregistered { .. }
            | Happening::RegistrationAdded(_)
            | Happening::RegistrationRemoved { .. }
            | Happening::NoticeSent(_)
            | Happening::NoticeDead(_)
            | Happening::SubscriberLocked { .. }
            | Happening::ServerReloaded { .. }
            | Happening::ServerReady { .. }
            | Happening::ServerStopping => {}
        }
    }

    fn message(&self, event: &Event) {
        let what = event.what.name().trim_start_matches("message.").to_owned();
        self.messages.get_or_create(&[("what", what)]).inc();
    }

    /// Counts an ended call, and how well its hold was kept.
    pub fn ended(&self, record: &CallRecord) {
        self.calls
            .get_or_create(&[("result", record.result.as_str().to_owned())])
            .inc();
        self.quality.ended(record);
        if record.relayed_untouched {
            self.relayed_untouched.inc();
        }
        if let (Some(asked), Some(kept)) = (record.hold_asked_ms, record.hold_ms) {
            match kept.checked_sub(asked) {
                Some(error) => self.hold_error.observe(seconds(error)),
                // `#`, or the early phase came to its end.
                None => {
                    self.holds_cut_short.inc();
                }
            }
        }
    }

    /// Counts a refused or dropped request.
    pub fn refused(&self, status: Option<u16>) {
        let cause = match status {
            None => "dropped".to_owned(),
            Some(status @ 300..=699) => status.to_string(),
            Some(_) => "other".to_owned(),
        };
        self.refused.get_or_create(&[("cause", cause)]).inc();
    }

    /// Counts a record that the store could not keep.
    pub fn unkept(&self) {
        self.unkept.inc();
    }

    /// Everything there is to tell, these and what the parts count.
    pub fn registry(&self, parts: Parts) -> Registry {
        let mut all = Registry::with_prefix("segue");
        all.register(
            "build",
            "Version of the running program",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        all.register("calls", "Calls that have ended, by how", self.calls.clone());
        all.register_with_unit(
            "phase_duration",
            "How long calls stayed in a phase",
            Unit::Seconds,
            self.phases.clone(),
        );
        all.register_with_unit(
            "hold_error",
            "How much longer than asked callers were held on the clip",
            Unit::Seconds,
            self.hold_error.clone(),
        );
        all.register(
            "holds_cut_short",
            "Holds that ended before their time, by the caller's # or the limit of the early phase",
            self.holds_cut_short.clone(),
        );
        all.register(
            "calls_relayed_untouched",
            "Calls without a hold because no format of the caller is known here",
            self.relayed_untouched.clone(),
        );
        all.register_with_unit(
            "switch_gap",
            "From the last packet of what the caller saw or heard to the first of what came next",
            Unit::Seconds,
            self.gaps.clone(),
        );
        all.register(
            "requests_refused",
            "Requests dropped, or refused with a status",
            self.refused.clone(),
        );
        all.register("messages", "What happened to messages", self.messages.clone());
        all.register(
            "messages_deleted",
            "Messages deleted, by the user or the rule that did",
            self.deleted.clone(),
        );
        all.register(
            "records_unkept",
            "Call and refusal records that the store could not keep",
            self.unkept.clone(),
        );
        self.quality.register(&mut all);
        all.register_collector(Box::new(parts));
        all
    }
}

/// A registry in OpenMetrics' text form.
pub fn text(registry: &Registry) -> String {
    let mut text = String::new();
    if encode(&mut text, registry).is_err() {
        tracing::error!("the metrics could not be written");
    }
    text
}

#[allow(clippy::cast_precision_loss, reason = "a figure for a chart")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}
