//! What the parts count themselves, read when somebody asks.

mod notices;
mod transcoding;
mod trunks;

use std::{fmt, sync::Arc, time::SystemTime};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};
use segue_b2bua::Gauges;
use segue_jobs::{Depositor, RecordFileStats, Transcoders, WorkerPool, notices::NoticeStats};
use segue_media::Media;
use segue_sip::{METHODS, transport::HepStats};
use segue_store::{COMMIT_US, Store};
use segue_web::Hub;

/// The parts that are asked.
pub struct Parts {
    /// The signalling thread.
    pub gauges: Arc<Gauges>,
    /// The packet path.
    pub media: Arc<Media>,
    /// The store.
    pub store: Store,
    /// Recordings on their way to be messages.
    pub depositor: Arc<Depositor>,
    /// Worker processes.
    pub pool: WorkerPool,
    /// Processes that transcode.
    pub transcoders: Transcoders,
    /// The files of call records.
    pub record_files: RecordFileStats,
    /// How notices fared.
    pub notices: NoticeStats,
    /// Copies of SIP messages.
    pub hep: HepStats,
    /// The followers of events.
    pub hub: Hub,
    /// When the server started.
    pub started: SystemTime,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

impl Collector for Parts {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut told = Told(encoder);
        self.server(&mut told)?;
        self.overload(&mut told)?;
        self.sip(&mut told)?;
        trunks::encode(&mut told, &self.gauges)?;
        self.media(&mut told)?;
        transcoding::encode(&mut told, &self.transcoders, &self.media.stats())?;
        self.jobs(&mut told)?;
        notices::encode(&mut told, &self.notices, &self.store)?;
        self.store(&mut told)
    }
}

impl Parts {
    fn server(&self, told: &mut Told<'_>) -> fmt::Result {
        let since = self.started.duration_since(SystemTime::UNIX_EPOCH);
        told.gauge_f64(
            "start_time_seconds",
            "When the server started, Unix time",
            since.map_or(0.0, |since| since.as_secs_f64()),
        )?;
        let stats = self.gauges.stats();
        told.gauge("calls_active", "Calls now", self.gauges.calls())?;
        told.counter("calls_started", "Calls that have begun", stats.calls)?;
        told.counter("call_panics", "Calls that a fault of ours ended", stats.panics)?;
        told.counter("sip_unreadable", "Messages that could not be read", stats.unparsable)?;
        told.gauge(
            "inbox_depth",
            "Notes that wait for the signalling thread",
            self.gauges.inbox_depth(),
        )?;
        told.gauge(
            "event_followers",
            "Followers of events now",
            self.hub.followers() as u64,
        )?;
        told.counter("events", "Events told", self.hub.published())?;
        told.counter(
            "events_lost",
            "Events that followers lost by being slow",
            self.hub.lost(),
        )
    }

    fn overload(&self, told: &mut Told<'_>) -> fmt::Result {
        let stats = self.gauges.stats();
        let away = stats.turned_away;
        told.family(
            "calls_turned_away",
            "New calls refused for want of room, by whose bound it was; again: the same request once more",
            "",
            &[
                ([("bound", "load"), ("", "")], away.load),
                ([("bound", "calls"), ("", "")], away.calls),
                ([("bound", "early"), ("", "")], away.early),
                ([("bound", "source"), ("", "")], away.source),
                ([("bound", "account"), ("", "")], away.account),
                ([("bound", "again"), ("", "")], away.again),
            ],
        )?;
        told.gauge("calls_early", "Calls whose caller waits for an answer", stats.early)?;
        told.gauge("registrations", "Contacts that are registered", stats.registrations)?;
        told.gauge(
            "subscriptions",
            "Phones that subscribe to how many messages wait",
            stats.subscriptions,
        )?;
        told.gauge(
            "admission_limited",
            "1 while messages wait too long and new calls are let in at a limited rate",
            stats.rate.is_some().into(),
        )?;
        told.gauge(
            "admission_rate",
            "New calls a second that are let in while that is limited",
            stats.rate.unwrap_or(0),
        )
    }

