//! What the parts count themselves, read when somebody asks.

use std::{fmt, sync::Arc, time::SystemTime};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use segue_b2bua::Gauges;
use segue_media::Media;
use segue_store::Store;
use segue_web::Hub;

/// The parts that are asked.
pub struct Parts {
    /// The signalling thread.
    pub gauges: Arc<Gauges>,
    /// The packet path.
    pub media: Arc<Media>,
    /// The store.
    pub store: Store,
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
        self.media(&mut told)?;
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

/// Writes one metric after the other.
struct Told<'a>(DescriptorEncoder<'a>);

impl Told<'_> {
    fn counter(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        let encoder = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(count).encode(encoder)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let encoder = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(encoder)
    }

    fn gauge_f64(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let encoder = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(encoder)
    }
}