    fn sip(&self, told: &mut Told<'_>) -> fmt::Result {
        const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "6xx"];
        let stats = self.gauges.stats().sip;
        let both = |inward: &[u64], outward: &[u64], words: &[&'static str]| -> Vec<([Label; 2], u64)> {
            let way = |way: &'static str, counts: &[u64]| -> Vec<([Label; 2], u64)> {
                words
                    .iter()
                    .zip(counts)
                    .map(|(word, count)| ([("direction", way), ("", *word)], *count))
                    .collect()
            };
            [way("in", inward), way("out", outward)].concat()
        };
        told.counter(
            "hep_copies",
            "Copies of SIP messages sent to the collector",
            self.hep.sent(),
        )?;
        told.counter(
            "hep_copies_lost",
            "Copies of SIP messages that could not be sent at once",
            self.hep.lost(),
        )?;
        told.family(
            "sip_requests",
            "Requests received and sent, retransmissions among them",
            "method",
            &both(&stats.requests_in, &stats.requests_out, &METHODS),
        )?;
        told.family(
            "sip_responses",
            "Responses received and sent, retransmissions among them",
            "class",
            &both(&stats.responses_in, &stats.responses_out, &CLASSES),
        )?;
        told.family(
            "sip_retransmissions",
            "Messages received and sent again",
            "",
            &[
                ([("direction", "in"), ("", "")], stats.again_in),
                ([("direction", "out"), ("", "")], stats.again_out),
            ],
        )?;
        told.family(
            "sip_transactions",
            "Transactions begun, by us (client) and by peers (server)",
            "",
            &[
                ([("role", "client"), ("", "")], stats.client_transactions),
                ([("role", "server"), ("", "")], stats.server_transactions),
            ],
        )?;
        told.gauge("sip_transactions_active", "Transactions now", stats.transactions)?;
        told.gauge("sip_sessions_active", "SIP legs now", stats.sessions)?;
        told.family(
            "sip_timeouts",
            "What did not come in time: a response to our request, the PRACK or the ACK to our response, the refresh of a session",
            "",
            &[
                ([("awaited", "response"), ("", "")], stats.timed_out),
                ([("awaited", "prack"), ("", "")], stats.no_prack),
                ([("awaited", "ack"), ("", "")], stats.no_ack),
                ([("awaited", "refresh"), ("", "")], stats.expired),
            ],
        )
    }

    fn jobs(&self, told: &mut Told<'_>) -> fmt::Result {
        let deposits = self.depositor.stats();
        told.family(
            "recordings",
            "Recordings by what became of them; a failed one is tried again",
            "",
            &[
                ([("outcome", "ready"), ("", "")], deposits.ready),
                ([("outcome", "raw"), ("", "")], deposits.raw),
                ([("outcome", "dropped"), ("", "")], deposits.dropped),
                ([("outcome", "failed"), ("", "")], deposits.failed),
            ],
        )?;
        told.gauge(
            "recordings_waiting",
            "Recordings that wait to be messages",
            deposits.waiting,
        )?;
        let work = self.pool.stats();
        told.family(
            "worker_jobs",
            "Jobs of the media workers; retried: an attempt that failed and was followed by another",
            "",
            &[
                ([("outcome", "done"), ("", "")], work.done),
                ([("outcome", "refused"), ("", "")], work.refused),
                ([("outcome", "failed"), ("", "")], work.failed),
                ([("outcome", "retried"), ("", "")], work.retried),
            ],
        )?;
        told.gauge("workers_busy", "Media workers at work", work.busy)?;
        told.counter(
            "record_lines",
            "Call records written to files of records",
            self.record_files.written(),
        )?;
        told.counter(
            "record_file_failures",
            "Attempts to write files of records that failed; what they left out is written later",
            self.record_files.failures(),
        )?;
        told.counter(
            "record_rows_unreadable",
            "Call records left out of a file of records since the store's row of them cannot be read",
            self.record_files.unreadable(),
        )?;
        told.gauge(
            "record_lines_waiting",
            "Call records that a file of records lacks still",
            self.record_files.waiting(),
        )
    }

    fn media(&self, told: &mut Told<'_>) -> fmt::Result {
        let stats = self.media.stats();
        told.gauge("media_sessions", "Calls with open media ports", stats.sessions)?;
        told.gauge("media_ports", "RTP ports leased, each with its RTCP port", stats.ports)?;
        for (name, help, count) in [
            ("rtp_sent_packets", "RTP packets sent", stats.sent),
            (
                "rtp_late_packets",
                "RTP packets of clips sent more than 5 ms after their time",
                stats.late,
            ),
            ("rtp_received_packets", "RTP packets received", stats.received),
            (
                "rtp_relayed_packets",
                "RTP packets relayed between the sides",
                stats.relayed,
            ),
            (
                "rtp_rejected_packets",
                "Datagrams not let in: no RTP, unknown payload type, foreign address",
                stats.bad,
            ),
            (
                "srtp_rejected_packets",
                "Packets of SRTP and SRTCP dropped: not authentic, or there before",
                stats.unauthentic,
            ),
            (
                "rtp_send_failures",
                "Datagrams that the system refused to send",
                stats.send_failed,
            ),
            (
                "recording_lost_packets",
                "Packets that recordings lost, since the disk was slow",
                stats.spool_dropped,
            ),
        ] {
            told.counter(name, help, count)?;
        }
        Ok(())
    }

    fn store(&self, told: &mut Told<'_>) -> fmt::Result {
        let stats = self.store.stats();
        told.commits(&stats)?;
        told.counter(
            "store_failures",
            "Transactions that could not be committed",
            stats.failed,
        )?;
        told.counter(
            "store_writes",
            "Writes committed; several share a transaction",
            stats.writes,
        )?;
        told.gauge("store_queue_depth", "Writes that wait for the store", stats.queued)?;
        told.counter(
            "store_freed_bytes",
            "Bytes given back to the system: of the database file, and of files with media",
            stats.freed_bytes,
        )?;
        let space = self.store.space().unwrap_or_default();
        told.gauge(
            "store_used_bytes",
            "Bytes in use in the database file",
            space.used_bytes,
        )?;
        told.gauge(
            "store_free_bytes",
            "Bytes in the database file that are free for reuse",
            space.free_bytes,
        )?;
        told.gauge(
            "store_file_bytes",
            "Bytes of media in files of their own (media_store = dir)",
            space.file_bytes,
        )?;
        let Ok(totals) = self.store.totals() else {
            return Ok(());
        };
        told.gauge("subscribers", "Subscribers", totals.subscribers)?;
        told.gauge("messages_stored", "Messages stored", totals.messages)?;
        told.gauge(
            "messages_unheard",
            "Messages stored that nobody has heard",
            totals.unheard,
        )?;
        told.gauge(
            "messages_raw",
            "Messages stored whose media is a raw recording still",
            totals.raw,
        )?;
        told.gauge("messages_bytes", "Bytes of the media of messages", totals.message_bytes)?;
        told.gauge("call_records", "Call records stored", totals.calls)
    }
}

type Label = (&'static str, &'static str);

/// Writes one metric after the other.
struct Told<'a>(DescriptorEncoder<'a>);

impl Told<'_> {
    fn counter(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        let encoder = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(count).encode(encoder)
    }

    /// A counter with one label or two; `second` names the other one, empty: there is none.
    fn family(&mut self, name: &str, help: &str, second: &'static str, all: &[([Label; 2], u64)]) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for ([first, (_, word)], count) in all {
            let labels = match second {
                "" => vec![*first],
                second => vec![*first, (second, *word)],
            };
            ConstCounter::new(*count).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    #[allow(clippy::cast_precision_loss, reason = "a figure for a chart")]
    fn commits(&mut self, stats: &segue_store::Stats) -> fmt::Result {
        let help = "How long commits took, their sync to disk above all";
        let unit = Unit::Seconds;
        let mut encoder = self
            .0
            .encode_descriptor("store_commit", help, Some(&unit), MetricType::Histogram)?;
        let bounds = COMMIT_US.iter().map(|us| *us as f64 / 1e6).chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(stats.commits).collect();
        let count = stats.commits.iter().sum();
        encoder.encode_histogram::<NoLabelSet>(stats.commit_us as f64 / 1e6, count, &buckets, None)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let encoder = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(encoder)
    }

    /// A gauge with labels.
    fn gauges(&mut self, name: &str, help: &str, all: &[(Vec<(&'static str, String)>, u64)]) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in all {
            let gauge = ConstGauge::new(i64::try_from(*value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_family(labels)?)?;
        }
        Ok(())
    }

    /// A counter with labels.
    fn counters(&mut self, name: &str, help: &str, all: &[(Vec<(&'static str, String)>, u64)]) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in all {
            ConstCounter::new(*value).encode(encoder.encode_family(labels)?)?;
        }
        Ok(())
    }

    fn gauge_f64(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let encoder = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(encoder)
    }
}
